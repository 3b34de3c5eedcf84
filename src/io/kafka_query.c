#include <inttypes.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"

#define LEADER_LOOKS 20 /* for a partition that was just made, or whose broker just came back */
#define LEADER_LOOK_MS 100

static const char *name_of(const struct weir_consumer *consumer, int32_t topic) {
    WEIR_ASSERT(topic >= 0 && (size_t)topic < consumer->topics_len);
    return consumer->topics[topic].name;
}

static bool is_unknown(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static int failed(struct weir_err *err, const char *what, const char *topic, int32_t partition,
                  rd_kafka_resp_err_t code) {
    if (is_unknown(code))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "topic %s has no partition %" PRId32
                            " in Kafka; check kafka.topics, or make it",
                            topic, partition);
    return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                        "cannot learn %s of topic %s partition %" PRId32
                        " from Kafka: %s; check kafka.brokers and that they run",
                        what, topic, partition, rd_kafka_err2str(code));
}

static rd_kafka_topic_partition_list_t *listed(const struct weir_consumer *consumer,
                                               const struct weir_topic_partition *partitions,
                                               size_t len) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)len);
    for (size_t i = 0; i < len; i++)
        if (partitions[i].offset >= 0 && !consumer->topics[partitions[i].topic].unknown)
            rd_kafka_topic_partition_list_add(list, name_of(consumer, partitions[i].topic),
                                              partitions[i].partition)
                ->offset = partitions[i].offset;
    return list;
}

void weir_consumer_commit_for_display(struct weir_consumer *consumer,
                                      const struct weir_topic_partition *partitions, size_t len) {
    rd_kafka_topic_partition_list_t *list = listed(consumer, partitions, len);
    if (list->cnt > 0) {
        rd_kafka_resp_err_t code = rd_kafka_commit(consumer->rk, list, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            weir_consumer_count_error(consumer, "cannot commit offsets for display",
                                      rd_kafka_err2str(code));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

int64_t weir_consumer_committed(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                struct weir_err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name_of(consumer, topic), partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(consumer->rk, list, WEIR_QUERY_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        failed(err, "the committed offset", name_of(consumer, topic), partition, code);
        return -WEIR_ERR_UNREACHABLE;
    }
    return offset >= 0 ? offset : -1;
}

int weir_consumer_range(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                        int64_t *low, int64_t *high, struct weir_err *err) {
    return weir_consumer_range_of(consumer, name_of(consumer, topic), partition, low, high, err);
}

int weir_consumer_range_of(struct weir_consumer *consumer, const char *topic, int32_t partition,
                           int64_t *low, int64_t *high, struct weir_err *err) {
    rd_kafka_resp_err_t code;
    for (int look = 1;; look++) {
        code = rd_kafka_query_watermark_offsets(consumer->rk, topic, partition, low, high,
                                                WEIR_QUERY_TIMEOUT_MS);
        bool again = code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || is_unknown(code);
        if (!again || look == LEADER_LOOKS)
            break;
        weir_clock_sleep_ms(LEADER_LOOK_MS);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return failed(err, "the range", topic, partition, code);
}

int64_t weir_consumer_offset_at(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                int64_t time_ms, struct weir_err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name_of(consumer, topic), partition)->offset =
        time_ms < 0 ? 0 : time_ms; /* below 0 are Kafka's logical offsets */
    rd_kafka_resp_err_t code =
        rd_kafka_offsets_for_times(consumer->rk, list, WEIR_QUERY_TIMEOUT_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failed(err, "the offset at a time", name_of(consumer, topic), partition, code);
    if (offset >= 0)
        return offset;
    int64_t low, high; /* every record is older: the end */
    int result = weir_consumer_range(consumer, topic, partition, &low, &high, err);
    return result == 0 ? high : result;
}

int64_t weir_consumer_end(struct weir_consumer *consumer, int32_t topic, int32_t partition) {
    int64_t low, high;
    rd_kafka_resp_err_t code = rd_kafka_get_watermark_offsets(
        consumer->rk, name_of(consumer, topic), partition, &low, &high);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : -1;
}

bool weir_consumer_at_end(const struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          int64_t *next) {
    WEIR_ASSERT(topic >= 0 && (size_t)topic < consumer->topics_len);
    const struct weir_topic *owner = &consumer->topics[topic];
    if (partition < 0 || partition >= owner->len || !owner->slots[partition].at_end)
        return false;
    if (next)
        *next = owner->slots[partition].next;
    return true;
}

int weir_consumer_partitions(struct weir_consumer *consumer, int32_t topic, struct weir_err *err) {
    return weir_consumer_partitions_of(consumer, name_of(consumer, topic), err);
}

int weir_consumer_partitions_of(struct weir_consumer *consumer, const char *name,
                                struct weir_err *err) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(consumer->rk, name, NULL);
    WEIR_ASSERT(handle != NULL);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(consumer->rk, 0, handle, &metadata, WEIR_QUERY_TIMEOUT_MS);
    rd_kafka_topic_destroy(handle);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "cannot ask Kafka for topic %s: %s; check kafka.brokers and that they "
                            "run",
                            name, rd_kafka_err2str(code));
    int partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
    if (metadata->topic_cnt == 1)
        code = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    if (partitions > 0)
        return partitions;
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        weir_err_set(err, WEIR_ERR_INPUT, "Kafka does not let this user read topic %s", name);
        return 0;
    }
    weir_err_set(err, WEIR_ERR_INPUT,
                 "topic %s does not exist in Kafka: make it, or correct kafka.topics", name);
    return 0;
}
