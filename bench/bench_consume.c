/*
 * bench_consume: how fast records come out of Kafka when they are only counted: the ceiling for
 * everything else. The same client code, settings and allocator as weir's.
 *
 *     bench_consume --brokers B --topic T [--batch N] [--slow NS] [--seconds S]
 *
 * Reads the topic whole by one consumer, from offset 0; --slow makes every record cost that many
 * ns of the reading thread's time, --seconds ends early. One line of JSON: events and time from the
 * first record to the last, CPU of the whole process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/memory.h"

enum { BATCH_MAX = 100000, WAIT_MS = 10 };
static const char program[] = "bench_consume";

static void from_start(void *context, struct weir_topic_partition *partitions, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++)
        partitions[i].offset = 0;
}

static long long count_records(struct weir_consumer *consumer) {
    struct weir_err err = {0};
    long long total = 0;
    int partitions = weir_consumer_partitions(consumer, 0, &err);
    bench_check(program, partitions < 0 ? partitions : 0, &err);
    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        bench_check(program, weir_consumer_range(consumer, 0, p, &low, &high, &err), &err);
        total += high;
    }
    return total;
}

/* Works on the batch for as long as a slower reader would, by the clock on the wall. */
static void work(int64_t ns) {
    int64_t end_us = weir_clock_monotonic_us() + ns / 1000;
    while (ns > 0 && weir_clock_monotonic_us() < end_us)
        ;
}

static void read_all(struct weir_consumer *consumer, long max, long slow_ns, long seconds) {
    struct weir_record *records = calloc((size_t)max, sizeof *records);
    struct weir_err err = {0};
    long long total = count_records(consumer), events = 0, bytes = 0;
    int64_t start_us = 0, now_us = weir_clock_monotonic_us();
    double start_cpu_s = bench_cpu_s(); /* with what is fetched ahead of the first record */
    while (records && events < total && (start_us == 0 || now_us - start_us < seconds * 1000000)) {
        struct weir_batch *batch = NULL;
        int count = weir_consumer_poll(consumer, WAIT_MS, (size_t)max, records, &batch, &err);
        bench_check(program, count < 0 ? count : 0, &err);
        now_us = weir_clock_monotonic_us();
        if (start_us == 0 && count > 0) /* not the joining of the group */
            start_us = now_us;
        for (int i = 0; i < count; i++)
            bytes += (long long)records[i].len;
        work((int64_t)count * slow_ns);
        events += count;
        weir_batch_free(batch);
    }
    double wall_s = (double)(weir_clock_monotonic_us() - start_us) / 1e6;
    struct rusage used;
    double cpu_s = bench_cpu_s() - start_cpu_s;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"events\":%lld,\"bytes\":%lld,\"cpu_s\":%.4f,\"wall_s\":%.4f,\"rss_mb\":%.1f,"
           "\"librdkafka\":\"%s\"}\n",
           events, bytes, cpu_s, wall_s, (double)used.ru_maxrss / 1024,
           weir_kafka_library_version());
    free(records);
}

int main(int argc, char **argv) {
    const char *brokers = "", *topic = "";
    long batch = 2000, slow_ns = 0, seconds = 3600;
    weir_memory_keep(); /* as weir run does */
    const struct bench_option options[] = {
        {"brokers", &brokers, NULL, 0, 0},       {"topic", &topic, NULL, 0, 0},
        {"batch", NULL, &batch, 1, BATCH_MAX},   {"slow", NULL, &slow_ns, 0, 1000000},
        {"seconds", NULL, &seconds, 1, 1000000},
    };
    bench_options(program, argc, argv, options, sizeof options / sizeof *options);
    char group[64];
    snprintf(group, sizeof group, "bench-%d", getpid());
    struct weir_kafka_options kafka = {
        .brokers = brokers, .group = group, .topics = &topic, .topics_len = 1};
    struct weir_consumer *consumer = NULL;
    struct weir_err err = {0};
    bench_check(
        program,
        weir_consumer_new(&consumer, &kafka, (struct weir_rebalance){.assigned = from_start}, &err),
        &err);
    read_all(consumer, batch, slow_ns, seconds);
    weir_consumer_free(consumer);
    return 0;
}
