/*
 * outbox_kafka: a sink that is a Kafka topic: each alert's id is in there once.
 *
 * The alert is written in a transaction, so that whoever wrote under the sink's name before, and
 * was frozen meanwhile, can write no more. What an earlier process wrote without having deleted it
 * from the queue is seen in the topic's tail and not written again. Thread: the sink's own.
 */
#ifndef WEIR_APP_OUTBOX_KAFKA_H
#define WEIR_APP_OUTBOX_KAFKA_H

#include <stddef.h>

#include "weir/config.h"

struct weir_topic_sink;
/* Both are borrowed. Connects at the first alert. */
struct weir_topic_sink *weir_topic_sink_new(const struct weir_kafka_options *options,
                                            const struct weir_sink *sink);
void weir_topic_sink_free(struct weir_topic_sink *topic_sink);

/* 0 when the alert is in the topic, now or since earlier; else -WEIR_ERR_UNREACHABLE: try again. */
int weir_topic_sink_send(struct weir_topic_sink *topic_sink, const char *id, const char *alert,
                         size_t alert_len, struct weir_err *err);
/* Another process may write from now on: the next alert asks the topic again. */
void weir_topic_sink_yield(struct weir_topic_sink *topic_sink);

#endif
