/* Seeded damage: records cut, flipped, spliced, with keys doubled and brackets swapped, through
 * every preset and both parsers. Whatever one of them says, the other has to agree. */
#include "test_decode.h"

#define ROUNDS 40000 /* for each preset */
#define SEEDS 12

struct preset_seeds {
    const char *preset;
    const char *seeds[SEEDS];
};

static const struct preset_seeds presets[] = {
    {"weir",
     {"{\"type\":\"purchase\",\"time\":\"2023-11-14T22:13:20.5Z\",\"session\":\"s-1\",\"visitor\":"
      "42,\"event_id\":\"e\",\"order_id\":\"o\",\"value\":12.5,\"currency\":\"USD\",\"quantity\":2,"
      "\"user_agent\":\"Mozilla/5.0\",\"geo\":{\"country\":\"DE\",\"city\":\"K\\u00f6ln\"}}",
      "[{\"type\":\"page_view\",\"time\":1700000000,\"session\":\"a\"},{\"type\":\"add_to_cart\","
      "\"time\":1700000001.5,\"visitor\":\"b\",\"geo\":{\"country\":null}},{}]",
      "{\"x\":[[1,2,{\"y\":[true,false,null]}]],\"t\\u0079pe\":\"refund\",\"time\":"
      "1700000000000000,"
      "\"session\":\"\\ud83d\\ude00\",\"value\":\"1e2\",\"geo\":{\"country\":7.25}}",
      "{\"type\":\"ad_cost\",\"time\":\"2019-10-01 00:00:00 UTC\",\"value\":0.1,\"items\":[{\"k\":"
      "\"a\",\"v\":1},{\"k\":\"b\",\"v\":\"two\"}],\"list\":[0,[1,2]]}"}},
    {"ga4",
     {"{\"client_id\":\"c.1\",\"timestamp_micros\":\"1700000000123456\",\"events\":[{\"name\":"
      "\"purchase\",\"params\":{\"session_id\":7,\"transaction_id\":\"T\",\"value\":5,\"currency\":"
      "\"EUR\",\"items\":[{\"quantity\":2}]}},{\"name\":\"scroll\"}]}",
      "{\"timestamp\":\"2023-08-08T08:03:16.128829759Z\",\"ua\":null,\"data\":\"[{\\\"event_"
      "name\\\":"
      "\\\"page_view\\\",\\\"client_id\\\":\\\"c\\\",\\\"ga_session_id\\\":\\\"9\\\",\\\"n\\\":"
      "\\\"\\\\u00e9\\\"}]\",\"platform\":\"WEB\"}",
      "{\"event_timestamp\":\"1617691790431476\",\"event_name\":\"first_visit\",\"event_params\":[{"
      "\"key\":\"ga_session_id\",\"value\":{\"string_value\":null,\"int_value\":\"16\"}},{"
      "\"value\":"
      "{\"string_value\":\"USD\"},\"key\":\"currency\"}],\"client_id\":\"11.22\",\"ecommerce\":"
      "null,"
      "\"items\":[],\"geo\":{\"country\":\"Vietnam\"}}",
      "{\"timestamp\":1700000000,\"data\":{\"event_type\":\"_scroll\",\"attributes\":{"
      "\"_session_id\":\"s\"}}}"}},
    {"segment",
     {"{\"type\":\"track\",\"event\":\"Order Completed\",\"messageId\":\"m\",\"anonymousId\":\"a\","
      "\"timestamp\":\"2023-11-14T22:13:20.000Z\",\"context\":{\"sessionId\":\"s\",\"userAgent\":"
      "\"UA\"},\"properties\":{\"order_id\":\"o\",\"revenue\":22.5,\"currency\":\"usd\"}}",
      "{\"batch\":[{\"type\":\"page\",\"userId\":\"u\"},{\"type\":\"track\",\"event\":\"Product "
      "Added\",\"timestamp\":1700000000,\"properties\":{\"price\":1.99,\"quantity\":3}}],"
      "\"sentAt\":"
      "\"2023-11-14T22:13:20Z\",\"anonymousId\":\"a\"}"}},
    {"snowplow",
     {"{\"id\":\"i\",\"type\":\"transaction\",\"timestamp\":\"2025-04-04T14:33:39.968Z\","
      "\"payload\":"
      "{\"transaction\":{\"transaction_id\":\"t\",\"revenue\":230,\"currency\":\"EUR\"}},"
      "\"enrich\":"
      "{\"user\":{\"domain_userid\":\"d\"},\"client\":{\"useragent\":\"UA\"}},\"session\":{"
      "\"sessionId\":\"s\"}}",
      "{\"event_name\":\"page_view\",\"derived_tstamp\":\"2023-11-14 22:13:20.125\","
      "\"domain_sessionid\":\"s\",\"contexts_com_snowplowanalytics_snowplow_client_session_1\":[{"
      "\"sessionId\":\"x\"}]}"}},
    {"rees46",
     {"{\"event_time\":\"2019-10-01 00:00:00 UTC\",\"event_type\":\"view\",\"product_id\":44600062,"
      "\"category_id\":2103807459595387724,\"category_code\":null,\"brand\":\"shiseido\",\"price\":"
      "35.79,\"user_id\":541312140,\"user_session\":\"72d76fde-8bb3-4e00-8c23-a032dfed738c\"}"}},
    {"otto",
     {"{\"session\":0,\"aid\":1517085,\"ts\":1659304800025,\"type\":\"clicks\"}",
      "{\"session\":12,\"events\":[{\"aid\":1,\"ts\":1659304800025,\"type\":\"clicks\"},{\"aid\":1,"
      "\"ts\":1659304950000,\"type\":\"orders\"}]}"}},
};

