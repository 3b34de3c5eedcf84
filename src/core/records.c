#include "core/records.h"

#include <string.h>

#define TIME_MASK ((1ULL << 48) - 1)
#define ORDERS_MAX (1U << 20)

#define NAME_LEN 13     /* kind, key, check */
#define PROGRESS_MAX 16 /* the largest back_ms, events and flags */
#define WHOLE_MAX WEIR_RECORD_WHOLE_BYTES

/* Room is asked for once a record: a commit has a hundred thousand of them. NULL: the buffer has
 * failed. */
static uint8_t *begin(struct weir_buf *out, size_t max) {
    return weir_buf_reserve(out, max) == 0 ? (uint8_t *)out->data + out->len : NULL;
}

static void end(struct weir_buf *out, const uint8_t *at) {
    out->len = (size_t)(at - (const uint8_t *)out->data);
}

static inline uint8_t *put(uint8_t *at, const void *bytes, size_t len) {
    memcpy(at, bytes, len);
    return at + len;
}

static inline uint8_t *put_name(uint8_t *at, enum weir_record_kind kind, uint64_t key,
                                uint32_t check) {
    *at++ = (uint8_t)kind;
    at = put(at, &key, sizeof key);
    return put(at, &check, sizeof check);
}

static inline uint8_t *put_progress(uint8_t *at, const struct weir_session *session,
                                    int64_t base_ms) {
    at = weir_put_zigzag(at, base_ms - (int64_t)session->last_ms);
    at = weir_put_varint(at, session->events);
    return weir_put_varint(at, session->flags & WEIR_SESSION_STATE_FLAGS);
}

void weir_record_whole(const struct weir_partition *p, struct weir_buf *out,
                       const struct weir_session *session, int64_t base_ms) {
    uint8_t *at = begin(out, WHOLE_MAX);
    if (!at)
        return;
    at = put_name(at, WEIR_RECORD_WHOLE, session->key, session->check);
    at = put_progress(at, session, base_ms);
    at = weir_put_varint(at, session->last_ms - session->start_ms);
    at = put(at, &session->visitor, sizeof session->visitor);
    at = weir_put_varint(at, session->cart);
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        at = weir_put_varint(at, session->values[d]);
    end(out, at);
    for (uint32_t number = session->orders; number;) {
        const struct weir_order *order = weir_sessions_order_at(p->sessions, number);
        weir_buf_varint(out, order->orders);
        weir_buf_append(out, &order->hash, sizeof order->hash);
        weir_buf_zigzag(out, order->micros);
        number = order->next;
    }
    weir_buf_byte(out, 0);
}

void weir_record_update(struct weir_buf *out, const struct weir_session *session, int64_t base_ms) {
    uint8_t *at = begin(out, NAME_LEN + PROGRESS_MAX);
    if (!at)
        return;
    at = put_name(at, WEIR_RECORD_UPDATE, session->key, session->check);
    end(out, put_progress(at, session, base_ms));
}

void weir_record_removed(struct weir_buf *out, const struct weir_removed *removed) {
    uint8_t *at = begin(out, NAME_LEN);
    if (at)
        end(out, put_name(at, WEIR_RECORD_REMOVED, removed->key, removed->check));
}

void weir_record_visitor(const struct weir_partition *p, struct weir_buf *out, uint64_t visitor,
                         int64_t base_ms) {
    const struct weir_abandoned *entry = weir_visitors_find(&p->visitors, visitor);
    weir_buf_byte(out, entry ? WEIR_RECORD_ABANDONED : WEIR_RECORD_RECOVERED);
    weir_buf_append(out, &visitor, sizeof visitor);
    if (entry)
        weir_buf_zigzag(out, base_ms - entry->end_ms);
}

/* ---- reading ---- */

static void get(struct weir_reader *in, void *to, size_t len) {
    const void *from = weir_reader_bytes(in, len);
    if (from)
        memcpy(to, from, len);
    else
        memset(to, 0, len);
}

