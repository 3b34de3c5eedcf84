#include "weir/rollup.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/rollup_state.h"
#include "weir/err.h"

#define LINE_BYTES 64 /* of the processor's cache */
#define LINE_COUNTERS (LINE_BYTES / sizeof(int64_t))

static void *resize(void *array, size_t bytes) {
    void *grown = realloc(array, bytes);
    WEIR_ASSERT(grown != NULL);
    return grown;
}

int64_t *weir_rollup_rows(const struct weir_rollup *r, uint32_t len) {
    size_t bytes = (size_t)len * r->row * sizeof(int64_t);
    int64_t *rows = aligned_alloc(LINE_BYTES, bytes);
    WEIR_ASSERT(rows != NULL);
    memset(rows, 0, bytes);
    return rows;
}

static int64_t *grown(const struct weir_rollup *r, int64_t *rows, uint32_t cap) {
    int64_t *larger = weir_rollup_rows(r, cap);
    if (rows)
        memcpy(larger, rows, (size_t)r->rows_cap * r->row * sizeof *rows);
    free(rows);
    return larger;
}

/* Room for the counters of every segment; new ones are zero. */
static void grow_rows(struct weir_rollup *r) {
    uint32_t cap = r->segments.cap;
    if (cap == r->rows_cap)
        return;
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct weir_rollup_window *window = &r->windows[w];
        window->now = grown(r, window->now, cap);
        if (window->before)
            window->before = grown(r, window->before, cap);
    }
    r->rows_cap = cap;
}

/* What the next segment needs, if there is no room for it: all arrays twice as long, and one of
 * them beside its successor. */
static size_t growth(const struct weir_rollup *r) {
    if (r->segments.len < r->segments.cap)
        return 0;
    return weir_segments_memory(&r->segments) +
           weir_rollup_rows_bytes(r, r->rows_cap, weir_rollup_arrays(r) + 1);
}

static bool is_reserved(struct weir_str text) {
    return (text.len == 6 && memcmp(text.data, "_other", 6) == 0) ||
           (text.len == 5 && memcmp(text.data, "_none", 5) == 0);
}

static bool is_new(const struct weir_rollup *r, int dimension, struct weir_str text) {
    return (is_reserved(text) || r->kept[dimension] < r->keep) &&
           weir_segments_find(&r->segments, dimension, text) == 0;
}

uint32_t weir_rollup_number(struct weir_rollup *r, int dimension, struct weir_str text) {
    if (is_new(r, dimension, text)) {
        r->kept[dimension] += !is_reserved(text);
        return weir_segments_number(&r->segments, dimension, text);
    }
    uint32_t known = weir_segments_find(&r->segments, dimension, text);
    return known ? known
                 : weir_segments_find(&r->segments, dimension, (struct weir_str){"_other", 6});
}

static uint32_t segment_of(struct weir_rollup *r, int dimension, struct weir_str text) {
    while (is_new(r, dimension, text) && weir_rollup_fold_beyond(r, growth(r)))
        continue;
    uint32_t number = weir_rollup_number(r, dimension, text);
    grow_rows(r);
    return number;
}

/* ---- life ---- */

struct weir_rollup *weir_rollup_new(const struct weir_plan *plan) {
    struct weir_rollup *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->plan = plan;
    r->keep = WEIR_KEEP_ALL;
    r->expected_ms = INT64_MIN;
    r->counters = WEIR_C_CUSTOM + plan->custom_counters_len;
    r->row = (uint32_t)((r->counters + LINE_COUNTERS - 1) / LINE_COUNTERS * LINE_COUNTERS);
    for (int l = 0; l < WEIR_LEVELS; l++)
        r->first_ms[l] = INT64_MAX;
    for (uint32_t w = 0; w < plan->windows_len; w++) {
        struct weir_rollup_window *window = &r->windows[w];
        window->width_ms = plan->windows_ms[w];
        window->level = weir_window_level(window->width_ms);
        window->as_of_ms = INT64_MIN;
        window->bins = calloc(WEIR_BINS, sizeof *window->bins);
        WEIR_ASSERT(window->bins != NULL);
    }
    weir_segments_init(&r->segments);
    weir_buf_init(&r->packed, WEIR_PACKED_MAX);
    grow_rows(r);
    return r;
}

static void free_partition(struct weir_rollup_partition *partition) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        for (uint32_t i = 0; i < partition->levels[l].len; i++)
            free(partition->levels[l].buckets[i].bytes);
        free(partition->levels[l].buckets);
    }
    for (int d = 0; d < WEIR_DIMENSIONS_MAX; d++)
        free(partition->values[d].segments);
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
    weir_buf_close(&r->packed);
    free(r->addends);
    free(r->partitions);
    free(r);
}

uint32_t weir_rollup_add_partition(struct weir_rollup *r) {
    r->partitions = resize(r->partitions, (r->partitions_len + 1) * sizeof *r->partitions);
    r->partitions[r->partitions_len] = (struct weir_rollup_partition){0};
    return r->partitions_len++;
}

static void add_value(struct weir_rollup *r, struct weir_rollup_values *values, int dimension,
                      struct weir_str text) {
    if (values->len == values->cap) {
        uint32_t cap = values->cap ? values->cap * 2 : 16;
        r->bytes += (cap - values->cap) * sizeof *values->segments;
        values->cap = cap;
        values->segments = resize(values->segments, cap * sizeof *values->segments);
    }
    uint32_t number = segment_of(r, dimension, text); /* may give new numbers to those before */
    values->segments[values->len++] = number;
}

