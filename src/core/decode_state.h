/*
 * state: what a decoder owns. Private to decode.c and decode_reference.c.
 *
 * All memory is taken at weir_decoder_new: nothing is allocated for a record.
 */
#ifndef WEIR_DECODE_STATE_H
#define WEIR_DECODE_STATE_H

#include "core/decode_event.h"
#include "core/decode_simd.h"
#include "core/decode_walk.h"

struct weir_reference; /* the reference parser's: made at its first use */

/* What one record was decoded to, and the bytes that its events point into. */
struct weir_output {
    char *memory; /* the text's */
    char *text;   /* the record's copy: record_max, WEIR_INDEX_PADDING and the longest key */
    struct weir_event *events; /* WEIR_EVENTS_PER_RECORD_MAX */
    struct weir_texts texts;
};

/* What only the decoding of a record needs stands once, so that it stays in the nearest cache. */
struct weir_decoder {
    const struct weir_mapping *mapping;
    struct weir_output *outputs, *out; /* a ring of `kept`; the one in use */
    uint32_t kept;
    struct weir_event *events; /* of all outputs */
    char *scratch;
    size_t scratch_max;
    struct weir_node *nodes;             /* a copy of the mapping's, for the guesses in it */
    struct weir_index *index, *embedded; /* of the record; of a text of JSON within it */
    struct weir_capture outer, inner;    /* the record around the events; one event */

    size_t events_len;
    bool too_many;
    struct weir_reference *reference;
};

/* The next event, or NULL with `too_many` set. */
struct weir_event *weir_decoder_add(struct weir_decoder *decoder);
void weir_decoder_reset(struct weir_decoder *decoder);
void weir_decoder_finish(const struct weir_decoder *decoder, enum weir_reason reason,
                         struct weir_decoded *out);
/* What the bytes alone tell: a tombstone, no bytes, too many of them. */
enum weir_reason weir_decoder_check(const struct weir_decoder *decoder, const char *bytes,
                                    size_t len);

void weir_reference_free(struct weir_reference *reference);

#endif
