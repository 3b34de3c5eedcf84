/* What is said of a window or a segment: the fields of its hash. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "weir/number.h"

static void set_name(struct weir_field_name *name, enum weir_reading reading, const char *stem,
                     const char *end) {
    const char *prefix = reading == WEIR_SETTLED ? "settled." : "";
    name->len = (size_t)snprintf(name->text, sizeof name->text, "%s%s%s", prefix, stem, end);
}

void weir_fields_begin(struct weir_evaluator *e) {
    for (int c = 0; c < WEIR_C_CUSTOM; c++) {
        const struct weir_counter_info *info = weir_counter_info(c);
        set_name(&e->names.counters[c], info->reading, info->name, "");
    }
    for (size_t m = 0; m < e->config->metrics_len; m++) {
        const struct weir_metric *metric = &e->config->metrics[m];
        set_name(&e->names.metrics[m].value, metric->reading, metric->name, "");
        set_name(&e->names.metrics[m].num, metric->reading, metric->name, ".num");
        set_name(&e->names.metrics[m].den, metric->reading, metric->name, ".den");
    }
}

static void put_name(struct weir_redis_hash *hash, const struct weir_field_name *name) {
    weir_redis_hash_text(hash, name->text, name->len);
}

static void put_whole(struct weir_redis_hash *hash, const char *name, int64_t number) {
    weir_redis_hash_text(hash, name, strlen(name));
    weir_redis_hash_whole(hash, number);
}

static void put_text(struct weir_redis_hash *hash, const char *name, const char *text) {
    weir_redis_hash_text(hash, name, strlen(name));
    weir_redis_hash_text(hash, text, strlen(text));
}

static void put_side(struct weir_redis_hash *hash, const struct weir_field_name *name,
                     enum weir_unit unit, int64_t value) {
    char number[WEIR_NUMBER_MAX];
    put_name(hash, name);
    if (unit == WEIR_UNIT_COUNT)
        weir_redis_hash_whole(hash, value);
    else
        weir_redis_hash_text(hash, number, (size_t)weir_unit_text(number, unit, value));
}

static void put_cell(struct weir_evaluator *e, const int64_t *cell) {
    struct weir_redis_hash *hash = &e->hash;
    for (int c = 0; c < WEIR_C_CUSTOM; c++)
        put_side(hash, &e->names.counters[c], weir_counter_info(c)->unit, cell[c]);
    for (size_t m = 0; m < e->config->metrics_len; m++) {
        const struct weir_metric *metric = &e->config->metrics[m];
        const struct weir_metric_names *names = &e->names.metrics[m];
        struct weir_ratio ratio = weir_metric_eval(metric, cell);
        if (!isnan(ratio.value)) {
            char number[64];
            put_name(hash, &names->value);
            weir_redis_hash_text(
                hash, number, (size_t)weir_number_put_fraction(number, sizeof number, ratio.value));
        }
        put_side(hash, &names->num, metric->num_unit, ratio.num);
        put_side(hash, &names->den, metric->den_unit, ratio.den);
    }
    put_whole(hash, "sample", cell[WEIR_C_SESSIONS]);
}

static void put_head(struct weir_evaluator *e, uint32_t window) {
    int64_t partitions = 0;
    for (size_t i = 0; i < e->members_len; i++)
        partitions += e->members[i].has_state;
    put_whole(&e->hash, "as_of", weir_rollup_as_of(e->rollup, window));
    put_whole(&e->hash, "computed_at", e->wall_ms);
    put_whole(&e->hash, "partitions", partitions);
}

void weir_fields_segment(struct weir_evaluator *e, uint32_t window, const int64_t *cell) {
    weir_redis_hash_begin(&e->hash);
    put_head(e, window);
    put_cell(e, cell);
    weir_redis_hash_end(&e->hash);
}

void weir_fields_total(struct weir_evaluator *e, uint32_t window) {
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"settled.session_duration.p50", 0.5},
                     {"settled.session_duration.p90", 0.9},
                     {"settled.session_duration.p99", 0.99}};
    char number[64];
    weir_redis_hash_begin(&e->hash);
    put_head(e, window);
    put_cell(e, weir_rollup_cell(e->rollup, window, 0));
    snprintf(number, sizeof number, "%.0f", weir_rollup_visitors(e->rollup, window));
    put_text(&e->hash, "visitors", number);
    const int64_t *bins = weir_rollup_durations(e->rollup, window);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double ms = weir_sketch_quantile(bins, quantiles[i].q);
        if (isnan(ms))
            continue;
        snprintf(number, sizeof number, "%.3f", ms / 1000);
        put_text(&e->hash, quantiles[i].name, number);
    }
    weir_redis_hash_end(&e->hash);
}
