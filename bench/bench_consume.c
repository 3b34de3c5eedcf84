/* How fast records come out of Kafka when they are only counted: the ceiling for everything else.
 *
 *   bench_consume fill BROKERS TOPIC EVENTS [BYTES]   makes the topic (8 partitions) and fills it
 *   bench_consume read BROKERS TOPIC [BATCH]          reads it whole by one consumer, from 0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "weir/clock.h"
#include "weir/kafka.h"

enum { PARTITIONS = 8, VALUE_MAX = 4096, BATCH_MAX = 100000 };

static int fail(const struct weir_err *err) {
    fprintf(stderr, "bench_consume: %s\n", err->text);
    return err->code;
}

static long number(const char *text, long low, long high) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "bench_consume: %s is not a number from %ld to %ld\n", text, low, high);
        exit(2);
    }
    return value;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void report(const char *what, long long events, double wall_s, double used_s) {
    printf("%s: %lld events in %.2f s, %.2f M/s; %.2f M per CPU second\n", what, events, wall_s,
           (double)events / wall_s / 1e6, (double)events / used_s / 1e6);
}

/* An event of about `bytes` that does not compress to nothing. */
static size_t write_event(char *value, long n, long bytes) {
    static const char countries[][3] = {"DE", "FR", "US", "BR", "JP", "IN"};
    int len = snprintf(value, VALUE_MAX,
                       "{\"type\":\"page_view\",\"time\":%lld,\"session\":\"s-%08lx\","
                       "\"country\":\"%s\",\"url\":\"/p/%ld?ref=%lx\",\"agent\":\"",
                       1700000000000LL + n, (unsigned long)n * 2654435761UL % 1000003UL,
                       countries[n % 6], n % 9973, (unsigned long)n * 40503UL);
    for (unsigned long x = (unsigned long)n + 1; len < bytes - 2 && len < VALUE_MAX - 3; len++) {
        x = x * 6364136223846793005UL + 1442695040888963407UL;
        value[len] = (char)('a' + (x >> 60));
    }
    value[len++] = '"';
    value[len++] = '}';
    return (size_t)len;
}

static int fill(const char *brokers, const char *topic, long events, long bytes) {
    static const struct weir_kafka_property deep[] = {{"queue.buffering.max.messages", "500000"},
                                                      {"linger.ms", "20"}};
    struct weir_kafka_options options = {
        .brokers = brokers, .properties = deep, .properties_len = 2};
    struct weir_producer *producer = NULL;
    struct weir_err err = {0};
    char value[VALUE_MAX];
    if (weir_kafka_create_topic(&options, topic, PARTITIONS, 1, &err) != 0 ||
        weir_producer_new(&producer, &options, &err) != 0)
        return fail(&err);
    int64_t start_us = weir_clock_monotonic_us();
    for (long i = 0; i < events; i++) {
        size_t len = write_event(value, i, bytes);
        if (weir_producer_send(producer, topic, (int32_t)(i / 500 % PARTITIONS), NULL, 0, value,
                               len, 0, NULL, &err) != 0)
            return fail(&err);
    }
    int left = weir_producer_flush(producer, 120000);
    report("filled", events, (double)(weir_clock_monotonic_us() - start_us) / 1e6, cpu_s());
    weir_producer_free(producer);
    return left == 0 ? 0 : 3;
}

static void from_start(void *context, struct weir_topic_partition *partitions, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++)
        partitions[i].offset = 0;
}

static int read_all(const char *brokers, const char *topic, size_t max) {
    char group[64];
    snprintf(group, sizeof group, "bench-%d", getpid());
    struct weir_kafka_options options = {
        .brokers = brokers, .group = group, .topics = &topic, .topics_len = 1};
    struct weir_consumer *consumer = NULL;
    struct weir_record *records = calloc(max, sizeof *records);
    struct weir_err err = {0};
    long long total = 0, events = 0, bytes = 0;
    if (!records || weir_consumer_new(&consumer, &options,
                                      (struct weir_rebalance){.assigned = from_start}, &err) != 0)
        return fail(&err);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t low, high;
        if (weir_consumer_range(consumer, 0, p, &low, &high, &err) != 0)
            return fail(&err);
        total += high;
    }
    int64_t start_us = 0;
    double start_cpu_s = 0;
    while (events < total) {
        struct weir_batch *batch = NULL;
        int count = weir_consumer_poll(consumer, 10, max, records, &batch, &err);
        if (count < 0)
            return fail(&err);
        if (start_us == 0 && count > 0) { /* not the joining of the group */
            start_us = weir_clock_monotonic_us();
            start_cpu_s = cpu_s();
        }
        for (int i = 0; i < count; i++)
            bytes += (long long)records[i].len;
        events += count;
        weir_batch_free(batch);
    }
    report("read", events, (double)(weir_clock_monotonic_us() - start_us) / 1e6,
           cpu_s() - start_cpu_s);
    printf("%.0f bytes an event, librdkafka %s\n", (double)bytes / (double)events,
           weir_kafka_library_version());
    weir_consumer_free(consumer);
    free(records);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 5 && argc <= 6 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], argv[3], number(argv[4], 1, 1000000000),
                    argc == 6 ? number(argv[5], 200, VALUE_MAX - 8) : 441);
    if (argc >= 4 && argc <= 5 && strcmp(argv[1], "read") == 0)
        return read_all(argv[2], argv[3], argc == 5 ? (size_t)number(argv[4], 1, BATCH_MAX) : 2000);
    fputs("bench_consume fill BROKERS TOPIC EVENTS [BYTES] | read BROKERS TOPIC [BATCH]\n", stderr);
    return 2;
}
