/* Rules field by field, the example files, the manual, and the ceilings of a config. */
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config_load.h"
#include "check.h"
#include "weir/config.h"

#define MINUTE_MS 60000LL
#define MIB (1024 * 1024)

static void print_all(const struct weir_problems *problems) {
    for (size_t i = 0; i < problems->len; i++)
        printf("%s\n", problems->lines[i]);
}

static void check_good(const struct weir_rules *rules) {
    const struct weir_rule *low = &rules->rules[0], *fewer = &rules->rules[1];
    CHECK(fabs(low->threshold - 0.025) < 1e-12 && fabs(low->resolve - 0.027) < 1e-12);
    CHECK_INT(low->min_sample, 500);
    CHECK_INT(low->for_ms, 2 * MINUTE_MS);
    CHECK_INT(low->keep_firing_for_ms, 5 * MINUTE_MS);
    CHECK_INT(low->by[0], 1);
    CHECK_TEXT(low->annotations[0].value,
               "Conversion {{value}} ({{ num }}/{{den}}), ${{threshold}}");
    CHECK_TEXT(fewer->metric, "orders"); /* a counter: no metric, no denominator */
    CHECK_INT(fewer->metric_index, -1);
    CHECK_INT(fewer->min_sample, 0);
    CHECK_INT(fewer->condition, WEIR_DROPS_BY);
    CHECK(fabs(fewer->threshold - 0.2) < 1e-12 && fabs(fewer->resolve - 0.2) < 1e-12);
    CHECK_INT(fewer->by_len, 0);
    CHECK_INT(rules->rules[2].min_sample, 100); /* the default of a change */
    CHECK(fabs(rules->rules[2].resolve - 0.1) < 1e-12);
    CHECK_INT(rules->rules[3].reading, WEIR_SETTLED);
    CHECK_INT(rules->rules[3].condition, WEIR_ABOVE);
    CHECK_INT(rules->rules[4].min_sample, 50LL * WEIR_MICROS); /* in the denominator's unit */
}

static void test_rules(void) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    struct weir_rules rules = {0};
    CHECK_INT(weir_config_load(&config, "rules/config.yaml", &problems, &err), 0);
    CHECK_INT(weir_config_load_rules(&rules, "rules/good.yaml", config, &problems, &err), 0);
    print_all(&problems);
    CHECK_INT(rules.len, 5);
    if (rules.len == 5)
        check_good(&rules);
    weir_rules_close(&rules);
    weir_config_free(config);

    CHECK_INT(weir_config_load_rules(&rules, "rules/window_unknown.yaml", NULL, &problems, &err),
              0);
    CHECK_INT(rules.len, 1); /* without a config there is no window to miss */
    CHECK_INT(rules.len == 1 ? rules.rules[0].metric_index : 0, -1);
    weir_rules_close(&rules);
    CHECK_INT(weir_config_load_rules(&rules, "rules/resolve_below.yaml", NULL, &problems, &err),
              -WEIR_ERR_INPUT);
    CHECK_INT(rules.len, 0);
    weir_problems_free(&problems);
    CHECK_INT(weir_config_load_rules(&rules, "rules/none.yaml", NULL, NULL, &err), -WEIR_ERR_INPUT);
    CHECK(strstr(err.text, "rules/none.yaml:1:1: file: the file cannot be read") != NULL);
}

static void test_examples(void) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    CHECK_INT(weir_config_load(&config, "../../deploy/weir.yaml", &problems, &err), 0);
    print_all(&problems);
    if (config) {
        CHECK_TEXT(config->rules_files[0], "../../deploy/rules/shop.yaml");
        CHECK(config->rules.len >= 4);
        CHECK_INT(config->sinks_len, 1);
    }
    weir_config_free(config);
    weir_problems_free(&problems);
}

static void test_unreadable(void) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    CHECK_INT(weir_config_load(&config, "none.yaml", &problems, &err), -WEIR_ERR_INPUT);
    CHECK(config == NULL);
    CHECK_INT(problems.len, 1);
    CHECK(strstr(problems.lines[0], "No such file") != NULL);
    weir_problems_free(&problems);
    CHECK_INT(weir_config_load(&config, ".", &problems, &err), -WEIR_ERR_INPUT);
    CHECK(strstr(err.text, "directory") != NULL);
    weir_problems_free(&problems);
}

/* `len` times `item` between a head and a tail; the first mistake must have `want` in it. */
static void check_ceiling(const char *head, const char *item, size_t count, const char *tail,
                          const char *want) {
    size_t item_len = strlen(item), len = strlen(head) + count * item_len + strlen(tail);
    char *text = malloc(len + 1);
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    if (!text)
        return;
    char *at = stpcpy(text, head);
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, item);
    stpcpy(at, tail);
    CHECK_INT(weir_config_load_bytes(&config, "big", text, len, &problems, &err), -WEIR_ERR_INPUT);
    CHECK(problems.len > 0 && problems.len <= WEIR_MISTAKES_MAX + 1);
    bool found = false;
    for (size_t i = 0; i < problems.len; i++)
        found = found || strstr(problems.lines[i], want);
    if (!found)
        print_all(&problems);
    CHECK(found);
    weir_problems_free(&problems);
    free(text);
}

static void test_ceilings(void) {
    check_ceiling("# ", "x", 2 * MIB, "\n", "larger than 1 MiB");
    check_ceiling("windows: [", "1m,", 150000, "]\n", "more than 100000 values");
    check_ceiling("windows: [", "[],", 50000, "]\n", "has 50000 entries");
    check_ceiling("metrics: ", "{a: ", 100000, "", "nested deeper than 16");
    check_ceiling("metrics:\n  ", "- ", 100000, "", "nested deeper");
    check_ceiling("kafka: { group: ", "x", 2000, ", brokers: [a], topics: [a] }\n", "2000 bytes");
    check_ceiling("sinks:\n", "- { type: none }\n", 16, "", "is unknown");
    check_ceiling("kafka:\n  brokers: [a]\n  topics: [a]\n  rdkafka: {", " x,", 500, "}\n",
                  "second time");
    check_ceiling("kafka:\n  brokers: [a]\n  topics: [a]\n  rdkafka: {", " x,", 500, "}\n",
                  "more mistakes are not shown");
    char *keys = calloc(1, 20000 * 8), *at = keys;
    for (int i = 0; keys && i < 12000; i++)
        at += sprintf(at, "k%d: 1\n", i);
    check_ceiling(keys ? keys : "", "", 0, "", "more than 10000 keys in one map");
    free(keys);
}

static void test_manual(void) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    weir_config_manual(out);
    fclose(out);
    const struct weir_options *tables[] = {weir_options_config(), weir_options_rules()};
    for (size_t t = 0; t < 2; t++) {
        for (size_t i = 0; i < tables[t]->len; i++) {
            char key[128];
            snprintf(key, sizeof key, "| `%s` |", tables[t]->items[i].path);
            CHECK(strstr(text, key) != NULL);
            CHECK(tables[t]->items[i].help && *tables[t]->items[i].help);
            CHECK(tables[t]->items[i].value || tables[t]->items[i].example);
        }
    }
    CHECK(strstr(text, "| `commit.interval` | duration, 10ms to 1m | `500ms` | restart |") != NULL);
    free(text);
}

int main(void) {
    char here[] = __FILE__;
    CHECK(chdir(dirname(here)) == 0);
    test_rules();
    test_examples();
    test_unreadable();
    test_ceilings();
    test_manual();
    return check_done("test_config_rules");
}
