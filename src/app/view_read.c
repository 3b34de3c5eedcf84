/* The published keys: windows, segments, series and alerts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/view_parts.h"

#define OTHER "_other"

static int send_hash(struct weir_view *view, const char *key, struct weir_err *err) {
    return weir_view_send(view, err, "HGETALL", key, NULL);
}

/* ---- windows ---- */

static int take_window(struct weir_view *view, const char *window, json_t *list,
                       struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int result = weir_view_next(view, &reply, err);
    if (result != 0)
        return result;
    if (reply->items_len > 0) {
        json_t *fields = weir_view_fields(reply);
        json_object_set_new(fields, "window", json_string(window));
        json_array_append_new(list, fields);
    }
    weir_reply_free(reply);
    return 0;
}

static json_t *names_json(const char *names, size_t size, size_t len) {
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++)
        json_array_append_new(list, json_string(names + i * size));
    return list;
}

int weir_view_windows(struct weir_view *view, const char *window, json_t **out,
                      struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    json_t *list = json_array();
    int result = 0;
    *out = NULL;
    for (int sent = 0; sent < 2; sent++) { /* all questions first, then all answers */
        for (size_t i = 0; i < view->windows_len && result == 0; i++) {
            const char *name = view->windows[i];
            if (window && strcmp(window, name) != 0)
                continue;
            weir_name_key(key, sizeof key, view->group, "now:%s", name);
            result = sent ? take_window(view, name, list, err) : send_hash(view, key, err);
        }
    }
    if (result == 0)
        *out = json_pack(
            "{s:s, s:O, s:o, s:o}", "group", view->group, "windows", list, "window_names",
            names_json(view->windows[0], sizeof view->windows[0], view->windows_len),
            "dimension_names",
            names_json(view->dimensions[0], sizeof view->dimensions[0], view->dimensions_len));
    json_decref(list);
    return result;
}

/* ---- segments ---- */

static int take_segment(struct weir_view *view, const char *dimension, const char *value,
                        json_t *list, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int result = weir_view_next(view, &reply, err);
    if (result != 0)
        return result;
    if (reply->items_len > 0) { /* else it has just left the top */
        json_t *fields = weir_view_fields(reply);
        json_object_set_new(fields, "dimension", json_string(dimension));
        json_object_set_new(fields, "value", json_string(value));
        json_array_append_new(list, fields);
    }
    weir_reply_free(reply);
    return 0;
}

/* The n-th of the top's values; behind the last one comes `_other`, unless it is among them. */
static const char *segment_at(const struct weir_reply *top, size_t n) {
    if (n < top->items_len)
        return top->items[n]->text;
    for (size_t i = 0; i < top->items_len; i++)
        if (top->items[i]->text && strcmp(top->items[i]->text, OTHER) == 0)
            return NULL;
    return OTHER;
}

static int add_dimension(struct weir_view *view, const char *window, const char *dimension,
                         json_t *list, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *top = NULL;
    weir_name_key(key, sizeof key, view->group, "top:%s:%s", window, dimension);
    int result = weir_view_send(view, err, "ZREVRANGE", key, "0", "-1", NULL);
    if (result == 0)
        result = weir_view_next(view, &top, err);
    for (int sent = 0; sent < 2 && result == 0; sent++) {
        for (size_t i = 0; i <= top->items_len && result == 0; i++) {
            const char *value = segment_at(top, i);
            if (!value)
                continue;
            weir_name_key(key, sizeof key, view->group, "now:%s:%s:%s", window, dimension, value);
            result =
                sent ? take_segment(view, dimension, value, list, err) : send_hash(view, key, err);
        }
    }
    weir_reply_free(top);
    return result;
}

