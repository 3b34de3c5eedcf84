/*
 * state_dump: what a group's counting keys in Redis mean, as text, one line a fact, sorted.
 *
 *   state_dump CONFIG [full]      full: every counter of every bucket too
 *
 * Two runs over the same records must give the same text, whatever happened to them. When a commit
 * was made decides only how sessions lie in chunks and deltas and how commits are numbered, so
 * these are read as weir reads them and written by session. Every other value stands as its bytes'
 * hash. A key that belongs to nothing is an error (exit 1), as is one that is missing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/partition_state.h"
#include "core/records.h"
#include "weir/bucket.h"
#include "weir/config.h"
#include "weir/redis.h"

#define ORDERS_MAX 4096 /* of one session */

static struct weir_redis *redis;
static const struct weir_config *config;
static struct weir_err err;
static int strays;
static bool in_full;

static _Noreturn void die(const char *what, const char *detail) {
    fprintf(stderr, "state_dump: %s: %s\n", what, detail);
    exit(1);
}

static struct weir_reply *ask(const char *verb, const char *key, const char *a, const char *b) {
    struct weir_reply *reply = NULL;
    if (weir_redis_do(redis, &reply, &err, verb, key, a, b, NULL) != 0)
        die(verb, err.text);
    if (reply->type == WEIR_REPLY_ERROR)
        die(verb, reply->text);
    return reply;
}

static uint64_t hash_of(const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

/* ---- one partition ---- */

static void read_state(struct weir_partition *partition, const char *tag,
                       const struct weir_reply *touched) {
    char name[700];
    const char **buckets = calloc(touched->items_len + 1, sizeof *buckets);
    char(*keys)[40];
    size_t len;
    if (!buckets)
        die("memory", "out");
    for (size_t i = 0; i < touched->items_len; i++)
        buckets[i] = touched->items[i]->text;
    if (weir_partition_import_wants(partition, buckets, touched->items_len, &keys, &len, &err) != 0)
        die(tag, err.text);
    for (size_t i = 0; i < len; i++) {
        snprintf(name, sizeof name, "%s:%s", tag, keys[i]);
        struct weir_reply *value = ask("GET", name, NULL, NULL);
        if (value->type == WEIR_REPLY_TEXT &&
            weir_partition_import(partition, keys[i], value->text, value->len, &err) != 0)
            die(name, err.text);
        weir_reply_free(value);
    }
    if (weir_partition_import_done(partition, &err) != 0)
        die(tag, err.text);
    free(buckets);
}

/* A session's orders are a set: how they are chained is bookkeeping. */
static int by_hash(const void *left, const void *right) {
    const struct weir_order *const *a = left, *const *b = right;
    return ((*a)->hash > (*b)->hash) - ((*a)->hash < (*b)->hash);
}

static void print_session(const struct weir_partition *p, const char *part,
                          const struct weir_session *session) {
    printf("%s session %016" PRIx64 "%08" PRIx32 " %" PRIu64 " %" PRIu64 " events %u flags %x "
           "visitor %016" PRIx64 " cart %" PRIu32 " values",
           part, session->key, session->check, (uint64_t)session->start_ms,
           (uint64_t)session->last_ms, (unsigned)session->events,
           (unsigned)session->flags & WEIR_SESSION_STATE_FLAGS, session->visitor, session->cart);
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        printf(" %u", (unsigned)session->values[d]);
    const struct weir_order *orders[ORDERS_MAX];
    size_t len = 0;
    for (uint32_t number = session->orders; number && len < ORDERS_MAX;
         number = orders[len++]->next)
        orders[len] = weir_sessions_order_at(p->sessions, number);
    qsort(orders, len, sizeof *orders, by_hash);
    for (size_t i = 0; i < len; i++)
        printf(" order %016" PRIx64 " %" PRIu32 " %" PRId64, orders[i]->hash, orders[i]->orders,
               orders[i]->micros);
    putchar('\n');
}

static void print_state(const struct weir_partition *p, const char *part) {
    printf("%s offset %" PRId64 " newest %" PRId64 " watermark %" PRId64 " settled %" PRId64 "\n",
           part, p->offset, p->newest_ms, p->watermark_ms, p->settled_ms);
    printf("%s records %" PRIu64 " events %" PRIu64 " unknown %" PRIu64 " bots %" PRIu64
           " rejected",
           part, p->records, p->events, p->unknown_types, p->bot_events);
    for (int r = 0; r < WEIR_REASONS; r++)
        printf(" %" PRIu64, p->rejected[r]);
    putchar('\n');
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++) {
        const struct weir_session *session;
        const struct weir_abandoned *entry;
        uint64_t position = 0;
        while ((session = weir_sessions_next_in_chunk(p->sessions, chunk, WEIR_CHUNK_BITS,
                                                      &position)) != NULL)
            print_session(p, part, session);
        position = 0;
        while ((entry = weir_visitors_next_in_chunk(&p->visitors, chunk, WEIR_CHUNK_BITS,
                                                    &position)) != NULL)
            /* what is past recovery counts for nothing, and goes when its chunk is written */
            if (entry->end_ms != INT64_MIN &&
                entry->end_ms + p->plan->recovery_ms >= weir_partition_floor_ms(p))
                printf("%s abandoned %016" PRIx64 " %" PRId64 "\n", part, entry->visitor,
                       entry->end_ms);
    }
}

