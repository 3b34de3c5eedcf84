#include "weir/rollup.h"

#include <stdlib.h>
#include <string.h>

#include "core/segments.h"
#include "weir/err.h"
#include "weir/partition.h"

struct stored {
    int64_t index;
    char *bytes;
    size_t len;
};

struct level {
    struct stored *buckets; /* ascending by index */
    uint32_t len, cap;
};

struct partition {
    struct level levels[WEIR_LEVELS];
    uint32_t *segments[WEIR_DIMENSIONS_MAX]; /* the partition's value number to our segment */
    uint32_t segments_len[WEIR_DIMENSIONS_MAX];
};

struct sketch { /* a bucket's visitors over all partitions */
    int64_t index;
    uint8_t hll[WEIR_HLL_REGISTERS];
};

typedef int64_t cell[WEIR_COUNTERS];

struct window {
    int64_t width_ms, as_of_ms;
    int level;
    cell *now, *before; /* by segment */
    int64_t *bins;      /* WEIR_BINS, now */
    uint8_t hll[WEIR_HLL_REGISTERS];
};

struct weir_rollup {
    const struct weir_plan *plan;
    struct partition *partitions;
    uint32_t partitions_len;
    struct weir_segments segments;
    uint32_t cells_cap; /* segments that the windows' cells have room for */
    struct window windows[WEIR_WINDOWS_MAX];
    struct sketch **sketches[WEIR_LEVELS]; /* ascending by index */
    uint32_t sketches_len[WEIR_LEVELS], sketches_cap[WEIR_LEVELS];
    int64_t first_ms[WEIR_LEVELS]; /* start of the earliest bucket ever seen */
};

static void *resize(void *array, size_t bytes) {
    void *grown = realloc(array, bytes);
    WEIR_ASSERT(grown != NULL);
    return grown;
}

/* Room for the counters of every segment; new ones are zero. */
static void grow_cells(struct weir_rollup *r) {
    uint32_t cap = r->segments.cap;
    if (cap == r->cells_cap)
        return;
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct window *window = &r->windows[w];
        window->now = resize(window->now, cap * sizeof(cell));
        window->before = resize(window->before, cap * sizeof(cell));
        memset(window->now + r->cells_cap, 0, (cap - r->cells_cap) * sizeof(cell));
        memset(window->before + r->cells_cap, 0, (cap - r->cells_cap) * sizeof(cell));
    }
    r->cells_cap = cap;
}

static uint32_t segment_of(struct weir_rollup *r, int dimension, struct weir_str text) {
    uint32_t number = weir_segments_number(&r->segments, dimension, text);
    grow_cells(r);
    return number;
}

/* ---- life ---- */

struct weir_rollup *weir_rollup_new(const struct weir_plan *plan) {
    struct weir_rollup *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->plan = plan;
    for (int l = 0; l < WEIR_LEVELS; l++)
        r->first_ms[l] = INT64_MAX;
    for (uint32_t w = 0; w < plan->windows_len; w++) {
        struct window *window = &r->windows[w];
        window->width_ms = plan->windows_ms[w];
        window->level = weir_window_level(window->width_ms);
        window->as_of_ms = INT64_MIN;
        window->bins = calloc(WEIR_BINS, sizeof *window->bins);
        WEIR_ASSERT(window->bins != NULL);
    }
    weir_segments_init(&r->segments);
    grow_cells(r);
    return r;
}

static void free_partition(struct partition *partition) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        for (uint32_t i = 0; i < partition->levels[l].len; i++)
            free(partition->levels[l].buckets[i].bytes);
        free(partition->levels[l].buckets);
    }
    for (int d = 0; d < WEIR_DIMENSIONS_MAX; d++)
        free(partition->segments[d]);
}

void weir_rollup_free(struct weir_rollup *r) {
    if (!r)
        return;
    for (uint32_t i = 0; i < r->partitions_len; i++)
        free_partition(&r->partitions[i]);
    weir_segments_close(&r->segments);
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        free(r->windows[w].now);
        free(r->windows[w].before);
        free(r->windows[w].bins);
    }
    for (int l = 0; l < WEIR_LEVELS; l++) {
        for (uint32_t i = 0; i < r->sketches_len[l]; i++)
            free(r->sketches[l][i]);
        free(r->sketches[l]);
    }
    free(r->partitions);
    free(r);
}

uint32_t weir_rollup_add_partition(struct weir_rollup *r) {
    r->partitions = resize(r->partitions, (r->partitions_len + 1) * sizeof *r->partitions);
    r->partitions[r->partitions_len] = (struct partition){0};
    return r->partitions_len++;
}

