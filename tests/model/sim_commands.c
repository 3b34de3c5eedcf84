/* The commands of sim_db. Trimming by `~` removes whole nodes of a hundred entries in Redis; the
 * streams here stay below that, so only `MAXLEN =` trims. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim_db.h"
#include "weir/redis_hash.h"

#define FIELDS_MAX 2048 /* words of one entry */

typedef struct weir_reply *handler(struct sim_db *db, size_t argc, const struct sim_text *argv);

static struct sim_text text_of(const struct sim_blob *blob) {
    return (struct sim_text){blob->data, blob->len};
}

static int64_t integer_of(struct sim_text text) {
    char copy[32];
    snprintf(copy, sizeof copy, "%.*s", (int)(text.len < 31 ? text.len : 31), text.data);
    return strtoll(copy, NULL, 10);
}

static double score_of(struct sim_text text) {
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", (int)(text.len < 63 ? text.len : 63), text.data);
    return strtod(copy, NULL); /* also "+inf" */
}

static bool is_word(struct sim_text text, const char *word) {
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static void drop_if_empty(struct sim_db *db, struct sim_text key, const struct sim_value *value) {
    if (value->len == 0)
        sim_db_remove(db, key);
}

/* ---- strings and keys ---- */

static struct weir_reply *call_get(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *value = sim_db_find(db, argv[1]);
    return value ? sim_reply_text(text_of(value->items[0].name)) : sim_reply_nil();
}

static struct weir_reply *call_set(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    int64_t for_ms = 0;
    if (argc == 5 && is_word(argv[3], "PX"))
        for_ms = integer_of(argv[4]);
    else if (argc != 3)
        return sim_reply_error("ERR syntax error");
    sim_db_remove(db, argv[1]);
    struct sim_value *value = sim_db_write(db, argv[1], SIM_STRING);
    sim_value_insert(value, 0, argv[2], NULL);
    value->expires_ms = for_ms ? db->now_ms + for_ms : 0;
    return sim_reply_text(SIM_TEXT("OK"));
}

static struct weir_reply *call_del(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    int64_t count = 0;
    for (size_t i = 1; i < argc; i++)
        count += sim_db_find(db, argv[i]) && sim_db_remove(db, argv[i]);
    return sim_reply_integer(count);
}

/* ---- hashes ---- */

static struct weir_reply *field_reply(const struct sim_value *hash, struct sim_text field) {
    const struct sim_item *item = sim_value_find(hash, field);
    return item ? sim_reply_text(text_of(item->value)) : sim_reply_nil();
}

static struct weir_reply *call_hget(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    return field_reply(sim_db_find(db, argv[1]), argv[2]);
}

static struct weir_reply *call_hmget(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    const struct sim_value *hash = sim_db_find(db, argv[1]);
    struct weir_reply *reply = sim_reply_array(argc - 2);
    for (size_t i = 2; i < argc; i++)
        reply->items[i - 2] = field_reply(hash, argv[i]);
    return reply;
}

static struct weir_reply *call_hgetall(struct sim_db *db, size_t argc,
                                       const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *hash = sim_db_find(db, argv[1]);
    struct weir_reply *reply = sim_reply_array(hash ? 2 * hash->len : 0);
    for (size_t i = 0; hash && i < hash->len; i++) {
        reply->items[2 * i] = sim_reply_text(text_of(hash->items[i].name));
        reply->items[2 * i + 1] = sim_reply_text(text_of(hash->items[i].value));
    }
    return reply;
}

static struct weir_reply *call_hset(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    if (argc % 2 != 0)
        return sim_reply_error("ERR wrong number of arguments for 'hset' command");
    struct sim_value *hash = sim_db_write(db, argv[1], SIM_HASH);
    int64_t added = 0;
    for (size_t i = 2; i < argc; i += 2) {
        struct sim_item *item = sim_value_find(hash, argv[i]);
        added += item == NULL;
        if (item)
            sim_value_set(item, argv[i + 1]);
        else
            sim_value_insert(hash, hash->len, argv[i], &argv[i + 1]);
    }
    return sim_reply_integer(added);
}

static struct weir_reply *call_hsetnx(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    if (sim_value_find(sim_db_find(db, argv[1]), argv[2]))
        return sim_reply_integer(0);
    return call_hset(db, argc, argv);
}

static struct weir_reply *call_hincrby(struct sim_db *db, size_t argc,
                                       const struct sim_text *argv) {
    (void)argc;
    struct sim_value *hash = sim_db_write(db, argv[1], SIM_HASH);
    struct sim_item *item = sim_value_find(hash, argv[2]);
    int64_t sum = (item ? integer_of(text_of(item->value)) : 0) + integer_of(argv[3]);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)sum);
    struct sim_text bytes = sim_text_of(text);
    if (item)
        sim_value_set(item, bytes);
    else
        sim_value_insert(hash, hash->len, argv[2], &bytes);
    return sim_reply_integer(sum);
}

