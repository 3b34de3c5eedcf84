#include "core/step.h"

#include <string.h>
#include <xxhash.h>

#define ENGAGED_MS 10000 /* GA4: a session of 10 seconds or more is engaged */
#define TIME_MASK ((1ULL << 48) - 1)
#define EVENTS_MAX 65535
#define COUNTS_MAX (16 + WEIR_CUSTOM_COUNTERS_MAX)

/* What one event, or one end of a session, adds to each of its segments. */
struct counts {
    uint32_t len;
    struct {
        uint32_t counter;
        int64_t amount;
    } adds[COUNTS_MAX];
};

static void count(struct counts *counts, uint32_t counter, int64_t amount) {
    if (amount == 0)
        return;
    WEIR_ASSERT(counts->len < COUNTS_MAX);
    counts->adds[counts->len].counter = counter;
    counts->adds[counts->len++].amount = amount;
}

/* In the total and, unless values is NULL, in the segment of each dimension's value. */
static struct weir_cells *book(struct weir_partition *p, const struct counts *counts,
                               const uint16_t *values, int64_t time_ms) {
    struct weir_cells *cells = weir_window_delta(&p->window, time_ms);
    uint32_t dense = 0;
    for (uint32_t d = 0;; d++) {
        int64_t *cell = weir_cells_at(cells, dense);
        for (uint32_t i = 0; i < counts->len; i++)
            cell[counts->adds[i].counter] += counts->adds[i].amount;
        if (!values || d == p->plan->dimensions_len)
            break;
        dense = weir_window_dense(&p->window, d, values[d]);
    }
    return cells;
}

static void intern_values(struct weir_partition *p, const struct weir_event *event,
                          uint16_t *values) {
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        values[d] = (uint16_t)weir_values_intern(&p->values[d], event->dimensions[d]);
}

/* Without a commit for long (a replay has none) the list fills with slots that are there twice or
 * are free again. */
static void compact_dirty(struct weir_partition *p) {
    size_t kept = 0;
    for (size_t i = 0; i < p->dirty_len; i++) {
        struct weir_session *session = weir_sessions_at(p->sessions, p->dirty[i]);
        if (!(session->flags & WEIR_DIRTY))
            continue;
        session->flags &= ~(unsigned)WEIR_DIRTY & 0xffff; /* so that its second place is dropped */
        p->dirty[kept++] = p->dirty[i];
    }
    for (size_t i = 0; i < kept; i++)
        weir_sessions_at(p->sessions, p->dirty[i])->flags |= WEIR_DIRTY;
    p->dirty_len = kept;
}

static void make_dirty_room(struct weir_partition *p) {
    compact_dirty(p);
    if (p->dirty_len >= p->dirty_cap / 2)
        p->dirty = weir_partition_grow(p->dirty, &p->dirty_cap, sizeof *p->dirty);
}

void weir_partition_mark(struct weir_partition *p, struct weir_session *session) {
    if (session->flags & WEIR_DIRTY)
        return;
    if (p->dirty_len == p->dirty_cap)
        make_dirty_room(p);
    session->flags |= WEIR_DIRTY;
    p->dirty[p->dirty_len++] = weir_sessions_slot(p->sessions, session);
}

/* ---- the end of a session ---- */

static void settle(struct weir_partition *p, const struct weir_session *session, int64_t end_ms,
                   bool evicted) {
    if (session->flags & WEIR_BOT)
        return;
    struct counts counts;
    counts.len = 0;
    int64_t duration_ms = (int64_t)(session->last_ms - session->start_ms);
    bool converted = session->flags & WEIR_CONVERTED;
    bool abandoned = (session->flags & WEIR_CART) && !converted;
    int64_t orders = 0, micros = 0;
    for (uint32_t number = session->orders; number;) {
        const struct weir_order *order = weir_sessions_order_at(p->sessions, number);
        orders += order->orders;
        micros += order->micros;
        number = order->next;
    }
    count(&counts, WEIR_C_S_SESSIONS, 1);
    count(&counts, WEIR_C_S_BOUNCED, !(session->flags & WEIR_ENGAGED));
    count(&counts, WEIR_C_S_CONVERTED, converted);
    count(&counts, WEIR_C_S_CARTS, !!(session->flags & WEIR_CART));
    count(&counts, WEIR_C_S_ABANDONED, abandoned);
    count(&counts, WEIR_C_S_DURATION_MS, duration_ms);
    count(&counts, WEIR_C_S_ORDERS, orders);
    count(&counts, WEIR_C_S_REVENUE, micros);
    count(&counts, WEIR_C_EVICTED, evicted);
    struct weir_cells *cells = book(p, &counts, session->values, end_ms);
    weir_cells_add_bin(cells, weir_sketch_bin(duration_ms));
    if (abandoned && session->visitor && p->plan->recovery_ms > 0)
        weir_visitors_abandoned(&p->visitors, session->visitor, end_ms, weir_partition_floor_ms(p));
}

