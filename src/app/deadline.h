/*
 * deadline: a stop that comes to its end, whoever does not answer.
 *
 * librdkafka may wait for brokers past every time-out: rd_kafka_consumer_close does, and
 * rd_kafka_send_offsets_to_transaction (its issue 5456). After the deadline the process ends as if
 * it were killed, which loses nothing at any moment.
 */
#ifndef WEIR_APP_DEADLINE_H
#define WEIR_APP_DEADLINE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

struct weir_deadline {
    const sigset_t *signals;  /* blocked everywhere; the first of them begins it. NULL: now */
    atomic_bool *came;        /* set then; may be NULL */
    int seconds, code;        /* the process exits with it */
    const char *area, *words; /* of the warning in the log */
};
/* Once in a process; what it points to stays until the process ends. Owns a thread: false where a
 * limit leaves none. */
bool weir_deadline_start(const struct weir_deadline *deadline);

#endif
