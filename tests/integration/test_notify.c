/* Alerts to receivers: the body as a pure function; a recording webhook that errs on order; a real
 * Alertmanager where it is installed, whose own webhook is what ours is compared with. */
#include "weir/notify.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "io/notify_body.h"
#include "weir/clock.h"

#define SECRET "a shop's secret"
#define NOW_MS INT64_C(1700000000000) /* 2023-11-14T22:13:20Z */
#define ALERT(status, ends)                                                                        \
    "{\"id\":\"f00d-3\",\"fingerprint\":\"00000000deadbeef\",\"status\":\"" status                 \
    "\",\"rule\":\"ConversionDown\",\"labels\":{\"severity\":\"page\",\"team\":\"shop\"},"         \
    "\"annotations\":{\"runbook\":\"https://x/y\",\"per-cent\":\"1\"},"                            \
    "\"metric\":\"conversion_rate\",\"reading\":\"live\",\"window\":\"15m\","                      \
    "\"segment\":{\"geo.country\":\"DE \\\"x\\\" \\u00e4\"},\"value\":0.0183,\"num\":412,"         \
    "\"den\":22514,\"threshold\":0.025,\"interval\":[0.0166,0.0201],"                              \
    "\"starts_at\":\"2023-11-14T22:00:00.500Z\",\"ends_at\":" ends                                 \
    ",\"as_of\":\"2023-11-14T22:05:00Z\",\"summary\":\"Conversion 1.83 %\"}"
#define FIRING ALERT("firing", "null")
#define RESOLVED ALERT("resolved", "\"2023-11-14T22:10:00Z\"")

static char folder[] = "/tmp/weir-test-notify-XXXXXX";
static char name_text[] = "hook", secret_text[] = SECRET;

