#include "core/window.h"

#include <stdlib.h>
#include <string.h>

#include "core/merge.h"
#include "weir/err.h"

#define CELL_BYTES sizeof(int64_t[WEIR_COUNTERS])
#define BUCKET_BYTES_MAX ((size_t)256 << 20)
#define UNSAVED_BUCKETS 8 /* a live stream changes two or three between commits */

static void *grow(void *array, uint32_t *cap, size_t size) {
    *cap = *cap ? *cap * 2 : 16;
    void *grown = realloc(array, *cap * size);
    WEIR_ASSERT(grown != NULL);
    return grown;
}

static int cells_init(struct weir_cells *cells, uint32_t segments) {
    *cells = (struct weir_cells){0};
    cells->map = calloc(segments, sizeof *cells->map);
    return cells->map ? 0 : -1;
}

static void cells_close(struct weir_cells *cells) {
    free(cells->map);
    free(cells->dense);
    free(cells->cells);
    free(cells->hll);
    free(cells->bins);
}

uint32_t weir_window_segments(const struct weir_plan *plan) {
    return 1 + plan->dimensions_len * (plan->values_max + 2);
}

uint32_t weir_window_deltas(const struct weir_plan *plan) {
    size_t maps = WEIR_MAPS_MAX / (weir_window_segments(plan) * sizeof(uint32_t));
    if (maps < WEIR_DELTAS_MIN)
        return WEIR_DELTAS_MIN;
    return maps > WEIR_DELTAS_MAX ? WEIR_DELTAS_MAX : (uint32_t)maps;
}

static size_t buffers_bytes(const struct weir_plan *plan) {
    return plan->buffers_bytes ? plan->buffers_bytes : WEIR_BUFFERS_MAX;
}

size_t weir_window_cells_bytes(const struct weir_plan *plan) {
    size_t least = weir_window_segments(plan) * CELL_BYTES;
    if (least > WEIR_BUFFERS_MAX)
        least = WEIR_BUFFERS_MAX;
    return least > buffers_bytes(plan) ? least : buffers_bytes(plan);
}

size_t weir_window_unsaved_bytes(const struct weir_plan *plan) {
    size_t least = weir_window_segments(plan) * (size_t)WEIR_PACKED_BYTES * UNSAVED_BUCKETS;
    return least > buffers_bytes(plan) ? least : buffers_bytes(plan);
}

/* From the watermark, at which sessions end, back to the earliest event; and the two that these
 * bounds cut. What is older than the retention is deleted. */
size_t weir_window_held(const struct weir_plan *plan, int level) {
    int64_t retention_ms = weir_level_retention_ms(plan, level);
    int64_t held_ms = plan->allowed_lateness_ms + plan->out_of_orderness_ms;
    if (retention_ms == 0)
        return 0;
    return (size_t)((held_ms < retention_ms ? held_ms : retention_ms) / weir_level_ms[level]) + 2;
}

int weir_window_init(struct weir_window *window, const struct weir_plan *plan) {
    WEIR_ASSERT(weir_level_ms[0] == WEIR_DELTA_MS);
    *window = (struct weir_window){.plan = plan, .watermark_ms = INT64_MIN};
    window->segments = weir_window_segments(plan);
    window->deltas_max = weir_window_deltas(plan);
    window->cells_max = (uint32_t)(weir_window_cells_bytes(plan) / CELL_BYTES);
    window->unsaved_max = weir_window_unsaved_bytes(plan);
    weir_buf_init(&window->packed, BUCKET_BYTES_MAX);
    for (int level = 0; level < WEIR_LEVELS; level++)
        window->levels[level].retention_ms = weir_level_retention_ms(plan, level);
    return 0;
}

void weir_window_close(struct weir_window *window) {
    for (uint32_t i = 0; i < window->deltas_cap; i++)
        cells_close(&window->deltas[i]);
    free(window->deltas);
    if (window->totals_kept)
        cells_close(&window->totals);
    free(window->totals_bins);
    weir_buf_close(&window->packed);
    for (int l = 0; l < WEIR_LEVELS; l++) {
        struct weir_level *level = &window->levels[l];
        for (uint32_t i = 0; i < level->len; i++)
            free(level->buckets[i].bytes);
        free(level->buckets);
        free(level->removed);
    }
}

size_t weir_window_memory(const struct weir_window *window) {
    size_t bytes = window->packed.cap;
    for (uint32_t i = 0; i < window->deltas_cap; i++)
        bytes +=
            window->deltas[i].cap * CELL_BYTES + window->segments * sizeof *window->deltas[i].map;
    for (int l = 0; l < WEIR_LEVELS; l++) {
        const struct weir_level *level = &window->levels[l];
        bytes += level->cap * sizeof *level->buckets;
        for (uint32_t i = 0; i < level->len; i++)
            bytes += level->buckets[i].bytes ? level->buckets[i].len : 0;
    }
    return bytes;
}

