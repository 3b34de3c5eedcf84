#include "core/visitors.h"

#include <stdlib.h>

#include "weir/err.h"

#define BITS_MIN 8 /* not below the bits of a chunk */
#define GONE INT64_MIN

int weir_visitors_init(struct weir_visitors *visitors, int64_t recovery_ms, uint32_t max) {
    *visitors = (struct weir_visitors){.bits = BITS_MIN, .max = max, .recovery_ms = recovery_ms};
    visitors->slots = calloc((size_t)1 << BITS_MIN, sizeof *visitors->slots);
    return visitors->slots ? 0 : -1;
}

void weir_visitors_close(struct weir_visitors *visitors) {
    free(visitors->slots);
    free(visitors->changed);
    free(visitors->restored);
}

size_t weir_visitors_memory(const struct weir_visitors *visitors) {
    return (sizeof *visitors->slots << visitors->bits) +
           visitors->changed_cap * sizeof *visitors->changed;
}

static struct weir_abandoned *slot_of(const struct weir_visitors *visitors, uint64_t visitor) {
    uint32_t mask = (1U << visitors->bits) - 1;
    uint32_t at = (uint32_t)(visitor >> (64 - visitors->bits));
    while (visitors->slots[at].visitor && visitors->slots[at].visitor != visitor)
        at = (at + 1) & mask;
    return &visitors->slots[at];
}

static bool is_waiting(const struct weir_visitors *visitors, const struct weir_abandoned *entry,
                       int64_t floor_ms) {
    return entry->visitor && entry->end_ms != GONE &&
           entry->end_ms + visitors->recovery_ms >= floor_ms;
}

/* Leaves out what is past recovery or recovered, and makes room for as many again. */
static void rebuild(struct weir_visitors *visitors, int64_t floor_ms) {
    struct weir_abandoned *old = visitors->slots;
    uint32_t old_len = 1U << visitors->bits, kept = 0;
    for (uint32_t i = 0; i < old_len; i++) {
        if (!is_waiting(visitors, &old[i], floor_ms))
            old[i].visitor = 0;
        kept += old[i].visitor != 0;
    }
    while (visitors->bits > BITS_MIN && kept * 8 < 1U << visitors->bits)
        visitors->bits--;
    while (kept * 2 >= 1U << visitors->bits)
        visitors->bits++;
    visitors->slots = calloc((size_t)1 << visitors->bits, sizeof *visitors->slots);
    WEIR_ASSERT(visitors->slots != NULL);
    for (uint32_t i = 0; i < old_len; i++)
        if (old[i].visitor)
            *slot_of(visitors, old[i].visitor) = old[i];
    visitors->used = visitors->waiting = kept;
    free(old);
}

static struct weir_abandoned *slot_for(struct weir_visitors *visitors, uint64_t visitor,
                                       int64_t floor_ms) {
    struct weir_abandoned *slot = slot_of(visitors, visitor);
    if (slot->visitor)
        return slot;
    if (visitors->used / 3 >= 1U << (visitors->bits - 2)) {
        rebuild(visitors, floor_ms);
        slot = slot_of(visitors, visitor);
    }
    visitors->used++;
    *slot = (struct weir_abandoned){visitor, GONE};
    return slot;
}

