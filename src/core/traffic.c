/* The queue: candidates arrive, sessions take their steps, one event at a time in the order of
 * event time. A bucket a millisecond makes both ends of it O(1). */
#include "weir/traffic.h"

#include <stdlib.h>
#include <string.h>

#include "core/traffic_internal.h"
#include "core/traffic_random.h"

#define ARRIVAL_SALT 0x2545f4914f6cdd1dULL
#define HOUR_MS 3600000
#define WARM_UP_MAX_MS 86400000

static int check_options(const struct weir_traffic_options *options, struct weir_err *err) {
    if (!(options->sessions_per_second >= WEIR_TRAFFIC_RATE_MIN &&
          options->sessions_per_second <= WEIR_TRAFFIC_RATE_MAX))
        return weir_err_set(
            err, WEIR_ERR_USAGE, "%g sessions a second is outside of %g to %g: choose one within",
            options->sessions_per_second, WEIR_TRAFFIC_RATE_MIN, WEIR_TRAFFIC_RATE_MAX);
    if (options->start_ms < WEIR_TIME_MIN_MS + WARM_UP_MAX_MS ||
        options->start_ms > WEIR_TRAFFIC_START_MAX_MS)
        return weir_err_set(err, WEIR_ERR_USAGE, "the start must lie between 1980 and 2999");
    if (options->warm_up_ms < 0 || options->warm_up_ms > WARM_UP_MAX_MS || options->duration_ms < 0)
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "the warm-up must be at most 24h and the duration not negative");
    if (options->incidents_len > WEIR_TRAFFIC_INCIDENTS_MAX)
        return weir_err_set(err, WEIR_ERR_USAGE, "at most %d incidents in one run",
                            WEIR_TRAFFIC_INCIDENTS_MAX);
    return 0;
}

static void schedule_arrival(struct weir_traffic *traffic) {
    double gap_s = -weir_traffic_log(weir_traffic_random(&traffic->arrivals));
    traffic->arrival_us += (int64_t)(gap_s / traffic->arrival_peak * 1e6);
}

/* Candidates come at the highest rate that there can be; each is then let in with the share that
 * its moment has of it (thinning). */
static void set_arrivals(struct weir_traffic *traffic) {
    const struct weir_traffic_options *options = &traffic->options;
    double top = 1.0;
    if (!options->level) {
        /* any week holds the top: straight lines between full hours */
        for (int64_t hour = 0; hour <= 7 * 24; hour++)
            for (int64_t side = -1; side <= 0; side++) {
                double height = weir_traffic_cycle(WEIR_TIME_MIN_MS + hour * HOUR_MS + side);
                top = height > top ? height : top;
            }
    }
    for (size_t i = 0; i < options->incidents_len; i++)
        if (traffic->incidents[i].metric == WEIR_TRAFFIC_VISITS && traffic->incidents[i].change > 0)
            top *= 1.0 + traffic->incidents[i].change;
    traffic->arrival_peak = options->sessions_per_second * top;
    traffic->accept_scale = 1.0 / top;
    traffic->arrivals = weir_traffic_mix(options->seed ^ ARRIVAL_SALT);
    traffic->arrival_us = (options->start_ms - options->warm_up_ms) * 1000;
    schedule_arrival(traffic);
}

int weir_traffic_new(struct weir_traffic **out, const struct weir_traffic_options *options,
                     struct weir_err *err) {
    int failed = check_options(options, err);
    if (failed)
        return failed;
    struct weir_traffic *traffic = calloc(1, sizeof *traffic);
    uint32_t *heads = calloc(WEIR_TRAFFIC_RING, sizeof *heads);
    uint64_t *bits = calloc(WEIR_TRAFFIC_RING / 64, sizeof *bits);
    if (!traffic || !heads || !bits) {
        free(traffic);
        free(heads);
        free(bits);
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory for the queue of sessions (9 MiB)");
    }
    traffic->options = *options;
    for (size_t i = 0; i < options->incidents_len; i++) {
        traffic->incidents[i] = options->incidents[i];
        traffic->incidents_of[options->incidents[i].metric]++;
    }
    traffic->options.incidents = traffic->incidents;
    traffic->end_ms = options->duration_ms > 0 && options->duration_ms < INT64_MAX / 2
                          ? options->start_ms + options->duration_ms
                          : INT64_MAX;
    traffic->queue = (struct weir_traffic_queue){
        .heads = heads, .bits = bits, .at_ms = options->start_ms - options->warm_up_ms};
    weir_traffic_render_init(traffic);
    traffic->faults.random = weir_traffic_mix(options->seed + 1);
    for (int i = 0; i < WEIR_TRAFFIC_FAULTS; i++)
        traffic->faults.any = traffic->faults.any || options->faults[i] > 0;
    set_arrivals(traffic);
    *out = traffic;
    return 0;
}

