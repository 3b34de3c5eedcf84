#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/number.h"

#define FRESH_US 15000000 /* an idle partition's owner commits every second */
#define META_FIELDS 7
#define ASKED_AT_ONCE 100 /* buckets; Redis holds their bytes until they are read */
#define WAIT_AT_MOST 16   /* buckets that may wait here for their dictionaries */

int weir_gather_answer(struct weir_evaluator *e, enum weir_shape shape, size_t len,
                       struct weir_reply **reply, struct weir_err *err) {
    int status = weir_redis_read(e->redis, reply, err);
    weir_evaluator_lives(e);
    if (status != 0)
        return status;
    status = weir_reply_expect(*reply, shape, len, err);
    if (status != 0) {
        weir_reply_free(*reply);
        *reply = NULL;
        weir_redis_disconnect(e->redis); /* more answers may be due */
    }
    return status;
}

static int64_t number_of(const struct weir_reply *reply, int64_t otherwise) {
    int64_t number = otherwise;
    if (reply->text)
        weir_number_whole(reply->text, &number); /* leaves it alone when it is none */
    return number;
}

/* ---- partitions ---- */

static void add_member(struct weir_evaluator *e, const char *name) {
    for (size_t i = 0; i < e->members_len; i++)
        if (strcmp(e->members[i].name, name) == 0)
            return;
    e->members = realloc(e->members, (e->members_len + 1) * sizeof *e->members);
    WEIR_ASSERT(e->members != NULL);
    struct weir_member *member = &e->members[e->members_len++];
    *member = (struct weir_member){.number = weir_rollup_add_partition(e->rollup)};
    member->seen_us = member->moved_us = weir_clock_monotonic_us();
    snprintf(member->name, sizeof member->name, "%s", name);
    snprintf(member->tag, sizeof member->tag, "weir:{%s.%s}", e->config->kafka.group, name);
}

/* A topic that was taken out of the config is neither counted nor waited for. */
static bool is_configured(const struct weir_evaluator *e, const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < e->config->kafka.topics_len; i++) {
        const char *topic = e->config->kafka.topics[i];
        if (strlen(topic) == (size_t)(dot - name) && memcmp(topic, name, strlen(topic)) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *left, const void *right) {
    const struct weir_reply *const *a = left, *const *b = right;
    return strcmp((*a)->text, (*b)->text);
}

static int read_set(struct weir_evaluator *e, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *reply = NULL;
    weir_name_key(key, sizeof key, e->config->kafka.group, "partitions");
    int status = weir_redis_append(e->redis, 2, (const char *[]){"SMEMBERS", key}, NULL, err);
    if (status == 0)
        status = weir_gather_answer(e, WEIR_SHAPE_TEXTS, 1, &reply, err);
    if (status != 0)
        return status;
    qsort(reply->items, reply->items_len, sizeof(struct weir_reply *), by_name);
    for (size_t i = 0; i < reply->items_len; i++)
        if (is_configured(e, reply->items[i]->text))
            add_member(e, reply->items[i]->text);
    weir_reply_free(reply);
    return 0;
}

/* Once, until it is readable again. */
static void say_unreadable(struct weir_member *member, bool unreadable) {
    if (unreadable && !member->unreadable)
        weir_log(WEIR_LOG_WARN, "evaluator",
                 "the stored state of a partition is not readable, by this version or at all; no "
                 "window is published without it",
                 WEIR_STR("partition", member->name), WEIR_LOG_END);
    member->unreadable = unreadable;
}

static void take_meta(struct weir_member *member, const struct weir_reply *fields,
                      uint64_t fingerprint) {
    uint64_t found_seq = (uint64_t)number_of(fields->items[0], 0);
    if (found_seq != member->found_seq)
        member->moved_us = weir_clock_monotonic_us();
    member->found_seq = found_seq;
    const char *owner = fields->items[1]->text;
    snprintf(member->found_owner, sizeof member->found_owner, "%s", owner ? owner : "");
    member->idle = number_of(fields->items[2], 0) != 0;
    member->lag = number_of(fields->items[3], -1);
    member->wall_ms = number_of(fields->items[4], 0);
    const struct weir_reply *print = fields->items[5], *state = fields->items[6];
    member->foreign = print->text && strtoull(print->text, NULL, 16) != fingerprint;
    member->has_state = state->type == WEIR_REPLY_TEXT &&
                        weir_partition_read_meta(state->text, state->len, &member->status) == 0;
    say_unreadable(member, state->type == WEIR_REPLY_TEXT && !member->has_state);
}

int weir_gather_members(struct weir_evaluator *e, struct weir_err *err) {
    int status = read_set(e, err); /* each time: no total without a partition that is counted */
    for (size_t i = 0; i < e->members_len && status == 0; i++) {
        char key[700];
        snprintf(key, sizeof key, "%s:meta", e->members[i].tag);
        status = weir_redis_append(e->redis, 2 + META_FIELDS,
                                   (const char *[]){"HMGET", key, "seq", "owner", "idle", "lag",
                                                    "wall", "fingerprint", "state"},
                                   NULL, err);
    }
    for (size_t i = 0; i < e->members_len && status == 0; i++) {
        struct weir_reply *reply = NULL;
        status = weir_gather_answer(e, WEIR_SHAPE_FIELDS, META_FIELDS, &reply, err);
        if (status != 0)
            break;
        take_meta(&e->members[i], reply, e->config->plan.fingerprint);
        weir_reply_free(reply);
    }
    return status;
}

/* Records of it may be missing whose time is not known: it was counted by other definitions or in a
 * format that is not known here, nobody has claimed it so far, or it has records but no event yet.
 */
static bool is_awaited(const struct weir_evaluator *e, const struct weir_member *member,
                       int64_t now_us) {
    if (member->foreign || member->unreadable)
        return true;
    if (!member->has_state)
        return now_us - member->seen_us < e->config->idle_timeout_ms * 1000;
    return member->status.watermark_ms == INT64_MIN && member->lag != 0;
}

/* Idle, and somebody is there to see when it no longer is. */
static bool is_idle(const struct weir_evaluator *e, const struct weir_member *member,
                    int64_t now_us) {
    int64_t fresh_us = FRESH_US + 3 * e->config->commit_interval_ms * 1000;
    return member->idle && now_us - member->moved_us < fresh_us;
}

int64_t weir_gather_watermark(const struct weir_evaluator *e) {
    int64_t lowest = INT64_MAX, highest = INT64_MIN, now_us = weir_clock_monotonic_us();
    for (size_t i = 0; i < e->members_len; i++) {
        const struct weir_member *member = &e->members[i];
        int64_t watermark_ms = member->status.watermark_ms;
        if (is_awaited(e, member, now_us))
            return INT64_MIN;
        if (!member->has_state || watermark_ms == INT64_MIN)
            continue;
        highest = watermark_ms > highest ? watermark_ms : highest;
        if (!is_idle(e, member, now_us))
            lowest = watermark_ms < lowest ? watermark_ms : lowest;
    }
    return lowest != INT64_MAX ? lowest : highest; /* all idle: nothing more is on its way */
}

/* ---- buckets ---- */

static int damaged(struct weir_err *err, const struct weir_member *member, const char *what) {
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "%s of %s is not readable yet; reading it again",
                        what, member->name);
}

