/* A consumer group over a real broker (KAFKA_BROKERS): members join and leave, pause, resume and
 * rewind, each with offsets of the test's own, as weir keeps them in Redis. Every record must be
 * committed exactly once, and each member must see each partition without a gap or a repeat.
 * WEIR_LONG=1: ten times as many disturbances. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"
#include "weir/kafka.h"

enum { PARTITIONS = 8, RECORDS = 200000, MEMBERS = 2, POLL_MAX = 500 };

static char topic_name[64];
static const char *const topics[] = {topic_name};

struct store { /* what Redis is in the real thing */
    int64_t next[PARTITIONS];
    int owner[PARTITIONS];
    uint8_t *seen[PARTITIONS]; /* times that a record was committed */
    int64_t end[PARTITIONS];
};

struct member {
    struct weir_consumer *consumer;
    struct store *store;
    int id; /* a new one for each life */
    bool mine[PARTITIONS], paused;
    int64_t next[PARTITIONS];
    int paused_polls;
    int rebalances, lost, gaps, strays, pauses, rewinds;
};

static void commit_one(struct member *member, int partition) {
    struct store *store = member->store;
    if (store->owner[partition] != member->id)
        return; /* fenced */
    for (int64_t at = store->next[partition]; at < member->next[partition]; at++)
        store->seen[partition][at]++;
    store->next[partition] = member->next[partition];
}

static void on_assigned(void *context, struct weir_topic_partition *partitions, size_t len) {
    struct member *member = context;
    member->rebalances++;
    for (size_t i = 0; i < len; i++) {
        int p = partitions[i].partition;
        member->store->owner[p] = member->id;
        member->mine[p] = true;
        member->next[p] = partitions[i].offset = member->store->next[p];
    }
}

static void on_revoked(void *context, const struct weir_topic_partition *partitions, size_t len,
                       bool lost) {
    struct member *member = context;
    member->lost += lost;
    for (size_t i = 0; i < len; i++) {
        int p = partitions[i].partition;
        if (member->mine[p] && !lost)
            commit_one(member, p);
        member->mine[p] = false;
    }
}

static void join(struct member *member, struct store *store, const char *brokers, int id) {
    static const struct weir_kafka_property quick[] = {{"heartbeat.interval.ms", "200"},
                                                       {"session.timeout.ms", "6000"}};
    struct weir_kafka_options options = {.brokers = brokers,
                                         .group = topic_name,
                                         .topics = topics,
                                         .topics_len = 1,
                                         .properties = quick,
                                         .properties_len = 2,
                                         .prefetch_bytes = 2 << 20};
    struct weir_err err = {0};
    member->store = store;
    member->id = id;
    member->paused = false;
    memset(member->mine, 0, sizeof member->mine);
    if (weir_consumer_new(&member->consumer, &options,
                          (struct weir_rebalance){on_assigned, on_revoked, member}, &err) == 0)
        return;
    CHECK_TEXT(err.text, "");
    exit(check_done("kafka_group")); /* nothing can be polled */
}

static void leave(struct member *member) {
    weir_consumer_free(member->consumer);
    member->consumer = NULL;
}

static void poll_one(struct member *member) {
    struct weir_record records[POLL_MAX];
    struct weir_batch *batch = NULL;
    struct weir_err err = {0};
    int count = weir_consumer_poll(member->consumer, 5, POLL_MAX, records, &batch, &err);
    if (count < 0)
        puts(err.text);
    CHECK(count >= 0);
    member->strays += member->paused && count != 0;
    for (int i = 0; i < count; i++) {
        int p = records[i].partition;
        member->strays += !member->mine[p];
        member->gaps += records[i].offset != member->next[p];
        member->next[p] = records[i].offset + 1;
    }
    weir_batch_free(batch);
}

/* At the members' own offsets, or where the store says: some continue, some go back. */
static void resume(struct member *member) {
    struct weir_topic_partition at[PARTITIONS];
    struct weir_err err = {0};
    size_t len = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        if (!member->mine[p])
            continue;
        if (p % 2)
            member->next[p] = member->store->next[p];
        at[len++] = (struct weir_topic_partition){0, p, member->next[p]};
    }
    member->paused = false;
    CHECK_INT(weir_consumer_resume(member->consumer, at, len, &err), 0);
}

/* All that was read is forgotten, as if Redis had lost everything. */
static void start_over(struct store *store, struct member *members) {
    for (int p = 0; p < PARTITIONS; p++) {
        memset(store->seen[p], 0, (size_t)store->end[p]);
        store->next[p] = 0;
    }
    for (int m = 0; m < MEMBERS; m++) {
        memset(members[m].next, 0, sizeof members[m].next);
        if (members[m].consumer)
            resume(&members[m]);
    }
}

