/*
 * step: what one admitted event does to sessions and counters (steps 3 to 8 of
 * weir/partition.h). Private to core; pure.
 */
#ifndef WEIR_CORE_STEP_H
#define WEIR_CORE_STEP_H

#include "core/partition_state.h"

void weir_step_event(struct weir_partition *partition, const struct weir_event *event,
                     const struct weir_key *key);

/* Counts the session's outcome at end_ms and takes it out of the table. */
void weir_step_close(struct weir_partition *partition, struct weir_session *session,
                     int64_t end_ms);

#endif
