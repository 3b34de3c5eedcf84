/* The outbox against a real Redis (REDIS_URL): a webhook that errs on order, a Kafka (librdkafka's
 * own mock), a sink that is dead, and who may send. */
#include "app/outbox.h"
#include "app/outbox_kafka.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <jansson.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "tsan_threads.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/redis.h"

#define GROUP "test-outbox"
#define KEY(sink) "weir:{" GROUP "}:outbox:" sink
#define TOPIC "alerts"
#define ALERT                                                                                      \
    "{\"fingerprint\":\"f00d\",\"status\":\"firing\",\"rule\":\"A\",\"labels\":{},"                \
    "\"starts_at\":\"2023-11-14T22:00:00Z\",\"ends_at\":null}"

static struct weir_redis *redis;
static char folder[] = "/tmp/weir-test-outbox-XXXXXX";
static char record_path[300], script_path[300], hook_url[64];
static char group_text[] = GROUP, hook[] = "hook", dead[] = "dead", kafka[] = "kafka",
            log_name[] = "log", topic[] = TOPIC, nobody[] = "http://127.0.0.1:1/";
static _Atomic bool leads;

static bool is_leader(void *context) {
    (void)context;
    return atomic_load(&leads);
}

/* ---- what the test stands on ---- */

static int64_t run(const char *const *words) {
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    int len = 0;
    while (words[len])
        len++;
    CHECK_INT(weir_redis_command(redis, &reply, &err, len, words, NULL), 0);
    CHECK(reply && reply->type != WEIR_REPLY_ERROR);
    int64_t number = reply ? reply->integer : -1;
    weir_reply_free(reply);
    return number;
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void add(const char *key, const char *id) {
    RUN("XADD", key, "*", "id", id, "alert", ALERT);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

static pid_t start_webhook(int *input) {
    int in[2], out[2], port = 0;
    char program[512];
    snprintf(program, sizeof program, "%.*s/webhook_server.py",
             (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    if (pipe(in) != 0 || pipe(out) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        execlp("python3", "python3", program, record_path, "--script", script_path, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *input = in[1];
    FILE *lines = fdopen(out[0], "r");
    CHECK(lines && fscanf(lines, "port %d", &port) == 1);
    if (lines)
        fclose(lines);
    snprintf(hook_url, sizeof hook_url, "http://127.0.0.1:%d/", port);
    return pid;
}

/* What the webhook is to answer to the next requests, in their order; none so far. */
static void write_script(const char *lines) {
    FILE *script = fopen(script_path, "w");
    if (!script || fputs(lines, script) < 0)
        exit(1);
    fclose(script);
}

/* The ids that the webhook was given so far, separated by spaces. */
static void read_ids(char *ids, size_t max) {
    char line[65536];
    size_t used = 0;
    FILE *record = fopen(record_path, "r");
    ids[0] = 0;
    while (record && fgets(line, sizeof line, record)) {
        json_t *seen = json_loads(line, 0, NULL);
        const char *id =
            json_string_value(json_object_get(json_object_get(seen, "headers"), "idempotency-key"));
        used += (size_t)snprintf(ids + used, max - used, "%s%s", used ? " " : "", id ? id : "?");
        json_decref(seen);
    }
    if (record)
        fclose(record);
}

static struct weir_sink_figures figures_of(struct weir_outbox *outbox, const char *name) {
    struct weir_sink_figures figures[8] = {0};
    uint32_t len = weir_outbox_figures(outbox, figures, 8);
    for (uint32_t i = 0; i < len && i < 8; i++)
        if (strcmp(figures[i].name, name) == 0)
            return figures[i];
    CHECK(!"the sink is known");
    return figures[0];
}

/* Waits until the queue is empty, up to 20 s. */
static bool is_emptied(const char *key) {
    for (int i = 0; i < 400; i++) {
        if (RUN("XLEN", key) == 0)
            return true;
        weir_clock_sleep_ms(50);
    }
    return false;
}

static struct weir_outbox *started(const struct weir_config *config) {
    struct weir_outbox *outbox = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_outbox_start(&outbox, config, is_leader, NULL, &err), 0);
    return outbox;
}

/* ---- tests ---- */

static void test_leader(const struct weir_config *config) {
    atomic_store(&leads, false);
    add(KEY("hook"), "a-1");
    struct weir_outbox *outbox = started(config);
    weir_clock_sleep_ms(1200);
    CHECK_INT(RUN("XLEN", KEY("hook")), 1);
    atomic_store(&leads, true);
    CHECK(is_emptied(KEY("hook")));
    weir_outbox_stop(outbox);
    char ids[256];
    read_ids(ids, sizeof ids);
    CHECK_TEXT(ids, "a-1");
}

/* A connection that Redis closed is taken anew. */
static void test_reconnect(const struct weir_config *config) {
    struct weir_outbox *outbox = started(config);
    weir_clock_sleep_ms(700);
    RUN("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    add(KEY("hook"), "e-1");
    CHECK(is_emptied(KEY("hook")));
    weir_outbox_stop(outbox);
}

/* In order; a 503 is tried again and holds up those behind it; a 400 and a damaged entry are
 * dropped. */
static void test_answers(const struct weir_config *config) {
    char ids[256];
    remove(record_path);
    write_script("{}\n{\"status\":503}\n{\"status\":503}\n{}\n{\"status\":400}\n{}\n");
    struct weir_outbox *outbox = started(config);
    add(KEY("hook"), "b-1"); /* the second request of all, after a-1 */
    RUN("XADD", KEY("hook"), "*", "nothing", "useful");
    add(KEY("hook"), "b-2");
    add(KEY("hook"), "b-3");
    CHECK(is_emptied(KEY("hook")));
    weir_clock_sleep_ms(700); /* one more look, which must find nothing */
    struct weir_sink_figures figures = figures_of(outbox, "hook");
    CHECK_INT(figures.sent, 2);
    CHECK_INT(figures.failed, 2);
    CHECK_INT(figures.refused, 2);
    CHECK_INT(figures.waiting, 0);
    weir_outbox_stop(outbox);
    read_ids(ids, sizeof ids);
    CHECK_TEXT(ids, "b-1 b-1 b-1 b-2 b-3");
}

/* A dead sink delays neither the others nor the end. */
static void test_dead(const struct weir_config *config) {
    struct weir_outbox *outbox = started(config);
    add(KEY("dead"), "c-1");
    weir_clock_sleep_ms(300);
    add(KEY("hook"), "c-1");
    CHECK(is_emptied(KEY("hook")));
    struct weir_sink_figures figures = figures_of(outbox, "dead");
    CHECK(figures.failed >= 1);
    CHECK_INT(figures.sent, 0);
    CHECK_INT(RUN("XLEN", KEY("dead")), 1);
    int64_t began_us = weir_clock_monotonic_us();
    weir_outbox_stop(outbox);
    CHECK(weir_clock_monotonic_us() - began_us < 2000000);
    RUN("DEL", KEY("dead"));
}

/* A sink that takes the alert and never answers holds up the end for some seconds, not for its own
 * time-out; the alert stays in the queue. */
static void test_stop(struct weir_config config) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    char mute[64];
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 4) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(mute, sizeof mute, "http://127.0.0.1:%d/", ntohs(address.sin_port));
    struct weir_sink sink = {
        .type = WEIR_SINK_WEBHOOK, .name = dead, .url = mute, .timeout_ms = 40000};
    config.sinks = &sink;
    config.sinks_len = 1;
    add(KEY("dead"), "f-1");
    struct weir_outbox *outbox = started(&config);
    int client = accept(listener, NULL, NULL);
    char byte;
    CHECK(recv(client, &byte, 1, 0) == 1);
    int64_t began_us = weir_clock_monotonic_us();
    weir_outbox_stop(outbox);
    CHECK(weir_clock_monotonic_us() - began_us < 20000000);
    CHECK_INT(RUN("XLEN", KEY("dead")), 1);
    RUN("DEL", KEY("dead"));
    close(client);
    close(listener);
}

static void assign_all(void *context, struct weir_topic_partition *partitions, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++)
        partitions[i].offset = 0;
}

static void revoke_all(void *context, const struct weir_topic_partition *partitions, size_t len,
                       bool lost) {
    (void)context;
    (void)partitions;
    (void)len;
    (void)lost;
}

/* Reads the topic until `want` records came, up to 20 s; each must be the alert under its key. */
static size_t read_topic(const struct weir_config *config, size_t want) {
    static const char *const topics[] = {TOPIC};
    struct weir_kafka_options options = config->kafka;
    struct weir_consumer *consumer = NULL;
    struct weir_err err = {0};
    size_t got = 0;
    options.topics = topics;
    options.topics_len = 1;
    CHECK_INT(weir_consumer_new(&consumer, &options,
                                (struct weir_rebalance){assign_all, revoke_all, NULL}, &err),
              0);
    for (int i = 0; i < 200 && got < want; i++) {
        struct weir_record records[16];
        struct weir_batch *batch = NULL;
        int len = weir_consumer_poll(consumer, 100, 16, records, &batch, &err);
        for (int j = 0; j < len; j++, got++) {
            CHECK_INT(records[j].key_len, 4);
            CHECK(memcmp(records[j].key, "f00d", 4) == 0);
            CHECK_INT(records[j].len, strlen(ALERT));
            CHECK(memcmp(records[j].value, ALERT, records[j].len) == 0);
        }
        weir_batch_free(batch);
    }
    weir_consumer_free(consumer);
    return got;
}

static void test_kafka(struct weir_config config) {
    struct weir_mock_kafka *mock = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_mock_kafka_new(&mock, 1, &err), 0);
    CHECK_INT(weir_mock_kafka_create_topic(mock, TOPIC, 1, &err), 0);
    config.kafka.brokers = weir_mock_kafka_brokers(mock);
    struct weir_sink sink = {.type = WEIR_SINK_KAFKA, .name = kafka, .url = topic};
    config.sinks = &sink;
    config.sinks_len = 1;
    add(KEY("kafka"), "d-1");
    add(KEY("kafka"), "d-2");
    struct weir_outbox *outbox = started(&config);
    CHECK(is_emptied(KEY("kafka")));
    weir_clock_sleep_ms(100); /* the figure follows the deletion's answer */
    CHECK_INT(figures_of(outbox, "kafka").sent, 2);
    CHECK_INT(read_topic(&config, 2), 2);
    weir_outbox_stop(outbox);
    weir_mock_kafka_free(mock);
}

#define PARTITIONS 3
#define TOLD 12 /* over all of them */
#define OTHERS                                                                                     \
    9900 /* records behind them in each partition: not so many that they are out of sight */

static void tell_all(const struct weir_config *config, const struct weir_sink *sink) {
    struct weir_topic_sink *writer = weir_topic_sink_new(&config->kafka, sink);
    struct weir_err err = {0};
    for (int i = 0; i < TOLD; i++) {
        char id[32], alert[64];
        snprintf(id, sizeof id, "w-%d", i);
        snprintf(alert, sizeof alert, "{\"fingerprint\":\"f%d\"}", i);
        CHECK_INT(weir_topic_sink_send(writer, id, alert, strlen(alert), &err), 0);
    }
    weir_topic_sink_free(writer);
}

static void write_others(const struct weir_config *config) {
    struct weir_producer *producer = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_producer_new(&producer, &config->kafka, &err), 0);
    for (int i = 0; i < OTHERS * PARTITIONS; i++) {
        char id[32];
        snprintf(id, sizeof id, "other-%d", i);
        const struct weir_header headers[] = {{"idempotency-key", id}, {NULL, NULL}};
        if (weir_producer_send(producer, TOPIC, i % PARTITIONS, NULL, 0, "{}", 2, 0, headers,
                               &err) != 0)
            CHECK(!"a record is taken");
    }
    CHECK_INT(weir_producer_flush(producer, 20000), 0);
    weir_producer_free(producer);
}

static void count_told(void *context, const char *id, size_t len) {
    *(int *)context += len > 2 && memcmp(id, "w-", 2) == 0;
}

/* What a dead process had written is not written again, whichever partition is read last. */
static void test_kafka_partitions(struct weir_config config) {
    struct weir_mock_kafka *mock = NULL;
    struct weir_err err = {0};
    int told = 0;
    CHECK_INT(weir_mock_kafka_new(&mock, 1, &err), 0);
    CHECK_INT(weir_mock_kafka_create_topic(mock, TOPIC, PARTITIONS, &err), 0);
    config.kafka.brokers = weir_mock_kafka_brokers(mock);
    const struct weir_sink sink = {.type = WEIR_SINK_KAFKA, .name = kafka, .url = topic};
    tell_all(&config, &sink);
    write_others(&config);
    tell_all(&config, &sink);
    CHECK_INT(weir_kafka_tail(&config.kafka, TOPIC, "idempotency-key", OTHERS + 4 * TOLD, 20000,
                              count_told, &told, &err),
              0);
    CHECK_INT(told, TOLD);
    weir_mock_kafka_free(mock);
}

static void test_redis_away(struct weir_config config) {
    char away[] = "redis://127.0.0.1:1", none[] = "http://x";
    struct weir_outbox *outbox = NULL;
    struct weir_err err = {0};
    config.redis_url = away;
    outbox = started(&config);
    weir_clock_sleep_ms(300);
    int64_t began_us = weir_clock_monotonic_us();
    weir_outbox_stop(outbox);
    CHECK(weir_clock_monotonic_us() - began_us < 2000000);
    config.redis_url = none;
    CHECK_INT(weir_outbox_start(&outbox, &config, is_leader, NULL, &err), -WEIR_ERR_INPUT);
    CHECK(outbox == NULL);
    weir_outbox_stop(NULL);
}

int main(void) {
    char *url = getenv("REDIS_URL");
    if (!url) {
        printf("skipped: REDIS_URL is not set\noutbox: 0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    struct weir_err err = {0};
    int input = 0;
    if (!mkdtemp(folder))
        return 1;
    snprintf(record_path, sizeof record_path, "%s/record", folder);
    snprintf(script_path, sizeof script_path, "%s/script", folder);
    signal(SIGPIPE, SIG_IGN);
    pid_t webhook = start_webhook(&input);
    struct weir_sink sinks[] = {
        {.type = WEIR_SINK_LOG, .name = log_name},
        {.type = WEIR_SINK_WEBHOOK, .name = dead, .url = nobody, .timeout_ms = 1000},
        {.type = WEIR_SINK_WEBHOOK, .name = hook, .url = hook_url, .timeout_ms = 3000},
    };
    struct weir_config config = {.kafka = {.group = group_text, .client_id = "test"},
                                 .redis_url = url,
                                 .sinks = sinks,
                                 .sinks_len = 3};
    CHECK_INT(weir_redis_new(&redis, url, 5000, &err), 0);
    RUN("DEL", KEY("hook"), KEY("dead"), KEY("kafka"));
    test_leader(&config);
    test_answers(&config);
    test_dead(&config);
    test_reconnect(&config);
    test_stop(config);
    test_kafka(config);
    test_kafka_partitions(config);
    test_redis_away(config);
    RUN("DEL", KEY("hook"), KEY("dead"), KEY("kafka"));
    weir_redis_free(redis);
    close(input);
    waitpid(webhook, NULL, 0);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return check_done("outbox");
}
