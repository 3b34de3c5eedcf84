/*
 * admin: what `weir run` serves over HTTP: /metrics, health, reload and the API.
 *
 * new/free for the heap; the service is borrowed, must be started but for its http, and must
 * outlive the admin. weir_admin_handle runs in the HTTP server's thread only, with a Redis
 * connection of its own, and waits for Redis up to 2 s; of the service it reads copies of figures.
 * Limits: WEIR_VIEW_LIMIT_MAX entries in an answer. Errors are answers: 400, 404, 405 and 503 with
 * {"error": sentence}.
 */
#ifndef WEIR_APP_ADMIN_H
#define WEIR_APP_ADMIN_H

#include "app/service.h"
#include "weir/err.h"
#include "weir/http.h"

struct weir_admin;
/* -WEIR_ERR_INPUT when the config's Redis URL is none. Does not connect. */
int weir_admin_new(struct weir_admin **admin, struct weir_service *service, struct weir_err *err);
void weir_admin_free(struct weir_admin *admin); /* NULL is fine; after weir_http_free */

/* A weir_http_handler; `admin` is a struct weir_admin. */
void weir_admin_handle(void *admin, const struct weir_request *request,
                       struct weir_response *response);

#endif
