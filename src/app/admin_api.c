/* What Redis holds, as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin_parts.h"
#include "weir/decode.h"

#define SERIES_LIMIT 360 /* an hour of slides of 10 s */
#define ALERTS_LIMIT 100

/* ---- parameters: false when the answer, a 400, is given ---- */

/* "1m 5m 1h" */
static void list_names(char *out, size_t max, const char *names, size_t size, size_t len) {
    size_t used = 0;
    snprintf(out, max, "none");
    for (size_t i = 0; i < len && used < max; i++)
        used += (size_t)snprintf(out + used, max - used, "%s%s", i ? " " : "", names + i * size);
}

/* NULL when it is not given. */
static bool take_window(const struct weir_admin *admin, const struct weir_request *request,
                        struct weir_response *response, const char **window) {
    const struct weir_view *view = &admin->view;
    char names[WEIR_WINDOWS_MAX * WEIR_NAME_WINDOW_MAX];
    *window = request->query(request, "window");
    if (!*window || weir_view_has_window(view, *window))
        return true;
    list_names(names, sizeof names, view->windows[0], sizeof view->windows[0], view->windows_len);
    weir_admin_put_error(response, 400, "there is no window %.40s; there are: %s", *window, names);
    return false;
}

static bool take_dimension(const struct weir_admin *admin, const struct weir_request *request,
                           struct weir_response *response, const char **dimension) {
    const struct weir_view *view = &admin->view;
    char names[WEIR_DIMENSIONS_MAX * WEIR_VIEW_DIMENSION_MAX];
    *dimension = request->query(request, "dimension");
    if (!*dimension || weir_view_has_dimension(view, *dimension))
        return true;
    list_names(names, sizeof names, view->dimensions[0], sizeof view->dimensions[0],
               view->dimensions_len);
    weir_admin_put_error(response, 400, "there is no dimension %.80s; there are: %s", *dimension,
                         names);
    return false;
}

static bool take_time(const struct weir_request *request, struct weir_response *response,
                      const char *name, int64_t *time_ms) {
    const char *text = request->query(request, name);
    if (!text || weir_time_parse(text, strlen(text), time_ms) == 0)
        return true;
    weir_admin_put_error(response, 400,
                         "%s=%.60s is not a time; write 2026-01-31T12:00:00Z or the ms since 1970",
                         name, text);
    return false;
}

static bool take_limit(const struct weir_request *request, struct weir_response *response,
                       int64_t *limit) {
    const char *text = request->query(request, "limit");
    if (!text)
        return true;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    bool digits = *text && strspn(text, "0123456789") == strlen(text);
    if (digits && errno == 0 && value >= 1 && value <= WEIR_VIEW_LIMIT_MAX) {
        *limit = value;
        return true;
    }
    weir_admin_put_error(response, 400, "limit=%.60s is not a number from 1 to %d", text,
                         WEIR_VIEW_LIMIT_MAX);
    return false;
}

/* ---- answers ---- */

static void put_tree(struct weir_response *response, int result, json_t *tree,
                     const struct weir_err *err) {
    if (result == 0)
        weir_admin_put_json(response, 200, tree);
    else
        weir_admin_put_error(response, 503, "%s", err->text);
}

void weir_admin_windows(struct weir_admin *admin, const struct weir_request *request,
                        struct weir_response *response) {
    const char *window;
    json_t *tree = NULL;
    struct weir_err err;
    if (!take_window(admin, request, response, &window))
        return;
    int result = weir_admin_reach_redis(admin, &err);
    if (result == 0)
        result = weir_view_windows(&admin->view, window, &tree, &err);
    put_tree(response, result, tree, &err);
}

void weir_admin_segments(struct weir_admin *admin, const struct weir_request *request,
                         struct weir_response *response) {
    const char *window, *dimension;
    json_t *tree = NULL;
    struct weir_err err;
    if (!take_window(admin, request, response, &window) ||
        !take_dimension(admin, request, response, &dimension))
        return;
    int result = weir_admin_reach_redis(admin, &err);
    if (result == 0)
        result = weir_view_segments(&admin->view, window ? window : admin->view.windows[0],
                                    dimension, &tree, &err);
    put_tree(response, result, tree, &err);
}

void weir_admin_series(struct weir_admin *admin, const struct weir_request *request,
                       struct weir_response *response) {
    const char *window;
    int64_t from_ms = 0, to_ms = INT64_MAX, limit = SERIES_LIMIT;
    json_t *tree = NULL;
    struct weir_err err;
    if (!take_window(admin, request, response, &window) ||
        !take_time(request, response, "from", &from_ms) ||
        !take_time(request, response, "to", &to_ms) || !take_limit(request, response, &limit))
        return;
    if (from_ms > to_ms) {
        weir_admin_put_error(response, 400, "`from` is later than `to`; swap them");
        return;
    }
    int result = weir_admin_reach_redis(admin, &err);
    if (result == 0)
        result = weir_view_series(&admin->view, window ? window : admin->view.windows[0], from_ms,
                                  to_ms, limit, &tree, &err);
    put_tree(response, result, tree, &err);
}

void weir_admin_alerts(struct weir_admin *admin, const struct weir_request *request,
                       struct weir_response *response) {
    int64_t limit = ALERTS_LIMIT;
    json_t *tree = NULL;
    struct weir_err err;
    if (!take_limit(request, response, &limit))
        return;
    int result = weir_admin_reach_redis(admin, &err);
    if (result == 0)
        result = weir_view_alerts(&admin->view, limit, &tree, &err);
    put_tree(response, result, tree, &err);
}

void weir_admin_partitions(struct weir_admin *admin, const struct weir_request *request,
                           struct weir_response *response) {
    json_t *tree = NULL;
    struct weir_err err;
    (void)request;
    int result = weir_admin_reach_redis(admin, &err);
    if (result == 0)
        result = weir_view_partitions(&admin->view, &tree, &err);
    put_tree(response, result, tree, &err);
}
