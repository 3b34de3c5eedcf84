/*
 * plan: how to count, compiled from the config; the same for every partition of a group.
 *
 * Immutable once filled, so it is shared between threads. Its fingerprint is stored with the
 * state: a plan that counts differently is refused there. Owned by the config.
 */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/event.h"
#include "weir/metric.h"

#define WEIR_WINDOWS_MAX 16
#define WEIR_BUFFERS_MAX ((size_t)8 << 20)
#define WEIR_LEVELS 3 /* bucket widths: 10 s, 1 min, 1 h */

enum weir_bounce { WEIR_BOUNCE_GA4, WEIR_BOUNCE_SINGLE_PAGE, WEIR_BOUNCE_SINGLE_EVENT };
enum weir_cart {
    WEIR_CART_NON_EMPTY, /* a cart emptied by removals is no longer a cart */
    WEIR_CART_ANY,       /* any add_to_cart makes a cart session, removals do not unmake it */
};

struct weir_plan {
    int64_t gap_ms; /* inactivity that ends a session; an event exactly that late starts anew */
    int64_t cap_ms; /* the longest session, from its first event */
    int64_t recovery_ms; /* a purchase this soon recovers an abandoned cart; 0: off */
    enum weir_bounce bounce;
    enum weir_cart cart;
    uint32_t
        sessions_max; /* open sessions in one partition; beyond it the next to end, end early */

    int64_t out_of_orderness_ms;
    int64_t allowed_lateness_ms;
    int64_t max_ahead_ms;

    uint32_t dimensions_len;
    uint32_t values_max; /* values of one dimension in one partition; beyond it `_other` */

    uint32_t bot_events_max; /* events that make a session a bot's */
    bool bot_user_agents;    /* the built-in list is on */

    uint32_t custom_counters_len;
    struct weir_custom_counter custom_counters[WEIR_CUSTOM_COUNTERS_MAX];

    int64_t windows_ms[WEIR_WINDOWS_MAX]; /* ascending */
    uint32_t windows_len;

    /* What a partition's counters may take before they are folded, and packed ones before they are
     * committed; 0: WEIR_BUFFERS_MAX. Changes no count. */
    size_t buffers_bytes;

    uint64_t fingerprint; /* of all that changes a count: this struct, the mapping, the names */
};

extern const int64_t weir_level_ms[WEIR_LEVELS];

/* The level whose bucket is the slide of a window: 10 s up to 1 h, 1 min up to 24 h, else 1 h. */
int weir_window_level(int64_t window_ms);

/* How far back the level's buckets are kept: twice its largest window (the previous window is
 * compared with), 0 when no window uses the level. */
int64_t weir_level_retention_ms(const struct weir_plan *plan, int level);

#endif
