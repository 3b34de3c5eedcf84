/*
 * outbox: alerts on their way to the sinks. The queue lives in Redis, one stream a sink
 * (weir:{<group>}:outbox:<sink>), filled by the evaluator's step; one thread a sink empties it, so
 * a slow or dead sink delays neither counting nor the other sinks. At least once (a Kafka topic:
 * once), in order, with backoff; an entry is deleted when the sink took it or said that it never
 * will.
 */
#ifndef WEIR_APP_OUTBOX_H
#define WEIR_APP_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/config.h"

struct weir_sink_figures {
    char name[64];
    uint64_t sent, failed, refused; /* failed: tries that will be made again */
    int64_t waiting;                /* entries in the queue at the last look */
    uint64_t dropped;               /* 0: the evaluator knows, see weir_evaluator_dropped */
};

struct weir_outbox;
/* The threads work only while `leader` returns true (called from their threads). */
int weir_outbox_start(struct weir_outbox **outbox, const struct weir_config *config,
                      bool (*leader)(void *context), void *context, struct weir_err *err);
void weir_outbox_stop(struct weir_outbox *outbox); /* joins and frees */
/* Fills up to max; returns how many sinks there are. */
uint32_t weir_outbox_figures(struct weir_outbox *outbox, struct weir_sink_figures *figures,
                             uint32_t max);

#endif
