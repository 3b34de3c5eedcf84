package weir.peers.flink;

import java.util.concurrent.atomic.AtomicLong;
import weir.peers.common.Progress;
import weir.peers.common.Report;

/** What the subtasks tell the program: Flink copies their functions, all in this process. */
final class Run {
    static Progress progress;
    static final Report report = new Report();

    /** Of the subtask that this thread runs: how many records its source has read. */
    static final ThreadLocal<AtomicLong> count =
            ThreadLocal.withInitial(() -> progress.newCount());

    private Run() {}
}
