/*
 * bench_step: what one event costs after it is decoded: the key, the step, its share of a commit,
 * and its share of the merge of the partition's buckets into the windows.
 *
 *     bench_step [--events N] [--sessions N] [--commit N] [--gap SECONDS] [--rounds N]
 *                [--step US] [--warm N] [--json 1]
 *
 * The events are those of shop.h, one every --step us of event time; --warm events come first and
 * are not measured. CPU time of the thread, minimum, median and maximum over the rounds. The last
 * line is a hash of every byte that was exported: it must not change with a change for speed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common.h"
#include "shop.h"
#include "weir/rollup.h"

#define ROUNDS_MAX 99

enum stage { PREPARE_AND_APPLY, EXPORT, COMMITTED, MERGE, STAGES };
static const char *const stage_names[STAGES] = {"prepare and apply", "export", "committed",
                                                "merge"};

struct options {
    long events, sessions, commit, gap_s, rounds, step_us, warm, json;
};

struct run {
    double ns[STAGES];
    struct weir_partition_status status;
    uint64_t hash;
    size_t bytes;
    double resident_bytes; /* of the partition at its end */
    struct weir_rollup *rollup;
    uint32_t number;
};

/* As app/gather does it with what it reads from Redis. */
static void merge(struct run *run, const struct weir_changes *changes, int64_t watermark_ms) {
    double start_ns = bench_thread_ns();
    int failed = 0;
    for (size_t i = 0; i < changes->len; i++) { /* what buckets use must be known before */
        const struct weir_change *item = &changes->items[i];
        if (item->key[0] == 'v')
            failed |= weir_rollup_values(run->rollup, run->number,
                                         (uint32_t)strtoul(item->key + 2, NULL, 10),
                                         changes->bytes + item->at, item->len);
    }
    for (size_t i = 0; i < changes->len; i++) {
        const struct weir_change *item = &changes->items[i];
        char *index = NULL;
        if (item->touched_level < 0)
            continue;
        long level = strtol(item->key + 2, &index, 10);
        failed |=
            weir_rollup_bucket(run->rollup, run->number, (int)level, strtoll(index + 1, NULL, 10),
                               changes->bytes + item->at, item->remove ? 0 : item->len);
    }
    if (failed)
        exit(1);
    weir_rollup_advance(run->rollup, watermark_ms);
    run->ns[MERGE] += bench_thread_ns() - start_ns;
}

/* As in shop.c: not for the optimiser. */
static int (*volatile export)(struct weir_partition *, struct weir_changes *,
                              struct weir_err *) = weir_partition_export;
static void (*volatile committed)(struct weir_partition *) = weir_partition_committed;

static void commit(struct weir_partition *partition, struct run *run) {
    struct weir_changes changes;
    struct weir_err err;
    double start_ns = bench_thread_ns();
    if (export(partition, &changes, &err) != 0)
        exit(1);
    run->ns[EXPORT] += bench_thread_ns() - start_ns;
    run->hash = shop_mix(run->hash ^ XXH3_64bits(changes.bytes, changes.bytes_len));
    run->hash = shop_mix(run->hash ^ XXH3_64bits(changes.meta, changes.meta_len));
    run->bytes += changes.bytes_len + changes.meta_len;
    merge(run, &changes, changes.watermark_ms);
    start_ns = bench_thread_ns();
    committed(partition);
    run->ns[COMMITTED] += bench_thread_ns() - start_ns;
}

static void feed(struct shop *shop, struct weir_partition *partition, struct run *run, long events,
                 long every) {
    for (long done = 0, due = every; done < events;) {
        long len = events - done < SHOP_BATCH ? events - done : SHOP_BATCH;
        shop_make(shop, len);
        double start_ns = bench_thread_ns();
        shop_apply(partition, shop->events, len);
        run->ns[PREPARE_AND_APPLY] += bench_thread_ns() - start_ns;
        done += len;
        if (done >= due || done == events) {
            commit(partition, run);
            due = done + every;
        }
    }
}

static struct run measure(const struct options *options, const struct weir_plan *plan) {
    struct run run = {0};
    struct shop *shop = shop_open(options->sessions, options->step_us, 0);
    double before_bytes = bench_resident_bytes();
    struct weir_partition *partition = weir_partition_new(plan);
    run.rollup = weir_rollup_new(plan);
    if (!partition || !run.rollup)
        exit(1);
    run.number = weir_rollup_add_partition(run.rollup);
    feed(shop, partition, &run, options->warm, options->commit);
    memset(run.ns, 0, sizeof run.ns);
    run.bytes = 0;
    feed(shop, partition, &run, options->events, options->commit);
    run.resident_bytes =
        bench_resident_bytes() - before_bytes - (double)weir_rollup_memory(run.rollup);
    weir_partition_status(partition, &run.status);
    weir_partition_free(partition);
    weir_rollup_free(run.rollup);
    shop_close(shop);
    return run;
}

static void print(const struct options *options, double ns[STAGES][ROUNDS_MAX],
                  const struct run *run) {
    size_t rounds = (size_t)options->rounds;
    for (int stage = 0; stage < STAGES; stage++) {
        double *values = ns[stage];
        bench_sort(values, rounds);
        if (options->json)
            printf("%s\"%s\":[%.1f,%.1f,%.1f]", stage == 0 ? "{" : ",", stage_names[stage],
                   values[0], values[rounds / 2], values[rounds - 1]);
        else
            printf("%s: %.1f ns/event (median %.1f, maximum %.1f)\n", stage_names[stage], values[0],
                   values[rounds / 2], values[rounds - 1]);
    }
    double bytes = (double)run->bytes / (double)options->events;
    if (options->json)
        printf(",\"open_sessions\":%u,\"exported_bytes\":%.1f,\"resident_bytes\":%.0f,"
               "\"memory_bytes\":%zu}\n",
               run->status.open_sessions, bytes, run->resident_bytes, run->status.memory_bytes);
    else
        printf("%ld events, %llu counted, %u sessions open, %.1f bytes/event exported, "
               "hash %016llx\n",
               options->events, (unsigned long long)run->status.events, run->status.open_sessions,
               bytes, (unsigned long long)run->hash);
}

int main(int argc, char **argv) {
    struct options options = {1000000, 100000, 50000, 300, 5, 1000, 0, 0};
    const struct bench_option names[] = {
        {"events", NULL, &options.events, 1, 1000000000},
        {"sessions", NULL, &options.sessions, 1, 100000000},
        {"commit", NULL, &options.commit, 1, 1000000000},
        {"gap", NULL, &options.gap_s, 1, 86400},
        {"rounds", NULL, &options.rounds, 1, ROUNDS_MAX},
        {"step", NULL, &options.step_us, 1, 1000000},
        {"warm", NULL, &options.warm, 0, 1000000000},
        {"json", NULL, &options.json, 0, 1},
    };
    bench_options("bench_step", argc, argv, names, sizeof names / sizeof *names);
    struct weir_plan plan = shop_plan();
    plan.gap_ms = options.gap_s * 1000;
    plan.values_max = 1000;
    static double ns[STAGES][ROUNDS_MAX];
    struct run run = {0};
    for (long round = 0; round < options.rounds; round++) {
        run = measure(&options, &plan);
        for (int stage = 0; stage < STAGES; stage++)
            ns[stage][round] = run.ns[stage] / (double)options.events;
    }
    print(&options, ns, &run);
    return 0;
}
