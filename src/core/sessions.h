/*
 * sessions: the open sessions of one partition: a table by id, a timer wheel by end.
 *
 * A session is one cache line in a slab with stable slots; an index of 8-byte entries (tag, slot)
 * finds it, so a look-up costs two lines, both asked for in advance by weir_sessions_prefetch: the
 * index line at once, the session's line a few calls later.
 * Timers are lazy: an event never moves its session in the wheel; when its slot comes up, the
 * session is filed again at its real end. A slot that was closed otherwise stays in the wheel as a
 * zombie until then. Memory: 64 bytes a slot, 11 to 23 of index and about 5 in the wheel.
 */
#ifndef WEIR_CORE_SESSIONS_H
#define WEIR_CORE_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/event.h"
#include "weir/partition.h"

enum weir_session_flag {
    WEIR_ENGAGED = 1 << 0,
    WEIR_CART = 1 << 1,
    WEIR_CONVERTED = 1 << 2,
    WEIR_CHECKOUT = 1 << 3,
    WEIR_BOT = 1 << 4,
    WEIR_PAGED = 1 << 5,     /* one page_view was seen */
    WEIR_DIRTY = 1 << 6,     /* changed since the last export */
    WEIR_PERSISTED = 1 << 7, /* the stored state knows this session */
    WEIR_WHOLE = 1 << 8,     /* more changed than an update record holds */
    WEIR_OPEN = 1 << 9,      /* not a zombie */
};
/* What of the flags is state; the others are bookkeeping. */
#define WEIR_SESSION_STATE_FLAGS 0x3f

struct weir_session {
    uint64_t key;
    uint64_t visitor;
    uint64_t start_ms : 48, flags : 16;
    uint64_t last_ms : 48, events : 16; /* events stay at 65535 */
    uint32_t check;
    uint32_t next;   /* of the free slots; 0 ends them */
    uint32_t orders; /* first node, 0 for none */
    uint32_t cart;   /* pieces */
    uint16_t values[WEIR_DIMENSIONS_MAX];
};
_Static_assert(sizeof(struct weir_session) == 64, "a session is one cache line");

/* A purchase of a session; all those without an order id share the node of hash 0. */
struct weir_order {
    uint64_t hash;
    int64_t micros;
    uint32_t orders;
    uint32_t next;
};

struct weir_sessions_timing {
    int64_t gap_ms, cap_ms;
};

struct weir_sessions;
struct weir_sessions *weir_sessions_new(struct weir_sessions_timing timing, uint32_t max);
void weir_sessions_free(struct weir_sessions *sessions);

uint32_t weir_sessions_len(const struct weir_sessions *sessions);
uint32_t weir_sessions_max(const struct weir_sessions *sessions);
size_t weir_sessions_memory(const struct weir_sessions *sessions);

/* Asks the memory for the key's index line, and for the session's line of the key before the last
 * few: its index line should be there by now. */
void weir_sessions_prefetch(struct weir_sessions *sessions, uint64_t key);
/* NULL when none of that key is open. Valid until it is removed or another one is added. */
struct weir_session *weir_sessions_find(const struct weir_sessions *sessions, uint64_t key,
                                        uint32_t check);
/* A zeroed session of that key (not open yet), flags WEIR_OPEN. The caller keeps to max. Pointers
 * to other sessions are not valid any more. */
struct weir_session *weir_sessions_add(struct weir_sessions *sessions, uint64_t key,
                                       uint32_t check);
/* Many sessions are to come, each key once and near to each other in the table, which would make
 * long runs while it is small: until weir_sessions_index they are added but not found. */
void weir_sessions_defer(struct weir_sessions *sessions);
void weir_sessions_index(struct weir_sessions *sessions);
/* Files it in the wheel, once its times are set. */
void weir_sessions_file(struct weir_sessions *sessions, struct weir_session *session);
/* Takes it out of the table; the slot becomes a zombie. Frees its orders. */
void weir_sessions_remove(struct weir_sessions *sessions, struct weir_session *session);

void weir_sessions_drop_orders(struct weir_sessions *sessions, struct weir_session *session);

int64_t weir_session_end_ms(const struct weir_sessions *sessions,
                            const struct weir_session *session);

/* Called for a session that ends; must call weir_sessions_remove on it, and nothing else here. */
typedef void weir_session_ended(void *context, struct weir_session *session);

/* Moves the wheel to `second`, calling `ended` for each session whose end is due. `floor_ms` is the
 * earliest time that an event may still have: out of order it may move a start, and with it the
 * end by the cap, back to there. */
void weir_sessions_advance(struct weir_sessions *sessions, int64_t second, int64_t floor_ms,
                           weir_session_ended *ended, void *context);
/* Calls `ended` for sessions in the order of their end's second, whole seconds at a time, until at
 * most `keep` are open. */
void weir_sessions_evict(struct weir_sessions *sessions, uint32_t keep, weir_session_ended *ended,
                         void *context);

/* Files every open session anew and frees every zombie: after an import or many removals. */
void weir_sessions_refile(struct weir_sessions *sessions);

uint32_t weir_sessions_slot(const struct weir_sessions *sessions,
                            const struct weir_session *session);
/* The number after that of the last slot that was ever handed out; the first is 1. */
uint32_t weir_sessions_slots(const struct weir_sessions *sessions);
/* The session of a slot that was handed out before; may be a zombie. */
struct weir_session *weir_sessions_at(const struct weir_sessions *sessions, uint32_t slot);

/* The first session at or after index position *position whose key's top bits are `chunk` of
 * `chunk_bits`; NULL after the last. Start with *position 0. */
struct weir_session *weir_sessions_next_in_chunk(const struct weir_sessions *sessions,
                                                 uint32_t chunk, uint32_t chunk_bits,
                                                 uint64_t *position);

/* Orders: the node of that hash in the session, NULL when there is none. */
struct weir_order *weir_sessions_order(const struct weir_sessions *sessions,
                                       const struct weir_session *session, uint64_t hash);
/* How many orders are known by their id. */
uint32_t weir_sessions_order_ids(const struct weir_sessions *sessions);
/* Appends a node with no orders in it. */
struct weir_order *weir_sessions_add_order(struct weir_sessions *sessions,
                                           struct weir_session *session, uint64_t hash);
/* By the node's number (weir_session.orders, weir_order.next), never 0. */
struct weir_order *weir_sessions_order_at(const struct weir_sessions *sessions, uint32_t number);

#endif
