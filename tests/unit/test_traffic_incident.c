/* Incidents and faults: they do what was asked for, nothing else, and their truth says so. */
#include <jansson.h>
#include <math.h>

#include "check.h"
#include "traffic_tally.h"

#define START_MS 1767571200000 /* 2026-01-05T00:00:00Z */
#define HOUR_MS 3600000

/* What a run did, apart from its totals: within the window and the segment, and the rest. */
struct outcome {
    uint64_t types[WEIR_UNKNOWN_TYPE]; /* window and segment */
    uint64_t sessions;                 /* that start there */
    double revenue;
    uint64_t segment_hash, rest_hash; /* sums of line hashes: no matter the order */
    uint64_t before_hash;             /* all lines before the window */
    struct weir_traffic_effect effect;
    struct weir_traffic_totals totals;
};

static const char *const segment_key = "country", *const segment_value = "DE";

static struct weir_traffic_options options_of(const struct weir_traffic_incident *incident) {
    return (struct weir_traffic_options){.seed = 11,
                                         .start_ms = START_MS,
                                         .duration_ms = 5 * HOUR_MS / 2,
                                         .sessions_per_second = 10,
                                         .level = true,
                                         .incidents = incident,
                                         .incidents_len = incident ? 1 : 0};
}

static void count_line(struct outcome *outcome, struct tally *tally,
                       const struct weir_traffic_record *record) {
    int64_t from_ms = START_MS + HOUR_MS, to_ms = START_MS + 2 * HOUR_MS;
    bool is_new = tally_session(tally, record->key)->id == 0;
    tally_add(tally, record);
    uint64_t hash = tally_hash(0xcbf29ce484222325ULL, record->line, record->len);
    bool in_segment = tally_is(record->line, record->len, segment_key, segment_value);
    *(in_segment ? &outcome->segment_hash : &outcome->rest_hash) += hash;
    if (record->time_ms < from_ms)
        outcome->before_hash += hash;
    if (!in_segment || record->time_ms < from_ms || record->time_ms >= to_ms ||
        tally_session(tally, record->key)->bot)
        return;
    char type[32] = "", value[32] = "0";
    tally_get(record->line, record->len, "type", type, sizeof type);
    outcome->types[weir_event_type_of(type, strlen(type))]++;
    outcome->sessions += is_new;
    tally_get(record->line, record->len, "value", value, sizeof value);
    if (strcmp(type, "purchase") == 0)
        outcome->revenue += strtod(value, NULL);
}

static struct outcome run(const char *spec) {
    struct weir_traffic_incident incident;
    struct weir_err err = {0};
    struct weir_traffic_options options = options_of(NULL);
    struct outcome outcome = {.sessions = 0};
    struct tally tally;
    struct weir_traffic *traffic = NULL;
    struct weir_traffic_record record;
    if (spec) {
        CHECK_INT(weir_traffic_incident_parse(&incident, spec, START_MS, &err), 0);
        options = options_of(&incident);
    }
    tally_init(&tally);
    CHECK_INT(weir_traffic_new(&traffic, &options, &err), 0);
    while (traffic && weir_traffic_next(traffic, &record, &err) == 1)
        count_line(&outcome, &tally, &record);
    if (traffic && spec)
        outcome.effect = *weir_traffic_effect(traffic, 0);
    if (traffic)
        outcome.totals = *weir_traffic_totals(traffic);
    weir_traffic_free(traffic);
    tally_close(&tally);
    return outcome;
}

static bool is_near(double got, double want, double by, const char *what) {
    bool near = fabs(got - want) <= by;
    if (!near)
        printf("%s is %.5f, not %.5f +- %.5f\n", what, got, want, by);
    return near;
}

