/*
 * view_source: where a command finds its group in Redis: by --config FILE, or by --redis URL and
 * --group G; without any of these by the config that weir_config_find finds. Strings are borrowed
 * from argv. Thread: main's.
 */
#ifndef WEIR_APP_VIEW_SOURCE_H
#define WEIR_APP_VIEW_SOURCE_H

#include "app/view.h"

#define WEIR_VIEW_SOURCE_USAGE "[--config FILE | --redis URL --group G]"

struct weir_view_source {
    const char *config, *redis_url, *group;
};
/* As weir_arguments_named, for the three. */
int weir_view_source_option(struct weir_view_source *source, char **argv, int *at,
                            struct weir_err *err);
/* Opens the view; with a config, its windows and dimensions are known. The mistakes of a config go
 * to standard error. Does not connect. */
int weir_view_source_open(const struct weir_view_source *source, struct weir_view *view,
                          struct weir_err *err);

#endif
