#include <stdlib.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/log.h"

#define ASSIGN_TURNS 4 /* two are needed */

int32_t weir_consumer_topic_index(const struct weir_consumer *consumer, const char *name) {
    for (size_t i = 0; i < consumer->topics_len; i++)
        if (strcmp(consumer->topics[i].name, name) == 0)
            return (int32_t)i;
    return -1;
}

struct weir_slot *weir_consumer_slot(struct weir_consumer *consumer, int32_t topic,
                                     int32_t partition) {
    WEIR_ASSERT(topic >= 0 && (size_t)topic < consumer->topics_len);
    struct weir_topic *owner = &consumer->topics[topic];
    if (partition < 0 || partition >= owner->len)
        return NULL;
    return &owner->slots[partition];
}

static struct weir_slot *slot_made(struct weir_topic *topic, int32_t partition) {
    if (partition < 0 || partition >= WEIR_PARTITIONS_MAX)
        return NULL;
    if (partition >= topic->len) {
        int32_t len = partition + 1;
        struct weir_slot *slots = realloc(topic->slots, (size_t)len * sizeof *slots);
        WEIR_ASSERT(slots != NULL);
        for (int32_t i = topic->len; i < len; i++)
            slots[i] = (struct weir_slot){.next = -1};
        topic->slots = slots;
        topic->len = len;
    }
    return &topic->slots[partition];
}

static void forget_all(struct weir_consumer *consumer) {
    for (size_t t = 0; t < consumer->topics_len; t++)
        for (int32_t p = 0; p < consumer->topics[t].len; p++)
            consumer->topics[t].slots[p] = (struct weir_slot){.next = -1};
}

/* An assignment stops fetchers by messages to librdkafka's own main thread, and another one before
 * they have arrived would stop them twice and abort the process (issue 5573, in every release up
 * to 2.15). So take turns with that thread: the stop, then its reply, are behind us afterwards.
 * While closing nothing follows, and a question to a group that has ended is never answered. */
static rd_kafka_resp_err_t assign(struct weir_consumer *consumer,
                                  const rd_kafka_topic_partition_list_t *list) {
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->rk, list);
    for (int turn = 0; turn < ASSIGN_TURNS && !consumer->closing; turn++) {
        rd_kafka_topic_partition_list_t *now = NULL;
        if (rd_kafka_assignment(consumer->rk, &now) == RD_KAFKA_RESP_ERR_NO_ERROR)
            rd_kafka_topic_partition_list_destroy(now);
    }
    return code;
}

/* The last record that was handed out comes first, to see that it is still the same. */
static int64_t start_of(struct weir_slot *slot) {
    slot->looking = slot->mark.known && slot->mark.offset < slot->next;
    return slot->looking ? slot->mark.offset : slot->next;
}

/* Assigns what the table says, or nothing while paused: an empty assignment (not NULL, which
 * would answer a revocation that the caller has not seen) keeps the membership, stops fetching,
 * and lets go of what is prefetched. Every assignment outdates what was queued before it. */
static int assign_table(struct weir_consumer *consumer, struct weir_err *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t t = 0; t < consumer->topics_len && !consumer->paused; t++) {
        struct weir_topic *topic = &consumer->topics[t];
        for (int32_t p = 0; p < topic->len; p++)
            if (topic->slots[p].assigned && topic->slots[p].next >= 0)
                rd_kafka_topic_partition_list_add(list, topic->name, p)->offset =
                    start_of(&topic->slots[p]);
    }
    consumer->fatal.code = 0; /* what is still true comes again */
    rd_kafka_resp_err_t code = assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot assign Kafka partitions: %s",
                        rd_kafka_err2str(code));
}

/* The group's list as ours; the caller frees. Unknown topics cannot come: we subscribed by name. */
static struct weir_topic_partition *converted(struct weir_consumer *consumer,
                                              const rd_kafka_topic_partition_list_t *list,
                                              size_t *len) {
    struct weir_topic_partition *out = calloc((size_t)list->cnt + 1, sizeof *out);
    WEIR_ASSERT(out != NULL);
    *len = 0;
    for (int i = 0; i < list->cnt; i++) {
        int32_t topic = weir_consumer_topic_index(consumer, list->elems[i].topic);
        if (topic < 0)
            continue;
        const struct weir_slot *slot =
            weir_consumer_slot(consumer, topic, list->elems[i].partition);
        out[(*len)++] = (struct weir_topic_partition){.topic = topic,
                                                      .partition = list->elems[i].partition,
                                                      .offset = slot ? slot->next : -1};
    }
    return out;
}

