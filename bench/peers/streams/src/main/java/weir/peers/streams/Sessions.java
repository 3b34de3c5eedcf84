package weir.peers.streams;

import java.util.function.BiConsumer;
import weir.peers.common.Session;

/** The open sessions of one partition. A change of a session is a put. */
interface Sessions {
    Session get(String id);

    void put(String id, Session session);

    void remove(String id);

    void forEach(BiConsumer<String, Session> visit);
}