/* A dictionary only grows: buckets that are added up already use what it had. */
int weir_rollup_values(struct weir_rollup *r, uint32_t number, uint32_t dimension,
                       const void *bytes, size_t len) {
    struct weir_rollup_values *values = &r->partitions[number].values[dimension];
    size_t known = values->bytes_len;
    struct weir_reader in;
    if (len < known || (known > 0 && XXH3_64bits(bytes, known) != values->print))
        return -1;
    if (values->len == 0) {
        add_value(r, values, (int)dimension, (struct weir_str){"_other", 6});
        add_value(r, values, (int)dimension, (struct weir_str){"_none", 5});
    }
    uint32_t before = values->len;
    weir_reader_init(&in, (const char *)bytes + known, len - known);
    while (in.at < in.end && !in.failed) {
        uint64_t text_len = weir_reader_varint(&in);
        const char *text = weir_reader_bytes(&in, (size_t)text_len);
        in.failed |= text_len > WEIR_DIMENSION_VALUE_MAX;
        if (!text || in.failed)
            break;
        add_value(r, values, (int)dimension, (struct weir_str){text, (uint32_t)text_len});
    }
    if (in.failed || in.at != in.end) {
        values->len = before;
        return -1;
    }
    if (len > known)
        values->print = XXH3_64bits(bytes, len);
    values->bytes_len = len;
    return 0;
}

/* ---- buckets ---- */

int64_t weir_rollup_segment(const struct weir_rollup_partition *partition, uint32_t id) {
    if (id == 0)
        return 0;
    uint32_t dimension = (id >> 24) - 1, value = id & 0xffffff;
    if (dimension >= WEIR_DIMENSIONS_MAX || value >= partition->values[dimension].len)
        return -1;
    return partition->values[dimension].segments[value];
}

uint32_t weir_rollup_position(const struct weir_rollup_level *level, int64_t index) {
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

static struct weir_rollup_sketch *sketch_of(struct weir_rollup *r, int level, int64_t index) {
    uint32_t len = r->sketches_len[level], at = len;
    while (at > 0 && r->sketches[level][at - 1]->index >= index)
        at--;
    if (at < len && r->sketches[level][at]->index == index)
        return r->sketches[level][at];
    if (len == r->sketches_cap[level]) {
        uint32_t cap = r->sketches_cap[level] = len ? len * 2 : 16;
        r->sketches[level] = resize(r->sketches[level], cap * sizeof(struct weir_rollup_sketch *));
    }
    memmove(&r->sketches[level][at + 1], &r->sketches[level][at],
            (len - at) * sizeof(struct weir_rollup_sketch *));
    struct weir_rollup_sketch *sketch = r->sketches[level][at] = calloc(1, sizeof *sketch);
    WEIR_ASSERT(sketch != NULL);
    sketch->index = index;
    r->sketches_len[level]++;
    return sketch;
}

static int check(const struct weir_rollup *r, const struct weir_rollup_partition *partition,
                 const void *bytes, size_t len) {
    struct weir_bucket_reader reader;
    struct weir_entry entries[WEIR_ENTRIES_MAX];
    uint32_t id;
    int more;
    if (weir_bucket_read(&reader, bytes, len, NULL) != 0)
        return -1;
    while ((more = weir_bucket_segment(&reader, &id)) > 0) {
        int count = weir_bucket_entries(&reader, entries);
        if (count < 0 || weir_rollup_segment(partition, id) < 0)
            return -1;
        for (int i = 0; i < count; i++)
            if (entries[i].id >= r->counters && (entries[i].id < WEIR_BIN_FIRST || id != 0))
                return -1;
    }
    return more;
}

static struct weir_rollup_bucket kept(struct weir_rollup *r,
                                      const struct weir_rollup_partition *partition, int64_t index,
                                      const void *bytes, size_t len) {
    weir_rollup_pack(r, partition, bytes, len);
    struct weir_rollup_bucket bucket = {index, resize(NULL, r->packed.len), r->packed.len};
    memcpy(bucket.bytes, r->packed.data, bucket.len);
    return bucket;
}

int weir_rollup_bucket(struct weir_rollup *r, uint32_t number, int l, int64_t index,
                       const void *bytes, size_t len) {
    struct weir_rollup_partition *partition = &r->partitions[number];
    struct weir_rollup_level *level = &partition->levels[l];
    if (len > 0 && check(r, partition, bytes, len) != 0)
        return -1;
    uint32_t at = weir_rollup_position(level, index);
    bool known = at < level->len && level->buckets[at].index == index;
    if (known) {
        weir_rollup_book(r, partition, l, &level->buckets[at], -1);
        r->bytes -= sizeof *level->buckets + level->buckets[at].len;
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
    level->buckets[at] = kept(r, partition, index, bytes, len);
    r->bytes += sizeof *level->buckets + level->buckets[at].len;
    weir_rollup_book(r, partition, l, &level->buckets[at], 1);
    struct weir_bucket_reader reader;
    if (index >= weir_rollup_oldest_sketch(r, l, r->expected_ms))
        weir_bucket_read(&reader, bytes, len, sketch_of(r, l, index)->hll);
    if (index * weir_level_ms[l] < r->first_ms[l])
        r->first_ms[l] = index * weir_level_ms[l];
    while (weir_rollup_fold_beyond(r, 0))
        continue;
    return 0;
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
    return r->windows[window].now + (size_t)segment * r->row;
}

const int64_t *weir_rollup_previous(const struct weir_rollup *r, uint32_t window,
                                    uint32_t segment) {
    static const int64_t none[WEIR_COUNTERS];
    const int64_t *before = r->windows[window].before;
    return before ? before + (size_t)segment * r->row : none;
}

const int64_t *weir_rollup_dimension_cell(const struct weir_rollup *r, uint32_t window,
                                          uint32_t dimension) {
    return r->windows[window].dimensions[dimension];
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
