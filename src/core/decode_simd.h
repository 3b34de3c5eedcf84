/*
 * simd: simdjson and C++'s number conversions behind a C face.
 *
 * The index is simdjson's first stage: the place of every structural character and of every
 * scalar's first byte, found with the widest instructions that the processor has; it also proves
 * that the whole text is UTF-8, that every string closes, and that none holds a control character.
 * What the tokens mean is decode_walk's. An index belongs to one thread and owns its places.
 * Limits: `capacity` bytes, given once. Errors: NULL or -1.
 */
#ifndef WEIR_DECODE_SIMD_H
#define WEIR_DECODE_SIMD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_INDEX_PADDING 64 /* bytes behind the text that can be read */

struct weir_index;

struct weir_index *weir_index_new(size_t capacity); /* NULL when memory is out */
void weir_index_free(struct weir_index *index);

/* `len` is at least 1. 0 and the places, valid until the next call, closed by three that are not
 * tokens; -1 when the text is not JSON; no place at all when it is only white space. */
int weir_index_run(struct weir_index *index, const char *text, size_t len, const uint32_t **places,
                   uint32_t *places_len);

/* The nearest double to a well-formed JSON number; -1 when it is out of a double's range. */
int weir_real_parse(const char *text, size_t len, double *value);
/* The shortest text that reads back as the same number, at most 32 bytes; its length. */
size_t weir_real_text(char *out, size_t out_max, double value);

#ifdef __cplusplus
}
#endif

#endif
