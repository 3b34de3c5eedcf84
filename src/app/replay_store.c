#include <stdio.h>
#include <string.h>

#include "app/evaluator.h"
#include "app/forget.h"
#include "app/names.h"
#include "app/replay.h"
#include "app/scripts.h"
#include "app/store.h"
#include "weir/clock.h"

#define TOPIC "replay"
#define MEMBER TOPIC ".0"
#define REDIS_TIMEOUT_MS 10000
#define PUBLISH_WAIT_MS 15000
#define LOOK_MS 50
#define LEASE_MS "10000"    /* over the forgetting; given up after it */
#define LEASE_WAIT_MS 12000 /* a replay that was killed leaves one behind */

/* ---- whose group it is ---- */

/* The reply, or an error for any other type than this one (nil is one of its own). */
static int ask(struct weir_redis *redis, struct weir_reply **reply, enum weir_reply_type type,
               struct weir_err *err, const char *verb, const char *key, const char *field) {
    const char *words[] = {verb, key, field};
    int status = weir_redis_command(redis, reply, err, field ? 3 : 2, words, NULL);
    if (status != 0 || (*reply)->type == type || (*reply)->type == WEIR_REPLY_NIL)
        return status;
    status = weir_reply_refuse(*reply, err);
    weir_reply_free(*reply);
    *reply = NULL;
    return status;
}

static int is_of_run(const char *group, const char *what, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_REFUSED,
                        "the group %s holds %.300s of `weir run`, and a replay would take its "
                        "place; give the replay a kafka.group of its own",
                        group, what);
}

/* Even a partition of this name may be a topic's: then it knows the last record of Kafka. */
static int check_member(struct weir_redis *redis, const char *group, struct weir_err *err) {
    char meta[WEIR_NAME_KEY_MAX];
    struct weir_reply *mark = NULL;
    snprintf(meta, sizeof meta, "weir:{%s.%s}:meta", group, MEMBER);
    int status = ask(redis, &mark, WEIR_REPLY_TEXT, err, "HGET", meta, "mark");
    if (status == 0 && mark && mark->len > 0)
        status = is_of_run(group, "partition " MEMBER, err);
    weir_reply_free(mark);
    return status;
}

/* Refuses a group in which there is more than an earlier replay. */
static int check_group(struct weir_redis *redis, const char *group, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX], what[400];
    struct weir_reply *members = NULL, *alerts = NULL;
    weir_name_key(key, sizeof key, group, "partitions");
    int status = ask(redis, &members, WEIR_REPLY_ARRAY, err, "SMEMBERS", key, NULL);
    if (status == 0)
        status = weir_reply_expect(members, WEIR_SHAPE_TEXTS, 1, err);
    size_t len = members ? members->items_len : 0;
    for (size_t i = 0; i < len && status == 0; i++) {
        snprintf(what, sizeof what, "partition %.300s", members->items[i]->text);
        if (strcmp(members->items[i]->text, MEMBER) != 0)
            status = is_of_run(group, what, err);
    }
    weir_reply_free(members);
    if (status != 0 || len > 0)
        return status != 0 ? status : check_member(redis, group, err);
    weir_name_key(key, sizeof key, group, "alertstate");
    status = ask(redis, &alerts, WEIR_REPLY_INTEGER, err, "HLEN", key, NULL);
    if (status == 0 && alerts && alerts->integer > 0)
        status = is_of_run(group, "alerts", err);
    weir_reply_free(alerts);
    return status;
}

/* ---- the replay's own ---- */

static int set_lease(struct weir_redis *redis, const char *key, const char *token, const char *ms,
                     bool *ours, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    struct weir_script lease;
    weir_script_init(&lease, weir_script_lease);
    int status =
        weir_redis_script(redis, &reply, err, &lease, 1, 3, (const char *[]){key, token, ms}, NULL);
    if (status == 0 && reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    *ours = status == 0 && reply->type == WEIR_REPLY_INTEGER && reply->integer == 1;
    weir_reply_free(reply);
    return status;
}

/* What an earlier replay left, alerts of older versions among it: a replay begins anew. */
static int forget(struct weir_replay *r, struct weir_redis *redis, struct weir_err *err) {
    static const char *const kinds[] = {"alertstate", "firing"};
    const char *group = r->config->kafka.group;
    int status = check_group(redis, group, err);
    if (status == 0)
        status = weir_forget_group(redis, r->config, err);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && status == 0; i++) {
        char key[WEIR_NAME_KEY_MAX];
        struct weir_reply *reply = NULL;
        weir_name_key(key, sizeof key, group, "%s", kinds[i]);
        status = ask(redis, &reply, WEIR_REPLY_INTEGER, err, "UNLINK", key, NULL);
        weir_reply_free(reply);
    }
    return status;
}

