/* Which record was read last: what tells a topic from another one of its name. */
#include <inttypes.h>
#include <xxhash.h>

#include "io/kafka_internal.h"

static struct weir_mark mark_of(int64_t offset, int64_t timestamp_ms, const void *key,
                                size_t key_len, const void *value, size_t len) {
    return (struct weir_mark){.known = true,
                              .offset = offset,
                              .timestamp_ms = timestamp_ms,
                              .hash = XXH3_64bits_withSeed(value, len, XXH3_64bits(key, key_len))};
}

void weir_consumer_keep_marks(struct weir_consumer *consumer, const struct weir_record *records,
                              size_t len) {
    for (size_t i = 0; i < len; i++) {
        const struct weir_record *record = &records[i];
        if (i + 1 < len && record[1].partition == record->partition &&
            record[1].topic == record->topic)
            continue; /* the last of a run is enough */
        struct weir_slot *slot = weir_consumer_slot(consumer, record->topic, record->partition);
        struct weir_mark mark = mark_of(record->offset, record->timestamp_ms, record->key,
                                        record->key_len, record->value, record->len);
        if (slot->mark.bare_from == record->offset + 1) { /* the end came in the same batch */
            mark.bare_from = slot->mark.bare_from;
            mark.bare_to = slot->mark.bare_to;
        }
        slot->mark = mark;
    }
}

void weir_consumer_met_end(struct weir_slot *slot, int64_t end) {
    slot->at_end = true;
    slot->looking = false;
    if (end <= slot->next)
        return;
    if (slot->mark.bare_to != slot->next) /* else it goes on from an earlier end */
        slot->mark.bare_from = slot->next;
    slot->mark.bare_to = slot->next = end;
}

bool weir_consumer_skip_bare(struct weir_slot *slot) {
    if (slot->next < 0 || slot->next != slot->mark.bare_from ||
        slot->mark.bare_to <= slot->mark.bare_from)
        return false;
    slot->next = slot->mark.bare_to;
    return true;
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
