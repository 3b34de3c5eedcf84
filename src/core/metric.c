#include "weir/metric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "weir/number.h"

#define COUNT WEIR_UNIT_COUNT
#define MS WEIR_UNIT_MS
#define MICROS WEIR_UNIT_MICROS

static const struct weir_counter_info counters[WEIR_C_CUSTOM] = {
    [WEIR_C_EVENTS] = {"events", COUNT, WEIR_LIVE, "counted events of any type, bots excluded"},
    [WEIR_C_SESSION_MS] = {"session_seconds", MS, WEIR_LIVE, "seconds by which sessions grew"},
    [WEIR_C_PAGE_VIEWS] = {"page_views", COUNT, WEIR_LIVE, "page_view events"},
    [WEIR_C_INTERACTIONS] = {"interactions", COUNT, WEIR_LIVE, "interaction events"},
    [WEIR_C_SESSIONS] = {"sessions", COUNT, WEIR_LIVE, "sessions started"},
    [WEIR_C_ENGAGED] = {"engaged_sessions", COUNT, WEIR_LIVE, "sessions that became engaged"},
    [WEIR_C_ADD_TO_CART] = {"add_to_cart", COUNT, WEIR_LIVE, "add_to_cart events"},
    [WEIR_C_REMOVE_FROM_CART] = {"remove_from_cart", COUNT, WEIR_LIVE, "remove_from_cart events"},
    [WEIR_C_CARTS_CREATED] = {"carts_created", COUNT, WEIR_LIVE,
                              "sessions whose cart became non-empty"},
    [WEIR_C_CARTS_EMPTIED] = {"carts_emptied", COUNT, WEIR_LIVE,
                              "carts emptied by removals before any purchase"},
    [WEIR_C_CARTS_BOUGHT] = {"carts_bought", COUNT, WEIR_LIVE,
                             "sessions with a cart and a purchase"},
    [WEIR_C_CHECKOUTS] = {"checkouts", COUNT, WEIR_LIVE, "sessions that began a checkout"},
    [WEIR_C_CONVERTED] = {"converted_sessions", COUNT, WEIR_LIVE,
                          "sessions that made their first purchase"},
    [WEIR_C_ORDERS] = {"orders", COUNT, WEIR_LIVE, "purchases, an order id once in its session"},
    [WEIR_C_REVENUE] = {"revenue", MICROS, WEIR_LIVE, "value of those orders"},
    [WEIR_C_REFUNDS] = {"refunds", COUNT, WEIR_LIVE, "refund events"},
    [WEIR_C_REFUNDED] = {"refunded", MICROS, WEIR_LIVE, "value of those refunds"},
    [WEIR_C_UNKNOWN] = {"unknown_types", COUNT, WEIR_LIVE, "events of an unknown type"},
    [WEIR_C_BOT_EVENTS] = {"bot_events", COUNT, WEIR_LIVE, "events of bots, kept apart"},
    [WEIR_C_BOT_SESSIONS] = {"bot_sessions", COUNT, WEIR_LIVE,
                             "sessions that passed bots.max_events_per_session"},
    [WEIR_C_S_SESSIONS] = {"sessions", COUNT, WEIR_SETTLED, "sessions that ended"},
    [WEIR_C_S_BOUNCED] = {"bounced_sessions", COUNT, WEIR_SETTLED, "ended and never engaged"},
    [WEIR_C_S_CONVERTED] = {"converted_sessions", COUNT, WEIR_SETTLED, "ended with a purchase"},
    [WEIR_C_S_CARTS] = {"cart_sessions", COUNT, WEIR_SETTLED, "ended with a cart"},
    [WEIR_C_S_ABANDONED] = {"abandoned_carts", COUNT, WEIR_SETTLED,
                            "ended with a cart and without a purchase"},
    [WEIR_C_S_RECOVERED] = {"recovered_carts", COUNT, WEIR_SETTLED,
                            "abandoned carts whose visitor purchased within sessions.recovery"},
    [WEIR_C_S_DURATION_MS] = {"session_seconds", MS, WEIR_SETTLED, "their durations"},
    [WEIR_C_S_ORDERS] = {"orders", COUNT, WEIR_SETTLED, "their orders"},
    [WEIR_C_S_REVENUE] = {"revenue", MICROS, WEIR_SETTLED, "their revenue"},
    [WEIR_C_EVICTED] = {"evicted_sessions", COUNT, WEIR_SETTLED,
                        "ended early at sessions.max_open"},
};

#define METRIC(name_, reading_, num_unit_, den_unit_, help_, ...)                                  \
    {                                                                                              \
        .name = name_, .reading = (reading_), .num_unit = (num_unit_), .den_unit = (den_unit_),    \
        .help = (help_), __VA_ARGS__                                                               \
    }