void weir_traffic_free(struct weir_traffic *traffic) {
    if (!traffic)
        return;
    weir_traffic_faults_close(traffic);
    free(traffic->queue.heads);
    free(traffic->queue.bits);
    free(traffic->sessions);
    free(traffic);
}

static void queue_push(struct weir_traffic *traffic, uint32_t slot, int64_t at_ms) {
    struct weir_traffic_queue *queue = &traffic->queue;
    WEIR_ASSERT(at_ms >= queue->at_ms && at_ms < queue->at_ms + (int64_t)WEIR_TRAFFIC_RING);
    uint32_t bucket = (uint32_t)(at_ms & (WEIR_TRAFFIC_RING - 1));
    traffic->sessions[slot].next = queue->heads[bucket];
    queue->heads[bucket] = slot + 1;
    queue->bits[bucket / 64] |= 1ULL << (bucket % 64);
    queue->len++;
}

static uint32_t queue_pop(struct weir_traffic *traffic) {
    struct weir_traffic_queue *queue = &traffic->queue;
    uint32_t bucket = (uint32_t)(queue->at_ms & (WEIR_TRAFFIC_RING - 1));
    WEIR_ASSERT(queue->heads[bucket] != 0);
    uint32_t slot = queue->heads[bucket] - 1;
    queue->heads[bucket] = traffic->sessions[slot].next;
    if (queue->heads[bucket] == 0)
        queue->bits[bucket / 64] &= ~(1ULL << (bucket % 64));
    queue->len--;
    return slot;
}

/* Moves to the first entry, but not beyond limit_ms. */
static void queue_advance(struct weir_traffic_queue *queue, int64_t limit_ms) {
    while (queue->len > 0 && queue->at_ms < limit_ms) {
        uint32_t bucket = (uint32_t)(queue->at_ms & (WEIR_TRAFFIC_RING - 1));
        uint64_t word = queue->bits[bucket / 64] >> (bucket % 64);
        if (word != 0) {
            int64_t at_ms = queue->at_ms + __builtin_ctzll(word);
            queue->at_ms = at_ms < limit_ms ? at_ms : limit_ms;
            return;
        }
        queue->at_ms += 64 - bucket % 64;
    }
    if (queue->at_ms < limit_ms && queue->len == 0)
        queue->at_ms = limit_ms;
    if (queue->at_ms > limit_ms) /* stepped over it in a word without entries */
        queue->at_ms = limit_ms;
}

static int take_slot(struct weir_traffic *traffic, uint32_t *slot, struct weir_err *err) {
    if (traffic->sessions_free != 0) {
        *slot = traffic->sessions_free - 1;
        traffic->sessions_free = traffic->sessions[*slot].next;
        return 0;
    }
    if (traffic->sessions_len == traffic->sessions_cap) {
        uint32_t cap = traffic->sessions_cap ? traffic->sessions_cap * 2 : 1024;
        struct weir_traffic_session *sessions = NULL;
        if (cap <= WEIR_TRAFFIC_SESSIONS_MAX)
            sessions = realloc(traffic->sessions, cap * sizeof *sessions);
        if (!sessions)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "no room for more than %u sessions at once: lower the rate",
                                traffic->sessions_cap);
        traffic->sessions = sessions;
        traffic->sessions_cap = cap;
    }
    *slot = traffic->sessions_len++;
    return 0;
}

static void free_slot(struct weir_traffic *traffic, uint32_t slot) {
    traffic->sessions[slot].next = traffic->sessions_free;
    traffic->sessions_free = slot + 1;
}

