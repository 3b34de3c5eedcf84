/* Hashes as the real Redis keeps them: the bytes are those of DUMP, RESTORE takes them, and they
 * are read again. REDIS_URL says where it is. */
#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "weir/redis.h"
#include "weir/redis_hash.h"

#define HASHES 300
#define FIELDS_MAX 200
#define WORDS_MAX (2 + 2 * FIELDS_MAX)
#define KEY "{weir-test}:hash"
#define OTHER "{weir-test}:restored"

static uint64_t state = 1;
static uint32_t below(uint32_t limit) { /* splitmix64 */
    uint64_t x = state += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return (uint32_t)(((x ^ x >> 31) >> 32) * limit >> 32);
}

struct words {
    char texts[WORDS_MAX][5000];
    const char *argv[WORDS_MAX];
    size_t lens[WORDS_MAX];
    int len;
};

static void put(struct words *words, const char *text) {
    words->lens[words->len] = strlen(text);
    memcpy(words->texts[words->len], text, words->lens[words->len] + 1);
    words->argv[words->len] = words->texts[words->len];
    words->len++;
}

/* Whole numbers of every width, and what only looks like one. */
static void put_value(struct words *words) {
    static const char *const odd[] = {"",
                                      "0",
                                      "-0",
                                      "00",
                                      "01",
                                      "-1",
                                      "-01",
                                      "+1",
                                      "1.0",
                                      " 1",
                                      "1 ",
                                      "-",
                                      "127",
                                      "128",
                                      "-4096",
                                      "-4097",
                                      "4095",
                                      "4096",
                                      "32767",
                                      "32768",
                                      "-32769",
                                      "8388607",
                                      "8388608",
                                      "-8388609",
                                      "2147483648",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "-9223372036854775808",
                                      "-9223372036854775809",
                                      "12345678901234567890",
                                      "123456789012345678901"};
    char text[5000];
    uint64_t number = ((uint64_t)below(UINT32_MAX) << 32 | below(UINT32_MAX)) >> below(64);
    switch (below(5)) {
    case 0:
        put(words, odd[below(sizeof odd / sizeof odd[0])]);
        return;
    case 1:
        snprintf(text, sizeof text, "%" PRIu32 ".%06u", below(100), below(1000000));
        break;
    case 2: {
        size_t len = below(20) ? below(64) : below(4999);
        memset(text, 'a' + (int)below(26), len);
        text[len] = '\0';
        break;
    }
    default:
        snprintf(text, sizeof text, "%" PRId64, below(2) ? (int64_t)number : -(int64_t)number);
    }
    put(words, text);
}

static void make(struct words *words) {
    uint32_t fields = 1 + below(below(4) ? 20 : FIELDS_MAX);
    char name[80];
    words->len = 0;
    put(words, "HSET");
    put(words, KEY);
    for (uint32_t i = 0; i < fields; i++) {
        snprintf(name, sizeof name, below(2) ? "%u" : "settled.field_%u_of_a_longer_name", i);
        put(words, name);
        put_value(words);
    }
}

static void write_hash(struct weir_redis_hash *hash, const struct words *words) {
    weir_redis_hash_begin(hash);
    for (int i = 2; i < words->len; i++)
        weir_redis_hash_text(hash, words->argv[i], words->lens[i]);
    weir_redis_hash_end(hash);
}

static void check_read(const struct weir_redis_hash *hash, const struct words *words) {
    struct weir_redis_hash_reader reader;
    struct weir_str text;
    int same = weir_redis_hash_read(&reader, hash->bytes, hash->len) == 0;
    for (int i = 2; same && i < words->len; i++)
        same = weir_redis_hash_next(&reader, &text) == 1 && text.len == words->lens[i] &&
               memcmp(text.data, words->argv[i], text.len) == 0;
    CHECK(same && weir_redis_hash_next(&reader, &text) == 0);
}

