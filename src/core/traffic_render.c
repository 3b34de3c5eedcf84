/* The bytes of an event, by copying pieces: about 430 of them in some 100 ns. */
#include "core/traffic_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/traffic_random.h"

#define ORDER_SALT 0x94d049bb133111ebULL
#define VISITOR_ID_SALT 0xbf58476d1ce4e5b9ULL

static inline char *put_bytes(char *at, const char *bytes, size_t len) {
    memcpy(at, bytes, len);
    return at + len;
}

/* Inlined, so that a literal's length is known to the compiler. */
static inline __attribute__((always_inline)) char *put(char *at, const char *text) {
    return put_bytes(at, text, strlen(text));
}

static char *put_digits(char *at, uint64_t number, int width) {
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + width;
}

static char *put_number(char *at, uint64_t number) {
    int width = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        width++;
    return put_digits(at, number, width);
}

static char *put_hex(char *at, uint64_t number, int width) {
    for (int i = width - 1; i >= 0; i--) {
        at[i] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
    return at + width;
}

/* A version 4 UUID of 122 of the 128 bits. */
static char *put_uuid(char *at, uint64_t high, uint64_t low) {
    at = put_hex(at, high >> 32, 8);
    *at++ = '-';
    at = put_hex(at, high >> 16, 4);
    at = put(at, "-4");
    at = put_hex(at, high, 3);
    *at++ = '-';
    at = put_hex(at, 0x8 | (low >> 62), 1);
    at = put_hex(at, low >> 48, 3);
    *at++ = '-';
    return put_hex(at, low, 12);
}

/* "YYYY-MM-DDThh:mm:ss." of a time from 1970 on, by Hinnant's civil calendar. */
static void write_second(int64_t second, char *text) {
    int64_t days = second / 86400, in_day = second % 86400;
    int64_t shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153, day = of_year - (153 * month + 2) / 5 + 1;
    month += month < 10 ? 3 : -9;
    year += era * 400 + (month <= 2 ? 1 : 0);
    char *at = put_digits(text, (uint64_t)year, 4);
    *at++ = '-';
    at = put_digits(at, (uint64_t)month, 2);
    *at++ = '-';
    at = put_digits(at, (uint64_t)day, 2);
    *at++ = 'T';
    at = put_digits(at, (uint64_t)(in_day / 3600), 2);
    *at++ = ':';
    at = put_digits(at, (uint64_t)(in_day / 60 % 60), 2);
    *at++ = ':';
    at = put_digits(at, (uint64_t)(in_day % 60), 2);
    put(at, ".");
}

void weir_traffic_time_text(int64_t time_ms, char *text) {
    WEIR_ASSERT(time_ms >= 0 && time_ms <= WEIR_TIME_MAX_MS);
    write_second(time_ms / 1000, text);
    char *at = put_digits(text + 20, (uint64_t)(time_ms % 1000), 3);
    *at++ = 'Z';
    *at = 0;
}

static char *put_time(char *at, struct weir_traffic *traffic, int64_t time_ms) {
    int64_t second = time_ms / 1000;
    if (second != traffic->second) {
        write_second(second, traffic->stamp);
        traffic->second = second;
    }
    at = put_bytes(at, traffic->stamp, 20);
    at = put_digits(at, (uint64_t)(time_ms % 1000), 3);
    return put(at, "Z");
}

static char *put_money(char *at, uint32_t cents) {
    at = put_number(at, cents / 100);
    *at++ = '.';
    return put_digits(at, cents % 100, 2);
}

static char *put_order(char *at, const struct weir_traffic_session *session, uint64_t who) {
    if (session->step == WEIR_STEP_PURCHASE || session->step == WEIR_STEP_REFUND) {
        at = put(at, ",\"order_id\":\"o-");
        at = put_hex(at, weir_traffic_mix(who ^ ORDER_SALT ^ session->orders), 12);
        *at++ = '"';
    }
    at = put(at, ",\"value\":");
    at = put_money(at, session->value_cents);
    at = put(at, ",\"currency\":\"EUR\",\"quantity\":");
    return put_number(at, session->quantity);
}

static char *put_url(char *at, const struct weir_traffic_session *session, const char *category) {
    at = put(at, ",\"url\":\"https://shop.example/");
    switch ((enum weir_traffic_step)session->step) {
    case WEIR_STEP_REMOVE:
        return put(at, "cart\"");
    case WEIR_STEP_CHECKOUT:
    case WEIR_STEP_PURCHASE:
        return put(at, "checkout/payment\"");
    case WEIR_STEP_THANKS:
        return put(at, "checkout/thank-you\"");
    case WEIR_STEP_REFUND:
        return put(at, "account/orders\"");
    case WEIR_STEP_START:
    case WEIR_STEP_LANDING:
    case WEIR_STEP_PAGE:
    case WEIR_STEP_INTERACTION:
    case WEIR_STEP_ADD:
    case WEIR_STEP_END:
    case WEIR_STEP_GONE:
        break;
    }
    at = put_bytes(at, category, strlen(category));
    if (session->product == 0)
        return put(at, "/\"");
    at = put(at, "/p-");
    at = put_digits(at, session->product, 6);
    return put(at, ".html\"");
}

static void make_piece(struct weir_traffic_piece *piece, const char *before, const char *name,
                       const char *between, const char *value, const char *after) {
    int len = snprintf(piece->text, sizeof piece->text, "%s%s%s%s%s", before, name, between, value,
                       after);
    WEIR_ASSERT(len > 0 && (size_t)len < sizeof piece->text);
    piece->len = (uint8_t)len;
}

void weir_traffic_render_init(struct weir_traffic *traffic) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    traffic->second = -1;
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++) {
        WEIR_ASSERT(p->traits_len[i] <= WEIR_TRAFFIC_VALUES_MAX);
        for (size_t j = 0; j < p->traits_len[i]; j++)
            make_piece(&traffic->values[i][j], ",\"", weir_traffic_dimension(i), "\":\"",
                       p->traits[i][j].name, "\"");
    }
    WEIR_ASSERT(p->agents_len <= WEIR_TRAFFIC_AGENTS_MAX);
    for (size_t i = 0; i < p->agents_len; i++)
        make_piece(&traffic->agents[i], ",\"", "user_agent", "\":\"", p->agents[i].text, "\"}\n");
}

