/* The HTTP server against good, bad, slow, many and vanishing clients, by raw sockets. */
#include "weir/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"

#define REPLY_MAX ((size_t)20 * 1024 * 1024)

struct shop {
    atomic_int served;
    atomic_int inside; /* handlers at work: never more than one */
    atomic_int slow_started;
};

static void fill(struct weir_buf *body, size_t len) {
    if (weir_buf_reserve(body, len) != 0)
        return;
    memset(body->data + body->len, 'x', len);
    body->len += len;
}

static void handle(void *context, const struct weir_request *request,
                   struct weir_response *response) {
    struct shop *shop = context;
    if (atomic_fetch_add(&shop->inside, 1) != 0)
        abort();
    atomic_fetch_add(&shop->served, 1);
    if (strcmp(request->path, "/echo") == 0) {
        const char *window = request->query(request, "window");
        weir_buf_printf(&response->body, "%s %s", request->method, window ? window : "(none)");
        response->content_type = "text/plain";
    } else if (strcmp(request->path, "/big") == 0) {
        fill(&response->body, (size_t)10 * 1024 * 1024);
    } else if (strcmp(request->path, "/too-big") == 0) {
        fill(&response->body, (size_t)17 * 1024 * 1024);
    } else if (strcmp(request->path, "/empty") == 0) {
        response->status = 204;
    } else if (strcmp(request->path, "/slow") == 0) {
        atomic_store(&shop->slow_started, 1);
        weir_clock_sleep_ms(400);
        fill(&response->body, (size_t)4 * 1024 * 1024);
    } else {
        response->status = 404;
        weir_buf_text(&response->body, "{\"error\":\"no such page\"}");
    }
    atomic_fetch_sub(&shop->inside, 1);
}

static int dial(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void put(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server may have hung up: the reply tells */
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* Reads until the server closes or `wait_ms` pass without a byte. */
static size_t take(int fd, char *reply, size_t room, int wait_ms) {
    size_t used = 0;
    while (used + 1 < room) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, wait_ms) <= 0)
            break;
        ssize_t got = recv(fd, reply + used, room - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    reply[used] = '\0';
    return used;
}

static int ask_bytes(int port, const char *bytes, size_t len, char *reply, size_t room,
                     size_t *reply_len) {
    int fd = dial(port), status = 0;
    if (fd < 0)
        return -1;
    put(fd, bytes, len);
    size_t used = take(fd, reply, room, 5000);
    if (reply_len)
        *reply_len = used;
    close(fd);
    return sscanf(reply, "HTTP/1.%*d %d", &status) == 1 ? status : 0;
}

static int ask(int port, const char *request, char *reply, size_t room) {
    return ask_bytes(port, request, strlen(request), reply, room, NULL);
}

#define TAIL " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_answers(int port) {
    static const struct {
        const char *request;
        int status;
        const char *has;
    } cases[] = {
        {"GET /echo?window=5m" TAIL, 200, "\r\n\r\nGET 5m"},
        {"GET /echo?window=5%20m&window2" TAIL, 200, "\r\n\r\nGET 5 m"},
        {"GET /echo" TAIL, 200, "\r\n\r\nGET (none)"},
        {"GET /ec%68o" TAIL, 200, "Content-Type: text/plain"},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
         200, "\r\n\r\nPOST (none)"},
        {"GET /nowhere" TAIL, 404, "{\"error\":\"no such page\"}"},
        {"GET /nowhere" TAIL, 404, "Content-Type: application/json"},
        {"GET /empty" TAIL, 204, ""},
        {"GET /too-big" TAIL, 500, "ask for less"},
        {"DELETE /echo" TAIL, 405, "Allow: GET, HEAD, POST"},
        {"PUT /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 405,
         "only GET, HEAD and POST"},
        {"OPTIONS *" TAIL, 405, "Allow"},
        {"BREW /echo" TAIL, 405, "Allow"},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n", 413, "64 KiB"},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999\r\n\r\n", 413,
         "64 KiB"},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, ""},
        {"GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n", 400, ""}, /* no Host */
    };
    static char reply[65536];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = ask(port, cases[i].request, reply, sizeof reply);
        CHECK_INT(status, cases[i].status);
        CHECK(strstr(reply, cases[i].has) != NULL);
        if (status != cases[i].status || !strstr(reply, cases[i].has))
            printf("  %s  gives %s\n", cases[i].request, reply);
    }
}

