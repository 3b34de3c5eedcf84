#include <stdio.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/log.h"
#include "weir/shown.h"

#define MIB ((size_t)1 << 20)
#define PREFETCH (32 * MIB)
#define RECORD_BYTES 512 /* of librdkafka's own, beside a record that is queued */
#define RECORDS_MAX 1000000
#define FETCH_BYTES (50 * MIB) /* librdkafka's own ceiling of one answer */
#define FETCH_SHARE 16         /* of what may be queued, in one answer ... */
#define FETCH_BYTES_MIN MIB    /* ... but not below librdkafka's message.max.bytes */
#define LOG_BYTES 2048
#define SCRAM_VERSION 0x020601ff

struct setting {
    const char *name, *value;
};

static const struct setting shared[] = {
    {"log.connection.close", "false"}, /* idle connections end all the time */
    {"statistics.interval.ms", "0"},
    {"reconnect.backoff.max.ms", "2000"}, /* be back soon after a broker is */
};

static const struct setting of_consumer[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"check.crcs", "true"},
    {"partition.assignment.strategy", "range"},
    {"isolation.level", "read_committed"},
    {"enable.partition.eof", "true"},
};

static const struct setting of_producer[] = {
    {"enable.idempotence", "true"},         {"acks", "all"},
    {"compression.codec", "lz4"},           {"linger.ms", "5"},
    {"partitioner", "murmur2_random"}, /* what Java's producers do */
    {"delivery.report.only.error", "true"}, {"queue.buffering.max.kbytes", "262144"},
};

/* A property that is weir's own to set: allowed only with the value that it has anyway. */
struct reserved {
    const char *name, *value, *why;
};

static const char own_offsets[] = "weir keeps the offsets itself, in Redis with the counters";

static const struct reserved reserved_always[] = {
    {"bootstrap.servers", NULL, "write it as kafka.brokers"},
    {"metadata.broker.list", NULL, "write it as kafka.brokers"},
    {"group.id", NULL, "write it as kafka.group"},
};

static const struct reserved reserved_consumer[] = {
    {"enable.auto.commit", "false", own_offsets},
    {"auto.commit.enable", "false", own_offsets},
    {"enable.auto.offset.store", "false", own_offsets},
    {"auto.offset.reset", "error",
     "an offset that is gone must be an alarm, never a silent skip; where to start is kafka.start"},
    {"enable.partition.eof", "true", "weir must see where a partition ends"},
    {"check.crcs", "true", "a damaged record must not be counted"},
};

static const struct reserved reserved_producer[] = {
    {"enable.idempotence", "true", "a record must not be written twice"},
};

static int refuse(const struct weir_kafka_property *property, const struct reserved *list,
                  size_t len, struct weir_err *err) {
    for (size_t i = 0; i < len; i++) {
        if (strcmp(property->name, list[i].name) != 0)
            continue;
        if (list[i].value && strcmp(property->value, list[i].value) == 0)
            continue;
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "the Kafka property %s=%s cannot be set: %s; remove it", property->name,
                            property->value, list[i].why);
    }
    return 0;
}

static int refuse_reserved(const struct weir_kafka_property *property, enum weir_kafka_role role,
                           struct weir_err *err) {
    int code =
        refuse(property, reserved_always, sizeof reserved_always / sizeof *reserved_always, err);
    if (code == 0 && role == WEIR_KAFKA_CONSUMER)
        code = refuse(property, reserved_consumer,
                      sizeof reserved_consumer / sizeof *reserved_consumer, err);
    if (code == 0 && role == WEIR_KAFKA_PRODUCER)
        code = refuse(property, reserved_producer,
                      sizeof reserved_producer / sizeof *reserved_producer, err);
    if (code == 0 && strcmp(property->name, "partition.assignment.strategy") == 0 &&
        strstr(property->value, "cooperative"))
        code = weir_err_set(err, WEIR_ERR_INPUT,
                            "the Kafka property %s=%s cannot be set: partitions must be given up "
                            "before another worker takes them; write range or roundrobin",
                            property->name, property->value);
    return code;
}

static int put(rd_kafka_conf_t *conf, const char *name, const char *value, struct weir_err *err) {
    char words[512];
    if (rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT, "the Kafka property %s: %s", name, words);
}

