#include "app/metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define LEN(array) (sizeof(array) / sizeof(array)[0])
#define NUMBER_MAX 48

/* How a figure lies in its struct, and how it is written. */
enum kind {
    U64,
    U32,
    LIMIT, /* uint32_t; UINT32_MAX: none */
    SIZE,
    I64,    /* negative: not known */
    BOOL,   /* 0 or 1 */
    DOUBLE, /* negative: not known */
    US,     /* uint64_t in us, as seconds */
    MS_AGE, /* event time in ms, as its age in seconds; INT64_MIN: not known */
    US_AGE, /* monotonic time in us, as its age in seconds */
};

struct sheet {
    struct weir_buf *out;
    const struct weir_metrics_input *input;
};

struct row {
    const char *name, *type, *labels, *help;
    void (*put)(struct sheet *sheet, const struct row *row);
    enum kind kind;
    size_t at, count_at; /* offsets in the struct that `put` is about; count_at: of a summary */
};

/* ---- one sample ---- */

static void put_label_value(struct weir_buf *out, const char *value) {
    for (; *value; value++) {
        if (*value == '\n')
            weir_buf_text(out, "\\n");
        else if (*value == '"' || *value == '\\')
            weir_buf_printf(out, "\\%c", *value);
        else
            weir_buf_byte(out, (uint8_t)*value);
    }
}

/* `labels` are names and values in turn, up to a NULL name. */
static void put_sample(struct sheet *sheet, const char *name, const char *suffix,
                       const char *const *labels, const char *value) {
    struct weir_buf *out = sheet->out;
    weir_buf_printf(out, "%s%s", name, suffix);
    for (size_t i = 0; labels && labels[i]; i += 2) {
        weir_buf_printf(out, "%s%s=\"", i ? "," : "{", labels[i]);
        put_label_value(out, labels[i + 1]);
        weir_buf_text(out, "\"");
    }
    weir_buf_printf(out, "%s %s\n", labels && labels[0] ? "}" : "", value);
}

static bool seconds_text(char *text, int64_t us) {
    snprintf(text, NUMBER_MAX, "%s%" PRId64 ".%06" PRId64, us < 0 ? "-" : "",
             (us < 0 ? -us : us) / 1000000, (us < 0 ? -us : us) % 1000000);
    return true;
}

/* False when the figure is not known. */
static bool number_text(char *text, const struct sheet *sheet, enum kind kind, const void *at) {
    int64_t signed_value = 0;
    switch (kind) {
    case U64:
        return snprintf(text, NUMBER_MAX, "%" PRIu64, *(const uint64_t *)at) > 0;
    case U32:
        return snprintf(text, NUMBER_MAX, "%" PRIu32, *(const uint32_t *)at) > 0;
    case LIMIT:
        if (*(const uint32_t *)at == UINT32_MAX)
            return snprintf(text, NUMBER_MAX, "+Inf") > 0;
        return snprintf(text, NUMBER_MAX, "%" PRIu32, *(const uint32_t *)at) > 0;
    case SIZE:
        return snprintf(text, NUMBER_MAX, "%zu", *(const size_t *)at) > 0;
    case BOOL:
        return snprintf(text, NUMBER_MAX, "%d", *(const bool *)at) > 0;
    case I64:
        signed_value = *(const int64_t *)at;
        snprintf(text, NUMBER_MAX, "%" PRId64, signed_value);
        return signed_value >= 0;
    case DOUBLE:
        snprintf(text, NUMBER_MAX, "%.15g", *(const double *)at);
        return *(const double *)at >= 0;
    case US:
        return seconds_text(text, *(const int64_t *)at);
    case MS_AGE:
        signed_value = *(const int64_t *)at;
        return signed_value != INT64_MIN &&
               seconds_text(text, (sheet->input->wall_ms - signed_value) * 1000);
    case US_AGE:
        return seconds_text(text, sheet->input->now_us - *(const int64_t *)at);
    }
    return false;
}

