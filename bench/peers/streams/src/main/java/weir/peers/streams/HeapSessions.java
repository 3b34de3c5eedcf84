package weir.peers.streams;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import weir.peers.common.Session;

/** Sessions as objects in the heap, with a changelog. */
final class HeapSessions extends LoggedStore implements Sessions {
    private final Map<String, Session> open = new HashMap<>();
    private final List<String> changed = new ArrayList<>();

    HeapSessions(String name) {
        super(name);
    }

    @Override
    public Session get(String id) {
        return open.get(id);
    }

    @Override
    public void put(String id, Session session) {
        if (!session.dirty) {
            session.dirty = true;
            changed.add(id);
            open.put(id, session);
        }
    }

    @Override
    public void remove(String id) {
        open.remove(id);
        changed.add(id);
    }

    @Override
    public void forEach(BiConsumer<String, Session> visit) {
        open.forEach(visit);
    }

    @Override
    void writeChanges() {
        for (String id : changed) {
            Session session = open.get(id);
            if (session == null) {
                log(id.getBytes(StandardCharsets.UTF_8), null);
            } else if (session.dirty) {
                session.dirty = false;
                log(id.getBytes(StandardCharsets.UTF_8), session.bytes());
            }
        }
        changed.clear();
    }

    @Override
    void restore(byte[] key, byte[] value) {
        String id = new String(key, StandardCharsets.UTF_8);
        if (value == null) {
            open.remove(id);
        } else {
            open.put(id, Session.of(value));
        }
    }
}
