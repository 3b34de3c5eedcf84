/* The windows' sums: a bucket is decoded once for all windows that it enters, leaves or lies in. */
#include <stdlib.h>
#include <string.h>

#include "core/rollup_state.h"
#include "weir/err.h"

#define ADDENDS_MAX (1U << 17) /* two megabytes of them, then they are added */

/* Sums that take the buckets of [from_ms, to_ms), or give them back. */
struct span {
    int64_t from_ms, to_ms;
    int64_t *rows;
    int64_t (*dimensions)[WEIR_COUNTERS]; /* these two NULL: without */
    int64_t *bins;
    int64_t sign;
};

struct spans {
    struct span items[4 * WEIR_WINDOWS_MAX];
    uint32_t len;
};

static void add_now(struct spans *spans, struct weir_rollup_window *window, int64_t from_ms,
                    int64_t to_ms, int64_t sign) {
    spans->items[spans->len++] =
        (struct span){from_ms, to_ms, window->now, window->dimensions, window->bins, sign};
}

static void add_before(struct spans *spans, const struct weir_rollup_window *window,
                       int64_t from_ms, int64_t to_ms, int64_t sign) {
    if (window->before)
        spans->items[spans->len++] =
            (struct span){from_ms, to_ms, window->before, NULL, NULL, sign};
}

static bool lies_in(int64_t index, int64_t bucket_ms, int64_t from_ms, int64_t to_ms) {
    return index * bucket_ms >= from_ms && (index + 1) * bucket_ms <= to_ms;
}

/* Around the end of the numbers and back again, whatever a bucket says: what is added can always
 * be taken out. */
static void add_to(int64_t *sum, int64_t sign, int64_t value) {
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)sign * (uint64_t)value);
}

/* The place behind the addends, with room for a segment's. */
static struct weir_rollup_addend *room(struct weir_rollup *r) {
    if (r->addends_len + WEIR_ENTRIES_MAX > r->addends_cap) {
        uint32_t cap = 2 * (r->addends_len + WEIR_ENTRIES_MAX),
                 most = ADDENDS_MAX + WEIR_ENTRIES_MAX;
        r->addends_cap = cap < most ? cap : most;
        r->addends = realloc(r->addends, r->addends_cap * sizeof *r->addends);
        WEIR_ASSERT(r->addends != NULL);
    }
    return &r->addends[r->addends_len];
}

static void add_bins(const struct spans *spans, const struct weir_entry *entry) {
    for (uint32_t i = 0; i < spans->len; i++)
        if (spans->items[i].bins)
            add_to(&spans->items[i].bins[entry->id - WEIR_BIN_FIRST], spans->items[i].sign,
                   entry->value);
}

/* Window by window: the counters of one just fit into the processor's cache, and it waits for many
 * of them at once. */
static void add_decoded(struct weir_rollup *r, const struct spans *spans) {
    for (uint32_t i = 0; i < spans->len; i++) {
        int64_t *counters = spans->items[i].rows, sign = spans->items[i].sign;
        for (uint32_t at = 0; at < r->addends_len; at++)
            add_to(&counters[r->addends[at].counter], sign, r->addends[at].value);
    }
    r->addends_len = 0;
}

/* A bucket's counters as addends; its bins, and the sums of each dimension, to the spans at once.
 */
static void decode(struct weir_rollup *r, const struct weir_rollup_partition *partition,
                   const struct weir_rollup_bucket *bucket, const struct spans *spans) {
    int64_t sums[WEIR_DIMENSIONS_MAX + 1][WEIR_COUNTERS] = {0};
    struct weir_bucket_reader reader;
    struct weir_entry entries[WEIR_ENTRIES_MAX];
    uint32_t id;
    weir_bucket_read(&reader, bucket->bytes, bucket->len, NULL); /* checked when it came */
    while (weir_bucket_segment(&reader, &id) > 0) {
        size_t first = (size_t)weir_rollup_segment(partition, id) * r->row;
        int64_t *sum = sums[id >> 24]; /* the total's own is of no use */
        struct weir_rollup_addend *addends = room(r);
        int count = weir_bucket_entries(&reader, entries);
        for (int i = 0; i < count; i++) {
            if (entries[i].id >= WEIR_BIN_FIRST) {
                add_bins(spans, &entries[i]);
                continue;
            }
            *addends++ = (struct weir_rollup_addend){first + entries[i].id, entries[i].value};
            add_to(&sum[entries[i].id], 1, entries[i].value);
        }
        r->addends_len = (uint32_t)(addends - r->addends);
        if (r->addends_len >= ADDENDS_MAX)
            add_decoded(r, spans);
    }
    for (uint32_t i = 0; i < spans->len; i++)
        for (uint32_t d = 0; spans->items[i].dimensions && d < r->plan->dimensions_len; d++)
            for (int c = 0; c < WEIR_COUNTERS; c++)
                add_to(&spans->items[i].dimensions[d][c], spans->items[i].sign, sums[d + 1][c]);
}

