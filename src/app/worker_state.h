/*
 * worker_state: the inside of a worker, shared by its parts: worker.c (the data's way), ownership.c
 * (which partitions, claimed and given up), commit.c (to Redis) and deadletter.c. Private to app;
 * all of it belongs to the worker's thread but what `lock` guards.
 */
#ifndef WEIR_APP_WORKER_STATE_H
#define WEIR_APP_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/store.h"
#include "app/worker.h"
#include "weir/decode.h"
#include "weir/kafka.h"
#include "weir/redis.h"

#define WEIR_PIPE 8        /* records between decode and apply, so that memory has time */
#define WEIR_BATCH_MAX 250 /* records of one poll */

/* A partition that Kafka assigned to us. */
struct weir_owned {
    int32_t topic, number;
    struct weir_partition *state; /* NULL until it is claimed */
    struct weir_claim claim;
    int64_t retry_us; /* not claimed: when to try again */
    int64_t next;     /* the offset that is decoded next; what lies below was counted */
    int64_t first;    /* what `next` was when it was claimed */
    int64_t end;      /* the partition's end when it was claimed; the next offset there */
    int64_t bare_to;  /* the partition's end that Redis knows as met without a record before it */
    bool sent;        /* a commit is under way */
    bool seen;        /* a record came since the last look */
    bool idle;        /* none came for idle_timeout, and none waits */
    int64_t base_ms;  /* for ticks: the watermark ... */
    int64_t base_us;  /* ... at this monotonic time */
};

/* A record between decode and apply. */
struct weir_pending {
    struct weir_decoded decoded;
    const struct weir_record *record;
    struct weir_owned *owned;
    struct weir_key key; /* of the first event */
};

struct weir_worker {
    const struct weir_config *config;
    int number;
    bool rebuild;
    pthread_t thread;
    _Atomic bool stopping, failed;
    _Atomic int64_t seen_us; /* the last sign of life; figures are shown less often */
    struct weir_err err;

    struct weir_consumer *consumer;
    struct weir_redis *redis;
    struct weir_store *store;
    struct weir_producer *dead_letters; /* NULL without a topic */
    struct weir_mapping *mapping;
    struct weir_decoder *decoder; /* keeps WEIR_PIPE records */

    struct weir_record *records; /* WEIR_BATCH_MAX */
    struct weir_pending pipe[WEIR_PIPE];
    uint32_t pipe_first, pipe_len;

    struct weir_owned **owned;
    size_t owned_len, last_owned;
    struct weir_topic_partition *offsets; /* owned_len: what is committed for display */
    bool reassign;                        /* the consumer must be told where to read on */
    bool fresh;         /* something was claimed, and none of its records has come */
    int64_t commit_us;  /* when the next commit is due */
    int64_t joined_us;  /* when it joined the group again, 0: never */
    int64_t backoff_ms; /* Redis is away: the next pause between tries */
    char why[256];      /* what was last said of it */
    int64_t sample_us;  /* dead letters: when the next one may be logged */
    uint64_t dead_letters_flushed;

    struct weir_worker_figures figures;
    pthread_mutex_t lock; /* guards `shown` */
    struct weir_worker_figures shown;
};

/* ownership.c */
void weir_own_assigned(void *context, struct weir_topic_partition *partitions, size_t len);
void weir_own_revoked(void *context, const struct weir_topic_partition *partitions, size_t len,
                      bool lost);
/* Claims what is assigned and not ours yet, and lets the consumer read on there. Negative only on
 * what cannot be mended by waiting. */
int weir_own_claim(struct weir_worker *worker);
/* Records up to the partition's end, as far as that is known without asking. */
int64_t weir_own_lag(const struct weir_worker *worker, const struct weir_owned *owned);
struct weir_owned *weir_own_find(struct weir_worker *worker, int32_t topic, int32_t number);
/* Marks who is idle, and moves their watermarks with the clock. */
void weir_own_tick(struct weir_worker *worker, int64_t now_us);
/* Forgets the state in memory; it will be claimed again while Kafka assigns it to us. */
void weir_own_drop(struct weir_worker *worker, struct weir_owned *owned, int64_t retry_us);
void weir_own_free(struct weir_worker *worker);

/* commit.c */
/* Commits every partition. With Redis away: stops consuming and tries again later. */
int weir_commit_all(struct weir_worker *worker);
void weir_commit_show_figures(struct weir_worker *worker);
void weir_commit_copy_figures(struct weir_worker_figures *to,
                              const struct weir_worker_figures *from);

/* deadletter.c */
void weir_dead_letter(struct weir_worker *worker, const struct weir_record *record,
                      enum weir_reason reason);
/* All of them are with Kafka: 0. Else the commit must wait, so that none is lost. */
int weir_dead_letter_flush(struct weir_worker *worker);

#endif
