package weir.peers.common;

/**
 * What an event does to its session and to the counters: weir's step (include/weir/partition.h),
 * without visitors, durations' quantiles and sessions with too many events. One thread.
 */
public final class Shop {
    public static final long OUT_OF_ORDER_MS = 5_000;
    private static final long LATENESS_MS = 10 * 60_000L;
    private static final long ENGAGED_MS = 10_000;

    public final Tally tally;
    private final Delta delta = new Delta();
    private long watermarkMs = Long.MIN_VALUE / 2;

    public Shop(Tally tally) {
        this.tally = tally;
    }

    public long watermarkMs() {
        return watermarkMs;
    }

    public void watermark(long timeMs) {
        watermarkMs = Math.max(watermarkMs, timeMs);
    }

    /** Before this time nothing changes any more. */
    public long floorMs() {
        return watermarkMs - LATENESS_MS;
    }

    /** False for an event that no session sees: it is late, or a robot's. */
    public boolean admit(Event event) {
        if (event.timeMs < floorMs()) {
            return false;
        }
        if (event.robot) {
            delta.clear().add(Counter.BOT_EVENTS, 1);
            tally.addToTotal(event.timeMs, delta);
            return false;
        }
        return true;
    }

    /** The session that is open after the event, which may be another one; null for none. */
    public Session apply(Session open, Event event) {
        Session session = open;
        if (session != null && isBefore(session, event)) {
            onItsOwn(event);
            return session;
        }
        if (session != null && event.timeMs >= session.endMs()) {
            close(session, session.endMs());
            session = null;
        }
        boolean starts = session == null && event.type != Type.SESSION_END;
        if (starts) {
            session = new Session(event);
        }
        if (session == null) {
            count(event, event.segments, delta.clear());
            return null;
        }
        takePart(session, event, starts);
        if (event.type != Type.SESSION_END) {
            return session;
        }
        close(session, Math.max(event.timeMs, session.lastMs));
        return null;
    }

    /** Counts a session's outcome at its end. */
    public void close(Session session, long endMs) {
        boolean converted = session.has(Session.CONVERTED);
        boolean cart = session.has(Session.CART);
        delta.clear().add(Counter.SETTLED_SESSIONS, 1);
        delta.add(Counter.SETTLED_BOUNCED_SESSIONS, !session.has(Session.ENGAGED));
        delta.add(Counter.SETTLED_CONVERTED_SESSIONS, converted);
        delta.add(Counter.SETTLED_CART_SESSIONS, cart);
        delta.add(Counter.SETTLED_ABANDONED_CARTS, cart && !converted);
        delta.add(Counter.SETTLED_SESSION_SECONDS, session.lastMs - session.startMs);
        delta.add(Counter.SETTLED_ORDERS, session.orders);
        delta.add(Counter.SETTLED_REVENUE, session.revenueMicros);
        tally.add(endMs, session.segments, delta);
    }

    private static boolean isBefore(Session session, Event event) {
        return event.timeMs < session.startMs - Session.GAP_MS
                || event.timeMs <= session.lastMs - Session.CAP_MS;
    }

    /** An event from before the open session of its id: a session that begins and ends with it. */
    private void onItsOwn(Event event) {
        if (event.type == Type.SESSION_END) {
            count(event, event.segments, delta.clear());
            return;
        }
        Session alone = new Session(event);
        takePart(alone, event, true);
        close(alone, alone.endMs());
    }

    private void takePart(Session session, Event event, boolean starts) {
        delta.clear().add(Counter.SESSIONS, starts);
        delta.add(Counter.SESSION_SECONDS, session.extend(event.timeMs));
        boolean secondPage = event.type == Type.PAGE_VIEW && !session.set(Session.PAGED);
        boolean deed = switch (event.type) {
            case ADD_TO_CART -> addToCart(session, event);
            case REMOVE_FROM_CART -> removeFromCart(session, event);
            case BEGIN_CHECKOUT -> checkOut(session);
            case PURCHASE -> purchase(session, event);
            default -> false;
        };
        boolean engages = secondPage || deed || session.lastMs - session.startMs >= ENGAGED_MS;
        delta.add(Counter.ENGAGED_SESSIONS, engages && session.set(Session.ENGAGED));
        count(event, session.segments, delta);
    }

    private boolean addToCart(Session session, Event event) {
        session.cart += (int) Math.max(1, event.quantity);
        if (session.set(Session.CART)) {
            delta.add(Counter.CARTS_CREATED, 1);
            delta.add(Counter.CARTS_BOUGHT, session.has(Session.CONVERTED));
        }
        return true;
    }

    private boolean removeFromCart(Session session, Event event) {
        session.cart = (int) Math.max(0, session.cart - Math.max(1, event.quantity));
        if (session.cart == 0 && session.has(Session.CART) && !session.has(Session.CONVERTED)) {
            session.flags &= ~Session.CART;
            delta.add(Counter.CARTS_EMPTIED, 1);
        }
        return true;
    }

    private boolean checkOut(Session session) {
        delta.add(Counter.CHECKOUTS, session.set(Session.CHECKOUT));
        return true;
    }

    private boolean purchase(Session session, Event event) {
        if (session.addOrderId(event.orderId)) {
            session.orders++;
            session.revenueMicros += event.valueMicros;
            delta.add(Counter.ORDERS, 1);
            delta.add(Counter.REVENUE, event.valueMicros);
            if (session.set(Session.CONVERTED)) {
                delta.add(Counter.CONVERTED_SESSIONS, 1);
                delta.add(Counter.CARTS_BOUGHT, session.has(Session.CART));
            }
        }
        return true;
    }

    private void count(Event event, long segments, Delta counts) {
        counts.add(Counter.EVENTS, 1);
        switch (event.type) {
            case PAGE_VIEW -> counts.add(Counter.PAGE_VIEWS, 1);
            case INTERACTION -> counts.add(Counter.INTERACTIONS, 1);
            case ADD_TO_CART -> counts.add(Counter.ADD_TO_CART, 1);
            case REMOVE_FROM_CART -> counts.add(Counter.REMOVE_FROM_CART, 1);
            case UNKNOWN -> counts.add(Counter.UNKNOWN_TYPES, 1);
            case REFUND -> {
                counts.add(Counter.REFUNDS, 1);
                counts.add(Counter.REFUNDED, event.valueMicros);
            }
            default -> { }
        }
        tally.add(event.timeMs, segments, counts);
    }
}
