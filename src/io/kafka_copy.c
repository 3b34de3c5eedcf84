#include <stdlib.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"
#include "weir/copy.h"
#include "weir/log.h"

#define STEP_MS 1000          /* of one call; the next one goes on with what it began */
#define PATIENCE_US 120000000 /* for what may be tried again */
#define LAST_US 2000000       /* the same once the caller is to end */
#define PAUSE_MS 100
#define ANSWERS_MS 5000
#define ANSWERS_STEP_MS 500
#define RECORD_MAX "1000000000" /* the topic's own limit decides, not the client's */
#define POLL_EVERY 256          /* sends */
#define HEADER_BYTES 64         /* what rdkafka takes beside name and value */
#define MALLOC_BYTES 32         /* what malloc takes beside what is asked for, mostly less */

struct weir_copy {
    rd_kafka_headers_t *headers; /* NULL: none, or they went with the record */
    int64_t timestamp_ms;
    size_t key_len, len, bytes;
    bool has_key, has_value;
    char data[]; /* key, then value */
};

struct weir_copier {
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    bool open; /* a transaction */
    uint32_t sent;
    bool (*stopping)(void);   /* the caller is to end; may be NULL */
    int64_t end_us;           /* until when it may still try then; 0: it is not to end */
    rd_kafka_resp_err_t lost; /* why a record of the transaction was not taken */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct weir_copier *self = opaque;
    bool purged = message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                  message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && !purged && self->lost == 0)
        self->lost = message->err;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    (void)rk;
    (void)code;
    (void)opaque;
    weir_log(WEIR_LOG_WARN, "kafka", "Kafka reports trouble", WEIR_STR("detail", reason),
             WEIR_LOG_END);
}

/* ---- errors ---- */

static bool is_fenced(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

static int shut_out(struct weir_copier *self, struct weir_err *err) {
    char words[512] = "";
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(self->rk, words, sizeof words);
    if (is_fenced(code))
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "another copy of the same group into topic %s has taken over, or this "
                            "one stood still for too long; nothing is lost: let one run at a time",
                            rd_kafka_topic_name(self->topic));
    return weir_err_set(err, WEIR_ERR_REFUSED,
                        "Kafka refuses this copy for good: %s; put that right and start it again",
                        words);
}

/* What a record of the transaction met with, where trying again would meet with the same. */
static int hopeless(const struct weir_copier *self, struct weir_err *err) {
    const char *topic = rd_kafka_topic_name(self->topic);
    switch ((int)self->lost) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a record is larger than topic %s takes: raise its max.message.bytes "
                            "to that of the topic it is copied from",
                            topic);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return weir_err_set(err, WEIR_ERR_INPUT, "topic %s does not take a record: %s", topic,
                            rd_kafka_err2str(self->lost));
    default:
        return 0;
    }
}

/* Whether a try that began so that it would last until `end_us` may go on. */
static bool is_patient(struct weir_copier *self, int64_t end_us) {
    int64_t now_us = weir_clock_monotonic_us();
    if (self->end_us == 0 && self->stopping && self->stopping())
        self->end_us = now_us + LAST_US;
    return now_us < end_us && (self->end_us == 0 || now_us < self->end_us);
}

/* Ends the transaction without a trace. */
static int abort_open(struct weir_copier *self, struct weir_err *err) {
    int64_t end_us = weir_clock_monotonic_us() + PATIENCE_US;
    self->open = false;
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(self->rk, STEP_MS);
        if (!error)
            return 0;
        bool fatal = rd_kafka_error_is_fatal(error);
        bool again = rd_kafka_error_is_retriable(error) && is_patient(self, end_us);
        if (!fatal && !again)
            weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot end a Kafka transaction: %s",
                         rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (fatal)
            return shut_out(self, err);
        if (!again)
            return -err->code;
        weir_clock_sleep_ms(PAUSE_MS);
    }
}

/* 1 after an abort, or why it cannot go on. Takes the error. */
static int give_up(struct weir_copier *self, const char *what, rd_kafka_error_t *error,
                   struct weir_err *err) {
    struct weir_err why;
    bool fatal = rd_kafka_error_is_fatal(error) || rd_kafka_fatal_error(self->rk, NULL, 0) != 0;
    weir_err_set(&why, WEIR_ERR_UNREACHABLE, "cannot %s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    if (fatal)
        return shut_out(self, err);
    int status = abort_open(self, err);
    if (status == 0)
        status = hopeless(self, err);
    if (status != 0)
        return status;
    *err = why;
    return 1;
}

/* Worth another try of the same call. */
static bool may_repeat(struct weir_copier *self, const rd_kafka_error_t *error, int64_t end_us) {
    return rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error) &&
           !rd_kafka_error_txn_requires_abort(error) && is_patient(self, end_us);
}

