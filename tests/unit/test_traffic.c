/* The stream of the generator: the same for the same seed, in order, and like a shop's. */
#include <jansson.h>
#include <math.h>

#include "check.h"
#include "core/traffic_internal.h"
#include "core/traffic_random.h"
#include "traffic_tally.h"

#define START_MS 1767571200000 /* 2026-01-05T00:00:00Z, a Monday */

static struct weir_traffic_options options_of(uint64_t seed) {
    return (struct weir_traffic_options){
        .seed = seed, .start_ms = START_MS, .sessions_per_second = 5.0, .level = true};
}

static struct weir_traffic *new_traffic(const struct weir_traffic_options *options) {
    struct weir_traffic *traffic = NULL;
    struct weir_err err = {0};
    if (weir_traffic_new(&traffic, options, &err) != 0) {
        printf("weir_traffic_new: %s\n", err.text);
        abort();
    }
    return traffic;
}

static void tally_all(struct tally *tally, struct weir_traffic *traffic) {
    struct weir_traffic_record record;
    struct weir_err err = {0};
    int got;
    while ((got = weir_traffic_next(traffic, &record, &err)) == 1)
        tally_add(tally, &record);
    CHECK_INT(got, 0);
}

static uint64_t hash_of(const struct weir_traffic_options *options) {
    struct tally tally;
    struct weir_traffic *traffic = new_traffic(options);
    tally_init(&tally);
    tally_all(&tally, traffic);
    CHECK_INT(tally.events, options->events_max);
    tally_close(&tally);
    weir_traffic_free(traffic);
    return tally.hash;
}

static void test_same_seed_same_bytes(void) {
    struct weir_traffic_options options = options_of(7);
    options.events_max = 20000;
    uint64_t first = hash_of(&options);
    CHECK(first == hash_of(&options));
    options.seed = 8;
    CHECK(first != hash_of(&options));
}

static bool is_near(double got, double want, double by, const char *what) {
    bool near = got > want - by && got < want + by;
    if (!near)
        printf("%s is %.5f, not %.5f +- %.5f\n", what, got, want, by);
    return near;
}

/* Bounds are five standard deviations or more of a sample of this size. */
static void test_rates(void) {
    struct weir_traffic_options options = options_of(42);
    options.duration_ms = 8 * 3600000;
    struct weir_traffic *traffic = new_traffic(&options);
    struct tally tally;
    tally_init(&tally);
    tally_all(&tally, traffic);
    struct tally_rates rates = tally_read(&tally);
    double all = rates.sessions + rates.bots;

    CHECK(is_near(all / (5.0 * 8 * 3600), 1.0, 0.015, "sessions over what was asked"));
    CHECK(is_near((double)tally.events / all, WEIR_TRAFFIC_EVENTS_PER_SESSION,
                  0.02 * WEIR_TRAFFIC_EVENTS_PER_SESSION, "events per session"));
    CHECK(is_near(rates.bought / rates.sessions, 0.03, 0.003, "conversion"));
    CHECK(is_near(rates.bounced / rates.sessions, 0.45, 0.01, "bounce"));
    CHECK(is_near(1 - rates.bought / rates.carts, 0.70, 0.02, "abandonment"));
    CHECK(is_near(rates.bots / all, 0.006, 0.0012, "bots"));
    double mobile = rates.mobile_bought / rates.mobile;
    CHECK(is_near(mobile / (rates.desktop_bought / rates.desktop), 0.5, 0.06,
                  "mobile's conversion over desktop's"));
    CHECK(is_near(tally.revenue / (double)tally.purchases, 87.0, 12.0, "order value"));
    CHECK_INT(tally.orders_without_id, 0);

    const struct weir_traffic_totals *totals = weir_traffic_totals(traffic);
    CHECK_INT(totals->events, tally.events);
    CHECK_INT(totals->counts.sessions, rates.sessions);
    CHECK_INT(totals->bot_sessions, rates.bots);
    CHECK_INT(totals->counts.carts, rates.carts);
    CHECK_INT(totals->counts.converted, rates.bought);
    CHECK_INT(totals->counts.purchases, tally.purchases);
    /* the generator's bounces, and the engaged that the end has cut off after their first event */
    CHECK(rates.bounced >= (double)totals->counts.bounced);
    CHECK(rates.bounced < (double)totals->counts.bounced + 5.0 * 120);
    CHECK(is_near((double)totals->counts.revenue_cents / 100.0, tally.revenue, 0.01, "revenue"));

    CHECK_INT(tally.backwards, 0);
    CHECK_INT(tally.bad_time, 0);
    CHECK(tally.gap_max_ms < WEIR_TRAFFIC_GAP_MAX_MS);
    CHECK(tally.gap_max_ms > 5 * 60000);
    CHECK(is_near((double)tally.bytes / (double)tally.events, 430, 20, "bytes of an event"));
    tally_close(&tally);
    weir_traffic_free(traffic);
}

