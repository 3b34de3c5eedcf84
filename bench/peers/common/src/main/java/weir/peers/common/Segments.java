package weir.peers.common;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Small numbers for the values of the dimensions, the same in all of this process; 0 is the total.
 * Four of them, one of each dimension, are a long. Any thread.
 */
final class Segments {
    static final long NONE;
    private static final int BITS = 16;
    private static final List<Map<String, Integer>> NUMBERS = new ArrayList<>();
    private static volatile Segment[] all = {new Segment(-1, "", new byte[0])};

    record Segment(int dimension, String value, byte[] name) {
        @Override
        public String toString() {
            return dimension < 0 ? "total" : Dimensions.NAMES[dimension] + "=" + value;
        }
    }

    static {
        long none = 0;
        for (int i = 0; i < Dimensions.COUNT; i++) {
            NUMBERS.add(new HashMap<>());
            none = with(none, i, number(i, "_none"));
        }
        NONE = none;
    }

    private Segments() {}

    static int get(long segments, int dimension) {
        return (int) (segments >>> dimension * BITS) & (1 << BITS) - 1;
    }

    static long with(long segments, int dimension, int number) {
        long mask = (1L << BITS) - 1 << dimension * BITS;
        return segments & ~mask | (long) number << dimension * BITS;
    }

    static Segment segment(int number) {
        return all[number];
    }

    static synchronized int number(int dimension, String value) {
        Map<String, Integer> known = NUMBERS.get(dimension);
        Integer number = known.get(value);
        if (number != null) {
            return number;
        }
        byte[] name = value.getBytes(StandardCharsets.UTF_8);
        boolean full = known.size() >= Dimensions.VALUES_MAX && !value.startsWith("_");
        if (full || name.length > Dimensions.VALUE_BYTES_MAX) {
            return number(dimension, "_other");
        }
        Segment[] more = Arrays.copyOf(all, all.length + 1);
        more[all.length] = new Segment(dimension, value, name);
        known.put(value, all.length);
        all = more;
        return more.length - 1;
    }
}
