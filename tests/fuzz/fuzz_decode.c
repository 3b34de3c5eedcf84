/* libFuzzer: any bytes through every preset and both parsers. The first byte picks the preset.
 *
 *     fuzz_decode tests/fuzz/seeds/decode -max_len=8192
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "weir/decode.h"

#define PRESETS 6

struct pair {
    struct weir_mapping *mapping;
    struct weir_decoder *decoder, *reference;
};

static int same_str(struct weir_str a, struct weir_str b) {
    return a.len == b.len && !a.data == !b.data &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static void expect_same(const struct weir_event *a, const struct weir_event *b) {
    WEIR_ASSERT(a->reason == b->reason && a->type == b->type && a->time_ms == b->time_ms);
    WEIR_ASSERT(a->value_micros == b->value_micros && a->quantity_micros == b->quantity_micros);
    WEIR_ASSERT(same_str(a->session, b->session) && same_str(a->visitor, b->visitor));
    WEIR_ASSERT(same_str(a->event_id, b->event_id) && same_str(a->order_id, b->order_id));
    WEIR_ASSERT(same_str(a->user_agent, b->user_agent));
    for (int i = 0; i < WEIR_DIMENSIONS_MAX; i++)
        WEIR_ASSERT(same_str(a->dimensions[i], b->dimensions[i]));
}

static void open_pair(struct pair *pair, const char *preset) {
    const struct weir_name_pair dimensions[] = {{"country", "geo.country"},
                                                {"params", "parameters[key=a].value"},
                                                {"odd", "[\"my.key\"].list[1]"}};
    const struct weir_currency_rate rates[] = {{"USD", 0.92}};
    const char *const custom[] = {"ad_cost"};
    const struct weir_mapping_options options = {.preset = preset,
                                                 .dimensions = dimensions,
                                                 .dimensions_len = 3,
                                                 .custom_types = custom,
                                                 .custom_types_len = 1,
                                                 .currency_to = "EUR",
                                                 .rates = rates,
                                                 .rates_len = 1};
    struct weir_err err;
    WEIR_ASSERT(weir_mapping_new(&pair->mapping, &options, &err) == 0);
    pair->decoder = weir_decoder_new(pair->mapping, 1);
    pair->reference = weir_decoder_new(pair->mapping, 1);
    WEIR_ASSERT(pair->decoder && pair->reference);
}

static void try_path(const char *bytes, size_t len) {
    char text[64];
    struct weir_err err;
    len = len < sizeof(text) - 1 ? len : sizeof(text) - 1;
    memcpy(text, bytes, len);
    text[len] = 0;
    weir_mapping_check_path(text, &err);
}

static bool is_utf8(const char *bytes, size_t len) {
    json_t *json = json_stringn(bytes, len);
    json_decref(json);
    return json != NULL;
}

/* Strings and brackets close, without a look at the brackets' kind, and nothing comes behind. */
static bool is_closed(const char *bytes, size_t len) {
    bool in_string = false, begun = false;
    size_t open = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (in_string) {
            if (c < 0x20)
                return false;
            in_string = c != '"';
            i += c == '\\';
            continue;
        }
        if (begun && open == 0 && (c == 0 || !strchr(" \t\r\n", c)))
            return false;
        if (c == '\\' && i + 1 < len && (bytes[i + 1] == '"' || bytes[i + 1] == '\\')) {
            i++; /* in a word: no string begins there */
            continue;
        }
        in_string = c == '"';
        if (c == '{' || c == '[')
            open++;
        if ((c == '}' || c == ']') && open-- == 0)
            return false;
        begun |= open > 0;
    }
    return begun && open == 0 && !in_string;
}

static void expect_utf8(const struct weir_event *event) {
    const struct weir_str taken[] = {event->session, event->visitor, event->event_id,
                                     event->order_id, event->user_agent};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        WEIR_ASSERT(!taken[i].data || is_utf8(taken[i].data, taken[i].len));
    for (int i = 0; i < WEIR_DIMENSIONS_MAX; i++)
        WEIR_ASSERT(!event->dimensions[i].data ||
                    is_utf8(event->dimensions[i].data, event->dimensions[i].len));
}

/* What decode.h promises of every record: both reject these faults, wherever they are. */
static void expect_rejected(const char *bytes, size_t len, const struct weir_decoded *fast,
                            const struct weir_decoded *ref) {
    if (!is_utf8(bytes, len) || !is_closed(bytes, len))
        WEIR_ASSERT(fast->reason != WEIR_OK && ref->reason != WEIR_OK);
    for (size_t i = 0; i < fast->len; i++)
        expect_utf8(&fast->events[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct pair pairs[PRESETS];
    struct weir_decoded fast, ref;
    if (!pairs[0].mapping)
        for (size_t i = 0; i < PRESETS; i++)
            open_pair(&pairs[i], weir_mapping_presets()[i]);
    if (size == 0)
        return 0;
    const struct pair *pair = &pairs[data[0] % PRESETS];
    const char *bytes = (const char *)data + 1;
    int64_t time_ms;
    try_path(bytes, size - 1);
    if (weir_time_parse(bytes, size - 1, &time_ms) == 0)
        WEIR_ASSERT(time_ms >= WEIR_TIME_MIN_MS && time_ms <= WEIR_TIME_MAX_MS);
    weir_decode(pair->decoder, bytes, size - 1, &fast);
    weir_decode_reference(pair->reference, bytes, size - 1, &ref);
    expect_rejected(bytes, size - 1, &fast, &ref);
    if (ref.reason == WEIR_BAD_JSON)
        return 0; /* where only jansson sees a fault, decode.h leaves it open */
    WEIR_ASSERT(fast.reason == ref.reason && fast.len == ref.len);
    for (size_t i = 0; i < fast.len; i++)
        expect_same(&fast.events[i], &ref.events[i]);
    return 0;
}
