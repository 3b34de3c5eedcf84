#include "app/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/worker_state.h"
#include "weir/clock.h"
#include "weir/log.h"

#define POLL_MS 100
#define TICK_US 1000000
#define REDIS_TIMEOUT_MS 5000
#define JOIN_AGAIN_US 60000000 /* at most so often */
#define TOPIC_LOOKS 10
#define TOPIC_LOOK_MS 300
#define AHEAD 2 /* records whose bytes are on their way */
#define CACHE_LINE 64
#define PREFETCH_BYTES_MAX 1024

/* The way of a record: take, decode, apply (session and windows), commit. A few records lie
 * between decode and apply, so that the session's memory is there when its turn comes. */

static void count_reason(struct weir_worker *w, enum weir_reason reason) {
    if (reason == WEIR_OK)
        w->figures.events++;
    else if (reason == WEIR_LATE)
        w->figures.late++;
    else
        w->figures.rejected[reason]++;
}

static void apply_oldest(struct weir_worker *w) {
    struct weir_pending *pending = &w->pipe[w->pipe_first];
    w->pipe_first = (w->pipe_first + 1) % WEIR_PIPE;
    w->pipe_len--;
    struct weir_partition *state = pending->owned->state;
    enum weir_reason dead = pending->decoded.reason;
    if (dead != WEIR_OK)
        count_reason(w, dead);
    for (size_t i = 0; i < pending->decoded.len; i++) {
        struct weir_event *event = &pending->decoded.events[i];
        if (i > 0)
            weir_partition_prepare(state, event, &pending->key);
        enum weir_reason reason =
            weir_partition_apply(state, event, &pending->key, pending->record->timestamp_ms);
        count_reason(w, reason);
        if (reason != WEIR_OK && reason != WEIR_LATE && dead == WEIR_OK)
            dead = reason;
    }
    weir_partition_record(state, pending->record->offset, pending->decoded.reason);
    if (dead != WEIR_OK)
        weir_dead_letter(w, pending->record, dead);
}

static void decode(struct weir_worker *w, const struct weir_record *record) {
    struct weir_owned *owned = weir_own_find(w, record->topic, record->partition);
    if (!owned || !owned->state || record->offset < owned->next)
        return; /* not ours any more, or counted before */
    if (w->pipe_len == WEIR_PIPE)
        apply_oldest(w);
    uint32_t at = (w->pipe_first + w->pipe_len++) % WEIR_PIPE;
    struct weir_pending *pending = &w->pipe[at];
    pending->record = record;
    pending->owned = owned;
    weir_decode(w->decoder, record->value, record->len, &pending->decoded);
    if (pending->decoded.len > 0)
        weir_partition_prepare(owned->state, &pending->decoded.events[0], &pending->key);
    owned->next = record->offset + 1;
    owned->seen = true;
    owned->idle = false; /* at once: the next commit tells the evaluator */
    w->figures.records++;
    w->figures.bytes += record->len;
}

/* Its bytes were written by another thread, so they are in no cache of ours. */
static void prefetch(const struct weir_record *record) {
    size_t len = record->len < PREFETCH_BYTES_MAX ? record->len : PREFETCH_BYTES_MAX;
    for (size_t at = 0; at < len; at += CACHE_LINE)
        __builtin_prefetch((const char *)record->value + at);
}

static int take_records(struct weir_worker *w) {
    struct weir_batch *batch = NULL;
    int64_t wait_ms = (w->commit_us - weir_clock_monotonic_us()) / 1000;
    wait_ms = wait_ms < 0 ? 0 : wait_ms > POLL_MS ? POLL_MS : wait_ms;
    int len =
        weir_consumer_poll(w->consumer, (int)wait_ms, WEIR_BATCH_MAX, w->records, &batch, &w->err);
    for (int i = 0; i < len; i++) {
        if (i + AHEAD < len)
            prefetch(&w->records[i + AHEAD]);
        decode(w, &w->records[i]);
    }
    while (w->pipe_len > 0)
        apply_oldest(w);
    weir_batch_free(batch);
    if (len > 0 && w->fresh) { /* the first figures of what was claimed need not wait */
        w->fresh = false;
        w->commit_us = 0;
    }
    return len < 0 ? len : 0;
}