/* ---- begin and end ---- */

static int put(rd_kafka_conf_t *conf, const char *name, const char *value, struct weir_err *err) {
    char words[512];
    if (rd_kafka_conf_set(conf, name, value, words, sizeof words) == RD_KAFKA_CONF_OK)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT, "the Kafka property %s: %s", name, words);
}

static int init(struct weir_copier *self, struct weir_err *err) {
    int64_t end_us = weir_clock_monotonic_us() + PATIENCE_US;
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(self->rk, STEP_MS);
        if (!error)
            return 0;
        bool again = may_repeat(self, error, end_us), fatal = rd_kafka_error_is_fatal(error);
        if (!again)
            weir_err_set(err, fatal ? WEIR_ERR_INPUT : WEIR_ERR_UNREACHABLE,
                         "Kafka does not let transactions begin: %s; check kafka.brokers, and that "
                         "this user may write with transactions",
                         rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (!again)
            return -err->code;
    }
}

int weir_copier_new(struct weir_copier **copier, const struct weir_kafka_options *options,
                    const char *id, const char *topic, bool (*stopping)(void),
                    struct weir_err *err) {
    rd_kafka_conf_t *conf = weir_kafka_conf_new(options, WEIR_KAFKA_PRODUCER, err);
    if (!conf)
        return -err->code;
    int status = put(conf, "transactional.id", id, err);
    if (status == 0)
        status = put(conf, "message.max.bytes", RECORD_MAX, err);
    if (status != 0) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    struct weir_copier *self = calloc(1, sizeof *self);
    WEIR_ASSERT(self != NULL);
    self->stopping = stopping;
    rd_kafka_conf_set_opaque(conf, self);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    self->rk = weir_kafka_handle_new(conf, WEIR_KAFKA_PRODUCER, err);
    if (!self->rk) {
        free(self);
        return -err->code;
    }
    self->topic = rd_kafka_topic_new(self->rk, topic, NULL);
    status = self->topic
                 ? init(self, err)
                 : weir_err_set(err, WEIR_ERR_INPUT, "\"%s\" is not the name of a topic", topic);
    if (status != 0) {
        weir_copier_free(self);
        return status;
    }
    *copier = self;
    return 0;
}

void weir_copier_free(struct weir_copier *self) {
    struct weir_err ignored;
    if (!self)
        return;
    if (self->open)
        abort_open(self, &ignored); /* else readers wait for it until it times out */
    /* Shut out: an answer to what is on its way must not come while the producer is taken apart, as
     * librdkafka then frees the text of its error twice. What comes back from a broken connection
     * is purged the next time. */
    for (int ms = 0; ms < ANSWERS_MS; ms += ANSWERS_STEP_MS) {
        rd_kafka_purge(self->rk, RD_KAFKA_PURGE_F_QUEUE);
        if (rd_kafka_flush(self->rk, ANSWERS_STEP_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
    }
    if (self->topic)
        rd_kafka_topic_destroy(self->topic);
    rd_kafka_destroy(self->rk);
    free(self);
}

/* ---- a record ---- */

static size_t header_bytes(const rd_kafka_headers_t *headers) {
    const char *name;
    const void *value;
    size_t bytes = 0, len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++)
        bytes += HEADER_BYTES + strlen(name) + len;
    return bytes;
}

struct weir_copy *weir_copy_new(const struct weir_record *record, const char *key, size_t key_len) {
    /* rdkafka's call wants a message that it may change: it gives its headers away */
    rd_kafka_message_t *message = (rd_kafka_message_t *)(uintptr_t)record->message;
    size_t bytes = sizeof(struct weir_copy) + key_len + record->len;
    struct weir_copy *copy = malloc(bytes);
    WEIR_ASSERT(copy != NULL);
    *copy = (struct weir_copy){.timestamp_ms = record->timestamp_ms,
                               .key_len = key_len,
                               .len = record->len,
                               .has_key = key != NULL,
                               .has_value = record->value != NULL};
    if (rd_kafka_message_detach_headers(message, &copy->headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        bytes += header_bytes(copy->headers);
    copy->bytes = bytes + MALLOC_BYTES;
    if (key && key_len > 0)
        memcpy(copy->data, key, key_len);
    if (record->value && record->len > 0)
        memcpy(copy->data + key_len, record->value, record->len);
    return copy;
}

size_t weir_copy_bytes(const struct weir_copy *copy) {
    return copy->bytes;
}

void weir_copy_free(struct weir_copy *copy) {
    if (copy->headers)
        rd_kafka_headers_destroy(copy->headers);
    free(copy);
}

/* ---- a transaction ---- */

static int begin(struct weir_copier *self, struct weir_err *err) {
    if (self->open)
        return 0;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(self->rk);
    if (error) {
        bool fatal = rd_kafka_error_is_fatal(error);
        weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot begin a Kafka transaction: %s",
                     rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        return fatal ? shut_out(self, err) : -err->code;
    }
    self->open = true;
    self->lost = RD_KAFKA_RESP_ERR_NO_ERROR;
    return 0;
}

static rd_kafka_error_t *produce(struct weir_copier *self, struct weir_copy *copy) {
    char *key = copy->has_key ? copy->data : NULL;
    char *value = copy->has_value ? copy->data + copy->key_len : NULL;
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = self->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {key, copy->key_len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, copy->len}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
         .u.i64 = copy->timestamp_ms > 0 ? copy->timestamp_ms : 0},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = copy->headers},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(self->rk, parts, sizeof parts / sizeof *parts - (copy->headers ? 0 : 1));
    if (!error)
        copy->headers = NULL; /* rdkafka's now */
    return error;
}

/* The queue was empty, and yet it is too full for this record. */
static int never_fits(struct weir_copier *self, const struct weir_copy *copy,
                      struct weir_err *err) {
    char kib[24] = "";
    size_t size = sizeof kib;
    rd_kafka_conf_get(rd_kafka_conf(self->rk), "queue.buffering.max.kbytes", kib, &size);
    int status = abort_open(self, err);
    if (status != 0)
        return status;
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "a record of %zu bytes is larger than the queue to topic %s, which holds "
                        "%s KiB: raise `memory`, or queue.buffering.max.kbytes in kafka.rdkafka",
                        copy->key_len + copy->len, rd_kafka_topic_name(self->topic), kib);
}

