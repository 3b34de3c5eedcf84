/* A rollup with a limit beside one without, over the same dictionaries and buckets: the values that
 * are still kept apart have the same counts, `_other` those of all the rest, and nothing else
 * differs. And the same as one that kept so few from the beginning. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "weir/partition.h"
#include "weir/rollup.h"

#define PARTITIONS 3
#define DIMENSIONS 2
#define VALUES 400 /* of the first dimension; of the second: */
#define FEW 5
#define INDEXES 500
#define LEVELS 2
#define STEPS 1500
#define LIMIT ((size_t)3 << 20)

static uint64_t state = 1;
static uint32_t next_random(uint32_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % below;
}

static const struct weir_plan plan = {.dimensions_len = DIMENSIONS,
                                      .values_max = 1000,
                                      .windows_len = 3,
                                      .windows_ms = {60000, 1800000, 7200000}};
static const int64_t base_ms = 1767571200000;

struct pair {
    struct weir_rollup *free, *limited;
};

/* What was put in last, for a third rollup at the end. */
static struct weir_buf put[PARTITIONS][LEVELS][INDEXES];
static char dictionaries[PARTITIONS][DIMENSIONS][VALUES * 6];
static size_t dictionary_lens[PARTITIONS][DIMENSIONS];
static uint32_t values_len[PARTITIONS][DIMENSIONS];

/* Each partition met the values in an order of its own, and has some that no other has. */
static void add_values(uint32_t partition, uint32_t dimension, uint32_t until) {
    char *dictionary = dictionaries[partition][dimension];
    while (values_len[partition][dimension] < until) {
        uint32_t v = values_len[partition][dimension]++;
        uint32_t name = dimension == 1 ? v : (v * 7 + partition * 50) % VALUES + partition * 20;
        dictionary[dictionary_lens[partition][dimension]] = 4;
        snprintf(dictionary + dictionary_lens[partition][dimension] + 1, 5, "%c%03u",
                 (char)('a' + dimension), name % 1000);
        dictionary_lens[partition][dimension] += 5;
    }
}

static int read_values(struct weir_rollup *rollup, uint32_t partition, uint32_t dimension) {
    return weir_rollup_values(rollup, partition, dimension, dictionaries[partition][dimension],
                              dictionary_lens[partition][dimension]);
}

static uint32_t some_entries(struct weir_entry *entries) {
    uint32_t len = 0;
    for (uint32_t c = 0; c < WEIR_C_CUSTOM; c++) {
        int64_t value = (int64_t)next_random(400) - 40; /* a correction may be below zero */
        if (next_random(4) == 0 && value != 0)
            entries[len++] = (struct weir_entry){c, value};
    }
    return len;
}

static void make_bucket(struct weir_buf *out, uint32_t partition) {
    struct weir_bucket_writer writer;
    struct weir_entry entries[WEIR_ENTRIES_MAX];
    uint8_t hll[WEIR_HLL_REGISTERS] = {0};
    for (uint32_t i = next_random(20); i > 0; i--)
        weir_hll_add(hll, (uint64_t)next_random(1000) * 0x9E3779B97F4A7C15ULL);
    weir_bucket_write(&writer, out, hll);
    uint32_t len = some_entries(entries);
    for (uint32_t bin = next_random(50); bin < WEIR_BINS; bin += 1 + next_random(300))
        entries[len++] = (struct weir_entry){WEIR_BIN_FIRST + bin, 1 + next_random(9)};
    weir_bucket_write_segment(&writer, 0, entries, len);
    uint32_t often = next_random(4);
    for (uint32_t d = 0; d < DIMENSIONS; d++)
        for (uint32_t v = 0; v < 2 + values_len[partition][d]; v++)
            if (next_random(4) < often)
                weir_bucket_write_segment(&writer, weir_segment(d, v), entries,
                                          some_entries(entries));
}

static void put_bucket(struct pair both, uint32_t partition, int level, int64_t index) {
    struct weir_buf *bucket = &put[partition][level][index - base_ms / weir_level_ms[level]];
    weir_buf_close(bucket);
    weir_buf_init(bucket, 1 << 20);
    if (next_random(40) > 0)
        make_bucket(bucket, partition);
    CHECK_INT(weir_rollup_bucket(both.free, partition, level, index, bucket->data, bucket->len), 0);
    CHECK_INT(weir_rollup_bucket(both.limited, partition, level, index, bucket->data, bucket->len),
              0);
    CHECK(weir_rollup_memory(both.limited) <= LIMIT);
}

/* The segment of the same name, else `_other` of its dimension. */
static uint32_t find(const struct weir_rollup *in, const struct weir_rollup *of, uint32_t segment) {
    uint32_t other = 0;
    struct weir_str want = weir_rollup_value(of, segment);
    for (uint32_t s = 1; segment > 0 && s < weir_rollup_segments(in); s++) {
        struct weir_str value = weir_rollup_value(in, s);
        if (weir_rollup_dimension(in, s) != weir_rollup_dimension(of, segment))
            continue;
        if (value.len == want.len && memcmp(value.data, want.data, want.len) == 0)
            return s;
        if (value.len == 6 && memcmp(value.data, "_other", 6) == 0)
            other = s;
    }
    return other;
}

