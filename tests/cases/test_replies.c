/* What no Redis answers: replies of a wrong shape, and words that are not UTF-8, from a server that
 * is a confused or hostile one. Each is an error in words, and none ends the program. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/evaluator_state.h"
#include "app/forget.h"
#include "app/view.h"
#include "check.h"

#define STATE "(state)" /* in an answer: the bytes of a partition's state, as a text */

struct answer {
    const char *command, *reply;
};

static struct {
    struct answer odd;          /* the one in question ... */
    const struct answer *usual; /* ... and those of the other commands; else OK */
    char state[4096];           /* as a text of the protocol */
    size_t state_len;
    char url[128], path[100], config_path[100];
    int listener;
} world;

/* ---- the server: one client at a time, who leaves before the test changes the answers ---- */

/* The command's name into `name`; false when the client is gone. */
static bool take_command(FILE *in, char *name, size_t max) {
    char line[32], word[8192];
    if (!fgets(line, sizeof line, in))
        return false;
    long words = strtol(line + 1, NULL, 10);
    for (long i = 0; i < words; i++) {
        if (!fgets(line, sizeof line, in))
            return false;
        size_t len = strtoul(line + 1, NULL, 10) + 2;
        WEIR_ASSERT(len < sizeof word);
        if (fread(word, 1, len, in) != len)
            return false;
        word[len - 2] = 0;
        if (i == 0)
            snprintf(name, max, "%.60s", word);
    }
    return true;
}

static const char *reply_to(const char *name) {
    if (strcmp(name, world.odd.command) == 0)
        return world.odd.reply;
    for (const struct answer *usual = world.usual; usual && usual->command; usual++)
        if (strcmp(name, usual->command) == 0)
            return usual->reply;
    return "+OK\r\n";
}

static void say(int client, const char *reply) {
    const char *state = strstr(reply, STATE);
    size_t before = state ? (size_t)(state - reply) : strlen(reply);
    send(client, reply, before, MSG_NOSIGNAL);
    if (!state)
        return;
    send(client, world.state, world.state_len, MSG_NOSIGNAL);
    say(client, state + strlen(STATE));
}

static void *serve(void *unused) {
    (void)unused;
    for (;;) {
        char name[64];
        int client = accept(world.listener, NULL, NULL);
        FILE *in = client >= 0 ? fdopen(client, "r") : NULL;
        if (!in)
            return NULL;
        while (take_command(in, name, sizeof name))
            say(client, reply_to(name));
        fclose(in);
    }
}

