/* A rules file: Prometheus's shape, read by its table of options. */
#include "rules_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weir/shown.h"

#define LABEL_BYTES_MAX 512

struct file {
    struct weir_loader *loader;
    struct weir_rules *rules;
    const struct weir_config *config;
};

static const char *const conditions[] = {"below", "above", "drops_by", "rises_by"};

static bool is_label_name(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return *name && strlen(name) <= 63 && !name[strspn(name, allowed)] &&
           !strchr("0123456789", *name);
}

/* The one condition, in `rule`; false when there is none to go on with. */
static bool read_condition(struct weir_rule_reading *reading, const struct weir_rule_draft *draft) {
    const double values[] = {draft->below, draft->above, draft->drops_by, draft->rises_by};
    const struct weir_yaml *found = NULL;
    struct weir_mistakes *mistakes = reading->loader->mistakes;
    for (size_t i = 0; i < 4; i++) {
        const struct weir_yaml *node = weir_yaml_get(reading->map, conditions[i]);
        if (!node)
            continue;
        if (found) {
            WEIR_MISTAKE(mistakes, node,
                         "a second condition, beside %s; keep one, or make a rule of each",
                         conditions[reading->rule.condition]);
            return false;
        }
        found = node;
        reading->rule.condition = (enum weir_condition)i;
        reading->rule.threshold = values[i];
    }
    if (!found)
        WEIR_MISTAKE(mistakes, reading->map,
                     "the rule has no condition; add below, above, drops_by or rises_by, such as "
                     "`below: 0.025`");
    return found && isfinite(reading->rule.threshold);
}

static void check_share(struct weir_rule_reading *reading, const struct weir_rule_draft *draft) {
    const struct weir_rule *rule = &reading->rule;
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    struct weir_mistakes *mistakes = reading->loader->mistakes;
    const struct weir_yaml *node = weir_yaml_get(reading->map, conditions[rule->condition]);
    const struct weir_yaml *against = weir_yaml_get(reading->map, "against");
    if (against && !relative)
        WEIR_MISTAKE(mistakes, against, "belongs to drops_by and rises_by, not to %s; remove it",
                     conditions[rule->condition]);
    if (rule->condition == WEIR_DROPS_BY && (rule->threshold <= 0 || rule->threshold > 1))
        WEIR_MISTAKE(mistakes, node,
                     "%s is out of range; write a share above 0 and at most 100%%, "
                     "such as 20%%",
                     weir_yaml_shown(reading->loader->scratch, node));
    if (rule->condition == WEIR_RISES_BY && rule->threshold <= 0)
        WEIR_MISTAKE(mistakes, node, "%s is out of range; write a share above 0, such as 50%%",
                     weir_yaml_shown(reading->loader->scratch, node));
    (void)draft;
}

/* `resolve` must lie on the side where the condition no longer holds. */
static void read_resolve(struct weir_rule_reading *reading, const struct weir_rule_draft *draft) {
    struct weir_rule *rule = &reading->rule;
    const struct weir_yaml *node = weir_yaml_get(reading->map, "resolve");
    rule->resolve = rule->threshold;
    if (!node || !isfinite(draft->resolve))
        return;
    rule->resolve = draft->resolve;
    bool wrong = rule->condition == WEIR_BELOW ? rule->resolve < rule->threshold
                                               : rule->resolve > rule->threshold;
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    if (wrong || (relative && rule->resolve <= 0))
        WEIR_MISTAKE(reading->loader->mistakes, node,
                     "%s is on the wrong side of `%s: %g`, so the alert would resolve while the "
                     "condition holds; write a value %s %g",
                     weir_yaml_shown(reading->loader->scratch, node), conditions[rule->condition],
                     rule->threshold,
                     rule->condition == WEIR_BELOW ? "of at least"
                     : relative                    ? "above 0 and at most"
                                                   : "of at most",
                     rule->threshold);
}