/* As GET, with its length and without its body, so that a connection that lives on stays in step.
 */
static void test_head(int port) {
    static const struct {
        const char *request;
        int status;
        const char *has;
    } cases[] = {
        {"HEAD /echo?window=5m" TAIL, 200, "Content-Length: 6\r\n"},
        {"HEAD /big" TAIL, 200, "Content-Length: 10485760\r\n"},
        {"HEAD /nowhere" TAIL, 404, "Content-Length: 24\r\n"},
        {"HEAD /too-big" TAIL, 500, "Content-Type: application/json\r\n"},
        {"HEAD /empty" TAIL, 204, ""},
    };
    static char reply[65536];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_INT(ask(port, cases[i].request, reply, sizeof reply), cases[i].status);
        CHECK(strstr(reply, cases[i].has) != NULL);
        const char *end = strstr(reply, "\r\n\r\n");
        CHECK(end != NULL && strcmp(end, "\r\n\r\n") == 0);
    }
    const char *both = "HEAD /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /echo" TAIL;
    CHECK_INT(ask(port, both, reply, sizeof reply), 200);
    const char *end = strstr(reply, "\r\n\r\n");
    CHECK(end != NULL && strncmp(end + 4, "HTTP/1.1 200", 12) == 0);
    CHECK(strstr(reply, "\r\n\r\nGET (none)") != NULL);
}

