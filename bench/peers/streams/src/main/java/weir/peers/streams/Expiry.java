package weir.peers.streams;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Sessions, or their keys, by the second in which to look at them again. */
final class Expiry<T> {
    private final Map<Long, List<T>> bySecond = new HashMap<>();
    private List<T> lastFiled; // at lastSecond: most sessions that start end in the same one
    private long lastSecond = Long.MIN_VALUE;
    private long nowSecond = Long.MIN_VALUE;
    private long nextMs = Long.MIN_VALUE; // when the next second begins

    void file(T session, long endMs) {
        long second = Math.max(Math.floorDiv(endMs + 999, 1000), nowSecond + 1);
        if (second != lastSecond) {
            lastFiled = bySecond.computeIfAbsent(second, any -> new ArrayList<>());
            lastSecond = second;
        }
        lastFiled.add(session);
    }

    void advance(long nowMs, Consumer<T> due) {
        if (nowMs < nextMs) {
            return;
        }
        long second = Math.floorDiv(nowMs, 1000);
        nextMs = (second + 1) * 1000;
        if (nowSecond == Long.MIN_VALUE) {
            nowSecond = bySecond.keySet().stream().min(Long::compare).orElse(second + 1) - 1;
        }
        while (nowSecond < second) {
            List<T> sessions = bySecond.remove(++nowSecond);
            if (sessions != null) {
                sessions.forEach(due);
            }
        }
    }
}
