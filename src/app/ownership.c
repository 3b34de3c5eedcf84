#include <stdlib.h>
#include <string.h>

#include "app/worker_state.h"
#include "weir/clock.h"
#include "weir/crash.h"
#include "weir/log.h"
#include "weir/memory.h"

#define RETRY_US 500000
#define ENDED_FRESH_US 10000000            /* what Kafka said of an end; it is asked each second */
#define PARTITION_BYTES ((int64_t)8 << 20) /* an empty one with its buffers */

static const char *topic_of(const struct weir_worker *w, const struct weir_owned *owned) {
    return w->config->kafka.topics[owned->topic];
}

struct weir_owned *weir_own_find(struct weir_worker *w, int32_t topic, int32_t number) {
    /* consecutive records mostly come from one partition */
    for (size_t i = 0; i < w->owned_len; i++) {
        size_t at =
            w->last_owned + i < w->owned_len ? w->last_owned + i : w->last_owned + i - w->owned_len;
        struct weir_owned *owned = w->owned[at];
        if (owned->number == number && owned->topic == topic) {
            w->last_owned = at;
            return owned;
        }
    }
    return NULL;
}

void weir_own_drop(struct weir_worker *w, struct weir_owned *owned, int64_t retry_us) {
    (void)w;
    weir_partition_free(owned->state);
    owned->state = NULL;
    owned->sent = false;
    owned->retry_us = retry_us;
}

void weir_own_free(struct weir_worker *w) {
    for (size_t i = 0; i < w->owned_len; i++) {
        weir_partition_free(w->owned[i]->state);
        free(w->owned[i]);
    }
    free(w->owned);
    free(w->offsets);
    w->owned = NULL;
    w->offsets = NULL;
    w->owned_len = w->last_owned = 0;
}

/* ---- what Kafka says ---- */

void weir_own_assigned(void *context, struct weir_topic_partition *partitions, size_t len) {
    struct weir_worker *w = context;
    weir_own_free(w);
    w->owned = calloc(len + 1, sizeof(struct weir_owned *));
    w->offsets = calloc(len + 1, sizeof *w->offsets);
    WEIR_ASSERT(w->owned != NULL && w->offsets != NULL);
    for (size_t i = 0; i < len; i++) {
        struct weir_owned *owned = calloc(1, sizeof *owned);
        WEIR_ASSERT(owned != NULL);
        owned->topic = partitions[i].topic;
        owned->number = partitions[i].partition;
        w->owned[w->owned_len++] = owned;
        partitions[i].offset = -1; /* read from where Redis says, once it is claimed */
    }
    weir_log(WEIR_LOG_INFO, "worker", "partitions assigned", WEIR_INT("worker", w->number),
             WEIR_INT("partitions", (int64_t)len), WEIR_LOG_END);
}

void weir_own_revoked(void *context, const struct weir_topic_partition *partitions, size_t len,
                      bool lost) {
    struct weir_worker *w = context;
    (void)partitions; /* eager assignment: all of them */
    if (!lost && !w->figures.stalled)
        weir_commit_all(w);
    weir_own_free(w);
    weir_log(WEIR_LOG_INFO, "worker", lost ? "partitions lost" : "partitions given up",
             WEIR_INT("worker", w->number), WEIR_INT("partitions", (int64_t)len), WEIR_LOG_END);
}

/* ---- claims ---- */

/* Where a partition without any state begins; `committed` is how far the group has read it. */
static int first_offset(struct weir_worker *w, struct weir_owned *owned, int64_t committed,
                        int64_t *offset) {
    int64_t low = 0, high = 0;
    if (committed >= 0 && !w->rebuild)
        return weir_err_set(
            &w->err, WEIR_ERR_REFUSED,
            "Redis holds no state of partition %d of %s, but the group %s has read it up to offset "
            "%lld: the state was lost or this is another Redis; restore it from a backup, count "
            "again with `weir run --rebuild`, or take a new kafka.group",
            owned->number, topic_of(w, owned), w->config->kafka.group, (long long)committed);
    int status =
        weir_consumer_range(w->consumer, owned->topic, owned->number, &low, &high, &w->err);
    if (status != 0)
        return status;
    *offset = low;
    owned->end = high;
    if (w->rebuild)
        return 0;
    if (w->config->start == WEIR_START_LATEST) { /* but nothing of a partition that came later */
        int32_t began = 0;
        status = weir_store_began(w->store, topic_of(w, owned), owned->number + 1, &began, &w->err);
        if (status != 0)
            return status;
        *offset = owned->number < began ? high : low;
    }
    if (w->config->start == WEIR_START_TIME)
        *offset = weir_consumer_offset_at(w->consumer, owned->topic, owned->number,
                                          w->config->start_time_ms, &w->err);
    return *offset < 0 ? (int)*offset : 0;
}

