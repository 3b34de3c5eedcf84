#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/redis_cluster.h"
#include "io/redis_slot.h"

#define PRIMARIES_MAX 1024

void weir_slots_map_close(struct weir_slots_map *map) {
    for (size_t i = 0; i < map->len; i++)
        weir_redis_host_close(&map->primaries[i]);
    free(map->primaries);
    free(map->owner);
    *map = (struct weir_slots_map){0};
}

/* Its place among the primaries, or WEIR_NOBODY where there are too many. Takes the host. */
static uint16_t add_primary(struct weir_slots_map *map, struct weir_redis_host *host) {
    for (size_t i = 0; i < map->len; i++)
        if (strcmp(map->primaries[i].name, host->name) == 0) {
            weir_redis_host_close(host);
            return (uint16_t)i;
        }
    if (map->len == PRIMARIES_MAX) {
        weir_redis_host_close(host);
        return WEIR_NOBODY;
    }
    map->primaries[map->len] = *host;
    return (uint16_t)map->len++;
}

/* A range is [first, last, [host, port, ...], replicas...]. A host that is empty or nil is the one
 * that was asked. */
static bool read_range(struct weir_slots_map *map, const struct weir_reply *range,
                       const struct weir_redis_host *asked) {
    if (range->items_len < 3 || range->items[2]->items_len < 2)
        return false;
    int64_t first = range->items[0]->integer, last = range->items[1]->integer;
    const struct weir_reply *name = range->items[2]->items[0], *port = range->items[2]->items[1];
    if (first < 0 || last >= WEIR_SLOTS || first > last || port->type != WEIR_REPLY_INTEGER)
        return false;
    bool known = name->text && name->len > 0 && strcmp(name->text, "?") != 0;
    char digits[24];
    struct weir_redis_host host = {0};
    snprintf(digits, sizeof digits, "%lld", (long long)port->integer);
    if (!weir_redis_host_join(&host, known ? name->text : asked->host, digits))
        return false;
    uint16_t owner = add_primary(map, &host);
    for (int64_t slot = first; slot <= last; slot++)
        map->owner[slot] = owner;
    return true;
}

bool weir_slots_map_read(struct weir_slots_map *map, const struct weir_reply *reply,
                         const struct weir_redis_host *asked, const char **why) {
    *map = (struct weir_slots_map){.owner = malloc(WEIR_SLOTS * sizeof *map->owner),
                                   .primaries = calloc(PRIMARIES_MAX, sizeof *map->primaries)};
    *why = "no memory for the map of its slots";
    bool good = map->owner && map->primaries;
    for (size_t slot = 0; good && slot < WEIR_SLOTS; slot++)
        map->owner[slot] = WEIR_NOBODY;
    if (good)
        *why = "its CLUSTER SLOTS is not readable, or it serves no slot yet";
    good = good && reply->type == WEIR_REPLY_ARRAY && reply->items_len > 0;
    for (size_t i = 0; good && i < reply->items_len; i++)
        good = read_range(map, reply->items[i], asked);
    if (!good)
        weir_slots_map_close(map);
    return good;
}
