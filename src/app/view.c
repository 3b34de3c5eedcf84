#include "app/view.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_value.h"
#include "app/view_parts.h"

#define WORDS_MAX 16

int weir_view_open(struct weir_view *view, const char *redis_url, const char *group, int timeout_ms,
                   struct weir_err *err) {
    *view = (struct weir_view){0};
    int result = weir_redis_new(&view->redis, redis_url, timeout_ms, err);
    if (result != 0)
        return result;
    view->group = strdup(group);
    WEIR_ASSERT(view->group != NULL);
    return 0;
}

void weir_view_close(struct weir_view *view) {
    weir_redis_free(view->redis);
    free(view->group);
    *view = (struct weir_view){0};
}

/* ---- which windows and dimensions there are ---- */

void weir_view_know(struct weir_view *view, const struct weir_config *config) {
    const struct weir_plan *plan = &config->plan;
    view->windows_len = view->dimensions_len = 0;
    for (uint32_t i = 0; i < plan->windows_len; i++)
        weir_window_name(view->windows[view->windows_len++], WEIR_NAME_WINDOW_MAX,
                         plan->windows_ms[i]);
    for (uint32_t i = 0; i < plan->dimensions_len; i++)
        snprintf(view->dimensions[view->dimensions_len++], WEIR_VIEW_DIMENSION_MAX, "%s",
                 config->dimension_names[i]);
}

bool weir_view_has_window(const struct weir_view *view, const char *window) {
    for (size_t i = 0; i < view->windows_len; i++)
        if (strcmp(view->windows[i], window) == 0)
            return true;
    return false;
}

bool weir_view_has_dimension(const struct weir_view *view, const char *dimension) {
    for (size_t i = 0; i < view->dimensions_len; i++)
        if (strcmp(view->dimensions[i], dimension) == 0)
            return true;
    return false;
}

/* `rest` is a key behind the group's tag: now:<window> or top:<window>:<dimension>. */
static void learn(struct weir_view *view, const char *rest) {
    bool top = strncmp(rest, "top:", 4) == 0;
    if (!top && strncmp(rest, "now:", 4) != 0)
        return;
    const char *window = rest + 4, *colon = strchr(window, ':');
    if (!top && !colon && strlen(window) < WEIR_NAME_WINDOW_MAX &&
        view->windows_len < WEIR_WINDOWS_MAX && !weir_view_has_window(view, window))
        snprintf(view->windows[view->windows_len++], WEIR_NAME_WINDOW_MAX, "%s", window);
    if (top && colon && strlen(colon + 1) < WEIR_VIEW_DIMENSION_MAX &&
        view->dimensions_len < WEIR_DIMENSIONS_MAX && !weir_view_has_dimension(view, colon + 1))
        snprintf(view->dimensions[view->dimensions_len++], WEIR_VIEW_DIMENSION_MAX, "%s",
                 colon + 1);
}

static int by_duration(const void *left, const void *right) {
    int64_t a = INT64_MAX, b = INT64_MAX; /* what is no duration comes last */
    weir_value_duration(left, &a);
    weir_value_duration(right, &b);
    return a < b ? -1 : a > b;
}

static int by_name(const void *left, const void *right) {
    return strcmp(left, right);
}

/* A text that means itself in a pattern. */
static void put_escaped(char *out, size_t max, const char *text) {
    size_t len = 0;
    for (; *text && len + 2 < max; text++) {
        if (strchr("*?[]\\^", *text))
            out[len++] = '\\';
        out[len++] = *text;
    }
    out[len] = 0;
}

/* The fields as_of:<window> and `dimensions` of what the evaluator wrote last. */
static void learn_published(struct weir_view *view, const struct weir_reply *fields) {
    char key[16 + WEIR_NAME_WINDOW_MAX + WEIR_VIEW_DIMENSION_MAX];
    for (size_t i = 0; i + 1 < fields->items_len; i += 2) {
        const char *name = fields->items[i]->text, *value = fields->items[i + 1]->text;
        if (!name || !value)
            continue;
        if (strncmp(name, "as_of:", 6) == 0 && strlen(name) < 6 + WEIR_NAME_WINDOW_MAX) {
            snprintf(key, sizeof key, "now:%.*s", WEIR_NAME_WINDOW_MAX - 1, name + 6);
            learn(view, key);
        }
        while (strcmp(name, "dimensions") == 0 && *value) {
            size_t len = strcspn(value, " ");
            snprintf(key, sizeof key, "top:1m:%.*s", (int)(len < 64 ? len : 63), value);
            learn(view, key);
            value += len + (value[len] == ' ');
        }
    }
}

