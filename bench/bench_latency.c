/*
 * bench_latency: how long after its production a record's count is seen in Redis.
 *
 *     bench_latency --brokers B --topic T --redis URL --group G [--rate N] [--seconds S] [--skip S]
 *
 * A weir with that group must be running. One thread produces the traffic of `weir generate` at
 * `rate` records a second (0: as fast as it can), each stamped with the time at which it is handed
 * to the producer, so that its waiting for a batch is in the figure. Another looks every 2 ms how
 * far each partition's commit in Redis has come. Then the topic is read: a record's latency is the
 * time at which a commit beyond it was first seen, less its stamp. Records of the first `skip`
 * seconds are left out. `behind_ms` is how late the producer came to a record at most: a wait that
 * no stamp shows. One line of JSON, in ms.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/redis.h"
#include "weir/traffic.h"

enum { PARTITIONS = 8, LOOK_MS = 2, MS_MAX = 120000, BATCH = 2000, TIMEOUT_MS = 60000 };
static const char program[] = "bench_latency";

struct seen {
    int64_t offset, wall_ms;
};

struct bench {
    const char *brokers, *topic, *url, *group;
    long rate, seconds, skip_s, sessions;
    _Atomic bool produced;
    long records;
    int64_t begun_ms, ended_ms, behind_ms;
    struct seen *seen[PARTITIONS];
    size_t seen_len[PARTITIONS];
    long counts[MS_MAX];
};

/* ---- producing ---- */

static void await_turn(struct bench *bench, long sent, int64_t start_us) {
    if (bench->rate == 0)
        return;
    for (;;) {
        double due_us = (double)sent / (double)bench->rate * 1e6;
        double ahead_us = due_us - (double)(weir_clock_monotonic_us() - start_us);
        if (-ahead_us / 1000 > (double)bench->behind_ms && due_us >= (double)bench->skip_s * 1e6)
            bench->behind_ms = (int64_t)(-ahead_us / 1000);
        if (ahead_us <= 0)
            return;
        usleep(ahead_us < 1000 ? (useconds_t)ahead_us + 1 : 1000);
    }
}

static void *produce(void *context) {
    struct bench *bench = context;
    struct weir_kafka_options kafka = {.brokers = bench->brokers};
    struct weir_traffic_options options = {.seed = 5,
                                           .start_ms = 1767603600000,
                                           .sessions_per_second = (double)bench->sessions,
                                           .level = true};
    struct weir_producer *producer = NULL;
    struct weir_traffic *traffic = NULL;
    struct weir_traffic_record record;
    struct weir_err err = {0};
    bench_check(program, weir_producer_new(&producer, &kafka, &err), &err);
    bench_check(program, weir_traffic_new(&traffic, &options, &err), &err);
    int64_t start_us = weir_clock_monotonic_us(), end_us = start_us + bench->seconds * 1000000;
    bench->begun_ms = weir_clock_wall_ms();
    while (bench->records % 64 != 0 || weir_clock_monotonic_us() < end_us) {
        if (bench->records % 64 == 0)
            await_turn(bench, bench->records, start_us);
        if (weir_traffic_next(traffic, &record, &err) <= 0)
            break;
        bench_check(program,
                    weir_producer_send(producer, bench->topic, -1, record.key, WEIR_TRAFFIC_KEY_LEN,
                                       record.line, record.len - 1, 0, NULL, &err),
                    &err);
        bench->records++;
    }
    weir_producer_flush(producer, TIMEOUT_MS);
    weir_producer_free(producer);
    weir_traffic_free(traffic);
    atomic_store(&bench->produced, true);
    return NULL;
}

/* ---- watching ---- */

static void note(struct bench *bench, int p, int64_t offset, int64_t wall_ms) {
    size_t len = bench->seen_len[p];
    if (len > 0 ? bench->seen[p][len - 1].offset >= offset : offset <= 0)
        return;
    if ((len & (len - 1)) == 0) {
        bench->seen[p] = realloc(bench->seen[p], (len ? 2 * len : 1) * sizeof(struct seen));
        WEIR_ASSERT(bench->seen[p] != NULL);
    }
    bench->seen[p][bench->seen_len[p]++] = (struct seen){offset, wall_ms};
}

static long look(struct bench *bench, struct weir_redis *redis) {
    struct weir_err err = {0};
    long total = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        char key[600];
        snprintf(key, sizeof key, "weir:{%s.%s.%d}:meta", bench->group, bench->topic, p);
        bench_check(
            program,
            weir_redis_append(redis, 3, (const char *[]){"HGET", key, "offset"}, NULL, &err), &err);
    }
    for (int p = 0; p < PARTITIONS; p++) {
        struct weir_reply *reply = NULL;
        bench_check(program, weir_redis_read(redis, &reply, &err), &err);
        int64_t offset = reply->text ? strtoll(reply->text, NULL, 10) : 0;
        note(bench, p, offset, weir_clock_wall_ms());
        total += (long)offset;
        weir_reply_free(reply);
    }
    return total;
}

