/* /metrics: the text format, from made-up figures; and the manual, from the same table. */
#include "app/metrics_text.h"

#include <ctype.h>
#include <stdlib.h>

#include "check.h"

static struct weir_worker_figures workers[2];
static struct weir_partition_figures partitions[2];

static struct weir_metrics_input figures(void) {
    static struct weir_evaluator_figures evaluator = {.leader = true,
                                                      .steps = 4,
                                                      .values_kept = UINT32_MAX,
                                                      .step_us_sum = 1500000,
                                                      .as_of_ms = 990000,
                                                      .firing = 2,
                                                      .pending = 1,
                                                      .suspect = "lag",
                                                      .split_ratio = 0.25};
    static const struct weir_sink_figures sinks[] = {{"pager", 7, 2, 1, 3, 5}};
    workers[0] = (struct weir_worker_figures){.records = 10,
                                              .events = 9,
                                              .late = 1,
                                              .commits = 3,
                                              .commit_us_sum = 2500000,
                                              .commit_us_max = 1000001,
                                              .duplicates = 6,
                                              .redis_up = true,
                                              .kafka_up = true,
                                              .seen_us = 3000000,
                                              .assigned = 2,
                                              .partitions_len = 2,
                                              .partitions = partitions};
    workers[0].rejected[WEIR_BAD_JSON] = 5;
    workers[0].rejected[WEIR_LATE] = 77;
    partitions[0] = (struct weir_partition_figures){
        .topic = "a\"b\\c\nd",
        .number = 3,
        .lag = 12,
        .status = {.offset = 100, .watermark_ms = 998500, .open_sessions = 6, .memory_bytes = 99}};
    partitions[1] =
        (struct weir_partition_figures){.topic = "t",
                                        .number = 4,
                                        .lag = -1,
                                        .idle = true,
                                        .status = {.offset = -1, .watermark_ms = INT64_MIN}};
    workers[1] = (struct weir_worker_figures){.records = UINT64_C(1) << 60,
                                              .commit_us_max = 5,
                                              .redis_up = true,
                                              .stalled = true,
                                              .assigned = 2};
    return (struct weir_metrics_input){.wall_ms = 1000000,
                                       .now_us = 4000000,
                                       .workers = workers,
                                       .workers_len = 2,
                                       .evaluator = &evaluator,
                                       .sinks = sinks,
                                       .sinks_len = 1,
                                       .process = {1.5, 1700000000.25, 4096, 8192, 3, -1, 1024},
                                       .memory = {.limit = (size_t)1 << 30, .partitions = 3},
                                       .kafka_version = "2.0.2"};
}

static bool has_line(const char *text, const char *line) {
    size_t len = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at += len)
        if ((at == text || at[-1] == '\n') && at[len] == '\n')
            return true;
    printf("there is no line: %s\n", line);
    return false;
}

