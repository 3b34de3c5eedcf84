/* What was told of alerts in the last publications. When Redis loses its last writes, it goes back
 * to a publication that this evaluator knows by its word. The alerts then stay as they were last
 * published, and what was told since is told again: judged anew, at other times, the same alerts
 * would have other ids, and one that a sink has heard of might never end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "weir/clock.h"
#include "weir/log.h"

#define DROPPED_TOLD_US 60000000 /* a warning of a full queue at most this often */

/* ---- commands ---- */

/* The stream and the channel that dashboards follow. */
static void put_stream(struct weir_evaluator *e, const char *json) {
    char key[WEIR_NAME_KEY_MAX];
    weir_name_key(key, sizeof key, e->config->kafka.group, "alerts");
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "XADD");
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "MAXLEN");
    weir_words_put(&e->words, "~");
    weir_words_put(&e->words, "100000");
    weir_words_put(&e->words, "*");
    weir_words_put(&e->words, "alert");
    weir_words_put(&e->words, "%s", json);
    weir_publish_end(e, command);
    command = weir_publish_command(e);
    weir_words_put(&e->words, "PUBLISH");
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "%s", json);
    weir_publish_end(e, command);
}

static void put_sinks(struct weir_evaluator *e, const char *id, const char *json) {
    char key[WEIR_NAME_KEY_MAX];
    for (size_t i = 0; i < e->config->sinks_len; i++) {
        const struct weir_sink *sink = &e->config->sinks[i];
        if (sink->type == WEIR_SINK_LOG)
            continue;
        weir_name_key(key, sizeof key, e->config->kafka.group, "outbox:%s", sink->name);
        size_t command = weir_publish_command(e);
        weir_words_put(&e->words, "XADD");
        weir_words_put(&e->words, "%s", key);
        weir_words_put(&e->words, "MAXLEN");
        weir_words_put(&e->words, "="); /* the script counts what that drops */
        weir_words_put(&e->words, "%lld", (long long)e->config->outbox_max);
        weir_words_put(&e->words, "*");
        weir_words_put(&e->words, "id");
        weir_words_put(&e->words, "%s", id);
        weir_words_put(&e->words, "alert");
        weir_words_put(&e->words, "%s", json);
        weir_publish_end(e, command);
    }
}

static void put(struct weir_evaluator *e, const struct weir_told *told) {
    if (told->to_stream)
        put_stream(e, told->json);
    if (told->to_sinks)
        put_sinks(e, told->id, told->json);
}

static void log_alert(const struct weir_evaluator *e, const struct weir_tracked *tracked) {
    for (size_t i = 0; i < e->config->sinks_len; i++)
        if (e->config->sinks[i].type == WEIR_SINK_LOG)
            weir_log(WEIR_LOG_WARN, "alert", tracked->told_state, WEIR_STR("alert", tracked->json),
                     WEIR_LOG_END);
}

/* ---- what the sinks' queues had no room for ---- */

static struct weir_dropped *dropped_of(struct weir_evaluator *e, const char *sink) {
    for (size_t i = 0; i < e->dropped_len; i++)
        if (strcmp(e->dropped[i].sink, sink) == 0)
            return &e->dropped[i];
    return NULL;
}

static void count_dropped(struct weir_evaluator *e, const char *sink, int64_t entries) {
    int64_t now_us = weir_clock_monotonic_us();
    pthread_mutex_lock(&e->lock);
    struct weir_dropped *dropped = dropped_of(e, sink);
    if (!dropped) {
        e->dropped = realloc(e->dropped, (e->dropped_len + 1) * sizeof *e->dropped);
        WEIR_ASSERT(e->dropped != NULL);
        dropped = &e->dropped[e->dropped_len++];
        *dropped = (struct weir_dropped){.told_us = now_us - DROPPED_TOLD_US};
        snprintf(dropped->sink, sizeof dropped->sink, "%s", sink);
    }
    dropped->entries += (uint64_t)entries;
    dropped->untold += entries;
    int64_t untold = now_us - dropped->told_us >= DROPPED_TOLD_US ? dropped->untold : 0;
    if (untold > 0) {
        dropped->told_us = now_us;
        dropped->untold = 0;
    }
    pthread_mutex_unlock(&e->lock);
    if (untold > 0)
        weir_log(WEIR_LOG_WARN, "alert", "the queue of a sink is full: its oldest are dropped",
                 WEIR_STR("sink", sink), WEIR_INT("dropped", untold),
                 WEIR_INT("outbox_max", e->config->outbox_max), WEIR_LOG_END);
}

