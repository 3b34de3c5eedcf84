/*
 * supervisor: what systemd is told over the socket that it names in NOTIFY_SOCKET.
 *
 * Without such a socket every call does nothing, so nobody needs to ask. new/free for the heap.
 * Thread: any, as each message is one datagram. Limits: a message of 1000 bytes; a supervisor that
 * does not read is waited for up to 1 s, then the message is lost. See sd_notify(3) for the words.
 */
#ifndef WEIR_SUPERVISOR_H
#define WEIR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

struct weir_supervisor;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment: call it before other
 * threads change that. Never NULL; a socket that cannot be used is a warning in the log. */
struct weir_supervisor *weir_supervisor_new(void);
void weir_supervisor_free(struct weir_supervisor *supervisor);

/* Whether anybody listens. */
bool weir_supervisor_listens(const struct weir_supervisor *supervisor);
/* How long it waits for a WATCHDOG=1 before it kills us; 0: for ever. */
int64_t weir_supervisor_watchdog_us(const struct weir_supervisor *supervisor);

/* Lines of NAME=VALUE, such as "READY=1\nSTATUS=started". */
void weir_supervisor_tell(const struct weir_supervisor *supervisor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
