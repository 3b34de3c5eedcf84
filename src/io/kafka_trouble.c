#include <inttypes.h>
#include <stdio.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"
#include "weir/log.h"

#define LOG_EVERY_US 1000000
#define PROBE_EVERY_US 1000000
#define PROBE_MS 1000 /* an answer waits for the fetch before it, up to 500 ms */
#define UNKNOWN_FOR_US 30000000
#define LOOK_EVERY_US 1000000

void weir_consumer_count_error(struct weir_consumer *consumer, const char *what,
                               const char *detail) {
    atomic_fetch_add(&consumer->errors, 1);
    int64_t now_us = weir_clock_monotonic_us();
    if (consumer->logged_us != 0 && now_us - consumer->logged_us < LOG_EVERY_US) {
        consumer->unlogged++;
        return;
    }
    weir_log(WEIR_LOG_WARN, "kafka", what, WEIR_STR("detail", detail),
             WEIR_INT("more_since", (int64_t)consumer->unlogged), WEIR_LOG_END);
    consumer->logged_us = now_us;
    consumer->unlogged = 0;
}

/* topic -1: any of them may be meant. */
static void note_unknown(struct weir_consumer *consumer, int32_t topic) {
    consumer->gone = true;
    for (size_t i = 0; i < consumer->topics_len; i++)
        consumer->topics[i].unknown |= topic < 0 || (size_t)topic == i;
    if (consumer->unknown_us != 0)
        return;
    consumer->unknown_us = weir_clock_monotonic_us();
    consumer->again = true; /* or librdkafka would go on in what comes back, unseen */
}

/* Of an offset for display. That a topic is gone shows here long before its metadata is old. */
void weir_consumer_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct weir_consumer *consumer = opaque;
    char detail[512];
    (void)rk;
    snprintf(detail, sizeof detail, "offsets for display: %s", rd_kafka_err2str(code));
    for (int i = 0; partitions && i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &partitions->elems[i];
        int32_t topic = weir_consumer_topic_index(consumer, at->topic);
        if (at->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && topic >= 0)
            note_unknown(consumer, topic);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR || at->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        code = at->err;
        snprintf(detail, sizeof detail, "offsets for display: topic %s partition %" PRId32 ": %s",
                 at->topic, at->partition, rd_kafka_err2str(code));
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET)
        weir_consumer_count_error(consumer, "Kafka reports trouble", detail);
}

void weir_consumer_on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    struct weir_consumer *consumer = opaque;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        char words[512];
        rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, words, sizeof words);
        consumer->fenced = cause == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        weir_err_set(&consumer->fatal, WEIR_ERR_REFUSED,
                     "Kafka refuses this consumer for good (%s): %s; start it again, and give each "
                     "worker its own group.instance.id if one is set",
                     rd_kafka_err2name(cause), words);
        return;
    }
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        atomic_store(&consumer->reachable, false);
    /* That one is not raised in every outage (a coordinator without an address spoils its sum), so
     * every lost connection is a reason to ask. */
    if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE)
        consumer->doubtful = true;
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
        note_unknown(consumer, -1);
    weir_consumer_count_error(consumer, "Kafka reports trouble", reason);
}

static void refuse_offset(struct weir_consumer *consumer, const char *topic, int32_t partition,
                          int64_t offset) {
    weir_err_set(&consumer->fatal, WEIR_ERR_REFUSED,
                 "offset %" PRId64 " of topic %s partition %" PRId32
                 " is gone from Kafka (its retention passed it, or the topic was made anew), so "
                 "records would be missing; %s",
                 offset, topic, partition,
                 consumer->alone ? "copy what Kafka still has into another topic"
                                 : "choose: --rebuild counts again from what Kafka still has, or a "
                                   "new kafka.group starts afresh");
}

static void refuse_damage(struct weir_consumer *consumer, const char *topic, int32_t partition,
                          int64_t offset, const char *words) {
    weir_err_set(&consumer->fatal, WEIR_ERR_REFUSED,
                 "topic %s partition %" PRId32 " cannot be read at offset %" PRId64
                 ": %s; going on would skip records: repair the partition from a replica, or move "
                 "the topic's records to a sound topic",
                 topic, partition, offset, words);
}

