#include "core/sessions.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/wheel.h"
#include "weir/err.h"

#define INDEX_BITS_MIN 8
#define SLOTS_MIN 1024
#define ZOMBIES_MIN 1024
#define AHEAD 16 /* sessions from the request for a line to its turn */
#define SOON 8   /* the same for the index line of one whose own line should be there */
#define ASKED 4  /* keys from the request for the index line to that for the session's line */

struct index_entry {
    uint32_t tag;  /* the key's high half: gives the home position at any size */
    uint32_t slot; /* 0: free */
};

struct weir_sessions {
    struct weir_sessions_timing timing;
    uint32_t max, len;

    struct weir_session *slab; /* [0] is not used */
    uint32_t slots, slots_used, free_slots, zombies;
    size_t slab_bytes;

    struct index_entry *index;
    uint32_t index_bits;
    bool deferred;         /* the index is to be made anew */
    uint64_t asked[ASKED]; /* the last keys that were asked for; a ring */
    uint32_t asked_at;

    struct weir_order *orders; /* [0] is not used */
    uint32_t orders_cap, orders_used, free_orders;
    uint32_t order_ids; /* nodes with a hash */

    struct weir_wheel wheel;
    bool wheel_started;
    int64_t floor_ms; /* the earliest time that an event may still have */
};

