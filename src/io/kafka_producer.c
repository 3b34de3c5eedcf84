#include <stdlib.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"
#include "weir/log.h"

#define TOPICS_MAX 16    /* handles kept, so that a send need not look its topic up by name */
#define POLL_EVERY 256   /* sends */
#define FULL_WAIT_MS 100 /* a step of waiting while the queue is full */
#define FULL_MAX_MS 60000

struct weir_producer {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topics[TOPICS_MAX];
    size_t topics_len;
    uint32_t sent;
    int64_t logged_us;
    _Atomic uint64_t failed;
};

static void on_failure(struct weir_producer *self, const char *topic, const char *words) {
    int64_t now_us = weir_clock_monotonic_us();
    if (self->logged_us != 0 && now_us - self->logged_us < 1000000)
        return;
    self->logged_us = now_us;
    weir_log(WEIR_LOG_WARN, "kafka", "cannot write", WEIR_STR("topic", topic),
             WEIR_STR("detail", words), WEIR_INT("failed", (int64_t)atomic_load(&self->failed)),
             WEIR_LOG_END);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct weir_producer *self = opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    atomic_fetch_add(&self->failed, 1);
    on_failure(self, rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    (void)rk;
    (void)code;
    on_failure(opaque, "", reason);
}

static bool has_limit(const struct weir_kafka_options *options) {
    for (size_t i = 0; i < options->properties_len; i++)
        if (strcmp(options->properties[i].name, "message.timeout.ms") == 0 ||
            strcmp(options->properties[i].name, "delivery.timeout.ms") == 0)
            return true;
    return false;
}

/* Without transactions what is queued waits for the brokers however long they are away, and is not
 * given up after librdkafka's five minutes: its sender waits for it. */
static bool put_kind(rd_kafka_conf_t *conf, const struct weir_kafka_options *options,
                     const char *id, struct weir_err *err) {
    char words[256];
    const char *name = id ? "transactional.id" : "message.timeout.ms";
    if (!id && has_limit(options))
        return true;
    if (rd_kafka_conf_set(conf, name, id ? id : "0", words, sizeof words) == RD_KAFKA_CONF_OK)
        return true;
    weir_err_set(err, WEIR_ERR_INPUT, "the Kafka property %s: %s", name, words);
    return false;
}

/* `id` of its transactions; NULL: it has none. NULL when err says why. */
static struct weir_producer *producer_new(const struct weir_kafka_options *options, const char *id,
                                          struct weir_err *err) {
    rd_kafka_conf_t *conf = weir_kafka_conf_new(options, WEIR_KAFKA_PRODUCER, err);
    if (!conf)
        return NULL;
    if (!put_kind(conf, options, id, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    struct weir_producer *self = calloc(1, sizeof *self);
    WEIR_ASSERT(self != NULL);
    rd_kafka_conf_set_opaque(conf, self);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    self->rk = weir_kafka_handle_new(conf, WEIR_KAFKA_PRODUCER, err);
    if (!self->rk) {
        free(self);
        return NULL;
    }
    return self;
}

int weir_producer_new(struct weir_producer **producer, const struct weir_kafka_options *options,
                      struct weir_err *err) {
    *producer = producer_new(options, NULL, err);
    return *producer ? 0 : -err->code;
}

int weir_producer_flush(struct weir_producer *producer, int timeout_ms) {
    rd_kafka_flush(producer->rk, timeout_ms);
    return rd_kafka_outq_len(producer->rk);
}

void weir_producer_free(struct weir_producer *producer) {
    if (!producer)
        return;
    for (size_t i = 0; i < producer->topics_len; i++)
        rd_kafka_topic_destroy(producer->topics[i]);
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(producer->rk, 1000); /* serves the reports of what was purged */
    rd_kafka_destroy(producer->rk);
    free(producer);
}

static rd_kafka_topic_t *topic_of(struct weir_producer *self, const char *name) {
    for (size_t i = 0; i < self->topics_len; i++)
        if (strcmp(rd_kafka_topic_name(self->topics[i]), name) == 0)
            return self->topics[i];
    if (self->topics_len == TOPICS_MAX) /* the oldest goes; its records keep it alive inside */
        rd_kafka_topic_destroy(self->topics[0]);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(self->rk, name, NULL);
    if (self->topics_len == TOPICS_MAX) {
        memmove(self->topics, self->topics + 1, (TOPICS_MAX - 1) * sizeof *self->topics);
        self->topics_len--;
    }
    if (topic)
        self->topics[self->topics_len++] = topic;
    return topic;
}

static rd_kafka_headers_t *headers_of(const struct weir_header *headers) {
    if (!headers || !headers[0].name)
        return NULL;
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    for (const struct weir_header *at = headers; at->name; at++)
        rd_kafka_header_add(list, at->name, -1, at->value, at->value ? -1 : 0);
    return list;
}

static int send_failed(struct weir_producer *self, const char *topic, rd_kafka_resp_err_t code,
                       struct weir_err *err) {
    char words[512];
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        rd_kafka_fatal_error(self->rk, words, sizeof words);
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "Kafka refuses this producer for good: %s; start it again", words);
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "Kafka took nothing of topic %s for %d s; check that the brokers run",
                            topic, FULL_MAX_MS / 1000);
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return weir_err_set(err, WEIR_ERR_INPUT, "cannot write to topic %s: %s", topic,
                            rd_kafka_err2str(code));
    default:
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot write to topic %s: %s", topic,
                            rd_kafka_err2str(code));
    }
}

