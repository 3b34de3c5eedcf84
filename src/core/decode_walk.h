/*
 * walk: one pass over a record's tokens that puts each mapped value into its path's slot.
 *
 * Only the objects and lists that a path goes through are looked into; the rest is skipped by its
 * brackets. A walk and its captures belong to one thread. The text is the decoder's own copy,
 * closed by a NUL, with WEIR_INDEX_PADDING bytes and the longest mapped key to be read behind it:
 * values are taken out of their escapes in place, each once, when they are used. Errors: the next
 * token is 0 and `reason` says why, for the whole record.
 */
#ifndef WEIR_DECODE_WALK_H
#define WEIR_DECODE_WALK_H

#include "core/decode_event.h"
#include "core/decode_simd.h"

struct weir_capture {
    uint8_t filled[WEIR_SLOT_NONE + 1]; /* of the slots */
    struct weir_scalar slots[WEIR_SLOT_NONE + 1];
    uint32_t lists[3]; /* the token of each list of events, or 0 */
};

struct weir_walk {
    struct weir_node *nodes; /* the decoder's copy of the mapping's */
    char *text;
    const uint32_t *places; /* weir_index_run's */
    uint32_t places_len;
    bool escapes; /* there is a backslash in the text */
    enum weir_reason reason;
    struct weir_capture *capture; /* where to */
    char *scratch;                /* for a key with escapes: scratch_max bytes */
    size_t scratch_max;
};

/* The first byte of a token; a NUL at the end of the text. */
static inline char weir_walk_byte(const struct weir_walk *walk, uint32_t token) {
    return walk->text[walk->places[token]];
}

uint32_t weir_walk_fail(struct weir_walk *walk, enum weir_reason reason);

/* Both give the token after the value, or 0. `depth` counts the brackets around the value, at most
 * WEIR_DEPTH_MAX. */
uint32_t weir_walk_object(struct weir_walk *walk, struct weir_node *node, uint32_t token,
                          uint32_t depth);
uint32_t weir_walk_skip(struct weir_walk *walk, uint32_t token, uint32_t depth);

/* Of the string at `data`, by the next token: only white space is behind the closing quote. */
static inline uint32_t weir_string_len(const char *data, const char *next) {
    const char *end = next - 1;
    while (*end != '"')
        end--;
    return (uint32_t)(end - data);
}

/* The bytes between the quotes of a string token, still with their escapes. */
static inline char *weir_walk_string(const struct weir_walk *walk, uint32_t token, uint32_t *len) {
    char *data = walk->text + walk->places[token] + 1;
    *len = weir_string_len(data, walk->text + walk->places[token + 1]);
    return data;
}

bool weir_walk_too_deep(const struct weir_walk *walk);

void weir_capture_clear(const struct weir_mapping *mapping, struct weir_capture *capture);
/* The string without its escapes. 0, or -1 when one of them is not JSON's, or a NUL. */
int weir_scalar_unescape(struct weir_scalar *scalar);

#endif
