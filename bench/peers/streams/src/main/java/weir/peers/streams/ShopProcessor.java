package weir.peers.streams;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import weir.peers.common.Event;
import weir.peers.common.EventReader;
import weir.peers.common.Key;
import weir.peers.common.Options;
import weir.peers.common.Progress;
import weir.peers.common.Publisher;
import weir.peers.common.Report;
import weir.peers.common.Session;
import weir.peers.common.Shop;

/** One partition's records to sessions and counters, and once a second to Redis. */
final class ShopProcessor implements Processor<byte[], byte[], Void, Void> {
    static final String SESSIONS = "sessions";
    static final String TALLY = "tally";
    private static final Duration TICK = Duration.ofSeconds(1);

    private final Options options;
    private final Progress progress;
    private final Report report;
    private final long[] begins;
    private final EventReader reader = new EventReader();
    private final Event event = new Event();
    private ProcessorContext<Void, Void> context;
    private AtomicLong count;
    private long begin;
    private Sessions sessions;
    private Shop shop;
    private Publisher publisher;
    private boolean finished;

    ShopProcessor(Options options, Progress progress, long[] begins, Report report) {
        this.options = options;
        this.progress = progress;
        this.begins = begins;
        this.report = report;
    }

    @Override
    public void init(ProcessorContext<Void, Void> given) {
        context = given;
        count = progress.count(context.taskId().partition());
        begin = begins[context.taskId().partition()];
        if (options.rocksDb()) {
            KeyValueStore<Key, Session> store = context.getStateStore(SESSIONS);
            sessions = new StoredSessions(store);
        } else {
            sessions = context.<HeapSessions>getStateStore(SESSIONS);
        }
        TallyStore tally = context.getStateStore(TALLY);
        shop = new Shop(tally.tally);
        report.begin(context.taskId().partition(), tally.tally);
        sessions.forEach(session -> sessions.file(session, session.endMs()));
        publisher = new Publisher(options.redis(), options.peer(), context.taskId().partition());
        context.schedule(TICK, PunctuationType.WALL_CLOCK_TIME, now -> tick());
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        if (record.value() != null && reader.read(record.value(), event)) {
            shop.watermark(event.timeMs - Shop.OUT_OF_ORDER_MS);
            sessions.advance(shop.watermarkMs(), this::closeIfDue);
            if (shop.admit(event)) {
                apply();
            }
        }
        long offset = context.recordMetadata().orElseThrow().offset();
        count.lazySet(offset + 1 - begin); // a task that was begun anew reads some of them again
    }

    private void apply() {
        Session before = sessions.get(event);
        Session after = shop.apply(before, event);
        if (before != null && after != before) {
            sessions.remove(before);
        }
        if (after != null) {
            sessions.put(after);
        }
        if (after != null && after != before) {
            sessions.file(after, after.endMs());
        }
    }

    private void closeIfDue(Session session) {
        if (session.endMs() > shop.watermarkMs()) {
            sessions.file(session, session.endMs());
            return;
        }
        shop.close(session, session.endMs());
        sessions.remove(session);
    }

    private void tick() {
        if (finished) {
            return;
        }
        if (progress.isDone()) {
            finished = true;
            sessions.forEach(session -> shop.close(session, session.endMs()));
        }
        publisher.publish(shop);
        if (finished) {
            report.add(shop.tally);
        }
    }

    @Override
    public void close() {
        publisher.close();
    }
}
