/*
 * merge: a delta's cells into a packed bucket. Pure.
 */
#ifndef WEIR_CORE_MERGE_H
#define WEIR_CORE_MERGE_H

#include "core/window.h"

/* Brings the cells of a delta into the order of segments, before its merges. */
void weir_merge_sort(struct weir_cells *delta);

/* stored->bytes = stored->bytes + delta, made in window->packed. */
void weir_merge(struct weir_window *window, struct weir_stored *stored,
                const struct weir_cells *delta);

#endif
