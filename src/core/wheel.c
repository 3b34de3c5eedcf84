#include "core/wheel.h"

#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

#define BITS 10
#define MASK (WEIR_WHEEL_SLOTS - 1)

#define BATCHES_MIN 64

void weir_wheel_init(struct weir_wheel *wheel, int64_t now) {
    memset(wheel->heads, 0, sizeof wheel->heads);
    memset(wheel->used, 0, sizeof wheel->used);
    wheel->now = now;
    wheel->due = 0;
    wheel->batches_used = 1; /* 0 is none */
    wheel->free_batches = 0;
}

void weir_wheel_close(struct weir_wheel *wheel) {
    free(wheel->batches);
    *wheel = (struct weir_wheel){0};
}

size_t weir_wheel_memory(const struct weir_wheel *wheel) {
    return sizeof *wheel + wheel->batches_used * sizeof *wheel->batches;
}

static uint32_t batch_new(struct weir_wheel *wheel, uint32_t next) {
    uint32_t number = wheel->free_batches;
    if (number) {
        wheel->free_batches = wheel->batches[number].next;
    } else {
        if (wheel->batches_used >= wheel->batches_cap) {
            uint32_t cap = wheel->batches_cap ? wheel->batches_cap * 2 : BATCHES_MIN;
            wheel->batches = realloc(wheel->batches, cap * sizeof *wheel->batches);
            WEIR_ASSERT(wheel->batches != NULL);
            wheel->batches_cap = cap;
        }
        number = wheel->batches_used++;
    }
    wheel->batches[number].next = next;
    wheel->batches[number].len = 0;
    return number;
}

void weir_wheel_add(struct weir_wheel *wheel, int64_t second, uint32_t item) {
    WEIR_ASSERT(second > wheel->now);
    int level = 0;
    while (level < WEIR_WHEEL_LEVELS - 1 &&
           second >> (BITS * (level + 1)) != wheel->now >> (BITS * (level + 1)))
        level++;
    uint32_t slot = (uint32_t)(second >> (BITS * level)) & MASK;
    uint32_t *head = &wheel->heads[level][slot];
    if (!*head || wheel->batches[*head].len == WEIR_WHEEL_BATCH)
        *head = batch_new(wheel, *head);
    wheel->used[level][slot / 64] |= 1ULL << (slot % 64);
    struct weir_wheel_batch *batch = &wheel->batches[*head];
    batch->items[batch->len++] = item;
}

static uint32_t take_slot(struct weir_wheel *wheel, int level, uint32_t slot) {
    uint32_t first = wheel->heads[level][slot];
    wheel->heads[level][slot] = 0;
    wheel->used[level][slot / 64] &= ~(1ULL << (slot % 64));
    return first;
}

/* The first used slot in [from, WEIR_WHEEL_SLOTS), or WEIR_WHEEL_SLOTS. */
static uint32_t next_used(const struct weir_wheel *wheel, int level, uint32_t from) {
    for (uint32_t word = from / 64; word < WEIR_WHEEL_SLOTS / 64; word++) {
        uint64_t bits = wheel->used[level][word];
        if (word == from / 64)
            bits &= ~0ULL << (from % 64);
        if (bits)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return WEIR_WHEEL_SLOTS;
}

/* The next second after now at which a used slot of this level begins, in the part of the level
 * that now lies in; -1 when there is none. */
static int64_t next_second(const struct weir_wheel *wheel, int level) {
    int64_t unit = wheel->now >> (BITS * level);
    uint32_t from = ((uint32_t)unit & MASK) + 1;
    uint32_t slot = from < WEIR_WHEEL_SLOTS ? next_used(wheel, level, from) : WEIR_WHEEL_SLOTS;
    if (slot == WEIR_WHEEL_SLOTS)
        return -1;
    return ((unit & ~(int64_t)MASK) + slot) << (BITS * level);
}

/* The top level is a ring: its slots before now's belong to the next turn. */
static int64_t next_turn(const struct weir_wheel *wheel) {
    const int top = WEIR_WHEEL_LEVELS - 1;
    uint32_t slot = next_used(wheel, top, 0);
    if (slot == WEIR_WHEEL_SLOTS)
        return -1;
    int64_t unit = (wheel->now >> (BITS * top)) | MASK;
    return (unit + 1 + slot) << (BITS * top);
}

/* The batches of the next slot that begins by `until`, 0 when there is none. */
static uint32_t next_slot(struct weir_wheel *wheel, int64_t until) {
    /* A lower level's slots all come before the next slot of the level above it. */
    for (int level = 0; level < WEIR_WHEEL_LEVELS; level++) {
        int64_t second = next_second(wheel, level);
        bool top = level == WEIR_WHEEL_LEVELS - 1;
        if (second < 0 && top)
            second = next_turn(wheel);
        if (second < 0)
            continue;
        if (second > until)
            break;
        wheel->now = second;
        return take_slot(wheel, level, (uint32_t)(second >> (BITS * level)) & MASK);
    }
    if (until > wheel->now)
        wheel->now = until;
    return 0;
}

bool weir_wheel_take(struct weir_wheel *wheel, int64_t until, struct weir_wheel_batch *batch) {
    if (!wheel->due)
        wheel->due = next_slot(wheel, until);
    if (!wheel->due)
        return false;
    uint32_t number = wheel->due;
    *batch = wheel->batches[number];
    wheel->due = batch->next;
    wheel->batches[number].next = wheel->free_batches;
    wheel->free_batches = number;
    return true;
}

const struct weir_wheel_batch *weir_wheel_peek(const struct weir_wheel *wheel) {
    return wheel->due ? &wheel->batches[wheel->due] : NULL;
}
