#include "io/redis_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_slot.h"

#define COPY_MAX ((size_t)64 << 10) /* a command up to this size can follow a redirect */
#define HOPS_MAX 5

/* A command whose reply is to come. */
struct due {
    uint16_t node; /* WEIR_NOBODY: of every primary */
    char *copy;    /* NULL: too large to be kept */
    size_t len;
};

struct weir_cluster {
    const struct weir_redis_url *url;
    int timeout_ms;
    struct weir_slots_map map;
    struct weir_conn **nodes;      /* by place in the map */
    struct weir_conn aside;        /* where a redirect led */
    struct weir_redis_host *known; /* the last map's primaries, asked first for the next */
    size_t known_len, turn;
    bool stale;      /* the map is */
    struct due *due; /* a ring */
    size_t due_at, due_len, due_cap;
    struct weir_buf command;
};

struct weir_cluster *weir_cluster_new(const struct weir_redis_url *url, int timeout_ms) {
    struct weir_cluster *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->url = url;
    c->timeout_ms = timeout_ms;
    weir_conn_init(&c->aside, url, timeout_ms);
    weir_buf_init(&c->command, (size_t)1 << 30);
    return c;
}

bool weir_cluster_connected(const struct weir_cluster *c) {
    return c->nodes != NULL;
}

size_t weir_cluster_due(const struct weir_cluster *c) {
    return c->due_len;
}

size_t weir_cluster_nodes(const struct weir_cluster *c) {
    return c->map.len;
}

struct weir_conn *weir_cluster_node(struct weir_cluster *c, size_t node) {
    return c->nodes[node];
}

static void free_nodes(struct weir_conn **nodes, size_t len) {
    for (size_t i = 0; nodes && i < len; i++) {
        if (nodes[i])
            weir_conn_close(nodes[i]);
        free(nodes[i]);
    }
    free(nodes);
}

static void forget_known(struct weir_cluster *c) {
    for (size_t i = 0; i < c->known_len; i++)
        weir_redis_host_close(&c->known[i]);
    free(c->known);
    c->known = NULL;
    c->known_len = 0;
}

/* ---- the order of replies ---- */

static struct due *due_first(struct weir_cluster *c) {
    return &c->due[c->due_at];
}

static void due_pop(struct weir_cluster *c) {
    free(due_first(c)->copy);
    c->due_at = (c->due_at + 1) % c->due_cap;
    c->due_len--;
}

static void due_push(struct weir_cluster *c, struct due due) {
    if (c->due_len == c->due_cap) {
        size_t cap = c->due_cap ? 2 * c->due_cap : 256;
        struct due *grown = calloc(cap, sizeof *grown);
        WEIR_ASSERT(grown != NULL);
        for (size_t i = 0; i < c->due_len; i++)
            grown[i] = c->due[(c->due_at + i) % c->due_cap];
        free(c->due);
        c->due = grown;
        c->due_at = 0;
        c->due_cap = cap;
    }
    c->due[(c->due_at + c->due_len++) % c->due_cap] = due;
}

void weir_cluster_disconnect(struct weir_cluster *c) {
    while (c->due_len > 0)
        due_pop(c);
    free_nodes(c->nodes, c->map.len);
    c->nodes = NULL;
    if (c->map.len > 0) { /* the primaries' names stay, to ask them */
        forget_known(c);
        c->known = c->map.primaries;
        c->known_len = c->map.len;
        c->map.primaries = NULL;
        c->map.len = 0;
    }
    weir_slots_map_close(&c->map);
    weir_conn_disconnect(&c->aside);
    weir_buf_close(&c->command);
}

void weir_cluster_free(struct weir_cluster *c) {
    if (!c)
        return;
    weir_cluster_disconnect(c);
    forget_known(c);
    weir_conn_close(&c->aside);
    free(c->due);
    free(c);
}

/* Every failure of one connection is one of all: what was appended is gone. */
static int lost(struct weir_cluster *c, int code) {
    weir_cluster_disconnect(c);
    return code;
}

/* ---- the map ---- */

static int read_map(struct weir_conn *conn, struct weir_slots_map *map, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    const char *why = NULL;
    int code = weir_conn_ask(conn, &reply, err, 2, (const char *[]){"CLUSTER", "SLOTS"});
    if (code != 0)
        return code;
    if (reply->type == WEIR_REPLY_ERROR)
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "Redis at %s says %.200s, but redis.url lists the nodes of a Redis "
                            "Cluster; write one host where there is none",
                            conn->host.name, reply->text);
    else if (!weir_slots_map_read(map, reply, &conn->host, &why))
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "the Redis Cluster at %s: %s",
                            conn->host.name, why);
    weir_reply_free(reply);
    return code;
}

