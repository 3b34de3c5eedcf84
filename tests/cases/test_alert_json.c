/* An alert as JSON: texts of any length are whole or cut between characters, what is said of a
 * counter, of a ratio, and of a sample without a verdict. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "app/evaluator_state.h"
#include "check.h"

#define E_ACUTE "\xc3\xa9"
#define EURO "\xe2\x82\xac"
#define CLEF "\xf0\x9d\x84\x9e" /* four bytes */

static struct weir_config config;
static struct weir_evaluator evaluator = {.config = &config};

static char *many(const char *text, size_t times) {
    size_t len = strlen(text);
    char *out = calloc(1, len * times + 1);
    WEIR_ASSERT(out != NULL);
    for (size_t i = 0; i < times; i++)
        memcpy(out + i * len, text, len);
    return out;
}

static struct weir_rule a_rule(char *metric, char *name) {
    static char group[] = "g", country[] = "country";
    return (struct weir_rule){.group = group,
                              .name = name,
                              .metric = metric,
                              .metric_index = -1,
                              .window_ms = 10000,
                              .by_names = {country},
                              .condition = WEIR_BELOW,
                              .threshold = 1000,
                              .resolve = 1000,
                              .min_sample = 10};
}

static json_t *alert_of(const struct weir_rule *rule, struct weir_ratio now, const char *segment) {
    const struct weir_tracked tracked = {.alert = {.fingerprint = 1, .starts_ms = 1000}};
    const struct weir_sample sample = {.now = now, .as_of_ms = 20000};
    struct weir_str value = {segment, (uint32_t)strlen(segment)};
    char *text = weir_alert_json(&evaluator, rule, &tracked, "firing", &sample, value, NULL);
    json_t *alert = json_loads(text, 0, NULL);
    free(text);
    CHECK(alert != NULL);
    return alert;
}

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "(none)";
}

/* The annotation that `template` makes, in a segment of that value; the caller frees. */
static char *annotation(char *template, const char *segment) {
    char metric[] = "sessions", name[] = "Few", label[] = "description";
    struct weir_label annotations[] = {{label, template}};
    struct weir_rule rule = a_rule(metric, name);
    rule.annotations = annotations;
    rule.annotations_len = 1;
    rule.by_len = 1;
    json_t *alert = alert_of(&rule, (struct weir_ratio){823, 823, 823}, segment);
    char *text = strdup(text_of(json_object_get(alert, "annotations"), label));
    CHECK(strcmp(text_of(alert, "summary"), "(none)") != 0);
    json_decref(alert);
    return text;
}

static void test_whole(void) {
    const char *const kinds[] = {"x", E_ACUTE, EURO, CLEF};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char *body = many(kinds[i], (WEIR_ANNOTATION_MAX - shift) / strlen(kinds[i]));
            char *template = calloc(1, shift + strlen(body) + 1);
            WEIR_ASSERT(template != NULL);
            memset(template, '-', shift);
            memcpy(template + shift, body, strlen(body));
            char *got = annotation(template, "DE");
            CHECK_TEXT(got, template);
            free(got);
            free(template);
            free(body);
        }
    }
}

/* Filled in, a text may be longer than is kept: cut, at a character's border, and not gone. */
static void test_cut(void) {
    const char *const kinds[] = {"x", E_ACUTE, EURO, CLEF};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t len = strlen(kinds[i]);
        char *segment = many(kinds[i], WEIR_DIMENSION_VALUE_MAX / len);
        char *body = many("{{segment}}", WEIR_ANNOTATION_MAX / 11);
        for (size_t shift = 0; shift < 5; shift++) {
            char template[WEIR_ANNOTATION_MAX + 8];
            snprintf(template, sizeof template, "%.*s%s", (int)shift, "----", body);
            char *got = annotation(template, segment);
            CHECK(strlen(got) > 2 * WEIR_ANNOTATION_MAX - 8);
            CHECK(strlen(got) < 2 * WEIR_ANNOTATION_MAX);
            free(got);
        }
        free(body);
        free(segment);
    }
}

