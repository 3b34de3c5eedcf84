#include "io/notify_body.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "weir/decode.h"

#define ALERT_MAX ((size_t)256 * 1024)
#define HOLD_MS ((int64_t)24 * 3600 * 1000) /* how long Alertmanager believes a firing alert */
#define TIME_TEXT_MAX 32

/* One alert on its way from our words to theirs. */
struct message {
    json_t *alert;                /* owned: as it came */
    json_t *labels, *annotations; /* owned */
    bool resolved;
    int64_t starts_ms, ends_ms; /* ends_ms: where it is resolved */
};

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* RFC 3339 without idle zeros, as Go writes it. */
static void time_text(char *out, int64_t time_ms) {
    time_t seconds = (time_t)(time_ms / 1000);
    int part = (int)(time_ms % 1000);
    struct tm utc;
    char day[24], fraction[8] = "";
    gmtime_r(&seconds, &utc);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    if (part % 100 == 0 && part > 0)
        snprintf(fraction, sizeof fraction, ".%d", part / 100);
    else if (part % 10 == 0 && part > 0)
        snprintf(fraction, sizeof fraction, ".%02d", part / 10);
    else if (part > 0)
        snprintf(fraction, sizeof fraction, ".%03d", part);
    snprintf(out, TIME_TEXT_MAX, "%s%sZ", day, fraction);
}

/* As short as it can be and still be the same number. */
static void number_text(char *out, size_t room, const json_t *number) {
    double value = json_number_value(number);
    if (json_is_integer(number)) {
        snprintf(out, room, "%lld", (long long)json_integer_value(number));
        return;
    }
    snprintf(out, room, "%.15g", value);
    if (strtod(out, NULL) != value)
        snprintf(out, room, "%.17g", value);
}

/* Sets `name`, made fit for Prometheus, unless it is there already and may stay. */
static void put(json_t *object, const char *name, const char *value, bool replace) {
    char *fit = malloc(strlen(name) + 2);
    size_t len = 0;
    if (!fit)
        return;
    if (!*name || isdigit((unsigned char)*name))
        fit[len++] = '_';
    for (; *name; name++)
        fit[len++] = (char)(isalnum((unsigned char)*name) ? *name : '_');
    fit[len] = '\0';
    if (replace || !json_object_get(object, fit))
        json_object_set_new(object, fit, json_string(value));
    free(fit);
}

static void put_value(json_t *object, const char *name, const json_t *value, bool replace) {
    char text[40];
    if (json_is_number(value)) {
        number_text(text, sizeof text, value);
        put(object, name, text, replace);
    } else if (json_is_string(value)) {
        put(object, name, json_string_value(value), replace);
    }
}

static void put_all(json_t *object, json_t *values) {
    for (void *at = json_object_iter(values); at; at = json_object_iter_next(values, at))
        put_value(object, json_object_iter_key(at), json_object_iter_value(at), true);
}

static void make_labels(struct message *message, const char *group) {
    static const char *const also[] = {"metric", "reading", "window"};
    json_t *labels = message->labels;
    put_all(labels, json_object_get(message->alert, "labels"));
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++)
        put_value(labels, also[i], json_object_get(message->alert, also[i]), false);
    if (group)
        put(labels, "group", group, false);
    put_all(labels, json_object_get(message->alert, "segment")); /* tells alerts apart: it wins */
    put(labels, "alertname", text_of(message->alert, "rule"), true);
}

static void make_annotations(struct message *message, bool suspect) {
    static const char *const also[] = {"summary", "value", "num", "den", "threshold"};
    json_t *annotations = message->annotations;
    put_all(annotations, json_object_get(message->alert, "annotations"));
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++)
        put_value(annotations, also[i], json_object_get(message->alert, also[i]), false);
    if (suspect)
        put(annotations, "data_quality", "suspect", true);
}

static bool time_of(const json_t *alert, const char *key, int64_t *time_ms) {
    const char *text = text_of(alert, key);
    return weir_time_parse(text, strlen(text), time_ms) == 0;
}

static int read_alert(struct message *message, const char *alert_json, const char *group,
                      struct weir_err *err) {
    json_error_t where;
    size_t len = strlen(alert_json);
    if (len > ALERT_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "an alert of %zu bytes is not sent; at most %zu",
                            len, ALERT_MAX);
    message->alert = json_loadb(alert_json, len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(message->alert))
        return weir_err_set(err, WEIR_ERR_INPUT, "the alert to send is no JSON object: %s",
                            message->alert ? "something else" : where.text);
    const char *status = text_of(message->alert, "status");
    bool suspect = strcmp(status, "suspect") == 0;
    message->resolved = strcmp(status, "resolved") == 0 || strcmp(status, "inactive") == 0;
    if (!suspect && !message->resolved && strcmp(status, "firing") != 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "an alert of status \"%.40s\" is not sent; firing, suspect, resolved "
                            "and inactive are",
                            status);
    if (!*text_of(message->alert, "rule") ||
        !time_of(message->alert, "starts_at", &message->starts_ms))
        return weir_err_set(err, WEIR_ERR_INPUT, "the alert to send has no rule or no starts_at");
    /* Not by the clock: a second try of the same alert is the same body. */
    if ((!time_of(message->alert, "ends_at", &message->ends_ms) &&
         !time_of(message->alert, "as_of", &message->ends_ms)) ||
        message->ends_ms < message->starts_ms)
        message->ends_ms = message->starts_ms;
    message->labels = json_object();
    message->annotations = json_object();
    make_labels(message, group);
    make_annotations(message, suspect);
    return 0;
}