static int arrive(struct weir_traffic *traffic, struct weir_err *err) {
    int64_t time_ms = traffic->arrival_us / 1000;
    uint32_t slot = 0;
    int failed = take_slot(traffic, &slot, err);
    if (failed)
        return failed;
    struct weir_traffic_session *session = &traffic->sessions[slot];
    weir_traffic_session_init(traffic, session, traffic->candidates++);
    schedule_arrival(traffic);
    double height = traffic->options.level ? 1.0 : weir_traffic_cycle(time_ms);
    if (!weir_traffic_draw(traffic, session, WEIR_TRAFFIC_VISITS, height * traffic->accept_scale,
                           time_ms)) {
        free_slot(traffic, slot);
        return 0;
    }
    if (time_ms < traffic->options.start_ms)
        session->flags |= WEIR_FLAG_BEFORE;
    queue_push(traffic, slot, time_ms);
    return 0;
}

static void count(struct weir_traffic *traffic, struct weir_traffic_session *session,
                  int64_t time_ms) {
    if (session->flags & WEIR_FLAG_BEFORE) {
        traffic->totals.sessions_before++;
        session->flags &= (uint8_t)~WEIR_FLAG_BEFORE;
    } else if (session->events == 0) {
        weir_traffic_count_start(traffic, session, time_ms);
    }
    weir_traffic_count_event(traffic, session, time_ms);
}

/* The next event into traffic->line: 1, 0 at the end, or a negative code. */
static int next_event(struct weir_traffic *traffic, int64_t *time_ms, struct weir_err *err) {
    const struct weir_traffic_options *options = &traffic->options;
    struct weir_traffic_queue *queue = &traffic->queue;
    int64_t last_ms = traffic->end_ms < WEIR_TIME_MAX_MS ? traffic->end_ms : WEIR_TIME_MAX_MS;
    while (!traffic->stopped) {
        int64_t arrival_ms = traffic->arrival_us / 1000;
        queue_advance(queue, arrival_ms);
        if (queue->at_ms >= last_ms ||
            (options->events_max > 0 && traffic->totals.events == options->events_max)) {
            traffic->stopped = true;
            break;
        }
        if (queue->at_ms == arrival_ms) {
            int failed = arrive(traffic, err);
            if (failed)
                return failed;
            continue;
        }
        uint32_t slot = queue_pop(traffic);
        struct weir_traffic_session *session = &traffic->sessions[slot];
        bool seen = queue->at_ms >= options->start_ms;
        *time_ms = queue->at_ms;
        weir_traffic_session_fire(traffic, session, *time_ms);
        if (seen) {
            count(traffic, session, *time_ms);
            weir_traffic_render(traffic, session, *time_ms);
        }
        int64_t at_ms = weir_traffic_session_advance(traffic, session, *time_ms);
        if (session->step == WEIR_STEP_GONE)
            free_slot(traffic, slot);
        else
            queue_push(traffic, slot, at_ms);
        if (seen)
            return 1;
    }
    return 0;
}

int weir_traffic_next(struct weir_traffic *traffic, struct weir_traffic_record *record,
                      struct weir_err *err) {
    while (!traffic->has_ready) {
        int got = next_event(traffic, &traffic->ready_ms, err);
        if (got < 0)
            return got;
        if (got == 0) {
            if (!weir_traffic_faults_due(traffic, INT64_MAX))
                return 0;
            weir_traffic_faults_take(traffic, record);
            return 1;
        }
        if (traffic->faults.any) {
            got = weir_traffic_faults_apply(traffic, traffic->ready_ms, err);
            if (got < 0)
                return got;
        }
        traffic->has_ready = got == 1;
    }
    if (traffic->faults.len > 0 && weir_traffic_faults_due(traffic, traffic->ready_ms)) {
        weir_traffic_faults_take(traffic, record);
        return 1;
    }
    traffic->has_ready = false;
    *record = (struct weir_traffic_record){.time_ms = traffic->ready_ms,
                                           .at_ms = traffic->ready_ms,
                                           .key = traffic->key,
                                           .line = traffic->line,
                                           .len = traffic->line_len};
    return 1;
}

void weir_traffic_stop(struct weir_traffic *traffic) {
    traffic->stopped = true;
}

const struct weir_traffic_totals *weir_traffic_totals(const struct weir_traffic *traffic) {
    return &traffic->totals;
}

const struct weir_traffic_effect *weir_traffic_effect(const struct weir_traffic *traffic,
                                                      size_t incident) {
    WEIR_ASSERT(incident < traffic->options.incidents_len);
    return &traffic->effects[incident];
}
