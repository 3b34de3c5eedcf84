/*
 * overlap: a sample of the sessions that a partition saw, so that partitions can be compared. A
 * session whose events lie in two of them is counted twice, and nothing in either says so.
 *
 * Of the sessions that started in the newest hour of event time, and of those in the hour before,
 * the WEIR_OVERLAP_MAX with the smallest hashes. The hash of a session is the same in every
 * partition, so what lies below the smallest ceiling of all samples is, in each, all there is.
 * Pure, no allocation but in weir_overlap_compare. Whoever may choose session ids freely can bend
 * the estimate, and nothing else.
 * Thread: one at a time. Units: ms in, hours since 1970 UTC inside.
 */
#ifndef WEIR_OVERLAP_H
#define WEIR_OVERLAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"

#define WEIR_OVERLAP_MAX 64
#define WEIR_OVERLAP_SPAN_MS 3600000

struct weir_overlap_hour {
    uint32_t len;
    uint64_t hashes[WEIR_OVERLAP_MAX]; /* ascending; UINT64_MAX beyond len */
};

struct weir_overlap {
    int64_t hour; /* of `now`; INT64_MIN before any session */
    struct weir_overlap_hour now, before;
    bool changed; /* since the last export */
};

/* For the caller's storage; there is nothing to close. */
void weir_overlap_init(struct weir_overlap *sample);

/* For weir_overlap_add: a hash that may belong to the sample, or a new hour. */
void weir_overlap_take(struct weir_overlap *sample, uint64_t hash, int64_t hour);

/* A session starts. Again in the same hour: nothing happens. */
static inline void weir_overlap_add(struct weir_overlap *sample, uint64_t hash, int64_t time_ms) {
    int64_t hour = time_ms / WEIR_OVERLAP_SPAN_MS;
    if (hour != sample->hour || hash < sample->now.hashes[WEIR_OVERLAP_MAX - 1])
        weir_overlap_take(sample, hash, hour);
}

void weir_overlap_write(const struct weir_overlap *sample, struct weir_buf *out);
/* 0, or -1 when damaged: the sample is then empty. */
int weir_overlap_read(struct weir_overlap *sample, const void *bytes, size_t len);

struct weir_split {
    uint32_t sampled; /* sessions that could be compared */
    uint32_t split;   /* of them, those in more than one partition */
};
/* Sessions over all partitions; unless `each` is NULL, also those of each partition alone. Compared
 * are the hours that at least two partitions have reached. */
struct weir_split weir_overlap_compare(const struct weir_overlap *samples, size_t len,
                                       struct weir_split *each);

#endif
