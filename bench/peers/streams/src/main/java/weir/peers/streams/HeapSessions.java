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
    private final List<String> gone = new ArrayList<>(); // of those that the changelog has

    HeapSessions(String name) {
        super(name);
    }

    @Override
    public Session get(String id) {
        return open.get(id);
    }

    @Override
    public void put(String id, Session session) {
        if (!session.held) {
            session.held = true;
            open.put(id, session);
        }
        if (!session.dirty) {
            session.dirty = true;
            changed.add(id);
        }
    }

    @Override
    public void remove(String id) {
        if (open.remove(id).logged) {
            gone.add(id);
        }
    }

    @Override
    public void forEach(BiConsumer<String, Session> visit) {
        open.forEach(visit);
    }

    @Override
    void writeChanges() {
        gone.forEach(id -> log(id.getBytes(StandardCharsets.UTF_8), null));
        gone.clear();
        for (String id : changed) {
            Session session = open.get(id);
            if (session != null && session.dirty) {
                session.dirty = false;
                session.logged = true;
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
            Session session = Session.of(value);
            session.held = session.logged = true;
            open.put(id, session);
        }
    }
}