uint32_t weir_window_segment(const struct weir_window *window, uint32_t dense) {
    if (dense == 0)
        return 0;
    uint32_t values = window->plan->values_max + 2;
    return weir_segment((dense - 1) / values, (dense - 1) % values);
}

/* ---- deltas ---- */

struct weir_cells *weir_window_find_delta(struct weir_window *window, int64_t time_ms) {
    int64_t start_ms = time_ms - time_ms % WEIR_DELTA_MS;
    if (window->cells_used >= window->cells_max)
        weir_window_fold(window);
    for (uint32_t i = window->deltas_len; i-- > 0;) {
        if (window->deltas[i].start_ms == start_ms) {
            window->last = i;
            return &window->deltas[i];
        }
    }
    if (window->deltas_len == window->deltas_max)
        weir_window_fold(window);
    if (window->deltas_len == window->deltas_cap) {
        uint32_t first = window->deltas_cap;
        window->deltas = grow(window->deltas, &window->deltas_cap, sizeof *window->deltas);
        for (uint32_t i = first; i < window->deltas_cap; i++) {
            int failed = cells_init(&window->deltas[i], window->segments);
            window->deltas[i].used = &window->cells_used;
            WEIR_ASSERT(!failed);
        }
    }
    window->last = window->deltas_len++;
    window->deltas[window->last].start_ms = start_ms;
    return &window->deltas[window->last];
}

int64_t *weir_cells_add(struct weir_cells *cells, uint32_t dense) {
    if (cells->len == cells->cap) {
        cells->cells = grow(cells->cells, &cells->cap, sizeof *cells->cells);
        cells->dense = realloc(cells->dense, cells->cap * sizeof *cells->dense);
        WEIR_ASSERT(cells->dense != NULL);
    }
    uint32_t number = cells->len++;
    if (cells->used)
        ++*cells->used;
    cells->dense[number] = dense;
    cells->map[dense] = number + 1;
    memset(cells->cells[number], 0, sizeof cells->cells[number]);
    return cells->cells[number];
}

static void *zeroed(size_t len, size_t size) {
    void *array = calloc(len, size);
    WEIR_ASSERT(array != NULL);
    return array;
}

void weir_cells_add_visitor(struct weir_cells *cells, uint64_t hash) {
    if (!cells->hll)
        cells->hll = zeroed(WEIR_HLL_REGISTERS, sizeof *cells->hll);
    weir_hll_add(cells->hll, hash);
}

void weir_cells_add_bin(struct weir_cells *cells, uint32_t bin) {
    if (!cells->bins)
        cells->bins = zeroed(WEIR_BINS, sizeof *cells->bins);
    cells->bins[bin]++;
}

static void cells_clear(struct weir_cells *cells) {
    for (uint32_t i = 0; i < cells->len; i++)
        cells->map[cells->dense[i]] = 0;
    if (cells->used)
        *cells->used -= cells->len;
    cells->len = 0;
    if (cells->hll)
        memset(cells->hll, 0, WEIR_HLL_REGISTERS);
    if (cells->bins)
        memset(cells->bins, 0, WEIR_BINS * sizeof *cells->bins);
}

/* ---- stored buckets ---- */

