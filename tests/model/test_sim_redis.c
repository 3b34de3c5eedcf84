/*
 * The simulator's Redis against the real one: the same random calls of weir's scripts and of the
 * commands that weir uses, answers and keys compared. REDIS_URL says where the real one is; nobody
 * else may use it meanwhile, as it is made to forget its scripts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/scripts.h"
#include "check.h"
#include "sim_db.h"
#include "sim_lua.h"
#include "weir/buf.h"
#include "weir/redis.h"
#include "weir/redis_hash.h"

#define CALLS 6000
#define CALLS_LONG 100000
#define WORDS_MAX 64
#define WORD_MAX 64
#define ANSWER_MAX ((size_t)1 << 20)
#define DUMP_EVERY 50

static uint64_t random_state = 1;

static uint32_t below(uint32_t limit) { /* splitmix64 */
    uint64_t x = random_state += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return (uint32_t)(((x ^ x >> 31) >> 32) * limit >> 32);
}

/* ---- one call ---- */

struct call {
    char words[WORDS_MAX][WORD_MAX];
    const char *argv[WORDS_MAX];
    size_t lens[WORDS_MAX];
    int len;
    size_t group; /* items that belong together in an answer without order; 0: it has one */
    bool leases;
};

static void word(struct call *call, const char *text) {
    snprintf(call->words[call->len], WORD_MAX, "%s", text);
    call->argv[call->len] = call->words[call->len];
    call->lens[call->len] = strlen(call->words[call->len]);
    call->len++;
}

/* Now and then damaged. */
static void payload(struct call *call) {
    struct weir_redis_hash hash;
    char text[32];
    weir_redis_hash_init(&hash);
    weir_redis_hash_begin(&hash);
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "field%u", i);
        weir_redis_hash_text(&hash, text, strlen(text));
        snprintf(text, sizeof text, below(2) ? "%u" : "0.%u", below(20));
        weir_redis_hash_text(&hash, text, strlen(text));
    }
    weir_redis_hash_end(&hash);
    memcpy(call->words[call->len], hash.bytes, hash.len);
    call->words[call->len][hash.len - 1] ^= below(20) == 0;
    call->argv[call->len] = call->words[call->len];
    call->lens[call->len++] = hash.len;
    weir_redis_hash_close(&hash);
}

static void number(struct call *call, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    word(call, text);
}

static const char *const keys[] = {"meta",  "touched", "ticks", "b:0:1",     "b:0:2",
                                   "b:1:7", "s:0",     "lease", "published", "stream"};
#define KEYS (sizeof keys / sizeof keys[0])

static void key(struct call *call, size_t at) {
    char text[WORD_MAX];
    snprintf(text, sizeof text, "weir:{simulated}:%s", keys[at]);
    word(call, text);
}

static void pick(struct call *call, const char *stem, uint32_t count) {
    char text[32];
    snprintf(text, sizeof text, "%s%u", stem, below(count));
    word(call, text);
}

/* Whole, or by its hash, which Redis may not know. */
static void script(struct call *call, const char *body, int keys_len) {
    struct weir_script id;
    bool whole = below(2);
    word(call, whole ? "EVAL" : "EVALSHA");
    if (whole) {
        call->argv[1] = body;
        call->lens[1] = strlen(body);
        call->len = 2;
    } else {
        weir_script_init(&id, body);
        word(call, id.sha);
    }
    number(call, keys_len);
}

static void make_claim(struct call *call) {
    script(call, weir_script_claim, 1);
    key(call, 0);
    pick(call, "token", 3);
    pick(call, "print", below(20) ? 1 : 2);
    number(call, below(10) ? 's' : 1); /* as the states made here begin */
}