static void test_sizes(int port) {
    char *reply = malloc(REPLY_MAX), *request = malloc(REPLY_MAX);
    size_t len = 0;
    CHECK(reply && request);
    if (!reply || !request)
        exit(1);
    const char *get = "GET /big" TAIL;
    CHECK_INT(ask_bytes(port, get, strlen(get), reply, REPLY_MAX, &len), 200);
    CHECK(len > 10 * 1024 * 1024 && len < 10 * 1024 * 1024 + 1000);

    const struct {
        size_t headers;
        int status;
    } headers[] = {{3000, 200}, {6000, 200}, {20000, 431}, {1000000, 431}};
    for (size_t i = 0; i < 4; i++) {
        len = (size_t)sprintf(request, "GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ");
        memset(request + len, 'h', headers[i].headers);
        len += headers[i].headers;
        len += (size_t)sprintf(request + len, "\r\n\r\n");
        CHECK_INT(ask_bytes(port, request, len, reply, REPLY_MAX, NULL), headers[i].status);
    }
    len = (size_t)sprintf(request, "GET /");
    memset(request + len, 'u', 30000);
    strcpy(request + len + 30000, TAIL);
    CHECK_INT(ask(port, request, reply, REPLY_MAX), 414);

    const struct {
        size_t body;
        int status;
    } bodies[] = {{65536, 200}, {65537, 413}, {300000, 413}};
    for (size_t i = 0; i < 3; i++)
        for (int chunked = 0; chunked < 2; chunked++) {
            len =
                (size_t)sprintf(request, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
            if (chunked)
                len += (size_t)sprintf(request + len, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                                       bodies[i].body);
            else
                len +=
                    (size_t)sprintf(request + len, "Content-Length: %zu\r\n\r\n", bodies[i].body);
            memset(request + len, 'b', bodies[i].body);
            len += bodies[i].body;
            if (chunked)
                len += (size_t)sprintf(request + len, "\r\n0\r\n\r\n");
            if (i == 2 && !chunked)
                continue; /* refused by its length; the unread rest may reset the answer away */
            CHECK_INT(ask_bytes(port, request, len, reply, REPLY_MAX, NULL), bodies[i].status);
        }
    free(reply);
    free(request);
}

static void check_alive(int port) {
    char reply[4096];
    CHECK_INT(ask(port, "GET /echo?window=1m" TAIL, reply, sizeof reply), 200);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Garbage, and good requests with bytes changed, cut anywhere. Nothing but survival is asked. */
static void test_garbage(int port) {
    uint64_t seed = 11;
    char bytes[600];
    for (int round = 0; round < 400; round++) {
        size_t len = next_random(&seed) % sizeof bytes;
        const char *good = "POST /echo?window=5m HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                           "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        if (round % 2) {
            len = strlen(good);
            memcpy(bytes, good, len);
            for (uint64_t i = next_random(&seed) % 6; i > 0; i--)
                bytes[next_random(&seed) % len] = (char)next_random(&seed);
            len = next_random(&seed) % (len + 1);
        } else {
            for (size_t i = 0; i < len; i++)
                bytes[i] = (char)next_random(&seed);
        }
        int fd = dial(port);
        CHECK(fd >= 0);
        put(fd, bytes, len);
        if (round % 3 == 0)
            take(fd, bytes, sizeof bytes, 1);
        close(fd);
    }
    check_alive(port);
}

struct crowd {
    int port, requests, good;
};

static void *visit(void *context) {
    struct crowd *crowd = context;
    char reply[4096];
    for (int i = 0; i < crowd->requests; i++)
        crowd->good += ask(crowd->port, "GET /echo?window=1m" TAIL, reply, sizeof reply) == 200;
    return NULL;
}

static void test_crowd(int port) {
    enum { THREADS = 100, REQUESTS = 20 };
    pthread_t threads[THREADS];
    struct crowd crowds[THREADS];
    for (int i = 0; i < THREADS; i++) {
        crowds[i] = (struct crowd){.port = port, .requests = REQUESTS};
        CHECK(pthread_create(&threads[i], NULL, visit, &crowds[i]) == 0);
    }
    int good = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        good += crowds[i].good;
    }
    CHECK_INT(good, THREADS * REQUESTS);
}

/* Every place is taken by clients that send a byte every second and never finish, or read nothing
 * of a large answer: within 10 s they are gone and the next one is served. */
static void test_slow(int port) {
    enum { SLOW = 70 };
    int fds[SLOW];
    for (int i = 0; i < SLOW; i++) {
        const char *begun = i % 2 ? "GET /big" TAIL : "GET /echo HTTP/1.1\r\nHost: ";
        fds[i] = dial(port);
        CHECK(fds[i] >= 0);
        put(fds[i], begun, strlen(begun));
    }
    int64_t began_us = weir_clock_monotonic_us();
    int waiting = dial(port);
    CHECK(waiting >= 0);
    put(waiting, "GET /echo" TAIL, strlen("GET /echo" TAIL));
    char reply[4096] = "";
    size_t got = 0;
    while (got == 0 && weir_clock_monotonic_us() - began_us < 25000000) {
        got = take(waiting, reply, sizeof reply, 1000);
        for (int i = 0; i < SLOW; i += 2)
            put(fds[i], "a", 1);
    }
    int64_t took_ms = (weir_clock_monotonic_us() - began_us) / 1000;
    CHECK(strstr(reply, "200 OK") != NULL);
    CHECK(took_ms > 5000 && took_ms < 15000);
    if (took_ms <= 5000 || took_ms >= 15000)
        printf("  served after %lld ms\n", (long long)took_ms);
    for (int i = 0; i < SLOW; i++)
        close(fds[i]);
    close(waiting);
    check_alive(port);
}

static void test_keep_alive(int port) {
    char reply[4096];
    const char *request = "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = dial(port);
    for (int i = 0; i < 50; i++) {
        put(fd, request, strlen(request));
        ssize_t got = recv(fd, reply, sizeof reply - 1, 0);
        CHECK(got > 0 && strncmp(reply, "HTTP/1.1 200", 12) == 0);
    }
    close(fd);
}

static void test_listen(int port) {
    static const char *const wrong[] = {"",
                                        ":",
                                        "9465",
                                        "127.0.0.1",
                                        ":9465",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:+80",
                                        "127.0.0.1:80a",
                                        "127.0.0.1:100000",
                                        "::1:9465",
                                        "[]:9465",
                                        "[::1]",
                                        "[:1"};
    struct weir_err err;
    struct weir_http *http;
    struct shop shop = {0};
    char listen[64];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int rc = weir_http_new(&http, wrong[i], handle, &shop, &err);
        CHECK_INT(rc, -WEIR_ERR_INPUT);
        CHECK(rc == 0 || strstr(err.text, "write host:port"));
    }
    CHECK_INT(weir_http_new(&http, "no-such-host.invalid:0", handle, &shop, &err),
              -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "the host is not known") != NULL);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", port);
    CHECK_INT(weir_http_new(&http, listen, handle, &shop, &err), -WEIR_ERR_UNREACHABLE);
    CHECK(http == NULL && strstr(err.text, "in use; stop the other program or listen on another"));
    CHECK_INT(weir_http_new(&http, "192.0.2.1:0", handle, &shop, &err), -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "an address of this machine") != NULL);
    if (weir_http_new(&http, "[::1]:0", handle, &shop, &err) == 0) {
        CHECK(weir_http_port(http) > 0);
        weir_http_free(http);
    } else {
        printf("skipped: no IPv6: %s\n", err.text);
    }
    CHECK_INT(weir_http_new(&http, "localhost:0", handle, &shop, &err), 0);
    weir_http_free(http);
    weir_http_free(NULL);
}