static void disturb(struct member *member, int dice) {
    struct weir_err err = {0};
    if (member->paused) {
        if (member->paused_polls-- > 0)
            return;
        resume(member);
    } else if (dice % 40 == 0) {
        CHECK_INT(weir_consumer_pause(member->consumer, &err), 0);
        member->paused = true;
        member->paused_polls = 10;
        member->pauses++;
    } else if (dice % 15 == 1) {
        int p = dice / 15 % PARTITIONS;
        if (!member->mine[p])
            return;
        member->next[p] = member->store->next[p];
        struct weir_topic_partition back = {0, p, member->next[p]};
        CHECK_INT(weir_consumer_resume(member->consumer, &back, 1, &err), 0);
        member->rewinds++;
    } else if (dice % 7 == 2) {
        for (int p = 0; p < PARTITIONS; p++)
            if (member->mine[p])
                commit_one(member, p);
    }
}

static void produce(const char *brokers) {
    struct weir_kafka_options options = {.brokers = brokers};
    struct weir_producer *producer = NULL;
    struct weir_err err = {0};
    int failed = 0;
    CHECK_INT(weir_kafka_create_topic(&options, topic_name, PARTITIONS, 1, &err), 0);
    CHECK_INT(weir_producer_new(&producer, &options, &err), 0);
    int64_t start_us = weir_clock_monotonic_us();
    for (int i = 0; i < RECORDS; i++) {
        char key[16], value[128];
        int key_len = snprintf(key, sizeof key, "s%d", i % 5000);
        int len = snprintf(value, sizeof value, "{\"n\":%d,\"pad\":\"%064d\"}", i, i);
        failed += weir_producer_send(producer, topic_name, -1, key, (size_t)key_len, value,
                                     (size_t)len, 0, NULL, &err) != 0;
    }
    CHECK_INT(weir_producer_flush(producer, 60000), 0);
    CHECK_INT(failed, 0);
    printf("%d records produced in %lld ms\n", RECORDS,
           (long long)(weir_clock_monotonic_us() - start_us) / 1000);
    weir_producer_free(producer);
}

static void learn_ends(struct store *store, struct weir_consumer *consumer) {
    struct weir_err err = {0};
    int64_t total = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        int64_t low;
        CHECK_INT(weir_consumer_range(consumer, 0, p, &low, &store->end[p], &err), 0);
        store->seen[p] = calloc((size_t)store->end[p] + 1, 1);
        total += store->end[p];
    }
    CHECK_INT(total, RECORDS);
}

static bool all_read(const struct store *store) {
    for (int p = 0; p < PARTITIONS; p++)
        if (store->next[p] != store->end[p])
            return false;
    return true;
}

/* `steps` polls under disturbances, then in peace to the end. */
static void run(struct store *store, const char *brokers, int steps) {
    struct member members[MEMBERS] = {0};
    int ids = 1;
    srand(7);
    join(&members[0], store, brokers, ids++);
    learn_ends(store, members[0].consumer);
    int64_t end_us = weir_clock_monotonic_us() + (int64_t)steps * 50000 + 60000000;
    for (int step = 0; weir_clock_monotonic_us() < end_us; step++) {
        struct member *second = &members[1];
        if (step < steps && step % 300 == 150)
            join(second, store, brokers, ids++);
        if (second->consumer && (step % 300 == 0 || step == steps))
            leave(second);
        if (step < steps && step % 100 == 99)
            start_over(store, members);
        for (int m = 0; m < MEMBERS; m++) {
            if (!members[m].consumer)
                continue;
            poll_one(&members[m]);
            disturb(&members[m], step < steps ? rand() : 2);
        }
        if (step > steps && all_read(store))
            break;
    }
    leave(&members[0]);
    for (int m = 0; m < MEMBERS; m++) {
        printf("member %d: %d rebalances, %d lost, %d pauses, %d rewinds\n", m,
               members[m].rebalances, members[m].lost, members[m].pauses, members[m].rewinds);
        CHECK(members[m].rebalances > 1);
        CHECK(members[m].pauses > 0 && members[m].rewinds > 0);
        CHECK_INT(members[m].gaps, 0);
        CHECK_INT(members[m].strays, 0);
    }
}

int main(void) {
    const char *brokers = getenv("KAFKA_BROKERS");
    if (!brokers) {
        puts("skipped: KAFKA_BROKERS is not set (tests/services/kafka.sh start DIR)");
        return 77;
    }
    signal(SIGPIPE, SIG_IGN);
    snprintf(topic_name, sizeof topic_name, "weir-group-%d-%lld", getpid(),
             (long long)weir_clock_wall_ms());
    struct store store = {0};
    produce(brokers);
    run(&store, brokers, getenv("WEIR_LONG") ? 9000 : 900);
    int64_t wrong = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        CHECK_INT(store.next[p], store.end[p]);
        for (int64_t i = 0; i < store.end[p]; i++)
            wrong += store.seen[p][i] != 1;
        free(store.seen[p]);
    }
    CHECK_INT(wrong, 0);
    return check_done("kafka_group");
}
