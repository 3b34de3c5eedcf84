/* Which slot of a Redis Cluster a key lies in, and how weir's keys spread over the slots. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "app/names.h"
#include "check.h"
#include "io/redis_slot.h"

static int slot_of(const char *key) {
    return weir_slot_of_key(key, strlen(key));
}

/* CRC-16/XMODEM's check value, and slots that `CLUSTER KEYSLOT` gives. */
static void test_vectors(void) {
    CHECK_INT(weir_slot_crc16("123456789", 9), 0x31C3);
    CHECK_INT(slot_of("foo"), 12182);
    CHECK_INT(slot_of("somekey"), 11058);
    CHECK_INT(slot_of("foo{hash_tag}"), 2515);
    CHECK_INT(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
    CHECK_INT(slot_of("foo{}{bar}"), 8363); /* an empty tag is none */
    CHECK_INT(slot_of("foo{{bar}}zap"), 4015);
    CHECK_INT(slot_of("foo{bar}{zap}"), slot_of("bar"));
    CHECK_INT(slot_of(""), 0);
    CHECK(slot_of("{open") != slot_of("open"));
}

static void test_key_arguments(void) {
    static const struct {
        const char *argv[6];
        int argc, key;
    } commands[] = {
        {{"GET", "k"}, 2, 1},
        {{"PING"}, 1, 0},
        {{"INFO", "everything"}, 2, 0},
        {{"SCRIPT", "LOAD", "return 1"}, 3, 0},
        {{"EVALSHA", "0123", "2", "k", "l", "a"}, 6, 3},
        {{"EVAL", "return 1", "0", "a"}, 4, 0},
        {{"XREAD", "COUNT", "9", "STREAMS", "k", "0"}, 6, 4},
        {{"PUBLISH", "channel", "text"}, 3, 1},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        CHECK_INT(weir_slot_key_argument(commands[i].argc, commands[i].argv, NULL),
                  commands[i].key);
}

/* Words of a long command stand without a NUL between them. */
static void test_unterminated(void) {
    const char *const argv[] = {"EVALSHA0123", "01232{k}", "2{k}", "{k}{l}", "{l}x", "x"};
    const size_t lens[] = {7, 4, 1, 3, 3, 1};
    CHECK_INT(weir_slot_key_argument(6, argv, lens), 3);
}

static const char *const groups[] = {"shop",      "weir",   "store",    "web",       "eu",
                                     "us",        "prod",   "staging",  "shop-eu",   "shop.us",
                                     "analytics", "clicks", "counters", "weir-prod", "metrics",
                                     "myshop",    "s",      "retail",   "outlet",    "b2b"};
static const char *const topics[] = {
    "events",           "shop.events", "clickstream",       "clicks", "web.events", "pageviews",
    "tracking",         "raw.events",  "shop.events.keyed", "e",      "orders",     "site-events",
    "events.v1",        "events-v2",   "prod.events",       "ga4",    "segment",    "snowplow",
    "analytics.events", "stream"};
#define NAMES(list) (sizeof(list) / sizeof *(list))

/* Of one topic over three primaries that split the slots evenly, as redis-cli does. */
static void count_primaries(const char *group, const char *topic, int partitions, int counts[3]) {
    for (int i = 0; i < 3; i++)
        counts[i] = 0;
    for (int p = 0; p < partitions; p++) {
        char tag[120];
        CHECK(weir_name_tag(tag, sizeof tag, group, topic, p) > 0);
        counts[slot_of(tag) * 3 / WEIR_SLOTS]++;
    }
}

/* The figures of README.md, under "Redis Cluster". */
static void test_spread(void) {
    static const struct {
        int partitions, most, least; /* of any name on any primary */
    } said[] = {{8, 4, 2}, {16, 10, 3}, {32, 18, 7}, {64, 28, 16}, {128, 55, 33}, {256, 102, 73}};
    for (size_t i = 0; i < NAMES(said); i++) {
        int most = 0, least = said[i].partitions, uneven = 0, counts[3];
        for (size_t n = 0; n < NAMES(groups) * NAMES(topics); n++) {
            count_primaries(groups[n % NAMES(groups)], topics[n / NAMES(groups)],
                            said[i].partitions, counts);
            bool beyond = false; /* a fifth of even */
            for (int k = 0; k < 3; k++) {
                most = counts[k] > most ? counts[k] : most;
                least = counts[k] < least ? counts[k] : least;
                beyond |= counts[k] * 15 > said[i].partitions * 6 ||
                          counts[k] * 15 < said[i].partitions * 4;
            }
            uneven += beyond;
        }
        printf("%d partitions on 3 primaries: %d to %d on one (even: %.1f), %d of %zu names beyond "
               "a fifth of even\n",
               said[i].partitions, least, most, said[i].partitions / 3.0, uneven,
               NAMES(groups) * NAMES(topics));
        CHECK_INT(most, said[i].most);
        CHECK_INT(least, said[i].least);
    }
}

int main(void) {
    test_vectors();
    test_key_arguments();
    test_unterminated();
    test_spread();
    return check_done("redis slot");
}
