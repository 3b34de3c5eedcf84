#include "io/redis_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "weir/clock.h"

static void set_reason(struct weir_link *link, const char *text) {
    snprintf(link->reason, sizeof link->reason, "%s", text);
}

static void set_errno_reason(struct weir_link *link, int number) {
    char text[128];
    set_reason(link, strerror_r(number, text, sizeof text));
}

/* Dead peers are noticed within half a minute even on an idle connection. */
static void tune_tcp(int fd) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 15}, {IPPROTO_TCP, TCP_KEEPINTVL, 5},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static int connect_one(struct weir_link *link, const struct sockaddr *address, socklen_t len,
                       int timeout_ms) {
    link->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        set_errno_reason(link, errno);
        return -1;
    }
    int failure = connect(link->fd, address, len) == 0 ? 0 : errno;
    if (failure == EINPROGRESS || failure == EINTR) {
        if (weir_link_wait(link, true, timeout_ms)) {
            socklen_t size = sizeof failure;
            if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
                failure = errno;
        } else {
            failure = ETIMEDOUT;
        }
    }
    if (failure == 0)
        return 0;
    set_errno_reason(link, failure);
    close(link->fd);
    link->fd = -1;
    return -1;
}

static int connect_unix(struct weir_link *link, const char *path, int timeout_ms) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        set_reason(link, "the path of the socket is too long");
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_one(link, (const struct sockaddr *)&address, sizeof address, timeout_ms);
}

static int connect_tcp(struct weir_link *link, const struct weir_redis_host *host, int timeout_ms) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found;
    int code = getaddrinfo(host->host, host->port, &hints, &found);
    if (code == EAI_NONAME || code == EAI_ADDRFAMILY) { /* AI_ADDRCONFIG hides a lone loopback */
        hints.ai_flags = 0;
        code = getaddrinfo(host->host, host->port, &hints, &found);
    }
    if (code != 0) {
        set_reason(link, gai_strerror(code));
        return -1;
    }
    int result = -1;
    for (const struct addrinfo *at = found; at && result != 0; at = at->ai_next)
        result = connect_one(link, at->ai_addr, at->ai_addrlen, timeout_ms);
    freeaddrinfo(found);
    if (result == 0)
        tune_tcp(link->fd);
    return result;
}

int weir_link_open(struct weir_link *link, const struct weir_redis_url *url,
                   const struct weir_redis_host *host, int timeout_ms, struct weir_err *err) {
    *link = (struct weir_link){.fd = -1};
    int result =
        host ? connect_tcp(link, host, timeout_ms) : connect_unix(link, url->path, timeout_ms);
    if (result == 0 && url->tls)
        result = weir_tls_open(link, url, host ? host->host : "", timeout_ms);
    if (result == 0)
        return 0;
    weir_link_close(link);
    return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                        "cannot connect to Redis at %s: %s; check redis.url and that it runs",
                        host ? host->name : url->path, link->reason);
}

void weir_link_close(struct weir_link *link) {
    weir_tls_close(link);
    if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
}

static bool is_would_block(int number) {
    return number == EAGAIN || number == EWOULDBLOCK || number == EINTR;
}

ssize_t weir_link_send(struct weir_link *link, const char *bytes, size_t len) {
    if (link->ssl)
        return weir_tls_send(link, bytes, len);
    ssize_t moved = send(link->fd, bytes, len, MSG_NOSIGNAL);
    if (moved >= 0 || is_would_block(errno))
        return moved < 0 ? 0 : moved;
    set_errno_reason(link, errno);
    return -1;
}

ssize_t weir_link_recv(struct weir_link *link, char *bytes, size_t len) {
    if (link->ssl)
        return weir_tls_recv(link, bytes, len);
    ssize_t moved = recv(link->fd, bytes, len, 0);
    if (moved > 0)
        return moved;
    if (moved < 0 && is_would_block(errno))
        return 0;
    if (moved == 0)
        set_reason(link, "Redis closed the connection");
    else
        set_errno_reason(link, errno);
    return -1;
}

bool weir_link_wait(struct weir_link *link, bool writable, int timeout_ms) {
    struct pollfd one = {.fd = link->fd, .events = POLLIN};
    if (writable)
        one.events |= POLLOUT;
    int64_t end_us = weir_clock_monotonic_us() + (int64_t)timeout_ms * 1000;
    for (;;) {
        int64_t left_us = end_us - weir_clock_monotonic_us();
        int ready = poll(&one, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);
        if (ready > 0)
            return true; /* an error shows in the next send or recv */
        if (ready == 0 || errno != EINTR)
            return false;
    }
}
