/*
 * watchdog: tells systemd how the service is, and that it lives: only while every worker and the
 * evaluator give signs of life. A thread of them that hangs lets systemd's watchdog fire, which
 * kills and restarts the process; a service that is away is no such thing, as weir waits for it
 * with time-outs.
 *
 * new/free for the heap; owns a thread where a supervisor listens, and borrows both arguments.
 */
#ifndef WEIR_APP_WATCHDOG_H
#define WEIR_APP_WATCHDOG_H

#include "app/service.h"
#include "weir/supervisor.h"

struct weir_watchdog;
/* The service is started. */
int weir_watchdog_start(struct weir_watchdog **watchdog, struct weir_service *service,
                        const struct weir_supervisor *supervisor, struct weir_err *err);
void weir_watchdog_stop(struct weir_watchdog *watchdog); /* NULL is fine; before the service's */

#endif
