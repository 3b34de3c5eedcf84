/* The walk over a map by the table of options. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_load.h"
#include "config_option.h"
#include "weir/buf.h"

#define NAMES_MAX (2 * WEIR_OPTIONS_MAX)

size_t weir_option_index(const struct weir_options *options, const char *path) {
    size_t i = 0;
    while (i < options->len && strcmp(options->items[i].path, path) != 0)
        i++;
    WEIR_ASSERT(i < options->len);
    return i;
}

/* What follows the prefix and its dot, or NULL. */
static const char *rest_of(const char *path, const char *prefix) {
    size_t len = strlen(prefix);
    if (len == 0)
        return path;
    return strncmp(path, prefix, len) == 0 && path[len] == '.' ? path + len + 1 : NULL;
}

static bool is_option_of(const struct weir_option *option, const char *prefix, const char *key) {
    const char *rest = rest_of(option->path, prefix);
    return rest && strcmp(rest, key) == 0;
}

/* A map of options below this key, not one of free names. */
static bool is_section_of(const struct weir_option *option, const char *prefix, const char *key) {
    const char *rest = rest_of(option->path, prefix);
    rest = rest ? rest_of(rest, key) : NULL;
    return rest && *rest != '<';
}

/* The keys that may stand under the prefix, each once, in the table's order. */
static size_t known_keys(struct weir_loader *loader, const struct weir_section *section,
                         const char *prefix, const char *names[NAMES_MAX]) {
    size_t len = 0;
    for (size_t i = 0; i < section->options->len; i++) {
        const char *rest = rest_of(section->options->items[i].path, prefix);
        if (!rest || *rest == '<' || strchr(rest, '['))
            continue;
        char *name = weir_arena_copy(loader->scratch, rest, strcspn(rest, "."));
        bool is_new = true;
        for (size_t j = 0; j < len; j++)
            is_new = is_new && strcmp(names[j], name) != 0;
        if (is_new)
            names[len++] = name;
        if ((section->options->items[i].flags & WEIR_OPTION_SECRET) && !strchr(rest, '.'))
            names[len++] = weir_arena_printf(loader->scratch, "%s_file", name);
    }
    return len;
}

/* Where else in the table the key is, as "`kafka.brokers`"; NULL when nowhere. */
static const char *elsewhere(const struct weir_options *options, const char *key) {
    for (size_t i = 0; i < options->len; i++) {
        const char *dot = strrchr(options->items[i].path, '.');
        if (dot && strcmp(dot + 1, key) == 0 && !strchr(options->items[i].path, '['))
            return options->items[i].path;
    }
    return NULL;
}

static void unknown_key(struct weir_loader *loader, const struct weir_section *section,
                        const char *prefix, const struct weir_yaml *key) {
    if (loader->mistakes->len == WEIR_MISTAKES_MAX) {
        loader->mistakes->dropped++; /* nobody will read what would take long to say */
        return;
    }
    const char *names[NAMES_MAX];
    size_t len = known_keys(loader, section, prefix, names);
    const char *nearest = weir_names_nearest(key->text, names, len);
    const char *other = elsewhere(section->options, key->text);
    key = weir_yaml_first_word(loader->scratch, key);
    if (other) {
        WEIR_MISTAKE(loader->mistakes, key, "unknown key `%s`; write it as `%s`", key->path, other);
        return;
    }
    if (nearest) {
        WEIR_MISTAKE(loader->mistakes, key, "unknown key `%s`; did you mean `%s`?", key->path,
                     nearest);
        return;
    }
    struct weir_buf list;
    weir_buf_init(&list, 2048);
    for (size_t i = 0; i < len; i++)
        weir_buf_printf(&list, "%s`%s`", i == 0 ? "" : i + 1 == len ? " or " : ", ", names[i]);
    WEIR_MISTAKE(loader->mistakes, key, "unknown key `%s`; the keys here are %s", key->path,
                 list.data ? list.data : "none");
    weir_buf_close(&list);
}

/* `secret` for `secret_file` where `secret` may come from a file; NULL otherwise. */
static const struct weir_option *secret_of(const struct weir_section *section, const char *prefix,
                                           const char *key) {
    char base[64];
    size_t len = strlen(key);
    if (len < 6 || len - 5 >= sizeof base || strcmp(key + len - 5, "_file") != 0)
        return NULL;
    memcpy(base, key, len - 5);
    base[len - 5] = '\0';
    for (size_t i = 0; i < section->options->len; i++) {
        const struct weir_option *option = &section->options->items[i];
        if ((option->flags & WEIR_OPTION_SECRET) && is_option_of(option, prefix, base))
            return option;
    }
    return NULL;
}

static const struct weir_yaml *node_of_text(struct weir_loader *loader,
                                            const struct weir_yaml *place, const char *text) {
    struct weir_yaml *node = weir_arena_take(loader->scratch, sizeof *node);
    *node = *place;
    node->text = text;
    return node;
}

