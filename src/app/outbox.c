#include "app/outbox.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "app/names.h"
#include "app/outbox_kafka.h"
#include "weir/clock.h"
#include "weir/crash.h"
#include "weir/log.h"
#include "weir/notify.h"
#include "weir/redis.h"

#define LOOK_MS 500 /* between two looks at an empty queue */
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 60000
#define REDIS_TIMEOUT_MS 5000
#define ENTRIES_AT_ONCE "16"
#define ENTRY_ID_MAX 64

/* One sink's thread and what it alone touches, but `shown`. */
struct post {
    struct weir_outbox *outbox;
    const struct weir_sink *sink;
    pthread_t thread;
    char key[WEIR_NAME_KEY_MAX];
    struct weir_redis *redis;
    struct weir_notify *notify;     /* webhook and Alertmanager */
    struct weir_topic_sink *topic;  /* kafka */
    char done[ENTRY_ID_MAX];        /* answered for, still to be deleted; else empty */
    int64_t backoff_ms;             /* 0 while all is well */
    struct weir_sink_figures shown; /* under the outbox's lock */
};

struct weir_outbox {
    const char *group;
    bool (*leader)(void *context);
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stopping; /* under the lock */
    struct post *posts;
    uint32_t len;     /* the sinks with a thread */
    uint32_t started; /* the threads that run */
};

/* What the queue holds of an alert. */
struct letter {
    const char *entry, *id, *alert; /* id, alert: NULL when the entry is damaged */
    size_t alert_len;
};

/* ---- waiting and counting ---- */

static bool is_stopping(struct weir_outbox *outbox) {
    pthread_mutex_lock(&outbox->lock);
    bool stopping = outbox->stopping;
    pthread_mutex_unlock(&outbox->lock);
    return stopping;
}

static void wait_ms(struct weir_outbox *outbox, int64_t ms) {
    int64_t until_us = weir_clock_monotonic_us() + ms * 1000;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_mutex_lock(&outbox->lock);
    while (!outbox->stopping && weir_clock_monotonic_us() < until_us)
        pthread_cond_timedwait(&outbox->stopped, &outbox->lock, &until);
    pthread_mutex_unlock(&outbox->lock);
}

/* Doubled each time, and a quarter more or less, so that many do not come at once. */
static void back_off(struct post *post) {
    uint8_t dice;
    post->backoff_ms = post->backoff_ms ? post->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (post->backoff_ms > BACKOFF_MAX_MS)
        post->backoff_ms = BACKOFF_MAX_MS;
    if (getrandom(&dice, 1, GRND_NONBLOCK) != 1)
        dice = 128; /* no randomness yet: the plain time */
    wait_ms(post->outbox, post->backoff_ms * (384 + dice) / 512);
}

static void count(struct post *post, uint64_t *figure) {
    pthread_mutex_lock(&post->outbox->lock);
    ++*figure;
    pthread_mutex_unlock(&post->outbox->lock);
}

/* ---- to the sink: 0 when it took it, -WEIR_ERR_INPUT when it never will, else try again ---- */

static int send_letter(struct post *post, const struct letter *letter, struct weir_err *err) {
    if (!letter->id || !letter->alert)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "sink %s: the entry %s of %s has no id or no alert", post->sink->name,
                            letter->entry, post->key);
    if (post->topic)
        return weir_topic_sink_send(post->topic, letter->id, letter->alert, letter->alert_len, err);
    return weir_notify_send(post->notify, post->sink, letter->id, letter->alert,
                            post->outbox->group, NULL, err);
}

/* ---- the queue ---- */

static int redis_says(struct post *post, const struct weir_reply *reply, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s answered: %.500s",
                        weir_redis_name(post->redis), weir_reply_words(reply));
}

/* What was answered for goes before anything is read, so that it is not sent again. */
static int delete_done(struct post *post, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    if (!post->done[0])
        return 0;
    int result = weir_redis_do(post->redis, &reply, err, "XDEL", post->key, post->done, NULL);
    if (result == 0 && reply->type != WEIR_REPLY_INTEGER)
        result = redis_says(post, reply, err);
    weir_reply_free(reply);
    if (result == 0)
        post->done[0] = 0;
    return result;
}