/* Zeroed, in huge pages where the kernel has them: a look-up touches a random page each time. */
static void *map_pages(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

static size_t index_bytes(const struct weir_sessions *sessions) {
    return sizeof *sessions->index << sessions->index_bits;
}

struct weir_sessions *weir_sessions_new(struct weir_sessions_timing timing, uint32_t max) {
    struct weir_sessions *sessions = calloc(1, sizeof *sessions);
    if (!sessions)
        return NULL;
    sessions->timing = timing;
    weir_wheel_init(&sessions->wheel, 0);
    sessions->max = max;
    sessions->slots = SLOTS_MIN;
    sessions->slots_used = 1;
    sessions->slab_bytes = (size_t)sessions->slots * sizeof(struct weir_session);
    sessions->slab = map_pages(sessions->slab_bytes);
    sessions->index_bits = INDEX_BITS_MIN;
    sessions->index = map_pages(index_bytes(sessions));
    sessions->orders_used = 1;
    if (!sessions->slab || !sessions->index) {
        weir_sessions_free(sessions);
        return NULL;
    }
    return sessions;
}

void weir_sessions_free(struct weir_sessions *sessions) {
    if (!sessions)
        return;
    if (sessions->slab)
        munmap(sessions->slab, sessions->slab_bytes);
    if (sessions->index)
        munmap(sessions->index, index_bytes(sessions));
    free(sessions->orders);
    weir_wheel_close(&sessions->wheel);
    free(sessions);
}

uint32_t weir_sessions_len(const struct weir_sessions *sessions) {
    return sessions->len;
}

uint32_t weir_sessions_max(const struct weir_sessions *sessions) {
    return sessions->max;
}

size_t weir_sessions_memory(const struct weir_sessions *sessions) {
    return sizeof *sessions + sessions->slots_used * sizeof(struct weir_session) +
           index_bytes(sessions) + weir_wheel_memory(&sessions->wheel) +
           sessions->orders_cap * sizeof(struct weir_order);
}

/* ---- the table ---- */

static uint32_t tag_of(uint64_t key) {
    return (uint32_t)(key >> 32);
}

static uint32_t home_of(const struct weir_sessions *sessions, uint32_t tag) {
    return tag >> (32 - sessions->index_bits);
}

static uint32_t index_mask(const struct weir_sessions *sessions) {
    return (uint32_t)((1ULL << sessions->index_bits) - 1);
}

/* The first index position from `at` on that has this tag, or that is free. */
static uint32_t index_find(const struct weir_sessions *sessions, uint32_t tag, uint32_t at) {
    uint32_t mask = index_mask(sessions);
    while (sessions->index[at].slot && sessions->index[at].tag != tag)
        at = (at + 1) & mask;
    return at;
}

void weir_sessions_prefetch(struct weir_sessions *sessions, uint64_t key) {
    uint64_t *asked = &sessions->asked[sessions->asked_at];
    sessions->asked_at = (sessions->asked_at + 1) % ASKED;
    uint32_t tag = tag_of(*asked), at = index_find(sessions, tag, home_of(sessions, tag));
    __builtin_prefetch(&sessions->slab[sessions->index[at].slot], 1);
    __builtin_prefetch(&sessions->index[home_of(sessions, tag_of(key))]);
    *asked = key;
}

struct weir_session *weir_sessions_find(const struct weir_sessions *sessions, uint64_t key,
                                        uint32_t check) {
    uint32_t tag = tag_of(key), mask = index_mask(sessions);
    uint32_t at = index_find(sessions, tag, home_of(sessions, tag));
    for (; sessions->index[at].slot; at = index_find(sessions, tag, (at + 1) & mask)) {
        struct weir_session *session = &sessions->slab[sessions->index[at].slot];
        if (session->key == key && session->check == check)
            return session;
    }
    return NULL;
}

static void index_put(struct weir_sessions *sessions, struct index_entry entry) {
    uint32_t mask = index_mask(sessions), at = home_of(sessions, entry.tag);
    while (sessions->index[at].slot)
        at = (at + 1) & mask;
    sessions->index[at] = entry;
}

static void index_grow(struct weir_sessions *sessions) {
    struct index_entry *old = sessions->index;
    size_t old_bytes = index_bytes(sessions), old_len = old_bytes / sizeof *old;
    sessions->index_bits++;
    sessions->index = map_pages(index_bytes(sessions));
    WEIR_ASSERT(sessions->index != NULL); /* out of memory: the state in Redis is whole */
    for (size_t i = 0; i < old_len; i++)
        if (old[i].slot)
            index_put(sessions, old[i]);
    munmap(old, old_bytes);
}

static bool is_crowded(const struct weir_sessions *sessions) {
    return (uint64_t)sessions->len * 10 >= (7ULL << sessions->index_bits);
}

/* Backward-shift deletion: what follows moves up as long as that brings it nearer to its home. */
static void index_remove(struct weir_sessions *sessions, uint64_t key, uint32_t slot) {
    uint32_t mask = index_mask(sessions), at = home_of(sessions, tag_of(key));
    while (sessions->index[at].slot != slot)
        at = (at + 1) & mask;
    for (uint32_t next = (at + 1) & mask; sessions->index[next].slot; next = (next + 1) & mask) {
        uint32_t home = home_of(sessions, sessions->index[next].tag);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            sessions->index[at] = sessions->index[next];
            at = next;
        }
    }
    sessions->index[at] = (struct index_entry){0};
}

uint32_t weir_sessions_slot(const struct weir_sessions *sessions,
                            const struct weir_session *session) {
    return (uint32_t)(session - sessions->slab);
}

uint32_t weir_sessions_slots(const struct weir_sessions *sessions) {
    return sessions->slots_used;
}

struct weir_session *weir_sessions_at(const struct weir_sessions *sessions, uint32_t slot) {
    return &sessions->slab[slot];
}

/* Twice as many slots. The kernel moves pages, not bytes, so this costs little at any size. */
static void slab_grow(struct weir_sessions *sessions) {
    size_t bytes = sessions->slab_bytes * 2;
    void *slab = mremap(sessions->slab, sessions->slab_bytes, bytes, MREMAP_MAYMOVE);
    WEIR_ASSERT(slab != MAP_FAILED); /* out of memory: the state in Redis is whole, start again */
    sessions->slab = slab;
    sessions->slab_bytes = bytes;
    sessions->slots *= 2;
}

