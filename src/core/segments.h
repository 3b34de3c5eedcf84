/*
 * segments: a number for every (dimension, value), over all partitions of a rollup. 0 is the total.
 *
 * Pure; one thread; the texts are copied and owned. Out of memory is a broken invariant.
 */
#ifndef WEIR_CORE_SEGMENTS_H
#define WEIR_CORE_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

#include "weir/event.h"

struct weir_segments {
    struct weir_segment_name {
        int dimension; /* -1: the total */
        char *text;    /* NUL-terminated beyond len */
        uint32_t len;
    } * items;
    uint32_t len, cap;
    uint32_t *slots; /* open addressing over items, 0 free */
    uint32_t slots_bits;
    size_t text_bytes; /* of all names */
};

void weir_segments_init(struct weir_segments *segments);
void weir_segments_close(struct weir_segments *segments);
/* The number of a value, a new one when it was not seen before. */
uint32_t weir_segments_number(struct weir_segments *segments, int dimension, struct weir_str text);
/* The number of a value that was seen before, else 0. */
uint32_t weir_segments_find(const struct weir_segments *segments, int dimension,
                            struct weir_str text);
size_t weir_segments_memory(const struct weir_segments *segments);

#endif
