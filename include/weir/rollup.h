/*
 * rollup: the partitions' buckets added up to sliding windows.
 *
 * Keeps every partition's packed buckets (twice the longest window of a level back), and per
 * window the running sums of (t - W, t] and, where somebody compares with it, of the window before
 * it, (t - 2W, t - W]. A bucket that changes is subtracted as it was and added as it is, so a step
 * costs what changed and what enters and leaves, not the window's length. Sums are integers: exact
 * however often that is done. Core: pure, one thread. All memory is owned by the rollup.
 *
 * Segments are numbered here over all partitions: 0 is the total, then values of dimensions in the
 * order of their appearance.
 *
 * A limit holds the memory down: where it would be passed, the number of values that a dimension
 * may keep apart is halved, until it fits. The values met first stay, as exact as before over all
 * partitions; the others, and new ones from then on, count under `_other`. Totals and the sums of a
 * dimension never change by that, and what once was put together is not taken apart again.
 */
#ifndef WEIR_ROLLUP_H
#define WEIR_ROLLUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/bucket.h"
#include "weir/event.h"
#include "weir/plan.h"

struct weir_rollup;

#define WEIR_KEEP_ALL UINT32_MAX

/* The plan is borrowed. NULL when memory is out. */
struct weir_rollup *weir_rollup_new(const struct weir_plan *plan);
/* While it is empty: the most that weir_rollup_memory may say, 0: any number of bytes; and the
 * values of a dimension that are kept apart at most, beside `_other` and `_none`. */
void weir_rollup_limit(struct weir_rollup *rollup, size_t bytes, uint32_t keep);
/* What that has come down to. */
uint32_t weir_rollup_keep(const struct weir_rollup *rollup);
void weir_rollup_free(struct weir_rollup *rollup);

/* A new partition's number. */
uint32_t weir_rollup_add_partition(struct weir_rollup *rollup);
/* Its dictionary of a dimension, whole ("v:" value), before buckets that use it. 0, or -1 when the
 * bytes are damaged or do not go on from what was there: then that stays. */
int weir_rollup_values(struct weir_rollup *rollup, uint32_t partition, uint32_t dimension,
                       const void *bytes, size_t len);
/* Puts a bucket's new bytes in the place of its old ones; len 0 removes it. 0, or -1 when the bytes
 * are damaged or use a value that the dictionary lacks. */
int weir_rollup_bucket(struct weir_rollup *rollup, uint32_t partition, int level, int64_t index,
                       const void *bytes, size_t len);

/* To be called now and then, with `context`, while an advance or a compare adds up many buckets,
 * which may take seconds; it must not use the rollup. NULL: nobody. */
void weir_rollup_meanwhile(struct weir_rollup *rollup, void (*call)(void *context), void *context);

/* Where the next advance will go to: spares what no window asks for then. */
void weir_rollup_expect(struct weir_rollup *rollup, int64_t watermark_ms);
/* Moves every window to the last end of its slide at or before `watermark_ms`. Never back. */
void weir_rollup_advance(struct weir_rollup *rollup, int64_t watermark_ms);
/* The time that a window is true of, INT64_MIN before the first advance. */
int64_t weir_rollup_as_of(const struct weir_rollup *rollup, uint32_t window);

uint32_t weir_rollup_segments(const struct weir_rollup *rollup);
/* -1 for the total. */
int weir_rollup_dimension(const struct weir_rollup *rollup, uint32_t segment);
struct weir_str weir_rollup_value(const struct weir_rollup *rollup, uint32_t segment);

/* Whether the window before this one is added up too; not so at first. */
void weir_rollup_compare(struct weir_rollup *rollup, uint32_t window, bool wanted);

/* The plan's counters (WEIR_C_CUSTOM and the custom ones) of a segment in a window, or in the
 * window before it: zeros where that is not added up. */
const int64_t *weir_rollup_cell(const struct weir_rollup *rollup, uint32_t window,
                                uint32_t segment);
const int64_t *weir_rollup_previous(const struct weir_rollup *rollup, uint32_t window,
                                    uint32_t segment);
/* The sum of all values of a dimension in a window. */
const int64_t *weir_rollup_dimension_cell(const struct weir_rollup *rollup, uint32_t window,
                                          uint32_t dimension);
/* WEIR_BINS of the settled durations, and the estimate of distinct visitors, of the total. */
const int64_t *weir_rollup_durations(const struct weir_rollup *rollup, uint32_t window);
double weir_rollup_visitors(const struct weir_rollup *rollup, uint32_t window);

/* Where the data begin, as exactly as the buckets that were set tell; INT64_MAX before any. */
int64_t weir_rollup_first_ms(const struct weir_rollup *rollup);
size_t weir_rollup_memory(const struct weir_rollup *rollup);

#endif
