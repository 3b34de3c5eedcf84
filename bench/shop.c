#include "shop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIPE 8 /* as in app/worker */

uint64_t shop_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

static double draw(struct shop *shop) {
    shop->random++;
    return (double)(shop_mix(shop->random) >> 11) / (double)(1ULL << 53);
}

static struct weir_str hex(char *to, uint32_t len, uint64_t seed) {
    uint64_t bits = 0;
    for (uint32_t i = 0; i < len; i++, bits >>= 4) {
        if (i % 16 == 0)
            bits = shop_mix(seed + i);
        to[i] = "0123456789abcdef"[bits & 15];
    }
    return (struct weir_str){to, len};
}

/* One of `len` values of a session's dimension; the first ones are by far the most frequent, or
 * all as much. */
static struct weir_str value(uint64_t session, uint32_t dimension, uint32_t len, bool even) {
    static char names[4][SHOP_WIDE][8];
    double x = (double)(shop_mix(session * 4 + dimension) >> 11) / (double)(1ULL << 53);
    uint32_t i = (uint32_t)((even ? x : x * x * x) * (double)len);
    char *name = names[dimension][i];
    if (!name[0])
        snprintf(name, sizeof names[0][0], "%c-%u", (char)('a' + dimension), i);
    return (struct weir_str){name, (uint32_t)strlen(name)};
}

static int type_of(double x) {
    static const struct {
        double until;
        int type;
    } shares[] = {
        {0.70, WEIR_PAGE_VIEW},        {0.83, WEIR_INTERACTION},    {0.91, WEIR_ADD_TO_CART},
        {0.93, WEIR_REMOVE_FROM_CART}, {0.96, WEIR_BEGIN_CHECKOUT}, {0.985, WEIR_PURCHASE},
        {0.99, WEIR_SESSION_END},      {0.995, WEIR_REFUND},
    };
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        if (x < shares[i].until)
            return shares[i].type;
    return WEIR_UNKNOWN_TYPE;
}

static void make_event(struct shop *shop, struct weir_event *event, struct shop_texts *texts) {
    static const uint32_t values[4] = {3, 30, 8, 200};
    static const char *const agents[4] = {
        "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
        "Mozilla/5.0 (compatible; Examplebot/2.1; +https://search.example/bot.html)",
    };
    long at = (long)(draw(shop) * (double)shop->sessions_len);
    if (shop->fixed && shop->first < shop->sessions_len)
        at = shop->first++; /* everybody is there before anybody comes again */
    uint64_t session = shop->sessions[at];
    uint64_t dice = shop_mix(session);
    const char *agent = agents[dice % 50 == 0 ? 3 : dice % 3];
    *event = (struct weir_event){.time_ms = shop->time_us / 1000, .type = type_of(draw(shop))};
    shop->time_us += shop->step_us;
    event->session = hex(texts->session, sizeof texts->session, session * 100);
    event->visitor = hex(texts->visitor, sizeof texts->visitor, session / 2 * 100 + 50);
    event->user_agent = (struct weir_str){agent, (uint32_t)strlen(agent)};
    event->quantity_micros = WEIR_MICROS;
    for (uint32_t d = 0; d < 4; d++)
        event->dimensions[d] = value(session, d, shop->wide ? SHOP_WIDE : values[d], shop->wide);
    if (event->type == WEIR_PURCHASE || event->type == WEIR_REFUND)
        event->value_micros = (int64_t)(draw(shop) * 20000) * (WEIR_MICROS / 100);
    if (event->type == WEIR_PURCHASE)
        event->order_id = hex(texts->order, sizeof texts->order, shop->random);
    if (shop->fixed)
        return;
    if (event->type == WEIR_SESSION_END || draw(shop) < 1 / SHOP_EVENTS_PER_SESSION)
        shop->sessions[at] = shop->next_session++;
}

struct shop *shop_open(long sessions, int64_t step_us, uint64_t seed) {
    struct shop *shop = calloc(1, sizeof *shop);
    uint64_t *under_way = calloc((size_t)sessions, sizeof *under_way);
    if (!shop || !under_way)
        exit(1);
    shop->sessions = under_way;
    shop->sessions_len = sessions;
    shop->time_us = SHOP_START_MS * 1000;
    shop->step_us = step_us;
    shop->random = seed << 40;
    shop->next_session = seed << 40;
    for (long i = 0; i < sessions; i++)
        shop->sessions[i] = shop->next_session++;
    return shop;
}

void shop_close(struct shop *shop) {
    free(shop->sessions);
    free(shop);
}

void shop_make(struct shop *shop, long len) {
    for (long i = 0; i < len; i++)
        make_event(shop, &shop->events[i], &shop->texts[i]);
}

/* Called where the optimiser cannot look into them: bench/guard counts the calls. */
static void (*volatile prepare)(const struct weir_partition *, const struct weir_event *,
                                struct weir_key *) = weir_partition_prepare;
static enum weir_reason (*volatile apply)(struct weir_partition *, const struct weir_event *,
                                          const struct weir_key *, int64_t) = weir_partition_apply;

void shop_apply(struct weir_partition *partition, const struct weir_event *events, long len) {
    struct weir_key keys[PIPE];
    for (long i = 0; i < len + PIPE; i++) {
        struct weir_key *key = &keys[i % PIPE];
        if (i >= PIPE) {
            const struct weir_event *event = &events[i - PIPE];
            weir_partition_record(partition, event->time_ms - SHOP_START_MS,
                                  apply(partition, event, key, event->time_ms));
        }
        if (i < len)
            prepare(partition, &events[i], key);
    }
}

struct weir_plan shop_plan(void) {
    return (struct weir_plan){
        .gap_ms = 1800000,
        .cap_ms = 24 * 3600000LL,
        .recovery_ms = 24 * 3600000LL,
        .sessions_max = 20000000,
        .out_of_orderness_ms = 5000,
        .allowed_lateness_ms = 600000,
        .max_ahead_ms = 60000,
        .dimensions_len = 4,
        .values_max = 1100,
        .bot_events_max = 1000,
        .bot_user_agents = true,
        .windows_ms = {60000, 300000, 900000, 3600000, 86400000},
        .windows_len = 5,
    };
}
