/* The admin's answers from hand-written keys in a real Redis (REDIS_URL), and from workers that are
 * made up: routes, API, parameters, health. The HTTP server itself is test_http's. */
#include "app/admin.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "app/evaluator_state.h"
#include "app/worker_state.h"
#include "check.h"
#include "weir/clock.h"

#define GROUP "test.admin*"
#define TAG "weir:{" GROUP "}:"

static struct weir_redis *redis;
static char group_text[] = GROUP, country[] = "country", device[] = "device";

static void run(const char *const *words) {
    struct weir_reply *reply = NULL;
    struct weir_err err = {0};
    int len = 0;
    while (words[len])
        len++;
    CHECK_INT(weir_redis_command(redis, &reply, &err, len, words, NULL), 0);
    CHECK(reply && reply->type != WEIR_REPLY_ERROR);
    weir_reply_free(reply);
}
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void forget(void) {
    static const char *const keys[] = {"now:1m",
                                       "now:15m",
                                       "now:15m:country:DE",
                                       "now:15m:country:FR",
                                       "now:15m:country:_other",
                                       "now:15m:device:mobile",
                                       "top:15m:country",
                                       "top:15m:device",
                                       "series:1m",
                                       "firing",
                                       "alerts",
                                       "partitions",
                                       "published"};
    char key[128];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        snprintf(key, sizeof key, TAG "%s", keys[i]);
        RUN("DEL", key);
    }
    RUN("DEL", "weir:{" GROUP ".a.b.10}:meta", "weir:{" GROUP ".a.b.9}:meta");
}

static void write_keys(void) {
    RUN("HSET", TAG "now:15m", "as_of", "1700000000000", "conversion_rate", "0.018300",
        "conversion_rate.num", "412", "revenue", "59442.63", "bounce_rate", "", "odd", "nan",
        "text", "abc", "negative", "-12");
    RUN("ZADD", TAG "top:15m:country", "5", "FR", "50", "DE", "1", "gone");
    RUN("ZADD", TAG "top:15m:device", "5", "mobile");
    RUN("HSET", TAG "now:15m:country:DE", "sessions", "50");
    RUN("HSET", TAG "now:15m:country:FR", "sessions", "5");
    RUN("HSET", TAG "now:15m:country:_other", "sessions", "2");
    RUN("HSET", TAG "now:15m:device:mobile", "sessions", "7");
    RUN("XADD", TAG "series:1m", "1700000000000-0", "as_of", "1700000000000", "sessions", "1");
    RUN("XADD", TAG "series:1m", "1700000010000-0", "as_of", "1700000010000", "sessions", "2");
    RUN("XADD", TAG "series:1m", "1700000020000-0", "as_of", "1700000020000", "sessions", "3");
    RUN("HSET", TAG "firing", "f00d", "{\"rule\":\"A\"}", "beef", "damaged");
    RUN("XADD", TAG "alerts", "1-0", "alert", "{\"rule\":\"A\",\"n\":1}");
    RUN("XADD", TAG "alerts", "2-0", "alert", "{\"rule\":\"A\",\"n\":2}");
    RUN("HSET", TAG "published", "number", "7", "data_quality", "good");
    RUN("SADD", TAG "partitions", "a.b.10", "a.b.9", "nonsense");
    RUN("HSET", "weir:{" GROUP ".a.b.10}:meta", "owner", "1234", "epoch", "2", "seq", "7", "offset",
        "1000", "idle", "1", "watermark", "1700000000000", "lag", "-1", "wall", "1700000005000",
        "fingerprint", "00ff", "state", "\x01");
    RUN("HSET", "weir:{" GROUP ".a.b.9}:meta", "owner", "12ab", "lag", "5", "watermark",
        "-9223372036854775808");
}

/* ---- asking the admin ---- */

static const char *query(const struct weir_request *request, const char *name) {
    const char *const *pairs = request->internal;
    for (size_t i = 0; pairs && pairs[i]; i += 2)
        if (strcmp(pairs[i], name) == 0)
            return pairs[i + 1];
    return NULL;
}

