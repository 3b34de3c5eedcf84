/*
 * rule: alert rules and the life of an alert. Numbers in, changes of state out.
 *
 * Core: no clock (event time is an argument), no I/O. A rule set is immutable once loaded. The
 * state of every alert (struct weir_alert) can be exported and imported, so that it survives a
 * restart. Prometheus's shape: inactive -> pending -> firing -> inactive (resolved), with `for`
 * and `keep_firing_for`; beside it `suspect`, when the data cannot be trusted.
 */
#ifndef WEIR_RULE_H
#define WEIR_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/metric.h"

struct weir_label {
    char *name, *value;
};
#define WEIR_ANNOTATION_MAX 4096 /* bytes, before it is filled in */

enum weir_condition { WEIR_BELOW, WEIR_ABOVE, WEIR_DROPS_BY, WEIR_RISES_BY };

struct weir_rule {
    char *group, *name; /* the group's name; the rule's `alert` */
    char *metric;       /* name of a metric or of a counter */
    int metric_index;   /* into config.metrics, or -1 while unresolved */
    enum weir_reading reading;
    int64_t window_ms;
    int by[WEIR_DIMENSIONS_MAX]; /* dimension indexes; by_len 0: the total. At most one for now */
    size_t by_len;
    char *by_names[WEIR_DIMENSIONS_MAX];
    enum weir_condition condition;
    double threshold;   /* a number; for drops_by and rises_by a share, 0.2 = 20 % */
    double resolve;     /* hysteresis; equal to threshold when absent */
    int64_t min_sample; /* denominator below this: no verdict, an open alert is kept */
    int64_t for_ms, keep_firing_for_ms;
    struct weir_label *labels;
    size_t labels_len;
    struct weir_label *annotations; /* templates: {{value}} {{num}} {{den}} {{threshold}} {{window}}
                                       {{metric}} {{segment}} {{change}} {{previous}} */
    size_t annotations_len;
};

struct weir_rules {
    struct weir_rule *rules;
    size_t len;
};
/* Frees all that it points to, each text and array by itself from malloc, and empties it. */
void weir_rules_close(struct weir_rules *rules);

enum weir_alert_state { WEIR_INACTIVE, WEIR_PENDING, WEIR_FIRING, WEIR_SUSPECT };
/* "inactive", "pending", "firing", "suspect". */
const char *weir_alert_state_name(enum weir_alert_state state);

/* One alert: a rule in one segment. Identified by `fingerprint`, the hash of group, rule name,
 * labels and segment. */
struct weir_alert {
    uint64_t fingerprint;
    enum weir_alert_state state;
    enum weir_alert_state before_suspect; /* what it was when the data became suspect */
    int64_t as_of_ms;                     /* of the last sample that was taken; 0: none yet */
    int64_t since_ms;      /* when the present state began, event time; firing: `for` has passed */
    int64_t starts_ms;     /* when it became pending: `starts_at` */
    int64_t good_since_ms; /* firing, and the condition is over since then; 0: it is not */
    int64_t sent_ms;       /* when it was last told as firing; 0: nobody was told yet */
    uint32_t changes;      /* number of reported changes: part of an alert's id */
};

struct weir_sample {
    struct weir_ratio now, previous; /* previous is used by drops_by and rises_by */
    bool suspect;                    /* the data-quality gate's verdict */
    bool silenced;                   /* nobody is to be told */
    int64_t as_of_ms;
};

/* What a step asks to be reported. */
enum weir_alert_change {
    WEIR_NO_CHANGE,
    WEIR_BECAME_PENDING,
    WEIR_BECAME_FIRING,
    WEIR_STILL_FIRING, /* the repeat interval has passed, or nobody was told yet */
    WEIR_BECAME_RESOLVED,
    WEIR_BECAME_SUSPECT,
    WEIR_BECAME_INACTIVE, /* from pending, or from suspect: nothing to tell a person */
};

/* Moves `alert` by one sample. Samples must come in the order of as_of_ms; an older or equal one
 * changes nothing. A zeroed alert (with its fingerprint) is an inactive one.
 *
 *   no verdict    every state is kept; a firing alert is still repeated
 *   silenced      the states are as ever, but firing is not repeated: that is due, with the first
 *                 telling too, at the first sample without the silence
 *   suspect       pending and firing wait as SUSPECT; an inactive alert becomes SUSPECT only where
 *                 the rule would hold, so that people see "data suspect", not a false drop
 *   good again    on from before_suspect: a firing alert goes on or ends by the usual rule, a
 *                 pending one waits for the whole of `for` again, as suspect time proves nothing.
 *                 Without a verdict firing goes on, all else ends: nothing is known
 *
 * A BECAME_INACTIVE out of SUSPECT takes back what was told as suspect. `changes` counts all that
 * is reported, repeats too. A repeat_interval_ms of 0 never repeats. Whoever imports an alert
 * checks its states first: one out of range, or suspect before suspect, ends the program. */
enum weir_alert_change weir_rule_step(const struct weir_rule *rule, struct weir_alert *alert,
                                      const struct weir_sample *sample, int64_t repeat_interval_ms);

/* True, false, or -1 for no verdict (too small a sample, division by nothing). `firing` asks if an
 * alert that fires already would go on, by `resolve`: below and above are strict (a value equal
 * to the number does not hold), drops_by and rises_by are not (a drop of just 20 % is one). */
int weir_rule_holds(const struct weir_rule *rule, const struct weir_sample *sample, bool firing);

/* FNV-1a over group, name, labels (in any order) and the segment; `dimension` NULL: the total. */
uint64_t weir_alert_fingerprint(const struct weir_rule *rule, const char *dimension,
                                const char *value, size_t value_len);

/* Wilson's score interval at 95 % for num of den (both >= 0, num <= den), else NaN twice. */
void weir_wilson(double num, double den, double *low, double *high);

#endif
