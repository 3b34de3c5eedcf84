#include "io/redis_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/number.h"

#define BYTES_MAX ((size_t)1 << 30) /* unsent, unread, and of one reply */
#define FLUSH_BYTES ((size_t)1 << 20)
#define KEEP_BYTES ((size_t)8 << 20) /* a larger buffer is given back once it is empty */
#define CHUNK_BYTES ((size_t)64 << 10)

void weir_conn_init(struct weir_conn *conn, const struct weir_redis_url *url, int timeout_ms) {
    *conn = (struct weir_conn){.url = url, .timeout_ms = timeout_ms, .link.fd = -1};
    weir_buf_init(&conn->out, BYTES_MAX);
    weir_buf_init(&conn->in, BYTES_MAX);
}

void weir_conn_close(struct weir_conn *conn) {
    weir_conn_disconnect(conn);
    weir_redis_host_close(&conn->host);
}

void weir_conn_disconnect(struct weir_conn *conn) {
    weir_link_close(&conn->link);
    if (conn->reader)
        redisReaderFree(conn->reader);
    conn->reader = NULL;
    if (conn->out.data) /* it may hold the password */
        explicit_bzero(conn->out.data, conn->out.len);
    weir_buf_close(&conn->out);
    weir_buf_close(&conn->in);
    conn->out_sent = conn->in_read = conn->due = conn->reply_bytes = 0;
}

bool weir_conn_connected(const struct weir_conn *conn) {
    return conn->link.fd >= 0;
}

static const char *name_of(const struct weir_conn *conn) {
    return conn->host.name ? conn->host.name : conn->url->name;
}

int weir_conn_broken(struct weir_conn *conn, struct weir_err *err, const char *what) {
    int code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s: %s", name_of(conn), what);
    weir_conn_disconnect(conn);
    return code;
}

static int timed_out(struct weir_conn *conn, struct weir_err *err) {
    char text[80];
    snprintf(text, sizeof text, "no answer within %d ms, connection closed", conn->timeout_ms);
    return weir_conn_broken(conn, err, text);
}

static void recycle(struct weir_buf *buf, size_t *done) {
    *done = 0;
    if (buf->cap > KEEP_BYTES)
        weir_buf_close(buf);
    else
        weir_buf_clear(buf);
}

/* Takes what has arrived, without waiting: 0 with `any` set if there was something. */
static int fill(struct weir_conn *conn, bool *any, struct weir_err *err) {
    *any = false;
    if (conn->in_read == conn->in.len)
        recycle(&conn->in, &conn->in_read);
    if (weir_buf_reserve(&conn->in, CHUNK_BYTES) != 0)
        return weir_conn_broken(conn, err, "more than 1 GiB of replies wait to be read");
    struct weir_buf *in = &conn->in;
    ssize_t got = weir_link_recv(&conn->link, in->data + in->len, in->cap - in->len);
    if (got < 0)
        return weir_conn_broken(conn, err, conn->link.reason);
    in->len += (size_t)got;
    *any = got > 0;
    return 0;
}

/* Sends everything. Takes replies meanwhile: a server that cannot write stops reading. */
int weir_conn_flush(struct weir_conn *conn, struct weir_err *err) {
    while (conn->out_sent < conn->out.len) {
        ssize_t moved = weir_link_send(&conn->link, conn->out.data + conn->out_sent,
                                       conn->out.len - conn->out_sent);
        if (moved < 0)
            return weir_conn_broken(conn, err, conn->link.reason);
        conn->out_sent += (size_t)moved;
        if (moved > 0)
            continue;
        bool any;
        int code = fill(conn, &any, err);
        if (code != 0)
            return code;
        if (!any && !weir_link_wait(&conn->link, true, conn->timeout_ms))
            return timed_out(conn, err);
    }
    recycle(&conn->out, &conn->out_sent);
    return 0;
}

/* "*3\r\n", "$5\r\n" */
static void put_count(struct weir_buf *out, char kind, size_t count) {
    char text[WEIR_NUMBER_TEXT_MAX + 3] = {kind};
    size_t len = 1 + (size_t)weir_number_put_unsigned(text + 1, count);
    text[len++] = '\r';
    text[len++] = '\n';
    weir_buf_append(out, text, len);
}

void weir_conn_encode(struct weir_buf *out, int argc, const char *const *argv, const size_t *lens) {
    put_count(out, '*', (size_t)argc);
    for (int i = 0; i < argc; i++) {
        size_t len = lens ? lens[i] : strlen(argv[i]);
        put_count(out, '$', len);
        weir_buf_append(out, argv[i], len);
        weir_buf_append(out, "\r\n", 2);
    }
}

int weir_conn_too_large(struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "a Redis command of more than 1 GiB, or no memory for it; use more "
                        "partitions, a shorter commit.interval or a lower sessions.max_open");
}

