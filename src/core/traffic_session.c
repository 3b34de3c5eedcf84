/* How a session goes on. What comes next is drawn at the time at which it comes, so that an
 * incident takes hold of the events within it and of no others. */
#include "core/traffic_internal.h"

#include "core/traffic_random.h"

#define VISITOR_SALT 0x5bd1e9955bd1e995ULL
#define RETURN_SALT 0xc2b2ae3d27d4eb4fULL
#define RETURN_DEPTH_MAX 8

static double draw_unit(struct weir_traffic_session *session) {
    return weir_traffic_random(&session->random);
}

static int64_t draw_between_ms(struct weir_traffic_session *session, double low_s, double high_s) {
    return (int64_t)((low_s + (high_s - low_s) * draw_unit(session)) * 1000.0);
}

static int64_t think_ms(struct weir_traffic_session *session) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    double seconds = weir_traffic_lognormal(&session->random, p->think_median_s, p->think_sigma);
    return 1 + (int64_t)(seconds * 1000.0);
}

/* 0, 1, 2 ... with probability 1/2, 1/4, 1/8 ... up to 15. */
static uint16_t draw_few(struct weir_traffic_session *session) {
    return (uint16_t)__builtin_ctzll(weir_traffic_bits(&session->random) | 1u << 15);
}

static uint8_t pick(int dimension, double unit) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    size_t last = p->traits_len[dimension] - 1;
    for (size_t i = 0; i < last; i++) {
        unit -= p->traits[dimension][i].share;
        if (unit < 0)
            return (uint8_t)i;
    }
    return (uint8_t)last;
}

static uint8_t pick_agent(int device, uint64_t bits) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    uint8_t of_device[32] = {0};
    size_t len = 0;
    for (size_t i = 0; i < p->agents_len && len < sizeof of_device; i++)
        if (p->agents[i].device == device)
            of_device[len++] = (uint8_t)i;
    WEIR_ASSERT(len > 0);
    return of_device[bits % len];
}

/* Follows the chain of earlier visits to the first: its number is the visitor's. Numbers below 0
 * (as huge ones) are visitors from before the data. At least an hour lies between two visits. */
static uint64_t visitor_of(const struct weir_traffic *traffic, uint64_t number, bool *returning) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    *returning = false;
    for (int depth = 0; depth < RETURN_DEPTH_MAX; depth++) {
        uint64_t state = weir_traffic_mix(traffic->options.seed ^ RETURN_SALT) + number;
        if (weir_traffic_random(&state) >= p->returning)
            break;
        double unit = weir_traffic_random(&state);
        double gap = traffic->arrival_peak * 3600.0 * (1.0 + 71.0 * unit * unit);
        number -= 1 + (uint64_t)gap;
        *returning = true;
    }
    return number;
}

void weir_traffic_session_init(const struct weir_traffic *traffic,
                               struct weir_traffic_session *session, uint64_t number) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    uint64_t seed = weir_traffic_mix(traffic->options.seed + WEIR_TRAFFIC_GOLDEN);
    *session = (struct weir_traffic_session){
        .random = weir_traffic_mix(seed ^ weir_traffic_mix(number)), .number = number};
    bool bot = draw_unit(session) < p->bots, returning = false;
    session->visitor = visitor_of(traffic, number, &returning);

    uint64_t who = weir_traffic_mix(seed ^ VISITOR_SALT ^ weir_traffic_mix(session->visitor));
    session->segment[WEIR_TRAFFIC_DEVICE] =
        bot ? 1 : pick(WEIR_TRAFFIC_DEVICE, weir_traffic_random(&who));
    session->segment[WEIR_TRAFFIC_COUNTRY] = pick(WEIR_TRAFFIC_COUNTRY, weir_traffic_random(&who));
    session->agent =
        pick_agent(bot ? -1 : session->segment[WEIR_TRAFFIC_DEVICE], weir_traffic_bits(&who) >> 32);
    session->segment[WEIR_TRAFFIC_CHANNEL] = pick(WEIR_TRAFFIC_CHANNEL, draw_unit(session));
    session->segment[WEIR_TRAFFIC_CATEGORY] = pick(WEIR_TRAFFIC_CATEGORY, draw_unit(session));
    session->flags = (uint8_t)((bot ? WEIR_FLAG_BOT : 0) | (returning ? WEIR_FLAG_RETURNING : 0));
    bool starts = !bot && draw_unit(session) < p->session_start;
    session->step = starts ? WEIR_STEP_START : WEIR_STEP_LANDING;
    if (bot) {
        unsigned span = p->bot_pages_max - p->bot_pages_min + 1;
        session->pages_left =
            (uint16_t)(p->bot_pages_min + (unsigned)(draw_unit(session) * (double)span));
    } else {
        double pages = weir_traffic_lognormal(&session->random, p->pages_median, p->pages_sigma);
        session->pages_left = (uint16_t)(pages + 0.5);
        if (session->pages_left == 0)
            session->pages_left = 1;
    }
}

