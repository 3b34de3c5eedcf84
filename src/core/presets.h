/*
 * presets: how the events of known sources are read. Constant tables, no code but a look-up.
 *
 * A field's paths are tried in their order: the first that is there, not null and not an empty
 * string, is taken. Thread: constant, shared.
 */
#ifndef WEIR_PRESETS_H
#define WEIR_PRESETS_H

#include <stdbool.h>

#include "weir/decode.h"

#define WEIR_PRESET_PATHS_MAX 10

/* The client that a session id is only unique within; never configured, so not in enum weir_field
 */
enum { WEIR_FIELD_CLIENT = WEIR_FIELDS, WEIR_FIELDS_ALL };

struct weir_preset_type {
    const char *name;
    int type; /* enum weir_event_type */
};

struct weir_preset_list {
    const char *key; /* of the record: a list of events, one event, or either as JSON in a string */
    bool weak;       /* only where the record itself has no type */
};

struct weir_preset {
    const char *name;
    bool own_names; /* weir's own type names are accepted */
    const char *fields[WEIR_FIELDS_ALL][WEIR_PRESET_PATHS_MAX]; /* each NULL-terminated */
    const struct weir_preset_type *types;                       /* ended by a NULL name */
    struct weir_preset_list lists[3];                           /* ended by a NULL key */
};

const struct weir_preset *weir_preset_of(const char *name); /* or NULL */

#endif