typedef const int64_t *cell_of(const struct weir_rollup *, uint32_t, uint32_t);

/* Adds each segment of `fine` up where `coarse` has it: that must give coarse's counts. */
static void compare_cells(const struct weir_rollup *fine, const struct weir_rollup *coarse,
                          uint32_t window, cell_of *cell) {
    static int64_t sums[1 + DIMENSIONS * (2 + 2 * VALUES)][WEIR_C_CUSTOM];
    memset(sums, 0, sizeof sums);
    for (uint32_t s = 0; s < weir_rollup_segments(fine); s++) {
        int64_t *sum = sums[find(coarse, fine, s)];
        for (uint32_t c = 0; c < WEIR_C_CUSTOM; c++)
            sum[c] += cell(fine, window, s)[c];
    }
    int wrong = 0;
    for (uint32_t s = 0; s < weir_rollup_segments(coarse); s++)
        wrong += memcmp(sums[s], cell(coarse, window, s), sizeof sums[s]) != 0;
    CHECK_INT(wrong, 0);
}

static void compare(const struct weir_rollup *fine, const struct weir_rollup *coarse) {
    for (uint32_t w = 0; w < plan.windows_len; w++) {
        CHECK_INT(weir_rollup_as_of(coarse, w), weir_rollup_as_of(fine, w));
        compare_cells(fine, coarse, w, weir_rollup_cell);
        compare_cells(fine, coarse, w, weir_rollup_previous);
        for (uint32_t d = 0; d < DIMENSIONS; d++)
            CHECK(memcmp(weir_rollup_dimension_cell(fine, w, d),
                         weir_rollup_dimension_cell(coarse, w, d),
                         WEIR_C_CUSTOM * sizeof(int64_t)) == 0);
        CHECK(memcmp(weir_rollup_durations(fine, w), weir_rollup_durations(coarse, w),
                     WEIR_BINS * sizeof(int64_t)) == 0);
    }
}

/* They follow all that was ever put in, as visitors cannot be taken out. */
static void compare_visitors(struct pair both) {
    for (uint32_t w = 0; w < plan.windows_len; w++)
        CHECK(weir_rollup_visitors(both.free, w) == weir_rollup_visitors(both.limited, w));
}

static struct weir_rollup *new_rollup(size_t limit, uint32_t keep) {
    struct weir_rollup *rollup = weir_rollup_new(&plan);
    weir_rollup_limit(rollup, limit, keep);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        weir_rollup_add_partition(rollup);
    return rollup;
}

static void grow_dictionaries(struct pair both) {
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (uint32_t d = 0; d < DIMENSIONS; d++) {
            CHECK_INT(read_values(both.free, p, d), 0);
            CHECK_INT(read_values(both.limited, p, d), 0);
        }
}

/* Buckets come, are replaced and go, windows move, rules come and go: and at some time the limit
 * is met. */
static int64_t run(struct pair both) {
    int64_t now_ms = base_ms + 600000;
    uint32_t keep = WEIR_KEEP_ALL, folds = 0;
    for (int step = 0; step < STEPS; step++) {
        for (int level = 0; level < LEVELS; level++)
            put_bucket(both, next_random(PARTITIONS), level,
                       now_ms / weir_level_ms[level] - next_random(4));
        bool folded = weir_rollup_keep(both.limited) < keep;
        keep = weir_rollup_keep(both.limited);
        folds += folded;
        if (next_random(50) == 0) {
            uint32_t w = next_random(plan.windows_len);
            bool wanted = next_random(3) > 0;
            weir_rollup_compare(both.free, w, wanted);
            weir_rollup_compare(both.limited, w, wanted);
        }
        if (step == STEPS / 2) {
            for (uint32_t p = 0; p < PARTITIONS; p++)
                add_values(p, 0, VALUES);
            grow_dictionaries(both);
        }
        if (next_random(5) == 0) {
            now_ms += next_random(24000);
            weir_rollup_advance(both.free, now_ms);
            weir_rollup_advance(both.limited, now_ms);
        }
        if (folded || next_random(100) == 0)
            compare(both.free, both.limited);
    }
    compare(both.free, both.limited);
    compare_visitors(both);
    CHECK(weir_rollup_visitors(both.free, 2) > 100);
    CHECK(folds >= 2);
    CHECK(keep >= FEW && keep < VALUES / 2);
    CHECK(weir_rollup_memory(both.free) > LIMIT + LIMIT / 2);
    return now_ms;
}