static uint32_t slot_take(struct weir_sessions *sessions) {
    if (!sessions->free_slots && sessions->zombies > ZOMBIES_MIN &&
        sessions->zombies > sessions->len / 4)
        weir_sessions_refile(sessions); /* frees the zombies */
    uint32_t slot = sessions->free_slots;
    if (slot) {
        sessions->free_slots = sessions->slab[slot].next;
        __builtin_prefetch(&sessions->slab[sessions->free_slots], 1); /* the next one to be taken */
        return slot;
    }
    if (sessions->slots_used == sessions->slots)
        slab_grow(sessions);
    return sessions->slots_used++;
}

static void slot_free(struct weir_sessions *sessions, uint32_t slot) {
    sessions->slab[slot].next = sessions->free_slots;
    sessions->free_slots = slot;
    sessions->zombies--;
}

struct weir_session *weir_sessions_add(struct weir_sessions *sessions, uint64_t key,
                                       uint32_t check) {
    if (!sessions->deferred && is_crowded(sessions))
        index_grow(sessions);
    uint32_t slot = slot_take(sessions);
    struct weir_session *session = &sessions->slab[slot];
    *session = (struct weir_session){.key = key, .check = check, .flags = WEIR_OPEN};
    if (!sessions->deferred)
        index_put(sessions, (struct index_entry){tag_of(key), slot});
    sessions->len++;
    return session;
}

void weir_sessions_defer(struct weir_sessions *sessions) {
    sessions->deferred = true;
}

void weir_sessions_index(struct weir_sessions *sessions) {
    munmap(sessions->index, index_bytes(sessions));
    while (is_crowded(sessions))
        sessions->index_bits++;
    sessions->index = map_pages(index_bytes(sessions));
    WEIR_ASSERT(sessions->index != NULL);
    for (uint32_t slot = 1; slot < sessions->slots_used; slot++) {
        const struct weir_session *session = &sessions->slab[slot];
        if (session->flags & WEIR_OPEN)
            index_put(sessions, (struct index_entry){tag_of(session->key), slot});
    }
    sessions->deferred = false;
}

void weir_sessions_drop_orders(struct weir_sessions *sessions, struct weir_session *session) {
    while (session->orders) {
        uint32_t number = session->orders;
        sessions->order_ids -= sessions->orders[number].hash != 0;
        session->orders = sessions->orders[number].next;
        sessions->orders[number].next = sessions->free_orders;
        sessions->free_orders = number;
    }
}

void weir_sessions_remove(struct weir_sessions *sessions, struct weir_session *session) {
    index_remove(sessions, session->key, weir_sessions_slot(sessions, session));
    weir_sessions_drop_orders(sessions, session);
    session->flags = 0;
    sessions->len--;
    sessions->zombies++;
}

struct weir_session *weir_sessions_next_in_chunk(const struct weir_sessions *sessions,
                                                 uint32_t chunk, uint32_t chunk_bits,
                                                 uint64_t *position) {
    uint32_t mask = index_mask(sessions);
    uint32_t first_tag = chunk << (32 - chunk_bits);
    uint64_t start = home_of(sessions, first_tag);
    uint64_t end = home_of(sessions, first_tag | ((1U << (32 - chunk_bits)) - 1));
    /* positions count from the chunk's first home; past its last home until the cluster ends */
    for (;; (*position)++) {
        uint64_t at = start + *position;
        struct index_entry entry = sessions->index[at & mask];
        __builtin_prefetch(&sessions->slab[sessions->index[(at + AHEAD) & mask].slot]);
        if (*position > mask || (at > end && !entry.slot))
            return NULL;
        if (entry.slot && entry.tag >> (32 - chunk_bits) == chunk) {
            (*position)++;
            return &sessions->slab[entry.slot];
        }
    }
}

/* ---- time ---- */

int64_t weir_session_end_ms(const struct weir_sessions *sessions,
                            const struct weir_session *session) {
    int64_t by_gap = (int64_t)session->last_ms + sessions->timing.gap_ms;
    int64_t by_cap = (int64_t)session->start_ms + sessions->timing.cap_ms;
    return by_gap < by_cap ? by_gap : by_cap;
}

static int64_t second_up(int64_t ms) {
    return (ms + 999) / 1000;
}

