package weir.peers.streams;

import java.util.Arrays;
import java.util.function.Consumer;
import weir.peers.common.Session;

/** Sessions by their keys, in open addressing: a look-up touches two lines and the session. */
final class SessionMap {
    private long[] lows = new long[1 << 10]; // half of each key, beside its session
    private Session[] sessions = new Session[1 << 10];
    private int len;

    Session get(long high, long low) {
        int mask = lows.length - 1;
        for (int at = (int) low & mask; sessions[at] != null; at = at + 1 & mask) {
            if (lows[at] == low && sessions[at].high == high) {
                return sessions[at];
            }
        }
        return null;
    }

    /** One whose key is not there yet. */
    void add(Session session) {
        if (++len > lows.length / 2) {
            grow();
        }
        place(session, session.low);
    }

    private void place(Session session, long low) {
        int mask = lows.length - 1;
        int at = (int) low & mask;
        while (sessions[at] != null) {
            at = at + 1 & mask;
        }
        lows[at] = low;
        sessions[at] = session;
    }

    private void grow() {
        long[] oldLows = lows;
        Session[] old = sessions;
        lows = new long[oldLows.length * 2];
        sessions = new Session[old.length * 2];
        for (int i = 0; i < old.length; i++) {
            if (old[i] != null) {
                place(old[i], oldLows[i]);
            }
        }
    }

    /** Those behind it that would not be found any more move up. */
    void remove(Session session) {
        int mask = lows.length - 1;
        int hole = (int) session.low & mask;
        while (sessions[hole] != session) {
            hole = hole + 1 & mask;
        }
        for (int at = hole + 1 & mask; sessions[at] != null; at = at + 1 & mask) {
            int home = (int) lows[at] & mask;
            if ((at - home & mask) >= (at - hole & mask)) {
                lows[hole] = lows[at];
                sessions[hole] = sessions[at];
                hole = at;
            }
        }
        sessions[hole] = null;
        len--;
    }

    void forEach(Consumer<Session> visit) {
        Arrays.stream(sessions).filter(session -> session != null).forEach(visit);
    }
}
