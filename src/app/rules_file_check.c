/* A rule against the config: its metric, window, dimension; and the variables of its texts. */
#include <stdio.h>
#include <string.h>

#include "config_names.h"
#include "names.h"
#include "rules_file.h"
#include "weir/buf.h"
#include "weir/shown.h"

#define VARIABLE_BYTES_MAX 64
#define NAMES_MAX 256
#define CHANGE_SAMPLE_MIN 100 /* of drops_by and rises_by: a change of few is noise */

static const char *const reading_names[] = {"live", "settled"};

static int find_metric(const struct weir_config *config, const char *name, int reading) {
    for (size_t i = 0; i < config->metrics_len; i++)
        if (strcmp(config->metrics[i].name, name) == 0 &&
            (int)config->metrics[i].reading == reading)
            return (int)i;
    return -1;
}

static bool is_counter(const char *name, int reading) {
    for (int i = 0; i < WEIR_C_CUSTOM; i++)
        if (strcmp(weir_counter_info(i)->name, name) == 0 &&
            (int)weir_counter_info(i)->reading == reading)
            return true;
    return false;
}

static void unknown_metric(struct weir_rule_reading *reading, const struct weir_yaml *node) {
    const struct weir_config *config = reading->config;
    struct weir_mistakes *mistakes = reading->loader->mistakes;
    const char *name = reading->rule.metric;
    int other = 1 - (int)reading->rule.reading;
    const char *shown = weir_yaml_shown(reading->loader->scratch, node);
    if (find_metric(config, name, other) >= 0 || is_counter(name, other)) {
        WEIR_MISTAKE(mistakes, node, "%s has no %s reading; write `reading: %s`", shown,
                     reading_names[reading->rule.reading], reading_names[other]);
        return;
    }
    const char *names[NAMES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < config->metrics_len && len < NAMES_MAX; i++)
        names[len++] = config->metrics[i].name;
    for (int i = 0; i < WEIR_C_CUSTOM && len < NAMES_MAX; i++)
        names[len++] = weir_counter_info(i)->name;
    const char *near = weir_names_nearest(name, names, len);
    if (near)
        WEIR_MISTAKE(mistakes, node, "there is no metric %s; did you mean `%s`?", shown, near);
    else
        WEIR_MISTAKE(mistakes, node,
                     "there is no metric %s; write one such as conversion_rate or orders, or "
                     "define it under `metrics` in the config",
                     shown);
}

static void scale_sample(struct weir_rule *rule, enum weir_unit unit) {
    if (unit == WEIR_UNIT_MICROS)
        rule->min_sample *= WEIR_MICROS;
    else if (unit == WEIR_UNIT_MS)
        rule->min_sample *= 1000;
}

/* A custom ratio may divide by what no event can ever be. */
static void check_denominator(struct weir_rule_reading *reading, const struct weir_yaml *node,
                              const struct weir_metric *metric) {
    const struct weir_plan *plan = &reading->config->plan;
    int counter = metric->den[0].counter - WEIR_C_CUSTOM;
    if (counter < 0 || (uint32_t)counter >= plan->custom_counters_len)
        return;
    int type = plan->custom_counters[counter].type;
    if (weir_type_is_reached(reading->config, type))
        return;
    WEIR_MISTAKE(reading->loader->mistakes, node,
                 "%s divides by nothing: the preset `%s` has no event of the type `%s`; map a "
                 "name of the source to it under events.types, or use another metric",
                 weir_yaml_shown(reading->loader->scratch, node), reading->config->mapping.preset,
                 weir_event_type_name(type));
}

static void resolve_metric(struct weir_rule_reading *reading) {
    struct weir_rule *rule = &reading->rule;
    const struct weir_yaml *node = weir_yaml_get(reading->map, "metric");
    const struct weir_yaml *sample = weir_yaml_get(reading->map, "min_sample");
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    rule->metric_index = find_metric(reading->config, rule->metric, (int)rule->reading);
    if (rule->metric_index >= 0) {
        const struct weir_metric *metric = &reading->config->metrics[rule->metric_index];
        if (relative && !reading->has_min_sample)
            rule->min_sample = CHANGE_SAMPLE_MIN;
        scale_sample(rule, metric->den_unit);
        check_denominator(reading, node, metric);
    } else if (!is_counter(rule->metric, (int)rule->reading)) {
        unknown_metric(reading, node);
    } else if (rule->min_sample > 0) {
        WEIR_MISTAKE(reading->loader->mistakes, sample,
                     "%s is a counter, which has no denominator; remove min_sample",
                     weir_yaml_shown(reading->loader->scratch, node));
    }
}