static inline char *put_piece(char *at, const struct weir_traffic_piece *piece) {
    return put_bytes(at, piece->text, piece->len);
}

static char *put_context(char *at, const struct weir_traffic_session *session, uint64_t person) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    const char *referrer =
        p->traits[WEIR_TRAFFIC_CHANNEL][session->segment[WEIR_TRAFFIC_CHANNEL]].text;
    if (session->step <= WEIR_STEP_LANDING && referrer[0]) {
        at = put(at, ",\"referrer\":\"");
        at = put_bytes(at, referrer, strlen(referrer));
        *at++ = '"';
    }
    /* the addresses that are kept for documentation: RFC 5737 */
    static const char *const nets[] = {"192.0.2.", "198.51.100.", "203.0.113."};
    const char *net = nets[(person >> 8) % 3];
    at = put(at, ",\"ip\":\"");
    at = put_bytes(at, net, strlen(net));
    at = put_number(at, person % 254 + 1);
    *at++ = '"';
    return at;
}

void weir_traffic_render(struct weir_traffic *traffic, const struct weir_traffic_session *session,
                         int64_t time_ms) {
    const struct weir_traffic_parameters *p = weir_traffic_parameters();
    uint64_t who = weir_traffic_mix(traffic->options.seed ^ weir_traffic_mix(session->number));
    uint64_t person = weir_traffic_mix(traffic->options.seed ^ VISITOR_ID_SALT ^
                                       weir_traffic_mix(session->visitor));
    uint64_t low = weir_traffic_mix(who + WEIR_TRAFFIC_GOLDEN);
    put_uuid(traffic->key, who, low);

    const char *type = weir_event_type_name((int)weir_traffic_step_type(session));
    WEIR_ASSERT(type != NULL);
    char *at = put(traffic->line, "{\"type\":\"");
    at = put_bytes(at, type, strlen(type));
    at = put(at, "\",\"time\":\"");
    at = put_time(at, traffic, time_ms);
    at = put(at, "\",\"session\":\"");
    at = put_bytes(at, traffic->key, WEIR_TRAFFIC_KEY_LEN);
    at = put(at, "\",\"visitor\":\"v-");
    at = put_hex(at, person, 16);
    at = put(at, "\",\"event_id\":\"");
    at = put_hex(at, low, 12); /* with its number within the session */
    at = put_hex(at, session->events, 4);
    *at++ = '"';
    if (session->step >= WEIR_STEP_ADD && session->step != WEIR_STEP_THANKS &&
        session->step != WEIR_STEP_END)
        at = put_order(at, session, who);
    for (int i = 0; i < WEIR_TRAFFIC_DIMENSIONS; i++)
        at = put_piece(at, &traffic->values[i][session->segment[i]]);
    at = put_url(at, session,
                 p->traits[WEIR_TRAFFIC_CATEGORY][session->segment[WEIR_TRAFFIC_CATEGORY]].name);
    at = put_context(at, session, person);
    at = put_piece(at, &traffic->agents[session->agent]);
    traffic->line_len = (size_t)(at - traffic->line);
    WEIR_ASSERT(traffic->line_len <= sizeof traffic->line);
}
