#include "yaml_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "weir/buf.h"
#include "weir/shown.h"
#include "yaml_env.h"

#define PATH_BYTES_MAX 256
#define KEY_BYTES_MAX 128

struct builder {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one; zeroed when there is none */
    struct weir_arena *arena;
    const struct weir_source *source;
    struct weir_mistakes *mistakes;
    struct weir_env env;
    const char *bytes;
    size_t len;
    char path[PATH_BYTES_MAX];
    size_t nodes;
    int depth;
};

#define HERE(b, ...)                                                                               \
    weir_mistakes_add((b)->mistakes, (b)->source, (int)(b)->event.start_mark.line + 1,             \
                      (int)(b)->event.start_mark.column + 1, (b)->path[0] ? (b)->path : "file",    \
                      __VA_ARGS__)

/* libyaml gives no line for a byte that is no text, only its offset. */
static void place_of(const struct builder *b, size_t offset, int *line, int *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < b->len; i++) {
        *column += 1;
        if (b->bytes[i] != '\n')
            continue;
        *line += 1;
        *column = 1;
    }
}

static bool next_event(struct builder *b) {
    yaml_event_delete(&b->event);
    if (yaml_parser_parse(&b->parser, &b->event))
        return true;
    const yaml_parser_t *p = &b->parser;
    bool placed = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
    int line = placed ? (int)p->problem_mark.line + 1 : (int)p->mark.line + 1;
    int column = placed ? (int)p->problem_mark.column + 1 : (int)p->mark.column + 1;
    const char *problem = p->problem ? p->problem : "cannot be read";
    if (p->error == YAML_READER_ERROR) {
        place_of(b, p->problem_offset, &line, &column);
        weir_mistakes_add(b->mistakes, b->source, line, column, "yaml",
                          "%s; write the file as UTF-8 text without control characters", problem);
    } else
        weir_mistakes_add(b->mistakes, b->source, line, column, "yaml",
                          "%s%s%s; check the indentation (spaces, no tabs), quotes and brackets "
                          "here and on the line before",
                          problem, p->context ? " " : "", p->context ? p->context : "");
    return false;
}

static bool is_null(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
            strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0);
}

static struct weir_yaml *new_node(struct builder *b, enum weir_yaml_kind kind) {
    struct weir_yaml *node = weir_arena_take(b->arena, sizeof *node);
    node->kind = kind;
    node->source = b->source;
    node->line = (int)b->event.start_mark.line + 1;
    node->column = (int)b->event.start_mark.column + 1;
    node->path = weir_arena_text(b->arena, b->path[0] ? b->path : "file");
    return node;
}

/* What YAML allows and a config has no need of. No name is told: a password may begin so. */
static bool plain_enough(struct builder *b) {
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (b->event.type == YAML_ALIAS_EVENT) {
        HERE(b,
             "an alias is not allowed; write the value out here, in quotes if it begins with `*`");
        return false;
    }
    if (b->event.type == YAML_SCALAR_EVENT) {
        anchor = b->event.data.scalar.anchor;
        tag = b->event.data.scalar.tag;
    } else if (b->event.type == YAML_SEQUENCE_START_EVENT) {
        anchor = b->event.data.sequence_start.anchor;
        tag = b->event.data.sequence_start.tag;
    } else if (b->event.type == YAML_MAPPING_START_EVENT) {
        anchor = b->event.data.mapping_start.anchor;
        tag = b->event.data.mapping_start.tag;
    }
    if (anchor)
        HERE(b, "an anchor is not allowed; write each value out, in quotes if it begins with `&`");
    else if (tag)
        HERE(b, "a tag is not allowed; the option knows its type: remove it, or put a value that "
                "begins with `!` in quotes");
    else if (b->nodes++ >= WEIR_YAML_NODES_MAX)
        HERE(b, "more than %d values in one file; make it shorter", WEIR_YAML_NODES_MAX);
    else
        return true;
    return false;
}

static struct weir_yaml *build(struct builder *b);

static struct weir_yaml *build_text(struct builder *b) {
    struct weir_yaml *node = new_node(b, WEIR_YAML_TEXT);
    const char *text = (const char *)b->event.data.scalar.value;
    size_t len = b->event.data.scalar.length;
    node->written = node->text = weir_arena_copy(b->arena, text, len);
    node->null = is_null(&b->event);
    if (strlen(text) != len) {
        HERE(b, "has a NUL character in it; remove the \\0");
        node->broken = true;
        return node;
    }
    char why[WEIR_ENV_WHY_MAX];
    const char *expanded = weir_env_expand(&b->env, b->arena, node->written, why);
    node->broken = !expanded;
    if (expanded)
        node->text = expanded;
    else
        HERE(b, "%s", why);
    return node;
}

static void grow(struct builder *b, struct weir_yaml *node, size_t *cap) {
    if (node->len < *cap)
        return;
    size_t bigger = *cap ? *cap * 2 : 4;
    struct weir_yaml **items = weir_arena_take(b->arena, bigger * sizeof *items);
    struct weir_yaml **keys = weir_arena_take(b->arena, bigger * sizeof *keys);
    if (node->len > 0) {
        memcpy(items, node->items, node->len * sizeof *items);
        memcpy(keys, node->keys, node->len * sizeof *keys);
    }
    node->items = items;
    node->keys = keys;
    *cap = bigger;
}

