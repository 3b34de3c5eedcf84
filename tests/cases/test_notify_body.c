/* What receivers are sent, as a pure function: bodies to the byte's meaning, and bad alerts. */
#include "io/notify_body.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"

#define NOW_MS INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define ALERT(status, ends)                                                                        \
    "{\"id\":\"f00d-3\",\"fingerprint\":\"00000000deadbeef\",\"status\":\"" status                 \
    "\",\"rule\":\"ConversionDown\",\"labels\":{\"severity\":\"page\",\"team\":\"shop\"},"         \
    "\"annotations\":{\"runbook\":\"https://x/y\",\"per-cent\":\"1\"},"                            \
    "\"metric\":\"conversion_rate\",\"reading\":\"live\",\"window\":\"15m\","                      \
    "\"segment\":{\"geo.country\":\"DE \\\"x\\\" \\u00e4\"},\"value\":0.0183,\"num\":412,"         \
    "\"den\":22514,\"threshold\":0.025,\"interval\":[0.0166,0.0201],"                              \
    "\"starts_at\":\"2023-11-14T22:00:00.500Z\",\"ends_at\":" ends                                 \
    ",\"as_of\":\"2023-11-14T22:05:00Z\",\"summary\":\"Conversion 1.83\"}"
#define FIRING ALERT("firing", "null")
#define RESOLVED ALERT("resolved", "\"2023-11-14T22:10:00Z\"")

static char name_text[] = "hook";

static struct weir_sink a_sink(enum weir_sink_type type, char *url) {
    return (struct weir_sink){.type = type, .name = name_text, .url = url, .timeout_ms = 3000};
}

static json_t *body_of(enum weir_sink_type type, const char *alert, const char *url) {
    struct weir_buf body;
    struct weir_err err = {0};
    struct weir_sink sink = a_sink(type, NULL);
    weir_buf_init(&body, WEIR_NOTIFY_BODY_MAX);
    int rc = weir_notify_body(&body, &sink, alert, "shop", url, NOW_MS, &err);
    if (rc != 0)
        printf("  %s\n", err.text);
    json_t *json = rc == 0 ? json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    weir_buf_close(&body);
    CHECK(json != NULL);
    return json;
}

static void check_json(json_t *got, const char *want_text) {
    json_t *want = json_loads(want_text, JSON_DECODE_ANY, NULL);
    bool same = want && json_equal(got, want);
    CHECK(same);
    if (!same) {
        char *text = json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("  %s\n  is not %s\n", text ? text : "(none)", want_text);
        free(text);
    }
    json_decref(want);
}

#define LABELS                                                                                     \
    "{\"severity\":\"page\",\"team\":\"shop\",\"metric\":\"conversion_rate\","                     \
    "\"reading\":\"live\",\"window\":\"15m\",\"group\":\"shop\","                                  \
    "\"geo_country\":\"DE \\\"x\\\" \\u00e4\",\"alertname\":\"ConversionDown\"}"
#define ANNOTATIONS                                                                                \
    "\"runbook\":\"https://x/y\",\"per_cent\":\"1\",\"summary\":\"Conversion 1.83\","              \
    "\"value\":\"0.0183\",\"num\":\"412\",\"den\":\"22514\",\"threshold\":\"0.025\""
#define GROUP_KEY                                                                                  \
    "\"{}:{alertname=\\\"ConversionDown\\\", geo_country=\\\"DE \\\\\\\"x\\\\\\\" \\u00e4\\\", "   \
    "group=\\\"shop\\\", metric=\\\"conversion_rate\\\", reading=\\\"live\\\", "                   \
    "severity=\\\"page\\\", team=\\\"shop\\\", window=\\\"15m\\\"}\""

static void test_webhook_body(void) {
    json_t *body = body_of(WEIR_SINK_WEBHOOK, FIRING, "http://weir:9465");
    check_json(body,
               "{\"receiver\":\"hook\",\"status\":\"firing\",\"alerts\":[{\"status\":"
               "\"firing\",\"labels\":" LABELS ",\"annotations\":{" ANNOTATIONS
               "},\"startsAt\":\"2023-11-14T22:00:00.5Z\",\"endsAt\":"
               "\"0001-01-01T00:00:00Z\",\"generatorURL\":\"http://weir:9465\","
               "\"fingerprint\":\"00000000deadbeef\"}],\"groupLabels\":" LABELS
               ",\"commonLabels\":" LABELS ",\"commonAnnotations\":{" ANNOTATIONS
               "},\"externalURL\":\"http://weir:9465\",\"version\":\"4\",\"groupKey\":" GROUP_KEY
               ",\"truncatedAlerts\":0}");
    json_decref(body);
    body = body_of(WEIR_SINK_WEBHOOK, RESOLVED, NULL);
    json_t *alert = json_array_get(json_object_get(body, "alerts"), 0);
    check_json(json_object_get(body, "status"), "\"resolved\"");
    check_json(json_object_get(body, "externalURL"), "\"\"");
    check_json(json_object_get(alert, "status"), "\"resolved\"");
    check_json(json_object_get(alert, "endsAt"), "\"2023-11-14T22:10:00Z\"");
    json_decref(body);
    /* an end ahead of the clock stays: a second try, later, sends the same */
    body = body_of(WEIR_SINK_WEBHOOK, ALERT("resolved", "\"2030-01-01T00:00:00Z\""), NULL);
    alert = json_array_get(json_object_get(body, "alerts"), 0);
    check_json(json_object_get(alert, "endsAt"), "\"2030-01-01T00:00:00Z\"");
    json_decref(body);
}