static void take_out(struct weir_partition *p, struct weir_session *session) {
    if (session->flags & WEIR_PERSISTED) {
        if (p->removed_len == p->removed_cap)
            p->removed = weir_partition_grow(p->removed, &p->removed_cap, sizeof *p->removed);
        p->removed[p->removed_len++] = (struct weir_removed){session->key, session->check};
    }
    weir_sessions_remove(p->sessions, session);
}

void weir_step_close(struct weir_partition *p, struct weir_session *session, int64_t end_ms) {
    settle(p, session, end_ms, false);
    take_out(p, session);
}

static void evict_one(void *context, struct weir_session *session) {
    struct weir_partition *p = context;
    int64_t now_ms = p->now_second * 1000, last_ms = (int64_t)session->last_ms;
    settle(p, session, last_ms > now_ms ? last_ms : now_ms, true);
    take_out(p, session);
}

/* ---- an event in its session ---- */

static void open_session(struct weir_partition *p, struct weir_session *session,
                         const struct weir_event *event, const struct weir_key *key) {
    session->start_ms = session->last_ms = (uint64_t)event->time_ms & TIME_MASK;
    session->visitor = key->visitor;
    session->flags |= WEIR_WHOLE;
    intern_values(p, event, session->values);
}

/* Moves the session's times; gives by how many ms it grew. */
static int64_t extend(struct weir_session *session, int64_t time_ms) {
    uint64_t time = (uint64_t)time_ms & TIME_MASK;
    int64_t grown = 0;
    if (time < session->start_ms) {
        grown = (int64_t)(session->start_ms - time);
        session->start_ms = time & TIME_MASK;
        session->flags |= WEIR_WHOLE;
    } else if (time > session->last_ms) {
        grown = (int64_t)(time - session->last_ms);
        session->last_ms = time & TIME_MASK;
    }
    if (session->events < EVENTS_MAX)
        session->events++;
    return grown;
}

static bool engages(const struct weir_partition *p, const struct weir_session *session, int type,
                    bool second_page) {
    switch (p->plan->bounce) {
    case WEIR_BOUNCE_SINGLE_EVENT:
        return session->events >= 2;
    case WEIR_BOUNCE_SINGLE_PAGE:
        return second_page;
    case WEIR_BOUNCE_GA4:
        break;
    }
    return second_page || type == WEIR_ADD_TO_CART || type == WEIR_REMOVE_FROM_CART ||
           type == WEIR_BEGIN_CHECKOUT || type == WEIR_PURCHASE ||
           session->last_ms - session->start_ms >= ENGAGED_MS;
}

static void set_once(struct weir_session *session, unsigned flag, struct counts *counts,
                     uint32_t counter) {
    if (session->flags & flag)
        return;
    session->flags |= flag & 0xffff;
    count(counts, counter, 1);
}

static uint32_t pieces(const struct weir_event *event) {
    int64_t whole = event->quantity_micros / WEIR_MICROS;
    return whole < 1 ? 1 : (uint32_t)whole;
}

static void add_to_cart(struct weir_session *session, const struct weir_event *event,
                        struct counts *counts) {
    uint32_t more = pieces(event);
    session->cart = session->cart > UINT32_MAX - more ? UINT32_MAX : session->cart + more;
    session->flags |= WEIR_WHOLE;
    if (session->flags & WEIR_CART)
        return;
    session->flags |= WEIR_CART;
    count(counts, WEIR_C_CARTS_CREATED, 1);
    if (session->flags & WEIR_CONVERTED)
        count(counts, WEIR_C_CARTS_BOUGHT, 1);
}