static int read_waiting(struct post *post, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int result = weir_redis_do(post->redis, &reply, err, "XLEN", post->key, NULL);
    if (result == 0 && reply->type != WEIR_REPLY_INTEGER)
        result = redis_says(post, reply, err);
    if (result == 0) {
        pthread_mutex_lock(&post->outbox->lock);
        post->shown.waiting = reply->integer;
        pthread_mutex_unlock(&post->outbox->lock);
    }
    weir_reply_free(reply);
    return result;
}

static int read_queue(struct post *post, struct weir_reply **entries, struct weir_err *err) {
    *entries = NULL;
    int result = delete_done(post, err);
    if (result == 0)
        result = read_waiting(post, err);
    if (result == 0)
        result = weir_redis_do(post->redis, entries, err, "XRANGE", post->key, "-", "+", "COUNT",
                               ENTRIES_AT_ONCE, NULL);
    if (result == 0 && (*entries)->type != WEIR_REPLY_ARRAY) {
        result = redis_says(post, *entries, err);
        weir_reply_free(*entries);
        *entries = NULL;
    }
    return result;
}

/* An entry of a stream is [id, [field, value, ...]]. */
static struct letter read_letter(const struct weir_reply *entry) {
    struct letter letter = {.entry = ""};
    if (entry->items_len != 2 || !entry->items[0]->text)
        return letter;
    const struct weir_reply *fields = entry->items[1];
    letter.entry = entry->items[0]->text;
    for (size_t i = 0; i + 1 < fields->items_len; i += 2) {
        const char *name = fields->items[i]->text;
        if (name && strcmp(name, "id") == 0) {
            letter.id = fields->items[i + 1]->text;
        } else if (name && strcmp(name, "alert") == 0) {
            letter.alert = fields->items[i + 1]->text;
            letter.alert_len = fields->items[i + 1]->len;
        }
    }
    return letter;
}

/* ---- the thread ---- */

/* False when it must be tried again, or the queue could not be shortened. */
static bool deliver(struct post *post, const struct letter *letter) {
    struct weir_err err;
    const char *id = letter->id ? letter->id : "";
    weir_crash_point("sink_begin");
    int result = send_letter(post, letter, &err);
    weir_crash_point("sink_answered");
    if (result == 0) {
        count(post, &post->shown.sent);
    } else if (result == -WEIR_ERR_INPUT) {
        weir_log(WEIR_LOG_ERROR, "sink", "refused for good; the alert is dropped",
                 WEIR_STR("sink", post->sink->name), WEIR_STR("id", id), WEIR_STR("why", err.text),
                 WEIR_LOG_END);
        count(post, &post->shown.refused);
    } else {
        weir_log(WEIR_LOG_WARN, "sink", "not sent; it is tried again",
                 WEIR_STR("sink", post->sink->name), WEIR_STR("id", id), WEIR_STR("why", err.text),
                 WEIR_LOG_END);
        count(post, &post->shown.failed);
        return false;
    }
    snprintf(post->done, sizeof post->done, "%s", letter->entry);
    bool deleted = delete_done(post, &err) == 0;
    weir_crash_point("sink_deleted");
    return deleted;
}

/* One look at the queue. False when something failed: wait longer. */
static bool empty_queue(struct post *post, bool *idle) {
    struct weir_reply *entries = NULL;
    struct weir_err err;
    bool good = true;
    *idle = true;
    if (read_queue(post, &entries, &err) != 0) {
        if (post->backoff_ms == 0)
            weir_log(WEIR_LOG_WARN, "sink", "the queue cannot be read; it is tried again",
                     WEIR_STR("sink", post->sink->name), WEIR_STR("why", err.text), WEIR_LOG_END);
        return false;
    }
    for (size_t i = 0; entries && i < entries->items_len && good; i++) {
        if (is_stopping(post->outbox) || !post->outbox->leader(post->outbox->context))
            break;
        struct letter letter = read_letter(entries->items[i]);
        good = deliver(post, &letter);
        *idle = false;
        if (good)
            post->backoff_ms = 0;
    }
    weir_reply_free(entries);
    return good;
}

