/*
 * redis_cluster: the primaries of a Redis Cluster behind one order of commands and replies.
 * Private to io/redis.
 *
 * A command goes to the primary that serves its first key's slot; one without a key goes to every
 * primary, and its reply is the first error or the last answer. Replies are read in the order in
 * which the commands were appended. A small command that is redirected (MOVED, ASK) is sent again
 * where Redis says, as a redirect means that it was not executed; a large one ends all connections,
 * and its owner sends it again. The map of the slots is read anew after a redirect by MOVED, and
 * after any connection was lost.
 * Ownership: new/free; `url` must outlive it.  Thread: one.  Limits: 1,024 primaries.  Units: ms.
 * Errors: 0, or -WEIR_ERR_UNREACHABLE with every connection closed.
 */
#ifndef WEIR_IO_REDIS_CLUSTER_H
#define WEIR_IO_REDIS_CLUSTER_H

#include "io/redis_conn.h"

struct weir_cluster;

/* NULL when memory runs out. */
struct weir_cluster *weir_cluster_new(const struct weir_redis_url *url, int timeout_ms);
void weir_cluster_free(struct weir_cluster *cluster);

/* Reads the map if that is due and connects to every primary. `news` is set when there is a new
 * connection. */
int weir_cluster_connect(struct weir_cluster *cluster, bool *news, struct weir_err *err);
void weir_cluster_disconnect(struct weir_cluster *cluster);
bool weir_cluster_connected(const struct weir_cluster *cluster);
size_t weir_cluster_due(const struct weir_cluster *cluster);

int weir_cluster_append(struct weir_cluster *cluster, int argc, const char *const *argv,
                        const size_t *lens, struct weir_err *err);
int weir_cluster_read(struct weir_cluster *cluster, struct weir_reply **reply,
                      struct weir_err *err);
/* The primaries, while connected. */
size_t weir_cluster_nodes(const struct weir_cluster *cluster);
struct weir_conn *weir_cluster_node(struct weir_cluster *cluster, size_t node);

/* redis_slots_map.c: who serves what, as CLUSTER SLOTS says. */
struct weir_slots_map {
    uint16_t *owner; /* of each slot: a place in `primaries`, or WEIR_NOBODY */
    struct weir_redis_host *primaries;
    size_t len;
};
#define WEIR_NOBODY UINT16_MAX
void weir_slots_map_close(struct weir_slots_map *map);
/* `asked` is the host that gave the reply. False with `why` set when it is none. */
bool weir_slots_map_read(struct weir_slots_map *map, const struct weir_reply *reply,
                         const struct weir_redis_host *asked, const char **why);

#endif
