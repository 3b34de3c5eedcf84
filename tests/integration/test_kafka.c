/* io/kafka against a real broker: KAFKA_BROKERS says where (tests/services/kafka.sh).
 * What the group does under rebalances, pauses and rewinds is in test_kafka_group.c. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"
#include "weir/kafka.h"

#define POLL_MAX 1000

static char topic_name[64];
static const char *const topics[] = {topic_name};
static int64_t wanted[4]; /* what `assigned` sets, by partition */
static int calls_assigned, calls_revoked;

static void on_assigned(void *context, struct weir_topic_partition *partitions, size_t len) {
    (void)context;
    calls_assigned++;
    for (size_t i = 0; i < len; i++) {
        CHECK_INT(partitions[i].offset, -1);
        partitions[i].offset = wanted[partitions[i].partition];
    }
}

static void on_revoked(void *context, const struct weir_topic_partition *partitions, size_t len,
                       bool lost) {
    (void)context;
    (void)partitions;
    CHECK(!lost);
    CHECK_INT(len, 4);
    calls_revoked++;
}

static struct weir_kafka_options options_of(const char *brokers, const char *group) {
    return (struct weir_kafka_options){
        .brokers = brokers, .group = group, .topics = topics, .topics_len = 1, .client_id = "test"};
}

static struct weir_consumer *consumer_of(const char *brokers, const char *group) {
    struct weir_kafka_options options = options_of(brokers, group);
    struct weir_consumer *consumer = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_consumer_new(&consumer, &options,
                                (struct weir_rebalance){on_assigned, on_revoked, NULL}, &err),
              0);
    return consumer;
}

static void test_settings(const char *brokers) {
    static const struct weir_kafka_property bad[] = {
        {"enable.auto.commit", "true"},
        {"enable.auto.offset.store", "true"},
        {"auto.offset.reset", "earliest"},
        {"partition.assignment.strategy", "range,cooperative-sticky"},
        {"group.id", "other"},
        {"bootstrap.servers", "other:9092"},
        {"no.such.property", "1"},
        {"session.timeout.ms", "soon"},
    };
    struct weir_kafka_options options = options_of(brokers, "settings");
    struct weir_consumer *consumer = NULL;
    struct weir_err err = {0};
    options.properties_len = 1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.properties = &bad[i];
        CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err),
                  -WEIR_ERR_INPUT);
        CHECK(strstr(err.text, bad[i].name) != NULL);
    }
    static const struct weir_kafka_property same[] = {{"auto.offset.reset", "error"},
                                                      {"session.timeout.ms", "20000"}};
    options.properties = same;
    options.properties_len = 2;
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err), 0);
    weir_consumer_free(consumer);
    static const char *const twice[] = {"a", "a"}, *const pattern[] = {"^a.*"};
    options = options_of(brokers, "settings");
    options.topics = twice;
    options.topics_len = 2;
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err),
              -WEIR_ERR_INPUT);
    options.topics = pattern;
    options.topics_len = 1;
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err),
              -WEIR_ERR_INPUT);
    options = options_of("", "settings");
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err),
              -WEIR_ERR_INPUT);
    options = options_of(brokers, "settings");
    options.prefetch_bytes = 10;
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err),
              -WEIR_ERR_INPUT);
}

/* Ten plain records, a tombstone and an empty value in partition 1; nothing elsewhere. */
static void produce(const char *brokers, int64_t start_ms, bool real) {
    struct weir_kafka_options options = options_of(brokers, NULL);
    struct weir_producer *producer = NULL;
    struct weir_err err = {0};
    static const struct weir_header headers[] = {{"reason", "bad_json"}, {"empty", NULL}, {0}};
    CHECK_INT(weir_producer_new(&producer, &options, &err), 0);
    for (int i = 0; i < 12; i++) {
        char key[8], value[16];
        int key_len = snprintf(key, sizeof key, "k%d", i);
        int len = snprintf(value, sizeof value, "value %d", i);
        CHECK_INT(weir_producer_send(producer, topic_name, 1, i == 0 ? NULL : key,
                                     i == 0 ? 0 : (size_t)key_len, i == 10 ? NULL : value,
                                     i >= 10 ? 0 : (size_t)len, start_ms + i * 1000,
                                     i == 3 ? headers : NULL, &err),
                  0);
    }
    CHECK_INT(weir_producer_flush(producer, 10000), 0);
    CHECK_INT(weir_producer_failed(producer), 0);
    /* A name that no broker takes (the mock does): refused at once where the broker's answer was
     * quicker than the record, or counted when its delivery fails. */
    int code = weir_producer_send(producer, "no topic!", -1, NULL, 0, "x", 1, 0, NULL, &err);
    CHECK_INT(weir_producer_flush(producer, 10000), 0);
    CHECK_INT(weir_producer_failed(producer), real ? 1 : 0);
    CHECK_INT(code, code < 0 ? -WEIR_ERR_INPUT : 0);
    weir_producer_free(producer);
}

