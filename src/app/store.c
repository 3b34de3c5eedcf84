#include "app/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/names.h"
#include "app/scripts.h"
#include "app/words.h"
#include "weir/crash.h"
#include "weir/log.h"

#define FIXED_KEYS 3
#define LOAD_PIPELINE 256

struct weir_store {
    struct weir_redis *redis;
    char *group;
    struct weir_script claim, commit;
    struct weir_words words; /* of one commit */
    uint64_t bytes, duplicates;
    uint64_t script_loaded_in; /* the connection's generation; 0: none */
};

int weir_store_new(struct weir_store **store, struct weir_redis *redis, const char *group,
                   struct weir_err *err) {
    struct weir_store *s = calloc(1, sizeof *s);
    if (!s)
        return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory");
    s->redis = redis;
    s->group = strdup(group);
    weir_script_init(&s->claim, weir_script_claim);
    weir_script_init(&s->commit, weir_script_commit);
    weir_words_init(&s->words);
    *store = s;
    return 0;
}

void weir_store_free(struct weir_store *s) {
    if (!s)
        return;
    free(s->group);
    weir_words_close(&s->words);
    free(s);
}

uint64_t weir_store_bytes(const struct weir_store *s) {
    return s->bytes;
}

uint64_t weir_store_duplicates(const struct weir_store *s) {
    return s->duplicates;
}

/* ---- claim and load ---- */

static int load_values(struct weir_store *s, const char *tag, struct weir_partition *partition,
                       char (*keys)[40], size_t len, struct weir_err *err) {
    size_t sent = 0, got = 0;
    int status = 0;
    while (got < len && status == 0) {
        for (; sent < len && sent - got < LOAD_PIPELINE && status == 0; sent++) {
            char name[700];
            snprintf(name, sizeof name, "%s:%s", tag, keys[sent]);
            status = weir_redis_append(s->redis, 2, (const char *[]){"GET", name}, NULL, err);
        }
        struct weir_reply *reply = NULL;
        if (status == 0)
            status = weir_redis_read(s->redis, &reply, err);
        if (status != 0)
            break;
        status = weir_reply_expect(reply, WEIR_SHAPE_TEXT, 1, err);
        if (status == 0 && reply->type == WEIR_REPLY_TEXT)
            status = weir_partition_import(partition, keys[got], reply->text, reply->len, err);
        weir_reply_free(reply);
        got++;
        weir_crash_point("load_value");
    }
    if (status != 0)
        weir_redis_disconnect(s->redis); /* unread replies would answer the next question */
    return status;
}

static int load(struct weir_store *s, const char *tag, struct weir_partition *partition,
                struct weir_err *err) {
    char touched[620];
    snprintf(touched, sizeof touched, "%s:t", tag);
    struct weir_reply *reply = NULL;
    int status = weir_redis_do(s->redis, &reply, err, "ZRANGE", touched, "0", "-1", NULL);
    if (status != 0)
        return status;
    status = weir_reply_expect(reply, WEIR_SHAPE_TEXTS, 1, err);
    if (status != 0) {
        weir_reply_free(reply);
        return status;
    }
    const char **buckets = calloc(reply->items_len + 1, sizeof *buckets);
    WEIR_ASSERT(buckets != NULL);
    for (size_t i = 0; i < reply->items_len; i++)
        buckets[i] = reply->items[i]->text;
    char(*keys)[40];
    size_t len;
    status = weir_partition_import_wants(partition, buckets, reply->items_len, &keys, &len, err);
    if (status == 0)
        status = load_values(s, tag, partition, keys, len, err);
    if (status == 0)
        status = weir_partition_import_done(partition, err);
    free(buckets);
    weir_reply_free(reply);
    return status;
}

/* Claiming and loading are many steps: meanwhile somebody may have claimed it and committed, or
 * Redis may have lost the claim, and what was read is of two states. */
static bool is_still_ours(struct weir_store *s, const char *meta, const char *token) {
    struct weir_reply *reply = NULL;
    struct weir_err ignored;
    bool ours = weir_redis_do(s->redis, &reply, &ignored, "HGET", meta, "owner", NULL) == 0 &&
                reply->type == WEIR_REPLY_TEXT && strcmp(reply->text, token) == 0;
    weir_reply_free(reply);
    return ours;
}

