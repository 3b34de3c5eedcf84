package weir.peers.streams;

import java.util.function.BiConsumer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import weir.peers.common.Session;

/** Sessions in RocksDB, with Streams' own cache before it and a changelog behind it. */
record StoredSessions(KeyValueStore<String, Session> store) implements Sessions {
    private static final Serde<Session> SERDE = Serdes.serdeFrom(
            (topic, session) -> session == null ? null : session.bytes(),
            (topic, bytes) -> bytes == null ? null : Session.of(bytes));

    static StoreBuilder<KeyValueStore<String, Session>> builder(String name) {
        return Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(name), Serdes.String(), SERDE).withCachingEnabled();
    }

    @Override
    public Session get(String id) {
        return store.get(id);
    }

    @Override
    public void put(String id, Session session) {
        store.put(id, session);
    }

    @Override
    public void remove(String id) {
        store.delete(id);
    }

    @Override
    public void forEach(BiConsumer<String, Session> visit) {
        try (KeyValueIterator<String, Session> all = store.all()) {
            while (all.hasNext()) {
                KeyValue<String, Session> entry = all.next();
                visit.accept(entry.key, entry.value);
            }
        }
    }
}
