/* The packed bucket, the duration sketch and HyperLogLog. */
#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

#include "check.h"
#include "weir/bucket.h"

static void test_round_trip(void) {
    struct weir_buf out;
    struct weir_bucket_writer writer;
    uint8_t hll[WEIR_HLL_REGISTERS] = {[0] = 3, [7] = 1, [4095] = 52}, back[4096] = {0};
    const struct weir_entry first[] = {{0, 1}, {14, -5}, {WEIR_BIN_FIRST + 9, INT64_MAX}};
    const struct weir_entry second[] = {{45, INT64_MIN}};
    weir_buf_init(&out, 1 << 20);
    weir_bucket_write(&writer, &out, hll);
    weir_bucket_write_segment(&writer, 0, first, 3);
    weir_bucket_write_segment(&writer, 1U << 24, first, 0); /* empty: not written */
    weir_bucket_write_segment(&writer, (2U << 24) | 17, second, 1);
    CHECK_INT(weir_bucket_check(out.data, out.len), 0);

    struct weir_bucket_reader reader;
    struct weir_entry entry;
    uint32_t segment = 99;
    CHECK_INT(weir_bucket_read(&reader, out.data, out.len, back), 0);
    CHECK(memcmp(hll, back, sizeof back) == 0);
    CHECK_INT(weir_bucket_segment(&reader, &segment), 1);
    CHECK_INT(segment, 0);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(weir_bucket_entry(&reader, &entry), 1);
        CHECK_INT(entry.id, first[i].id);
        CHECK_INT(entry.value, first[i].value);
    }
    CHECK_INT(weir_bucket_entry(&reader, &entry), 0);
    CHECK_INT(weir_bucket_segment(&reader, &segment), 1);
    CHECK_INT(segment, (2U << 24) | 17);
    CHECK_INT(weir_bucket_segment(&reader, &segment), 0); /* skips the entry that nobody read */

    for (size_t cut = 0; cut < out.len; cut++) { /* truncated: damaged, or ends between segments */
        char *copy = malloc(cut + 1);
        memcpy(copy, out.data, cut);
        CHECK(weir_bucket_check(copy, cut) <= 0);
        free(copy);
    }
    weir_buf_close(&out);
}

static void test_sketch(void) {
    static int64_t bins[WEIR_BINS];
    CHECK_INT(weir_sketch_bin(0), 0);
    CHECK_INT(weir_sketch_bin(1), 1);
    CHECK(weir_sketch_bin(2) > 1);
    CHECK(isnan(weir_sketch_quantile(bins, 0.5)));
    for (int64_t ms = 1; ms <= 100000; ms++)
        bins[weir_sketch_bin(ms)]++;
    const double qs[] = {0.01, 0.1, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < sizeof qs / sizeof qs[0]; i++) {
        double exact = 1 + qs[i] * 99999, got = weir_sketch_quantile(bins, qs[i]);
        CHECK(fabs(got - exact) <= 0.0101 * exact + 1);
    }
    CHECK(weir_sketch_bin((int64_t)10 * 366 * 86400000) < WEIR_BINS - 1); /* the longest session */
}

static void test_visitors(void) {
    const int counts[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t hll[WEIR_HLL_REGISTERS] = {0};
        for (int n = 0; n < counts[i]; n++)
            weir_hll_add(hll, XXH3_64bits(&n, sizeof n));
        double error = weir_hll_estimate(hll) / counts[i] - 1;
        CHECK(fabs(error) < 0.065); /* four standard errors of 1.04 / sqrt(4096) */
    }
}

int main(void) {
    test_round_trip();
    test_sketch();
    test_visitors();
    return check_done("test_bucket");
}