static void check_record(const struct weir_record *record, int i, int64_t start_ms) {
    char key[8], value[16];
    snprintf(key, sizeof key, "k%d", i);
    snprintf(value, sizeof value, "value %d", i);
    CHECK_INT(record->partition, 1);
    CHECK_INT(record->topic, 0);
    CHECK_INT(record->offset, i);
    CHECK_INT(record->timestamp_ms, start_ms + i * 1000);
    CHECK((record->key == NULL) == (i == 0));
    if (i != 0)
        CHECK(record->key_len == strlen(key) && memcmp(record->key, key, strlen(key)) == 0);
    CHECK((record->value == NULL) == (i == 10));
    if (i < 10)
        CHECK(record->len == strlen(value) && memcmp(record->value, value, strlen(value)) == 0);
    else
        CHECK_INT(record->len, 0);
}

static void test_records(const char *brokers, int64_t start_ms) {
    struct weir_consumer *consumer = consumer_of(brokers, topic_name);
    struct weir_record records[POLL_MAX];
    struct weir_err err = {0};
    int seen = 0, code = 0;
    int64_t end_us = weir_clock_monotonic_us() + 20000000;
    while (seen < 12 && code >= 0 && weir_clock_monotonic_us() < end_us) {
        struct weir_batch *batch = NULL;
        code = weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err);
        CHECK((batch != NULL) == (code > 0));
        for (int i = 0; i < code; i++)
            check_record(&records[i], seen++, start_ms);
        weir_batch_free(batch);
    }
    CHECK_INT(seen, 12);
    CHECK_INT(weir_consumer_end(consumer, 0, 1), 12);
    CHECK(weir_consumer_reachable(consumer));

    int64_t low = -1, high = -1;
    CHECK_INT(weir_consumer_range(consumer, 0, 1, &low, &high, &err), 0);
    CHECK_INT(low, 0);
    CHECK_INT(high, 12);
    CHECK_INT(weir_consumer_range(consumer, 0, 99, &low, &high, &err), -WEIR_ERR_INPUT);
    CHECK(strstr(err.text, topic_name) != NULL);
    CHECK_INT(weir_consumer_offset_at(consumer, 0, 1, start_ms + 4500, &err), 5);
    CHECK_INT(weir_consumer_offset_at(consumer, 0, 1, start_ms + 5000, &err), 5);
    CHECK_INT(weir_consumer_offset_at(consumer, 0, 1, 0, &err), 0);
    CHECK_INT(weir_consumer_offset_at(consumer, 0, 1, start_ms + 100000, &err), 12);

    CHECK_INT(weir_consumer_committed(consumer, 0, 1, &err), -1);
    const struct weir_topic_partition at[] = {{0, 1, 7}, {0, 2, -1}};
    weir_consumer_commit_for_display(consumer, at, 2);
    int64_t committed = -1;
    for (int i = 0; i < 50 && committed != 7; i++) {
        struct weir_batch *batch = NULL;
        weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err);
        weir_batch_free(batch);
        committed = weir_consumer_committed(consumer, 0, 1, &err);
    }
    CHECK_INT(committed, 7);
    CHECK_INT(weir_consumer_committed(consumer, 0, 2, &err), -1);
    CHECK_INT(calls_assigned, 1);
    weir_consumer_free(consumer);
    CHECK_INT(calls_revoked, 1);
}

/* An offset that Kafka does not have ends the consumer with the choice, and stays so. */
static void test_out_of_range(const char *brokers) {
    wanted[1] = 1000;
    wanted[2] = -1;
    struct weir_consumer *consumer = consumer_of(brokers, "out-of-range");
    struct weir_record records[POLL_MAX];
    struct weir_batch *batch = NULL;
    struct weir_err err = {0};
    int code = 0;
    int64_t end_us = weir_clock_monotonic_us() + 20000000;
    while (code == 0 && weir_clock_monotonic_us() < end_us)
        code = weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err);
    CHECK_INT(code, -WEIR_ERR_REFUSED);
    CHECK(strstr(err.text, "offset 1000 of topic") != NULL);
    CHECK(strstr(err.text, "partition 1 ") != NULL);
    CHECK(strstr(err.text, "--rebuild") != NULL);
    puts(err.text);
    CHECK_INT(weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err),
              -WEIR_ERR_REFUSED);
    CHECK_INT(weir_consumer_resume(consumer, &(struct weir_topic_partition){0, 1, 11}, 1, &err), 0);
    for (code = 0; code == 0 && weir_clock_monotonic_us() < end_us;)
        code = weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err);
    CHECK_INT(code, 1);
    CHECK_INT(records[0].offset, 11);
    weir_batch_free(batch);
    weir_consumer_free(consumer);
    wanted[1] = wanted[2] = 0;
}

