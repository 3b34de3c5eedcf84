package weir.peers.common;

import java.io.IOException;

/** Exact sums of decimal amounts: whole micros. */
final class Money {
    static final int MICROS = 1_000_000;
    static final long VALUE_MAX = 1_000_000_000;
    static final long QUANTITY_MAX = 1_000_000;
    private static final int PLACES = 6;
    private static final int DIGITS_MAX = 16;

    private Money() {}

    /** From 0 to max. Plain digits with up to six places need no other number on the way. */
    static long micros(char[] text, int at, int len, long max) throws IOException {
        long digits = 0;
        int places = -1; // no point yet
        boolean simple = len > 0 && len <= DIGITS_MAX && text[at] != '.';
        for (int i = at; simple && i < at + len; i++) {
            if (text[i] == '.' && places < 0) {
                places = 0;
            } else if (text[i] >= '0' && text[i] <= '9' && places < PLACES) {
                digits = digits * 10 + (text[i] - '0');
                places += places < 0 ? 0 : 1;
            } else {
                simple = false;
            }
        }
        boolean zeros = len > 1 && text[at] == '0' && text[at + 1] != '.';
        if (!simple || places == 0 || zeros || len - Math.max(0, places) > 10) {
            return slowMicros(new String(text, at, len), max);
        }
        for (int i = Math.max(0, places); i < PLACES; i++) {
            digits *= 10;
        }
        return checked(digits, max * MICROS);
    }

    private static long slowMicros(String text, long max) throws IOException {
        double amount = Numbers.real(text);
        if (!(amount >= 0 && amount <= max)) {
            throw new IOException("not an amount: " + text);
        }
        double micros = amount * MICROS;
        long whole = (long) micros;
        return whole + (micros - whole >= 0.5 ? 1 : 0);
    }

    private static long checked(long micros, long max) throws IOException {
        if (micros > max) {
            throw new IOException("above all amounts");
        }
        return micros;
    }

    /** With two places at least, and no more than it needs. */
    static String text(long amount, int unit) {
        StringBuilder out = new StringBuilder(24);
        if (amount < 0) {
            out.append('-');
        }
        long rest = Math.abs(amount % unit);
        out.append(Math.abs(amount / unit)).append('.');
        for (int places = 0, below = unit / 10; places < 2 || rest > 0; places++, below /= 10) {
            out.append((char) ('0' + (below == 0 ? 0 : rest / below)));
            rest = below == 0 ? 0 : rest % below;
        }
        return out.toString();
    }
}