static bool commit_is_due(const struct weir_worker *w, int64_t now_us) {
    bool full = false;
    size_t pending = 0, most = w->config->memory.commit;
    for (size_t i = 0; i < w->owned_len && !w->figures.stalled; i++) {
        const struct weir_partition *state = w->owned[i]->state;
        full |= state && weir_partition_is_full(state);
        pending += state ? weir_partition_pending(state) : 0;
    }
    full |= most > 0 && pending > most;
    return full || now_us >= w->commit_us;
}

static int open_consumer(struct weir_worker *w, struct weir_consumer **consumer) {
    struct weir_kafka_options kafka = w->config->kafka;
    kafka.prefetch_bytes = w->config->prefetch_bytes / (size_t)w->config->workers;
    struct weir_rebalance rebalance = {weir_own_assigned, weir_own_revoked, w};
    return weir_consumer_new(consumer, &kafka, rebalance, &w->err);
}

/* A member with a name (group.instance.id) is fenced by another process of that name, but also by
 * itself: when a broker dies that had let it in again and had not said so. So it joins once more; a
 * name that two processes really share is taken again within seconds, and then one gives up. */
static int join_again(struct weir_worker *w) {
    int64_t now_us = weir_clock_monotonic_us();
    if (w->joined_us != 0 && now_us - w->joined_us < JOIN_AGAIN_US)
        return -w->err.code;
    w->joined_us = now_us;
    weir_log(WEIR_LOG_WARN, "worker",
             "another member took its name in the group (group.instance.id); it joins again",
             WEIR_INT("worker", w->number), WEIR_LOG_END);
    struct weir_consumer *consumer;
    int status = open_consumer(w, &consumer);
    if (status != 0)
        return status;
    weir_consumer_free(w->consumer);
    weir_own_free(w); /* what it had not committed is read again */
    w->consumer = consumer;
    return 0;
}

static int run(struct weir_worker *w) {
    int64_t tick_us = 0;
    while (!atomic_load(&w->stopping)) {
        atomic_store(&w->seen_us, weir_clock_monotonic_us());
        int status = weir_own_claim(w);
        if (status == 0)
            status = take_records(w);
        if (status != 0 && weir_consumer_fenced(w->consumer))
            status = join_again(w);
        if (status != 0)
            return status;
        int64_t now_us = weir_clock_monotonic_us();
        if (now_us - tick_us >= TICK_US) {
            weir_own_tick(w, now_us);
            tick_us = now_us;
        }
        if (commit_is_due(w, now_us))
            status = weir_commit_all(w);
        if (status != 0)
            return status;
    }
    return 0;
}

/* ---- the thread and what it needs ---- */

static void close_all(struct weir_worker *w) {
    weir_consumer_free(w->consumer); /* leaves the group: the last commit is in there */
    if (w->dead_letters)
        weir_producer_flush(w->dead_letters, REDIS_TIMEOUT_MS);
    weir_producer_free(w->dead_letters);
    weir_own_free(w);
    weir_store_free(w->store);
    weir_redis_free(w->redis);
    weir_decoder_free(w->decoder);
    weir_mapping_free(w->mapping);
    free(w->records);
    weir_worker_figures_close(&w->figures);
    weir_worker_figures_close(&w->shown);
}

/* A topic that was just made is not known to every broker at once. */
static int count_partitions(struct weir_worker *w, int32_t topic) {
    int partitions = weir_consumer_partitions(w->consumer, topic, &w->err);
    for (int look = 0; look < TOPIC_LOOKS && partitions == 0; look++) {
        weir_clock_sleep_ms(TOPIC_LOOK_MS);
        partitions = weir_consumer_partitions(w->consumer, topic, &w->err);
    }
    return partitions;
}

/* Every topic must be there: a consumer would wait for it without a word. The evaluator learns of
 * all partitions before the first of them is counted. */