struct text {
    char bytes[4096];
    size_t len;
};

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t below(uint64_t *seed, size_t end) {
    return end == 0 ? 0 : (size_t)(next(seed) >> 11) % end;
}

static void insert(struct text *text, size_t at, const char *bytes, size_t len) {
    if (text->len + len > sizeof(text->bytes))
        return;
    memmove(text->bytes + at + len, text->bytes + at, text->len - at);
    memcpy(text->bytes + at, bytes, len);
    text->len += len;
}

static void cut(struct text *text, size_t at, size_t len) {
    len = len > text->len - at ? text->len - at : len;
    memmove(text->bytes + at, text->bytes + at + len, text->len - at - len);
    text->len -= len;
}

/* A member `"key":value,` from one place of the text into another: mostly still JSON. */
static void double_member(struct text *text, uint64_t *seed) {
    size_t start = below(seed, text->len), end;
    while (start < text->len && text->bytes[start] != ',' && text->bytes[start] != '{')
        start++;
    for (end = start + 1; end < text->len && text->bytes[end] != ','; end++)
        if (strchr("{}[]", text->bytes[end]))
            return;
    if (end >= text->len)
        return;
    char member[4096];
    size_t len = end - start;
    memcpy(member, text->bytes + start + 1, len);
    size_t at = below(seed, text->len);
    while (at < text->len && text->bytes[at] != ',' && text->bytes[at] != '{')
        at++;
    if (at < text->len)
        insert(text, at + 1, member, len);
}

static void mutate(struct text *text, const struct text *other, uint64_t *seed) {
    static const char *const words[] = {"\"",          "\\",      "{",
                                        "}",           "[",       "]",
                                        ",",           ":",       "null",
                                        "true",        "1e400",   "-1",
                                        "\\u0000",     "\\ud800", "0",
                                        "\"\"",        "[]",      "{}",
                                        " ",           "\n",      "99999999999999999999",
                                        "1.5",         "\xc3",    "\xff",
                                        "\\n",         "false",   "\"x\":1,",
                                        "-0",          "e5",      "\"type\":\"x\",",
                                        "\"time\":1,", "{\"a\":", "[[[[[[[[[[[[[[[["};
    size_t at = below(seed, text->len);
    switch (next(seed) % 9) {
    case 0:
        text->len = at;
        break;
    case 1:
        if (text->len)
            text->bytes[at] ^= (char)(1u << below(seed, 8));
        break;
    case 2:
        cut(text, at, 1 + below(seed, 12));
        break;
    case 3: {
        size_t from = below(seed, other->len);
        insert(text, at, other->bytes + from, below(seed, other->len - from) % 80);
        break;
    }
    case 4:
    case 5: {
        const char *word = words[below(seed, sizeof(words) / sizeof(words[0]))];
        insert(text, at, word, strlen(word));
        break;
    }
    case 6:
        if (text->len)
            text->bytes[at] = (char)next(seed);
        break;
    default:
        double_member(text, seed);
    }
}

