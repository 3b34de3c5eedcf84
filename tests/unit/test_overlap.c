/* The sample of sessions: the smallest hashes of two hours, as a plain sort finds them; what is
 * stored is read again; and what comparing samples says of keyed, split and mixed partitions. */
#include <stdlib.h>

#include "check.h"
#include "weir/overlap.h"

#define HOUR ((int64_t)WEIR_OVERLAP_SPAN_MS)
#define START (490000 * HOUR)
#define PARTITIONS 4

static uint64_t state = 11;
static uint64_t next_random(void) {
    uint64_t mixed = state += 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

static int ascending(const void *left, const void *right) {
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void holds_smallest(uint32_t sessions) {
    struct weir_overlap sample;
    uint64_t *hashes = calloc(sessions, sizeof *hashes);
    weir_overlap_init(&sample);
    for (uint32_t i = 0; i < sessions; i++) {
        hashes[i] = next_random();
        weir_overlap_add(&sample, hashes[i], START);
        weir_overlap_add(&sample, hashes[next_random() % (i + 1)], START + 5); /* it comes again */
    }
    qsort(hashes, sessions, sizeof *hashes, ascending);
    uint32_t kept = sessions < WEIR_OVERLAP_MAX ? sessions : WEIR_OVERLAP_MAX;
    CHECK_INT(sample.now.len, kept);
    CHECK(memcmp(sample.now.hashes, hashes, kept * sizeof *hashes) == 0);
    free(hashes);
}

static void hours_move(void) {
    struct weir_overlap sample;
    weir_overlap_init(&sample);
    weir_overlap_add(&sample, 7, START);
    weir_overlap_add(&sample, 8, START + HOUR);
    weir_overlap_add(&sample, 6, START + HOUR - 1); /* out of order, into the hour before */
    weir_overlap_add(&sample, 5, START - 1);        /* two hours back: nothing */
    CHECK_INT(sample.now.len, 1);
    CHECK_INT(sample.before.len, 2);
    CHECK_INT(sample.before.hashes[0], 6);
    weir_overlap_add(&sample, 9, START + 3 * HOUR);
    CHECK_INT(sample.hour, START / HOUR + 3);
    CHECK_INT(sample.now.len, 1);
    CHECK_INT(sample.before.len, 0);
    weir_overlap_add(&sample, UINT64_MAX, START + 3 * HOUR); /* stands for an empty place */
    CHECK_INT(sample.now.len, 1);
}

static int same(const struct weir_overlap_hour *a, const struct weir_overlap_hour *b) {
    return a->len == b->len && memcmp(a->hashes, b->hashes, sizeof a->hashes) == 0;
}

static void stored_and_read(uint32_t sessions) {
    struct weir_overlap sample, again;
    struct weir_buf bytes;
    weir_buf_init(&bytes, 1 << 16);
    weir_overlap_init(&sample);
    for (uint32_t i = 0; i < sessions; i++)
        weir_overlap_add(&sample, i == 3 ? 0 : next_random(), START + (int64_t)(i % 2) * HOUR);
    weir_overlap_write(&sample, &bytes);
    CHECK_INT(weir_overlap_read(&again, bytes.data, bytes.len), 0);
    CHECK(again.hour == sample.hour && !again.changed);
    CHECK(same(&again.now, &sample.now));
    CHECK(same(&again.before, &sample.before));
    for (size_t len = 0; len < bytes.len; len++)
        CHECK_INT(weir_overlap_read(&again, bytes.data, len), -1);
    CHECK_INT(again.now.len, 0);
    weir_buf_byte(&bytes, 0);
    CHECK_INT(weir_overlap_read(&again, bytes.data, bytes.len), -1);
    weir_buf_close(&bytes);
}

/* Any bytes are read or refused, and what is read can be compared. */
static void damaged(void) {
    for (int round = 0; round < 20000; round++) {
        struct weir_overlap samples[2];
        unsigned char bytes[24];
        size_t len = next_random() % sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = (unsigned char)(next_random() % (round % 2 ? 256 : 4));
        int failed = weir_overlap_read(&samples[0], bytes, len);
        CHECK(failed == 0 || samples[0].hour == INT64_MIN);
        samples[1] = samples[0];
        struct weir_split all = weir_overlap_compare(samples, 2, NULL);
        CHECK(all.split == all.sampled &&
              all.sampled == samples[0].now.len + samples[0].before.len);
    }
}

/* Sessions over partitions of very different size; of every 1,000, `split` are in all of them. */
static struct weir_split shop(uint32_t sessions, uint32_t split, struct weir_split *each) {
    struct weir_overlap samples[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++)
        weir_overlap_init(&samples[p]);
    for (uint32_t i = 0; i < sessions; i++) {
        uint64_t hash = next_random();
        int64_t time_ms = START + (int64_t)i * 2 * HOUR / sessions;
        bool everywhere = next_random() % 1000 < split;
        uint64_t home = next_random() % 16;
        for (int p = 0; p < PARTITIONS; p++) /* 8, 4, 2 and 2 sixteenths */
            if (everywhere || (p < 3 ? home >> (3 - p) == 1 : home < 2))
                weir_overlap_add(&samples[p], hash, time_ms);
    }
    return weir_overlap_compare(samples, PARTITIONS, each);
}

static void compared(void) {
    struct weir_split each[PARTITIONS];
    struct weir_split keyed = shop(100000, 0, each);
    CHECK_INT(keyed.split, 0);
    CHECK(keyed.sampled >= 2 * WEIR_OVERLAP_MAX);
    for (int p = 0; p < PARTITIONS; p++)
        CHECK(each[p].split == 0 && each[p].sampled >= 8);
    struct weir_split whole = shop(100000, 1000, each);
    CHECK_INT(whole.sampled, 2 * WEIR_OVERLAP_MAX);
    CHECK_INT(whole.split, whole.sampled);
    for (int p = 0; p < PARTITIONS; p++)
        CHECK_INT(each[p].split, each[p].sampled);
    struct weir_split some = shop(100000, 300, each);
    double share = some.split / (double)some.sampled; /* of some 240: a deviation of 3 % */
    CHECK(share > 0.20 && share < 0.40);
    struct weir_split few = shop(20, 500, NULL); /* all that there are */
    CHECK(few.sampled == 20 && few.split > 4 && few.split < 16);
}

/* Hours that only one partition has reached say nothing of the others. */
static void apart(void) {
    struct weir_overlap samples[3];
    for (int p = 0; p < 3; p++)
        weir_overlap_init(&samples[p]);
    weir_overlap_add(&samples[0], 1, START);
    weir_overlap_add(&samples[1], 1, START + 2 * HOUR);
    CHECK_INT(weir_overlap_compare(samples, 3, NULL).sampled, 0);
    weir_overlap_add(&samples[0], 1, START + HOUR);
    weir_overlap_add(&samples[0], 2, START + HOUR);
    weir_overlap_add(&samples[1], 2, START + HOUR);
    struct weir_split all = weir_overlap_compare(samples, 3, NULL);
    CHECK_INT(all.sampled, 2);
    CHECK_INT(all.split, 1);
    CHECK_INT(weir_overlap_compare(samples, 1, NULL).sampled, 0);
    CHECK_INT(weir_overlap_compare(samples, 0, NULL).sampled, 0);
}

int main(void) {
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 66, 1000, 20000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        holds_smallest(sizes[i]);
        stored_and_read(sizes[i]);
    }
    stored_and_read(0);
    hours_move();
    damaged();
    compared();
    apart();
    return check_done("test_overlap");
}
