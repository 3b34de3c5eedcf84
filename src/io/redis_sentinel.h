/*
 * redis_sentinel: asks Sentinels where the primary is now. Private to io/redis.
 *
 * Ownership: the host is the caller's to close.  Thread: any.
 * Limits: each Sentinel is given at most two seconds.
 * Errors: -WEIR_ERR_UNREACHABLE with what the last Sentinel said.
 */
#ifndef WEIR_IO_REDIS_SENTINEL_H
#define WEIR_IO_REDIS_SENTINEL_H

#include "io/redis_conn.h"

/* The first that answers, beginning with the one at `turn` (any number), which it leaves at that
 * one: who is silent is waited for once. */
int weir_sentinel_find(const struct weir_redis_url *url, size_t *turn, int timeout_ms,
                       struct weir_redis_host *primary, struct weir_err *err);
/* Whether the server that a Sentinel named says of itself that it is the primary. */
int weir_sentinel_confirm(struct weir_conn *conn, struct weir_err *err);

#endif