void weir_told_dropped(struct weir_evaluator *e, const struct weir_reply *answer) {
    char key[WEIR_NAME_KEY_MAX];
    for (size_t i = 1; i + 1 < answer->items_len; i += 2)
        for (size_t s = 0; s < e->config->sinks_len; s++) {
            const char *sink = e->config->sinks[s].name;
            weir_name_key(key, sizeof key, e->config->kafka.group, "outbox:%s", sink);
            if (answer->items[i]->text && strcmp(answer->items[i]->text, key) == 0)
                count_dropped(e, sink, answer->items[i + 1]->integer);
        }
}

uint64_t weir_evaluator_dropped(struct weir_evaluator *e, const char *sink) {
    pthread_mutex_lock(&e->lock);
    const struct weir_dropped *dropped = dropped_of(e, sink);
    uint64_t entries = dropped ? dropped->entries : 0;
    pthread_mutex_unlock(&e->lock);
    return entries;
}

/* ---- what is kept ---- */

void weir_told_add(struct weir_evaluator *e, const struct weir_tracked *tracked, bool to_stream,
                   bool to_sinks) {
    if (e->told_len == e->told_cap) {
        e->told_cap = e->told_cap ? e->told_cap * 2 : 64;
        e->told = realloc(e->told, e->told_cap * sizeof *e->told);
        WEIR_ASSERT(e->told != NULL);
    }
    struct weir_told *told = &e->told[e->told_len++];
    *told = (struct weir_told){
        .json = strdup(tracked->json), .to_stream = to_stream, .to_sinks = to_sinks};
    WEIR_ASSERT(told->json != NULL);
    weir_alert_id(told->id, &tracked->alert);
    put(e, told);
    if (to_sinks)
        log_alert(e, tracked);
}

/* Of `told`, those from `from` on for `len`. */
static void drop(struct weir_evaluator *e, size_t from, size_t len) {
    if (len == 0)
        return;
    for (size_t i = from; i < from + len; i++)
        free(e->told[i].json);
    e->told_len -= len;
    memmove(e->told + from, e->told + from + len, (e->told_len - from) * sizeof *e->told);
}

void weir_told_free(struct weir_evaluator *e) {
    drop(e, 0, e->told_len);
    free(e->told);
    e->told = NULL;
    e->told_cap = 0;
    free(e->dropped);
    e->dropped = NULL;
    e->dropped_len = 0;
}

/* The present publication is the last one of the past. What was told up to the first of them is in
 * whatever Redis may go back to. */
static void remember(struct weir_evaluator *e) {
    if (e->past_len == WEIR_PAST)
        memmove(e->past, e->past + 1, --e->past_len * sizeof *e->past);
    struct weir_past *past = &e->past[e->past_len++];
    *past = (struct weir_past){.number = e->number, .told_len = e->told_len};
    memcpy(past->word, e->word, sizeof past->word);
    size_t old = e->past[0].told_len;
    drop(e, 0, old);
    for (size_t i = 0; i < e->past_len; i++)
        e->past[i].told_len -= old;
}

void weir_told_published(struct weir_evaluator *e) {
    remember(e);
    weir_alerting_keep(e);
    e->kept.sure = true;
    e->kept.told_len = e->told_len;
    e->tells_again = false;
}

/* ---- back ---- */

/* The publication that Redis holds, among those that are known here; -1: it is none of them. */
static int find_past(const struct weir_evaluator *e) {
    for (size_t i = e->past_len; i-- > 0 && e->word[0];)
        if (e->past[i].number == e->number && strcmp(e->past[i].word, e->word) == 0)
            return (int)i;
    return -1;
}

/* The last publication was taken, and only its answer was lost. */
static bool was_taken(const struct weir_evaluator *e) {
    return e->kept.sure && e->word[0] && e->number == e->past[e->past_len - 1].number + 1 &&
           strcmp(e->word, e->next_word) == 0;
}

bool weir_told_holds(struct weir_evaluator *e) {
    if (was_taken(e)) {
        weir_told_published(e);
        return true;
    }
    int at = e->kept.sure ? find_past(e) : -1;
    if (at < 0) {
        drop(e, 0, e->told_len);
        e->past_len = 0;
        e->kept.sure = e->tells_again = false;
        remember(e);
        return false;
    }
    e->tells_again |= (size_t)at + 1 < e->past_len;
    e->past_len = (size_t)at + 1;
    drop(e, e->kept.told_len, e->told_len - e->kept.told_len); /* it was not published */
    weir_alerting_restore(e);
    return true;
}

void weir_told_again(struct weir_evaluator *e) {
    size_t from = e->past[e->past_len - 1].told_len;
    for (size_t i = from; i < e->told_len; i++)
        put(e, &e->told[i]);
    if (from < e->told_len)
        weir_log(WEIR_LOG_WARN, "alert", "Redis lost changes of alerts: telling them again",
                 WEIR_INT("changes", (int64_t)(e->told_len - from)), WEIR_LOG_END);
}
