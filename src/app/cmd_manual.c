/* weir manual: the tables of config keys and of metrics, as Markdown, from the program itself. */
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/metrics_text.h"
#include "weir/config.h"
#include "weir/metric.h"

static const char *prefix_of(enum weir_reading reading) {
    return reading == WEIR_SETTLED ? "settled." : "";
}

static const char *reading_of(enum weir_reading reading) {
    return reading == WEIR_SETTLED ? "settled" : "live";
}

static void print_metrics(void) {
    size_t len;
    const struct weir_metric *metrics = weir_metrics_builtin(&len);
    printf(
        "Metrics of a window or a segment, each with `<name>.num` and `<name>.den` beside it:\n\n"
        "| metric | reading | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < len; i++)
        printf("| `%s%s` | %s | %s |\n", prefix_of(metrics[i].reading), metrics[i].name,
               reading_of(metrics[i].reading), metrics[i].help);
}

static void print_counters(void) {
    static const char *const units[] = {"count", "seconds", "money"};
    printf("\nCounters of a window or a segment:\n\n"
           "| counter | reading | unit | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < WEIR_C_CUSTOM; i++) {
        const struct weir_counter_info *info = weir_counter_info(i);
        printf("| `%s%s` | %s | %s | %s |\n", prefix_of(info->reading), info->name,
               reading_of(info->reading), units[info->unit], info->help);
    }
}

/* What evaluator and view add to the counters. */
static void print_others(void) {
    printf("\nBeside them:\n\n| field | of | meaning |\n|---|---|---|\n"
           "| `as_of` | all | the watermark that the figures are true of, ms since 1970 UTC |\n"
           "| `computed_at` | all | when they were written, ms since 1970 UTC |\n"
           "| `partitions` | all | Kafka partitions that are in them |\n"
           "| `sample` | all | sessions started: how much the live shares rest on |\n"
           "| `visitors` | windows | distinct visitors, an estimate (HyperLogLog, 1.6 %%) |\n"
           "| `settled.session_duration.p50` | windows | median of the settled durations, within 1 "
           "%% |\n"
           "| `settled.session_duration.p90` | windows | 90th percentile |\n"
           "| `settled.session_duration.p99` | windows | 99th percentile |\n");
}

int weir_cmd_manual(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "config") == 0) {
        weir_config_manual(stdout);
    } else if (argc == 2 && strcmp(argv[1], "metrics") == 0) {
        print_metrics();
        print_counters();
        print_others();
        printf("\nWhat `/metrics` serves:\n\n");
        weir_metrics_manual(stdout);
    } else {
        fprintf(stderr, "usage: weir manual config | metrics\n");
        return WEIR_ERR_USAGE;
    }
    return 0;
}