enum weir_event_type weir_traffic_step_type(const struct weir_traffic_session *session) {
    static const enum weir_event_type types[] = {
        [WEIR_STEP_START] = WEIR_SESSION_START,     [WEIR_STEP_LANDING] = WEIR_PAGE_VIEW,
        [WEIR_STEP_PAGE] = WEIR_PAGE_VIEW,          [WEIR_STEP_INTERACTION] = WEIR_INTERACTION,
        [WEIR_STEP_ADD] = WEIR_ADD_TO_CART,         [WEIR_STEP_REMOVE] = WEIR_REMOVE_FROM_CART,
        [WEIR_STEP_CHECKOUT] = WEIR_BEGIN_CHECKOUT, [WEIR_STEP_PURCHASE] = WEIR_PURCHASE,
        [WEIR_STEP_THANKS] = WEIR_PAGE_VIEW,        [WEIR_STEP_REFUND] = WEIR_REFUND,
        [WEIR_STEP_END] = WEIR_SESSION_END};
    WEIR_ASSERT(session->step < WEIR_STEP_GONE);
    return types[session->step];
}

static double factor(const struct weir_traffic_session *session, enum weir_traffic_metric metric) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    double product = 1.0;
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++) {
        const struct weir_traffic_trait *trait = &p->traits[i][session->segment[i]];
        if (metric == WEIR_TRAFFIC_BOUNCE)
            product *= trait->bounce;
        else if (metric == WEIR_TRAFFIC_CART)
            product *= trait->cart;
        else if (metric == WEIR_TRAFFIC_CHECKOUT)
            product *= trait->checkout;
        else
            product *= trait->purchase;
    }
    if (metric == WEIR_TRAFFIC_CART && (session->flags & WEIR_FLAG_RETURNING))
        product *= p->returning_factor;
    return product;
}

static void fire_add(struct weir_traffic_session *session) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    const struct weir_traffic_trait *category =
        &p->traits[WEIR_TRAFFIC_CATEGORY][session->segment[WEIR_TRAFFIC_CATEGORY]];
    double price =
        weir_traffic_lognormal(&session->random, category->price_median, category->price_sigma);
    uint64_t many = weir_traffic_bits(&session->random) >> 57; /* 0..127 */
    session->last_quantity = many < 110 ? 1 : many < 124 ? 2 : 3;
    session->last_cents = (1 + (uint32_t)(price * 100.0)) * session->last_quantity;
    session->cart_cents += session->last_cents;
    session->cart_quantity = (uint8_t)(session->cart_quantity + session->last_quantity);
    session->value_cents = session->last_cents;
    session->quantity = session->last_quantity;
}

void weir_traffic_session_fire(struct weir_traffic *traffic, struct weir_traffic_session *session,
                               int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    session->value_cents = session->cart_cents;
    session->quantity = session->cart_quantity;
    if (session->step == WEIR_STEP_LANDING && !(session->flags & WEIR_FLAG_BOT)) {
        if (weir_traffic_draw(traffic, session, WEIR_TRAFFIC_BOUNCE,
                              p->bounce * factor(session, WEIR_TRAFFIC_BOUNCE), time_ms))
            session->flags |= WEIR_FLAG_BOUNCE;
    }
    if (session->step == WEIR_STEP_LANDING || session->step == WEIR_STEP_PAGE) {
        bool product = draw_unit(session) < p->product_page;
        uint64_t bits = weir_traffic_bits(&session->random);
        session->product = product ? (uint32_t)(100000 + (bits >> 33) % 900000) : 0;
    } else if (session->step == WEIR_STEP_ADD) {
        fire_add(session);
    } else if (session->step == WEIR_STEP_REMOVE) {
        session->cart_cents -= session->last_cents;
        session->cart_quantity = (uint8_t)(session->cart_quantity - session->last_quantity);
        session->value_cents = session->last_cents;
        session->quantity = session->last_quantity;
    } else if (session->step == WEIR_STEP_PURCHASE) {
        session->value_cents =
            weir_traffic_change_value(traffic, session, session->cart_cents, time_ms);
        session->last_cents = session->value_cents; /* what a refund gives back */
        session->last_quantity = session->cart_quantity;
        session->cart_cents = 0;
        session->cart_quantity = 0;
        session->orders++;
    } else if (session->step == WEIR_STEP_REFUND) {
        session->value_cents = session->last_cents;
        session->quantity = session->last_quantity;
    }
}

static int64_t finish(struct weir_traffic_session *session, int64_t time_ms) {
    bool says_so = draw_unit(session) < weir_traffic_parameters()->session_end;
    session->step = says_so ? WEIR_STEP_END : WEIR_STEP_GONE;
    return time_ms + think_ms(session);
}

