/*
 * sample: which sessions a partition saw, so that partitions can be compared: a session whose
 * events lie in two of them is counted twice, and nothing in either says so.
 *
 * Of the sessions that started in the newest hour of event time, and of those in the hour before,
 * the WEIR_SAMPLE_MAX with the smallest hashes. The hash of a session is the same in every
 * partition, so what lies below the smallest ceiling of all samples is, in each, all there is.
 * Pure, no allocation but in weir_sample_compare. Whoever may choose session ids freely can bend
 * the estimate, and nothing else.
 * Thread: one at a time. Units: ms in, hours since 1970 UTC inside.
 */
#ifndef WEIR_SAMPLE_H
#define WEIR_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"

#define WEIR_SAMPLE_MAX 64
#define WEIR_SAMPLE_SPAN_MS 3600000

struct weir_sample_hour {
    uint32_t len;
    uint64_t hashes[WEIR_SAMPLE_MAX]; /* ascending; UINT64_MAX beyond len */
};

struct weir_sample {
    int64_t hour; /* of `now`; INT64_MIN before any session */
    struct weir_sample_hour now, before;
    bool changed; /* since the last export */
};

void weir_sample_init(struct weir_sample *sample);

/* For weir_sample_add: a hash that may belong to the sample, or a new hour. */
void weir_sample_take(struct weir_sample *sample, uint64_t hash, int64_t hour);

/* A session starts. Again in the same hour: nothing happens. */
static inline void weir_sample_add(struct weir_sample *sample, uint64_t hash, int64_t time_ms) {
    int64_t hour = time_ms / WEIR_SAMPLE_SPAN_MS;
    if (hour != sample->hour || hash < sample->now.hashes[WEIR_SAMPLE_MAX - 1])
        weir_sample_take(sample, hash, hour);
}

void weir_sample_write(const struct weir_sample *sample, struct weir_buf *out);
/* 0, or -1 when damaged: the sample is then empty. */
int weir_sample_read(struct weir_sample *sample, const void *bytes, size_t len);

struct weir_split {
    uint32_t sampled; /* sessions that could be compared */
    uint32_t split;   /* of them, those in more than one partition */
};
/* Sessions over all partitions; unless `each` is NULL, also those of each partition alone. Compared
 * are the hours that at least two partitions have reached. */
struct weir_split weir_sample_compare(const struct weir_sample *samples, size_t len,
                                      struct weir_split *each);

#endif
