/* The sections kafka, redis and http. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_load.h"
#include "config_value.h"
#include "weir/buf.h"
#include "weir/redis.h"

#define TOPIC_BYTES_MAX 249
#define VALUE_BYTES_MAX 65536 /* of a property: certificates are long */

const char *weir_topic_fault(const char *topic) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";
    if (strlen(topic) > TOPIC_BYTES_MAX)
        return "is longer than 249 bytes";
    if (!*topic || topic[strspn(topic, allowed)] || strcmp(topic, ".") == 0 ||
        strcmp(topic, "..") == 0)
        return "is not a topic's name";
    return NULL;
}

/* 0..65535 after the last colon. */
static bool is_port(const char *text) {
    int64_t port = 0;
    return *text != '-' && weir_value_integer(text, &port) == WEIR_VALUE_OK && port <= 65535;
}

static bool is_address(const char *text) {
    const char *scheme = strstr(text, "://");
    const char *host = scheme ? scheme + 3 : text;
    const char *port = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    if (bracket && port && port < bracket)
        port = NULL;
    return *host && !strpbrk(host, " ,/") && port != host && (!port || is_port(port + 1));
}

static void read_brokers(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *list = weir_load_node(loader, "kafka.brokers");
    struct weir_buf all;
    weir_buf_init(&all, 64 * 1024);
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        const char *text = weir_load_text(loader, item, 512);
        if (text && !is_address(text))
            WEIR_MISTAKE(loader->mistakes, item,
                         "%s is not host:port; write one broker, such as "
                         "kafka-1:9092",
                         weir_yaml_shown(loader->scratch, item));
        else if (text)
            weir_buf_printf(&all, "%s%s", all.len ? "," : "", text);
    }
    config->kafka.brokers = all.len ? weir_arena_copy(loader->kept, all.data, all.len) : NULL;
    weir_buf_close(&all);
}

static void read_topics(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *list = weir_load_node(loader, "kafka.topics");
    const char **topics =
        weir_arena_take(loader->kept, sizeof *topics * (weir_load_items(list) + 1));
    size_t len = 0;
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        const char *text = weir_load_text(loader, item, 512);
        if (!text)
            continue;
        const char *fault = weir_topic_fault(text);
        for (size_t j = 0; j < len && !fault; j++)
            fault = strcmp(topics[j], text) == 0 ? "stands in the list twice" : NULL;
        if (fault)
            WEIR_MISTAKE(loader->mistakes, item,
                         "%s %s; write each topic once, with letters, "
                         "digits, `.`, `_` and `-`",
                         weir_yaml_shown(loader->scratch, item), fault);
        else
            topics[len++] = weir_arena_text(loader->kept, text);
    }
    config->kafka.topics = topics;
    config->kafka.topics_len = len;
}

static void read_dead_letter_topic(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "kafka.dead_letter_topic");
    if (!node || !config->dead_letter_topic)
        return;
    const char *fault = weir_topic_fault(config->dead_letter_topic);
    if (fault)
        WEIR_MISTAKE(loader->mistakes, node, "%s %s; write letters, digits, `.`, `_` and `-`",
                     weir_yaml_shown(loader->scratch, node), fault);
    for (size_t i = 0; i < config->kafka.topics_len; i++)
        if (strcmp(config->kafka.topics[i], config->dead_letter_topic) == 0)
            WEIR_MISTAKE(loader->mistakes, node,
                         "%s is one of kafka.topics, so dead letters would come back; write "
                         "another topic",
                         weir_yaml_shown(loader->scratch, node));
}

static void read_start(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "kafka.start");
    if (!node || strcmp(node->text, "earliest") == 0)
        return;
    if (strcmp(node->text, "latest") == 0)
        config->start = WEIR_START_LATEST;
    else if (weir_time_parse(node->text, strlen(node->text), &config->start_time_ms) == 0)
        config->start = WEIR_START_TIME;
    else
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is neither earliest, latest nor a time; write one of them, a time as "
                     "2024-01-31T00:00:00Z",
                     weir_yaml_shown(loader->scratch, node));
    if (!weir_load_node(loader, "alerts.warm_up"))
        config->warm_up_ms = weir_load_warm_up(config);
}

/* Who joins a stream in its middle takes sessions under way for new ones, until they end. */
int64_t weir_load_warm_up(const struct weir_config *config) {
    return config->start == WEIR_START_EARLIEST ? 0 : config->plan.gap_ms;
}

