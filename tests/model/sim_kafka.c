/* weir/kafka.h over logs in memory. The group gives every consumer its partitions, eagerly as
 * librdkafka does: the old ones are revoked in one poll, the new ones assigned in another. A
 * consumer that has not heard of it goes on reading what it had: a zombie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define BATCH_MAX 8
#define DEAF_POLLS_MAX 12

struct slot {
    bool assigned;
    int64_t next;                             /* -1: not read */
    int64_t asked_end, asked_us, end, end_us; /* as the question under way will say; as said */
};

struct weir_consumer {
    struct sim_proc *proc;
    struct weir_rebalance rebalance;
    struct slot slots[SIM_PARTITIONS_MAX];
    uint64_t generation; /* of the group, as far as it has heard */
    bool holds;          /* something is assigned that must be revoked first */
    bool paused;
    uint32_t deaf; /* polls until it hears of a rebalance */
};

struct weir_batch {
    int unused;
};

static struct weir_batch the_batch;
static struct weir_consumer *consumers[SIM_WORKERS_MAX];

void sim_kafka_close(void) {
    memset(consumers, 0, sizeof consumers);
}

/* ---- the group ---- */

void sim_group_assign(const int *owners, bool heard) {
    sim->generation++;
    for (int p = 0; p < sim->partitions; p++) {
        sim->owners[p] = owners[p];
        sim_trace("the group gives partition %d to worker%d", p, owners[p]);
    }
    for (int i = 0; i < SIM_WORKERS_MAX; i++) {
        if (!consumers[i])
            continue;
        bool deaf = !heard && sim->faults[SIM_ZOMBIE] && sim_chance(400);
        consumers[i]->deaf = deaf ? 1 + sim_below(DEAF_POLLS_MAX) : 0;
        consumers[i]->proc->woken |= !deaf;
    }
}

static void join(struct weir_consumer *consumer) {
    consumers[consumer->proc->number] = consumer;
    consumer->generation = sim->generation - 1;
}

static void give_all(struct weir_consumer *consumer, bool lost) {
    struct weir_topic_partition partitions[SIM_PARTITIONS_MAX];
    size_t len = 0;
    for (int p = 0; p < sim->partitions; p++)
        if (consumer->slots[p].assigned)
            partitions[len++] = (struct weir_topic_partition){0, p, consumer->slots[p].next};
    sim_trace(lost ? "partitions are lost" : "partitions are revoked");
    consumer->rebalance.revoked(consumer->rebalance.context, partitions, len, lost);
    memset(consumer->slots, 0, sizeof consumer->slots);
    consumer->holds = false;
}

static void take_all(struct weir_consumer *consumer) {
    struct weir_topic_partition partitions[SIM_PARTITIONS_MAX];
    size_t len = 0;
    consumer->generation = sim->generation;
    for (int p = 0; p < sim->partitions; p++)
        if (sim->owners[p] == consumer->proc->number)
            partitions[len++] = (struct weir_topic_partition){0, p, -1};
    consumer->rebalance.assigned(consumer->rebalance.context, partitions, len);
    memset(consumer->slots, 0, sizeof consumer->slots);
    for (size_t i = 0; i < len; i++)
        consumer->slots[partitions[i].partition] =
            (struct slot){.assigned = true, .next = partitions[i].offset};
    consumer->holds = true;
}

static void settle(struct weir_consumer *consumer) {
    if (consumer->generation == sim->generation)
        return;
    if (consumer->deaf > 0) {
        consumer->deaf--;
        return;
    }
    if (consumer->holds)
        give_all(consumer, !sim->calm && sim_chance(300));
    else
        take_all(consumer);
}

/* ---- weir/kafka.h: consumers ---- */

int weir_consumer_new(struct weir_consumer **consumer, const struct weir_kafka_options *options,
                      struct weir_rebalance rebalance, struct weir_err *err) {
    (void)options, (void)err;
    struct weir_consumer *self = calloc(1, sizeof *self);
    WEIR_ASSERT(self != NULL);
    self->proc = sim->current;
    self->rebalance = rebalance;
    join(self);
    *consumer = self;
    return 0;
}

void weir_consumer_free(struct weir_consumer *consumer) {
    if (!consumer)
        return;
    if (consumer->holds && !consumer->proc->dead)
        give_all(consumer, false);
    if (consumers[consumer->proc->number] == consumer)
        consumers[consumer->proc->number] = NULL;
    free(consumer);
}

static bool has_record(const struct weir_consumer *consumer, int partition) {
    const struct slot *slot = &consumer->slots[partition];
    return slot->assigned && !consumer->paused && slot->next >= 0 &&
           slot->next < sim->logs[partition].end;
}

static bool has_any(const struct weir_consumer *consumer) {
    bool any = false;
    for (int p = 0; p < sim->partitions; p++)
        any |= has_record(consumer, p);
    return any;
}

static int read_some(struct weir_consumer *consumer, size_t max, struct weir_record *records) {
    size_t len = 0, wanted = 1 + sim_below(max < BATCH_MAX ? (uint32_t)max : BATCH_MAX);
    while (len < wanted && has_any(consumer)) {
        int p = (int)sim_below((uint32_t)sim->partitions);
        if (!has_record(consumer, p))
            continue;
        const int64_t offset = consumer->slots[p].next++;
        const struct sim_record *record = &sim->logs[p].records[offset];
        records[len++] = (struct weir_record){
            .value = record->bytes,
            .len = record->len,
            .offset = offset,
            .timestamp_ms = record->time_ms,
            .partition = p,
        };
    }
    if (len > 0)
        sim_trace("reads %zu records", len);
    return (int)len;
}

