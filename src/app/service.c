#include "app/service.h"

#include <stdlib.h>

#include "app/admin.h"
#include "app/forget.h"
#include "app/store.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/redis.h"

#define CHECK_TIMEOUT_MS 5000
#define SENTENCE_MAX 512

static int check_redis(const struct weir_config *config, struct weir_err *err) {
    struct weir_redis *redis = NULL;
    int status = weir_redis_new(&redis, config->redis_url, CHECK_TIMEOUT_MS, err);
    if (status == 0)
        status = weir_redis_connect(redis, err);
    if (status == 0)
        status = weir_store_check_server(redis, err);
    weir_redis_free(redis);
    return status;
}

/* Before the evaluator can look at what is to be forgotten. */
static int forget_counts(const struct weir_config *config, struct weir_err *err) {
    struct weir_redis *redis = NULL;
    int status = weir_redis_new(&redis, config->redis_url, CHECK_TIMEOUT_MS, err);
    if (status == 0)
        status = weir_forget_group(redis, config, err);
    weir_redis_free(redis);
    return status;
}

static bool is_leader(void *context) {
    struct weir_evaluator_figures figures;
    weir_evaluator_figures(context, &figures);
    return figures.leader;
}

static int start_workers(struct weir_service *service, bool rebuild, struct weir_err *err) {
    const struct weir_config *config = service->config;
    service->workers = calloc((size_t)config->workers, sizeof(struct weir_worker *));
    WEIR_ASSERT(service->workers != NULL);
    for (int i = 0; i < config->workers; i++) {
        int status = weir_worker_start(&service->workers[i], config, i, rebuild, err);
        if (status != 0)
            return status;
        service->workers_len++;
    }
    return 0;
}

static int start_admin(struct weir_service *service, struct weir_err *err) {
    if (!service->config->http_listen)
        return 0;
    int status = weir_admin_new(&service->admin, service, err);
    if (status == 0)
        status = weir_http_new(&service->http, service->config->http_listen, weir_admin_handle,
                               service->admin, err);
    if (status == 0)
        weir_log(WEIR_LOG_INFO, "http", "listening",
                 WEIR_STR("address", service->config->http_listen),
                 WEIR_INT("port", weir_http_port(service->http)), WEIR_LOG_END);
    return status;
}

static void tell_memory(const struct weir_config *config) {
    if (config->memory.limit > 0)
        weir_log(WEIR_LOG_INFO, "memory", "divided",
                 WEIR_INT("limit_bytes", (int64_t)config->memory.limit),
                 WEIR_INT("max_open", config->plan.sessions_max),
                 WEIR_INT("partitions", config->memory.partitions),
                 WEIR_INT("prefetch_bytes", (int64_t)config->prefetch_bytes),
                 WEIR_INT("windows_bytes", (int64_t)config->memory.windows), WEIR_LOG_END);
}

static void tell_warnings(const struct weir_config *config) {
    for (size_t i = 0; i < config->warnings_len; i++)
        weir_log(WEIR_LOG_WARN, "config", config->warnings[i], WEIR_LOG_END);
}

int weir_service_start(struct weir_service *service, struct weir_config *config, bool rebuild,
                       struct weir_err *err) {
    *service = (struct weir_service){.config = config,
                                     .started = config,
                                     .started_us = weir_clock_monotonic_us(),
                                     .rebuilding = rebuild};
    weir_progress_start(&service->rebuild, "rebuild");
    pthread_mutex_init(&service->lock, NULL);
    tell_warnings(config);
    tell_memory(config);
    int status = check_redis(config, err);
    if (status == 0 && rebuild)
        status = forget_counts(config, err);
    if (status == 0)
        status = weir_evaluator_start(&service->evaluator, config, err);
    if (status == 0)
        status = weir_outbox_start(&service->outbox, config, is_leader, service->evaluator, err);
    if (status == 0)
        status = start_workers(service, rebuild, err);
    if (status == 0)
        status = start_admin(service, err);
    return status;
}

bool weir_service_failed(const struct weir_service *service) {
    for (int i = 0; i < service->workers_len; i++)
        if (weir_worker_failed(service->workers[i]))
            return true;
    return false;
}

/* Nobody reads one any more that neither is the present one nor that of the start. */
static void free_reloaded(const struct weir_service *service, struct weir_config *config) {
    if (config != service->started)
        weir_config_free(config);
}

int weir_service_stop(struct weir_service *service, struct weir_err *err) {
    int status = 0;
    weir_http_free(service->http);
    for (int i = 0; i < service->workers_len; i++)
        weir_worker_stop(service->workers[i]);
    for (int i = 0; i < service->workers_len; i++) {
        struct weir_err failure;
        int failed = weir_worker_join(service->workers[i], &failure);
        if (failed && status == 0) {
            status = failed;
            *err = failure;
        }
    }
    free(service->workers);
    weir_outbox_stop(service->outbox);
    weir_evaluator_stop(service->evaluator);
    weir_admin_free(service->admin);
    pthread_mutex_destroy(&service->lock);
    free_reloaded(service, service->config);
    weir_config_free(service->started);
    return status;
}

/* ---- memory ---- */

static uint32_t assigned_here(struct weir_service *service) {
    struct weir_worker_figures figures = {0};
    uint32_t assigned = 0;
    for (int i = 0; i < service->workers_len; i++) {
        weir_worker_figures(service->workers[i], &figures);
        assigned += figures.assigned;
    }
    weir_worker_figures_close(&figures);
    return assigned;
}

