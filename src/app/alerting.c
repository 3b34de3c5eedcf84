#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/number.h"

#define LABELS_MAX 64

/* ---- the alerts that are followed ---- */

/* With its dimension: by another one, the rule is another, whose alerts say nothing of these. */
static uint64_t rule_print(const struct weir_evaluator *e, const struct weir_rule *rule) {
    const char *dimension = rule->by_len > 0 ? e->config->dimension_names[rule->by[0]] : NULL;
    return weir_alert_fingerprint(rule, dimension, "", 0);
}

static struct weir_tracked *add_tracked(struct weir_evaluator *e) {
    if (e->tracked_len == e->tracked_cap) {
        e->tracked_cap = e->tracked_cap ? e->tracked_cap * 2 : 64;
        e->tracked = realloc(e->tracked, e->tracked_cap * sizeof *e->tracked);
        WEIR_ASSERT(e->tracked != NULL);
    }
    struct weir_tracked *tracked = &e->tracked[e->tracked_len++];
    *tracked = (struct weir_tracked){0};
    return tracked;
}

static struct weir_tracked *find_tracked(struct weir_evaluator *e, uint64_t fingerprint) {
    for (size_t i = 0; i < e->tracked_len; i++)
        if (e->tracked[i].alert.fingerprint == fingerprint)
            return &e->tracked[i];
    return NULL;
}

static void forget(struct weir_evaluator *e, struct weir_tracked *tracked) {
    free(tracked->json);
    *tracked = e->tracked[--e->tracked_len];
}

static void free_tracked(struct weir_tracked *tracked, size_t len) {
    for (size_t i = 0; i < len; i++)
        free(tracked[i].json);
    free(tracked);
}

static void clear(struct weir_evaluator *e) {
    free_tracked(e->tracked, e->tracked_len);
    e->tracked = NULL;
    e->tracked_len = e->tracked_cap = 0;
}

static struct weir_tracked *copy_tracked(const struct weir_tracked *tracked, size_t len) {
    struct weir_tracked *copy = calloc(len + 1, sizeof *copy);
    WEIR_ASSERT(copy != NULL);
    for (size_t i = 0; i < len; i++) {
        copy[i] = tracked[i];
        copy[i].json = tracked[i].json ? strdup(tracked[i].json) : NULL;
        WEIR_ASSERT(copy[i].json != NULL || !tracked[i].json);
    }
    return copy;
}

void weir_alerting_keep(struct weir_evaluator *e) {
    free_tracked(e->kept.tracked, e->kept.tracked_len);
    e->kept.tracked = copy_tracked(e->tracked, e->tracked_len);
    e->kept.tracked_len = e->tracked_len;
    memcpy(e->kept.judged_ms, e->judged_ms, sizeof e->judged_ms);
}

void weir_alerting_restore(struct weir_evaluator *e) {
    clear(e);
    e->tracked = copy_tracked(e->kept.tracked, e->kept.tracked_len);
    e->tracked_len = e->kept.tracked_len;
    e->tracked_cap = e->kept.tracked_len + 1;
    memcpy(e->judged_ms, e->kept.judged_ms, sizeof e->judged_ms);
}

void weir_alerting_free(struct weir_evaluator *e) {
    clear(e);
    free_tracked(e->kept.tracked, e->kept.tracked_len);
    weir_silences_close(&e->silences);
    e->kept = (struct weir_kept){0};
}

/* ---- their state in Redis ---- */

static void command3(struct weir_evaluator *e, const char *verb, const char *rest,
                     uint64_t fingerprint, const char *value) {
    char key[WEIR_NAME_KEY_MAX];
    weir_name_key(key, sizeof key, e->config->kafka.group, "%s", rest);
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "%s", verb);
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "%016" PRIx64, fingerprint);
    if (value)
        weir_words_put(&e->words, "%s", value);
    weir_publish_end(e, command);
}

static void save_state(struct weir_evaluator *e, const struct weir_tracked *tracked) {
    const struct weir_alert *a = &tracked->alert;
    char text[256];
    snprintf(text, sizeof text,
             "%016" PRIx64 " %d %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %u %" PRId64,
             tracked->rule, (int)a->state, (int)a->before_suspect, a->since_ms, a->starts_ms,
             a->good_since_ms, a->sent_ms, a->changes, a->as_of_ms);
    command3(e, "HSET", "alertstate", a->fingerprint, text);
}