static void test_samples(const char *text) {
    static const char *const lines[] = {
        "# TYPE weir_records_total counter",
        "weir_records_total 1152921504606846986",
        "weir_events_total 9",
        "weir_late_events_total 1",
        "weir_duplicates_total 6",
        "weir_dead_letters_total{reason=\"bad_json\"} 5",
        "weir_dead_letters_total{reason=\"tombstone\"} 0",
        "weir_partition_lag{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 12",
        "weir_partition_offset{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 100",
        "weir_partition_watermark_age_seconds{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 1.500000",
        "weir_open_sessions{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 6",
        "weir_partition_memory_bytes{topic=\"a\\\"b\\\\c\\nd\",partition=\"3\"} 99",
        "weir_partition_idle{topic=\"t\",partition=\"4\"} 1",
        "weir_worker_stalled{worker=\"0\"} 0",
        "weir_memory_limit_bytes 1073741824",
        "weir_memory_partitions 3",
        "weir_memory_fits 0",
        "weir_worker_stalled{worker=\"1\"} 1",
        "weir_worker_seen_age_seconds{worker=\"0\"} 1.000000",
        "weir_redis_up 1",
        "weir_kafka_up 0",
        "# TYPE weir_commit_seconds summary",
        "weir_commit_seconds_sum 2.500000",
        "weir_commit_seconds_count 3",
        "weir_commit_seconds_max 1.000001",
        "weir_evaluator_leader 1",
        "weir_evaluator_step_seconds_sum 1.500000",
        "weir_evaluator_step_seconds_count 4",
        "weir_evaluator_as_of_age_seconds 10.000000",
        "weir_evaluator_values_kept +Inf",
        "weir_evaluator_suspect 1",
        "weir_split_sessions_ratio 0.25",
        "weir_alerts{state=\"firing\"} 2",
        "weir_alerts{state=\"pending\"} 1",
        "weir_sink_sent_total{sink=\"pager\"} 7",
        "weir_sink_dropped_total{sink=\"pager\"} 5",
        "weir_sink_waiting{sink=\"pager\"} 3",
        "process_cpu_seconds_total 1.5",
        "process_start_time_seconds 1700000000.25",
        "process_max_fds 1024",
        "weir_build_info{version=\"" WEIR_VERSION "\",librdkafka=\"2.0.2\"} 1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        CHECK(has_line(text, lines[i]));
    static const char *const absent[] = {
        "partition_lag{topic=\"t\"",
        "partition_offset{topic=\"t\"",
        "age_seconds{topic=\"t\"",
        "reason=\"late\"",
        "reason=\"ok\"",
        "\nprocess_open_fds ",
    };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        CHECK(!strstr(text, absent[i]));
}

/* Every line is a comment or a sample of the name that was announced last; every name once. */
static void test_shape(char *text) {
    char name[128] = "", seen[64][128];
    size_t names = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            for (size_t i = 0; i < names; i++)
                CHECK(strcmp(seen[i], name) != 0);
            if (names < 64)
                snprintf(seen[names++], sizeof seen[0], "%s", name);
            for (const char *at = name; *at; at++)
                CHECK(islower((unsigned char)*at) || *at == '_');
            bool counter = strstr(line, "_total ") != NULL;
            line = strtok(NULL, "\n");
            CHECK(line && strncmp(line, "# TYPE ", 7) == 0 && strstr(line, name));
            CHECK(!line || (strstr(line, " counter") != NULL) == counter);
            continue;
        }
        const char *value = strrchr(line, ' ');
        char *end = NULL;
        CHECK(strncmp(line, name, strlen(name)) == 0);
        CHECK(value && strtod(value + 1, &end) >= 0 && end && *end == 0);
    }
    CHECK(names > 40);
}

static void test_empty(void) {
    struct weir_buf out;
    struct weir_metrics_input input = {.kafka_version = "2"};
    weir_buf_init(&out, 1 << 20);
    weir_metrics_text(&out, &input);
    weir_buf_byte(&out, 0);
    CHECK(!out.failed && has_line(out.data, "weir_records_total 0"));
    CHECK(!strstr(out.data, "\nweir_evaluator_leader ") && !strstr(out.data, "\nweir_alerts{"));
    weir_buf_close(&out);
}

static void test_manual(void) {
    char *text = NULL;
    size_t len = 0, rows = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        exit(1);
    weir_metrics_manual(out);
    fclose(out);
    for (const char *at = text; (at = strstr(at, "\n| `")) != NULL; at++)
        rows++;
    CHECK(rows > 40);
    CHECK(strstr(text, "| `weir_partition_lag` | gauge | topic, partition | ") != NULL);
    free(text);
}

static void test_process(void) {
    struct weir_process_figures process;
    weir_process_figures(&process);
    CHECK(process.resident_bytes > 100000 && process.virtual_bytes >= process.resident_bytes);
    CHECK(process.cpu_seconds >= 0 && process.cpu_seconds < 600);
    CHECK(process.start_seconds > 1.6e9 && process.threads >= 1);
    CHECK(process.open_fds >= 3 && process.max_fds >= process.open_fds);
}

int main(void) {
    struct weir_buf out;
    struct weir_metrics_input input = figures();
    weir_buf_init(&out, 1 << 20);
    weir_metrics_text(&out, &input);
    weir_buf_byte(&out, 0);
    CHECK(!out.failed);
    test_samples(out.data);
    test_shape(out.data);
    weir_buf_close(&out);
    test_empty();
    test_manual();
    test_process();
    return check_done("metrics_text");
}
