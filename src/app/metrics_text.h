/*
 * metrics_text: the figures of a running service as Prometheus's text format, version 0.0.4.
 *
 * One table of names, types and help drives both what /metrics serves and the manual. Pure but for
 * weir_process_figures: the figures and the time are arguments, borrowed for the call.
 * Thread: any. Units: seconds and bytes, as Prometheus wants them. What is not known is left out.
 */
#ifndef WEIR_APP_METRICS_TEXT_H
#define WEIR_APP_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

#include "app/evaluator.h"
#include "app/outbox.h"
#include "app/worker.h"
#include "weir/buf.h"

/* -1 stands for what this system does not tell. */
struct weir_process_figures {
    double cpu_seconds, start_seconds;
    int64_t resident_bytes, virtual_bytes, threads, open_fds, max_fds;
};
/* Reads /proc. */
void weir_process_figures(struct weir_process_figures *figures);

struct weir_metrics_input {
    int64_t wall_ms, now_us; /* the clock, and the monotonic one that seen_us is of */
    const struct weir_worker_figures *workers;
    size_t workers_len;
    const struct weir_evaluator_figures *evaluator; /* NULL: there is none yet */
    const struct weir_sink_figures *sinks;
    size_t sinks_len;
    struct weir_process_figures process;
    struct weir_memory_shares memory;
    const char *kafka_version;
};
void weir_metrics_text(struct weir_buf *out, const struct weir_metrics_input *input);

/* The names, types, labels and meanings as a Markdown table. */
void weir_metrics_manual(FILE *out);

#endif
