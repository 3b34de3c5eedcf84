package weir.peers.streams;

import java.util.function.Consumer;
import weir.peers.common.Event;
import weir.peers.common.Session;

/** The open sessions of one partition. A change of a session is a put. */
interface Sessions {
    /** The event's own, or null. */
    Session get(Event event);

    void put(Session session);

    void remove(Session session);

    /** None is removed meanwhile. */
    void forEach(Consumer<Session> visit);

    /** It may end at this time: it is to be looked at then. */
    void file(Session session, long endMs);

    /** Those whose time has come, if they are still open. */
    void advance(long nowMs, Consumer<Session> due);
}
