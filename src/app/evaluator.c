#include "app/evaluator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "app/scripts.h"
#include "weir/clock.h"
#include "weir/crash.h"
#include "weir/log.h"

#define LOOK_MS 200
#define AWAY_MS 1000
#define LEASE_MS "4000" /* with the look and the way to Redis it moves within five seconds */
#define LEASE_KEEP_US 1000000
#define REDIS_TIMEOUT_MS 5000

/* The way of a window: keep the lease, look how far the partitions are, gather what changed, add
 * it up, check the data's quality, evaluate the rules, publish. */

void weir_evaluator_lives(struct weir_evaluator *e) {
    atomic_store(&e->seen_us, weir_clock_monotonic_us());
}

int weir_evaluator_keep_lease(struct weir_evaluator *e, struct weir_err *err) {
    int64_t now_us = weir_clock_monotonic_us();
    weir_evaluator_lives(e);
    if (e->leader && now_us - e->lease_us < LEASE_KEEP_US)
        return 0;
    struct weir_reply *reply = NULL;
    int status = weir_redis_script(e->redis, &reply, err, &e->lease, 1, 3,
                                   (const char *[]){e->lease_key, e->token, LEASE_MS}, NULL);
    if (status != 0)
        return status;
    bool ours = reply->type == WEIR_REPLY_INTEGER && reply->integer == 1;
    if (reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    weir_crash_point("lease_answered");
    if (ours && !e->leader) {
        weir_log(WEIR_LOG_INFO, "evaluator", "holds the lease", WEIR_LOG_END);
        weir_gather_reset(e);
        status = weir_publish_load(e, err);
        if (status == 0 && !weir_told_holds(e))
            status = weir_alerting_load(e, err);
        ours = status == 0;
        weir_crash_point("lease_loaded");
    }
    e->leader = ours;
    e->lease_us = now_us;
    return status;
}

void weir_evaluator_keep_meanwhile(void *evaluator) {
    struct weir_evaluator *e = evaluator;
    weir_evaluator_lives(e);
    if (e->leader && weir_evaluator_keep_lease(e, &e->kept_err) != 0)
        e->leader = false;
}

/* So that the next holder need not wait for its end. */
static void give_up_lease(struct weir_evaluator *e) {
    struct weir_err ignored;
    struct weir_reply *reply = NULL;
    if (weir_redis_script(e->redis, &reply, &ignored, &e->lease, 1, 3,
                          (const char *[]){e->lease_key, e->token, "1"}, NULL) == 0)
        weir_reply_free(reply);
}

/* A rollback in Redis, or a partition that was counted anew: start over from what is there. */
static bool went_back(const struct weir_evaluator *e) {
    for (size_t i = 0; i < e->members_len; i++) {
        const struct weir_member *member = &e->members[i];
        if (member->seq > 0 &&
            (member->found_seq < member->seq || strcmp(member->found_owner, member->owner) != 0))
            return true;
    }
    return false;
}

static bool find_moved(const struct weir_evaluator *e, bool *moved) {
    bool any = false;
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++) {
        moved[w] = weir_rollup_as_of(e->rollup, w) > e->shown_ms[w];
        any |= moved[w];
    }
    return any;
}

static void end_stage(struct weir_evaluator *e, enum weir_stage stage, int64_t *since_us) {
    int64_t now_us = weir_clock_monotonic_us();
    e->stage_us[stage] = (uint64_t)(now_us - *since_us);
    *since_us = now_us;
}

static void add_figures(struct weir_evaluator *e) {
    uint64_t took_us = 0;
    for (int s = 0; s < WEIR_STAGES; s++) {
        took_us += e->stage_us[s];
        e->figures.stage_us_sum[s] += e->stage_us[s];
    }
    e->figures.steps++;
    e->figures.step_us_sum += took_us;
    if (took_us > e->figures.step_us_max)
        e->figures.step_us_max = took_us;
}

