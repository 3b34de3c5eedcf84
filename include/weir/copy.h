/*
 * copy: records from one Kafka topic to another, exactly once: a transactional producer whose
 * transactions also hold the offsets up to which the source was read.
 *
 * What a transaction holds is there as a whole or not at all. A copier of the same id that starts
 * later ends the open transaction of the one before and shuts it out.
 * Ownership: new/free; copies belong to the caller. Thread: one, the consumer's.
 * Results: 0 done; 1 the transaction is lost and has been aborted (`err` says why): everything
 * since the last commit must be sent again; else negative, and it cannot go on.
 */
#ifndef WEIR_COPY_H
#define WEIR_COPY_H

#include <stddef.h>

#include "weir/err.h"
#include "weir/kafka.h"

/* A record out of its batch: its value, headers and time, with the key that it is to have. */
struct weir_copy;
/* Takes the headers away from the record. `key` may be NULL. */
struct weir_copy *weir_copy_new(const struct weir_record *record, const char *key, size_t key_len);
size_t weir_copy_bytes(const struct weir_copy *copy); /* of memory, about */
void weir_copy_free(struct weir_copy *copy);

struct weir_copier;

/* `id` names the copy through all its restarts. Brokers that do not answer are waited for, two
 * minutes at most; once `stopping` (may be NULL) says so, a few seconds. Waits until the
 * transaction that the last one left open is ended: read the group's offsets after this. */
int weir_copier_new(struct weir_copier **copier, const struct weir_kafka_options *options,
                    const char *id, const char *topic, bool (*stopping)(void),
                    struct weir_err *err);
/* What is not committed is as if it had never been. */
void weir_copier_free(struct weir_copier *copier);

/* The key chooses the partition. What was sent has no headers any more. */
int weir_copier_send(struct weir_copier *copier, struct weir_copy *copy, struct weir_err *err);
/* Everything sent since the last time, and with it the offsets at which the consumer's group reads
 * on. Those below 0 are left out. */
int weir_copier_commit(struct weir_copier *copier, const struct weir_consumer *consumer,
                       const struct weir_topic_partition *offsets, size_t len,
                       struct weir_err *err);

#endif
