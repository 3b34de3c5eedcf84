/*
 * yaml_tree: one YAML document (JSON is YAML) to a tree in which every value knows its place.
 *
 * The nodes live in the arena that the caller gives. Kept small on purpose, so that a config can
 * neither surprise nor blow up: one document, no anchors, no aliases, no tags, keys are texts and
 * are there once, at most 16 deep, 100,000 nodes, 10,000 entries in one map, 1 MiB of bytes.
 * `${NAME}` in a value is the environment's; `$${` is a plain `${`. Thread: one at a time.
 */
#ifndef WEIR_APP_YAML_TREE_H
#define WEIR_APP_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "config_arena.h"
#include "config_mistakes.h"

#define WEIR_YAML_BYTES_MAX (1024 * 1024)
#define WEIR_YAML_DEPTH_MAX 16
#define WEIR_YAML_NODES_MAX 100000
#define WEIR_YAML_ENTRIES_MAX 10000

enum weir_yaml_kind { WEIR_YAML_TEXT, WEIR_YAML_LIST, WEIR_YAML_MAP };

struct weir_yaml {
    enum weir_yaml_kind kind;
    bool null;   /* a text that is `~`, `null` or nothing, unquoted */
    bool broken; /* a mistake is told already: say no more of this value */
    const struct weir_source *source;
    int line, column;    /* from 1 */
    const char *path;    /* sinks[0].url; a key that looks like a secret is left out */
    const char *text;    /* with the environment put in; NULL for a list or a map */
    const char *written; /* as it stands in the file: for messages, as the environment is secret */
    struct weir_yaml **items;
    struct weir_yaml **keys; /* of a map, beside items */
    size_t len;
};

/* NULL when nothing can be made of it; mistakes are added. A tree may come with mistakes too. */
struct weir_yaml *weir_yaml_parse(struct weir_arena *arena, const struct weir_source *source,
                                  const char *bytes, size_t len, struct weir_mistakes *mistakes);

/* The value of a key, or NULL. */
struct weir_yaml *weir_yaml_get(const struct weir_yaml *map, const char *key);

/* A mistake at the place of the node, or in a key that is missing from it. */
#define WEIR_MISTAKE(mistakes, node, ...)                                                          \
    weir_mistakes_add((mistakes), (node)->source, (node)->line, (node)->column, (node)->path,      \
                      __VA_ARGS__)

/* What kind of value it is, where what was written may be a secret: where secrets belong, and where
 * a map was meant. */
const char *weir_yaml_kind_shown(const struct weir_yaml *node);
/* A value or a key: what was written, cut to a length that fits a message; its kind when it looks
 * like a secret. */
const char *weir_yaml_shown(struct weir_arena *arena, const struct weir_yaml *node);

/* A key that is shown by its first word: `password hush` without its colon is a key whole. */
struct weir_yaml *weir_yaml_first_word(struct weir_arena *arena, const struct weir_yaml *key);

/* The node as JSON text with the environment put in: equal values give equal texts. */
const char *weir_yaml_dump(struct weir_arena *arena, const struct weir_yaml *node);

#endif
