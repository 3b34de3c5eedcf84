/* The evaluator's reader: dictionaries and buckets of partitions, of any bytes, in any order. What
 * is damaged is refused and changes nothing; what was put in and taken out again leaves no count.
 *
 * The input is a list of steps: what, where, and a piece of bytes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "app/config_load.h"
#include "weir/rollup.h"

#define STEPS_MAX 40
#define PARTITIONS 2
#define INDEXES 24
#define BASE_S 1767600000 /* a whole hour */

static const char text[] = "events: { dimensions: { country: c, device: d } }\n"
                           "windows: [1m, 2h, 3d]\n";

static const struct weir_plan *plan(void) {
    static struct weir_config *config;
    struct weir_problems problems = {0};
    struct weir_err err;
    if (!config)
        WEIR_ASSERT(weir_config_load_bytes(&config, "base", text, strlen(text), &problems, &err) ==
                    0);
    return &config->plan;
}

static int64_t index_of(int level, uint32_t n) {
    return BASE_S * (int64_t)1000 / weir_level_ms[level] + n % INDEXES;
}

static void step(struct weir_rollup *r, struct fuzz *in) {
    uint32_t what = fuzz_byte(in), where = fuzz_byte(in), partition = where % PARTITIONS;
    int level = (int)(where / PARTITIONS % WEIR_LEVELS);
    int64_t index = index_of(level, where / PARTITIONS / WEIR_LEVELS);
    size_t len;
    const uint8_t *piece = fuzz_piece(in, 6000, &len);
    if (what % 4 == 0)
        weir_rollup_values(r, partition, where / PARTITIONS % 2, piece, len);
    else if (what % 8 == 3)
        weir_rollup_compare(r, where % plan()->windows_len, what & 8);
    else if (what % 8 == 7)
        weir_rollup_advance(r, (BASE_S + where * 10) * (int64_t)1000);
    else if (weir_rollup_bucket(r, partition, level, index, piece, len) == 0 && len > 0)
        WEIR_ASSERT(weir_bucket_check(piece, len) == 0);
}

static void expect_nothing(const struct weir_rollup *r) {
    for (uint32_t w = 0; w < plan()->windows_len; w++)
        for (uint32_t s = 0; s < weir_rollup_segments(r); s++)
            for (uint32_t c = 0; c < WEIR_C_CUSTOM + plan()->custom_counters_len; c++)
                WEIR_ASSERT(weir_rollup_cell(r, w, s)[c] == 0 &&
                            weir_rollup_previous(r, w, s)[c] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz in = {data, size};
    struct weir_rollup *r = weir_rollup_new(plan());
    WEIR_ASSERT(r != NULL);
    if (size % 3 > 0) /* few values from the beginning, or from when the memory is met */
        weir_rollup_limit(r, size % 3 == 1 ? 0 : weir_rollup_memory(r) + 5000,
                          size % 3 == 1 ? 2 : WEIR_KEEP_ALL);
    for (int i = 0; i < PARTITIONS; i++)
        weir_rollup_add_partition(r);
    weir_rollup_advance(r, BASE_S * (int64_t)1000);
    for (int i = 0; i < STEPS_MAX && in.left > 0; i++)
        step(r, &in);
    for (uint32_t s = 0; s < weir_rollup_segments(r); s++)
        WEIR_ASSERT(weir_rollup_dimension(r, s) >= -1 && weir_rollup_value(r, s).len <= 128);
    for (uint32_t w = 0; w < plan()->windows_len; w++) {
        weir_sketch_quantile(weir_rollup_durations(r, w), 0.9);
        WEIR_ASSERT(weir_rollup_visitors(r, w) >= 0);
    }
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (int level = 0; level < WEIR_LEVELS; level++)
            for (uint32_t n = 0; n < INDEXES; n++)
                WEIR_ASSERT(weir_rollup_bucket(r, i, level, index_of(level, n), NULL, 0) == 0);
    expect_nothing(r);
    weir_rollup_free(r);
    return 0;
}
