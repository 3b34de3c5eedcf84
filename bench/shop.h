/*
 * shop: decoded events of a made-up shop, the same each time, for the benches after the decoder.
 *
 * `sessions` visits are under way at once, each of 4.3 events on average, one event every
 * `step_us` of event time, four dimensions with a few frequent values (`wide`: 1,000 values each,
 * all as frequent; `fixed`: the same visits for ever). Events are made a batch at a time, beside
 * the clock. The caller owns the shop; its events and their texts are valid until the next batch.
 * One thread.
 */
#ifndef WEIR_BENCH_SHOP_H
#define WEIR_BENCH_SHOP_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/partition.h"

#define SHOP_BATCH 512
#define SHOP_START_MS 1700000000000LL
#define SHOP_EVENTS_PER_SESSION 4.3
#define SHOP_WIDE 1000

struct shop_texts {
    char session[36], visitor[18], order[16];
};

struct shop {
    uint64_t random, next_session;
    uint64_t *sessions; /* under way */
    long sessions_len;
    int64_t time_us, step_us;
    bool wide, fixed;
    long first; /* visits that had their first event, in a fixed shop */
    struct weir_event events[SHOP_BATCH];
    struct shop_texts texts[SHOP_BATCH];
};

struct shop *shop_open(long sessions, int64_t step_us, uint64_t seed);
void shop_close(struct shop *shop);
/* The next `len` (up to SHOP_BATCH) events into shop->events. */
void shop_make(struct shop *shop, long len);
/* As app/worker does it: a few events lie between prepare and apply. */
void shop_apply(struct weir_partition *partition, const struct weir_event *events, long len);
/* Mixes 64 bits. */
uint64_t shop_mix(uint64_t x);
/* The default config's plan, with four dimensions. */
struct weir_plan shop_plan(void);

#endif
