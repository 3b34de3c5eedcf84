#include "core/segments.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "weir/err.h"

#define CAP_MIN 64
#define BITS_MIN 7

void weir_segments_init(struct weir_segments *segments) {
    *segments = (struct weir_segments){.len = 1, .cap = CAP_MIN, .slots_bits = BITS_MIN};
    segments->items = calloc(CAP_MIN, sizeof *segments->items);
    segments->slots = calloc((size_t)1 << BITS_MIN, sizeof *segments->slots);
    WEIR_ASSERT(segments->items && segments->slots);
    segments->items[0].dimension = -1;
}

void weir_segments_close(struct weir_segments *segments) {
    for (uint32_t i = 1; i < segments->len; i++)
        free(segments->items[i].text);
    free(segments->items);
    free(segments->slots);
}

static uint32_t *slot_of(const struct weir_segments *segments, int dimension,
                         struct weir_str text) {
    uint32_t mask = (1U << segments->slots_bits) - 1;
    uint32_t at = (uint32_t)XXH3_64bits_withSeed(text.data, text.len, (uint64_t)dimension) & mask;
    for (; segments->slots[at]; at = (at + 1) & mask) {
        const struct weir_segment_name *known = &segments->items[segments->slots[at]];
        if (known->dimension == dimension && known->len == text.len &&
            memcmp(known->text, text.data, text.len) == 0)
            break;
    }
    return &segments->slots[at];
}

static void grow(struct weir_segments *segments) {
    segments->cap *= 2;
    segments->items = realloc(segments->items, segments->cap * sizeof *segments->items);
    free(segments->slots);
    segments->slots_bits++;
    segments->slots = calloc((size_t)1 << segments->slots_bits, sizeof *segments->slots);
    WEIR_ASSERT(segments->items && segments->slots);
    for (uint32_t i = 1; i < segments->len; i++) {
        const struct weir_segment_name *name = &segments->items[i];
        *slot_of(segments, name->dimension, (struct weir_str){name->text, name->len}) = i;
    }
}

uint32_t weir_segments_number(struct weir_segments *segments, int dimension, struct weir_str text) {
    uint32_t known = *slot_of(segments, dimension, text);
    if (known)
        return known;
    if (segments->len == segments->cap)
        grow(segments);
    uint32_t number = segments->len++;
    struct weir_segment_name *name = &segments->items[number];
    *name = (struct weir_segment_name){dimension, malloc(text.len + 1), text.len};
    WEIR_ASSERT(name->text != NULL);
    memcpy(name->text, text.data, text.len);
    name->text[text.len] = '\0';
    segments->text_bytes += text.len + 1;
    *slot_of(segments, dimension, text) = number;
    return number;
}

uint32_t weir_segments_find(const struct weir_segments *segments, int dimension,
                            struct weir_str text) {
    return *slot_of(segments, dimension, text);
}

size_t weir_segments_memory(const struct weir_segments *segments) {
    return segments->cap * sizeof *segments->items +
           (sizeof *segments->slots << segments->slots_bits) + segments->text_bytes;
}
