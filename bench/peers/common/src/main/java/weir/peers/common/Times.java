package weir.peers.common;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.LocalDate;

/**
 * A time to ms since 1970, by weir's rules (src/core/time.c): ISO 8601, a date alone, or the epoch's
 * s, ms or us by their size. Remembers the last day. One thread.
 */
final class Times {
    private static final long DAY_MS = 86_400_000;
    private static final long MIN_MS = 315_532_800_000L; // 1980
    private static final long MAX_MS = 32_503_680_000_000L; // 3000
    private static final long SECONDS_END = 100_000_000_000L;
    private static final long MS_END = 100_000_000_000_000L;
    private static final long US_END = 100_000_000_000_000_000L;
    private static final int DATE_LEN = 10;
    private int lastDay;
    private long lastDayMs;
    private char[] text;
    private int at;
    private int end;

    long parse(char[] chars, int from, int len) throws IOException {
        text = chars;
        at = from;
        end = from + len;
        if (len < DATE_LEN || chars[from + 4] != '-') {
            return ofText(new String(chars, from, len));
        }
        long ms = dayMs();
        if (at < end) {
            if (!take('T') && !take(' ') && !take('t')) {
                throw wrong();
            }
            ms += ofDayMs();
            ms -= zoneMs();
        }
        return checked(ms);
    }

    static long ofWhole(long value) throws IOException {
        if (value < 0 || value >= US_END) {
            throw new IOException("not a time: " + value);
        }
        return checked(value < SECONDS_END ? value * 1000 : value < MS_END ? value : value / 1000);
    }

    static long ofReal(double value) throws IOException {
        if (!(value >= 0 && value < US_END)) {
            throw new IOException("not a time: " + value);
        }
        return value < SECONDS_END ? checked(Math.round(value * 1000)) : ofWhole((long) value);
    }

    private static long ofText(String text) throws IOException {
        try {
            return Numbers.isWhole(text) ? ofWhole(Long.parseLong(text)) : ofReal(Numbers.real(text));
        } catch (NumberFormatException tooLarge) {
            throw new IOException(tooLarge);
        }
    }

    private static long checked(long ms) throws IOException {
        if (ms < MIN_MS || ms > MAX_MS) {
            throw new IOException("not between 1980 and 3000: " + ms);
        }
        return ms;
    }

    private long dayMs() throws IOException {
        int year = digits(4);
        need('-');
        int month = digits(2);
        need('-');
        int day = digits(2);
        int packed = year << 9 | month << 5 | day;
        if (packed != lastDay) {
            try {
                lastDayMs = LocalDate.of(year, month, day).toEpochDay() * DAY_MS;
            } catch (DateTimeException none) {
                throw new IOException(none);
            }
            lastDay = packed;
        }
        return lastDayMs;
    }

    private long ofDayMs() throws IOException {
        int hour = below(24);
        need(':');
        int minute = below(60);
        int second = 0;
        int ms = 0;
        if (take(':')) {
            second = below(60);
            if (take('.') || take(',')) {
                ms = digits(1) * 100;
                for (int unit = 10; at < end && isDigit(text[at]); unit /= 10) {
                    ms += (text[at++] - '0') * unit;
                }
            }
        }
        return ((hour * 60 + minute) * 60 + second) * 1000L + ms;
    }

    /** Z, +hh, +hhmm, +hh:mm, UTC, or nothing, which is UTC too. */
    private long zoneMs() throws IOException {
        if (at == end || at + 1 == end && (take('Z') || take('z'))) {
            return 0;
        }
        take(' ');
        if (end - at == 3 && text[at] == 'U' && text[at + 1] == 'T' && text[at + 2] == 'C') {
            return 0;
        }
        int sign = take('+') ? 1 : take('-') ? -1 : 0;
        int hour = below(24);
        int minute = 0;
        if (at < end) {
            take(':');
            minute = below(60);
        }
        if (sign == 0 || at < end) {
            throw wrong();
        }
        return sign * (hour * 60 + minute) * 60_000L;
    }

    private IOException wrong() {
        return new IOException("not a time, from its character " + at + " on");
    }

    private boolean take(char c) {
        if (at == end || text[at] != c) {
            return false;
        }
        at++;
        return true;
    }

    private void need(char c) throws IOException {
        if (!take(c)) {
            throw wrong();
        }
    }

    private int below(int limit) throws IOException {
        int value = digits(2);
        if (value >= limit) {
            throw wrong();
        }
        return value;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }

    private int digits(int count) throws IOException {
        int value = 0;
        for (int i = 0; i < count; i++) {
            if (at == end || !isDigit(text[at])) {
                throw wrong();
            }
            value = value * 10 + (text[at++] - '0');
        }
        return value;
    }
}