/* A dimension's name and value, and a rule's name, as long as they may be. */
static void test_long_names(void) {
    char metric[] = "sessions", *dimension = many("d", 63);
    char *name = many(E_ACUTE, 256), *value = many(EURO, WEIR_DIMENSION_VALUE_MAX / 3);
    char want[512];
    struct weir_rule rule = a_rule(metric, name);
    rule.by_len = 1;
    rule.by_names[0] = dimension;
    json_t *alert = alert_of(&rule, (struct weir_ratio){823, 823, 823}, value);
    snprintf(want, sizeof want, "sessions of %s=%s is 823 over 10s, below 1000, since ", dimension,
             value);
    CHECK(strncmp(text_of(alert, "summary"), want, strlen(want)) == 0);
    CHECK_TEXT(text_of(alert, "rule"), name);
    CHECK_TEXT(text_of(json_object_get(alert, "segment"), dimension), value);
    json_decref(alert);
    free(dimension);
    free(name);
    free(value);
}

static void test_numbers(void) {
    char sessions[] = "sessions", revenue[] = "revenue", name[] = "Few", rate[] = "conversion_rate";
    struct weir_rule rule = a_rule(sessions, name);
    json_t *alert = alert_of(&rule, (struct weir_ratio){823, 823, 823}, "");
    CHECK_TEXT(text_of(alert, "summary"),
               "sessions of all is 823 over 10s, below 1000, since 1970-01-01 00:00 UTC");
    json_decref(alert);
    rule = a_rule(revenue, name);
    rule.threshold = 1000.5;
    alert = alert_of(&rule, (struct weir_ratio){59442630000, 59442630000, 59442.63}, "");
    CHECK_TEXT(text_of(alert, "summary"),
               "revenue of all is 59442.63 over 10s, below 1000.50, since 1970-01-01 00:00 UTC");
    json_decref(alert);
    rule = a_rule(rate, name);
    rule.metric_index = 0;
    rule.threshold = 0.2;
    alert = alert_of(&rule, (struct weir_ratio){1, 20, 0.05}, "");
    CHECK_TEXT(text_of(alert, "summary"), "conversion_rate of all is 5.00 % over 10s (1/20), below "
                                          "20.00 %, since 1970-01-01 00:00 UTC");
    json_decref(alert);
}

static void test_quality(void) {
    char rate[] = "conversion_rate", name[] = "Down";
    struct weir_rule rule = a_rule(rate, name);
    rule.metric_index = 0;
    const struct {
        struct weir_ratio now;
        const char *suspect, *quality;
    } cases[] = {
        {{1, 20, 0.05}, "", "good"},
        {{1, 10, 0.1}, "", "good"},
        {{1, 9, 0.1}, "", "no verdict: the sample is smaller than min_sample"},
        {{0, 0, NAN}, "", "no verdict: the sample is smaller than min_sample"},
        {{1, 9, 0.1}, "no data", "no data"},
        {{1, 10, NAN}, "", "no verdict: there is nothing to divide by, or to compare with"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(evaluator.suspect, sizeof evaluator.suspect, "%s", cases[i].suspect);
        json_t *alert = alert_of(&rule, cases[i].now, "");
        CHECK_TEXT(text_of(alert, "data_quality"), cases[i].quality);
        CHECK_TEXT(text_of(alert, "status"), "firing");
        json_decref(alert);
    }
    evaluator.suspect[0] = '\0';
}

int main(void) {
    size_t len = 0;
    struct weir_metric conversion_rate = weir_metrics_builtin(&len)[0];
    config.metrics = &conversion_rate;
    config.metrics_len = 1;
    test_whole();
    test_cut();
    test_long_names();
    test_numbers();
    test_quality();
    return check_done("test_alert_json");
}