/* Any byte of it changed, or its end missing. */
static void check_damaged(const struct weir_redis_hash *hash) {
    struct weir_redis_hash_reader reader;
    char *copy = malloc(hash->len);
    memcpy(copy, hash->bytes, hash->len);
    copy[below((uint32_t)hash->len)] ^= (char)(1 + below(255));
    CHECK_INT(weir_redis_hash_read(&reader, copy, hash->len), -1);
    free(copy);
    CHECK_INT(weir_redis_hash_read(&reader, hash->bytes, below((uint32_t)hash->len)), -1);
}

static struct weir_reply *ask(struct weir_redis *redis, int argc, const char *const *argv,
                              const size_t *lens) {
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    if (weir_redis_command(redis, &reply, &err, argc, argv, lens) != 0) {
        printf("%s\n", err.text);
        exit(1);
    }
    if (reply->type == WEIR_REPLY_ERROR)
        printf("%s %s: %s\n", argv[0], argv[1], reply->text);
    return reply;
}

static bool equal(const struct weir_reply *a, const struct weir_reply *b) {
    bool same = a->items_len == b->items_len;
    for (size_t i = 0; same && i < a->items_len; i++)
        same = a->items[i]->len == b->items[i]->len &&
               memcmp(a->items[i]->text, b->items[i]->text, a->items[i]->len) == 0;
    return same;
}

/* But for the version that Redis writes at the end, and the checksum over it. */
static void check_dump(struct weir_redis *redis, const struct weir_redis_hash *hash) {
    struct weir_reply *dump = ask(redis, 2, (const char *[]){"DUMP", KEY}, NULL);
    CHECK(dump->len == hash->len && memcmp(dump->text, hash->bytes, hash->len - 10) == 0);
    weir_reply_free(dump);
}

static void check_one(struct weir_redis *redis, struct weir_redis_hash *hash,
                      const struct words *words) {
    weir_reply_free(ask(redis, 2, (const char *[]){"DEL", KEY}, NULL));
    weir_reply_free(ask(redis, words->len, words->argv, words->lens));
    write_hash(hash, words);
    check_read(hash, words);
    check_damaged(hash);
    check_dump(redis, hash);
    const char *restore[] = {"RESTORE", OTHER, "0", hash->bytes, "REPLACE"};
    const size_t lens[] = {7, strlen(OTHER), 1, hash->len, 7};
    struct weir_reply *done = ask(redis, 5, restore, lens);
    CHECK(done->type == WEIR_REPLY_TEXT && strcmp(done->text, "OK") == 0);
    struct weir_reply *want = ask(redis, 2, (const char *[]){"HGETALL", KEY}, NULL);
    struct weir_reply *got = ask(redis, 2, (const char *[]){"HGETALL", OTHER}, NULL);
    CHECK(equal(want, got));
    weir_reply_free(done);
    weir_reply_free(want);
    weir_reply_free(got);
}

static void configure(struct weir_redis *redis, const char *name, const char *value) {
    weir_reply_free(ask(redis, 4, (const char *[]){"CONFIG", "SET", name, value}, NULL));
}

int main(void) {
    static struct words words;
    const char *url = getenv("REDIS_URL");
    struct weir_redis *redis = NULL;
    struct weir_redis_hash hash;
    struct weir_err err;
    if (!url) {
        printf("REDIS_URL is not set: start one with tests/services/redis.sh\n"
               "test_redis_hash: 0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    CHECK_INT(weir_redis_new(&redis, url, 5000, &err), 0);
    configure(redis, "rdbcompression", "no");
    configure(redis, "hash-max-listpack-entries", "512");
    configure(redis, "hash-max-listpack-value", "8192");
    weir_redis_hash_init(&hash);
    for (int i = 0; i < HASHES; i++) {
        make(&words);
        check_one(redis, &hash, &words);
    }
    configure(redis, "rdbcompression", "yes");
    configure(redis, "hash-max-listpack-value", "64");
    weir_reply_free(ask(redis, 3, (const char *[]){"DEL", KEY, OTHER}, NULL));
    weir_redis_hash_close(&hash);
    weir_redis_free(redis);
    return check_done("test_redis_hash");
}
