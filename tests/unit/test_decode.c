/* decode: limits, tombstones, sizes; what a data file cannot say. */
#include "test_decode.h"

static const struct weir_mapping_options own = {.preset = "weir"};

static char *repeat(const char *first, const char *text, size_t times, const char *last,
                    size_t *len) {
    size_t text_len = strlen(text);
    *len = strlen(first) + text_len * times + strlen(last);
    char *bytes = malloc(*len + 1), *at = stpcpy(bytes, first);
    for (size_t i = 0; i < times; i++, at += text_len)
        memcpy(at, text, text_len);
    memcpy(at, last, strlen(last) + 1);
    return bytes;
}

static void check_repeat(struct both *both, const char *first, const char *text, size_t times,
                         const char *last, enum weir_reason reason, size_t events) {
    size_t len;
    char *bytes = repeat(first, text, times, last, &len);
    CHECK(both_decode(both, bytes, len));
    CHECK_TEXT(weir_reason_name(both->fast.reason), weir_reason_name(reason));
    CHECK_INT(both->fast.len, events);
    free(bytes);
}

static void check_names(void) {
    for (int field = 0; field < WEIR_FIELDS; field++)
        CHECK_INT(weir_field_of(weir_field_name((enum weir_field)field)), field);
    CHECK_INT(weir_field_of("types"), -1);
    CHECK_INT(weir_field_of(""), -1);
    CHECK_TEXT(weir_field_name(WEIR_FIELD_USER_AGENT), "user_agent");
    struct weir_err err = {0};
    for (const char *const *name = weir_mapping_presets(); *name; name++) {
        struct both both;
        CHECK(both_open(&both, &(struct weir_mapping_options){.preset = *name}));
        both_close(&both);
    }
    CHECK_INT(weir_mapping_check_path("a.b[0][\"c.d\"].e[k=v].f", &err), 0);
    CHECK_INT(weir_mapping_check_path("a..b", &err), -WEIR_ERR_INPUT);
    weir_decoder_free(NULL);
    weir_mapping_free(NULL);
}

static void check_records(void) {
    struct both both;
    CHECK(both_open(&both, &own));
    CHECK(both_decode(&both, NULL, 0));
    CHECK_INT(both.fast.reason, WEIR_TOMBSTONE);
    CHECK_INT(both.ref.reason, WEIR_TOMBSTONE);
    CHECK_INT(both.fast.len, 0);
    CHECK(both_decode(&both, "", 0));
    CHECK_INT(both.fast.reason, WEIR_EMPTY);

    const char *event = "{\"type\":\"page_view\",\"time\":1700000000,\"session\":\"s\"},";
    const char *last = "{\"type\":\"page_view\",\"time\":1700000000,\"session\":\"s\"}]";
    check_repeat(&both, "[", event, WEIR_EVENTS_PER_RECORD_MAX - 1, last, WEIR_OK,
                 WEIR_EVENTS_PER_RECORD_MAX);
    check_repeat(&both, "[", event, WEIR_EVENTS_PER_RECORD_MAX, last, WEIR_TOO_MANY, 0);
    check_repeat(&both, "[", "{},", 20000, "{}]", WEIR_TOO_MANY, 0);
    check_repeat(&both, "[", "{},", 20000, "{\"type\":1,\"type\":1}]", WEIR_DUPLICATE_KEY, 0);
    check_repeat(&both, "[", "{},", 350000, "{}]", WEIR_TOO_LARGE, 0); /* 1 MB */
    check_repeat(&both, "", "[", 10000, "", WEIR_TOO_DEEP, 0);
    check_repeat(&both, "{\"x\":", "[{\"x\":", 5000, "1", WEIR_TOO_DEEP, 0);
    check_repeat(&both, "{\"time\":1,\"type\":\"", "\\\\", 30000, "\"}", WEIR_OK, 1);
    check_repeat(&both, "", " ", 65536, "", WEIR_EMPTY, 0);
    check_repeat(&both, "", " ", 65537, "", WEIR_TOO_LARGE, 0);
    check_repeat(&both, "", "{}", 1, "", WEIR_OK, 1); /* the decoder is as new */
    both_close(&both);
}

static void check_long_values(void) {
    struct both both;
    const struct weir_name_pair dimensions[] = {{"d", "d"}};
    CHECK(both_open(&both, &(struct weir_mapping_options){
                               .preset = "weir", .dimensions = dimensions, .dimensions_len = 1}));
    const char *first = "{\"type\":\"page_view\",\"time\":1700000000,\"session\":\"";
    check_repeat(&both, first, "s", WEIR_ID_MAX, "\"}", WEIR_OK, 1);
    CHECK_INT(both.fast.events[0].reason, WEIR_OK);
    CHECK_INT(both.fast.events[0].session.len, WEIR_ID_MAX);
    check_repeat(&both, first, "s", WEIR_ID_MAX + 1, "\"}", WEIR_OK, 1);
    CHECK_INT(both.fast.events[0].reason, WEIR_BAD_ID);
    CHECK(both.fast.events[0].session.data == NULL);
    check_repeat(&both, first, "\\u0041", WEIR_ID_MAX, "\"}", WEIR_OK, 1);
    CHECK_INT(both.fast.events[0].session.len, WEIR_ID_MAX);
    check_repeat(&both, first, "s", 65400, "\"}", WEIR_OK, 1); /* 64 KiB of session id */
    CHECK_INT(both.fast.events[0].reason, WEIR_BAD_ID);
    check_repeat(&both, first, "s", 65536, "\"}", WEIR_TOO_LARGE, 0);
    check_repeat(&both, "{\"type\":\"page_view\",\"time\":1700000000,\"session\":1,\"d\":\"", "x",
                 1000, "\"}", WEIR_OK, 1);
    CHECK_INT(both.fast.events[0].dimensions[0].len, 1000);
    check_repeat(&both,
                 "{\"type\":\"page_view\",\"time\":1700000000,\"session\":1,\"user_agent\":\"", "x",
                 9000, "\"}", WEIR_OK, 1);
    CHECK_INT(both.fast.events[0].user_agent.len, 9000);
    both_close(&both);
}