/* librdkafka logs a broker's name whole. */
static int put_brokers(rd_kafka_conf_t *conf, const char *brokers, struct weir_err *err) {
    if (strchr(brokers, '@'))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a Kafka broker is host:port, without user and password; those are "
                            "sasl.username and sasl.password under kafka.rdkafka");
    return put(conf, "bootstrap.servers", brokers, err);
}

static int put_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t len,
                   struct weir_err *err) {
    int code = 0;
    for (size_t i = 0; i < len && code == 0; i++)
        code = put(conf, settings[i].name, settings[i].value, err);
    return code;
}

/* So that records, and what librdkafka keeps beside each, stay within the bytes: half of them for
 * the one and half for the other. */
static int put_limits(rd_kafka_conf_t *conf, size_t prefetch_bytes, struct weir_err *err) {
    char text[24];
    if (prefetch_bytes < MIB)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%zu bytes of prefetch are too few: give at least 1MiB",
                            prefetch_bytes);
    snprintf(text, sizeof text, "%zu", prefetch_bytes / 2 / 1024);
    int code = put(conf, "queued.max.messages.kbytes", text, err);
    size_t records = prefetch_bytes / 2 / RECORD_BYTES;
    snprintf(text, sizeof text, "%zu", records > RECORDS_MAX ? RECORDS_MAX : records);
    if (code == 0)
        code = put(conf, "queued.min.messages", text, err);
    /* One answer comes beside what is queued, and decompressed takes several times as much. */
    size_t fetch_bytes = prefetch_bytes / FETCH_SHARE;
    fetch_bytes = fetch_bytes < FETCH_BYTES_MIN ? FETCH_BYTES_MIN : fetch_bytes;
    snprintf(text, sizeof text, "%zu", fetch_bytes > FETCH_BYTES ? FETCH_BYTES : fetch_bytes);
    return code == 0 ? put(conf, "fetch.max.bytes", text, err) : code;
}

/* Full queues make librdkafka come back late: where the pause is a setting, it is short; where it
 * is none, kafka_wake.c ends it. So small queues are as fast as large ones. */
static int put_prefetch(rd_kafka_conf_t *conf, size_t prefetch_bytes, struct weir_err *err) {
    char words[256], text[24];
    rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "5", words, sizeof words); /* if it knows */
    if (prefetch_bytes > 0)
        return put_limits(conf, prefetch_bytes, err);
    snprintf(text, sizeof text, "%zu", PREFETCH / 1024);
    int code = put(conf, "queued.max.messages.kbytes", text, err);
    return code == 0 ? put(conf, "queued.min.messages", "1000000", err) : code;
}

static int put_producer(rd_kafka_conf_t *conf, size_t queue_bytes, struct weir_err *err) {
    char text[24];
    int code = put_all(conf, of_producer, sizeof of_producer / sizeof *of_producer, err);
    if (code != 0 || queue_bytes == 0)
        return code;
    snprintf(text, sizeof text, "%zu", queue_bytes / 1024);
    return put(conf, "queue.buffering.max.kbytes", text, err);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    enum weir_log_level ours = WEIR_LOG_DEBUG;
    if (strcmp(facility, "CONFWARN") == 0) /* a consumer's property on a producer is no trouble */
        ours = WEIR_LOG_DEBUG;
    else if (level <= 4)
        ours = WEIR_LOG_WARN; /* librdkafka retries whatever it logs: nothing is final here */
    else if (level <= 6)
        ours = WEIR_LOG_INFO;
    char shown[LOG_BYTES]; /* `debug: conf` tells urls as they are */
    snprintf(shown, sizeof shown, "%s", text);
    weir_hide_users(shown);
    weir_log(ours, "kafka", shown, WEIR_STR("facility", facility),
             WEIR_STR("client", rk ? rd_kafka_name(rk) : ""), WEIR_LOG_END);
}

static int put_role(rd_kafka_conf_t *conf, const struct weir_kafka_options *options,
                    enum weir_kafka_role role, struct weir_err *err) {
    if (role == WEIR_KAFKA_PRODUCER)
        return put_producer(conf, options->queue_bytes, err);
    int code = put_all(conf, of_consumer, sizeof of_consumer / sizeof *of_consumer, err);
    if (code == 0)
        code = put(conf, "group.id", options->group, err);
    return code == 0 ? put_prefetch(conf, options->prefetch_bytes, err) : code;
}

