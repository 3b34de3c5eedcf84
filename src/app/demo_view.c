/* What a dashboard would read: the published keys of a group, and nothing private. */
#include "demo.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/clock.h"

#define TIMEOUT_MS 2000
#define KEY_MAX 192
#define ALERTS_AT_ONCE "100"

static const char *const windows[WEIR_DEMO_WINDOWS] = {WEIR_DEMO_WINDOW, "1m", "5m"};

int weir_demo_view_open(struct weir_demo_view *view, const char *redis_url, const char *group,
                        bool countries, struct weir_err *err) {
    memset(view, 0, sizeof *view);
    snprintf(view->group, sizeof view->group, "%s", group);
    snprintf(view->alerts_last, sizeof view->alerts_last, "0");
    view->countries = countries;
    for (int i = 0; i < WEIR_DEMO_WINDOWS; i++)
        snprintf(view->windows[i].name, sizeof view->windows[i].name, "%s", windows[i]);
    int result = weir_redis_new(&view->redis, redis_url, TIMEOUT_MS, err);
    return result == 0 ? weir_redis_connect(view->redis, err) : result;
}

void weir_demo_view_close(struct weir_demo_view *view) {
    if (view->redis)
        weir_redis_free(view->redis);
    view->redis = NULL;
}

static const char *field_of(const struct weir_reply *hash, const char *name) {
    for (size_t i = 0; i + 1 < hash->items_len; i += 2)
        if (hash->items[i]->text && strcmp(hash->items[i]->text, name) == 0)
            return hash->items[i + 1]->text;
    return NULL;
}

/* NaN where there is no number: absent, or a ratio of nothing. */
static double number_of(const struct weir_reply *hash, const char *name) {
    const char *text = field_of(hash, name);
    if (!text || !*text)
        return NAN;
    char *end = NULL;
    errno = 0;
    double value = strtod(text, &end);
    return errno == 0 && *end == 0 ? value : NAN;
}

static int64_t integer_of(const struct weir_reply *hash, const char *name) {
    double value = number_of(hash, name);
    return isfinite(value) && fabs(value) < 9e15 ? (int64_t)value : 0;
}

static void remember(struct weir_demo_row *row) {
    if (row->history_len == WEIR_DEMO_HISTORY) {
        memmove(row->history, row->history + 1, sizeof row->history - sizeof row->history[0]);
        row->history_len--;
    }
    row->history[row->history_len++] = row->conversion;
}

static void fill_row(struct weir_demo_row *row, const struct weir_reply *hash) {
    row->known = hash->type == WEIR_REPLY_ARRAY && hash->items_len > 0;
    if (!row->known)
        return;
    int64_t as_of = integer_of(hash, "as_of");
    row->sessions = integer_of(hash, "sessions");
    row->conversion = number_of(hash, "conversion_rate");
    row->bounce = number_of(hash, "bounce_rate");
    row->abandonment = number_of(hash, "cart_abandonment_rate");
    row->order_value = number_of(hash, "average_order_value");
    row->revenue = number_of(hash, "revenue");
    if (as_of != row->as_of_ms)
        remember(row);
    row->as_of_ms = as_of;
}

static int read_hash(struct weir_demo_view *view, const char *key, struct weir_demo_row *row,
                     struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int result = weir_redis_do(view->redis, &reply, err, "HGETALL", key, NULL);
    if (result != 0)
        return result;
    fill_row(row, reply);
    weir_reply_free(reply);
    return 0;
}

static struct weir_demo_row *segment_named(struct weir_demo_view *view, const char *name) {
    for (int i = 0; i < view->segments_len; i++)
        if (strcmp(view->segments[i].name, name) == 0)
            return &view->segments[i];
    if (view->segments_len == WEIR_DEMO_COUNTRIES)
        return NULL;
    struct weir_demo_row *row = &view->segments[view->segments_len++];
    memset(row, 0, sizeof *row);
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

static int read_segments(struct weir_demo_view *view, struct weir_err *err) {
    char key[KEY_MAX], last[16];
    snprintf(key, sizeof key, "weir:{%s}:top:" WEIR_DEMO_WINDOW ":country", view->group);
    snprintf(last, sizeof last, "%d", WEIR_DEMO_COUNTRIES - 1);
    struct weir_reply *top = NULL;
    int result = weir_redis_do(view->redis, &top, err, "ZREVRANGE", key, "0", last, NULL);
    if (result != 0)
        return result;
    for (size_t i = 0; i < top->items_len && result == 0; i++) {
        const char *name = top->items[i]->text;
        struct weir_demo_row *row = name ? segment_named(view, name) : NULL;
        if (!row)
            continue;
        snprintf(key, sizeof key, "weir:{%s}:now:" WEIR_DEMO_WINDOW ":country:%.64s", view->group,
                 name);
        result = read_hash(view, key, row, err);
    }
    weir_reply_free(top);
    return result;
}

static void copy_text(char *out, size_t max, const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, max, "%s", text ? text : "");
}

