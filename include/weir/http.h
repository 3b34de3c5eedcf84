/*
 * http: a small server, by libmicrohttpd, with one thread of its own for all connections.
 *
 * A handler runs in that thread, one at a time; it must not block for long and must not touch the
 * workers' state but through their published statistics. Only GET and POST are served, and HEAD,
 * which the handler sees as GET and whose answer has no body; else 405.
 * Limits: 64 connections (more wait), 8 KiB of headers (431 beyond), 10 s from a connection's start
 * or its last answer to the next answer's end, 64 KiB of a request's body, which is not looked at
 * (413 beyond), 16 MiB of an answer (500 beyond).
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <stddef.h>

#include "weir/buf.h"
#include "weir/err.h"

/* Borrowed for the time of the handler's call; `path` comes with its %-escapes resolved. */
struct weir_request {
    const char *method, *path;
    const char *(*query)(const struct weir_request *request, const char *name);  /* NULL: absent */
    const char *(*header)(const struct weir_request *request, const char *name); /* likewise */
    void *internal;
};

struct weir_response {
    int status;               /* 200 unless set */
    const char *content_type; /* "application/json" unless set; static storage */
    const char *policy;       /* a page's Content-Security-Policy, or NULL; static storage */
    struct weir_buf body;     /* the server's: append to it */
};

/* Returns nothing: whatever happens is in the response. Unknown paths are the handler's 404. */
typedef void weir_http_handler(void *context, const struct weir_request *request,
                               struct weir_response *response);

struct weir_http;
/* `listen` is "host:port" or "[v6]:port"; port 0 takes a free one. -WEIR_ERR_INPUT when it is not
 * that, -WEIR_ERR_UNREACHABLE with the sentence when the address is taken, foreign or not allowed.
 * `context` is borrowed until weir_http_free. */
int weir_http_new(struct weir_http **http, const char *listen, weir_http_handler *handler,
                  void *context, struct weir_err *err);
int weir_http_port(const struct weir_http *http);
void weir_http_free(struct weir_http *http); /* waits for the request that is being served */

#endif
