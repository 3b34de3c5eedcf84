#include "weir/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/http_listen.h"
#include "weir/clock.h"

#define CONNECTIONS_MAX 64
#define CONNECTION_MEMORY ((size_t)16 * 1024) /* half of it is the request's */
#define DEADLINE_US 10000000
#define DRAIN_US 1000000 /* what a stop gives answers that are on their way out */
#define WATCH_MS 250     /* how late a deadline may be seen */
#define REQUEST_BODY_MAX ((size_t)64 * 1024)
#define REQUEST_BODY_CUT ((size_t)1024 * 1024) /* behind it nobody waits for the 413 */
#define RESPONSE_MAX ((size_t)16 * 1024 * 1024)

/* A connection's deadline: libmicrohttpd's own time-out starts again with every byte. */
struct slot {
    int fd; /* -1: free */
    int64_t since_us;
    bool answering; /* a handler's answer is being made or on its way out */
};

struct weir_http {
    struct MHD_Daemon *daemon; /* polls in a thread of its own */
    weir_http_handler *handler;
    void *context;
    int port;
    pthread_t watcher; /* of the deadlines */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;                          /* under the lock, as the slots are */
    struct slot slots[CONNECTIONS_MAX]; /* a slot's fd is open while it stands there */
};

/* One request on its way in. */
struct exchange {
    size_t body;
};

static void mark(struct weir_http *http, struct MHD_Connection *connection, bool answering) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct slot *slot = info ? info->socket_context : NULL;
    if (!slot)
        return;
    pthread_mutex_lock(&http->lock);
    slot->answering = answering;
    if (!answering)
        slot->since_us = weir_clock_monotonic_us();
    pthread_cond_signal(&http->changed);
    pthread_mutex_unlock(&http->lock);
}

static const char *query(const struct weir_request *request, const char *name) {
    return MHD_lookup_connection_value(request->internal, MHD_GET_ARGUMENT_KIND, name);
}

static const char *header(const struct weir_request *request, const char *name) {
    return MHD_lookup_connection_value(request->internal, MHD_HEADER_KIND, name);
}

/* Takes the body. */
static enum MHD_Result answer(struct MHD_Connection *connection, const struct weir_response *made) {
    int status = made->status;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(made->body.len, made->body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(made->body.data);
        return MHD_NO; /* closes the connection */
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, made->content_type);
    if (made->policy)
        MHD_add_response_header(response, "Content-Security-Policy", made->policy);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why) {
    struct weir_response response = {.status = status, .content_type = "application/json"};
    weir_buf_init(&response.body, 512);
    weir_buf_printf(&response.body, "{\"error\":\"%s\"}\n", why);
    return answer(connection, &response);
}

static bool is_head(const char *method) {
    return strcmp(method, "HEAD") == 0;
}

/* A HEAD is a GET whose body libmicrohttpd keeps back. */
static enum MHD_Result serve(struct weir_http *http, struct MHD_Connection *connection,
                             const char *path, const char *method) {
    struct weir_request request = {.method = is_head(method) ? "GET" : method,
                                   .path = path,
                                   .query = query,
                                   .header = header,
                                   .internal = connection};
    struct weir_response response = {.status = 200, .content_type = "application/json"};
    weir_buf_init(&response.body, RESPONSE_MAX);
    mark(http, connection, true);
    http->handler(http->context, &request, &response);
    if (response.body.failed) {
        weir_buf_close(&response.body);
        return refuse(connection, 500, "the answer is larger than 16 MiB; ask for less");
    }
    return answer(connection, &response);
}

static bool announces_too_much(struct MHD_Connection *connection) {
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text && strtoull(text, NULL, 10) > REQUEST_BODY_MAX; /* ULLONG_MAX is too much too */
}

