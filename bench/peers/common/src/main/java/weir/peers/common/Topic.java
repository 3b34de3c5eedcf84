package weir.peers.common;

import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** What lies in the topic at the start. */
public final class Topic {
    private static final Duration ANSWER_TIMEOUT = Duration.ofSeconds(15);

    private Topic() {}

    /** Its records; offsets without a record (transactions, compaction) are not expected. */
    public static long records(Options options) {
        try (var consumer = consumer(options, null)) {
            check(options, consumer.partitionsFor(options.topic(), ANSWER_TIMEOUT));
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions(options), ANSWER_TIMEOUT);
            long records = sum(ends) - sum(begins(options, consumer));
            if (records == 0) {
                throw new IllegalArgumentException("the topic " + options.topic() + " is empty");
            }
            return records;
        } catch (KafkaException wrong) {
            Throwable cause = wrong.getCause() == null ? wrong : wrong.getCause();
            throw new IllegalArgumentException(
                    "Kafka at " + options.brokers() + ": " + cause.getMessage());
        }
    }

    /** The offset at which each partition begins. */
    public static long[] begins(Options options) {
        try (var consumer = consumer(options, null)) {
            Map<TopicPartition, Long> begins = begins(options, consumer);
            return partitions(options).stream().mapToLong(begins::get).toArray();
        }
    }

    /** How many records of each partition a group has committed. */
    public static long[] committed(Options options, String group, long[] begins) {
        try (var consumer = consumer(options, group)) {
            var offsets = consumer.committed(new HashSet<>(partitions(options)));
            return partitions(options).stream().mapToLong(partition -> offsets.get(partition) == null
                    ? 0 : offsets.get(partition).offset() - begins[partition.partition()]).toArray();
        }
    }

    private static KafkaConsumer<byte[], byte[]> consumer(Options options, String group) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", options.brokers(),
                "isolation.level", "read_committed", "enable.auto.commit", "false"));
        if (group != null) {
            config.put("group.id", group);
        }
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private static void check(Options options, List<PartitionInfo> known) {
        int count = known == null ? 0 : known.size();
        if (count != options.partitions()) {
            throw new IllegalArgumentException("the topic " + options.topic() + " has " + count
                    + " partitions, not " + options.partitions());
        }
    }

    private static Map<TopicPartition, Long> begins(
            Options options, KafkaConsumer<byte[], byte[]> consumer) {
        return consumer.beginningOffsets(partitions(options), ANSWER_TIMEOUT);
    }

    private static List<TopicPartition> partitions(Options options) {
        return IntStream.range(0, options.partitions())
                .mapToObj(number -> new TopicPartition(options.topic(), number)).toList();
    }

    private static long sum(Map<TopicPartition, Long> offsets) {
        return offsets.values().stream().filter(Objects::nonNull).mapToLong(Long::longValue).sum();
    }
}