int weir_conn_append(struct weir_conn *conn, int argc, const char *const *argv, const size_t *lens,
                     struct weir_err *err) {
    size_t before = conn->out.len;
    weir_conn_encode(&conn->out, argc, argv, lens);
    if (conn->out.failed) {
        conn->out.len = before;
        conn->out.failed = false;
        return weir_conn_too_large(err);
    }
    conn->due++;
    return conn->out.len - conn->out_sent >= FLUSH_BYTES ? weir_conn_flush(conn, err) : 0;
}

/* Hands the parser one chunk of what has arrived: it compacts its buffer often, so keep it small.
 */
static int feed(struct weir_conn *conn, struct weir_err *err) {
    size_t len = conn->in.len - conn->in_read;
    len = len > CHUNK_BYTES ? CHUNK_BYTES : len;
    conn->reply_bytes += len;
    if (conn->reply_bytes > BYTES_MAX)
        return weir_conn_broken(conn, err, "a reply of more than 1 GiB, connection closed");
    if (redisReaderFeed(conn->reader, conn->in.data + conn->in_read, len) != REDIS_OK)
        return weir_conn_broken(conn, err, conn->reader->errstr);
    conn->in_read += len;
    return 0;
}

static int next_reply(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err) {
    int code = weir_conn_flush(conn, err);
    void *object = NULL;
    conn->budget.items_left = WEIR_REPLY_ITEMS_MAX;
    while (code == 0) {
        if (redisReaderGetReply(conn->reader, &object) != REDIS_OK)
            return weir_conn_broken(conn, err, conn->reader->errstr);
        if (object) {
            *reply = object;
            conn->reply_bytes = 0;
            conn->due--;
            return 0;
        }
        bool any = conn->in_read < conn->in.len;
        if (!any)
            code = fill(conn, &any, err);
        if (code == 0 && any)
            code = feed(conn, err);
        else if (code == 0 && !weir_link_wait(&conn->link, false, conn->timeout_ms))
            code = timed_out(conn, err);
    }
    return code;
}

/* One step of the greeting. Redis' own words are given only when they cannot echo a secret. */
static int greet(struct weir_conn *conn, int argc, const char *const *argv, const char *what,
                 bool secret, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int code = weir_conn_append(conn, argc, argv, NULL, err);
    if (code == 0)
        code = next_reply(conn, &reply, err);
    if (code == 0 && reply && reply->type == WEIR_REPLY_ERROR) {
        char text[320];
        int shown = secret ? (int)strcspn(reply->text, " ") : 200;
        snprintf(text, sizeof text, "refused %s (%.*s); correct redis.url", what, shown,
                 reply->text);
        code = weir_conn_broken(conn, err, text);
    }
    weir_reply_free(reply);
    return code;
}

int weir_conn_authenticate(struct weir_conn *conn, struct weir_err *err) {
    const struct weir_redis_url *url = conn->url;
    if (!url->password)
        return 0;
    const char *both[] = {"AUTH", url->user, url->password};
    const char *alone[] = {"AUTH", url->password};
    int code = greet(conn, url->user ? 3 : 2, url->user ? both : alone,
                     url->user ? "the user and password" : "the password", true, err);
    if (conn->out.data) /* sent: leave no copy behind */
        explicit_bzero(conn->out.data, conn->out.cap);
    return code;
}

int weir_conn_open(struct weir_conn *conn, bool authenticate, struct weir_err *err) {
    conn->reader = weir_reply_reader_new(&conn->budget);
    if (!conn->reader)
        return weir_conn_broken(conn, err, "no memory");
    int code = weir_link_open(&conn->link, conn->url, conn->host.host ? &conn->host : NULL,
                              conn->timeout_ms, err);
    if (code != 0) {
        weir_conn_disconnect(conn);
        return code;
    }
    if (!authenticate)
        return 0;
    code = weir_conn_authenticate(conn, err);
    if (code == 0 && conn->url->db != 0) {
        char db[16];
        snprintf(db, sizeof db, "%d", conn->url->db);
        const char *select[] = {"SELECT", db};
        code = greet(conn, 2, select, "the database", false, err);
    }
    return code;
}

int weir_conn_append_raw(struct weir_conn *conn, const char *bytes, size_t len,
                         struct weir_err *err) {
    if (weir_buf_append(&conn->out, bytes, len) != 0)
        return weir_conn_broken(conn, err, "no memory for a command");
    conn->due++;
    return conn->out.len - conn->out_sent >= FLUSH_BYTES ? weir_conn_flush(conn, err) : 0;
}

int weir_conn_read(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err) {
    if (conn->due == 0)
        return weir_conn_broken(conn, err, "no reply is due (the connection was closed meanwhile)");
    return next_reply(conn, reply, err);
}

int weir_conn_ask(struct weir_conn *conn, struct weir_reply **reply, struct weir_err *err, int argc,
                  const char *const *argv) {
    int code = weir_conn_append(conn, argc, argv, NULL, err);
    return code == 0 ? next_reply(conn, reply, err) : code;
}
