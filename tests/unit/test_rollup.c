/* Random buckets of random partitions, replaced and advanced at random: every window's sums must be
 * what adding the present buckets up anew gives. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "weir/partition.h"
#include "weir/rollup.h"

#define PARTITIONS 3
#define VALUES 4 /* real ones of the one dimension */
#define INDEXES 4000
#define STEPS 3000

static uint64_t state = 1;
static uint32_t next_random(uint32_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(state >> 33) % below;
}

/* What was put in: events of the total and of each value, per partition, level and bucket. */
struct truth {
    int64_t events[2 + VALUES + 1]; /* _other, _none, values; the last is the total */
};
static struct truth truth[PARTITIONS][WEIR_LEVELS][INDEXES];

static void put_bucket(struct weir_rollup *rollup, uint32_t partition, int level, int64_t index,
                       int64_t base) {
    struct truth *t = &truth[partition][level][index - base];
    struct weir_buf out;
    struct weir_bucket_writer writer;
    weir_buf_init(&out, 1 << 20);
    weir_bucket_write(&writer, &out, NULL);
    t->events[2 + VALUES] = next_random(100) + 1;
    struct weir_entry total = {WEIR_C_EVENTS, t->events[2 + VALUES]};
    weir_bucket_write_segment(&writer, 0, &total, 1);
    for (uint32_t v = 0; v < 2 + VALUES; v++) {
        t->events[v] = next_random(3) == 0 ? next_random(50) + 1 : 0;
        struct weir_entry entry = {WEIR_C_EVENTS, t->events[v]};
        weir_bucket_write_segment(&writer, weir_segment(0, v), &entry, t->events[v] != 0);
    }
    CHECK_INT(weir_rollup_bucket(rollup, partition, level, index, out.data, out.len), 0);
    weir_buf_close(&out);
}

static int64_t sum_of(const struct weir_plan *plan, uint32_t w, int64_t from_ms, int64_t to_ms,
                      uint32_t value, int64_t base_ms) {
    int level = weir_window_level(plan->windows_ms[w]);
    int64_t width_ms = weir_level_ms[level], base = base_ms / width_ms, sum = 0;
    for (int p = 0; p < PARTITIONS; p++)
        for (int64_t i = 0; i < INDEXES; i++)
            if ((base + i) * width_ms >= from_ms && (base + i + 1) * width_ms <= to_ms)
                sum += truth[p][level][i].events[value];
    return sum;
}

/* Rules come and go: now and then somebody begins to compare a window with the one before it. */
static bool compared[WEIR_WINDOWS_MAX];
static void change_compared(struct weir_rollup *rollup, const struct weir_plan *plan) {
    uint32_t w = next_random(plan->windows_len);
    compared[w] = next_random(4) > 0;
    weir_rollup_compare(rollup, w, compared[w]);
}

static void compare(struct weir_rollup *rollup, const struct weir_plan *plan, int64_t base_ms) {
    for (uint32_t w = 0; w < plan->windows_len; w++) {
        int64_t t = weir_rollup_as_of(rollup, w), width_ms = plan->windows_ms[w];
        CHECK_INT(weir_rollup_cell(rollup, w, 0)[WEIR_C_EVENTS],
                  sum_of(plan, w, t - width_ms, t, 2 + VALUES, base_ms));
        int64_t before = sum_of(plan, w, t - 2 * width_ms, t - width_ms, 2 + VALUES, base_ms);
        CHECK_INT(weir_rollup_previous(rollup, w, 0)[WEIR_C_EVENTS], compared[w] ? before : 0);
        int64_t values = 0;
        for (uint32_t s = 1; s < weir_rollup_segments(rollup); s++)
            values += weir_rollup_cell(rollup, w, s)[WEIR_C_EVENTS];
        CHECK_INT(weir_rollup_dimension_cell(rollup, w, 0)[WEIR_C_EVENTS], values);
        for (uint32_t s = 1; s < weir_rollup_segments(rollup); s++)
            CHECK_INT(weir_rollup_cell(rollup, w, s)[WEIR_C_EVENTS],
                      sum_of(plan, w, t - width_ms, t, s - 1, base_ms));
    }
}

static struct weir_rollup *new_rollup(const struct weir_plan *plan, uint32_t partitions) {
    static const char dictionary[] = "\1a\1b\1c\1d";
    struct weir_rollup *rollup = weir_rollup_new(plan);
    for (uint32_t p = 0; p < partitions; p++) {
        CHECK_INT(weir_rollup_add_partition(rollup), p);
        CHECK_INT(weir_rollup_values(rollup, p, 0, dictionary, sizeof dictionary - 1), 0);
    }
    return rollup;
}