/* The windows met their share of `memory`: what that did, and that no more can be done. */
static void tell_limit(struct weir_evaluator *e) {
    uint32_t keep = weir_rollup_keep(e->rollup);
    size_t bytes = weir_rollup_memory(e->rollup), limit = e->config->memory.windows;
    bool full = limit > 0 && bytes > limit;
    if (keep < e->told_keep)
        weir_log(WEIR_LOG_WARN, "evaluator",
                 "the windows over all partitions met their eighth of `memory`: fewer values of a "
                 "dimension are kept apart, the others count under `_other`; raise `memory`, or "
                 "lower events.max_values or the longest window, and restart",
                 WEIR_INT("values_kept", keep), WEIR_INT("bytes", (int64_t)bytes),
                 WEIR_INT("limit_bytes", (int64_t)limit), WEIR_LOG_END);
    if (full && !e->told_full)
        weir_log(WEIR_LOG_WARN, "evaluator",
                 "the windows over all partitions take more than their eighth of `memory`, though "
                 "no values are kept apart; raise `memory`, or lower the longest window",
                 WEIR_INT("bytes", (int64_t)bytes), WEIR_INT("limit_bytes", (int64_t)limit),
                 WEIR_LOG_END);
    e->told_keep = keep;
    e->told_full = full;
}

/* All windows to the new time. The sums of a day take seconds at first, so the lease is kept
 * meanwhile; once it is lost, or Redis away, what was added up is of no more use. */
static int advance(struct weir_evaluator *e, int64_t watermark_ms, struct weir_err *err) {
    e->kept_err.code = 0;
    weir_alerting_prepare(e);
    tell_limit(e);
    weir_rollup_advance(e->rollup, watermark_ms);
    e->as_of_ms = watermark_ms;
    if (e->kept_err.code != 0)
        *err = e->kept_err;
    return -e->kept_err.code;
}

/* One slide: everything that a new time brings, in one atomic step. */
static int step(struct weir_evaluator *e, int64_t watermark_ms, struct weir_err *err) {
    bool moved[WEIR_WINDOWS_MAX];
    int64_t since_us = weir_clock_monotonic_us();
    int status = weir_gather_buckets(e, watermark_ms, err);
    if (status != 0 || !e->leader)
        return status;
    end_stage(e, WEIR_STAGE_GATHER, &since_us);
    status = advance(e, watermark_ms, err);
    if (status != 0 || !e->leader)
        return status;
    int64_t first_ms = weir_rollup_first_ms(e->rollup);
    if (first_ms < e->first_ms)
        e->first_ms = first_ms;
    if (!find_moved(e, moved))
        return 0;
    e->wall_ms = weir_clock_wall_ms();
    weir_quality_check(e, watermark_ms, e->wall_ms);
    end_stage(e, WEIR_STAGE_SUM, &since_us);
    status = weir_evaluator_keep_lease(e, err);
    if (status != 0 || !e->leader)
        return status;
    weir_publish_begin(e);
    status = weir_publish_windows(e, moved, err);
    if (status == 0)
        status = weir_alerting_step(e, moved, err);
    end_stage(e, WEIR_STAGE_WRITE, &since_us);
    weir_crash_point("publish_begin");
    if (status == 0)
        status = weir_publish_send(e, err);
    weir_crash_point("publish_answered");
    end_stage(e, WEIR_STAGE_SEND, &since_us);
    if (status != 1) {
        e->leader = false; /* what is here may be stale: load it again with the lease */
        return status;
    }
    weir_told_published(e);
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        e->shown_ms[w] = weir_rollup_as_of(e->rollup, w);
    add_figures(e);
    return 0;
}

static int look(struct weir_evaluator *e, struct weir_err *err) {
    int status = weir_evaluator_keep_lease(e, err);
    if (status != 0 || !e->leader)
        return status;
    status = weir_gather_members(e, err);
    if (status != 0)
        return status;
    if (went_back(e)) {
        weir_gather_reset(e);
        return 0;
    }
    status = weir_splits_look(e, err);
    if (status != 0)
        return status;
    int64_t slide_ms = weir_level_ms[weir_window_level(e->config->plan.windows_ms[0])];
    int64_t watermark_ms = weir_gather_watermark(e);
    if (watermark_ms == INT64_MIN || watermark_ms / slide_ms <= e->as_of_ms / slide_ms)
        return 0;
    return step(e, watermark_ms, err);
}

static void show_figures(struct weir_evaluator *e) {
    struct weir_evaluator_figures *figures = &e->figures;
    figures->leader = e->leader;
    weir_evaluator_lives(e);
    if (!e->leader)
        figures->split_ratio = -1;
    figures->partitions = (uint32_t)e->members_len;
    figures->segments = weir_rollup_segments(e->rollup);
    figures->as_of_ms = e->as_of_ms;
    figures->memory_bytes = weir_rollup_memory(e->rollup);
    figures->values_kept = e->leader ? weir_rollup_keep(e->rollup) : WEIR_KEEP_ALL;
    figures->firing = figures->pending = 0;
    for (size_t i = 0; i < e->tracked_len; i++) {
        figures->firing += e->tracked[i].alert.state == WEIR_FIRING;
        figures->pending += e->tracked[i].alert.state == WEIR_PENDING;
    }
    snprintf(figures->suspect, sizeof figures->suspect, "%s", e->suspect);
    pthread_mutex_lock(&e->lock);
    e->shown = *figures;
    pthread_mutex_unlock(&e->lock);
}

