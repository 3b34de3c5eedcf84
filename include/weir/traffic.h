/*
 * traffic: a made-up shop's stream of events, with incidents and faults whose truth is known.
 *
 * Purpose: seed and options in, records out, for demos, benches and for scoring detection. Session
 * starts are a Poisson process with a daily cycle; every session then walks a Markov chain whose
 * probabilities depend on its segment (the numbers are one table, src/core/traffic_table.c).
 * Every session draws from a generator of its own, so an incident that lowers something changes no
 * byte of a session outside its segment. The same options give the same bytes on any machine with
 * IEEE arithmetic: exp and log are our own.
 *
 * Ownership: new/free for the heap. A record is valid until the next call. Strings in the options
 * are not kept. Thread: one at a time. No I/O, no clock. Nothing is allocated per event, except
 * for a record that a fault holds back.
 * Limits: WEIR_TRAFFIC_SESSIONS_MAX sessions at once, WEIR_TRAFFIC_HELD_MAX records held back,
 * WEIR_TRAFFIC_INCIDENTS_MAX incidents. Units: event time in ms since 1970 UTC, money in cents,
 * shares 0..1. Errors: -WEIR_ERR_USAGE for a malformed text, -WEIR_ERR_INPUT for a limit.
 */
#ifndef WEIR_TRAFFIC_H
#define WEIR_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"
#include "weir/event.h"

#define WEIR_TRAFFIC_DIMENSIONS 4            /* device, country, channel, category */
#define WEIR_TRAFFIC_INCIDENTS_MAX 64        /* of one run */
#define WEIR_TRAFFIC_LINE_MAX 1024           /* bytes of a record; about 430 on average */
#define WEIR_TRAFFIC_KEY_LEN 36              /* bytes of a session id, the record's key */
#define WEIR_TRAFFIC_SESSIONS_MAX (1u << 24) /* open at once: 1 GiB of state */
#define WEIR_TRAFFIC_HELD_MAX (1u << 20)     /* records that faults hold back at once */
#define WEIR_TRAFFIC_GAP_MAX_MS 1200000      /* no session is silent for longer: 20 min */
#define WEIR_TRAFFIC_RATE_MIN 0.001          /* sessions a second, mean of the week */
#define WEIR_TRAFFIC_RATE_MAX 200000.0
#define WEIR_TRAFFIC_START_MAX_MS 32472144000000 /* 2999-01-01: a year before the end of time */
#define WEIR_TRAFFIC_EVENTS_PER_SESSION 4.31 /* what --rate divides by; a test holds it to 2 % */

/* What an incident changes, and where: the probability that is drawn at ... */
enum weir_traffic_metric {
    WEIR_TRAFFIC_CONVERSION, /* the end of a checkout: bought or not (the payment fails) */
    WEIR_TRAFFIC_CHECKOUT,   /* the end of browsing with a cart: a checkout is begun or not */
    WEIR_TRAFFIC_CART,       /* a product view: put into the cart or not */
    WEIR_TRAFFIC_VISITS,     /* the start of a session: it comes or not; its name is "traffic" */
    WEIR_TRAFFIC_BOUNCE,     /* the landing page: left at once or not */
    WEIR_TRAFFIC_VALUE,      /* the purchase: not a probability, its value is multiplied */
    WEIR_TRAFFIC_METRICS
};

enum weir_traffic_shape {
    WEIR_TRAFFIC_STEP, /* in full from start to end */
    WEIR_TRAFFIC_RAMP, /* grows from nothing to full at its end; without an end over 30 min */
    WEIR_TRAFFIC_DIP,  /* grows until its middle, then falls back; needs a duration */
    WEIR_TRAFFIC_SHAPES
};

struct weir_traffic_incident {
    enum weir_traffic_metric metric;
    enum weir_traffic_shape shape;
    double change;            /* at full size, relative: -0.8 takes 80 % away, 0.5 adds half */
    int64_t start_ms, end_ms; /* [start, end); INT64_MAX: to the end of the run */
    int segment[WEIR_TRAFFIC_DIMENSIONS]; /* index of the dimension's value, -1: any */
};

/* "device", "country" ...; its n-th value, NULL beyond the last. */
const char *weir_traffic_dimension(int dimension);
const char *weir_traffic_value(int dimension, int value);
const char *weir_traffic_metric_name(enum weir_traffic_metric metric);
const char *weir_traffic_shape_name(enum weir_traffic_shape shape);
/* How much of the change is there at a time: 0 outside, 1 at full size. */
double weir_traffic_strength(const struct weir_traffic_incident *incident, int64_t time_ms);

/* The grammar, for usage texts. */
#define WEIR_TRAFFIC_INCIDENT_GRAMMAR                                                              \
    "metric=conversion|checkout|cart|traffic|bounce|value"                                         \
    "[,segment=DIMENSION:VALUE[+DIMENSION:VALUE]...],size=[+|-]N%,start=OFFSET|TIME"               \
    "[,duration=D][,shape=step|ramp|dip]"
#define WEIR_TRAFFIC_FAULTS_GRAMMAR "late=N%,delayed=N%,disorder=N%,duplicates=N%,malformed=N%"