static bool parse_state(struct weir_tracked *tracked, const char *fingerprint, const char *text) {
    struct weir_alert *a = &tracked->alert;
    int64_t state = 0, before = 0, changes = 0;
    int64_t *const numbers[] = {&state,        &before,           &a->since_ms,
                                &a->starts_ms, &a->good_since_ms, &a->sent_ms,
                                &changes,      &a->as_of_ms};
    if (weir_number_next_hex(&fingerprint, '\0', &a->fingerprint) != 0 ||
        weir_number_next_hex(&text, ' ', &tracked->rule) != 0)
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (weir_number_next(&text, ' ', numbers[i]) != 0)
            return false;
    if (state < 0 || state > WEIR_SUSPECT || before < 0 || before >= WEIR_SUSPECT || changes < 0 ||
        changes > UINT32_MAX)
        return false;
    a->state = (enum weir_alert_state)state;
    a->before_suspect = (enum weir_alert_state)before;
    a->changes = (uint32_t)changes;
    return true;
}

static int load_hash(struct weir_evaluator *e, const char *rest, struct weir_reply **reply,
                     struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    weir_name_key(key, sizeof key, e->config->kafka.group, "%s", rest);
    const char *question[] = {"HGETALL", key};
    int status = weir_redis_append(e->redis, 2, question, NULL, err);
    return status == 0 ? weir_gather_answer(e, WEIR_SHAPE_TEXTS, 2, reply, err) : status;
}

int weir_alerting_load(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    clear(e);
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        e->judged_ms[w] = INT64_MIN;
    int status = load_hash(e, "alertstate", &reply, err);
    if (status != 0)
        return status;
    for (size_t i = 0; i + 1 < reply->items_len; i += 2) {
        struct weir_tracked tracked = {0};
        if (parse_state(&tracked, reply->items[i]->text, reply->items[i + 1]->text))
            *add_tracked(e) = tracked;
        else
            weir_log(WEIR_LOG_WARN, "alert", "stored state is not readable; the alert starts anew",
                     WEIR_STR("fingerprint", reply->items[i]->text), WEIR_LOG_END);
    }
    weir_reply_free(reply);
    status = load_hash(e, "firing", &reply, err);
    if (status != 0)
        return status;
    for (size_t i = 0; i + 1 < reply->items_len; i += 2) {
        struct weir_tracked *tracked = find_tracked(e, strtoull(reply->items[i]->text, NULL, 16));
        if (tracked) {
            tracked->json = strdup(reply->items[i + 1]->text);
            tracked->in_firing = true;
        }
    }
    weir_reply_free(reply);
    return 0;
}

/* Without knowing them nothing is told: who leads only now has none of an earlier step. */
static int load_silences(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int status = load_hash(e, "silences", &reply, err);
    if (status != 0)
        return status;
    weir_silences_close(&e->silences);
    weir_silences_load(&e->silences, reply, weir_clock_wall_ms());
    weir_reply_free(reply);
    return 0;
}

/* ---- telling ---- */

static const char *silence_of(const struct weir_evaluator *e, const struct weir_rule *rule,
                              struct weir_str segment) {
    struct weir_label labels[LABELS_MAX];
    char window[WEIR_NAME_WINDOW_MAX], value[WEIR_DIMENSION_VALUE_MAX + 1];
    char alertname[] = "alertname", metric[] = "metric", window_name[] = "window";
    char reading[] = "reading", live[] = "live", settled[] = "settled";
    size_t len = 0;
    weir_window_name(window, sizeof window, rule->window_ms);
    snprintf(value, sizeof value, "%.*s", (int)segment.len, segment.data ? segment.data : "");
    labels[len++] = (struct weir_label){alertname, rule->name};
    labels[len++] = (struct weir_label){metric, rule->metric};
    labels[len++] = (struct weir_label){window_name, window};
    labels[len++] = (struct weir_label){reading, rule->reading == WEIR_SETTLED ? settled : live};
    if (rule->by_len > 0)
        labels[len++] = (struct weir_label){rule->by_names[0], value};
    for (size_t i = 0; i < rule->labels_len && len < LABELS_MAX; i++)
        labels[len++] = rule->labels[i];
    return weir_silences_find(&e->silences, labels, len);
}

static const char *status_of(enum weir_alert_change change, enum weir_alert_state state) {
    if (change == WEIR_BECAME_RESOLVED || change == WEIR_BECAME_INACTIVE)
        return "resolved";
    return weir_alert_state_name(state);
}