/* `actual` of `without` is 1 + change, within five standard deviations; the rest is untouched. */
static void check_effect(const struct outcome *with, const struct outcome *base, double change,
                         const char *what) {
    const struct weir_traffic_effect *effect = &with->effect;
    double sigma = sqrt(effect->without);
    CHECK(effect->draws > 100 && effect->without > 50);
    CHECK(is_near(effect->without, effect->expected, 5 * sigma, what));
    CHECK(is_near(effect->actual, effect->without * (1 + change), 5 * sigma, what));
    CHECK(with->rest_hash == base->rest_hash);
    CHECK(with->before_hash == base->before_hash);
    CHECK(with->segment_hash != base->segment_hash);
    const struct weir_traffic_counts *seen = &effect->seen;
    CHECK_INT(seen->purchases, with->types[WEIR_PURCHASE]);
    CHECK_INT(seen->checkouts, with->types[WEIR_BEGIN_CHECKOUT]);
    CHECK_INT(seen->refunds, with->types[WEIR_REFUND]);
    CHECK_INT(seen->page_views, with->types[WEIR_PAGE_VIEW]);
    CHECK_INT(seen->sessions, with->sessions);
    CHECK(is_near((double)seen->revenue_cents / 100, with->revenue, 0.01, "revenue seen"));
}

static void test_effects(void) {
    struct outcome base = run(NULL);
    struct outcome with =
        run("metric=conversion,segment=country:DE,size=80%,start=1h,duration=1h,shape=step");
    check_effect(&with, &base, -0.8, "conversion");
    CHECK_INT(with.effect.actual, with.types[WEIR_PURCHASE]);
    CHECK(with.types[WEIR_PURCHASE] * 3 < base.types[WEIR_PURCHASE]);
    CHECK_INT(with.sessions, base.sessions);

    with = run("metric=checkout,segment=country:DE,size=50%,start=1h,duration=1h");
    check_effect(&with, &base, -0.5, "checkout");
    CHECK_INT(with.effect.actual, with.types[WEIR_BEGIN_CHECKOUT]);

    with = run("metric=cart,segment=country:DE,size=100%,start=1h,duration=1h");
    check_effect(&with, &base, -1.0, "cart");
    CHECK_INT(with.effect.seen.carts, 0);

    with = run("metric=traffic,segment=country:DE,size=60%,start=1h,duration=1h");
    check_effect(&with, &base, -0.6, "traffic");
    CHECK_INT(with.effect.actual, with.sessions);

    with = run("metric=bounce,segment=country:DE,size=40%,start=1h,duration=1h");
    check_effect(&with, &base, 0.4, "bounce");
    CHECK_INT(with.effect.actual, with.effect.seen.bounced);

    with = run("metric=conversion,segment=country:DE,size=+40%,start=1h,duration=1h");
    check_effect(&with, &base, 0.4, "conversion up");

    with = run("metric=value,segment=country:DE,size=30%,start=1h,duration=1h");
    CHECK_INT(with.types[WEIR_PURCHASE], base.types[WEIR_PURCHASE]);
    CHECK(is_near(with.revenue, base.revenue * 0.7, 1.0, "revenue"));
    CHECK(is_near(with.effect.actual / 100, with.revenue, 0.01, "actual value"));
    CHECK(is_near(with.effect.without / 100, base.revenue, 0.01, "value without"));
    CHECK(with.rest_hash == base.rest_hash);
}

static void test_more_traffic(void) {
    struct outcome base = run(NULL);
    struct outcome with = run("metric=traffic,segment=country:DE,size=+100%,start=1h,duration=1h");
    CHECK(is_near((double)with.sessions / (double)base.sessions, 2.0, 0.12, "sessions"));
    CHECK(is_near((double)(with.totals.counts.sessions - with.sessions),
                  (double)(base.totals.counts.sessions - base.sessions), 2000, "other sessions"));
}

static void test_whole_shop_to_the_end(void) {
    struct outcome base = run(NULL), with = run("metric=conversion,size=50%,start=90m");
    CHECK(with.before_hash == base.before_hash);
    CHECK(is_near(with.effect.actual, with.effect.without * 0.5, 5 * sqrt(with.effect.without),
                  "conversion"));
    CHECK(with.effect.without > (double)base.totals.counts.purchases * 0.3);
}

