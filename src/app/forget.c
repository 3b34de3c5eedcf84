#include "app/forget.h"

#include <stdio.h>
#include <string.h>

#define PREFIX_MAX 700

static int redis_says(struct weir_err *err, const struct weir_reply *reply) {
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis answered: %s",
                        reply->text ? reply->text : "something unexpected");
}

static int delete_keys(struct weir_redis *redis, const struct weir_reply *keys,
                       struct weir_err *err) {
    int status = 0;
    for (size_t i = 0; i < keys->items_len && status == 0; i++)
        status = weir_redis_append(redis, 2, (const char *[]){"UNLINK", keys->items[i]->text}, NULL,
                                   err);
    for (size_t i = 0; i < keys->items_len && status == 0; i++) {
        struct weir_reply *reply = NULL;
        status = weir_redis_read(redis, &reply, err);
        weir_reply_free(reply);
    }
    return status;
}

/* A pattern's own characters in a name mean themselves. */
static void make_pattern(char *pattern, const char *prefix) {
    size_t len = 0;
    for (const char *at = prefix; *at; at++) {
        if (strchr("*?[]\\^-", *at))
            pattern[len++] = '\\';
        pattern[len++] = *at;
    }
    pattern[len++] = '*';
    pattern[len] = '\0';
}

/* Every key that begins with `prefix`. */
static int forget(struct weir_redis *redis, const char *prefix, struct weir_err *err) {
    char pattern[2 * PREFIX_MAX + 2], cursor[32] = "0";
    int status = 0;
    make_pattern(pattern, prefix);
    do {
        struct weir_reply *reply = NULL;
        status = weir_redis_do(redis, &reply, err, "SCAN", cursor, "MATCH", pattern, "COUNT",
                               "1000", NULL);
        if (status != 0)
            return status;
        if (reply->type != WEIR_REPLY_ARRAY || reply->items_len != 2) {
            status = redis_says(err, reply);
        } else {
            snprintf(cursor, sizeof cursor, "%s", reply->items[0]->text);
            status = delete_keys(redis, reply->items[1], err);
        }
        weir_reply_free(reply);
    } while (status == 0 && strcmp(cursor, "0") != 0);
    return status;
}

int weir_forget_partition(struct weir_redis *redis, const char *group, const char *topic,
                          int32_t number, struct weir_err *err) {
    char prefix[PREFIX_MAX];
    snprintf(prefix, sizeof prefix, "weir:{%s.%s.%d}:", group, topic, number);
    return forget(redis, prefix, err);
}

int weir_forget_group(struct weir_redis *redis, const char *group, struct weir_err *err) {
    static const char *const published[] = {"now:", "top:", "series:", "published", "partitions"};
    char prefix[PREFIX_MAX];
    struct weir_reply *members = NULL;
    snprintf(prefix, sizeof prefix, "weir:{%s}:partitions", group);
    int status = weir_redis_do(redis, &members, err, "SMEMBERS", prefix, NULL);
    if (status != 0)
        return status;
    if (members->type != WEIR_REPLY_ARRAY)
        status = redis_says(err, members);
    for (size_t i = 0; i < members->items_len && status == 0; i++) {
        snprintf(prefix, sizeof prefix, "weir:{%s.%s}:", group, members->items[i]->text);
        status = forget(redis, prefix, err);
    }
    for (size_t i = 0; i < sizeof published / sizeof published[0] && status == 0; i++) {
        snprintf(prefix, sizeof prefix, "weir:{%s}:%s", group, published[i]);
        status = forget(redis, prefix, err);
    }
    weir_reply_free(members);
    return status;
}
