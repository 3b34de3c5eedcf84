package weir.peers.flink;

import org.apache.flink.api.common.serialization.SerializerConfig;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import weir.peers.common.Key;

/** Tells Flink how keys are written; by itself it would take a serializer by reflection. */
final class KeyType extends TypeInformation<Key> {
    private static final long serialVersionUID = 1;

    @Override
    public boolean isBasicType() {
        return false;
    }

    @Override
    public boolean isTupleType() {
        return false;
    }

    @Override
    public int getArity() {
        return 1;
    }

    @Override
    public int getTotalFields() {
        return 1;
    }

    @Override
    public Class<Key> getTypeClass() {
        return Key.class;
    }

    @Override
    public boolean isKeyType() {
        return true;
    }

    @Override
    public TypeSerializer<Key> createSerializer(SerializerConfig config) {
        return KeySerializer.INSTANCE;
    }

    @Override
    public String toString() {
        return "Key";
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof KeyType;
    }

    @Override
    public int hashCode() {
        return KeyType.class.hashCode();
    }

    @Override
    public boolean canEqual(Object other) {
        return other instanceof KeyType;
    }
}
