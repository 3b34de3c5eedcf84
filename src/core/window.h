/*
 * window: the bucket counters of one partition.
 *
 * Events add to small dense cells of the buckets they fall in ("deltas", one per 10 s). A fold adds
 * the deltas to the packed buckets of every level that a window uses; those are what Redis holds.
 * So the hot path touches only what changed since the last commit, whatever the windows' lengths.
 * Packed buckets stay in memory while an event or a session's end may still fall in them.
 */
#ifndef WEIR_CORE_WINDOW_H
#define WEIR_CORE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/bucket.h"
#include "weir/buf.h"
#include "weir/partition.h"
#include "weir/plan.h"

#define WEIR_DELTAS_MAX 64
#define WEIR_DELTAS_MIN 16 /* also where there are so many segments that a delta's map is large */
#define WEIR_MAPS_MAX ((size_t)16 << 20) /* bytes that all deltas' maps may take */
#define WEIR_DELTA_MS 10000              /* weir_level_ms[0] */
#define WEIR_PACKED_BYTES 40             /* about, of a busy segment in a packed bucket */

/* Counters by dense segment: 0 is the total, then every value of every dimension. */
struct weir_cells {
    int64_t start_ms; /* of the bucket; a multiple of 10 s */
    uint32_t *map;    /* dense segment to cell number + 1; 0: no cell */
    uint32_t *dense;  /* cell number to dense segment */
    int64_t (*cells)[WEIR_COUNTERS];
    uint32_t len, cap;
    uint32_t *used; /* counts the cells of all deltas, NULL for one that stands alone */
    uint8_t *hll;   /* NULL until the first visitor */
    uint32_t *bins; /* of the total's settled durations, NULL until the first */
};

struct weir_stored {
    int64_t index; /* start / width */
    char *bytes;   /* NULL once released */
    uint32_t len;
    bool touched;  /* changed since the last export */
    bool released; /* no event can fall in it any more: Redis alone has it */
};

struct weir_level {
    int64_t retention_ms;        /* 0: no window uses the level */
    struct weir_stored *buckets; /* ascending by index */
    uint32_t len, cap;
    int64_t *removed; /* indexes deleted since the last export */
    uint32_t removed_len, removed_cap;
};

struct weir_window {
    const struct weir_plan *plan;
    int64_t watermark_ms;      /* the partition's; buckets are deleted by it */
    uint32_t segments;         /* dense ones */
    struct weir_cells *deltas; /* the first deltas_len are in use, the others keep their memory */
    uint32_t deltas_len, deltas_cap, deltas_max, last;
    uint32_t cells_used, cells_max; /* of all deltas */
    size_t unsaved, unsaved_max;    /* bytes of packed buckets that changed since the last export */
    struct weir_buf packed;         /* a bucket while it is merged */
    struct weir_level levels[WEIR_LEVELS];
    bool totals_kept;
    struct weir_cells totals;
    int64_t *totals_bins; /* WEIR_BINS, of the total segment */
};

int weir_window_init(struct weir_window *window, const struct weir_plan *plan);
/* What deltas' cells, and what buckets that wait for a commit, may take: each bucket some times, so
 * that a stream of many segments neither folds nor commits them for a few events. */
size_t weir_window_cells_bytes(const struct weir_plan *plan);
size_t weir_window_unsaved_bytes(const struct weir_plan *plan);
/* The packed buckets of a level that are held for events still to come. */
size_t weir_window_held(const struct weir_plan *plan, int level);
uint32_t weir_window_segments(const struct weir_plan *plan);
uint32_t weir_window_deltas(const struct weir_plan *plan);

void weir_window_close(struct weir_window *window);
size_t weir_window_memory(const struct weir_window *window);

/* The dense number of a dimension's value, and back to the stored segment id. */
static inline uint32_t weir_window_dense(const struct weir_window *window, uint32_t dimension,
                                         uint32_t value) {
    return 1 + dimension * (window->plan->values_max + 2) + value;
}
uint32_t weir_window_segment(const struct weir_window *window, uint32_t dense);

/* The delta of the bucket that holds time_ms. Valid until the next call or fold. Folds first when
 * there are too many of them, or of their cells: a fold changes no figure, whenever it comes. */
struct weir_cells *weir_window_find_delta(struct weir_window *window, int64_t time_ms);
static inline struct weir_cells *weir_window_delta(struct weir_window *window, int64_t time_ms) {
    if (window->last < window->deltas_len && window->cells_used < window->cells_max) {
        struct weir_cells *last = &window->deltas[window->last]; /* nearly always */
        if (time_ms >= last->start_ms && time_ms - last->start_ms < WEIR_DELTA_MS)
            return last;
    }
    return weir_window_find_delta(window, time_ms);
}
/* The counters of a segment in it. Valid until the next call. */
int64_t *weir_cells_add(struct weir_cells *cells, uint32_t dense);
static inline int64_t *weir_cells_at(struct weir_cells *cells, uint32_t dense) {
    uint32_t number = cells->map[dense];
    return number ? cells->cells[number - 1] : weir_cells_add(cells, dense);
}
void weir_cells_add_visitor(struct weir_cells *cells, uint64_t hash);
/* A settled duration of the total. */
void weir_cells_add_bin(struct weir_cells *cells, uint32_t bin);

/* From now on folds also add everything up, whatever its bucket. 0, or -1 when memory is out. */
int weir_window_keep_totals(struct weir_window *window);

/* True when a commit should not wait, as the next deltas would be folded alone, or as so much that
 * was folded is kept only for it. */
bool weir_window_is_full(const struct weir_window *window);

/* Adds the deltas to the stored buckets, deletes those that fell out of retention, and lets go of
 * the bytes of untouched ones that end at or before settled_ms. */
void weir_window_fold(struct weir_window *window);
void weir_window_release(struct weir_window *window, int64_t settled_ms);

/* The bucket at `index`, added when it is missing (import). */
struct weir_stored *weir_level_bucket(struct weir_level *level, int64_t index);

#endif
