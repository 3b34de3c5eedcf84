/* The section events: how the source's records are read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config_load.h"
#include "config_names.h"
#include "config_value.h"
#include "core/presets.h"
#include "weir/shown.h"

#define PATH_BYTES_MAX 256
#define TYPE_BYTES_MAX 256
#define RATE_MAX 1e6

static size_t type_names(const char *names[WEIR_UNKNOWN_TYPE]) {
    for (int type = 0; type < WEIR_UNKNOWN_TYPE; type++)
        names[type] = weir_event_type_name(type);
    return WEIR_UNKNOWN_TYPE;
}

const char *weir_type_nearest(const char *name) {
    const char *names[WEIR_UNKNOWN_TYPE];
    size_t len = type_names(names);
    return weir_names_within(name, names, len, strlen(name) < 8 ? 1 : 2);
}

/* Whether a value of events.types, the table itself unread yet, is this name. */
static bool is_target(const struct weir_loader *loader, const char *name) {
    const struct weir_yaml *types = weir_load_node(loader, "events.types");
    for (size_t i = 0; types && i < types->len; i++)
        if (types->items[i]->kind == WEIR_YAML_TEXT && strcmp(types->items[i]->text, name) == 0)
            return true;
    return false;
}

bool weir_type_is_meant(const struct weir_loader *loader, const char *name) {
    return is_target(loader, name) || weir_type_nearest(name) == NULL;
}

bool weir_type_is_taken(const struct weir_loader *loader, const char *name) {
    const struct weir_yaml *node = weir_load_node(loader, "events.preset");
    const struct weir_preset *preset = node ? weir_preset_of(node->text) : NULL;
    if (!preset || is_target(loader, name))
        return false;
    for (const struct weir_preset_type *known = preset->types; known->name; known++)
        if (strcmp(known->name, name) == 0)
            return true;
    return false;
}

bool weir_type_is_reached(const struct weir_config *config, int type) {
    const struct weir_mapping_options *mapping = &config->mapping;
    const struct weir_preset *preset = weir_preset_of(mapping->preset);
    const char *name = weir_event_type_name(type);
    if (!name) /* a custom type answers to its own name */
        return true;
    if (!preset || preset->own_names)
        return true;
    for (const struct weir_preset_type *known = preset->types; known->name; known++)
        if (known->type == type)
            return true;
    for (size_t i = 0; i < mapping->types_len; i++)
        if (strcmp(mapping->types[i].value, name) == 0)
            return true;
    return false;
}

static void check_preset(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "events.preset");
    const char *const *presets = weir_mapping_presets();
    char list[256] = "";
    size_t len = 0, used = 0;
    for (; presets[len]; len++) {
        if (node && strcmp(presets[len], node->text) == 0)
            return;
        int put = snprintf(list + used, sizeof list - used, "%s%s", len ? ", " : "", presets[len]);
        used += put > 0 && (size_t)put < sizeof list - used ? (size_t)put : 0;
    }
    config->mapping.preset = presets[0];
    if (!node)
        return;
    const char *near = weir_names_nearest(node->text, presets, len);
    const char *shown = weir_yaml_shown(loader->scratch, node);
    if (near)
        WEIR_MISTAKE(loader->mistakes, node, "%s is not a preset; did you mean `%s`?", shown, near);
    else
        WEIR_MISTAKE(loader->mistakes, node, "%s is not a preset; write one of %s", shown, list);
}

/* A path that the decoder can follow, from `kept`; NULL with a mistake. */
static const char *read_path(struct weir_loader *loader, const struct weir_yaml *node) {
    const char *text = weir_load_text(loader, node, PATH_BYTES_MAX);
    struct weir_err err = {0};
    if (!text)
        return NULL;
    if (weir_mapping_check_path(text, &err) != 0) {
        if (strcmp(node->text, node->written) == 0 && !weir_may_be_secret(node->text))
            WEIR_MISTAKE(loader->mistakes, node, "%s", err.text);
        else /* what the environment holds is not shown */
            WEIR_MISTAKE(loader->mistakes, node,
                         "%s is no path that can be followed; write keys separated by dots, as "
                         "in geo.country",
                         weir_yaml_shown(loader->scratch, node));
        return NULL;
    }
    return weir_arena_text(loader->kept, text);
}

static void read_fields(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *map = weir_load_node(loader, "events.fields");
    const char *names[WEIR_FIELDS];
    for (int i = 0; i < WEIR_FIELDS; i++)
        names[i] = weir_field_name((enum weir_field)i);
    for (size_t i = 0; map && i < map->len; i++) {
        const char *key = map->keys[i]->text;
        int field = weir_field_of(key);
        if (field >= 0) {
            config->mapping.fields[field] = read_path(loader, map->items[i]);
            continue;
        }
        const char *near = weir_names_nearest(key, names, WEIR_FIELDS);
        const char *shown = weir_yaml_shown(loader->scratch, map->keys[i]);
        if (near)
            WEIR_MISTAKE(loader->mistakes, map->keys[i], "unknown field %s; did you mean `%s`?",
                         shown, near);
        else
            WEIR_MISTAKE(loader->mistakes, map->keys[i],
                         "unknown field %s; write weir's name on the left (type, time, session, "
                         "visitor, event_id, order_id, value, currency, quantity or user_agent), "
                         "or put it under events.dimensions",
                         shown);
    }
}

static bool is_custom(const struct weir_config *config, const char *name) {
    for (size_t i = 0; i < config->mapping.custom_types_len; i++)
        if (strcmp(config->mapping.custom_types[i], name) == 0)
            return true;
    return false;
}

