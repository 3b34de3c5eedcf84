/*
 * bench_fill: fills a topic with the traffic of `weir generate`, in any compression.
 *
 *     bench_fill --brokers B --topic T [--partitions N] [--events N] [--sessions S] [--seed X]
 *                [--start MS] [--codec lz4|zstd|none] [--close MS]
 *
 * The bytes are those of `weir generate --level --events N --sessions-per-second S --seed X
 * --start MS`, keyed by the session. --close adds one page_view to every partition, so much after
 * the last event that every session has ended. One line of JSON when Kafka has it all.
 */
#include <stdio.h>
#include <time.h>

#include "common.h"
#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/traffic.h"

enum { FLUSH_MS = 120000 };
static const char program[] = "bench_fill";

struct job {
    const char *brokers, *topic, *codec;
    long partitions, events, sessions, seed, start_ms, close_ms;
};

static void close_sessions(const struct job *job, struct weir_producer *producer, int64_t last_ms) {
    struct weir_err err = {0};
    struct tm utc;
    char when[40];
    int64_t time_ms = last_ms + job->close_ms;
    const time_t second = (time_t)(time_ms / 1000);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &utc));
    for (int32_t p = 0; p < (int32_t)job->partitions; p++) {
        char key[32], value[200];
        int key_len = snprintf(key, sizeof key, "closer-%d", p);
        int len = snprintf(value, sizeof value,
                           "{\"type\":\"page_view\",\"time\":\"%s.%03dZ\",\"session\":\"%s\"}",
                           when, (int)(time_ms % 1000), key);
        bench_check(program,
                    weir_producer_send(producer, job->topic, p, key, (size_t)key_len, value,
                                       (size_t)len, time_ms, NULL, &err),
                    &err);
    }
}

static void fill(const struct job *job, struct weir_producer *producer) {
    struct weir_traffic_options options = {.seed = (uint64_t)job->seed,
                                           .start_ms = job->start_ms,
                                           .events_max = (uint64_t)job->events,
                                           .sessions_per_second = (double)job->sessions,
                                           .level = true};
    struct weir_traffic *traffic = NULL;
    struct weir_traffic_record record;
    struct weir_err err = {0};
    bench_check(program, weir_traffic_new(&traffic, &options, &err), &err);
    int64_t start_us = weir_clock_monotonic_us(), bytes = 0;
    int more;
    while ((more = weir_traffic_next(traffic, &record, &err)) > 0) {
        bench_check(program,
                    weir_producer_send(producer, job->topic, -1, record.key, WEIR_TRAFFIC_KEY_LEN,
                                       record.line, record.len - 1, record.at_ms, NULL, &err),
                    &err);
        bytes += (int64_t)record.len - 1;
    }
    bench_check(program, more, &err);
    const struct weir_traffic_totals *totals = weir_traffic_totals(traffic);
    if (job->close_ms > 0)
        close_sessions(job, producer, totals->last_ms);
    int left = weir_producer_flush(producer, FLUSH_MS);
    weir_err_set(&err, WEIR_ERR_UNREACHABLE, "Kafka did not take %d records", left);
    bench_check(program, left > 0 || weir_producer_failed(producer) > 0 ? 3 : 0, &err);
    printf("{\"events\":%llu,\"records\":%llu,\"sessions\":%llu,\"bytes\":%lld,\"last_ms\":%lld,"
           "\"wall_s\":%.2f}\n",
           (unsigned long long)totals->events,
           (unsigned long long)totals->events +
               (unsigned long long)(job->close_ms > 0 ? job->partitions : 0),
           (unsigned long long)totals->counts.sessions + totals->bot_sessions, (long long)bytes,
           (long long)totals->last_ms, (double)(weir_clock_monotonic_us() - start_us) / 1e6);
    weir_traffic_free(traffic);
}

int main(int argc, char **argv) {
    struct job job = {"", "", "lz4", 8, 1000000, 600, 1, 1767603600000, 0};
    const struct bench_option names[] = {
        {"brokers", &job.brokers, NULL, 0, 0},
        {"topic", &job.topic, NULL, 0, 0},
        {"codec", &job.codec, NULL, 0, 0},
        {"partitions", NULL, &job.partitions, 1, 1000},
        {"events", NULL, &job.events, 1, 1000000000},
        {"sessions", NULL, &job.sessions, 1, 200000},
        {"seed", NULL, &job.seed, 0, 1000000000},
        {"start", NULL, &job.start_ms, 0, WEIR_TRAFFIC_START_MAX_MS},
        {"close", NULL, &job.close_ms, 0, 864000000},
    };
    bench_options(program, argc, argv, names, sizeof names / sizeof *names);
    const struct weir_kafka_property properties[] = {{"compression.codec", job.codec},
                                                     {"queue.buffering.max.messages", "500000"},
                                                     {"linger.ms", "20"}};
    struct weir_kafka_options kafka = {
        .brokers = job.brokers, .properties = properties, .properties_len = 3};
    struct weir_producer *producer = NULL;
    struct weir_err err = {0};
    bench_check(program, weir_kafka_create_topic(&kafka, job.topic, (int)job.partitions, 1, &err),
                &err);
    bench_check(program, weir_producer_new(&producer, &kafka, &err), &err);
    fill(&job, producer);
    weir_producer_free(producer);
    return 0;
}