static const char *const *headers; /* of the next request: names and values in turn, or NULL */

static const char *header(const struct weir_request *request, const char *name) {
    (void)request;
    for (size_t i = 0; headers && headers[i]; i += 2)
        if (strcmp(headers[i], name) == 0)
            return headers[i + 1];
    return NULL;
}

/* The answer's body, to be freed; names and values of the query in turn, up to a NULL. */
static char *ask_text(struct weir_admin *admin, const char *method, const char *path,
                      const char *const *pairs, int status) {
    struct weir_request request = {method, path, query, header, (void *)(uintptr_t)pairs};
    struct weir_response response = {.status = 200, .content_type = "application/json"};
    weir_buf_init(&response.body, 16 << 20);
    weir_admin_handle(admin, &request, &response);
    if (response.status != status)
        printf("%s %s:\n", method, path);
    CHECK_INT(response.status, status);
    weir_buf_byte(&response.body, 0);
    return response.body.data;
}

static json_t *ask(struct weir_admin *admin, const char *path, const char *const *pairs,
                   int status) {
    char *text = ask_text(admin, "GET", path, pairs, status);
    json_t *tree = json_loads(text, 0, NULL);
    CHECK(tree != NULL);
    free(text);
    return tree;
}
#define QUERY(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The answer as one text with sorted keys. */
static void check_answer(struct weir_admin *admin, const char *path, const char *const *pairs,
                         const char *want) {
    json_t *tree = ask(admin, path, pairs, 200);
    char *got = json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
    CHECK_TEXT(got, want);
    free(got);
    json_decref(tree);
}

static void check_error(struct weir_admin *admin, const char *path, const char *const *pairs,
                        int status, const char *part) {
    json_t *tree = ask(admin, path, pairs, status);
    const char *error = json_string_value(json_object_get(tree, "error"));
    if (!error || !strstr(error, part))
        printf("%s: %s\n", path, error ? error : "no error");
    CHECK(error && strstr(error, part));
    json_decref(tree);
}

/* ---- tests ---- */

#define HEAD "{\"group\":\"" GROUP "\","
#define WINDOWS_HEAD "{\"dimension_names\":[\"country\",\"device\"],\"group\":\"" GROUP "\","
#define WINDOWS_TAIL "\"window_names\":[\"1m\",\"15m\"],\"windows\":["

static void test_empty(struct weir_admin *admin) {
    check_answer(admin, "/api/v1/windows", NULL, WINDOWS_HEAD WINDOWS_TAIL "]}");
    check_answer(admin, "/api/v1/segments", NULL, HEAD "\"segments\":[],\"window\":\"1m\"}");
    check_answer(admin, "/api/v1/series", NULL,
                 "{\"entries\":[],\"group\":\"" GROUP "\",\"window\":\"1m\"}");
    check_answer(admin, "/api/v1/alerts", NULL,
                 "{\"data_quality\":null,\"firing\":[],\"group\":\"" GROUP "\",\"recent\":[]}");
    check_answer(admin, "/api/v1/partitions", NULL, HEAD "\"partitions\":[]}");
}

static void test_windows(struct weir_admin *admin) {
    static const char *want = WINDOWS_HEAD WINDOWS_TAIL
        "{\"as_of\":1700000000000,\"bounce_rate\":null,"
        "\"conversion_rate\":0.0183,\"conversion_rate.num\":412,\"negative\":-12,"
        "\"odd\":null,\"revenue\":59442.63,\"text\":\"abc\",\"window\":\"15m\"}]}";
    check_answer(admin, "/api/v1/windows", NULL, want);
    check_answer(admin, "/api/v1/windows", QUERY("window", "15m"), want);
    check_answer(admin, "/api/v1/windows", QUERY("window", "1m"), WINDOWS_HEAD WINDOWS_TAIL "]}");
    check_error(admin, "/api/v1/windows", QUERY("window", "7m"), 400,
                "there is no window 7m; there are: 1m 15m");
    check_error(admin, "/api/v1/windows", QUERY("window", "\xff"), 400,
                "there is no window ?; there are: 1m 15m");
}

