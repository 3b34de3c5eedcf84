package weir.peers.streams;

import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateRestoreCallback;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;

/**
 * A state of plain objects in the heap. Streams flushes it before each commit of offsets: then what
 * changed since the last one goes to its changelog, once, however often it changed.
 */
abstract class LoggedStore implements StateStore {
    private final String name;
    private InternalProcessorContext<?, ?> context;
    private boolean open;

    LoggedStore(String name) {
        this.name = name;
    }

    /** Logs every entry that changed. */
    abstract void writeChanges();

    /** An entry of the changelog; a null value: it is gone. */
    abstract void restore(byte[] key, byte[] value);

    final void log(byte[] key, byte[] value) {
        context.logChange(name, Bytes.wrap(key), value, context.currentSystemTimeMs(),
                Position.emptyPosition());
    }

    @Override
    public void init(StateStoreContext given, StateStore root) {
        context = (InternalProcessorContext<?, ?>) given;
        given.register(root, (StateRestoreCallback) this::restore);
        open = true;
    }

    @Override
    public void flush() {
        writeChanges();
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean persistent() {
        return false;
    }

    @Override
    public boolean isOpen() {
        return open;
    }

    @Override
    public void close() {
        open = false;
    }
}
