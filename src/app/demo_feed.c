/* The demo's shop: the generator's records into Kafka, in step with the clock. */
#include "demo.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir/clock.h"
#include "weir/kafka.h"
#include "weir/traffic.h"

#define SESSIONS_PER_SECOND 500.0
#define HISTORY_MS 150000  /* so that the windows are full when the demo begins */
#define WARM_UP_MS 1200000 /* so that the first purchases come with the first sessions */
#define CATCH_UP_PER_MS 80 /* a mock partition keeps 5 MB: the consumer must stay near */
#define FLUSH_MS 2000
#define TOPIC_MAX 256

struct weir_demo_feed {
    pthread_t thread;
    struct weir_traffic *traffic;
    struct weir_producer *producer;
    char topic[TOPIC_MAX];
    atomic_bool stop, failed, caught_up;
    atomic_uint_fast64_t sent;
    struct weir_err err; /* the thread's, until `failed` is set */
};

/* Sleeps until the record's turn; false when the feed is to stop. */
static bool await_turn(struct weir_demo_feed *feed, int64_t at_ms, int64_t started_us) {
    while (!atomic_load(&feed->stop)) {
        int64_t ahead = at_ms - weir_clock_wall_ms();
        int64_t elapsed = (weir_clock_monotonic_us() - started_us) / 1000;
        bool too_fast = (int64_t)atomic_load(&feed->sent) > (elapsed + 1) * CATCH_UP_PER_MS;
        if (ahead <= 0 && !too_fast)
            return true;
        if (ahead > 0)
            atomic_store(&feed->caught_up, true);
        weir_clock_sleep_ms(ahead <= 0 || ahead > 10 ? 10 : ahead);
    }
    return false;
}

static void *run(void *context) {
    struct weir_demo_feed *feed = context;
    struct weir_traffic_record record;
    int64_t started_us = weir_clock_monotonic_us();
    while (weir_traffic_next(feed->traffic, &record, &feed->err) == 1) {
        if (!await_turn(feed, record.at_ms, started_us))
            return NULL;
        if (weir_producer_send(feed->producer, feed->topic, -1, record.key, WEIR_TRAFFIC_KEY_LEN,
                               record.line, record.len - 1, 0, NULL, &feed->err) != 0)
            break;
        atomic_fetch_add(&feed->sent, 1);
    }
    atomic_store(&feed->failed, true);
    return NULL;
}

static int open_traffic(struct weir_demo_feed *feed, int64_t incident_ms, struct weir_err *err) {
    char spec[160];
    snprintf(spec, sizeof spec,
             "metric=conversion,segment=country:" WEIR_DEMO_COUNTRY
             ",size=90%%,start=0s,duration=%ds",
             WEIR_DEMO_INCIDENT_MS / 1000);
    struct weir_traffic_incident incident;
    int result = weir_traffic_incident_parse(&incident, spec, incident_ms, err);
    if (result != 0)
        return result;
    int64_t now = weir_clock_wall_ms();
    struct weir_traffic_options options = {
        .seed = (uint64_t)now,
        .start_ms = now - HISTORY_MS,
        .warm_up_ms = WARM_UP_MS,
        .sessions_per_second = SESSIONS_PER_SECOND,
        .level = true,
        .incidents = &incident,
        .incidents_len = 1,
    };
    return weir_traffic_new(&feed->traffic, &options, err);
}

static void free_feed(struct weir_demo_feed *feed) {
    if (feed->producer)
        weir_producer_free(feed->producer);
    if (feed->traffic)
        weir_traffic_free(feed->traffic);
    free(feed);
}

int weir_demo_feed_start(struct weir_demo_feed **out, const char *brokers, const char *topic,
                         int64_t incident_ms, struct weir_err *err) {
    struct weir_demo_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return weir_err_set(err, WEIR_ERR_REFUSED, "no memory for the demo's traffic");
    snprintf(feed->topic, sizeof feed->topic, "%s", topic);
    struct weir_kafka_property compress = {"compression.type", "lz4"};
    struct weir_kafka_options options = {
        .brokers = brokers,
        .client_id = "weir-demo",
        .properties = &compress,
        .properties_len = 1,
    };
    int result = weir_producer_new(&feed->producer, &options, err);
    if (result == 0)
        result = open_traffic(feed, incident_ms, err);
    if (result == 0 && pthread_create(&feed->thread, NULL, run, feed) != 0)
        result = weir_err_set(err, WEIR_ERR_REFUSED, "the system gives no thread for the traffic");
    if (result != 0) {
        free_feed(feed);
        return result;
    }
    *out = feed;
    return 0;
}

bool weir_demo_feed_caught_up(const struct weir_demo_feed *feed) {
    return atomic_load(&feed->caught_up);
}

uint64_t weir_demo_feed_sent(const struct weir_demo_feed *feed) {
    return atomic_load(&feed->sent);
}

const char *weir_demo_feed_error(const struct weir_demo_feed *feed) {
    if (atomic_load(&feed->failed))
        return feed->err.text;
    return weir_producer_failed(feed->producer) > 0 ? "Kafka does not take the records" : NULL;
}

void weir_demo_feed_stop(struct weir_demo_feed *feed) {
    if (!feed)
        return;
    atomic_store(&feed->stop, true);
    pthread_join(feed->thread, NULL);
    weir_producer_flush(feed->producer, FLUSH_MS);
    free_feed(feed);
}