/* What one step of an alert brings: its state, the firing hash, the stream, the sinks. */
static void tell(struct weir_evaluator *e, const struct weir_rule *rule,
                 struct weir_tracked *tracked, const struct weir_sample *sample,
                 struct weir_str segment, const char *silenced, enum weir_alert_change change) {
    enum weir_alert_state state = tracked->alert.state;
    bool shown = state == WEIR_FIRING || (state == WEIR_SUSPECT && tracked->in_firing);
    if (change != WEIR_NO_CHANGE || shown) {
        free(tracked->json);
        snprintf(tracked->told_state, sizeof tracked->told_state, "%s", status_of(change, state));
        tracked->json =
            weir_alert_json(e, rule, tracked, tracked->told_state, sample, segment, silenced);
    }
    if (shown)
        command3(e, "HSET", "firing", tracked->alert.fingerprint, tracked->json);
    else if (tracked->in_firing)
        command3(e, "HDEL", "firing", tracked->alert.fingerprint, NULL);
    tracked->in_firing = shown;
    if (change == WEIR_NO_CHANGE)
        return;
    e->figures.alert_changes += change != WEIR_STILL_FIRING;
    bool for_people = change == WEIR_BECAME_FIRING || change == WEIR_STILL_FIRING ||
                      (change == WEIR_BECAME_RESOLVED && tracked->alert.sent_ms != 0);
    weir_told_add(e, tracked, change != WEIR_STILL_FIRING, for_people && !silenced);
}

/* ---- the step ---- */

struct weir_metric weir_alerting_metric(const struct weir_evaluator *e,
                                        const struct weir_rule *rule) {
    struct weir_metric counter;
    if (rule->metric_index >= 0)
        return e->config->metrics[rule->metric_index];
    int unknown = weir_metric_of_counter(&counter, rule->metric, rule->reading);
    WEIR_ASSERT(!unknown); /* checked when the rules were read */
    return counter;
}

/* Whether a restart would lose anything: the time of the last look alone is nothing. */
static bool has_moved(const struct weir_alert *before, const struct weir_alert *now) {
    return before->state != now->state || before->since_ms != now->since_ms ||
           before->starts_ms != now->starts_ms || before->good_since_ms != now->good_since_ms ||
           before->sent_ms != now->sent_ms || before->changes != now->changes;
}

static void step_segment(struct weir_evaluator *e, const struct weir_rule *rule, uint32_t window,
                         uint32_t segment) {
    struct weir_metric metric = weir_alerting_metric(e, rule);
    struct weir_sample sample = {
        .now = weir_metric_eval(&metric, weir_rollup_cell(e->rollup, window, segment)),
        .previous = weir_metric_eval(&metric, weir_rollup_previous(e->rollup, window, segment)),
        .suspect = e->suspect[0] != '\0',
        .as_of_ms = weir_rollup_as_of(e->rollup, window),
    };
    struct weir_str value = {0};
    const char *dimension = NULL;
    if (segment > 0) {
        dimension = e->config->dimension_names[weir_rollup_dimension(e->rollup, segment)];
        value = weir_rollup_value(e->rollup, segment);
    }
    uint64_t fingerprint = weir_alert_fingerprint(rule, dimension, value.data, value.len);
    struct weir_tracked *tracked = find_tracked(e, fingerprint);
    if (!tracked) {
        if (weir_rule_holds(rule, &sample, false) != 1)
            return; /* nothing to follow */
        tracked = add_tracked(e);
        tracked->alert.fingerprint = fingerprint;
        tracked->rule = rule_print(e, rule);
    }
    const char *silenced = silence_of(e, rule, value);
    sample.silenced = silenced != NULL;
    struct weir_alert before = tracked->alert;
    enum weir_alert_change change =
        weir_rule_step(rule, &tracked->alert, &sample, e->config->repeat_interval_ms);
    tell(e, rule, tracked, &sample, value, silenced, change);
    if (tracked->alert.state == WEIR_INACTIVE) {
        command3(e, "HDEL", "alertstate", fingerprint, NULL);
        forget(e, tracked);
    } else if (has_moved(&before, &tracked->alert)) {
        save_state(e, tracked);
    }
}

static bool compares(const struct weir_rule *rule) {
    return rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
}

/* What its texts say of the window before is true too. */
static bool tells_of_before(const struct weir_rule *rule) {
    for (size_t i = 0; i < rule->annotations_len; i++)
        if (strstr(rule->annotations[i].value, "previous}}") ||
            strstr(rule->annotations[i].value, "change}}"))
            return true;
    return false;
}

void weir_alerting_prepare(struct weir_evaluator *e) {
    const struct weir_rules *rules = &e->config->rules;
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++) {
        bool wanted = false;
        for (size_t r = 0; r < rules->len; r++)
            wanted |= rules->rules[r].window_ms == e->config->plan.windows_ms[w] &&
                      (compares(&rules->rules[r]) || tells_of_before(&rules->rules[r]));
        weir_rollup_compare(e->rollup, w, wanted);
    }
}

