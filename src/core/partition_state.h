/*
 * partition_state: the inside of a partition, shared by the step (partition.c) and by what moves
 * it to and from Redis (export.c, import.c). Private to core.
 */
#ifndef WEIR_CORE_PARTITION_STATE_H
#define WEIR_CORE_PARTITION_STATE_H

#include "core/bots.h"
#include "core/sessions.h"
#include "core/values.h"
#include "core/visitors.h"
#include "core/window.h"
#include "weir/partition.h"
#include "weir/overlap.h"

#define WEIR_CHUNK_BITS 8
#define WEIR_CHUNKS (1U << WEIR_CHUNK_BITS)

struct weir_removed {
    uint64_t key;
    uint32_t check;
};

struct weir_partition {
    const struct weir_plan *plan;
    int64_t newest_ms, watermark_ms; /* INT64_MIN before any event */
    int64_t now_second;              /* the watermark in whole seconds; sessions are closed to it */
    int64_t settled_ms;              /* no event or end of a session comes before this any more */
    int64_t exported_settled_ms;     /* the same at the last export */
    int64_t offset;                  /* next to read, -1 before any */
    uint64_t records, events;
    uint64_t rejected[WEIR_REASONS];
    uint64_t unknown_types, bot_events;

    struct weir_sessions *sessions;
    struct weir_visitors visitors;
    struct weir_values values[WEIR_DIMENSIONS_MAX];
    struct weir_window window;
    struct weir_bots *bots;
    struct weir_overlap overlap;

    /* what changed since the last export */
    uint32_t *dirty; /* slots of sessions */
    size_t dirty_len, dirty_cap;
    struct weir_removed *removed;
    size_t removed_len, removed_cap;
    struct weir_buf ticks;
    int64_t tick_offset; /* of the last tick since the state was made or loaded; INT64_MIN: none */
    size_t tick_at;      /* its line in `ticks`, while it is not exported */
    bool tick_stands;    /* it did what a later one in its place would not do */
    bool moved;          /* offset, watermark or a scalar */

    /* the stored state */
    uint64_t seq;
    uint64_t chunk_seq[WEIR_CHUNKS]; /* the commit that wrote each chunk; 0: none yet */
    uint32_t next_chunk;
    uint64_t first_delta; /* oldest delta that is still in Redis */

    /* the export under way */
    bool exported;
    uint64_t prev_seq;
    struct weir_buf bytes, meta, exported_ticks;
    struct weir_change *changes;
    size_t changes_len, changes_cap;

    /* import */
    char (*wanted)[40];
    size_t wanted_len;
    bool deferred; /* chunks are read: sessions and visitors are not found yet */
};

/* The earliest time that an event may still have. */
int64_t weir_partition_floor_ms(const struct weir_partition *partition);
void weir_partition_mark(struct weir_partition *partition, struct weir_session *session);
void *weir_partition_grow(void *array, size_t *cap, size_t size);

#endif