static void *stop(void *context) {
    weir_http_free(context);
    return NULL;
}

/* The request that is being served when the stop comes gets its whole answer. */
static void test_stop(void) {
    struct weir_err err;
    struct weir_http *http;
    struct shop shop = {0};
    pthread_t stopper;
    size_t size = (size_t)5 * 1024 * 1024;
    char *reply = malloc(size);
    CHECK_INT(weir_http_new(&http, "127.0.0.1:0", handle, &shop, &err), 0);
    int port = weir_http_port(http), fd = dial(port), idle = dial(port), half = dial(port);
    CHECK(reply && fd >= 0 && idle >= 0 && half >= 0);
    if (!reply)
        exit(1);
    put(half, "GET /ec", 7);
    put(fd, "GET /slow" TAIL, strlen("GET /slow" TAIL));
    while (!atomic_load(&shop.slow_started))
        weir_clock_sleep_ms(1);
    int64_t began_us = weir_clock_monotonic_us();
    CHECK(pthread_create(&stopper, NULL, stop, http) == 0);
    size_t got = take(fd, reply, size, 5000);
    CHECK(strncmp(reply, "HTTP/1.1 200", 12) == 0 && got > 4 * 1024 * 1024);
    pthread_join(stopper, NULL);
    CHECK(weir_clock_monotonic_us() - began_us < 1500000);
    CHECK(dial(port) < 0);
    close(fd);
    close(idle);
    close(half);
    free(reply);
}

int main(void) {
    struct weir_err err;
    struct weir_http *http;
    struct shop shop = {0};
    int rc = weir_http_new(&http, "127.0.0.1:0", handle, &shop, &err);
    CHECK_INT(rc, 0);
    if (rc != 0) {
        printf("%s\n", err.text);
        return check_done("test_http");
    }
    int port = weir_http_port(http);
    CHECK(port > 0);
    test_answers(port);
    test_head(port);
    test_sizes(port);
    test_keep_alive(port);
    test_garbage(port);
    test_crowd(port);
    test_slow(port);
    test_listen(port);
    CHECK(atomic_load(&shop.served) > 2000);
    weir_http_free(http);
    test_stop();
    return check_done("test_http");
}
