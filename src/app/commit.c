#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/worker_state.h"
#include "weir/clock.h"
#include "weir/crash.h"
#include "weir/log.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define FENCED_PAUSE_US 1000000

/* Retention may pass what lies behind the last record without being one, and that is nothing that
 * is missed, if it is known: so it is worth a commit. */
static void note_bare(struct weir_owned *owned, const struct weir_mark *mark) {
    if (mark->bare_from != owned->next || mark->bare_to <= owned->bare_to)
        return;
    owned->bare_to = mark->bare_to;
    weir_partition_start_at(owned->state, owned->next); /* where it is */
}

/* Sends every partition's changes before the first answer is read: one round trip for all. */
static int send_all(struct weir_worker *w) {
    for (size_t i = 0; i < w->owned_len; i++)
        w->owned[i]->sent = false;
    for (size_t i = 0; i < w->owned_len; i++) {
        struct weir_owned *owned = w->owned[i];
        if (!owned->state)
            continue;
        struct weir_liveness live = {owned->idle, weir_own_lag(w, owned), weir_clock_wall_ms(),
                                     weir_consumer_mark(w->consumer, owned->topic, owned->number)};
        note_bare(owned, &live.mark);
        int status =
            weir_store_commit(w->store, &owned->claim, owned->state, &live, &owned->sent, &w->err);
        if (status != 0)
            return status;
        weir_crash_point("commit_put");
    }
    return 0;
}

static void drop(struct weir_worker *w, struct weir_owned *owned, enum weir_commit_result result) {
    bool fenced = result == WEIR_FENCED;
    weir_log(WEIR_LOG_WARN, "worker",
             fenced ? "fenced: somebody else owns the partition"
                    : "Redis lost writes: reading again",
             WEIR_STR("topic", w->config->kafka.topics[owned->topic]),
             WEIR_INT("partition", owned->number), WEIR_LOG_END);
    w->figures.fenced += fenced;
    w->figures.rolled_back += !fenced;
    /* Fenced: Kafka may be about to tell us that it is not ours; give it the time. */
    weir_own_drop(w, owned, fenced ? weir_clock_monotonic_us() + FENCED_PAUSE_US : 0);
    w->reassign = true;
}

static int read_all(struct weir_worker *w) {
    for (size_t i = 0; i < w->owned_len; i++) {
        struct weir_owned *owned = w->owned[i];
        if (!owned->sent)
            continue;
        enum weir_commit_result result = WEIR_COMMITTED;
        int status = weir_store_committed(w->store, owned->state, &result, &w->err);
        if (status != 0)
            return status;
        owned->sent = false;
        if (result != WEIR_COMMITTED)
            drop(w, owned, result);
    }
    return 0;
}

static void show_offsets(struct weir_worker *w) {
    if (!w->figures.kafka_up)
        return; /* librdkafka logs every one that fails */
    size_t len = 0;
    for (size_t i = 0; i < w->owned_len; i++)
        if (w->owned[i]->state)
            w->offsets[len++] = (struct weir_topic_partition){
                w->owned[i]->topic, w->owned[i]->number, w->owned[i]->next};
    if (len > 0)
        weir_consumer_commit_for_display(w->consumer, w->offsets, len);
}

/* Redis is away, or Kafka with dead letters (`letters`): the group's membership is kept by polling,
 * nothing is consumed, and the same commits are tried again. */
static void stall(struct weir_worker *w, bool letters) {
    struct weir_err ignored;
    const char *what = letters ? "cannot commit; consuming stops until Kafka has the dead letters"
                               : "cannot commit; consuming stops until Redis answers";
    if (strncmp(w->why, w->err.text, sizeof w->why - 1) != 0) { /* once for each reason */
        snprintf(w->why, sizeof w->why, "%.255s", w->err.text);
        weir_log(WEIR_LOG_WARN, "worker",
                 w->figures.stalled ? "still no commit, for another reason" : what,
                 WEIR_STR("why", w->err.text), WEIR_INT("worker", w->number), WEIR_LOG_END);
    }
    if (!letters) {
        w->figures.redis_errors++;
        weir_redis_disconnect(w->redis); /* late answers would be taken for those of the next try */
    }
    weir_consumer_pause(w->consumer, &ignored);
    w->figures.stalled = true;
    w->figures.redis_up = letters;
    w->backoff_ms = w->backoff_ms ? w->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (w->backoff_ms > BACKOFF_MAX_MS)
        w->backoff_ms = BACKOFF_MAX_MS;
    w->commit_us = weir_clock_monotonic_us() + w->backoff_ms * 1000;
}

