#include "weir/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_load.h"
#include "config_option.h"
#include "weir/buf.h"
#include "weir/shown.h"

void weir_problems_free(struct weir_problems *problems) {
    for (size_t i = 0; i < problems->len; i++)
        free(problems->lines[i]);
    free(problems->lines);
    *problems = (struct weir_problems){0};
}

static char *folder_of(struct weir_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return weir_arena_text(arena, ".");
    return weir_arena_copy(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

static void open_loader(struct weir_loader *loader, struct weir_mistakes *mistakes,
                        const char *path, bool reads_files) {
    weir_mistakes_init(mistakes);
    *loader = (struct weir_loader){.scratch = weir_arena_new(), .mistakes = mistakes};
    loader->dir = folder_of(loader->scratch, path);
    loader->reads_files = reads_files;
}

/* What a later comparison needs. Maps whose values come from files or are rewritten are compared
 * by what they became. */
static void keep_values(struct weir_loader *loader, const struct weir_config *config) {
    const struct weir_options *options = weir_options_config();
    struct weir_kept *kept = config->arena;
    for (size_t i = 0; i < options->len; i++)
        if (loader->set[i])
            kept->values[i] =
                weir_option_canonical(loader->kept, &options->items[i], loader->set[i]);

    struct weir_buf out;
    weir_buf_init(&out, 16 * 1024 * 1024);
    for (size_t i = 0; i < config->kafka.properties_len; i++)
        weir_buf_printf(&out, "%s=%s\n", config->kafka.properties[i].name,
                        config->kafka.properties[i].value);
    kept->values[weir_option_index(options, "kafka.rdkafka")] =
        weir_arena_copy(loader->kept, out.data ? out.data : "", out.len);
    weir_buf_clear(&out);
    for (uint32_t i = 0; i < config->plan.windows_len; i++)
        weir_buf_printf(&out, "%lld ", (long long)config->plan.windows_ms[i]);
    kept->values[weir_option_index(options, "windows")] =
        weir_arena_copy(loader->kept, out.data ? out.data : "", out.len);
    weir_buf_close(&out);
}

/* All but what a reload takes becomes that of the start. Sinks and rules are made after this: of
 * the topics, metrics and windows that are really in use. */
static void keep_started(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_options *options = weir_options_config();
    const struct weir_config fresh = *config;
    *config = *loader->started;
    config->path = fresh.path;
    config->arena = fresh.arena;
    for (size_t i = 0; i < options->len; i++) {
        const struct weir_option *option = &options->items[i];
        if (!(option->flags & WEIR_OPTION_RELOAD) || strchr(option->path, '['))
            continue;
        WEIR_ASSERT(option->size > 0);
        memcpy((char *)config + option->offset, (const char *)&fresh + option->offset,
               option->size);
    }
    if (!weir_load_node(loader, "alerts.warm_up"))
        config->warm_up_ms = weir_load_warm_up(config);
}

static void load_root(struct weir_loader *loader, struct weir_config *config,
                      const struct weir_yaml *root) {
    struct weir_section section = {weir_options_config(), "", config, loader->set};
    weir_load_section(loader, &section, root);
    weir_load_kafka(loader, config);
    weir_load_redis(loader, config);
    weir_load_http(loader, config);
    weir_load_metrics(loader, config);
    weir_load_events(loader, config);
    weir_load_plan(loader, config);
    if (loader->started)
        keep_started(loader, config);
    weir_load_sinks(loader, config);
    weir_load_rules(loader, config);
    keep_values(loader, config);
}

static void keep_warnings(struct weir_loader *loader, struct weir_config *config) {
    struct weir_problems lines;
    struct weir_err first;
    weir_mistakes_give(loader->warnings, &lines, &first);
    config->warnings = weir_arena_take(loader->kept, sizeof *config->warnings * (lines.len + 1));
    config->warnings_len = lines.len;
    for (size_t i = 0; i < lines.len; i++)
        config->warnings[i] = weir_arena_text(loader->kept, lines.lines[i]);
    weir_problems_free(&lines);
}

static int load(struct weir_config **out, const char *name, const char *bytes, size_t len,
                bool reads_files, const struct weir_config *started, struct weir_problems *problems,
                struct weir_err *err) {
    struct weir_mistakes mistakes, warnings;
    struct weir_loader loader;
    open_loader(&loader, &mistakes, name, reads_files);
    weir_mistakes_init(&warnings);
    loader.warnings = &warnings;
    loader.started = started;
    struct weir_config *config = calloc(1, sizeof *config);
    WEIR_ASSERT(config);
    loader.kept = weir_arena_new();
    struct weir_kept *kept = weir_arena_take(loader.kept, sizeof *kept);
    kept->arena = loader.kept;
    config->arena = kept;
    config->path = weir_arena_text(loader.kept, name);

    const struct weir_source *source = weir_load_source(&loader, name);
    const struct weir_yaml *root = weir_yaml_parse(loader.scratch, source, bytes, len, &mistakes);
    if (root)
        load_root(&loader, config, root);
    keep_warnings(&loader, config);
    weir_mistakes_close(&warnings);
    int result = weir_mistakes_give(&mistakes, problems, err);
    *out = config;
    if (result != 0) {
        weir_config_free(config);
        *out = NULL;
    }
    weir_mistakes_close(&mistakes);
    weir_arena_free(loader.scratch);
    return result;
}

/* A file that cannot be read is one mistake, at its beginning. */
static int unreadable(const char *path, const char *why, struct weir_problems *problems,
                      struct weir_err *err) {
    struct weir_source source = {weir_path_shown(path), 0};
    struct weir_mistakes mistakes;
    weir_mistakes_init(&mistakes);
    weir_mistakes_add(&mistakes, &source, 1, 1, "file", "the file %s", why);
    int result = weir_mistakes_give(&mistakes, problems, err);
    weir_mistakes_close(&mistakes);
    return result;
}

int weir_config_load(struct weir_config **config, const char *path, struct weir_problems *problems,
                     struct weir_err *err) {
    return weir_config_load_over(config, path, NULL, problems, err);
}

int weir_config_load_over(struct weir_config **config, const char *path,
                          const struct weir_config *started, struct weir_problems *problems,
                          struct weir_err *err) {
    char why[WEIR_LOAD_WHY_MAX];
    size_t len = 0;
    *config = NULL;
    char *bytes = weir_load_file(path, WEIR_YAML_BYTES_MAX, &len, why);
    if (!bytes)
        return unreadable(path, why, problems, err);
    int result = load(config, path, bytes, len, true, started, problems, err);
    free(bytes);
    return result;
}

const char *weir_config_find(const char *given) {
    static const char here[] = "weir.yaml";
    const char *named = getenv("WEIR_CONFIG"); /* nobody changes the environment */
    if (given)
        return given;
    if (named && *named)
        return named;
    return access(here, F_OK) == 0 ? here : NULL;
}

int weir_config_load_or_say(struct weir_config **config, const char *given) {
    struct weir_problems problems = {0};
    struct weir_err err;
    const char *path = weir_config_find(given);
    if (!path) {
        fprintf(stderr, "weir: which config? write --config FILE; without it $WEIR_CONFIG or "
                        "./weir.yaml is taken, and there is neither\n");
        return -WEIR_ERR_USAGE;
    }
    int status = weir_config_load(config, path, &problems, &err);
    for (size_t i = 0; i < problems.len; i++)
        fprintf(stderr, "%s\n", problems.lines[i]);
    if (status != 0 && problems.len == 0)
        fprintf(stderr, "%s\n", err.text);
    weir_problems_free(&problems);
    return status;
}

int weir_config_load_bytes(struct weir_config **config, const char *name, const char *bytes,
                           size_t len, struct weir_problems *problems, struct weir_err *err) {
    *config = NULL;
    return load(config, name, bytes, len, false, NULL, problems, err);
}

int weir_config_load_rules(struct weir_rules *rules, const char *path,
                           const struct weir_config *config, struct weir_problems *problems,
                           struct weir_err *err) {
    struct weir_mistakes mistakes;
    struct weir_loader loader;
    open_loader(&loader, &mistakes, path, true);
    loader.kept = weir_arena_new();
    *rules = (struct weir_rules){0};
    weir_rules_file_load(&loader, rules, path, config);
    int result = weir_mistakes_give(&mistakes, problems, err);
    if (result != 0)
        weir_rules_close(rules);
    weir_mistakes_close(&mistakes);
    weir_arena_free(loader.kept);
    weir_arena_free(loader.scratch);
    return result;
}

void weir_config_free(struct weir_config *config) {
    if (!config)
        return;
    weir_rules_close(&config->rules);
    struct weir_kept *kept = config->arena;
    weir_arena_free(kept->arena);
    free(config);
}

int weir_config_restart_needed(const struct weir_config *old, const struct weir_config *new_config,
                               char *out, size_t out_max) {
    const struct weir_options *options = weir_options_config();
    const struct weir_kept *before = old->arena, *after = new_config->arena;
    struct weir_buf text;
    int changed = 0;
    weir_buf_init(&text, 16 * 1024);
    for (size_t i = 0; i < options->len; i++) {
        const char *a = before->values[i], *b = after->values[i];
        bool same = a && b ? strcmp(a, b) == 0 : a == b;
        if (same || (options->items[i].flags & WEIR_OPTION_RELOAD))
            continue;
        weir_buf_printf(&text, "%s`%s`", changed++ ? ", " : "", options->items[i].path);
    }
    if (changed)
        weir_buf_printf(&text, " changed, which a reload does not take; restart weir to use %s",
                        changed == 1 ? "it" : "them");
    snprintf(out, out_max, "%s", text.data && !text.failed ? text.data : "");
    weir_buf_close(&text);
    return changed;
}