static void check_labels(struct weir_loader *loader, const struct weir_yaml *map, bool template) {
    for (size_t i = 0; map && i < map->len; i++) {
        const struct weir_yaml *key = map->keys[i], *node = map->items[i];
        if (!is_label_name(key->text))
            WEIR_MISTAKE(loader->mistakes, key,
                         "%s is not a label's name; write at most 63 letters, digits and `_`, "
                         "not beginning with a digit",
                         weir_yaml_shown(loader->scratch, key));
        else if (!template && strcmp(key->text, "alertname") == 0)
            WEIR_MISTAKE(loader->mistakes, key,
                         "weir sets this label itself, from `alert`; write another name");
        if (template) {
            weir_rule_check_template(loader, node);
            continue;
        }
        const char *text = weir_load_text(loader, node, LABEL_BYTES_MAX);
        if (text && strstr(text, "{{"))
            WEIR_MISTAKE(loader->mistakes, node,
                         "a label cannot have variables, as it is part of the alert's identity; "
                         "write it under annotations");
    }
}

static char *copy(const char *text) {
    char *copied = strdup(text);
    WEIR_ASSERT(copied);
    return copied;
}

static void copy_labels(struct weir_label **labels, size_t *len, const struct weir_yaml *map) {
    *len = 0;
    *labels = NULL;
    if (!map || map->len == 0)
        return;
    *labels = calloc(map->len, sizeof **labels);
    WEIR_ASSERT(*labels);
    for (size_t i = 0; i < map->len; i++)
        (*labels)[(*len)++] =
            (struct weir_label){copy(map->keys[i]->text), copy(map->items[i]->text)};
}

/* The rule is in order: into the set, with strings of its own. */
static void keep_rule(struct file *file, struct weir_rule_reading *reading, const char *group,
                      const struct weir_yaml *labels, const struct weir_yaml *annotations) {
    struct weir_rules *rules = file->rules;
    rules->rules = realloc(rules->rules, (rules->len + 1) * sizeof *rules->rules);
    WEIR_ASSERT(rules->rules);
    struct weir_rule *rule = &rules->rules[rules->len++];
    *rule = reading->rule;
    rule->group = copy(group);
    rule->name = copy(rule->name);
    rule->metric = copy(rule->metric);
    for (size_t i = 0; i < rule->by_len; i++)
        rule->by_names[i] = copy(rule->by_names[i]);
    copy_labels(&rule->labels, &rule->labels_len, labels);
    copy_labels(&rule->annotations, &rule->annotations_len, annotations);
}

static void check_name(struct file *file, const struct weir_yaml *map, const char *group,
                       const char *name) {
    const struct weir_yaml *node = weir_yaml_get(map, "alert");
    for (size_t i = 0; i < file->rules->len; i++)
        if (strcmp(file->rules->rules[i].group, group) == 0 &&
            strcmp(file->rules->rules[i].name, name) == 0)
            WEIR_MISTAKE(file->loader->mistakes, node,
                         "the group `%s` has an alert %s already; give each its own name",
                         weir_may_be_secret(group) ? "..." : group,
                         weir_yaml_shown(file->loader->scratch, node));
    if (file->rules->len == WEIR_RULES_MAX)
        WEIR_MISTAKE(file->loader->mistakes, node, "more than %d rules; remove some",
                     WEIR_RULES_MAX);
}

static void read_by(struct weir_rule_reading *reading, const struct weir_yaml *list) {
    struct weir_loader *loader = reading->loader;
    if (weir_load_items(list) > 1) {
        WEIR_MISTAKE(loader->mistakes, list,
                     "has %zu dimensions; write one, and a rule for each other", list->len);
        return;
    }
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const char *name = weir_load_text(loader, weir_load_item(list, i), 63);
        if (!name)
            continue;
        reading->rule.by[reading->rule.by_len] = -1;
        reading->rule.by_names[reading->rule.by_len++] = weir_arena_text(loader->scratch, name);
    }
}

