#include "weir/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/http_listen.h"
#include "weir/clock.h"

#define CONNECTIONS_MAX 64
#define CONNECTION_MEMORY ((size_t)16 * 1024) /* half of it is the request's */
#define DEADLINE_US 10000000
#define TURN_MS 100 /* how late a stop or a deadline may be seen */
#define REQUEST_BODY_MAX ((size_t)64 * 1024)
#define REQUEST_BODY_CUT ((size_t)1024 * 1024) /* behind it nobody waits for the 413 */
#define RESPONSE_MAX ((size_t)16 * 1024 * 1024)

/* A connection's deadline: libmicrohttpd's own time-out starts again with every byte. */
struct slot {
    int fd; /* -1: free */
    int64_t since_us;
};

struct weir_http {
    struct MHD_Daemon *daemon;
    weir_http_handler *handler;
    void *context;
    int port;
    pthread_t thread;
    atomic_bool stop;
    struct slot slots[CONNECTIONS_MAX];
};

/* One request on its way in. */
struct exchange {
    size_t body;
};

static const char *query(const struct weir_request *request, const char *name) {
    return MHD_lookup_connection_value(request->internal, MHD_GET_ARGUMENT_KIND, name);
}

/* Takes `bytes`, from malloc. */
static enum MHD_Result answer(struct MHD_Connection *connection, int status, const char *type,
                              char *bytes, size_t len) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(bytes);
        return MHD_NO; /* closes the connection */
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why) {
    struct weir_buf body;
    weir_buf_init(&body, 512);
    weir_buf_printf(&body, "{\"error\":\"%s\"}\n", why);
    return answer(connection, status, "application/json", body.data, body.len);
}

static enum MHD_Result serve(struct weir_http *http, struct MHD_Connection *connection,
                             const char *path, const char *method) {
    struct weir_request request = {
        .method = method, .path = path, .query = query, .internal = connection};
    struct weir_response response = {.status = 200, .content_type = "application/json"};
    weir_buf_init(&response.body, RESPONSE_MAX);
    http->handler(http->context, &request, &response);
    if (response.body.failed) {
        weir_buf_close(&response.body);
        return refuse(connection, 500, "the answer is larger than 16 MiB; ask for less");
    }
    return answer(connection, response.status, response.content_type, response.body.data,
                  response.body.len);
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
        if (strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0)
            return refuse(connection, 405, "only GET and POST are served");
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

static struct slot *slot_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    struct slot *slot = slot_of(connection);
    (void)context;
    (void)code;
    if (slot)
        slot->since_us = weir_clock_monotonic_us();
    free(*state);
    *state = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    struct weir_http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct slot *slot = *socket_context;
        if (slot)
            slot->fd = -1;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (size_t i = 0; info && i < CONNECTIONS_MAX; i++) {
        struct slot *slot = &http->slots[i];
        if (slot->fd >= 0)
            continue;
        *slot = (struct slot){.fd = info->connect_fd, .since_us = weir_clock_monotonic_us()};
        *socket_context = slot;
        return;
    }
}

/* What libmicrohttpd would tell about its clients is theirs, not ours. */
static void silent(void *context, const char *format, va_list args) {
    (void)context;
    (void)format;
    (void)args;
}

static void *run(void *context) {
    struct weir_http *http = context;
    while (!atomic_load(&http->stop)) {
        MHD_run_wait(http->daemon, TURN_MS);
        int64_t now_us = weir_clock_monotonic_us();
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            struct slot *slot = &http->slots[i];
            if (slot->fd < 0 || now_us - slot->since_us < DEADLINE_US)
                continue;
            shutdown(slot->fd, SHUT_RDWR); /* libmicrohttpd sees the end and closes it */
            slot->since_us = now_us;
        }
    }
    return NULL;
}

/* The thread takes no signals: they are the main thread's. */
static int start_thread(struct weir_http *http) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int rc = pthread_create(&http->thread, NULL, run, http);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int weir_http_new(struct weir_http **out, const char *listen, weir_http_handler *handler,
                  void *context, struct weir_err *err) {
    struct weir_http *http = calloc(1, sizeof *http);
    int fd = -1, rc = 0;
    *out = NULL;
    if (!http)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for the HTTP server");
    http->handler = handler;
    http->context = context;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        http->slots[i].fd = -1;
    fd = weir_http_listen(listen, &http->port, err);
    if (fd < 0) {
        rc = fd;
        goto failed;
    }
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, http,
        MHD_OPTION_EXTERNAL_LOGGER, silent, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!http->daemon) {
        close(fd);
        rc = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                          "the HTTP server on %.200s cannot start; check the limit of open files",
                          listen);
        goto failed;
    }
    if (start_thread(http) != 0) {
        MHD_stop_daemon(http->daemon);
        rc = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                          "the HTTP server's thread cannot start; check the limit of processes");
        goto failed;
    }
    *out = http;
    return 0;
failed:
    free(http);
    return rc;
}

int weir_http_port(const struct weir_http *http) {
    return http->port;
}

void weir_http_free(struct weir_http *http) {
    if (!http)
        return;
    atomic_store(&http->stop, true);
    pthread_join(http->thread, NULL);
    MHD_stop_daemon(http->daemon);
    free(http);
}