void weir_sessions_file(struct weir_sessions *sessions, struct weir_session *session) {
    /* An event out of order may still move the start, and with it the cap, back: look again
     * before that could have ended the session. */
    int64_t start_ms = (int64_t)session->start_ms;
    if (sessions->floor_ms < start_ms) {
        start_ms -= sessions->timing.gap_ms;
        start_ms = start_ms > sessions->floor_ms ? start_ms : sessions->floor_ms;
    }
    int64_t by_gap = (int64_t)session->last_ms + sessions->timing.gap_ms;
    int64_t by_cap = start_ms + sessions->timing.cap_ms;
    int64_t second = second_up(by_gap < by_cap ? by_gap : by_cap);
    if (second <= sessions->wheel.now)
        second = sessions->wheel.now + 1;
    weir_wheel_add(&sessions->wheel, second, weir_sessions_slot(sessions, session));
}

/* The lines of the batch after this one, and the index lines of this one. */
static void prefetch_batch(const struct weir_sessions *sessions,
                           const struct weir_wheel_batch *batch) {
    const struct weir_wheel_batch *next = weir_wheel_peek(&sessions->wheel);
    for (uint32_t i = 0; next && i < next->len; i++)
        __builtin_prefetch(&sessions->slab[next->items[i]], 1);
    for (uint32_t i = 0; i < batch->len; i++) {
        uint64_t key = sessions->slab[batch->items[i]].key;
        __builtin_prefetch(&sessions->index[home_of(sessions, tag_of(key))], 1);
    }
}

void weir_sessions_advance(struct weir_sessions *sessions, int64_t second, int64_t floor_ms,
                           weir_session_ended *ended, void *context) {
    sessions->floor_ms = floor_ms;
    if (!sessions->wheel_started) {
        weir_wheel_init(&sessions->wheel, second);
        sessions->wheel_started = true;
        return;
    }
    struct weir_wheel_batch batch;
    while (weir_wheel_take(&sessions->wheel, second, &batch)) {
        prefetch_batch(sessions, &batch);
        while (batch.len > 0) {
            uint32_t slot = batch.items[--batch.len];
            struct weir_session *session = &sessions->slab[slot];
            if ((session->flags & WEIR_OPEN) &&
                second_up(weir_session_end_ms(sessions, session)) <= sessions->wheel.now)
                ended(context, session);
            if (session->flags & WEIR_OPEN)
                weir_sessions_file(sessions, session);
            else
                slot_free(sessions, slot);
        }
    }
}

void weir_sessions_refile(struct weir_sessions *sessions) {
    weir_wheel_init(&sessions->wheel, sessions->wheel.now);
    sessions->free_slots = 0;
    for (uint32_t slot = sessions->slots_used - 1; slot > 0; slot--) {
        struct weir_session *session = &sessions->slab[slot];
        if (session->flags & WEIR_OPEN)
            weir_sessions_file(sessions, session);
        else
            slot_free(sessions, slot);
    }
    sessions->zombies = 0; /* all of them are free now */
}

struct due {
    int64_t second;
    uint32_t slot;
};

#define DIGIT_BITS 12
#define SECOND_BITS 48 /* of a due second: far beyond the last time that there is */

/* The n-th smallest second, n from 1 on: digit by digit, by counting. */
static int64_t nth_second(const struct due *due, uint32_t len, uint32_t n) {
    int64_t found = 0;
    for (int shift = SECOND_BITS - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        uint32_t counts[1 << DIGIT_BITS] = {0}, digit = 0;
        for (uint32_t i = 0; i < len; i++)
            if (due[i].second >> (shift + DIGIT_BITS) == found)
                counts[(due[i].second >> shift) & ((1 << DIGIT_BITS) - 1)]++;
        while (counts[digit] < n)
            n -= counts[digit++];
        found = found << DIGIT_BITS | digit;
    }
    return found;
}

/* Keeps those that are due by `last`. */
static uint32_t select_due(struct due *due, uint32_t len, int64_t last) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < len; i++)
        if (due[i].second <= last)
            due[kept++] = due[i];
    return kept;
}

