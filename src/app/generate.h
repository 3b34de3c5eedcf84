/*
 * generate: what the files of `weir generate` share. Private to it.
 *
 * The job borrows argv; the sink owns its file or producer. One thread. Errors: negative codes of
 * weir/err.h with a sentence.
 */
#ifndef WEIR_APP_GENERATE_H
#define WEIR_APP_GENERATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/traffic.h"

#define WEIR_GENERATE_PATH_MAX 4096
#define WEIR_GENERATE_TRUTH "weir-truth.json" /* of incidents in no file of ours */
#define WEIR_GENERATE_BROKERS_MAX 1024
#define WEIR_GENERATE_TOPIC_MAX 250 /* Kafka's own limit is 249 bytes */
#define WEIR_GENERATE_SPEED_MAX 100000.0

enum weir_generate_target { WEIR_TO_STDOUT, WEIR_TO_FILE, WEIR_TO_KAFKA };

struct weir_generate_job {
    struct weir_traffic_options traffic; /* incidents points to the array below */
    struct weir_traffic_incident incidents[WEIR_TRAFFIC_INCIDENTS_MAX];
    enum weir_generate_target target;
    char path[WEIR_GENERATE_PATH_MAX]; /* WEIR_TO_FILE */
    char brokers[WEIR_GENERATE_BROKERS_MAX], topic[WEIR_GENERATE_TOPIC_MAX];
    int partitions;                          /* of a topic that is made; 0: none is */
    char truth[WEIR_GENERATE_PATH_MAX + 16]; /* "": none */
    bool live;                               /* event time follows the wall clock */
    double speed;                            /* ms of event time per ms of wall clock */
    bool help;
};

void weir_generate_usage(FILE *out);
/* now_ms is what `--start now` means. -WEIR_ERR_USAGE with a sentence. */
int weir_generate_parse(struct weir_generate_job *job, int argc, char **argv, int64_t now_ms,
                        struct weir_err *err);

struct weir_generate_sink;
int weir_generate_sink_open(struct weir_generate_sink **sink, const struct weir_generate_job *job,
                            struct weir_err *err);
/* 0, 1 when the reader of a pipe has gone, or a negative code. */
int weir_generate_sink_write(struct weir_generate_sink *sink,
                             const struct weir_traffic_record *record, struct weir_err *err);
/* Hands on what waits in the buffer. As above. */
int weir_generate_sink_flush(struct weir_generate_sink *sink, struct weir_err *err);
/* Waits until Kafka has it all; -WEIR_ERR_UNREACHABLE says how many records were lost. */
int weir_generate_sink_finish(struct weir_generate_sink *sink, struct weir_err *err);
void weir_generate_sink_free(struct weir_generate_sink *sink);

#endif