/* Names in a Redis hash tag: braces would end it. */
static void check_group(struct weir_loader *loader, const struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "kafka.group");
    if (node && config->kafka.group && strpbrk(config->kafka.group, "{} "))
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s has a space or a brace in it; write letters, digits, `.`, `_` and `-`, "
                     "as Redis keys carry the name",
                     weir_yaml_shown(loader->scratch, node));
}

/* What weir must set itself, and where to say it instead. */
static const char *reserved(const char *property) {
    static const char *const names[][2] = {
        {"bootstrap.servers", "write kafka.brokers"},
        {"metadata.broker.list", "write kafka.brokers"},
        {"group.id", "write kafka.group"},
        {"client.id", "write kafka.client_id"},
        {"enable.auto.commit", "remove it: offsets live in Redis, beside the figures"},
        {"enable.auto.offset.store", "remove it: offsets live in Redis, beside the figures"},
        {"auto.offset.reset", "write kafka.start"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], property) == 0)
            return names[i][1];
    return NULL;
}

/* What librdkafka says of a value may have the value in it: not where it is a secret. */
static bool check_property(struct weir_loader *loader, const struct weir_kafka_property *property,
                           const struct weir_yaml *key, const struct weir_yaml *node, bool file) {
    struct weir_err err;
    bool known;
    if (weir_kafka_check_property(property, &known, &err) == 0)
        return true;
    bool secret = file || strcmp(node->text, node->written) != 0;
    if (!known)
        WEIR_MISTAKE(loader->mistakes, key,
                     "librdkafka has no property `%s`; correct the name, or remove it",
                     property->name);
    else
        WEIR_MISTAKE(loader->mistakes, node, "%s",
                     secret ? "librdkafka does not take this value; write one that it documents, "
                              "or remove it"
                            : err.text);
    return false;
}

static void read_property(struct weir_loader *loader, struct weir_config *config,
                          struct weir_kafka_property *properties, const struct weir_yaml *key,
                          const struct weir_yaml *node) {
    size_t len = strlen(key->text);
    bool file = len > 5 && strcmp(key->text + len - 5, "_file") == 0;
    char *name = weir_arena_copy(loader->kept, key->text, file ? len - 5 : len);
    const char *instead = reserved(name);
    if (instead) {
        WEIR_MISTAKE(loader->mistakes, key, "weir sets this property itself; %s", instead);
        return;
    }
    if (!file && node->kind != WEIR_YAML_TEXT) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "is %s; write the property's full name with dots, such as `sasl.username: "
                     "weir`",
                     weir_yaml_shown(loader->scratch, node));
        return;
    }
    const char *value = file ? weir_load_secret(loader, node) : node->text;
    if (!value || node->broken)
        return;
    if (strlen(value) > VALUE_BYTES_MAX) {
        WEIR_MISTAKE(loader->mistakes, node, "is longer than 64 KiB; shorten it");
        return;
    }
    for (size_t i = 0; i < config->kafka.properties_len; i++) {
        if (strcmp(properties[i].name, name) == 0) {
            WEIR_MISTAKE(loader->mistakes, key, "`%s` is given twice; keep one of the two", name);
            return;
        }
    }
    struct weir_kafka_property property = {name, weir_arena_text(loader->kept, value)};
    bool real = loader->reads_files || !file; /* else it only stands in for a secret */
    if (real && !check_property(loader, &property, key, node, file))
        return;
    properties[config->kafka.properties_len++] = property;
}

void weir_load_kafka(struct weir_loader *loader, struct weir_config *config) {
    read_brokers(loader, config);
    read_topics(loader, config);
    read_dead_letter_topic(loader, config);
    read_start(loader, config);
    check_group(loader, config);
    config->kafka.prefetch_bytes = config->prefetch_bytes;

    const struct weir_yaml *map = weir_load_node(loader, "kafka.rdkafka");
    size_t len = map ? map->len : 0;
    struct weir_kafka_property *properties =
        weir_arena_take(loader->kept, sizeof *properties * (len + 1));
    config->kafka.properties = properties;
    for (size_t i = 0; i < len; i++)
        read_property(loader, config, properties, map->keys[i], map->items[i]);
    if (len > 0)
        config->rdkafka_place = weir_arena_printf(loader->kept, "%s:%d:%d: %s", map->source->name,
                                                  map->line, map->column, map->path);
}

