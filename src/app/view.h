/*
 * view: what Redis holds of a group, as JSON trees, for `weir get` and the HTTP API.
 *
 * Reads the published keys and the partitions' meta hashes, writes nothing. A view has a Redis
 * connection of its own and connects anew by itself after an error.
 * Ownership: open/close for the caller's storage; a tree is the caller's to json_decref, and is
 * NULL after an error. Thread: one at a time, which waits for Redis up to the time-out. Units: as
 * in Redis: ms for times, else what the field's name says. A number stays a number; an empty text,
 * or one that is no finite number where a number stands, is null. Errors: -WEIR_ERR_UNREACHABLE in
 * Redis's words. Keys that are not there give empty lists.
 */
#ifndef WEIR_APP_VIEW_H
#define WEIR_APP_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/names.h"
#include "weir/config.h"
#include "weir/redis.h"

#define WEIR_VIEW_LIMIT_MAX 2000 /* entries of a series, or changes of alerts */
#define WEIR_VIEW_DIMENSION_MAX 64

struct weir_view {
    struct weir_redis *redis;
    char *group;
    char windows[WEIR_WINDOWS_MAX][WEIR_NAME_WINDOW_MAX]; /* ascending */
    size_t windows_len;
    char dimensions[WEIR_DIMENSIONS_MAX][WEIR_VIEW_DIMENSION_MAX];
    size_t dimensions_len;
};

/* Knows no window and no dimension yet. Does not connect. */
int weir_view_open(struct weir_view *view, const char *redis_url, const char *group, int timeout_ms,
                   struct weir_err *err);
void weir_view_close(struct weir_view *view);
/* Which windows and dimensions there are: as the config says, or as Redis does: what was published
 * last, else the keys' names (a SCAN of the whole database). */
void weir_view_know(struct weir_view *view, const struct weir_config *config);
int weir_view_discover(struct weir_view *view, struct weir_err *err);
/* Whether Redis answers. Notices a connection that was closed while nobody asked, and takes a new
 * one, so that it is no error of the next question. */
int weir_view_ping(struct weir_view *view, struct weir_err *err);
bool weir_view_has_window(const struct weir_view *view, const char *window);
bool weir_view_has_dimension(const struct weir_view *view, const char *dimension);

/* {"group", "windows": [{"window", as_of, ...}], "window_names", "dimension_names"}, the names of
 * all that there are; `window` NULL: all of them. */
int weir_view_windows(struct weir_view *view, const char *window, json_t **out,
                      struct weir_err *err);
/* {"group", "window", "segments": [{"dimension", "value", ...}]}, the largest of each dimension
 * first; `dimension` NULL: all of them. */
int weir_view_segments(struct weir_view *view, const char *window, const char *dimension,
                       json_t **out, struct weir_err *err);
/* {"group", "window", "entries": [{...}]}: the last `limit` of [from_ms, to_ms], oldest first. */
int weir_view_series(struct weir_view *view, const char *window, int64_t from_ms, int64_t to_ms,
                     int64_t limit, json_t **out, struct weir_err *err);
/* {"group", "data_quality", "firing": [alert], "recent": [alert]}: the last `limit` changes, newest
 * first; "good", why the data cannot be trusted, or null. */
int weir_view_alerts(struct weir_view *view, int64_t limit, json_t **out, struct weir_err *err);
/* {"group", "partitions": [{"topic", "partition", ...}]}, sorted. */
int weir_view_partitions(struct weir_view *view, json_t **out, struct weir_err *err);

#endif
