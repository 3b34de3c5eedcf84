#include "weir/rule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

/* Shares are quotients of rounded quotients: 0.05 to 0.04 must be a drop of 20 %. */
#define SHARE_EPSILON 1e-12

static void free_labels(struct weir_label *labels, size_t len) {
    for (size_t i = 0; i < len; i++) {
        free(labels[i].name);
        free(labels[i].value);
    }
    free(labels);
}

void weir_rules_close(struct weir_rules *rules) {
    for (size_t i = 0; i < rules->len; i++) {
        struct weir_rule *rule = &rules->rules[i];
        free(rule->group);
        free(rule->name);
        free(rule->metric);
        for (size_t j = 0; j < WEIR_DIMENSIONS_MAX; j++)
            free(rule->by_names[j]);
        free_labels(rule->labels, rule->labels_len);
        free_labels(rule->annotations, rule->annotations_len);
    }
    free(rules->rules);
    *rules = (struct weir_rules){0};
}

const char *weir_alert_state_name(enum weir_alert_state state) {
    static const char *const names[] = {
        [WEIR_INACTIVE] = "inactive",
        [WEIR_PENDING] = "pending",
        [WEIR_FIRING] = "firing",
        [WEIR_SUSPECT] = "suspect",
    };
    WEIR_ASSERT((size_t)state < sizeof names / sizeof names[0]);
    return names[state];
}

static int change_reaches(const struct weir_rule *rule, const struct weir_sample *sample,
                          double limit) {
    const struct weir_ratio *previous = &sample->previous;
    if (previous->den < rule->min_sample || !isfinite(previous->value) || previous->value <= 0)
        return -1;
    double change = (sample->now.value - previous->value) / previous->value;
    double towards = rule->condition == WEIR_DROPS_BY ? -change : change;
    return towards >= limit - SHARE_EPSILON;
}

int weir_rule_holds(const struct weir_rule *rule, const struct weir_sample *sample, bool firing) {
    double limit = firing ? rule->resolve : rule->threshold;
    double value = sample->now.value;
    if (sample->now.den < rule->min_sample || !isfinite(value))
        return -1;
    switch (rule->condition) {
    case WEIR_BELOW:
        return value < limit;
    case WEIR_ABOVE:
        return value > limit;
    case WEIR_DROPS_BY:
    case WEIR_RISES_BY:
        return change_reaches(rule, sample, limit);
    }
    WEIR_ASSERT(!"a condition that exists");
    return -1;
}

static enum weir_alert_change move(struct weir_alert *alert, enum weir_alert_state state,
                                   enum weir_alert_change change) {
    alert->state = state;
    alert->since_ms = alert->as_of_ms;
    alert->good_since_ms = 0;
    alert->changes++;
    return change;
}

static enum weir_alert_change fire(struct weir_alert *alert, bool silenced) {
    if (!silenced)
        alert->sent_ms = alert->as_of_ms;
    return move(alert, WEIR_FIRING, WEIR_BECAME_FIRING);
}

static enum weir_alert_change start(const struct weir_rule *rule, struct weir_alert *alert,
                                    bool silenced) {
    alert->starts_ms = alert->as_of_ms;
    if (rule->for_ms == 0)
        return fire(alert, silenced);
    return move(alert, WEIR_PENDING, WEIR_BECAME_PENDING);
}

static enum weir_alert_change step_pending(const struct weir_rule *rule, struct weir_alert *alert,
                                           int verdict, bool silenced) {
    if (verdict == 0)
        return move(alert, WEIR_INACTIVE, WEIR_BECAME_INACTIVE);
    if (verdict == 1 && alert->as_of_ms - alert->since_ms >= rule->for_ms)
        return fire(alert, silenced);
    return WEIR_NO_CHANGE;
}

static bool is_over(const struct weir_rule *rule, struct weir_alert *alert, int verdict) {
    if (verdict == 1)
        alert->good_since_ms = 0;
    else if (verdict == 0 && alert->good_since_ms == 0)
        alert->good_since_ms = alert->as_of_ms;
    return verdict == 0 && alert->as_of_ms - alert->good_since_ms >= rule->keep_firing_for_ms;
}

/* Under a silence nobody was told yet, or the interval passed: then it is due when that ends. */
static bool is_due(const struct weir_alert *alert, int64_t repeat_interval_ms) {
    return alert->sent_ms == 0 ||
           (repeat_interval_ms > 0 && alert->as_of_ms - alert->sent_ms >= repeat_interval_ms);
}

static enum weir_alert_change step_firing(const struct weir_rule *rule, struct weir_alert *alert,
                                          int verdict, bool silenced, int64_t repeat_interval_ms) {
    if (is_over(rule, alert, verdict))
        return move(alert, WEIR_INACTIVE, WEIR_BECAME_RESOLVED);
    if (silenced || !is_due(alert, repeat_interval_ms))
        return WEIR_NO_CHANGE;
    alert->sent_ms = alert->as_of_ms;
    alert->changes++;
    return WEIR_STILL_FIRING;
}

