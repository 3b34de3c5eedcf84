#include "app/forget.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/names.h"
#include "app/store.h"
#include "weir/crash.h"
#include "weir/number.h"
#include "weir/partition.h"

#define KEY_MAX 1400
#define PIPELINE 500

/* Deletes, many on their way at once. */
struct broom {
    struct weir_redis *redis;
    size_t due;
};

static int finish(struct broom *broom, struct weir_err *err) {
    int status = 0;
    for (; broom->due > 0 && status == 0; broom->due--) {
        struct weir_reply *reply = NULL;
        status = weir_redis_read(broom->redis, &reply, err);
        if (status == 0 && reply->type == WEIR_REPLY_ERROR)
            status = weir_reply_refuse(reply, err);
        weir_reply_free(reply);
        weir_crash_point("forget_swept");
    }
    if (status != 0)
        weir_redis_disconnect(broom->redis); /* what is still due is nobody's answer */
    return status;
}

static int sweep(struct broom *broom, const char *key, size_t len, struct weir_err *err) {
    const char *const words[] = {"UNLINK", key};
    const size_t lens[] = {6, len};
    int status = weir_redis_append(broom->redis, 2, words, lens, err);
    if (status == 0 && ++broom->due == PIPELINE)
        status = finish(broom, err);
    return status;
}

