/* The texts of --incident and --faults. */
#include "core/traffic_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/decode.h"

#define PART_MAX 256 /* bytes of one key=value */
#define DURATION_MAX_MS (3650LL * 86400000)

static const char *const metric_names[WEIR_TRAFFIC_METRICS] = {"conversion", "checkout", "cart",
                                                               "traffic",    "bounce",   "value"};
static const char *const shape_names[WEIR_TRAFFIC_SHAPES] = {"step", "ramp", "dip"};

const char *weir_traffic_metric_name(enum weir_traffic_metric metric) {
    return metric < WEIR_TRAFFIC_METRICS ? metric_names[metric] : NULL;
}

const char *weir_traffic_shape_name(enum weir_traffic_shape shape) {
    return shape < WEIR_TRAFFIC_SHAPES ? shape_names[shape] : NULL;
}

int weir_traffic_duration_parse(const char *text, size_t len, int64_t *duration_ms) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char copy[32];
    if (len == 0 || len >= sizeof copy || text[0] < '0' || text[0] > '9')
        return -1;
    memcpy(copy, text, len);
    copy[len] = 0;
    char *end = NULL;
    errno = 0;
    long long number = strtoll(copy, &end, 10);
    if (errno != 0 || number < 0)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        if (number > DURATION_MAX_MS / units[i].ms)
            return -1;
        *duration_ms = number * units[i].ms;
        return 0;
    }
    return -1;
}

/* "80%", "-5.5%", "+300%" to 0.8, -0.055, 3. */
static int parse_percent(const char *text, double *share, bool *has_sign) {
    char *end = NULL;
    *has_sign = *text == '+' || *text == '-';
    const char *digits = text + (*has_sign ? 1 : 0);
    size_t len = strspn(digits, "0123456789.");
    if (digits[0] < '0' || digits[0] > '9' || digits[len] != '%')
        return -1;
    errno = 0;
    double number = strtod(text, &end);
    if (errno != 0 || strcmp(end, "%") != 0 || !isfinite(number))
        return -1;
    *share = number / 100.0;
    return 0;
}

static int index_of(const char *const *names, int len, const char *name) {
    for (int i = 0; i < len; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static int bad_value(const char *what, const char *value, const char *want, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_USAGE, "%s \"%s\": write %s", what, value, want);
}

static void list_values(int dimension, char *out, size_t out_max) {
    size_t len = 0;
    out[0] = 0;
    for (int i = 0; weir_traffic_value(dimension, i); i++) {
        int got = snprintf(out + len, out_max - len, "%s%s", i ? ", " : "one of ",
                           weir_traffic_value(dimension, i));
        if (got < 0 || (size_t)got >= out_max - len)
            break;
        len += (size_t)got;
    }
}

static int parse_condition(struct weir_traffic_incident *incident, char *condition,
                           struct weir_err *err) {
    char *colon = strchr(condition, ':');
    if (!colon)
        return bad_value("segment", condition, "DIMENSION:VALUE, as in country:DE", err);
    *colon = 0;
    const char *value = colon + 1;
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++) {
        if (strcmp(weir_traffic_dimension(i), condition) != 0)
            continue;
        if (incident->segment[i] >= 0)
            return bad_value("dimension twice in segment", condition,
                             "one --incident for each value", err);
        for (int j = 0; weir_traffic_value(i, j); j++)
            if (strcmp(weir_traffic_value(i, j), value) == 0)
                incident->segment[i] = j;
        char list[256];
        list_values(i, list, sizeof list);
        return incident->segment[i] >= 0 ? 0 : bad_value(condition, value, list, err);
    }
    return bad_value("dimension", condition, "device, country, channel or category", err);
}

static int parse_segment(struct weir_traffic_incident *incident, char *value,
                         struct weir_err *err) {
    char *rest = NULL;
    if (!*value || value[0] == '+' || value[strlen(value) - 1] == '+' || strstr(value, "++"))
        return bad_value("segment", value, "DIMENSION:VALUE[+DIMENSION:VALUE]", err);
    for (char *part = strtok_r(value, "+", &rest); part; part = strtok_r(NULL, "+", &rest)) {
        int failed = parse_condition(incident, part, err);
        if (failed)
            return failed;
    }
    return 0;
}

static int parse_size(struct weir_traffic_incident *incident, const char *value, bool *has_sign,
                      struct weir_err *err) {
    if (parse_percent(value, &incident->change, has_sign) != 0 || incident->change < -1.0 ||
        incident->change > 10.0 || fabs(incident->change) < 1e-9)
        return bad_value("size", value, "a share that is not 0, from -100% to +1000%, as 80%", err);
    return 0;
}

static int parse_start(struct weir_traffic_incident *incident, const char *value, int64_t origin_ms,
                       struct weir_err *err) {
    int64_t offset_ms = 0;
    if (weir_traffic_duration_parse(value, strlen(value), &offset_ms) == 0)
        incident->start_ms = origin_ms + offset_ms;
    else if (weir_time_parse(value, strlen(value), &incident->start_ms) != 0)
        return bad_value("start", value,
                         "an offset from the start, as 10m, or a time, as 2026-01-05T10:00:00Z",
                         err);
    return 0;
}

enum spec_key { KEY_METRIC, KEY_SEGMENT, KEY_SIZE, KEY_START, KEY_DURATION, KEY_SHAPE, KEYS };
static const char *const spec_keys[KEYS] = {"metric", "segment",  "size",
                                            "start",  "duration", "shape"};

