#include <stdlib.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"

#define PREFETCH ((size_t)4 << 20) /* a few thousand alerts */

/* How a topic ends: a consumer of no group reads the last records of each partition, once. */

static rd_kafka_t *reader_new(const struct weir_kafka_options *options, const char *isolation,
                              struct weir_err *err) {
    const char *const settings[][2] = {
        {"enable.partition.eof", "true"},  /* says where the end is */
        {"auto.offset.reset", "earliest"}, /* retention may pass meanwhile */
        {"isolation.level", isolation},
    };
    char words[256];
    struct weir_kafka_options small = *options;
    small.prefetch_bytes = PREFETCH;
    rd_kafka_conf_t *conf = weir_kafka_conf_new(&small, WEIR_KAFKA_CONSUMER, err);
    if (!conf)
        return NULL;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], words, sizeof words) != 0) {
            weir_err_set(err, WEIR_ERR_INPUT, "the Kafka property %s: %s", settings[i][0], words);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    return weir_kafka_handle_new(conf, WEIR_KAFKA_CONSUMER, err);
}

/* The partitions of a topic with records. */
struct tails {
    rd_kafka_topic_partition_list_t *from; /* where each is read from; owned */
    int64_t *to;                           /* and up to which offset: its end at the start; owned */
    int left;                              /* those that have not come there */
};

static void tails_close(struct tails *tails) {
    if (tails->from)
        rd_kafka_topic_partition_list_destroy(tails->from);
    free(tails->to);
}

/* Each from at most `max` before its end. `rk` reads what is not committed too, as Kafka tells its
 * ends by what a client may read. A topic that is not there has none. */
static int find_tails(struct tails *tails, rd_kafka_t *rk, const char *topic, int64_t max,
                      struct weir_err *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t code =
        handle ? rd_kafka_metadata(rk, 0, handle, &metadata, WEIR_QUERY_TIMEOUT_MS)
               : rd_kafka_last_error();
    if (handle)
        rd_kafka_topic_destroy(handle);
    int partitions = 0;
    if (metadata && metadata->topic_cnt == 1)
        partitions = metadata->topics[0].partition_cnt;
    tails->from = rd_kafka_topic_partition_list_new(partitions + 1);
    tails->to = calloc((size_t)partitions + 1, sizeof *tails->to);
    WEIR_ASSERT(tails->to != NULL);
    for (int p = 0; p < partitions && code == 0; p++) {
        int64_t low = 0, high = 0;
        code = rd_kafka_query_watermark_offsets(rk, topic, p, &low, &high, WEIR_QUERY_TIMEOUT_MS);
        if (code != 0 || high <= low)
            continue;
        rd_kafka_topic_partition_list_add(tails->from, topic, p)->offset =
            high - low > max ? high - max : low;
        tails->to[tails->left++] = high;
    }
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    if (code == 0)
        return 0;
    return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                        "cannot learn how topic %s ends: %s; check kafka.brokers and that they run",
                        topic, rd_kafka_err2str(code));
}

static int ends_of(struct tails *tails, const struct weir_kafka_options *options, const char *topic,
                   int64_t max, struct weir_err *err) {
    rd_kafka_t *rk = reader_new(options, "read_uncommitted", err);
    if (!rk)
        return -err->code;
    int result = find_tails(tails, rk, topic, max, err);
    rd_kafka_destroy(rk);
    return result;
}

static void give_header(const rd_kafka_message_t *message, const char *header,
                        void (*each)(void *context, const char *value, size_t len), void *context) {
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t len = 0;
    if (rd_kafka_message_headers(message, &headers) == 0 &&
        rd_kafka_header_get_last(headers, header, &value, &len) == 0 && value)
        each(context, value, len);
}

/* It says so anew whenever more has come, and also before a transaction that is open: then it has
 * not come to where the partition ended. */
static void at_end(struct tails *tails, const rd_kafka_message_t *message) {
    for (int i = 0; i < tails->from->cnt; i++) {
        if (tails->from->elems[i].partition != message->partition || message->offset < tails->to[i])
            continue;
        tails->left--;
        tails->to[i] = INT64_MAX; /* once */
    }
}

static int read_tails(struct tails *tails, rd_kafka_t *rk, const char *header, int64_t until_us,
                      void (*each)(void *context, const char *value, size_t len), void *context,
                      struct weir_err *err) {
    const char *trouble = "it does not come to its end; another writer's transaction may be open";
    while (tails->left > 0) {
        int64_t left_ms = (until_us - weir_clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot read the end of the topic: %s",
                                trouble);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, (int)left_ms);
        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            give_header(message, header, each, context);
        else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            at_end(tails, message);
        else
            trouble = rd_kafka_err2str(message->err);
        rd_kafka_message_destroy(message);
    }
    return 0;
}

int weir_kafka_tail(const struct weir_kafka_options *options, const char *topic, const char *header,
                    int64_t max, int timeout_ms,
                    void (*each)(void *context, const char *value, size_t len), void *context,
                    struct weir_err *err) {
    int64_t until_us = weir_clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    struct tails tails = {0};
    int result = ends_of(&tails, options, topic, max, err);
    /* What was given up is not there for this one. */
    rd_kafka_t *rk =
        result == 0 && tails.left > 0 ? reader_new(options, "read_committed", err) : NULL;
    if (rk) {
        rd_kafka_poll_set_consumer(rk);
        rd_kafka_resp_err_t code = rd_kafka_assign(rk, tails.from);
        result = code == 0 ? read_tails(&tails, rk, header, until_us, each, context, err)
                           : weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                          "cannot read the end of topic %s: %s", topic,
                                          rd_kafka_err2str(code));
        rd_kafka_consumer_close(rk);
        rd_kafka_destroy(rk);
    } else if (tails.left > 0) {
        result = -err->code;
    }
    tails_close(&tails);
    return result;
}