static void take(struct weir_consumer *consumer, const rd_kafka_topic_partition_list_t *list) {
    struct weir_err err;
    size_t len;
    forget_all(consumer);
    struct weir_topic_partition *partitions = converted(consumer, list, &len);
    if (consumer->rebalance.assigned)
        consumer->rebalance.assigned(consumer->rebalance.context, partitions, len);
    for (size_t i = 0; i < len; i++) {
        WEIR_ASSERT(partitions[i].offset >= -1);
        struct weir_slot *slot =
            slot_made(&consumer->topics[partitions[i].topic], partitions[i].partition);
        if (slot)
            *slot = (struct weir_slot){.next = partitions[i].offset, .assigned = true};
    }
    free(partitions);
    if (assign_table(consumer, &err) != 0)
        consumer->fatal = err;
}

static void give_up(struct weir_consumer *consumer, const rd_kafka_topic_partition_list_t *list,
                    bool lost) {
    size_t len;
    struct weir_topic_partition *partitions = converted(consumer, list, &len);
    if (consumer->rebalance.revoked)
        consumer->rebalance.revoked(consumer->rebalance.context, partitions, len, lost);
    free(partitions);
    forget_all(consumer);
    assign(consumer, NULL);
}

void weir_consumer_settle(struct weir_consumer *consumer) {
    struct weir_pending now = consumer->pending;
    consumer->pending = (struct weir_pending){0};
    if (now.event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        take(consumer, now.partitions);
    else if (now.event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        give_up(consumer, now.partitions, now.lost || rd_kafka_assignment_lost(consumer->rk));
    else if (now.event != RD_KAFKA_RESP_ERR_NO_ERROR) {
        weir_consumer_count_error(consumer, "a rebalance failed", rd_kafka_err2str(now.event));
        forget_all(consumer);
        assign(consumer, NULL);
    }
    if (now.partitions)
        rd_kafka_topic_partition_list_destroy(now.partitions);
}

void weir_consumer_rebalanced(rd_kafka_t *rk, rd_kafka_resp_err_t event,
                              rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    struct weir_consumer *consumer = opaque;
    weir_consumer_settle(consumer); /* librdkafka waits for each answer, so there is none */
    consumer->pending = (struct weir_pending){
        .event = event,
        .partitions = rd_kafka_topic_partition_list_copy(partitions),
        .lost = event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && rd_kafka_assignment_lost(rk),
    };
    if (consumer->closing)
        weir_consumer_settle(consumer);
    else
        rd_kafka_queue_yield(consumer->queue); /* end the batch call soon */
}

int weir_consumer_pause(struct weir_consumer *consumer, struct weir_err *err) {
    consumer->paused = true;
    return assign_table(consumer, err);
}

int weir_consumer_resume(struct weir_consumer *consumer,
                         const struct weir_topic_partition *partitions, size_t len,
                         struct weir_err *err) {
    for (size_t i = 0; i < len; i++) {
        struct weir_slot *slot =
            weir_consumer_slot(consumer, partitions[i].topic, partitions[i].partition);
        if (!slot || !slot->assigned) /* it went away meanwhile: `revoked` says so */
            continue;
        struct weir_mark mark = slot->mark;
        mark.known &= mark.offset + 1 == partitions[i].offset;
        if (mark.bare_from != partitions[i].offset)
            mark.bare_from = mark.bare_to = 0;
        *slot = (struct weir_slot){.next = partitions[i].offset, .assigned = true, .mark = mark};
    }
    consumer->paused = false;
    return assign_table(consumer, err);
}

int weir_consumer_assign_again(struct weir_consumer *consumer, struct weir_err *err) {
    consumer->again = false;
    return assign_table(consumer, err);
}

int weir_consumer_take(struct weir_consumer *consumer,
                       const struct weir_topic_partition *partitions, size_t len,
                       struct weir_err *err) {
    forget_all(consumer);
    for (size_t i = 0; i < len; i++) {
        WEIR_ASSERT(partitions[i].topic >= 0 && partitions[i].offset >= 0);
        struct weir_slot *slot =
            slot_made(&consumer->topics[partitions[i].topic], partitions[i].partition);
        if (slot)
            *slot = (struct weir_slot){.next = partitions[i].offset, .assigned = true};
    }
    return assign_table(consumer, err);
}
