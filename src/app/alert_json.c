#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/evaluator_state.h"
#include "app/names.h"

#define TEXT_MAX (2 * WEIR_ANNOTATION_MAX) /* an annotation with what is filled in; the summary */
#define FACT_MAX 640 /* more than a label's value, or a dimension's name and value */

static json_t *time_json(int64_t time_ms) {
    char text[40];
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, sizeof text - len, ".%03dZ", (int)(time_ms % 1000));
    return json_string(text);
}

static json_t *number_json(double number) {
    return isfinite(number) ? json_real(number) : json_null();
}

/* Counts stay integers; seconds and money are reals. */
static json_t *side_json(enum weir_unit unit, int64_t value) {
    return unit == WEIR_UNIT_COUNT ? json_integer(value) : json_real(weir_unit_number(unit, value));
}

/* Text that may have been cut: not within a character, as jansson takes whole ones only. */
static void end_at_character(char *text, size_t max) {
    size_t len = strlen(text), first = len;
    if (len + 1 < max)
        return;
    while (first > 0 && ((unsigned char)text[first - 1] & 0xc0) == 0x80)
        first--;
    if (first == 0)
        return;
    unsigned char lead = (unsigned char)text[first - 1];
    size_t wants = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (len - (first - 1) < wants)
        text[first - 1] = '\0';
}

/* What counts by itself, without anything that it is a part of. */
static bool is_counter(const struct weir_metric *metric) {
    return metric->den[0].sign == 0;
}

static bool is_share(const struct weir_metric *metric) {
    size_t len = strlen(metric->name);
    return len > 5 && strcmp(metric->name + len - 5, "_rate") == 0;
}

static void put_value(char *out, size_t max, const struct weir_metric *metric, double value) {
    if (!isfinite(value))
        snprintf(out, max, "none");
    else if (is_share(metric))
        snprintf(out, max, "%.2f %%", value * 100);
    else if (is_counter(metric) && value == floor(value))
        snprintf(out, max, "%.0f", value);
    else
        snprintf(out, max, "%.2f", value);
}

/* What a template may say. */
struct facts {
    const char *names[12];
    char texts[12][FACT_MAX];
    size_t len;
};

static char *fact(struct facts *facts, const char *name) {
    facts->names[facts->len] = name;
    facts->texts[facts->len][0] = '\0';
    return facts->texts[facts->len++];
}

static void gather_facts(struct facts *facts, const struct weir_evaluator *e,
                         const struct weir_rule *rule, const struct weir_sample *sample,
                         struct weir_str segment) {
    const struct weir_metric found = weir_alerting_metric(e, rule), *metric = &found;
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    facts->len = 0;
    put_value(fact(facts, "value"), FACT_MAX, metric, sample->now.value);
    weir_unit_text(fact(facts, "num"), metric->num_unit, sample->now.num);
    weir_unit_text(fact(facts, "den"), metric->den_unit, sample->now.den);
    if (relative)
        snprintf(fact(facts, "threshold"), FACT_MAX, "%.0f %%", rule->threshold * 100);
    else
        put_value(fact(facts, "threshold"), FACT_MAX, metric, rule->threshold);
    weir_window_name(fact(facts, "window"), FACT_MAX, rule->window_ms);
    snprintf(fact(facts, "metric"), FACT_MAX, "%s", rule->metric);
    snprintf(fact(facts, "segment"), FACT_MAX, "%s%s%.*s", rule->by_len ? rule->by_names[0] : "all",
             rule->by_len ? "=" : "", (int)segment.len, segment.data ? segment.data : "");
    snprintf(fact(facts, "label"), FACT_MAX, "%s", rule->name);
    put_value(fact(facts, "previous"), FACT_MAX, metric, sample->previous.value);
    double change = (sample->now.value - sample->previous.value) / sample->previous.value;
    if (isfinite(change))
        snprintf(fact(facts, "change"), FACT_MAX, "%+.1f %%", change * 100);
    else
        snprintf(fact(facts, "change"), FACT_MAX, "none");
    for (size_t i = 0; i < facts->len; i++)
        end_at_character(facts->texts[i], FACT_MAX);
}

