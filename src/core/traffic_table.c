/* The shop, in numbers. Shares and medians are of the order that retail benchmarks publish: 3 % of
 * sessions buy, 45 % bounce, 70 % of carts are left; a phone converts half as often as a desktop,
 * mail twice as often as paid social. weir_traffic_truth prints them beside the data. */
#include "core/traffic_internal.h"

#include <string.h>

/*                      share  bounce cart  checkout purchase  text */
static const struct weir_traffic_trait devices[] = {
    {"mobile", 0.58, 1.10, 0.90, 0.99, 0.91, 0, 0, ""},
    {"desktop", 0.36, 0.84, 1.15, 1.02, 1.13, 0, 0, ""},
    {"tablet", 0.06, 0.98, 1.05, 1.00, 1.02, 0, 0, ""},
};
static const struct weir_traffic_trait countries[] = {
    {"DE", 0.34, 1, 1.04, 1.00, 1.04, 0, 0, ""}, {"FR", 0.17, 1, 0.98, 1.00, 0.98, 0, 0, ""},
    {"GB", 0.13, 1, 1.05, 1.02, 1.03, 0, 0, ""}, {"NL", 0.09, 1, 1.06, 1.02, 1.04, 0, 0, ""},
    {"AT", 0.08, 1, 1.02, 1.00, 1.02, 0, 0, ""}, {"IT", 0.07, 1, 0.88, 0.96, 0.90, 0, 0, ""},
    {"ES", 0.06, 1, 0.87, 0.96, 0.91, 0, 0, ""}, {"PL", 0.04, 1, 0.92, 0.98, 0.93, 0, 0, ""},
    {"US", 0.02, 1, 0.75, 0.90, 0.80, 0, 0, ""},
};
static const struct weir_traffic_trait channels[] = {
    {"organic", 0.32, 0.96, 1.03, 1, 1, 0, 0, "https://www.google.com/"},
    {"direct", 0.22, 0.94, 1.14, 1, 1, 0, 0, ""},
    {"paid_search", 0.18, 1.04, 1.06, 1, 1, 0, 0, "https://www.google.com/"},
    {"email", 0.10, 0.80, 1.35, 1, 1, 0, 0, "https://mail.shop.example/"},
    {"paid_social", 0.11, 1.30, 0.60, 1, 1, 0, 0, "https://l.instagram.com/"},
    {"affiliate", 0.07, 1.02, 0.90, 1, 1, 0, 0, "https://deals.example/"},
};
static const struct weir_traffic_trait categories[] = {
    {"fashion", 0.27, 1, 1.02, 1, 1, 39.00, 0.55, ""},
    {"shoes", 0.16, 1, 0.98, 1, 1, 69.00, 0.45, ""},
    {"beauty", 0.14, 1, 1.25, 1, 1, 19.00, 0.55, ""},
    {"electronics", 0.15, 1, 0.75, 1, 1, 149.00, 0.90, ""},
    {"home", 0.13, 1, 0.92, 1, 1, 49.00, 0.80, ""},
    {"toys", 0.08, 1, 1.05, 1, 1, 25.00, 0.60, ""},
    {"sports", 0.07, 1, 0.98, 1, 1, 45.00, 0.70, ""},
};

/* -1: bots. Real ones, as of 2025. */
static const struct weir_traffic_agent agents[] = {
    {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
     "Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
     0},
    {"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/137.0.0.0 Mobile Safari/537.36",
     0},
    {"Mozilla/5.0 (Android 15; Mobile; rv:139.0) Gecko/139.0 Firefox/139.0", 0},
    {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/137.0.0.0 Safari/537.36",
     1},
    {"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
     "Version/18.5 Safari/605.1.15",
     1},
    {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0", 1},
    {"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
     "Version/18.5 Mobile/15E148 Safari/604.1",
     2},
    {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", -1},
    {"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", -1},
    {"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", -1},
};

static const struct weir_traffic_parameters parameters = {
    .hours = {0.62, 0.40, 0.27, 0.21, 0.18, 0.24, 0.42, 0.68, 0.90, 1.05, 1.15, 1.20,
              1.25, 1.22, 1.18, 1.20, 1.27, 1.38, 1.55, 1.75, 1.85, 1.72, 1.35, 0.95},
    .weekdays = {1.00, 0.97, 0.96, 0.97, 0.95, 1.08, 1.20},
    .bounce = 0.45,
    .bounce_interacts = 0.15,
    .cart = 0.060,
    .second_cart = 0.15,
    .remove = 0.08,
    .checkout = 0.53,
    .purchase = 0.59,
    .returning = 0.28,
    .returning_factor = 1.4,
    .bots = 0.006,
    .session_start = 0.30,
    .session_end = 0.08,
    .interaction = 0.24,
    .product_page = 0.62,
    .refund = 0.02,
    .again = 0.03,
    .thanks = 0.60,
    .persists = 0.50,
    .pages_median = 2.6,
    .pages_sigma = 0.90, /* at most 95 */
    .think_median_s = 20.0,
    .think_sigma = 1.0, /* at most 18.2 min */
    .pay_median_s = 75.0,
    .pay_sigma = 0.6, /* at most 13.8 min */
    .refund_min_s = 60.0,
    .refund_max_s = 900.0,
    .bot_think_min_s = 0.4,
    .bot_think_max_s = 3.0,
    .bot_pages_min = 10,
    .bot_pages_max = 50,
    .traits = {devices, countries, channels, categories},
    .traits_len = {sizeof devices / sizeof *devices, sizeof countries / sizeof *countries,
                   sizeof channels / sizeof *channels, sizeof categories / sizeof *categories},
    .agents = agents,
    .agents_len = sizeof agents / sizeof *agents,
};

static const char *const dimensions[WEIR_TRAFFIC_DIMENSIONS] = {"device", "country", "channel",
                                                                "category"};

const struct weir_traffic_parameters *weir_traffic_parameters(void) {
    return &parameters;
}

const char *weir_traffic_dimension(int dimension) {
    return dimension >= 0 && dimension < WEIR_TRAFFIC_DIMENSIONS ? dimensions[dimension] : NULL;
}

const char *weir_traffic_value(int dimension, int value) {
    if (dimension < 0 || dimension >= WEIR_TRAFFIC_DIMENSIONS || value < 0 ||
        (size_t)value >= parameters.traits_len[dimension])
        return NULL;
    return parameters.traits[dimension][value].name;
}

double weir_traffic_cycle(int64_t time_ms) {
    const int64_t day_ms = 86400000, hour_ms = 3600000;
    double hours = 0, weekdays = 0;
    for (int i = 0; i < 24; i++)
        hours += parameters.hours[i];
    for (int i = 0; i < 7; i++)
        weekdays += parameters.weekdays[i];
    int64_t day = time_ms / day_ms, in_day = time_ms % day_ms;
    if (in_day < 0) {
        in_day += day_ms;
        day--;
    }
    int64_t weekday = ((day + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t hour = in_day / hour_ms;
    double part = (double)(in_day % hour_ms) / (double)hour_ms;
    double height = parameters.hours[hour] * (1 - part) + parameters.hours[(hour + 1) % 24] * part;
    return height * parameters.weekdays[weekday] / (hours / 24 * weekdays / 7);
}
