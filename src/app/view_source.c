#include "app/view_source.h"

#include "app/arguments.h"

#define TIMEOUT_MS 5000

int weir_view_source_option(struct weir_view_source *source, char **argv, int *at,
                            struct weir_err *err) {
    const struct weir_named_text known[] = {{"--config", &source->config},
                                            {"--redis", &source->redis_url},
                                            {"--group", &source->group}};
    return weir_arguments_named(known, sizeof known / sizeof known[0], argv, at, err);
}

static int open_by_config(const char *path, struct weir_view *view, struct weir_err *err) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    int result = weir_config_load(&config, path, &problems, err);
    for (size_t i = 1; i < problems.len; i++) /* the first is in err */
        fprintf(stderr, "%s\n", problems.lines[i]);
    weir_problems_free(&problems);
    if (result != 0)
        return result;
    if (config->redis_url)
        result = weir_view_open(view, config->redis_url, config->kafka.group, TIMEOUT_MS, err);
    else
        result = weir_err_set(
            err, WEIR_ERR_INPUT,
            "%s: redis.url is missing; add it, or write --redis URL and --group G", path);
    if (result == 0)
        weir_view_know(view, config);
    weir_config_free(config);
    return result;
}

int weir_view_source_open(const struct weir_view_source *source, struct weir_view *view,
                          struct weir_err *err) {
    if (source->config && (source->redis_url || source->group))
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "--config already says which Redis and which group; leave out --redis "
                            "and --group");
    const char *path = source->config;
    if (!source->redis_url && !source->group)
        path = weir_config_find(path);
    if (path)
        return open_by_config(path, view, err);
    if (!source->redis_url || !source->group)
        return weir_err_set(err, WEIR_ERR_USAGE,
                            "which Redis and which group? write --config FILE, or --redis URL and "
                            "--group G; without them $WEIR_CONFIG or ./weir.yaml is taken%s",
                            source->redis_url || source->group ? "" : ", and there is neither");
    return weir_view_open(view, source->redis_url, source->group, TIMEOUT_MS, err);
}
