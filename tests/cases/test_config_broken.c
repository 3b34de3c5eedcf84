/* Each key of a config and of a rules file with a value that cannot be read: a mistake that names
 * its place, and never a crash or a rule without a name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/config_load.h"
#include "app/options.h"
#include "check.h"
#include "weir/config.h"

#define TEXT_MAX 1024

static const char *const broken[] = {
    "\"${WEIR_TEST_NOT_SET}\"",
    "\"a\\0b\"",
    "[\"${WEIR_TEST_NOT_SET}\"]",
    "{ a: \"${WEIR_TEST_NOT_SET}\" }",
    "[[a]]",
    "{ a: { b: [c] } }",
    "[~]",
    "~",
};
#define BROKEN_UNREADABLE 4 /* the first ones are wrong whatever the key's type */

/* `a.b[].c` as `{ a: { b: [ { c: VALUE } ] } }`. */
static void nest(char text[TEXT_MAX], const char *path, const char *value) {
    char closing[64] = "";
    size_t used = 0, close = sizeof closing - 1;
    while (*path) {
        size_t len = strcspn(path, ".[");
        used += (size_t)snprintf(text + used, TEXT_MAX - used, "{ %.*s: ", (int)len,
                                 *path == '<' ? "shown" : path);
        closing[--close] = '}';
        path += len;
        if (strncmp(path, "[]", 2) == 0) {
            used += (size_t)snprintf(text + used, TEXT_MAX - used, "[");
            closing[--close] = ']';
            path += 2;
        }
        path += *path == '.';
    }
    snprintf(text + used, TEXT_MAX - used, "%s%s\n", value, closing + close);
}

static void check_told(const struct weir_problems *problems, int result, const char *text,
                       bool unreadable) {
    CHECK(result == 0 || result == -WEIR_ERR_INPUT);
    CHECK((result == 0) == (problems->len == 0));
    CHECK(!unreadable || result != 0);
    if (unreadable && result == 0)
        printf("no mistake in %s", text);
    for (size_t i = 0; i < problems->len; i++)
        CHECK(strncmp(problems->lines[i], "broken:", strlen("broken:")) == 0);
}

static void test_config(void) {
    const struct weir_options *options = weir_options_config();
    for (size_t i = 0; i < options->len; i++) {
        for (size_t j = 0; j < sizeof broken / sizeof *broken; j++) {
            char text[TEXT_MAX];
            nest(text, options->items[i].path, broken[j]);
            struct weir_config *config = NULL;
            struct weir_problems problems = {0};
            struct weir_err err = {0};
            int result =
                weir_config_load_bytes(&config, "broken", text, strlen(text), &problems, &err);
            check_told(&problems, result, text, j < BROKEN_UNREADABLE);
            weir_config_free(config);
            weir_problems_free(&problems);
        }
    }
}

/* A rule in order but for one key. */
static void rule_but(char text[TEXT_MAX], const char *key, const char *value) {
    static const char *const good[][2] = {
        {"alert", "A"}, {"metric", "conversion_rate"}, {"window", "1m"}, {"below", "0.1"}};
    size_t used = (size_t)snprintf(text, TEXT_MAX, "groups: [ { name: g, rules: [ { ");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (strcmp(key, good[i][0]) != 0)
            used +=
                (size_t)snprintf(text + used, TEXT_MAX - used, "%s: %s, ", good[i][0], good[i][1]);
    snprintf(text + used, TEXT_MAX - used, "%s: %s } ] } ]\n", key, value);
}

static void test_rules(void) {
    static const char of_rule[] = "groups[].rules[].";
    const struct weir_options *options = weir_options_rules();
    for (size_t i = 0; i < options->len; i++) {
        for (size_t j = 0; j < sizeof broken / sizeof *broken; j++) {
            const char *path = options->items[i].path;
            char text[TEXT_MAX];
            if (strncmp(path, of_rule, strlen(of_rule)) == 0)
                rule_but(text, path + strlen(of_rule), broken[j]);
            else
                nest(text, path, broken[j]);
            FILE *file = fopen("broken", "we");
            CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
            struct weir_rules rules = {0};
            struct weir_problems problems = {0};
            struct weir_err err = {0};
            int result = weir_config_load_rules(&rules, "broken", NULL, &problems, &err);
            check_told(&problems, result, text, j < BROKEN_UNREADABLE);
            CHECK(result == 0 || rules.len == 0);
            weir_rules_close(&rules);
            weir_problems_free(&problems);
        }
    }
}

int main(void) {
    char folder[] = "/tmp/weir-broken-XXXXXX";
    CHECK(mkdtemp(folder) && chdir(folder) == 0);
    test_config();
    test_rules();
    CHECK(unlink("broken") == 0 && rmdir(folder) == 0);
    return check_done("test_config_broken");
}
