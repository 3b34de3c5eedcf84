package weir.peers.common;

import java.util.Locale;

/** What is counted of a segment in a bucket; named as in the summary of weir replay. */
public enum Counter {
    EVENTS,
    PAGE_VIEWS,
    INTERACTIONS,
    ADD_TO_CART,
    REMOVE_FROM_CART,
    REFUNDS,
    REFUNDED,
    UNKNOWN_TYPES,
    BOT_EVENTS,
    SESSIONS,
    SESSION_SECONDS,
    ENGAGED_SESSIONS,
    CARTS_CREATED,
    CARTS_EMPTIED,
    CARTS_BOUGHT,
    CHECKOUTS,
    CONVERTED_SESSIONS,
    ORDERS,
    REVENUE,
    SETTLED_SESSIONS,
    SETTLED_BOUNCED_SESSIONS,
    SETTLED_CONVERTED_SESSIONS,
    SETTLED_CART_SESSIONS,
    SETTLED_ABANDONED_CARTS,
    SETTLED_SESSION_SECONDS,
    SETTLED_ORDERS,
    SETTLED_REVENUE;

    static final Counter[] ALL = values();

    /** How many of the unit that is added make one: ms of a second, micros of a unit of money. */
    private final int unit;

    /** Its name in Redis and in the report; the readings are apart as in "settled.sessions". */
    final String label;

    Counter() {
        String name = name().toLowerCase(Locale.ROOT);
        boolean money = name.endsWith("revenue") || name.equals("refunded");
        unit = money ? Money.MICROS : name.endsWith("_seconds") ? 1000 : 1;
        label = name.replaceFirst("^settled_", "settled.");
    }

    String text(long amount) {
        return unit == 1 ? Long.toString(amount) : Money.text(amount, unit);
    }
}
