/*
 * metric: what is counted, and the ratios that are made of it. Two tables and an evaluation.
 *
 * A cell is the counters of one segment in one bucket or window: an array of WEIR_COUNTERS int64.
 * Counters only add, so a window is a sum of buckets and all data are a sum of partitions.
 * Every metric is (sum of counters, each with a sign) / (the same). Core: no I/O, no state.
 */
#ifndef WEIR_METRIC_H
#define WEIR_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"
#include "weir/event.h"

#define WEIR_CUSTOM_COUNTERS_MAX 16
#define WEIR_CUSTOM_METRICS_MAX 16
#define WEIR_METRICS_MAX (14 + WEIR_CUSTOM_METRICS_MAX) /* with the built-in ones */

/* The order is the stored format: append before WEIR_C_CUSTOM only, never reorder. The first eight
 * change with nearly every event and share one cache line. */
enum weir_counter {
    WEIR_C_EVENTS,     /* counted events of any type, bots excluded */
    WEIR_C_SESSION_MS, /* ms by which sessions grew */
    WEIR_C_PAGE_VIEWS,
    WEIR_C_INTERACTIONS,
    WEIR_C_SESSIONS,    /* sessions started */
    WEIR_C_ENGAGED,     /* sessions that became engaged */
    WEIR_C_ADD_TO_CART, /* events */
    WEIR_C_REMOVE_FROM_CART,
    WEIR_C_CARTS_CREATED, /* sessions whose cart became non-empty */
    WEIR_C_CARTS_EMPTIED, /* sessions whose cart was emptied before any purchase */
    WEIR_C_CARTS_BOUGHT,  /* sessions with a cart and a purchase */
    WEIR_C_CHECKOUTS,     /* sessions that began a checkout */
    WEIR_C_CONVERTED,     /* sessions that made their first purchase */
    WEIR_C_ORDERS,        /* purchases, an order id once in its session */
    WEIR_C_REVENUE,       /* micros, of those orders */
    WEIR_C_REFUNDS,
    WEIR_C_REFUNDED,     /* micros */
    WEIR_C_UNKNOWN,      /* events of an unknown type */
    WEIR_C_BOT_EVENTS,   /* kept apart from all else */
    WEIR_C_BOT_SESSIONS, /* sessions that passed bots.max_events_per_session */
    WEIR_C_S_SESSIONS,   /* settled: sessions that ended */
    WEIR_C_S_BOUNCED,
    WEIR_C_S_CONVERTED,
    WEIR_C_S_CARTS,
    WEIR_C_S_ABANDONED,
    WEIR_C_S_RECOVERED, /* abandoned carts whose visitor purchased within `recovery` */
    WEIR_C_S_DURATION_MS,
    WEIR_C_S_ORDERS,
    WEIR_C_S_REVENUE, /* micros */
    WEIR_C_EVICTED,   /* sessions ended early at sessions.max_open */
    WEIR_C_CUSTOM,    /* + n: the n-th counter of the custom metrics */
    WEIR_COUNTERS = WEIR_C_CUSTOM + WEIR_CUSTOM_COUNTERS_MAX
};

enum weir_unit { WEIR_UNIT_COUNT, WEIR_UNIT_MS, WEIR_UNIT_MICROS };
enum weir_reading { WEIR_LIVE, WEIR_SETTLED };

struct weir_counter_info {
    const char *name; /* as published; ms are published in seconds, micros in units */
    enum weir_unit unit;
    enum weir_reading reading;
    const char *help;
};
/* `counter` below WEIR_C_CUSTOM. */
const struct weir_counter_info *weir_counter_info(int counter);

/* One side of a ratio: the sum of sign x counter. */
struct weir_term {
    int8_t sign; /* +1, -1; 0 ends the list */
    uint8_t counter;
};

#define WEIR_TERMS_MAX 4
struct weir_metric {
    char name[64];
    enum weir_reading reading;
    enum weir_unit num_unit, den_unit;
    struct weir_term num[WEIR_TERMS_MAX], den[WEIR_TERMS_MAX];
    const char *help;
};

/* The built-in metrics of both readings. */
const struct weir_metric *weir_metrics_builtin(size_t *len);

/* A counter that a custom metric asks for: how an event of `type` adds to it. */
struct weir_custom_counter {
    int type; /* as in struct weir_event */
    enum { WEIR_COUNT_EVENTS, WEIR_SUM_VALUE, WEIR_SUM_QUANTITY } what;
};

/* A counter as a metric without a denominator: its value is the count, which is also its sample.
 * 0, or -1 when there is no counter of that name in the reading. */
int weir_metric_of_counter(struct weir_metric *metric, const char *name, enum weir_reading reading);

struct weir_ratio {
    int64_t num, den; /* in the metric's units: ms, micros or a count */
    double value;     /* in seconds, units or a count; NaN when den is 0 */
};
struct weir_ratio weir_metric_eval(const struct weir_metric *metric, const int64_t *cell);

/* Exact decimal text of a counter's or a side's value: 686516.000 s as "686516", 59442630000 micros
 * as "59442.63". `out` holds at least WEIR_NUMBER_MAX bytes; returns its length. */
#define WEIR_NUMBER_MAX 32
int weir_unit_text(char *out, enum weir_unit unit, int64_t value);
double weir_unit_number(enum weir_unit unit, int64_t value);

#endif