static void load(struct text *text, const char *seed) {
    text->len = strlen(seed);
    memcpy(text->bytes, seed, text->len);
}

struct outcome {
    size_t differ, good, whole, skipped; /* skipped: jansson alone rejects the record */
    size_t reasons[WEIR_REASONS];
};

static void run(const struct preset_seeds *preset, struct both *both, uint64_t *seed,
                struct outcome *outcome) {
    size_t seeds = 0;
    while (seeds < SEEDS && preset->seeds[seeds])
        seeds++;
    for (int round = 0; round < ROUNDS; round++) {
        struct text text, other;
        load(&text, preset->seeds[below(seed, seeds)]);
        load(&other, preset->seeds[below(seed, seeds)]);
        for (size_t i = 1 + below(seed, 3); i > 0; i--)
            mutate(&text, &other, seed);
        outcome->differ += !both_decode(both, text.bytes, text.len);
        outcome->skipped += both->fast.reason == WEIR_OK && both->ref.reason == WEIR_BAD_JSON;
        outcome->whole += both->fast.reason != WEIR_OK;
        outcome->reasons[both->fast.reason]++;
        for (size_t i = 0; i < both->fast.len; i++)
            outcome->good += both->fast.events[i].reason == WEIR_OK;
    }
}

int main(void) {
    const struct weir_name_pair dimensions[] = {{"country", "geo.country"},
                                                {"a", "items[k=a].v"},
                                                {"b", "items[k=b].v"},
                                                {"c", "list[1][0]"}};
    const struct weir_name_pair lists_by_index[] = {{"country", "geo.country"},
                                                    {"c", "list[1][0]"}};
    const struct weir_currency_rate rates[] = {{"USD", 0.92}};
    const char *const custom[] = {"ad_cost"};
    uint64_t seed = 0x9e3779b97f4a7c15u;
    struct outcome all = {0};
    size_t runs = 0;
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        struct both both;
        bool ga4 = strcmp(presets[i].preset, "ga4") == 0; /* it reads items by index itself */
        struct weir_mapping_options options = {.preset = presets[i].preset,
                                               .dimensions = ga4 ? lists_by_index : dimensions,
                                               .dimensions_len = ga4 ? 2 : 4,
                                               .custom_types = custom,
                                               .custom_types_len = 1,
                                               .currency_to = "EUR",
                                               .rates = rates,
                                               .rates_len = 1};
        struct outcome one = {0};
        CHECK(both_open(&both, &options));
        run(&presets[i], &both, &seed, &one);
        CHECK_INT(one.differ, 0);
        CHECK(one.good > ROUNDS / 10);  /* the damage is not so heavy that nothing gets through */
        CHECK(one.whole > ROUNDS / 10); /* nor so light that all of it does */
        all.skipped += one.skipped;
        for (int reason = 0; reason < WEIR_REASONS; reason++)
            all.reasons[reason] += one.reasons[reason];
        runs += ROUNDS;
        both_close(&both);
    }
    CHECK(all.reasons[WEIR_BAD_JSON] > 1000 && all.reasons[WEIR_DUPLICATE_KEY] > 1000);
    CHECK(all.reasons[WEIR_TOO_DEEP] > 100 && all.reasons[WEIR_EMPTY] > 10);
    printf("%zu mutations: %zu bad_json, %zu duplicate_key, %zu too_deep; jansson alone rejects "
           "%zu\n",
           runs, all.reasons[WEIR_BAD_JSON], all.reasons[WEIR_DUPLICATE_KEY],
           all.reasons[WEIR_TOO_DEEP], all.skipped);
    return check_done("decode_mutations");
}
