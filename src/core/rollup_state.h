/*
 * rollup_state: the inside of a rollup, shared by rollup.c (what is kept) and rollup_sums.c (what
 * is added up). Private to core; as weir/rollup.h says: pure, one thread, all memory is the
 * rollup's.
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

struct weir_rollup_window {
    int64_t width_ms, as_of_ms;
    int level;
    int64_t *now;    /* a row of counters for each segment */
    int64_t *before; /* the same of the window before it; NULL: nobody compares with it */
    int64_t *bins;   /* WEIR_BINS, now */
    int64_t dimensions[WEIR_DIMENSIONS_MAX][WEIR_COUNTERS]; /* now: of all values of each */
    uint8_t hll[WEIR_HLL_REGISTERS];
    bool has_visitors; /* hll is united from the present sketches */
};

struct weir_rollup_addend {
    size_t counter; /* over all rows */
    int64_t value;
};

struct weir_rollup {
    const struct weir_plan *plan;
    struct weir_rollup_partition *partitions;
    uint32_t partitions_len;
    struct weir_segments segments;
    uint32_t counters; /* that the plan has */
    uint32_t row;      /* room for them in whole cache lines */
    uint32_t rows_cap; /* segments that the windows have room for */
    struct weir_rollup_window windows[WEIR_WINDOWS_MAX];
    struct weir_rollup_sketch **sketches[WEIR_LEVELS]; /* ascending by index */
    uint32_t sketches_len[WEIR_LEVELS], sketches_cap[WEIR_LEVELS];
    struct weir_rollup_addend *addends; /* of the buckets at hand */
    uint32_t addends_len, addends_cap;
    int64_t first_ms[WEIR_LEVELS]; /* start of the earliest bucket ever seen */
};

/* Rows of zeros for `len` segments; freed by free. */
int64_t *weir_rollup_rows(const struct weir_rollup *rollup, uint32_t len);
/* The place of the first bucket at or after `index`. */
uint32_t weir_rollup_position(const struct weir_rollup_level *level, int64_t index);
/* Our number for a stored segment id, or -1. */
int64_t weir_rollup_segment(const struct weir_rollup_partition *partition, uint32_t id);
/* Adds or subtracts a checked bucket in whatever windows it now lies in. */
void weir_rollup_book(struct weir_rollup *rollup, const struct weir_rollup_partition *partition,
                      int level, const struct weir_rollup_bucket *bucket, int64_t sign);

#endif
