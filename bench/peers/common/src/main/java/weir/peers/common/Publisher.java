package weir.peers.common;

import java.util.HashMap;
import java.util.Map;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;

/** Writes what changed of a tally to Redis, about once a second, in one pipeline. One thread. */
public final class Publisher implements AutoCloseable {
    private static final long INTERVAL_NS = 1_000_000_000L;
    private final Jedis redis;
    private final String prefix;
    private long lastNs = System.nanoTime();

    /** The owner is the partition or subtask whose counters these are: a reader adds them up. */
    public Publisher(String address, String peer, int owner) {
        redis = new Jedis(HostAndPort.from(address));
        prefix = peer + ":" + owner + ":";
    }

    public boolean isDue() {
        return System.nanoTime() - lastNs >= INTERVAL_NS;
    }

    public void publish(Shop shop) {
        lastNs = System.nanoTime();
        try (Pipeline pipeline = redis.pipelined()) {
            for (Bucket bucket : shop.tally.open()) {
                if (bucket.toRedis) {
                    send(pipeline, bucket, shop.tally.segments());
                    bucket.toRedis = false;
                }
            }
        }
        shop.tally.drop(shop.floorMs());
    }

    private void send(Pipeline pipeline, Bucket bucket, Segments segments) {
        for (int i = 0; i < bucket.segments(); i++) {
            long[] row = bucket.get(i);
            if (row != null) {
                pipeline.hset(prefix + bucket.startMs + ":" + segments.segment(i), fields(row));
            }
        }
    }

    private static Map<String, String> fields(long[] row) {
        Map<String, String> fields = new HashMap<>();
        for (Counter counter : Counter.ALL) {
            if (row[counter.ordinal()] != 0) {
                fields.put(counter.label, counter.text(row[counter.ordinal()]));
            }
        }
        return fields;
    }

    @Override
    public void close() {
        redis.close();
    }
}
