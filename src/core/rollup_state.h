/*
 * rollup_state: the inside of a rollup, shared by rollup.c (what is kept) and rollup_sums.c (what is
 * added up). Private to core; as weir/rollup.h says: pure, one thread, all memory is the rollup's.
 */
#ifndef WEIR_CORE_ROLLUP_STATE_H
#define WEIR_CORE_ROLLUP_STATE_H

#include "core/segments.h"
#include "weir/partition.h"
#include "weir/rollup.h"

struct weir_rollup_bucket {
    int64_t index;
    char *bytes;
    size_t len;
};

struct weir_rollup_level {
    struct weir_rollup_bucket *buckets; /* ascending by index */
    uint32_t len, cap;
};

/* A partition's values of a dimension. */
struct weir_rollup_values {
    uint32_t *segments; /* the partition's value number to our segment */
    uint32_t len, cap;
    char *bytes; /* as they were read: more may only come behind */
    size_t bytes_len;
};

struct weir_rollup_partition {
    struct weir_rollup_level levels[WEIR_LEVELS];
    struct weir_rollup_values values[WEIR_DIMENSIONS_MAX];
};

struct weir_rollup_sketch { /* a bucket's visitors over all partitions */
    int64_t index;
    uint8_t hll[WEIR_HLL_REGISTERS];
};

typedef int64_t weir_cell[WEIR_COUNTERS];

struct weir_rollup_window {
    int64_t width_ms, as_of_ms;
    int level;
    weir_cell *now;    /* by segment */
    weir_cell *before; /* the same of the window before it; NULL: nobody compares with it */
    int64_t *bins;     /* WEIR_BINS, now */
    weir_cell dimensions[WEIR_DIMENSIONS_MAX]; /* now: the sums of all values of each */
    uint8_t hll[WEIR_HLL_REGISTERS];
    bool has_visitors; /* hll is united from the present sketches */
};

struct weir_rollup_addend {
    size_t counter; /* over all segments */
    int64_t value;
};

struct weir_rollup {
    const struct weir_plan *plan;
    struct weir_rollup_partition *partitions;
    uint32_t partitions_len;
    struct weir_segments segments;
    uint32_t cells_cap; /* segments that the windows' cells have room for */
    struct weir_rollup_window windows[WEIR_WINDOWS_MAX];
    struct weir_rollup_sketch **sketches[WEIR_LEVELS]; /* ascending by index */
    uint32_t sketches_len[WEIR_LEVELS], sketches_cap[WEIR_LEVELS];
    struct weir_rollup_addend *addends; /* of the bucket at hand */
    uint32_t addends_cap;
    int64_t first_ms[WEIR_LEVELS]; /* start of the earliest bucket ever seen */
};

/* The place of the first bucket at or after `index`. */
uint32_t weir_rollup_position(const struct weir_rollup_level *level, int64_t index);
/* Our number for a stored segment id, or -1. */
int64_t weir_rollup_segment(const struct weir_rollup_partition *partition, uint32_t id);
/* Adds or subtracts a checked bucket in whatever windows it now lies in. */
void weir_rollup_book(struct weir_rollup *rollup, const struct weir_rollup_partition *partition,
                      int level, const struct weir_rollup_bucket *bucket, int64_t sign);

#endif
