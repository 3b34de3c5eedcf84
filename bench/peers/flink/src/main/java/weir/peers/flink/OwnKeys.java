package weir.peers.flink;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.functions.RuntimeContext;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import weir.peers.common.Event;

/**
 * Keys without a shuffle. The topic is keyed by session, so all events of a session come to one
 * subtask already; a letter after its id brings its key into that subtask's own key groups.
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
        char letter = 'a';
        int hash = event.id.hashCode() * 31 + letter; // of the id with the letter
        while (!own.contains(
                KeyGroupRangeAssignment.computeKeyGroupForKeyHash(hash, maxParallelism))) {
            letter++;
            hash++;
        }
        event.id += letter;
        return event;
    }
}