int weir_producer_send(struct weir_producer *producer, const char *topic, int32_t partition,
                       const char *key, size_t key_len, const char *value, size_t len,
                       int64_t timestamp_ms, const struct weir_header *headers,
                       struct weir_err *err) {
    rd_kafka_topic_t *handle = topic_of(producer, topic);
    if (!handle)
        return weir_err_set(err, WEIR_ERR_INPUT, "\"%s\" is not the name of a topic", topic);
    rd_kafka_headers_t *list = headers_of(headers);
    rd_kafka_resp_err_t code;
    int64_t end_us = 0;
    for (;;) {
        rd_kafka_vu_t parts[] = {
            {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = handle},
            {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key, key_len}},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value, len}},
            {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = timestamp_ms},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = list},
        };
        rd_kafka_error_t *error =
            rd_kafka_produceva(producer->rk, parts, sizeof parts / sizeof *parts - (list ? 0 : 1));
        code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_error_destroy(error);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        int64_t now_us = weir_clock_monotonic_us();
        if (end_us == 0)
            end_us = now_us + (int64_t)FULL_MAX_MS * 1000;
        if (now_us > end_us)
            break;
        rd_kafka_poll(producer->rk, FULL_WAIT_MS);
    }
    if (++producer->sent % POLL_EVERY == 0)
        rd_kafka_poll(producer->rk, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    if (list)
        rd_kafka_headers_destroy(list); /* ours again, as it was not taken */
    send_failed(producer, topic, code, err);
    atomic_fetch_add(&producer->failed, 1);
    on_failure(producer, topic, err->text);
    return -err->code;
}

uint64_t weir_producer_failed(const struct weir_producer *producer) {
    return atomic_load(&producer->failed);
}

/* ---- transactions ---- */

static int transaction_says(rd_kafka_error_t *error, const char *what, struct weir_err *err) {
    if (!error)
        return 0;
    weir_err_set(err, WEIR_ERR_UNREACHABLE,
                 "cannot %s: %s; check that the brokers run and let this user write to the topic "
                 "and use the transactional id",
                 what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return -err->code;
}

int weir_producer_new_fenced(struct weir_producer **producer,
                             const struct weir_kafka_options *options, const char *id,
                             int timeout_ms, struct weir_err *err) {
    struct weir_producer *self = producer_new(options, id, err);
    int status = self ? transaction_says(rd_kafka_init_transactions(self->rk, timeout_ms),
                                         "begin to write transactions to Kafka", err)
                      : -err->code;
    if (status != 0) {
        weir_producer_free(self);
        self = NULL;
    }
    *producer = self;
    return status;
}

int weir_producer_begin(struct weir_producer *producer, struct weir_err *err) {
    return transaction_says(rd_kafka_begin_transaction(producer->rk),
                            "begin a transaction in Kafka", err);
}

int weir_producer_commit(struct weir_producer *producer, int timeout_ms, struct weir_err *err) {
    return transaction_says(rd_kafka_commit_transaction(producer->rk, timeout_ms),
                            "commit a transaction in Kafka", err);
}
