/*
 * config_mistakes: what is wrong in a config, with its place, and what to write instead.
 *
 * init/close for the caller's storage; it copies what it is given. At most WEIR_MISTAKES_MAX are
 * kept, the last line then says that there are more. Thread: one at a time.
 */
#ifndef WEIR_APP_CONFIG_MISTAKES_H
#define WEIR_APP_CONFIG_MISTAKES_H

#include <stddef.h>

#include "weir/config.h"
#include "weir/err.h"

#define WEIR_MISTAKES_MAX 200

/* A file: mistakes are sorted by rank, then by place. Borrowed, must outlive the mistakes. */
struct weir_source {
    const char *name;
    int rank;
};

struct weir_mistake {
    const struct weir_source *source;
    int line, column; /* from 1 */
    size_t order;     /* of two at one place the one found first comes first */
    char *text;
};

struct weir_mistakes {
    struct weir_mistake *items;
    size_t len, cap, dropped;
};

void weir_mistakes_init(struct weir_mistakes *mistakes);
void weir_mistakes_close(struct weir_mistakes *mistakes);

/* `format` is "what is wrong; what to write instead"; control characters become `?`. */
void weir_mistakes_add(struct weir_mistakes *mistakes, const struct weir_source *source, int line,
                       int column, const char *key, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Sorts, and gives them as lines; the first goes to `err`. Returns 0 when there are none, else
 * -WEIR_ERR_INPUT. `problems` may be NULL. */
int weir_mistakes_give(struct weir_mistakes *mistakes, struct weir_problems *problems,
                       struct weir_err *err);

/* The nearest of `names` by edit distance (a swap of neighbours counts as one), NULL when none is
 * near enough to be a slip of the pen. */
const char *weir_names_nearest(const char *name, const char *const *names, size_t len);
/* The same within `far` slips. */
const char *weir_names_within(const char *name, const char *const *names, size_t len, unsigned far);

#endif