static int name_compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* As Alertmanager writes it for a route that groups by every label. */
static json_t *group_key(json_t *labels) {
    struct weir_buf text;
    size_t len = 0, size = json_object_size(labels);
    const char **names = calloc(size + 1, sizeof *names);
    if (!names)
        return NULL;
    for (void *at = json_object_iter(labels); at; at = json_object_iter_next(labels, at))
        names[len++] = json_object_iter_key(at);
    qsort(names, len, sizeof *names, name_compare);
    weir_buf_init(&text, WEIR_NOTIFY_BODY_MAX);
    weir_buf_text(&text, "{}:{");
    for (size_t i = 0; i < len; i++) {
        char *quoted = json_dumps(json_object_get(labels, names[i]), JSON_ENCODE_ANY);
        weir_buf_printf(&text, "%s%s=%s", i ? ", " : "", names[i], quoted ? quoted : "\"\"");
        free(quoted);
    }
    weir_buf_text(&text, "}");
    json_t *key = text.failed ? NULL : json_stringn(text.data, text.len);
    weir_buf_close(&text);
    free(names);
    return key;
}

static json_t *webhook_body(const struct message *message, const char *receiver,
                            const char *external_url) {
    const char *status = message->resolved ? "resolved" : "firing";
    char starts[TIME_TEXT_MAX], ends[TIME_TEXT_MAX] = "0001-01-01T00:00:00Z"; /* Go's zero time */
    time_text(starts, message->starts_ms);
    if (message->resolved)
        time_text(ends, message->ends_ms);
    json_t *alert = json_pack("{s:s, s:O, s:O, s:s, s:s, s:s, s:s}", "status", status, "labels",
                              message->labels, "annotations", message->annotations, "startsAt",
                              starts, "endsAt", ends, "generatorURL", external_url, "fingerprint",
                              text_of(message->alert, "fingerprint"));
    return json_pack("{s:s, s:s, s:[o], s:O, s:O, s:O, s:s, s:s, s:o, s:i}", "receiver", receiver,
                     "status", status, "alerts", alert, "groupLabels", message->labels,
                     "commonLabels", message->labels, "commonAnnotations", message->annotations,
                     "externalURL", external_url, "version", "4", "groupKey",
                     group_key(message->labels), "truncatedAlerts", 0);
}

static int64_t believed_until(const struct message *message, int64_t now_ms) {
    int64_t repeat_ms = json_integer_value(json_object_get(message->alert, "repeat_interval_ms"));
    int64_t from_ms = message->starts_ms > now_ms ? message->starts_ms : now_ms;
    return from_ms + (repeat_ms > 0 && repeat_ms < 100 * HOLD_MS ? 4 * repeat_ms : HOLD_MS);
}

static json_t *alertmanager_body(const struct message *message, const char *external_url,
                                 int64_t now_ms) {
    char starts[TIME_TEXT_MAX], ends[TIME_TEXT_MAX];
    time_text(starts, message->starts_ms);
    /* Event time may run ahead of the clock, and an end to come would not be an end there. */
    int64_t ends_ms = message->ends_ms < now_ms ? message->ends_ms : now_ms;
    time_text(ends, message->resolved ? ends_ms : believed_until(message, now_ms));
    json_t *alert = json_pack("{s:O, s:O, s:s, s:s}", "labels", message->labels, "annotations",
                              message->annotations, "startsAt", starts, "endsAt", ends);
    if (alert && *external_url)
        json_object_set_new(alert, "generatorURL", json_string(external_url));
    return json_pack("[o]", alert);
}

int weir_notify_body(struct weir_buf *body, const struct weir_sink *sink, const char *alert_json,
                     const char *group, const char *external_url, int64_t now_ms,
                     struct weir_err *err) {
    struct message message = {0};
    json_t *built = NULL;
    char *text = NULL;
    const char *url = external_url ? external_url : "";
    int rc = read_alert(&message, alert_json, group, err);
    if (rc != 0)
        goto done;
    if (sink->type == WEIR_SINK_WEBHOOK)
        built = webhook_body(&message, sink->name, url);
    else
        built = alertmanager_body(&message, url, now_ms);
    text = built ? json_dumps(built, JSON_COMPACT) : NULL;
    if (!text || weir_buf_text(body, text) != 0)
        rc = weir_err_set(err, WEIR_ERR_INPUT,
                          "the alert's message cannot be made; it is too large "
                          "or memory is out");
done:
    free(text);
    json_decref(built);
    json_decref(message.alert);
    json_decref(message.labels);
    json_decref(message.annotations);
    return rc;
}