static int poll_until(struct weir_consumer *consumer, int64_t wanted_records, int64_t wait_us,
                      struct weir_err *err) {
    struct weir_record records[POLL_MAX];
    int64_t seen = 0, end_us = weir_clock_monotonic_us() + wait_us;
    int code = 0;
    while (code >= 0 && seen < wanted_records && weir_clock_monotonic_us() < end_us) {
        struct weir_batch *batch = NULL;
        code = weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, err);
        seen += code > 0 ? code : 0;
        weir_batch_free(batch);
    }
    return code < 0 ? code : (int)seen;
}

/* The last record is known again; another one in its place is refused. (That one which is gone
 * proves nothing stands in fault/test_kafka.py.) */
static void test_marks(const char *brokers) {
    struct weir_consumer *consumer = consumer_of(brokers, "marks");
    struct weir_topic_partition at = {0, 1, 12};
    struct weir_err err = {0};
    CHECK(!weir_consumer_mark(consumer, 0, 1).known);
    CHECK_INT(poll_until(consumer, 12, 20000000, &err), 12);
    struct weir_mark mark = weir_consumer_mark(consumer, 0, 1);
    CHECK(mark.known && mark.offset == 11);
    CHECK_INT(weir_consumer_resume(consumer, &at, 1, &err), 0);
    CHECK_INT(poll_until(consumer, 1, 2000000, &err), 0);
    CHECK(weir_consumer_at_end(consumer, 0, 1, NULL));
    CHECK(weir_consumer_mark(consumer, 0, 1).known);

    struct weir_mark other = mark;
    other.hash++;
    weir_consumer_expect(consumer, 0, 1, &other);
    CHECK_INT(weir_consumer_resume(consumer, &at, 1, &err), 0);
    CHECK_INT(poll_until(consumer, 1, 20000000, &err), -WEIR_ERR_REFUSED);
    CHECK(strstr(err.text, "another record at offset 11") != NULL);
    puts(err.text);
    other = mark;
    other.timestamp_ms++;
    weir_consumer_expect(consumer, 0, 1, &other);
    CHECK_INT(weir_consumer_resume(consumer, &at, 1, &err), 0);
    CHECK_INT(poll_until(consumer, 1, 20000000, &err), -WEIR_ERR_REFUSED);

    weir_consumer_expect(consumer, 0, 1, &mark);
    CHECK_INT(weir_consumer_resume(consumer, &at, 1, &err), 0);
    CHECK_INT(poll_until(consumer, 1, 2000000, &err), 0);
    at.offset = 3; /* back: what was the last is read again as any other */
    CHECK_INT(weir_consumer_resume(consumer, &at, 1, &err), 0);
    CHECK_INT(poll_until(consumer, 9, 20000000, &err), 9);
    CHECK(weir_consumer_mark(consumer, 0, 1).hash == mark.hash);
    weir_consumer_free(consumer);
}

static void test_topics(const char *brokers) {
    struct weir_kafka_options options = options_of(brokers, "topics");
    struct weir_consumer *consumer = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_kafka_create_topic(&options, topic_name, 4, 1, &err), 0);
    CHECK_INT(weir_kafka_create_topic(&options, topic_name, 4, 1, &err), 0);
    CHECK_INT(weir_kafka_create_topic(&options, "short-lived", 1, 1, &err), 0);
    CHECK_INT(weir_kafka_delete_topic(&options, "short-lived", &err), 0);
    CHECK_INT(weir_kafka_delete_topic(&options, "short-lived", &err), 0);
    CHECK_INT(weir_kafka_create_topic(&options, "no topic!", 4, 1, &err), -WEIR_ERR_INPUT);
    CHECK_INT(weir_kafka_create_topic(&options, "too-many", 4, 9, &err), -WEIR_ERR_INPUT);
    puts(err.text);
    static const char *const both[] = {topic_name, "never-made"};
    options.topics = both;
    options.topics_len = 2;
    CHECK_INT(weir_consumer_new(&consumer, &options, (struct weir_rebalance){0}, &err), 0);
    CHECK_INT(weir_consumer_partitions(consumer, 0, &err), 4);
    CHECK_INT(weir_consumer_partitions(consumer, 1, &err), 0);
    CHECK(strstr(err.text, "never-made") != NULL);
    weir_consumer_free(consumer);
}