/* A dictionary only grows: buckets that are added up already use what it had. */
static bool goes_on(const struct partition *partition, uint32_t dimension, const uint32_t *segments,
                    uint32_t count) {
    uint32_t known = partition->segments_len[dimension];
    return count >= known && (known == 0 || memcmp(segments, partition->segments[dimension],
                                                   known * sizeof *segments) == 0);
}

int weir_rollup_values(struct weir_rollup *r, uint32_t number, uint32_t dimension,
                       const void *bytes, size_t len) {
    struct partition *partition = &r->partitions[number];
    struct weir_reader in;
    uint32_t count = 0, cap = 16;
    uint32_t *segments = resize(NULL, cap * sizeof *segments);
    segments[count++] = segment_of(r, (int)dimension, (struct weir_str){"_other", 6});
    segments[count++] = segment_of(r, (int)dimension, (struct weir_str){"_none", 5});
    weir_reader_init(&in, bytes, len);
    while (in.at < in.end && !in.failed) {
        uint64_t text_len = weir_reader_varint(&in);
        const char *text = weir_reader_bytes(&in, (size_t)text_len);
        if (!text || text_len > WEIR_DIMENSION_VALUE_MAX)
            break;
        if (count == cap)
            segments = resize(segments, (cap *= 2) * sizeof *segments);
        segments[count++] =
            segment_of(r, (int)dimension, (struct weir_str){text, (uint32_t)text_len});
    }
    if (in.failed || in.at != in.end || !goes_on(partition, dimension, segments, count)) {
        free(segments);
        return -1;
    }
    free(partition->segments[dimension]);
    partition->segments[dimension] = segments;
    partition->segments_len[dimension] = count;
    return 0;
}

/* ---- sums ---- */

/* Where a bucket's counters go: to a window's sums, added or subtracted. */
static bool lies_in(int64_t index, int64_t bucket_ms, int64_t from_ms, int64_t to_ms) {
    return index * bucket_ms >= from_ms && (index + 1) * bucket_ms <= to_ms;
}

/* Our number for a stored segment id, or -1. */
static int64_t to_segment(const struct partition *partition, uint32_t id) {
    if (id == 0)
        return 0;
    uint32_t dimension = (id >> 24) - 1, value = id & 0xffffff;
    if (dimension >= WEIR_DIMENSIONS_MAX || value >= partition->segments_len[dimension])
        return -1;
    return partition->segments[dimension][value];
}

/* Around the end of the numbers and back again, whatever a bucket says: what is added can always
 * be taken out. */
static void add_to(int64_t *sum, int64_t sign, int64_t value) {
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)sign * (uint64_t)value);
}

static int add_bucket(const struct partition *partition, const struct stored *stored, cell *cells,
                      int64_t *bins, int64_t sign) {
    struct weir_bucket_reader reader;
    struct weir_entry entry;
    uint32_t id;
    if (weir_bucket_read(&reader, stored->bytes, stored->len, NULL) != 0)
        return -1;
    while (weir_bucket_segment(&reader, &id) > 0) {
        int64_t segment = to_segment(partition, id);
        if (segment < 0)
            return -1;
        while (weir_bucket_entry(&reader, &entry) > 0) {
            if (entry.id < WEIR_COUNTERS)
                add_to(&cells[segment][entry.id], sign, entry.value);
            else if (bins && segment == 0)
                add_to(&bins[entry.id - WEIR_BIN_FIRST], sign, entry.value);
        }
    }
    return 0;
}

/* Adds or subtracts a bucket in whatever windows it now lies in. */
static void book(struct weir_rollup *r, const struct partition *partition, int level,
                 const struct stored *stored, int64_t sign) {
    int64_t bucket_ms = weir_level_ms[level];
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct window *window = &r->windows[w];
        int64_t t = window->as_of_ms, width_ms = window->width_ms;
        if (window->level != level || t == INT64_MIN)
            continue;
        if (lies_in(stored->index, bucket_ms, t - width_ms, t))
            add_bucket(partition, stored, window->now, window->bins, sign);
        else if (lies_in(stored->index, bucket_ms, t - 2 * width_ms, t - width_ms))
            add_bucket(partition, stored, window->before, NULL, sign);
    }
}