int weir_config_check_clients(const struct weir_config *config, struct weir_err *err) {
    struct weir_err said;
    if (!config->rdkafka_place ||
        weir_kafka_check_clients(&config->kafka, config->dead_letter_topic, &said) == 0)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT, "%s: %s", config->rdkafka_place, said.text);
}

/* Everything but letters and digits as %XX, so that it cannot be taken for the url's own. */
static const char *escaped(struct weir_arena *arena, const char *text) {
    struct weir_buf out;
    weir_buf_init(&out, 8192);
    for (const char *at = text; *at; at++) {
        bool plain =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        weir_buf_printf(&out, plain ? "%c" : "%%%02X", (unsigned)(unsigned char)*at);
    }
    WEIR_ASSERT(!out.failed);
    const char *copy = weir_arena_copy(arena, out.data ? out.data : "", out.len);
    weir_buf_close(&out);
    return copy;
}

static void put_password(struct weir_loader *loader, struct weir_config *config,
                         const struct weir_yaml *node) {
    const char *rest = strstr(config->redis_url, "://");
    if (!rest)
        return; /* told by the url's own check */
    rest += 3;
    const char *at = memrchr(rest, '@', strcspn(rest, "/?#"));
    if (at && memchr(rest, ':', (size_t)(at - rest))) {
        WEIR_MISTAKE(loader->mistakes, node, "redis.url has a password too; keep one of the two");
        return;
    }
    const char *user = at ? weir_arena_copy(loader->scratch, rest, (size_t)(at - rest)) : "";
    config->redis_url = weir_arena_printf(loader->kept, "%.*s%s:%s@%s",
                                          (int)(rest - config->redis_url), config->redis_url, user,
                                          escaped(loader->scratch, node->text), at ? at + 1 : rest);
}

/* The url carries the files too, so that whoever has it can connect. */
static void put_tls(struct weir_loader *loader, struct weir_config *config) {
    static const char *const keys[][2] = {{"redis.tls.ca_file", "ca_file"},
                                          {"redis.tls.cert_file", "cert_file"},
                                          {"redis.tls.key_file", "key_file"}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct weir_yaml *node = weir_load_node(loader, keys[i][0]);
        if (!node || !node->text)
            continue;
        if (strncmp(config->redis_url, "rediss", 6) != 0) {
            WEIR_MISTAKE(loader->mistakes, node,
                         "redis.url is without TLS; begin it with rediss:// or take this out");
            continue;
        }
        const char *path = weir_load_beside(loader, node->text);
        if (loader->reads_files && access(path, R_OK) != 0)
            WEIR_MISTAKE(loader->mistakes, node,
                         "the file %s cannot be read; write the path of a PEM file",
                         weir_yaml_shown(loader->scratch, node));
        config->redis_url = weir_arena_printf(loader->kept, "%s%c%s=%s", config->redis_url,
                                              strchr(config->redis_url, '?') ? '&' : '?',
                                              keys[i][1], escaped(loader->scratch, path));
    }
}

void weir_load_redis(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *url = weir_load_node(loader, "redis.url");
    const struct weir_yaml *password = weir_load_node(loader, "redis.password");
    if (!url || !config->redis_url)
        return;
    if (password)
        put_password(loader, config, password);
    put_tls(loader, config);
    struct weir_redis *redis = NULL;
    struct weir_err err = {0};
    if (weir_redis_new(&redis, config->redis_url, 1000, &err) != 0)
        WEIR_MISTAKE(loader->mistakes, url, "%s", err.text);
    weir_redis_free(redis);
}

void weir_load_http(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *node = weir_load_node(loader, "http.listen");
    const char *text = config->http_listen;
    if (!node || !text)
        return;
    if (strcmp(text, "off") == 0) {
        config->http_listen = NULL;
        return;
    }
    const char *port = strrchr(text, ':');
    bool v6 = *text == '[' && port && port > text && port[-1] == ']';
    bool v4 = port && port > text && memchr(text, ':', (size_t)(port - text)) == NULL;
    if ((!v6 && !v4) || !is_port(port + 1) || strpbrk(text, " /"))
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is not host:port; write for example 127.0.0.1:9465, [::1]:9465 or off",
                     weir_yaml_shown(loader->scratch, node));
}