/* By a connection of its own: the others may have died without a word. */
static int ask_host(struct weir_cluster *c, const struct weir_redis_host *host,
                    struct weir_slots_map *map, struct weir_err *err) {
    struct weir_conn conn;
    int code = 0;
    weir_conn_init(&conn, c->url, c->timeout_ms);
    if (!weir_redis_host_join(&conn.host, host->host, host->port))
        code = weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for a host's name");
    if (code == 0)
        code = weir_conn_open(&conn, true, err);
    if (code == 0)
        code = read_map(&conn, map, err);
    weir_conn_close(&conn);
    return code;
}

/* The url's hosts and those of the last map by turns, until one knows. */
static int find_map(struct weir_cluster *c, struct weir_slots_map *map, struct weir_err *err) {
    size_t all = c->url->hosts_len + c->known_len;
    int code = -1;
    for (size_t tries = 0; tries < all && code != 0; tries++) {
        size_t i = c->turn++ % all;
        const struct weir_redis_host *host =
            i < c->url->hosts_len ? &c->url->hosts[i] : &c->known[i - c->url->hosts_len];
        code = ask_host(c, host, map, err);
    }
    return code;
}

/* A connection that the last map had too is kept. */
static struct weir_conn *take_node(struct weir_cluster *c, const char *name) {
    for (size_t i = 0; c->nodes && i < c->map.len; i++) {
        struct weir_conn *node = c->nodes[i];
        if (node && strcmp(node->host.name, name) == 0) {
            c->nodes[i] = NULL;
            return node;
        }
    }
    return NULL;
}

static int open_node(struct weir_cluster *c, const struct weir_redis_host *host,
                     struct weir_conn **node, struct weir_err *err) {
    *node = malloc(sizeof **node);
    WEIR_ASSERT(*node != NULL);
    weir_conn_init(*node, c->url, c->timeout_ms);
    if (!weir_redis_host_join(&(*node)->host, host->host, host->port))
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for a host's name");
    return weir_conn_open(*node, true, err);
}

int weir_cluster_connect(struct weir_cluster *c, bool *news, struct weir_err *err) {
    struct weir_slots_map map = {0};
    *news = false;
    if (c->nodes && (!c->stale || c->due_len > 0))
        return 0;
    int code = find_map(c, &map, err);
    if (code != 0)
        return lost(c, code);
    struct weir_conn **nodes = calloc(map.len + 1, sizeof *nodes);
    WEIR_ASSERT(nodes != NULL);
    for (size_t i = 0; i < map.len && code == 0; i++) {
        nodes[i] = take_node(c, map.primaries[i].name);
        if (nodes[i])
            continue;
        code = open_node(c, &map.primaries[i], &nodes[i], err);
        *news = true;
    }
    weir_cluster_disconnect(c); /* of the last map, what was not taken over */
    c->map = map;
    c->nodes = nodes;
    if (code != 0)
        return lost(c, code);
    c->stale = false;
    return 0;
}

/* ---- commands ---- */

int weir_cluster_append(struct weir_cluster *c, int argc, const char *const *argv,
                        const size_t *lens, struct weir_err *err) {
    int key = weir_slot_key_argument(argc, argv, lens), code = 0;
    struct due due = {.node = WEIR_NOBODY};
    if (key > 0) {
        uint16_t slot = weir_slot_of_key(argv[key], lens ? lens[key] : strlen(argv[key]));
        due.node = c->map.owner[slot];
        if (due.node == WEIR_NOBODY)
            return lost(c, weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                        "no primary of the Redis Cluster at %s serves slot %d; "
                                        "look at `redis-cli cluster info`",
                                        c->url->name, slot));
    }
    weir_buf_clear(&c->command);
    weir_conn_encode(&c->command, argc, argv, lens);
    if (c->command.failed)
        return lost(c, weir_conn_too_large(err));
    for (size_t i = 0; i < c->map.len && code == 0; i++)
        if (due.node == WEIR_NOBODY || due.node == i)
            code = weir_conn_append_raw(c->nodes[i], c->command.data, c->command.len, err);
    if (code != 0)
        return lost(c, code);
    if (c->command.len <= COPY_MAX && (due.copy = malloc(c->command.len)) != NULL) {
        memcpy(due.copy, c->command.data, c->command.len);
        due.len = c->command.len;
    }
    due_push(c, due);
    return 0;
}