static int check_topics(struct weir_worker *w) {
    for (size_t i = 0; i < w->config->kafka.topics_len; i++) {
        int partitions = count_partitions(w, (int32_t)i);
        if (partitions < 0)
            return partitions;
        if (partitions == 0)
            return -w->err.code; /* it is not there, or not for us */
        int status =
            weir_store_register(w->store, w->config->kafka.topics[i], 0, partitions, &w->err);
        int32_t began = 0;
        if (status == 0 && w->config->start == WEIR_START_LATEST)
            status =
                weir_store_began(w->store, w->config->kafka.topics[i], partitions, &began, &w->err);
        if (status != 0)
            return status;
    }
    return 0;
}

static int open_all(struct weir_worker *w) {
    const struct weir_config *config = w->config;
    int status = weir_mapping_new(&w->mapping, &config->mapping, &w->err);
    if (status == 0)
        status = weir_redis_new(&w->redis, config->redis_url, REDIS_TIMEOUT_MS, &w->err);
    if (status == 0)
        status = weir_store_new(&w->store, w->redis, config->kafka.group, &w->err);
    if (status == 0 && config->dead_letter_topic)
        status = weir_producer_new(&w->dead_letters, &config->kafka, &w->err);
    if (status == 0) {
        w->decoder = weir_decoder_new(w->mapping, WEIR_PIPE);
        WEIR_ASSERT(w->decoder != NULL);
    }
    w->records = calloc(WEIR_BATCH_MAX, sizeof *w->records);
    WEIR_ASSERT(w->records != NULL);
    if (status == 0)
        status = open_consumer(w, &w->consumer);
    if (status == 0 && w->number == 0)
        status = check_topics(w);
    return status;
}

static void *thread_main(void *context) {
    struct weir_worker *w = context;
    char name[16];
    snprintf(name, sizeof name, "worker %d", w->number);
    pthread_setname_np(pthread_self(), name); /* for top -H, gdb and the like */
    int status = run(w);
    struct weir_err why = w->err;
    if (status != 0) {
        weir_log(WEIR_LOG_ERROR, "worker", w->err.text, WEIR_INT("worker", w->number),
                 WEIR_LOG_END);
        atomic_store(&w->failed, true);
    }
    weir_commit_all(w);
    if (status != 0)
        w->err = why; /* not what the last commit may have met */
    weir_commit_show_figures(w);
    return NULL;
}

int weir_worker_start(struct weir_worker **worker, const struct weir_config *config, int number,
                      bool rebuild, struct weir_err *err) {
    struct weir_worker *w = calloc(1, sizeof *w);
    WEIR_ASSERT(w != NULL);
    w->config = config;
    w->number = number;
    w->rebuild = rebuild;
    w->figures.redis_up = w->figures.kafka_up = true;
    pthread_mutex_init(&w->lock, NULL);
    weir_commit_show_figures(w);
    int status = open_all(w);
    if (status == 0 && pthread_create(&w->thread, NULL, thread_main, w) != 0)
        status = weir_err_set(&w->err, WEIR_ERR_REFUSED, "cannot start a thread");
    if (status != 0) {
        *err = w->err;
        close_all(w);
        free(w);
        return status;
    }
    *worker = w;
    return 0;
}

void weir_worker_stop(struct weir_worker *w) {
    atomic_store(&w->stopping, true);
}

bool weir_worker_failed(const struct weir_worker *w) {
    return atomic_load(&w->failed);
}

int weir_worker_join(struct weir_worker *w, struct weir_err *err) {
    pthread_join(w->thread, NULL);
    bool failed = atomic_load(&w->failed);
    *err = w->err;
    close_all(w);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return failed ? -err->code : 0;
}

void weir_worker_figures(struct weir_worker *w, struct weir_worker_figures *figures) {
    pthread_mutex_lock(&w->lock);
    weir_commit_copy_figures(figures, &w->shown);
    pthread_mutex_unlock(&w->lock);
    int64_t seen_us = atomic_load(&w->seen_us);
    if (seen_us > figures->seen_us)
        figures->seen_us = seen_us;
}

void weir_worker_figures_close(struct weir_worker_figures *figures) {
    free(figures->partitions);
    figures->partitions = NULL;
    figures->partitions_len = figures->partitions_room = 0;
}