static int check_offset(struct weir_worker *w, struct weir_owned *owned, int64_t offset) {
    int64_t low = 0, high = 0;
    int status =
        weir_consumer_range(w->consumer, owned->topic, owned->number, &low, &high, &w->err);
    if (status != 0)
        return status;
    owned->end = high;
    if (offset >= low && offset <= high)
        return 0;
    const struct weir_mark *mark = &owned->claim.mark;
    if (offset < low && mark->bare_from == offset && mark->bare_to >= low && mark->bare_to <= high)
        return 0; /* no record is gone that was not counted */
    return weir_err_set(
        &w->err, WEIR_ERR_REFUSED,
        "partition %d of %s was counted up to offset %lld, but Kafka holds %lld to "
        "%lld: records were deleted by retention or the topic was made again; count "
        "what is there with `weir run --rebuild`, or take a new kafka.group",
        owned->number, topic_of(w, owned), (long long)offset, (long long)low, (long long)high);
}

/* What was quiet before the claim and has nothing waiting need not be waited for again. */
static void start_clock(struct weir_worker *w, struct weir_owned *owned, int64_t watermark_ms) {
    int64_t quiet_ms = w->config->idle_timeout_ms;
    bool quiet = watermark_ms != INT64_MIN && owned->next >= owned->end &&
                 weir_clock_wall_ms() - watermark_ms > quiet_ms;
    owned->base_ms = quiet ? watermark_ms - quiet_ms : watermark_ms;
    owned->base_us = weir_clock_monotonic_us() - (quiet ? quiet_ms * 1000 : 0);
    owned->seen = owned->idle = false;
}

/* Before the first of many: better a sentence at the start than a kill in the night. */
static int check_memory(struct weir_worker *w) {
    int64_t unclaimed = 0, available = weir_memory_available();
    for (size_t i = 0; i < w->owned_len; i++)
        unclaimed += w->owned[i]->state == NULL;
    if (unclaimed * PARTITION_BYTES <= available)
        return 0;
    return weir_err_set(&w->err, WEIR_ERR_REFUSED,
                        "%lld partitions need at least %lld MiB and %lld MiB are left here; run "
                        "more processes on other machines, or raise the memory limit",
                        (long long)unclaimed, (long long)(unclaimed * PARTITION_BYTES >> 20),
                        (long long)(available >> 20));
}

/* A state that is not there although the group has read the partition was lost, or somebody began
 * it between our two questions: then it is there at the second look. */
static int claim_state(struct weir_worker *w, struct weir_owned *owned,
                       struct weir_partition *state, int64_t *committed) {
    *committed = -1;
    for (int look = 0; look < 2; look++) {
        int status = weir_store_claim(w->store, topic_of(w, owned), owned->number,
                                      w->config->plan.fingerprint, state, &owned->claim, &w->err);
        if (status != 0 || owned->claim.found || look > 0)
            return status;
        *committed = weir_consumer_committed(w->consumer, owned->topic, owned->number, &w->err);
        if (*committed < 0)
            break;
    }
    return *committed < -1 ? (int)*committed : 0;
}

static int claim(struct weir_worker *w, struct weir_owned *owned) {
    int64_t start_us = weir_clock_monotonic_us();
    int status = check_memory(w);
    if (status != 0)
        return status;
    struct weir_partition *state = weir_partition_new(&w->config->plan);
    if (!state)
        return weir_err_set(&w->err, WEIR_ERR_REFUSED,
                            "no memory for partition %d of %s; run fewer partitions here (more "
                            "processes) or lower sessions.max_open",
                            owned->number, topic_of(w, owned));
    struct weir_partition_status found = {0};
    int64_t committed = -1;
    status = claim_state(w, owned, state, &committed);
    if (status == 0) {
        weir_partition_status(state, &found);
        if (owned->claim.found)
            status = check_offset(w, owned, found.offset);
        else
            status = first_offset(w, owned, committed, &found.offset);
    }
    if (status != 0) {
        weir_partition_free(state);
        return status;
    }
    weir_crash_point("claim_done");
    if (!owned->claim.found)
        weir_partition_start_at(state, found.offset);
    owned->state = state;
    owned->next = owned->first = found.offset;
    owned->bare_to = owned->claim.mark.bare_to;
    weir_consumer_expect(w->consumer, owned->topic, owned->number, &owned->claim.mark);
    start_clock(w, owned, found.watermark_ms);
    w->reassign = w->fresh = true;
    weir_log(WEIR_LOG_INFO, "worker", "partition claimed", WEIR_STR("topic", topic_of(w, owned)),
             WEIR_INT("partition", owned->number), WEIR_INT("offset", found.offset),
             WEIR_INT("open_sessions", found.open_sessions),
             WEIR_INT("took_ms", (weir_clock_monotonic_us() - start_us) / 1000), WEIR_LOG_END);
    return 0;
}

