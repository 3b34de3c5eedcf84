/* weir check: every mistake of a config or a rules file, or what it says in short. */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/names.h"
#include "weir/config.h"

static const char usage[] =
    "usage: weir check config FILE\n"
    "       weir check rules FILE [--config FILE]   (" WEIR_CONFIG_DEFAULT ")\n";

static int print_problems(struct weir_problems *problems) {
    for (size_t i = 0; i < problems->len; i++)
        printf("%s\n", problems->lines[i]);
    printf("%zu mistake%s\n", problems->len, problems->len == 1 ? "" : "s");
    weir_problems_free(problems);
    return WEIR_ERR_INPUT;
}

static void print_list(const char *what, const char *const *names, size_t len) {
    printf("  %-11s", what);
    for (size_t i = 0; i < len; i++)
        printf(" %s", names[i]);
    printf("%s\n", len == 0 ? " none" : "");
}

static void print_rules(const struct weir_rules *rules) {
    printf("  %-11s %zu\n", "rules", rules->len);
    for (size_t i = 0; i < rules->len; i++) {
        char window[WEIR_NAME_WINDOW_MAX];
        const struct weir_rule *rule = &rules->rules[i];
        weir_window_name(window, sizeof window, rule->window_ms);
        printf("    %s/%s: %s%s over %s%s%s\n", rule->group, rule->name,
               rule->reading == WEIR_SETTLED ? "settled " : "", rule->metric, window,
               rule->by_len > 0 ? " by " : "", rule->by_len > 0 ? rule->by_names[0] : "");
    }
}

/* `weir replay` needs neither of them. */
static void print_verdict(const struct weir_config *config) {
    bool kafka = config->kafka.brokers && config->kafka.topics_len > 0, redis = config->redis_url;
    if (kafka && redis)
        printf("ok\n");
    else
        printf("ok for weir replay; for weir run add the section%s %s%s%s\n",
               kafka || redis ? "" : "s", kafka ? "" : "kafka", kafka || redis ? "" : " and ",
               redis ? "" : "redis");
}

static void print_digest(const struct weir_config *config) {
    char windows[WEIR_WINDOWS_MAX][WEIR_NAME_WINDOW_MAX];
    const char *names[WEIR_WINDOWS_MAX];
    for (uint32_t i = 0; i < config->plan.windows_len; i++) {
        weir_window_name(windows[i], sizeof windows[i], config->plan.windows_ms[i]);
        names[i] = windows[i];
    }
    print_verdict(config);
    printf("  %-11s %s\n", "group", config->kafka.group);
    print_list("topics", config->kafka.topics, config->kafka.topics_len);
    print_list("windows", names, config->plan.windows_len);
    print_list("dimensions", (const char *const *)config->dimension_names,
               config->plan.dimensions_len);
    printf("  %-11s", "sinks");
    for (size_t i = 0; i < config->sinks_len; i++)
        printf(" %s", config->sinks[i].name);
    printf("%s\n", config->sinks_len == 0 ? " none" : "");
    print_rules(&config->rules);
    for (size_t i = 0; i < config->warnings_len; i++)
        printf("warning: %s\n", config->warnings[i]);
}

static int load(struct weir_config **config, const char *path) {
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    if (weir_config_load(config, path, &problems, &err) == 0)
        return 0;
    return print_problems(&problems);
}

static int check_config(const char *path) {
    struct weir_config *config = NULL;
    struct weir_err err;
    int code = load(&config, path);
    if (code != 0)
        return code;
    if (weir_config_check_clients(config, &err) == 0) {
        print_digest(config);
    } else {
        printf("%s\n1 mistake\n", err.text);
        code = WEIR_ERR_INPUT;
    }
    weir_config_free(config);
    return code;
}

/* Without a config, names of metrics, windows and dimensions cannot be checked. */
static int check_rules(const char *path, const char *given) {
    const char *config_path = weir_config_find(given);
    struct weir_config *config = NULL;
    struct weir_rules rules = {0};
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    int code = config_path ? load(&config, config_path) : 0;
    if (code != 0)
        return code;
    if (weir_config_load_rules(&rules, path, config, &problems, &err) != 0) {
        code = print_problems(&problems);
    } else {
        printf("ok");
        if (!config)
            printf(" (with --config FILE, metrics, windows and dimensions are checked too)");
        else if (!given)
            printf(" (by the config %s)", config_path);
        printf("\n");
        print_rules(&rules);
    }
    weir_rules_close(&rules);
    weir_config_free(config);
    return code;
}

int weir_cmd_check(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "config") == 0)
        return check_config(argv[2]);
    if (argc == 3 && strcmp(argv[1], "rules") == 0)
        return check_rules(argv[2], NULL);
    if (argc == 5 && strcmp(argv[1], "rules") == 0 && strcmp(argv[3], "--config") == 0)
        return check_rules(argv[2], argv[4]);
    fputs(usage, stderr);
    return WEIR_ERR_USAGE;
}
