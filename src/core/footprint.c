#include "weir/footprint.h"

#include "core/window.h"

#define EMPTY_BYTES ((size_t)1 << 20) /* tables, sketches of the deltas, lists that are kept */
#define TOTAL_BYTES ((size_t)6 << 10) /* of a packed bucket: the sketches of the total */
#define VALUE_BYTES 64                /* a value's text, and where to find it */
#define CUSTOM_BYTES 3                /* a custom counter in a packed segment */

/* The packed buckets of the whole lateness, and the places of those that Redis alone has. */
static size_t held_bytes(const struct weir_plan *plan) {
    size_t segment = WEIR_PACKED_BYTES + plan->custom_counters_len * CUSTOM_BYTES;
    size_t bucket = TOTAL_BYTES + weir_window_segments(plan) * segment, bytes = 0;
    for (int level = 0; level < WEIR_LEVELS; level++) {
        int64_t places = weir_level_retention_ms(plan, level) / weir_level_ms[level];
        bytes += weir_window_held(plan, level) * bucket +
                 2 * (size_t)places * sizeof(struct weir_stored);
    }
    return bytes + 2 * bucket; /* one is merged, in a buffer that grows by doubling */
}

size_t weir_footprint_fixed(const struct weir_plan *plan) {
    size_t segment = VALUE_BYTES + weir_window_deltas(plan) * sizeof(uint32_t);
    /* Cells in use and kept; buckets that wait for a commit, and the commit's copy. */
    size_t buffers = 2 * weir_window_cells_bytes(plan) + 2 * weir_window_unsaved_bytes(plan);
    return EMPTY_BYTES + buffers + weir_window_segments(plan) * segment + held_bytes(plan);
}

size_t weir_footprint(const struct weir_plan *plan) {
    return weir_footprint_fixed(plan) + (size_t)plan->sessions_max * WEIR_SESSION_BYTES;
}