static int read_values(struct weir_evaluator *e, struct weir_member *member, struct weir_err *err) {
    for (uint32_t d = 0; d < e->config->plan.dimensions_len; d++) {
        struct weir_reply *reply = NULL;
        int status = weir_gather_answer(e, WEIR_SHAPE_TEXT, 1, &reply, err);
        if (status != 0)
            return status;
        bool text = reply->type == WEIR_REPLY_TEXT;
        int bad = weir_rollup_values(e->rollup, member->number, d, text ? reply->text : "",
                                     text ? reply->len : 0);
        weir_reply_free(reply);
        if (bad)
            return damaged(err, member, "a dictionary");
    }
    return 0;
}

/* 1: it is damaged, or its dictionary is behind. */
static int take_bucket(struct weir_evaluator *e, struct weir_member *member, const char *name,
                       const struct weir_reply *bytes, struct weir_err *err) {
    int64_t level, index;
    const char *rest = name;
    if (weir_number_next(&rest, ':', &level) != 0 || level < 0 || level >= WEIR_LEVELS ||
        weir_number_whole(rest, &index) != 0)
        return damaged(err, member, "a bucket's name");
    if (bytes->type != WEIR_REPLY_TEXT)
        return 0; /* it fell out of retention between the two questions */
    return weir_rollup_bucket(e->rollup, member->number, (int)level, index, bytes->text,
                              bytes->len) == 0
               ? 0
               : 1;
}

static int ask_values(struct weir_evaluator *e, const struct weir_member *member,
                      struct weir_err *err) {
    char key[760];
    int status = 0;
    for (uint32_t d = 0; d < e->config->plan.dimensions_len && status == 0; d++) {
        snprintf(key, sizeof key, "%s:v:%u", member->tag, d);
        status = weir_redis_append(e->redis, 2, (const char *[]){"GET", key}, NULL, err);
    }
    return status;
}

/* So many that they are not to wait in memory for the dictionaries behind them. */
static bool are_many(const struct weir_reply *names) {
    return names->items_len > WAIT_AT_MOST;
}

/* The questions of a partition that moved. Dictionaries are asked behind the buckets, so that they
 * know every value the buckets use; before many of them too, so that few have to wait. */
static int ask_member(struct weir_evaluator *e, const struct weir_member *member,
                      const struct weir_reply *names, struct weir_err *err) {
    char key[760];
    int status = are_many(names) ? ask_values(e, member, err) : 0;
    for (size_t i = 0; i < names->items_len && status == 0; i++) {
        snprintf(key, sizeof key, "%s:b:%s", member->tag, names->items[i]->text);
        status = weir_redis_append(e->redis, 2, (const char *[]){"GET", key}, NULL, err);
    }
    return status == 0 ? ask_values(e, member, err) : status;
}

