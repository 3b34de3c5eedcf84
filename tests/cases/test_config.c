/* A config, field by field: interface.md's example, JSON, the defaults, and what follows from them.
 */
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config_load.h"
#include "app/config_value.h"
#include "check.h"
#include "weir/config.h"

#define MINUTE_MS 60000LL
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)

static struct weir_config *load(const char *path) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    CHECK_INT(weir_config_load(&config, path, &problems, &err), 0);
    for (size_t i = 0; i < problems.len; i++)
        printf("%s\n", problems.lines[i]);
    weir_problems_free(&problems);
    return config;
}

static struct weir_config *load_text(const char *text) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    CHECK_INT(weir_config_load_bytes(&config, "test", text, strlen(text), &problems, &err), 0);
    for (size_t i = 0; i < problems.len; i++)
        printf("%s\n", problems.lines[i]);
    weir_problems_free(&problems);
    return config;
}

static void check_example_source(const struct weir_config *config) {
    CHECK_TEXT(config->path, "good_interface.yaml");
    CHECK_TEXT(config->kafka.brokers, "localhost:9092");
    CHECK_TEXT(config->kafka.group, "shop");
    CHECK_TEXT(config->kafka.client_id, "weir");
    CHECK_INT(config->kafka.topics_len, 1);
    CHECK_TEXT(config->kafka.topics[0], "shop.events");
    CHECK_INT(config->kafka.properties_len, 1);
    CHECK_TEXT(config->kafka.properties[0].name, "security.protocol");
    CHECK_TEXT(config->kafka.properties[0].value, "SASL_SSL");
    CHECK_INT(config->start, WEIR_START_EARLIEST);
    CHECK_INT(config->warm_up_ms, 0);
    CHECK_TEXT(config->dead_letter_topic, "shop.events.dlq");
    CHECK_TEXT(config->redis_url, "redis://localhost:6379/0");

    const struct weir_mapping_options *mapping = &config->mapping;
    CHECK_TEXT(mapping->preset, "weir");
    CHECK_TEXT(mapping->fields[WEIR_FIELD_TIME], "context.sent_at");
    CHECK_TEXT(mapping->fields[WEIR_FIELD_SESSION], "context.session_id");
    CHECK_TEXT(mapping->fields[WEIR_FIELD_VALUE], "properties.total");
    CHECK(mapping->fields[WEIR_FIELD_TYPE] == NULL);
    CHECK_INT(mapping->types_len, 2);
    CHECK_TEXT(mapping->types[0].name, "Product Viewed");
    CHECK_TEXT(mapping->types[0].value, "page_view");
    CHECK_INT(mapping->dimensions_len, 2);
    CHECK_TEXT(mapping->dimensions[1].name, "country");
    CHECK_TEXT(mapping->dimensions[1].value, "geo.country");
    CHECK_TEXT(config->dimension_names[0], "device");
    CHECK_TEXT(config->dimension_names[1], "country");
    CHECK_INT(mapping->custom_types_len, 3);
    CHECK_TEXT(mapping->custom_types[0], "ad_cost");
    CHECK_TEXT(mapping->custom_types[1], "email_open");
    CHECK_TEXT(mapping->custom_types[2], "email_sent");
    CHECK_TEXT(mapping->currency_to, "EUR");
    CHECK_INT(mapping->rates_len, 1);
    CHECK_TEXT(mapping->rates[0].code, "USD");
    CHECK(fabs(mapping->rates[0].rate - 0.92) < 1e-12);
    CHECK_INT(mapping->record_max, 64 * 1024);
}

