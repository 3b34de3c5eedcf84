/* What incidents change, and the book-keeping of what would have been without them. */
#include "core/traffic_internal.h"

#include "core/traffic_random.h"

#define RAMP_WITHOUT_END_MS 1800000

double weir_traffic_strength(const struct weir_traffic_incident *incident, int64_t time_ms) {
    if (time_ms < incident->start_ms || time_ms >= incident->end_ms)
        return 0.0;
    bool endless = incident->end_ms == INT64_MAX;
    double since = (double)(time_ms - incident->start_ms);
    double span = endless ? RAMP_WITHOUT_END_MS : (double)(incident->end_ms - incident->start_ms);
    switch (incident->shape) {
    case WEIR_TRAFFIC_RAMP:
        return since < span ? since / span : 1.0;
    case WEIR_TRAFFIC_DIP:
        return since * 2 < span ? since * 2 / span : 2.0 - since * 2 / span;
    case WEIR_TRAFFIC_STEP:
    case WEIR_TRAFFIC_SHAPES:
        break;
    }
    return 1.0;
}

static bool in_segment(const struct weir_traffic_incident *incident,
                       const struct weir_traffic_session *session) {
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++)
        if (incident->segment[i] >= 0 && incident->segment[i] != session->segment[i])
            return false;
    return true;
}

/* 1 where the incident does not apply. */
static double change_of(const struct weir_traffic_incident *incident,
                        const struct weir_traffic_session *session, enum weir_traffic_metric metric,
                        int64_t time_ms) {
    if (incident->metric != metric || !in_segment(incident, session))
        return 1.0;
    return 1.0 + incident->change * weir_traffic_strength(incident, time_ms);
}

/* The product of all changes but one. */
static double changes_but(const struct weir_traffic *traffic,
                          const struct weir_traffic_session *session,
                          enum weir_traffic_metric metric, int64_t time_ms, size_t but) {
    double product = 1.0;
    for (size_t i = 0; i < traffic->options.incidents_len; i++)
        if (i != but)
            product *= change_of(&traffic->incidents[i], session, metric, time_ms);
    return product;
}

static double at_most_one(double probability) {
    return probability < 1.0 ? probability : 1.0;
}

static bool is_counted(const struct weir_traffic *traffic, int64_t time_ms) {
    return time_ms >= traffic->options.start_ms && time_ms < traffic->end_ms;
}

static bool touches(const struct weir_traffic *traffic, size_t incident,
                    const struct weir_traffic_session *session, int64_t time_ms) {
    const struct weir_traffic_incident *i = &traffic->incidents[incident];
    return time_ms >= i->start_ms && time_ms < i->end_ms && in_segment(i, session);
}

bool weir_traffic_draw(struct weir_traffic *traffic, struct weir_traffic_session *session,
                       enum weir_traffic_metric metric, double probability, int64_t time_ms) {
    double unit = weir_traffic_random(&session->random);
    if (traffic->incidents_of[metric] == 0 || (session->flags & WEIR_FLAG_BOT))
        return unit < probability;
    size_t none = traffic->options.incidents_len;
    double all = changes_but(traffic, session, metric, time_ms, none);
    bool holds = unit < at_most_one(probability * all);
    if (!is_counted(traffic, time_ms))
        return holds;
    for (size_t i = 0; i < none; i++) {
        if (traffic->incidents[i].metric != metric || !touches(traffic, i, session, time_ms))
            continue;
        double without =
            at_most_one(probability * changes_but(traffic, session, metric, time_ms, i));
        struct weir_traffic_effect *effect = &traffic->effects[i];
        effect->draws++;
        effect->expected += without;
        effect->without += unit < without ? 1.0 : 0.0;
        effect->actual += holds ? 1.0 : 0.0;
    }
    return holds;
}

static uint32_t changed_cents(uint32_t cents, double change) {
    double changed = (double)cents * change + 0.5;
    return changed < 1e9 ? (uint32_t)changed : 1000000000u; /* 10 million EUR: WEIR_VALUE_MAX */
}

uint32_t weir_traffic_change_value(struct weir_traffic *traffic,
                                   const struct weir_traffic_session *session, uint32_t cents,
                                   int64_t time_ms) {
    if (traffic->incidents_of[WEIR_TRAFFIC_VALUE] == 0)
        return cents;
    size_t none = traffic->options.incidents_len;
    uint32_t changed =
        changed_cents(cents, changes_but(traffic, session, WEIR_TRAFFIC_VALUE, time_ms, none));
    if (!is_counted(traffic, time_ms))
        return changed;
    for (size_t i = 0; i < none; i++) {
        if (traffic->incidents[i].metric != WEIR_TRAFFIC_VALUE ||
            !touches(traffic, i, session, time_ms))
            continue;
        uint32_t without =
            changed_cents(cents, changes_but(traffic, session, WEIR_TRAFFIC_VALUE, time_ms, i));
        struct weir_traffic_effect *effect = &traffic->effects[i];
        effect->draws++;
        effect->expected += without;
        effect->without += without;
        effect->actual += changed;
    }
    return changed;
}

void weir_traffic_count_start(struct weir_traffic *traffic,
                              const struct weir_traffic_session *session, int64_t time_ms) {
    struct weir_traffic_totals *totals = &traffic->totals;
    if (session->flags & WEIR_FLAG_BOT) {
        totals->bot_sessions++;
        return;
    }
    totals->counts.sessions++;
    for (size_t i = 0; i < traffic->options.incidents_len; i++)
        if (touches(traffic, i, session, time_ms))
            traffic->effects[i].seen.sessions++;
}

static void count(struct weir_traffic_counts *counts, const struct weir_traffic_session *session) {
    switch ((enum weir_traffic_step)session->step) {
    case WEIR_STEP_LANDING:
        counts->bounced += session->flags & WEIR_FLAG_BOUNCE ? 1 : 0;
        counts->page_views++;
        break;
    case WEIR_STEP_PAGE:
    case WEIR_STEP_THANKS:
        counts->page_views++;
        break;
    case WEIR_STEP_ADD:
        counts->carts += session->flags & WEIR_FLAG_CART_NEW ? 1 : 0;
        break;
    case WEIR_STEP_CHECKOUT:
        counts->checkouts++;
        break;
    case WEIR_STEP_PURCHASE:
        counts->purchases++;
        counts->converted += session->orders == 1 ? 1 : 0;
        counts->revenue_cents += session->value_cents;
        break;
    case WEIR_STEP_REFUND:
        counts->refunds++;
        break;
    case WEIR_STEP_START:
    case WEIR_STEP_INTERACTION:
    case WEIR_STEP_REMOVE:
    case WEIR_STEP_END:
    case WEIR_STEP_GONE:
        break;
    }
}

void weir_traffic_count_event(struct weir_traffic *traffic,
                              const struct weir_traffic_session *session, int64_t time_ms) {
    struct weir_traffic_totals *totals = &traffic->totals;
    totals->events++;
    totals->types[weir_traffic_step_type(session)]++;
    totals->last_ms = time_ms;
    if (session->flags & WEIR_FLAG_BOT) {
        totals->bot_events++;
        return;
    }
    count(&totals->counts, session);
    for (size_t i = 0; i < traffic->options.incidents_len; i++)
        if (touches(traffic, i, session, time_ms))
            count(&traffic->effects[i].seen, session);
}
