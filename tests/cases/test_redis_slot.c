/* Which slot of a Redis Cluster a key lies in, and how weir's keys spread over the slots. */
#include <stdio.h>
#include <string.h>

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

/* Partitions of one topic over three primaries that split the slots evenly, as redis-cli does. */
static void test_spread(const char *group, const char *topic) {
    printf("weir:{%s.%s.<n>}: partitions, most and least on one of 3 primaries, slots used twice, "
           "widest gap\n",
           group, topic);
    for (int partitions = 8; partitions <= 256; partitions *= 2) {
        static unsigned char used[WEIR_SLOTS];
        int primaries[3] = {0}, twice = 0, gap = 0, widest = 0;
        memset(used, 0, sizeof used);
        for (int p = 0; p < partitions; p++) {
            char key[120];
            snprintf(key, sizeof key, "weir:{%s.%s.%d}:meta", group, topic, p);
            int slot = slot_of(key);
            primaries[slot * 3 / WEIR_SLOTS]++;
            twice += used[slot]++ > 0;
        }
        for (int slot = 0; slot < WEIR_SLOTS; slot++) {
            gap = used[slot] ? 0 : gap + 1;
            widest = gap > widest ? gap : widest;
        }
        int most = 0, least = partitions;
        for (int i = 0; i < 3; i++) {
            most = primaries[i] > most ? primaries[i] : most;
            least = primaries[i] < least ? primaries[i] : least;
        }
        printf("  %3d: %2d and %2d (even: %.1f), %d, %d\n", partitions, most, least,
               partitions / 3.0, twice, widest);
        CHECK_INT(twice, 0);
        CHECK(most * 3 <= partitions * 2); /* at most twice the even share, also of few */
        CHECK(least > 0);
        if (partitions >= 64) /* within a fifth of even, as the README says */
            CHECK(most * 15 <= partitions * 6 && least * 15 >= partitions * 4);
    }
}

int main(void) {
    test_vectors();
    test_key_arguments();
    test_unterminated();
    test_spread("shop", "shop.events");
    test_spread("weir", "events");
    test_spread("shop", "clickstream");
    return check_done("redis slot");
}
