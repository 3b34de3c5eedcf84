package weir.peers.streams;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Ids by the second in which to look at their sessions again. */
final class Expiry {
    private final Map<Long, List<String>> bySecond = new HashMap<>();
    private long nowSecond = Long.MIN_VALUE;
    private long nextMs = Long.MIN_VALUE; // when the next second begins

    void file(String id, long endMs) {
        long second = Math.max(Math.floorDiv(endMs + 999, 1000), nowSecond + 1);
        bySecond.computeIfAbsent(second, any -> new ArrayList<>()).add(id);
    }

    void advance(long nowMs, Consumer<String> due) {
        if (nowMs < nextMs) {
            return;
        }
        long second = Math.floorDiv(nowMs, 1000);
        nextMs = (second + 1) * 1000;
        if (nowSecond == Long.MIN_VALUE) {
            nowSecond = bySecond.keySet().stream().min(Long::compare).orElse(second + 1) - 1;
        }
        while (nowSecond < second) {
            List<String> ids = bySecond.remove(++nowSecond);
            if (ids != null) {
                ids.forEach(due);
            }
        }
    }
}
