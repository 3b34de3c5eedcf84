/* Alerts to receivers: the body as a pure function; a recording webhook that errs on order; a real
 * Alertmanager where it is installed, whose own webhook is what ours is compared with. */
#include "weir/notify.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <ftw.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "weir/clock.h"

#define SECRET "a shop's secret"
#define ALERT(status)                                                                              \
    "{\"fingerprint\":\"00000000deadbeef\",\"status\":\"" status                                   \
    "\",\"rule\":\"ConversionDown\",\"labels\":{\"severity\":\"page\"},\"metric\":"                \
    "\"conversion_rate\",\"segment\":{\"geo.country\":\"DE \\\"x\\\" \u00e4\"},\"value\":0.0183,"  \
    "\"starts_at\":\"2023-11-14T22:00:00.500Z\",\"ends_at\":null,\"summary\":\"Conversion\"}"
#define FIRING ALERT("firing")

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

/* A child whose standard input is ours, so that it ends with us, and its first line of output. */
struct child {
    pid_t pid;
    int input;
    int port;
};

static struct child start_webhook(void) {
    struct child child = {0};
    int input[2], output[2];
    char script[512];
    snprintf(script, sizeof script, "%.*s/webhook_server.py",
             (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
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
    CHECK_TEXT(json_string_value(json_object_get(seen, "method")), "POST");
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
    {"{\"status\":404,\"body_bytes\":1000000}", WEIR_ERR_INPUT, "answered 404: ###"},
    {"{\"status\":408}", WEIR_ERR_UNREACHABLE, "answered 408"},
    {"{\"status\":425}", WEIR_ERR_UNREACHABLE, "answered 425"},
    {"{\"status\":429}", WEIR_ERR_UNREACHABLE, "answered 429"},
    {"{\"status\":500}", WEIR_ERR_UNREACHABLE, "answered 500"},
    {"{\"status\":503,\"body\":\"later\",\"headers\":{\"Connection\":\"close\"}}",
     WEIR_ERR_UNREACHABLE, "answered 503: later"},
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

#define ALERTMANAGER "prometheus-alertmanager" /* somewhere in the PATH */

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                 getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    close(fd);
    return bound ? ntohs(address.sin_port) : 0;
}

/* Gossip off, its data in our folder, and our webhook as its receiver. */
static struct child start_alertmanager(int webhook_port) {
    struct child child = {.port = free_port()};
    char config[300], storage[300], listen[64];
    snprintf(config, sizeof config, "--config.file=%s", at("alertmanager.yml"));
    snprintf(storage, sizeof storage, "--storage.path=%s", at("data"));
    snprintf(listen, sizeof listen, "--web.listen-address=127.0.0.1:%d", child.port);
    FILE *file = fopen(at("alertmanager.yml"), "w");
    if (!file)
        return child;
    fprintf(file,
            "route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
            "receivers: [{name: hook, webhook_configs: [{url: 'http://127.0.0.1:%d/theirs'}]}]\n",
            webhook_port);
    fclose(file);
    child.pid = fork();
    if (child.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing stays behind a test that dies */
        if (freopen(at("alertmanager.log"), "w", stderr))
            execlp(ALERTMANAGER, "alertmanager", config, storage, listen,
                   "--cluster.listen-address=", (char *)NULL);
        _exit(127);
    }
    return child;
}

static size_t keep(char *bytes, size_t size, size_t len, void *context) {
    char *text = context;
    size_t used = strlen(text);
    if (used + size * len < 65536)
        memcpy(text + used, bytes, size * len);
    return size * len;
}

/* How many alerts it holds, -1 while it does not answer. */
static int held(int port, const char *status, char *text) {
    char url[200];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api/v2/alerts?active=true", port);
    CURL *curl = curl_easy_init();
    memset(text, 0, 65536);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
    bool done = curl_easy_perform(curl) == CURLE_OK;
    curl_easy_cleanup(curl);
    json_t *alerts = done ? json_loads(text, 0, NULL) : NULL;
    int count = json_is_array(alerts) ? 0 : -1;
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        json_t *annotations = json_object_get(json_array_get(alerts, i), "annotations");
        bool suspect = json_object_get(annotations, "data_quality") != NULL;
        count += suspect == (strcmp(status, "suspect") == 0);
    }
    json_decref(alerts);
    return count;
}

static bool wait_held(int port, const char *status, int count) {
    static char text[65536];
    for (int i = 0; i < 150; i++) {
        if (held(port, status, text) == count)
            return true;
        weir_clock_sleep_ms(100);
    }
    printf("  Alertmanager holds %s\n", text);
    return false;
}

/* The last body on `path`, waited for. */
static json_t *body_on(const char *path, const char *status) {
    for (int i = 0; i < 150; i++) {
        json_t *seen = last_record();
        const char *text = json_string_value(json_object_get(seen, "body"));
        bool here = text && strcmp(json_string_value(json_object_get(seen, "path")), path) == 0;
        json_t *body = here ? json_loads(text, 0, NULL) : NULL;
        json_decref(seen);
        if (body && strcmp(json_string_value(json_object_get(body, "status")), status) == 0)
            return body;
        json_decref(body);
        weir_clock_sleep_ms(100);
    }
    return NULL;
}

/* Every member of theirs is in ours, of the same type; strings of one meaning are equal. */
static void compare(json_t *ours, json_t *theirs) {
    static const char *const equal[] = {"status",       "labels",   "annotations",
                                        "groupKey",     "version",  "groupLabels",
                                        "commonLabels", "receiver", "startsAt"};
    const char *name;
    json_t *value;
    CHECK_INT(json_object_size(ours), json_object_size(theirs));
    json_object_foreach(theirs, name, value) {
        json_t *own = json_object_get(ours, name);
        bool same = own && json_typeof(own) == json_typeof(value);
        for (size_t i = 0; same && i < sizeof equal / sizeof equal[0]; i++)
            if (strcmp(name, equal[i]) == 0)
                same = json_equal(own, value);
        CHECK(same);
        if (!same) {
            char *a = json_dumps(own, JSON_ENCODE_ANY), *b = json_dumps(value, JSON_ENCODE_ANY);
            printf("  %s is %s, theirs %s\n", name, a ? a : "absent", b ? b : "?");
            free(a);
            free(b);
        }
    }
}

static void compare_webhooks(struct weir_notify *notify, int webhook_port, const char *alert,
                             const char *status) {
    char url[100];
    struct weir_err err;
    struct weir_sink sink = a_sink(WEIR_SINK_WEBHOOK, url);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/ours", webhook_port);
    json_t *theirs = body_on("/theirs", status);
    CHECK_INT(weir_notify_send(notify, &sink, "1", alert, "shop", "http://weir:1", &err), 0);
    json_t *ours = body_on("/ours", status);
    CHECK(ours && theirs);
    if (ours && theirs) {
        compare(ours, theirs);
        compare(json_array_get(json_object_get(ours, "alerts"), 0),
                json_array_get(json_object_get(theirs, "alerts"), 0));
    }
    json_decref(ours);
    json_decref(theirs);
}

/* An alert goes in, is suspect for a while, and goes out again; what Alertmanager makes of it for
 * its own webhook is what we would have sent ourselves. */
static void test_alertmanager(struct weir_notify *notify, int webhook_port) {
    char url[100];
    struct weir_err err;
    struct weir_sink sink = a_sink(WEIR_SINK_ALERTMANAGER, url);
    if (system("command -v " ALERTMANAGER " >/dev/null") != 0) {
        printf("skipped: no %s\n", ALERTMANAGER);
        return;
    }
    struct child manager = start_alertmanager(webhook_port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", manager.port);
    CHECK(wait_held(manager.port, "firing", 0));
    const char *weir = "http://weir:1";
    CHECK_INT(weir_notify_send(notify, &sink, "1", FIRING, "shop", weir, &err), 0);
    CHECK(wait_held(manager.port, "firing", 1));
    compare_webhooks(notify, webhook_port, FIRING, "firing");
    CHECK_INT(weir_notify_send(notify, &sink, "2", ALERT("suspect"), "shop", weir, &err), 0);
    CHECK(wait_held(manager.port, "suspect", 1));
    CHECK(wait_held(manager.port, "firing", 0));
    CHECK_INT(weir_notify_send(notify, &sink, "3", FIRING, "shop", weir, &err), 0);
    CHECK(wait_held(manager.port, "firing", 1));
    CHECK_INT(weir_notify_send(notify, &sink, "4", ALERT("resolved"), "shop", weir, &err), 0);
    CHECK(wait_held(manager.port, "firing", 0));
    compare_webhooks(notify, webhook_port, ALERT("resolved"), "resolved");
    stop_child(&manager);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

int main(void) {
    struct weir_err err;
    struct weir_notify *notify;
    setenv("NO_PROXY", "127.0.0.1", 1);
    CHECK(mkdtemp(folder) != NULL);
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
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return check_done("test_notify");
}