static uint32_t digit_of(struct due due, int64_t first, int shift) {
    return (uint32_t)((due.second - first) >> shift) & ((1 << DIGIT_BITS) - 1);
}

/* By second, those of one second as they were: digit by digit from the lowest on. A few hours are
 * two digits. */
static void sort_due(struct due *due, uint32_t len, int64_t last) {
    WEIR_ASSERT(len > 0);
    struct due *sorted = malloc(len * sizeof *sorted);
    WEIR_ASSERT(sorted != NULL);
    int64_t first = last;
    for (uint32_t i = 0; i < len; i++)
        first = due[i].second < first ? due[i].second : first;
    for (int shift = 0; (last - first) >> shift > 0; shift += DIGIT_BITS) {
        uint32_t starts[(1 << DIGIT_BITS) + 1] = {0};
        for (uint32_t i = 0; i < len; i++)
            starts[digit_of(due[i], first, shift) + 1]++;
        for (uint32_t digit = 1; digit < 1 << DIGIT_BITS; digit++)
            starts[digit] += starts[digit - 1];
        for (uint32_t i = 0; i < len; i++)
            sorted[starts[digit_of(due[i], first, shift)]++] = due[i];
        memcpy(due, sorted, len * sizeof *due);
    }
    free(sorted);
}

void weir_sessions_evict(struct weir_sessions *sessions, uint32_t keep, weir_session_ended *ended,
                         void *context) {
    if (sessions->len <= keep)
        return;
    struct due *due = calloc(sessions->len, sizeof *due);
    WEIR_ASSERT(due != NULL);
    uint32_t len = 0;
    for (uint32_t slot = 1; slot < sessions->slots_used; slot++) {
        struct weir_session *session = &sessions->slab[slot];
        if (session->flags & WEIR_OPEN)
            due[len++] = (struct due){second_up(weir_session_end_ms(sessions, session)), slot};
    }
    int64_t last = nth_second(due, len, len - keep);
    len = select_due(due, len, last);
    sort_due(due, len, last);
    for (uint32_t i = 0; i < len; i++) {
        __builtin_prefetch(&sessions->slab[due[i + AHEAD < len ? i + AHEAD : i].slot], 1);
        const struct weir_session *soon = &sessions->slab[due[i + SOON < len ? i + SOON : i].slot];
        __builtin_prefetch(&sessions->index[home_of(sessions, tag_of(soon->key))], 1);
        ended(context, &sessions->slab[due[i].slot]);
    }
    free(due);
    weir_sessions_refile(sessions);
}

/* ---- orders ---- */

struct weir_order *weir_sessions_order_at(const struct weir_sessions *sessions, uint32_t number) {
    return &sessions->orders[number];
}

struct weir_order *weir_sessions_order(const struct weir_sessions *sessions,
                                       const struct weir_session *session, uint64_t hash) {
    for (uint32_t number = session->orders; number; number = sessions->orders[number].next)
        if (sessions->orders[number].hash == hash)
            return &sessions->orders[number];
    return NULL;
}

uint32_t weir_sessions_order_ids(const struct weir_sessions *sessions) {
    return sessions->order_ids;
}

struct weir_order *weir_sessions_add_order(struct weir_sessions *sessions,
                                           struct weir_session *session, uint64_t hash) {
    uint32_t number = sessions->free_orders;
    if (number) {
        sessions->free_orders = sessions->orders[number].next;
    } else {
        if (sessions->orders_used == sessions->orders_cap || !sessions->orders) {
            uint32_t cap = sessions->orders_cap ? sessions->orders_cap * 2 : 64;
            struct weir_order *orders = realloc(sessions->orders, cap * sizeof *orders);
            WEIR_ASSERT(orders != NULL);
            sessions->orders = orders;
            sessions->orders_cap = cap;
        }
        number = sessions->orders_used++;
    }
    sessions->order_ids += hash != 0;
    sessions->orders[number] = (struct weir_order){.hash = hash, .next = session->orders};
    session->orders = number;
    return &sessions->orders[number];
}
