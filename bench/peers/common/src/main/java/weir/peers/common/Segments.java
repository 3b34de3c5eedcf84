package weir.peers.common;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Small numbers for the values of the dimensions; 0 is the total. One thread. */
final class Segments {
    record Segment(int dimension, String value) {
        @Override
        public String toString() {
            return dimension < 0 ? "total" : Dimensions.NAMES[dimension] + "=" + value;
        }
    }

    private final List<Segment> all = new ArrayList<>(List.of(new Segment(-1, "")));
    private final List<Map<String, Integer>> numbers = new ArrayList<>();

    Segments() {
        for (int i = 0; i < Dimensions.COUNT; i++) {
            numbers.add(new HashMap<>());
        }
    }

    int number(int dimension, String value) {
        Integer number = numbers.get(dimension).get(value);
        return number != null ? number : add(dimension, value);
    }

    Segment segment(int number) {
        return all.get(number);
    }

    private int add(int dimension, String value) {
        if (value == null || value.isEmpty()) {
            return number(dimension, "_none");
        }
        Map<String, Integer> known = numbers.get(dimension);
        boolean full = known.size() >= Dimensions.VALUES_MAX && !value.startsWith("_");
        if (full || value.getBytes(StandardCharsets.UTF_8).length > Dimensions.VALUE_BYTES_MAX) {
            return number(dimension, "_other");
        }
        known.put(value, all.size());
        all.add(new Segment(dimension, value));
        return all.size() - 1;
    }
}
