package weir.peers.common;

/** One String for equal texts, so that what comes again and again is not allocated again. */
final class Names {
    private static final int SLOTS = 1 << 14;
    private final String[] known = new String[SLOTS];

    String of(char[] chars, int from, int len) {
        int hash = len;
        for (int i = from; i < from + len; i++) {
            hash = hash * 31 + chars[i];
        }
        int slot = (hash ^ hash >>> 15) & SLOTS - 1;
        if (!same(known[slot], chars, from, len)) {
            known[slot] = new String(chars, from, len); // the last one stays
        }
        return known[slot];
    }

    private static boolean same(String name, char[] chars, int from, int len) {
        if (name == null || name.length() != len) {
            return false;
        }
        for (int i = 0; i < len; i++) {
            if (name.charAt(i) != chars[from + i]) {
                return false;
            }
        }
        return true;
    }
}
