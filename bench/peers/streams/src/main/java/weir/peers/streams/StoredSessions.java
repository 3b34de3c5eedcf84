package weir.peers.streams;

import java.util.function.Consumer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import weir.peers.common.Event;
import weir.peers.common.Key;
import weir.peers.common.Session;

/** Sessions in RocksDB, with Streams' own cache before it and a changelog behind it. */
final class StoredSessions implements Sessions {
    private static final byte NO_LETTER = 0;
    private static final Serde<Key> KEYS = Serdes.serdeFrom(
            (topic, key) -> key.bytes(), (topic, bytes) -> Key.of(bytes));
    private static final Serde<Session> SESSIONS = Serdes.serdeFrom(
            (topic, session) -> session == null ? null : session.bytes(),
            (topic, bytes) -> bytes == null ? null : Session.of(bytes));

    private final KeyValueStore<Key, Session> store;
    private final Expiry<Key> expiry = new Expiry<>();

    StoredSessions(KeyValueStore<Key, Session> store) {
        this.store = store;
    }

    static StoreBuilder<KeyValueStore<Key, Session>> builder(String name) {
        return Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(name), KEYS, SESSIONS).withCachingEnabled();
    }

    private Session get(Key key) {
        Session session = store.get(key);
        if (session != null) {
            session.high = key.high();
            session.low = key.low();
        }
        return session;
    }

    private static Key key(Session session) {
        return new Key(session.high, session.low, NO_LETTER);
    }

    @Override
    public Session get(Event event) {
        return get(new Key(event.high, event.low, NO_LETTER));
    }

    @Override
    public void put(Session session) {
        store.put(key(session), session);
    }

    @Override
    public void remove(Session session) {
        store.delete(key(session));
    }

    @Override
    public void forEach(Consumer<Session> visit) {
        try (KeyValueIterator<Key, Session> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<Key, Session> entry = all.next();
                entry.value.high = entry.key.high();
                entry.value.low = entry.key.low();
                visit.accept(entry.value);
            }
        }
    }

    @Override
    public void file(Session session, long endMs) {
        expiry.file(key(session), endMs);
    }

    @Override
    public void advance(long nowMs, Consumer<Session> due) {
        expiry.advance(nowMs, key -> {
            Session session = get(key);
            if (session != null) {
                due.accept(session);
            }
        });
    }
}
