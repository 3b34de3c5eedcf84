/*
 * path: where in a record a value is, as the config writes it.
 *
 *     geo.country              keys, separated by dots
 *     items[0].price           an element of a list, from 0
 *     ["my.key"].x             a key with a dot or another odd character; \" and \\ inside
 *     params[key=currency].v   the first element of a list of objects whose `key` is the text
 *
 * Ownership: the path owns its bytes; a copy of the struct borrows them. Limits: WEIR_PATH_MAX
 * bytes, WEIR_PATH_SEGMENTS_MAX segments, index up to WEIR_PATH_INDEX_MAX.
 * Errors: WEIR_ERR_INPUT and a sentence that names the path and what to write.
 */
#ifndef WEIR_MAPPING_PATH_H
#define WEIR_MAPPING_PATH_H

#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"
#include "weir/event.h"

#define WEIR_PATH_MAX 512
#define WEIR_PATH_SEGMENTS_MAX WEIR_DEPTH_MAX
#define WEIR_PATH_INDEX_MAX 999

enum weir_segment_kind { WEIR_SEGMENT_KEY, WEIR_SEGMENT_INDEX, WEIR_SEGMENT_SELECT };

struct weir_segment {
    enum weir_segment_kind kind;
    uint32_t index;    /* of WEIR_SEGMENT_INDEX */
    const char *text;  /* the key; or the member that selects. NUL-terminated */
    const char *value; /* of WEIR_SEGMENT_SELECT: what the member has to be */
    uint32_t text_len, value_len;
};

struct weir_path {
    char *bytes; /* what the segments point into */
    uint32_t len;
    struct weir_segment segments[WEIR_PATH_SEGMENTS_MAX];
};

int weir_path_parse(struct weir_path *path, const char *text, struct weir_err *err);
void weir_path_free(struct weir_path *path);

#endif
