/*
 * partition: one Kafka partition's whole state, and the pure step that a record makes in it.
 *
 * Core: no clock, no I/O; results depend only on the plan and on the sequence of events and ticks.
 * One thread at a time. All memory is owned by the partition.
 *
 * The step, exactly (the naive reference in tests/model follows these words):
 *
 *  1. Admission, in record order. An event with a reason of its own is counted by that reason.
 *     With a Kafka timestamp k: time > k + max_ahead is too_far_ahead.
 *     With newest = the highest time admitted so far (in this partition):
 *     time < newest - out_of_orderness - allowed_lateness is late.
 *     Else newest = max(newest, time), watermark = max(watermark, newest - out_of_orderness).
 *  2. Closing. With now = the watermark rounded down to a whole second: whenever now moves, every
 *     session whose end = min(last + gap, start + cap) <= now is closed at that end. (Not in
 *     between: what an idle partition brings after a tick still makes whole sessions.)
 *  3. A bot by its user agent adds 1 to bot_events of the total, and that is all.
 *  4. The session is looked up by session id, else by visitor id (two name spaces).
 *     - time < start - gap, or time <= last - cap: the open session stays as it is, and the event
 *       makes a session of its own, which is closed at once at time + min(gap, cap).
 *     - time >= last + gap, or time >= start + cap: the open session is closed at its end, and
 *       the event starts a new one.
 *     - none is open: the event starts one.
 *     But a session_end or a custom type never starts a session or makes one of its own: where it
 *     would, it is counted without a session.
 *     A session takes its visitor and its segments from the event that starts it: per dimension a
 * value, `_none` where it is absent or empty, `_other` where the value is longer than
 *     WEIR_DIMENSION_VALUE_MAX or the dimension already has values_max values in this partition. A
 *     value that is itself written `_none` or `_other` is that.
 *  5. All that follows is counted in the bucket of the event's own time, for the total and for
 *     the session's segment in each dimension (an event without a session: its own values).
 *     - sessions + 1 when it starts one. events + 1; page_views, interactions, add_to_cart,
 *       remove_from_cart, refunds, refunded by type; unknown for an unknown type. Custom counters
 *       by type, whatever else the type does.
 *     - session_ms + the growth of last - start (time before start moves start, after last moves
 *       last). A session_end that moves last grows it too.
 *     - engaged + 1 once: single_event: at the second event. single_page: at the second page_view.
 *       ga4: at the second page_view, any cart, checkout or purchase event, or when
 *       last - start >= 10 s.
 *     - checkouts + 1 at the first begin_checkout.
 *     - cart: add_to_cart adds its quantity (whole pieces, at least 1) to the cart's count. A
 *       session that has no cart gets one: carts_created + 1, and carts_bought + 1 if it already
 *       purchased. remove_from_cart takes pieces (not below 0); a cart that this empties, in a
 *       session without a purchase and under cart: non_empty, is no longer one: carts_emptied + 1.
 *     - purchase: without an order id it counts; with one, once in its session. (With sessions_max
 *       order ids known in all open sessions, the id of one that counts is not kept.) When it
 * counts:
 *       orders + 1, revenue + value; the first one of the session: converted + 1, and
 *       carts_bought + 1 if the session has a cart; and if the visitor's abandoned cart is in the
 *       recovery table with time <= its end + recovery: recovered + 1, and it leaves the table.
 *     - bots: the event that brings a session beyond bot_events_max turns it into a bot's:
 *       bot_sessions + 1. That event and all later ones add 1 to the total's bot_events and nothing
 * else (the session's times still move, so that it ends in time). It is not settled.
 *  6. session_end closes its session at max(time, last).
 *  7. Closing a session counts in the bucket of its end: s_sessions, s_bounced (not engaged),
 *     s_converted, s_carts, s_abandoned (a cart, no purchase), s_duration_ms, s_orders, s_revenue
 *     and for the total one duration in the quantile sketch. An abandoned cart with a visitor
 *     enters the recovery table as (visitor, end), the latest end per visitor.
 *  8. When sessions_max are open and another would start: open sessions are closed at
 *     max(last, now) in the order of their end rounded up to a second, whole seconds at a time,
 *     until at most sessions_max - 1 - sessions_max / 16 are open; each but a bot's counts as
 * evicted there.
 *     After each event and tick: an abandoned cart waits while its end + recovery >= newest -
 *     out_of_orderness - allowed_lateness. When more than 2 * sessions_max wait, those are
 * forgotten that ended first, by their end rounded up to a second, whole seconds at a time, until
 * at most 2 * sessions_max less a sixteenth of it wait.
 *  9. A session that starts enters the sample of its hour (weir/overlap.h), unless it is one of its
 *     own of step 4.
 */
#ifndef WEIR_PARTITION_H
#define WEIR_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"
#include "weir/err.h"
#include "weir/event.h"
#include "weir/plan.h"

#define WEIR_STATE_VERSION 1

struct weir_partition;

/* NULL when memory is out. The plan is borrowed and must outlive the partition. */
struct weir_partition *weir_partition_new(const struct weir_plan *plan);
void weir_partition_free(struct weir_partition *partition);

/* What can be known of an event before its turn; asks the memory for the session's line. */
struct weir_key {
    uint64_t session; /* hash of the id; with `check` 96 bits name a session */
    uint64_t visitor; /* hash, 0 when absent */
    uint32_t check;
};
void weir_partition_prepare(const struct weir_partition *partition, const struct weir_event *event,
                            struct weir_key *key);