static void test_shapes(void) {
    struct weir_traffic_incident incident;
    struct weir_err err = {0};
    const char *step = "metric=cart,size=10%,start=1h,duration=1h";
    CHECK_INT(weir_traffic_incident_parse(&incident, step, START_MS, &err), 0);
    int64_t from = START_MS + HOUR_MS, to = from + HOUR_MS;
    CHECK(weir_traffic_strength(&incident, from - 1) == 0.0);
    CHECK(weir_traffic_strength(&incident, from) == 1.0);
    CHECK(weir_traffic_strength(&incident, to - 1) == 1.0);
    CHECK(weir_traffic_strength(&incident, to) == 0.0);
    incident.shape = WEIR_TRAFFIC_RAMP;
    CHECK(weir_traffic_strength(&incident, from) == 0.0);
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS / 4) == 0.25);
    CHECK(weir_traffic_strength(&incident, to) == 0.0);
    incident.shape = WEIR_TRAFFIC_DIP;
    CHECK(weir_traffic_strength(&incident, from) == 0.0);
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS / 4) == 0.5);
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS / 2) == 1.0);
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS * 3 / 4) == 0.5);
    incident.shape = WEIR_TRAFFIC_RAMP;
    incident.end_ms = INT64_MAX;
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS / 4) == 0.5);
    CHECK(weir_traffic_strength(&incident, from + HOUR_MS) == 1.0);
}

static void test_spec(void) {
    struct weir_traffic_incident incident;
    struct weir_err err = {0};
    const char *spec = "metric=bounce,segment=country:GB+device:desktop,size=12.5%,"
                       "start=2026-01-05T10:00:00Z,duration=90s,shape=dip";
    CHECK_INT(weir_traffic_incident_parse(&incident, spec, START_MS, &err), 0);
    CHECK_INT(incident.metric, WEIR_TRAFFIC_BOUNCE);
    CHECK_INT(incident.shape, WEIR_TRAFFIC_DIP);
    CHECK(incident.change == 0.125);
    CHECK_INT(incident.start_ms, START_MS + 10 * HOUR_MS);
    CHECK_INT(incident.end_ms, START_MS + 10 * HOUR_MS + 90000);
    CHECK_TEXT(weir_traffic_value(1, incident.segment[1]), "GB");
    CHECK_TEXT(weir_traffic_value(0, incident.segment[0]), "desktop");
    CHECK_INT(incident.segment[2], -1);
    CHECK_INT(incident.segment[3], -1);

    static const char *const bad[] = {
        "",
        ",",
        "metric",
        "metric=conversion",
        "metric=conversion,size=80%",
        "size=80%,start=10m",
        "metric=sales,size=80%,start=10m",
        "metric=conversion,size=80,start=10m",
        "metric=conversion,size=%,start=10m",
        "metric=conversion,size=0%,start=10m",
        "metric=conversion,size=nan%,start=10m",
        "metric=conversion,size=0x10%,start=10m",
        "metric=conversion,size=101%,start=10m",
        "metric=conversion,size=-101%,start=10m",
        "metric=conversion,size=+1001%,start=10m",
        "metric=conversion,size=1e2%,start=10m",
        "metric=conversion,size=80%,start=soon",
        "metric=conversion,size=80%,start=-10m",
        "metric=conversion,size=80%,start=10",
        "metric=conversion,size=80%,start=99999999999999999999s",
        "metric=conversion,size=80%,start=10m,duration=0s",
        "metric=conversion,size=80%,start=10m,duration=x",
        "metric=conversion,size=80%,start=10m,shape=wave",
        "metric=conversion,size=80%,start=10m,shape=dip",
        "metric=conversion,size=80%,start=10m,",
        "metric=conversion,,size=80%,start=10m",
        "metric=conversion,metric=cart,size=80%,start=10m",
        "metric=conversion,size=80%,start=10m,colour=red",
        "metric=conversion,size=80%,start=10m,segment=",
        "metric=conversion,size=80%,start=10m,segment=DE",
        "metric=conversion,size=80%,start=10m,segment=country:XX",
        "metric=conversion,size=80%,start=10m,segment=planet:earth",
        "metric=conversion,size=80%,start=10m,segment=country:DE+",
        "metric=conversion,size=80%,start=10m,segment=country:DE++device:mobile",
        "metric=conversion,size=80%,start=10m,segment=country:DE+country:FR"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = 0;
        int got = weir_traffic_incident_parse(&incident, bad[i], START_MS, &err);
        if (got != -WEIR_ERR_USAGE)
            printf("accepted: %s\n", bad[i]);
        CHECK(got == -WEIR_ERR_USAGE && err.text[0] != 0);
    }
}