static void put_figure(struct sheet *sheet, const struct row *row, const char *const *labels,
                       const void *figures) {
    char text[NUMBER_MAX];
    if (number_text(text, sheet, row->kind, (const char *)figures + row->at))
        put_sample(sheet, row->name, "", labels, text);
}

/* ---- all samples of a name ---- */

static uint64_t sum(const struct sheet *sheet, size_t at) {
    uint64_t total = 0;
    for (size_t i = 0; i < sheet->input->workers_len; i++)
        total += *(const uint64_t *)((const char *)&sheet->input->workers[i] + at);
    return total;
}

static void put_sum(struct sheet *sheet, const struct row *row) {
    char text[NUMBER_MAX];
    uint64_t total = sum(sheet, row->at);
    if (number_text(text, sheet, row->kind, &total))
        put_sample(sheet, row->name, "", NULL, text);
}

static void put_summary_of(struct sheet *sheet, const struct row *row, uint64_t us,
                           uint64_t count) {
    char text[NUMBER_MAX];
    number_text(text, sheet, US, &us);
    put_sample(sheet, row->name, "_sum", NULL, text);
    number_text(text, sheet, U64, &count);
    put_sample(sheet, row->name, "_count", NULL, text);
}

static void put_summary(struct sheet *sheet, const struct row *row) {
    put_summary_of(sheet, row, sum(sheet, row->at), sum(sheet, row->count_at));
}

static void put_max(struct sheet *sheet, const struct row *row) {
    uint64_t most = 0;
    char text[NUMBER_MAX];
    for (size_t i = 0; i < sheet->input->workers_len; i++) {
        uint64_t one = *(const uint64_t *)((const char *)&sheet->input->workers[i] + row->at);
        most = one > most ? one : most;
    }
    number_text(text, sheet, row->kind, &most);
    put_sample(sheet, row->name, "", NULL, text);
}

/* 1 when it is so for every worker. */
static void put_all(struct sheet *sheet, const struct row *row) {
    bool all = true;
    for (size_t i = 0; i < sheet->input->workers_len; i++)
        all &= *(const bool *)((const char *)&sheet->input->workers[i] + row->at);
    put_sample(sheet, row->name, "", NULL, all ? "1" : "0");
}

static void put_workers(struct sheet *sheet, const struct row *row) {
    for (size_t i = 0; i < sheet->input->workers_len; i++) {
        char number[NUMBER_MAX];
        snprintf(number, sizeof number, "%zu", i);
        put_figure(sheet, row, (const char *[]){"worker", number, NULL}, &sheet->input->workers[i]);
    }
}

static void put_reasons(struct sheet *sheet, const struct row *row) {
    for (int reason = WEIR_OK + 1; reason < WEIR_REASONS; reason++) {
        if (reason == WEIR_LATE)
            continue; /* counted, but no dead letter */
        char text[NUMBER_MAX];
        uint64_t total = sum(sheet, row->at + (size_t)reason * sizeof(uint64_t));
        number_text(text, sheet, U64, &total);
        put_sample(sheet, row->name, "",
                   (const char *[]){"reason", weir_reason_name((enum weir_reason)reason), NULL},
                   text);
    }
}

static void put_partitions(struct sheet *sheet, const struct row *row) {
    for (size_t i = 0; i < sheet->input->workers_len; i++) {
        const struct weir_worker_figures *worker = &sheet->input->workers[i];
        for (uint32_t j = 0; j < worker->partitions_len; j++) {
            const struct weir_partition_figures *partition = &worker->partitions[j];
            char number[NUMBER_MAX];
            snprintf(number, sizeof number, "%" PRId32, partition->number);
            put_figure(sheet, row,
                       (const char *[]){"topic", partition->topic, "partition", number, NULL},
                       partition);
        }
    }
}

static void put_evaluator(struct sheet *sheet, const struct row *row) {
    if (sheet->input->evaluator)
        put_figure(sheet, row, NULL, sheet->input->evaluator);
}

static void put_evaluator_summary(struct sheet *sheet, const struct row *row) {
    const char *figures = (const char *)sheet->input->evaluator;
    if (figures)
        put_summary_of(sheet, row, *(const uint64_t *)(figures + row->at),
                       *(const uint64_t *)(figures + row->count_at));
}