static void test_segments(struct weir_admin *admin) {
    check_answer(admin, "/api/v1/segments", QUERY("window", "15m", "dimension", "country"),
                 HEAD "\"segments\":["
                      "{\"dimension\":\"country\",\"sessions\":50,\"value\":\"DE\"},"
                      "{\"dimension\":\"country\",\"sessions\":5,\"value\":\"FR\"},"
                      "{\"dimension\":\"country\",\"sessions\":2,\"value\":\"_other\"}],"
                      "\"window\":\"15m\"}");
    json_t *all = ask(admin, "/api/v1/segments", QUERY("window", "15m"), 200);
    CHECK_INT(json_array_size(json_object_get(all, "segments")), 4);
    json_decref(all);
    RUN("ZADD", TAG "top:15m:country", "2",
        "_other"); /* as the evaluator may do: once all the same */
    all = ask(admin, "/api/v1/segments", QUERY("window", "15m", "dimension", "country"), 200);
    CHECK_INT(json_array_size(json_object_get(all, "segments")), 3);
    json_decref(all);
    check_error(admin, "/api/v1/segments", QUERY("dimension", "planet"), 400,
                "there is no dimension planet; there are: country device");
}

static void check_series(struct weir_admin *admin, const char *const *pairs, int first, int len) {
    json_t *tree = ask(admin, "/api/v1/series", pairs, 200);
    json_t *entries = json_object_get(tree, "entries");
    CHECK_INT(json_array_size(entries), len);
    for (int i = 0; i < len; i++)
        CHECK_INT(
            json_integer_value(json_object_get(json_array_get(entries, (size_t)i), "sessions")),
            first + i);
    json_decref(tree);
}

static void test_series(struct weir_admin *admin) {
    check_series(admin, NULL, 1, 3);
    check_series(admin, QUERY("window", "1m", "limit", "2"), 2, 2);
    check_series(admin, QUERY("from", "1700000010000"), 2, 2);
    check_series(admin, QUERY("to", "2023-11-14T22:13:30Z"), 1, 2);
    check_series(admin, QUERY("from", "2023-11-14T22:13:30Z", "to", "1700000010000"), 2, 1);
    check_error(admin, "/api/v1/series", QUERY("from", "1700000010000", "to", "1700000000000"), 400,
                "later than");
    check_error(admin, "/api/v1/series", QUERY("from", "yesterday"), 400, "is not a time");
    check_error(admin, "/api/v1/series", QUERY("to", ""), 400, "is not a time");
    static const char *const limits[] = {
        "0", "2001", "-1", "1e3", "", " 1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        check_error(admin, "/api/v1/series", QUERY("limit", limits[i]), 400,
                    "is not a number from 1 to 2000");
}

static void test_alerts(struct weir_admin *admin) {
    check_answer(
        admin, "/api/v1/alerts", NULL,
        "{\"data_quality\":\"good\",\"firing\":[{\"rule\":\"A\"},\"damaged\"],\"group\":\"" GROUP
        "\",\"recent\":["
        "{\"n\":2,\"rule\":\"A\"},{\"n\":1,\"rule\":\"A\"}]}");
    json_t *tree = ask(admin, "/api/v1/alerts", QUERY("limit", "1"), 200);
    CHECK_INT(json_array_size(json_object_get(tree, "recent")), 1);
    json_decref(tree);
    check_error(admin, "/api/v1/alerts", QUERY("limit", "x"), 400, "is not a number");
}