static void remove_from_cart(const struct weir_partition *p, struct weir_session *session,
                             const struct weir_event *event, struct counts *counts) {
    uint32_t fewer = pieces(event);
    session->cart = session->cart > fewer ? session->cart - fewer : 0;
    session->flags |= WEIR_WHOLE;
    bool empties = session->cart == 0 && (session->flags & WEIR_CART) &&
                   !(session->flags & WEIR_CONVERTED) && p->plan->cart == WEIR_CART_NON_EMPTY;
    if (!empties)
        return;
    session->flags &= ~(unsigned)WEIR_CART & 0xffff;
    count(counts, WEIR_C_CARTS_EMPTIED, 1);
}

static void purchase(struct weir_partition *p, struct weir_session *session,
                     const struct weir_event *event, struct counts *counts) {
    uint64_t hash = 0;
    if (event->order_id.len > 0)
        hash = XXH3_64bits(event->order_id.data, event->order_id.len) | 1;
    struct weir_order *order = weir_sessions_order(p->sessions, session, hash);
    if (order && hash)
        return; /* the same order again */
    if (hash && weir_sessions_order_ids(p->sessions) >= p->plan->sessions_max) {
        hash = 0; /* no room to know it by */
        order = weir_sessions_order(p->sessions, session, hash);
    }
    if (!order)
        order = weir_sessions_add_order(p->sessions, session, hash);
    order->orders++;
    order->micros += event->value_micros;
    session->flags |= WEIR_WHOLE;
    count(counts, WEIR_C_ORDERS, 1);
    count(counts, WEIR_C_REVENUE, event->value_micros);
    if (session->visitor && p->plan->recovery_ms > 0 &&
        weir_visitors_recover(&p->visitors, session->visitor, event->time_ms))
        count(counts, WEIR_C_S_RECOVERED, 1);
    if (session->flags & WEIR_CONVERTED)
        return;
    session->flags |= WEIR_CONVERTED;
    count(counts, WEIR_C_CONVERTED, 1);
    if (session->flags & WEIR_CART)
        count(counts, WEIR_C_CARTS_BOUGHT, 1);
}

static void count_type(struct weir_partition *p, const struct weir_event *event,
                       struct counts *counts) {
    static const int8_t by_type[WEIR_UNKNOWN_TYPE + 1] = {
        [WEIR_PAGE_VIEW] = WEIR_C_PAGE_VIEWS,    [WEIR_INTERACTION] = WEIR_C_INTERACTIONS,
        [WEIR_ADD_TO_CART] = WEIR_C_ADD_TO_CART, [WEIR_REMOVE_FROM_CART] = WEIR_C_REMOVE_FROM_CART,
        [WEIR_REFUND] = WEIR_C_REFUNDS,          [WEIR_UNKNOWN_TYPE] = WEIR_C_UNKNOWN,
    };
    count(counts, WEIR_C_EVENTS, 1);
    if (event->type <= WEIR_UNKNOWN_TYPE && by_type[event->type])
        count(counts, (uint32_t)by_type[event->type], 1);
    if (event->type == WEIR_REFUND)
        count(counts, WEIR_C_REFUNDED, event->value_micros);
    if (event->type == WEIR_UNKNOWN_TYPE)
        p->unknown_types++;
    for (uint32_t i = 0; i < p->plan->custom_counters_len; i++) {
        const struct weir_custom_counter *custom = &p->plan->custom_counters[i];
        if (custom->type != event->type)
            continue;
        int64_t amount = 1;
        if (custom->what == WEIR_SUM_VALUE)
            amount = event->value_micros;
        else if (custom->what == WEIR_SUM_QUANTITY)
            amount = event->quantity_micros;
        count(counts, WEIR_C_CUSTOM + i, amount);
    }
}

static void act(struct weir_partition *p, struct weir_session *session,
                const struct weir_event *event, struct counts *counts) {
    bool second_page = false;
    switch (event->type) {
    case WEIR_PAGE_VIEW:
        second_page = session->flags & WEIR_PAGED;
        session->flags |= WEIR_PAGED;
        break;
    case WEIR_ADD_TO_CART:
        add_to_cart(session, event, counts);
        break;
    case WEIR_REMOVE_FROM_CART:
        remove_from_cart(p, session, event, counts);
        break;
    case WEIR_BEGIN_CHECKOUT:
        set_once(session, WEIR_CHECKOUT, counts, WEIR_C_CHECKOUTS);
        break;
    case WEIR_PURCHASE:
        purchase(p, session, event, counts);
        break;
    default:
        break;
    }
    if (engages(p, session, event->type, second_page))
        set_once(session, WEIR_ENGAGED, counts, WEIR_C_ENGAGED);
}