static void test_day(void) {
    struct weir_traffic_options options = options_of(3);
    options.level = false;
    options.sessions_per_second = 0.5;
    options.duration_ms = 24 * 3600000;
    struct weir_traffic *traffic = new_traffic(&options);
    struct tally tally;
    tally_init(&tally);
    tally_all(&tally, traffic);
    int low = 0, high = 0;
    for (int hour = 1; hour < 24; hour++) {
        low = tally.by_hour[hour] < tally.by_hour[low] ? hour : low;
        high = tally.by_hour[hour] > tally.by_hour[high] ? hour : high;
    }
    CHECK(low == 3 || low == 4);
    CHECK(high == 19 || high == 20);
    CHECK(tally.by_hour[20] > 5 * tally.by_hour[4]);
    tally_close(&tally);
    weir_traffic_free(traffic);
}

static void test_cycle(void) {
    double sum = 0;
    for (int minute = 0; minute < 7 * 24 * 60; minute++)
        sum += weir_traffic_cycle(START_MS + minute * 60000LL) / (7 * 24 * 60);
    CHECK(is_near(sum, 1.0, 0.001, "mean of the week"));
    int64_t four = START_MS + 4 * 3600000, twenty = START_MS + 20 * 3600000, day = 86400000;
    int outside = 0;
    for (int minute = 0; minute < 24 * 60; minute++) {
        double height = weir_traffic_cycle(START_MS + minute * 60000LL);
        outside += height < weir_traffic_cycle(four) || height > weir_traffic_cycle(twenty);
    }
    CHECK_INT(outside, 0);
    CHECK(weir_traffic_cycle(four + 6 * day) > 1.15 * weir_traffic_cycle(four));
}

static void check_json(const struct weir_traffic_record *record) {
    static const char *const keys[] = {"type",     "time",   "session", "visitor",
                                       "event_id", "device", "country", "channel",
                                       "category", "url",    "ip",      "user_agent"};
    json_error_t error;
    json_t *json = json_loadb(record->line, record->len, JSON_REJECT_DUPLICATES, &error);
    CHECK(json != NULL);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        CHECK(json_is_string(json_object_get(json, keys[i])));
    const char *session = json_string_value(json_object_get(json, "session"));
    CHECK(session && strlen(session) == WEIR_TRAFFIC_KEY_LEN &&
          memcmp(session, record->key, WEIR_TRAFFIC_KEY_LEN) == 0);
    const char *type = json_string_value(json_object_get(json, "type"));
    CHECK(type && weir_event_type_of(type, strlen(type)) >= 0);
    bool order = type && (strcmp(type, "purchase") == 0 || strcmp(type, "refund") == 0);
    bool money = order || (type && (strstr(type, "cart") || strstr(type, "checkout")));
    CHECK_INT(json_is_string(json_object_get(json, "order_id")), order);
    CHECK_INT(json_is_string(json_object_get(json, "currency")), money);
    CHECK_INT(json_number_value(json_object_get(json, "value")) > 0, money);
    CHECK_INT(json_integer_value(json_object_get(json, "quantity")) > 0, money);
    CHECK(record->len <= WEIR_TRAFFIC_LINE_MAX && record->line[record->len - 1] == '\n');
    json_decref(json);
}

static void test_json(void) {
    struct weir_traffic_options options = options_of(5);
    options.events_max = 20000;
    struct weir_traffic *traffic = new_traffic(&options);
    struct weir_traffic_record record;
    struct weir_err err = {0};
    uint64_t seen = 0;
    while (weir_traffic_next(traffic, &record, &err) == 1)
        if (++seen > 15000)
            check_json(&record);
    for (int type = 0; type < WEIR_UNKNOWN_TYPE; type++)
        CHECK(weir_traffic_totals(traffic)->types[type] > 0);
    weir_traffic_free(traffic);
}