static enum weir_alert_change step_to_suspect(const struct weir_rule *rule,
                                              struct weir_alert *alert,
                                              const struct weir_sample *sample) {
    int64_t good_since_ms = alert->good_since_ms;
    if (alert->state == WEIR_SUSPECT)
        return WEIR_NO_CHANGE;
    if (alert->state == WEIR_INACTIVE) {
        if (weir_rule_holds(rule, sample, false) != 1)
            return WEIR_NO_CHANGE;
        alert->starts_ms = alert->as_of_ms;
    }
    alert->before_suspect = alert->state;
    move(alert, WEIR_SUSPECT, WEIR_BECAME_SUSPECT);
    alert->good_since_ms = good_since_ms; /* keep_firing_for goes on behind it */
    return WEIR_BECAME_SUSPECT;
}

static enum weir_alert_change firing_again(const struct weir_rule *rule, struct weir_alert *alert,
                                           int verdict, bool silenced) {
    if (is_over(rule, alert, verdict))
        return move(alert, WEIR_INACTIVE, WEIR_BECAME_RESOLVED);
    int64_t good_since_ms = alert->good_since_ms;
    fire(alert, silenced);
    alert->good_since_ms = good_since_ms;
    return WEIR_BECAME_FIRING;
}

static enum weir_alert_change step_out_of_suspect(const struct weir_rule *rule,
                                                  struct weir_alert *alert, int verdict,
                                                  bool silenced) {
    switch (alert->before_suspect) {
    case WEIR_FIRING:
        return firing_again(rule, alert, verdict, silenced);
    case WEIR_PENDING:
        if (verdict == 1)
            return move(alert, WEIR_PENDING, WEIR_BECAME_PENDING);
        break;
    case WEIR_INACTIVE:
        if (verdict == 1)
            return start(rule, alert, silenced);
        break;
    case WEIR_SUSPECT:
        WEIR_ASSERT(!"before suspect there was another state");
    }
    return move(alert, WEIR_INACTIVE, WEIR_BECAME_INACTIVE);
}

enum weir_alert_change weir_rule_step(const struct weir_rule *rule, struct weir_alert *alert,
                                      const struct weir_sample *sample,
                                      int64_t repeat_interval_ms) {
    if (sample->as_of_ms <= alert->as_of_ms)
        return WEIR_NO_CHANGE;
    alert->as_of_ms = sample->as_of_ms;
    if (alert->state == WEIR_INACTIVE)
        alert->sent_ms = 0;
    if (sample->suspect)
        return step_to_suspect(rule, alert, sample);

    bool fires = alert->state == WEIR_FIRING ||
                 (alert->state == WEIR_SUSPECT && alert->before_suspect == WEIR_FIRING);
    int verdict = weir_rule_holds(rule, sample, fires);
    bool silenced = sample->silenced;
    switch (alert->state) {
    case WEIR_INACTIVE:
        return verdict == 1 ? start(rule, alert, silenced) : WEIR_NO_CHANGE;
    case WEIR_PENDING:
        return step_pending(rule, alert, verdict, silenced);
    case WEIR_FIRING:
        return step_firing(rule, alert, verdict, silenced, repeat_interval_ms);
    case WEIR_SUSPECT:
        return step_out_of_suspect(rule, alert, verdict, silenced);
    }
    WEIR_ASSERT(!"a state that exists");
    return WEIR_NO_CHANGE;
}

static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The NUL goes in too, so that "ab" + "c" is not "a" + "bc". */
static uint64_t fnv1a_text(uint64_t hash, const char *text) {
    return fnv1a(hash, text, strlen(text) + 1);
}

static int label_compare(const struct weir_label *a, const struct weir_label *b) {
    int by_name = strcmp(a->name, b->name);
    return by_name ? by_name : strcmp(a->value, b->value);
}

/* The smallest label above `last`: labels in another order are the same alert. */
static const struct weir_label *label_after(const struct weir_rule *rule,
                                            const struct weir_label *last) {
    const struct weir_label *next = NULL;
    for (size_t i = 0; i < rule->labels_len; i++) {
        const struct weir_label *label = &rule->labels[i];
        if (last && label_compare(label, last) <= 0)
            continue;
        if (!next || label_compare(label, next) < 0)
            next = label;
    }
    return next;
}

uint64_t weir_alert_fingerprint(const struct weir_rule *rule, const char *dimension,
                                const char *value, size_t value_len) {
    uint64_t hash = fnv1a_text(UINT64_C(0xcbf29ce484222325), rule->group);
    hash = fnv1a_text(hash, rule->name);
    for (const struct weir_label *label = label_after(rule, NULL); label;
         label = label_after(rule, label)) {
        hash = fnv1a_text(hash, label->name);
        hash = fnv1a_text(hash, label->value);
    }
    if (!dimension)
        return hash;
    hash = fnv1a_text(fnv1a(hash, "=", 1), dimension);
    return fnv1a(hash, value, value_len);
}

void weir_wilson(double num, double den, double *low, double *high) {
    const double z = 1.959963984540054; /* the normal distribution's 97.5 % quantile */
    *low = *high = NAN;
    if (!(den > 0) || !(num >= 0) || !(num <= den))
        return;
    double share = num / den;
    double scale = 1 + z * z / den;
    double centre = (share + z * z / (2 * den)) / scale;
    double half = z / scale * sqrt(share * (1 - share) / den + z * z / (4 * den * den));
    *low = num == 0 ? 0 : centre - half; /* exact there, but for rounding */
    *high = num == den ? 1 : centre + half;
}
