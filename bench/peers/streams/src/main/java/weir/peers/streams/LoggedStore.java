package weir.peers.streams;

import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.StateRestoreCallback;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.query.Position;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * A state of plain objects in the heap. As a CachedStateStore it is asked to flush its cache before
 * each commit of offsets (a mere StateStore is not): then what changed since the last one goes to its
 * changelog, once, however often it changed.
 */
abstract class LoggedStore implements StateStore, CachedStateStore<Object, Object> {
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
    public void flushCache() {
        writeChanges();
    }

    @Override
    public void flush() {
        // also called where nothing may be logged, as between two commits and while it restores
    }

    @Override
    public void clearCache() {
        // what is closed without a flush comes back from the changelog
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<Object, Object> listener, boolean old) {
        return false;
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
