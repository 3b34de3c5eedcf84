/* traffic_tally: a second reading of generated traffic, for its tests. It knows the lines alone,
 * none of the generator's state: sessions in a table by their id, the metrics straight from their
 * definitions (metrics: engaged, cart, converted). One tally, one thread; freed by tally_close. */
#ifndef TRAFFIC_TALLY_H
#define TRAFFIC_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/traffic.h"

#define TALLY_SLOTS (1u << 19)

struct tally_session {
    uint64_t id; /* 0: empty slot */
    int64_t first_ms, last_ms;
    uint32_t events, pages;
    bool cart, deed, bought, bot, mobile, desktop;
};

struct tally {
    struct tally_session *sessions;
    uint64_t events, bytes, purchases, orders_without_id;
    uint64_t by_hour[24]; /* sessions started */
    int64_t gap_max_ms, last_at_ms;
    uint64_t backwards, bad_time;
    double revenue;
    uint64_t hash; /* of the bytes in their order */
};

struct tally_rates {
    double sessions, bots, bounced, carts, bought, mobile, mobile_bought, desktop, desktop_bought;
};

/* Eight bytes at a time: the tests hash gigabytes. */
static inline uint64_t tally_hash(uint64_t hash, const char *bytes, size_t len) {
    for (; len >= 8; bytes += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    return hash ^ hash >> 32;
}

/* The value of "key":"..." or "key":number in the line, into out. */
static inline bool tally_get(const char *line, size_t len, const char *key, char *out,
                             size_t out_max) {
    char wanted[40];
    int want = snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *at = memmem(line, len, wanted, (size_t)want);
    if (!at)
        return false;
    at += want;
    bool text = *at == '"';
    at += text;
    size_t n = 0;
    while (n + 1 < out_max && at[n] != (text ? '"' : ',') && at[n] != '}')
        n++;
    memcpy(out, at, n);
    out[n] = 0;
    return true;
}

static inline bool tally_is(const char *line, size_t len, const char *key, const char *value) {
    char got[128];
    return tally_get(line, len, key, got, sizeof got) && strcmp(got, value) == 0;
}

static inline int64_t tally_time(const char *text) {
    struct tm tm = {0};
    int ms = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static inline void tally_init(struct tally *tally) {
    *tally = (struct tally){.hash = 0xcbf29ce484222325ULL};
    tally->sessions = calloc(TALLY_SLOTS, sizeof *tally->sessions);
    if (!tally->sessions)
        abort();
}

static inline void tally_close(struct tally *tally) {
    free(tally->sessions);
}

static inline struct tally_session *tally_session(struct tally *tally, const char *key) {
    uint64_t id = tally_hash(0xcbf29ce484222325ULL, key, WEIR_TRAFFIC_KEY_LEN) | 1;
    size_t at = (size_t)(id >> 20) % TALLY_SLOTS;
    while (tally->sessions[at].id != 0 && tally->sessions[at].id != id)
        at = (at + 1) % TALLY_SLOTS;
    return &tally->sessions[at];
}

static inline void tally_new(struct tally *tally, struct tally_session *session,
                             const struct weir_traffic_record *record, int64_t time_ms) {
    session->id = tally_hash(0xcbf29ce484222325ULL, record->key, WEIR_TRAFFIC_KEY_LEN) | 1;
    session->first_ms = session->last_ms = time_ms;
    char agent[256] = "";
    tally_get(record->line, record->len, "user_agent", agent, sizeof agent);
    session->bot = strcasestr(agent, "bot") != NULL;
    session->mobile = tally_is(record->line, record->len, "device", "mobile");
    session->desktop = tally_is(record->line, record->len, "device", "desktop");
    tally->by_hour[(time_ms / 3600000) % 24]++;
}

/* Reads one good line. */
static inline void tally_add(struct tally *tally, const struct weir_traffic_record *record) {
    char type[32] = "", time[40] = "", value[32] = "0", order[40];
    const char *line = record->line;
    size_t len = record->len;
    tally_get(line, len, "type", type, sizeof type);
    tally_get(line, len, "time", time, sizeof time);
    int64_t time_ms = tally_time(time);
    tally->bad_time += time_ms != record->time_ms;
    tally->backwards += record->at_ms < tally->last_at_ms;
    tally->last_at_ms = record->at_ms;
    tally->events++;
    tally->bytes += len;
    tally->hash = tally_hash(tally->hash, line, len);

    struct tally_session *session = tally_session(tally, record->key);
    if (session->id == 0)
        tally_new(tally, session, record, time_ms);
    if (time_ms - session->last_ms > tally->gap_max_ms)
        tally->gap_max_ms = time_ms - session->last_ms;
    session->last_ms = time_ms;
    session->events++;
    bool purchase = strcmp(type, "purchase") == 0, add = strcmp(type, "add_to_cart") == 0;
    session->pages += strcmp(type, "page_view") == 0;
    session->cart = session->cart || add;
    session->deed = session->deed || add || purchase || strcmp(type, "begin_checkout") == 0;
    session->bought = session->bought || purchase;
    if (purchase) {
        tally->purchases++;
        tally_get(line, len, "value", value, sizeof value);
        tally->revenue += strtod(value, NULL);
        tally->orders_without_id += !tally_get(line, len, "order_id", order, sizeof order);
    }
}

static inline struct tally_rates tally_read(const struct tally *tally) {
    struct tally_rates rates = {0};
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        const struct tally_session *session = &tally->sessions[i];
        if (session->id == 0)
            continue;
        rates.bots += session->bot;
        if (session->bot)
            continue;
        bool engaged =
            session->pages >= 2 || session->deed || session->last_ms - session->first_ms >= 10000;
        rates.sessions++;
        rates.bounced += !engaged;
        rates.carts += session->cart;
        rates.bought += session->bought;
        rates.mobile += session->mobile;
        rates.desktop += session->desktop;
        rates.mobile_bought += session->mobile && session->bought;
        rates.desktop_bought += session->desktop && session->bought;
    }
    return rates;
}

#endif