static void test_alertmanager_body(void) {
    static const struct {
        const char *alert, *more, *ends;
    } cases[] = {
        {FIRING, "", "2023-11-15T22:13:20Z"},
        {ALERT("suspect", "null"), ",\"data_quality\":\"suspect\"", "2023-11-15T22:13:20Z"},
        {RESOLVED, "", "2023-11-14T22:10:00Z"},
        {ALERT("resolved", "\"2023-11-14T22:10:00.120Z\""), "", "2023-11-14T22:10:00.12Z"},
        {ALERT("resolved", "\"2023-11-14T22:10:00.007Z\""), "", "2023-11-14T22:10:00.007Z"},
        {ALERT("inactive", "null"), "", "2023-11-14T22:05:00Z"},
        /* an end ahead of the clock is now, one before the start is the start */
        {ALERT("resolved", "\"2030-01-01T00:00:00Z\""), "", "2023-11-14T22:13:20Z"},
        {ALERT("resolved", "\"2020-01-01T00:00:00Z\""), "", "2023-11-14T22:00:00.5Z"},
        {ALERT("firing", "null,\"repeat_interval_ms\":60000"), "", "2023-11-14T22:17:20Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[2000];
        json_t *body = body_of(WEIR_SINK_ALERTMANAGER, cases[i].alert, "http://weir:9465");
        snprintf(want, sizeof want,
                 "[{\"labels\":" LABELS ",\"annotations\":{" ANNOTATIONS "%s},\"startsAt\":"
                 "\"2023-11-14T22:00:00.5Z\",\"endsAt\":\"%s\",\"generatorURL\":"
                 "\"http://weir:9465\"}]",
                 cases[i].more, cases[i].ends);
        check_json(body, want);
        json_decref(body);
    }
}

/* Rule labels yield to what tells alerts apart, and win over what only describes them. */
static void test_precedence(void) {
    json_t *body =
        body_of(WEIR_SINK_ALERTMANAGER,
                "{\"status\":\"firing\",\"rule\":\"R\",\"starts_at\":\"2023-11-14T22:00:"
                "00Z\",\"labels\":{\"alertname\":\"no\",\"country\":\"no\",\"group\":\"mine\","
                "\"9lives\":\"\",\"window\":\"w\"},\"window\":\"5m\",\"segment\":{\"country\":"
                "\"DE\"},\"annotations\":{\"value\":\"own\"},\"value\":1e-7,\"num\":1.5}",
                NULL);
    json_t *alert = json_array_get(body, 0);
    check_json(json_object_get(alert, "labels"),
               "{\"alertname\":\"R\",\"country\":\"DE\",\"group\":\"mine\",\"_9lives\":\"\","
               "\"window\":\"w\"}");
    check_json(json_object_get(alert, "annotations"), "{\"value\":\"own\",\"num\":\"1.5\"}");
    CHECK(json_object_get(alert, "generatorURL") == NULL);
    json_decref(body);
}

static void test_bad_alerts(void) {
    static const struct {
        const char *alert, *told;
    } cases[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{\"a\":1,\"a\":2}", "no JSON object"},
        {"{}", "status \"\" is not sent"},
        {ALERT("pending", "null"), "status \"pending\" is not sent"},
        {"{\"status\":\"firing\",\"starts_at\":\"2023-11-14T22:00:00Z\"}",
         "no rule or no starts_at"},
        {"{\"status\":\"firing\",\"rule\":\"x\",\"starts_at\":\"soon\"}",
         "no rule or no starts_at"},
        {"{\"status\":7,\"rule\":[],\"labels\":3}", "is not sent"},
    };
    struct weir_sink sink = a_sink(WEIR_SINK_WEBHOOK, NULL);
    struct weir_err err;
    struct weir_buf body;
    weir_buf_init(&body, WEIR_NOTIFY_BODY_MAX);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        err.text[0] = '\0';
        CHECK_INT(weir_notify_body(&body, &sink, cases[i].alert, "g", NULL, NOW_MS, &err),
                  -WEIR_ERR_INPUT);
        CHECK(strstr(err.text, cases[i].told) != NULL);
    }
    char *big = malloc(300001);
    CHECK(big != NULL);
    if (big) {
        memset(big, ' ', 300000);
        big[300000] = '\0';
        CHECK_INT(weir_notify_body(&body, &sink, big, "g", NULL, NOW_MS, &err), -WEIR_ERR_INPUT);
        CHECK(strstr(err.text, "300000 bytes") != NULL);
        free(big);
    }
    CHECK_INT(body.len, 0);
    weir_buf_close(&body);
}

int main(void) {
    test_webhook_body();
    test_alertmanager_body();
    test_precedence();
    test_bad_alerts();
    return check_done("test_notify_body");
}