static void go_on(struct weir_worker *w) {
    if (!w->figures.stalled)
        return;
    weir_log(WEIR_LOG_INFO, "worker",
             w->figures.redis_up ? "Kafka has the dead letters; consuming goes on"
                                 : "Redis answers again; consuming goes on",
             WEIR_INT("worker", w->number),
             WEIR_INT("duplicates", (int64_t)weir_store_duplicates(w->store)), WEIR_LOG_END);
    w->figures.stalled = false;
    w->figures.redis_up = true;
    w->backoff_ms = 0;
    w->why[0] = '\0';
    w->reassign = true;
}

int weir_commit_all(struct weir_worker *w) {
    int64_t start_us = weir_clock_monotonic_us();
    w->commit_us = start_us + w->config->commit_interval_ms * 1000;
    int status = weir_dead_letter_flush(w);
    bool letters = status != 0;
    weir_crash_point("commit_begin");
    if (status == 0)
        status = send_all(w);
    if (status == 0)
        status = read_all(w);
    if (status == -WEIR_ERR_UNREACHABLE) {
        stall(w, letters);
        weir_commit_show_figures(w);
        return 0;
    }
    if (status != 0)
        return status;
    go_on(w);
    weir_crash_point("commit_done");
    show_offsets(w);
    weir_crash_point("commit_shown");
    uint64_t took_us = (uint64_t)(weir_clock_monotonic_us() - start_us);
    w->figures.commits++;
    w->figures.commit_us_sum += took_us;
    if (took_us > w->figures.commit_us_max)
        w->figures.commit_us_max = took_us;
    weir_commit_show_figures(w);
    return 0;
}

/* Room is made when more are assigned than ever before. */
static void make_room(struct weir_worker_figures *figures, size_t partitions) {
    if (partitions <= figures->partitions_room)
        return;
    figures->partitions = realloc(figures->partitions, partitions * sizeof *figures->partitions);
    WEIR_ASSERT(figures->partitions != NULL);
    figures->partitions_room = (uint32_t)partitions;
}

void weir_commit_copy_figures(struct weir_worker_figures *to,
                              const struct weir_worker_figures *from) {
    make_room(to, from->partitions_len);
    struct weir_partition_figures *partitions = to->partitions;
    uint32_t room = to->partitions_room;
    *to = *from;
    to->partitions = partitions;
    to->partitions_room = room;
    if (from->partitions_len > 0)
        memcpy(partitions, from->partitions, from->partitions_len * sizeof *partitions);
}

void weir_commit_show_figures(struct weir_worker *w) {
    struct weir_worker_figures *figures = &w->figures;
    figures->seen_us = weir_clock_monotonic_us();
    figures->assigned = (uint32_t)w->owned_len;
    figures->partitions_len = 0;
    figures->caught_up = w->owned_len > 0;
    make_room(figures, w->owned_len);
    if (w->consumer) {
        figures->kafka_up = weir_consumer_reachable(w->consumer);
        figures->kafka_errors = weir_consumer_errors(w->consumer);
    }
    if (w->store) {
        figures->commit_bytes = weir_store_bytes(w->store);
        figures->duplicates = weir_store_duplicates(w->store);
    }
    if (w->dead_letters)
        figures->dead_letters_failed = weir_producer_failed(w->dead_letters);
    for (size_t i = 0; i < w->owned_len; i++) {
        const struct weir_owned *owned = w->owned[i];
        if (!owned->state) {
            figures->caught_up = false;
            continue;
        }
        struct weir_partition_figures *shown = &figures->partitions[figures->partitions_len++];
        shown->topic = w->config->kafka.topics[owned->topic];
        shown->number = owned->number;
        shown->lag = weir_own_lag(w, owned);
        shown->first = owned->first;
        shown->end = owned->end;
        shown->idle = owned->idle;
        weir_partition_status(owned->state, &shown->status);
        figures->caught_up &= shown->lag <= 0;
    }
    pthread_mutex_lock(&w->lock);
    weir_commit_copy_figures(&w->shown, figures);
    pthread_mutex_unlock(&w->lock);
}