int weir_consumer_poll(struct weir_consumer *consumer, int timeout_ms, size_t max,
                       struct weir_record *records, struct weir_batch **batch,
                       struct weir_err *err) {
    (void)err;
    *batch = NULL;
    struct sim_proc *proc = sim->current;
    if (proc->dead)
        return 0;
    settle(consumer);
    proc->woken = has_any(consumer) || consumer->generation != sim->generation;
    if (!sim_wait((int64_t)timeout_ms * 1000))
        return 0;
    int count = read_some(consumer, max, records);
    *batch = count > 0 ? &the_batch : NULL;
    return count;
}

void weir_batch_free(struct weir_batch *batch) {
    (void)batch;
}

int weir_consumer_pause(struct weir_consumer *consumer, struct weir_err *err) {
    (void)err;
    consumer->paused = true;
    return 0;
}

int weir_consumer_resume(struct weir_consumer *consumer,
                         const struct weir_topic_partition *partitions, size_t len,
                         struct weir_err *err) {
    (void)err;
    for (size_t i = 0; i < len; i++)
        if (consumer->slots[partitions[i].partition].assigned)
            consumer->slots[partitions[i].partition].next = partitions[i].offset;
    consumer->paused = false;
    return 0;
}

/* A log here is never another one: there is nothing to be told apart. */
struct weir_mark weir_consumer_mark(struct weir_consumer *consumer, int32_t topic,
                                    int32_t partition) {
    (void)consumer, (void)topic, (void)partition;
    return (struct weir_mark){0};
}

void weir_consumer_expect(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          const struct weir_mark *mark) {
    (void)consumer, (void)topic, (void)partition, (void)mark;
}

/* ---- questions to the broker ---- */

static int ask(struct weir_err *err) {
    sim->current->woken = true;
    bool lost = !sim->calm && sim->faults[SIM_BROKER] && sim_chance(50);
    if (sim_wait(0) && !lost)
        return 0;
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Kafka does not answer");
}

void weir_consumer_commit_for_display(struct weir_consumer *consumer,
                                      const struct weir_topic_partition *partitions, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!consumer->proc->dead && sim_chance(800))
            sim->logs[partitions[i].partition].committed = partitions[i].offset;
}

int64_t weir_consumer_committed(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                struct weir_err *err) {
    (void)consumer, (void)topic;
    int status = ask(err);
    return status == 0 ? sim->logs[partition].committed : status;
}

int weir_consumer_range(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                        int64_t *low, int64_t *high, struct weir_err *err) {
    (void)consumer, (void)topic;
    *low = 0;
    *high = sim->logs[partition].end;
    return ask(err);
}

int64_t weir_consumer_offset_at(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                int64_t time_ms, struct weir_err *err) {
    (void)consumer, (void)topic, (void)partition, (void)time_ms;
    return weir_err_set(err, WEIR_ERR_INPUT, "the simulated Kafka knows no times");
}

int64_t weir_consumer_end(struct weir_consumer *consumer, int32_t topic, int32_t partition) {
    (void)consumer, (void)topic;
    return sim->logs[partition].end;
}

void weir_consumer_ask_ends(struct weir_consumer *consumer,
                            const struct weir_topic_partition *partitions, size_t len) {
    bool lost = !sim->calm && sim->faults[SIM_BROKER] && sim_chance(50);
    for (size_t i = 0; i < len; i++) {
        struct slot *slot = &consumer->slots[partitions[i].partition];
        if (!lost) {
            slot->end = slot->asked_end;
            slot->end_us = slot->asked_us;
        }
        slot->asked_end = sim->logs[partitions[i].partition].end;
        slot->asked_us = sim->now_us;
    }
}

int64_t weir_consumer_ended_us(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                               int64_t next) {
    const struct slot *slot = &consumer->slots[partition];
    (void)topic;
    return slot->end_us > 0 && slot->end <= next ? slot->end_us : INT64_MIN;
}

bool weir_consumer_at_end(const struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          int64_t *next) {
    (void)topic;
    int64_t end = sim->logs[partition].end;
    if (next)
        *next = end;
    return consumer->slots[partition].assigned && consumer->slots[partition].next == end;
}

int weir_consumer_partitions(struct weir_consumer *consumer, int32_t topic, struct weir_err *err) {
    (void)consumer, (void)topic;
    int status = ask(err);
    return status == 0 ? sim->partitions : status;
}

bool weir_consumer_fenced(const struct weir_consumer *consumer) {
    (void)consumer;
    return false;
}

bool weir_consumer_reachable(const struct weir_consumer *consumer) {
    (void)consumer;
    return true;
}

uint64_t weir_consumer_errors(const struct weir_consumer *consumer) {
    (void)consumer;
    return 0;
}

/* ---- producers: there is no topic for dead letters here ---- */

int weir_producer_new(struct weir_producer **producer, const struct weir_kafka_options *options,
                      struct weir_err *err) {
    (void)producer, (void)options;
    return weir_err_set(err, WEIR_ERR_INPUT, "the simulated Kafka takes no records");
}

int weir_producer_flush(struct weir_producer *producer, int timeout_ms) {
    (void)producer, (void)timeout_ms;
    return 0;
}

void weir_producer_free(struct weir_producer *producer) {
    (void)producer;
}

int weir_producer_send(struct weir_producer *producer, const char *topic, int32_t partition,
                       const char *key, size_t key_len, const char *value, size_t len,
                       int64_t timestamp_ms, const struct weir_header *headers,
                       struct weir_err *err) {
    (void)producer, (void)topic, (void)partition, (void)key, (void)key_len, (void)value, (void)len;
    (void)timestamp_ms, (void)headers;
    return weir_err_set(err, WEIR_ERR_INPUT, "the simulated Kafka takes no records");
}

uint64_t weir_producer_failed(const struct weir_producer *producer) {
    (void)producer;
    return 0;
}