/* One node's keys of the group. A user who may not SCAN learns nothing this way. */
static int scan(struct weir_view *view, size_t node, const char *pattern, struct weir_err *err) {
    char cursor[32] = "0";
    size_t tag_len = strlen(view->group) + strlen("weir:{}:");
    do {
        struct weir_reply *reply = NULL;
        int result = weir_redis_node_command(
            view->redis, node, &reply, err, 6,
            (const char *[]){"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"});
        if (result != 0)
            return result;
        bool whole = reply->items_len == 2 && reply->items[0]->text;
        snprintf(cursor, sizeof cursor, "%s", whole ? reply->items[0]->text : "0");
        for (size_t i = 0; whole && i < reply->items[1]->items_len; i++) {
            const struct weir_reply *key = reply->items[1]->items[i];
            if (key->text && key->len > tag_len)
                learn(view, key->text + tag_len);
        }
        weir_reply_free(reply);
    } while (strcmp(cursor, "0") != 0);
    return 0;
}

int weir_view_discover(struct weir_view *view, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX], group[WEIR_NAME_KEY_MAX], pattern[WEIR_NAME_KEY_MAX + 16];
    struct weir_reply *reply = NULL;
    view->windows_len = view->dimensions_len = 0;
    weir_name_key(key, sizeof key, view->group, "published");
    int result = weir_view_send(view, err, "HGETALL", key, NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    if (reply)
        learn_published(view, reply);
    weir_reply_free(reply);
    put_escaped(group, sizeof group, view->group);
    snprintf(pattern, sizeof pattern, "weir:{%s}:*", group);
    for (size_t i = 0; result == 0 && view->windows_len == 0 && i < weir_redis_nodes(view->redis);
         i++)
        result = scan(view, i, pattern, err);
    qsort(view->windows, view->windows_len, sizeof view->windows[0], by_duration);
    qsort(view->dimensions, view->dimensions_len, sizeof view->dimensions[0], by_name);
    return result;
}

/* ---- asking Redis ---- */

int weir_view_send(struct weir_view *view, struct weir_err *err, ...) {
    const char *words[WORDS_MAX];
    int len = 0;
    va_list args;
    va_start(args, err);
    for (const char *word; (word = va_arg(args, const char *)) != NULL; len++) {
        WEIR_ASSERT(len < WORDS_MAX);
        words[len] = word;
    }
    va_end(args);
    int result = weir_redis_append(view->redis, len, words, NULL, err);
    if (result != 0)
        weir_redis_disconnect(view->redis);
    return result;
}

int weir_view_next(struct weir_view *view, struct weir_reply **reply, struct weir_err *err) {
    int result = weir_redis_read(view->redis, reply, err);
    if (result != 0 || (*reply)->type != WEIR_REPLY_ERROR)
        return result;
    result = weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s: %.500s",
                          weir_redis_name(view->redis), (*reply)->text);
    weir_reply_free(*reply);
    *reply = NULL;
    weir_redis_disconnect(view->redis);
    return result;
}

int weir_view_ping(struct weir_view *view, struct weir_err *err) {
    bool old = weir_redis_connected(view->redis);
    int result = 0;
    for (int tries = old ? 2 : 1; tries > 0; tries--) {
        struct weir_reply *reply = NULL;
        result = weir_view_send(view, err, "PING", NULL);
        if (result == 0)
            result = weir_view_next(view, &reply, err);
        weir_reply_free(reply);
        if (result == 0)
            break;
    }
    return result;
}

/* ---- its answers as JSON ---- */

static json_t *text_json(const struct weir_reply *text) {
    json_t *json = text->text ? json_stringn(text->text, text->len) : NULL;
    return json ? json : json_null(); /* not UTF-8, which decode lets nobody write */
}

json_t *weir_view_value(const struct weir_reply *text) {
    char *end = NULL;
    if (text->type == WEIR_REPLY_INTEGER)
        return json_integer(text->integer);
    if (text->type != WEIR_REPLY_TEXT || text->len == 0)
        return json_null();
    errno = 0;
    long long whole = strtoll(text->text, &end, 10);
    if (errno == 0 && end == text->text + text->len)
        return json_integer(whole);
    double value = strtod(text->text, &end);
    if (end == text->text + text->len)
        return isfinite(value) ? json_real(value) : json_null();
    return text_json(text);
}

json_t *weir_view_fields(const struct weir_reply *fields) {
    json_t *object = json_object();
    for (size_t i = 0; i + 1 < fields->items_len; i += 2)
        if (fields->items[i]->text)
            json_object_set_new(object, fields->items[i]->text,
                                weir_view_value(fields->items[i + 1]));
    return object;
}

json_t *weir_view_json(const struct weir_reply *text) {
    json_t *json = text->text ? json_loadb(text->text, text->len, 0, NULL) : NULL;
    return json ? json : text_json(text);
}
