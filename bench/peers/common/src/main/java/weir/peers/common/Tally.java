package weir.peers.common;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** The counters of one partition or subtask: open buckets, and the sum of those that are done. */
public final class Tally {
    private static final long DONE = Long.MIN_VALUE; // the sum's own "start"
    private final Map<Long, Bucket> buckets = new HashMap<>();
    private final List<Long> dropped = new ArrayList<>();
    private Bucket done = new Bucket(DONE);
    private Bucket last = done;

    /** In the total and in each of the segments. */
    void add(long timeMs, long segments, Delta delta) {
        Bucket bucket = addToTotal(timeMs, delta);
        for (int i = 0; i < Dimensions.COUNT; i++) {
            bucket.add(Segments.get(segments, i), delta);
        }
    }

    Bucket addToTotal(long timeMs, Delta delta) {
        Bucket bucket = bucket(Math.floorDiv(timeMs, Bucket.MS) * Bucket.MS);
        bucket.toState = bucket.toRedis = true;
        bucket.add(0, delta);
        return bucket;
    }

    private Bucket bucket(long startMs) {
        if (last.startMs != startMs) {
            last = buckets.computeIfAbsent(startMs, Bucket::new);
        }
        return last;
    }

    Iterable<Bucket> open() {
        return buckets.values();
    }

    /** Nothing comes any more for buckets before this time, and Redis has them. */
    void drop(long beforeMs) {
        for (Iterator<Bucket> all = buckets.values().iterator(); all.hasNext(); ) {
            Bucket bucket = all.next();
            if (bucket.startMs + Bucket.MS <= beforeMs && !bucket.toRedis) {
                done.add(bucket);
                done.toState = true;
                dropped.add(bucket.startMs);
                all.remove();
                last = done;
            }
        }
    }

    /** Everything since the start. */
    Bucket total() {
        Bucket total = new Bucket(DONE);
        total.add(done);
        buckets.values().forEach(total::add);
        return total;
    }

    // ---- its state: an entry for each bucket, and one for the sum ----

    public interface Entries {
        /** Null bytes: the entry is gone. */
        void entry(long key, byte[] bytes);
    }

    /** What changed since the last call. */
    public void writeChanges(Entries to) {
        dropped.forEach(startMs -> to.entry(startMs, null));
        dropped.clear();
        writeIfChanged(done, to);
        buckets.values().forEach(bucket -> writeIfChanged(bucket, to));
    }

    private void writeIfChanged(Bucket bucket, Entries to) {
        if (bucket.toState) {
            to.entry(bucket.startMs, bucket.bytes());
            bucket.toState = false;
        }
    }

    /** All of it. */
    public List<byte[]> write() {
        List<byte[]> entries = new ArrayList<>();
        entries.add(done.bytes());
        buckets.values().forEach(bucket -> entries.add(bucket.bytes()));
        return entries;
    }

    /** An entry comes in the place of the one of its key. */
    public void read(byte[] bytes) {
        Bucket bucket = Bucket.of(bytes);
        if (bucket.startMs == DONE) {
            done = bucket;
        } else {
            buckets.put(bucket.startMs, bucket);
        }
        last = done;
    }

    /** An entry of this or of another tally is added to the one of its key. */
    public void merge(byte[] bytes) {
        Bucket bucket = Bucket.of(bytes);
        Bucket known = bucket.startMs == DONE ? done : buckets.get(bucket.startMs);
        if (known == null) {
            buckets.put(bucket.startMs, bucket);
        } else {
            known.add(bucket);
        }
        last = done;
    }

    public void forget(long startMs) {
        buckets.remove(startMs);
        last = done;
    }

    public long events() {
        long[] row = total().get(0);
        return row == null ? 0 : row[Counter.EVENTS.ordinal()];
    }
}
