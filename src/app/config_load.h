/*
 * config_load: the passes that turn a tree into a config. Private to config*.c and rules_file*.c.
 *
 * First weir_load_section walks a map by the table of options: unknown keys, types, ranges,
 * defaults, `<key>_file`. Then one function a section checks what no table can say. Each adds its
 * mistakes and goes on, so that all of them are told at once; after a mistake the default stands
 * in, so that one slip is one mistake. Thread: one at a time.
 */
#ifndef WEIR_APP_CONFIG_LOAD_H
#define WEIR_APP_CONFIG_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "config_arena.h"
#include "config_mistakes.h"
#include "options.h"
#include "weir/config.h"
#include "yaml_tree.h"

/* What weir_config.arena points to. */
struct weir_kept {
    struct weir_arena *arena;
    const char *values[WEIR_OPTIONS_MAX]; /* canonical, by option: to compare two configs */
};

struct weir_loader {
    struct weir_arena *scratch; /* the trees: freed after loading */
    struct weir_arena *kept;    /* what the config points to */
    struct weir_mistakes *mistakes;
    struct weir_mistakes *warnings; /* of a config; see weir_config.warnings */
    const char *dir;                /* of the config file: other paths are relative to it */
    bool reads_files; /* false: no file is touched, a secret's file reads as "secret" */
    const struct weir_config *started; /* of a reload, else NULL; see weir_config_load_over */
    const struct weir_yaml *set[WEIR_OPTIONS_MAX]; /* values by option, the defaults' too */
    int sources;
};

/* One reading of one map. */
struct weir_section {
    const struct weir_options *options;
    const char *prefix;           /* in the table: "" or "sinks[]" */
    void *base;                   /* the struct that the fields are of */
    const struct weir_yaml **set; /* by option; zeroed before */
};

void weir_load_section(struct weir_loader *loader, const struct weir_section *section,
                       const struct weir_yaml *map);

/* The option's index in the table; the path must be there. */
size_t weir_option_index(const struct weir_options *options, const char *path);
/* What stands for an option of struct weir_config, NULL when nothing does. */
const struct weir_yaml *weir_load_node(const struct weir_loader *loader, const char *path);

/* The items of a list; a single value counts as a list of one. */
size_t weir_load_items(const struct weir_yaml *node);
const struct weir_yaml *weir_load_item(const struct weir_yaml *node, size_t i);
/* The text of an item or of a map's value, not empty, without control characters and at most `max`
 * bytes; NULL with a mistake. */
const char *weir_load_text(struct weir_loader *loader, const struct weir_yaml *node, size_t max);

/* The content of a secret's file without its last line end, from `kept`; NULL with a mistake. */
char *weir_load_secret(struct weir_loader *loader, const struct weir_yaml *node);

/* A file's bytes, freed by the caller. NULL with the reason in `why`. */
#define WEIR_LOAD_WHY_MAX 256
char *weir_load_file(const char *path, size_t max, size_t *len, char why[WEIR_LOAD_WHY_MAX]);
/* A source for messages, ranked after the ones before it. */
struct weir_source *weir_load_source(struct weir_loader *loader, const char *name);
/* `path` when it is absolute, else beside the config file. */
char *weir_load_beside(struct weir_loader *loader, const char *path);

/* The second pass. Each fills its part of the config. */
void weir_load_kafka(struct weir_loader *loader, struct weir_config *config);
void weir_load_redis(struct weir_loader *loader, struct weir_config *config);
void weir_load_http(struct weir_loader *loader, struct weir_config *config);
void weir_load_metrics(struct weir_loader *loader, struct weir_config *config);
void weir_load_events(struct weir_loader *loader, struct weir_config *config); /* after metrics */
void weir_load_sinks(struct weir_loader *loader, struct weir_config *config);
void weir_load_plan(struct weir_loader *loader, struct weir_config *config);  /* after events */
void weir_load_rules(struct weir_loader *loader, struct weir_config *config); /* after all */

/* What alerts.warm_up is where nobody wrote it. */
int64_t weir_load_warm_up(const struct weir_config *config);

/* A Kafka topic's name: what is wrong with it, or NULL. */
const char *weir_topic_fault(const char *topic);

/* One rules file into `rules` (appended). `config` NULL: metrics and windows are not checked. */
void weir_rules_file_load(struct weir_loader *loader, struct weir_rules *rules, const char *path,
                          const struct weir_config *config);
void weir_rules_file_parse(struct weir_loader *loader, struct weir_rules *rules, const char *name,
                           const char *bytes, size_t len, const struct weir_config *config);

/* As weir_config_load, from memory: no file is read, rules_files are only checked as texts. */
int weir_config_load_bytes(struct weir_config **config, const char *name, const char *bytes,
                           size_t len, struct weir_problems *problems, struct weir_err *err);

#endif