static void read_one(struct weir_loader *loader, const struct weir_section *section,
                     const struct weir_option *option, const struct weir_yaml *node) {
    size_t index = (size_t)(option - section->options->items);
    if (node->broken || !weir_option_read(loader, option, node, section->base))
        return;
    section->set[index] = node;
}

static void read_map(struct weir_loader *loader, const struct weir_section *section,
                     const char *prefix, const struct weir_yaml *map);

static void read_key(struct weir_loader *loader, const struct weir_section *section,
                     const char *prefix, const struct weir_yaml *key,
                     const struct weir_yaml *node) {
    const struct weir_options *options = section->options;
    for (size_t i = 0; i < options->len; i++) {
        if (is_option_of(&options->items[i], prefix, key->text)) {
            read_one(loader, section, &options->items[i], node);
            return;
        }
        if (is_section_of(&options->items[i], prefix, key->text)) {
            const char *below =
                weir_arena_printf(loader->scratch, "%s%s%s", prefix, *prefix ? "." : "", key->text);
            if (node->kind == WEIR_YAML_MAP)
                read_map(loader, section, below, node);
            else if (!node->null && !node->broken)
                WEIR_MISTAKE(loader->mistakes, node, "is %s; write its options indented below it",
                             weir_yaml_kind_shown(node));
            return;
        }
    }
    const struct weir_option *secret = secret_of(section, prefix, key->text);
    if (!secret) {
        unknown_key(loader, section, prefix, key);
        return;
    }
    const char *text = weir_load_secret(loader, node);
    if (text)
        read_one(loader, section, secret, node_of_text(loader, node, text));
}

static bool has_key(const struct weir_yaml *map, const char *name, bool secret) {
    char file[96];
    snprintf(file, sizeof file, "%s_file", name);
    return weir_yaml_get(map, name) || (secret && weir_yaml_get(map, file));
}

/* A key that is unknown and was told to be a slip for `name`: one mistake, not two. */
static bool is_misspelt(const struct weir_yaml *map, const char *const *names, size_t len,
                        const char *name) {
    for (size_t i = 0; i < map->len; i++) {
        const char *nearest = weir_names_nearest(map->keys[i]->text, names, len);
        bool known = false;
        for (size_t j = 0; j < len; j++)
            known = known || strcmp(names[j], map->keys[i]->text) == 0;
        if (!known && nearest && strcmp(nearest, name) == 0)
            return true;
    }
    return false;
}

/* What must be there, and what may not be there twice. */
static void check_presence(struct weir_loader *loader, const struct weir_section *section,
                           const char *prefix, const struct weir_yaml *map) {
    const char *names[NAMES_MAX];
    size_t len = known_keys(loader, section, prefix, names);
    for (size_t i = 0; i < section->options->len; i++) {
        const struct weir_option *option = &section->options->items[i];
        const char *name = rest_of(option->path, prefix);
        if (!name || strpbrk(name, ".["))
            continue;
        bool secret = (option->flags & WEIR_OPTION_SECRET) != 0;
        if ((option->flags & WEIR_OPTION_REQUIRED) && !has_key(map, name, secret) &&
            !is_misspelt(map, names, len, name))
            WEIR_MISTAKE(loader->mistakes, map, "`%s` is missing; add `%s: %s`", name, name,
                         option->example);
        char file[96];
        snprintf(file, sizeof file, "%s_file", name);
        const struct weir_yaml *other = secret ? weir_yaml_get(map, file) : NULL;
        if (other && weir_yaml_get(map, name))
            WEIR_MISTAKE(loader->mistakes, other, "`%s` is given too; keep one of the two", name);
    }
}

static void read_map(struct weir_loader *loader, const struct weir_section *section,
                     const char *prefix, const struct weir_yaml *map) {
    for (size_t i = 0; i < map->len; i++)
        read_key(loader, section, prefix, map->keys[i], map->items[i]);
    check_presence(loader, section, prefix, map);
}

/* Lists are written in the table as in a file; the rest is one text. */
static const struct weir_yaml *default_node(struct weir_loader *loader,
                                            const struct weir_option *option) {
    static const struct weir_source source = {"default", -1};
    struct weir_yaml *node = weir_arena_take(loader->scratch, sizeof *node);
    node->source = &source;
    node->path = option->path;
    node->text = node->written = option->value;
    if (option->type != WEIR_OPTION_LIST)
        return node;
    const char *document = weir_arena_printf(loader->scratch, "value: %s", option->value);
    const struct weir_yaml *root =
        weir_yaml_parse(loader->scratch, &source, document, strlen(document), loader->mistakes);
    WEIR_ASSERT(root);
    return root->items[0];
}

void weir_load_section(struct weir_loader *loader, const struct weir_section *section,
                       const struct weir_yaml *map) {
    read_map(loader, section, section->prefix, map);
    for (size_t i = 0; i < section->options->len; i++) {
        const struct weir_option *option = &section->options->items[i];
        const char *rest = rest_of(option->path, section->prefix);
        if (!rest || strpbrk(rest, "[<"))
            continue;
        if (!section->set[i] && option->value)
            read_one(loader, section, option, default_node(loader, option));
    }
}