/* RESTORE key ttl payload [REPLACE] [ABSTTL], of hashes. */
static struct weir_reply *call_restore(struct sim_db *db, size_t argc,
                                       const struct sim_text *argv) {
    struct weir_redis_hash_reader reader;
    struct weir_str field, bytes;
    bool replace = false, absolute = false;
    int64_t ends_ms = integer_of(argv[2]);
    for (size_t i = 4; i < argc; i++) {
        replace |= is_word(argv[i], "REPLACE");
        absolute |= is_word(argv[i], "ABSTTL");
    }
    if (!replace && sim_db_find(db, argv[1]))
        return sim_reply_error("BUSYKEY Target key name already exists.");
    if (weir_redis_hash_read(&reader, argv[3].data, argv[3].len) != 0)
        return sim_reply_error("ERR DUMP payload version or checksum are wrong");
    sim_db_remove(db, argv[1]);
    if (ends_ms > 0 && !absolute)
        ends_ms += db->now_ms;
    if (ends_ms > 0 && ends_ms <= db->now_ms)
        return sim_reply_text(SIM_TEXT("OK"));
    struct sim_value *hash = sim_db_write(db, argv[1], SIM_HASH);
    hash->expires_ms = ends_ms;
    while (weir_redis_hash_next(&reader, &field) > 0) {
        struct sim_item *item = sim_value_insert(
            hash, hash->len, (struct sim_text){field.data, field.len}, &SIM_TEXT(""));
        WEIR_ASSERT(weir_redis_hash_next(&reader, &bytes) > 0);
        sim_value_set(item, (struct sim_text){bytes.data, bytes.len});
    }
    return sim_reply_text(SIM_TEXT("OK"));
}

/* HDEL, SREM and ZREM: elements by name. */
static struct weir_reply *call_remove(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    int64_t count = 0;
    const struct sim_value *there = sim_db_find(db, argv[1]);
    if (!there)
        return sim_reply_integer(0);
    struct sim_value *value = sim_db_write(db, argv[1], there->type);
    for (size_t i = 2; i < argc; i++) {
        const struct sim_item *item = sim_value_find(value, argv[i]);
        if (!item)
            continue;
        sim_value_erase(value, (size_t)(item - value->items));
        count++;
    }
    drop_if_empty(db, argv[1], value);
    return sim_reply_integer(count);
}

/* ---- sets, sorted sets, lists ---- */

static struct weir_reply *call_sadd(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    struct sim_value *set = sim_db_write(db, argv[1], SIM_SET);
    int64_t added = 0;
    for (size_t i = 2; i < argc; i++) {
        if (sim_value_find(set, argv[i]))
            continue;
        sim_value_insert(set, set->len, argv[i], NULL);
        added++;
    }
    return sim_reply_integer(added);
}

static struct weir_reply *names_reply(const struct sim_value *value, size_t from, size_t len) {
    struct weir_reply *reply = sim_reply_array(len);
    for (size_t i = 0; i < len; i++)
        reply->items[i] = sim_reply_text(text_of(value->items[from + i].name));
    return reply;
}

/* SMEMBERS; ZRANGE and LRANGE of all. */
static struct weir_reply *call_all(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    const struct sim_value *value = sim_db_find(db, argv[1]);
    bool all = argc == 2 || (integer_of(argv[2]) == 0 && integer_of(argv[3]) == -1);
    if (!all)
        return sim_reply_error("ERR the simulated Redis gives whole ranges only");
    return names_reply(value, 0, value ? value->len : 0);
}

static size_t place_in_order(const struct sim_value *set, double score, struct sim_text name) {
    size_t at = 0;
    while (at < set->len) {
        const struct sim_item *item = &set->items[at];
        size_t common = item->name->len < name.len ? item->name->len : name.len;
        int order = memcmp(item->name->data, name.data, common);
        if (order == 0)
            order = item->name->len < name.len ? -1 : 1;
        if (item->score > score || (!(item->score < score) && order > 0))
            break;
        at++;
    }
    return at;
}

