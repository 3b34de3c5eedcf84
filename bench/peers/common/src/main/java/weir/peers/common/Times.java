package weir.peers.common;

import java.io.IOException;
import java.time.DateTimeException;
import java.time.LocalDate;

/** "2026-01-05T00:00:00.049Z" to ms since 1970; remembers the last day. */
final class Times {
    private static final long DAY_MS = 86_400_000;
    private int lastDay;
    private long lastDayMs;

    long parse(char[] text, int at, int len) throws IOException {
        if (len < 20 || text[at + 10] != 'T' || text[at + len - 1] != 'Z') {
            throw new IOException("not a time in UTC: " + new String(text, at, len));
        }
        int seconds = (digits(text, at + 11, 2) * 60 + digits(text, at + 14, 2)) * 60
                + digits(text, at + 17, 2);
        int ms = len == 20 ? 0 : digits(text, at + 20, 3);
        return dayMs(text, at) + seconds * 1000L + ms;
    }

    private long dayMs(char[] text, int at) throws IOException {
        int year = digits(text, at, 4);
        int month = digits(text, at + 5, 2);
        int day = digits(text, at + 8, 2);
        int packed = year << 9 | month << 5 | day;
        if (packed != lastDay) {
            try {
                lastDayMs = LocalDate.of(year, month, day).toEpochDay() * DAY_MS;
            } catch (DateTimeException wrong) {
                throw new IOException(wrong);
            }
            lastDay = packed;
        }
        return lastDayMs;
    }

    private static int digits(char[] text, int at, int count) throws IOException {
        int value = 0;
        for (int i = at; i < at + count; i++) {
            int digit = text[i] - '0';
            if (digit < 0 || digit > 9) {
                throw new IOException("not a digit in a time: " + text[i]);
            }
            value = value * 10 + digit;
        }
        return value;
    }
}