/* Those that a bucket lies in. */
static struct spans spans_of(const struct spans *spans, int64_t index, int64_t bucket_ms) {
    struct spans hit;
    hit.len = 0;
    for (uint32_t i = 0; i < spans->len; i++)
        if (lies_in(index, bucket_ms, spans->items[i].from_ms, spans->items[i].to_ms))
            hit.items[hit.len++] = spans->items[i];
    return hit;
}

/* The buckets of one time of all partitions. */
static void add_buckets_at(struct weir_rollup *r, int l, int64_t index, const struct spans *spans) {
    for (uint32_t i = 0; i < r->partitions_len; i++) {
        const struct weir_rollup_level *level = &r->partitions[i].levels[l];
        uint32_t at = weir_rollup_position(level, index);
        if (at < level->len && level->buckets[at].index == index)
            decode(r, &r->partitions[i], &level->buckets[at], spans);
    }
    add_decoded(r, spans);
}

/* Every partition's buckets to the spans of one level. */
static void add_buckets(struct weir_rollup *r, int l, const struct spans *spans) {
    int64_t from_ms = INT64_MAX, to_ms = INT64_MIN;
    for (uint32_t i = 0; i < spans->len; i++) {
        from_ms = spans->items[i].from_ms < from_ms ? spans->items[i].from_ms : from_ms;
        to_ms = spans->items[i].to_ms > to_ms ? spans->items[i].to_ms : to_ms;
    }
    for (int64_t t = from_ms; t < to_ms; t += weir_level_ms[l]) {
        struct spans hit = spans_of(spans, t / weir_level_ms[l], weir_level_ms[l]);
        if (hit.len == 0)
            continue;
        add_buckets_at(r, l, t / weir_level_ms[l], &hit);
        if (r->meanwhile)
            r->meanwhile(r->meanwhile_context);
    }
}

void weir_rollup_book(struct weir_rollup *r, const struct weir_rollup_partition *partition,
                      int level, const struct weir_rollup_bucket *bucket, int64_t sign) {
    struct spans spans;
    spans.len = 0;
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct weir_rollup_window *window = &r->windows[w];
        int64_t t = window->as_of_ms, width_ms = window->width_ms;
        if (window->level != level || t == INT64_MIN)
            continue;
        if (lies_in(bucket->index, weir_level_ms[level], t - width_ms, t))
            window->has_visitors = false;
        add_now(&spans, window, t - width_ms, t, sign);
        add_before(&spans, window, t - 2 * width_ms, t - width_ms, sign);
    }
    struct spans hit = spans_of(&spans, bucket->index, weir_level_ms[level]);
    if (hit.len == 0)
        return;
    decode(r, partition, bucket, &hit);
    add_decoded(r, &hit);
}

/* ---- time ---- */

static void take_larger(uint8_t *restrict ranks, const uint8_t *restrict other) {
    for (int i = 0; i < WEIR_HLL_REGISTERS; i++)
        ranks[i] = other[i] > ranks[i] ? other[i] : ranks[i];
}

static void unite_visitors(const struct weir_rollup *r, struct weir_rollup_window *window) {
    int64_t bucket_ms = weir_level_ms[window->level], t = window->as_of_ms;
    memset(window->hll, 0, sizeof window->hll);
    for (uint32_t i = r->sketches_len[window->level]; i-- > 0;) {
        const struct weir_rollup_sketch *sketch = r->sketches[window->level][i];
        if (sketch->index * bucket_ms < t - window->width_ms)
            break;
        if (lies_in(sketch->index, bucket_ms, t - window->width_ms, t))
            take_larger(window->hll, sketch->hll);
    }
    window->has_visitors = true;
}

