/*
 * redis: connections of one's own; the only user of hiredis.
 *
 * One server, the primary that Sentinels name, or a Redis Cluster: callers see no difference. In a
 * cluster each command goes to the primary that serves its first key's slot (a script's KEYS[1]),
 * one without a key to every primary, and replies come in the order of the commands; whatever ends
 * one of the connections ends all of them.
 *
 * One handle belongs to one thread. Commands are sent as argument vectors (binary safe) and
 * may be pipelined: append any number, then read as many replies. After any time-out or socket
 * error the connection is closed (a late reply would desynchronise it) and the call says so; the
 * next call connects anew. Never retries by itself: who owns the data decides.
 */
#ifndef WEIR_REDIS_H
#define WEIR_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

struct weir_redis;

enum weir_reply_type {
    WEIR_REPLY_NIL,
    WEIR_REPLY_INTEGER,
    WEIR_REPLY_TEXT, /* bulk string or status */
    WEIR_REPLY_ARRAY,
    WEIR_REPLY_ERROR, /* text holds Redis's own words, e.g. "OOM command not allowed ..." */
};

/* Owned by the caller, freed by weir_reply_free at the root only. */
struct weir_reply {
    enum weir_reply_type type;
    int64_t integer;
    char *text; /* NUL-terminated beyond len */
    size_t len;
    struct weir_reply **items;
    size_t items_len;
};
void weir_reply_free(struct weir_reply *reply);

/* What an error says of a reply that was not asked for: Redis's own words where it is an error. */
const char *weir_reply_words(const struct weir_reply *reply);
/* That error, -WEIR_ERR_UNREACHABLE. */
int weir_reply_refuse(const struct weir_reply *reply, struct weir_err *err);

/* What a command is answered with. */
enum weir_shape {
    WEIR_SHAPE_TEXT,   /* a text or nil; `len` is 1 */
    WEIR_SHAPE_TEXTS,  /* an array of texts, `len` of them at a time */
    WEIR_SHAPE_FIELDS, /* an array of `len`, each a text or nil */
};
/* 0 when it is that. Else -WEIR_ERR_UNREACHABLE in Redis's words, or because it is anything else: a
 * server that is none may say what it likes. */
int weir_reply_expect(const struct weir_reply *reply, enum weir_shape shape, size_t len,
                      struct weir_err *err);

/* `url`: redis://[user[:password]@]host[:port][/db] or unix:///path; hosts with commas between them
 * are a cluster's; redis+sentinel://[user:password@]host[:port],.../primary[/db]; rediss for TLS,
 * with ?ca_file=...&cert_file=...&key_file=... The password never appears in an error. Does not
 * connect yet. Fails with WEIR_ERR_INPUT on a malformed url. */
int weir_redis_new(struct weir_redis **redis, const char *url, int timeout_ms,
                   struct weir_err *err);
void weir_redis_free(struct weir_redis *redis);

/* Connects, authenticates and selects the database if that is not done. 0 or -WEIR_ERR_UNREACHABLE.
 */
int weir_redis_connect(struct weir_redis *redis, struct weir_err *err);
void weir_redis_disconnect(struct weir_redis *redis);
bool weir_redis_connected(const struct weir_redis *redis);
/* A counter that grows with each new connection: what was pipelined before is gone. */
uint64_t weir_redis_generation(const struct weir_redis *redis);
/* "host:port" for logs, without credentials. */
const char *weir_redis_name(const struct weir_redis *redis);

/* One argument vector; lens may be NULL when all are NUL-terminated. Buffers only. */
int weir_redis_append(struct weir_redis *redis, int argc, const char *const *argv,
                      const size_t *lens, struct weir_err *err);
/* The next reply in order. 0, or -WEIR_ERR_UNREACHABLE with the connection closed. A Redis error
 * reply is a reply, not a failure. */
int weir_redis_read(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err);
/* append + read. */
int weir_redis_command(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                       int argc, const char *const *argv, const size_t *lens);
/* The same with NUL-terminated arguments up to a NULL: weir_redis_do(r, &reply, &err, "GET", k,
 * NULL) */
int weir_redis_do(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err, ...)
    __attribute__((sentinel));

/* The servers behind it: 1, or the primaries of a connected cluster; one by one, when nothing is
 * due, and without a redirect. */
size_t weir_redis_nodes(const struct weir_redis *redis);
const char *weir_redis_node_name(struct weir_redis *redis, size_t node);
int weir_redis_node_command(struct weir_redis *redis, size_t node, struct weir_reply **reply,
                            struct weir_err *err, int argc, const char *const *argv);

/* Scripts are sent by EVALSHA and, on NOSCRIPT, once more by EVAL. */
struct weir_script {
    const char *body;
    char sha[41]; /* hex SHA-1 of body */
};
void weir_script_init(struct weir_script *script, const char *body);
/* argv: keys, then arguments. Blocking; 0 or -WEIR_ERR_UNREACHABLE. */
int weir_redis_script(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                      const struct weir_script *script, int keys, int argc, const char *const *argv,
                      const size_t *lens);

#endif
