package weir.peers.common;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.exceptions.JedisException;

/** Writes what changed of a tally to Redis, in one pipeline. One thread. */
public final class Publisher implements AutoCloseable {
    private static final byte[][] LABELS = labels();
    private final Jedis redis;
    private final String prefix;
    private final List<String> names = new ArrayList<>(); // of the segments

    /** The owner is the partition or subtask whose counters these are: a reader adds them up. */
    public Publisher(String address, String peer, int owner) {
        redis = new Jedis(HostAndPort.from(address));
        prefix = peer + ":" + owner + ":";
    }

    /** Says so at once when Redis is not there. */
    public static void check(String address) {
        try (Jedis redis = new Jedis(HostAndPort.from(address))) {
            redis.ping();
        } catch (JedisException wrong) {
            throw new IllegalArgumentException("Redis at " + address + ": " + wrong.getMessage());
        }
    }

    public void publish(Shop shop) {
        try (Pipeline pipeline = redis.pipelined()) {
            for (Bucket bucket : shop.tally.open()) {
                if (bucket.toRedis) {
                    send(pipeline, bucket);
                    bucket.toRedis = false;
                }
            }
        }
        shop.tally.drop(shop.floorMs());
    }

    private void send(Pipeline pipeline, Bucket bucket) {
        String start = prefix + bucket.startMs + ":";
        for (int i = 0; i < bucket.segments(); i++) {
            long[] row = bucket.get(i);
            if (row != null) {
                pipeline.hset(bytes(start + name(i)), fields(row));
            }
        }
    }

    private String name(int segment) {
        while (names.size() <= segment) {
            names.add(Segments.segment(names.size()).toString());
        }
        return names.get(segment);
    }

    private static Map<byte[], byte[]> fields(long[] row) {
        Map<byte[], byte[]> fields = new HashMap<>(); // by identity: the labels are the same arrays
        for (Counter counter : Counter.ALL) {
            if (row[counter.ordinal()] != 0) {
                fields.put(LABELS[counter.ordinal()], bytes(counter.text(row[counter.ordinal()])));
            }
        }
        return fields;
    }

    private static byte[][] labels() {
        byte[][] labels = new byte[Counter.ALL.length][];
        for (Counter counter : Counter.ALL) {
            labels[counter.ordinal()] = bytes(counter.label);
        }
        return labels;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        redis.close();
    }
}