static void get_progress(struct weir_reader *in, struct weir_session *session, int64_t base_ms) {
    int64_t back_ms = weir_reader_zigzag(in);
    if (__builtin_sub_overflow(base_ms, back_ms, &back_ms) || back_ms < 0)
        in->failed = true;
    session->last_ms = (uint64_t)back_ms & TIME_MASK;
    session->events = weir_reader_varint(in) & 0xffff;
    unsigned state = (unsigned)weir_reader_varint(in) & WEIR_SESSION_STATE_FLAGS;
    unsigned kept = session->flags & ~(unsigned)WEIR_SESSION_STATE_FLAGS;
    session->flags = (kept | state) & 0xffff;
}

static int get_orders(struct weir_partition *p, struct weir_reader *in,
                      struct weir_session *session, bool keep) {
    uint64_t orders;
    for (uint32_t i = 0; (orders = weir_reader_varint(in)) != 0; i++) {
        uint64_t hash;
        get(in, &hash, sizeof hash);
        int64_t micros = weir_reader_zigzag(in);
        if (in->failed || i > ORDERS_MAX || orders > UINT32_MAX)
            return -1;
        if (!keep)
            continue;
        struct weir_order *order = weir_sessions_add_order(p->sessions, session, hash);
        order->orders = (uint32_t)orders;
        order->micros = micros;
    }
    return in->failed ? -1 : 0;
}

static int read_whole(struct weir_partition *p, struct weir_reader *in, uint64_t key,
                      uint32_t check, int64_t base_ms, bool keep) {
    struct weir_session whole = {.key = key, .check = check};
    get_progress(in, &whole, base_ms);
    uint64_t span_ms = weir_reader_varint(in);
    get(in, &whole.visitor, sizeof whole.visitor);
    whole.cart = (uint32_t)weir_reader_varint(in);
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++) {
        uint64_t value = weir_reader_varint(in);
        if (value >= WEIR_VALUE_FIRST + p->values[d].len)
            return -1;
        whole.values[d] = (uint16_t)value;
    }
    if (in->failed || span_ms > whole.last_ms)
        return -1;
    whole.start_ms = (whole.last_ms - span_ms) & TIME_MASK;
    struct weir_session *session = NULL;
    if (keep) {
        session = p->deferred ? NULL : weir_sessions_find(p->sessions, key, check);
        if (session)
            weir_sessions_drop_orders(p->sessions, session);
        else
            session = weir_sessions_add(p->sessions, key, check);
        whole.flags |= WEIR_OPEN | WEIR_PERSISTED;
        *session = whole;
    }
    return get_orders(p, in, session, keep);
}

static int read_session(struct weir_partition *p, struct weir_reader *in, int kind, int64_t base_ms,
                        uint64_t seq) {
    uint64_t key;
    uint32_t check;
    get(in, &key, sizeof key);
    get(in, &check, sizeof check);
    if (in->failed)
        return -1;
    bool keep = seq > p->chunk_seq[weir_record_chunk(key)];
    if (kind == WEIR_RECORD_WHOLE)
        return read_whole(p, in, key, check, base_ms, keep);
    if (p->deferred)
        return -1; /* in a chunk every session is whole */
    struct weir_session *session = keep ? weir_sessions_find(p->sessions, key, check) : NULL;
    if (kind == WEIR_RECORD_UPDATE) {
        struct weir_session skipped = {0};
        get_progress(in, session ? session : &skipped, base_ms);
    } else if (session) {
        weir_sessions_remove(p->sessions, session);
    }
    return in->failed || (keep && !session) ? -1 : 0;
}

int weir_record_read(struct weir_partition *p, struct weir_reader *in, int64_t base_ms,
                     uint64_t seq) {
    int kind = weir_reader_byte(in);
    if (kind >= WEIR_RECORD_WHOLE && kind <= WEIR_RECORD_REMOVED)
        return read_session(p, in, kind, base_ms, seq);
    if (kind != WEIR_RECORD_ABANDONED && kind != WEIR_RECORD_RECOVERED)
        return -1;
    uint64_t visitor;
    get(in, &visitor, sizeof visitor);
    int64_t end_ms = INT64_MIN;
    if (kind == WEIR_RECORD_ABANDONED &&
        __builtin_sub_overflow(base_ms, weir_reader_zigzag(in), &end_ms))
        return -1;
    if (in->failed || visitor == 0)
        return -1;
    if (seq > p->chunk_seq[weir_record_chunk(visitor)])
        weir_visitors_restore(&p->visitors, visitor, end_ms);
    return 0;
}
