/*
 * visitors: who left a cart behind, and until when a purchase of theirs recovers it.
 *
 * An open-addressing table of (visitor's hash, end of the session that abandoned). Entries that
 * are past recovery count for nothing and are dropped when the table is next rebuilt or exported.
 * Of the others about `max` are kept. Memory: 32 to 64 bytes a visitor.
 */
#ifndef WEIR_CORE_VISITORS_H
#define WEIR_CORE_VISITORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_abandoned {
    uint64_t visitor; /* 0: free */
    int64_t end_ms;   /* INT64_MIN: recovered, kept until it is exported and rebuilt */
};

struct weir_visitors {
    struct weir_abandoned *slots;
    uint32_t bits, used;
    uint32_t max;
    uint32_t waiting; /* at least as many as wait for recovery; exact after a trim */
    int64_t recovery_ms;
    bool deferred;
    struct weir_abandoned *restored; /* while deferred */
    size_t restored_len, restored_cap;
    bool stored;       /* the stored state may know any of them */
    uint64_t *changed; /* visitors changed since the last export, with repeats */
    size_t changed_len, changed_cap;
};

int weir_visitors_init(struct weir_visitors *visitors, int64_t recovery_ms, uint32_t max);
void weir_visitors_close(struct weir_visitors *visitors);
size_t weir_visitors_memory(const struct weir_visitors *visitors);

/* Keeps the latest end per visitor. `floor_ms`: the earliest time that an event may still have;
 * entries past recovery by then go. */
void weir_visitors_abandoned(struct weir_visitors *visitors, uint64_t visitor, int64_t end_ms,
                             int64_t floor_ms);
/* With more than `max` waiting: those are forgotten that ended first, by the second of their end
 * rounded up, whole seconds at a time, until at most max - max / 16 wait. */
void weir_visitors_trim(struct weir_visitors *visitors, int64_t floor_ms);
/* True when a purchase at time_ms recovers a cart, which is then forgotten. */
bool weir_visitors_recover(struct weir_visitors *visitors, uint64_t visitor, int64_t time_ms);
/* The entry of a visitor, NULL when there is none. */
const struct weir_abandoned *weir_visitors_find(const struct weir_visitors *visitors,
                                                uint64_t visitor);
/* The first entry at or after *position whose hash's top bits are `chunk`; NULL after the last. */
const struct weir_abandoned *weir_visitors_next_in_chunk(const struct weir_visitors *visitors,
                                                         uint32_t chunk, uint32_t chunk_bits,
                                                         uint64_t *position);
/* As weir_sessions_defer: until weir_visitors_index they are restored but not found. */
void weir_visitors_defer(struct weir_visitors *visitors);
void weir_visitors_index(struct weir_visitors *visitors);
/* For import: sets or (end_ms INT64_MIN) removes, without marking a change. */
void weir_visitors_restore(struct weir_visitors *visitors, uint64_t visitor, int64_t end_ms);

#endif
