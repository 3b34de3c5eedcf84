/*
 * kafka_internal: what the files of io/kafka share. Private to them.
 *
 * Ownership: a consumer owns its handle, its partition table and its pool of batches.
 * Thread: the consumer's, except librdkafka's log and error counts, which are atomic.
 * Limits: WEIR_PARTITIONS_MAX of one topic.  Units: ms, us where the name says so.
 * Errors: as in weir/kafka.h.
 */
#ifndef WEIR_IO_KAFKA_INTERNAL_H
#define WEIR_IO_KAFKA_INTERNAL_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "weir/kafka.h"

#define WEIR_PARTITIONS_MAX 100000
#define WEIR_QUERY_TIMEOUT_MS 10000

struct weir_slot {
    int64_t next;          /* the offset after the last record handed out; -1: not consumed */
    bool assigned;         /* by the group, or by weir_consumer_take */
    bool at_end;           /* nothing came since its end was met */
    bool looking;          /* the next that comes is the record of the mark, if Kafka has it */
    struct weir_mark mark; /* the last record handed out */
    int64_t end, end_us;   /* the partition ended here at that moment; 0: never asked */
};

struct weir_topic {
    char *name;
    struct weir_slot *slots; /* by partition */
    int32_t len;
    bool unknown; /* to the brokers, by what was heard last */
};

/* A rebalance that librdkafka announced inside a batch call; it is acted on before the next one,
 * so that a batch never spans two assignments. */
struct weir_pending {
    rd_kafka_resp_err_t event; /* 0: none */
    rd_kafka_topic_partition_list_t *partitions;
    bool lost;
};

struct weir_consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct weir_topic *topics;
    size_t topics_len;
    struct weir_rebalance rebalance;
    struct weir_pending pending;
    bool paused, closing;
    bool alone;            /* no member of the group */
    struct weir_err fatal; /* code 0: none; else the next poll returns it */
    bool fenced;           /* that is: by another member of its name */
    struct weir_batch *pool;
    size_t batches_out;
    int64_t logged_us;  /* when an error was logged last */
    uint64_t unlogged;  /* errors since then */
    int64_t unknown_us; /* since when a topic is unknown; 0: none */
    int64_t looked_us;  /* the last look whether it is there again */
    bool gone;          /* a partition was, once */
    int64_t probed_us;  /* the last look for a broker while none answers */
    int64_t woken_us;   /* the fetchers, last */
    bool filled;        /* enough records waited at the last poll that the queues may be full */
    _Atomic bool reachable;
    bool doubtful; /* a connection was lost: ask whether any broker answers */
    bool again;    /* assign once more: what came since may be of another topic, and is dropped */
    struct weir_ends *ends; /* NULL until a question is asked */
    _Atomic uint64_t errors;
};

enum weir_kafka_role { WEIR_KAFKA_CONSUMER, WEIR_KAFKA_PRODUCER };

/* weir's settings, then the user's over them, with those refused that would break the promise. */
rd_kafka_conf_t *weir_kafka_conf_new(const struct weir_kafka_options *options,
                                     enum weir_kafka_role role, struct weir_err *err);
/* Takes conf, also when it fails. */
rd_kafka_t *weir_kafka_handle_new(rd_kafka_conf_t *conf, enum weir_kafka_role role,
                                  struct weir_err *err);

/* kafka_assign.c */
void weir_consumer_rebalanced(rd_kafka_t *rk, rd_kafka_resp_err_t event,
                              rd_kafka_topic_partition_list_t *partitions, void *consumer);
void weir_consumer_settle(struct weir_consumer *consumer); /* acts on what is pending */
struct weir_slot *weir_consumer_slot(struct weir_consumer *consumer, int32_t topic,
                                     int32_t partition); /* NULL: not in the table */
int32_t weir_consumer_topic_index(const struct weir_consumer *consumer, const char *name);

int64_t weir_kafka_timestamp_ms(const rd_kafka_message_t *message); /* -1: it has none */
/* Assigns the same once more, from the marks on. */
int weir_consumer_assign_again(struct weir_consumer *consumer, struct weir_err *err);

/* kafka_mark.c */
void weir_consumer_keep_marks(struct weir_consumer *consumer, const struct weir_record *records,
                              size_t len);
/* Nothing to read lies before `end`. */
void weir_consumer_met_end(struct weir_slot *slot, int64_t end);
/* The offset to read on at is gone: true when nothing is missed behind it, and reading goes on
 * there. */
bool weir_consumer_skip_bare(struct weir_slot *slot);
/* A record that was handed out before: fatal when it is another than it was. */
void weir_consumer_recognize(struct weir_consumer *consumer, struct weir_slot *slot,
                             const rd_kafka_message_t *message);

/* kafka_ends.c */
void weir_ends_free(struct weir_ends *ends); /* before the consumer's handle */

/* kafka_wake.c: now and then, before a batch is taken. */
void weir_consumer_wake(struct weir_consumer *consumer);

/* kafka_trouble.c */
void weir_consumer_on_error(rd_kafka_t *rk, int code, const char *reason, void *consumer);
void weir_consumer_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                             rd_kafka_topic_partition_list_t *partitions, void *consumer);
/* A message that carries an error: counted, logged, and fatal if the promise needs it. */
void weir_consumer_on_bad_message(struct weir_consumer *consumer,
                                  const rd_kafka_message_t *message);
void weir_consumer_count_error(struct weir_consumer *consumer, const char *what,
                               const char *detail);
/* What waits for its time: a topic that stays unknown, whether a broker answers. Then it may take a
 * second. */
void weir_consumer_look_after(struct weir_consumer *consumer);

#endif
