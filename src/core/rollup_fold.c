/* In how many bytes: a bucket as it is kept, and what a limit does about too many of them. */
#include <stdlib.h>
#include <string.h>

#include "core/rollup_state.h"
#include "weir/err.h"

/* ---- a bucket ---- */

static bool is_other(const struct weir_rollup_partition *partition, uint32_t id) {
    if (id == 0)
        return false;
    const uint32_t *segments = partition->values[(id >> 24) - 1].segments;
    return segments[id & 0xffffff] == segments[WEIR_VALUE_OTHER];
}

/* Adds up what counts under `_other`, by dimension. Only the total has bins. */
static void sum_others(const struct weir_rollup_partition *partition, const void *bytes, size_t len,
                       int64_t (*sums)[WEIR_BIN_FIRST]) {
    struct weir_bucket_reader reader;
    struct weir_entry entries[WEIR_ENTRIES_MAX];
    uint32_t id;
    weir_bucket_read(&reader, bytes, len, NULL);
    while (weir_bucket_segment(&reader, &id) > 0) {
        if (!is_other(partition, id))
            continue;
        int64_t *sum = sums[(id >> 24) - 1];
        int count = weir_bucket_entries(&reader, entries);
        for (int i = 0; i < count; i++) /* around the end of the numbers, as add_to does */
            sum[entries[i].id] =
                (int64_t)((uint64_t)sum[entries[i].id] + (uint64_t)entries[i].value);
    }
}

static void write_other(struct weir_bucket_writer *writer, uint32_t dimension, const int64_t *sum) {
    struct weir_entry entries[WEIR_BIN_FIRST];
    uint32_t len = 0;
    for (uint32_t c = 0; c < WEIR_BIN_FIRST; c++)
        if (sum[c] != 0)
            entries[len++] = (struct weir_entry){c, sum[c]};
    weir_bucket_write_segment(writer, weir_segment(dimension, WEIR_VALUE_OTHER), entries, len);
}

static void pack_others(struct weir_rollup *r, const struct weir_rollup_partition *partition,
                        const void *bytes, size_t len) {
    int64_t sums[WEIR_DIMENSIONS_MAX][WEIR_BIN_FIRST] = {0};
    struct weir_bucket_reader reader;
    struct weir_bucket_writer writer;
    struct weir_entry entries[WEIR_ENTRIES_MAX];
    uint32_t id, dimension = 0;
    sum_others(partition, bytes, len, sums);
    weir_bucket_read(&reader, bytes, len, NULL);
    weir_bucket_write(&writer, &r->packed, NULL);
    while (weir_bucket_segment(&reader, &id) > 0) {
        if (id >> 24 != dimension) { /* before the other values of its dimension */
            dimension = id >> 24;
            write_other(&writer, dimension - 1, sums[dimension - 1]);
        }
        if (is_other(partition, id))
            continue;
        int count = weir_bucket_entries(&reader, entries);
        weir_bucket_write_segment(&writer, id, entries, (uint32_t)count);
    }
}

void weir_rollup_pack(struct weir_rollup *r, const struct weir_rollup_partition *partition,
                      const void *bytes, size_t len) {
    struct weir_bucket_reader reader;
    struct weir_bucket_writer writer;
    weir_buf_clear(&r->packed);
    if (r->keep != WEIR_KEEP_ALL) {
        pack_others(r, partition, bytes, len);
    } else {
        weir_bucket_read(&reader, bytes, len, NULL);
        weir_bucket_write(&writer, &r->packed, NULL);
        weir_buf_append(&r->packed, reader.in.at, (size_t)(reader.in.end - reader.in.at));
    }
    WEIR_ASSERT(!r->packed.failed);
}

/* ---- the limit ---- */

void weir_rollup_limit(struct weir_rollup *r, size_t bytes, uint32_t keep) {
    r->limit = bytes;
    r->keep = keep;
}

uint32_t weir_rollup_keep(const struct weir_rollup *r) {
    return r->keep;
}

uint32_t weir_rollup_arrays(const struct weir_rollup *r) {
    uint32_t arrays = r->plan->windows_len;
    for (uint32_t w = 0; w < r->plan->windows_len; w++)
        arrays += r->windows[w].before != NULL;
    return arrays;
}

size_t weir_rollup_rows_bytes(const struct weir_rollup *r, uint32_t len, uint32_t windows) {
    return (size_t)windows * len * r->row * sizeof(int64_t);
}