static void watch(struct bench *bench) {
    struct weir_redis *redis = NULL;
    struct weir_err err = {0};
    bench_check(program, weir_redis_new(&redis, bench->url, TIMEOUT_MS, &err), &err);
    int64_t moved_us = weir_clock_monotonic_us();
    for (long total = 0, last = -1;; last = total) {
        total = look(bench, redis);
        bench->ended_ms = weir_clock_wall_ms();
        if (total != last)
            moved_us = weir_clock_monotonic_us();
        if (atomic_load(&bench->produced) && total >= bench->records)
            break;
        if (weir_clock_monotonic_us() - moved_us > (int64_t)TIMEOUT_MS * 1000)
            bench_check(program,
                        weir_err_set(&err, WEIR_ERR_UNREACHABLE,
                                     "weir counted %ld of %ld records and then no more", total,
                                     bench->records),
                        &err);
        weir_clock_sleep_ms(LOOK_MS);
    }
    weir_redis_free(redis);
}

/* ---- adding up ---- */

static void from_start(void *context, struct weir_topic_partition *partitions, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++)
        partitions[i].offset = 0;
}

static void add_up(struct bench *bench, const struct weir_record *record, size_t *at) {
    int p = record->partition;
    while (at[p] < bench->seen_len[p] && bench->seen[p][at[p]].offset <= record->offset)
        at[p]++;
    if (at[p] == bench->seen_len[p] ||
        record->timestamp_ms < bench->begun_ms + bench->skip_s * 1000)
        return;
    int64_t ms = bench->seen[p][at[p]].wall_ms - record->timestamp_ms;
    bench->counts[ms < 0 ? 0 : ms < MS_MAX ? ms : MS_MAX - 1]++;
}

static void read_back(struct bench *bench) {
    char group[64];
    snprintf(group, sizeof group, "latency-%d", getpid());
    struct weir_kafka_options kafka = {
        .brokers = bench->brokers, .group = group, .topics = &bench->topic, .topics_len = 1};
    struct weir_consumer *consumer = NULL;
    static struct weir_record records[BATCH];
    struct weir_err err = {0};
    size_t at[PARTITIONS] = {0};
    bench_check(
        program,
        weir_consumer_new(&consumer, &kafka, (struct weir_rebalance){.assigned = from_start}, &err),
        &err);
    for (long done = 0; done < bench->records;) {
        struct weir_batch *batch = NULL;
        int count = weir_consumer_poll(consumer, 100, BATCH, records, &batch, &err);
        bench_check(program, count < 0 ? count : 0, &err);
        for (int i = 0; i < count; i++)
            add_up(bench, &records[i], at);
        done += count;
        weir_batch_free(batch);
    }
    weir_consumer_free(consumer);
}

static long percentile(const struct bench *bench, double q) {
    long total = 0, below = 0, ms = 0;
    for (ms = 0; ms < MS_MAX; ms++)
        total += bench->counts[ms];
    for (ms = 0; ms < MS_MAX - 1; ms++)
        if ((double)(below += bench->counts[ms]) >= q * (double)total)
            break;
    return ms;
}

int main(int argc, char **argv) {
    static struct bench bench = {.brokers = "",
                                 .topic = "",
                                 .url = "",
                                 .group = "",
                                 .seconds = 10,
                                 .skip_s = 3,
                                 .sessions = 600};
    const struct bench_option options[] = {
        {"brokers", &bench.brokers, NULL, 0, 0},   {"topic", &bench.topic, NULL, 0, 0},
        {"redis", &bench.url, NULL, 0, 0},         {"group", &bench.group, NULL, 0, 0},
        {"rate", NULL, &bench.rate, 0, 100000000}, {"seconds", NULL, &bench.seconds, 1, 100000},
        {"skip", NULL, &bench.skip_s, 0, 100000},  {"sessions", NULL, &bench.sessions, 1, 200000},
    };
    bench_options(program, argc, argv, options, sizeof options / sizeof *options);
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, &bench) != 0)
        return 3;
    watch(&bench);
    pthread_join(producer, NULL);
    read_back(&bench);
    printf("{\"p50\":%ld,\"p99\":%ld,\"p999\":%ld,\"max\":%ld,\"records\":%ld,\"per_s\":%.0f,"
           "\"behind_ms\":%lld}\n",
           percentile(&bench, 0.5), percentile(&bench, 0.99), percentile(&bench, 0.999),
           percentile(&bench, 1), bench.records,
           (double)bench.records / ((double)(bench.ended_ms - bench.begun_ms) / 1000),
           (long long)bench.behind_ms);
    for (int p = 0; p < PARTITIONS; p++)
        free(bench.seen[p]);
    return 0;
}
