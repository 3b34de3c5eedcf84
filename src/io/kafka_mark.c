/* Which record was read last: what tells a topic from another one of its name. */
#include <inttypes.h>
#include <string.h>

#include "io/kafka_internal.h"

#define MIX UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * MIX;
    return hash ^ hash >> 32;
}

static uint64_t hash_of(uint64_t hash, const void *bytes, size_t len) {
    const char *at = bytes;
    hash = mixed(hash, len);
    for (; len >= sizeof(uint64_t); len -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        hash = mixed(hash, word);
    }
    uint64_t word = 0;
    if (len > 0)
        memcpy(&word, at, len);
    return mixed(hash, word);
}

static struct weir_mark mark_of(int64_t offset, int64_t timestamp_ms, const void *key,
                                size_t key_len, const void *value, size_t len) {
    return (struct weir_mark){.known = true,
                              .offset = offset,
                              .timestamp_ms = timestamp_ms,
                              .hash = hash_of(hash_of(MIX, key, key_len), value, len)};
}

void weir_consumer_keep_marks(struct weir_consumer *consumer, const struct weir_record *records,
                              size_t len) {
    for (size_t i = 0; i < len; i++) {
        const struct weir_record *record = &records[i];
        if (i + 1 < len && record[1].partition == record->partition &&
            record[1].topic == record->topic)
            continue; /* the last of a run is enough */
        weir_consumer_slot(consumer, record->topic, record->partition)->mark =
            mark_of(record->offset, record->timestamp_ms, record->key, record->key_len,
                    record->value, record->len);
    }
}

void weir_consumer_recognize(struct weir_consumer *consumer, struct weir_slot *slot,
                             const rd_kafka_message_t *message) {
    if (!slot->mark.known || message->offset != slot->mark.offset)
        return;
    struct weir_mark found =
        mark_of(message->offset, weir_kafka_timestamp_ms(message), message->key, message->key_len,
                message->payload, message->len);
    if (found.timestamp_ms == slot->mark.timestamp_ms && found.hash == slot->mark.hash)
        return;
    slot->next = -1; /* nothing of it may be counted */
    weir_err_set(&consumer->fatal, WEIR_ERR_REFUSED,
                 "topic %s partition %" PRId32 " holds another record at offset %" PRId64
                 " than the one that was counted there: the topic was made again, or its end was "
                 "lost and written anew; choose: --rebuild counts again from what Kafka has, or a "
                 "new kafka.group starts afresh",
                 rd_kafka_topic_name(message->rkt), message->partition, message->offset);
}

void weir_consumer_expect(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          const struct weir_mark *mark) {
    struct weir_slot *slot = weir_consumer_slot(consumer, topic, partition);
    if (slot)
        slot->mark = *mark;
}

struct weir_mark weir_consumer_mark(struct weir_consumer *consumer, int32_t topic,
                                    int32_t partition) {
    const struct weir_slot *slot = weir_consumer_slot(consumer, topic, partition);
    return slot ? slot->mark : (struct weir_mark){0};
}
