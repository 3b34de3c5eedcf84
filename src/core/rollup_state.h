/*
 * rollup_state: the inside of a rollup, shared by rollup.c (what is kept), rollup_fold.c (in how
 * many bytes) and rollup_sums.c (what is added up). Private to core; as weir/rollup.h says: pure,
 * one thread, all memory is the rollup's.
 */
#ifndef WEIR_CORE_ROLLUP_STATE_H
#define WEIR_CORE_ROLLUP_STATE_H

#include "core/segments.h"
#include "weir/partition.h"
#include "weir/rollup.h"

#define WEIR_PACKED_MAX ((size_t)1 << 31) /* of a bucket; a reply of Redis has half of that */

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
    size_t bytes_len; /* of the dictionary as it was read: more may only come behind ... */
    uint64_t print;   /* ... these, whose hash this is */
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
    int64_t first_ms[WEIR_LEVELS];      /* start of the earliest bucket ever seen */
    int64_t expected_ms;                /* the watermark of the last or the next advance */
    size_t limit;                       /* 0: none */
    uint32_t keep;                      /* values of a dimension, beside `_other` and `_none` */
    uint32_t kept[WEIR_DIMENSIONS_MAX]; /* how many there are; once keep, none comes any more */
    size_t bytes;                       /* of the partitions' buckets and dictionaries */
    struct weir_buf packed;             /* the bucket at hand */
    void (*meanwhile)(void *context);   /* see weir_rollup_meanwhile */
    void *meanwhile_context;
};

/* Rows of zeros for `len` segments; freed by free. */
int64_t *weir_rollup_rows(const struct weir_rollup *rollup, uint32_t len);
/* The place of the first bucket at or after `index`. */
uint32_t weir_rollup_position(const struct weir_rollup_level *level, int64_t index);
/* Our number for a stored segment id, or -1. */
int64_t weir_rollup_segment(const struct weir_rollup_partition *partition, uint32_t id);
/* A checked bucket as it is kept, into rollup->packed: without visitors, `_other` put together. */
void weir_rollup_pack(struct weir_rollup *rollup, const struct weir_rollup_partition *partition,
                      const void *bytes, size_t len);
/* A value's number, that of `_other` where its dimension keeps no more apart. */
uint32_t weir_rollup_number(struct weir_rollup *rollup, int dimension, struct weir_str text);
/* Visitors of buckets before this one are asked for by no window at that watermark. */
int64_t weir_rollup_oldest_sketch(const struct weir_rollup *rollup, int level,
                                  int64_t watermark_ms);
/* Where so many bytes more would pass the limit: halves what is kept apart, once, and is true. What
 * it is asked for may be less then, so ask until it is false. */
bool weir_rollup_fold_beyond(struct weir_rollup *rollup, size_t more);
/* Of the counters of `windows` windows with room for `len` segments. */
size_t weir_rollup_rows_bytes(const struct weir_rollup *rollup, uint32_t len, uint32_t windows);
/* How many arrays of counters there are. */
uint32_t weir_rollup_arrays(const struct weir_rollup *rollup);
/* Adds or subtracts a checked bucket in whatever windows it now lies in. */
void weir_rollup_book(struct weir_rollup *rollup, const struct weir_rollup_partition *partition,
                      int level, const struct weir_rollup_bucket *bucket, int64_t sign);

#endif