/* As many texts as can be: 1,000 events with joined ids and eight real numbers each. */
static void check_most_texts(void) {
    struct both both;
    struct weir_name_pair dimensions[WEIR_DIMENSIONS_MAX];
    for (size_t i = 0; i < WEIR_DIMENSIONS_MAX; i++)
        dimensions[i] = (struct weir_name_pair){"d", "d"};
    CHECK(both_open(&both, &(struct weir_mapping_options){.preset = "ga4",
                                                          .dimensions = dimensions,
                                                          .dimensions_len = WEIR_DIMENSIONS_MAX}));
    char first[600];
    snprintf(first, sizeof(first),
             "{\"timestamp\":1700000000,\"client_id\":\"%0250d\",\"d\":-1.2345678901234567e-300,"
             "\"events\":[",
             0);
    check_repeat(&both, first, "{\"name\":\"scroll\",\"ga_session_id\":12345},", 999,
                 "{\"name\":\"scroll\",\"ga_session_id\":12345}]}", WEIR_OK, 1000);
    CHECK_INT(both.fast.events[999].session.len, 256);
    CHECK_INT(both.fast.events[999].dimensions[7].len, 24);
    both_close(&both);
}

/* A mapping with more keys of one object than a word has bits. */
static void check_too_many_keys(void) {
    struct weir_name_pair dimensions[WEIR_DIMENSIONS_MAX];
    char paths[WEIR_DIMENSIONS_MAX][16];
    struct weir_mapping_options options = {.preset = "ga4", .dimensions = dimensions};
    const char *const own_keys[WEIR_FIELDS] = {"k0", "k1", "k2", "k3", "k4",
                                               "k5", "k6", "k7", "k8", "k9"};
    for (size_t i = 0; i < WEIR_DIMENSIONS_MAX; i++) {
        snprintf(paths[i], sizeof(paths[i]), "d%zu", i);
        dimensions[i] = (struct weir_name_pair){paths[i], paths[i]};
    }
    memcpy(options.fields, own_keys, sizeof(own_keys));
    options.dimensions_len = WEIR_DIMENSIONS_MAX;
    for (const char *const *name = weir_mapping_presets(); *name; name++) {
        struct both both;
        options.preset = *name;
        CHECK(both_open(&both, &options)); /* every preset leaves room for all of a config's */
        both_close(&both);
    }
}

/* Numbers of all sizes through both parsers: the same double, to the last bit. */
static void check_numbers(void) {
    struct both both;
    const struct weir_name_pair dimensions[] = {{"d", "d"}};
    CHECK(both_open(&both, &(struct weir_mapping_options){
                               .preset = "weir", .dimensions = dimensions, .dimensions_len = 1}));
    uint64_t seed = 88172645463325252u;
    size_t wrong = 0;
    for (int i = 0; i < 60000; i++) {
        char text[400], number[200];
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        double value;
        memcpy(&value, &seed, sizeof(value));
        if (value != value || value - value != 0)
            value = 0.1;
        switch (i % 4) {
        case 0:
            snprintf(number, sizeof(number), "%.17g", value);
            break;
        case 1:
            snprintf(number, sizeof(number), "%llu.%llu", (unsigned long long)(seed >> 40),
                     (unsigned long long)(seed & 0xffffffffff));
            break;
        case 2:
            snprintf(number, sizeof(number), "%lld", (long long)seed);
            break;
        default:
            snprintf(number, sizeof(number), "%llu.%02llu", (unsigned long long)(seed >> 50),
                     (unsigned long long)(seed % 100));
        }
        int len = snprintf(text, sizeof(text),
                           "{\"type\":\"purchase\",\"time\":1700000000,\"session\":\"s\","
                           "\"value\":%s%s,\"d\":%s}",
                           "1", strchr(number, 'e') ? "" : ".25", number);
        wrong += !both_decode(&both, text, (size_t)len) || both.ref.reason != WEIR_OK;
        char back[64] = "none";
        if (both.fast.len == 1 && both.fast.events[0].dimensions[0].len < sizeof(back))
            snprintf(back, sizeof(back), "%.*s", (int)both.fast.events[0].dimensions[0].len,
                     both.fast.events[0].dimensions[0].data);
        wrong += strtod(back, NULL) != strtod(number, NULL);
    }
    CHECK_INT(wrong, 0);
    both_close(&both);
}

int main(void) {
    check_names();
    check_records();
    check_long_values();
    check_most_texts();
    check_too_many_keys();
    check_numbers();
    return check_done("decode");
}
