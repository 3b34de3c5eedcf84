#include "weir/redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_link.h"
#include "io/redis_reply.h"
#include "weir/buf.h"

#define BYTES_MAX ((size_t)1 << 30) /* unsent, unread, and of one reply */
#define FLUSH_BYTES ((size_t)1 << 20)
#define KEEP_BYTES ((size_t)8 << 20) /* a larger buffer is given back once it is empty */
#define CHUNK_BYTES ((size_t)64 << 10)
#define ARGS_MAX 64 /* of weir_redis_do */

struct weir_redis {
    struct weir_redis_url url;
    int timeout_ms;
    struct weir_link link;
    uint64_t generation;
    struct weir_buf out, in;
    size_t out_sent, in_read;
    size_t due; /* replies that are still to come */
    redisReader *reader;
    size_t reply_bytes; /* fed since the last whole reply */
    struct weir_reply_budget budget;
};

int weir_redis_new(struct weir_redis **redis, const char *url, int timeout_ms,
                   struct weir_err *err) {
    WEIR_ASSERT(timeout_ms > 0);
    struct weir_redis *self = calloc(1, sizeof *self);
    if (!self)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory for a Redis connection");
    int code = weir_redis_url_parse(&self->url, url, err);
    if (code != 0) {
        free(self);
        return code;
    }
    self->timeout_ms = timeout_ms;
    self->link.fd = -1;
    weir_buf_init(&self->out, BYTES_MAX);
    weir_buf_init(&self->in, BYTES_MAX);
    *redis = self;
    return 0;
}

void weir_redis_free(struct weir_redis *redis) {
    if (!redis)
        return;
    weir_redis_disconnect(redis);
    weir_buf_close(&redis->out);
    weir_buf_close(&redis->in);
    weir_redis_url_close(&redis->url);
    free(redis);
}

void weir_redis_disconnect(struct weir_redis *redis) {
    weir_link_close(&redis->link);
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis->reader = NULL;
    if (redis->out.data) /* it may hold the password */
        explicit_bzero(redis->out.data, redis->out.len);
    weir_buf_close(&redis->out);
    weir_buf_close(&redis->in);
    redis->out_sent = redis->in_read = redis->due = redis->reply_bytes = 0;
}

bool weir_redis_connected(const struct weir_redis *redis) {
    return redis->link.fd >= 0;
}

uint64_t weir_redis_generation(const struct weir_redis *redis) {
    return redis->generation;
}

const char *weir_redis_name(const struct weir_redis *redis) {
    return redis->url.name;
}

static int broken(struct weir_redis *redis, struct weir_err *err, const char *what) {
    int code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s: %s", redis->url.name, what);
    weir_redis_disconnect(redis);
    return code;
}

static int timed_out(struct weir_redis *redis, struct weir_err *err) {
    char text[80];
    snprintf(text, sizeof text, "no answer within %d ms, connection closed", redis->timeout_ms);
    return broken(redis, err, text);
}

static void recycle(struct weir_buf *buf, size_t *done) {
    *done = 0;
    if (buf->cap > KEEP_BYTES)
        weir_buf_close(buf);
    else
        weir_buf_clear(buf);
}

/* Takes what has arrived, without waiting: 0 with `any` set if there was something. */
static int fill(struct weir_redis *redis, bool *any, struct weir_err *err) {
    *any = false;
    if (redis->in_read == redis->in.len)
        recycle(&redis->in, &redis->in_read);
    if (weir_buf_reserve(&redis->in, CHUNK_BYTES) != 0)
        return broken(redis, err, "more than 1 GiB of replies wait to be read");
    struct weir_buf *in = &redis->in;
    ssize_t got = weir_link_recv(&redis->link, in->data + in->len, in->cap - in->len);
    if (got < 0)
        return broken(redis, err, redis->link.reason);
    in->len += (size_t)got;
    *any = got > 0;
    return 0;
}

/* Sends everything. Takes replies meanwhile: a server that cannot write stops reading. */
static int flush(struct weir_redis *redis, struct weir_err *err) {
    while (redis->out_sent < redis->out.len) {
        ssize_t moved = weir_link_send(&redis->link, redis->out.data + redis->out_sent,
                                       redis->out.len - redis->out_sent);
        if (moved < 0)
            return broken(redis, err, redis->link.reason);
        redis->out_sent += (size_t)moved;
        if (moved > 0)
            continue;
        bool any;
        int code = fill(redis, &any, err);
        if (code != 0)
            return code;
        if (!any && !weir_link_wait(&redis->link, true, redis->timeout_ms))
            return timed_out(redis, err);
    }
    recycle(&redis->out, &redis->out_sent);
    return 0;
}

static void encode(struct weir_buf *out, int argc, const char *const *argv, const size_t *lens) {
    weir_buf_printf(out, "*%d\r\n", argc);
    for (int i = 0; i < argc; i++) {
        size_t len = lens ? lens[i] : strlen(argv[i]);
        weir_buf_printf(out, "$%zu\r\n", len);
        weir_buf_append(out, argv[i], len);
        weir_buf_append(out, "\r\n", 2);
    }
}