static void take_reload(struct weir_evaluator *e) {
    pthread_mutex_lock(&e->lock);
    if (e->next_config) {
        e->config = e->next_config; /* the plan is the same: a change of it needs a restart */
        e->next_config = NULL;
        pthread_cond_broadcast(&e->reload_done);
    }
    pthread_mutex_unlock(&e->lock);
}

/* Once for each reason: a lost connection may be followed by a password that is not taken. */
static void say_why(struct weir_evaluator *e, const struct weir_err *err) {
    if (strncmp(e->why, err->text, sizeof e->why - 1) == 0)
        return;
    snprintf(e->why, sizeof e->why, "%.255s", err->text);
    weir_log(WEIR_LOG_WARN, "evaluator", "cannot go on until Redis answers",
             WEIR_STR("why", err->text), WEIR_LOG_END);
}

static void *thread_main(void *context) {
    struct weir_evaluator *e = context;
    struct weir_err err;
    pthread_setname_np(pthread_self(), "evaluator");
    while (!atomic_load(&e->stopping)) {
        take_reload(e);
        int status = look(e, &err);
        if (status != 0) {
            say_why(e, &err);
            e->figures.redis_errors++;
            e->leader = false;
            weir_redis_disconnect(e->redis); /* answers that are still due are to void questions */
        } else {
            e->why[0] = '\0';
        }
        e->figures.redis_up = status == 0;
        show_figures(e);
        weir_clock_sleep_ms(status == 0 ? LOOK_MS : AWAY_MS);
    }
    if (e->leader)
        give_up_lease(e);
    return NULL;
}

int weir_evaluator_start(struct weir_evaluator **evaluator, const struct weir_config *config,
                         struct weir_err *err) {
    struct weir_evaluator *e = calloc(1, sizeof *e);
    WEIR_ASSERT(e != NULL);
    weir_token_make(e->token, WEIR_TOKEN_LEN);
    e->config = config;
    e->plan = &config->plan;
    e->figures.redis_up = true;
    weir_evaluator_lives(e);
    e->figures.split_ratio = -1;
    e->as_of_ms = INT64_MIN;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->reload_done, NULL);
    weir_script_init(&e->lease, weir_script_lease);
    weir_script_init(&e->publish, weir_script_publish);
    weir_words_init(&e->words);
    weir_redis_hash_init(&e->hash);
    weir_name_key(e->lease_key, sizeof e->lease_key, config->kafka.group, "lease");
    weir_name_key(e->published_key, sizeof e->published_key, config->kafka.group, "published");
    weir_gather_reset(e);
    int status = weir_redis_new(&e->redis, config->redis_url, REDIS_TIMEOUT_MS, err);
    if (status == 0 && pthread_create(&e->thread, NULL, thread_main, e) != 0)
        status = weir_err_set(err, WEIR_ERR_REFUSED, "cannot start a thread");
    if (status != 0) {
        weir_redis_free(e->redis);
        weir_rollup_free(e->rollup);
        free(e);
        return status;
    }
    *evaluator = e;
    return 0;
}

void weir_evaluator_reload(struct weir_evaluator *e, const struct weir_config *config) {
    pthread_mutex_lock(&e->lock);
    e->next_config = config;
    while (e->next_config)
        pthread_cond_wait(&e->reload_done, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

void weir_evaluator_stop(struct weir_evaluator *e) {
    if (!e)
        return;
    atomic_store(&e->stopping, true);
    pthread_join(e->thread, NULL);
    weir_alerting_free(e);
    weir_told_free(e);
    weir_words_close(&e->words);
    weir_redis_hash_close(&e->hash);
    weir_redis_free(e->redis);
    weir_rollup_free(e->rollup);
    free(e->members);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->reload_done);
    free(e);
}

void weir_evaluator_figures(struct weir_evaluator *e, struct weir_evaluator_figures *figures) {
    pthread_mutex_lock(&e->lock);
    *figures = e->shown;
    pthread_mutex_unlock(&e->lock);
    figures->seen_us = atomic_load(&e->seen_us);
}