static void *work(void *context) {
    struct post *post = context;
    while (!is_stopping(post->outbox)) {
        bool idle = true;
        if (!post->outbox->leader(post->outbox->context)) {
            if (post->topic)
                weir_topic_sink_yield(post->topic);
            wait_ms(post->outbox, LOOK_MS);
        } else if (!empty_queue(post, &idle)) {
            back_off(post);
        } else {
            post->backoff_ms = 0;
            if (idle)
                wait_ms(post->outbox, LOOK_MS);
        }
    }
    return NULL;
}

/* ---- start and stop ---- */

static int open_post(struct post *post, struct weir_outbox *outbox,
                     const struct weir_config *config, const struct weir_sink *sink,
                     struct weir_err *err) {
    post->outbox = outbox;
    post->sink = sink;
    snprintf(post->shown.name, sizeof post->shown.name, "%s", sink->name);
    weir_name_key(post->key, sizeof post->key, outbox->group, "outbox:%s", sink->name);
    int result = weir_redis_new(&post->redis, config->redis_url, REDIS_TIMEOUT_MS, err);
    if (result != 0)
        return result;
    if (sink->type != WEIR_SINK_KAFKA)
        return weir_notify_new(&post->notify, err);
    post->topic = weir_topic_sink_new(&config->kafka, sink);
    return 0;
}

static void close_post(struct post *post) {
    weir_topic_sink_free(post->topic);
    weir_notify_free(post->notify);
    weir_redis_free(post->redis);
}

/* The threads take no signals: they are the main thread's. */
static int start_threads(struct weir_outbox *outbox, struct weir_err *err) {
    sigset_t all, before;
    int result = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (outbox->started < outbox->len && result == 0) {
        struct post *post = &outbox->posts[outbox->started];
        if (pthread_create(&post->thread, NULL, work, post) == 0)
            outbox->started++;
        else
            result = weir_err_set(err, WEIR_ERR_REFUSED,
                                  "the thread of the sink %s cannot start; check the limit of "
                                  "threads",
                                  post->sink->name);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

int weir_outbox_start(struct weir_outbox **out, const struct weir_config *config,
                      bool (*leader)(void *context), void *context, struct weir_err *err) {
    struct weir_outbox *outbox = calloc(1, sizeof *outbox);
    pthread_condattr_t monotonic;
    *out = NULL;
    WEIR_ASSERT(outbox != NULL);
    outbox->group = config->kafka.group;
    outbox->leader = leader;
    outbox->context = context;
    outbox->posts = calloc(config->sinks_len + 1, sizeof *outbox->posts);
    WEIR_ASSERT(outbox->posts != NULL);
    pthread_mutex_init(&outbox->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&outbox->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int result = 0;
    for (size_t i = 0; i < config->sinks_len && result == 0; i++)
        if (config->sinks[i].type != WEIR_SINK_LOG) /* the evaluator logs by itself */
            result =
                open_post(&outbox->posts[outbox->len++], outbox, config, &config->sinks[i], err);
    if (result == 0)
        result = start_threads(outbox, err);
    if (result != 0) {
        weir_outbox_stop(outbox);
        return result;
    }
    *out = outbox;
    return 0;
}

void weir_outbox_stop(struct weir_outbox *outbox) {
    if (!outbox)
        return;
    pthread_mutex_lock(&outbox->lock);
    outbox->stopping = true;
    pthread_cond_broadcast(&outbox->stopped);
    pthread_mutex_unlock(&outbox->lock);
    for (uint32_t i = 0; i < outbox->started; i++)
        if (outbox->posts[i].notify)
            weir_notify_stop(outbox->posts[i].notify);
    for (uint32_t i = 0; i < outbox->started; i++)
        pthread_join(outbox->posts[i].thread, NULL);
    for (uint32_t i = 0; i < outbox->len; i++)
        close_post(&outbox->posts[i]);
    pthread_cond_destroy(&outbox->stopped);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox->posts);
    free(outbox);
}

uint32_t weir_outbox_figures(struct weir_outbox *outbox, struct weir_sink_figures *figures,
                             uint32_t max) {
    pthread_mutex_lock(&outbox->lock);
    for (uint32_t i = 0; i < outbox->len && i < max; i++)
        figures[i] = outbox->posts[i].shown;
    pthread_mutex_unlock(&outbox->lock);
    return outbox->len;
}
