package weir.peers.common;

/** One thing that a visitor did. Reused: the next read overwrites it. */
public final class Event {
    public Type type;
    public long timeMs;

    /** Of the session, see Key. */
    public long high;

    public long low;
    public Key key; // for who wants it as an object; not read from the record
    String orderId;
    boolean robot;
    long valueMicros;
    long quantity;
    long segments;

    void clear() {
        type = null;
        timeMs = Long.MIN_VALUE;
        key = null;
        orderId = null;
        robot = false;
        valueMicros = 0;
        quantity = 1;
        segments = Segments.NONE;
    }
}