static void start_server(void) {
    static char folder[] = "/tmp/weir-test-replies-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    pthread_t thread;
    WEIR_ASSERT(mkdtemp(folder) != NULL);
    snprintf(world.path, sizeof world.path, "%s/redis", folder);
    snprintf(world.config_path, sizeof world.config_path, "%s/weir.yaml", folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", world.path);
    snprintf(world.url, sizeof world.url, "unix://%s", world.path);
    world.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    WEIR_ASSERT(bind(world.listener, (struct sockaddr *)&address, sizeof address) == 0);
    WEIR_ASSERT(listen(world.listener, 16) == 0);
    WEIR_ASSERT(pthread_create(&thread, NULL, serve, NULL) == 0);
    pthread_detach(thread);
}

static void stop_server(void) {
    unlink(world.path);
    unlink(world.config_path);
    *strrchr(world.path, '/') = 0;
    rmdir(world.path);
}

/* ---- what is asked ---- */

static struct weir_config *config;

/* The state of a partition that has seen one record. */
static void make_state(void) {
    struct weir_partition *partition = weir_partition_new(&config->plan);
    struct weir_changes changes;
    struct weir_err err;
    weir_partition_record(partition, 0, WEIR_BAD_JSON);
    WEIR_ASSERT(weir_partition_export(partition, &changes, &err) == 0);
    int head = snprintf(world.state, sizeof world.state, "$%zu\r\n", changes.meta_len);
    world.state_len = (size_t)head + changes.meta_len + 2;
    WEIR_ASSERT(world.state_len < sizeof world.state);
    memcpy(world.state + head, changes.meta, changes.meta_len);
    memcpy(world.state + world.state_len - 2, "\r\n", 2);
    weir_partition_free(partition);
}

static struct weir_redis *opened(void) {
    struct weir_redis *redis = NULL;
    struct weir_err err;
    WEIR_ASSERT(weir_redis_new(&redis, world.url, 5000, &err) == 0);
    return redis;
}

static int claim(struct weir_err *err) {
    struct weir_redis *redis = opened();
    struct weir_store *store = NULL;
    struct weir_claim claimed;
    struct weir_partition *partition = weir_partition_new(&config->plan);
    WEIR_ASSERT(weir_store_new(&store, redis, "g", err) == 0);
    int status =
        weir_store_claim(store, "t", 0, config->plan.fingerprint, partition, &claimed, err);
    weir_store_free(store);
    weir_redis_free(redis);
    weir_partition_free(partition);
    return status;
}

static int forget_group(struct weir_err *err) {
    struct weir_redis *redis = opened();
    int status = weir_forget_group(redis, config, err);
    weir_redis_free(redis);
    return status;
}

static int discover(struct weir_err *err) {
    struct weir_view view;
    WEIR_ASSERT(weir_view_open(&view, world.url, "g", 5000, err) == 0);
    int status = weir_view_discover(&view, err);
    weir_view_close(&view);
    return status;
}

/* An evaluator without its thread, which leads. */
static int evaluate(int (*step)(struct weir_evaluator *e, struct weir_err *err),
                    struct weir_err *err) {
    static struct weir_evaluator evaluator;
    struct weir_evaluator *e = &evaluator;
    *e = (struct weir_evaluator){.config = config, .plan = &config->plan, .redis = opened()};
    e->lease_us = INT64_MAX / 2;
    weir_words_init(&e->words);
    weir_redis_hash_init(&e->hash);
    weir_name_key(e->published_key, sizeof e->published_key, "g", "published");
    weir_gather_reset(e);
    e->leader = true;
    int status = step(e, err);
    weir_alerting_free(e);
    weir_words_close(&e->words);
    weir_redis_hash_close(&e->hash);
    weir_redis_free(e->redis);
    weir_rollup_free(e->rollup);
    free(e->members);
    return status;
}

static int gather(struct weir_evaluator *e, struct weir_err *err) {
    int status = weir_gather_members(e, err);
    return status == 0 ? weir_gather_buckets(e, 1700000000000, err) : status;
}

static int publish(struct weir_evaluator *e, struct weir_err *err) {
    static const bool moved[WEIR_WINDOWS_MAX] = {true};
    weir_publish_begin(e);
    return weir_publish_windows(e, moved, err);
}

static int gather_all(struct weir_err *err) {
    return evaluate(gather, err);
}

static int load_alerts(struct weir_err *err) {
    return evaluate(weir_alerting_load, err);
}

static int load_published(struct weir_err *err) {
    return evaluate(weir_publish_load, err);
}

static int publish_windows(struct weir_err *err) {
    return evaluate(publish, err);
}

/* ---- tests ---- */

#define NIL "$-1\r\n"
#define A "$1\r\na\r\n"

static const char *const no_list[] = {
    "+OK\r\n",     ":1\r\n",           NIL,
    "*1\r\n" NIL,  "*1\r\n:7\r\n",     "*1\r\n*0\r\n",
    "-ERR no\r\n", "*2\r\n*1\r\n" A A, "*2\r\n" A "-no\r\n",
};
static const char *const no_pairs[] = {"*1\r\n" A, "*2\r\n" NIL A, "*2\r\n" A NIL,
                                       "*2\r\n:1\r\n:2\r\n"};
static const char *const no_text[] = {":1\r\n", "*0\r\n", "*1\r\n" A, "-ERR no\r\n"};
static const char *const no_meta[] = {
    "*0\r\n",
    "*1\r\n" A,
    "*6\r\n" A A A A A A,
    "*7\r\n" A A A A A A ":1\r\n",
    "*7\r\n*0\r\n" A A A A A A,
    "*8\r\n" A A A A A A A A,
};
static const char *const no_last[] = {"*0\r\n", "*1\r\n" A, "*2\r\n:1\r\n:1\r\n", "*3\r\n" A A A};
static const char *const no_claim[] = {
    "+OK\r\n",
    ":1\r\n",
    NIL,
    "*0\r\n",
    "*2\r\n:1\r\n:2\r\n",
    "*2\r\n" NIL NIL,
    "*2\r\n$2\r\nOK\r\n:1\r\n",
    "*2\r\n$2\r\nOK\r\n" A,
    "*2\r\n$6\r\nFORMAT\r\n" STATE,
    "*2\r\n$6\r\nFORMAT\r\n" NIL,
    "*2\r\n$11\r\nFINGERPRINT\r\n:1\r\n",
    "*3\r\n$2\r\nOK\r\n:1\r\n" STATE,
    "*4\r\n$2\r\nOK\r\n" A STATE NIL,
    "*4\r\n:1\r\n:1\r\n" STATE NIL,
    "*4\r\n$2\r\nOK\r\n:1\r\n*0\r\n" NIL,
    "*4\r\n$2\r\nOK\r\n:1\r\n:5\r\n" NIL,
};

#define MEMBERS                                                                                    \
    { "SMEMBERS", "*1\r\n$3\r\nt.0\r\n" }
#define META                                                                                       \
    { "HMGET", "*7\r\n$1\r\n1\r\n" A A A A NIL STATE }
#define CLAIMED                                                                                    \
    { "EVALSHA", "*4\r\n$2\r\nOK\r\n:1\r\n" STATE NIL }
#define EMPTY "*0\r\n"
static const struct answer gathered[] = {
    MEMBERS, META, {"ZRANGEBYSCORE", "*1\r\n$3\r\n0:0\r\n"}, {"GET", NIL}, {0}};
static const struct answer claimed[] = {CLAIMED, {"ZRANGE", EMPTY}, {"GET", NIL}, {0}};
static const struct answer published[] = {{"HMGET", "*2\r\n" NIL NIL}, {"ZRANGE", EMPTY}, {0}};
static const struct answer stored[] = {MEMBERS,
                                       {"HGET", NIL},
                                       {"ZRANGE", EMPTY},
                                       {"HMGET", "*2\r\n" NIL NIL},
                                       {"HGETALL", EMPTY},
                                       {"UNLINK", ":0\r\n"},
                                       {0}};

/* Every reply in the place of the right one. */
static void wrong(const char *what, int (*ask)(struct weir_err *err), const struct answer *usual,
                  const char *command, const char *const *replies, size_t len) {
    world.usual = usual;
    for (size_t i = 0; i < len; i++) {
        struct weir_err err = {0};
        world.odd = (struct answer){command, replies[i]};
        int status = ask(&err);
        bool told = strstr(err.text, "Redis answered") != NULL;
        if (status != -WEIR_ERR_UNREACHABLE || !told)
            printf("%s: %s answered by reply %zu: %d %s\n", what, command, i, status, err.text);
        CHECK_INT(status, -WEIR_ERR_UNREACHABLE);
        CHECK(told);
    }
}
#define WRONG(ask, usual, command, replies)                                                        \
    wrong(#ask, ask, usual, command, replies, sizeof(replies) / sizeof *(replies))

/* The usual answers are taken, so that each failure is the odd one's. */
static void test_usual(void) {
    static const struct {
        int (*ask)(struct weir_err *err);
        const struct answer *usual;
    } asked[] = {{claim, claimed},       {gather_all, gathered}, {publish_windows, published},
                 {forget_group, stored}, {load_alerts, stored},  {load_published, stored}};
    world.odd = (struct answer){"", ""};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct weir_err err = {0};
        world.usual = asked[i].usual;
        /* a state that was read is still to be ours, whose token is made by chance */
        int status = asked[i].ask(&err);
        bool good = asked[i].ask == claim ? strstr(err.text, "changed while") != NULL : status == 0;
        if (!good)
            printf("usual %zu: %d %s\n", i, status, err.text);
        CHECK(good);
    }
}

static void test_wrong(void) {
    WRONG(claim, claimed, "EVALSHA", no_claim);
    WRONG(gather_all, gathered, "SMEMBERS", no_list);
    WRONG(gather_all, gathered, "HMGET", no_meta);
    WRONG(gather_all, gathered, "HMGET", no_list);
    WRONG(gather_all, gathered, "ZRANGEBYSCORE", no_list);
    WRONG(gather_all, gathered, "GET", no_text);
    WRONG(load_alerts, stored, "HGETALL", no_pairs);
    WRONG(load_alerts, stored, "HGETALL", no_list);
    WRONG(load_published, stored, "HGETALL", no_pairs);
    WRONG(publish_windows, published, "HMGET", no_last);
    WRONG(publish_windows, published, "ZRANGE", no_list);
    WRONG(forget_group, stored, "SMEMBERS", no_list);
    WRONG(forget_group, stored, "ZRANGE", no_list);
    WRONG(forget_group, stored, "HGETALL", no_pairs);
}

/* What is loaded is checked too; then the claim is not ours any more, which is what is told. */
static void test_loads(void) {
    struct weir_err err;
    world.usual = claimed;
    for (size_t i = 0; i < sizeof no_list / sizeof *no_list; i++) {
        world.odd = (struct answer){"ZRANGE", no_list[i]};
        CHECK_INT(claim(&err), -WEIR_ERR_UNREACHABLE);
        CHECK(strstr(err.text, "Redis answered") != NULL);
    }
    for (size_t i = 0; i < sizeof no_text / sizeof *no_text; i++) {
        world.odd = (struct answer){"GET", no_text[i]};
        CHECK_INT(claim(&err), -WEIR_ERR_UNREACHABLE);
    }
}

/* The names of what there is: from what is no name nothing is learnt. */
static void test_discover(void) {
    static const struct answer usual[] = {{"SCAN", "*2\r\n$1\r\n0\r\n*3\r\n:1\r\n" NIL "*0\r\n"},
                                          {0}};
    struct weir_err err;
    world.usual = usual;
    for (size_t i = 0; i < sizeof no_pairs / sizeof *no_pairs; i++) {
        world.odd = (struct answer){"HGETALL", no_pairs[i]};
        CHECK_INT(discover(&err), 0);
    }
    world.odd = (struct answer){"SCAN", "*2\r\n*0\r\n:7\r\n"};
    CHECK_INT(discover(&err), 0);
}

static const char *no_query(const struct weir_request *request, const char *name) {
    (void)request;
    (void)name;
    return NULL;
}

/* A failure whose words JSON does not take is still one. */
static void check_not_ready(struct weir_admin *admin, const char *part) {
    struct weir_request request = {.method = "GET", .path = "/-/ready", .query = no_query};
    struct weir_response response = {.status = 200};
    weir_buf_init(&response.body, 1 << 20);
    weir_admin_handle(admin, &request, &response);
    weir_buf_byte(&response.body, 0);
    CHECK_INT(response.status, 503);
    CHECK(strstr(response.body.data, part) != NULL);
    weir_buf_close(&response.body);
}

static void test_ready(void) {
    static char words[700] = "-ERR ";
    struct weir_service service = {.config = config};
    struct weir_err err;
    memset(words + 5, 'x', sizeof words - 6);
    for (size_t i = 6; i + 1 < 600; i += 2) /* cut at 500 bytes: within a letter */
        memcpy(words + i, "\xc3\xa4", 2);
    strcpy(words + sizeof words - 3, "\r\n");
    const struct answer odd[] = {
        {"PING", words}, {"PING", "-ERR \xff\r\n"}, {"PING", "-ERR plain\r\n"}};
    static const char *const parts[] = {"ERR x?", "ERR ?", "ERR plain"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct weir_admin *admin = NULL;
        world.odd = odd[i];
        WEIR_ASSERT(weir_admin_new(&admin, &service, &err) == 0);
        check_not_ready(admin, parts[i]);
        weir_admin_free(admin);
    }
}

static void load_config(void) {
    struct weir_problems problems = {0};
    struct weir_err err;
    FILE *out = fopen(world.config_path, "w");
    WEIR_ASSERT(out != NULL);
    fprintf(out,
            "kafka: { brokers: [localhost:1], topics: [t], group: g }\nredis: { url: '%s' }\n"
            "events: { dimensions: { country: c } }\nwindows: [1m]\n",
            world.url);
    fclose(out);
    WEIR_ASSERT(weir_config_load(&config, world.config_path, &problems, &err) == 0);
}

int main(void) {
    start_server();
    load_config();
    weir_log_setup(WEIR_LOG_ERROR, WEIR_LOG_LOGFMT);
    make_state();
    test_usual();
    test_wrong();
    test_loads();
    test_discover();
    test_ready();
    weir_config_free(config);
    stop_server();
    return check_done("replies");
}
