/* Silences: matchers as people write them, matching, JSON and back, a group's hash. */
#include "app/silence.h"

#include <stdlib.h>

#include "check.h"

/* A label of a test: never written to. */
static struct weir_label a_label(const char *name, const char *value) {
    return (struct weir_label){(char *)(uintptr_t)name, (char *)(uintptr_t)value};
}

static void test_matchers(void) {
    static const struct {
        const char *text;
        const char *label, *value; /* label NULL: refused */
        bool equal;
        const char *why; /* in the refusal */
    } cases[] = {
        {"country=DE", "country", "DE", true, NULL},
        {"country!=", "country", "", false, NULL},
        {"a=b=c", "a", "b=c", true, NULL},
        {"a=\"b c\"", "a", "b c", true, NULL},
        {"a=\"", "a", "\"", true, NULL},
        {"_a1=\xc3\xa4", "_a1", "\xc3\xa4", true, NULL},
        {"country", NULL, NULL, true, "not a matcher"},
        {"", NULL, NULL, true, "not a matcher"},
        {"=DE", NULL, NULL, true, "label's name"},
        {"!=DE", NULL, NULL, true, "label's name"},
        {"1a=DE", NULL, NULL, true, "label's name"},
        {"a b=DE", NULL, NULL, true, "label's name"},
        {"a!!=DE", NULL, NULL, true, "label's name"},
        {"geo.country=DE", NULL, NULL, true, "label's name"},
        {"a=~DE|FR", NULL, NULL, true, "patterns are not known"},
        {"a!~DE=", NULL, NULL, true, "label's name"},
        {"a~=DE", NULL, NULL, true, "patterns are not known"},
        {"country!=DE", NULL, NULL, true, "nearly all"},
        {"country=", NULL, NULL, true, "nearly all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_silence silence = {0};
        struct weir_err err = {0};
        int result = weir_silence_take_matchers(&silence, &cases[i].text, 1, &err);
        CHECK_INT(result, cases[i].label ? 0 : -WEIR_ERR_INPUT);
        if (cases[i].label && silence.matchers_len == 1) {
            CHECK_TEXT(silence.matchers[0].label, cases[i].label);
            CHECK_TEXT(silence.matchers[0].value, cases[i].value);
            CHECK_INT(silence.matchers[0].equal, cases[i].equal);
        } else if (!strstr(err.text, cases[i].why ? cases[i].why : "?")) {
            printf("`%s`: %s\n", cases[i].text, err.text);
            CHECK(!"the refusal says why");
        }
        weir_silence_close(&silence);
    }
}

static void test_limits(void) {
    const char *many[WEIR_SILENCE_MATCHERS_MAX + 1];
    struct weir_silence silence = {0};
    struct weir_err err = {0};
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        many[i] = "a=b";
    CHECK_INT(weir_silence_take_matchers(&silence, many, 0, &err), -WEIR_ERR_INPUT);
    CHECK_INT(weir_silence_take_matchers(&silence, many, WEIR_SILENCE_MATCHERS_MAX + 1, &err),
              -WEIR_ERR_INPUT);
    CHECK_INT(weir_silence_take_matchers(&silence, many, WEIR_SILENCE_MATCHERS_MAX, &err), 0);
    weir_silence_close(&silence);
    char text[WEIR_SILENCE_TEXT_MAX + 4] = "a=";
    memset(text + 2, 'x', WEIR_SILENCE_TEXT_MAX + 1);
    CHECK_INT(weir_silence_take_matchers(&silence, (const char *[]){text}, 1, &err),
              -WEIR_ERR_INPUT);
    weir_silence_close(&silence);
    text[WEIR_SILENCE_TEXT_MAX + 2] = 0;
    CHECK_INT(weir_silence_take_matchers(&silence, (const char *[]){text}, 1, &err), 0);
    weir_silence_close(&silence);
    const char *good_then_bad[] = {"a=b", "nonsense"};
    CHECK_INT(weir_silence_take_matchers(&silence, good_then_bad, 2, &err), -WEIR_ERR_INPUT);
    weir_silence_close(&silence);
}

static void test_matching(void) {
    const struct weir_label labels[] = {a_label("alertname", "ConversionDown"),
                                        a_label("country", "DE"), a_label("severity", "page")};
    static const struct {
        const char *matchers[3];
        bool holds;
    } cases[] = {
        {{"country=DE", NULL, NULL}, true},
        {{"country=de", NULL, NULL}, false},
        {{"country=D", NULL, NULL}, false},
        {{"country=DE", "severity=page", NULL}, true},
        {{"country=DE", "severity=info", NULL}, false},
        {{"country=DE", "severity!=info", NULL}, true},
        {{"country=DE", "severity!=page", NULL}, false},
        {{"country=DE", "device=", NULL}, true}, /* no such label: empty */
        {{"country=DE", "device!=mobile", NULL}, true},
        {{"device=mobile", NULL, NULL}, false},
        {{"device!=", NULL, NULL}, false},
        {{"country!=", "alertname=ConversionDown", NULL}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_silence silence = {0};
        struct weir_err err = {0};
        size_t len = 0;
        while (len < 3 && cases[i].matchers[len])
            len++;
        CHECK_INT(weir_silence_take_matchers(&silence, cases[i].matchers, len, &err), 0);
        CHECK_INT(weir_silence_matches(&silence, labels, 3), cases[i].holds);
        CHECK(!weir_silence_matches(&silence, labels, 0) || !cases[i].holds);
        weir_silence_close(&silence);
    }
    CHECK(!weir_silence_matches(&(struct weir_silence){0}, labels, 3));
}

static char *copy(const char *text) {
    char *bytes = strdup(text);
    if (!bytes)
        exit(1);
    return bytes;
}

static struct weir_silence a_silence(const char *id, int64_t expires_ms) {
    struct weir_silence silence = {.id = copy(id),
                                   .comment = copy("a \"comment\" \xc3\xa4"),
                                   .created_by = copy("ann"),
                                   .created_ms = 1000,
                                   .expires_ms = expires_ms};
    struct weir_err err = {0};
    const char *matchers[] = {"country=DE", "severity!=in fo"};
    CHECK_INT(weir_silence_take_matchers(&silence, matchers, 2, &err), 0);
    return silence;
}

static void test_json(void) {
    struct weir_silence silence = a_silence("f00d", 2000), again;
    struct weir_err err = {0};
    char *text = weir_silence_json(&silence);
    CHECK(text != NULL);
    CHECK_INT(weir_silence_parse(&again, text, strlen(text), &err), 0);
    CHECK_TEXT(again.id, "f00d");
    CHECK_TEXT(again.comment, silence.comment);
    CHECK_TEXT(again.created_by, "ann");
    CHECK_INT(again.created_ms, 1000);
    CHECK_INT(again.expires_ms, 2000);
    char shown[64];
    weir_silence_describe(&again, shown, sizeof shown);
    CHECK_TEXT(shown, "country=DE severity!=in fo");
    weir_silence_describe(&again, shown, 8);
    CHECK_TEXT(shown, "country");
    /* every cut of the text, and every byte that is another one: refused or taken, no crash */
    for (size_t len = 0; len < strlen(text); len++)
        CHECK_INT(weir_silence_parse(&(struct weir_silence){0}, text, len, &err), -WEIR_ERR_INPUT);
    for (size_t at = 0; at < strlen(text); at++) {
        struct weir_silence other = {0};
        char *damaged = copy(text);
        damaged[at] = (char)(damaged[at] ^ 0x15);
        if (weir_silence_parse(&other, damaged, strlen(damaged), &err) == 0)
            weir_silence_close(&other);
        free(damaged);
    }
    free(text);
    free(silence.comment);
    silence.comment = copy("not UTF-8: \xff");
    CHECK(weir_silence_json(&silence) == NULL);
    weir_silence_close(&silence);
    weir_silence_close(&again);
}

static struct weir_reply text_reply(char *text) {
    return (struct weir_reply){.type = WEIR_REPLY_TEXT, .text = text, .len = strlen(text)};
}

static void test_set(void) {
    struct weir_silence late = a_silence("late", 9000), soon = a_silence("soon", 2000);
    char *late_json = weir_silence_json(&late), *soon_json = weir_silence_json(&soon);
    char damaged[] = "{\"id\":\"x\"}", id[] = "id";
    struct weir_reply key = text_reply(id), values[] = {text_reply(soon_json), text_reply(damaged),
                                                        text_reply(late_json)};
    struct weir_reply *items[] = {&key, &values[0], &key, &values[1], &key, &values[2]};
    struct weir_reply hash = {.type = WEIR_REPLY_ARRAY, .items = items, .items_len = 6};
    const struct weir_label labels[] = {a_label("country", "DE")};
    struct weir_silences set;
    CHECK_INT(weir_silences_load(&set, &hash, 1999), 1);
    CHECK_INT(set.len, 2);
    CHECK_TEXT(weir_silences_find(&set, labels, 1), "soon");
    CHECK(weir_silences_find(&set, labels, 0) == NULL);
    weir_silences_close(&set);
    CHECK_INT(weir_silences_load(&set, &hash, 2000), 1);
    CHECK_TEXT(weir_silences_find(&set, labels, 1), "late");
    weir_silences_close(&set);
    CHECK_INT(weir_silences_load(&set, &hash, 9000), 1);
    CHECK(weir_silences_find(&set, labels, 1) == NULL);
    weir_silences_close(&set);
    hash.items_len = 0;
    CHECK_INT(weir_silences_load(&set, &hash, 0), 0);
    weir_silences_close(&set);
    CHECK_INT(weir_silences_load(&set, &values[0], 0), -1);
    CHECK(weir_silences_find(&set, labels, 1) == NULL);
    weir_silences_close(&set);
    free(late_json);
    free(soon_json);
    weir_silence_close(&late);
    weir_silence_close(&soon);
}

int main(void) {
    test_matchers();
    test_limits();
    test_matching();
    test_json();
    test_set();
    return check_done("silence");
}
