/*
 * wheel: numbered items by the second in which they are due. A hierarchical timing wheel (Varghese
 * and Lauck 1987) of three levels of 1,024 slots: 1 s, 17 min and 12 days wide.
 *
 * A slot's items lie in batches of one cache line each, not in a list through the items: who takes
 * them learns of fourteen at once and can ask the memory for all of them.
 * init/close for the caller's zeroed storage. Memory: 12 KiB, and 4 to 5 bytes an item where many
 * are due in each second. Pure. Out of memory asserts.
 */
#ifndef WEIR_CORE_WHEEL_H
#define WEIR_CORE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_WHEEL_LEVELS 3
#define WEIR_WHEEL_SLOTS 1024
#define WEIR_WHEEL_BATCH 14

struct weir_wheel_batch {
    uint32_t next; /* the wheel's own: the batch behind it, 0 for none */
    uint32_t len;
    uint32_t items[WEIR_WHEEL_BATCH];
};

struct weir_wheel {
    int64_t now; /* the last second whose items were taken */
    uint32_t heads[WEIR_WHEEL_LEVELS][WEIR_WHEEL_SLOTS];     /* batches by number, 0 for none */
    uint64_t used[WEIR_WHEEL_LEVELS][WEIR_WHEEL_SLOTS / 64]; /* a bit per non-empty slot */
    uint32_t due; /* the batches of the slot that is being taken */
    struct weir_wheel_batch *batches;
    uint32_t batches_used, batches_cap, free_batches;
};

/* Empties the wheel; keeps its memory. */
void weir_wheel_init(struct weir_wheel *wheel, int64_t now);
void weir_wheel_close(struct weir_wheel *wheel);
size_t weir_wheel_memory(const struct weir_wheel *wheel);

/* Adds an item that is due at `second` (> now). */
void weir_wheel_add(struct weir_wheel *wheel, int64_t second, uint32_t item);

/* Moves `now` towards `until`, to the first second at which items are due or must be added again,
 * and takes some of those out, the last added first in `items`' reverse order. False when `until`
 * is reached without any. The caller takes each item whose second is <= now and adds the others
 * again. */
bool weir_wheel_take(struct weir_wheel *wheel, int64_t until, struct weir_wheel_batch *batch);
/* What weir_wheel_take will give next at the same `now`, to be asked of the memory; or NULL. */
const struct weir_wheel_batch *weir_wheel_peek(const struct weir_wheel *wheel);

#endif
