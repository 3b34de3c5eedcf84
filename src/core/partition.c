#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/partition_state.h"
#include "core/records.h"
#include "core/step.h"

#define SEED_SESSION 0x73657373696f6e00ULL
#define SEED_VISITOR 0x76697369746f7200ULL
#define FULL_DIRTY (1U << 19)
#define EXPORT_BYTES_MAX ((size_t)1 << 31)

struct weir_partition *weir_partition_new(const struct weir_plan *plan) {
    struct weir_partition *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->plan = plan;
    p->newest_ms = p->watermark_ms = p->settled_ms = INT64_MIN;
    p->offset = -1;
    p->tick_offset = INT64_MIN;
    p->first_delta = 1;
    weir_overlap_init(&p->overlap);
    weir_buf_init(&p->ticks, 1 << 20);
    weir_buf_init(&p->exported_ticks, 1 << 20);
    weir_buf_init(&p->bytes, EXPORT_BYTES_MAX);
    weir_buf_init(&p->meta, 1 << 20);
    struct weir_sessions_timing timing = {plan->gap_ms, plan->cap_ms};
    p->sessions = weir_sessions_new(timing, plan->sessions_max);
    p->bots = calloc(1, sizeof *p->bots);
    int failed = weir_visitors_init(&p->visitors, plan->recovery_ms, 2 * plan->sessions_max);
    failed |= weir_window_init(&p->window, plan);
    for (uint32_t d = 0; d < plan->dimensions_len; d++)
        failed |= weir_values_init(&p->values[d], plan->values_max);
    if (failed || !p->sessions || !p->bots) {
        weir_partition_free(p);
        return NULL;
    }
    return p;
}

void weir_partition_free(struct weir_partition *p) {
    if (!p)
        return;
    weir_sessions_free(p->sessions);
    weir_visitors_close(&p->visitors);
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        weir_values_close(&p->values[d]);
    weir_window_close(&p->window);
    free(p->bots);
    free(p->dirty);
    free(p->removed);
    weir_buf_close(&p->ticks);
    weir_buf_close(&p->exported_ticks);
    weir_buf_close(&p->bytes);
    weir_buf_close(&p->meta);
    free(p->changes);
    free(p->wanted);
    free(p);
}

void *weir_partition_grow(void *array, size_t *cap, size_t size) {
    *cap = *cap ? *cap * 2 : 256;
    void *grown = realloc(array, *cap * size);
    WEIR_ASSERT(grown != NULL); /* out of memory: the state in Redis is whole, start again */
    return grown;
}

void weir_partition_prepare(const struct weir_partition *p, const struct weir_event *event,
                            struct weir_key *key) {
    bool by_session = event->session.len > 0;
    struct weir_str id = by_session ? event->session : event->visitor;
    XXH128_hash_t hash = XXH3_128bits_withSeed(id.data ? id.data : "", id.len,
                                               by_session ? SEED_SESSION : SEED_VISITOR);
    key->session = hash.low64;
    key->check = (uint32_t)hash.high64;
    key->visitor = 0;
    if (event->visitor.len > 0)
        key->visitor = XXH3_64bits(event->visitor.data, event->visitor.len) | 1;
    weir_sessions_prefetch(p->sessions, key->session);
}

/* ---- time ---- */

int64_t weir_partition_floor_ms(const struct weir_partition *p) {
    if (p->newest_ms == INT64_MIN)
        return INT64_MIN;
    return p->newest_ms - p->plan->out_of_orderness_ms - p->plan->allowed_lateness_ms;
}

static void close_due(void *context, struct weir_session *session) {
    struct weir_partition *p = context;
    weir_step_close(p, session, weir_session_end_ms(p->sessions, session));
}

static void raise_watermark(struct weir_partition *p, int64_t watermark_ms) {
    if (watermark_ms <= p->watermark_ms)
        return;
    p->watermark_ms = p->window.watermark_ms = watermark_ms;
    if (watermark_ms < (p->now_second + 1) * 1000)
        return;
    int64_t second = watermark_ms / 1000;
    p->now_second = second;
    int64_t floor_ms = weir_partition_floor_ms(p);
    weir_sessions_advance(p->sessions, second, floor_ms, close_due, p);
    /* What is open now ends after now; what comes later is not before the floor. */
    p->settled_ms = floor_ms < second * 1000 ? floor_ms : second * 1000;
}

/* Between events, so that the order of the sessions that one event ends says nothing. */
static inline void trim_visitors(struct weir_partition *p) {
    if (p->visitors.waiting > p->visitors.max)
        weir_visitors_trim(&p->visitors, weir_partition_floor_ms(p));
}