__attribute__((format(printf, 3, 4))) static int
sweep_named(struct broom *broom, struct weir_err *err, const char *format, ...) {
    char key[KEY_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(key, sizeof key, format, args);
    va_end(args);
    WEIR_ASSERT(len > 0 && (size_t)len < sizeof key);
    return sweep(broom, key, (size_t)len, err);
}

/* The reply, or an error for any other type than this one (nil is one of its own). */
static int ask(struct weir_redis *redis, struct weir_reply **reply, enum weir_reply_type type,
               struct weir_err *err, int argc, const char *const *argv) {
    int status = weir_redis_command(redis, reply, err, argc, argv, NULL);
    if (status != 0 || (*reply)->type == type || (*reply)->type == WEIR_REPLY_NIL)
        return status;
    status = weir_reply_refuse(*reply, err);
    weir_reply_free(*reply);
    *reply = NULL;
    return status;
}

/* An array of texts, `step` at a time. */
static int ask_list(struct weir_redis *redis, struct weir_reply **reply, size_t step,
                    struct weir_err *err, int argc, const char *const *argv) {
    int status = ask(redis, reply, WEIR_REPLY_ARRAY, err, argc, argv);
    return status == 0 ? weir_reply_expect(*reply, WEIR_SHAPE_TEXTS, step, err) : status;
}

static size_t items_of(const struct weir_reply *reply) {
    return reply ? reply->items_len : 0;
}

/* ---- a partition ---- */

/* Which dictionaries, chunks and deltas the stored state has. A state that this weir cannot read
 * may have any delta up to its sequence number. */
static int sweep_state(struct broom *broom, const struct weir_config *config, const char *tag,
                       const struct weir_reply *meta, struct weir_err *err) {
    const struct weir_reply *seq = meta->items[0], *state = meta->items[1];
    struct weir_partition *partition = weir_partition_new(&config->plan);
    struct weir_err unreadable;
    int64_t deltas = 0;
    char(*keys)[40];
    size_t len = 0;
    if (!partition)
        return weir_err_set(err, WEIR_ERR_REFUSED, "no memory to read what is to be forgotten");
    if (seq->text)
        weir_number_whole(seq->text, &deltas);
    if (state->type == WEIR_REPLY_TEXT &&
        weir_partition_import_meta(partition, state->text, state->len, &unreadable) == 0)
        deltas = 0;
    int status = weir_partition_import_wants(partition, NULL, 0, &keys, &len, err);
    for (size_t i = 0; i < len && status == 0; i++)
        status = sweep_named(broom, err, "%s:%s", tag, keys[i]);
    for (int64_t delta = 1; delta <= deltas && status == 0; delta++)
        status = sweep_named(broom, err, "%s:d:%lld", tag, (long long)delta);
    for (int d = 0; d < WEIR_DIMENSIONS_MAX && status == 0; d++)
        status = sweep_named(broom, err, "%s:v:%d", tag, d);
    weir_partition_free(partition);
    return status;
}

/* `name` is <topic>.<number>. From now on nobody commits to what is stored, and nobody who is not
 * to forget it takes it for whole. */
static int condemn_partition(struct weir_redis *redis, const struct weir_config *config,
                             const char *name, struct weir_err *err) {
    char key[KEY_MAX];
    struct weir_reply *seq = NULL, *done = NULL;
    snprintf(key, sizeof key, "weir:{%s.%s}:meta", config->kafka.group, name);
    int status = ask(redis, &seq, WEIR_REPLY_TEXT, err, 3, (const char *[]){"HGET", key, "seq"});
    if (status == 0 && seq && seq->type == WEIR_REPLY_TEXT)
        status = ask(redis, &done, WEIR_REPLY_INTEGER, err, 6,
                     (const char *[]){"HSET", key, "fingerprint", WEIR_CONDEMNED, "owner", ""});
    weir_reply_free(seq);
    weir_reply_free(done);
    weir_crash_point("forget_condemned");
    return status;
}

/* The meta hash, with the state that says which keys there are, goes last. */
static int forget_partition(struct weir_redis *redis, const struct weir_config *config,
                            const char *name, struct weir_err *err) {
    char tag[KEY_MAX - 64], key[KEY_MAX];
    struct weir_reply *buckets = NULL, *meta = NULL;
    struct broom broom = {redis, 0};
    snprintf(tag, sizeof tag, "weir:{%s.%s}", config->kafka.group, name);
    snprintf(key, sizeof key, "%s:t", tag);
    int status = ask_list(redis, &buckets, 1, err, 4, (const char *[]){"ZRANGE", key, "0", "-1"});
    snprintf(key, sizeof key, "%s:meta", tag);
    if (status == 0)
        status = ask(redis, &meta, WEIR_REPLY_ARRAY, err, 4,
                     (const char *[]){"HMGET", key, "seq", "state"});
    for (size_t i = 0; status == 0 && i < items_of(buckets); i++)
        status = sweep_named(&broom, err, "%s:b:%s", tag, buckets->items[i]->text);
    if (status == 0 && items_of(meta) == 2)
        status = sweep_state(&broom, config, tag, meta, err);
    if (status == 0)
        status = sweep_named(&broom, err, "%s:ticks", tag);
    if (status == 0)
        status = finish(&broom, err);
    if (status == 0)
        status = sweep_named(&broom, err, "%s:t", tag);
    if (status == 0)
        status = sweep_named(&broom, err, "%s:meta", tag);
    if (status == 0)
        status = finish(&broom, err);
    weir_reply_free(buckets);
    weir_reply_free(meta);
    return status;
}

/* ---- what was published ---- */

static int forget_segments(struct weir_redis *redis, const char *group, const char *window,
                           const char *dimension, struct weir_err *err) {
    char key[KEY_MAX];
    struct weir_reply *values = NULL;
    struct broom broom = {redis, 0};
    snprintf(key, sizeof key, "weir:{%s}:top:%s:%s", group, window, dimension);
    int status = ask_list(redis, &values, 1, err, 4, (const char *[]){"ZRANGE", key, "0", "-1"});
    for (size_t i = 0; status == 0 && i < items_of(values); i++)
        status = sweep_named(&broom, err, "weir:{%s}:now:%s:%s:%s", group, window, dimension,
                             values->items[i]->text);
    if (status == 0)
        status = finish(&broom, err);
    if (status == 0)
        status = sweep(&broom, key, strlen(key), err);
    if (status == 0)
        status = finish(&broom, err);
    weir_reply_free(values);
    return status;
}

/* `dimensions` is cut into its words. */
static int forget_window(struct weir_redis *redis, const char *group, const char *window,
                         const char *dimensions, struct weir_err *err) {
    struct broom broom = {redis, 0};
    char name[WEIR_NAME_KEY_MAX];
    int status = 0;
    while (*dimensions && status == 0) {
        size_t len = strcspn(dimensions, " ");
        snprintf(name, sizeof name, "%.*s", (int)len, dimensions);
        status = forget_segments(redis, group, window, name, err);
        dimensions += len + (dimensions[len] == ' ');
    }
    if (status == 0)
        status = sweep_named(&broom, err, "weir:{%s}:now:%s", group, window);
    if (status == 0)
        status = sweep_named(&broom, err, "weir:{%s}:series:%s", group, window);
    return status == 0 ? finish(&broom, err) : status;
}

static int forget_published(struct weir_redis *redis, const char *group, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *fields = NULL;
    struct broom broom = {redis, 0};
    const char *dimensions = "";
    weir_name_key(key, sizeof key, group, "published");
    int status = ask_list(redis, &fields, 2, err, 2, (const char *[]){"HGETALL", key});
    for (size_t i = 0; status == 0 && i + 1 < items_of(fields); i += 2)
        if (strcmp(fields->items[i]->text, "dimensions") == 0)
            dimensions = fields->items[i + 1]->text;
    for (size_t i = 0; status == 0 && i + 1 < items_of(fields); i += 2)
        if (strncmp(fields->items[i]->text, "as_of:", 6) == 0)
            status = forget_window(redis, group, fields->items[i]->text + 6, dimensions, err);
    weir_reply_free(fields);
    if (status == 0)
        status = sweep(&broom, key, strlen(key), err);
    return status == 0 ? finish(&broom, err) : status;
}

int weir_forget_group(struct weir_redis *redis, const struct weir_config *config,
                      struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *members = NULL;
    struct broom broom = {redis, 0};
    weir_name_key(key, sizeof key, config->kafka.group, "partitions");
    int status = ask_list(redis, &members, 1, err, 2, (const char *[]){"SMEMBERS", key});
    for (size_t i = 0; status == 0 && i < items_of(members); i++)
        status = condemn_partition(redis, config, members->items[i]->text, err);
    for (size_t i = 0; status == 0 && i < items_of(members); i++)
        status = forget_partition(redis, config, members->items[i]->text, err);
    weir_reply_free(members);
    if (status == 0)
        status = forget_published(redis, config->kafka.group, err);
    if (status == 0)
        status = sweep(&broom, key, strlen(key), err);
    return status == 0 ? finish(&broom, err) : status;
}