static bool may_add(struct weir_traffic *traffic, struct weir_traffic_session *session,
                    int64_t at_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    bool viewed = session->step == WEIR_STEP_PAGE || session->step == WEIR_STEP_LANDING;
    if (!viewed || session->product == 0 || session->cart_quantity > 200)
        return false;
    if (session->flags & WEIR_FLAG_HAD_CART)
        return draw_unit(session) < p->second_cart;
    return weir_traffic_draw(traffic, session, WEIR_TRAFFIC_CART,
                             p->cart * factor(session, WEIR_TRAFFIC_CART), at_ms);
}

static int64_t browse(struct weir_traffic *traffic, struct weir_traffic_session *session,
                      int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    int64_t at_ms = time_ms + think_ms(session);
    if (session->step == WEIR_STEP_ADD && draw_unit(session) < p->remove) {
        session->step = WEIR_STEP_REMOVE;
    } else if (may_add(traffic, session, at_ms)) {
        session->step = WEIR_STEP_ADD;
        bool first = !(session->flags & WEIR_FLAG_HAD_CART);
        session->flags |= first ? WEIR_FLAG_HAD_CART | WEIR_FLAG_CART_NEW : 0;
        session->pages_left = draw_few(session);
    } else if (session->pages_left == 0) {
        bool asks = session->cart_quantity > 0 && !(session->flags & WEIR_FLAG_GAVE_UP);
        if (!asks ||
            !weir_traffic_draw(traffic, session, WEIR_TRAFFIC_CHECKOUT,
                               p->checkout * factor(session, WEIR_TRAFFIC_CHECKOUT), at_ms))
            return finish(session, time_ms);
        session->step = WEIR_STEP_CHECKOUT;
    } else if (draw_unit(session) < p->interaction) {
        session->step = WEIR_STEP_INTERACTION;
    } else {
        session->pages_left--;
        session->step = WEIR_STEP_PAGE;
    }
    return at_ms;
}

static int64_t pay(struct weir_traffic *traffic, struct weir_traffic_session *session,
                   int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    double seconds = weir_traffic_lognormal(&session->random, p->pay_median_s, p->pay_sigma);
    int64_t at_ms = time_ms + 1 + (int64_t)(seconds * 1000.0);
    if (weir_traffic_draw(traffic, session, WEIR_TRAFFIC_CONVERSION,
                          p->purchase * factor(session, WEIR_TRAFFIC_CONVERSION), at_ms)) {
        session->step = WEIR_STEP_PURCHASE;
        return at_ms;
    }
    session->flags |= WEIR_FLAG_GAVE_UP;
    if (draw_unit(session) >= p->persists)
        return finish(session, time_ms);
    session->step = WEIR_STEP_PAGE;
    return at_ms;
}

static int64_t after_purchase(struct weir_traffic *traffic, struct weir_traffic_session *session,
                              int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    double unit = draw_unit(session);
    if (unit < p->refund) {
        session->step = WEIR_STEP_REFUND;
        return time_ms + draw_between_ms(session, p->refund_min_s, p->refund_max_s);
    }
    if (unit < p->refund + p->again) {
        session->pages_left = (uint16_t)(2 + draw_few(session));
        return browse(traffic, session, time_ms);
    }
    if (unit < p->refund + p->again + p->thanks) {
        session->step = WEIR_STEP_THANKS;
        return time_ms + draw_between_ms(session, 0.2, 3.0);
    }
    return finish(session, time_ms);
}

int64_t weir_traffic_session_advance(struct weir_traffic *traffic,
                                     struct weir_traffic_session *session, int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    bool bounces = session->flags & WEIR_FLAG_BOUNCE;
    session->events++;
    session->flags &= (uint8_t)~WEIR_FLAG_CART_NEW;
    if (session->step == WEIR_STEP_START) {
        session->step = WEIR_STEP_LANDING;
        return time_ms + draw_between_ms(session, 0.005, 0.04);
    }
    if (session->flags & WEIR_FLAG_BOT) {
        session->step = session->pages_left-- > 0 ? WEIR_STEP_PAGE : WEIR_STEP_GONE;
        return time_ms + draw_between_ms(session, p->bot_think_min_s, p->bot_think_max_s);
    }
    if (bounces && session->step == WEIR_STEP_LANDING && draw_unit(session) < p->bounce_interacts) {
        session->step = WEIR_STEP_INTERACTION;
        return time_ms + draw_between_ms(session, 1.0, 8.0);
    }
    if (bounces || session->step == WEIR_STEP_END) {
        session->step = WEIR_STEP_GONE;
        return time_ms;
    }
    if (session->step == WEIR_STEP_CHECKOUT)
        return pay(traffic, session, time_ms);
    if (session->step == WEIR_STEP_PURCHASE)
        return after_purchase(traffic, session, time_ms);
    if (session->step == WEIR_STEP_THANKS || session->step == WEIR_STEP_REFUND)
        return finish(session, time_ms);
    return browse(traffic, session, time_ms);
}
