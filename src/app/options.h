/*
 * options: the table of all that can be configured. Parsing, defaults, checks, error messages,
 * the manual and the restart question are all driven by it.
 *
 * Constant data, so any thread. A path like `sinks[].url` is an option of each item of a list,
 * `metrics.<name>.ratio` one of each entry of a map.
 */
#ifndef WEIR_APP_OPTIONS_H
#define WEIR_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum weir_option_type {
    WEIR_OPTION_TEXT,     /* char * */
    WEIR_OPTION_DURATION, /* ms in an int64_t */
    WEIR_OPTION_SIZE,     /* bytes, in any integer */
    WEIR_OPTION_INTEGER,  /* in any integer */
    WEIR_OPTION_SHARE,    /* double: a number, or a percentage */
    WEIR_OPTION_CHOICE,   /* the n-th of `choices`, in a bool or an enum */
    WEIR_OPTION_LIST,     /* no field to store in: the loader's second pass. Its offset and size are
                             of what that makes, where a reload takes it */
    WEIR_OPTION_MAP,      /* the same */
};

enum {
    WEIR_OPTION_REQUIRED = 1, /* where its section is written at all */
    WEIR_OPTION_RELOAD = 2,   /* a reload takes the change; without: a restart */
    WEIR_OPTION_SECRET = 4,   /* never shown; also as <key>_file */
    WEIR_OPTION_OFF = 8,      /* `off` is a value: the field becomes `off` */
};

struct weir_option {
    const char *path;
    enum weir_option_type type;
    const char *value;   /* the default as one would write it; NULL: none */
    const char *example; /* for remedies and the manual, where there is no default */
    int64_t min, max;    /* of the value; of a text its bytes, of a list its items */
    int64_t off;
    const char *const *choices; /* NULL-terminated */
    size_t offset, size;        /* of the field in the section's struct; size 0: no field */
    unsigned flags;
    const char *help;
};

struct weir_options {
    const struct weir_option *items;
    size_t len;
};

#define WEIR_OPTIONS_MAX 96

const struct weir_options *weir_options_config(void); /* fields of struct weir_config, and below */
const struct weir_options *weir_options_rules(void);  /* of a rules file */

/* The structs that the options of lists and maps fill. */
struct weir_sink_draft {
    int type;
    char *name, *url, *topic, *secret;
    int64_t timeout_ms;
};

struct weir_term_draft {
    char *count, *of;
    int sum; /* index in its choices; meant only where `sum` was written */
};

struct weir_rule_draft {
    char *alert, *metric;
    int reading, against;
    int64_t window_ms, min_sample, for_ms, keep_firing_for_ms;
    double below, above, drops_by, rises_by, resolve;
};

#endif
