/*
 * bench_evaluator: what the evaluator's step costs over 24 hours of windows.
 *
 *     bench_evaluator --config FILE [--minutes N] [--per-minute N] [--slides N]
 *
 * 8 partitions commit `minutes` of event time to Redis, `per-minute` events in each of them, four
 * dimensions with 1,000 values each, all as frequent. Then the evaluator itself starts, in this
 * process, and takes one slide of 10 s after the other. The config names Redis, one topic and four
 * dimensions. One line of JSON; ms of a step are those that /metrics shows, Redis included, and
 * then the medians of its stages (see enum weir_stage); `send` is nearly all Redis's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/evaluator.h"
#include "app/store.h"
#include "common.h"
#include "shop.h"
#include "weir/clock.h"
#include "weir/log.h"

enum { PARTITIONS = 8, SLIDES_MAX = 10000, TIMEOUT_MS = 60000, COMMIT_MINUTES = 10 };
enum { SLIDE_MS = 10000, WAIT_MAX_MS = 120000 };
static const char program[] = "bench_evaluator";

struct bench {
    struct weir_config *config;
    struct weir_redis *redis;
    struct weir_store *store;
    struct weir_evaluator *evaluator;
    long per_minute;
    struct {
        struct shop *shop;
        struct weir_partition *state;
        struct weir_claim claim;
    } parts[PARTITIONS];
};

static void feed(struct bench *bench, int p, int64_t until_ms) {
    struct shop *shop = bench->parts[p].shop;
    while (shop->time_us / 1000 < until_ms) {
        int64_t left = (until_ms * 1000 - shop->time_us + shop->step_us - 1) / shop->step_us;
        long len = left < SHOP_BATCH ? (long)left : SHOP_BATCH;
        shop_make(shop, len);
        shop_apply(bench->parts[p].state, shop->events, len);
    }
}

static void commit(struct bench *bench, int64_t until_ms) {
    const struct weir_liveness live = {.wall_ms = weir_clock_wall_ms()};
    struct weir_err err = {0};
    for (int p = 0; p < PARTITIONS; p++) {
        enum weir_commit_result result = WEIR_COMMITTED;
        bool sent = false;
        feed(bench, p, until_ms);
        bench_check(program,
                    weir_store_commit(bench->store, &bench->parts[p].claim, bench->parts[p].state,
                                      &live, &sent, &err),
                    &err);
        if (sent)
            bench_check(program,
                        weir_store_committed(bench->store, bench->parts[p].state, &result, &err),
                        &err);
    }
}

/* Until the evaluator has published that time, in one more step than `steps`. */
static struct weir_evaluator_figures await(struct bench *bench, int64_t as_of_ms, uint64_t steps) {
    struct weir_evaluator_figures figures = {0};
    struct weir_err err = {0};
    int64_t end_us = weir_clock_monotonic_us() + (int64_t)WAIT_MAX_MS * 1000;
    do {
        weir_clock_sleep_ms(5);
        weir_evaluator_figures(bench->evaluator, &figures);
    } while ((figures.as_of_ms < as_of_ms || figures.steps <= steps) &&
             weir_clock_monotonic_us() < end_us);
    if (figures.as_of_ms < as_of_ms || figures.steps <= steps)
        bench_check(program, weir_err_set(&err, WEIR_ERR_UNREACHABLE, "the evaluator stands still"),
                    &err);
    return figures;
}

