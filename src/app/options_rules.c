/* The table of a rules file: Prometheus's shape. */
#include "options.h"
#include "weir/config.h"

#define RULE(member_)                                                                              \
    .offset = offsetof(struct weir_rule_draft, member_),                                           \
    .size = sizeof(((struct weir_rule_draft *)0)->member_)

#define MONTH_MS (30LL * 24 * 60 * 60 * 1000)

static const char *const readings[] = {"live", "settled", NULL};
static const char *const againsts[] = {"previous_window", NULL};

#define TEXT WEIR_OPTION_TEXT
#define DURATION WEIR_OPTION_DURATION
#define INTEGER WEIR_OPTION_INTEGER
#define SHARE WEIR_OPTION_SHARE
#define CHOICE WEIR_OPTION_CHOICE
#define LIST WEIR_OPTION_LIST
#define MAP WEIR_OPTION_MAP
#define REQUIRED WEIR_OPTION_REQUIRED
#define RELOAD WEIR_OPTION_RELOAD

static const struct weir_option options[] = {
    {"groups", LIST, .example = "[ { name: shop, rules: [...] } ]", .min = 1, .max = 100,
     .flags = REQUIRED | RELOAD, .help = "groups of rules"},
    {"groups[].name", TEXT, .example = "shop", .min = 1, .max = 128, .flags = REQUIRED | RELOAD,
     .help = "unique within the file"},
    {"groups[].rules", LIST, .example = "[ { alert: ConversionDown, ... } ]", .max = 500,
     .flags = REQUIRED | RELOAD, .help = "the rules of the group"},
    {"groups[].rules[].alert", TEXT, .example = "ConversionDown", .min = 1, .max = 128, RULE(alert),
     .flags = REQUIRED | RELOAD, .help = "the alert's name, unique within its group"},
    {"groups[].rules[].metric", TEXT, .example = "conversion_rate", .min = 1, .max = 63,
     RULE(metric), .flags = REQUIRED | RELOAD, .help = "a metric, or a counter by its name"},
    {"groups[].rules[].reading", CHOICE, "live", .choices = readings, RULE(reading),
     .flags = RELOAD, .help = "`live`: as things happen; `settled`: of sessions that ended"},
    {"groups[].rules[].window", DURATION, .example = "15m", .min = 10000, .max = 3 * MONTH_MS,
     RULE(window_ms), .flags = REQUIRED | RELOAD, .help = "one of the config's `windows`"},
    {"groups[].rules[].by", LIST, .example = "[country]", .max = WEIR_DIMENSIONS_MAX,
     .flags = RELOAD,
     .help = "one dimension: an alert for each of its values; absent: for the total"},
    {"groups[].rules[].below", SHARE, .example = "0.025", RULE(below), .flags = RELOAD,
     .help = "condition: the value is below this (`2.5%` is 0.025)"},
    {"groups[].rules[].above", SHARE, .example = "0.8", RULE(above), .flags = RELOAD,
     .help = "condition: the value is above this"},
    {"groups[].rules[].drops_by", SHARE, .example = "20%", RULE(drops_by), .flags = RELOAD,
     .help = "condition: the value fell by at least this share of the previous window's"},
    {"groups[].rules[].rises_by", SHARE, .example = "50%", RULE(rises_by), .flags = RELOAD,
     .help = "condition: the value rose by at least this share of the previous window's"},
    {"groups[].rules[].against", CHOICE, "previous_window", .choices = againsts, RULE(against),
     .flags = RELOAD, .help = "what `drops_by` and `rises_by` compare with"},
    {"groups[].rules[].resolve", SHARE, .example = "0.027", RULE(resolve), .flags = RELOAD,
     .help = "a firing alert ends only beyond this; absent: at the threshold itself"},
    {"groups[].rules[].min_sample", INTEGER, "0", .max = 1000000000000, RULE(min_sample),
     .flags = RELOAD,
     .help = "with a smaller denominator there is no verdict; 100 for `drops_by` and `rises_by`"},
    {"groups[].rules[].for", DURATION, "0", .example = "2m", .max = MONTH_MS, RULE(for_ms),
     .flags = RELOAD, .help = "how long the condition must hold before the alert fires"},
    {"groups[].rules[].keep_firing_for", DURATION, "0", .example = "5m", .max = MONTH_MS,
     RULE(keep_firing_for_ms), .flags = RELOAD,
     .help = "how long it must be over before the alert is resolved"},
    {"groups[].rules[].labels", MAP, .example = "{ severity: page }", .max = 32, .flags = RELOAD,
     .help = "added to the alert; part of its identity"},
    {"groups[].rules[].annotations", MAP, .example = "{ summary: \"Conversion {{value}}\" }",
     .max = 32, .flags = RELOAD,
     .help = "texts with `{{value}}`, `{{num}}`, `{{den}}`, `{{threshold}}`, `{{window}}`, "
             "`{{metric}}`, `{{segment}}`, `{{change}}`, `{{previous}}`, `{{label}}` (the alert's "
             "name)"},
};

const struct weir_options *weir_options_rules(void) {
    static const struct weir_options all = {options, sizeof options / sizeof options[0]};
    _Static_assert(sizeof options / sizeof options[0] <= WEIR_OPTIONS_MAX, "raise the ceiling");
    return &all;
}