/* Every counter of a bucket, for a look at what differs. */
static void print_bucket(const char *part, const char *rest, const struct weir_reply *value) {
    struct weir_bucket_reader reader;
    struct weir_entry entry;
    uint32_t segment;
    if (weir_bucket_read(&reader, value->text, value->len, NULL) != 0)
        die(rest, "is damaged");
    while (weir_bucket_segment(&reader, &segment) == 1)
        while (weir_bucket_entry(&reader, &entry) == 1)
            printf("%s %s segment %06" PRIx32 " entry %" PRIu32 " is %" PRId64 "\n", part, rest,
                   segment, entry.id, entry.value);
}

/* The stored values that stand for themselves: buckets, dictionaries, the sample of sessions. */
static void print_value(const char *part, const char *key, const char *rest) {
    struct weir_reply *value = ask("GET", key, NULL, NULL);
    if (value->type != WEIR_REPLY_TEXT)
        die(key, "is no text");
    printf("%s %s %zu bytes %016" PRIx64 "\n", part, rest, value->len,
           hash_of(value->text, value->len));
    if (in_full && rest[0] == 'b')
        print_bucket(part, rest, value);
    weir_reply_free(value);
}

static bool is_touched(const struct weir_reply *touched, const char *member) {
    for (size_t i = 0; i < touched->items_len; i++)
        if (strcmp(touched->items[i]->text, member) == 0)
            return true;
    return false;
}

static void print_ticks(const char *part, const char *key) {
    struct weir_reply *ticks = ask("LRANGE", key, "0", "-1");
    for (size_t i = 0; i < ticks->items_len; i++)
        printf("%s tick %s\n", part, ticks->items[i]->text);
    weir_reply_free(ticks);
}

/* A key of the partition: printed, read before as a part of the sessions, or a stray. */
static void print_key(const struct weir_partition *p, const char *part, const char *key,
                      const char *rest, const struct weir_reply *touched) {
    bool known = strcmp(rest, "meta") == 0 || strcmp(rest, "t") == 0 ||
                 strcmp(rest, "ticks") == 0 || rest[0] == 's';
    if (strcmp(rest, "ticks") == 0) {
        print_ticks(part, key);
    } else if (strncmp(rest, "v:", 2) == 0 || strcmp(rest, "k") == 0) {
        print_value(part, key, rest);
        known = true;
    } else if (strncmp(rest, "b:", 2) == 0) {
        print_value(part, key, rest);
        known = is_touched(touched, rest + 2);
    } else if (strncmp(rest, "d:", 2) == 0) {
        uint64_t seq = strtoull(rest + 2, NULL, 10);
        known = seq >= p->first_delta && seq <= p->seq;
    }
    if (!known) {
        fprintf(stderr, "state_dump: %s belongs to nothing\n", key);
        strays++;
    }
}