size_t weir_rollup_memory(const struct weir_rollup *r) {
    size_t bytes = sizeof *r + r->bytes + r->packed.cap + weir_segments_memory(&r->segments);
    bytes += r->addends_cap * sizeof *r->addends;
    bytes += weir_rollup_rows_bytes(r, r->rows_cap, weir_rollup_arrays(r));
    bytes += r->plan->windows_len * WEIR_BINS * sizeof(int64_t);
    for (int l = 0; l < WEIR_LEVELS; l++)
        bytes += r->sketches_len[l] * sizeof(struct weir_rollup_sketch);
    return bytes;
}

/* New numbers for all segments: those met first keep one of their own as long as there are any to
 * be had, the others get that of `_other`. By the old number; freed by free. */
static uint32_t *renumber(struct weir_rollup *r) {
    struct weir_segments old = r->segments;
    uint32_t *numbers = calloc(old.len, sizeof *numbers);
    WEIR_ASSERT(numbers != NULL);
    weir_segments_init(&r->segments);
    memset(r->kept, 0, sizeof r->kept);
    for (uint32_t s = 1; s < old.len; s++) {
        int dimension = old.items[s].dimension;
        struct weir_str text = {old.items[s].text, old.items[s].len};
        numbers[s] = weir_rollup_number(r, dimension, text);
    }
    weir_segments_close(&old);
    return numbers;
}

/* What was apart is one: the sums of both. */
static int64_t *moved(const struct weir_rollup *r, int64_t *rows, const uint32_t *numbers,
                      uint32_t len) {
    int64_t *fewer = weir_rollup_rows(r, r->segments.cap);
    for (uint32_t s = 0; s < len; s++) {
        const int64_t *from = rows + (size_t)s * r->row;
        int64_t *to = fewer + (size_t)numbers[s] * r->row;
        for (uint32_t c = 0; c < r->row; c++)
            to[c] = (int64_t)((uint64_t)to[c] + (uint64_t)from[c]);
    }
    free(rows);
    return fewer;
}

static void move_rows(struct weir_rollup *r, const uint32_t *numbers, uint32_t len) {
    for (uint32_t w = 0; w < r->plan->windows_len; w++) {
        struct weir_rollup_window *window = &r->windows[w];
        window->now = moved(r, window->now, numbers, len);
        if (window->before)
            window->before = moved(r, window->before, numbers, len);
    }
    r->rows_cap = r->segments.cap;
}

static void pack_again(struct weir_rollup *r, const struct weir_rollup_partition *partition,
                       struct weir_rollup_bucket *bucket) {
    weir_rollup_pack(r, partition, bucket->bytes, bucket->len);
    if (r->packed.len >= bucket->len)
        return; /* what it has counts the same */
    free(bucket->bytes);
    r->bytes -= bucket->len - r->packed.len;
    bucket->len = r->packed.len;
    bucket->bytes = malloc(bucket->len);
    WEIR_ASSERT(bucket->bytes != NULL);
    memcpy(bucket->bytes, r->packed.data, bucket->len);
}

static void fold_partition(struct weir_rollup *r, struct weir_rollup_partition *partition,
                           const uint32_t *numbers) {
    for (int d = 0; d < WEIR_DIMENSIONS_MAX; d++)
        for (uint32_t v = 0; v < partition->values[d].len; v++)
            partition->values[d].segments[v] = numbers[partition->values[d].segments[v]];
    for (int l = 0; l < WEIR_LEVELS; l++)
        for (uint32_t i = 0; i < partition->levels[l].len; i++)
            pack_again(r, partition, &partition->levels[l].buckets[i]);
}

/* Half of the values that the largest dimension keeps apart. False: there are none left. */
static bool fold(struct weir_rollup *r) {
    uint32_t most = 0, len = r->segments.len;
    for (int d = 0; d < WEIR_DIMENSIONS_MAX; d++)
        most = r->kept[d] > most ? r->kept[d] : most;
    if (most == 0)
        return false;
    r->keep = most / 2;
    uint32_t *numbers = renumber(r);
    move_rows(r, numbers, len);
    for (uint32_t i = 0; i < r->partitions_len; i++)
        fold_partition(r, &r->partitions[i], numbers);
    free(numbers);
    return true;
}

bool weir_rollup_fold_beyond(struct weir_rollup *r, size_t more) {
    return r->limit > 0 && weir_rollup_memory(r) + more > r->limit && fold(r);
}