static void take_alert(struct weir_demo_view *view, const char *text) {
    json_t *json = json_loads(text, 0, NULL);
    if (!json)
        return;
    struct weir_demo_alert alert = {
        .as_of_ms = weir_clock_wall_ms(),
    };
    copy_text(alert.status, sizeof alert.status, json, "status");
    copy_text(alert.rule, sizeof alert.rule, json, "rule");
    copy_text(alert.summary, sizeof alert.summary, json, "summary");
    const char *dimension;
    json_t *value;
    json_object_foreach(json_object_get(json, "segment"), dimension, value) {
        const char *name = json_string_value(value);
        snprintf(alert.segment, sizeof alert.segment, "%.30s %.60s", dimension, name ? name : "");
    }
    bool fires = strcmp(alert.status, "firing") == 0;
    bool resolves = strcmp(alert.status, "resolved") == 0;
    bool expected = strcmp(alert.segment, "country " WEIR_DEMO_COUNTRY) == 0;
    if (fires && expected && view->fired_ms == 0)
        view->fired_ms = alert.as_of_ms;
    if (resolves && expected && view->resolved_ms == 0)
        view->resolved_ms = alert.as_of_ms;
    for (int i = 0; i < view->segments_len; i++) {
        const char *name = strchr(alert.segment, ' ');
        if ((fires || resolves) && name && strcmp(name + 1, view->segments[i].name) == 0)
            view->segments[i].firing = fires;
    }
    view->alerts[view->alerts_len++ % WEIR_DEMO_ALERTS] = alert;
    json_decref(json);
}

/* One entry of a stream: [id, [name, value, ...]]; the alert is the value that is an object. */
static void take_entry(struct weir_demo_view *view, const struct weir_reply *entry) {
    if (entry->items_len != 2 || !entry->items[0]->text)
        return;
    snprintf(view->alerts_last, sizeof view->alerts_last, "%s", entry->items[0]->text);
    const struct weir_reply *fields = entry->items[1];
    for (size_t i = 1; i < fields->items_len; i += 2)
        if (fields->items[i]->text && fields->items[i]->text[0] == '{')
            take_alert(view, fields->items[i]->text);
}

static int read_alerts(struct weir_demo_view *view, struct weir_err *err) {
    char key[KEY_MAX];
    snprintf(key, sizeof key, "weir:{%s}:alerts", view->group);
    struct weir_reply *reply = NULL;
    int result = weir_redis_do(view->redis, &reply, err, "XREAD", "COUNT", ALERTS_AT_ONCE,
                               "STREAMS", key, view->alerts_last, NULL);
    if (result != 0)
        return result;
    if (reply->type == WEIR_REPLY_ARRAY && reply->items_len == 1 &&
        reply->items[0]->items_len == 2) {
        const struct weir_reply *entries = reply->items[0]->items[1];
        for (size_t i = 0; i < entries->items_len; i++)
            take_entry(view, entries->items[i]);
    }
    weir_reply_free(reply);
    return 0;
}

int weir_demo_view_read(struct weir_demo_view *view, struct weir_err *err) {
    int result = 0;
    for (int i = 0; i < WEIR_DEMO_WINDOWS && result == 0; i++) {
        char key[KEY_MAX];
        snprintf(key, sizeof key, "weir:{%s}:now:%s", view->group, windows[i]);
        result = read_hash(view, key, &view->windows[i], err);
    }
    if (result == 0 && view->countries)
        result = read_segments(view, err);
    return result == 0 ? read_alerts(view, err) : result;
}

static int unlink_all(struct weir_redis *redis, const struct weir_reply *keys,
                      struct weir_err *err) {
    int result = 0;
    for (size_t i = 0; i < keys->items_len && result == 0; i++) {
        struct weir_reply *reply = NULL;
        result = weir_redis_do(redis, &reply, err, "UNLINK", keys->items[i]->text, NULL);
        if (result == 0)
            weir_reply_free(reply);
    }
    return result;
}

static int forget_on(struct weir_redis *redis, size_t node, const char *pattern,
                     struct weir_err *err) {
    char cursor[32] = "0";
    int result = 0;
    do {
        struct weir_reply *reply = NULL;
        result = weir_redis_node_command(
            redis, node, &reply, err, 6,
            (const char *[]){"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
        if (result != 0)
            return result;
        bool usable = reply->items_len == 2 && reply->items[0]->text;
        snprintf(cursor, sizeof cursor, "%s", usable ? reply->items[0]->text : "0");
        result = usable ? unlink_all(redis, reply->items[1], err) : -1;
        weir_reply_free(reply);
    } while (result == 0 && strcmp(cursor, "0") != 0);
    return result;
}

void weir_demo_view_forget(struct weir_demo_view *view) {
    char pattern[KEY_MAX];
    struct weir_err err;
    if (!view->redis || weir_redis_connect(view->redis, &err) != 0)
        return;
    /* the group's own keys and those of its partitions: "weir:{group}" and "weir:{group.topic.0}"
     */
    snprintf(pattern, sizeof pattern, "weir:{%s[.}]*", view->group);
    for (size_t i = 0; i < weir_redis_nodes(view->redis); i++)
        if (forget_on(view->redis, i, pattern, &err) != 0)
            return;
}
