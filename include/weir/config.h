/*
 * config: one YAML (or JSON) file to one struct, by one table of options that also prints the
 * manual. Every mistake is reported, each with file:line:column, the key, and what to write.
 *
 * Ownership: the struct owns all that it points to; weir_config_free frees it. Immutable after
 * loading, so threads may share it. Secrets come from `<key>_file` or ${ENV} and are never printed.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/decode.h"
#include "weir/err.h"
#include "weir/kafka.h"
#include "weir/log.h"
#include "weir/metric.h"
#include "weir/notify.h"
#include "weir/plan.h"
#include "weir/rule.h"

enum weir_start { WEIR_START_EARLIEST, WEIR_START_LATEST, WEIR_START_TIME };

/* What `memory` is divided into; all 0 without it. */
struct weir_memory_shares {
    size_t limit;        /* resident bytes of the process */
    size_t producer;     /* the queue of one Kafka producer */
    size_t commit;       /* changes of one worker that wait for a commit */
    size_t partition;    /* what one partition may take at most */
    uint32_t partitions; /* how many of those fit */
    size_t windows;      /* what the evaluator's windows may take; 0: any number of bytes */
};

struct weir_config {
    char *path; /* as given, for messages and reload */

    struct weir_kafka_options kafka; /* brokers, group, topics, properties */
    enum weir_start start;
    int64_t start_time_ms;
    char *dead_letter_topic; /* NULL: counted, logged and sampled only */

    char *redis_url; /* with credentials: never log it */

    struct weir_mapping_options mapping;
    char *dimension_names[WEIR_DIMENSIONS_MAX];
    struct weir_plan plan; /* plan.dimensions_len names above */

    struct weir_metric *metrics; /* built-in and custom, both readings */
    size_t metrics_len;

    char **rules_files; /* globs resolved, relative to the config file, sorted */
    size_t rules_files_len;
    struct weir_rules rules;
    int64_t lag_suspect_ms;     /* a watermark older than this behind the newest: suspect */
    int64_t warm_up_ms;         /* no rule looks at data this soon after the stream's first */
    int64_t repeat_interval_ms; /* a firing alert is sent again this often */

    struct weir_sink *sinks;
    size_t sinks_len;
    int64_t outbox_max; /* entries waiting for one sink; beyond it the oldest go, counted */

    int workers;
    char *http_listen; /* "host:port", NULL when http is off */
    int64_t commit_interval_ms;
    int64_t idle_timeout_ms;
    uint32_t publish_top;
    int64_t publish_retention_ms;
    size_t prefetch_bytes; /* kafka prefetch over the whole process; 0: default */
    struct weir_memory_shares memory;
    enum weir_log_level log_level;
    enum weir_log_format log_format;

    const char *rdkafka_place; /* "file:line:column: kafka.rdkafka"; NULL where nothing is in it */
    char **warnings;           /* as mistakes are told, of what is in order and yet hardly meant */
    size_t warnings_len;

    void *arena; /* what the pointers above point into */
};

/* Where the mistakes go; returns how many there were through the result. */
struct weir_problems {
    char **lines; /* "file:line:column: key: what is wrong; what to write instead" */
    size_t len;
};
void weir_problems_free(struct weir_problems *problems);

/* Loads and checks everything (rules files too). On mistakes: -WEIR_ERR_INPUT, every one of them
 * in `problems`, the first in `err`. A missing or unreadable file is one problem. */
int weir_config_load(struct weir_config **config, const char *path, struct weir_problems *problems,
                     struct weir_err *err);
/* The same for a reload: all that a reload does not take is that of `started`, which must outlive
 * the new one, and sinks and rules are checked against it. NULL: as weir_config_load. */
int weir_config_load_over(struct weir_config **config, const char *path,
                          const struct weir_config *started, struct weir_problems *problems,
                          struct weir_err *err);
/* The file of a command: `given`, else $WEIR_CONFIG, else weir.yaml where it was started, if there
 * is one. NULL when there is none. Borrowed; the environment must not be changed meanwhile. */
const char *weir_config_find(const char *given);
/* What a usage says of it. */
#define WEIR_CONFIG_DEFAULT "without --config: $WEIR_CONFIG, else ./weir.yaml"
/* Finds and loads it for a command: the mistakes go to standard error. -WEIR_ERR_USAGE when none is
 * found. */
int weir_config_load_or_say(struct weir_config **config, const char *path);
/* What is wrong only with several properties of kafka.rdkafka together, or with a file that one of
 * them names: before any broker is asked. 0, or -WEIR_ERR_INPUT with the place and the reason. */
int weir_config_check_clients(const struct weir_config *config, struct weir_err *err);
/* As weir_config_load for one rules file alone; metrics and windows are checked when `config` is
 * not NULL. */
int weir_config_load_rules(struct weir_rules *rules, const char *path,
                           const struct weir_config *config, struct weir_problems *problems,
                           struct weir_err *err);
void weir_config_free(struct weir_config *config);

/* The keys whose change needs a restart, as a sentence into `out`; 0 when a reload is enough. */
int weir_config_restart_needed(const struct weir_config *old, const struct weir_config *new_config,
                               char *out, size_t out_max);

/* The manual: every key, its type, default and meaning, as a Markdown table. */
void weir_config_manual(FILE *out);

#endif
