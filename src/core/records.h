/*
 * records: how sessions and abandoned carts are written in chunks ("s:") and deltas ("d:").
 *
 * A record begins with its kind. Times are relative to a base that heads the value, so they are
 * short. Private to core; pure.
 */
#ifndef WEIR_CORE_RECORDS_H
#define WEIR_CORE_RECORDS_H

#include "core/partition_state.h"

/* The most that a record takes, but for the orders in a whole session's: what a commit will be. */
#define WEIR_RECORD_WHOLE_BYTES (13 + 16 + 10 + 8 + 5 + 3 * WEIR_DIMENSIONS_MAX)
#define WEIR_RECORD_REMOVED_BYTES 13
#define WEIR_RECORD_VISITOR_BYTES 19

enum weir_record_kind {
    WEIR_RECORD_WHOLE = 1, /* a session, all of it */
    WEIR_RECORD_UPDATE,    /* an open session's last, events and flags */
    WEIR_RECORD_REMOVED,   /* a session that ended */
    WEIR_RECORD_ABANDONED, /* a visitor's abandoned cart */
    WEIR_RECORD_RECOVERED, /* it is gone */
};

void weir_record_whole(const struct weir_partition *partition, struct weir_buf *out,
                       const struct weir_session *session, int64_t base_ms);
void weir_record_update(struct weir_buf *out, const struct weir_session *session, int64_t base_ms);
void weir_record_removed(struct weir_buf *out, const struct weir_removed *removed);
void weir_record_visitor(const struct weir_partition *partition, struct weir_buf *out,
                         uint64_t visitor, int64_t base_ms);

/* The chunk of a session's key or a visitor's hash. */
static inline uint32_t weir_record_chunk(uint64_t hash) {
    return (uint32_t)(hash >> (64 - WEIR_CHUNK_BITS));
}

/* Reads one record and puts it into the partition, unless the chunk it belongs to was written at
 * or after `seq`. 0, or -1 when damaged. */
int weir_record_read(struct weir_partition *partition, struct weir_reader *in, int64_t base_ms,
                     uint64_t seq);

#endif