/* The step. Events must come in the order of their records; kafka_ms < 0 means none. Returns
 * WEIR_OK or why the event was not counted (also in the partition's totals). */
enum weir_reason weir_partition_apply(struct weir_partition *partition,
                                      const struct weir_event *event, const struct weir_key *key,
                                      int64_t kafka_ms);

/* A record was read: counted, and `offset + 1` is where to go on. `reason` is the record's. */
void weir_partition_record(struct weir_partition *partition, int64_t offset,
                           enum weir_reason reason);

/* Raises the watermark without an event (an idle partition) and closes what ends by it. Recorded
 * in the next export, in the place of the one before at this offset where that makes no difference.
 * Lower than the present watermark: nothing happens. */
void weir_partition_tick(struct weir_partition *partition, int64_t watermark_ms);

/* Closes every open session at its own end: the end of all input. */
void weir_partition_finish(struct weir_partition *partition);

/* True when so many buckets or sessions changed that a commit should not wait. */
bool weir_partition_is_full(const struct weir_partition *partition);

/* About the bytes that the changes of the next export take, but for the counters'. */
size_t weir_partition_pending(const struct weir_partition *partition);

struct weir_partition_status {
    int64_t offset;       /* the next one to read; -1 before any record */
    int64_t newest_ms;    /* highest event time, INT64_MIN before any event */
    int64_t watermark_ms; /* INT64_MIN before any event */
    uint64_t seq;         /* of the last commit */
    uint64_t records, events, late;
    uint64_t rejected[WEIR_REASONS]; /* by reason */
    uint64_t unknown_types, bots;
    uint32_t open_sessions;
    size_t memory_bytes; /* resident, about */
};
void weir_partition_status(const struct weir_partition *partition,
                           struct weir_partition_status *status);
void weir_partition_start_at(struct weir_partition *partition, int64_t offset);

/* Segments: 0 is the total; else dimension and value. */
static inline uint32_t weir_segment(uint32_t dimension, uint32_t value) {
    return ((dimension + 1) << 24) | value;
}
#define WEIR_VALUE_OTHER                                                                           \
    0 /* values of every dimension: beyond the limit, absent, then real ones                       \
       */
#define WEIR_VALUE_NONE 1
#define WEIR_VALUE_FIRST 2

/* ---- moving the state (app/commit writes these, one script call a partition) ---- */

/* A key below the partition's tag, e.g. "b:0:158000000", and its whole new value. */
struct weir_change {
    char key[40];
    size_t at, len; /* in weir_changes.bytes; len 0 with `remove` */
    bool remove;
    int touched_level; /* a bucket that the evaluator must read again, else -1 */
};
struct weir_changes {
    struct weir_change *items; /* owned by the partition, valid until the next export */
    size_t len;
    const char *bytes;
    size_t bytes_len;
    uint64_t prev_seq, seq;
    int64_t offset, watermark_ms;
    const char *meta; /* the scalars, packed; stored in the meta key */
    size_t meta_len;
    const char *ticks; /* "offset:watermark" lines since the last commit, for the record; one with
                          "=" before it replaces the last on record, if that has its offset */
    size_t ticks_len;
};

/* Everything that changed since the last export. 0 items and seq == prev_seq when nothing did.
 * Calling it again without weir_partition_committed gives the same changes (a retry). */
int weir_partition_export(struct weir_partition *partition, struct weir_changes *changes,
                          struct weir_err *err);
/* The changes of the last export are in Redis. */
void weir_partition_committed(struct weir_partition *partition);

/* The figures in a stored meta value. 0, or -1 when it is damaged or of another version. */
int weir_partition_read_meta(const void *meta, size_t len, struct weir_partition_status *status);

/* Import into a fresh partition, in this order: the meta value, then every dictionary ("v:"),
 * session chunk ("s:"), session delta ("d:", ascending), bucket ("b:") and the sample of sessions
 * ("k", see weir/overlap.h) that weir_partition_import_wants asks for; one that is not there is
 * left out. -WEIR_ERR_REFUSED on an unknown version or damage. */
int weir_partition_import_meta(struct weir_partition *partition, const void *meta, size_t len,
                               struct weir_err *err);
/* The keys to read, in order; NULL-terminated key texts owned by the partition. `buckets` are the
 * members of the touched set ("level:index"). */
int weir_partition_import_wants(struct weir_partition *partition, const char *const *buckets,
                                size_t buckets_len, char (**keys)[40], size_t *keys_len,
                                struct weir_err *err);
int weir_partition_import(struct weir_partition *partition, const char *key, const void *bytes,
                          size_t len, struct weir_err *err);
int weir_partition_import_done(struct weir_partition *partition, struct weir_err *err);

/* ---- totals over everything since the start (replay) ---- */

/* From now on every counter is also added up per segment, whatever its bucket. */
int weir_partition_keep_totals(struct weir_partition *partition);
/* A segment's counters (WEIR_COUNTERS of them), or NULL when it has none; exact as of now. */
const int64_t *weir_partition_total(struct weir_partition *partition, uint32_t segment);
/* The duration sketch of the settled total (WEIR_BINS), exact after weir_partition_total. */
const int64_t *weir_partition_durations(const struct weir_partition *partition);
/* The number of values of a dimension (with _other and _none), and their texts. */
uint32_t weir_partition_values(const struct weir_partition *partition, uint32_t dimension);
struct weir_str weir_partition_value(const struct weir_partition *partition, uint32_t dimension,
                                     uint32_t value);

#endif