/* While nobody publishes: the windows must not be half of the old ones. */
static int begin_anew(struct weir_replay *r, struct weir_redis *redis, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX], token[WEIR_TOKEN_LEN + 1];
    bool ours = false;
    weir_name_key(key, sizeof key, r->config->kafka.group, "lease");
    weir_token_make(token, WEIR_TOKEN_LEN);
    int status = set_lease(redis, key, token, LEASE_MS, &ours, err);
    for (int waited_ms = 0; status == 0 && !ours && waited_ms < LEASE_WAIT_MS;
         waited_ms += LOOK_MS) {
        weir_clock_sleep_ms(LOOK_MS);
        status = set_lease(redis, key, token, LEASE_MS, &ours, err);
    }
    if (status == 0 && !ours)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "another weir publishes in the group %s; give the replay a kafka.group "
                            "of its own",
                            r->config->kafka.group);
    if (status == 0)
        status = forget(r, redis, err);
    struct weir_err ignored; /* else it ends by itself */
    set_lease(redis, key, token, "1", &ours, &ignored);
    return status;
}

static int commit(struct weir_replay *r, struct weir_redis *redis, struct weir_err *err) {
    struct weir_store *store = NULL;
    struct weir_claim claim;
    struct weir_liveness live = {.idle = true, .lag = 0, .wall_ms = weir_clock_wall_ms()};
    enum weir_commit_result result = WEIR_NOTHING;
    bool sent = false;
    int status = weir_store_new(&store, redis, r->config->kafka.group, err);
    if (status == 0)
        status = begin_anew(r, redis, err);
    struct weir_partition *unused = weir_partition_new(&r->config->plan);
    WEIR_ASSERT(unused != NULL);
    if (status == 0)
        status =
            weir_store_claim(store, TOPIC, 0, r->config->plan.fingerprint, unused, &claim, err);
    if (status == 0)
        status = weir_store_commit(store, &claim, r->partition, &live, &sent, err);
    if (status == 0 && sent)
        status = weir_store_committed(store, r->partition, &result, err);
    if (status == 0 && sent && result != WEIR_COMMITTED)
        status = weir_err_set(err, WEIR_ERR_REFUSED,
                              "another weir replays into the group %s at the same time",
                              r->config->kafka.group);
    weir_partition_free(unused);
    weir_store_free(store);
    return status;
}

/* The evaluator of `run`, until it has published what was committed. No alert is raised over
 * records of the past, so it gets no rules. */
static int publish(struct weir_replay *r, const char *redis_url, struct weir_err *err) {
    static const char *const topics[] = {TOPIC};
    struct weir_config config = *r->config;
    struct weir_evaluator *evaluator = NULL;
    struct weir_evaluator_figures figures = {0};
    config.redis_url = (char *)(size_t)(const void *)redis_url;
    config.kafka.topics = topics;
    config.kafka.topics_len = 1;
    config.rules = (struct weir_rules){0};
    int status = weir_evaluator_start(&evaluator, &config, err);
    if (status != 0)
        return status;
    for (int waited_ms = 0; waited_ms < PUBLISH_WAIT_MS && figures.steps == 0;
         waited_ms += LOOK_MS) {
        weir_clock_sleep_ms(LOOK_MS);
        weir_evaluator_figures(evaluator, &figures);
    }
    weir_evaluator_stop(evaluator);
    if (figures.steps > 0)
        return 0;
    return weir_err_set(err, WEIR_ERR_REFUSED,
                        "the windows of group %s were not published: another weir holds its lease; "
                        "give the replay a kafka.group of its own",
                        r->config->kafka.group);
}

static int open_redis(struct weir_redis **redis, const char *url, struct weir_err *err) {
    int status = weir_redis_new(redis, url, REDIS_TIMEOUT_MS, err);
    if (status == 0)
        status = weir_redis_connect(*redis, err);
    if (status == 0)
        status = weir_store_check_server(*redis, err);
    return status;
}

int weir_replay_store_check(struct weir_replay *r, const char *redis_url, struct weir_err *err) {
    struct weir_redis *redis = NULL;
    int status = open_redis(&redis, redis_url, err);
    if (status == 0)
        status = check_group(redis, r->config->kafka.group, err);
    weir_redis_free(redis);
    return status;
}

int weir_replay_store(struct weir_replay *r, const char *redis_url, struct weir_err *err) {
    struct weir_partition_status counted;
    struct weir_redis *redis = NULL;
    int status = open_redis(&redis, redis_url, err);
    if (status == 0)
        status = commit(r, redis, err);
    weir_partition_status(r->partition, &counted);
    if (status == 0 && counted.watermark_ms != INT64_MIN)
        status = publish(r, redis_url, err);
    weir_redis_free(redis);
    return status;
}