static const struct weir_metric builtin[] = {
    METRIC("conversion_rate", WEIR_LIVE, COUNT, COUNT, "first purchases / sessions started",
           .num = {{1, WEIR_C_CONVERTED}}, .den = {{1, WEIR_C_SESSIONS}}),
    METRIC("bounce_rate", WEIR_LIVE, COUNT, COUNT,
           "(sessions started - sessions that became engaged) / sessions started",
           .num = {{1, WEIR_C_SESSIONS}, {-1, WEIR_C_ENGAGED}}, .den = {{1, WEIR_C_SESSIONS}}),
    METRIC("session_duration", WEIR_LIVE, MS, COUNT,
           "seconds by which sessions grew / sessions started", .num = {{1, WEIR_C_SESSION_MS}},
           .den = {{1, WEIR_C_SESSIONS}}),
    METRIC(
        "cart_abandonment_rate", WEIR_LIVE, COUNT, COUNT,
        "(carts - carts bought) / carts, carts = created - emptied",
        .num = {{1, WEIR_C_CARTS_CREATED}, {-1, WEIR_C_CARTS_EMPTIED}, {-1, WEIR_C_CARTS_BOUGHT}},
        .den = {{1, WEIR_C_CARTS_CREATED}, {-1, WEIR_C_CARTS_EMPTIED}}),
    METRIC("checkout_rate", WEIR_LIVE, COUNT, COUNT, "sessions with a checkout / sessions started",
           .num = {{1, WEIR_C_CHECKOUTS}}, .den = {{1, WEIR_C_SESSIONS}}),
    METRIC("average_order_value", WEIR_LIVE, MICROS, COUNT, "revenue / orders",
           .num = {{1, WEIR_C_REVENUE}}, .den = {{1, WEIR_C_ORDERS}}),
    METRIC("revenue_per_session", WEIR_LIVE, MICROS, COUNT, "revenue / sessions started",
           .num = {{1, WEIR_C_REVENUE}}, .den = {{1, WEIR_C_SESSIONS}}),
    METRIC("conversion_rate", WEIR_SETTLED, COUNT, COUNT, "sessions with a purchase / sessions",
           .num = {{1, WEIR_C_S_CONVERTED}}, .den = {{1, WEIR_C_S_SESSIONS}}),
    METRIC("bounce_rate", WEIR_SETTLED, COUNT, COUNT, "never engaged / sessions",
           .num = {{1, WEIR_C_S_BOUNCED}}, .den = {{1, WEIR_C_S_SESSIONS}}),
    METRIC("session_duration", WEIR_SETTLED, MS, COUNT, "sum of durations / sessions",
           .num = {{1, WEIR_C_S_DURATION_MS}}, .den = {{1, WEIR_C_S_SESSIONS}}),
    METRIC("cart_abandonment_rate", WEIR_SETTLED, COUNT, COUNT,
           "carts without a purchase / sessions with a cart", .num = {{1, WEIR_C_S_ABANDONED}},
           .den = {{1, WEIR_C_S_CARTS}}),
    METRIC("recovery_rate", WEIR_SETTLED, COUNT, COUNT, "recovered carts / abandoned carts",
           .num = {{1, WEIR_C_S_RECOVERED}}, .den = {{1, WEIR_C_S_ABANDONED}}),
    METRIC("average_order_value", WEIR_SETTLED, MICROS, COUNT, "revenue / orders",
           .num = {{1, WEIR_C_S_REVENUE}}, .den = {{1, WEIR_C_S_ORDERS}}),
    METRIC("revenue_per_session", WEIR_SETTLED, MICROS, COUNT, "revenue / sessions",
           .num = {{1, WEIR_C_S_REVENUE}}, .den = {{1, WEIR_C_S_SESSIONS}}),
};

_Static_assert(sizeof builtin / sizeof builtin[0] + WEIR_CUSTOM_METRICS_MAX == WEIR_METRICS_MAX,
               "WEIR_METRICS_MAX does not count the built-in metrics");

const struct weir_counter_info *weir_counter_info(int counter) {
    WEIR_ASSERT(counter >= 0 && counter < WEIR_C_CUSTOM);
    return &counters[counter];
}

const struct weir_metric *weir_metrics_builtin(size_t *len) {
    *len = sizeof builtin / sizeof builtin[0];
    return builtin;
}

int weir_metric_of_counter(struct weir_metric *metric, const char *name,
                           enum weir_reading reading) {
    for (int c = 0; c < WEIR_C_CUSTOM; c++) {
        if (counters[c].reading != reading || strcmp(counters[c].name, name) != 0)
            continue;
        *metric = (struct weir_metric){.reading = reading,
                                       .num_unit = counters[c].unit,
                                       .den_unit = counters[c].unit,
                                       .num = {{1, (uint8_t)c}},
                                       .help = counters[c].help};
        snprintf(metric->name, sizeof metric->name, "%s", name);
        return 0;
    }
    return -1;
}

static int64_t side(const struct weir_term *terms, const int64_t *cell) {
    int64_t sum = 0;
    for (int i = 0; i < WEIR_TERMS_MAX && terms[i].sign != 0; i++)
        sum += terms[i].sign * cell[terms[i].counter];
    return sum;
}

struct weir_ratio weir_metric_eval(const struct weir_metric *metric, const int64_t *cell) {
    struct weir_ratio ratio = {side(metric->num, cell), side(metric->den, cell), NAN};
    if (metric->den[0].sign == 0) { /* a counter alone: its own sample */
        ratio.den = ratio.num;
        ratio.value = weir_unit_number(metric->num_unit, ratio.num);
    } else if (ratio.den != 0)
        ratio.value = weir_unit_number(metric->num_unit, ratio.num) /
                      weir_unit_number(metric->den_unit, ratio.den);
    return ratio;
}

static int64_t unit_scale(enum weir_unit unit) {
    if (unit == WEIR_UNIT_COUNT)
        return 1;
    return unit == WEIR_UNIT_MS ? 1000 : WEIR_MICROS;
}

double weir_unit_number(enum weir_unit unit, int64_t value) {
    return (double)value / (double)unit_scale(unit);
}

int weir_unit_text(char *out, enum weir_unit unit, int64_t value) {
    uint64_t scale = (uint64_t)unit_scale(unit);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t fraction = magnitude % scale;
    int len = 0;
    if (value < 0)
        out[len++] = '-';
    len += weir_number_put_unsigned(out + len, magnitude / scale);
    if (fraction == 0)
        return len;
    int dot = len;
    len += weir_number_put_unsigned(out + len, scale + fraction); /* a 1, then all digits */
    out[dot] = '.';
    while (out[len - 1] == '0')
        len--;
    out[len] = '\0';
    return len;
}
