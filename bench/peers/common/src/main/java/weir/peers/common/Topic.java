package weir.peers.common;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** What lies in the topic at the start. */
public final class Topic {
    private Topic() {}

    /** Its records; offsets without a record (transactions, compaction) are not expected. */
    public static long records(Options options) {
        List<TopicPartition> partitions = IntStream.range(0, options.partitions())
                .mapToObj(number -> new TopicPartition(options.topic(), number)).toList();
        Map<String, Object> config = Map.of("bootstrap.servers", options.brokers());
        try (var consumer = new KafkaConsumer<>(
                config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Map<TopicPartition, Long> begins = consumer.beginningOffsets(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            return partitions.stream().mapToLong(p -> ends.get(p) - begins.get(p)).sum();
        }
    }
}
