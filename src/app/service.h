/*
 * service: `weir run` as one object: workers, evaluator, outbox and admin, started and stopped in
 * order. Owned by the main thread; the admin's thread reads figures through it.
 */
#ifndef WEIR_APP_SERVICE_H
#define WEIR_APP_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/evaluator.h"
#include "app/outbox.h"
#include "app/worker.h"
#include "weir/config.h"
#include "weir/file.h"
#include "weir/http.h"

struct weir_admin;

struct weir_service {
    pthread_mutex_t lock;        /* guards config and outbox, which a reload replaces: hold it in
                                    other threads while using them */
    struct weir_config *config;  /* the present one */
    struct weir_config *started; /* the first one: workers read it, and what a reload does not take
                                    stays its */
    struct weir_worker **workers;
    int workers_len;
    struct weir_evaluator *evaluator;
    struct weir_outbox *outbox;
    struct weir_http *http; /* NULL when http.listen is not set */
    struct weir_admin *admin;
    int64_t started_us; /* monotonic */
    bool rebuilding;    /* some partition is behind the end that it had when claimed */
    struct weir_progress rebuild;
    uint32_t told_partitions;   /* that do not fit; 0: they do */
    _Atomic bool reload_wanted; /* set by POST /-/reload; the main thread does it */
};

/* Checks the services, then starts everything; takes the config (also when it fails: then call
 * weir_service_stop all the same). `rebuild`: count everything again from Kafka. */
int weir_service_start(struct weir_service *service, struct weir_config *config, bool rebuild,
                       struct weir_err *err);
/* True when a worker has ended by itself: stop gives the reason. */
bool weir_service_failed(const struct weir_service *service);
/* Reads the config file again; takes over rules, sinks and log level, and says each time what
 * else is not as at the start: that stays until a restart. On any mistake nothing changes. */
void weir_service_reload(struct weir_service *service);
/* Says in the log when more partitions are assigned here than fit in `memory`, or the windows over
 * all partitions outgrow their share of it; once, until that changes. */
void weir_service_watch_memory(struct weir_service *service);
/* Shows on a terminal how far --rebuild is; nothing without it. */
void weir_service_watch_rebuild(struct weir_service *service);
/* Drains, commits, leaves the group, frees. 0, or why a worker had ended. */
int weir_service_stop(struct weir_service *service, struct weir_err *err);

#endif
