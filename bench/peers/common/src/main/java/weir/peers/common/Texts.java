package weir.peers.common;

import java.util.Arrays;
import java.util.function.Function;

/** What is made of a text, kept for the next time that it comes: nothing is allocated then. */
final class Texts<T> {
    private static final int SLOTS = 1 << 12;
    private static final int SAMPLES = 16; // characters of a long text that its slot depends on
    private final char[][] known = new char[SLOTS][]; // compared at once, as charAt would not be
    private final Object[] made = new Object[SLOTS];
    private final Function<String, T> maker;

    Texts(Function<String, T> maker) {
        this.maker = maker;
    }

    @SuppressWarnings("unchecked")
    T of(char[] chars, int from, int len) {
        int hash = len;
        int step = len / SAMPLES + 1;
        for (int i = from; i < from + len; i += step) {
            hash = hash * 31 + chars[i];
        }
        int slot = (hash ^ hash >>> 15) & SLOTS - 1;
        char[] text = known[slot];
        if (text == null || !Arrays.equals(text, 0, text.length, chars, from, from + len)) {
            known[slot] = Arrays.copyOfRange(chars, from, from + len); // the last one stays
            made[slot] = maker.apply(new String(chars, from, len));
        }
        return (T) made[slot];
    }
}
