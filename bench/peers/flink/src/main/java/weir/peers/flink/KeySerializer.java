package weir.peers.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import weir.peers.common.Key;

/** A key as its 17 bytes. */
public final class KeySerializer extends TypeSerializerSingleton<Key> {
    private static final long serialVersionUID = 1;
    static final KeySerializer INSTANCE = new KeySerializer();

    @Override
    public boolean isImmutableType() {
        return true;
    }

    @Override
    public Key createInstance() {
        return new Key(0, 0, (byte) 0);
    }

    @Override
    public Key copy(Key from) {
        return from;
    }

    @Override
    public Key copy(Key from, Key reuse) {
        return from;
    }

    @Override
    public int getLength() {
        return Key.BYTES + 1;
    }

    @Override
    public void serialize(Key key, DataOutputView out) throws IOException {
        out.writeLong(key.high());
        out.writeLong(key.low());
        out.writeByte(key.letter());
    }

    @Override
    public Key deserialize(DataInputView in) throws IOException {
        return new Key(in.readLong(), in.readLong(), in.readByte());
    }

    @Override
    public Key deserialize(Key reuse, DataInputView in) throws IOException {
        return deserialize(in);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        out.write(in, getLength());
    }

    @Override
    public TypeSerializerSnapshot<Key> snapshotConfiguration() {
        return new Snapshot();
    }

    /** What a checkpoint says of how its keys were written. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Key> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