int weir_copier_send(struct weir_copier *self, struct weir_copy *copy, struct weir_err *err) {
    int64_t end_us = 0;
    int status = begin(self, err);
    if (status != 0)
        return status;
    if (++self->sent % POLL_EVERY == 0)
        rd_kafka_poll(self->rk, 0);
    for (;;) {
        bool empty = rd_kafka_outq_len(self->rk) == 0;
        rd_kafka_error_t *error = produce(self, copy);
        if (!error)
            return 0;
        end_us = end_us ? end_us : weir_clock_monotonic_us() + PATIENCE_US;
        if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            self->lost = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL ||
            !is_patient(self, end_us))
            return give_up(self, "write a record", error, err);
        rd_kafka_error_destroy(error);
        if (empty)
            return never_fits(self, copy, err);
        rd_kafka_poll(self->rk, PAUSE_MS);
    }
}

static rd_kafka_error_t *send_offsets(struct weir_copier *self,
                                      const struct weir_consumer *consumer,
                                      const struct weir_topic_partition *offsets, size_t len) {
    int64_t end_us = weir_clock_monotonic_us() + PATIENCE_US;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)len);
    for (size_t i = 0; i < len; i++)
        if (offsets[i].offset >= 0)
            rd_kafka_topic_partition_list_add(list, consumer->topics[offsets[i].topic].name,
                                              offsets[i].partition)
                ->offset = offsets[i].offset;
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer->rk);
    rd_kafka_error_t *error;
    for (;;) {
        error = rd_kafka_send_offsets_to_transaction(self->rk, list, group, STEP_MS);
        if (!error || !may_repeat(self, error, end_us))
            break;
        rd_kafka_error_destroy(error);
        weir_clock_sleep_ms(PAUSE_MS);
    }
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(list);
    return error;
}

int weir_copier_commit(struct weir_copier *self, const struct weir_consumer *consumer,
                       const struct weir_topic_partition *offsets, size_t len,
                       struct weir_err *err) {
    int status = begin(self, err);
    if (status != 0)
        return status;
    rd_kafka_error_t *error = send_offsets(self, consumer, offsets, len);
    if (error)
        return give_up(self, "write offsets", error, err);
    int64_t end_us = weir_clock_monotonic_us() + PATIENCE_US;
    for (;;) {
        error = rd_kafka_commit_transaction(self->rk, STEP_MS);
        if (!error)
            break;
        if (!may_repeat(self, error, end_us))
            return give_up(self, "commit a Kafka transaction", error, err);
        rd_kafka_error_destroy(error);
        weir_clock_sleep_ms(PAUSE_MS);
    }
    self->open = false;
    return 0;
}