/* With a warm-up there are sessions in all their stages from the first minute on. */
static void test_warm_up(void) {
    struct weir_traffic_options options = options_of(6);
    options.duration_ms = 60000;
    options.sessions_per_second = 50;
    uint64_t events[2], purchases[2];
    for (int warm = 0; warm < 2; warm++) {
        options.warm_up_ms = warm ? 600000 : 0;
        struct weir_traffic *traffic = new_traffic(&options);
        struct tally tally;
        tally_init(&tally);
        tally_all(&tally, traffic);
        CHECK(tally.last_at_ms < START_MS + 60000);
        CHECK_INT(tally.backwards, 0);
        CHECK_INT(weir_traffic_totals(traffic)->events, tally.events);
        CHECK_INT(weir_traffic_totals(traffic)->counts.purchases, tally.purchases);
        size_t early = 0;
        for (size_t i = 0; i < TALLY_SLOTS; i++)
            early += tally.sessions[i].id != 0 && tally.sessions[i].first_ms < START_MS;
        CHECK_INT(early, 0);
        events[warm] = tally.events;
        purchases[warm] = tally.purchases;
        CHECK_INT(weir_traffic_totals(traffic)->sessions_before > 0, warm);
        tally_close(&tally);
        weir_traffic_free(traffic);
    }
    double full = 60 * 50 * WEIR_TRAFFIC_EVENTS_PER_SESSION;
    CHECK((double)events[0] < 0.75 * full);
    CHECK(is_near((double)events[1] / full, 1.0, 0.1, "events in the first minute"));
    CHECK(purchases[0] < 10 && purchases[1] > 50);
}

static void test_ends(void) {
    struct weir_traffic_options options = options_of(9);
    struct weir_traffic *traffic = new_traffic(&options);
    struct weir_traffic_record record;
    struct weir_err err = {0};
    for (int i = 0; i < 100; i++)
        CHECK_INT(weir_traffic_next(traffic, &record, &err), 1);
    weir_traffic_stop(traffic);
    CHECK_INT(weir_traffic_next(traffic, &record, &err), 0);
    CHECK_INT(weir_traffic_next(traffic, &record, &err), 0);
    weir_traffic_free(traffic);

    options.start_ms = WEIR_TRAFFIC_START_MAX_MS;
    options.sessions_per_second = WEIR_TRAFFIC_RATE_MIN;
    traffic = new_traffic(&options);
    int got = 0, beyond = 0;
    while ((got = weir_traffic_next(traffic, &record, &err)) == 1)
        beyond += record.time_ms >= WEIR_TIME_MAX_MS;
    CHECK_INT(got, 0); /* the end of time, not a crash */
    CHECK_INT(beyond, 0);
    weir_traffic_free(traffic);
}

/* Against the C library, over leap years and centuries. */
static void test_time_text(void) {
    int wrong = 0;
    for (int64_t ms = 0; ms < WEIR_TIME_MAX_MS; ms += 40 * 3600000LL + 1234567) {
        char text[32], want[40];
        time_t seconds = (time_t)(ms / 1000);
        struct tm utc;
        gmtime_r(&seconds, &utc);
        size_t len = strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(want + len, sizeof want - len, ".%03dZ", (int)(ms % 1000));
        weir_traffic_time_text(ms, text);
        wrong += strcmp(text, want) != 0;
    }
    CHECK_INT(wrong, 0);
}

/* Our own exp and log against the library's. */
static void test_calculus(void) {
    double worst = 0;
    for (double x = -20; x < 20; x += 0.00731) {
        double off = fabs(weir_traffic_exp(x) / exp(x) - 1);
        worst = off > worst ? off : worst;
        off = fabs(weir_traffic_log(exp(x)) - x);
        worst = off > worst ? off : worst;
    }
    CHECK(worst < 1e-12);
    CHECK(is_near(weir_traffic_normal(0.5), 0, 1e-8, "median"));
    CHECK(is_near(weir_traffic_normal(0.975), 1.959963985, 1e-7, "97.5 %"));
    CHECK(is_near(weir_traffic_normal(0.001), -3.090232306, 1e-7, "0.1 %"));
}

static void test_bad_options(void) {
    static const double rates[] = {0, -1, 1e-9, 1e9, (double)NAN};
    struct weir_traffic *traffic = NULL;
    struct weir_err err = {0};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct weir_traffic_options options = options_of(1);
        options.sessions_per_second = rates[i];
        CHECK_INT(weir_traffic_new(&traffic, &options, &err), -WEIR_ERR_USAGE);
    }
    struct weir_traffic_options options = options_of(1);
    options.start_ms = 0;
    CHECK_INT(weir_traffic_new(&traffic, &options, &err), -WEIR_ERR_USAGE);
    options = options_of(1);
    options.incidents_len = WEIR_TRAFFIC_INCIDENTS_MAX + 1;
    CHECK_INT(weir_traffic_new(&traffic, &options, &err), -WEIR_ERR_USAGE);
}

int main(void) {
    test_same_seed_same_bytes();
    test_rates();
    test_day();
    test_cycle();
    test_json();
    test_warm_up();
    test_ends();
    test_time_text();
    test_calculus();
    test_bad_options();
    return check_done("test_traffic");
}
