package weir.peers.common;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** How many records are read, and what they cost from the end of the warm-up on. */
public final class Progress {
    private static final long STALLED_NS = 120_000_000_000L;
    private static final int POLL_MS = 2;
    private final long total;
    private final long warm;
    private final long killAfter;
    private final long commitsToKill;
    private final List<AtomicLong> counts = new CopyOnWriteArrayList<>();
    private volatile boolean done;

    /** Of the state: begun commits of a partition, or whole checkpoints. */
    public final AtomicLong commits = new AtomicLong();

    /** What is measured of the process, user and system time of all its threads. */
    public record Cost(long events, double cpuS, double wallS) {}

    private record Mark(long events, long cpuNs, long wallNs) {}

    /** `before`: so many records of each partition were read by a run that this one goes on from.
     * `commitsToKill`: with more commits than that, one is done. */
    public Progress(Options options, long records, long[] before, long commitsToKill) {
        long read = Arrays.stream(before).sum();
        total = records;
        warm = read + Math.min(options.warmEvents(), (records - read) / 2);
        killAfter = options.killAfter();
        this.commitsToKill = commitsToKill;
        for (long count : before) {
            newCount().set(count);
        }
    }

    /** That of a partition, of which `before` told. */
    public AtomicLong count(int partition) {
        return counts.get(partition);
    }

    /** A count for one thread's own use, so that counting costs the others nothing. */
    public AtomicLong newCount() {
        AtomicLong count = new AtomicLong();
        counts.add(count);
        return count;
    }

    public static void add(AtomicLong count) {
        count.lazySet(count.getPlain() + 1);
    }

    public boolean isDone() {
        return done;
    }

    /** Waits until everything is read. */
    public Cost await() throws InterruptedException {
        Mark from = awaitEvents(warm);
        Mark to = awaitEvents(total);
        done = true;
        return new Cost(to.events - from.events, (to.cpuNs - from.cpuNs) / 1e9,
                (to.wallNs - from.wallNs) / 1e9);
    }

    private Mark awaitEvents(long events) throws InterruptedException {
        long seen = -1;
        long changedNs = System.nanoTime();
        for (;;) {
            long now = counts.stream().mapToLong(AtomicLong::get).sum();
            if (killAfter > 0 && now >= killAfter && commits.get() > commitsToKill) {
                kill();
            }
            if (now >= events) {
                return new Mark(now, cpuNs(), System.nanoTime());
            }
            if (now != seen) {
                seen = now;
                changedNs = System.nanoTime();
            } else if (System.nanoTime() - changedNs > STALLED_NS) {
                throw new IllegalStateException(
                        "nothing was read for two minutes, after " + now + " of " + total + " records");
            }
            Thread.sleep(POLL_MS);
        }
    }

    /** As a machine that fails: nothing is closed, and nothing said. */
    private static void kill() {
        try {
            new ProcessBuilder("kill", "-KILL", Long.toString(ProcessHandle.current().pid()))
                    .start().waitFor();
        } catch (IOException | InterruptedException wrong) {
            throw new IllegalStateException(wrong);
        }
    }

    private static long cpuNs() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }
}
