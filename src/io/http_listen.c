#include "io/http_listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_MAX 256
#define BACKLOG 128

struct address {
    char host[HOST_MAX];
    char port[8];
};

static int refuse(const char *listen, struct weir_err *err) {
    return weir_err_set(
        err, WEIR_ERR_INPUT,
        "\"%.200s\" is no address to listen on; write host:port with a port of 0 to "
        "65535, such as 127.0.0.1:9465 or [::1]:9465",
        listen);
}

static int parse(struct address *address, const char *listen, struct weir_err *err) {
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen)
        return refuse(listen, err);
    const char *host = listen, *host_end = colon;
    if (host[0] == '[' && host_end[-1] == ']') {
        host++;
        host_end--;
    } else if (strcspn(host, ":[]") < (size_t)(host_end - host)) {
        return refuse(listen, err); /* such as a v6 address without its brackets */
    }
    size_t host_len = (size_t)(host_end - host), port_len = strlen(colon + 1);
    if (host_end <= host || host_len >= sizeof address->host || port_len == 0 || port_len > 5 ||
        strspn(colon + 1, "0123456789") != port_len || strtol(colon + 1, NULL, 10) > 65535)
        return refuse(listen, err);
    memcpy(address->host, host, host_len);
    address->host[host_len] = '\0';
    memcpy(address->port, colon + 1, port_len + 1);
    return 0;
}

static int bind_one(const struct addrinfo *at) {
    int on = 1;
    int fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a restart must not wait */
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int bound_port(int fd) {
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0)
        return 0;
    if (storage.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &storage, sizeof v6);
        return ntohs(v6.sin6_port);
    }
    struct sockaddr_in v4;
    memcpy(&v4, &storage, sizeof v4);
    return ntohs(v4.sin_port);
}

static int tell(const char *listen, int why, struct weir_err *err) {
    const char *remedy = "check the address";
    if (why == EADDRINUSE)
        remedy = "stop the other program or listen on another port";
    else if (why == EACCES)
        remedy = "choose a port above 1023";
    else if (why == EADDRNOTAVAIL)
        remedy = "take an address of this machine, or 0.0.0.0 for all";
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "cannot listen on %.200s: %s; %s", listen,
                        strerror(why), remedy);
}

int weir_http_listen(const char *listen, int *port, struct weir_err *err) {
    struct address address;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = parse(&address, listen, err);
    if (rc != 0)
        return rc;
    int resolved = getaddrinfo(address.host, address.port, &hints, &found);
    if (resolved != 0)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "cannot listen on %.200s: the host is not known: %s", listen,
                            gai_strerror(resolved));
    int fd = -1, why = EADDRNOTAVAIL;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = bind_one(at);
        if (fd < 0)
            why = errno;
    }
    freeaddrinfo(found);
    if (fd < 0)
        return tell(listen, why, err);
    *port = bound_port(fd);
    return fd;
}