/* So few from the beginning, no limit: the same. */
static void test_from_the_beginning(struct pair both, int64_t now_ms) {
    struct weir_rollup *rollup = new_rollup(0, weir_rollup_keep(both.limited));
    struct pair two = {both.free, rollup};
    grow_dictionaries(two);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int level = 0; level < LEVELS; level++)
            for (int64_t i = 0; i < INDEXES; i++) {
                const struct weir_buf *bucket = &put[p][level][i];
                int64_t index = base_ms / weir_level_ms[level] + i;
                if (bucket->len > 0)
                    CHECK_INT(
                        weir_rollup_bucket(rollup, p, level, index, bucket->data, bucket->len), 0);
            }
    weir_rollup_advance(rollup, now_ms);
    for (uint32_t w = 0; w < plan.windows_len; w++) {
        weir_rollup_compare(rollup, w, true);
        weir_rollup_compare(both.limited, w, true);
        weir_rollup_compare(both.free, w, true);
    }
    compare(both.free, rollup);
    compare(both.free, both.limited);
    CHECK_INT(weir_rollup_segments(rollup), weir_rollup_segments(both.limited));
    compare(rollup, both.limited);
    CHECK_INT(weir_rollup_keep(rollup), weir_rollup_keep(both.limited));
    weir_rollup_free(rollup);
}

static void test_damage(struct weir_rollup *rollup) {
    struct weir_buf out;
    struct weir_bucket_writer writer;
    struct weir_entry entries[] = {{WEIR_C_EVENTS, 1}, {WEIR_BIN_FIRST + 3, 1}};
    int64_t index = base_ms / weir_level_ms[0];
    CHECK_INT(weir_rollup_bucket(rollup, 0, 0, index, "\1\0\1\1", 4), -1);
    const uint32_t segments[] = {weir_segment(0, 2 + VALUES), weir_segment(1, 2 + FEW),
                                 weir_segment(DIMENSIONS, 0), weir_segment(0, VALUES)};
    for (size_t i = 0; i < sizeof segments / sizeof *segments; i++) {
        weir_buf_init(&out, 1000);
        weir_bucket_write(&writer, &out, NULL);
        weir_bucket_write_segment(&writer, segments[i], entries, i < 3 ? 1 : 2); /* bins: no */
        CHECK_INT(weir_rollup_bucket(rollup, 0, 0, index, out.data, out.len), -1);
        weir_buf_close(&out);
    }
    CHECK_INT(read_values(rollup, 0, 0), 0);
    dictionaries[0][0][1] ^= 1;
    CHECK_INT(read_values(rollup, 0, 0), -1);
    dictionaries[0][0][1] ^= 1;
}

/* All that was put in is taken out again. */
static void test_nothing_left(struct weir_rollup *rollup) {
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int level = 0; level < LEVELS; level++)
            for (int64_t i = 0; i < INDEXES; i++)
                weir_rollup_bucket(rollup, p, level, base_ms / weir_level_ms[level] + i, NULL, 0);
    int64_t left = 0;
    for (uint32_t w = 0; w < plan.windows_len; w++)
        for (uint32_t s = 0; s < weir_rollup_segments(rollup); s++)
            for (uint32_t c = 0; c < WEIR_C_CUSTOM; c++)
                left += weir_rollup_cell(rollup, w, s)[c] != 0 ||
                        weir_rollup_previous(rollup, w, s)[c] != 0;
    CHECK_INT(left, 0);
}

/* A limit below what the windows themselves need: every value goes, and it goes on. */
static void test_too_small(void) {
    struct weir_rollup *rollup = new_rollup(1, WEIR_KEEP_ALL);
    CHECK_INT(read_values(rollup, 0, 0), 0);
    CHECK_INT(read_values(rollup, 0, 1), 0);
    const struct weir_buf *bucket = NULL;
    for (int64_t i = 0; i < INDEXES; i++)
        bucket = put[0][0][i].len > 0 ? &put[0][0][i] : bucket;
    CHECK_INT(weir_rollup_bucket(rollup, 0, 0, base_ms / 10000, bucket->data, bucket->len), 0);
    CHECK_INT(weir_rollup_keep(rollup), 0);
    CHECK_INT(weir_rollup_segments(rollup), 1 + DIMENSIONS * 2);
    weir_rollup_advance(rollup, base_ms + 20000);
    CHECK_INT(weir_rollup_as_of(rollup, 0), base_ms + 20000);
    weir_rollup_free(rollup);
}

int main(void) {
    struct pair both = {new_rollup(0, WEIR_KEEP_ALL), new_rollup(LIMIT, WEIR_KEEP_ALL)};
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        add_values(p, 0, VALUES - 40);
        add_values(p, 1, FEW);
    }
    CHECK_INT(weir_rollup_keep(both.limited), WEIR_KEEP_ALL);
    grow_dictionaries(both);
    int64_t now_ms = run(both);
    test_from_the_beginning(both, now_ms);
    test_damage(both.limited);
    test_nothing_left(both.limited);
    test_too_small();
    weir_rollup_free(both.free);
    weir_rollup_free(both.limited);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int level = 0; level < LEVELS; level++)
            for (int64_t i = 0; i < INDEXES; i++)
                weir_buf_close(&put[p][level][i]);
    return check_done("test_rollup_limit");
}