static const char *at(const char *name) {
    static char paths[4][300];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

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
    "\"runbook\":\"https://x/y\",\"per_cent\":\"1\",\"summary\":\"Conversion 1.83 %\","            \
    "\"value\":\"0.0183\",\"num\":\"412\",\"den\":\"22514\",\"threshold\":\"0.025\""
#define GROUP_KEY                                                                                  \
    "\"{}:{alertname=\\\"ConversionDown\\\", geo_country=\\\"DE \\\\\\\"x\\\\\\\" \\u00e4\\\", "   \
    "group=\\\"shop\\\", metric=\\\"conversion_rate\\\", reading=\\\"live\\\", "                   \
    "severity=\\\"page\\\", team=\\\"shop\\\", window=\\\"15m\\\"}\""

static void test_webhook_body(void) {
    json_t *body = body_of(WEIR_SINK_WEBHOOK, FIRING, "http://weir:9465");
    check_json(body, "{\"receiver\":\"hook\",\"status\":\"firing\",\"alerts\":[{\"status\":"
                     "\"firing\",\"labels\":" LABELS ",\"annotations\":{" ANNOTATIONS
                     "},\"startsAt\":\"2023-11-14T22:00:00.500Z\",\"endsAt\":"
                     "\"0001-01-01T00:00:00Z\",\"generatorURL\":\"http://weir:9465\","
                     "\"fingerprint\":\"00000000deadbeef\"}],\"groupLabels\":" LABELS
                     ",\"commonLabels\":" LABELS ",\"commonAnnotations\":{" ANNOTATIONS
                     "},\"externalURL\":\"http://weir:9465\",\"version\":\"4\",\"groupKey\":"
                     GROUP_KEY ",\"truncatedAlerts\":0}");
    json_decref(body);
    body = body_of(WEIR_SINK_WEBHOOK, RESOLVED, NULL);
    json_t *alert = json_array_get(json_object_get(body, "alerts"), 0);
    check_json(json_object_get(body, "status"), "\"resolved\"");
    check_json(json_object_get(body, "externalURL"), "\"\"");
    check_json(json_object_get(alert, "status"), "\"resolved\"");
    check_json(json_object_get(alert, "endsAt"), "\"2023-11-14T22:10:00.000Z\"");
    json_decref(body);
}

static void test_alertmanager_body(void) {
    static const struct {
        const char *alert, *more, *ends;
    } cases[] = {
        {FIRING, "", "2023-11-15T22:13:20.000Z"},
        {ALERT("suspect", "null"), ",\"data_quality\":\"suspect\"", "2023-11-15T22:13:20.000Z"},
        {RESOLVED, "", "2023-11-14T22:10:00.000Z"},
        {ALERT("inactive", "null"), "", "2023-11-14T22:13:20.000Z"},
        /* an end ahead of the clock is now, one before the start is the start */
        {ALERT("resolved", "\"2030-01-01T00:00:00Z\""), "", "2023-11-14T22:13:20.000Z"},
        {ALERT("resolved", "\"2020-01-01T00:00:00Z\""), "", "2023-11-14T22:00:00.500Z"},
        {ALERT("firing", "null,\"repeat_interval_ms\":60000"), "", "2023-11-14T22:17:20.000Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[2000];
        json_t *body = body_of(WEIR_SINK_ALERTMANAGER, cases[i].alert, "http://weir:9465");
        snprintf(want, sizeof want,
                 "[{\"labels\":" LABELS ",\"annotations\":{" ANNOTATIONS "%s},\"startsAt\":"
                 "\"2023-11-14T22:00:00.500Z\",\"endsAt\":\"%s\",\"generatorURL\":"
                 "\"http://weir:9465\"}]",
                 cases[i].more, cases[i].ends);
        check_json(body, want);
        json_decref(body);
    }
}

/* Rule labels yield to what tells alerts apart, and win over what only describes them. */
static void test_precedence(void) {
    json_t *body = body_of(WEIR_SINK_ALERTMANAGER,
                           "{\"status\":\"firing\",\"rule\":\"R\",\"starts_at\":\"2023-11-14T22:00:"
                           "00Z\",\"labels\":{\"alertname\":\"no\",\"country\":\"no\",\"group\":\"mine\","
                           "\"9lives\":\"\",\"window\":\"w\"},\"window\":\"5m\",\"segment\":{\"country\":"
                           "\"DE\"},\"annotations\":{\"value\":\"own\"},\"value\":1e-7,\"num\":1.5}",
                           NULL);
    json_t *alert = json_array_get(body, 0);
    check_json(json_object_get(alert, "labels"),
               "{\"alertname\":\"R\",\"country\":\"DE\",\"group\":\"mine\",\"_9lives\":\"\",\"window\":\"w\"}");
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
        {"{\"status\":\"firing\",\"starts_at\":\"2023-11-14T22:00:00Z\"}", "no rule or no starts_at"},
        {"{\"status\":\"firing\",\"rule\":\"x\",\"starts_at\":\"soon\"}", "no rule or no starts_at"},
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

/* A child whose standard input is ours, so that it ends with us, and its first line of output. */
struct child {
    pid_t pid;
    int input;
    int port;
};

static struct child start_webhook(void) {
    struct child child = {0};
    int input[2], output[2];
    const char *source = getenv("WEIR_SOURCE");
    char script[512];
    snprintf(script, sizeof script, "%s/tests/integration/webhook_server.py",
             source ? source : WEIR_TEST_SOURCE);
    if (pipe(input) != 0 || pipe(output) != 0)
        exit(1);
    child.pid = fork();
    if (child.pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        close(input[1]);
        execlp("python3", "python3", script, at("record"), "--script", at("script"), "--secret",
               SECRET, (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    child.input = input[1];
    FILE *lines = fdopen(output[0], "r");
    if (!lines || fscanf(lines, "port %d", &child.port) != 1)
        printf("the webhook receiver %s does not start\n", script);
    if (lines)
        fclose(lines);
    return child;
}

static void stop_child(struct child *child) {
    if (child->input > 0)
        close(child->input);
    else
        kill(child->pid, SIGTERM);
    waitpid(child->pid, NULL, 0);
}

static json_t *last_record(void) {
    char line[65536];
    json_t *last = NULL;
    FILE *record = fopen(at("record"), "r");
    while (record && fgets(line, sizeof line, record)) {
        json_decref(last);
        last = json_loads(line, 0, NULL);
    }
    if (record)
        fclose(record);
    return last;
}

static void check_request(const char *path, bool with_secret) {
    json_t *seen = last_record(), *headers = json_object_get(seen, "headers");
    check_json(json_object_get(seen, "method"), "\"POST\"");
    CHECK_TEXT(json_string_value(json_object_get(seen, "path")), path);
    CHECK_TEXT(json_string_value(json_object_get(headers, "content-type")), "application/json");
    CHECK_TEXT(json_string_value(json_object_get(headers, "idempotency-key")), "f00d-3");
    CHECK_TEXT(json_string_value(json_object_get(headers, "user-agent")), "weir/" WEIR_VERSION);
    CHECK(json_is_true(json_object_get(seen, "signature_ok")) == with_secret);
    CHECK((json_object_get(headers, "x-weir-signature") != NULL) == with_secret);
    json_decref(seen);
}

static const struct answer {
    const char *orders;
    int code;
    const char *told;
} answers[] = {
    {"{}", 0, ""},
    {"{\"status\":204}", 0, ""},
    {"{\"status\":202,\"body_bytes\":1000000}", 0, ""},
    {"{\"status\":301,\"headers\":{\"Location\":\"file:///etc/passwd\"}}", WEIR_ERR_UNREACHABLE,
     "a redirect"},
    {"{\"status\":400,\"body\":\"no such\\nthing\"}", WEIR_ERR_INPUT,
     "sink hook: answered 400: no such thing"},
    {"{\"status\":404,\"body_bytes\":1000000}", WEIR_ERR_INPUT, "answered 404: xxx"},
    {"{\"status\":408}", WEIR_ERR_UNREACHABLE, "answered 408"},
    {"{\"status\":425}", WEIR_ERR_UNREACHABLE, "answered 425"},
    {"{\"status\":429}", WEIR_ERR_UNREACHABLE, "answered 429"},
    {"{\"status\":500}", WEIR_ERR_UNREACHABLE, "answered 500"},
    {"{\"status\":503,\"body\":\"later\"}", WEIR_ERR_UNREACHABLE, "answered 503: later"},
    {"{\"hang_up\":true}", WEIR_ERR_UNREACHABLE, "not reached"},
    {"{\"delay_ms\":5000}", WEIR_ERR_UNREACHABLE, "timed out"},
    {"{}", 0, ""},
};
enum { ANSWERS = sizeof answers / sizeof answers[0] };

static void test_answers(struct weir_notify *notify, int port) {
    char url[200];
    struct weir_err err;
    FILE *script = fopen(at("script"), "w");
    for (size_t i = 0; script && i < ANSWERS; i++)
        fprintf(script, "%s\n", answers[i].orders);
    CHECK(script && fclose(script) == 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/hook?token=hidden", port);
    struct weir_sink sink = a_sink(WEIR_SINK_WEBHOOK, url);
    for (size_t i = 0; i < ANSWERS; i++) {
        err = (struct weir_err){0};
        sink.secret = i % 2 ? NULL : secret_text;
        sink.timeout_ms = strstr(answers[i].orders, "delay_ms") ? 300 : 3000;
        int64_t began_us = weir_clock_monotonic_us();
        int rc = weir_notify_send(notify, &sink, "f00d-3", FIRING, "shop", "http://weir", &err);
        CHECK_INT(rc, -answers[i].code);
        CHECK(strstr(err.text, answers[i].told) != NULL);
        CHECK(strstr(err.text, "hidden") == NULL);
        if (rc != -answers[i].code || !strstr(err.text, answers[i].told))
            printf("  %s: %s\n", answers[i].orders, err.text);
        CHECK(weir_clock_monotonic_us() - began_us < 1500000);
        check_request("/hook?token=hidden", sink.secret != NULL);
    }
}

static void test_urls(struct weir_notify *notify, int port) {
    static const char *const paths[][2] = {
        {"", "/api/v2/alerts"},
        {"/", "/api/v2/alerts"},
        {"/am/", "/am/api/v2/alerts"},
        {"/am/api/v2/alerts", "/am/api/v2/alerts"},
    };
    char url[200], wrong[] = "ftp://127.0.0.1/x", none[] = "", spaced[] = "http://a b/";
    char nobody[] = "http://127.0.0.1:1/x", unknown[] = "http://no-such-host.invalid/x";
    struct weir_err err;
    struct weir_sink sink = a_sink(WEIR_SINK_ALERTMANAGER, url);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, paths[i][0]);
        CHECK_INT(weir_notify_send(notify, &sink, "f00d-3", FIRING, "shop", NULL, &err), 0);
        check_request(paths[i][1], false);
    }
    char *const bad[] = {wrong, none, spaced};
    sink.type = WEIR_SINK_WEBHOOK;
    for (size_t i = 0; i < 3; i++) {
        sink.url = bad[i];
        CHECK_INT(weir_notify_send(notify, &sink, "1", FIRING, "g", NULL, &err), -WEIR_ERR_INPUT);
        CHECK(strstr(err.text, "sink hook: its url is none; write http://") != NULL);
    }
    char *const away[] = {nobody, unknown};
    for (size_t i = 0; i < 2; i++) {
        sink.url = away[i];
        CHECK_INT(weir_notify_send(notify, &sink, "1", FIRING, "g", NULL, &err),
                  -WEIR_ERR_UNREACHABLE);
        CHECK(strstr(err.text, "sink hook: not reached") != NULL);
    }
    CHECK_INT(weir_notify_send(notify, &sink, "a\r\nX: y", FIRING, "g", NULL, &err),
              -WEIR_ERR_INPUT);
    CHECK_INT(weir_notify_send(notify, &sink, "", FIRING, "g", NULL, &err), -WEIR_ERR_INPUT);
    CHECK_INT(weir_notify_send(notify, &sink, "1", "{}", "g", NULL, &err), -WEIR_ERR_INPUT);
}

#include "alertmanager.h"

int main(void) {
    struct weir_err err;
    struct weir_notify *notify;
    setenv("NO_PROXY", "127.0.0.1", 1);
    CHECK(mkdtemp(folder) != NULL);
    test_webhook_body();
    test_alertmanager_body();
    test_precedence();
    test_bad_alerts();
    CHECK_INT(weir_notify_new(&notify, &err), 0);
    struct child webhook = start_webhook();
    CHECK(webhook.port > 0);
    if (webhook.port > 0) {
        test_answers(notify, webhook.port);
        test_urls(notify, webhook.port);
        test_alertmanager(notify, webhook.port);
    }
    stop_child(&webhook);
    weir_notify_free(notify);
    weir_notify_free(NULL);
    remove_folder();
    return check_done("test_notify");
}
