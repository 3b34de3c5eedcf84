package weir.peers.flink;

import weir.peers.common.Progress;
import weir.peers.common.Report;

/** What the subtasks tell the program: Flink copies their functions, all in this process. */
final class Run {
    static Progress progress;
    static final Report report = new Report();

    private Run() {}
}