static void make_commit(struct call *call) {
    static const char *const ticks[] = {"", "", "1:2\n3:4\n", "=3:-5\n", "=1:6\n", "=3:7\n13:8\n"};
    uint32_t sets = below(4), gone = below(3), touched = below(4), removed = below(3);
    uint32_t seq = below(4);
    script(call, weir_script_commit, (int)(3 + sets + gone));
    for (size_t i = 0; i < 3; i++)
        key(call, i);
    for (uint32_t i = 0; i < sets + gone; i++)
        key(call, 3 + below(4));
    pick(call, "token", 3);
    number(call, seq);
    number(call, seq + below(2));
    number(call, below(3));
    number(call, below(100) - 50);
    pick(call, "state", 5);
    word(call, ticks[below(sizeof ticks / sizeof ticks[0])]);
    number(call, below(2));
    number(call, below(9));
    number(call, below(9));
    number(call, sets);
    number(call, touched);
    number(call, removed);
    pick(call, "mark", 3);
    for (uint32_t i = 0; i < touched + removed; i++)
        pick(call, "0:", 6);
    for (uint32_t i = 0; i < sets; i++)
        pick(call, "value", 9);
}

static void make_lease(struct call *call) {
    script(call, weir_script_lease, 1);
    key(call, 7);
    pick(call, "token", 2);
    number(call, below(8) ? 100000 : 1);
    call->leases = true;
}

/* What may go from a stream; by `~` Redis lets go whole nodes only, of which these have one. */
static void put_limit(struct call *call) {
    static const char *const limits[][3] = {{"MAXLEN", "~", "1000"},
                                            {"MAXLEN", "=", "6"},
                                            {"MAXLEN", "=", "2"},
                                            {"MINID", "~", "500"},
                                            {"MINID", "~", "990-1"}};
    const char *const *limit = limits[below(sizeof limits / sizeof limits[0])];
    for (int i = 0; i < 3; i++)
        word(call, limit[i]);
}

/* A command of a publication: its number of words, then the words. */
static void publish_one(struct call *call) {
    static const char *const verbs[] = {"SET",  "DEL",  "HSET",    "HDEL",
                                        "ZADD", "XADD", "PUBLISH", "RESTORE"};
    const char *verb = verbs[below(sizeof verbs / sizeof verbs[0])];
    int count_at = call->len;
    number(call, 0);
    word(call, verb);
    key(call, strcmp(verb, "XADD") == 0 ? 9 : below(12) ? 3 + below(4) : 9);
    if (strcmp(verb, "XADD") == 0) {
        put_limit(call);
        number(call, 1 + below(1000));
        pick(call, "field", 3);
    } else if (strcmp(verb, "ZADD") == 0) {
        number(call, below(50));
    } else if (strcmp(verb, "HSET") == 0) {
        pick(call, "field", 4);
    }
    if (strcmp(verb, "RESTORE") == 0) {
        number(call, below(4) == 0 ? 90000 : 0);
        payload(call);
        word(call, "REPLACE");
        if (below(4) == 0)
            word(call, "ABSTTL"); /* long ago, or never */
    } else if (strcmp(verb, "DEL") != 0)
        pick(call, strcmp(verb, "HDEL") == 0 ? "field" : "value", 4);
    snprintf(call->words[count_at], WORD_MAX, "%d", call->len - count_at - 1);
}

static void make_publish(struct call *call) {
    uint32_t last = below(4);
    script(call, weir_script_publish, 2);
    key(call, 7);
    key(call, 8);
    pick(call, "token", 2);
    number(call, last);
    pick(call, "word", 2);
    number(call, last + 1);
    pick(call, "word", 2);
    for (uint32_t i = below(5); i > 0; i--)
        publish_one(call);
}

static void make_restore(struct call *call) {
    word(call, "RESTORE");
    key(call, 3 + below(4));
    number(call, below(2));
    payload(call);
    if (below(2))
        word(call, "REPLACE");
    if (strcmp(call->argv[2], "1") == 0)
        word(call, "ABSTTL");
}

static void make_change(struct call *call) {
    static const char *const shapes[][4] = {
        {"SADD", "member", "member"},
        {"SET", "value"},
        {"DEL"},
        {"HSET", "field", "value"},
        {"HSETNX", "field", "value"},
        {"HDEL", "field"},
        {"HINCRBY", "count", "1"},
        {"ZADD", "1", "member"},
        {"ZREM", "member"},
        {"RPUSH", "value", "value"},
        {"LSET", "-1", "value"},
        {"NOSUCH", "value"},
        {"HSET", "field"},
        {"SET", "value", "PX", "90000"},
    };
    const char *const *shape = shapes[below(sizeof shapes / sizeof shapes[0])];
    word(call, shape[0]);
    key(call, below(KEYS - 1));
    for (int i = 1; i < 4 && shape[i]; i++) {
        bool plain = shape[i][0] < 'a';
        if (plain || strcmp(shape[i], "count") == 0)
            word(call, shape[i]);
        else
            pick(call, shape[i], 4);
    }
}