static void put_suspect(struct sheet *sheet, const struct row *row) {
    if (sheet->input->evaluator)
        put_sample(sheet, row->name, "", NULL, *sheet->input->evaluator->suspect ? "1" : "0");
}

static void put_alerts(struct sheet *sheet, const struct row *row) {
    const struct weir_evaluator_figures *evaluator = sheet->input->evaluator;
    char text[NUMBER_MAX];
    if (!evaluator)
        return;
    number_text(text, sheet, U32, &evaluator->firing);
    put_sample(sheet, row->name, "", (const char *[]){"state", "firing", NULL}, text);
    number_text(text, sheet, U32, &evaluator->pending);
    put_sample(sheet, row->name, "", (const char *[]){"state", "pending", NULL}, text);
}

static void put_sinks(struct sheet *sheet, const struct row *row) {
    for (size_t i = 0; i < sheet->input->sinks_len; i++)
        put_figure(sheet, row, (const char *[]){"sink", sheet->input->sinks[i].name, NULL},
                   &sheet->input->sinks[i]);
}

static void put_process(struct sheet *sheet, const struct row *row) {
    put_figure(sheet, row, NULL, &sheet->input->process);
}

/* Nothing without a limit. */
static void put_memory(struct sheet *sheet, const struct row *row) {
    if (sheet->input->memory.limit > 0)
        put_figure(sheet, row, NULL, &sheet->input->memory);
}

static void put_memory_fits(struct sheet *sheet, const struct row *row) {
    uint64_t assigned = 0;
    for (size_t i = 0; i < sheet->input->workers_len; i++)
        assigned += sheet->input->workers[i].assigned;
    if (sheet->input->memory.limit > 0)
        put_sample(sheet, row->name, "", NULL,
                   assigned <= sheet->input->memory.partitions ? "1" : "0");
}

static void put_build(struct sheet *sheet, const struct row *row) {
    put_sample(
        sheet, row->name, "",
        (const char *[]){"version", WEIR_VERSION, "librdkafka", sheet->input->kafka_version, NULL},
        "1");
}

/* ---- the table ---- */

#define WORKER(field) offsetof(struct weir_worker_figures, field)
#define PARTITION(field) offsetof(struct weir_partition_figures, field)
#define EVALUATOR(field) offsetof(struct weir_evaluator_figures, field)
#define SINK(field) offsetof(struct weir_sink_figures, field)
#define MEMORY(field) offsetof(struct weir_memory_shares, field)
#define PROCESS(field) offsetof(struct weir_process_figures, field)

