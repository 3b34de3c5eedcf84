/* The section sinks. */
#include <string.h>

#include "config_load.h"
#include "weir/shown.h"

static const char *type_name(const struct weir_option *option, enum weir_sink_type type) {
    return option->choices[type];
}

/* A key that means nothing for the type: more likely a misunderstanding than a wish. */
static void refuse_key(struct weir_loader *loader, const struct weir_yaml *map, const char *key,
                       const char *type) {
    const struct weir_yaml *node = weir_yaml_get(map, key);
    if (node)
        WEIR_MISTAKE(loader->mistakes, node, "a sink of type %s has no `%s`; remove it", type, key);
}

static void need_key(struct weir_loader *loader, const struct weir_yaml *map, const char *key,
                     const char *type, const char *example) {
    WEIR_MISTAKE(loader->mistakes, map, "`%s` is missing, a sink of type %s needs it; add `%s: %s`",
                 key, type, key, example);
}

static bool is_http(const char *url) {
    const char *rest = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : "";
    return *rest && *rest != '/' && *rest != ':' && !strchr(url, ' ');
}

static void check_http(struct weir_loader *loader, const struct weir_yaml *map,
                       const struct weir_sink_draft *draft, const char *type) {
    const struct weir_yaml *url = weir_yaml_get(map, "url");
    const struct weir_yaml *file = weir_yaml_get(map, "url_file");
    if (!url && !file)
        need_key(loader, map, "url", type, "https://example.com/hook");
    else if (draft->url && !is_http(draft->url))
        WEIR_MISTAKE(loader->mistakes, url ? url : file,
                     "the url is not http:// or https:// with a host; write it in full, such as "
                     "https://example.com/hook");
    refuse_key(loader, map, "topic", type);
}

static void check_topic(struct weir_loader *loader, const struct weir_config *config,
                        const struct weir_yaml *map, const char *topic) {
    const struct weir_yaml *node = weir_yaml_get(map, "topic");
    if (!node)
        need_key(loader, map, "topic", "kafka", "shop.alerts");
    if (!node || !topic)
        return;
    const char *fault = weir_topic_fault(topic);
    if (fault)
        WEIR_MISTAKE(loader->mistakes, node, "%s %s; write letters, digits, `.`, `_` and `-`",
                     weir_yaml_shown(loader->scratch, node), fault);
    for (size_t i = 0; i < config->kafka.topics_len; i++)
        if (strcmp(config->kafka.topics[i], topic) == 0)
            WEIR_MISTAKE(loader->mistakes, node,
                         "%s is one of kafka.topics, so alerts would be read as events; write "
                         "another topic",
                         weir_yaml_shown(loader->scratch, node));
}

static void check_keys(struct weir_loader *loader, const struct weir_config *config,
                       const struct weir_yaml *map, const struct weir_sink_draft *draft,
                       const char *type) {
    enum weir_sink_type kind = (enum weir_sink_type)draft->type;
    if (kind == WEIR_SINK_WEBHOOK || kind == WEIR_SINK_ALERTMANAGER) {
        check_http(loader, map, draft, type);
        return;
    }
    static const char *const http_only[] = {"url", "url_file", "secret", "secret_file"};
    for (size_t i = 0; i < sizeof http_only / sizeof http_only[0]; i++)
        refuse_key(loader, map, http_only[i], type);
    if (kind == WEIR_SINK_KAFKA)
        check_topic(loader, config, map, draft->topic);
    else
        refuse_key(loader, map, "topic", type);
}

static char *name_of(struct weir_loader *loader, const struct weir_config *config,
                     const struct weir_sink_draft *draft, const char *type) {
    if (draft->name)
        return draft->name;
    size_t same = 1;
    for (size_t i = 0; i < config->sinks_len; i++)
        same += (int)config->sinks[i].type == draft->type;
    return weir_arena_printf(loader->kept, "%s-%zu", type, same);
}

static void check_name(struct weir_loader *loader, const struct weir_config *config,
                       const struct weir_yaml *map, const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-";
    const struct weir_yaml *node = weir_yaml_get(map, "name");
    if (!node)
        node = map;
    if (name[strspn(name, allowed)])
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s has other characters than letters, digits, `_` "
                     "and `-`; write a shorter word",
                     weir_yaml_shown(loader->scratch, node));
    for (size_t i = 0; i < config->sinks_len; i++)
        if (strcmp(config->sinks[i].name, name) == 0)
            WEIR_MISTAKE(loader->mistakes, node,
                         "another sink has the name `%s`; give each its own `name`",
                         weir_may_be_secret(name) ? "..." : name);
}

static void read_sink(struct weir_loader *loader, struct weir_config *config,
                      const struct weir_yaml *map) {
    struct weir_sink_draft draft = {.type = -1};
    const struct weir_yaml *set[WEIR_OPTIONS_MAX] = {0};
    const struct weir_options *options = weir_options_config();
    struct weir_section section = {options, "sinks[]", &draft, set};
    weir_load_section(loader, &section, map);
    if (draft.type < 0)
        return;
    size_t index = weir_option_index(options, "sinks[].type");
    const char *type = type_name(&options->items[index], (enum weir_sink_type)draft.type);
    check_keys(loader, config, map, &draft, type);
    char *name = name_of(loader, config, &draft, type);
    check_name(loader, config, map, name);
    config->sinks[config->sinks_len++] = (struct weir_sink){
        .type = (enum weir_sink_type)draft.type,
        .name = name,
        .url = draft.type == WEIR_SINK_KAFKA ? draft.topic : draft.url,
        .secret = draft.secret,
        .timeout_ms = draft.timeout_ms,
    };
}

void weir_load_sinks(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *list = weir_load_node(loader, "sinks");
    size_t len = weir_load_items(list);
    config->sinks = weir_arena_take(loader->kept, sizeof *config->sinks * (len + 1));
    for (size_t i = 0; i < len; i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        if (item->kind == WEIR_YAML_MAP)
            read_sink(loader, config, item);
        else if (!item->broken)
            WEIR_MISTAKE(loader->mistakes, item, "%s is not a map; write for example { type: log }",
                         weir_yaml_kind_shown(item));
    }
}
