package weir.peers.common;

/** One thing that a visitor did. Reused: the next read overwrites it. */
public final class Event {
    public Type type;
    public long timeMs;
    public String id; // of the session
    String visitor; // read only where the session is not known
    public String orderId;
    public String userAgent;
    public long valueMicros;
    public long quantity;
    public final String[] values = new String[Dimensions.COUNT];

    void clear() {
        type = null;
        timeMs = Long.MIN_VALUE;
        id = visitor = orderId = userAgent = null;
        valueMicros = 0;
        quantity = 1;
        java.util.Arrays.fill(values, null);
    }
}