static const struct row rows[] = {
    {"weir_records_total", "counter", "", "Kafka records read", put_sum, U64, WORKER(records), 0},
    {"weir_record_bytes_total", "counter", "", "bytes of the records read", put_sum, U64,
     WORKER(bytes), 0},
    {"weir_events_total", "counter", "", "events counted", put_sum, U64, WORKER(events), 0},
    {"weir_late_events_total", "counter", "",
     "events behind the watermark by more than time.allowed_lateness, not added", put_sum, U64,
     WORKER(late), 0},
    {"weir_dead_letters_total", "counter", "reason", "records and events that cannot be counted",
     put_reasons, U64, WORKER(rejected), 0},
    {"weir_dead_letters_sent_total", "counter", "", "records sent to kafka.dead_letter_topic",
     put_sum, U64, WORKER(dead_letters_sent), 0},
    {"weir_dead_letters_failed_total", "counter", "",
     "records that kafka.dead_letter_topic did not take (the log says why)", put_sum, U64,
     WORKER(dead_letters_failed), 0},
    {"weir_partition_lag", "gauge", "topic, partition", "records behind the end of the partition",
     put_partitions, I64, PARTITION(lag), 0},
    {"weir_partition_offset", "gauge", "topic, partition", "the next offset to be counted",
     put_partitions, I64, PARTITION(status.offset), 0},
    {"weir_partition_watermark_age_seconds", "gauge", "topic, partition",
     "wall clock less the partition's watermark", put_partitions, MS_AGE,
     PARTITION(status.watermark_ms), 0},
    {"weir_partition_idle", "gauge", "topic, partition",
     "1 while nothing came for time.idle_timeout", put_partitions, BOOL, PARTITION(idle), 0},
    {"weir_open_sessions", "gauge", "topic, partition", "sessions that have not ended",
     put_partitions, U32, PARTITION(status.open_sessions), 0},
    {"weir_partition_memory_bytes", "gauge", "topic, partition",
     "memory of the partition's state, about", put_partitions, SIZE, PARTITION(status.memory_bytes),
     0},
    {"weir_worker_stalled", "gauge", "worker",
     "1 while nothing can be committed, so that nothing is consumed", put_workers, BOOL,
     WORKER(stalled), 0},
    {"weir_worker_caught_up", "gauge", "worker", "1 while no partition is behind its end",
     put_workers, BOOL, WORKER(caught_up), 0},
    {"weir_worker_partitions", "gauge", "worker", "partitions that the worker owns", put_workers,
     U32, WORKER(partitions_len), 0},
    {"weir_worker_seen_age_seconds", "gauge", "worker", "since the worker's last sign of life",
     put_workers, US_AGE, WORKER(seen_us), 0},
    {"weir_redis_up", "gauge", "", "1 while every worker reaches Redis", put_all, BOOL,
     WORKER(redis_up), 0},
    {"weir_kafka_up", "gauge", "", "1 while every worker reaches Kafka", put_all, BOOL,
     WORKER(kafka_up), 0},
    {"weir_commits_total", "counter", "", "commits to Redis", put_sum, U64, WORKER(commits), 0},
    {"weir_commit_seconds", "summary", "", "duration of the commits", put_summary, US,
     WORKER(commit_us_sum), WORKER(commits)},
    {"weir_commit_seconds_max", "gauge", "", "the longest commit since the start", put_max, US,
     WORKER(commit_us_max), 0},
    {"weir_commit_bytes_total", "counter", "", "bytes sent in commits", put_sum, U64,
     WORKER(commit_bytes), 0},
    {"weir_fenced_total", "counter", "", "commits refused: somebody else owns the partition",
     put_sum, U64, WORKER(fenced), 0},
    {"weir_duplicates_total", "counter", "",
     "commits that were there already: the reply of an earlier try was lost", put_sum, U64,
     WORKER(duplicates), 0},
    {"weir_rollbacks_total", "counter", "", "partitions read again: Redis had lost writes", put_sum,
     U64, WORKER(rolled_back), 0},
    {"weir_redis_errors_total", "counter", "", "commits that Redis did not take at first", put_sum,
     U64, WORKER(redis_errors), 0},
    {"weir_kafka_errors_total", "counter", "", "errors that Kafka's client reported", put_sum, U64,
     WORKER(kafka_errors), 0},
    {"weir_evaluator_leader", "gauge", "", "1 while this process holds the evaluator's lease",
     put_evaluator, BOOL, EVALUATOR(leader), 0},
    {"weir_evaluator_redis_up", "gauge", "", "1 while the evaluator reaches Redis", put_evaluator,
     BOOL, EVALUATOR(redis_up), 0},
    {"weir_evaluator_steps_total", "counter", "", "windows published and rules evaluated",
     put_evaluator, U64, EVALUATOR(steps), 0},
    {"weir_evaluator_step_seconds", "summary", "", "duration of these steps", put_evaluator_summary,
     US, EVALUATOR(step_us_sum), EVALUATOR(steps)},
    {"weir_evaluator_step_seconds_max", "gauge", "", "the longest step since the start",
     put_evaluator, US, EVALUATOR(step_us_max), 0},
    {"weir_evaluator_redis_errors_total", "counter", "", "steps that Redis did not take at first",
     put_evaluator, U64, EVALUATOR(redis_errors), 0},
    {"weir_evaluator_partitions", "gauge", "", "partitions that are added up", put_evaluator, U32,
     EVALUATOR(partitions), 0},
    {"weir_evaluator_segments", "gauge", "", "segments over all dimensions", put_evaluator, U32,
     EVALUATOR(segments), 0},
    {"weir_evaluator_as_of_age_seconds", "gauge", "",
     "wall clock less the time that the shortest window is true of", put_evaluator, MS_AGE,
     EVALUATOR(as_of_ms), 0},
    {"weir_evaluator_memory_bytes", "gauge", "", "memory of the windows, about", put_evaluator, U64,
     EVALUATOR(memory_bytes), 0},
    {"weir_evaluator_values_kept", "gauge", "",
     "values of a dimension that the windows keep apart at most; +Inf until `memory` limits them",
     put_evaluator, LIMIT, EVALUATOR(values_kept), 0},
    {"weir_evaluator_suspect", "gauge", "", "1 while the data cannot be trusted", put_suspect, BOOL,
     0, 0},
    {"weir_split_sessions_ratio", "gauge", "",
     "share of the sessions whose events lie in more than one partition, an estimate",
     put_evaluator, DOUBLE, EVALUATOR(split_ratio), 0},
    {"weir_alerts", "gauge", "state", "alerts, firing and pending", put_alerts, U32, 0, 0},
    {"weir_alert_changes_total", "counter", "", "changes of an alert's state", put_evaluator, U64,
     EVALUATOR(alert_changes), 0},
    {"weir_sink_sent_total", "counter", "sink", "alerts that the sink took", put_sinks, U64,
     SINK(sent), 0},
    {"weir_sink_failures_total", "counter", "sink", "tries that failed and are made again",
     put_sinks, U64, SINK(failed), 0},
    {"weir_sink_refused_total", "counter", "sink", "alerts that the sink refused for good",
     put_sinks, U64, SINK(refused), 0},
    {"weir_sink_dropped_total", "counter", "sink",
     "alerts that the sink's queue had no room for: alerts.outbox_max", put_sinks, U64,
     SINK(dropped), 0},
    {"weir_sink_waiting", "gauge", "sink", "alerts in the sink's queue", put_sinks, I64,
     SINK(waiting), 0},
    {"weir_memory_limit_bytes", "gauge", "", "what `memory` allows the process", put_memory, SIZE,
     MEMORY(limit), 0},
    {"weir_memory_partitions", "gauge", "",
     "partitions that fit in `memory`, each as full as may be", put_memory, U32, MEMORY(partitions),
     0},
    {"weir_memory_fits", "gauge", "", "1 while no more partitions are assigned here than fit",
     put_memory_fits, BOOL, 0, 0},
    {"process_cpu_seconds_total", "counter", "", "user and system time", put_process, DOUBLE,
     PROCESS(cpu_seconds), 0},
    {"process_start_time_seconds", "gauge", "", "start, since 1970 UTC", put_process, DOUBLE,
     PROCESS(start_seconds), 0},
    {"process_resident_memory_bytes", "gauge", "", "resident memory", put_process, I64,
     PROCESS(resident_bytes), 0},
    {"process_virtual_memory_bytes", "gauge", "", "virtual memory", put_process, I64,
     PROCESS(virtual_bytes), 0},
    {"process_threads", "gauge", "", "threads", put_process, I64, PROCESS(threads), 0},
    {"process_open_fds", "gauge", "", "open file descriptors", put_process, I64, PROCESS(open_fds),
     0},
    {"process_max_fds", "gauge", "", "the limit of open file descriptors", put_process, I64,
     PROCESS(max_fds), 0},
    {"weir_build_info", "gauge", "version, librdkafka", "always 1", put_build, BOOL, 0, 0},
};

void weir_metrics_text(struct weir_buf *out, const struct weir_metrics_input *input) {
    struct sheet sheet = {out, input};
    for (size_t i = 0; i < LEN(rows); i++) {
        weir_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help,
                        rows[i].name, rows[i].type);
        rows[i].put(&sheet, &rows[i]);
    }
}

void weir_metrics_manual(FILE *out) {
    fprintf(out, "| name | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < LEN(rows); i++)
        fprintf(out, "| `%s` | %s | %s | %s |\n", rows[i].name, rows[i].type, rows[i].labels,
                rows[i].help);
}
