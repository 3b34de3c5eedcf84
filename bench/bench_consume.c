/*
 * bench_consume: how fast records come out of Kafka when they are only counted: the ceiling for
 * everything else. The same client code, settings and allocator as weir's.
 *
 *     bench_consume --brokers B --topic T [--batch N] [--slow NS] [--touch 1] [--seconds S]
 *
 * Reads the topic whole by one consumer, from offset 0; --slow makes every record cost that many
 * ns of the reading thread's time, --touch has it read every 64th byte of each value, --seconds
 * ends early. One line of JSON: events and time from the first record to the last, CPU of the whole
 * process; and the same from a quarter of the records on (warm_), with the reading thread's share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/worker_state.h"
#include "common.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/memory.h"

enum { BATCH_MAX = 100000, WAIT_MS = 10, LINE_BYTES = 64 };
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

struct options {
    long batch, slow_ns, touch, seconds;
};

/* How far it was, and what that had cost. */
struct mark {
    long long events;
    double cpu_s, reader_s;
};

static struct mark mark(long long events) {
    return (struct mark){events, bench_cpu_s(), bench_thread_ns() / 1e9};
}

/* Of a batch: the bytes of its values; `sum` is there so that they are read indeed. */
static long long look(const struct weir_record *records, int count, bool touch, uint64_t *sum) {
    long long bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += (long long)records[i].len;
        for (size_t at = 0; touch && at < records[i].len; at += LINE_BYTES)
            *sum += (unsigned char)records[i].value[at];
    }
    return bytes;
}

static void read_all(struct weir_consumer *consumer, const struct options *options) {
    struct weir_record *records = calloc((size_t)options->batch, sizeof *records);
    struct weir_err err = {0};
    long long total = count_records(consumer), events = 0, bytes = 0;
    uint64_t sum = 0;
    int64_t start_us = 0, now_us = weir_clock_monotonic_us();
    struct mark start = mark(0), warm = start; /* with what is fetched ahead of the first record */
    while (records && events < total &&
           (start_us == 0 || now_us - start_us < options->seconds * 1000000)) {
        struct weir_batch *batch = NULL;
        int count =
            weir_consumer_poll(consumer, WAIT_MS, (size_t)options->batch, records, &batch, &err);
        bench_check(program, count < 0 ? count : 0, &err);
        now_us = weir_clock_monotonic_us();
        if (start_us == 0 && count > 0) /* not the joining of the group */
            start_us = now_us;
        bytes += look(records, count, options->touch != 0, &sum);
        work((int64_t)count * options->slow_ns);
        events += count;
        weir_batch_free(batch);
        if (warm.events == 0 && events >= total / 4 && events < total)
            warm = mark(events);
    }
    double wall_s = (double)(weir_clock_monotonic_us() - start_us) / 1e6;
    struct mark end = mark(events);
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"events\":%lld,\"bytes\":%lld,\"cpu_s\":%.4f,\"wall_s\":%.4f,\"warm_events\":%lld,"
           "\"warm_cpu_s\":%.4f,\"warm_reader_s\":%.4f,\"rss_mb\":%.1f,\"touched\":%llu,"
           "\"librdkafka\":\"%s\"}\n",
           events, bytes, end.cpu_s - start.cpu_s, wall_s, events - warm.events,
           end.cpu_s - warm.cpu_s, end.reader_s - warm.reader_s, (double)used.ru_maxrss / 1024,
           (unsigned long long)sum, weir_kafka_library_version());
    free(records);
}

int main(int argc, char **argv) {
    const char *brokers = "", *topic = "";
    struct options options = {.batch = WEIR_BATCH_MAX, .seconds = 3600};
    weir_memory_keep(); /* as weir run does */
    const struct bench_option names[] = {
        {"brokers", &brokers, NULL, 0, 0},
        {"topic", &topic, NULL, 0, 0},
        {"batch", NULL, &options.batch, 1, BATCH_MAX},
        {"slow", NULL, &options.slow_ns, 0, 1000000},
        {"touch", NULL, &options.touch, 0, 1},
        {"seconds", NULL, &options.seconds, 1, 1000000},
    };
    bench_options(program, argc, argv, names, sizeof names / sizeof *names);
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
    read_all(consumer, &options);
    weir_consumer_free(consumer);
    return 0;
}