static void test_partitions(struct weir_admin *admin) {
    check_answer(
        admin, "/api/v1/partitions", NULL,
        HEAD "\"partitions\":["
             "{\"committed_at\":null,\"epoch\":null,\"fingerprint\":null,\"idle\":null,"
             "\"lag\":5,\"offset\":null,\"owner\":\"12ab\",\"partition\":9,\"seq\":null,"
             "\"split_sessions\":null,"
             "\"topic\":\"a.b\",\"watermark\":null},"
             "{\"committed_at\":1700000005000,\"epoch\":2,\"fingerprint\":\"00ff\",\"idle\":true,"
             "\"lag\":null,\"offset\":1000,\"owner\":\"1234\",\"partition\":10,\"seq\":7,"
             "\"split_sessions\":null,"
             "\"topic\":\"a.b\",\"watermark\":1700000000000},"
             "{\"committed_at\":null,\"epoch\":null,\"fingerprint\":null,\"idle\":null,"
             "\"lag\":null,\"offset\":null,\"owner\":null,\"partition\":-1,\"seq\":null,"
             "\"split_sessions\":null,"
             "\"topic\":\"nonsense\",\"watermark\":null}]}");
}

static void test_routes(struct weir_admin *admin, struct weir_service *service) {
    check_error(admin, "/nowhere", NULL, 404, "there is no /nowhere");
    check_error(admin, "/api/v1/windows/", NULL, 404, "there is no");
    check_error(admin, "/\xff", NULL, 404, "there is no /?");
    check_error(admin, "/-/reload", NULL, 405, "wants POST");
    free(ask_text(admin, "POST", "/metrics", NULL, 405));
    CHECK(!atomic_load(&service->reload_wanted));
    free(ask_text(admin, "POST", "/-/reload", NULL, 202));
    CHECK(atomic_load(&service->reload_wanted));
    char *metrics = ask_text(admin, "GET", "/metrics", NULL, 200);
    CHECK(strstr(metrics, "\nweir_build_info{version=") != NULL);
    CHECK(strstr(metrics, "\nweir_partition_lag{topic=\"t\",partition=\"1\"} 4\n") != NULL);
    CHECK(strstr(metrics, "\nprocess_resident_memory_bytes ") != NULL);
    free(metrics);
}