/* Reads one SPEC. A size without a sign is against the shop: bounce rises, all else falls; a fall
 * is at most 100 %, a rise at most 1000 %. An OFFSET is a duration after origin_ms. */
int weir_traffic_incident_parse(struct weir_traffic_incident *incident, const char *spec,
                                int64_t origin_ms, struct weir_err *err);
/* "500ms", "90s", "30m", "24h", "7d", at most 10 years. 0, or -1 when it is none. */
int weir_traffic_duration_parse(const char *text, size_t len, int64_t *duration_ms);

/* Shares of the events, each 0..1. */
enum weir_traffic_fault {
    WEIR_TRAFFIC_LATE,       /* comes 11 to 15 min after its time: behind the allowed lateness */
    WEIR_TRAFFIC_DELAYED,    /* 10 s to 9 min: behind the watermark, still to be counted */
    WEIR_TRAFFIC_DISORDER,   /* up to 4 s: within the out-of-orderness */
    WEIR_TRAFFIC_DUPLICATES, /* comes a second time up to 30 s later */
    WEIR_TRAFFIC_MALFORMED,  /* a bad record besides the event: the good ones stay complete */
    WEIR_TRAFFIC_FAULTS
};
const char *weir_traffic_fault_name(enum weir_traffic_fault fault);
/* Reads "late=1%,disorder=5%" into WEIR_TRAFFIC_FAULTS shares; what is not named stays. */
int weir_traffic_faults_parse(double *shares, const char *spec, struct weir_err *err);

struct weir_traffic_options {
    uint64_t seed;              /* below 2^63 */
    int64_t start_ms;           /* the first event is at or after it */
    int64_t duration_ms;        /* of event time; 0: no end */
    uint64_t events_max;        /* 0: no end; duplicates and malformed records not counted */
    int64_t warm_up_ms;         /* sessions begin this much before start_ms, unseen until then */
    double sessions_per_second; /* mean of the week, bots included */
    bool level;                 /* no daily cycle and no weekend */
    const struct weir_traffic_incident *incidents; /* copied */
    size_t incidents_len;
    double faults[WEIR_TRAFFIC_FAULTS];
};

struct weir_traffic_record {
    int64_t time_ms;  /* event time */
    int64_t at_ms;    /* when it is to be sent: later than its time when it is held back */
    const char *key;  /* the session id, WEIR_TRAFFIC_KEY_LEN bytes, no NUL */
    const char *line; /* JSON in preset weir's form and "\n", no NUL */
    size_t len;       /* with the "\n" */
};

struct weir_traffic;
/* Checks the options: -WEIR_ERR_USAGE for one outside its limits. Takes some 9 MiB. */
int weir_traffic_new(struct weir_traffic **traffic, const struct weir_traffic_options *options,
                     struct weir_err *err);
void weir_traffic_free(struct weir_traffic *traffic);

/* 1 and the next record in the order of at_ms, 0 at the end, or -WEIR_ERR_INPUT when a limit is
 * reached (err says which option to lower). */
int weir_traffic_next(struct weir_traffic *traffic, struct weir_traffic_record *record,
                      struct weir_err *err);
/* No more events: what is held back still comes, then the end. */
void weir_traffic_stop(struct weir_traffic *traffic);

/* What came out, bots apart. A session counts when it starts, all else when its event comes. */
struct weir_traffic_counts {
    uint64_t sessions, bounced, page_views;
    uint64_t carts, converted; /* sessions with a first add_to_cart, with a first purchase */
    uint64_t checkouts, purchases, refunds;
    int64_t revenue_cents; /* purchases, refunds not taken off */
};
/* What an incident did to the draws of its metric in its time and segment. Without it `without` of
 * them would have come true, with it `actual` did. Value: orders drawn, the rest in cents. */
struct weir_traffic_effect {
    uint64_t draws;
    double expected; /* the sum of the probabilities without it */
    double without, actual;
    struct weir_traffic_counts seen; /* all that happened in its time and segment */
};
struct weir_traffic_totals {
    struct weir_traffic_counts counts;
    uint64_t events, bot_sessions, bot_events;
    uint64_t sessions_before;          /* open at start_ms, from the warm-up */
    uint64_t types[WEIR_UNKNOWN_TYPE]; /* events by type, bots included */
    uint64_t faults[WEIR_TRAFFIC_FAULTS];
    uint64_t malformed[WEIR_REASONS]; /* the malformed ones by the reason to be counted */
    int64_t last_ms;                  /* event time of the last event, 0: none yet */
};
const struct weir_traffic_totals *weir_traffic_totals(const struct weir_traffic *traffic);
const struct weir_traffic_effect *weir_traffic_effect(const struct weir_traffic *traffic,
                                                      size_t incident);
/* The cycle's height at a time; 1 is the mean of the week. */
double weir_traffic_cycle(int64_t time_ms);

/* The truth as JSON text, to be freed with free(); NULL when memory is out. */
char *weir_traffic_truth(const struct weir_traffic *traffic);

#endif