/* Every prefix, and every single byte changed, must be read or refused, never crash. */
static void test_spec_mangled(void) {
    const char *spec = "metric=value,segment=category:toys+channel:email,size=-50%,start=1d,"
                       "duration=500ms,shape=ramp";
    struct weir_traffic_incident incident;
    struct weir_err err;
    char text[256];
    size_t len = strlen(spec), refused = 0;
    for (size_t at = 0; at < len; at++) {
        snprintf(text, sizeof text, "%.*s", (int)at, spec);
        refused += weir_traffic_incident_parse(&incident, text, START_MS, &err) != 0;
        for (int byte = 1; byte < 256; byte += 3) {
            snprintf(text, sizeof text, "%s", spec);
            text[at] = (char)byte;
            refused += weir_traffic_incident_parse(&incident, text, START_MS, &err) != 0;
        }
    }
    CHECK(refused > len * 50);
}

static void test_durations(void) {
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"500ms", 500},
                 {"90s", 90000},
                 {"30m", 1800000},
                 {"24h", 86400000},
                 {"7d", 604800000},
                 {"0s", 0},
                 {"", -1},
                 {"s", -1},
                 {"10", -1},
                 {"-1s", -1},
                 {"1w", -1},
                 {"1.5h", -1},
                 {" 1s", -1},
                 {"1s ", -1},
                 {"0x1s", -1},
                 {"9223372036854775807ms", -1},
                 {"99999999999999999999999s", -1},
                 {"3650d", 315360000000},
                 {"3651d", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        int got = weir_traffic_duration_parse(cases[i].text, strlen(cases[i].text), &ms);
        CHECK_INT(got == 0 ? ms : -1, cases[i].ms);
    }
}

static void count_fault(struct tally *tally, const struct weir_traffic_record *record,
                        uint64_t *kinds, uint64_t *good_hash) {
    json_error_t error;
    int64_t delay_ms = record->at_ms - record->time_ms;
    json_t *json = json_loadb(record->line, record->len, 0, &error);
    bool good = json_is_string(json_object_get(json, "event_id"));
    json_decref(json);
    tally->backwards += record->at_ms < tally->last_at_ms;
    tally->last_at_ms = record->at_ms;
    if (!good) {
        kinds[WEIR_TRAFFIC_MALFORMED]++;
        return;
    }
    *good_hash += tally_hash(0xcbf29ce484222325ULL, record->line, record->len);
    if (delay_ms > 600000)
        kinds[WEIR_TRAFFIC_LATE]++;
    else if (delay_ms >= 10000)
        kinds[WEIR_TRAFFIC_DELAYED]++;
    else if (delay_ms > 0)
        kinds[WEIR_TRAFFIC_DISORDER]++;
    CHECK(delay_ms >= 0 && delay_ms <= 900000 && !(delay_ms > 540000 && delay_ms < 660000));
}

static uint64_t run_faults(const char *spec, uint64_t *kinds, struct weir_traffic_totals *totals) {
    struct weir_traffic_options options = options_of(NULL);
    struct weir_err err = {0};
    struct weir_traffic *traffic = NULL;
    struct weir_traffic_record record;
    struct tally tally;
    uint64_t good_hash = 0;
    options.events_max = 20000;
    if (spec)
        CHECK_INT(weir_traffic_faults_parse(options.faults, spec, &err), 0);
    tally_init(&tally);
    CHECK_INT(weir_traffic_new(&traffic, &options, &err), 0);
    while (traffic && weir_traffic_next(traffic, &record, &err) == 1)
        count_fault(&tally, &record, kinds, &good_hash);
    CHECK_INT(tally.backwards, 0);
    if (traffic)
        *totals = *weir_traffic_totals(traffic);
    weir_traffic_free(traffic);
    tally_close(&tally);
    return good_hash;
}