static void read_rule(struct file *file, const struct weir_yaml *map, const char *group) {
    struct weir_loader *loader = file->loader;
    size_t before = loader->mistakes->len;
    struct weir_rule_draft draft = {
        .below = NAN, .above = NAN, .drops_by = NAN, .rises_by = NAN, .resolve = NAN};
    const struct weir_options *options = weir_options_rules();
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    struct weir_section section = {options, "groups[].rules[]", &draft, set};
    weir_load_section(loader, &section, map);

    struct weir_rule_reading reading = {.loader = loader, .config = file->config, .map = map};
    reading.has_min_sample = weir_yaml_get(map, "min_sample") != NULL;
    reading.rule = (struct weir_rule){
        .name = draft.alert,
        .metric = draft.metric,
        .metric_index = -1,
        .reading = (enum weir_reading)draft.reading,
        .window_ms = draft.window_ms,
        .min_sample = draft.min_sample,
        .for_ms = draft.for_ms,
        .keep_firing_for_ms = draft.keep_firing_for_ms,
    };
    if (read_condition(&reading, &draft)) {
        check_share(&reading, &draft);
        read_resolve(&reading, &draft);
    }
    read_by(&reading, set[weir_option_index(options, "groups[].rules[].by")]);
    const struct weir_yaml *labels = set[weir_option_index(options, "groups[].rules[].labels")];
    const struct weir_yaml *annotations =
        set[weir_option_index(options, "groups[].rules[].annotations")];
    check_labels(loader, labels, false);
    check_labels(loader, annotations, true);
    weir_rule_resolve(&reading);
    if (draft.alert)
        check_name(file, map, group, draft.alert);
    bool whole = draft.alert && draft.metric; /* a broken text was told of when it was read */
    if (whole && loader->mistakes->len == before && loader->mistakes->dropped == 0)
        keep_rule(file, &reading, group, labels, annotations);
}

static void not_a_map(struct weir_loader *loader, const struct weir_yaml *node,
                      const char *example) {
    if (!node->broken)
        WEIR_MISTAKE(loader->mistakes, node, "%s is not a map; write for example %s",
                     weir_yaml_kind_shown(node), example);
}

static void read_group(struct file *file, const struct weir_yaml *map) {
    const struct weir_options *options = weir_options_rules();
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    struct weir_section section = {options, "groups[]", NULL, set};
    weir_load_section(file->loader, &section, map);
    const struct weir_yaml *name = set[weir_option_index(options, "groups[].name")];
    const struct weir_yaml *list = set[weir_option_index(options, "groups[].rules")];
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        if (item->kind == WEIR_YAML_MAP)
            read_rule(file, item, name ? name->text : "");
        else
            not_a_map(file->loader, item, "{ alert: ConversionDown, ... }");
    }
}

static void check_group_names(struct weir_loader *loader, const struct weir_yaml *list) {
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        const struct weir_yaml *name =
            item->kind == WEIR_YAML_MAP ? weir_yaml_get(item, "name") : NULL;
        for (size_t j = 0; name && name->kind == WEIR_YAML_TEXT && j < i; j++) {
            const struct weir_yaml *other = weir_load_item(list, j);
            other = other->kind == WEIR_YAML_MAP ? weir_yaml_get(other, "name") : NULL;
            if (!other || other->kind != WEIR_YAML_TEXT || strcmp(other->text, name->text) != 0)
                continue;
            WEIR_MISTAKE(loader->mistakes, name,
                         "another group has the name %s; give each its own, or join them",
                         weir_yaml_shown(loader->scratch, name));
            break;
        }
    }
}

void weir_rules_file_parse(struct weir_loader *loader, struct weir_rules *rules, const char *name,
                           const char *bytes, size_t len, const struct weir_config *config) {
    const struct weir_source *source = weir_load_source(loader, name);
    const struct weir_yaml *root =
        weir_yaml_parse(loader->scratch, source, bytes, len, loader->mistakes);
    if (!root)
        return;
    struct file file = {loader, rules, config};
    const struct weir_options *options = weir_options_rules();
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    struct weir_section section = {options, "", NULL, set};
    weir_load_section(loader, &section, root);
    const struct weir_yaml *list = set[weir_option_index(options, "groups")];
    check_group_names(loader, list);
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        if (item->kind == WEIR_YAML_MAP)
            read_group(&file, item);
        else
            not_a_map(loader, item, "{ name: shop, rules: [...] }");
    }
}

void weir_rules_file_load(struct weir_loader *loader, struct weir_rules *rules, const char *path,
                          const struct weir_config *config) {
    char why[WEIR_LOAD_WHY_MAX];
    size_t len = 0;
    char *bytes = weir_load_file(path, WEIR_YAML_BYTES_MAX, &len, why);
    if (!bytes) {
        const struct weir_source *source = weir_load_source(loader, path);
        weir_mistakes_add(loader->mistakes, source, 1, 1, "file", "the file %s", why);
        return;
    }
    weir_rules_file_parse(loader, rules, path, bytes, len, config);
    free(bytes);
}
