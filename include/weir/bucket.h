/*
 * bucket: the packed counters of all segments in one bucket, as stored in Redis.
 *
 * Pure, one thread per reader or writer; a reader borrows the bytes, a writer the buffer. Damaged
 * bytes are -1, never read past. One codec for whoever writes (window) and reads (evaluator,
 * tools). Sparse and sorted, so equal counters are equal bytes. Layout, all numbers LEB128 varints:
 *
 *     version byte 1
 *     HyperLogLog of visitors: 0 = none; 1, n, n x (register delta, rank byte); 2, 4096 bytes
 *     until the end, per segment ascending: segment delta, n entries,
 *         n x (id delta, zigzag value): id < WEIR_COUNTERS a counter, else WEIR_BIN_FIRST + bin of
 *         the settled duration sketch
 */
#ifndef WEIR_BUCKET_H
#define WEIR_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"
#include "weir/metric.h"

#define WEIR_BIN_FIRST 64 /* entry ids from here on are sketch bins; counters stay below */
#define WEIR_BINS 1400    /* bin 0: 0 ms; bin i: gamma^(i-2) < ms <= gamma^(i-1), gamma 1.01/0.99 */
_Static_assert(WEIR_COUNTERS <= WEIR_BIN_FIRST, "counter ids reach the sketch's");

#define WEIR_ENTRIES_MAX (WEIR_BIN_FIRST + WEIR_BINS) /* of a segment */

#define WEIR_HLL_BITS 12
#define WEIR_HLL_REGISTERS (1 << WEIR_HLL_BITS)

struct weir_entry {
    uint32_t id;
    int64_t value;
};

/* Reading: HyperLogLog first, then segment by segment. */
struct weir_bucket_reader {
    struct weir_reader in;
    uint32_t segment;
    uint32_t entries_left, id;
};
/* Merges the HyperLogLog into `hll` (WEIR_HLL_REGISTERS ranks) by maximum, or skips it when NULL.
 * 0, or -1 when the bytes are damaged. */
int weir_bucket_read(struct weir_bucket_reader *reader, const void *bytes, size_t len,
                     uint8_t *hll);
/* 1 and the next segment's id, 0 at the end, -1 when damaged. Skips unread entries. */
int weir_bucket_segment(struct weir_bucket_reader *reader, uint32_t *segment);
/* 1 and the next entry of the segment, 0 at its end, -1 when damaged. */
int weir_bucket_entry(struct weir_bucket_reader *reader, struct weir_entry *entry);

/* All entries of a segment whose first was not read yet: how many, or -1 when damaged. `entries`
 * has room for WEIR_ENTRIES_MAX. */
int weir_bucket_entries(struct weir_bucket_reader *reader, struct weir_entry *entries);

/* Reads all of it: 0, or -1 when the bytes are damaged. */
int weir_bucket_check(const void *bytes, size_t len);

/* Writing, in the same order. */
struct weir_bucket_writer {
    struct weir_buf *out;
    uint32_t segment;
};
void weir_bucket_write(struct weir_bucket_writer *writer, struct weir_buf *out, const uint8_t *hll);
/* Entries ascending by id, none with value 0; an empty segment is not written. */
void weir_bucket_write_segment(struct weir_bucket_writer *writer, uint32_t segment,
                               const struct weir_entry *entries, uint32_t len);

/* The sketch (DDSketch with relative error 1 %: Masson, Rim, Lee 2019) and HyperLogLog (Flajolet
 * et al. 2007, with linear counting below 2.5 m). */
uint32_t weir_sketch_bin(int64_t ms);
/* The quantile q of 0..1 over bins[WEIR_BINS], in ms; NaN when empty. */
double weir_sketch_quantile(const int64_t *bins, double q);
void weir_hll_add(uint8_t *hll, uint64_t hash);
double weir_hll_estimate(const uint8_t *hll);

#endif
