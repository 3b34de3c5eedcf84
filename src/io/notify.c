#include "weir/notify.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/notify_body.h"
#include "io/notify_hide.h"
#include "weir/buf.h"
#include "weir/clock.h"

#define ANSWER_MAX ((size_t)64 * 1024)
#define ANSWER_SHOWN 200 /* bytes of it in an error */
#define TIMEOUT_MS 10000 /* where the sink has none */
#define CONNECT_MS 5000
#define STOP_US 5000000 /* for an answer that is on its way, so that the alert is not sent twice   \
                         */
#define API_PATH "/api/v2/alerts"

struct weir_notify {
    CURL *curl;
    char trouble[CURL_ERROR_SIZE];
    char answer[ANSWER_SHOWN + 1]; /* how the last answer began */
    size_t answer_len;             /* of all of it */
    _Atomic int64_t end_us;        /* monotonic; 0: nobody wants it to end */
};

int weir_notify_new(struct weir_notify **out, struct weir_err *err) {
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "libcurl cannot start");
    struct weir_notify *notify = calloc(1, sizeof *notify);
    if (notify)
        notify->curl = curl_easy_init();
    if (!notify || !notify->curl) {
        free(notify);
        curl_global_cleanup();
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "no memory for the notifier");
    }
    *out = notify;
    return 0;
}

void weir_notify_free(struct weir_notify *notify) {
    if (!notify)
        return;
    curl_easy_cleanup(notify->curl);
    free(notify);
    curl_global_cleanup();
}

void weir_notify_stop(struct weir_notify *notify) {
    atomic_store(&notify->end_us, weir_clock_monotonic_us() + STOP_US);
}

/* libcurl asks once a second at least; anything but 0 ends the transfer. */
static int on_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up) {
    struct weir_notify *notify = context;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    int64_t end_us = atomic_load(&notify->end_us);
    return end_us != 0 && weir_clock_monotonic_us() >= end_us;
}

/* Keeps how the answer begins; refusing more of it ends the transfer. */
// NOLINTNEXTLINE(readability-non-const-parameter): libcurl's signature
static size_t on_answer(char *bytes, size_t size, size_t len, void *context) {
    struct weir_notify *notify = context;
    (void)size; /* always 1 */
    for (size_t i = 0; i < len && notify->answer_len + i < ANSWER_SHOWN; i++)
        notify->answer[notify->answer_len + i] =
            (char)(isprint((unsigned char)bytes[i]) ? bytes[i] : ' ');
    notify->answer_len += len;
    return notify->answer_len > ANSWER_MAX ? 0 : len;
}

static bool add_header(struct curl_slist **headers, const char *name, const char *value) {
    struct weir_buf line;
    weir_buf_init(&line, 4096);
    weir_buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *more = line.failed ? NULL : curl_slist_append(*headers, line.data);
    weir_buf_close(&line);
    if (more)
        *headers = more;
    return more != NULL;
}

static bool add_signature(struct curl_slist **headers, const char *secret,
                          const struct weir_buf *body) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    char text[8 + 2 * EVP_MAX_MD_SIZE + 1] = "sha256=";
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)body->data,
              body->len, digest, &digest_len))
        return false;
    for (unsigned i = 0; i < digest_len; i++)
        snprintf(text + 7 + (size_t)2 * i, 3, "%02x", digest[i]);
    return add_header(headers, "X-Weir-Signature", text);
}

static bool make_headers(struct curl_slist **headers, const struct weir_sink *sink, const char *id,
                         const struct weir_buf *body) {
    return add_header(headers, "Content-Type", "application/json") &&
           add_header(headers, "Idempotency-Key", id) &&
           (!sink->secret || add_signature(headers, sink->secret, body));
}

