/*
 * redis_conn: one connection to one server: commands out, replies in, in order. Private to
 * io/redis.
 *
 * Ownership: the caller's storage, init/close; `url` must outlive it.
 * Thread: one.  Limits: 1 GiB unsent, unread and of one reply.  Units: ms.
 * Errors: 0, or a negative code with a sentence; the connection is then closed.
 */
#ifndef WEIR_IO_REDIS_CONN_H
#define WEIR_IO_REDIS_CONN_H

#include "io/redis_link.h"
#include "io/redis_reply.h"
#include "weir/buf.h"
#include "weir/redis.h"

struct weir_conn {
    const struct weir_redis_url *url;
    struct weir_redis_host host; /* all NULL for a unix socket */
    int timeout_ms;
    struct weir_link link;
    struct weir_buf out, in;
    size_t out_sent, in_read;
    size_t due; /* replies that are still to come */
    redisReader *reader;
    size_t reply_bytes; /* fed since the last whole reply */
    struct weir_reply_budget budget;
};

void weir_conn_init(struct weir_conn *conn, const struct weir_redis_url *url, int timeout_ms);
void weir_conn_close(struct weir_conn *conn); /* for good */

/* Connects to conn->host, authenticates (if asked) and selects the database. */
int weir_conn_open(struct weir_conn *conn, bool authenticate, struct weir_err *err);
int weir_conn_authenticate(struct weir_conn *conn, struct weir_err *err);
void weir_conn_disconnect(struct weir_conn *conn);
bool weir_conn_connected(const struct weir_conn *conn);
/* Closes it with a sentence. */
int weir_conn_broken(struct weir_conn *conn, struct weir_err *err, const char *what);

/* A command, or whole commands that are encoded already. */
int weir_conn_append(struct weir_conn *conn, int argc, const char *const *argv, const size_t *lens,
                     struct weir_err *err);
int weir_conn_append_raw(struct weir_conn *conn, const char *bytes, size_t len,
                         struct weir_err *err);
int weir_conn_flush(struct weir_conn *conn, struct weir_err *err);
int weir_conn_read(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err);
/* append + read, where nothing else is due. */
int weir_conn_ask(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err, int argc,
                  const char *const *argv);

/* Puts a command into the protocol's form. */
void weir_conn_encode(struct weir_buf *out, int argc, const char *const *argv, const size_t *lens);
/* What is said where that failed. -WEIR_ERR_INPUT. */
int weir_conn_too_large(struct weir_err *err);

#endif
