#include "app/view_print.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/view_table.h"
#include "weir/metric.h"
#include "weir/plan.h"

#define SETTLED "settled."

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

static int64_t time_of(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : INT64_MIN;
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* A figure by what its name says of it. */
static void add_figure(struct weir_table *table, const char *name, const json_t *value) {
    char text[WEIR_TABLE_TEXT_MAX];
    double number = json_number_value(value);
    if (!json_is_number(value)) {
        weir_table_cell(table, "%s", json_is_string(value) ? json_string_value(value) : "-");
    } else if (ends_with(name, "_rate")) {
        weir_table_cell(table, "%.2f %%", number * 100);
    } else if (strstr(name, "duration") || ends_with(name, "_seconds")) {
        weir_table_number(text, number, 1);
        weir_table_cell(table, "%s s", text);
    } else if (json_is_integer(value)) {
        weir_table_number(text, number, 0);
        weir_table_cell(table, "%s", text);
    } else if (strstr(name, "visitors")) { /* an estimate */
        weir_table_number(text, number, 0);
        weir_table_cell(table, "%s", text);
    } else {
        weir_table_number(text, number, fabs(number) < 1 ? 4 : 2);
        weir_table_cell(table, "%s", text);
    }
}

/* ---- windows ---- */

struct field {
    const char *name;
    int rank;
};

/* Metrics before counters, built-in ones before custom ones, live before settled. */
static int rank_of(const char *name) {
    bool settled = strncmp(name, SETTLED, strlen(SETTLED)) == 0;
    const char *base = settled ? name + strlen(SETTLED) : name;
    enum weir_reading reading = settled ? WEIR_SETTLED : WEIR_LIVE;
    int rank = settled ? 1000 : 0;
    size_t len;
    const struct weir_metric *metrics = weir_metrics_builtin(&len);
    for (size_t i = 0; i < len; i++)
        if (metrics[i].reading == reading && strcmp(metrics[i].name, base) == 0)
            return rank + (int)i;
    for (int i = 0; i < WEIR_C_CUSTOM; i++)
        if (weir_counter_info(i)->reading == reading &&
            strcmp(weir_counter_info(i)->name, base) == 0)
            return rank + 200 + i;
    return rank + 100;
}

static int by_rank(const void *left, const void *right) {
    const struct field *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Of the window itself, or the parts of a ratio: not a row. */
static bool is_row(const char *name) {
    static const char *const not_rows[] = {"window", "as_of", "computed_at", "partitions"};
    for (size_t i = 0; i < sizeof not_rows / sizeof not_rows[0]; i++)
        if (strcmp(name, not_rows[i]) == 0)
            return false;
    return !ends_with(name, ".num") && !ends_with(name, ".den");
}

/* Their names are borrowed from `all`. */
static struct field *fields_of(json_t *all, size_t *len) {
    const char *name;
    json_t *value;
    struct field *fields = calloc(json_object_size(all) + 1, sizeof *fields);
    WEIR_ASSERT(fields != NULL);
    *len = 0;
    json_object_foreach(all, name, value) {
        if (is_row(name))
            fields[(*len)++] = (struct field){name, rank_of(name)};
    }
    qsort(fields, *len, sizeof *fields, by_rank);
    return fields;
}

static void add_figures(struct weir_table *table, json_t *windows) {
    json_t *all = json_object(), *window; /* a share of nothing is absent: not all have all */
    size_t fields_len, i;
    json_array_foreach(windows, i, window) {
        json_object_update_missing(all, window);
    }
    struct field *fields = fields_of(all, &fields_len);
    for (size_t f = 0; f < fields_len; f++) {
        weir_table_cell(table, "%s", fields[f].name);
        json_array_foreach(windows, i, window) {
            add_figure(table, fields[f].name, json_object_get(window, fields[f].name));
        }
    }
    free(fields);
    json_decref(all);
}

void weir_view_print_windows(const json_t *tree, int64_t now_ms, FILE *out) {
    json_t *windows = json_object_get(tree, "windows");
    size_t windows_len = json_array_size(windows), i;
    char columns[WEIR_WINDOWS_MAX + 2] = "l", text[WEIR_TABLE_TEXT_MAX];
    json_t *window;
    if (windows_len == 0) {
        fprintf(out,
                "No window of group %s is published yet; `weir run` does so once events come.\n",
                text_of(tree, "group"));
        return;
    }
    memset(columns + 1, 'r', windows_len < WEIR_WINDOWS_MAX ? windows_len : WEIR_WINDOWS_MAX);
    struct weir_table table;
    weir_table_init(&table, columns);
    weir_table_cell(&table, "group %s", text_of(tree, "group"));
    json_array_foreach(windows, i, window) {
        weir_table_cell(&table, "%s", text_of(window, "window"));
    }
    weir_table_cell(&table, "as of");
    json_array_foreach(windows, i, window) {
        weir_table_age(text, time_of(window, "as_of"), now_ms);
        weir_table_cell(&table, "%s", text);
    }
    add_figures(&table, windows);
    weir_table_print(&table, out);
    weir_table_close(&table);
}

/* ---- segments ---- */

static const char *const segment_fields[] = {
    "sessions", "conversion_rate", "bounce_rate",         "cart_abandonment_rate",
    "orders",   "revenue",         "average_order_value",
};
#define SEGMENT_FIELDS (sizeof segment_fields / sizeof segment_fields[0])

static void add_segment_header(struct weir_table *table, const char *dimension) {
    weir_table_cell(table, "%s", dimension);
    for (size_t i = 0; i < SEGMENT_FIELDS; i++)
        weir_table_cell(table, "%s", segment_fields[i]);
}

void weir_view_print_segments(const json_t *tree, int64_t now_ms, FILE *out) {
    json_t *segments = json_object_get(tree, "segments"), *segment;
    const char *dimension = "";
    char text[WEIR_TABLE_TEXT_MAX];
    size_t i;
    if (json_array_size(segments) == 0) {
        fprintf(out, "No segment of group %s is published yet.\n", text_of(tree, "group"));
        return;
    }
    weir_table_age(text, time_of(json_array_get(segments, 0), "as_of"), now_ms);
    fprintf(out, "group %s, window %s, as of %s\n", text_of(tree, "group"), text_of(tree, "window"),
            text);
    struct weir_table table;
    weir_table_init(&table, "lrrrrrrr");
    json_array_foreach(segments, i, segment) {
        const char *its = text_of(segment, "dimension");
        if (strcmp(its, dimension) != 0) {
            if (table.len > 0) {
                weir_table_print(&table, out);
                weir_table_close(&table);
                weir_table_init(&table, "lrrrrrrr");
            }
            fprintf(out, "\n");
            add_segment_header(&table, its);
        }
        dimension = its;
        weir_table_cell(&table, "%s", text_of(segment, "value"));
        for (size_t f = 0; f < SEGMENT_FIELDS; f++)
            add_figure(&table, segment_fields[f], json_object_get(segment, segment_fields[f]));
    }
    weir_table_print(&table, out);
    weir_table_close(&table);
}

/* ---- alerts ---- */

/* "country DE", or "total". */
static void segment_text(char *out, size_t max, const json_t *alert) {
    json_t *segment = json_object_get(alert, "segment"), *value;
    const char *dimension;
    snprintf(out, max, "total");
    json_object_foreach(segment, dimension, value) {
        const char *text = json_string_value(value);
        snprintf(out, max, "%s %s", dimension, text ? text : "-");
    }
}

static void print_alert_list(const json_t *alerts, FILE *out) {
    struct weir_table table;
    const json_t *alert;
    size_t i;
    weir_table_init(&table, "llllrrl");
    static const char *const header[] = {"status", "rule",      "segment", "since",
                                         "value",  "threshold", "summary"};
    for (i = 0; i < sizeof header / sizeof header[0]; i++)
        weir_table_cell(&table, "%s", header[i]);
    json_array_foreach(alerts, i, alert) {
        char segment[256];
        const char *metric = text_of(alert, "metric");
        segment_text(segment, sizeof segment, alert);
        weir_table_cell(&table, "%s", text_of(alert, "status"));
        weir_table_cell(&table, "%s", text_of(alert, "rule"));
        weir_table_cell(&table, "%s", segment);
        weir_table_cell(&table, "%s", text_of(alert, "starts_at"));
        add_figure(&table, metric, json_object_get(alert, "value"));
        add_figure(&table, metric, json_object_get(alert, "threshold"));
        weir_table_cell(&table, "%s", text_of(alert, "summary"));
    }
    weir_table_print(&table, out);
    weir_table_close(&table);
}

void weir_view_print_alerts(const json_t *tree, int64_t now_ms, FILE *out) {
    const json_t *firing = json_object_get(tree, "firing");
    const json_t *recent = json_object_get(tree, "recent");
    (void)now_ms;
    if (json_array_size(firing) == 0) {
        fprintf(out, "No alert of group %s is firing.\n", text_of(tree, "group"));
    } else {
        fprintf(out, "firing\n");
        print_alert_list(firing, out);
    }
    if (json_array_size(recent) == 0)
        return;
    fprintf(out, "\nrecent changes, the newest first\n");
    print_alert_list(recent, out);
}

/* ---- partitions ---- */

static void add_count(struct weir_table *table, const json_t *partition, const char *name) {
    add_figure(table, name, json_object_get(partition, name));
}

static void add_share(struct weir_table *table, const json_t *share) {
    if (json_is_number(share))
        weir_table_cell(table, "%.0f %%", json_number_value(share) * 100);
    else
        weir_table_cell(table, "-");
}

void weir_view_print_partitions(const json_t *tree, int64_t now_ms, FILE *out) {
    json_t *partitions = json_object_get(tree, "partitions"), *partition;
    char text[WEIR_TABLE_TEXT_MAX];
    size_t i;
    if (json_array_size(partitions) == 0) {
        fprintf(out, "No partition of group %s was counted yet; `weir run` does so.\n",
                text_of(tree, "group"));
        return;
    }
    struct weir_table table;
    weir_table_init(&table, "lrlrrrlllr");
    static const char *const header[] = {"topic", "partition", "owner",     "epoch", "offset",
                                         "lag",   "watermark", "committed", "idle",  "split"};
    for (i = 0; i < sizeof header / sizeof header[0]; i++)
        weir_table_cell(&table, "%s", header[i]);
    json_array_foreach(partitions, i, partition) {
        weir_table_cell(&table, "%s", text_of(partition, "topic"));
        add_count(&table, partition, "partition");
        weir_table_cell(&table, "%.8s", text_of(partition, "owner"));
        add_count(&table, partition, "epoch");
        add_count(&table, partition, "offset");
        add_count(&table, partition, "lag");
        weir_table_time(text, time_of(partition, "watermark"));
        weir_table_cell(&table, "%s", text);
        int64_t committed_ms = time_of(partition, "committed_at");
        snprintf(text, sizeof text, "-");
        if (committed_ms != INT64_MIN)
            weir_table_age(text, committed_ms, now_ms);
        weir_table_cell(&table, "%s", text);
        weir_table_cell(&table, "%s",
                        json_is_true(json_object_get(partition, "idle")) ? "yes" : "no");
        add_share(&table, json_object_get(partition, "split_sessions"));
    }
    weir_table_print(&table, out);
    weir_table_close(&table);
}
