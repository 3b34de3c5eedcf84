/* What was told of alerts in the last publications. When Redis loses its last writes, it goes back
 * to a publication that this evaluator knows by its word. The alerts then stay as they were last
 * published, and what was told since is told again: judged anew, at other times, the same alerts
 * would have other ids, and one that a sink has heard of might never end. */
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "weir/log.h"

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
        weir_words_put(&e->words, "~");
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

/* ---- what is kept ---- */

void weir_told_add(struct weir_evaluator *e, const struct weir_tracked *tracked, bool to_stream,
                   bool to_sinks) {
    if (!to_stream && !to_sinks)
        return; /* it still fires, and is silenced */
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