static struct weir_reply *call_zadd(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    if (argc % 2 != 0)
        return sim_reply_error("ERR syntax error");
    struct sim_value *set = sim_db_write(db, argv[1], SIM_ZSET);
    int64_t added = 0;
    for (size_t i = 2; i < argc; i += 2) {
        const struct sim_item *old = sim_value_find(set, argv[i + 1]);
        added += old == NULL;
        if (old)
            sim_value_erase(set, (size_t)(old - set->items));
        double score = score_of(argv[i]);
        size_t at = place_in_order(set, score, argv[i + 1]);
        sim_value_insert(set, at, argv[i + 1], NULL)->score = score;
    }
    return sim_reply_integer(added);
}

static struct weir_reply *call_zrangebyscore(struct sim_db *db, size_t argc,
                                             const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *set = sim_db_find(db, argv[1]);
    bool open = argv[2].len > 0 && argv[2].data[0] == '(';
    double low = score_of((struct sim_text){argv[2].data + open, argv[2].len - open});
    double high = score_of(argv[3]);
    size_t from = 0, len = 0;
    while (set && from < set->len &&
           (open ? set->items[from].score <= low : set->items[from].score < low))
        from++;
    while (set && from + len < set->len && set->items[from + len].score <= high)
        len++;
    return names_reply(set, from, len);
}

static struct weir_reply *call_rpush(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    struct sim_value *list = sim_db_write(db, argv[1], SIM_LIST);
    for (size_t i = 2; i < argc; i++)
        sim_value_insert(list, list->len, argv[i], NULL);
    return sim_reply_integer((int64_t)list->len);
}

static struct weir_reply *call_lindex(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *list = sim_db_find(db, argv[1]);
    if (integer_of(argv[2]) != -1)
        return sim_reply_error("ERR the simulated Redis knows the last of a list only");
    return list ? sim_reply_text(text_of(list->items[list->len - 1].name)) : sim_reply_nil();
}

static struct weir_reply *call_lset(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    if (!sim_db_find(db, argv[1]))
        return sim_reply_error("ERR no such key");
    if (integer_of(argv[2]) != -1)
        return sim_reply_error("ERR the simulated Redis knows the last of a list only");
    struct sim_value *list = sim_db_write(db, argv[1], SIM_LIST);
    sim_value_erase(list, list->len - 1);
    sim_value_insert(list, list->len, argv[3], NULL);
    return sim_reply_text(sim_text_of("OK"));
}

/* ---- streams ---- */

/* The fields of an entry in one blob: each as its length, a colon and its bytes. */
static void pack_fields(char **bytes, size_t *len, size_t argc, const struct sim_text *argv) {
    FILE *out = open_memstream(bytes, len);
    WEIR_ASSERT(out != NULL);
    for (size_t i = 0; i < argc; i++) {
        fprintf(out, "%zu:", argv[i].len);
        fwrite(argv[i].data, 1, argv[i].len, out);
    }
    fclose(out);
}

static struct weir_reply *unpack_fields(const struct sim_blob *packed) {
    struct sim_text fields[FIELDS_MAX];
    size_t len = 0;
    for (const char *at = packed->data; at < packed->data + packed->len && len < FIELDS_MAX;) {
        char *colon;
        fields[len].len = strtoull(at, &colon, 10);
        fields[len].data = colon + 1;
        at = fields[len].data + fields[len].len;
        len++;
    }
    struct weir_reply *reply = sim_reply_array(len);
    for (size_t i = 0; i < len; i++)
        reply->items[i] = sim_reply_text(fields[i]);
    return reply;
}

static bool id_follows(const struct sim_value *stream, int64_t ms, int64_t count) {
    return !stream || ms > stream->last_ms || (ms == stream->last_ms && count > stream->last_count);
}

