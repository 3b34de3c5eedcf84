package weir.peers.common;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** An open session; its own bytes in a changelog, a checkpoint or RocksDB. */
public final class Session {
    static final long GAP_MS = 30 * 60_000L;
    static final long CAP_MS = 24 * 3_600_000L;
    static final int PAGED = 1;
    static final int ENGAGED = 2;
    static final int CART = 4;
    static final int CHECKOUT = 8;
    static final int CONVERTED = 16;
    private static final int FIXED_BYTES = 31;

    /** Its key, for who keeps it by that; not in its bytes. */
    public long high;

    public long low;
    long startMs;
    long lastMs;
    int flags;
    int cart; // pieces
    int orders;
    long revenueMicros;
    List<String> orderIds; // null: none
    long segments;

    /** For a store: it holds this object, a commit is still to write it, a changelog has it. */
    public boolean held;

    public boolean dirty;

    public boolean logged;

    Session(Event event) {
        high = event.high;
        low = event.low;
        startMs = lastMs = event.timeMs;
        segments = event.segments;
    }

    public Session(Session other) {
        high = other.high;
        low = other.low;
        startMs = other.startMs;
        lastMs = other.lastMs;
        flags = other.flags;
        cart = other.cart;
        orders = other.orders;
        revenueMicros = other.revenueMicros;
        orderIds = other.orderIds == null ? null : new ArrayList<>(other.orderIds);
        segments = other.segments;
    }

    private Session(ByteBuffer in) {
        startMs = in.getLong();
        lastMs = startMs + in.getInt();
        flags = in.get();
        cart = in.getInt();
        orders = in.getInt();
        revenueMicros = in.getLong();
        int ids = Short.toUnsignedInt(in.getShort());
        for (int i = 0; i < Dimensions.COUNT; i++) {
            segments = Segments.with(segments, i, Segments.number(i, readText(in)));
        }
        for (int i = 0; i < ids; i++) {
            addOrderId(readText(in));
        }
    }

    public static Session of(byte[] bytes) {
        return new Session(ByteBuffer.wrap(bytes));
    }

    public static Session of(Key key, byte[] bytes) {
        Session session = of(bytes);
        session.high = key.high();
        session.low = key.low();
        return session;
    }

    /** When it ends, if nothing more comes. */
    public long endMs() {
        return Math.min(lastMs + GAP_MS, startMs + CAP_MS);
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }

    /** True the first time. */
    boolean set(int flag) {
        boolean first = !has(flag);
        flags |= flag;
        return first;
    }

    /** Moves its times; gives by how much it grew. */
    long extend(long timeMs) {
        long before = lastMs - startMs;
        startMs = Math.min(startMs, timeMs);
        lastMs = Math.max(lastMs, timeMs);
        return lastMs - startMs - before;
    }

    /** False when the order is known already; an order without an id is always new. */
    boolean addOrderId(String id) {
        if (id == null) {
            return true;
        }
        if (orderIds == null) {
            orderIds = new ArrayList<>(1);
        }
        return !orderIds.contains(id) && orderIds.add(id);
    }

    /** The dimensions' values by name: they may have other numbers where this is read. */
    public byte[] bytes() {
        int ids = orderIds == null ? 0 : orderIds.size();
        byte[][] texts = new byte[Dimensions.COUNT + ids][];
        int len = FIXED_BYTES;
        for (int i = 0; i < texts.length; i++) {
            texts[i] = i < Dimensions.COUNT ? Segments.segment(Segments.get(segments, i)).name()
                    : orderIds.get(i - Dimensions.COUNT).getBytes(StandardCharsets.UTF_8);
            len += 2 + texts[i].length;
        }
        ByteBuffer out = ByteBuffer.allocate(len);
        out.putLong(startMs).putInt((int) (lastMs - startMs)).put((byte) flags);
        out.putInt(cart).putInt(orders).putLong(revenueMicros).putShort((short) ids);
        for (byte[] text : texts) {
            out.putShort((short) text.length).put(text);
        }
        return out.array();
    }

    private static String readText(ByteBuffer in) {
        int len = Short.toUnsignedInt(in.getShort());
        String text = new String(in.array(), in.position(), len, StandardCharsets.UTF_8);
        in.position(in.position() + len);
        return text;
    }
}
