/*
 * footprint: what a partition may take at most, resident, by its plan. Pure.
 *
 * For streams as full as a busy shop's: every value of every dimension in every bucket that events
 * may still fall in, each segment with the counters of page views, carts and orders.
 */
#ifndef WEIR_FOOTPRINT_H
#define WEIR_FOOTPRINT_H

#include "weir/plan.h"

/* An open session and all that may hang on it: 64 bytes and as much as 51 of index and wheel, two
 * orders (48), two abandoned carts (128), and its share of a commit that ends all of them (84). */
#define WEIR_SESSION_BYTES 384

/* All but what grows with the open sessions. */
size_t weir_footprint_fixed(const struct weir_plan *plan);
size_t weir_footprint(const struct weir_plan *plan);

#endif
