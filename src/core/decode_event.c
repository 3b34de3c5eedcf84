#include "core/decode_event.h"

#include <math.h>
#include <string.h>

#include "core/decode_simd.h"
#include "core/decode_text.h"

static enum weir_reason build_type(const struct weir_mapping *mapping,
                                   const struct weir_scalar *from, int *type) {
    if (!from || (from->kind != WEIR_SCALAR_STRING && from->kind != WEIR_SCALAR_INT))
        return WEIR_NO_TYPE;
    int32_t known = weir_keys_find(&mapping->types, from->data, from->len);
    *type = known >= 0 ? known : WEIR_UNKNOWN_TYPE;
    return WEIR_OK;
}

static enum weir_reason build_time(const struct weir_scalar *from, int64_t *time_ms) {
    int rc = -1;
    if (!from)
        return WEIR_NO_TIME;
    if (from->kind == WEIR_SCALAR_STRING)
        rc = weir_time_parse(from->data, from->len, time_ms);
    else if (from->kind == WEIR_SCALAR_INT)
        rc = weir_time_of_int(from->number.whole, time_ms);
    else if (from->kind == WEIR_SCALAR_REAL)
        rc = weir_time_of_real(from->number.real, time_ms);
    return rc == 0 ? WEIR_OK : WEIR_BAD_TIME;
}

static enum weir_reason build_id(const struct weir_scalar *from, struct weir_str *id) {
    *id = (struct weir_str){0};
    if (!from)
        return WEIR_OK;
    if ((from->kind != WEIR_SCALAR_STRING && from->kind != WEIR_SCALAR_INT) ||
        from->len > WEIR_ID_MAX)
        return WEIR_BAD_ID;
    *id = (struct weir_str){from->data, from->len};
    return WEIR_OK;
}

static char *take_text(struct weir_texts *texts, size_t len) {
    WEIR_ASSERT(len <= texts->max - texts->len);
    char *text = texts->bytes + texts->len;
    texts->len += len;
    return text;
}

/* GA4's ga_session_id is the second in which the session began: two clients share it often. */
static enum weir_reason join_client(const struct weir_scalar *from, struct weir_texts *texts,
                                    struct weir_str *session) {
    struct weir_str client;
    enum weir_reason reason = build_id(from, &client);
    if (reason != WEIR_OK || !client.data)
        return reason;
    size_t len = (size_t)client.len + 1 + session->len;
    if (len > WEIR_ID_MAX)
        return WEIR_BAD_ID;
    char *text = take_text(texts, len);
    memcpy(text, client.data, client.len);
    text[client.len] = '.';
    memcpy(text + client.len + 1, session->data, session->len);
    *session = (struct weir_str){text, (uint32_t)len};
    return WEIR_OK;
}

static enum weir_reason build_ids(const struct weir_mapping *mapping,
                                  const struct weir_picked *picked, struct weir_texts *texts,
                                  struct weir_event *event) {
    struct weir_scalar *const *fields = picked->fields;
    if (!fields[WEIR_FIELD_SESSION] && !fields[WEIR_FIELD_VISITOR] &&
        event->type < WEIR_CUSTOM_TYPE_FIRST)
        return WEIR_NO_SESSION;
    if (build_id(fields[WEIR_FIELD_SESSION], &event->session) != WEIR_OK ||
        build_id(fields[WEIR_FIELD_VISITOR], &event->visitor) != WEIR_OK ||
        build_id(fields[WEIR_FIELD_EVENT_ID], &event->event_id) != WEIR_OK ||
        build_id(fields[WEIR_FIELD_ORDER_ID], &event->order_id) != WEIR_OK)
        return WEIR_BAD_ID;
    if (mapping->session_of_client && event->session.data)
        return join_client(fields[WEIR_FIELD_CLIENT], texts, &event->session);
    return WEIR_OK;
}

/* A number, or a string that is one; not negative. */
static int amount_of(const struct weir_scalar *from, double *amount) {
    enum weir_number kind = WEIR_NUMBER_NONE;
    int64_t whole = 0;
    if (from->kind == WEIR_SCALAR_STRING) {
        kind = weir_number_parse(from->data, from->len, &whole, amount);
    } else if (from->kind == WEIR_SCALAR_INT) {
        kind = WEIR_NUMBER_INT;
        whole = from->number.whole;
    } else if (from->kind == WEIR_SCALAR_REAL) {
        kind = WEIR_NUMBER_REAL;
        *amount = from->number.real;
    }
    if (kind == WEIR_NUMBER_INT)
        *amount = (double)whole;
    return kind != WEIR_NUMBER_NONE && isfinite(*amount) && *amount >= 0 ? 0 : -1;
}