static int enqueue(struct weir_redis *redis, int argc, const char *const *argv, const size_t *lens,
                   struct weir_err *err) {
    size_t before = redis->out.len;
    encode(&redis->out, argc, argv, lens);
    if (redis->out.failed) {
        redis->out.len = before;
        redis->out.failed = false;
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a Redis command of more than 1 GiB, or no memory for it");
    }
    redis->due++;
    return redis->out.len - redis->out_sent >= FLUSH_BYTES ? flush(redis, err) : 0;
}

/* Hands the parser one chunk of what has arrived: it compacts its buffer often, so keep it small.
 */
static int feed(struct weir_redis *redis, struct weir_err *err) {
    size_t len = redis->in.len - redis->in_read;
    len = len > CHUNK_BYTES ? CHUNK_BYTES : len;
    redis->reply_bytes += len;
    if (redis->reply_bytes > BYTES_MAX)
        return broken(redis, err, "a reply of more than 1 GiB, connection closed");
    if (redisReaderFeed(redis->reader, redis->in.data + redis->in_read, len) != REDIS_OK)
        return broken(redis, err, redis->reader->errstr);
    redis->in_read += len;
    return 0;
}

static int next_reply(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err) {
    int code = flush(redis, err);
    void *object = NULL;
    redis->budget.items_left = WEIR_REPLY_ITEMS_MAX;
    while (code == 0) {
        if (redisReaderGetReply(redis->reader, &object) != REDIS_OK)
            return broken(redis, err, redis->reader->errstr);
        if (object) {
            *reply = object;
            redis->reply_bytes = 0;
            redis->due--;
            return 0;
        }
        bool any = redis->in_read < redis->in.len;
        if (!any)
            code = fill(redis, &any, err);
        if (code == 0 && any)
            code = feed(redis, err);
        else if (code == 0 && !weir_link_wait(&redis->link, false, redis->timeout_ms))
            code = timed_out(redis, err);
    }
    return code;
}

/* One step of the greeting. Redis' own words are given only when they cannot echo a secret. */
static int greet(struct weir_redis *redis, int argc, const char *const *argv, const char *what,
                 bool secret, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int code = enqueue(redis, argc, argv, NULL, err);
    if (code == 0)
        code = next_reply(redis, &reply, err);
    if (code == 0 && reply && reply->type == WEIR_REPLY_ERROR) {
        char text[320];
        int shown = secret ? (int)strcspn(reply->text, " ") : 200;
        snprintf(text, sizeof text, "refused %s (%.*s); correct redis.url", what, shown,
                 reply->text);
        code = broken(redis, err, text);
    }
    weir_reply_free(reply);
    return code;
}

static int introduce(struct weir_redis *redis, struct weir_err *err) {
    const struct weir_redis_url *url = &redis->url;
    int code = 0;
    if (url->password) {
        const char *both[] = {"AUTH", url->user, url->password};
        const char *alone[] = {"AUTH", url->password};
        code = greet(redis, url->user ? 3 : 2, url->user ? both : alone,
                     url->user ? "the user and password" : "the password", true, err);
        if (redis->out.data) /* sent: leave no copy behind */
            explicit_bzero(redis->out.data, redis->out.cap);
    }
    if (code == 0 && url->db != 0) {
        char db[16];
        snprintf(db, sizeof db, "%d", url->db);
        const char *select[] = {"SELECT", db};
        code = greet(redis, 2, select, "the database", false, err);
    }
    return code;
}

int weir_redis_connect(struct weir_redis *redis, struct weir_err *err) {
    if (weir_redis_connected(redis))
        return 0;
    redis->reader = weir_reply_reader_new(&redis->budget);
    if (!redis->reader)
        return broken(redis, err, "no memory");
    int code = weir_link_open(&redis->link, &redis->url, redis->timeout_ms, err);
    if (code != 0) {
        weir_redis_disconnect(redis);
        return code;
    }
    redis->generation++;
    return introduce(redis, err);
}

int weir_redis_append(struct weir_redis *redis, int argc, const char *const *argv,
                      const size_t *lens, struct weir_err *err) {
    WEIR_ASSERT(argc > 0);
    int code = weir_redis_connect(redis, err);
    return code == 0 ? enqueue(redis, argc, argv, lens, err) : code;
}

int weir_redis_read(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err) {
    if (redis->due == 0)
        return broken(redis, err, "no reply is due (the connection was closed meanwhile)");
    return next_reply(redis, reply, err);
}

int weir_redis_command(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                       int argc, const char *const *argv, const size_t *lens) {
    WEIR_ASSERT(redis->due == 0); /* else this would read an earlier command's reply */
    int code = weir_redis_append(redis, argc, argv, lens, err);
    return code == 0 ? weir_redis_read(redis, reply, err) : code;
}

int weir_redis_do(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err, ...) {
    const char *argv[ARGS_MAX];
    int argc = 0;
    va_list args;
    va_start(args, err);
    for (const char *arg; (arg = va_arg(args, const char *)) != NULL; argc++) {
        WEIR_ASSERT(argc < ARGS_MAX);
        argv[argc] = arg;
    }
    va_end(args);
    return weir_redis_command(redis, reply, err, argc, argv, NULL);
}
