/*
 * forget: deletes what is stored of a group, for `weir run --rebuild` and for a replay into Redis.
 *
 * Blocking, in the caller's thread and over the caller's connection; keeps nothing. Every key is
 * known by its name, so nothing is searched for: a user who may see only this group's keys can do
 * it. First of all each partition is marked, so that a start without --rebuild refuses one of which
 * a part is gone; what says which keys there are goes last. 0, or -WEIR_ERR_UNREACHABLE: call
 * again, what is gone is gone.
 */
#ifndef WEIR_APP_FORGET_H
#define WEIR_APP_FORGET_H

#include "weir/config.h"
#include "weir/err.h"
#include "weir/redis.h"

/* All partitions' state and what was published of them. Alerts, silences and what waits for sinks
 * stay. */
int weir_forget_group(struct weir_redis *redis, const struct weir_config *config,
                      struct weir_err *err);

#endif
