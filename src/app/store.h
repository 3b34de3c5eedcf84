/*
 * store: a partition's state in Redis: claimed, loaded and committed, each in one script call.
 *
 * Every key of a partition has the hash tag {<group>.<topic>.<partition>}, so one script may touch
 * them all. The meta hash holds owner, epoch, seq, offset, watermark, fingerprint and the packed
 * scalars, and the mark of the last record that was counted; it is written last. A commit carries
 * absolute values: sent twice, it ends in the same place. Belongs to the worker's thread, like the
 * connection that it uses.
 */
#ifndef WEIR_APP_STORE_H
#define WEIR_APP_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/token.h"
#include "weir/err.h"
#include "weir/kafka.h"
#include "weir/partition.h"
#include "weir/redis.h"

/* Stands for the fingerprint of a partition that is about to be forgotten: see app/forget.h. */
#define WEIR_CONDEMNED "rebuild"

/* Which partition, and as whom. */
struct weir_claim {
    char tag[600]; /* weir:{<group>.<topic>.<partition>} */
    char token[WEIR_TOKEN_LEN + 1];
    int64_t epoch;
    bool found;            /* Redis held a state; else this is a new partition */
    struct weir_mark mark; /* the last record that was counted, if the state knows it */
};

struct weir_store;
int weir_store_new(struct weir_store **store, struct weir_redis *redis, const char *group,
                   struct weir_err *err);
void weir_store_free(struct weir_store *store);

/* Names partitions to the evaluator before any of them is counted, so that no total is published
 * while some are missing. 0 or -WEIR_ERR_UNREACHABLE. */
int weir_store_register(struct weir_store *store, const char *topic, int32_t first, int32_t len,
                        struct weir_err *err);

/* How many partitions the topic had when the group began with it: `partitions`, where nobody had
 * said so before. 0 or -WEIR_ERR_UNREACHABLE. */
int weir_store_began(struct weir_store *store, const char *topic, int32_t partitions,
                     int32_t *began, struct weir_err *err);

/* Makes the partition ours and fills `partition` (fresh) with its state. -WEIR_ERR_UNREACHABLE:
 * try again. -WEIR_ERR_REFUSED: the fingerprint or the state's format differs, and nothing of the
 * partition was written; or the state is damaged, or a part of it was forgotten. */
int weir_store_claim(struct weir_store *store, const char *topic, int32_t number,
                     uint64_t fingerprint, struct weir_partition *partition,
                     struct weir_claim *claim, struct weir_err *err);

enum weir_commit_result {
    WEIR_COMMITTED,  /* also when it was already there (the reply of an earlier try was lost) */
    WEIR_FENCED,     /* somebody else owns the partition: drop it */
    WEIR_ROLLEDBACK, /* Redis lost writes, or all of it: claim and load again */
    WEIR_NOTHING,    /* nothing had changed */
};

/* What a commit says of the partition's present beside its counts; no counter depends on it. */
struct weir_liveness {
    bool idle;             /* nothing came for idle_timeout: it holds nobody back */
    int64_t lag;           /* records behind the end, -1 when not known */
    int64_t wall_ms;       /* when this was sent */
    struct weir_mark mark; /* the last record of Kafka that is in it */
};

/* Sends what changed; weir_store_committed reads the answer. Many partitions may be sent before
 * the first answer is read, in the same order. 0 or a negative code. */
int weir_store_commit(struct weir_store *store, const struct weir_claim *claim,
                      struct weir_partition *partition, const struct weir_liveness *live,
                      bool *sent, struct weir_err *err);
/* On a Redis error reply (OOM, READONLY, MISCONF ...): -WEIR_ERR_UNREACHABLE with its words. */
int weir_store_committed(struct weir_store *store, struct weir_partition *partition,
                         enum weir_commit_result *result, struct weir_err *err);
/* Bytes sent in commits so far. */
uint64_t weir_store_bytes(const struct weir_store *store);
/* Commits so far that were there already. */
uint64_t weir_store_duplicates(const struct weir_store *store);

/* Of every primary: refuses one that evicts keys, is older than 7.0 or is not what redis.url says;
 * warns where durability is off. */
int weir_store_check_server(struct weir_redis *redis, struct weir_err *err);

#endif