static void measure(struct bench *bench, long minutes, long slides) {
    static double step_ms[SLIDES_MAX], stage_ms[WEIR_STAGES][SLIDES_MAX];
    struct weir_err err = {0};
    int64_t at_ms = SHOP_START_MS;
    for (long minute = 0; minute < minutes; minute += COMMIT_MINUTES)
        commit(bench, at_ms += (int64_t)COMMIT_MINUTES * 60000);
    double before_bytes = bench_resident_bytes();
    bench_check(program, weir_evaluator_start(&bench->evaluator, bench->config, &err), &err);
    struct weir_evaluator_figures last = await(bench, at_ms - SLIDE_MS, 0);
    double first_ms = (double)last.step_us_sum / 1000;
    for (long i = 0; i < slides; i++) {
        commit(bench, at_ms += SLIDE_MS);
        struct weir_evaluator_figures now = await(bench, at_ms - SLIDE_MS, last.steps);
        step_ms[i] = (double)(now.step_us_sum - last.step_us_sum) / 1000;
        for (int s = 0; s < WEIR_STAGES; s++)
            stage_ms[s][i] = (double)(now.stage_us_sum[s] - last.stage_us_sum[s]) / 1000;
        last = now;
    }
    bench_sort(step_ms, (size_t)slides);
    for (int s = 0; s < WEIR_STAGES; s++)
        bench_sort(stage_ms[s], (size_t)slides);
    printf("{\"ms\":[%.3f,%.3f,%.3f],\"first_ms\":%.1f,\"memory_bytes\":%llu,"
           "\"resident_bytes\":%.0f,\"segments\":%u,\"partitions\":%u,"
           "\"gather_ms\":%.3f,\"sum_ms\":%.3f,\"write_ms\":%.3f,\"send_ms\":%.3f}\n",
           step_ms[0], step_ms[slides / 2], step_ms[slides - 1], first_ms,
           (unsigned long long)last.memory_bytes, bench_resident_bytes() - before_bytes,
           last.segments, last.partitions, stage_ms[WEIR_STAGE_GATHER][slides / 2],
           stage_ms[WEIR_STAGE_SUM][slides / 2], stage_ms[WEIR_STAGE_WRITE][slides / 2],
           stage_ms[WEIR_STAGE_SEND][slides / 2]);
    weir_evaluator_stop(bench->evaluator);
}

static void open_parts(struct bench *bench) {
    const char *topic = bench->config->kafka.topics[0];
    struct weir_err err = {0};
    bench_check(program, weir_redis_new(&bench->redis, bench->config->redis_url, TIMEOUT_MS, &err),
                &err);
    bench_check(program,
                weir_store_new(&bench->store, bench->redis, bench->config->kafka.group, &err),
                &err);
    bench_check(program, weir_store_register(bench->store, topic, 0, PARTITIONS, &err), &err);
    for (int p = 0; p < PARTITIONS; p++) {
        struct shop *shop =
            shop_open(bench->per_minute, 60000000 / bench->per_minute, (uint64_t)p + 1);
        shop->wide = true;
        bench->parts[p].shop = shop;
        bench->parts[p].state = weir_partition_new(&bench->config->plan);
        bench_check(program,
                    weir_store_claim(bench->store, topic, p, bench->config->plan.fingerprint,
                                     bench->parts[p].state, &bench->parts[p].claim, &err),
                    &err);
        weir_partition_start_at(bench->parts[p].state, 0);
    }
}

int main(int argc, char **argv) {
    struct bench bench = {.per_minute = 2000};
    const char *path = "";
    long minutes = 1440, slides = 30;
    const struct bench_option options[] = {
        {"config", &path, NULL, 0, 0},
        {"minutes", NULL, &minutes, 10, 100000},
        {"per-minute", NULL, &bench.per_minute, 1, 1000000},
        {"slides", NULL, &slides, 1, SLIDES_MAX},
    };
    bench_options(program, argc, argv, options, sizeof options / sizeof *options);
    if (weir_config_load_or_say(&bench.config, path) != 0)
        return 1;
    weir_log_setup(WEIR_LOG_WARN, bench.config->log_format);
    open_parts(&bench);
    measure(&bench, minutes, slides);
    for (int p = 0; p < PARTITIONS; p++) {
        weir_partition_free(bench.parts[p].state);
        shop_close(bench.parts[p].shop);
    }
    weir_store_free(bench.store);
    weir_redis_free(bench.redis);
    weir_config_free(bench.config);
    return 0;
}