static void check_window(struct weir_rule_reading *reading) {
    const struct weir_plan *plan = &reading->config->plan;
    const struct weir_yaml *node = weir_yaml_get(reading->map, "window");
    struct weir_buf list;
    for (uint32_t i = 0; i < plan->windows_len; i++)
        if (plan->windows_ms[i] == reading->rule.window_ms)
            return;
    weir_buf_init(&list, 1024);
    for (uint32_t i = 0; i < plan->windows_len; i++) {
        char text[WEIR_NAME_WINDOW_MAX];
        weir_window_name(text, sizeof text, plan->windows_ms[i]);
        weir_buf_printf(&list, "%s%s", i ? ", " : "", text);
    }
    WEIR_MISTAKE(reading->loader->mistakes, node,
                 "the config has no window %s; write one of %s, or add it to `windows`",
                 weir_yaml_shown(reading->loader->scratch, node), list.data ? list.data : "none");
    weir_buf_close(&list);
}

static void resolve_dimension(struct weir_rule_reading *reading, size_t n) {
    struct weir_rule *rule = &reading->rule;
    const struct weir_config *config = reading->config;
    const char *names[WEIR_DIMENSIONS_MAX];
    size_t len = config->plan.dimensions_len;
    for (size_t i = 0; i < len; i++) {
        names[i] = config->dimension_names[i];
        if (strcmp(names[i], rule->by_names[n]) == 0)
            rule->by[n] = (int)i;
    }
    if (rule->by[n] >= 0)
        return;
    const struct weir_yaml *node = weir_load_item(weir_yaml_get(reading->map, "by"), n);
    const char *near = weir_names_nearest(rule->by_names[n], names, len);
    const char *shown = weir_yaml_shown(reading->loader->scratch, node);
    if (near)
        WEIR_MISTAKE(reading->loader->mistakes, node,
                     "there is no dimension %s; did you mean `%s`?", shown, near);
    else
        WEIR_MISTAKE(reading->loader->mistakes, node,
                     "there is no dimension %s; add it to events.dimensions, or remove `by`",
                     shown);
}

void weir_rule_resolve(struct weir_rule_reading *reading) {
    struct weir_rule *rule = &reading->rule;
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    if (!reading->config) {
        if (relative && !reading->has_min_sample)
            rule->min_sample = CHANGE_SAMPLE_MIN;
        return;
    }
    if (rule->metric)
        resolve_metric(reading);
    if (rule->window_ms > 0)
        check_window(reading);
    for (size_t i = 0; i < rule->by_len; i++)
        resolve_dimension(reading, i);
}

static const char *const variables[] = {"value",  "num",     "den",    "threshold", "window",
                                        "metric", "segment", "change", "previous",  "label"};
#define VARIABLES (sizeof variables / sizeof variables[0])

static void check_variable(struct weir_loader *loader, const struct weir_yaml *node,
                           const char *text, size_t len) {
    char name[VARIABLE_BYTES_MAX];
    while (len > 0 && *text == ' ') {
        text++;
        len--;
    }
    while (len > 0 && text[len - 1] == ' ')
        len--;
    snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), text);
    for (size_t i = 0; i < VARIABLES; i++)
        if (strcmp(variables[i], name) == 0)
            return;
    /* Prometheus writes {{ $value }} */
    const char *near = weir_names_nearest(*name == '$' ? name + 1 : name, variables, VARIABLES);
    for (size_t i = 0; i < VARIABLES && *name == '$'; i++)
        if (strcmp(variables[i], name + 1) == 0)
            near = variables[i];
    if (weir_may_be_secret(name))
        snprintf(name, sizeof name, "...");
    if (near)
        WEIR_MISTAKE(loader->mistakes, node, "unknown variable {{%s}}; did you mean {{%s}}?", name,
                     near);
    else
        WEIR_MISTAKE(loader->mistakes, node,
                     "unknown variable {{%s}}; write {{value}}, {{num}}, {{den}}, {{threshold}}, "
                     "{{window}}, {{metric}}, {{segment}}, {{change}}, {{previous}} or {{label}}",
                     name);
}

void weir_rule_check_template(struct weir_loader *loader, const struct weir_yaml *node) {
    if (node->broken)
        return;
    if (node->kind != WEIR_YAML_TEXT || node->null) {
        WEIR_MISTAKE(loader->mistakes, node, "is %s; write a text",
                     weir_yaml_shown(loader->scratch, node));
        return;
    }
    if (strlen(node->text) > WEIR_ANNOTATION_MAX) {
        WEIR_MISTAKE(loader->mistakes, node, "is longer than %d bytes; write a shorter text",
                     WEIR_ANNOTATION_MAX);
        return;
    }
    for (const char *at = strstr(node->text, "{{"); at; at = strstr(at, "{{")) {
        const char *end = strstr(at, "}}");
        if (!end) {
            WEIR_MISTAKE(loader->mistakes, node, "a {{ has no }} after it; close the variable");
            return;
        }
        check_variable(loader, node, at + 2, (size_t)(end - at - 2));
        at = end + 2;
    }
}
