package weir.peers.streams;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import weir.peers.common.Tally;

/** The counters of one partition, with a changelog. */
final class TallyStore extends LoggedStore {
    final Tally tally = new Tally();
    private final AtomicLong commits;

    TallyStore(String name, AtomicLong commits) {
        super(name);
        this.commits = commits;
    }

    @Override
    void writeChanges() {
        commits.incrementAndGet();
        tally.writeChanges((key, bytes) ->
                log(ByteBuffer.allocate(Long.BYTES).putLong(key).array(), bytes));
    }

    @Override
    void restore(byte[] key, byte[] value) {
        if (value == null) {
            tally.forget(ByteBuffer.wrap(key).getLong());
        } else {
            tally.read(value);
        }
    }
}