/* Replaces {{name}}; an unknown name was refused when the rules were read. */
static void fill(char *out, size_t max, const char *template, const struct facts *facts) {
    size_t len = 0;
    out[0] = '\0';
    while (*template && len + 1 < max) {
        const char *end = strncmp(template, "{{", 2) == 0 ? strstr(template, "}}") : NULL;
        if (!end) {
            out[len++] = *template ++;
            out[len] = '\0';
            continue;
        }
        const char *from = template + 2 + strspn(template + 2, " ");
        size_t name_len = strcspn(from, " }");
        for (size_t i = 0; i < facts->len; i++)
            if (strlen(facts->names[i]) == name_len &&
                strncmp(facts->names[i], from, name_len) == 0)
                len += (size_t)snprintf(out + len, max - len, "%s", facts->texts[i]);
        if (len >= max)
            len = max - 1;
        template = end + 2;
    }
    end_at_character(out, max);
}

static const char *fact_text(const struct facts *facts, const char *name) {
    for (size_t i = 0; i < facts->len; i++)
        if (strcmp(facts->names[i], name) == 0)
            return facts->texts[i];
    return "";
}

/* One line that can be forwarded. */
static void summarise(char *out, const struct weir_rule *rule, const struct weir_tracked *tracked,
                      const char *status, bool counter, const struct facts *facts) {
    static const char *const words[] = {"below", "above", "down by more than", "up by more than"};
    char since[32];
    time_t seconds = (time_t)(tracked->alert.starts_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(since, sizeof since, "%Y-%m-%d %H:%M UTC", &utc);
    bool relative = rule->condition == WEIR_DROPS_BY || rule->condition == WEIR_RISES_BY;
    bool over = strcmp(status, "resolved") == 0;
    char sides[2 * WEIR_NUMBER_MAX + 8] = "";
    if (!counter)
        snprintf(sides, sizeof sides, " (%s/%s)", fact_text(facts, "num"), fact_text(facts, "den"));
    snprintf(out, TEXT_MAX, "%s %s%s%s is %s over %s%s, %s%s %s%s%s, since %s", rule->metric,
             rule->by_len ? "of " : "of all", rule->by_len ? fact_text(facts, "segment") : "",
             rule->reading == WEIR_SETTLED ? " (settled)" : "", fact_text(facts, "value"),
             fact_text(facts, "window"), sides, over ? "no longer " : "", words[rule->condition],
             fact_text(facts, "threshold"), relative ? " against the window before: " : "",
             relative ? fact_text(facts, "previous") : "", since);
    end_at_character(out, TEXT_MAX);
}

static json_t *labels_json(const struct weir_rule *rule) {
    json_t *labels = json_object();
    for (size_t i = 0; i < rule->labels_len; i++)
        json_object_set_new(labels, rule->labels[i].name, json_string(rule->labels[i].value));
    return labels;
}

static json_t *annotations_json(const struct weir_rule *rule, const struct facts *facts) {
    json_t *annotations = json_object();
    char text[TEXT_MAX];
    for (size_t i = 0; i < rule->annotations_len; i++) {
        fill(text, sizeof text, rule->annotations[i].value, facts);
        json_object_set_new(annotations, rule->annotations[i].name, json_string(text));
    }
    return annotations;
}

static json_t *interval_json(const struct weir_metric *metric, const struct weir_sample *sample) {
    double low = NAN, high = NAN;
    if (metric->num_unit == WEIR_UNIT_COUNT && metric->den_unit == WEIR_UNIT_COUNT &&
        !is_counter(metric))
        weir_wilson((double)sample->now.num, (double)sample->now.den, &low, &high);
    return isfinite(low) ? json_pack("[f,f]", low, high) : json_null();
}

static json_t *segment_json(const struct weir_rule *rule, struct weir_str segment) {
    json_t *object = json_object();
    if (rule->by_len > 0)
        json_object_set_new(object, rule->by_names[0],
                            json_stringn(segment.data ? segment.data : "", segment.len));
    return object;
}

/* What the alert's state rests on: one that fires without a verdict goes on as it was. */
static const char *quality(const struct weir_evaluator *e, const struct weir_rule *rule,
                           const struct weir_sample *sample) {
    if (e->suspect[0])
        return e->suspect;
    if (weir_rule_holds(rule, sample, true) >= 0)
        return "good";
    if (sample->now.den < rule->min_sample)
        return "no verdict: the sample is smaller than min_sample";
    return "no verdict: there is nothing to divide by, or to compare with";
}

static void put_times(json_t *alert, const struct weir_tracked *tracked, const char *status,
                      int64_t as_of_ms) {
    bool over = strcmp(status, "resolved") == 0;
    json_object_set_new(alert, "starts_at", time_json(tracked->alert.starts_ms));
    json_object_set_new(alert, "ends_at", over ? time_json(as_of_ms) : json_null());
    json_object_set_new(alert, "as_of", time_json(as_of_ms));
}

void weir_alert_id(char *out, const struct weir_alert *alert) {
    snprintf(out, WEIR_ALERT_ID_MAX, "%016" PRIx64 "-%" PRId64 "-%u", alert->fingerprint,
             alert->starts_ms, alert->changes);
}

static void put_id(json_t *alert, const struct weir_tracked *tracked, const char *status) {
    char text[WEIR_ALERT_ID_MAX];
    weir_alert_id(text, &tracked->alert);
    json_object_set_new(alert, "id", json_string(text));
    snprintf(text, sizeof text, "%016" PRIx64, tracked->alert.fingerprint);
    json_object_set_new(alert, "fingerprint", json_string(text));
    json_object_set_new(alert, "status", json_string(status));
}

char *weir_alert_json(const struct weir_evaluator *e, const struct weir_rule *rule,
                      const struct weir_tracked *tracked, const char *status,
                      const struct weir_sample *sample, struct weir_str segment,
                      const char *silenced) {
    const struct weir_metric found = weir_alerting_metric(e, rule), *metric = &found;
    struct facts facts;
    char text[TEXT_MAX];
    json_t *alert = json_object();
    gather_facts(&facts, e, rule, sample, segment);
    put_id(alert, tracked, status);
    json_object_set_new(alert, "rule", json_string(rule->name));
    json_object_set_new(alert, "labels", labels_json(rule));
    json_object_set_new(alert, "annotations", annotations_json(rule, &facts));
    json_object_set_new(alert, "metric", json_string(rule->metric));
    json_object_set_new(alert, "reading",
                        json_string(rule->reading == WEIR_SETTLED ? "settled" : "live"));
    json_object_set_new(alert, "window", json_string(fact_text(&facts, "window")));
    json_object_set_new(alert, "segment", segment_json(rule, segment));
    json_object_set_new(alert, "value", number_json(sample->now.value));
    json_object_set_new(alert, "num", side_json(metric->num_unit, sample->now.num));
    json_object_set_new(alert, "den", side_json(metric->den_unit, sample->now.den));
    json_object_set_new(alert, "threshold", number_json(rule->threshold));
    json_object_set_new(alert, "interval", interval_json(metric, sample));
    json_object_set_new(alert, "data_quality", json_string(quality(e, rule, sample)));
    json_object_set_new(alert, "repeat_interval_ms", json_integer(e->config->repeat_interval_ms));
    json_object_set_new(alert, "silenced_by", silenced ? json_string(silenced) : json_null());
    put_times(alert, tracked, status, sample->as_of_ms);
    summarise(text, rule, tracked, status, is_counter(metric), &facts);
    json_object_set_new(alert, "summary", json_string(text));
    char *json = json_dumps(alert, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(alert);
    WEIR_ASSERT(json != NULL);
    return json;
}

char *weir_alert_json_ended(const struct weir_tracked *tracked, int64_t as_of_ms, const char *why) {
    json_t *alert = json_loads(tracked->json, 0, NULL);
    if (!alert)
        alert = json_object();
    put_id(alert, tracked, "resolved");
    put_times(alert, tracked, "resolved", as_of_ms);
    if (why) {
        char text[TEXT_MAX];
        const char *summary = json_string_value(json_object_get(alert, "summary"));
        snprintf(text, sizeof text, "%s; ended without a recovery: %s", summary ? summary : "",
                 why);
        end_at_character(text, sizeof text);
        json_object_set_new(alert, "summary", json_string(text));
        json_object_set_new(alert, "data_quality", json_string(why));
    }
    char *json = json_dumps(alert, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(alert);
    WEIR_ASSERT(json != NULL);
    return json;
}
