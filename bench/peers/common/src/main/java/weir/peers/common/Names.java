package weir.peers.common;

import java.util.Arrays;

/** One String for equal texts, so that what comes again and again is not allocated again. */
final class Names {
    private static final int SLOTS = 1 << 14;
    private static final int SAMPLES = 16; // characters of a long text that its slot depends on
    private final char[][] known = new char[SLOTS][]; // compared at once, as charAt would not be
    private final String[] texts = new String[SLOTS];

    String of(char[] chars, int from, int len) {
        int hash = len;
        int step = len / SAMPLES + 1;
        for (int i = from; i < from + len; i += step) {
            hash = hash * 31 + chars[i];
        }
        int slot = (hash ^ hash >>> 15) & SLOTS - 1;
        char[] name = known[slot];
        if (name == null || !Arrays.equals(name, 0, name.length, chars, from, from + len)) {
            known[slot] = Arrays.copyOfRange(chars, from, from + len); // the last one stays
            texts[slot] = new String(chars, from, len);
        }
        return texts[slot];
    }
}
