/* What the process knows of itself: metrics, health and reload. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/admin_parts.h"
#include "app/metrics_text.h"
#include "weir/clock.h"
#include "weir/kafka.h"

#define SILENT_US 30000000 /* a worker that gives no sign of life for so long is stuck */
#define REASON_MAX 1400

/* ---- metrics ---- */

static struct weir_worker_figures *copy_workers(const struct weir_service *service) {
    struct weir_worker_figures *workers = calloc((size_t)service->workers_len + 1, sizeof *workers);
    WEIR_ASSERT(workers != NULL);
    for (int i = 0; i < service->workers_len; i++)
        weir_worker_figures(service->workers[i], &workers[i]);
    return workers;
}

static void free_workers(struct weir_worker_figures *workers, const struct weir_service *service) {
    for (int i = 0; i < service->workers_len; i++)
        weir_worker_figures_close(&workers[i]);
    free(workers);
}

static struct weir_sink_figures *copy_sinks(struct weir_service *service, size_t *len) {
    struct weir_sink_figures *sinks = NULL;
    *len = 0;
    pthread_mutex_lock(&service->lock);
    if (service->outbox) {
        uint32_t max = weir_outbox_figures(service->outbox, NULL, 0);
        sinks = calloc((size_t)max + 1, sizeof *sinks);
        WEIR_ASSERT(sinks != NULL);
        *len = weir_outbox_figures(service->outbox, sinks, max);
    }
    pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < *len && service->evaluator; i++)
        sinks[i].dropped = weir_evaluator_dropped(service->evaluator, sinks[i].name);
    return sinks;
}

void weir_admin_metrics(struct weir_admin *admin, const struct weir_request *request,
                        struct weir_response *response) {
    struct weir_service *service = admin->service;
    struct weir_evaluator_figures evaluator;
    struct weir_worker_figures *workers = copy_workers(service);
    struct weir_metrics_input input = {
        .wall_ms = weir_clock_wall_ms(),
        .now_us = weir_clock_monotonic_us(),
        .workers = workers,
        .workers_len = (size_t)service->workers_len,
        .kafka_version = weir_kafka_library_version(),
    };
    (void)request;
    struct weir_sink_figures *sinks = copy_sinks(service, &input.sinks_len);
    input.sinks = sinks;
    if (service->evaluator) {
        weir_evaluator_figures(service->evaluator, &evaluator);
        input.evaluator = &evaluator;
    }
    weir_process_figures(&input.process);
    pthread_mutex_lock(&service->lock);
    input.memory = service->config->memory;
    pthread_mutex_unlock(&service->lock);
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    weir_metrics_text(&response->body, &input);
    free_workers(workers, service);
    free(sinks);
}

/* ---- health ---- */

/* Counted apart from the list, so that whatever befalls their words they make a no. */
struct reasons {
    json_t *list;
    size_t len;
};

static void add_reason(struct reasons *reasons, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_reason(struct reasons *reasons, const char *format, ...) {
    char text[REASON_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(reasons->list, weir_admin_text(text));
    reasons->len++;
}

static void check_life(const struct weir_service *service,
                       const struct weir_worker_figures *workers, struct reasons *reasons) {
    int64_t now_us = weir_clock_monotonic_us();
    for (int i = 0; i < service->workers_len; i++) {
        int64_t silent_us = now_us - workers[i].seen_us;
        if (weir_worker_failed(service->workers[i]))
            add_reason(reasons, "worker %d has ended by itself", i);
        else if (silent_us > SILENT_US)
            add_reason(reasons, "worker %d gave no sign of life for %" PRId64 " s", i,
                       silent_us / 1000000);
    }
    if (!service->evaluator)
        return;
    struct weir_evaluator_figures evaluator;
    weir_evaluator_figures(service->evaluator, &evaluator);
    if (now_us - evaluator.seen_us > SILENT_US)
        add_reason(reasons, "the evaluator gave no sign of life for %" PRId64 " s",
                   (now_us - evaluator.seen_us) / 1000000);
}

static void check_workers(const struct weir_service *service,
                          const struct weir_worker_figures *workers, struct reasons *reasons) {
    for (int i = 0; i < service->workers_len; i++) {
        if (!workers[i].kafka_up)
            add_reason(reasons, "worker %d does not reach Kafka", i);
        if (workers[i].stalled)
            add_reason(reasons,
                       workers[i].redis_up
                           ? "worker %d stands still: Kafka does not take its dead letters"
                           : "worker %d stands still: Redis does not take its commits",
                       i);
        else if (!workers[i].redis_up)
            add_reason(reasons, "worker %d does not reach Redis", i);
    }
}

static void check_redis(struct weir_admin *admin, struct reasons *reasons) {
    struct weir_err err;
    if (weir_admin_reach_redis(admin, &err) != 0)
        add_reason(reasons, "%s", err.text);
}

static void check_evaluator(const struct weir_service *service, struct reasons *reasons) {
    struct weir_evaluator_figures figures;
    if (!service->evaluator)
        return;
    weir_evaluator_figures(service->evaluator, &figures);
    if (!figures.redis_up)
        add_reason(reasons, "the evaluator does not reach Redis");
}

static void put_verdict(struct weir_response *response, const char *name, struct reasons *reasons) {
    bool good = reasons->len == 0;
    json_t *tree = json_pack("{s:b}", name, good);
    if (!good)
        json_object_set(tree, "reasons", reasons->list);
    weir_admin_put_json(response, good ? 200 : 503, tree);
    json_decref(reasons->list);
}

void weir_admin_healthy(struct weir_admin *admin, const struct weir_request *request,
                        struct weir_response *response) {
    struct weir_worker_figures *workers = copy_workers(admin->service);
    struct reasons reasons = {.list = json_array()};
    (void)request;
    check_life(admin->service, workers, &reasons);
    put_verdict(response, "healthy", &reasons);
    free_workers(workers, admin->service);
}

void weir_admin_ready(struct weir_admin *admin, const struct weir_request *request,
                      struct weir_response *response) {
    struct weir_worker_figures *workers = copy_workers(admin->service);
    struct reasons reasons = {.list = json_array()};
    (void)request;
    check_redis(admin, &reasons);
    check_life(admin->service, workers, &reasons);
    check_workers(admin->service, workers, &reasons);
    check_evaluator(admin->service, &reasons);
    put_verdict(response, "ready", &reasons);
    free_workers(workers, admin->service);
}

/* ---- reload ---- */

/* A browser says of which page a request is; programs that are none say nothing. */
static bool is_foreign(const struct weir_request *request) {
    const char *site = request->header(request, "Sec-Fetch-Site");
    const char *origin = request->header(request, "Origin");
    if (site) /* only to https and to the browser's own machine */
        return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    if (!origin)
        return false;
    const char *host = request->header(request, "Host"), *its = strstr(origin, "://");
    return !host || !its || strcasecmp(its + 3, host) != 0;
}

void weir_admin_reload(struct weir_admin *admin, const struct weir_request *request,
                       struct weir_response *response) {
    if (is_foreign(request)) {
        weir_admin_put_error(response, 403, "a page of another site may not reload weir");
        return;
    }
    atomic_store(&admin->service->reload_wanted, true);
    weir_admin_put_json(response, 202,
                        json_pack("{s:s}", "reload", "asked for; the log says what came of it"));
}