/* What moves a window's sums to `t`. */
static void move(const struct weir_rollup *r, struct weir_rollup_window *window, int64_t t,
                 struct spans *spans) {
    int64_t old = window->as_of_ms, width_ms = window->width_ms;
    size_t bytes = (size_t)r->segments.len * r->row * sizeof(int64_t);
    window->as_of_ms = t;
    window->has_visitors = false;
    if (old == INT64_MIN || t - old >= width_ms) { /* nothing of the old sums stays */
        memset(window->now, 0, bytes);
        memset(window->bins, 0, WEIR_BINS * sizeof *window->bins);
        memset(window->dimensions, 0, sizeof window->dimensions);
        if (window->before)
            memset(window->before, 0, bytes);
        add_now(spans, window, t - width_ms, t, 1);
        add_before(spans, window, t - 2 * width_ms, t - width_ms, 1);
        return;
    }
    add_now(spans, window, old, t, 1);
    add_now(spans, window, old - width_ms, t - width_ms, -1);
    add_before(spans, window, old - width_ms, t - width_ms, 1);
    add_before(spans, window, old - 2 * width_ms, t - 2 * width_ms, -1);
}

void weir_rollup_compare(struct weir_rollup *r, uint32_t w, bool wanted) {
    struct weir_rollup_window *window = &r->windows[w];
    if (wanted == (window->before != NULL))
        return;
    free(window->before);
    window->before = NULL;
    if (!wanted)
        return;
    while (weir_rollup_fold_beyond(r, weir_rollup_rows_bytes(r, r->rows_cap, 1)))
        continue;
    window->before = weir_rollup_rows(r, r->rows_cap);
    int64_t t = window->as_of_ms;
    struct spans spans;
    spans.len = 0;
    if (t != INT64_MIN)
        add_before(&spans, window, t - 2 * window->width_ms, t - window->width_ms, 1);
    add_buckets(r, window->level, &spans);
}

static void forget_sketches(struct weir_rollup *r, int l, int64_t oldest) {
    uint32_t gone = 0;
    while (gone < r->sketches_len[l] && r->sketches[l][gone]->index < oldest)
        free(r->sketches[l][gone++]);
    if (gone == 0)
        return;
    r->sketches_len[l] -= gone;
    memmove(r->sketches[l], r->sketches[l] + gone,
            r->sketches_len[l] * sizeof(struct weir_rollup_sketch *));
}

static void forget_buckets(struct weir_rollup *r, struct weir_rollup_level *level, int64_t oldest) {
    uint32_t gone = weir_rollup_position(level, oldest);
    if (gone == 0)
        return;
    for (uint32_t at = 0; at < gone; at++) {
        r->bytes -= sizeof *level->buckets + level->buckets[at].len;
        free(level->buckets[at].bytes);
    }
    level->len -= gone;
    memmove(level->buckets, level->buckets + gone, level->len * sizeof *level->buckets);
}

/* The slide's end may lie one bucket behind the watermark. */
static int64_t oldest_of(int l, int64_t watermark_ms, int64_t span_ms) {
    return (watermark_ms - span_ms) / weir_level_ms[l] - 1;
}

/* Nobody asks how many visitors the window before had. */
int64_t weir_rollup_oldest_sketch(const struct weir_rollup *r, int l, int64_t watermark_ms) {
    if (watermark_ms == INT64_MIN)
        return INT64_MIN;
    return oldest_of(l, watermark_ms, weir_level_retention_ms(r->plan, l) / 2);
}

static void forget_old(struct weir_rollup *r, int64_t watermark_ms) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        int64_t oldest = oldest_of(l, watermark_ms, weir_level_retention_ms(r->plan, l));
        forget_sketches(r, l, weir_rollup_oldest_sketch(r, l, watermark_ms));
        for (uint32_t i = 0; i < r->partitions_len; i++)
            forget_buckets(r, &r->partitions[i].levels[l], oldest);
    }
}

void weir_rollup_meanwhile(struct weir_rollup *r, void (*call)(void *context), void *context) {
    r->meanwhile = call;
    r->meanwhile_context = context;
}

void weir_rollup_expect(struct weir_rollup *r, int64_t watermark_ms) {
    r->expected_ms = watermark_ms;
}

void weir_rollup_advance(struct weir_rollup *r, int64_t watermark_ms) {
    weir_rollup_expect(r, watermark_ms);
    for (int l = 0; l < WEIR_LEVELS; l++) {
        struct spans spans;
        spans.len = 0;
        for (uint32_t w = 0; w < r->plan->windows_len; w++) {
            int64_t t = watermark_ms - watermark_ms % weir_level_ms[l];
            if (r->windows[w].level == l && t > r->windows[w].as_of_ms)
                move(r, &r->windows[w], t, &spans);
        }
        add_buckets(r, l, &spans);
    }
    for (uint32_t w = 0; w < r->plan->windows_len; w++)
        if (!r->windows[w].has_visitors)
            unite_visitors(r, &r->windows[w]);
    forget_old(r, watermark_ms);
    while (weir_rollup_fold_beyond(r, 0))
        continue;
}
