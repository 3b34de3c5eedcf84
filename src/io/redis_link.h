/*
 * redis_link: where Redis is (the url) and the bytes between us and it. Private to io/redis.
 *
 * A link is a non-blocking socket, TCP or unix, with or without TLS. It knows no protocol.
 * Ownership: the caller's storage, init by parse or open, closed by close.
 * Thread: the connection's.  Limits: a url of 8,192 bytes with 64 hosts.  Units: ms.
 * Errors: 0 or a negative code with a sentence that never holds the password.
 */
#ifndef WEIR_IO_REDIS_LINK_H
#define WEIR_IO_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/err.h"

#define WEIR_REDIS_HOSTS_MAX 64

struct weir_redis_host {
    char *host; /* NULL for a unix socket */
    char port[6];
    char *name; /* host:port, [host]:port or the path */
};

struct weir_redis_url {
    char *user, *password;                /* NULL when absent */
    char *path;                           /* of a unix socket, else NULL */
    char *ca_file, *cert_file, *key_file; /* NULL when absent */
    char *master;                         /* hosts are Sentinels that know it by this name */
    struct weir_redis_host hosts[WEIR_REDIS_HOSTS_MAX];
    size_t hosts_len; /* more than one without a master: a Redis Cluster; 0 for a unix socket */
    int db;
    bool tls;
    char *name; /* the hosts without credentials, or the path */
};

int weir_redis_url_parse(struct weir_redis_url *url, const char *text, struct weir_err *err);
void weir_redis_url_close(struct weir_redis_url *url);
bool weir_redis_url_is_cluster(const struct weir_redis_url *url);
/* `text` is host[:port] or [host]:port; what `host` held is freed. False: it is none. */
bool weir_redis_host_set(struct weir_redis_host *host, const char *text, size_t len,
                         const char *port_default);
/* The same, from the two parts as Redis gives them. */
bool weir_redis_host_join(struct weir_redis_host *host, const char *name, const char *port);
void weir_redis_host_close(struct weir_redis_host *host);

struct ssl_st;
struct weir_link {
    int fd; /* -1 when closed */
    struct ssl_st *ssl;
    char reason[400]; /* why the last call gave -1 */
};

/* Connects, with the TLS handshake, within timeout_ms for each address. `host` is NULL for a unix
 * socket. */
int weir_link_open(struct weir_link *link, const struct weir_redis_url *url,
                   const struct weir_redis_host *host, int timeout_ms, struct weir_err *err);
void weir_link_close(struct weir_link *link);
/* Bytes moved (> 0), 0 when it would block, -1 with `reason` when the link is broken or ended. */
ssize_t weir_link_send(struct weir_link *link, const char *bytes, size_t len);
ssize_t weir_link_recv(struct weir_link *link, char *bytes, size_t len);
/* Waits until it is readable (or writable, if asked): false when timeout_ms passed. */
bool weir_link_wait(struct weir_link *link, bool writable, int timeout_ms);

/* redis_tls.c: the handshake over link->fd, and bytes through it; as above. */
int weir_tls_open(struct weir_link *link, const struct weir_redis_url *url, const char *host,
                  int timeout_ms);
void weir_tls_close(struct weir_link *link);
ssize_t weir_tls_send(struct weir_link *link, const char *bytes, size_t len);
ssize_t weir_tls_recv(struct weir_link *link, char *bytes, size_t len);

#endif