static void tell_partitions(struct weir_service *service, uint32_t assigned) {
    const struct weir_memory_shares *memory = &service->config->memory;
    uint32_t many = assigned > memory->partitions ? assigned : 0;
    if (many == service->told_partitions)
        return;
    service->told_partitions = many;
    if (many == 0)
        weir_log(WEIR_LOG_INFO, "memory", "the partitions fit in `memory` again",
                 WEIR_INT("assigned", assigned), WEIR_LOG_END);
    else
        weir_log(WEIR_LOG_WARN, "memory",
                 "more partitions are assigned here than fit in `memory`, so that a flood could "
                 "exceed it; run more processes, raise `memory`, or lower sessions.max_open",
                 WEIR_INT("assigned", assigned), WEIR_INT("fit", memory->partitions),
                 WEIR_INT("partition_bytes", (int64_t)memory->partition),
                 WEIR_INT("limit_bytes", (int64_t)memory->limit), WEIR_LOG_END);
}

void weir_service_watch_memory(struct weir_service *service) {
    const struct weir_memory_shares *memory = &service->config->memory;
    if (memory->limit == 0)
        return;
    tell_partitions(service, assigned_here(service));
}

/* ---- rebuild ---- */

/* Up to the end that it had: what came since is the stream's usual course. */
static int64_t rebuilt(const struct weir_partition_figures *partition) {
    bool done = partition->lag <= 0 || partition->status.offset > partition->end;
    return (done ? partition->end : partition->status.offset) - partition->first;
}

void weir_service_watch_rebuild(struct weir_service *service) {
    struct weir_worker_figures figures = {0};
    uint64_t events = 0, claimed = 0, assigned = 0;
    int64_t done = 0, total = 0;
    for (int i = 0; service->rebuilding && i < service->workers_len; i++) {
        weir_worker_figures(service->workers[i], &figures);
        events += figures.events;
        assigned += figures.assigned;
        claimed += figures.partitions_len;
        for (uint32_t p = 0; p < figures.partitions_len; p++) {
            done += rebuilt(&figures.partitions[p]);
            total += figures.partitions[p].end - figures.partitions[p].first;
        }
    }
    weir_worker_figures_close(&figures);
    if (claimed == 0) /* not yet, or not here */
        return;
    weir_progress_update(&service->rebuild, events, done, claimed < assigned ? 0 : total);
    service->rebuilding = claimed < assigned || done < total;
    if (!service->rebuilding)
        weir_progress_end(&service->rebuild, events);
}

/* ---- reload ---- */

static int load(struct weir_config **config, const struct weir_service *service,
                const struct weir_config *started) {
    struct weir_problems problems = {0};
    struct weir_err err;
    int status = weir_config_load_over(config, service->started->path, started, &problems, &err);
    for (size_t i = 0; i < problems.len; i++)
        weir_log(WEIR_LOG_ERROR, "reload", problems.lines[i], WEIR_LOG_END);
    if (status != 0)
        weir_log(WEIR_LOG_ERROR, "reload", "nothing was changed; the config has mistakes",
                 WEIR_INT("mistakes", (int64_t)problems.len), WEIR_LOG_END);
    weir_problems_free(&problems);
    return status;
}

/* What was written is looked at for its own sake first: then it is said what of it will not be
 * taken, and the rest is read again over what stays. */
static int load_fresh(struct weir_config **fresh, const struct weir_service *service) {
    struct weir_config *written = NULL;
    char sentence[SENTENCE_MAX];
    if (load(&written, service, NULL) != 0)
        return -WEIR_ERR_INPUT;
    if (weir_config_restart_needed(service->started, written, sentence, sizeof sentence) != 0)
        weir_log(WEIR_LOG_WARN, "reload", sentence, WEIR_LOG_END);
    bool same = written->plan.fingerprint == service->started->plan.fingerprint;
    weir_config_free(written);
    if (!same) {
        weir_log(WEIR_LOG_ERROR, "reload",
                 "nothing was changed: the config counts differently, which needs a restart with "
                 "a new kafka.group or --rebuild; put the old definitions back to reload rules",
                 WEIR_LOG_END);
        return -WEIR_ERR_INPUT;
    }
    return load(fresh, service, service->started);
}

void weir_service_reload(struct weir_service *service) {
    struct weir_config *fresh = NULL;
    struct weir_err err;
    if (load_fresh(&fresh, service) != 0)
        return;
    weir_log_setup(fresh->log_level, fresh->log_format);
    tell_warnings(fresh);
    weir_evaluator_reload(service->evaluator, fresh);
    pthread_mutex_lock(&service->lock);
    struct weir_outbox *old = service->outbox;
    service->outbox = NULL;
    pthread_mutex_unlock(&service->lock);
    weir_outbox_stop(old); /* its queues live in Redis; may take some seconds */
    struct weir_outbox *new = NULL;
    if (weir_outbox_start(&new, fresh, is_leader, service->evaluator, &err) != 0)
        weir_log(WEIR_LOG_ERROR, "reload", err.text, WEIR_LOG_END);
    pthread_mutex_lock(&service->lock);
    service->outbox = new;
    struct weir_config *last = service->config;
    service->config = fresh;
    pthread_mutex_unlock(&service->lock);
    free_reloaded(service, last);
    weir_log(WEIR_LOG_INFO, "reload", "rules, sinks and log level are taken over",
             WEIR_INT("rules", (int64_t)fresh->rules.len),
             WEIR_INT("sinks", (int64_t)fresh->sinks_len), WEIR_LOG_END);
}