static void count_bot(struct weir_partition *p, int64_t time_ms, bool new_bot) {
    struct counts counts;
    counts.len = 0;
    count(&counts, WEIR_C_BOT_EVENTS, 1);
    count(&counts, WEIR_C_BOT_SESSIONS, new_bot);
    book(p, &counts, NULL, time_ms);
    p->bot_events++;
}

static void count_event(struct weir_partition *p, const struct weir_event *event, uint64_t visitor,
                        struct counts *counts, const uint16_t *values) {
    count_type(p, event, counts);
    struct weir_cells *cells = book(p, counts, values, event->time_ms);
    if (visitor)
        weir_cells_add_visitor(cells, visitor);
}

/* Everything that an event does in the session it belongs to. */
static void take_part(struct weir_partition *p, struct weir_session *session,
                      const struct weir_event *event, const struct weir_key *key, bool starts) {
    int64_t grown = extend(session, event->time_ms);
    bool was_bot = session->flags & WEIR_BOT;
    if (was_bot || session->events > p->plan->bot_events_max) {
        session->flags |= WEIR_BOT;
        count_bot(p, event->time_ms, !was_bot);
        return;
    }
    struct counts counts;
    counts.len = 0;
    count(&counts, WEIR_C_SESSIONS, starts);
    count(&counts, WEIR_C_SESSION_MS, grown);
    act(p, session, event, &counts);
    count_event(p, event, key->visitor, &counts, session->values);
}

/* ---- which session ---- */

static bool may_start(const struct weir_event *event) {
    return event->type != WEIR_SESSION_END && event->type < WEIR_CUSTOM_TYPE_FIRST;
}

static void without_session(struct weir_partition *p, const struct weir_event *event,
                            const struct weir_key *key) {
    struct counts counts;
    uint16_t values[WEIR_DIMENSIONS_MAX] = {0};
    counts.len = 0;
    intern_values(p, event, values);
    count_event(p, event, key->visitor, &counts, values);
}

/* An event from before the open session of its id: a session that begins and ends with it. */
static void on_its_own(struct weir_partition *p, const struct weir_event *event,
                       const struct weir_key *key) {
    struct weir_session alone = {.key = key->session, .check = key->check};
    open_session(p, &alone, event, key);
    take_part(p, &alone, event, key, true);
    settle(p, &alone, weir_session_end_ms(p->sessions, &alone), false);
    weir_sessions_drop_orders(p->sessions, &alone);
}

static struct weir_session *start(struct weir_partition *p, const struct weir_event *event,
                                  const struct weir_key *key) {
    uint32_t max = weir_sessions_max(p->sessions);
    if (weir_sessions_len(p->sessions) >= max)
        weir_sessions_evict(p->sessions, max - 1 - max / 16, evict_one, p);
    struct weir_session *session = weir_sessions_add(p->sessions, key->session, key->check);
    open_session(p, session, event, key);
    weir_overlap_add(&p->overlap, key->session, event->time_ms);
    weir_sessions_file(p->sessions, session);
    return session;
}

void weir_step_event(struct weir_partition *p, const struct weir_event *event,
                     const struct weir_key *key) {
    if (p->plan->bot_user_agents && weir_bots_is(p->bots, event->user_agent)) {
        count_bot(p, event->time_ms, false);
        return;
    }
    bool has_id = event->session.len > 0 || event->visitor.len > 0;
    struct weir_session *session =
        has_id ? weir_sessions_find(p->sessions, key->session, key->check) : NULL;
    if (session) {
        int64_t start_ms = (int64_t)session->start_ms, last_ms = (int64_t)session->last_ms;
        if (event->time_ms < start_ms - p->plan->gap_ms ||
            event->time_ms <= last_ms - p->plan->cap_ms) {
            if (may_start(event))
                on_its_own(p, event, key);
            else
                without_session(p, event, key);
            return;
        }
        int64_t end_ms = weir_session_end_ms(p->sessions, session);
        if (event->time_ms >= end_ms) {
            weir_step_close(p, session, end_ms);
            session = NULL;
        }
    }
    bool starts = !session && has_id && may_start(event);
    if (starts)
        session = start(p, event, key);
    if (!session) {
        without_session(p, event, key);
        return;
    }
    take_part(p, session, event, key, starts);
    weir_partition_mark(p, session);
    int64_t last_ms = (int64_t)session->last_ms;
    if (event->type == WEIR_SESSION_END)
        weir_step_close(p, session, event->time_ms > last_ms ? event->time_ms : last_ms);
}