/* The position of the first bucket whose index is not below. */
static uint32_t position_of(const struct weir_level *level, int64_t index) {
    uint32_t low = 0, high = level->len;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (level->buckets[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct weir_stored *weir_level_bucket(struct weir_level *level, int64_t index) {
    uint32_t at = position_of(level, index);
    if (at < level->len && level->buckets[at].index == index)
        return &level->buckets[at];
    if (level->len == level->cap)
        level->buckets = grow(level->buckets, &level->cap, sizeof *level->buckets);
    memmove(&level->buckets[at + 1], &level->buckets[at],
            (level->len - at) * sizeof *level->buckets);
    level->len++;
    level->buckets[at] = (struct weir_stored){.index = index};
    return &level->buckets[at];
}

static bool is_expired(const struct weir_level *level, int64_t width_ms, int64_t index,
                       int64_t watermark_ms) {
    return watermark_ms != INT64_MIN &&
           (index + 1) * width_ms <= watermark_ms - level->retention_ms;
}

static void forget_unsaved(struct weir_window *window, const struct weir_stored *stored) {
    if (stored->touched)
        window->unsaved -= stored->len;
}

static void remove_expired(struct weir_window *window, int l) {
    struct weir_level *level = &window->levels[l];
    int64_t width_ms = weir_level_ms[l], watermark_ms = window->watermark_ms;
    uint32_t expired = 0;
    while (expired < level->len &&
           is_expired(level, width_ms, level->buckets[expired].index, watermark_ms)) {
        if (level->removed_len == level->removed_cap)
            level->removed = grow(level->removed, &level->removed_cap, sizeof *level->removed);
        level->removed[level->removed_len++] = level->buckets[expired].index;
        forget_unsaved(window, &level->buckets[expired]);
        free(level->buckets[expired++].bytes);
    }
    if (expired == 0)
        return;
    level->len -= expired;
    memmove(level->buckets, level->buckets + expired, level->len * sizeof *level->buckets);
}

int weir_window_keep_totals(struct weir_window *window) {
    window->totals_bins = calloc(WEIR_BINS, sizeof *window->totals_bins);
    if (!window->totals_bins || cells_init(&window->totals, window->segments) != 0)
        return -1;
    window->totals_kept = true;
    return 0;
}

/* ---- folding ---- */

static void add_cells(struct weir_cells *to, const struct weir_cells *from) {
    for (uint32_t i = 0; i < from->len; i++) {
        int64_t *sum = weir_cells_at(to, from->dense[i]);
        const int64_t *cell = from->cells[from->map[from->dense[i]] - 1];
        for (int c = 0; c < WEIR_COUNTERS; c++)
            sum[c] += cell[c];
    }
}

static void fold_totals(struct weir_window *window, const struct weir_cells *delta) {
    add_cells(&window->totals, delta);
    for (int bin = 0; delta->bins && bin < WEIR_BINS; bin++)
        window->totals_bins[bin] += delta->bins[bin];
}

/* Moves all that is in a delta into another one. */
static void move_delta(struct weir_cells *to, struct weir_cells *from) {
    add_cells(to, from);
    if (from->hll && !to->hll)
        to->hll = zeroed(WEIR_HLL_REGISTERS, sizeof *to->hll);
    for (int i = 0; from->hll && i < WEIR_HLL_REGISTERS; i++)
        to->hll[i] = from->hll[i] > to->hll[i] ? from->hll[i] : to->hll[i];
    if (from->bins && !to->bins)
        to->bins = zeroed(WEIR_BINS, sizeof *to->bins);
    for (int bin = 0; from->bins && bin < WEIR_BINS; bin++)
        to->bins[bin] += from->bins[bin];
    cells_clear(from);
}

static void merge_delta(struct weir_window *window, int l, struct weir_cells *delta) {
    struct weir_level *level = &window->levels[l];
    int64_t index = delta->start_ms / weir_level_ms[l];
    if (is_expired(level, weir_level_ms[l], index, window->watermark_ms))
        return;
    struct weir_stored *stored = weir_level_bucket(level, index);
    WEIR_ASSERT(!stored->released);
    forget_unsaved(window, stored);
    weir_merge_sort(delta);
    weir_merge(window, stored, delta);
    stored->touched = true;
    window->unsaved += stored->len;
}

/* A packed bucket is dear to open, so deltas that share one of this level go in as one: each is
 * moved into the next of its bucket, and only the last is merged. */
static void fold_level(struct weir_window *window, int l) {
    for (uint32_t i = 0; i < window->deltas_len; i++) {
        struct weir_cells *delta = &window->deltas[i];
        if (delta->len == 0)
            continue; /* moved on */
        int64_t index = delta->start_ms / weir_level_ms[l];
        uint32_t next = i + 1;
        while (next < window->deltas_len &&
               window->deltas[next].start_ms / weir_level_ms[l] != index)
            next++;
        if (next < window->deltas_len)
            move_delta(&window->deltas[next], delta);
        else
            merge_delta(window, l, delta);
    }
}

bool weir_window_is_full(const struct weir_window *window) {
    return window->deltas_len >= window->deltas_max / 4 * 3 ||
           window->unsaved >= window->unsaved_max;
}

/* The first deltas, which are always in use, keep the memory of their cells, up to what all cells
 * may take; the others give it back, as each in turn may have had many segments. */
static void give_back(const struct weir_window *window) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < window->deltas_cap; i++) {
        struct weir_cells *cells = &window->deltas[i];
        kept += cells->cap;
        if (kept <= window->cells_max)
            continue;
        kept -= cells->cap;
        free(cells->cells);
        free(cells->dense);
        cells->cells = NULL;
        cells->dense = NULL;
        cells->cap = 0;
    }
}

void weir_window_fold(struct weir_window *window) {
    /* From the finest on: what shares a bucket there shares it in every coarser level too. */
    for (int l = 0; l < WEIR_LEVELS; l++)
        if (window->levels[l].retention_ms > 0)
            fold_level(window, l);
    for (uint32_t i = 0; i < window->deltas_len; i++) {
        if (window->totals_kept)
            fold_totals(window, &window->deltas[i]);
        cells_clear(&window->deltas[i]);
    }
    give_back(window);
    window->deltas_len = 0;
    window->last = 0;
    for (int l = 0; l < WEIR_LEVELS; l++)
        if (window->levels[l].retention_ms > 0)
            remove_expired(window, l);
}

void weir_window_release(struct weir_window *window, int64_t settled_ms) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        struct weir_level *level = &window->levels[l];
        for (uint32_t i = 0; i < level->len; i++) {
            struct weir_stored *stored = &level->buckets[i];
            if ((stored->index + 1) * weir_level_ms[l] > settled_ms)
                break;
            if (stored->touched)
                continue;
            free(stored->bytes);
            stored->bytes = NULL;
            stored->released = true;
        }
    }
}
