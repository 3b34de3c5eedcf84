#include "check.h"
#include "weir/decode.h"
#include "weir/event.h"

#define BAD (-1)

struct time_case {
    const char *text;
    long long want_ms; /* BAD: not a time */
};

static const struct time_case cases[] = {
    /* ISO 8601 */
    {"2023-04-24T06:51:49.403Z", 1682319109403},
    {"2023-04-24T06:51:49Z", 1682319109000},
    {"2023-04-24T06:51Z", 1682319060000},
    {"2023-04-24t06:51:49z", 1682319109000},
    {"2023-04-24T06:51:49", 1682319109000},
    {"2023-04-24T06:51:49.4Z", 1682319109400},
    {"2023-04-24T06:51:49,403Z", 1682319109403},
    {"2023-09-21T01:54:21.386464853Z", 1695261261386},
    {"2023-04-24T06:51:49.9999Z", 1682319109999},
    {"2023-09-21T01:54:21+00:00", 1695261261000},
    {"2023-09-21T03:54:21+02:00", 1695261261000},
    {"2023-09-21T03:54:21+0200", 1695261261000},
    {"2023-09-21T03:54:21+02", 1695261261000},
    {"2023-09-20T20:24:21.5-05:30", 1695261261500},
    {"2023-04-24 06:51:49", 1682319109000},
    {"2023-04-24 06:51:49.403", 1682319109403},
    {"2019-10-01 00:00:00 UTC", 1569888000000},
    {"2019-10-01 00:00:00.250 UTC", 1569888000250},
    {"2019-10-01 02:00:00 +02:00", 1569888000000},
    {"2019-10-01", 1569888000000},
    {"2024-02-29", 1709164800000},
    {"2000-02-29T00:00:00Z", 951782400000},
    {"1980-01-01T00:00:00Z", 315532800000},
    {"3000-01-01T00:00:00Z", 32503680000000},
    {"1980-01-01T01:00:00+01:00", 315532800000},
    /* epochs */
    {"1682319109", 1682319109000},
    {"1682319109447", 1682319109447},
    {"1617691790431476", 1617691790431},
    {"1682319109.447", 1682319109447},
    {"1682319109.0", 1682319109000},
    {"1.682319109e9", 1682319109000},
    {"1682319109447.9", 1682319109447},
    {"315532800", 315532800000},
    {"32503680000", 32503680000000},
    {"32503680000000000", 32503680000000},
    /* not a time, or not between 1980 and 3000 */
    {"", BAD},
    {"0", BAD},
    {"-1682319109", BAD},
    {"315532799", BAD},
    {"32503680001", BAD},
    {"1979-12-31T23:59:59.999Z", BAD},
    {"3000-01-01T00:00:00.001Z", BAD},
    {"1980-01-01T00:59:59+01:00", BAD},
    {"0000-00-00T00:00:00Z", BAD},
    {"9999-12-31T23:59:59Z", BAD},
    {"100000000000000000", BAD},
    {"9223372036854775807", BAD},
    {"99999999999999999999999999", BAD},
    {"1e400", BAD},
    {"NaN", BAD},
    {"Infinity", BAD},
    {"2023-02-29", BAD},
    {"2023-02-30", BAD},
    {"2023-04-31", BAD},
    {"1900-02-29", BAD},
    {"2023-13-01", BAD},
    {"2023-00-01", BAD},
    {"2023-01-00", BAD},
    {"2023-01-01T24:00:00Z", BAD},
    {"2023-01-01T00:60:00Z", BAD},
    {"2023-01-01T00:00:60Z", BAD},
    {"2023-01-01T00:00:00.Z", BAD},
    {"2023-01-01T00:00:00ZZ", BAD},
    {"2023-01-01T00:00:00 PST", BAD},
    {"2023-01-01T00:00:00 ", BAD},
    {"2023-01-01T00:00:00+24:00", BAD},
    {"2023-01-01T00:00:00+1", BAD},
    {"2023-01-01T00:00:00+01:", BAD},
    {"2023-01-01T", BAD},
    {"2023-01-01T0", BAD},
    {"2023-1-1", BAD},
    {"2023-01-01x", BAD},
    {"01/02/2023", BAD},
    {"yesterday", BAD},
    {" 1682319109", BAD},
    {"1682319109 ", BAD},
    {"0x64000000", BAD},
    {"+1682319109", BAD},
};

/* The form that is read in words against the same time with one more digit, which is read byte by
 * byte; each with every byte in every place. */
static void check_words(void) {
    static const char *const texts[] = {"2023-04-24T06:51:49.403Z", "2999-12-31T23:59:59.999Z",
                                        "2024-02-29T00:00:00.000Z", "1980-01-01T19:09:59.090Z"};
    long long wrong = 0, times = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        for (size_t at = 0; at < 24; at++)
            for (int byte = 0; byte < 256; byte++) {
                char words[25], bytes[32];
                int64_t got_ms = 0, want_ms = 0;
                snprintf(words, sizeof(words), "%s", texts[i]);
                words[at] = (char)byte;
                size_t len = words[23] == 'Z' ? 25 : 24;
                memcpy(bytes, words, 24);
                if (len == 25)
                    memcpy(bytes + 23, "0Z", 2);
                int got = weir_time_parse(words, 24, &got_ms);
                int want = weir_time_parse(bytes, len, &want_ms);
                wrong += got != want || got_ms != want_ms;
                times += got == 0;
            }
    CHECK_INT(wrong, 0);
    CHECK(times > 200);
}

/* Every day from 1980 to 3000 against a calendar that counts them one by one. */
static void check_calendar(void) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t want_ms = WEIR_TIME_MIN_MS, got_ms = 0;
    long long wrong = 0;
    for (int year = 1980; year < 3000; year++)
        for (int month = 1; month <= 12; month++) {
            int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            int days = lengths[month - 1] + (month == 2 ? leap : 0);
            for (int day = 1; day <= days + 1; day++) {
                char text[40];
                int len = snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
                int rc = weir_time_parse(text, (size_t)len, &got_ms);
                if (day > days) {
                    wrong += rc == 0;
                    continue;
                }
                wrong += rc != 0 || got_ms != want_ms;
                want_ms += 86400000;
            }
        }
    CHECK_INT(wrong, 0);
    CHECK_INT(want_ms, WEIR_TIME_MAX_MS);
}

int main(void) {
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t got_ms = 12345;
        int rc = weir_time_parse(cases[i].text, strlen(cases[i].text), &got_ms);
        long long got = rc == 0 ? (long long)got_ms : BAD;
        if (got != cases[i].want_ms)
            printf("`%s`\n", cases[i].text);
        CHECK_INT(got, cases[i].want_ms);
    }
    check_words();
    check_calendar();
    return check_done("time");
}