static void put_id(struct weir_producer *producer, const char *topic, const char *id,
                   int32_t partition) {
    const struct weir_header headers[] = {{"id", id}, {NULL, NULL}};
    struct weir_err err = {0};
    CHECK_INT(weir_producer_begin(producer, &err), 0);
    CHECK_INT(weir_producer_send(producer, topic, partition, NULL, 0, "x", 1, 0, headers, &err), 0);
}

static void count_id(void *context, const char *id, size_t len) {
    int *found = context;
    *found += len == 4 && memcmp(id, "ours", 4) == 0;
}

/* A partition ends where it ended when it was asked: what another writer left open is waited for,
 * as what we wrote behind it is hidden until then. */
static void test_tail(const char *brokers) {
    char topic[80];
    const char *const names[] = {topic};
    struct weir_kafka_options options = options_of(brokers, "tail");
    struct weir_producer *ours = NULL, *other = NULL;
    struct weir_err err = {0};
    int found = 0;
    options.topics = names;
    snprintf(topic, sizeof topic, "%s-tail", topic_name);
    CHECK_INT(weir_kafka_create_topic(&options, topic, 3, 1, &err), 0); /* one stays empty */
    CHECK_INT(weir_producer_new_fenced(&ours, &options, "ours", 20000, &err), 0);
    CHECK_INT(weir_producer_new_fenced(&other, &options, topic, 20000, &err), 0);
    put_id(other, topic, "open", 0);
    CHECK_INT(weir_producer_flush(other, 20000), 0);
    for (int32_t partition = 0; partition < 2; partition++) {
        put_id(ours, topic, "ours", partition);
        CHECK_INT(weir_producer_commit(ours, 20000, &err), 0);
    }
    CHECK_INT(weir_kafka_tail(&options, topic, "id", 100, 2000, count_id, &found, &err),
              -WEIR_ERR_UNREACHABLE);
    CHECK(strstr(err.text, "another writer's transaction may be open") != NULL);
    found = 0;
    CHECK_INT(weir_producer_commit(other, 20000, &err), 0);
    CHECK_INT(weir_kafka_tail(&options, topic, "id", 100, 20000, count_id, &found, &err), 0);
    CHECK_INT(found, 2);
    weir_producer_free(ours);
    weir_producer_free(other);
}

/* The mock: topics, records, a group; and what its disappearance looks like. */
static void test_mock(void) {
    struct weir_mock_kafka *mock = NULL;
    struct weir_err err = {0};
    CHECK_INT(weir_mock_kafka_new(&mock, 2, &err), 0);
    CHECK_INT(weir_mock_kafka_create_topic(mock, topic_name, 4, &err), 0);
    CHECK_INT(weir_mock_kafka_create_topic(mock, topic_name, 4, &err), 0);
    produce(weir_mock_kafka_brokers(mock), 1700000000000, false);
    struct weir_consumer *consumer = consumer_of(weir_mock_kafka_brokers(mock), "mock");
    struct weir_record records[POLL_MAX];
    struct weir_batch *batch = NULL;
    int seen = 0;
    int64_t end_us = weir_clock_monotonic_us() + 20000000;
    while (seen < 12 && weir_clock_monotonic_us() < end_us) {
        int code = weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err);
        seen += code > 0 ? code : 0;
        weir_batch_free(batch);
    }
    CHECK_INT(seen, 12);
    CHECK_INT(weir_consumer_partitions(consumer, 0, &err), 4);
    weir_mock_kafka_free(mock);
    while (weir_consumer_reachable(consumer) && weir_clock_monotonic_us() < end_us) {
        CHECK_INT(weir_consumer_poll(consumer, 100, POLL_MAX, records, &batch, &err), 0);
        weir_batch_free(batch);
    }
    CHECK(!weir_consumer_reachable(consumer));
    CHECK(weir_consumer_errors(consumer) > 0);
    weir_consumer_free(consumer);
}

int main(void) {
    const char *brokers = getenv("KAFKA_BROKERS");
    if (!brokers) {
        puts("skipped: KAFKA_BROKERS is not set (tests/services/kafka.sh start DIR)");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    int64_t start_ms = weir_clock_wall_ms() - 3600000;
    snprintf(topic_name, sizeof topic_name, "weir-test-%d-%lld", getpid(), (long long)start_ms);
    printf("librdkafka %s\n", weir_kafka_library_version());
    test_settings(brokers);
    test_topics(brokers);
    produce(brokers, start_ms, true);
    test_records(brokers, start_ms);
    test_out_of_range(brokers);
    test_marks(brokers);
    test_tail(brokers);
    test_mock();
    return check_done("kafka");
}