/* A page of another site that somebody looks at may not reload; weir's own, and a program, may. */
static void test_foreign(struct weir_admin *admin, struct weir_service *service) {
    static const struct {
        const char *headers[7];
        int status;
    } posts[] = {
        {{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil", "Host", "weir:1"}, 403},
        {{"Sec-Fetch-Site", "same-site"}, 403},
        {{"Origin", "http://evil", "Host", "weir:1"}, 403},
        {{"Origin", "http://weir:2", "Host", "weir:1"}, 403},
        {{"Origin", "null", "Host", "weir:1"}, 403},
        {{"Origin", "http://weir:1"}, 403},
        {{"Sec-Fetch-Site", "same-origin", "Origin", "https://proxy", "Host", "weir:1"}, 202},
        {{"Sec-Fetch-Site", "none"}, 202},
        {{"Origin", "http://Weir:1", "Host", "weir:1"}, 202},
        {{"Host", "weir:1"}, 202},
    };
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++) {
        atomic_store(&service->reload_wanted, false);
        headers = posts[i].headers;
        free(ask_text(admin, "POST", "/-/reload", NULL, posts[i].status));
        CHECK_INT(atomic_load(&service->reload_wanted), posts[i].status == 202);
    }
    headers = NULL;
}

/* The policy has the hash of what stands in the page's one such element. */
static void check_hash(const char *page, const char *policy, const char *element) {
    char tag[16], hash[80];
    snprintf(tag, sizeof tag, "<%s>", element);
    const char *from = strstr(page, tag);
    CHECK(from != NULL);
    from += strlen(tag);
    snprintf(tag, sizeof tag, "</%s>", element);
    const char *to = strstr(from, tag);
    CHECK(to != NULL);
    unsigned char digest[32], text[45];
    CHECK(EVP_Digest(from, (size_t)(to - from), digest, NULL, EVP_sha256(), NULL) == 1);
    EVP_EncodeBlock(text, digest, sizeof digest);
    snprintf(hash, sizeof hash, "%s-src 'sha256-%s'", element, (char *)text);
    CHECK(strstr(policy, hash) != NULL);
}

static void test_dashboard(struct weir_admin *admin) {
    struct weir_request request = {"GET", "/", query, header, NULL};
    struct weir_response response = {.status = 200, .content_type = "application/json"};
    weir_buf_init(&response.body, 16 << 20);
    weir_admin_handle(admin, &request, &response);
    weir_buf_byte(&response.body, 0);
    const char *page = response.body.data;
    CHECK_INT(response.status, 200);
    CHECK_TEXT(response.content_type, "text/html; charset=utf-8");
    CHECK(strncmp(page, "<!doctype html>\n", 16) == 0);
    CHECK_INT(strlen(page), response.body.len - 1);
    CHECK(strcmp(page + strlen(page) - 8, "</html>\n") == 0);
    CHECK(strstr(page, "href=\"/api/v1/series\"") && strstr(page, "&amp;limit=360"));
    CHECK(!strstr(page, "href=\"/-/reload\"") && !strstr(page, "<!-- routes -->"));
    CHECK(!strstr(page, "innerHTML") && !strstr(page, " src=") && !strstr(page, "@import"));
    CHECK(response.policy && strstr(response.policy, "default-src 'none';"));
    CHECK(response.policy && !strstr(response.policy, "unsafe"));
    check_hash(page, response.policy, "script");
    check_hash(page, response.policy, "style");
    weir_buf_close(&response.body);
    response = (struct weir_response){.status = 200};
    weir_buf_init(&response.body, 16 << 20);
    request.path = "/metrics";
    weir_admin_handle(admin, &request, &response);
    CHECK(response.policy == NULL);
    weir_buf_close(&response.body);
}

static void check_reason(struct weir_admin *admin, const char *path, const char *part) {
    json_t *tree = ask(admin, path, NULL, part ? 503 : 200);
    json_t *reasons = json_object_get(tree, "reasons");
    CHECK_INT(json_array_size(reasons), part ? 1 : 0);
    const char *reason = json_string_value(json_array_get(reasons, 0));
    if (part && (!reason || !strstr(reason, part)))
        printf("%s: %s\n", path, reason ? reason : "no reason");
    CHECK(!part || (reason && strstr(reason, part)));
    json_decref(tree);
}

static void test_health(struct weir_admin *admin, struct weir_worker *worker) {
    struct weir_worker_figures *shown = &worker->shown;
    check_reason(admin, "/-/healthy", NULL);
    check_reason(admin, "/-/ready", NULL);
    shown->seen_us -= 31000000;
    check_reason(admin, "/-/healthy", "worker 0 gave no sign of life for 31 s");
    check_reason(admin, "/-/ready", "no sign of life");
    shown->seen_us += 31000000;
    shown->kafka_up = false;
    check_reason(admin, "/-/healthy", NULL);
    check_reason(admin, "/-/ready", "worker 0 does not reach Kafka");
    shown->kafka_up = true;
    shown->redis_up = false;
    shown->stalled = true;
    check_reason(admin, "/-/ready", "worker 0 stands still");
    shown->redis_up = true;
    shown->stalled = false;
    atomic_store(&worker->failed, true);
    check_reason(admin, "/-/healthy", "worker 0 has ended by itself");
    atomic_store(&worker->failed, false);
}

/* In a step that takes long the lease is kept, and that is a sign of life. */
static void test_slow_step(struct weir_admin *admin, struct weir_service *service) {
    static struct weir_evaluator evaluator; /* without its thread */
    int64_t now_us = weir_clock_monotonic_us();
    evaluator.leader = evaluator.shown.redis_up = true;
    evaluator.lease_us = now_us; /* Redis is not asked */
    pthread_mutex_init(&evaluator.lock, NULL);
    atomic_store(&evaluator.seen_us, now_us - 31000000);
    service->evaluator = &evaluator;
    check_reason(admin, "/-/healthy", "the evaluator gave no sign of life for 31 s");
    check_reason(admin, "/-/ready", "no sign of life");
    weir_evaluator_keep_meanwhile(&evaluator);
    check_reason(admin, "/-/healthy", NULL);
    check_reason(admin, "/-/ready", NULL);
    service->evaluator = NULL;
    pthread_mutex_destroy(&evaluator.lock);
}

/* A connection that the server closed meanwhile is no error of the next question. */
static void test_reconnect(struct weir_admin *admin) {
    check_reason(admin, "/-/ready", NULL);
    RUN("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    check_series(admin, NULL, 1, 3);
    RUN("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    check_reason(admin, "/-/ready", NULL);
    RUN("DEL", TAG "series:1m");
    RUN("SET", TAG "series:1m", "x");
    check_error(admin, "/api/v1/series", NULL, 503, "WRONGTYPE");
    check_reason(admin, "/-/ready", NULL);
}

static void test_unreachable(struct weir_service *service) {
    struct weir_admin *admin = NULL;
    struct weir_err err = {0};
    char nobody[] = "redis://user:hunter2@127.0.0.1:1", none[] = "http://x";
    service->config->redis_url = none;
    CHECK_INT(weir_admin_new(&admin, service, &err), -WEIR_ERR_INPUT);
    CHECK(admin == NULL);
    service->config->redis_url = nobody;
    CHECK_INT(weir_admin_new(&admin, service, &err), 0);
    check_error(admin, "/api/v1/windows", NULL, 503, "127.0.0.1:1");
    check_error(admin, "/api/v1/partitions", NULL, 503, "127.0.0.1:1");
    check_reason(admin, "/-/ready", "127.0.0.1:1");
    check_reason(admin, "/-/healthy", NULL);
    char *text = ask_text(admin, "GET", "/-/ready", NULL, 503);
    CHECK(!strstr(text, "hunter2"));
    free(text);
    weir_admin_free(admin);
}

int main(void) {
    char *url = getenv("REDIS_URL");
    if (!url) {
        printf("skipped: REDIS_URL is not set\nadmin: 0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    static struct weir_worker worker;
    struct weir_partition_figures partition = {.topic = "t", .number = 1, .lag = 4};
    struct weir_worker *workers[] = {&worker};
    struct weir_config config = {
        .kafka = {.group = group_text},
        .redis_url = url,
        .dimension_names = {country, device},
        .plan = {.dimensions_len = 2, .windows_ms = {60000, 900000}, .windows_len = 2}};
    struct weir_service service = {.config = &config, .workers = workers, .workers_len = 1};
    struct weir_admin *admin = NULL;
    struct weir_err err = {0};
    pthread_mutex_init(&service.lock, NULL);
    pthread_mutex_init(&worker.lock, NULL);
    worker.shown = (struct weir_worker_figures){.redis_up = true,
                                                .kafka_up = true,
                                                .seen_us = weir_clock_monotonic_us(),
                                                .partitions_len = 1,
                                                .partitions = &partition};
    CHECK_INT(weir_redis_new(&redis, url, 5000, &err), 0);
    CHECK_INT(weir_admin_new(&admin, &service, &err), 0);
    forget();
    test_empty(admin);
    write_keys();
    test_windows(admin);
    test_segments(admin);
    test_series(admin);
    test_alerts(admin);
    test_partitions(admin);
    test_routes(admin, &service);
    test_foreign(admin, &service);
    test_dashboard(admin);
    test_health(admin, &worker);
    test_slow_step(admin, &service);
    test_reconnect(admin);
    test_unreachable(&service);
    forget();
    weir_admin_free(admin);
    weir_admin_free(NULL);
    weir_redis_free(redis);
    return check_done("admin");
}
