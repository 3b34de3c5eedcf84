#include "io/redis_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/redis.h"

#if HIREDIS_MAJOR >= 1
typedef size_t array_len;
#else
typedef int array_len;
#endif

void weir_reply_free(struct weir_reply *reply) {
    if (!reply)
        return;
    for (size_t i = 0; i < reply->items_len; i++)
        weir_reply_free(reply->items[i]);
    free(reply);
}

/* A node is one block: its text or its items follow the struct. */
static struct weir_reply *node_new(const redisReadTask *task, enum weir_reply_type type,
                                   size_t extra) {
    struct weir_reply *node = calloc(1, sizeof *node + extra);
    if (!node)
        return NULL;
    node->type = type;
    if (task->parent) {
        struct weir_reply *parent = task->parent->obj;
        parent->items[task->idx] = node;
    }
    return node;
}

static void *create_string(const redisReadTask *task, char *text, size_t len) {
    enum weir_reply_type type =
        task->type == REDIS_REPLY_ERROR ? WEIR_REPLY_ERROR : WEIR_REPLY_TEXT;
    struct weir_reply *node = node_new(task, type, len + 1);
    if (!node)
        return NULL;
    node->text = (char *)(node + 1);
    node->len = len;
    memcpy(node->text, text, len);
    return node;
}

static void *create_array(const redisReadTask *task, array_len elements) {
    struct weir_reply_budget *budget = task->privdata;
    size_t len = (size_t)elements;
    if (len > budget->items_left)
        return NULL;
    budget->items_left -= len;
    struct weir_reply *node = node_new(task, WEIR_REPLY_ARRAY, len * sizeof(struct weir_reply *));
    if (!node)
        return NULL;
    node->items = (struct weir_reply **)(node + 1);
    node->items_len = len;
    return node;
}

static void *create_integer(const redisReadTask *task, long long value) {
    struct weir_reply *node = node_new(task, WEIR_REPLY_INTEGER, 0);
    if (node)
        node->integer = value;
    return node;
}

static void *create_nil(const redisReadTask *task) {
    return node_new(task, WEIR_REPLY_NIL, 0);
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *text, size_t len) {
    (void)value; /* the text is exact */
    return create_string(task, text, len);
}

static void *create_bool(const redisReadTask *task, int value) {
    return create_integer(task, value);
}
#endif

static void free_object(void *object) {
    weir_reply_free(object);
}

redisReader *weir_reply_reader_new(struct weir_reply_budget *budget) {
    static redisReplyObjectFunctions functions = {
        .createString = create_string,
        .createArray = create_array,
        .createInteger = create_integer,
        .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
        .createDouble = create_double,
        .createBool = create_bool,
#endif
        .freeObject = free_object,
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (reader)
        reader->privdata = budget;
    return reader;
}
