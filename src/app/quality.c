/* Before any rule: can the data be trusted? A producer that stalls, a schema that breaks or weir
 * catching up would all look like a drop. */
#include <stdio.h>

#include "app/evaluator_state.h"

#define RECENT_MS 60000
#define EARLIER_MS 300000
#define REJECTED_SHARE 0.05 /* a jump must reach this share ... */
#define UNKNOWN_SHARE 0.20
#define JUMP 3.0    /* ... and be this many times what it was */
#define JUMP_MIN 20 /* and this many records */

static bool lags(const struct weir_evaluator *e, int64_t wall_ms) {
    for (size_t i = 0; i < e->members_len; i++) {
        const struct weir_member *member = &e->members[i];
        if (!member->has_state || member->idle || member->status.watermark_ms == INT64_MIN)
            continue;
        bool behind = wall_ms - member->status.watermark_ms > e->config->lag_suspect_ms;
        if (member->lag != 0 && behind)
            return true;
    }
    return false;
}

static struct weir_history totals(const struct weir_evaluator *e, int64_t as_of_ms) {
    struct weir_history sum = {.as_of_ms = as_of_ms};
    for (size_t i = 0; i < e->members_len; i++) {
        const struct weir_partition_status *status = &e->members[i].status;
        if (!e->members[i].has_state)
            continue;
        sum.records += status->records;
        sum.events += status->events;
        sum.unknown += status->unknown_types;
        for (int r = WEIR_OK + 1; r < WEIR_REASONS; r++)
            sum.rejected += r == WEIR_LATE ? 0 : status->rejected[r];
    }
    return sum;
}

static void remember(struct weir_evaluator *e, struct weir_history now) {
    if (e->history_len == WEIR_HISTORY) {
        for (uint32_t i = 1; i < WEIR_HISTORY; i++)
            e->history[i - 1] = e->history[i];
        e->history_len--;
    }
    e->history[e->history_len++] = now;
}

/* The latest remembered totals at or before a time; NULL when that is too long ago. */
static const struct weir_history *at(const struct weir_evaluator *e, int64_t time_ms) {
    for (uint32_t i = e->history_len; i-- > 0;)
        if (e->history[i].as_of_ms <= time_ms)
            return &e->history[i];
    return e->history_len ? &e->history[0] : NULL;
}

static bool jumped(uint64_t part, uint64_t all, uint64_t part_before, uint64_t all_before,
                   double share_min) {
    if (part < JUMP_MIN || all == 0)
        return false;
    double share = (double)part / (double)all;
    double before = all_before ? (double)part_before / (double)all_before : 0;
    return share >= share_min && share > JUMP * before;
}

void weir_quality_check(struct weir_evaluator *e, int64_t watermark_ms, int64_t wall_ms) {
    struct weir_history now = totals(e, watermark_ms);
    const struct weir_history *recent = at(e, watermark_ms - RECENT_MS);
    const struct weir_history *earlier = at(e, watermark_ms - EARLIER_MS);
    bool all_idle = true;
    for (size_t i = 0; i < e->members_len; i++)
        all_idle &= e->members[i].idle || !e->members[i].has_state;
    e->suspect[0] = '\0';
    if (lags(e, wall_ms))
        snprintf(e->suspect, sizeof e->suspect, "catching up: the data are behind the clock");
    else if (all_idle)
        snprintf(e->suspect, sizeof e->suspect, "no data: no event for idle_timeout");
    else if (recent && earlier &&
             jumped(now.rejected - recent->rejected, now.records - recent->records,
                    recent->rejected - earlier->rejected, recent->records - earlier->records,
                    REJECTED_SHARE))
        snprintf(e->suspect, sizeof e->suspect, "dead letters jumped: has the schema changed?");
    else if (recent && earlier &&
             jumped(now.unknown - recent->unknown, now.events - recent->events,
                    recent->unknown - earlier->unknown, recent->events - earlier->events,
                    UNKNOWN_SHARE))
        snprintf(e->suspect, sizeof e->suspect, "unknown event types jumped: has a name changed?");
    remember(e, now);
}