static int ascending(const void *left, const void *right) {
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Each once; and where nothing is stored, only those of whom there is something to store. */
static void compact_changed(struct weir_visitors *visitors) {
    size_t kept = 0;
    qsort(visitors->changed, visitors->changed_len, sizeof *visitors->changed, ascending);
    for (size_t i = 0; i < visitors->changed_len; i++) {
        uint64_t visitor = visitors->changed[i];
        bool again = kept > 0 && visitors->changed[kept - 1] == visitor;
        if (!again && (visitors->stored || weir_visitors_find(visitors, visitor)))
            visitors->changed[kept++] = visitor;
    }
    visitors->changed_len = kept;
}

static void make_changed_room(struct weir_visitors *visitors) {
    if (visitors->changed_cap > 0)
        compact_changed(visitors);
    if (visitors->changed_len < visitors->changed_cap / 2)
        return;
    visitors->changed_cap = visitors->changed_cap ? visitors->changed_cap * 2 : 64;
    visitors->changed =
        realloc(visitors->changed, visitors->changed_cap * sizeof *visitors->changed);
    WEIR_ASSERT(visitors->changed != NULL);
}

static void mark(struct weir_visitors *visitors, uint64_t visitor) {
    if (visitors->changed_len == visitors->changed_cap)
        make_changed_room(visitors);
    visitors->changed[visitors->changed_len++] = visitor;
}

/* ---- the ceiling ---- */

static int64_t second_of(const struct weir_abandoned *entry) {
    return (entry->end_ms + 999) / 1000;
}

/* How many of those that wait end in a second up to `last`; also the first and the last second. */
static uint32_t count_until(const struct weir_visitors *visitors, int64_t floor_ms, int64_t last,
                            int64_t *lowest, int64_t *highest) {
    uint32_t count = 0;
    *lowest = INT64_MAX;
    *highest = INT64_MIN;
    for (uint32_t i = 0; i < 1U << visitors->bits; i++) {
        const struct weir_abandoned *entry = &visitors->slots[i];
        if (!is_waiting(visitors, entry, floor_ms))
            continue;
        int64_t second = second_of(entry);
        count += second <= last;
        *lowest = second < *lowest ? second : *lowest;
        *highest = second > *highest ? second : *highest;
    }
    return count;
}

/* The first second by which at least `n` of those that wait end. */
static int64_t nth_second(const struct weir_visitors *visitors, int64_t floor_ms, uint32_t n) {
    int64_t low, high, first, last;
    count_until(visitors, floor_ms, 0, &low, &high);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (count_until(visitors, floor_ms, middle, &first, &last) >= n)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void weir_visitors_trim(struct weir_visitors *visitors, int64_t floor_ms) {
    int64_t first, last;
    visitors->waiting = count_until(visitors, floor_ms, INT64_MAX, &first, &last);
    if (visitors->waiting <= visitors->max)
        return;
    uint32_t keep = visitors->max - visitors->max / 16;
    int64_t until = nth_second(visitors, floor_ms, visitors->waiting - keep);
    for (uint32_t i = 0; i < 1U << visitors->bits; i++) {
        struct weir_abandoned *entry = &visitors->slots[i];
        if (!is_waiting(visitors, entry, floor_ms) || second_of(entry) > until)
            continue;
        entry->end_ms = GONE;
        mark(visitors, entry->visitor);
        visitors->waiting--;
    }
}

void weir_visitors_abandoned(struct weir_visitors *visitors, uint64_t visitor, int64_t end_ms,
                             int64_t floor_ms) {
    struct weir_abandoned *slot = slot_for(visitors, visitor, floor_ms);
    if (slot->end_ms >= end_ms)
        return;
    visitors->waiting += !is_waiting(visitors, slot, floor_ms);
    slot->end_ms = end_ms;
    mark(visitors, visitor);
}

bool weir_visitors_recover(struct weir_visitors *visitors, uint64_t visitor, int64_t time_ms) {
    struct weir_abandoned *slot = slot_of(visitors, visitor);
    if (!slot->visitor || slot->end_ms == GONE || time_ms > slot->end_ms + visitors->recovery_ms)
        return false;
    slot->end_ms = GONE;
    visitors->waiting--;
    mark(visitors, visitor);
    return true;
}

const struct weir_abandoned *weir_visitors_find(const struct weir_visitors *visitors,
                                                uint64_t visitor) {
    const struct weir_abandoned *slot = slot_of(visitors, visitor);
    return slot->visitor && slot->end_ms != GONE ? slot : NULL;
}

void weir_visitors_defer(struct weir_visitors *visitors) {
    visitors->deferred = true;
}

static void put_aside(struct weir_visitors *visitors, uint64_t visitor, int64_t end_ms) {
    if (visitors->restored_len == visitors->restored_cap) {
        visitors->restored_cap = visitors->restored_cap ? visitors->restored_cap * 2 : 256;
        visitors->restored =
            realloc(visitors->restored, visitors->restored_cap * sizeof *visitors->restored);
        WEIR_ASSERT(visitors->restored != NULL);
    }
    visitors->restored[visitors->restored_len++] = (struct weir_abandoned){visitor, end_ms};
}

void weir_visitors_index(struct weir_visitors *visitors) {
    visitors->deferred = false;
    while (visitors->restored_len * 2 >= 1ULL << visitors->bits)
        visitors->bits++;
    free(visitors->slots);
    visitors->slots = calloc((size_t)1 << visitors->bits, sizeof *visitors->slots);
    WEIR_ASSERT(visitors->slots != NULL);
    for (size_t i = 0; i < visitors->restored_len; i++)
        weir_visitors_restore(visitors, visitors->restored[i].visitor,
                              visitors->restored[i].end_ms);
    free(visitors->restored);
    visitors->restored = NULL;
    visitors->restored_len = visitors->restored_cap = 0;
}

void weir_visitors_restore(struct weir_visitors *visitors, uint64_t visitor, int64_t end_ms) {
    if (visitors->deferred) {
        put_aside(visitors, visitor, end_ms);
        return;
    }
    struct weir_abandoned *slot = slot_for(visitors, visitor, GONE);
    visitors->waiting += end_ms != GONE;
    visitors->waiting -= slot->end_ms != GONE;
    slot->end_ms = end_ms;
}

const struct weir_abandoned *weir_visitors_next_in_chunk(const struct weir_visitors *visitors,
                                                         uint32_t chunk, uint32_t chunk_bits,
                                                         uint64_t *position) {
    uint64_t first = (uint64_t)chunk << (64 - chunk_bits);
    uint64_t last = first | (~0ULL >> chunk_bits);
    uint64_t start = first >> (64 - visitors->bits), end = last >> (64 - visitors->bits);
    uint64_t mask = (1ULL << visitors->bits) - 1;
    /* positions count from the chunk's first home; past its last one until the cluster ends */
    for (;; (*position)++) {
        uint64_t at = start + *position;
        const struct weir_abandoned *entry = &visitors->slots[at & mask];
        if (*position > mask || (at > end && !entry->visitor))
            return NULL;
        if (entry->visitor && entry->visitor >> (64 - chunk_bits) == chunk &&
            entry->end_ms != GONE) {
            (*position)++;
            return entry;
        }
    }
}
