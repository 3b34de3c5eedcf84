#include "core/decode_text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "weir/decode.h"

/* A time by its size: seconds reach the year 3000 below the first, ms begin 1980 above it. */
#define SECONDS_END 100000000000
#define MS_END 100000000000000
#define US_END 100000000000000000

struct scan {
    const char *at, *end;
};

static int checked(int64_t value_ms, int64_t *time_ms) {
    if (value_ms < WEIR_TIME_MIN_MS || value_ms > WEIR_TIME_MAX_MS)
        return -1;
    *time_ms = value_ms;
    return 0;
}

int weir_time_of_int(int64_t value, int64_t *time_ms) {
    if (value < 0 || value >= US_END)
        return -1;
    if (value < SECONDS_END)
        return checked(value * 1000, time_ms);
    return checked(value < MS_END ? value : value / 1000, time_ms);
}

int weir_time_of_real(double value, int64_t *time_ms) {
    if (!(value >= 0 && value < (double)US_END))
        return -1;
    if (value < (double)SECONDS_END)
        return checked(llround(value * 1000), time_ms);
    return weir_time_of_int((int64_t)value, time_ms);
}

/* Exactly `count` digits, or -1. */
static int digits(struct scan *scan, int count) {
    int value = 0;
    if (scan->end - scan->at < count)
        return -1;
    for (int i = 0; i < count; i++) {
        unsigned digit = (unsigned char)scan->at[i] - (unsigned)'0';
        if (digit > 9)
            return -1;
        value = value * 10 + (int)digit;
    }
    scan->at += count;
    return value;
}

static bool take(struct scan *scan, char c) {
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

/* Days since 1970-01-01; the year starts in March so that the leap day is its last. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_day(int year, int month, int day) {
    static const int8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= month_days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static int date(struct scan *scan, int64_t *days) {
    int year = digits(scan, 4);
    if (year < 0 || !take(scan, '-'))
        return -1;
    int month = digits(scan, 2);
    if (!take(scan, '-'))
        return -1;
    int day = digits(scan, 2);
    if (!is_day(year, month, day))
        return -1;
    *days = days_of(year, month, day);
    return 0;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.fff...; digits after the ms are cut off. */
static int time_of_day(struct scan *scan, int64_t *of_day_ms) {
    int hour = digits(scan, 2);
    if (hour < 0 || hour > 23 || !take(scan, ':'))
        return -1;
    int minute = digits(scan, 2);
    if (minute < 0 || minute > 59)
        return -1;
    int second = 0, ms = 0;
    if (take(scan, ':')) {
        second = digits(scan, 2);
        if (second < 0 || second > 59)
            return -1;
        if (take(scan, '.') || take(scan, ',')) {
            int unit = 100;
            const char *start = scan->at;
            for (int digit; (digit = digits(scan, 1)) >= 0; unit /= 10)
                ms += digit * unit;
            if (scan->at == start)
                return -1;
        }
    }
    *of_day_ms = ((hour * 60 + minute) * 60 + second) * 1000LL + ms;
    return 0;
}

/* Z, +hh, +hhmm, +hh:mm, UTC, or nothing, which is UTC too. */
static int zone(struct scan *scan, int64_t *offset_ms) {
    *offset_ms = 0;
    if (scan->at == scan->end)
        return 0;
    if (take(scan, 'Z') || take(scan, 'z'))
        return scan->at == scan->end ? 0 : -1;
    take(scan, ' ');
    if (take(scan, 'U'))
        return take(scan, 'T') && take(scan, 'C') && scan->at == scan->end ? 0 : -1;
    int sign = take(scan, '+') ? 1 : take(scan, '-') ? -1 : 0;
    int hour = digits(scan, 2), minute = 0;
    if (scan->at != scan->end) {
        take(scan, ':');
        minute = digits(scan, 2);
    }
    if (sign == 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || scan->at != scan->end)
        return -1;
    *offset_ms = sign * (hour * 60 + minute) * 60000LL;
    return 0;
}

/* Eight bytes of a form that has 0 where a digit belongs, and below it the room of each byte: what
 * may be added before it reaches 0x80. The digits' values, the first in the lowest byte. */
static inline bool take_form(const char *text, const char *form, const char *room,
                             uint64_t *values) {
    uint64_t bytes, wanted, rooms;
    memcpy(&bytes, text, 8);
    memcpy(&wanted, form, 8);
    memcpy(&rooms, room, 8);
    bytes ^= wanted;
    *values = bytes;
    return ((bytes | (bytes + rooms)) & 0x8080808080808080u) == 0;
}

static inline int pair(uint64_t values, int byte) {
    values >>= byte * 8;
    return (int)(values & 0xff) * 10 + (int)(values >> 8 & 0xff);
}

/* yyyy-mm-ddThh:mm:ss.mmmZ, as JavaScript's toISOString gives it. Anything else is left to iso. */
static bool iso_in_words(const char *text, int64_t *time_ms) {
    uint64_t month, hour, rest;
    if (!take_form(text, "0000-00-", "\x76\x76\x76\x76\x7f\x76\x76\x7f", &month) ||
        !take_form(text + 8, "00T00:00", "\x76\x76\x7f\x76\x76\x7f\x76\x76", &hour) ||
        !take_form(text + 16, ":00.000Z", "\x7f\x76\x76\x7f\x76\x76\x76\x7f", &rest))
        return false;
    int year = pair(month, 0) * 100 + pair(month, 2), day = pair(hour, 0);
    int hours = pair(hour, 3), minutes = pair(hour, 6), seconds = pair(rest, 1);
    int ms = pair(rest, 4) * 10 + (int)(rest >> 48 & 0xff);
    if (!is_day(year, pair(month, 5), day) || hours > 23 || minutes > 59 || seconds > 59)
        return false;
    int64_t of_day_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000LL + ms;
    return checked(days_of(year, pair(month, 5), day) * 86400000 + of_day_ms, time_ms) == 0;
}

static int iso(const char *text, size_t len, int64_t *time_ms) {
    struct scan scan = {text, text + len};
    int64_t days, of_day_ms = 0, offset_ms = 0;
    if (date(&scan, &days) != 0)
        return -1;
    if (scan.at != scan.end) {
        if (!take(&scan, 'T') && !take(&scan, ' ') && !take(&scan, 't'))
            return -1;
        if (time_of_day(&scan, &of_day_ms) != 0 || zone(&scan, &offset_ms) != 0)
            return -1;
    }
    return checked(days * 86400000 + of_day_ms - offset_ms, time_ms);
}

int weir_time_parse(const char *text, size_t len, int64_t *time_ms) {
    if (len == 24 && iso_in_words(text, time_ms))
        return 0;
    if (len >= 10 && text[4] == '-')
        return iso(text, len, time_ms);
    int64_t whole;
    double real;
    switch (weir_number_parse(text, len, &whole, &real)) {
    case WEIR_NUMBER_INT:
        return weir_time_of_int(whole, time_ms);
    case WEIR_NUMBER_REAL:
        return weir_time_of_real(real, time_ms);
    case WEIR_NUMBER_NONE:
        break;
    }
    return -1;
}