static void test_faults(void) {
    uint64_t none[WEIR_TRAFFIC_FAULTS] = {0}, kinds[WEIR_TRAFFIC_FAULTS] = {0}, malformed = 0;
    struct weir_traffic_totals totals;
    uint64_t clean = run_faults(NULL, none, &totals);
    for (int i = 0; i < WEIR_TRAFFIC_FAULTS; i++)
        CHECK_INT(none[i], 0);
    uint64_t faulty = run_faults("late=1%,delayed=2%,disorder=5%,malformed=0.5%", kinds, &totals);
    CHECK(clean == faulty); /* every good line is there, once */
    CHECK_INT(kinds[WEIR_TRAFFIC_LATE], totals.faults[WEIR_TRAFFIC_LATE]);
    CHECK_INT(kinds[WEIR_TRAFFIC_DELAYED], totals.faults[WEIR_TRAFFIC_DELAYED]);
    CHECK_INT(kinds[WEIR_TRAFFIC_DISORDER], totals.faults[WEIR_TRAFFIC_DISORDER]);
    CHECK_INT(kinds[WEIR_TRAFFIC_MALFORMED], totals.faults[WEIR_TRAFFIC_MALFORMED]);
    CHECK(is_near((double)kinds[WEIR_TRAFFIC_LATE], 200, 75, "late"));
    CHECK(is_near((double)kinds[WEIR_TRAFFIC_DELAYED], 400, 105, "delayed"));
    CHECK(is_near((double)kinds[WEIR_TRAFFIC_DISORDER], 1000, 160, "disorder"));
    CHECK(is_near((double)kinds[WEIR_TRAFFIC_MALFORMED], 100, 50, "malformed"));
    for (int i = 0; i < WEIR_REASONS; i++)
        malformed += totals.malformed[i];
    CHECK_INT(malformed, totals.faults[WEIR_TRAFFIC_MALFORMED]);
    CHECK(totals.malformed[WEIR_BAD_JSON] > 0 && totals.malformed[WEIR_NO_SESSION] > 0);
    CHECK_INT(totals.events, 20000);

    uint64_t twice = run_faults("duplicates=100%", kinds, &totals);
    CHECK(twice == clean * 2);
    CHECK_INT(totals.faults[WEIR_TRAFFIC_DUPLICATES], 20000);

    static const char *const bad[] = {"",         "late",     "late=1",   "late=101%",
                                      "late=-1%", "early=1%", "late=1%,", "late=60%,disorder=60%",
                                      "late=+1%"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double shares[WEIR_TRAFFIC_FAULTS] = {0};
        struct weir_err err = {0};
        CHECK_INT(weir_traffic_faults_parse(shares, bad[i], &err), -WEIR_ERR_USAGE);
    }
}

static void test_truth(void) {
    struct weir_traffic_incident incident;
    struct weir_err err = {0};
    const char *spec = "metric=conversion,segment=country:DE,size=80%,start=10m,duration=15m";
    CHECK_INT(weir_traffic_incident_parse(&incident, spec, START_MS, &err), 0);
    struct weir_traffic_options options = options_of(&incident);
    options.duration_ms = HOUR_MS / 2;
    struct weir_traffic *traffic = NULL;
    struct weir_traffic_record record;
    CHECK_INT(weir_traffic_new(&traffic, &options, &err), 0);
    while (traffic && weir_traffic_next(traffic, &record, &err) == 1) {
    }
    char *text = traffic ? weir_traffic_truth(traffic) : NULL;
    json_error_t error;
    json_t *truth = text ? json_loads(text, JSON_REJECT_DUPLICATES, &error) : NULL;
    json_t *one = json_array_get(json_object_get(truth, "incidents"), 0);
    CHECK_INT(json_integer_value(json_object_get(truth, "seed")), 11);
    CHECK_TEXT(json_string_value(json_object_get(one, "metric")), "conversion");
    CHECK_TEXT(json_string_value(json_object_get(one, "start")), "2026-01-05T00:10:00.000Z");
    CHECK_TEXT(json_string_value(json_object_get(one, "end")), "2026-01-05T00:25:00.000Z");
    CHECK_TEXT(json_string_value(json_object_get(one, "direction")), "down");
    CHECK_TEXT(json_string_value(json_object_get(one, "shape")), "step");
    CHECK_TEXT(json_string_value(json_object_get(json_object_get(one, "segment"), "country")),
               "DE");
    CHECK(json_real_value(json_object_get(one, "size")) == 0.8);
    CHECK(json_real_value(json_object_get(one, "suppressed")) > 10);
    CHECK(json_integer_value(json_object_get(json_object_get(truth, "totals"), "events")) > 50000);
    json_decref(truth);
    free(text);
    weir_traffic_free(traffic);
}

int main(void) {
    test_effects();
    test_more_traffic();
    test_whole_shop_to_the_end();
    test_shapes();
    test_spec();
    test_spec_mangled();
    test_durations();
    test_faults();
    test_truth();
    return check_done("test_traffic_incident");
}
