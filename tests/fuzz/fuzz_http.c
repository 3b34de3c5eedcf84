/* The HTTP API over a real socket: any bytes as a request, and any bytes as what Redis answers to
 * the questions that it leads to. Every answer is a whole HTTP answer; one in JSON is JSON.
 *
 * The input: the request's length in two bytes, the request, and Redis' bytes. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/config_load.h"
#include "fuzz.h"

static struct {
    pthread_mutex_t lock;
    char *bytes; /* what Redis says to whoever connects */
    size_t len;
    int port;
    struct weir_service service;
    pthread_mutex_t serving; /* guards the admin, which each input has a new one of */
    struct weir_admin *admin;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .serving = PTHREAD_MUTEX_INITIALIZER};

/* ---- Redis ---- */

static void converse(int client) {
    static const char pong[] = "+PONG\r\n";
    char ignored[4096];
    struct pollfd ready = {.fd = client, .events = POLLIN};
    poll(&ready, 1, 1000);
    pthread_mutex_lock(&world.lock);
    send(client, pong, sizeof pong - 1, MSG_NOSIGNAL);
    for (size_t at = 0; at < world.len;) {
        ssize_t sent = send(client, world.bytes + at, world.len - at, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        at += (size_t)sent;
    }
    pthread_mutex_unlock(&world.lock);
    shutdown(client, SHUT_WR);
    while (recv(client, ignored, sizeof ignored, 0) > 0)
        ;
    close(client);
}

static void *redis(void *listener) {
    for (;;) {
        int client = accept(*(int *)listener, NULL, NULL);
        if (client >= 0)
            converse(client);
    }
    return NULL;
}

static void start_redis(char *url, size_t max) {
    static int listener;
    static char folder[] = "/tmp/weir-fuzz.XXXXXX";
    static struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    WEIR_ASSERT(mkdtemp(folder) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/redis", folder);
    snprintf(url, max, "unix://%s", address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    WEIR_ASSERT(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    WEIR_ASSERT(listen(listener, 64) == 0);
    WEIR_ASSERT(pthread_create(&thread, NULL, redis, &listener) == 0);
}

/* ---- weir ---- */

static void handle(void *unused, const struct weir_request *request,
                   struct weir_response *response) {
    (void)unused;
    pthread_mutex_lock(&world.serving);
    weir_admin_handle(world.admin, request, response);
    pthread_mutex_unlock(&world.serving);
}

/* Nothing of the last input is left: neither bytes of its Redis, nor that this was away. */
static void renew_admin(void) {
    struct weir_err err;
    pthread_mutex_lock(&world.serving);
    weir_admin_free(world.admin);
    WEIR_ASSERT(weir_admin_new(&world.admin, &world.service, &err) == 0);
    pthread_mutex_unlock(&world.serving);
}

static void start_server(void) {
    static char text[512], url[128];
    static struct weir_http *http;
    struct weir_problems problems = {0};
    struct weir_err err;
    start_redis(url, sizeof url);
    snprintf(text, sizeof text,
             "kafka: { brokers: [localhost:1], topics: [t] }\nredis: { url: '%s' }\n"
             "events: { dimensions: { country: c, device: d } }\nwindows: [1m, 15m]\n",
             url);
    WEIR_ASSERT(weir_config_load_bytes(&world.service.config, "base", text, strlen(text), &problems,
                                       &err) == 0);
    pthread_mutex_init(&world.service.lock, NULL);
    WEIR_ASSERT(weir_http_new(&http, "127.0.0.1:0", handle, NULL, &err) == 0);
    world.port = weir_http_port(http);
}

/* ---- a client ---- */

/* libFuzzer's alarm, every few seconds, may come in the midst of it. */
static void reach(int client, const struct sockaddr_in *address) {
    struct pollfd ready = {.fd = client, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    if (connect(client, (const struct sockaddr *)address, sizeof *address) == 0)
        return;
    WEIR_ASSERT(errno == EINTR); /* it goes on by itself */
    while (poll(&ready, 1, -1) < 0)
        WEIR_ASSERT(errno == EINTR);
    WEIR_ASSERT(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
}

static ssize_t receive(int client, char *bytes, size_t max) {
    ssize_t got;
    do
        got = max > 0 ? recv(client, bytes, max, 0) : 0;
    while (got < 0 && errno == EINTR);
    return got;
}

static size_t ask(const uint8_t *request, size_t len, char *answer, size_t max) {
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)world.port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {1, 0}; /* no port waits for a while after it */
    int client = socket(AF_INET, SOCK_STREAM, 0);
    size_t got = 0;
    reach(client, &address);
    ssize_t sent = send(client, request, len, MSG_NOSIGNAL);
    (void)sent; /* the server may refuse it half way */
    shutdown(client, SHUT_WR);
    for (ssize_t more; (more = receive(client, answer + got, max - got)) > 0;)
        got += (size_t)more;
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client);
    answer[got] = 0;
    return got;
}

static void check_answer(const char *answer) {
    if (!*answer)
        return; /* no request, so no answer */
    WEIR_ASSERT(strncmp(answer, "HTTP/1.", 7) == 0);
    const char *body = strstr(answer, "\r\n\r\n");
    WEIR_ASSERT(body != NULL);
    const char *type = strstr(answer, "Content-Type: application/json");
    const char *length = strstr(answer, "Content-Length: ");
    if (!type || type > body || !length || length > body || !body[4])
        return; /* a HEAD, or a page of the library's own */
    if (strncmp(body + 4, "HTTP/1.", 7) == 0)
        return; /* a HEAD's, and the answer to the next request */
    json_error_t error;
    size_t len = strtoul(length + 16, NULL, 10);
    json_t *tree = json_loadb(body + 4, len, JSON_ALLOW_NUL, &error);
    if (!tree)
        fprintf(stderr, "%s: %s\n", error.text, answer);
    WEIR_ASSERT(tree != NULL);
    json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answer[1 << 20];
    struct fuzz in = {data, size};
    size_t len;
    if (!world.port)
        start_server();
    const uint8_t *request = fuzz_piece(&in, 9000, &len);
    pthread_mutex_lock(&world.lock);
    free(world.bytes);
    world.bytes = malloc(in.left + 1);
    WEIR_ASSERT(world.bytes != NULL);
    memcpy(world.bytes, in.at, in.left);
    world.len = in.left;
    pthread_mutex_unlock(&world.lock);
    renew_admin();
    if (ask(request, len, answer, sizeof answer - 1) < sizeof answer - 1)
        check_answer(answer);
    return 0;
}
