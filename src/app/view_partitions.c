/* The partitions' meta hashes: who owns which, and how far it is; and their samples of sessions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/view_parts.h"
#include "weir/overlap.h"

#define SAMPLED_LEAST 16 /* sessions without which nothing is said of a share */

struct member {
    const char *name; /* topic.number, of the reply */
    size_t topic_len;
    int32_t number; /* -1: the name is no partition's */
};

static struct member read_member(const char *name) {
    struct member member = {name, strlen(name), -1};
    const char *dot = strrchr(name, '.');
    char *end = NULL;
    if (!dot || strspn(dot + 1, "0123456789") != strlen(dot + 1) || strlen(dot + 1) > 9)
        return member;
    long number = strtol(dot + 1, &end, 10);
    if (end == dot + 1)
        return member;
    member.topic_len = (size_t)(dot - name);
    member.number = (int32_t)number;
    return member;
}

static int by_place(const void *left, const void *right) {
    const struct member *a = left, *b = right;
    size_t len = a->topic_len < b->topic_len ? a->topic_len : b->topic_len;
    int order = strncmp(a->name, b->name, len);
    if (order != 0)
        return order;
    if (a->topic_len != b->topic_len)
        return a->topic_len < b->topic_len ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* In Redis, outside, and whether it is hex: that may look like a number. */
static const struct field {
    const char *name, *shown;
    bool text;
} fields[] = {
    {"owner", "owner", true},
    {"epoch", "epoch", false},
    {"seq", "seq", false},
    {"offset", "offset", false},
    {"idle", "idle", false},
    {"watermark", "watermark", false},
    {"lag", "lag", false},
    {"wall", "committed_at", false},
    {"fingerprint", "fingerprint", true},
};
#define FIELDS (sizeof fields / sizeof fields[0])

static json_t *field_json(const struct field *field, const struct weir_reply *value) {
    if (!field->text)
        return weir_view_value(value);
    return value->text ? json_string(value->text) : json_null();
}

static json_t *partition_json(const struct member *member, const struct weir_reply *values) {
    json_t *json = json_pack("{s:s%, s:i}", "topic", member->name, member->topic_len, "partition",
                             (int)member->number);
    for (size_t i = 0; i < FIELDS && i < values->items_len; i++)
        json_object_set_new(json, fields[i].shown, field_json(&fields[i], values->items[i]));
    const json_t *idle = json_object_get(json, "idle");
    if (json_is_integer(idle))
        json_object_set_new(json, "idle", json_boolean(json_integer_value(idle) != 0));
    if (json_integer_value(json_object_get(json, "lag")) < 0)
        json_object_set_new(json, "lag", json_null());
    if (json_integer_value(json_object_get(json, "watermark")) == INT64_MIN)
        json_object_set_new(json, "watermark", json_null());
    return json;
}

static int send_meta(struct weir_view *view, const struct member *member, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    const char *words[2 + FIELDS] = {"HMGET", key};
    snprintf(key, sizeof key, "weir:{%s.%s}:meta", view->group, member->name);
    for (size_t i = 0; i < FIELDS; i++)
        words[2 + i] = fields[i].name;
    return weir_redis_append(view->redis, 2 + FIELDS, words, NULL, err);
}

/* ---- sessions in several partitions ---- */

static int read_samples(struct weir_view *view, const struct member *members, size_t len,
                        struct weir_overlap *samples, struct weir_err *err) {
    int result = 0;
    for (size_t i = 0; i < len && result == 0; i++) {
        char key[WEIR_NAME_KEY_MAX];
        snprintf(key, sizeof key, "weir:{%s.%s}:k", view->group, members[i].name);
        result = weir_redis_append(view->redis, 2, (const char *[]){"GET", key}, NULL, err);
    }
    for (size_t i = 0; i < len && result == 0; i++) {
        struct weir_reply *reply = NULL;
        result = weir_view_next(view, &reply, err);
        weir_overlap_init(&samples[i]);
        if (result == 0 && reply->text)
            weir_overlap_read(&samples[i], reply->text, reply->len); /* damaged: empty */
        weir_reply_free(reply);
    }
    return result;
}

/* "split_sessions" of each partition: the share of its sessions that others have a part of. */
static int add_splits(struct weir_view *view, const struct member *members, size_t len,
                      json_t *list, struct weir_err *err) {
    struct weir_overlap *samples = calloc(len + 1, sizeof *samples);
    struct weir_split *splits = calloc(len + 1, sizeof *splits);
    WEIR_ASSERT(samples != NULL && splits != NULL);
    int result = read_samples(view, members, len, samples, err);
    if (result == 0)
        weir_overlap_compare(samples, len, splits);
    for (size_t i = 0; i < len && result == 0; i++) {
        bool known = splits[i].sampled >= SAMPLED_LEAST;
        double share = known ? (double)splits[i].split / (double)splits[i].sampled : 0;
        json_object_set_new(json_array_get(list, i), "split_sessions",
                            known ? json_real(share) : json_null());
    }
    free(samples);
    free(splits);
    return result;
}

static int take_meta(struct weir_view *view, const struct member *member, json_t *list,
                     struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int result = weir_view_next(view, &reply, err);
    if (result == 0)
        json_array_append_new(list, partition_json(member, reply));
    weir_reply_free(reply);
    return result;
}

int weir_view_partitions(struct weir_view *view, json_t **out, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *reply = NULL;
    *out = NULL;
    weir_name_key(key, sizeof key, view->group, "partitions");
    int result = weir_view_send(view, err, "SMEMBERS", key, NULL);
    if (result == 0)
        result = weir_view_next(view, &reply, err);
    if (result != 0)
        return result;
    struct member *members = calloc(reply->items_len + 1, sizeof *members);
    WEIR_ASSERT(members != NULL);
    size_t len = 0;
    for (size_t i = 0; i < reply->items_len; i++)
        if (reply->items[i]->text)
            members[len++] = read_member(reply->items[i]->text);
    qsort(members, len, sizeof *members, by_place);
    json_t *list = json_array();
    for (size_t i = 0; i < len && result == 0; i++)
        result = send_meta(view, &members[i], err);
    for (size_t i = 0; i < len && result == 0; i++)
        result = take_meta(view, &members[i], list, err);
    if (result == 0)
        result = add_splits(view, members, len, list, err);
    if (result == 0)
        *out = json_pack("{s:s, s:O}", "group", view->group, "partitions", list);
    json_decref(list);
    free(members);
    weir_reply_free(reply);
    return result;
}