static void print_keys_of(struct weir_redis *node, const struct weir_partition *p, const char *part,
                          const char *tag, const struct weir_reply *touched) {
    char pattern[700], cursor[32] = "0";
    snprintf(pattern, sizeof pattern, "%s:*", tag);
    do {
        struct weir_reply *some = NULL;
        if (weir_redis_do(node, &some, &err, "SCAN", cursor, "MATCH", pattern, "COUNT", "1000",
                          NULL) != 0)
            die("SCAN", err.text);
        if (some->items_len != 2)
            die("SCAN", some->text ? some->text : "an unexpected answer");
        for (size_t i = 0; i < some->items[1]->items_len; i++) {
            const char *key = some->items[1]->items[i]->text;
            print_key(p, part, key, key + strlen(tag) + 1, touched);
        }
        snprintf(cursor, sizeof cursor, "%s", some->items[0]->text);
        weir_reply_free(some);
    } while (strcmp(cursor, "0") != 0);
}

/* SCAN sees one server: of a cluster each is asked. */
static void print_keys(const struct weir_partition *p, const char *part, const char *tag,
                       const struct weir_reply *touched) {
    const char *at = config->redis_url;
    if (!strchr(at, ',')) {
        print_keys_of(redis, p, part, tag, touched);
        return;
    }
    for (at += strlen("redis://"); *at; at += *at == ',') {
        struct weir_redis *node;
        char url[300];
        size_t len = strcspn(at, ",");
        snprintf(url, sizeof url, "redis://%.*s", (int)len, at);
        if (weir_redis_new(&node, url, 10000, &err) != 0)
            die(url, err.text);
        print_keys_of(node, p, part, tag, touched);
        weir_redis_free(node);
        at += len;
    }
}

/* What the meta key says beside the packed state must say the same. */
static void check_meta(const struct weir_partition *p, const char *part, const char *tag,
                       const struct weir_reply *meta) {
    if (strtoull(meta->items[1]->text, NULL, 10) != p->seq ||
        strtoll(meta->items[2]->text, NULL, 10) != p->offset ||
        strtoll(meta->items[3]->text, NULL, 10) != p->watermark_ms)
        die(tag, "the fields of the meta key disagree with its state");
    const char *mark = meta->items[4]->text; /* of the last record that is in it */
    if (mark && mark[0] && strtoll(mark, NULL, 10) != p->offset - 1)
        die(tag, "the mark is of another record than the last");
    printf("%s mark %s\n", part, mark ? mark : "");
}

static void dump_partition(const char *part) {
    char tag[640], key[700];
    snprintf(tag, sizeof tag, "weir:{%s.%s}", config->kafka.group, part);
    snprintf(key, sizeof key, "%s:meta", tag);
    struct weir_reply *meta = NULL;
    if (weir_redis_do(redis, &meta, &err, "HMGET", key, "state", "seq", "offset", "watermark",
                      "mark", NULL) != 0)
        die(key, err.text);
    if (meta->items_len != 5 || meta->items[0]->type != WEIR_REPLY_TEXT) {
        printf("%s nothing\n", part); /* claimed, never counted */
        weir_reply_free(meta);
        return;
    }
    struct weir_partition *p = weir_partition_new(&config->plan);
    if (!p)
        die("memory", "out");
    if (weir_partition_import_meta(p, meta->items[0]->text, meta->items[0]->len, &err) != 0)
        die(key, err.text);
    check_meta(p, part, tag, meta);
    snprintf(key, sizeof key, "%s:t", tag);
    struct weir_reply *touched = ask("ZRANGE", key, "0", "-1");
    read_state(p, tag, touched);
    print_state(p, part);
    print_keys(p, part, tag, touched);
    weir_reply_free(touched);
    weir_reply_free(meta);
    weir_partition_free(p);
}

int main(int argc, char **argv) {
    struct weir_config *loaded = NULL;
    char key[700];
    in_full = argc == 3 && strcmp(argv[2], "full") == 0;
    if (argc != 2 + in_full) {
        fputs("usage: state_dump CONFIG [full]\n", stderr);
        return 2;
    }
    if (weir_config_load_or_say(&loaded, argv[1]) != 0)
        return 1;
    config = loaded;
    if (weir_redis_new(&redis, config->redis_url, 10000, &err) != 0)
        die("redis", err.text);
    snprintf(key, sizeof key, "weir:{%s}:partitions", config->kafka.group);
    struct weir_reply *parts = ask("SMEMBERS", key, NULL, NULL);
    for (size_t i = 0; i < parts->items_len; i++)
        dump_partition(parts->items[i]->text);
    weir_reply_free(parts);
    weir_redis_free(redis);
    weir_config_free(loaded);
    return strays ? 1 : 0;
}
