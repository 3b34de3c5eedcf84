/*
 * event: the scalars that a record's mapped fields have, to one event or to the reason why not.
 *
 * Both parsers end here, so that the rules for times, ids and money stand once. Scalars are
 * borrowed; the event's strings are views into them or into `texts`. No I/O, no allocation.
 */
#ifndef WEIR_DECODE_EVENT_H
#define WEIR_DECODE_EVENT_H

#include "core/mapping.h"

enum weir_scalar_kind {
    WEIR_SCALAR_NONE,
    WEIR_SCALAR_STRING, /* not empty; `data` without escapes */
    WEIR_SCALAR_INT,    /* `whole`, and `data` its text */
    WEIR_SCALAR_REAL,
    WEIR_SCALAR_BOOL,    /* `data` its text */
    WEIR_SCALAR_NESTED,  /* an object or a list where a scalar should be */
    WEIR_SCALAR_ESCAPED, /* a string that may still have its escapes: decode_walk's */
};

struct weir_scalar {
    char *data;
    uint32_t len;
    enum weir_scalar_kind kind;
    union {
        int64_t whole;
        double real;
    } number;
};

/* By field and by dimension; NULL where the record has none. */
struct weir_picked {
    struct weir_scalar *fields[WEIR_FIELDS_ALL];
    struct weir_scalar *dimensions[WEIR_DIMENSIONS_MAX];
};

/* Texts that no record holds: a joined session id, a real number's. */
#define WEIR_EVENT_TEXTS_MAX (WEIR_ID_MAX + 32 * WEIR_DIMENSIONS_MAX) /* bytes for one event */
struct weir_texts {
    char *bytes;
    size_t len, max;
};

/* An event that is not WEIR_OK holds its reason and nothing else. */
void weir_event_build(const struct weir_mapping *mapping, const struct weir_picked *picked,
                      struct weir_texts *texts, struct weir_event *event);

#endif