/* Whether all that the rule looks at lies after the beginning of the data and the warm-up. */
static bool is_warm(const struct weir_evaluator *e, const struct weir_rule *rule, uint32_t window) {
    int64_t as_of_ms = weir_rollup_as_of(e->rollup, window);
    int64_t from_ms = as_of_ms - (compares(rule) ? 2 : 1) * rule->window_ms;
    return as_of_ms != INT64_MIN && from_ms - e->config->warm_up_ms >= e->first_ms;
}

/* Told only where it was told before; `why` as in weir_alert_json_ended. */
static void end(struct weir_evaluator *e, struct weir_tracked *tracked, const char *why) {
    if (tracked->in_firing && tracked->json) {
        tracked->alert.changes++;
        char *ended = weir_alert_json_ended(tracked, e->as_of_ms, why);
        free(tracked->json);
        tracked->json = ended;
        snprintf(tracked->told_state, sizeof tracked->told_state, "resolved");
        weir_told_add(e, tracked, true, tracked->alert.sent_ms != 0);
    }
    command3(e, "HDEL", "firing", tracked->alert.fingerprint, NULL);
    command3(e, "HDEL", "alertstate", tracked->alert.fingerprint, NULL);
    forget(e, tracked);
}

/* Alerts of values that now count under `_other`: the step of their rule has left them out. */
static void end_unwatched(struct weir_evaluator *e, const struct weir_rule *rule, uint32_t window) {
    if (weir_rollup_keep(e->rollup) == WEIR_KEEP_ALL)
        return;
    int64_t as_of_ms = weir_rollup_as_of(e->rollup, window);
    uint64_t print = rule_print(e, rule);
    for (size_t i = e->tracked_len; i-- > 0;)
        if (e->tracked[i].rule == print && e->tracked[i].alert.as_of_ms < as_of_ms)
            end(e, &e->tracked[i],
                "this value is no longer watched, as `memory` is too small to keep it apart from "
                "_other");
}

static void step_rule(struct weir_evaluator *e, const struct weir_rule *rule, uint32_t window) {
    if (!is_warm(e, rule, window))
        return;
    if (rule->by_len == 0) {
        step_segment(e, rule, window, 0);
        return;
    }
    for (uint32_t s = 1; s < weir_rollup_segments(e->rollup); s++)
        if (weir_rollup_dimension(e->rollup, s) == rule->by[0])
            step_segment(e, rule, window, s);
    end_unwatched(e, rule, window);
}

/* Redis has older ones: all of them, as they are here. */
static void save_all(struct weir_evaluator *e) {
    char key[WEIR_NAME_KEY_MAX];
    static const char *const names[] = {"alertstate", "firing"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        weir_name_key(key, sizeof key, e->config->kafka.group, "%s", names[i]);
        size_t command = weir_publish_command(e);
        weir_words_text(&e->words, "DEL");
        weir_words_text(&e->words, key);
        weir_publish_end(e, command);
    }
    for (size_t i = 0; i < e->tracked_len; i++) {
        save_state(e, &e->tracked[i]);
        if (e->tracked[i].in_firing)
            command3(e, "HSET", "firing", e->tracked[i].alert.fingerprint, e->tracked[i].json);
    }
}

int weir_alerting_step(struct weir_evaluator *e, const bool *moved, struct weir_err *err) {
    const struct weir_rules *rules = &e->config->rules;
    int status = rules->len > 0 ? load_silences(e, err) : 0;
    if (status != 0)
        return status;
    if (e->tells_again) {
        save_all(e);
        weir_told_again(e);
    }
    for (size_t r = 0; r < rules->len; r++)
        for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
            if (moved[w] && e->config->plan.windows_ms[w] == rules->rules[r].window_ms &&
                weir_rollup_as_of(e->rollup, w) > e->judged_ms[w]) /* not before Redis went back */
                step_rule(e, &rules->rules[r], w);
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        if (moved[w] && weir_rollup_as_of(e->rollup, w) > e->judged_ms[w])
            e->judged_ms[w] = weir_rollup_as_of(e->rollup, w);
    weir_alerting_orphans(e);
    return 0;
}

static bool has_rule(const struct weir_evaluator *e, uint64_t print) {
    for (size_t r = 0; r < e->config->rules.len; r++)
        if (rule_print(e, &e->config->rules.rules[r]) == print)
            return true;
    return false;
}

void weir_alerting_orphans(struct weir_evaluator *e) {
    for (size_t i = e->tracked_len; i-- > 0;)
        if (!has_rule(e, e->tracked[i].rule))
            end(e, &e->tracked[i], NULL);
}