static void make_load(struct call *call) {
    static const char *const bodies[] = {weir_script_claim, weir_script_commit, weir_script_lease,
                                         weir_script_publish};
    word(call, "SCRIPT");
    word(call, "LOAD");
    call->argv[2] = bodies[below(sizeof bodies / sizeof bodies[0])];
    call->lens[2] = strlen(call->argv[2]);
    call->len = 3;
}

static const char *const questions[][5] = {
    {"GET"},
    {"HGETALL"},
    {"SMEMBERS"},
    {"ZRANGE", "0", "-1"},
    {"LRANGE", "0", "-1"},
    {"LINDEX", "-1"},
    {"XRANGE", "-", "+"},
    {"ZRANGEBYSCORE", "(1", "+inf"},
    {"ZRANGEBYSCORE", "2", "3"},
    {"HMGET", "field0", "owner", "none"},
    {"HGET", "seq"},
    {"XLEN"},
};
#define QUESTIONS (sizeof questions / sizeof questions[0])

static void make_question(struct call *call, size_t shape, size_t at) {
    const char *const *words = questions[shape];
    word(call, words[0]);
    key(call, at);
    for (int i = 1; words[i]; i++)
        word(call, words[i]);
    call->group = strcmp(words[0], "HGETALL") == 0 ? 2 : strcmp(words[0], "SMEMBERS") == 0 ? 1 : 0;
}

static void make_call(struct call *call) {
    static void (*const makers[])(struct call *) = {
        make_claim,   make_commit,  make_commit, make_commit,  make_lease,
        make_publish, make_publish, make_change, make_restore, make_load};
    *call = (struct call){0};
    makers[below(sizeof makers / sizeof makers[0])](call);
}

/* ---- answers as text ---- */