static struct weir_reply *call_xadd(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    size_t at = 2;
    size_t most = SIZE_MAX;
    if (is_word(argv[at], "MAXLEN") && is_word(argv[at + 1], "="))
        most = (size_t)integer_of(argv[at + 2]);
    if (is_word(argv[at], "MAXLEN") || is_word(argv[at], "MINID"))
        at += is_word(argv[at + 1], "~") || most != SIZE_MAX ? 3 : 2;
    if (argc < at + 3 || (argc - at) % 2 != 1)
        return sim_reply_error("ERR wrong number of arguments for 'xadd' command");
    const struct sim_value *there = sim_db_find(db, argv[1]);
    int64_t ms = db->now_ms, count = 0;
    if (is_word(argv[at], "*")) {
        if (!id_follows(there, ms, count)) {
            ms = there->last_ms;
            count = there->last_count + 1;
        }
    } else {
        const char *dash = memchr(argv[at].data, '-', argv[at].len);
        ms = integer_of(argv[at]);
        count = dash ? strtoll(dash + 1, NULL, 10) : 0;
    }
    if (!id_follows(there, ms, count))
        return sim_reply_error("ERR The ID specified in XADD is equal or smaller than the target "
                               "stream top item");
    char id[64], *packed = NULL;
    struct sim_text fields = {NULL, 0};
    snprintf(id, sizeof id, "%lld-%lld", (long long)ms, (long long)count);
    pack_fields(&packed, &fields.len, argc - at - 1, argv + at + 1);
    fields.data = packed;
    struct sim_value *stream = sim_db_write(db, argv[1], SIM_STREAM);
    sim_value_insert(stream, stream->len, sim_text_of(id), &fields);
    stream->last_ms = ms;
    stream->last_count = count;
    while (stream->len > most)
        sim_value_erase(stream, 0);
    free(packed);
    return sim_reply_text(sim_text_of(id));
}

static struct weir_reply *call_xlen(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *stream = sim_db_find(db, argv[1]);
    return sim_reply_integer(stream ? (int64_t)stream->len : 0);
}

static struct weir_reply *call_xrange(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    (void)argc;
    const struct sim_value *stream = sim_db_find(db, argv[1]);
    struct weir_reply *reply = sim_reply_array(stream ? stream->len : 0);
    for (size_t i = 0; stream && i < stream->len; i++) {
        reply->items[i] = sim_reply_array(2);
        reply->items[i]->items[0] = sim_reply_text(text_of(stream->items[i].name));
        reply->items[i]->items[1] = unpack_fields(stream->items[i].value);
    }
    return reply;
}

static struct weir_reply *call_publish(struct sim_db *db, size_t argc,
                                       const struct sim_text *argv) {
    (void)db, (void)argc, (void)argv;
    return sim_reply_integer(0); /* nobody listens */
}

/* ---- the table ---- */

static const struct command {
    const char *name;
    size_t argc_min;
    int type; /* that the key must have, -1: any */
    handler *run;
} commands[] = {
    {"get", 2, SIM_STRING, call_get},
    {"set", 3, -1, call_set},
    {"del", 2, -1, call_del},
    {"hget", 3, SIM_HASH, call_hget},
    {"hmget", 3, SIM_HASH, call_hmget},
    {"hgetall", 2, SIM_HASH, call_hgetall},
    {"hset", 4, SIM_HASH, call_hset},
    {"hsetnx", 4, SIM_HASH, call_hsetnx},
    {"hincrby", 4, SIM_HASH, call_hincrby},
    {"restore", 4, -1, call_restore},
    {"hdel", 3, SIM_HASH, call_remove},
    {"sadd", 3, SIM_SET, call_sadd},
    {"smembers", 2, SIM_SET, call_all},
    {"zadd", 4, SIM_ZSET, call_zadd},
    {"zrem", 3, SIM_ZSET, call_remove},
    {"zrange", 4, SIM_ZSET, call_all},
    {"zrangebyscore", 4, SIM_ZSET, call_zrangebyscore},
    {"rpush", 3, SIM_LIST, call_rpush},
    {"lrange", 4, SIM_LIST, call_all},
    {"lindex", 3, SIM_LIST, call_lindex},
    {"lset", 4, SIM_LIST, call_lset},
    {"xadd", 5, SIM_STREAM, call_xadd},
    {"xlen", 2, SIM_STREAM, call_xlen},
    {"xrange", 4, SIM_STREAM, call_xrange},
    {"publish", 3, -1, call_publish},
};

struct weir_reply *sim_db_call(struct sim_db *db, size_t argc, const struct sim_text *argv) {
    char text[160];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        if (!is_word(argv[0], command->name))
            continue;
        if (argc < command->argc_min) {
            snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command",
                     command->name);
            return sim_reply_error(text);
        }
        const struct sim_value *value = sim_db_find(db, argv[1]);
        if (command->type >= 0 && value && (int)value->type != command->type)
            return sim_reply_error(
                "WRONGTYPE Operation against a key holding the wrong kind of value");
        return command->run(db, argc, argv);
    }
    snprintf(text, sizeof text, "ERR unknown command '%.*s'",
             (int)(argv[0].len < 64 ? argv[0].len : 64), argv[0].data);
    return sim_reply_error(text);
}
