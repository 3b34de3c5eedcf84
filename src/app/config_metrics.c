/* The section metrics: ratios of one's own, and the counters that they ask for. */
#include <stdio.h>
#include <string.h>

#include "config_load.h"
#include "config_names.h"

struct metrics {
    struct weir_loader *loader;
    struct weir_config *config;
    const char **types; /* custom ones, by their number */
    size_t types_len;
};

static bool is_name(const char *name, size_t max) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    return *name && strlen(name) <= max && !name[strspn(name, allowed)] &&
           !strchr("0123456789_", *name);
}

/* Who else has this name among the fields that are published together; NULL: nobody. */
static const char *owner_of(const char *name) {
    static const char *const published[] = {"as_of", "computed_at", "partitions", "visitors"};
    size_t len = 0;
    const struct weir_metric *builtin = weir_metrics_builtin(&len);
    for (size_t i = 0; i < len; i++)
        if (strcmp(builtin[i].name, name) == 0)
            return "a built-in metric";
    for (int i = 0; i < WEIR_C_CUSTOM; i++)
        if (strcmp(weir_counter_info(i)->name, name) == 0)
            return "a built-in counter";
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++)
        if (strcmp(published[i], name) == 0)
            return "a field that weir publishes";
    return NULL;
}

/* The number of the type of that name; a new name becomes a custom type. -1 with a mistake. */
static int type_of(struct metrics *m, const struct weir_yaml *node, const char *name) {
    int type = weir_event_type_of(name, strlen(name));
    if (type >= 0)
        return type;
    for (size_t i = 0; i < m->types_len; i++)
        if (strcmp(m->types[i], name) == 0)
            return WEIR_CUSTOM_TYPE_FIRST + (int)i;
    if (weir_type_is_taken(m->loader, name)) {
        WEIR_MISTAKE(m->loader->mistakes, node,
                     "the preset reads `%s` as one of weir's own types; add `\"%s\": %s` to "
                     "events.types to count it apart",
                     name, name, name);
        return -1;
    }
    if (!weir_type_is_meant(m->loader, name)) {
        const char *near = weir_type_nearest(name);
        WEIR_MISTAKE(m->loader->mistakes, node,
                     "nothing maps to the type `%s`; did you mean `%s`? Else add `%s: %s` to "
                     "events.types",
                     name, near, name, name);
        return -1;
    }
    if (m->types_len == WEIR_CUSTOM_TYPES_MAX) {
        WEIR_MISTAKE(m->loader->mistakes, node,
                     "more than %d types besides weir's own; remove some", WEIR_CUSTOM_TYPES_MAX);
        return -1;
    }
    m->types[m->types_len] = weir_arena_text(m->loader->kept, name);
    return WEIR_CUSTOM_TYPE_FIRST + (int)m->types_len++;
}

/* The counter, shared with an equal one. -1 with a mistake. */
static int counter_of(struct metrics *m, const struct weir_yaml *node,
                      struct weir_custom_counter wanted) {
    struct weir_plan *plan = &m->config->plan;
    for (uint32_t i = 0; i < plan->custom_counters_len; i++)
        if (plan->custom_counters[i].type == wanted.type &&
            plan->custom_counters[i].what == wanted.what)
            return (int)i;
    if (plan->custom_counters_len == WEIR_CUSTOM_COUNTERS_MAX) {
        WEIR_MISTAKE(m->loader->mistakes, node,
                     "the metrics need more than %d counters together; remove some",
                     WEIR_CUSTOM_COUNTERS_MAX);
        return -1;
    }
    plan->custom_counters[plan->custom_counters_len] = wanted;
    return (int)plan->custom_counters_len++;
}

static const struct weir_yaml *first_key(const struct weir_yaml *map, const char *a,
                                         const char *b) {
    const struct weir_yaml *node = weir_yaml_get(map, a);
    return node ? node : weir_yaml_get(map, b);
}

