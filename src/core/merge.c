#include "core/merge.h"

#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

#define ENTRIES_MAX (WEIR_COUNTERS + WEIR_BINS)

/* Cells stay where they are, as the map points to them: only the list of dense numbers, which
 * nobody needs in cell order any more, is sorted. */
static int by_number(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

void weir_merge_sort(struct weir_cells *delta) {
    if (delta->len > 1)
        qsort(delta->dense, delta->len, sizeof *delta->dense, by_number);
}

/* The entries of one dense segment of a delta, ascending. */
static uint32_t delta_entries(const struct weir_cells *delta, uint32_t dense,
                              struct weir_entry *entries) {
    const int64_t *cell = delta->cells[delta->map[dense] - 1];
    uint32_t len = 0;
    for (uint32_t c = 0; c < WEIR_COUNTERS; c++)
        if (cell[c] != 0)
            entries[len++] = (struct weir_entry){c, cell[c]};
    bool has_bins = dense == 0 && delta->bins;
    for (uint32_t bin = 0; has_bins && bin < WEIR_BINS; bin++)
        if (delta->bins[bin] != 0)
            entries[len++] = (struct weir_entry){WEIR_BIN_FIRST + bin, delta->bins[bin]};
    return len;
}

static uint32_t stored_entries(struct weir_bucket_reader *reader, struct weir_entry *entries) {
    uint32_t len = 0;
    int more;
    while ((more = weir_bucket_entry(reader, &entries[len])) > 0)
        len++;
    WEIR_ASSERT(more == 0);
    return len;
}

static uint32_t add_entries(const struct weir_entry *a, uint32_t a_len, const struct weir_entry *b,
                            uint32_t b_len, struct weir_entry *out) {
    uint32_t len = 0, i = 0, j = 0;
    while (i < a_len || j < b_len) {
        if (j == b_len || (i < a_len && a[i].id < b[j].id)) {
            out[len++] = a[i++];
        } else if (i == a_len || b[j].id < a[i].id) {
            out[len++] = b[j++];
        } else {
            out[len] = (struct weir_entry){a[i].id, a[i].value + b[j].value};
            len += out[len].value != 0;
            i++;
            j++;
        }
    }
    return len;
}

static void merge_segments(const struct weir_window *window, struct weir_bucket_reader *reader,
                           bool stored, const struct weir_cells *delta,
                           struct weir_bucket_writer *writer) {
    struct weir_entry old[ENTRIES_MAX], new[ENTRIES_MAX], sum[ENTRIES_MAX];
    uint32_t segment = 0, at = 0;
    bool more = stored && weir_bucket_segment(reader, &segment) > 0;
    while (more || at < delta->len) {
        uint32_t next = at < delta->len ? weir_window_segment(window, delta->dense[at]) : 0;
        bool take_old = more && (at == delta->len || segment <= next);
        bool take_new = at < delta->len && (!more || next <= segment);
        uint32_t old_len = take_old ? stored_entries(reader, old) : 0;
        uint32_t new_len = take_new ? delta_entries(delta, delta->dense[at], new) : 0;
        uint32_t len = add_entries(old, old_len, new, new_len, sum);
        weir_bucket_write_segment(writer, take_old ? segment : next, sum, len);
        if (take_old)
            more = weir_bucket_segment(reader, &segment) > 0;
        at += take_new;
    }
}

void weir_merge(struct weir_window *window, struct weir_stored *stored,
                const struct weir_cells *delta) {
    uint8_t hll[WEIR_HLL_REGISTERS] = {0};
    struct weir_bucket_reader reader = {0};
    if (stored->bytes) {
        int damaged = weir_bucket_read(&reader, stored->bytes, stored->len, hll);
        WEIR_ASSERT(!damaged); /* our own bytes, or checked at import */
    }
    for (int i = 0; delta->hll && i < WEIR_HLL_REGISTERS; i++)
        hll[i] = delta->hll[i] > hll[i] ? delta->hll[i] : hll[i];

    struct weir_buf *out = &window->packed;
    struct weir_bucket_writer writer;
    weir_buf_clear(out);
    weir_bucket_write(&writer, out, hll);
    merge_segments(window, &reader, stored->bytes != NULL, delta, &writer);
    WEIR_ASSERT(!out->failed);
    free(stored->bytes);
    stored->bytes = malloc(out->len); /* no more than it needs: many are held for long */
    WEIR_ASSERT(stored->bytes != NULL);
    memcpy(stored->bytes, out->data, out->len);
    stored->len = (uint32_t)out->len;
}