/* A bucket that uses a value which came to the dictionary since then waits for that. */
static int read_bucket(struct weir_evaluator *e, struct weir_member *member, const char *name,
                       struct weir_reply **waits, struct weir_err *err) {
    struct weir_reply *bytes = NULL;
    int status = weir_gather_answer(e, WEIR_SHAPE_TEXT, 1, &bytes, err);
    if (status == 0)
        status = take_bucket(e, member, name, bytes, err);
    if (status == 1)
        *waits = bytes;
    else
        weir_reply_free(bytes);
    return status == 1 ? 0 : status;
}

static int read_member(struct weir_evaluator *e, struct weir_member *member,
                       const struct weir_reply *names, struct weir_err *err) {
    int status = 0;
    struct weir_reply **waiting = calloc(names->items_len + 1, sizeof(struct weir_reply *));
    WEIR_ASSERT(waiting != NULL);
    if (are_many(names))
        status = read_values(e, member, err);
    for (size_t i = 0; i < names->items_len && status == 0; i++)
        status = read_bucket(e, member, names->items[i]->text, &waiting[i], err);
    if (status == 0)
        status = read_values(e, member, err);
    for (size_t i = 0; i < names->items_len && status == 0; i++)
        if (waiting[i] && take_bucket(e, member, names->items[i]->text, waiting[i], err) != 0)
            status = damaged(err, member, "a bucket");
    for (size_t i = 0; i < names->items_len; i++)
        weir_reply_free(waiting[i]);
    free(waiting);
    if (status == 0) {
        member->seq = member->found_seq;
        memcpy(member->owner, member->found_owner, sizeof member->owner);
    }
    return status;
}

/* A partition that has moved, and the names of its buckets that have. */
struct moved {
    struct weir_member *member;
    struct weir_reply *names;
};

static int ask_names(struct weir_evaluator *e, struct moved *moved, size_t *len,
                     struct weir_err *err) {
    int status = 0;
    for (size_t i = 0; i < e->members_len && status == 0; i++) {
        struct weir_member *member = &e->members[i];
        if (!member->has_state || member->found_seq == member->seq)
            continue;
        char key[700], after[32];
        snprintf(key, sizeof key, "%s:t", member->tag);
        snprintf(after, sizeof after, "(%llu", (unsigned long long)member->seq);
        status = weir_redis_append(
            e->redis, 4, (const char *[]){"ZRANGEBYSCORE", key, after, "+inf"}, NULL, err);
        moved[(*len)++].member = member;
    }
    for (size_t i = 0; i < *len && status == 0; i++)
        status = weir_gather_answer(e, WEIR_SHAPE_TEXTS, 1, &moved[i].names, err);
    return status;
}

/* One after the other, or, where little has changed, several in one round trip. */
static int read_moved(struct weir_evaluator *e, const struct moved *moved, size_t len,
                      struct weir_err *err) {
    int status = 0;
    for (size_t from = 0, to = 0; from < len && status == 0 && e->leader; from = to) {
        size_t asked = 0;
        while (to < len && status == 0 && (to == from || asked < ASKED_AT_ONCE)) {
            status = ask_member(e, moved[to].member, moved[to].names, err);
            asked += moved[to++].names->items_len;
        }
        for (size_t i = from; i < to && status == 0; i++)
            status = read_member(e, moved[i].member, moved[i].names, err);
        if (status == 0)
            status = weir_evaluator_keep_lease(e, err); /* a day of all partitions takes long */
    }
    if (status != 0)
        weir_redis_disconnect(e->redis); /* answers are on their way */
    return status;
}

int weir_gather_buckets(struct weir_evaluator *e, int64_t watermark_ms, struct weir_err *err) {
    struct moved *moved = calloc(e->members_len + 1, sizeof *moved);
    size_t len = 0;
    WEIR_ASSERT(moved != NULL);
    weir_rollup_expect(e->rollup, watermark_ms);
    int status = ask_names(e, moved, &len, err);
    if (status == 0)
        status = read_moved(e, moved, len, err);
    for (size_t i = 0; i < len; i++)
        weir_reply_free(moved[i].names);
    free(moved);
    return status;
}

void weir_gather_reset(struct weir_evaluator *e) {
    uint32_t keep = e->leader ? weir_rollup_keep(e->rollup) : WEIR_KEEP_ALL;
    weir_rollup_free(e->rollup);
    e->rollup = weir_rollup_new(e->plan); /* keeps it */
    WEIR_ASSERT(e->rollup != NULL);
    weir_rollup_limit(e->rollup, e->config->memory.windows, keep);
    weir_rollup_meanwhile(e->rollup, weir_evaluator_keep_meanwhile, e);
    e->told_keep = keep;
    e->told_full = false;
    free(e->members);
    e->members = NULL;
    e->members_len = 0;
    e->as_of_ms = INT64_MIN;
    e->history_len = 0; /* totals may be lower now */
}