/* One side of a ratio: what it adds up, as text for the help. False with a mistake. */
static bool read_side(struct metrics *m, const struct weir_yaml *map, struct weir_term *term,
                      enum weir_unit *unit, const char **help) {
    struct weir_loader *loader = m->loader;
    if (map->kind != WEIR_YAML_MAP) {
        if (!map->broken)
            WEIR_MISTAKE(loader->mistakes, map,
                         "%s is not a map; write { count: type } or "
                         "{ sum: value, of: type }",
                         weir_yaml_kind_shown(map));
        return false;
    }
    struct weir_term_draft draft = {.sum = -1};
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    struct weir_section section = {weir_options_config(), "metrics.<name>.ratio[]", &draft, set};
    size_t before = loader->mistakes->len;
    weir_load_section(loader, &section, map);
    if (loader->mistakes->len > before)
        return false;
    bool counts = draft.count && draft.sum < 0 && !draft.of;
    bool sums = !draft.count && draft.sum >= 0 && draft.of;
    if (!counts && !sums) {
        WEIR_MISTAKE(loader->mistakes, map,
                     "is neither a count nor a sum; write { count: type } or "
                     "{ sum: value, of: type }");
        return false;
    }
    const char *name = counts ? draft.count : draft.of;
    const struct weir_yaml *place = first_key(map, "of", "count");
    struct weir_custom_counter wanted = {.what = WEIR_COUNT_EVENTS};
    if (sums)
        wanted.what = draft.sum == 0 ? WEIR_SUM_VALUE : WEIR_SUM_QUANTITY;
    wanted.type = type_of(m, place, name);
    int counter = wanted.type < 0 ? -1 : counter_of(m, place, wanted);
    if (counter < 0)
        return false;
    *term = (struct weir_term){1, (uint8_t)(WEIR_C_CUSTOM + counter)};
    *unit = counts ? WEIR_UNIT_COUNT : WEIR_UNIT_MICROS;
    *help = counts ? weir_arena_printf(loader->scratch, "count of %s", name)
                   : weir_arena_printf(loader->scratch, "sum of the %s of %s",
                                       draft.sum == 0 ? "value" : "quantity", name);
    return true;
}

static void read_metric(struct metrics *m, const struct weir_yaml *key,
                        const struct weir_yaml *map) {
    struct weir_loader *loader = m->loader;
    const char *owner = owner_of(key->text);
    if (owner)
        WEIR_MISTAKE(loader->mistakes, key, "%s is %s; write another name",
                     weir_yaml_shown(loader->scratch, key), owner);
    else if (!is_name(key->text, 63))
        WEIR_MISTAKE(loader->mistakes, key,
                     "%s cannot be a metric's name; write at most 63 of a-z, 0-9 and _, a letter "
                     "first",
                     weir_yaml_shown(loader->scratch, key));
    if (map->kind != WEIR_YAML_MAP) {
        if (!map->broken)
            WEIR_MISTAKE(loader->mistakes, map,
                         "%s is not a map; write { ratio: [ numerator, "
                         "denominator ] }",
                         weir_yaml_kind_shown(map));
        return;
    }
    const struct weir_options *options = weir_options_config();
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    struct weir_section section = {options, "metrics.<name>", NULL, set};
    weir_load_section(loader, &section, map);
    const struct weir_yaml *ratio = set[weir_option_index(options, "metrics.<name>.ratio")];
    if (!ratio)
        return;
    struct weir_metric metric = {.reading = WEIR_LIVE};
    const char *num = "", *den = "";
    bool has_num = read_side(m, ratio->items[0], &metric.num[0], &metric.num_unit, &num);
    bool has_den = read_side(m, ratio->items[1], &metric.den[0], &metric.den_unit, &den);
    if (!has_num || !has_den || owner || !is_name(key->text, 63))
        return;
    snprintf(metric.name, sizeof metric.name, "%s", key->text);
    metric.help = weir_arena_printf(loader->kept, "%s / %s", num, den);
    m->config->metrics[m->config->metrics_len++] = metric;
}

void weir_load_metrics(struct weir_loader *loader, struct weir_config *config) {
    size_t builtin_len = 0;
    const struct weir_metric *builtin = weir_metrics_builtin(&builtin_len);
    config->metrics = weir_arena_take(loader->kept, sizeof *config->metrics *
                                                        (builtin_len + WEIR_CUSTOM_METRICS_MAX));
    memcpy(config->metrics, builtin, builtin_len * sizeof *builtin);
    config->metrics_len = builtin_len;

    struct metrics m = {loader, config, NULL, 0};
    m.types = weir_arena_take(loader->kept, sizeof *m.types * WEIR_CUSTOM_TYPES_MAX);
    const struct weir_yaml *map = weir_load_node(loader, "metrics");
    for (size_t i = 0; map && i < map->len; i++)
        read_metric(&m, map->keys[i], map->items[i]);
    config->mapping.custom_types = m.types;
    config->mapping.custom_types_len = m.types_len;
}