static uint32_t position_of(const struct level *level, int64_t index) {
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

static struct sketch *sketch_of(struct weir_rollup *r, int level, int64_t index) {
    uint32_t len = r->sketches_len[level], at = len;
    while (at > 0 && r->sketches[level][at - 1]->index >= index)
        at--;
    if (at < len && r->sketches[level][at]->index == index)
        return r->sketches[level][at];
    if (len == r->sketches_cap[level]) {
        uint32_t cap = r->sketches_cap[level] = len ? len * 2 : 16;
        r->sketches[level] = resize(r->sketches[level], cap * sizeof(struct sketch *));
    }
    memmove(&r->sketches[level][at + 1], &r->sketches[level][at],
            (len - at) * sizeof(struct sketch *));
    struct sketch *sketch = r->sketches[level][at] = calloc(1, sizeof *sketch);
    WEIR_ASSERT(sketch != NULL);
    sketch->index = index;
    r->sketches_len[level]++;
    return sketch;
}

static int check(const struct partition *partition, const void *bytes, size_t len) {
    struct weir_bucket_reader reader;
    uint32_t id;
    if (weir_bucket_check(bytes, len) != 0 || weir_bucket_read(&reader, bytes, len, NULL) != 0)
        return -1;
    while (weir_bucket_segment(&reader, &id) > 0)
        if (to_segment(partition, id) < 0)
            return -1;
    return 0;
}

int weir_rollup_bucket(struct weir_rollup *r, uint32_t number, int l, int64_t index,
                       const void *bytes, size_t len) {
    struct partition *partition = &r->partitions[number];
    struct level *level = &partition->levels[l];
    if (len > 0 && check(partition, bytes, len) != 0)
        return -1;
    uint32_t at = position_of(level, index);
    bool known = at < level->len && level->buckets[at].index == index;
    if (known) {
        book(r, partition, l, &level->buckets[at], -1);
        free(level->buckets[at].bytes);
    }
    if (len == 0) {
        if (known)
            memmove(&level->buckets[at], &level->buckets[at + 1],
                    (--level->len - at) * sizeof *level->buckets);
        return 0;
    }
    if (!known) {
        if (level->len == level->cap) {
            level->cap = level->cap ? level->cap * 2 : 16;
            level->buckets = resize(level->buckets, level->cap * sizeof *level->buckets);
        }
        memmove(&level->buckets[at + 1], &level->buckets[at],
                (level->len++ - at) * sizeof *level->buckets);
    }
    level->buckets[at] = (struct stored){index, resize(NULL, len), len};
    memcpy(level->buckets[at].bytes, bytes, len);
    book(r, partition, l, &level->buckets[at], 1);
    struct weir_bucket_reader reader;
    weir_bucket_read(&reader, bytes, len, sketch_of(r, l, index)->hll);
    if (index * weir_level_ms[l] < r->first_ms[l])
        r->first_ms[l] = index * weir_level_ms[l];
    return 0;
}

/* ---- time ---- */

/* Adds (or subtracts) every bucket of [from_ms, to_ms) to the sums. */
static void add_range(struct weir_rollup *r, int l, int64_t from_ms, int64_t to_ms, cell *cells,
                      int64_t *bins, int64_t sign) {
    int64_t first = from_ms / weir_level_ms[l];
    for (uint32_t i = 0; i < r->partitions_len; i++) {
        const struct level *level = &r->partitions[i].levels[l];
        for (uint32_t at = position_of(level, first); at < level->len; at++) {
            if (!lies_in(level->buckets[at].index, weir_level_ms[l], from_ms, to_ms))
                break;
            add_bucket(&r->partitions[i], &level->buckets[at], cells, bins, sign);
        }
    }
}

static void unite_visitors(struct weir_rollup *r, struct window *window) {
    int64_t bucket_ms = weir_level_ms[window->level];
    memset(window->hll, 0, sizeof window->hll);
    for (uint32_t i = r->sketches_len[window->level]; i-- > 0;) {
        const struct sketch *sketch = r->sketches[window->level][i];
        if (sketch->index * bucket_ms < window->as_of_ms - window->width_ms)
            break;
        if (!lies_in(sketch->index, bucket_ms, window->as_of_ms - window->width_ms,
                     window->as_of_ms))
            continue;
        for (int j = 0; j < WEIR_HLL_REGISTERS; j++)
            window->hll[j] = sketch->hll[j] > window->hll[j] ? sketch->hll[j] : window->hll[j];
    }
}

static void advance_window(struct weir_rollup *r, struct window *window, int64_t t) {
    int64_t old = window->as_of_ms, width_ms = window->width_ms;
    size_t bytes = r->segments.len * sizeof(cell);
    if (old == INT64_MIN || t - old >= width_ms) { /* nothing of the old sums stays */
        memset(window->now, 0, bytes);
        memset(window->before, 0, bytes);
        memset(window->bins, 0, WEIR_BINS * sizeof *window->bins);
        add_range(r, window->level, t - width_ms, t, window->now, window->bins, 1);
        add_range(r, window->level, t - 2 * width_ms, t - width_ms, window->before, NULL, 1);
    } else {
        add_range(r, window->level, old, t, window->now, window->bins, 1);
        add_range(r, window->level, old - width_ms, t - width_ms, window->now, window->bins, -1);
        add_range(r, window->level, old - width_ms, t - width_ms, window->before, NULL, 1);
        add_range(r, window->level, old - 2 * width_ms, t - 2 * width_ms, window->before, NULL, -1);
    }
    window->as_of_ms = t;
    unite_visitors(r, window);
}

static void forget_sketches(struct weir_rollup *r, int l, int64_t oldest) {
    uint32_t gone = 0;
    while (gone < r->sketches_len[l] && r->sketches[l][gone]->index < oldest)
        free(r->sketches[l][gone++]);
    if (gone == 0)
        return;
    r->sketches_len[l] -= gone;
    memmove(r->sketches[l], r->sketches[l] + gone, r->sketches_len[l] * sizeof(struct sketch *));
}

static void forget_buckets(struct level *level, int64_t oldest) {
    uint32_t gone = position_of(level, oldest);
    if (gone == 0)
        return;
    for (uint32_t at = 0; at < gone; at++)
        free(level->buckets[at].bytes);
    level->len -= gone;
    memmove(level->buckets, level->buckets + gone, level->len * sizeof *level->buckets);
}

static void forget_old(struct weir_rollup *r, int64_t watermark_ms) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        int64_t oldest = (watermark_ms - weir_level_retention_ms(r->plan, l)) / weir_level_ms[l];
        oldest -= 1; /* the slide's end may lie one bucket behind the watermark */
        forget_sketches(r, l, oldest);
        for (uint32_t i = 0; i < r->partitions_len; i++)
            forget_buckets(&r->partitions[i].levels[l], oldest);
    }
}

