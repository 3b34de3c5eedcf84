#include <stdio.h>

#include "app/worker_state.h"
#include "weir/clock.h"
#include "weir/log.h"

#define FLUSH_MS 10000
#define SAMPLE_US 1000000

/* One a second is shown in the log, so that a flood of bad records does not fill the disk. */
static void sample(struct weir_worker *w, const struct weir_record *record, const char *reason) {
    int64_t now_us = weir_clock_monotonic_us();
    if (now_us < w->sample_us)
        return;
    w->sample_us = now_us + SAMPLE_US;
    weir_log(WEIR_LOG_WARN, "deadletter", "record not counted", WEIR_STR("reason", reason),
             WEIR_STR("topic", w->config->kafka.topics[record->topic]),
             WEIR_INT("partition", record->partition), WEIR_INT("offset", record->offset),
             WEIR_INT("bytes", (int64_t)record->len), WEIR_LOG_END);
}

void weir_dead_letter(struct weir_worker *w, const struct weir_record *record,
                      enum weir_reason reason) {
    const char *name = weir_reason_name(reason);
    sample(w, record, name);
    if (!w->dead_letters)
        return;
    char partition[16], offset[32];
    snprintf(partition, sizeof partition, "%d", record->partition);
    snprintf(offset, sizeof offset, "%lld", (long long)record->offset);
    const struct weir_header headers[] = {
        {"weir-reason", name},
        {"weir-topic", w->config->kafka.topics[record->topic]},
        {"weir-partition", partition},
        {"weir-offset", offset},
        {NULL, NULL},
    };
    struct weir_err err; /* the producer counts and logs what it cannot send */
    if (weir_producer_send(w->dead_letters, w->config->dead_letter_topic, -1, record->key,
                           record->key_len, record->value, record->len,
                           record->timestamp_ms > 0 ? record->timestamp_ms : 0, headers, &err) == 0)
        w->figures.dead_letters_sent++;
}

int weir_dead_letter_flush(struct weir_worker *w) {
    if (!w->dead_letters || w->figures.dead_letters_sent == w->dead_letters_flushed)
        return 0;
    int left = weir_producer_flush(w->dead_letters, FLUSH_MS);
    if (left > 0)
        return weir_err_set(&w->err, WEIR_ERR_UNREACHABLE,
                            "%d dead letters are not with Kafka yet (topic %s)", left,
                            w->config->dead_letter_topic);
    w->dead_letters_flushed = w->figures.dead_letters_sent;
    return 0;
}
