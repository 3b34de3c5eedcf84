package weir.peers.common;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The counters of ten seconds, a row for each segment. */
public final class Bucket {
    static final long MS = 10_000;
    private static final int ROW_BYTES = Counter.ALL.length * Long.BYTES;

    public final long startMs;
    private long[][] rows = new long[32][];
    private int len;

    /** Changed since it was last written to the state, and to Redis. */
    public boolean toState = true;

    boolean toRedis = true;

    Bucket(long startMs) {
        this.startMs = startMs;
    }

    void add(int segment, Delta delta) {
        long[] row = row(segment);
        for (int i = 0; i < delta.len; i++) {
            row[delta.counters[i]] += delta.amounts[i];
        }
    }

    void add(Bucket other) {
        for (int segment = 0; segment < other.len; segment++) {
            long[] from = other.rows[segment];
            for (int i = 0; from != null && i < from.length; i++) {
                row(segment)[i] += from[i];
            }
        }
    }

    /** A segment's counters, or null. */
    long[] get(int segment) {
        return segment < len ? rows[segment] : null;
    }

    int segments() {
        return len;
    }

    private long[] row(int segment) {
        if (segment >= rows.length) {
            rows = Arrays.copyOf(rows, Math.max(segment + 1, rows.length * 2));
        }
        if (rows[segment] == null) {
            rows[segment] = new long[Counter.ALL.length];
            len = Math.max(len, segment + 1);
        }
        return rows[segment];
    }

    /** With the segments' names: they may have other numbers where this is read. */
    byte[] bytes() {
        int size = Long.BYTES;
        for (int i = 0; i < len; i++) {
            size += rows[i] == null ? 0 : 3 + Segments.segment(i).name().length + ROW_BYTES;
        }
        ByteBuffer out = ByteBuffer.allocate(size).putLong(startMs);
        for (int i = 0; i < len; i++) {
            if (rows[i] != null) {
                Segments.Segment segment = Segments.segment(i);
                out.put((byte) segment.dimension());
                out.putShort((short) segment.name().length).put(segment.name());
                out.asLongBuffer().put(rows[i]);
                out.position(out.position() + ROW_BYTES);
            }
        }
        return out.array();
    }

    static Bucket of(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Bucket bucket = new Bucket(in.getLong());
        while (in.hasRemaining()) {
            int dimension = in.get();
            byte[] name = new byte[in.getShort()];
            in.get(name);
            String value = new String(name, StandardCharsets.UTF_8);
            in.asLongBuffer().get(
                    bucket.row(dimension < 0 ? 0 : Segments.number(dimension, value)));
            in.position(in.position() + ROW_BYTES);
        }
        return bucket;
    }
}