void weir_rollup_advance(struct weir_rollup *r, int64_t watermark_ms) {
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct window *window = &r->windows[w];
        int64_t slide_ms = weir_level_ms[window->level];
        int64_t t = watermark_ms - watermark_ms % slide_ms;
        if (t > window->as_of_ms)
            advance_window(r, window, t);
        else
            unite_visitors(r, window);
    }
    forget_old(r, watermark_ms);
}

/* ---- reading ---- */

int64_t weir_rollup_as_of(const struct weir_rollup *r, uint32_t window) {
    return r->windows[window].as_of_ms;
}

uint32_t weir_rollup_segments(const struct weir_rollup *r) {
    return r->segments.len;
}

int weir_rollup_dimension(const struct weir_rollup *r, uint32_t segment) {
    return r->segments.items[segment].dimension;
}

struct weir_str weir_rollup_value(const struct weir_rollup *r, uint32_t segment) {
    return (struct weir_str){r->segments.items[segment].text, r->segments.items[segment].len};
}

const int64_t *weir_rollup_cell(const struct weir_rollup *r, uint32_t window, uint32_t segment) {
    return r->windows[window].now[segment];
}

const int64_t *weir_rollup_previous(const struct weir_rollup *r, uint32_t window,
                                    uint32_t segment) {
    return r->windows[window].before[segment];
}

const int64_t *weir_rollup_durations(const struct weir_rollup *r, uint32_t window) {
    return r->windows[window].bins;
}

double weir_rollup_visitors(const struct weir_rollup *r, uint32_t window) {
    return weir_hll_estimate(r->windows[window].hll);
}

/* The finest level knows best, unless its early buckets are gone: then they lie behind the first
 * bucket of the next one. */
int64_t weir_rollup_first_ms(const struct weir_rollup *r) {
    int64_t first_ms = INT64_MAX, width_ms = 0;
    for (int l = WEIR_LEVELS - 1; l >= 0; l--) {
        if (first_ms != INT64_MAX && r->first_ms[l] - first_ms >= width_ms)
            continue;
        first_ms = r->first_ms[l];
        width_ms = weir_level_ms[l];
    }
    return first_ms;
}

size_t weir_rollup_memory(const struct weir_rollup *r) {
    size_t bytes = r->cells_cap * sizeof(cell) * 2 * r->plan->windows_len;
    for (uint32_t i = 0; i < r->partitions_len; i++)
        for (int l = 0; l < WEIR_LEVELS; l++)
            for (uint32_t at = 0; at < r->partitions[i].levels[l].len; at++)
                bytes += sizeof(struct stored) + r->partitions[i].levels[l].buckets[at].len;
    for (int l = 0; l < WEIR_LEVELS; l++)
        bytes += r->sketches_len[l] * sizeof(struct sketch);
    return bytes;
}
