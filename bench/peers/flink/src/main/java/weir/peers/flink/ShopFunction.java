package weir.peers.flink;

import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.operators.ProcessingTimeService;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.TimerService;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.operators.StreamingRuntimeContext;
import org.apache.flink.util.Collector;
import weir.peers.common.Event;
import weir.peers.common.Key;
import weir.peers.common.Options;
import weir.peers.common.Publisher;
import weir.peers.common.Session;
import weir.peers.common.Shop;
import weir.peers.common.Tally;

/**
 * One subtask's events to sessions (keyed state, with a timer each) and counters (operator state),
 * and once a second to Redis.
 */
final class ShopFunction extends KeyedProcessFunction<Key, Event, Void>
        implements CheckpointedFunction, CheckpointListener {
    private static final long serialVersionUID = 1;
    private static final long TICK_MS = 1_000;
    private final String redis;
    private final String peer;
    private final boolean inRocksDb;
    private transient ListState<byte[]> tallies;
    private transient ListState<Long> records; // that the subtask has read
    private transient ValueState<Session> open;
    private transient Shop shop;
    private transient Publisher publisher;
    private transient boolean first;

    ShopFunction(Options options) {
        redis = options.redis();
        peer = options.peer();
        inRocksDb = options.rocksDb();
    }

    @Override
    public void initializeState(FunctionInitializationContext context) throws Exception {
        tallies = context.getOperatorStateStore().getListState(new ListStateDescriptor<>(
                "tallies", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
        records = context.getOperatorStateStore().getListState(
                new ListStateDescriptor<>("records", Types.LONG));
        for (long before : records.get()) {
            Run.count.get().addAndGet(before);
        }
        Tally tally = new Tally();
        for (byte[] entry : tallies.get()) {
            tally.merge(entry);
        }
        shop = new Shop(tally);
        Run.report.begin(getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(), tally);
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
        tallies.update(shop.tally.write());
        records.update(List.of(Run.count.get().get()));
    }

    @Override
    public void open(OpenContext context) {
        int subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
        first = subtask == 0;
        open = getRuntimeContext().getState(
                new ValueStateDescriptor<>("session", SessionSerializer.INSTANCE));
        publisher = new Publisher(redis, peer, subtask);
        ProcessingTimeService time =
                ((StreamingRuntimeContext) getRuntimeContext()).getProcessingTimeService();
        schedule(time);
    }

    private void schedule(ProcessingTimeService time) {
        time.registerTimer(time.getCurrentProcessingTime() + TICK_MS, now -> {
            publisher.publish(shop);
            schedule(time);
        });
    }

    @Override
    public void processElement(Event event, Context context, Collector<Void> out)
            throws Exception {
        TimerService timers = context.timerService();
        shop.watermark(timers.currentWatermark());
        if (!shop.admit(event)) {
            return;
        }
        Session before = open.value();
        Session after = shop.apply(before, event);
        if (after != null && (inRocksDb || after != before)) {
            open.update(after); // in the heap it is the state's own object that changed
        } else if (after == null && before != null) {
            open.clear();
        }
        if (after != null && after != before) {
            timers.registerEventTimeTimer(after.endMs());
        }
    }

    /** Most sessions went on since their timer was set: they get another one. */
    @Override
    public void onTimer(long timeMs, OnTimerContext context, Collector<Void> out)
            throws Exception {
        Session session = open.value();
        if (session == null) {
            return;
        }
        if (session.endMs() > timeMs) {
            context.timerService().registerEventTimeTimer(session.endMs());
            return;
        }
        shop.close(session, session.endMs());
        open.clear();
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
        if (first) {
            Run.progress.commits.incrementAndGet();
        }
    }

    /** After the last watermark: all sessions are closed. */
    @Override
    public void close() {
        if (publisher == null) {
            return; // it never began
        }
        publisher.publish(shop);
        publisher.close();
        Run.report.add(shop.tally);
    }
}