static int by_text(const void *left, const void *right) {
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

static char *text_of(const struct weir_reply *reply, size_t group);

static void put_items(struct weir_buf *out, const struct weir_reply *reply, size_t group) {
    size_t step = group ? group : 1, len = 0;
    char **texts = calloc(reply->items_len + 1, sizeof *texts);
    WEIR_ASSERT(texts != NULL);
    for (size_t i = 0; i < reply->items_len; i += step) {
        char *first = text_of(reply->items[i], 0);
        char *second = step == 2 ? text_of(reply->items[i + 1], 0) : strdup("");
        WEIR_ASSERT(asprintf(&texts[len++], "%s %s", first, second) >= 0);
        free(first);
        free(second);
    }
    if (group)
        qsort(texts, len, sizeof *texts, by_text);
    for (size_t i = 0; i < len; i++) {
        weir_buf_printf(out, "[%s]", texts[i]);
        free(texts[i]);
    }
    free(texts);
}

/* Redis says behind an error in a script where it was; that is not compared. */
static char *text_of(const struct weir_reply *reply, size_t group) {
    struct weir_buf out;
    weir_buf_init(&out, ANSWER_MAX);
    switch (reply->type) {
    case WEIR_REPLY_NIL:
        weir_buf_text(&out, "nil");
        break;
    case WEIR_REPLY_INTEGER:
        weir_buf_printf(&out, "%" PRId64, reply->integer);
        break;
    case WEIR_REPLY_TEXT:
        weir_buf_printf(&out, "\"%s\"", reply->text);
        break;
    case WEIR_REPLY_ERROR: {
        const char *where = strstr(reply->text, " script: ");
        const char *args = strstr(reply->text, ", with args");
        size_t len = where  ? (size_t)(where - reply->text)
                     : args ? (size_t)(args - reply->text)
                            : reply->len;
        weir_buf_printf(&out, "error %.*s", (int)len, reply->text);
        break;
    }
    case WEIR_REPLY_ARRAY:
        put_items(&out, reply, group);
        break;
    }
    weir_buf_byte(&out, 0);
    return out.data;
}

/* ---- both ---- */

struct both {
    struct weir_redis *real;
    struct sim_lua *lua;
    struct sim_db *db;
    uint64_t calls, errors;
};

static void show(const struct call *call) {
    for (int i = 0; i < call->len; i++)
        printf(" %.60s", i == 1 && call->argv[i][0] == '#' ? "SCRIPT" : call->argv[i]);
    printf("\n");
}

static bool compare(struct both *both, const struct call *call) {
    struct sim_text texts[WORDS_MAX];
    struct weir_reply *real = NULL;
    struct weir_err err;
    for (int i = 0; i < call->len; i++)
        texts[i] = (struct sim_text){call->argv[i], call->lens[i]};
    if (weir_redis_command(both->real, &real, &err, call->len, call->argv, call->lens) != 0) {
        printf("%s\n", err.text);
        return false;
    }
    struct weir_reply *simulated = sim_lua_call(both->lua, both->db, (size_t)call->len, texts, 0);
    char *want = text_of(real, call->group), *got = text_of(simulated, call->group);
    bool same = strcmp(want, got) == 0;
    both->calls++;
    both->errors += real->type == WEIR_REPLY_ERROR;
    if (!same) {
        show(call);
        printf("  Redis answers     %s\n  the simulated one %s\n", want, got);
    }
    free(want);
    free(got);
    weir_reply_free(real);
    weir_reply_free(simulated);
    return same;
}

/* Every question to every key: also what type it has. */
static bool compare_keys(struct both *both) {
    bool same = true;
    for (size_t at = 0; at < KEYS; at++)
        for (size_t shape = 0; shape < QUESTIONS; shape++) {
            struct call call = {0};
            make_question(&call, shape, at);
            same &= compare(both, &call);
        }
    return same;
}

static bool forget(struct both *both) {
    struct call call = {0};
    word(&call, "DEL");
    for (size_t at = 0; at < KEYS; at++)
        key(&call, at);
    return compare(both, &call);
}

/* Redis has started anew: it knows no script. */
static bool flush_scripts(struct both *both) {
    struct call call = {0};
    struct weir_reply *reply = NULL;
    struct weir_err err;
    word(&call, "SCRIPT");
    word(&call, "FLUSH");
    sim_lua_forget(both->lua);
    bool done = weir_redis_command(both->real, &reply, &err, call.len, call.argv, call.lens) == 0 &&
                reply->type == WEIR_REPLY_TEXT;
    weir_reply_free(reply);
    return done;
}

/* A lease of one millisecond is over in both. */
static void let_leases_end(struct both *both, const struct call *call) {
    if (strcmp(call->argv[call->len - 1], "1") != 0)
        return;
    usleep(3000);
    both->db->now_ms += 3;
}

static void run(struct both *both, int calls) {
    struct call call;
    if (!forget(both))
        printf("  (a former run had left keys behind)\n");
    CHECK(flush_scripts(both));
    for (int i = 0; i < calls; i++) {
        make_call(&call);
        bool same = compare(both, &call);
        if (same && call.leases)
            let_leases_end(both, &call);
        if (same && (i % DUMP_EVERY == 0 || i + 1 == calls))
            same = compare_keys(both);
        CHECK(same);
        if (!same)
            return;
        if (below(200) == 0)
            CHECK(forget(both));
        if (below(60) == 0)
            CHECK(flush_scripts(both));
    }
    CHECK(forget(both));
}

int main(void) {
    const char *url = getenv("REDIS_URL");
    if (!url) {
        printf("REDIS_URL is not set: start one with tests/services/redis.sh\n"
               "test_sim_redis: 0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    struct both both = {.lua = sim_lua_new(), .db = sim_db_new()};
    struct weir_err err;
    both.db->now_ms = 1000;
    CHECK_INT(weir_redis_new(&both.real, url, 5000, &err), 0);
    run(&both, getenv("WEIR_LONG") ? CALLS_LONG : CALLS);
    printf("%" PRIu64 " calls and questions, %" PRIu64 " of them answered by an error, the same\n",
           both.calls, both.errors);
    weir_redis_free(both.real);
    sim_db_free(both.db);
    sim_lua_free(both.lua);
    return check_done("test_sim_redis");
}