static int rate_of(const struct weir_mapping *mapping, const struct weir_scalar *currency,
                   double *rate) {
    *rate = 1.0;
    if (mapping->currencies_len == 0 || !currency)
        return 0;
    uint64_t code = currency->kind == WEIR_SCALAR_STRING
                        ? weir_currency_code(currency->data, currency->len)
                        : 0;
    for (uint32_t i = 0; code != 0 && i < mapping->currencies_len; i++)
        if (mapping->currencies[i].code == code) {
            *rate = mapping->currencies[i].rate;
            return 0;
        }
    return -1;
}

/* As llround, without a call: at most 1e15, the rest after the point is exact. */
static int64_t micros_of(double amount) {
    double micros = amount * WEIR_MICROS;
    int64_t whole = (int64_t)micros;
    return whole + (micros - (double)whole >= 0.5 ? 1 : 0);
}

static enum weir_reason build_value(const struct weir_mapping *mapping,
                                    const struct weir_scalar *from,
                                    const struct weir_scalar *currency, int64_t *value_micros) {
    double amount, rate;
    *value_micros = 0;
    if (!from)
        return WEIR_OK;
    if (amount_of(from, &amount) != 0)
        return WEIR_BAD_VALUE;
    if (amount == 0)
        return WEIR_OK;
    if (rate_of(mapping, currency, &rate) != 0)
        return WEIR_BAD_CURRENCY;
    amount *= rate;
    if (!(amount <= WEIR_VALUE_MAX))
        return WEIR_BAD_VALUE;
    *value_micros = micros_of(amount);
    return WEIR_OK;
}

static enum weir_reason build_quantity(const struct weir_scalar *from, int64_t *quantity_micros) {
    double amount;
    *quantity_micros = WEIR_MICROS;
    if (!from)
        return WEIR_OK;
    if (amount_of(from, &amount) != 0 || amount > WEIR_QUANTITY_MAX)
        return WEIR_BAD_QUANTITY;
    *quantity_micros = micros_of(amount);
    return WEIR_OK;
}

static struct weir_str build_dimension(const struct weir_scalar *from, struct weir_texts *texts) {
    if (!from || from->kind == WEIR_SCALAR_NESTED)
        return (struct weir_str){0};
    if (from->kind != WEIR_SCALAR_REAL)
        return (struct weir_str){from->data, from->len};
    char text[WEIR_REAL_TEXT_MAX];
    size_t len = weir_real_text(text, sizeof(text), from->number.real);
    char *kept = take_text(texts, len);
    memcpy(kept, text, len);
    return (struct weir_str){kept, (uint32_t)len};
}

void weir_event_build(const struct weir_mapping *mapping, const struct weir_picked *picked,
                      struct weir_texts *texts, struct weir_event *event) {
    struct weir_scalar *const *fields = picked->fields;
    enum weir_reason reason = build_type(mapping, fields[WEIR_FIELD_TYPE], &event->type);
    if (reason == WEIR_OK)
        reason = build_time(fields[WEIR_FIELD_TIME], &event->time_ms);
    if (reason == WEIR_OK)
        reason = build_ids(mapping, picked, texts, event);
    if (reason == WEIR_OK)
        reason = build_value(mapping, fields[WEIR_FIELD_VALUE], fields[WEIR_FIELD_CURRENCY],
                             &event->value_micros);
    if (reason == WEIR_OK)
        reason = build_quantity(fields[WEIR_FIELD_QUANTITY], &event->quantity_micros);
    if (reason != WEIR_OK) {
        *event = (struct weir_event){.type = WEIR_UNKNOWN_TYPE, .reason = reason};
        return;
    }
    event->reason = WEIR_OK;
    const struct weir_scalar *agent = fields[WEIR_FIELD_USER_AGENT];
    event->user_agent = agent && agent->kind == WEIR_SCALAR_STRING
                            ? (struct weir_str){agent->data, agent->len}
                            : (struct weir_str){0};
    for (uint32_t i = 0; i < mapping->dimensions_len; i++)
        event->dimensions[i] = build_dimension(picked->dimensions[i], texts);
}