static bool make_url(struct weir_buf *url, const struct weir_sink *sink) {
    size_t len = strlen(sink->url), path_len = strlen(API_PATH);
    if (sink->type == WEIR_SINK_ALERTMANAGER) {
        while (len > 0 && sink->url[len - 1] == '/')
            len--;
        if (len >= path_len && memcmp(sink->url + len - path_len, API_PATH, path_len) == 0)
            len -= path_len; /* given whole */
    }
    weir_buf_append(url, sink->url, len);
    if (sink->type == WEIR_SINK_ALERTMANAGER)
        weir_buf_text(url, API_PATH);
    return weir_buf_append(url, "", 1) == 0;
}

static void set_options(struct weir_notify *notify, const struct weir_sink *sink, const char *url,
                        struct curl_slist *headers, const struct weir_buf *body) {
    CURL *curl = notify->curl;
    long timeout_ms = sink->timeout_ms > 0 ? (long)sink->timeout_ms : TIMEOUT_MS;
    curl_easy_reset(curl); /* keeps the connections */
    notify->trouble[0] = '\0';
    notify->answer_len = 0;
    memset(notify->answer, 0, sizeof notify->answer);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout_ms < CONNECT_MS ? timeout_ms : (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, notify);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, notify->trouble);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, notify);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

static int judge(struct weir_notify *notify, const struct weir_sink *sink, CURLcode done,
                 struct weir_err *err) {
    long status = 0;
    bool cut = done == CURLE_WRITE_ERROR && notify->answer_len > ANSWER_MAX;
    if (done == CURLE_URL_MALFORMAT || done == CURLE_UNSUPPORTED_PROTOCOL)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "sink %s: its url is none; write http:// or https://, host and path",
                            sink->name);
    if (done == CURLE_ABORTED_BY_CALLBACK)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "sink %s: weir stops, and its answer is not waited for any longer",
                            sink->name);
    if (done != CURLE_OK && !cut)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE, "sink %s: not reached: %s", sink->name,
                            notify->trouble[0] ? notify->trouble : curl_easy_strerror(done));
    curl_easy_getinfo(notify->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300)
        return 0;
    if (status >= 300 && status < 400)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "sink %s: answered %ld, a redirect, which is not followed; write the "
                            "final address into its url",
                            sink->name, status);
    weir_notify_hide(notify->answer, sink);
    bool never = status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
    return weir_err_set(err, never ? WEIR_ERR_INPUT : WEIR_ERR_UNREACHABLE,
                        "sink %s: answered %ld%s%s", sink->name, status,
                        notify->answer[0] ? ": " : "", notify->answer);
}

static bool is_header_value(const char *text) {
    if (!*text || strlen(text) > 1024)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

int weir_notify_send(struct weir_notify *notify, const struct weir_sink *sink, const char *id,
                     const char *alert_json, const char *group, const char *external_url,
                     struct weir_err *err) {
    struct weir_buf body, url;
    struct curl_slist *headers = NULL;
    WEIR_ASSERT(sink->type == WEIR_SINK_WEBHOOK || sink->type == WEIR_SINK_ALERTMANAGER);
    if (!is_header_value(id))
        return weir_err_set(err, WEIR_ERR_INPUT, "sink %s: an alert's id must be printable ASCII",
                            sink->name);
    weir_buf_init(&body, WEIR_NOTIFY_BODY_MAX);
    weir_buf_init(&url, 8192);
    int rc =
        weir_notify_body(&body, sink, alert_json, group, external_url, weir_clock_wall_ms(), err);
    if (rc != 0)
        goto done;
    if (!make_url(&url, sink) || !make_headers(&headers, sink, id, &body)) {
        rc = weir_err_set(err, WEIR_ERR_INPUT, "sink %s: its url is too long or memory is out",
                          sink->name);
        goto done;
    }
    set_options(notify, sink, url.data, headers, &body);
    rc = judge(notify, sink, curl_easy_perform(notify->curl), err);
done:
    curl_slist_free_all(headers);
    weir_buf_close(&body);
    weir_buf_close(&url);
    return rc;
}