static bool says(const struct weir_reply *reply, const char *word) {
    return reply->type == WEIR_REPLY_ERROR && strncmp(reply->text, word, strlen(word)) == 0;
}

/* `MOVED 3999 127.0.0.1:6381`; without a host it is the one that says so. Connects there. */
static int go_aside(struct weir_cluster *c, const struct weir_reply *reply,
                    const struct weir_conn *from, struct weir_err *err) {
    const char *place = strrchr(reply->text, ' '), *colon = strrchr(reply->text, ':');
    struct weir_redis_host host = {0};
    char name[256] = "";
    if (place && colon && colon > place)
        snprintf(name, sizeof name, "%.*s", (int)(colon - place - 1), place + 1);
    if (!colon || !weir_redis_host_join(&host, name[0] ? name : from->host.host, colon + 1))
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s redirects to nowhere: %.100s",
                            from->host.name, reply->text);
    if (weir_conn_connected(&c->aside) && strcmp(c->aside.host.name, host.name) == 0) {
        weir_redis_host_close(&host);
        return 0;
    }
    weir_conn_close(&c->aside);
    c->aside.host = host;
    return weir_conn_open(&c->aside, true, err);
}

/* Sends the command where the reply says. The next reply takes the place of this one. */
static int follow(struct weir_cluster *c, const struct due *due, const struct weir_conn *from,
                  struct weir_reply **reply, struct weir_err *err) {
    static const char asking[] = "*1\r\n$6\r\nASKING\r\n";
    bool ask = says(*reply, "ASK ");
    if (!due->copy)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "a slot moves to another node of the Redis Cluster (%.80s)",
                            (*reply)->text);
    int code = go_aside(c, *reply, from, err);
    weir_reply_free(*reply);
    *reply = NULL;
    if (code == 0 && ask)
        code = weir_conn_append_raw(&c->aside, asking, sizeof asking - 1, err);
    if (code == 0)
        code = weir_conn_append_raw(&c->aside, due->copy, due->len, err);
    if (code == 0 && ask) {
        code = weir_conn_read(&c->aside, reply, err);
        weir_reply_free(*reply);
        *reply = NULL;
    }
    return code == 0 ? weir_conn_read(&c->aside, reply, err) : code;
}

static int read_one(struct weir_cluster *c, const struct due *due, struct weir_conn *node,
                    struct weir_reply **reply, struct weir_err *err) {
    int code = weir_conn_read(node, reply, err);
    for (int hops = 0; code == 0 && (says(*reply, "MOVED ") || says(*reply, "ASK ")); hops++) {
        c->stale |= says(*reply, "MOVED ");
        if (hops == HOPS_MAX)
            code = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                "the nodes of the Redis Cluster at %s redirect in a circle",
                                c->url->name);
        else
            code = follow(c, due, hops == 0 ? node : &c->aside, reply, err);
    }
    if (code != 0) {
        weir_reply_free(*reply);
        *reply = NULL;
        return code;
    }
    c->stale |=
        says(*reply, "CLUSTERDOWN") || says(*reply, "READONLY") || says(*reply, "MASTERDOWN");
    return 0;
}

/* One reply of many: the first error, else the last. */
static int read_every(struct weir_cluster *c, const struct due *due, struct weir_reply **reply,
                      struct weir_err *err) {
    int code = 0;
    for (size_t i = 0; i < c->map.len && code == 0; i++) {
        struct weir_reply *one = NULL;
        code = read_one(c, due, c->nodes[i], &one, err);
        bool keep = *reply && (*reply)->type == WEIR_REPLY_ERROR;
        weir_reply_free(keep ? one : *reply);
        *reply = keep ? *reply : one;
    }
    return code;
}

int weir_cluster_read(struct weir_cluster *c, struct weir_reply **reply, struct weir_err *err) {
    int code = 0;
    *reply = NULL;
    if (c->due_len == 0)
        return lost(c, weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                    "Redis Cluster at %s: no reply is due (the connections were "
                                    "closed meanwhile)",
                                    c->url->name));
    for (size_t i = 0; i < c->map.len && code == 0; i++)
        code = weir_conn_flush(c->nodes[i], err);
    const struct due *due = due_first(c);
    if (code == 0 && due->node == WEIR_NOBODY)
        code = read_every(c, due, reply, err);
    else if (code == 0)
        code = read_one(c, due, c->nodes[due->node], reply, err);
    if (code != 0) {
        weir_reply_free(*reply);
        *reply = NULL;
        return lost(c, code);
    }
    due_pop(c);
    return 0;
}
