package weir.peers.common;

/** What one event, or one end of a session, adds to each of its segments. Reused. */
final class Delta {
    final int[] counters = new int[16];
    final long[] amounts = new long[16];
    int len;

    Delta clear() {
        len = 0;
        return this;
    }

    void add(Counter counter, long amount) {
        if (amount != 0) {
            counters[len] = counter.ordinal();
            amounts[len++] = amount;
        }
    }

    void add(Counter counter, boolean holds) {
        add(counter, holds ? 1 : 0);
    }
}
