package weir.peers.flink;

import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import weir.peers.common.Event;
import weir.peers.common.EventReader;
import weir.peers.common.Progress;

/** Kafka's bytes to the one event that the whole chain of this subtask uses. */
final class EventSchema implements KafkaRecordDeserializationSchema<Event> {
    private static final long serialVersionUID = 1;
    private transient EventReader reader;
    private transient Event event;
    private transient AtomicLong count;

    @Override
    public void open(DeserializationSchema.InitializationContext context) {
        reader = new EventReader();
        event = new Event();
        count = Run.count.get();
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Event> out) {
        if (record.value() != null && reader.read(record.value(), event)) {
            out.collect(event);
        }
        Progress.add(count);
    }

    @Override
    public TypeInformation<Event> getProducedType() {
        return TypeInformation.of(Event.class);
    }
}
