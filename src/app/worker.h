/*
 * worker: one consumer of the group, from a record in Kafka to a commit in Redis.
 *
 * Owns a thread, a Kafka consumer, a Redis connection, a decoder, and the state of the partitions
 * that Kafka assigns to it. Shares nothing with other workers. The only thing that others see is a
 * copy of its figures, made once a commit.
 */
#ifndef WEIR_APP_WORKER_H
#define WEIR_APP_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/config.h"
#include "weir/partition.h"

struct weir_partition_figures {
    const char *topic; /* borrowed from the config */
    int32_t number;
    int64_t lag;        /* -1: not known */
    int64_t first, end; /* where it was read on from when it was claimed, and its end then */
    bool idle;
    struct weir_partition_status status;
};

/* What a worker did since its start. */
struct weir_worker_figures {
    uint64_t records, events, late, bytes;
    uint64_t rejected[WEIR_REASONS];
    uint64_t dead_letters_sent, dead_letters_failed;
    uint64_t commits, commit_us_sum, commit_us_max, commit_bytes;
    uint64_t fenced, duplicates, rolled_back, redis_errors, kafka_errors;
    bool redis_up, kafka_up, stalled; /* stalled: no commits, so nothing is consumed */
    bool caught_up;                   /* no partition is behind its end */
    int64_t seen_us;                  /* monotonic; the watchdog's sign of life */
    uint32_t assigned;                /* partitions, also those that are not claimed yet */
    uint32_t partitions_len, partitions_room;
    struct weir_partition_figures *partitions; /* owned; as many as were ever assigned at once */
};

struct weir_worker;

/* Starts the thread. The config is borrowed and must outlive the worker. `rebuild`: the
 * stored counts were forgotten on purpose, so a partition without any begins at its first offset.
 */
int weir_worker_start(struct weir_worker **worker, const struct weir_config *config, int number,
                      bool rebuild, struct weir_err *err);
/* Asks for the end: drain, commit, leave the group. */
void weir_worker_stop(struct weir_worker *worker);
/* Waits for the thread. 0, or why it ended by itself (then `err` is filled). Frees the worker. */
int weir_worker_join(struct weir_worker *worker, struct weir_err *err);
/* True when the thread has ended by itself: the process must end with its error. */
bool weir_worker_failed(const struct weir_worker *worker);

/* A copy of the figures; any thread. `figures` is zeroed, or one of an earlier call. */
void weir_worker_figures(struct weir_worker *worker, struct weir_worker_figures *figures);
/* Frees what they point to. */
void weir_worker_figures_close(struct weir_worker_figures *figures);

#endif