/* Kafka 4 refuses what librdkafka said in a SCRAM handshake before 2.6.1, and calls it a wrong
 * password. */
static void warn_of_scram(const struct weir_kafka_property *property) {
    bool is_mechanism = strcmp(property->name, "sasl.mechanism") == 0 ||
                        strcmp(property->name, "sasl.mechanisms") == 0;
    if (is_mechanism && strncmp(property->value, "SCRAM", 5) == 0 &&
        rd_kafka_version() < SCRAM_VERSION)
        weir_log(WEIR_LOG_WARN, "kafka",
                 "SCRAM with brokers of Kafka 4 needs librdkafka 2.6.1 or later; if they refuse "
                 "the password, use sasl.mechanism PLAIN over TLS, or a newer librdkafka",
                 WEIR_STR("librdkafka", rd_kafka_version_str()), WEIR_LOG_END);
}

rd_kafka_conf_t *weir_kafka_conf_new(const struct weir_kafka_options *options,
                                     enum weir_kafka_role role, struct weir_err *err) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int code = put_all(conf, shared, sizeof shared / sizeof *shared, err);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (code == 0 && options->brokers)
        code = put_brokers(conf, options->brokers, err);
    if (code == 0 && options->client_id)
        code = put(conf, "client.id", options->client_id, err);
    if (code == 0)
        code = put_role(conf, options, role, err);
    for (size_t i = 0; i < options->properties_len && code == 0; i++) {
        if (role == WEIR_KAFKA_CONSUMER)
            warn_of_scram(&options->properties[i]);
        code = refuse_reserved(&options->properties[i], role, err);
        if (code == 0)
            code = put(conf, options->properties[i].name, options->properties[i].value, err);
    }
    if (code == 0)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

int weir_kafka_check_property(const struct weir_kafka_property *property, bool *known,
                              struct weir_err *err) {
    char words[512];
    *known = true;
    int code = refuse_reserved(property, WEIR_KAFKA_CONSUMER, err);
    if (code == 0)
        code = refuse_reserved(property, WEIR_KAFKA_PRODUCER, err);
    if (code != 0 || strcmp(property->name, "plugin.library.paths") == 0)
        return code;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t result =
        rd_kafka_conf_set(conf, property->name, property->value, words, sizeof words);
    rd_kafka_conf_destroy(conf);
    *known = result != RD_KAFKA_CONF_UNKNOWN;
    if (result == RD_KAFKA_CONF_OK)
        return 0;
    words[strcspn(words, "\n")] = '\0'; /* some end with a line */
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "%s; write a value that librdkafka documents, or remove it", words);
}

rd_kafka_t *weir_kafka_handle_new(rd_kafka_conf_t *conf, enum weir_kafka_role role,
                                  struct weir_err *err) {
    char words[512];
    rd_kafka_type_t type = role == WEIR_KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
    rd_kafka_t *rk = rd_kafka_new(type, conf, words, sizeof words);
    if (rk)
        return rk;
    rd_kafka_conf_destroy(conf);
    weir_err_set(err, WEIR_ERR_INPUT, "cannot make a Kafka client: %s; see kafka in the config",
                 words);
    return NULL;
}

static int check_client(const struct weir_kafka_options *options, enum weir_kafka_role role,
                        struct weir_err *err) {
    rd_kafka_conf_t *conf = weir_kafka_conf_new(options, role, err);
    rd_kafka_t *rk = conf ? weir_kafka_handle_new(conf, role, err) : NULL;
    if (!rk)
        return -err->code;
    rd_kafka_destroy(rk);
    return 0;
}

int weir_kafka_check_clients(const struct weir_kafka_options *options, bool writes,
                             struct weir_err *err) {
    struct weir_kafka_options nowhere = *options;
    nowhere.brokers = NULL;
    int code = check_client(&nowhere, WEIR_KAFKA_CONSUMER, err);
    return code == 0 && writes ? check_client(&nowhere, WEIR_KAFKA_PRODUCER, err) : code;
}

const char *weir_kafka_library_version(void) {
    return rd_kafka_version_str();
}
