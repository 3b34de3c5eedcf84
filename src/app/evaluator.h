/*
 * evaluator: from what the partitions committed to published windows and alerts.
 *
 * One thread a process; of all processes of a group only the holder of the lease works. Once per
 * slide: read what changed, add it up, evaluate the rules, and write windows, alerts and the
 * sinks' outboxes in one atomic step.
 */
#ifndef WEIR_APP_EVALUATOR_H
#define WEIR_APP_EVALUATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/config.h"

/* Where a step's time goes. */
enum weir_stage {
    WEIR_STAGE_GATHER, /* Redis's answers, and the buckets in them checked and booked */
    WEIR_STAGE_SUM,    /* windows moved, the data's quality */
    WEIR_STAGE_WRITE,  /* fields and rules, with what is asked for them */
    WEIR_STAGE_SEND,   /* the atomic step, until Redis has answered */
    WEIR_STAGES
};

/* What the evaluator did since its start; a copy is made once a step. */
struct weir_evaluator_figures {
    bool leader, redis_up;
    uint64_t steps, step_us_sum, step_us_max, redis_errors;
    uint64_t stage_us_sum[WEIR_STAGES]; /* of step_us_sum */
    uint32_t partitions, segments;
    int64_t as_of_ms; /* of the finest window, INT64_MIN before the first step */
    uint64_t memory_bytes;
    uint32_t values_kept; /* see weir_rollup_keep */
    uint32_t firing, pending;
    char suspect[160]; /* why the data cannot be trusted, empty when they can */
    uint64_t alert_changes;
    int64_t seen_us;    /* monotonic; the watchdog's sign of life */
    double split_ratio; /* sessions in more than one partition / sessions; negative: not known */
};

struct weir_evaluator;
int weir_evaluator_start(struct weir_evaluator **evaluator, const struct weir_config *config,
                         struct weir_err *err);
/* New rules and sinks, from the next step on. The old config stays valid until the call returns. */
void weir_evaluator_reload(struct weir_evaluator *evaluator, const struct weir_config *config);
void weir_evaluator_stop(struct weir_evaluator *evaluator); /* gives up the lease, joins, frees */
void weir_evaluator_figures(struct weir_evaluator *evaluator,
                            struct weir_evaluator_figures *figures);
/* Alerts for a sink that were dropped, because its queue had grown to alerts.outbox_max. */
uint64_t weir_evaluator_dropped(struct weir_evaluator *evaluator, const char *sink);

#endif
