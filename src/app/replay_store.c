#include "app/evaluator.h"
#include "app/forget.h"
#include "app/replay.h"
#include "app/store.h"
#include "weir/clock.h"

#define TOPIC "replay"
#define REDIS_TIMEOUT_MS 10000
#define PUBLISH_WAIT_MS 15000
#define LOOK_MS 50

static int commit(struct weir_replay *r, struct weir_redis *redis, struct weir_err *err) {
    struct weir_store *store = NULL;
    struct weir_claim claim;
    struct weir_liveness live = {.idle = true, .lag = 0, .wall_ms = weir_clock_wall_ms()};
    enum weir_commit_result result = WEIR_NOTHING;
    bool sent = false;
    int status = weir_store_new(&store, redis, r->config->kafka.group, err);
    if (status == 0) /* a replay begins anew */
        status = weir_forget_partition(redis, r->config, TOPIC, 0, err);
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

/* The evaluator of `run`, until it has published what was committed. */
static int publish(struct weir_replay *r, const char *redis_url, struct weir_err *err) {
    static const char *const topics[] = {TOPIC};
    struct weir_config config = *r->config;
    struct weir_evaluator *evaluator = NULL;
    struct weir_evaluator_figures figures = {0};
    config.redis_url = (char *)(size_t)(const void *)redis_url;
    config.kafka.topics = topics;
    config.kafka.topics_len = 1;
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
                        "the windows of group %s were not published: another weir holds its lease, "
                        "or later windows are there already; use another kafka.group",
                        r->config->kafka.group);
}

int weir_replay_store(struct weir_replay *r, const char *redis_url, struct weir_err *err) {
    struct weir_redis *redis = NULL;
    int status = weir_redis_new(&redis, redis_url, REDIS_TIMEOUT_MS, err);
    if (status == 0)
        status = weir_redis_connect(redis, err);
    if (status == 0)
        status = weir_store_check_server(redis, err);
    if (status == 0)
        status = commit(r, redis, err);
    if (status == 0)
        status = publish(r, redis_url, err);
    weir_redis_free(redis);
    return status;
}