static void unknown_type(struct weir_loader *loader, const struct weir_config *config,
                         const struct weir_yaml *node) {
    const char *names[WEIR_UNKNOWN_TYPE + WEIR_CUSTOM_TYPES_MAX];
    size_t len = type_names(names);
    for (size_t i = 0; i < config->mapping.custom_types_len; i++)
        names[len++] = config->mapping.custom_types[i];
    const char *near = weir_names_nearest(node->text, names, len);
    const char *shown = weir_yaml_shown(loader->scratch, node);
    if (near)
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is neither a type of weir's nor used by a metric; did you mean `%s`?",
                     shown, near);
    else
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is neither a type of weir's nor used by a metric; write page_view, "
                     "interaction, add_to_cart, remove_from_cart, begin_checkout, purchase, "
                     "refund, session_start or session_end",
                     shown);
}

static void read_types(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *map = weir_load_node(loader, "events.types");
    size_t len = map ? map->len : 0;
    struct weir_name_pair *pairs = weir_arena_take(loader->kept, sizeof *pairs * (len + 1));
    config->mapping.types = pairs;
    for (size_t i = 0; i < len; i++) {
        const struct weir_yaml *key = map->keys[i], *node = map->items[i];
        const char *type = weir_load_text(loader, node, TYPE_BYTES_MAX);
        if (!type)
            continue;
        if (weir_event_type_of(type, strlen(type)) < 0 && !is_custom(config, type)) {
            unknown_type(loader, config, node);
            continue;
        }
        pairs[config->mapping.types_len].name = weir_arena_text(loader->kept, key->text);
        pairs[config->mapping.types_len++].value = weir_arena_text(loader->kept, type);
    }
}

static const char *dimension_fault(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    if (!*name || strlen(name) > 63 || name[strspn(name, allowed)])
        return "is not a dimension's name; write at most 63 of a-z, 0-9 and _";
    return *name == '_' ? "begins with `_`, which is weir's own (`_other`); write another name"
                        : NULL;
}

static void read_dimensions(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *map = weir_load_node(loader, "events.dimensions");
    size_t len = map ? map->len : 0;
    struct weir_name_pair *pairs = weir_arena_take(loader->kept, sizeof *pairs * (len + 1));
    config->mapping.dimensions = pairs;
    for (size_t i = 0; i < len; i++) {
        const struct weir_yaml *key = map->keys[i];
        const char *fault = dimension_fault(key->text);
        if (fault)
            WEIR_MISTAKE(loader->mistakes, key, "%s %s", weir_yaml_shown(loader->scratch, key),
                         fault);
        const char *path = read_path(loader, map->items[i]);
        char *name = weir_arena_text(loader->kept, key->text);
        config->dimension_names[config->plan.dimensions_len++] = name;
        pairs[config->mapping.dimensions_len].name = name;
        pairs[config->mapping.dimensions_len++].value = path ? path : name;
    }
}

static bool is_code(const char *text) {
    return strlen(text) == 3 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3;
}

static void read_rate(struct weir_loader *loader, struct weir_config *config,
                      struct weir_currency_rate *rates, const struct weir_yaml *key,
                      const struct weir_yaml *node) {
    double rate = 0;
    const char *text = weir_load_text(loader, node, 64);
    if (!is_code(key->text))
        WEIR_MISTAKE(loader->mistakes, key,
                     "%s is not a currency; write three capital letters, "
                     "such as USD",
                     weir_yaml_shown(loader->scratch, key));
    if (!text)
        return;
    const char *to = config->mapping.currency_to;
    bool is_to = to && strcmp(key->text, to) == 0;
    if (weir_value_number(text, &rate) != WEIR_VALUE_OK || rate <= 0 || rate > RATE_MAX)
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is not a rate; write what one %s is worth, above "
                     "0 and at most 1000000, such as 0.92",
                     weir_yaml_shown(loader->scratch, node),
                     is_code(key->text) ? key->text : "unit");
    else if (is_to && fabs(rate - 1) > 0)
        WEIR_MISTAKE(loader->mistakes, node, "%s is the currency of `to`; write 1 or remove it",
                     key->text);
    else if (!is_to) {
        rates[config->mapping.rates_len].code = weir_arena_text(loader->kept, key->text);
        rates[config->mapping.rates_len++].rate = rate;
    }
}

static void read_currency(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *to = weir_load_node(loader, "events.currency.to");
    const struct weir_yaml *map = weir_load_node(loader, "events.currency.rates");
    if (to && !is_code(to->text))
        WEIR_MISTAKE(loader->mistakes, to,
                     "%s is not a currency; write three capital letters, "
                     "such as EUR",
                     weir_yaml_shown(loader->scratch, to));
    size_t len = map ? map->len : 0;
    struct weir_currency_rate *rates = weir_arena_take(loader->kept, sizeof *rates * (len + 1));
    config->mapping.rates = rates;
    for (size_t i = 0; i < len; i++)
        read_rate(loader, config, rates, map->keys[i], map->items[i]);
}

void weir_load_events(struct weir_loader *loader, struct weir_config *config) {
    size_t before = loader->mistakes->len;
    check_preset(loader, config);
    read_fields(loader, config);
    read_types(loader, config);
    read_dimensions(loader, config);
    read_currency(loader, config);
    if (loader->mistakes->len > before)
        return;
    struct weir_mapping *mapping = NULL; /* what only the whole of it can show */
    struct weir_err err = {0};
    if (weir_mapping_new(&mapping, &config->mapping, &err) != 0) {
        const struct weir_yaml *node = weir_load_node(loader, "events.fields");
        node = node ? node : weir_load_node(loader, "events.preset");
        WEIR_MISTAKE(loader->mistakes, node, "%s", err.text);
    }
    weir_mapping_free(mapping);
}
