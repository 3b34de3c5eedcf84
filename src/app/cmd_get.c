/* weir get: what Redis holds now, as tables or as JSON. */
#include <stdlib.h>
#include <string.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/view_print.h"
#include "app/view_source.h"
#include "weir/clock.h"
#include "weir/shown.h"

#define RECENT_ALERTS 20

struct request {
    const char *window, *dimension;
    bool json;
};

static int get_windows(struct weir_view *view, const struct request *request, json_t **tree,
                       struct weir_err *err) {
    return weir_view_windows(view, request->window, tree, err);
}

static int get_segments(struct weir_view *view, const struct request *request, json_t **tree,
                        struct weir_err *err) {
    const char *window = request->window ? request->window : view->windows[0];
    return weir_view_segments(view, window, request->dimension, tree, err);
}

static int get_alerts(struct weir_view *view, const struct request *request, json_t **tree,
                      struct weir_err *err) {
    (void)request;
    return weir_view_alerts(view, RECENT_ALERTS, tree, err);
}

static int get_partitions(struct weir_view *view, const struct request *request, json_t **tree,
                          struct weir_err *err) {
    (void)request;
    return weir_view_partitions(view, tree, err);
}

static const struct subject {
    const char *name;
    int (*get)(struct weir_view *view, const struct request *request, json_t **tree,
               struct weir_err *err);
    void (*print)(const json_t *tree, int64_t now_ms, FILE *out);
    bool by_window, by_dimension; /* which options it takes */
} subjects[] = {
    {"windows", get_windows, weir_view_print_windows, true, false},
    {"segments", get_segments, weir_view_print_segments, true, true},
    {"alerts", get_alerts, weir_view_print_alerts, false, false},
    {"partitions", get_partitions, weir_view_print_partitions, false, false},
};

static const char usage[] =
    "usage: weir get windows|segments|alerts|partitions [--window 5m] [--dimension country]\n"
    "       [--json] " WEIR_VIEW_SOURCE_USAGE "\n"
    "Without --config and --redis: $WEIR_CONFIG, else ./weir.yaml.\n"
    "Without --window: every window, for segments the shortest. Without --dimension: all.\n";

static const struct subject *subject_named(const char *name) {
    for (size_t i = 0; name && i < sizeof subjects / sizeof subjects[0]; i++)
        if (strcmp(subjects[i].name, name) == 0)
            return &subjects[i];
    return NULL;
}

static int parse_option(struct request *request, const struct subject *subject, char **argv, int *i,
                        struct weir_err *err) {
    const char *word = argv[*i];
    const struct weir_named_text known[] = {{"--window", &request->window},
                                            {"--dimension", &request->dimension}};
    if (strcmp(word, "--json") == 0) {
        request->json = true;
        return 0;
    }
    int taken = weir_arguments_named(known, sizeof known / sizeof known[0], argv, i, err);
    if (taken < 0)
        return taken;
    if (taken == 0)
        return weir_err_set(err, WEIR_ERR_USAGE, "weir get has no option %s\n%s",
                            weir_word_shown(word).text, usage);
    if ((request->window && !subject->by_window) || (request->dimension && !subject->by_dimension))
        return weir_err_set(err, WEIR_ERR_USAGE, "weir get %s has no %s; leave it out",
                            subject->name, request->window ? "--window" : "--dimension");
    return 0;
}

static int parse(struct request *request, struct weir_view_source *source,
                 const struct subject *subject, int argc, char **argv, struct weir_err *err) {
    for (int i = 2; i < argc; i++) {
        int result = weir_view_source_option(source, argv, &i, err);
        if (result == 0)
            result = parse_option(request, subject, argv, &i, err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* What there is, for a message. */
static const char *list_windows(const struct weir_view *view, char *out, size_t max) {
    size_t used = 0;
    snprintf(out, max, "none yet");
    for (size_t i = 0; i < view->windows_len && used < max; i++)
        used += (size_t)snprintf(out + used, max - used, "%s%s", i ? " " : "", view->windows[i]);
    return out;
}

static const char *list_dimensions(const struct weir_view *view, char *out, size_t max) {
    size_t used = 0;
    snprintf(out, max, "none");
    for (size_t i = 0; i < view->dimensions_len && used < max; i++)
        used += (size_t)snprintf(out + used, max - used, "%s%s", i ? " " : "", view->dimensions[i]);
    return out;
}

/* A slip in a name must not look like "no data"; but where nothing is known nothing can be said. */
static int check_names(const struct weir_view *view, const struct request *request,
                       struct weir_err *err) {
    char names[600];
    if (request->window && view->windows_len > 0 && !weir_view_has_window(view, request->window))
        return weir_err_set(err, WEIR_ERR_INPUT, "there is no window %.40s; there are: %s",
                            weir_word_shown(request->window).text,
                            list_windows(view, names, sizeof names));
    if (request->dimension && view->windows_len > 0 &&
        !weir_view_has_dimension(view, request->dimension))
        return weir_err_set(err, WEIR_ERR_INPUT, "there is no dimension %.80s; there are: %s",
                            weir_word_shown(request->dimension).text,
                            list_dimensions(view, names, sizeof names));
    return 0;
}

static int show(struct weir_view *view, const struct subject *subject,
                const struct request *request, struct weir_err *err) {
    json_t *tree = NULL;
    int result = weir_redis_connect(view->redis, err);
    if (result == 0 && subject->by_window && view->windows_len == 0)
        result = weir_view_discover(view, err);
    if (result == 0)
        result = check_names(view, request, err);
    if (result == 0)
        result = subject->get(view, request, &tree, err);
    if (result == 0 && request->json) {
        json_dumpf(tree, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
        printf("\n");
    } else if (result == 0) {
        subject->print(tree, weir_clock_wall_ms(), stdout);
    }
    json_decref(tree);
    return result;
}

int weir_cmd_get(int argc, char **argv) {
    struct request request = {0};
    struct weir_view_source source = {0};
    struct weir_view view = {0};
    struct weir_err err = {0};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    const struct subject *subject = subject_named(argv[1]);
    if (!subject) {
        fputs(usage, stderr);
        return WEIR_ERR_USAGE;
    }
    int result = parse(&request, &source, subject, argc, argv, &err);
    if (result == 0)
        result = weir_view_source_open(&source, &view, &err);
    if (result == 0)
        result = show(&view, subject, &request, &err);
    weir_view_close(&view);
    if (result != 0)
        fprintf(stderr, "weir get: %s\n", err.text);
    return -result;
}
