package weir.peers.flink;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import weir.peers.common.Event;
import weir.peers.common.Key;

/**
 * Keys without a shuffle. The topic is keyed by session, so all events of a session come to one
 * subtask already; a letter in its key brings it into that subtask's own key groups.
 */
final class OwnKeys extends RichMapFunction<Event, Event> {
    private static final long serialVersionUID = 1;
    private transient int maxParallelism;
    private transient KeyGroupRange own;

    @Override
    public void open(OpenContext context) {
        RuntimeContext runtime = getRuntimeContext();
        maxParallelism = runtime.getTaskInfo().getMaxNumberOfParallelSubtasks();
        own = KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex(maxParallelism,
                runtime.getTaskInfo().getNumberOfParallelSubtasks(),
                runtime.getTaskInfo().getIndexOfThisSubtask());
    }

    @Override
    public Event map(Event event) {
        byte letter = 0;
        while (!own.contains(KeyGroupRangeAssignment.computeKeyGroupForKeyHash(
                Key.hash(event.low, letter), maxParallelism))) {
            letter++;
        }
        event.key = new Key(event.high, event.low, letter);
        return event;
    }
}