static void check_defaults(const struct weir_config *config) {
    const struct weir_plan *plan = &config->plan;
    CHECK_INT(plan->gap_ms, 30 * MINUTE_MS);
    CHECK_INT(plan->cap_ms, DAY_MS);
    CHECK_INT(plan->recovery_ms, DAY_MS);
    CHECK_INT(plan->bounce, WEIR_BOUNCE_GA4);
    CHECK_INT(plan->cart, WEIR_CART_NON_EMPTY);
    CHECK_INT(plan->sessions_max, 2000000);
    CHECK_INT(plan->out_of_orderness_ms, 5000);
    CHECK_INT(plan->allowed_lateness_ms, 10 * MINUTE_MS);
    CHECK_INT(plan->max_ahead_ms, MINUTE_MS);
    CHECK_INT(plan->values_max, 1000);
    CHECK_INT(plan->bot_events_max, 10000);
    CHECK(plan->bot_user_agents);
    static const int64_t windows[] = {MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, DAY_MS};
    CHECK_INT(plan->windows_len, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(plan->windows_ms[i], windows[i]);
    CHECK(plan->fingerprint != 0);
    CHECK_INT(config->idle_timeout_ms, 30000);
    CHECK_INT(config->commit_interval_ms, 500);
    CHECK_TEXT(config->http_listen, "127.0.0.1:9465");
    CHECK_INT(config->log_level, WEIR_LOG_INFO);
    CHECK_INT(config->log_format, WEIR_LOG_LOGFMT);
    CHECK_INT(config->publish_top, 20);
    CHECK_INT(config->publish_retention_ms, DAY_MS);
    CHECK_INT(config->repeat_interval_ms, 4 * HOUR_MS);
    CHECK_INT(config->lag_suspect_ms, MINUTE_MS);
    CHECK_INT(config->outbox_max, 10000);
    CHECK_INT(config->prefetch_bytes, 0);
}

static void check_example_metrics(const struct weir_config *config) {
    size_t builtin_len = 0;
    weir_metrics_builtin(&builtin_len);
    CHECK_INT(config->metrics_len, builtin_len + 2);
    CHECK_INT(config->plan.custom_counters_len, 4);
    const struct weir_custom_counter *counters = config->plan.custom_counters;
    CHECK_INT(counters[0].type, WEIR_PURCHASE);
    CHECK_INT(counters[0].what, WEIR_SUM_VALUE);
    CHECK_INT(counters[1].type, WEIR_CUSTOM_TYPE_FIRST);
    CHECK_INT(counters[1].what, WEIR_SUM_VALUE);
    CHECK_INT(counters[2].type, WEIR_CUSTOM_TYPE_FIRST + 1);
    CHECK_INT(counters[2].what, WEIR_COUNT_EVENTS);
    const struct weir_metric *roas = &config->metrics[builtin_len];
    CHECK_TEXT(roas->name, "roas");
    CHECK_INT(roas->reading, WEIR_LIVE);
    CHECK_INT(roas->num_unit, WEIR_UNIT_MICROS);
    CHECK_INT(roas->den_unit, WEIR_UNIT_MICROS);
    CHECK_INT(roas->num[0].counter, WEIR_C_CUSTOM);
    CHECK_INT(roas->den[0].counter, WEIR_C_CUSTOM + 1);
    CHECK_INT(roas->num[0].sign, 1);
    CHECK_INT(roas->num[1].sign, 0);
    const struct weir_metric *email = &config->metrics[builtin_len + 1];
    CHECK_TEXT(email->name, "email_open_rate");
    CHECK_INT(email->num_unit, WEIR_UNIT_COUNT);
    CHECK_INT(email->den[0].counter, WEIR_C_CUSTOM + 3);
    CHECK_TEXT(email->help, "count of email_open / count of email_sent");
}

static void check_example_alerts(const struct weir_config *config) {
    CHECK_INT(config->sinks_len, 1);
    CHECK_INT(config->sinks[0].type, WEIR_SINK_WEBHOOK);
    CHECK_TEXT(config->sinks[0].name, "webhook-1");
    CHECK_TEXT(config->sinks[0].url, "https://...");
    CHECK_TEXT(config->sinks[0].secret, "p@ss:w/rd%");
    CHECK_INT(config->sinks[0].timeout_ms, 10000);
    CHECK_INT(config->workers, 2);
    CHECK_INT(config->rules_files_len, 1);
    CHECK_TEXT(config->rules_files[0], "rules/interface.yaml");
    CHECK_INT(config->rules.len, 1);
    const struct weir_rule *rule = &config->rules.rules[0];
    CHECK_TEXT(rule->group, "shop");
    CHECK_TEXT(rule->name, "ConversionDown");
    CHECK_TEXT(rule->metric, "conversion_rate");
    CHECK_INT(rule->metric_index, 0);
    CHECK_INT(rule->window_ms, 15 * MINUTE_MS);
    CHECK_INT(rule->by_len, 1);
    CHECK_INT(rule->by[0], 1);
    CHECK_TEXT(rule->by_names[0], "country");
    CHECK_INT(rule->condition, WEIR_BELOW);
    CHECK(fabs(rule->threshold - 0.025) < 1e-12);
    CHECK(fabs(rule->resolve - 0.027) < 1e-12);
    CHECK_INT(rule->min_sample, 500);
    CHECK_INT(rule->for_ms, 2 * MINUTE_MS);
    CHECK_INT(rule->keep_firing_for_ms, 5 * MINUTE_MS);
    CHECK_INT(rule->labels_len, 1);
    CHECK_TEXT(rule->labels[0].name, "severity");
    CHECK_TEXT(rule->labels[0].value, "page");
    CHECK_TEXT(rule->annotations[0].value,
               "Conversion {{value}} ({{num}}/{{den}}), threshold {{threshold}}");
}

static void test_example(void) {
    struct weir_config *config = load("good_interface.yaml");
    if (!config)
        return;
    check_example_source(config);
    check_defaults(config);
    check_example_metrics(config);
    check_example_alerts(config);
    weir_config_free(config);
}

static void test_json(void) {
    struct weir_config *config = load("good_json.yaml");
    if (!config)
        return;
    CHECK_TEXT(config->kafka.brokers, "a:9092,b:9092");
    CHECK_TEXT(config->kafka.group, "weir");
    CHECK_INT(config->kafka.properties_len, 3);
    CHECK_TEXT(config->kafka.properties[0].name, "sasl.password");
    CHECK_TEXT(config->kafka.properties[0].value, "p@ss:w/rd%");
    CHECK_TEXT(config->kafka.properties[1].value, "1");
    CHECK_TEXT(config->kafka.properties[2].name, "ssl.key.password");
    CHECK_TEXT(config->kafka.properties[2].value, "from a windows editor");
    CHECK_TEXT(config->redis_url, "rediss://weir:p%40ss%3Aw%2Frd%25@localhost:6380/3");
    CHECK_INT(config->workers, 4);
    CHECK_INT(config->plan.gap_ms, HOUR_MS);
    CHECK_INT(config->plan.windows_len, 3);
    CHECK_INT(config->plan.windows_ms[0], MINUTE_MS);
    CHECK_INT(config->plan.windows_ms[2], 7 * DAY_MS);
    CHECK_INT(config->sinks_len, 4);
    CHECK_TEXT(config->sinks[0].name, "log-1");
    CHECK(config->sinks[0].url == NULL && config->sinks[0].secret == NULL);
    CHECK_TEXT(config->sinks[1].name, "log-2");
    CHECK_TEXT(config->sinks[2].name, "kafka-1");
    CHECK_TEXT(config->sinks[2].url, "alerts");
    CHECK_TEXT(config->sinks[3].name, "am");
    CHECK_INT(config->sinks[3].type, WEIR_SINK_ALERTMANAGER);
    CHECK_INT(config->sinks[3].timeout_ms, 2000);
    weir_config_free(config);
}

static void test_small(void) {
    struct weir_config *config = load("good_minimal.yaml");
    if (config) {
        check_defaults(config);
        CHECK(config->kafka.brokers == NULL && config->redis_url == NULL);
        CHECK_INT(config->kafka.topics_len, 0);
        CHECK_TEXT(config->kafka.group, "weir");
        CHECK_INT(config->workers, 1);
        CHECK_INT(config->sinks_len, 0);
        CHECK_INT(config->rules.len, 0);
    }
    weir_config_free(config);
    config = load("good_off.yaml");
    if (config) {
        CHECK_INT(config->plan.recovery_ms, 0);
        CHECK_INT(config->plan.bot_events_max, UINT32_MAX);
        CHECK(!config->plan.bot_user_agents);
        CHECK(config->http_listen == NULL);
    }
    weir_config_free(config);
}

static void test_details(void) {
    setenv("WEIR_TEST_GROUP", "from-env", 1);
    struct weir_config *config = load_text(
        "kafka: { brokers: a, topics: b, group: \"x-${WEIR_TEST_GROUP}\", client_id: \"$${y}\", "
        "start: 2024-01-31T00:00:00Z, prefetch: 1GiB }\n"
        "events: { preset: rees46, max_record: 512 }\nsessions: { gap: 2w, cap: 3650d }\n"
        "metrics:\n  a: { ratio: [ { count: purchase }, { sum: quantity, of: purchase } ] }\n"
        "  b: { ratio: [ { sum: quantity, of: purchase }, { count: purchase } ] }\n");
    if (!config)
        return;
    CHECK_TEXT(config->kafka.group, "x-from-env");
    CHECK_TEXT(config->kafka.client_id, "${y}");
    CHECK_TEXT(config->kafka.brokers, "a");
    CHECK_INT(config->start, WEIR_START_TIME);
    CHECK_INT(config->start_time_ms, 1706659200000);
    CHECK_INT(config->warm_up_ms, config->plan.gap_ms); /* the stream is joined in its middle */
    CHECK_INT(config->prefetch_bytes, 1LL << 30);
    CHECK_INT(config->kafka.prefetch_bytes, 1LL << 30);
    CHECK_INT(config->mapping.record_max, 512);
    CHECK_INT(config->plan.gap_ms, 14 * DAY_MS);
    CHECK_INT(config->plan.cart, WEIR_CART_ANY);    /* the preset's own default */
    CHECK_INT(config->plan.custom_counters_len, 2); /* shared by both metrics */
    weir_config_free(config);

    config = load_text("events: { preset: rees46 }\nsessions: { cart: non_empty }\n");
    if (config)
        CHECK_INT(config->plan.cart, WEIR_CART_NON_EMPTY);
    weir_config_free(config);
}

static uint64_t fingerprint(const char *text) {
    struct weir_config *config = load_text(text);
    uint64_t value = config ? config->plan.fingerprint : 0;
    weir_config_free(config);
    return value;
}

static void test_memory(void) {
    struct weir_config *config = load_text("memory: 1GiB\nworkers: 2\n"
                                           "events: { dimensions: { country: country } }\n");
    if (!config)
        return;
    CHECK_INT(config->memory.limit, 1LL << 30);
    CHECK_INT(config->kafka.prefetch_bytes, 256LL << 20);
    CHECK_INT(config->plan.sessions_max, 139744); /* as README.md says */
    CHECK_INT(config->plan.buffers_bytes, 2 << 20);
    CHECK_INT(config->memory.partitions, 8);
    CHECK(config->memory.partition <= 64U << 20);
    CHECK_INT(config->memory.commit, 8 << 20);
    weir_config_free(config);

    config = load_text("memory: 1GiB\nsessions: { max_open: 50000 }\nkafka: { brokers: a, topics: "
                       "b, prefetch: 32MiB }\n");
    if (!config)
        return;
    CHECK_INT(config->plan.sessions_max, 50000);
    CHECK_INT(config->kafka.prefetch_bytes, 32 << 20);
    CHECK_INT(config->memory.partitions, 18);
    weir_config_free(config);

    config = load_text("memory: 16GiB\nevents: { dimensions: { country: country } }\n"
                       "time: { allowed_lateness: 48h }\n");
    if (!config)
        return;
    CHECK_INT(config->plan.buffers_bytes, WEIR_BUFFERS_MAX);
    CHECK(config->memory.partition > 150U << 20); /* two days of buckets, each of 1,002 segments */
    CHECK(config->memory.partition <= 1024U << 20);
    weir_config_free(config);
}

static void test_fingerprint(void) {
    uint64_t plain = fingerprint("workers: 1\n");
    static const char *const same[] = {"workers: 2\n",
                                       "windows: [24h, 1h, 15m, 300s, 1m]\n",
                                       "sessions: { gap: 1800s }\n",
                                       "sinks: [ { type: log } ]\n",
                                       "alerts: { repeat_interval: 1h }\n",
                                       "kafka: { brokers: [a], topics: [b], group: c }\n",
                                       "memory: 1024GiB\n",
                                       "memory: 4GiB\nsessions: { max_open: 2000000 }\n",
                                       "time: { idle_timeout: 5s }\n"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        CHECK(fingerprint(same[i]) == plain);
    static const char *const other[] = {
        "sessions: { gap: 31m }\n",
        "sessions: { cap: 23h }\n",
        "sessions: { bounce: single_page }\n",
        "sessions: { recovery: off }\n",
        "sessions: { cart: any }\n",
        "sessions: { max_open: 5 }\n",
        "memory: 1GiB\n",
        "time: { out_of_orderness: 6s }\n",
        "time: { allowed_lateness: 1m }\n",
        "time: { max_ahead: 2m }\n",
        "events: { max_values: 10 }\n",
        "events: { max_record: 1KiB }\n",
        "bots: { max_events_per_session: 5 }\n",
        "bots: { user_agents: none }\n",
        "windows: [1m]\n",
        "events: { preset: otto }\n",
        "events: { fields: { session: a } }\n",
        "events: { types: { a: purchase } }\n",
        "events: { types: { a: refund } }\n",
        "events: { dimensions: { a: x } }\n",
        "events: { dimensions: { b: x } }\n",
        "events: { dimensions: { a: y } }\n",
        "events: { currency: { to: EUR } }\n",
        "events: { currency: { to: EUR, rates: { USD: 0.9 } } }\n",
        "events: { currency: { to: EUR, rates: { USD: 0.91 } } }\n",
        "metrics: { m: { ratio: [ { count: refund }, { count: purchase } ] } }\n",
        "metrics: { m: { ratio: [ { count: opened }, { count: purchase } ] } }\n",
        "metrics: { m: { ratio: [ { count: sent_out }, { count: purchase } ] } }\n"};
    size_t len = sizeof other / sizeof other[0];
    uint64_t seen[sizeof other / sizeof other[0]];
    for (size_t i = 0; i < len; i++) {
        seen[i] = fingerprint(other[i]);
        CHECK(seen[i] != 0 && seen[i] != plain);
        for (size_t j = 0; j < i; j++)
            CHECK(seen[i] != seen[j]);
    }
    CHECK(fingerprint("events: { types: { a: purchase, b: refund } }\n") ==
          fingerprint("events: { types: { b: refund, a: purchase } }\n"));
}

static void check_restart(const char *before, const char *after, int want, const char *key) {
    struct weir_config *old = load_text(before), *new_config = load_text(after);
    char out[512];
    if (old && new_config) {
        CHECK_INT(weir_config_restart_needed(old, new_config, out, sizeof out), want);
        CHECK(want > 0 ? strstr(out, key) != NULL : *out == '\0');
        CHECK(strstr(out, "hush") == NULL);
    }
    weir_config_free(old);
    weir_config_free(new_config);
}

static void test_restart(void) {
    check_restart("workers: 1\n", "sessions: { gap: 1800s }\nwindows: [1h, 24h, 1m, 5m, 900s]\n", 0,
                  "");
    check_restart("sinks: [ { type: log } ]\nlog: { level: info }\n",
                  "log: { level: debug }\nalerts: { outbox_max: 5 }\n", 0, "");
    check_restart("workers: 1\n", "workers: 2\n", 1, "`workers`");
    check_restart("windows: [1m]\n", "windows: [1m, 2m]\n", 1, "`windows`");
    check_restart("http: { listen: off }\n", "workers: 3\n", 2, "`workers`, `http.listen`");
    check_restart("redis: { url: \"redis://:hush@a\" }\n", "redis: { url: \"redis://:hush2@a\" }\n",
                  1, "`redis.url`");
    check_restart("workers: 1\n",
                  "kafka: { brokers: [a], topics: [b], rdkafka: { client.rack: a } }\n", 3,
                  "`kafka.rdkafka`");
}

/* Field by field of the table: which of the two configs it is of. */
static void check_over(const struct weir_config *started, const struct weir_config *over) {
    const struct weir_options *options = weir_options_config();
    size_t kept = 0;
    for (size_t i = 0; i < options->len; i++) {
        const struct weir_option *option = &options->items[i];
        if (option->size == 0 || strchr(option->path, '[') ||
            (option->flags & WEIR_OPTION_RELOAD) != 0)
            continue;
        kept++;
        if (memcmp((const char *)started + option->offset, (const char *)over + option->offset,
                   option->size) != 0)
            printf("%s is not that of the start\n", option->path);
        else
            continue;
        CHECK(false);
    }
    CHECK(kept > 20);
    CHECK(over->kafka.topics == started->kafka.topics && over->metrics == started->metrics);
    CHECK_INT(over->start, WEIR_START_LATEST);
    CHECK_INT(over->warm_up_ms, over->plan.gap_ms); /* follows from the start that is kept */
    CHECK_INT(over->repeat_interval_ms, MINUTE_MS);
    CHECK_INT(over->log_level, WEIR_LOG_WARN);
    CHECK_INT(over->sinks_len, 1);
    CHECK(over->sinks_len == 1 && strcmp(over->sinks[0].name, "log-1") == 0);
}

static void test_reload(void) {
    static const char before[] = "kafka: { brokers: [a], topics: [b], start: latest }\n"
                                 "redis: { url: redis://a/1 }\n";
    static const char after[] =
        "kafka: { brokers: [c], topics: [d, e], group: g, client_id: h, prefetch: 9MiB,\n"
        "         dead_letter_topic: i }\n"
        "redis: { url: redis://a/2 }\n"
        "events: { preset: otto, max_values: 7, max_record: 1KiB, currency: { to: EUR } }\n"
        "sessions: { gap: 1m, cap: 2m, bounce: single_event, recovery: 1h, cart: any, max_open: 9 "
        "}\n"
        "time: { out_of_orderness: 1s, allowed_lateness: 1s, idle_timeout: 1s, max_ahead: 1s }\n"
        "bots: { user_agents: none, max_events_per_session: 5 }\n"
        "workers: 2\nhttp: { listen: off }\ncommit: { interval: 1s }\n"
        "publish: { top: 1, retention: 1h }\nwindows: [1m]\n"
        "alerts: { repeat_interval: 1m }\nsinks: [ { type: log } ]\nlog: { level: warn }\n";
    char path[] = "/tmp/weir-config-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, after, sizeof after - 1) == (ssize_t)sizeof after - 1);
    close(file);
    struct weir_config *started = load_text(before), *over = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    CHECK_INT(weir_config_load_over(&over, path, started, &problems, &err), 0);
    weir_problems_free(&problems);
    if (started && over)
        check_over(started, over);
    weir_config_free(over);
    weir_config_free(started);
    unlink(path);
}

static void test_values(void) {
    int64_t value = 0;
    double number = 0;
    CHECK(weir_value_duration("500ms", &value) == WEIR_VALUE_OK && value == 500);
    CHECK(weir_value_duration("2w", &value) == WEIR_VALUE_OK && value == 14 * DAY_MS);
    CHECK(weir_value_duration("0", &value) == WEIR_VALUE_OK && value == 0);
    CHECK(weir_value_duration("1", &value) == WEIR_VALUE_NO_UNIT);
    CHECK(weir_value_duration("+1s", &value) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_duration("106751991168d", &value) == WEIR_VALUE_TOO_LARGE);
    CHECK(weir_value_duration("", &value) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_size("64KiB", &value) == WEIR_VALUE_OK && value == 65536);
    CHECK(weir_value_size("512", &value) == WEIR_VALUE_OK && value == 512);
    CHECK(weir_value_size("8589934592GiB", &value) == WEIR_VALUE_TOO_LARGE);
    CHECK(weir_value_integer("-7", &value) == WEIR_VALUE_OK && value == -7);
    CHECK(weir_value_integer("7 ", &value) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_integer("-", &value) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_integer("9223372036854775808", &value) == WEIR_VALUE_TOO_LARGE);
    CHECK(weir_value_share("20%", &number) == WEIR_VALUE_OK && fabs(number - 0.2) < 1e-15);
    CHECK(weir_value_share("-1e-3", &number) == WEIR_VALUE_OK && fabs(number + 0.001) < 1e-15);
    CHECK(weir_value_share("%", &number) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_number("0x10", &number) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_number("inf", &number) == WEIR_VALUE_MALFORMED);
    CHECK(weir_value_number("1e999", &number) == WEIR_VALUE_TOO_LARGE);
    CHECK(weir_value_number("1.2.3", &number) == WEIR_VALUE_MALFORMED);
    char text[WEIR_VALUE_TEXT_MAX];
    weir_value_duration_text(text, 5400000);
    CHECK_TEXT(text, "90m");
    weir_value_size_text(text, 65536);
    CHECK_TEXT(text, "64KiB");
}

int main(void) {
    char here[] = __FILE__;
    CHECK(chdir(dirname(here)) == 0 && chdir("config") == 0);
    test_values();
    test_example();
    test_json();
    test_small();
    test_details();
    test_memory();
    test_fingerprint();
    test_restart();
    test_reload();
    return check_done("test_config");
}