int weir_store_register(struct weir_store *s, const char *topic, int32_t first, int32_t len,
                        struct weir_err *err) {
    char key[600];
    struct weir_words words;
    weir_words_init(&words);
    snprintf(key, sizeof key, "weir:{%s}:partitions", s->group);
    weir_words_put(&words, "SADD");
    weir_words_put(&words, "%s", key);
    for (int32_t number = first; number < first + len; number++)
        weir_words_put(&words, "%s.%d", topic, number);
    weir_words_finish(&words);
    struct weir_reply *reply = NULL;
    int status = weir_redis_append(s->redis, (int)words.len, words.argv, words.lens, err);
    if (status == 0)
        status = weir_redis_read(s->redis, &reply, err);
    if (status == 0 && reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    weir_words_close(&words);
    return status;
}

int weir_store_began(struct weir_store *s, const char *topic, int32_t partitions, int32_t *began,
                     struct weir_err *err) {
    char key[600], count[16];
    struct weir_reply *reply = NULL;
    snprintf(key, sizeof key, "weir:{%s}:began", s->group);
    snprintf(count, sizeof count, "%d", partitions);
    int status = weir_redis_do(s->redis, &reply, err, "HSETNX", key, topic, count, NULL);
    if (status == 0 && reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    reply = NULL;
    if (status == 0)
        status = weir_redis_do(s->redis, &reply, err, "HGET", key, topic, NULL);
    if (status == 0 &&
        (reply->type != WEIR_REPLY_TEXT || (*began = (int32_t)strtol(reply->text, NULL, 10)) <= 0))
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    return status;
}

static int read_bare(const char *text, struct weir_mark *mark) {
    char *end;
    if (*text == '\0')
        return 0;
    mark->bare_from = strtoll(text + 1, &end, 10);
    if (*text != ':' || *end != ':')
        return -1;
    mark->bare_to = strtoll(end + 1, &end, 10);
    return *end == '\0' ? 0 : -1;
}

/* "offset:timestamp:hash" or nothing, then ":from:to" where nothing to read was met behind. */
static struct weir_mark read_mark(const struct weir_reply *reply) {
    struct weir_mark none = {0}, mark = {0};
    char *end;
    if (reply->type != WEIR_REPLY_TEXT || reply->len == 0)
        return none;
    if (reply->text[0] == ':')
        return read_bare(reply->text, &mark) == 0 ? mark : none;
    mark.known = true;
    mark.offset = strtoll(reply->text, &end, 10);
    if (*end != ':')
        return none;
    mark.timestamp_ms = strtoll(end + 1, &end, 10);
    if (*end != ':')
        return none;
    mark.hash = strtoull(end + 1, &end, 16);
    return read_bare(end, &mark) == 0 ? mark : none;
}

/* `offset` is the one that is stored beside it. */
static void put_mark(struct weir_words *words, const struct weir_mark *mark, int64_t offset) {
    char known[80] = "", bare[48] = "";
    if (mark->known)
        snprintf(known, sizeof known, "%lld:%lld:%016llx", (long long)mark->offset,
                 (long long)mark->timestamp_ms, (unsigned long long)mark->hash);
    if (mark->bare_from == offset && mark->bare_to > offset)
        snprintf(bare, sizeof bare, ":%lld:%lld", (long long)offset, (long long)mark->bare_to);
    weir_words_put(words, "%s%s", known, bare);
}

static int refuse_definitions(struct weir_err *err, const char *topic, int32_t number,
                              const char *found, const char *wanted) {
    if (strcmp(found, WEIR_CONDEMNED) == 0)
        return weir_err_set(
            err, WEIR_ERR_REFUSED,
            "a rebuild of partition %d of %s was begun and not finished, so a part of its state "
            "is gone; finish it with `weir run --rebuild`, or take a new kafka.group",
            number, topic);
    return weir_err_set(
        err, WEIR_ERR_REFUSED,
        "partition %d of %s was counted by other definitions (fingerprint %s, the config's is "
        "%s): windows, dimensions, sessions, time or event settings changed, or `memory` from "
        "which sessions.max_open follows; put them back, take a new kafka.group, or count "
        "again from Kafka with `weir run --rebuild`",
        number, topic, found, wanted);
}

/* {"FINGERPRINT", the one found} or {"FORMAT", a state of another}. */
static bool is_refusal(const struct weir_reply *reply, const char *word) {
    struct weir_err ignored;
    return weir_reply_expect(reply, WEIR_SHAPE_TEXTS, 2, &ignored) == 0 && reply->items_len == 2 &&
           strcmp(reply->items[0]->text, word) == 0;
}

/* {"OK", epoch, state, mark} */
static bool is_claim(const struct weir_reply *reply) {
    struct weir_err ignored;
    return reply->type == WEIR_REPLY_ARRAY && reply->items_len == 4 &&
           reply->items[0]->type == WEIR_REPLY_TEXT && strcmp(reply->items[0]->text, "OK") == 0 &&
           reply->items[1]->type == WEIR_REPLY_INTEGER &&
           weir_reply_expect(reply->items[2], WEIR_SHAPE_TEXT, 1, &ignored) == 0 &&
           weir_reply_expect(reply->items[3], WEIR_SHAPE_TEXT, 1, &ignored) == 0;
}

int weir_store_claim(struct weir_store *s, const char *topic, int32_t number, uint64_t fingerprint,
                     struct weir_partition *partition, struct weir_claim *claim,
                     struct weir_err *err) {
    char meta[620], print[32], format[8];
    weir_name_tag(claim->tag, sizeof claim->tag, s->group, topic, number);
    weir_token_make(claim->token, WEIR_TOKEN_LEN);
    snprintf(meta, sizeof meta, "%s:meta", claim->tag);
    snprintf(print, sizeof print, "%016llx", (unsigned long long)fingerprint);
    snprintf(format, sizeof format, "%d", WEIR_STATE_VERSION);
    struct weir_reply *reply = NULL;
    int status = weir_store_register(s, topic, number, 1, err);
    weir_crash_point("claim_begin");
    if (status == 0)
        status = weir_redis_script(s->redis, &reply, err, &s->claim, 1, 4,
                                   (const char *[]){meta, claim->token, print, format}, NULL);
    if (status != 0)
        return status;
    weir_crash_point("claim_answered");
    if (is_refusal(reply, "FINGERPRINT")) {
        status = refuse_definitions(err, topic, number, reply->items[1]->text, print);
    } else if (is_refusal(reply, "FORMAT")) { /* its owner, if any, goes on */
        status =
            weir_partition_import_meta(partition, reply->items[1]->text, reply->items[1]->len, err);
        if (status == 0)
            status = weir_reply_refuse(reply, err); /* its format is ours */
    } else if (!is_claim(reply)) {
        status = weir_reply_refuse(reply, err);
    } else {
        claim->epoch = reply->items[1]->integer;
        const struct weir_reply *state = reply->items[2];
        claim->found = state->type == WEIR_REPLY_TEXT;
        claim->mark = read_mark(reply->items[3]);
        if (claim->found) {
            status = weir_partition_import_meta(partition, state->text, state->len, err);
            if (status == 0)
                status = load(s, claim->tag, partition, err);
            if (status != -WEIR_ERR_UNREACHABLE && !is_still_ours(s, meta, claim->token))
                status = weir_err_set(err, WEIR_ERR_UNREACHABLE,
                                      "the state of partition %d of %s changed while it was loaded",
                                      number, topic);
        }
    }
    weir_reply_free(reply);
    return status;
}

/* ---- commit ---- */

/* Commits are pipelined, so the script must be there before: loaded once a connection. */
static int load_script(struct weir_store *s, struct weir_err *err) {
    int status = weir_redis_connect(s->redis, err);
    if (status != 0 || s->script_loaded_in == weir_redis_generation(s->redis))
        return status;
    struct weir_reply *reply = NULL;
    status = weir_redis_do(s->redis, &reply, err, "SCRIPT", "LOAD", s->commit.body, NULL);
    if (status == 0 && reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    if (status == 0)
        s->script_loaded_in = weir_redis_generation(s->redis);
    weir_reply_free(reply);
    return status;
}

static void put_keys(struct weir_words *words, const char *tag, const struct weir_changes *changes,
                     bool removed) {
    for (size_t i = 0; i < changes->len; i++)
        if (changes->items[i].remove == removed)
            weir_words_put(words, "%s:%s", tag, changes->items[i].key);
}

static size_t count_items(const struct weir_changes *changes, bool removed, bool buckets_only) {
    size_t count = 0;
    for (size_t i = 0; i < changes->len; i++)
        count += changes->items[i].remove == removed &&
                 (!buckets_only || changes->items[i].touched_level >= 0);
    return count;
}

/* The members of the touched set: a bucket's key without "b:". */
static void put_members(struct weir_words *words, const struct weir_changes *changes,
                        bool removed) {
    for (size_t i = 0; i < changes->len; i++)
        if (changes->items[i].touched_level >= 0 && changes->items[i].remove == removed)
            weir_words_put(words, "%s", changes->items[i].key + 2);
}

static void put_changes(struct weir_words *words, const struct weir_claim *claim,
                        const struct weir_changes *changes, const struct weir_liveness *live) {
    weir_words_borrow(words, claim->token, WEIR_TOKEN_LEN);
    weir_words_put(words, "%llu", (unsigned long long)changes->prev_seq);
    weir_words_put(words, "%llu", (unsigned long long)changes->seq);
    weir_words_put(words, "%lld", (long long)changes->offset);
    weir_words_put(words, "%lld", (long long)changes->watermark_ms);
    weir_words_borrow(words, changes->meta, changes->meta_len);
    weir_words_borrow(words, changes->ticks_len ? changes->ticks : "", changes->ticks_len);
    weir_words_put(words, "%d", live->idle);
    weir_words_put(words, "%lld", (long long)live->lag);
    weir_words_put(words, "%lld", (long long)live->wall_ms);
    weir_words_put(words, "%zu", count_items(changes, false, false));
    weir_words_put(words, "%zu", count_items(changes, false, true));
    weir_words_put(words, "%zu", count_items(changes, true, true));
    put_mark(words, &live->mark, changes->offset);
    put_members(words, changes, false);
    put_members(words, changes, true);
    for (size_t i = 0; i < changes->len; i++)
        if (!changes->items[i].remove)
            weir_words_borrow(words, changes->bytes + changes->items[i].at, changes->items[i].len);
}

/* EVALSHA <sha> <number of keys> KEYS ARGV */
static void build(struct weir_store *s, const struct weir_claim *claim,
                  const struct weir_changes *changes, const struct weir_liveness *live) {
    struct weir_words *words = &s->words;
    weir_words_clear(words);
    weir_words_put(words, "EVALSHA");
    weir_words_put(words, "%s", s->commit.sha);
    weir_words_put(words, "%zu", FIXED_KEYS + changes->len);
    weir_words_put(words, "%s:meta", claim->tag);
    weir_words_put(words, "%s:t", claim->tag);
    weir_words_put(words, "%s:ticks", claim->tag);
    put_keys(words, claim->tag, changes, false);
    put_keys(words, claim->tag, changes, true);
    put_changes(words, claim, changes, live);
    weir_words_finish(words);
    s->bytes += words->bytes;
}

int weir_store_commit(struct weir_store *s, const struct weir_claim *claim,
                      struct weir_partition *partition, const struct weir_liveness *live,
                      bool *sent, struct weir_err *err) {
    struct weir_changes changes;
    *sent = false;
    int status = weir_partition_export(partition, &changes, err);
    if (status != 0 || changes.seq == changes.prev_seq)
        return status;
    status = load_script(s, err);
    if (status != 0)
        return status;
    build(s, claim, &changes, live);
    *sent = true;
    return weir_redis_append(s->redis, (int)s->words.len, s->words.argv, s->words.lens, err);
}

static int verdict(const struct weir_reply *reply, struct weir_partition *partition,
                   enum weir_commit_result *result, struct weir_err *err) {
    static const struct {
        const char *text;
        enum weir_commit_result result;
    } verdicts[] = {
        {"OK", WEIR_COMMITTED},          {"DUP", WEIR_COMMITTED},   {"FENCED", WEIR_FENCED},
        {"ROLLEDBACK", WEIR_ROLLEDBACK}, {"GONE", WEIR_ROLLEDBACK},
    };
    if (reply->type != WEIR_REPLY_TEXT)
        return weir_reply_refuse(reply, err);
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        if (strcmp(reply->text, verdicts[i].text) != 0)
            continue;
        *result = verdicts[i].result;
        if (*result == WEIR_COMMITTED)
            weir_partition_committed(partition);
        return 0;
    }
    return weir_reply_refuse(reply, err);
}

int weir_store_committed(struct weir_store *s, struct weir_partition *partition,
                         enum weir_commit_result *result, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int status = weir_redis_read(s->redis, &reply, err);
    if (status != 0)
        return status;
    weir_crash_point("commit_answered");
    status = verdict(reply, partition, result, err);
    s->duplicates += reply->type == WEIR_REPLY_TEXT && strcmp(reply->text, "DUP") == 0;
    if (reply->type == WEIR_REPLY_ERROR && strncmp(reply->text, "NOSCRIPT", 8) == 0)
        s->script_loaded_in = 0; /* flushed meanwhile: the next try loads it again */
    weir_reply_free(reply);
    return status;
}
