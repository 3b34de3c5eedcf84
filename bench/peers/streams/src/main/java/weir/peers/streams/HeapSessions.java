package weir.peers.streams;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import weir.peers.common.Event;
import weir.peers.common.Key;
import weir.peers.common.Session;

/** Sessions as objects in the heap, with a changelog. */
final class HeapSessions extends LoggedStore implements Sessions {
    private final SessionMap open = new SessionMap();
    private final Expiry<Session> expiry = new Expiry<>();
    private final List<Session> changed = new ArrayList<>();
    private final List<Session> gone = new ArrayList<>(); // of those that the changelog has

    HeapSessions(String name) {
        super(name);
    }

    @Override
    public Session get(Event event) {
        return open.get(event.high, event.low);
    }

    @Override
    public void put(Session session) {
        if (!session.held) {
            session.held = true;
            open.add(session);
        }
        if (!session.dirty) {
            session.dirty = true;
            changed.add(session);
        }
    }

    @Override
    public void remove(Session session) {
        session.held = false;
        open.remove(session);
        if (session.logged) {
            gone.add(session);
        }
    }

    @Override
    public void forEach(Consumer<Session> visit) {
        open.forEach(visit);
    }

    @Override
    public void file(Session session, long endMs) {
        expiry.file(session, endMs);
    }

    @Override
    public void advance(long nowMs, Consumer<Session> due) {
        expiry.advance(nowMs, session -> {
            if (session.held) {
                due.accept(session);
            }
        });
    }

    @Override
    void writeChanges() {
        gone.forEach(session -> log(Key.bytes(session.high, session.low), null));
        gone.clear();
        for (Session session : changed) {
            if (session.held) {
                session.dirty = false;
                session.logged = true;
                log(Key.bytes(session.high, session.low), session.bytes());
            }
        }
        changed.clear();
    }

    @Override
    void restore(byte[] key, byte[] value) {
        Key id = Key.of(key);
        Session known = open.get(id.high(), id.low());
        if (known != null) {
            open.remove(known);
        }
        if (value != null) {
            Session session = Session.of(id, value);
            session.held = session.logged = true;
            open.add(session);
        }
    }
}
