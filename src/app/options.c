#include "options.h"

#include "weir/config.h"

#define FIELD(type_, member_)                                                                      \
    .offset = offsetof(type_, member_), .size = sizeof(((type_ *)0)->member_)
#define CONFIG(member_) FIELD(struct weir_config, member_)
/* From the one member to the other: what the second pass makes of a list. */
#define CONFIG_SPAN(first_, last_)                                                                 \
    .offset = offsetof(struct weir_config, first_),                                                \
    .size = offsetof(struct weir_config, last_) + sizeof(((struct weir_config *)0)->last_) -       \
            offsetof(struct weir_config, first_)
#define SINK(member_) FIELD(struct weir_sink_draft, member_)
#define TERM(member_) FIELD(struct weir_term_draft, member_)

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define YEARS_MS (3660 * DAY_MS) /* ten years: data sets are replayed with such gaps */
#define KIB 1024LL
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* In the order of their enums. */
static const char *const bounces[] = {"ga4", "single_page", "single_event", NULL};
static const char *const carts[] = {"non_empty", "any", NULL};
static const char *const agent_lists[] = {"none", "default", NULL};
static const char *const sink_types[] = {"log", "kafka", "webhook", "alertmanager", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"logfmt", "json", NULL};
static const char *const sums[] = {"value", "quantity", NULL};

#define TEXT WEIR_OPTION_TEXT
#define DURATION WEIR_OPTION_DURATION
#define SIZE WEIR_OPTION_SIZE
#define INTEGER WEIR_OPTION_INTEGER
#define CHOICE WEIR_OPTION_CHOICE
#define LIST WEIR_OPTION_LIST
#define MAP WEIR_OPTION_MAP
#define REQUIRED WEIR_OPTION_REQUIRED
#define RELOAD WEIR_OPTION_RELOAD
#define SECRET WEIR_OPTION_SECRET
#define OFF WEIR_OPTION_OFF

