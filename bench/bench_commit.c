/*
 * bench_commit: how long a commit to Redis takes, by the number of open sessions.
 *
 *     bench_commit --redis URL [--sessions N] [--events N] [--commits N]
 *
 * 8 partitions hold `sessions` open ones; `events` of theirs come between two commits, 10 s of
 * event time. As app/commit does it: all partitions are sent before the first answer is read. One
 * line of JSON: minimum, median and maximum in ms, and the bytes of one commit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "app/store.h"
#include "common.h"
#include "shop.h"
#include "weir/clock.h"

enum { PARTITIONS = 8, COMMITS_MAX = 10000, SLIDE_US = 10000000, TIMEOUT_MS = 60000 };
static const char program[] = "bench_commit";

struct part {
    struct shop *shop;
    struct weir_partition *state;
    struct weir_claim claim;
    bool sent;
};

static void feed(struct part *part, long events) {
    for (long done = 0; done < events; done += SHOP_BATCH) {
        long len = events - done < SHOP_BATCH ? events - done : SHOP_BATCH;
        shop_make(part->shop, len);
        shop_apply(part->state, part->shop->events, len);
    }
}

static double commit(struct weir_store *store, struct part *parts) {
    const struct weir_liveness live = {.wall_ms = weir_clock_wall_ms()};
    struct weir_err err = {0};
    int64_t start_us = weir_clock_monotonic_us();
    for (int p = 0; p < PARTITIONS; p++)
        bench_check(
            program,
            weir_store_commit(store, &parts[p].claim, parts[p].state, &live, &parts[p].sent, &err),
            &err);
    for (int p = 0; p < PARTITIONS; p++) {
        enum weir_commit_result result = WEIR_COMMITTED;
        if (parts[p].sent)
            bench_check(program, weir_store_committed(store, parts[p].state, &result, &err), &err);
        if (result != WEIR_COMMITTED)
            bench_check(program, weir_err_set(&err, WEIR_ERR_REFUSED, "a commit was refused"),
                        &err);
    }
    return (double)(weir_clock_monotonic_us() - start_us) / 1000;
}

static void measure(struct weir_store *store, struct part *parts, long events, long commits) {
    static double took_ms[COMMITS_MAX];
    struct weir_partition_status status;
    long open = 0;
    commit(store, parts);
    uint64_t before = weir_store_bytes(store);
    for (long i = 0; i < commits; i++) {
        for (int p = 0; p < PARTITIONS; p++)
            feed(&parts[p], events / PARTITIONS);
        took_ms[i] = commit(store, parts);
    }
    for (int p = 0; p < PARTITIONS; p++) {
        weir_partition_status(parts[p].state, &status);
        open += status.open_sessions;
    }
    bench_sort(took_ms, (size_t)commits);
    printf("{\"ms\":[%.3f,%.3f,%.3f],\"bytes\":%.0f,\"open_sessions\":%ld}\n", took_ms[0],
           took_ms[commits / 2], took_ms[commits - 1],
           (double)(weir_store_bytes(store) - before) / (double)commits, open);
}

int main(int argc, char **argv) {
    const char *url = "";
    long sessions = 100000, events = 50000, commits = 30;
    const struct bench_option options[] = {
        {"redis", &url, NULL, 0, 0},
        {"sessions", NULL, &sessions, PARTITIONS, 100000000},
        {"events", NULL, &events, PARTITIONS, 100000000},
        {"commits", NULL, &commits, 1, COMMITS_MAX},
    };
    bench_options(program, argc, argv, options, sizeof options / sizeof *options);
    struct weir_plan plan = shop_plan();
    struct weir_redis *redis = NULL;
    struct weir_store *store = NULL;
    struct part parts[PARTITIONS] = {0};
    struct weir_err err = {0};
    bench_check(program, weir_redis_new(&redis, url, TIMEOUT_MS, &err), &err);
    bench_check(program, weir_store_new(&store, redis, "bench", &err), &err);
    for (int p = 0; p < PARTITIONS; p++) {
        parts[p].state = weir_partition_new(&plan);
        parts[p].shop =
            shop_open(sessions / PARTITIONS, SLIDE_US / (events / PARTITIONS), (uint64_t)p + 1);
        parts[p].shop->fixed = true;
        bench_check(program,
                    weir_store_claim(store, "commits", p, 1, parts[p].state, &parts[p].claim, &err),
                    &err);
        weir_partition_start_at(parts[p].state, 0);
        feed(&parts[p], sessions / PARTITIONS);
    }
    measure(store, parts, events, commits);
    for (int p = 0; p < PARTITIONS; p++) {
        weir_partition_free(parts[p].state);
        shop_close(parts[p].shop);
    }
    weir_store_free(store);
    weir_redis_free(redis);
    return 0;
}
