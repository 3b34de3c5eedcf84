/*
 * kafka: consumer, producer and admin calls; the only user of librdkafka.
 *
 * A consumer belongs to one thread. Offsets are the caller's own: nothing is committed or stored
 * by itself, `auto.offset.reset` is error, and an assignment always carries explicit offsets.
 */
#ifndef WEIR_KAFKA_H
#define WEIR_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

struct weir_kafka_property {
    const char *name, *value;
};

struct weir_kafka_options {
    const char *brokers; /* comma-separated */
    const char *group;
    const char *const *topics;
    size_t topics_len;
    const struct weir_kafka_property *properties; /* any of librdkafka's, over weir's own */
    size_t properties_len;
    const char *client_id;
    size_t prefetch_bytes; /* over all partitions of the consumer; 0: the default */
    size_t queue_bytes;    /* records that wait in the producer; 0: the default */
};

struct weir_record {
    const char *value; /* NULL for a tombstone; valid until the batch is freed */
    size_t len;
    const char *key;
    size_t key_len;
    int64_t offset;
    int64_t timestamp_ms; /* the broker's or producer's; -1 when there is none */
    int32_t partition;
    int32_t topic;       /* index into options.topics */
    const void *message; /* for weir/copy.h: all that came with it; valid as long as value */
};

struct weir_topic_partition {
    int32_t topic; /* index into options.topics */
    int32_t partition;
    int64_t offset;
};

/* Tells a record from any other at its offset; and what was met behind it. */
struct weir_mark {
    bool known;
    int64_t offset, timestamp_ms;
    uint64_t hash;              /* of key and value */
    int64_t bare_from, bare_to; /* nothing to read lies there, such as the ends of transactions: the
                                   partition's end was met at bare_to. None: bare_to <= bare_from */
};

/* Called from weir_consumer_poll in the caller's thread. In `assigned` the caller claims its state
 * and sets every offset (or drops entries by setting offset to -1: those are not consumed). */
struct weir_rebalance {
    void (*assigned)(void *context, struct weir_topic_partition *partitions, size_t len);
    /* Before they are given up: the last commit. `lost` is true when they are somebody else's. */
    void (*revoked)(void *context, const struct weir_topic_partition *partitions, size_t len,
                    bool lost);
    void *context;
};

struct weir_consumer;
int weir_consumer_new(struct weir_consumer **consumer, const struct weir_kafka_options *options,
                      struct weir_rebalance rebalance, struct weir_err *err);
/* Without being a member of the group, whose offsets are all that it has of it: reads what
 * weir_consumer_take says. */
int weir_consumer_new_alone(struct weir_consumer **consumer,
                            const struct weir_kafka_options *options, struct weir_err *err);
/* Reads these partitions from their offsets on, and no others any more. */
int weir_consumer_take(struct weir_consumer *consumer,
                       const struct weir_topic_partition *partitions, size_t len,
                       struct weir_err *err);
/* Leaves the group (calls `revoked`), then frees. */
void weir_consumer_free(struct weir_consumer *consumer);

struct weir_batch; /* the messages behind a batch's records */

/* Up to `max` records within timeout_ms; rebalances are served inside. Returns the count, 0 on
 * none, or a negative code on a fatal error (err says what to do). Transient errors are counted
 * and logged, not returned. The batch must be freed before the consumer. */
int weir_consumer_poll(struct weir_consumer *consumer, int timeout_ms, size_t max,
                       struct weir_record *records, struct weir_batch **batch,
                       struct weir_err *err);
void weir_batch_free(struct weir_batch *batch);

/* Stops and starts fetching without leaving the group. Resuming assigns again at `partitions`'
 * offsets, as stored ones are not to be trusted (librdkafka issue 4208). */
int weir_consumer_pause(struct weir_consumer *consumer, struct weir_err *err);
int weir_consumer_resume(struct weir_consumer *consumer,
                         const struct weir_topic_partition *partitions, size_t len,
                         struct weir_err *err);

/* The last record that was handed out, or what was said to be it. Whenever reading begins anew,
 * that record is read first, and not handed out: where Kafka holds another one at its offset the
 * topic is not the same any more, and the poll refuses. One that is not there proves nothing.
 * Where the offset to read on at is gone too, and all from there to the end that was once met is
 * bare, reading goes on at that end. */
struct weir_mark weir_consumer_mark(struct weir_consumer *consumer, int32_t topic,
                                    int32_t partition);
/* Says it of a partition that is assigned and not read yet. */
void weir_consumer_expect(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          const struct weir_mark *mark);

/* Offsets for lag displays only; asynchronous, failures are counted. */
void weir_consumer_commit_for_display(struct weir_consumer *consumer,
                                      const struct weir_topic_partition *partitions, size_t len);
/* The group's committed offset, -1 when there is none, or a negative code below -1. */
int64_t weir_consumer_committed(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                struct weir_err *err);
/* First offset, next offset, or first offset at or after a time. */
int weir_consumer_range(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                        int64_t *low, int64_t *high, struct weir_err *err);
int64_t weir_consumer_offset_at(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                                int64_t time_ms, struct weir_err *err);
/* The last known end of the partition without asking the broker, -1 if unknown. For lag. */
int64_t weir_consumer_end(struct weir_consumer *consumer, int32_t topic, int32_t partition);
/* Asks where partitions end, and takes what was answered to the question before. Does not wait: the
 * answer may come only after the fetch under way. Offsets are not looked at. */
