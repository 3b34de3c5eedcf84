package weir.peers.common;

import java.nio.ByteBuffer;

/**
 * 128 bits of a hash stand for the id of a session or a visitor, as 96 do in weir. The letter is for
 * who shares keys out by their own hash.
 */
public record Key(long high, long low, byte letter) {
    public static final int BYTES = 2 * Long.BYTES;
    private static final long A = 0x9e3779b97f4a7c15L;
    private static final long B = 0xc2b2ae3d27d4eb4fL;

    @Override
    public int hashCode() {
        return hash(low, letter);
    }

    public static int hash(long low, int letter) {
        return (int) (low ^ low >>> 32) * 31 + letter;
    }

    /** Without a letter. */
    public byte[] bytes() {
        return bytes(high, low);
    }

    public static byte[] bytes(long high, long low) {
        return ByteBuffer.allocate(BYTES).putLong(high).putLong(low).array();
    }

    public static Key of(byte[] bytes) {
        ByteBuffer in = ByteBuffer.wrap(bytes);
        return new Key(in.getLong(), in.getLong(), (byte) 0);
    }

    /** Names of two kinds are kept apart by their seed. */
    static void hash(char[] text, int from, int len, long seed, Event to) {
        long a = seed * A + len;
        long b = ~seed * B - len;
        int at = from;
        for (int end = from + len; at < end; at += 4) {
            long word = text[at];
            for (int i = 1; i < Math.min(4, end - at); i++) {
                word |= (long) text[at + i] << 16 * i;
            }
            a = (a ^ word) * A;
            a ^= a >>> 32;
            b = (b + word) * B;
            b = Long.rotateLeft(b, 31);
        }
        to.high = mix(a + b);
        to.low = mix(b ^ Long.rotateLeft(a, 17));
    }

    private static long mix(long x) {
        long y = (x ^ x >>> 33) * 0xff51afd7ed558ccdL;
        y = (y ^ y >>> 33) * 0xc4ceb9fe1a85ec53L;
        return y ^ y >>> 33;
    }
}