/* Step 1 of the header. */
static enum weir_reason admit(struct weir_partition *p, const struct weir_event *event,
                              int64_t kafka_ms) {
    if (event->reason != WEIR_OK)
        return event->reason;
    if (kafka_ms >= 0 && event->time_ms > kafka_ms + p->plan->max_ahead_ms)
        return WEIR_TOO_FAR_AHEAD;
    if (p->newest_ms != INT64_MIN && event->time_ms < weir_partition_floor_ms(p))
        return WEIR_LATE;
    if (event->time_ms > p->newest_ms) {
        p->newest_ms = event->time_ms;
        raise_watermark(p, event->time_ms - p->plan->out_of_orderness_ms);
    }
    return WEIR_OK;
}

enum weir_reason weir_partition_apply(struct weir_partition *p, const struct weir_event *event,
                                      const struct weir_key *key, int64_t kafka_ms) {
    p->moved = true;
    enum weir_reason reason = admit(p, event, kafka_ms);
    if (reason != WEIR_OK) {
        p->rejected[reason]++;
        return reason;
    }
    p->events++;
    weir_step_event(p, event, key);
    trim_visitors(p);
    return WEIR_OK;
}

void weir_partition_record(struct weir_partition *p, int64_t offset, enum weir_reason reason) {
    p->moved = true;
    p->records++;
    p->offset = offset + 1;
    if (reason != WEIR_OK)
        p->rejected[reason]++;
}

void weir_partition_start_at(struct weir_partition *p, int64_t offset) {
    p->offset = offset;
    p->moved = true;
}

/* Two ticks at one offset do what the second does alone: each session ends at its own end, and
 * buckets are removed by the last watermark. Only where the first one made carts be forgotten the
 * second, alone, would choose others, so such a one stays on record. */
static void record_tick(struct weir_partition *p, int64_t watermark_ms) {
    bool replaces = p->tick_offset == p->offset && !p->tick_stands;
    if (replaces && p->ticks.len > 0) {
        replaces = p->ticks.data[p->tick_at] == '=';
        p->ticks.len = p->tick_at;
    }
    p->tick_offset = p->offset;
    p->tick_at = p->ticks.len;
    weir_buf_printf(&p->ticks, "%s%lld:%lld\n", replaces ? "=" : "", (long long)p->offset,
                    (long long)watermark_ms);
}

void weir_partition_tick(struct weir_partition *p, int64_t watermark_ms) {
    if (p->watermark_ms == INT64_MIN || watermark_ms <= p->watermark_ms)
        return;
    p->moved = true;
    record_tick(p, watermark_ms);
    raise_watermark(p, watermark_ms);
    p->tick_stands = p->visitors.waiting > p->visitors.max;
    trim_visitors(p);
}

void weir_partition_finish(struct weir_partition *p) {
    weir_sessions_evict(p->sessions, 0, close_due, p);
    p->moved = true;
}

/* ---- what others may see ---- */

bool weir_partition_is_full(const struct weir_partition *p) {
    return weir_window_is_full(&p->window) || p->dirty_len >= FULL_DIRTY;
}

size_t weir_partition_pending(const struct weir_partition *p) {
    return p->dirty_len * WEIR_RECORD_WHOLE_BYTES + p->removed_len * WEIR_RECORD_REMOVED_BYTES +
           p->visitors.changed_len * WEIR_RECORD_VISITOR_BYTES;
}

void weir_partition_status(const struct weir_partition *p, struct weir_partition_status *status) {
    *status = (struct weir_partition_status){
        .offset = p->offset,
        .newest_ms = p->newest_ms,
        .watermark_ms = p->watermark_ms,
        .seq = p->seq,
        .records = p->records,
        .events = p->events,
        .late = p->rejected[WEIR_LATE],
        .unknown_types = p->unknown_types,
        .bots = p->bot_events,
        .open_sessions = weir_sessions_len(p->sessions),
    };
    memcpy(status->rejected, p->rejected, sizeof p->rejected);
    status->memory_bytes = sizeof *p + weir_sessions_memory(p->sessions) +
                           weir_visitors_memory(&p->visitors) + weir_window_memory(&p->window) +
                           p->bytes.cap + p->dirty_cap * sizeof *p->dirty;
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        status->memory_bytes += weir_values_memory(&p->values[d]);
}

int weir_partition_keep_totals(struct weir_partition *p) {
    return weir_window_keep_totals(&p->window);
}

const int64_t *weir_partition_total(struct weir_partition *p, uint32_t segment) {
    weir_window_fold(&p->window);
    uint32_t dense = 0;
    if (segment != 0)
        dense = weir_window_dense(&p->window, (segment >> 24) - 1, segment & 0xffffff);
    uint32_t number = p->window.totals.map[dense];
    return number ? p->window.totals.cells[number - 1] : NULL;
}

const int64_t *weir_partition_durations(const struct weir_partition *p) {
    return p->window.totals_bins;
}

uint32_t weir_partition_values(const struct weir_partition *p, uint32_t dimension) {
    return WEIR_VALUE_FIRST + p->values[dimension].len;
}

struct weir_str weir_partition_value(const struct weir_partition *p, uint32_t dimension,
                                     uint32_t value) {
    return weir_values_text(&p->values[dimension], value);
}
