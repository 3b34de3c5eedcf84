package weir.peers.common;

import java.util.HashMap;
import java.util.Map;

/** What a visitor did. */
public enum Type {
    PAGE_VIEW,
    INTERACTION,
    ADD_TO_CART,
    REMOVE_FROM_CART,
    BEGIN_CHECKOUT,
    PURCHASE,
    REFUND,
    SESSION_START,
    SESSION_END,
    UNKNOWN;

    private static final Map<String, Type> BY_NAME = new HashMap<>();

    static {
        for (Type type : values()) {
            if (type != UNKNOWN) {
                BY_NAME.put(type.name().toLowerCase(java.util.Locale.ROOT), type);
            }
        }
    }

    static Type of(String name) {
        return BY_NAME.getOrDefault(name, UNKNOWN);
    }
}
