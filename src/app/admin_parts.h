/*
 * admin_parts: the inside of the admin, shared by admin.c (routes), admin_health.c (figures) and
 * admin_api.c (Redis). Private to admin*.c; all of it belongs to the HTTP server's thread.
 */
#ifndef WEIR_APP_ADMIN_PARTS_H
#define WEIR_APP_ADMIN_PARTS_H

#include <jansson.h>

#include "app/admin.h"
#include "app/view.h"

struct weir_admin {
    struct weir_service *service;
    struct weir_view view; /* windows and dimensions as the config says; they need a restart */
    int64_t away_until_us; /* Redis was away, which took a time-out: nobody waits again till then */
    struct weir_err away;  /* why */
};

typedef void weir_admin_answer(struct weir_admin *admin, const struct weir_request *request,
                               struct weir_response *response);
weir_admin_answer weir_admin_metrics, weir_admin_healthy, weir_admin_ready, weir_admin_reload;
weir_admin_answer weir_admin_windows, weir_admin_segments, weir_admin_series, weir_admin_alerts,
    weir_admin_partitions;

/* Made of dashboard.html by dashboard.cmake: the page's bytes and a NUL, and the policy under which
 * a browser runs its script and no other. */
extern const unsigned char weir_dashboard_page[];
extern const char weir_dashboard_policy[];

/* Whether Redis answers. It is asked by the one thread that answers everybody, so that after a
 * failure it is given up at once for a while: a Redis that hangs holds back no health or metrics.
 */
int weir_admin_reach_redis(struct weir_admin *admin, struct weir_err *err);
/* Takes the tree. */
void weir_admin_put_json(struct weir_response *response, int status, json_t *tree);
/* Also of words that come from elsewhere and are not UTF-8, or were cut within a letter: then with
 * `?` for all that is not ASCII, written into `text`. Never NULL. */
json_t *weir_admin_text(char *text);
/* {"error": sentence} */
void weir_admin_put_error(struct weir_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
