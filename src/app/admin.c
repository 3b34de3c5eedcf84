#include "app/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin_parts.h"
#include "weir/clock.h"

#define ADMIN_TIMEOUT_MS 2000
#define AWAY_US 1000000 /* at least, and as long as it took: half of the time is for others */
#define SENTENCE_MAX 1024

#define DASHBOARD_ROUTES "<!-- routes -->" /* where they stand in the page */

static weir_admin_answer put_dashboard;

static const struct route {
    const char *path, *method, *help;
    weir_admin_answer *answer;
} routes[] = {
    {"/", "GET", "this page", put_dashboard},
    {"/metrics", "GET", "figures of this process for Prometheus", weir_admin_metrics},
    {"/-/healthy", "GET", "200 while every worker gives signs of life", weir_admin_healthy},
    {"/-/ready", "GET", "200 while Redis and Kafka are reached and nothing stands still",
     weir_admin_ready},
    {"/-/reload", "POST", "reads the config again: rules, sinks and log level", weir_admin_reload},
    {"/api/v1/windows", "GET", "what every window holds now; ?window=15m: one of them",
     weir_admin_windows},
    {"/api/v1/segments", "GET",
     "the largest segments of a window; ?window=15m&dimension=country: of one dimension",
     weir_admin_segments},
    {"/api/v1/series", "GET",
     "a window over time; ?window=15m&from=TIME&to=TIME&limit=360: the last of that time",
     weir_admin_series},
    {"/api/v1/alerts", "GET", "what fires now, and the last changes; ?limit=100: of these",
     weir_admin_alerts},
    {"/api/v1/partitions", "GET", "who owns each partition and how far it is",
     weir_admin_partitions},
};
#define ROUTES (sizeof routes / sizeof routes[0])

int weir_admin_new(struct weir_admin **out, struct weir_service *service, struct weir_err *err) {
    const struct weir_config *config = service->config;
    struct weir_admin *admin = calloc(1, sizeof *admin);
    WEIR_ASSERT(admin != NULL);
    *out = NULL;
    int result =
        weir_view_open(&admin->view, config->redis_url, config->kafka.group, ADMIN_TIMEOUT_MS, err);
    if (result != 0) {
        free(admin);
        return result;
    }
    weir_view_know(&admin->view, config);
    admin->service = service;
    *out = admin;
    return 0;
}

void weir_admin_free(struct weir_admin *admin) {
    if (!admin)
        return;
    weir_view_close(&admin->view);
    free(admin);
}

int weir_admin_reach_redis(struct weir_admin *admin, struct weir_err *err) {
    int64_t began_us = weir_clock_monotonic_us();
    if (began_us < admin->away_until_us) {
        *err = admin->away;
        return -err->code;
    }
    int result = weir_view_ping(&admin->view, err);
    if (result == 0)
        return 0;
    int64_t now_us = weir_clock_monotonic_us(), took_us = now_us - began_us;
    admin->away_until_us = now_us + (took_us > AWAY_US ? took_us : AWAY_US);
    admin->away = *err;
    return result;
}

/* ---- answers ---- */

static int append(const char *bytes, size_t len, void *context) {
    return weir_buf_append(context, bytes, len);
}

void weir_admin_put_json(struct weir_response *response, int status, json_t *tree) {
    response->status = status;
    json_dump_callback(tree, append, &response->body,
                       JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
    weir_buf_text(&response->body, "\n");
    json_decref(tree);
}

json_t *weir_admin_text(char *text) {
    json_t *json = json_string(text);
    for (char *at = text; !json && *at; at++)
        *at = (char)(*at & 0x80 ? '?' : *at);
    return json ? json : json_string(text);
}

void weir_admin_put_error(struct weir_response *response, int status, const char *format, ...) {
    char sentence[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    weir_admin_put_json(response, status, json_pack("{s:o}", "error", weir_admin_text(sentence)));
}

static void put_routes(struct weir_buf *body) {
    for (size_t i = 1; i < ROUTES; i++) {
        if (strcmp(routes[i].method, "GET") == 0)
            weir_buf_printf(body, "<li><a href=\"%s\">%s</a> ", routes[i].path, routes[i].path);
        else
            weir_buf_printf(body, "<li>%s %s ", routes[i].method, routes[i].path);
        for (const char *at = routes[i].help; *at; at++) {
            if (*at == '&')
                weir_buf_text(body, "&amp;");
            else
                weir_buf_byte(body, (uint8_t)*at);
        }
        weir_buf_text(body, "\n");
    }
}

static void put_dashboard(struct weir_admin *admin, const struct weir_request *request,
                          struct weir_response *response) {
    const char *page = (const char *)weir_dashboard_page, *rest = strstr(page, DASHBOARD_ROUTES);
    (void)admin;
    (void)request;
    WEIR_ASSERT(rest != NULL);
    response->content_type = "text/html; charset=utf-8";
    response->policy = weir_dashboard_policy;
    weir_buf_append(&response->body, page, (size_t)(rest - page));
    put_routes(&response->body);
    weir_buf_text(&response->body, rest + strlen(DASHBOARD_ROUTES));
}

static void put_not_found(const struct weir_request *request, struct weir_response *response) {
    char sentence[300];
    json_t *paths = json_array();
    for (size_t i = 0; i < ROUTES; i++)
        json_array_append_new(paths, json_string(routes[i].path));
    snprintf(sentence, sizeof sentence, "there is no %.200s", request->path);
    weir_admin_put_json(
        response, 404, json_pack("{s:o, s:o}", "error", weir_admin_text(sentence), "paths", paths));
}

void weir_admin_handle(void *admin, const struct weir_request *request,
                       struct weir_response *response) {
    for (size_t i = 0; i < ROUTES; i++) {
        if (strcmp(routes[i].path, request->path) != 0)
            continue;
        if (strcmp(routes[i].method, request->method) == 0)
            routes[i].answer(admin, request, response);
        else
            weir_admin_put_error(response, 405, "%s wants %s", routes[i].path, routes[i].method);
        return;
    }
    put_not_found(request, response);
}