static int read_on(struct weir_worker *w) {
    struct weir_topic_partition *partitions = calloc(w->owned_len + 1, sizeof *partitions);
    WEIR_ASSERT(partitions != NULL);
    size_t len = 0;
    for (size_t i = 0; i < w->owned_len; i++)
        if (w->owned[i]->state)
            partitions[len++] = (struct weir_topic_partition){
                w->owned[i]->topic, w->owned[i]->number, w->owned[i]->next};
    int status = weir_consumer_resume(w->consumer, partitions, len, &w->err);
    free(partitions);
    if (status == 0)
        w->reassign = false;
    return status;
}

int weir_own_claim(struct weir_worker *w) {
    for (size_t i = 0; i < w->owned_len; i++) {
        struct weir_owned *owned = w->owned[i];
        int64_t now_us = weir_clock_monotonic_us();
        atomic_store(&w->seen_us, now_us);
        if (owned->state || owned->retry_us > now_us || w->figures.stalled)
            continue;
        int status = claim(w, owned);
        if (status == -WEIR_ERR_UNREACHABLE) {
            weir_log(WEIR_LOG_WARN, "worker", "cannot claim yet", WEIR_STR("why", w->err.text),
                     WEIR_STR("topic", topic_of(w, owned)), WEIR_INT("partition", owned->number),
                     WEIR_LOG_END);
            owned->retry_us = now_us + RETRY_US;
            break; /* the others would wait for the same */
        }
        if (status != 0)
            return status;
    }
    return w->reassign && !w->figures.stalled ? read_on(w) : 0;
}

/* ---- idle partitions ---- */

/* Behind the last record of a transaction lies its end, which is none: met, it counts as read. */
static int64_t read_to(const struct weir_worker *w, const struct weir_owned *owned) {
    int64_t met = 0;
    bool ended = weir_consumer_at_end(w->consumer, owned->topic, owned->number, &met);
    return ended && met > owned->next ? met : owned->next;
}

int64_t weir_own_lag(const struct weir_worker *w, const struct weir_owned *owned) {
    int64_t end = weir_consumer_end(w->consumer, owned->topic, owned->number);
    int64_t next = read_to(w, owned);
    end = end > owned->end ? end : owned->end;
    return end > next ? end - next : 0;
}

/* Of those in which nothing came since the last tick. */
static void ask_ends(struct weir_worker *w) {
    struct weir_topic_partition *quiet = calloc(w->owned_len + 1, sizeof *quiet);
    size_t len = 0;
    WEIR_ASSERT(quiet != NULL);
    for (size_t i = 0; i < w->owned_len; i++)
        if (w->owned[i]->state && !w->owned[i]->seen)
            quiet[len++] = (struct weir_topic_partition){w->owned[i]->topic, w->owned[i]->number,
                                                         w->owned[i]->next};
    weir_consumer_ask_ends(w->consumer, quiet, len);
    free(quiet);
}

/* A partition is quiet for as long as Kafka says that nothing waits in it, and not for as long as
 * nothing came here: records may have come to Kafka while this process stood still, or while Redis
 * or the partition's leader was away, and a tick must not pass them by. */
static void tick(struct weir_worker *w, struct weir_owned *owned, int64_t now_us) {
    int64_t ended_us =
        weir_consumer_ended_us(w->consumer, owned->topic, owned->number, read_to(w, owned));
    bool known = ended_us > owned->base_us && now_us - ended_us <= ENDED_FRESH_US;
    int64_t quiet_ms = known ? (ended_us - owned->base_us) / 1000 : 0;
    owned->idle = known && !w->figures.stalled && w->figures.kafka_up &&
                  quiet_ms >= w->config->idle_timeout_ms;
    if (owned->idle && owned->base_ms != INT64_MIN)
        weir_partition_tick(owned->state, owned->base_ms + quiet_ms);
}

void weir_own_tick(struct weir_worker *w, int64_t now_us) {
    ask_ends(w);
    for (size_t i = 0; i < w->owned_len; i++) {
        struct weir_owned *owned = w->owned[i];
        if (!owned->state)
            continue;
        if (!owned->seen) {
            tick(w, owned, now_us);
            continue;
        }
        struct weir_partition_status status;
        weir_partition_status(owned->state, &status);
        owned->seen = false;
        owned->base_ms = status.watermark_ms;
        owned->base_us = now_us;
    }
}