struct spec {
    bool given[KEYS];
    bool has_sign;
    int64_t origin_ms, duration_ms;
};

static int parse_pair(struct weir_traffic_incident *incident, struct spec *spec, char *pair,
                      struct weir_err *err) {
    char *value = strchr(pair, '=');
    if (!value)
        return bad_value("part", pair, "key=value", err);
    *value++ = 0;
    int key = index_of(spec_keys, KEYS, pair), found = 0;
    if (key < 0)
        return bad_value("key", pair, "metric, segment, size, start, duration or shape", err);
    if (spec->given[key])
        return bad_value("key twice", pair, "it once", err);
    spec->given[key] = true;
    switch ((enum spec_key)key) {
    case KEY_METRIC:
        found = index_of(metric_names, WEIR_TRAFFIC_METRICS, value);
        incident->metric = (enum weir_traffic_metric)found;
        return found >= 0 ? 0
                          : bad_value("metric", value,
                                      "conversion, checkout, cart, traffic, bounce or value", err);
    case KEY_SEGMENT:
        return parse_segment(incident, value, err);
    case KEY_SIZE:
        return parse_size(incident, value, &spec->has_sign, err);
    case KEY_START:
        return parse_start(incident, value, spec->origin_ms, err);
    case KEY_DURATION:
        if (weir_traffic_duration_parse(value, strlen(value), &spec->duration_ms) != 0 ||
            spec->duration_ms == 0)
            return bad_value("duration", value, "one of at least 1ms, as 15m", err);
        return 0;
    case KEY_SHAPE:
        found = index_of(shape_names, WEIR_TRAFFIC_SHAPES, value);
        incident->shape = (enum weir_traffic_shape)found;
        return found >= 0 ? 0 : bad_value("shape", value, "step, ramp or dip", err);
    case KEYS:
        break;
    }
    return 0;
}

/* Calls `each` with every part between commas. */
static int parse_list(const char *text, struct weir_traffic_incident *incident, struct spec *spec,
                      struct weir_err *err) {
    char part[PART_MAX];
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof part)
            return bad_value("incident", text, "key=value parts between commas", err);
        memcpy(part, at, len);
        part[len] = 0;
        int failed = parse_pair(incident, spec, part, err);
        if (failed)
            return failed;
        at += len;
        if (!*at)
            return 0;
    }
}

int weir_traffic_incident_parse(struct weir_traffic_incident *incident, const char *text,
                                int64_t origin_ms, struct weir_err *err) {
    *incident = (struct weir_traffic_incident){.segment = {-1, -1, -1, -1}};
    struct spec spec = {.origin_ms = origin_ms};
    int failed = parse_list(text, incident, &spec, err);
    if (failed)
        return failed;
    static const enum spec_key needed[] = {KEY_METRIC, KEY_SIZE, KEY_START};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!spec.given[needed[i]])
            return weir_err_set(err, WEIR_ERR_USAGE, "%s= is missing", spec_keys[needed[i]]);
    if (incident->shape == WEIR_TRAFFIC_DIP && !spec.given[KEY_DURATION])
        return weir_err_set(err, WEIR_ERR_USAGE, "a dip needs duration=, as duration=15m");
    if (!spec.has_sign && incident->metric != WEIR_TRAFFIC_BOUNCE)
        incident->change = -incident->change;
    if (incident->change < -1.0)
        return weir_err_set(err, WEIR_ERR_USAGE, "size: nothing falls by more than 100%%");
    incident->end_ms = spec.given[KEY_DURATION] ? incident->start_ms + spec.duration_ms : INT64_MAX;
    return 0;
}

static int parse_fault(double *shares, char *pair, struct weir_err *err) {
    char *value = strchr(pair, '=');
    if (!value)
        return bad_value("fault", pair, WEIR_TRAFFIC_FAULTS_GRAMMAR, err);
    *value++ = 0;
    for (int i = 0; i < WEIR_TRAFFIC_FAULTS; i++) {
        bool has_sign = false;
        if (strcmp(weir_traffic_fault_name((enum weir_traffic_fault)i), pair) != 0)
            continue;
        if (parse_percent(value, &shares[i], &has_sign) != 0 || has_sign || shares[i] > 1.0)
            return bad_value(pair, value, "a share from 0% to 100%", err);
        return 0;
    }
    return bad_value("fault", pair, "late, delayed, disorder, duplicates or malformed", err);
}

int weir_traffic_faults_parse(double *shares, const char *spec, struct weir_err *err) {
    char part[PART_MAX];
    for (const char *at = spec;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= sizeof part)
            return bad_value("faults", spec, WEIR_TRAFFIC_FAULTS_GRAMMAR, err);
        memcpy(part, at, len);
        part[len] = 0;
        int failed = parse_fault(shares, part, err);
        if (failed)
            return failed;
        at += len;
        if (!*at)
            break;
    }
    if (shares[WEIR_TRAFFIC_LATE] + shares[WEIR_TRAFFIC_DELAYED] + shares[WEIR_TRAFFIC_DISORDER] >
        1.0)
        return weir_err_set(
            err, WEIR_ERR_USAGE,
            "late, delayed and disorder exclude each other: at most 100%% together");
    return 0;
}
