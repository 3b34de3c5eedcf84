#include "weir/redis.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_cluster.h"
#include "io/redis_conn.h"
#include "io/redis_sentinel.h"
#include "weir/clock.h"

#define ARGS_MAX 64 /* of weir_redis_do */
#define LOOK_US 1000000
#define LOOK_AWAY_US 10000000
#define LOOK_TIMEOUT_MS 500

/* One server, one that Sentinels name, or the primaries of a cluster. */
struct weir_redis {
    struct weir_redis_url url;
    struct weir_conn conn;
    struct weir_cluster *cluster; /* NULL: conn is all there is */
    uint64_t generation;
    bool demoted;    /* the server said that it is a replica: look for the primary again */
    size_t sentinel; /* which one is asked first: the next after one that was wrong */
    int64_t look_us; /* when it is asked again */
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
    weir_conn_init(&self->conn, &self->url, timeout_ms);
    if (weir_redis_url_is_cluster(&self->url)) {
        self->cluster = weir_cluster_new(&self->url, timeout_ms);
        WEIR_ASSERT(self->cluster != NULL);
    }
    *redis = self;
    return 0;
}

void weir_redis_free(struct weir_redis *redis) {
    if (!redis)
        return;
    weir_cluster_free(redis->cluster);
    weir_conn_close(&redis->conn);
    weir_redis_url_close(&redis->url);
    free(redis);
}

void weir_redis_disconnect(struct weir_redis *redis) {
    if (redis->cluster)
        weir_cluster_disconnect(redis->cluster);
    else
        weir_conn_disconnect(&redis->conn);
}

bool weir_redis_connected(const struct weir_redis *redis) {
    return redis->cluster ? weir_cluster_connected(redis->cluster)
                          : weir_conn_connected(&redis->conn);
}

uint64_t weir_redis_generation(const struct weir_redis *redis) {
    return redis->generation;
}

const char *weir_redis_name(const struct weir_redis *redis) {
    return redis->url.name;
}

static size_t due(const struct weir_redis *redis) {
    return redis->cluster ? weir_cluster_due(redis->cluster) : redis->conn.due;
}

/* ---- connecting ---- */

/* Where to: a Sentinel's word is asked each time, as it may have changed. */
static int find_server(struct weir_redis *redis, struct weir_err *err) {
    const struct weir_redis_url *url = &redis->url;
    if (url->master)
        return weir_sentinel_find(url, &redis->sentinel, redis->conn.timeout_ms, &redis->conn.host,
                                  err);
    if (url->path || redis->conn.host.host)
        return 0;
    if (!weir_redis_host_join(&redis->conn.host, url->hosts[0].host, url->hosts[0].port))
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for a host's name");
    return 0;
}

/* Where Sentinels hand the primary over, the old one goes on taking writes for some ten seconds,
 * and they are lost: better to notice it at once. A Sentinel that is away changes nothing. */
static bool has_moved(struct weir_redis *redis) {
    if (!redis->url.master || weir_clock_monotonic_us() < redis->look_us)
        return false;
    struct weir_redis_host host = {0};
    struct weir_err ignored;
    int code = weir_sentinel_find(&redis->url, &redis->sentinel, LOOK_TIMEOUT_MS, &host, &ignored);
    bool moved = code == 0 && strcmp(host.name, redis->conn.host.name) != 0;
    redis->look_us = weir_clock_monotonic_us() + (code == 0 ? LOOK_US : LOOK_AWAY_US);
    weir_redis_host_close(&host);
    return moved;
}

static int connect_one(struct weir_redis *redis, struct weir_err *err) {
    if (weir_conn_connected(&redis->conn) && redis->conn.due == 0 &&
        (redis->demoted || has_moved(redis)))
        weir_conn_disconnect(&redis->conn);
    if (weir_conn_connected(&redis->conn))
        return 0;
    redis->demoted = false;
    int code = find_server(redis, err);
    if (code == 0)
        code = weir_conn_open(&redis->conn, true, err);
    if (code == 0 && redis->url.master)
        code = weir_sentinel_confirm(&redis->conn, err);
    redis->sentinel += code != 0;
    redis->look_us = weir_clock_monotonic_us() + LOOK_US;
    redis->generation += code == 0;
    return code;
}

int weir_redis_connect(struct weir_redis *redis, struct weir_err *err) {
    if (!redis->cluster)
        return connect_one(redis, err);
    bool news;
    int code = weir_cluster_connect(redis->cluster, &news, err);
    redis->generation += news;
    return code;
}

/* ---- commands ---- */

int weir_redis_append(struct weir_redis *redis, int argc, const char *const *argv,
                      const size_t *lens, struct weir_err *err) {
    WEIR_ASSERT(argc > 0);
    int code = weir_redis_connect(redis, err);
    if (code != 0)
        return code;
    return redis->cluster ? weir_cluster_append(redis->cluster, argc, argv, lens, err)
                          : weir_conn_append(&redis->conn, argc, argv, lens, err);
}

int weir_redis_read(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err) {
    if (redis->cluster)
        return weir_cluster_read(redis->cluster, reply, err);
    int code = weir_conn_read(&redis->conn, reply, err);
    if (code == 0 && (*reply)->type == WEIR_REPLY_ERROR)
        redis->demoted |= strncmp((*reply)->text, "READONLY", 8) == 0 ||
                          strncmp((*reply)->text, "MASTERDOWN", 10) == 0;
    return code;
}

int weir_redis_command(struct weir_redis *redis, struct weir_reply **reply, struct weir_err *err,
                       int argc, const char *const *argv, const size_t *lens) {
    WEIR_ASSERT(due(redis) == 0); /* else this would read an earlier command's reply */
    int code = weir_redis_append(redis, argc, argv, lens, err);
    return code == 0 ? weir_redis_read(redis, reply, err) : code;
}

size_t weir_redis_nodes(const struct weir_redis *redis) {
    return redis->cluster ? weir_cluster_nodes(redis->cluster) : 1;
}

const char *weir_redis_node_name(struct weir_redis *redis, size_t node) {
    const struct weir_conn *conn =
        redis->cluster ? weir_cluster_node(redis->cluster, node) : &redis->conn;
    return conn->host.name ? conn->host.name : redis->url.name;
}

int weir_redis_node_command(struct weir_redis *redis, size_t node, struct weir_reply **reply,
                            struct weir_err *err, int argc, const char *const *argv) {
    WEIR_ASSERT(due(redis) == 0 && node < weir_redis_nodes(redis));
    if (!redis->cluster)
        return weir_redis_command(redis, reply, err, argc, argv, NULL);
    int code = weir_conn_ask(weir_cluster_node(redis->cluster, node), reply, err, argc, argv);
    if (code != 0)
        weir_cluster_disconnect(redis->cluster);
    return code;
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
