package weir.peers.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import weir.peers.common.Session;

/** A session as its own bytes, with their number before them. */
public final class SessionSerializer extends TypeSerializerSingleton<Session> {
    private static final long serialVersionUID = 1;
    static final SessionSerializer INSTANCE = new SessionSerializer();

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public Session createInstance() {
        return null; // there is no empty session; nobody asks for one
    }

    @Override
    public Session copy(Session from) {
        return new Session(from);
    }

    @Override
    public Session copy(Session from, Session reuse) {
        return copy(from);
    }

    @Override
    public int getLength() {
        return -1;
    }

    @Override
    public void serialize(Session session, DataOutputView out) throws IOException {
        writeBytes(session.bytes(), out);
    }

    @Override
    public Session deserialize(DataInputView in) throws IOException {
        return Session.of(readBytes(in));
    }

    @Override
    public Session deserialize(Session reuse, DataInputView in) throws IOException {
        return deserialize(in);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        writeBytes(readBytes(in), out);
    }

    private static byte[] readBytes(DataInputView in) throws IOException {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        return bytes;
    }

    private static void writeBytes(byte[] bytes, DataOutputView out) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    @Override
    public TypeSerializerSnapshot<Session> snapshotConfiguration() {
        return new Snapshot();
    }

    /** What a checkpoint says of how its sessions were written. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Session> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