/* The data began in the 10 s that the finest level has, as long as it still has them. */
static void test_first(const struct weir_plan *plan, int64_t base_ms) {
    struct weir_rollup *rollup = new_rollup(plan, 1);
    const int64_t began_ms = base_ms + 40 * 60000 + 30000;
    CHECK_INT(weir_rollup_first_ms(rollup), INT64_MAX);
    for (int level = WEIR_LEVELS - 1; level >= 0; level--) {
        int64_t index = began_ms / weir_level_ms[level];
        put_bucket(rollup, 0, level, index, base_ms / weir_level_ms[level]);
        CHECK_INT(weir_rollup_first_ms(rollup), index * weir_level_ms[level]);
    }
    weir_rollup_free(rollup);
    rollup = new_rollup(plan, 1); /* the 10 s of then are gone */
    put_bucket(rollup, 0, 1, began_ms / 60000, base_ms / 60000);
    put_bucket(rollup, 0, 0, began_ms / 10000 + 6, base_ms / 10000);
    CHECK_INT(weir_rollup_first_ms(rollup), base_ms + 40 * 60000);
    weir_rollup_free(rollup);
    memset(truth, 0, sizeof truth);
}

/* A dictionary only grows, and a damaged one changes nothing. */
static void test_values(const struct weir_plan *plan) {
    struct weir_rollup *rollup = new_rollup(plan, 2);
    CHECK_INT(weir_rollup_values(rollup, 0, 0, "\1a\1b\1c\1d\1e", 10), 0);
    CHECK_INT(weir_rollup_segments(rollup), 1 + 2 + VALUES + 1);
    CHECK_INT(weir_rollup_values(rollup, 0, 0, "\1a\1b\1c\1d", 8), -1);     /* shorter */
    CHECK_INT(weir_rollup_values(rollup, 0, 0, "\1a\1b\1c\1e\1e", 10), -1); /* another */
    CHECK_INT(weir_rollup_values(rollup, 0, 0, "\1a\1b\1c\1d\1e\2f", 12), -1);
    CHECK_INT(weir_rollup_values(rollup, 0, 0, "\1a\1b\1c\1d\1e\2fg", 13), 0);
    CHECK_INT(weir_rollup_segments(rollup), 1 + 2 + VALUES + 2);
    CHECK_INT(weir_rollup_values(rollup, 1, 0, "\1a\1b\1c\1d\2fg", 11), 0);
    CHECK_INT(weir_rollup_segments(rollup), 1 + 2 + VALUES + 2);
    weir_rollup_free(rollup);
}

static void count_call(void *context) {
    ++*(int *)context;
}

/* The caller is called for each time that is added up, and not where nothing moves. */
static void test_meanwhile(const struct weir_plan *plan, int64_t base_ms) {
    struct weir_rollup *rollup = new_rollup(plan, 2);
    int calls = 0, moved;
    for (uint32_t p = 0; p < 2; p++)
        for (int64_t i = 0; i < 6; i++)
            put_bucket(rollup, p, 0, base_ms / 10000 + i, base_ms / 10000);
    weir_rollup_advance(rollup, base_ms + 59999); /* five whole buckets, not yet the sixth */
    weir_rollup_meanwhile(rollup, count_call, &calls);
    weir_rollup_advance(rollup, base_ms + 60000);
    moved = calls;
    CHECK(moved > 0);
    weir_rollup_advance(rollup, base_ms + 60000);
    CHECK_INT(calls, moved);
    weir_rollup_compare(rollup, 0, true); /* a minute before the start */
    CHECK_INT(calls, moved + 6);
    weir_rollup_free(rollup);
    memset(truth, 0, sizeof truth);
}

int main(void) {
    struct weir_plan plan = {.dimensions_len = 1,
                             .values_max = 100,
                             .windows_len = 4,
                             .windows_ms = {60000, 900000, 7200000, 172800000}};
    const int64_t base_ms = 1767571200000 - 1767571200000 % 3600000;
    test_first(&plan, base_ms);
    test_values(&plan);
    test_meanwhile(&plan, base_ms);
    struct weir_rollup *rollup = new_rollup(&plan, PARTITIONS);
    int64_t now_ms = base_ms + 4 * (int64_t)3600000;
    CHECK_INT(weir_rollup_as_of(rollup, 0), INT64_MIN);
    CHECK_INT(weir_rollup_segments(rollup), 1 + 2 + VALUES);
    for (int step = 0; step < STEPS; step++) {
        uint32_t p = next_random(PARTITIONS);
        for (int level = 0; level < WEIR_LEVELS; level++) {
            int64_t width_ms = weir_level_ms[level];
            int64_t index = now_ms / width_ms - next_random(4);
            if (index - base_ms / width_ms < INDEXES)
                put_bucket(rollup, p, level, index, base_ms / width_ms);
        }
        if (next_random(3) > 0)
            continue;
        now_ms += next_random(20) == 0 ? next_random(7200000) : next_random(25000);
        if (now_ms - base_ms > (INDEXES - 10) * (int64_t)10000)
            break;
        if (next_random(10) == 0)
            change_compared(rollup, &plan);
        weir_rollup_advance(rollup, now_ms);
        if (next_random(5) == 0)
            compare(rollup, &plan, base_ms);
    }
    compare(rollup, &plan, base_ms);
    CHECK_INT(weir_rollup_bucket(rollup, 0, 0, now_ms / 10000, "\1\0\1\1", 4), -1); /* damaged */
    weir_rollup_free(rollup);
    return check_done("test_rollup");
}