void weir_consumer_ask_ends(struct weir_consumer *consumer,
                            const struct weir_topic_partition *partitions, size_t len);
/* The last moment (monotonic, us) of which an answer says that no record at `next` or beyond was in
 * Kafka then; INT64_MIN when there is none. Unlike weir_consumer_end it does not take what a fetch
 * said some time ago for what is true now. */
int64_t weir_consumer_ended_us(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                               int64_t next);
/* True when the last that came of the partition was its end. *next, if not NULL, is where to go on:
 * behind whatever lies there without being a record, such as the ends of transactions. */
bool weir_consumer_at_end(const struct weir_consumer *consumer, int32_t topic, int32_t partition,
                          int64_t *next);
/* The number of partitions of a topic: 0 or less means that it does not exist. */
int weir_consumer_partitions(struct weir_consumer *consumer, int32_t topic, struct weir_err *err);
/* The same of topics that need not be the consumer's. */
int weir_consumer_partitions_of(struct weir_consumer *consumer, const char *topic,
                                struct weir_err *err);
int weir_consumer_range_of(struct weir_consumer *consumer, const char *topic, int32_t partition,
                           int64_t *low, int64_t *high, struct weir_err *err);
/* Whether its fatal error is that another member took its name (group.instance.id). */
bool weir_consumer_fenced(const struct weir_consumer *consumer);
/* False from the first lost connection to all brokers until one answers again. */
bool weir_consumer_reachable(const struct weir_consumer *consumer);
uint64_t weir_consumer_errors(const struct weir_consumer *consumer);

struct weir_producer;
/* Idempotent, acks=all. One thread. */
int weir_producer_new(struct weir_producer **producer, const struct weir_kafka_options *options,
                      struct weir_err *err);
/* Flushes up to timeout_ms; returns the number of records that were not delivered. */
int weir_producer_flush(struct weir_producer *producer, int timeout_ms);
void weir_producer_free(struct weir_producer *producer);

struct weir_header {
    const char *name;
    const char *value;
};
/* Copies. `key` may be NULL; timestamp 0 means now; partition -1 means by key. Waits while the
 * queue is full. `headers` ends with a NULL name, or is NULL. */
int weir_producer_send(struct weir_producer *producer, const char *topic, int32_t partition,
                       const char *key, size_t key_len, const char *value, size_t len,
                       int64_t timestamp_ms, const struct weir_header *headers,
                       struct weir_err *err);
/* Records that were refused at once, or whose delivery failed for good, since the start. */
uint64_t weir_producer_failed(const struct weir_producer *producer);

/* A producer of transactions: for readers with isolation.level=read_committed what it sends between
 * begin and commit is there as a whole or not at all. Whoever had the same id before can write no
 * more, and what was left open is given up. After a failed commit it is not known whether it took
 * place: free the producer, make it anew, and look at the topic. */
int weir_producer_new_fenced(struct weir_producer **producer,
                             const struct weir_kafka_options *options, const char *id,
                             int timeout_ms, struct weir_err *err);
int weir_producer_begin(struct weir_producer *producer, struct weir_err *err);
int weir_producer_commit(struct weir_producer *producer, int timeout_ms, struct weir_err *err);

/* Calls `each` with the header's value of every record that has it, in the last `max` offsets of
 * each partition of the topic, as they ended when it was asked; of transactions only what was
 * committed. A topic that does not exist has none. -WEIR_ERR_UNREACHABLE when it took longer than
 * timeout_ms: another writer's transaction that is open is waited for, as it hides what follows. */
int weir_kafka_tail(const struct weir_kafka_options *options, const char *topic, const char *header,
                    int64_t max, int timeout_ms,
                    void (*each)(void *context, const char *value, size_t len), void *context,
                    struct weir_err *err);

/* Makes a topic; an existing one is success. */
int weir_kafka_create_topic(const struct weir_kafka_options *options, const char *topic,
                            int partitions, int replication, struct weir_err *err);
/* Removes a topic with all that is in it; one that is not there is success. */
int weir_kafka_delete_topic(const struct weir_kafka_options *options, const char *topic,
                            struct weir_err *err);

/* An in-process mock cluster for the demo; `brokers` (owned by it) is its bootstrap address. */
struct weir_mock_kafka;
int weir_mock_kafka_new(struct weir_mock_kafka **mock, int brokers, struct weir_err *err);
const char *weir_mock_kafka_brokers(const struct weir_mock_kafka *mock);
/* The mock takes no admin calls, so its topics are made here; an existing one is success. */
int weir_mock_kafka_create_topic(struct weir_mock_kafka *mock, const char *topic, int partitions,
                                 struct weir_err *err);
void weir_mock_kafka_free(struct weir_mock_kafka *mock);

/* Whether clients take the property: 0, or -WEIR_ERR_INPUT with the reason and remedy, in which its
 * value may stand. *known is false where there is no property of that name. Nothing is loaded or
 * opened: plugin.library.paths counts as good. */
int weir_kafka_check_property(const struct weir_kafka_property *property, bool *known,
                              struct weir_err *err);

/* Whether librdkafka makes clients of these options: what it says of properties that do not go
 * together, or of a certificate that it cannot read, before there is a broker. It makes a consumer,
 * and with `writes` a producer, that know no broker, and ends them. 0, or -WEIR_ERR_INPUT. */
int weir_kafka_check_clients(const struct weir_kafka_options *options, bool writes,
                             struct weir_err *err);

/* Of librdkafka at run time; static storage. */
const char *weir_kafka_library_version(void);

#endif