int weir_view_segments(struct weir_view *view, const char *window, const char *dimension,
                       json_t **out, struct weir_err *err) {
    json_t *list = json_array();
    int result = 0;
    *out = NULL;
    for (size_t i = 0; i < view->dimensions_len && result == 0; i++)
        if (!dimension || strcmp(dimension, view->dimensions[i]) == 0)
            result = add_dimension(view, window, view->dimensions[i], list, err);
    if (result == 0)
        *out =
            json_pack("{s:s, s:s, s:O}", "group", view->group, "window", window, "segments", list);
    json_decref(list);
    return result;
}

/* ---- series and alerts: streams, whose entries are [id, [field, value, ...]] ---- */

static const struct weir_reply *entry_fields(const struct weir_reply *entry) {
    return entry->items_len == 2 && entry->items[0]->text ? entry->items[1] : NULL;
}

int weir_view_series(struct weir_view *view, const char *window, int64_t from_ms, int64_t to_ms,
                     int64_t limit, json_t **out, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX], from[24], to[24], count[24];
    struct weir_reply *reply = NULL;
    *out = NULL;
    weir_name_key(key, sizeof key, view->group, "series:%s", window);
    snprintf(from, sizeof from, "%" PRId64, from_ms);
    snprintf(to, sizeof to, "%" PRId64, to_ms);
    snprintf(count, sizeof count, "%" PRId64, limit);
    int result = weir_view_send(view, err, "XREVRANGE", key, to, from, "COUNT", count, NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    if (result != 0)
        return result;
    json_t *list = json_array();
    for (size_t i = reply->items_len; i > 0; i--) {
        const struct weir_reply *fields = entry_fields(reply->items[i - 1]);
        if (fields)
            json_array_append_new(list, weir_view_fields(fields));
    }
    weir_reply_free(reply);
    *out = json_pack("{s:s, s:s, s:o}", "group", view->group, "window", window, "entries", list);
    return 0;
}

static int add_firing(struct weir_view *view, json_t *list, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *reply = NULL;
    weir_name_key(key, sizeof key, view->group, "firing");
    int result = weir_view_send(view, err, "HVALS", key, NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    for (size_t i = 0; result == 0 && i < reply->items_len; i++)
        json_array_append_new(list, weir_view_json(reply->items[i]));
    weir_reply_free(reply);
    return result;
}

static int add_recent(struct weir_view *view, int64_t limit, json_t *list, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX], count[24];
    struct weir_reply *reply = NULL;
    weir_name_key(key, sizeof key, view->group, "alerts");
    snprintf(count, sizeof count, "%" PRId64, limit);
    int result = weir_view_send(view, err, "XREVRANGE", key, "+", "-", "COUNT", count, NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    for (size_t i = 0; result == 0 && i < reply->items_len; i++) {
        const struct weir_reply *fields = entry_fields(reply->items[i]);
        for (size_t j = 1; fields && j < fields->items_len; j += 2)
            if (fields->items[j]->text && fields->items[j]->text[0] == '{')
                json_array_append_new(list, weir_view_json(fields->items[j]));
    }
    weir_reply_free(reply);
    return result;
}

static int take_quality(struct weir_view *view, json_t **quality, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *reply = NULL;
    weir_name_key(key, sizeof key, view->group, "published");
    int result = weir_view_send(view, err, "HGET", key, "data_quality", NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    if (result == 0)
        *quality = weir_view_value(reply);
    weir_reply_free(reply);
    return result;
}

int weir_view_alerts(struct weir_view *view, int64_t limit, json_t **out, struct weir_err *err) {
    json_t *firing = json_array(), *recent = json_array(), *quality = NULL;
    *out = NULL;
    int result = add_firing(view, firing, err);
    if (result == 0)
        result = add_recent(view, limit, recent, err);
    if (result == 0)
        result = take_quality(view, &quality, err);
    if (result == 0)
        *out = json_pack("{s:s, s:o, s:O, s:O}", "group", view->group, "data_quality", quality,
                         "firing", firing, "recent", recent);
    json_decref(firing);
    json_decref(recent);
    return result;
}