/* The counted record is not there. By retention it may be the only one that is gone; a topic that
 * ends before it is another one. The end is asked for at once: soon it may be longer. */
static void look_for_counted(struct weir_consumer *consumer, struct weir_slot *slot, int32_t topic,
                             int32_t partition) {
    struct weir_err err;
    int64_t low, high;
    consumer->again = true;
    if (weir_consumer_range(consumer, topic, partition, &low, &high, &err) != 0)
        return; /* the next answer says the same */
    if (low > slot->mark.offset)
        slot->mark.known = false;
    else if (high <= slot->mark.offset)
        refuse_offset(consumer, consumer->topics[topic].name, partition, slot->next);
}

void weir_consumer_on_bad_message(struct weir_consumer *consumer,
                                  const rd_kafka_message_t *message) {
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "?";
    const char *words = rd_kafka_message_errstr(message);
    int32_t index = message->rkt ? weir_consumer_topic_index(consumer, topic) : -1;
    struct weir_slot *slot =
        index >= 0 ? weir_consumer_slot(consumer, index, message->partition) : NULL;
    char detail[512];
    snprintf(detail, sizeof detail, "topic %s partition %" PRId32 ": %s", topic, message->partition,
             words ? words : rd_kafka_err2str(message->err));
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        if (slot && slot->assigned && slot->looking) {
            look_for_counted(consumer, slot, index, message->partition);
            return;
        }
        if (slot && slot->assigned && weir_consumer_skip_bare(slot)) {
            consumer->again = true;
            return;
        }
        if (slot && slot->assigned)
            refuse_offset(consumer, topic, message->partition, slot->next);
        break;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED: /* a codec that this librdkafka lacks */
        if (slot && slot->assigned)
            refuse_damage(consumer, topic, message->partition, message->offset, detail);
        break;
    case RD_KAFKA_RESP_ERR__FATAL: /* told again with every poll, also after a new assignment */
        weir_consumer_on_error(consumer->rk, RD_KAFKA_RESP_ERR__FATAL, detail, consumer);
        return;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        note_unknown(consumer, index);
        break;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (slot && slot->assigned && !consumer->paused && !consumer->again)
            weir_consumer_met_end(slot, message->offset);
        return;
    default:
        break;
    }
    weir_consumer_count_error(consumer, "Kafka reports trouble", detail);
}

/* librdkafka does not go on by itself with a topic that was gone. What comes back may be another
 * one, which shows when its partitions are assigned once more: that reads the counted record. */
static void look_for_unknown(struct weir_consumer *consumer, int64_t now_us) {
    struct weir_err err;
    consumer->looked_us = now_us;
    for (size_t i = 0; i < consumer->topics_len; i++) {
        if (!consumer->topics[i].unknown)
            continue;
        int partitions = weir_consumer_partitions(consumer, (int32_t)i, &err);
        if (partitions > 0) {
            consumer->topics[i].unknown = false;
            consumer->again = true;
            continue;
        }
        if (partitions < 0)
            consumer->unknown_us = now_us; /* no answer: ask again later */
        else if (now_us - consumer->unknown_us > UNKNOWN_FOR_US)
            consumer->fatal = err;
        return;
    }
    consumer->unknown_us = 0;
}

void weir_consumer_look_after(struct weir_consumer *consumer) {
    int64_t now_us = weir_clock_monotonic_us();
    if (consumer->unknown_us != 0 && now_us - consumer->looked_us >= LOOK_EVERY_US &&
        atomic_load(&consumer->reachable))
        look_for_unknown(consumer, now_us);
    bool was = atomic_load(&consumer->reachable);
    if ((was && !consumer->doubtful) || now_us - consumer->probed_us < PROBE_EVERY_US)
        return;
    const struct rd_kafka_metadata *metadata;
    consumer->probed_us = now_us;
    bool answers = rd_kafka_metadata(consumer->rk, 0, NULL, &metadata, PROBE_MS) == 0;
    atomic_store(&consumer->reachable, answers);
    if (!answers)
        return;
    rd_kafka_metadata_destroy(metadata);
    consumer->doubtful = false;
    if (!was)
        weir_log(WEIR_LOG_INFO, "kafka", "a broker answers again", WEIR_LOG_END);
}
