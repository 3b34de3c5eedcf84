/*
 * wheel: numbered items by the second in which they are due. A hierarchical timing wheel (Varghese
 * and Lauck 1987) of three levels of 1,024 slots: 1 s, 17 min and 12 days wide.
 *
 * The lists are intrusive: the owner keeps one `next` number per item; item 0 ends a list.
 * Pure; memory is 12 KiB, no allocation.
 */
#ifndef WEIR_CORE_WHEEL_H
#define WEIR_CORE_WHEEL_H

#include <stdint.h>

#define WEIR_WHEEL_LEVELS 3
#define WEIR_WHEEL_SLOTS 1024

struct weir_wheel {
    int64_t now; /* the last second whose items were taken */
    uint32_t heads[WEIR_WHEEL_LEVELS][WEIR_WHEEL_SLOTS];
    uint64_t used[WEIR_WHEEL_LEVELS][WEIR_WHEEL_SLOTS / 64]; /* a bit per non-empty slot */
};

void weir_wheel_init(struct weir_wheel *wheel, int64_t now);

/* The slot's head in which an item due at `second` (> now) belongs: the owner links it there by
 * next[item] = *head, *head = item. */
uint32_t *weir_wheel_slot(struct weir_wheel *wheel, int64_t second);

/* Moves `now` towards `until`, to the first second at which a list is due or must be filed again,
 * and gives that list (emptied in the wheel). 0 when `until` is reached without any. The owner
 * takes each item whose second is <= now and files the others again. */
uint32_t weir_wheel_take(struct weir_wheel *wheel, int64_t until);

#endif
