#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/replay.h"
#include "weir/bucket.h"

#define DIGITS 15 /* every figure to the cent, and no tail of the binary fraction */

static json_t *unit_json(enum weir_unit unit, int64_t value) {
    return unit == WEIR_UNIT_COUNT ? json_integer(value) : json_real(weir_unit_number(unit, value));
}

/* Every counter and metric of one reading. */
static json_t *reading_json(const struct weir_config *config, const int64_t *cell,
                            enum weir_reading reading) {
    json_t *object = json_object();
    for (int c = 0; c < WEIR_C_CUSTOM; c++) {
        const struct weir_counter_info *info = weir_counter_info(c);
        if (info->reading == reading)
            json_object_set_new(object, info->name, unit_json(info->unit, cell[c]));
    }
    for (size_t m = 0; m < config->metrics_len; m++) {
        const struct weir_metric *metric = &config->metrics[m];
        if (metric->reading != reading)
            continue;
        struct weir_ratio ratio = weir_metric_eval(metric, cell);
        json_object_set_new(object, metric->name,
                            isnan(ratio.value) ? json_null() : json_real(ratio.value));
    }
    return object;
}

static json_t *segment_json(struct weir_replay *r, uint32_t segment) {
    static const int64_t nothing[WEIR_COUNTERS];
    const int64_t *cell = weir_partition_total(r->partition, segment);
    json_t *object = json_object();
    cell = cell ? cell : nothing;
    json_object_set_new(object, "live", reading_json(r->config, cell, WEIR_LIVE));
    json_object_set_new(object, "settled", reading_json(r->config, cell, WEIR_SETTLED));
    return object;
}

static json_t *dimension_json(struct weir_replay *r, uint32_t dimension) {
    json_t *values = json_object();
    for (uint32_t v = 0; v < weir_partition_values(r->partition, dimension); v++) {
        uint32_t segment = weir_segment(dimension, v);
        if (!weir_partition_total(r->partition, segment))
            continue;
        struct weir_str text = weir_partition_value(r->partition, dimension, v);
        char name[WEIR_DIMENSION_VALUE_MAX + 1];
        memcpy(name, text.data, text.len);
        name[text.len] = '\0';
        json_object_set_new(values, name, segment_json(r, segment));
    }
    return values;
}

static void put_quantiles(struct weir_replay *r, json_t *settled) {
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"session_duration.p50", 0.5},
                     {"session_duration.p90", 0.9},
                     {"session_duration.p99", 0.99}};
    const int64_t *bins = weir_partition_durations(r->partition);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double ms = weir_sketch_quantile(bins, quantiles[i].q);
        json_object_set_new(settled, quantiles[i].name,
                            isnan(ms) ? json_null() : json_real(ms / 1000));
    }
}

static json_t *summary(struct weir_replay *r) {
    struct weir_partition_status status;
    json_t *object = json_object(), *reasons = json_object(), *segments = json_object();
    weir_partition_status(r->partition, &status);
    json_object_set_new(object, "records", json_integer((json_int_t)status.records));
    json_object_set_new(object, "events", json_integer((json_int_t)status.events));
    for (int reason = WEIR_OK + 1; reason < WEIR_LATE; reason++)
        json_object_set_new(reasons, weir_reason_name((enum weir_reason)reason),
                            json_integer((json_int_t)status.rejected[reason]));
    json_object_set_new(object, "dead_letters", reasons);
    json_object_set_new(object, "late", json_integer((json_int_t)status.late));
    json_t *total = segment_json(r, 0);
    json_t *settled = json_object_get(total, "settled");
    put_quantiles(r, settled);
    json_object_update(object, total);
    json_decref(total);
    for (uint32_t d = 0; d < r->config->plan.dimensions_len; d++)
        json_object_set_new(segments, r->config->dimension_names[d], dimension_json(r, d));
    json_object_set_new(object, "segments", segments);
    return object;
}

int weir_replay_summary_json(struct weir_replay *r, FILE *out) {
    json_t *object = summary(r);
    int failed = json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS));
    json_decref(object);
    return failed || fputc('\n', out) == EOF || fflush(out) != 0 ? -1 : 0;
}

static void print_ratio(FILE *out, const char *name, const int64_t *cell,
                        const struct weir_metric *metric) {
    struct weir_ratio ratio = weir_metric_eval(metric, cell);
    char num[WEIR_NUMBER_MAX], den[WEIR_NUMBER_MAX];
    weir_unit_text(num, metric->num_unit, ratio.num);
    weir_unit_text(den, metric->den_unit, ratio.den);
    if (isnan(ratio.value))
        fprintf(out, "  %-32s %12s\n", name, "-");
    else
        fprintf(out, "  %-32s %12.6f   %s / %s\n", name, ratio.value, num, den);
}

static void print_reading(struct weir_replay *r, FILE *out, const int64_t *cell,
                          enum weir_reading reading) {
    fprintf(out, "%s\n", reading == WEIR_LIVE ? "live" : "settled");
    for (int c = 0; c < WEIR_C_CUSTOM; c++) {
        const struct weir_counter_info *info = weir_counter_info(c);
        char number[WEIR_NUMBER_MAX];
        if (info->reading != reading || cell[c] == 0)
            continue;
        weir_unit_text(number, info->unit, cell[c]);
        fprintf(out, "  %-32s %12s\n", info->name, number);
    }
    for (size_t m = 0; m < r->config->metrics_len; m++)
        if (r->config->metrics[m].reading == reading)
            print_ratio(out, r->config->metrics[m].name, cell, &r->config->metrics[m]);
}

int weir_replay_summary_text(struct weir_replay *r, FILE *out) {
    static const int64_t nothing[WEIR_COUNTERS];
    struct weir_partition_status status;
    const int64_t *cell = weir_partition_total(r->partition, 0);
    weir_partition_status(r->partition, &status);
    fprintf(out, "records %llu, events %llu, late %llu\n", (unsigned long long)status.records,
            (unsigned long long)status.events, (unsigned long long)status.late);
    for (int reason = WEIR_OK + 1; reason < WEIR_LATE; reason++)
        if (status.rejected[reason] > 0)
            fprintf(out, "  not counted: %s %llu\n", weir_reason_name((enum weir_reason)reason),
                    (unsigned long long)status.rejected[reason]);
    print_reading(r, out, cell ? cell : nothing, WEIR_LIVE);
    print_reading(r, out, cell ? cell : nothing, WEIR_SETTLED);
    return fflush(out) != 0 ? -1 : 0;
}