static struct weir_yaml *build_list(struct builder *b) {
    struct weir_yaml *node = new_node(b, WEIR_YAML_LIST);
    size_t cap = 0, path_len = strlen(b->path);
    for (;;) {
        if (!next_event(b))
            return NULL;
        if (b->event.type == YAML_SEQUENCE_END_EVENT)
            return node;
        grow(b, node, &cap);
        snprintf(b->path + path_len, sizeof b->path - path_len, "[%zu]", node->len);
        struct weir_yaml *item = build(b);
        b->path[path_len] = '\0';
        if (!item)
            return NULL;
        node->items[node->len++] = item;
    }
}

static struct weir_yaml *build_key(struct builder *b) {
    if (b->event.type == YAML_SEQUENCE_START_EVENT || b->event.type == YAML_MAPPING_START_EVENT) {
        HERE(b, "a key is a list or a map; write a text as the key");
        return NULL;
    }
    if (!plain_enough(b))
        return NULL;
    if (is_null(&b->event)) {
        HERE(b, "a key is empty; write the key's name before the colon");
        return NULL;
    }
    const char *text = (const char *)b->event.data.scalar.value;
    size_t len = b->event.data.scalar.length;
    if (len > KEY_BYTES_MAX || strlen(text) != len) {
        HERE(b, "a key is longer than %d bytes or has a NUL in it; write a shorter one",
             KEY_BYTES_MAX);
        return NULL;
    }
    struct weir_yaml *key = new_node(b, WEIR_YAML_TEXT);
    key->written = key->text = weir_arena_copy(b->arena, text, len);
    return key;
}

static bool is_new_key(struct builder *b, const struct weir_yaml *map, struct weir_yaml *key) {
    for (size_t i = 0; i < map->len; i++) {
        if (strcmp(map->keys[i]->text, key->text) != 0)
            continue;
        WEIR_MISTAKE(b->mistakes, key,
                     "the key stands here a second time, first on line %d; keep one of them",
                     map->keys[i]->line);
        return false;
    }
    return true;
}

static struct weir_yaml *build_map(struct builder *b) {
    struct weir_yaml *node = new_node(b, WEIR_YAML_MAP);
    size_t cap = 0, path_len = strlen(b->path);
    for (;;) {
        if (!next_event(b))
            return NULL;
        if (b->event.type == YAML_MAPPING_END_EVENT)
            return node;
        if (node->len >= WEIR_YAML_ENTRIES_MAX) {
            HERE(b, "more than %d keys in one map; make it shorter", WEIR_YAML_ENTRIES_MAX);
            return NULL;
        }
        struct weir_yaml *key = build_key(b);
        if (!key)
            return NULL;
        snprintf(b->path + path_len, sizeof b->path - path_len, "%s%s", path_len ? "." : "",
                 weir_may_be_secret(key->text) ? "(not shown)" : key->text);
        key->path = weir_arena_text(b->arena, b->path);
        bool is_new = is_new_key(b, node, key);
        struct weir_yaml *item = next_event(b) ? build(b) : NULL;
        b->path[path_len] = '\0';
        if (!item)
            return NULL;
        if (item->null) /* a line without its colon? */
            item->path = (key = weir_yaml_first_word(b->arena, key))->path;
        if (!is_new)
            continue;
        grow(b, node, &cap);
        node->keys[node->len] = key;
        node->items[node->len++] = item;
    }
}

/* From the present event to the end of its value. NULL: the rest cannot be read. */
static struct weir_yaml *build(struct builder *b) {
    if (!plain_enough(b))
        return NULL;
    if (b->event.type == YAML_SCALAR_EVENT)
        return build_text(b);
    if (b->depth == WEIR_YAML_DEPTH_MAX) {
        HERE(b, "nested deeper than %d; no option is that deep, check the brackets",
             WEIR_YAML_DEPTH_MAX);
        return NULL;
    }
    b->depth++;
    struct weir_yaml *node =
        b->event.type == YAML_SEQUENCE_START_EVENT ? build_list(b) : build_map(b);
    b->depth--;
    return node;
}

static bool two_events(struct builder *b) {
    if (!next_event(b))
        return false;
    return next_event(b);
}

static struct weir_yaml *build_document(struct builder *b) {
    if (!two_events(b)) /* the stream, then its document */
        return NULL;
    if (b->event.type == YAML_STREAM_END_EVENT) {
        HERE(b, "the file is empty; write the options, `weir check` tells what is missing");
        return NULL;
    }
    struct weir_yaml *root = next_event(b) ? build(b) : NULL;
    if (!root || !two_events(b)) /* the document's end, then the stream's */
        return NULL;
    if (b->event.type != YAML_STREAM_END_EVENT) {
        HERE(b, "a second document begins here; keep one document to a file");
        return NULL;
    }
    if (root->kind == WEIR_YAML_MAP)
        return root;
    WEIR_MISTAKE(b->mistakes, root, "the file is not a map; write `key: value` lines");
    return NULL;
}

struct weir_yaml *weir_yaml_parse(struct weir_arena *arena, const struct weir_source *source,
                                  const char *bytes, size_t len, struct weir_mistakes *mistakes) {
    struct builder b = {
        .arena = arena, .source = source, .mistakes = mistakes, .bytes = bytes, .len = len};
    if (len > WEIR_YAML_BYTES_MAX) {
        HERE(&b, "the file is larger than 1 MiB; split or shorten it");
        return NULL;
    }
    WEIR_ASSERT(yaml_parser_initialize(&b.parser));
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)bytes, len);
    struct weir_yaml *root = build_document(&b);
    yaml_event_delete(&b.event);
    yaml_parser_delete(&b.parser);
    return root;
}

struct weir_yaml *weir_yaml_get(const struct weir_yaml *map, const char *key) {
    for (size_t i = 0; i < map->len; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}