static const struct weir_option options[] = {
    {"kafka.brokers", LIST, .example = "[localhost:9092]", .min = 1, .max = 64, .flags = REQUIRED,
     .help = "Kafka's bootstrap servers. `weir run` needs them, `weir replay` does not"},
    {"kafka.topics", LIST, .example = "[shop.events]", .min = 1, .max = 64, .flags = REQUIRED,
     .help = "the topics that hold the events"},
    {"kafka.group", TEXT, "weir", .min = 1, .max = 200, CONFIG(kafka.group),
     .help = "the consumer group; also the name under which Redis holds the figures"},
    {"kafka.start", TEXT, "earliest", .example = "2024-01-31T00:00:00Z", .max = 64,
     .help =
         "where to begin while there is no state yet: `earliest`, `latest` (a partition that comes "
         "later is read from its first record) or a time"},
    {"kafka.dead_letter_topic", TEXT, .example = "shop.events.dlq", .min = 1, .max = 249,
     CONFIG(dead_letter_topic),
     .help = "takes the records that cannot be counted; without it they are counted, logged and "
             "sampled"},
    {"kafka.client_id", TEXT, "weir", .min = 1, .max = 200, CONFIG(kafka.client_id),
     .help = "the name by which brokers log this program"},
    {"kafka.prefetch", SIZE, "0", .example = "256MiB", .max = 64 * GIB, CONFIG(prefetch_bytes),
     .help = "memory for records fetched ahead, over the whole process; 0: weir chooses, a quarter "
             "of `memory` where that is set"},
    {"kafka.rdkafka", MAP, .example = "{ security.protocol: SASL_SSL }", .max = 200,
     .help = "any property of librdkafka; one that ends with `_file` is read from that file, such "
             "as `sasl.password_file`"},

    {"redis.url", TEXT, .example = "redis://localhost:6379/0", .min = 1, .max = 1024,
     CONFIG(redis_url), .flags = REQUIRED | SECRET,
     .help = "`redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS, or "
             "`unix:///path`; hosts with commas between them for a Redis Cluster; "
             "`redis+sentinel://host:26379,host:26379/primary[/db]` for the primary that Sentinels "
             "name. `weir run` needs it"},
    {"redis.password", TEXT, .example = "${REDIS_PASSWORD}", .min = 1, .max = 512, .flags = SECRET,
     .help = "the password, when it is not in the url"},
    {"redis.tls.ca_file", TEXT, .example = "tls/ca.crt", .min = 1, .max = 512,
     .help = "PEM file of the authorities that may sign Redis's certificate; without it the "
             "system's. A file beside the config may be named without its path"},
    {"redis.tls.cert_file", TEXT, .example = "tls/weir.crt", .min = 1, .max = 512,
     .help = "PEM file of weir's own certificate, where Redis wants one"},
    {"redis.tls.key_file", TEXT, .example = "tls/weir.key", .min = 1, .max = 512,
     .help = "PEM file of that certificate's key"},

    {"events.preset", TEXT, "weir", .min = 1, .max = 64, CONFIG(mapping.preset),
     .help = "whose field and type names the source uses: `weir`, `ga4`, `segment`, `snowplow`, "
             "`rees46` or `otto`"},
    {"events.fields", MAP, .example = "{ time: context.sent_at }", .max = 32,
     .help = "over the preset: weir's field (`type`, `time`, `session`, `visitor`, `event_id`, "
             "`order_id`, `value`, `currency`, `quantity`, `user_agent`) to its dotted path"},
    {"events.types", MAP, .example = "{ \"Order Completed\": purchase }", .max = 1000,
     .help = "over the preset: the source's name to weir's type (`page_view`, `interaction`, "
             "`add_to_cart`, `remove_from_cart`, `begin_checkout`, `purchase`, `refund`, "
             "`session_start`, `session_end`) or to one that a custom metric uses"},
    {"events.dimensions", MAP, .example = "{ country: geo.country }", .max = WEIR_DIMENSIONS_MAX,
     .help = "name to dotted path: every metric is also kept for each value of these"},
    {"events.max_values", INTEGER, "1000", .min = 1, .max = 65000, CONFIG(plan.values_max),
     .help = "values of one dimension in one partition; what is beyond goes to `_other`"},
    {"events.max_record", SIZE, "64KiB", .min = 256, .max = 16 * MIB, CONFIG(mapping.record_max),
     .help = "a larger record is a dead letter (`too_large`) and is not parsed"},
    {"events.currency.to", TEXT, .example = "EUR", .min = 3, .max = 3, CONFIG(mapping.currency_to),
     .flags = REQUIRED,
     .help = "the currency of all revenue; without it values are taken as they are"},
    {"events.currency.rates", MAP, .example = "{ USD: 0.92 }", .max = 300,
     .help = "currency code to what one unit is worth in `to`; any other code is a dead letter "
             "(`bad_currency`)"},

    {"sessions.gap", DURATION, "30m", .min = SECOND_MS, .max = YEARS_MS, CONFIG(plan.gap_ms),
     .help = "inactivity in event time that ends a session"},
    {"sessions.cap", DURATION, "24h", .min = SECOND_MS, .max = YEARS_MS, CONFIG(plan.cap_ms),
     .help = "the longest session, from its first event; not below `gap`"},
    {"sessions.bounce", CHOICE, "ga4", .choices = bounces, CONFIG(plan.bounce),
     .help = "which sessions bounce: `ga4` those never engaged, `single_page` of at most one page "
             "view, `single_event` of one event"},
    {"sessions.recovery", DURATION, "24h", .max = YEARS_MS, CONFIG(plan.recovery_ms), .flags = OFF,
     .help = "a purchase of the same visitor this soon recovers an abandoned cart"},
    {"sessions.cart", CHOICE, "non_empty", .choices = carts, CONFIG(plan.cart),
     .help = "`non_empty`: a cart emptied by removals is none; `any`: any add makes a cart "
             "session. With the preset `rees46` the default is `any`, as its removals refer to "
             "carts of earlier visits"},
    {"sessions.max_open", INTEGER, "2000000", .min = 1, .max = 100000000, CONFIG(plan.sessions_max),
     .help = "open sessions in one partition; beyond it the next to end, end early and are "
             "counted. With `memory` the default follows from it"},

    {"time.out_of_orderness", DURATION, "5s", .max = YEARS_MS, CONFIG(plan.out_of_orderness_ms),
     .help = "how far the watermark stays behind the newest event"},
    {"time.allowed_lateness", DURATION, "10m", .max = YEARS_MS, CONFIG(plan.allowed_lateness_ms),
     .help = "an event this far behind the watermark still corrects its window; a later one is "
             "counted as late"},
    {"time.idle_timeout", DURATION, "30s", .min = SECOND_MS, .max = DAY_MS, CONFIG(idle_timeout_ms),
     .help = "a partition without records for this long no longer holds "
             "the others back"},
    {"time.max_ahead", DURATION, "1m", .max = YEARS_MS, CONFIG(plan.max_ahead_ms),
     .help = "an event further ahead of its Kafka timestamp is a dead letter (`too_far_ahead`)"},

    {"windows", LIST, "[1m, 5m, 15m, 1h, 24h]", .min = 1, .max = WEIR_WINDOWS_MAX,
     .help = "sliding windows, 10s to 90d. The slide is 10 s up to 1h, 1 min up to 24h, 1 h "
             "beyond; a window is a multiple of its slide"},
    {"metrics", MAP,
     .example = "{ roas: { ratio: [ { sum: value, of: purchase }, "
                "{ sum: value, of: ad_cost } ] } }",
     .max = WEIR_CUSTOM_METRICS_MAX, .help = "metrics of one's own, by name"},
    {"metrics.<name>.ratio", LIST, .example = "[ { count: email_open }, { count: email_sent } ]",
     .min = 2, .max = 2, .flags = REQUIRED, .help = "numerator and denominator"},
    {"metrics.<name>.ratio[].count", TEXT, .example = "email_open", .min = 1, .max = 63,
     TERM(count), .help = "counts the events of this type: one of weir's, or any other name"},
    {"metrics.<name>.ratio[].sum", CHOICE, .example = "value", .choices = sums, TERM(sum),
     .help = "adds up this field of the events of the type `of`"},
    {"metrics.<name>.ratio[].of", TEXT, .example = "purchase", .min = 1, .max = 63, TERM(of),
     .help = "the type whose field `sum` adds up"},

    {"bots.user_agents", CHOICE, "default", .choices = agent_lists, CONFIG(plan.bot_user_agents),
     .help = "`default`: events whose user agent names a known robot are kept apart"},
    {"bots.max_events_per_session", INTEGER, "10000", .min = 1, .max = 65000, .off = UINT32_MAX,
     CONFIG(plan.bot_events_max), .flags = OFF,
     .help = "a session with more events is a robot's from there on"},

    {"alerts.rules_files", LIST, .example = "[rules/*.yaml]", .max = 64, .flags = RELOAD,
     CONFIG_SPAN(rules_files, rules), .help = "the rules files, as patterns relative to this file"},
    {"alerts.repeat_interval", DURATION, "4h", .min = SECOND_MS, .max = 90 * DAY_MS,
     CONFIG(repeat_interval_ms), .flags = RELOAD,
     .help = "a firing alert is sent again this often"},
    {"alerts.suspect_lag", DURATION, "60s", .min = SECOND_MS, .max = 90 * DAY_MS,
     CONFIG(lag_suspect_ms), .flags = RELOAD,
     .help = "figures older than this behind the newest record make alerts `suspect`"},
    {"alerts.warm_up", DURATION, .example = "30m", .max = DAY_MS, CONFIG(warm_up_ms),
     .flags = RELOAD,
     .help = "no rule is judged on data of a stream's first minutes, when sessions under way look "
             "new; without it nothing with `kafka.start: earliest`, else `sessions.gap`"},
    {"alerts.outbox_max", INTEGER, "10000", .min = 1, .max = 1000000, CONFIG(outbox_max),
     .flags = RELOAD,
     .help = "alerts waiting for one sink; beyond it the oldest are dropped and counted"},

    {"sinks", LIST, .example = "[ { type: log } ]", .max = 16, .flags = RELOAD,
     CONFIG_SPAN(sinks, sinks_len), .help = "where alerts go besides Redis"},
    {"sinks[].type", CHOICE, .example = "webhook", .choices = sink_types, SINK(type),
     .flags = REQUIRED | RELOAD,
     .help = "`log`: weir's own log; `kafka`: a topic; `webhook`: a "
             "POST with Alertmanager's version 4 body; "
             "`alertmanager`: its v2 API"},
    {"sinks[].name", TEXT, .example = "oncall", .min = 1, .max = 63, SINK(name), .flags = RELOAD,
     .help = "unique; without it `<type>-<n>`"},
    {"sinks[].url", TEXT, .example = "https://example.com/hook", .min = 1, .max = 2048, SINK(url),
     .flags = SECRET | RELOAD, .help = "of a webhook or an Alertmanager"},
    {"sinks[].topic", TEXT, .example = "shop.alerts", .min = 1, .max = 249, SINK(topic),
     .flags = RELOAD, .help = "of a kafka sink"},
    {"sinks[].secret", TEXT, .example = "${WEBHOOK_SECRET}", .min = 1, .max = 1024, SINK(secret),
     .flags = SECRET | RELOAD, .help = "key of the header `X-Weir-Signature` (HMAC-SHA256)"},
    {"sinks[].timeout", DURATION, "10s", .min = 100, .max = 5 * MINUTE_MS, SINK(timeout_ms),
     .flags = RELOAD, .help = "how long one attempt may take"},

    {"memory", SIZE, .example = "1GiB", .min = 128 * MIB, .max = 16384 * GIB, CONFIG(memory.limit),
     .help = "what the process may take, resident: `kafka.prefetch`, `sessions.max_open` and the "
             "queues follow from it; see Memory above"},
    {"workers", INTEGER, "1", .min = 1, .max = 256, CONFIG(workers),
     .help = "threads, each a consumer of the group with partitions of its own"},
    {"http.listen", TEXT, "127.0.0.1:9465", .max = 255, CONFIG(http_listen), .flags = OFF,
     .help = "`host:port` of /metrics, health, API and dashboard, or `off`"},
    {"commit.interval", DURATION, "500ms", .min = 10, .max = MINUTE_MS, CONFIG(commit_interval_ms),
     .help = "how often a partition's state goes to Redis"},
    {"publish.top", INTEGER, "20", .max = 1000, CONFIG(publish_top),
     .help = "segments of a dimension that are published, the largest first"},
    {"publish.retention", DURATION, "24h", .min = MINUTE_MS, .max = 90 * DAY_MS,
     CONFIG(publish_retention_ms), .help = "how far back the published series reach"},
    {"log.level", CHOICE, "info", .choices = log_levels, CONFIG(log_level), .flags = RELOAD,
     .help = "the least that is logged"},
    {"log.format", CHOICE, "logfmt", .choices = log_formats, CONFIG(log_format), .flags = RELOAD,
     .help = "how a log line is written"},
};

const struct weir_options *weir_options_config(void) {
    static const struct weir_options all = {options, sizeof options / sizeof options[0]};
    _Static_assert(sizeof options / sizeof options[0] <= WEIR_OPTIONS_MAX, "raise the ceiling");
    return &all;
}