/* Called once for the headers, then for each piece of the body, then once for the answer. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_len, void **state) {
    struct weir_http *http = context;
    struct exchange *exchange = *state;
    (void)version;
    (void)upload;
    if (!exchange) {
        if (strcmp(method, "GET") != 0 && !is_head(method) && strcmp(method, "POST") != 0)
            return refuse(connection, 405, "only GET, HEAD and POST are served");
        if (announces_too_much(connection))
            return refuse(connection, 413, "a request's body may have 64 KiB");
        *state = calloc(1, sizeof *exchange);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*upload_len > 0) {
        exchange->body += *upload_len;
        *upload_len = 0;
        return exchange->body > REQUEST_BODY_CUT ? MHD_NO : MHD_YES;
    }
    if (exchange->body > REQUEST_BODY_MAX)
        return refuse(connection, 413, "a request's body may have 64 KiB");
    return serve(http, connection, path, method);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    (void)code;
    mark(context, connection, false);
    free(*state);
    *state = NULL;
}

static struct slot *take_slot(struct weir_http *http, int fd) {
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (http->slots[i].fd >= 0)
            continue;
        http->slots[i] = (struct slot){.fd = fd, .since_us = weir_clock_monotonic_us()};
        return &http->slots[i];
    }
    return NULL; /* libmicrohttpd keeps to the limit: never */
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    struct weir_http *http = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    pthread_mutex_lock(&http->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = info ? take_slot(http, info->connect_fd) : NULL;
    } else if (*socket_context) {
        struct slot *slot = *socket_context;
        *slot = (struct slot){.fd = -1}; /* before the descriptor is closed */
        pthread_cond_signal(&http->changed);
    }
    pthread_mutex_unlock(&http->lock);
}

/* What libmicrohttpd would tell about its clients is theirs, not ours. */
static void silent(void *context, const char *format, va_list args) {
    (void)context;
    (void)format;
    (void)args;
}

static void end_overdue(struct weir_http *http) {
    int64_t now_us = weir_clock_monotonic_us();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct slot *slot = &http->slots[i];
        if (slot->fd < 0 || now_us - slot->since_us < DEADLINE_US)
            continue;
        shutdown(slot->fd, SHUT_RDWR); /* libmicrohttpd sees the end and closes it */
        slot->since_us = now_us;
    }
}

static bool is_answering(const struct weir_http *http) {
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (http->slots[i].fd >= 0 && http->slots[i].answering)
            return true;
    return false;
}

/* Waits for a change, WATCH_MS at most. */
static void wait_for_change(struct weir_http *http) {
    int64_t until_us = weir_clock_monotonic_us() + WATCH_MS * 1000;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_cond_timedwait(&http->changed, &http->lock, &until);
}

static void *watch(void *context) {
    struct weir_http *http = context;
    pthread_mutex_lock(&http->lock);
    while (!http->stop) {
        end_overdue(http);
        wait_for_change(http);
    }
    int64_t until_us = weir_clock_monotonic_us() + DRAIN_US;
    while (is_answering(http) && weir_clock_monotonic_us() < until_us)
        wait_for_change(http);
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

/* Poll and not epoll: by epoll, 0.9.75 does not see a client go in the middle of its headers. */
static int start_daemon(struct weir_http *http, const char *listen, struct weir_err *err) {
    int fd = weir_http_listen(listen, &http->port, err);
    if (fd < 0)
        return fd;
    http->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        http, MHD_OPTION_EXTERNAL_LOGGER, silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_END);
    if (http->daemon)
        return 0;
    close(fd);
    return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                        "the HTTP server on %.200s cannot start; check the limits of open files "
                        "and of threads",
                        listen);
}

/* Both threads take no signals: they are the main thread's. */
static int start(struct weir_http *http, const char *listen, struct weir_err *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = start_daemon(http, listen, err);
    if (rc == 0 && pthread_create(&http->watcher, NULL, watch, http) != 0) {
        MHD_stop_daemon(http->daemon);
        rc = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                          "the HTTP server's thread cannot start; check the limit of threads");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void release(struct weir_http *http) {
    pthread_cond_destroy(&http->changed);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

int weir_http_new(struct weir_http **out, const char *listen, weir_http_handler *handler,
                  void *context, struct weir_err *err) {
    pthread_condattr_t monotonic;
    struct weir_http *http = calloc(1, sizeof *http);
    *out = NULL;
    if (!http)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for the HTTP server");
    http->handler = handler;
    http->context = context;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        http->slots[i].fd = -1;
    pthread_mutex_init(&http->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int rc = start(http, listen, err);
    if (rc != 0) {
        release(http);
        return rc;
    }
    *out = http;
    return 0;
}

int weir_http_port(const struct weir_http *http) {
    return http->port;
}

void weir_http_free(struct weir_http *http) {
    if (!http)
        return;
    int fd = MHD_quiesce_daemon(http->daemon); /* nobody new; ours to close, after the stop */
    pthread_mutex_lock(&http->lock);
    http->stop = true;
    pthread_cond_signal(&http->changed);
    pthread_mutex_unlock(&http->lock);
    pthread_join(http->watcher, NULL);
    MHD_stop_daemon(http->daemon);
    if (fd >= 0)
        close(fd);
    release(http);
}
