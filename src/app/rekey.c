#include "app/rekey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/clock.h"
#include "weir/log.h"

#define POLL_MS 100
#define BATCH_MAX 2000
#define COMMIT_US 1000000
#define COMMIT_RECORDS 20000
#define ABORTS_MAX 10 /* in a row */

/* The way of a record: take it, keep it until no earlier one can come, read its session's id, send
 * it under that key; once a second commit all that was sent. */

static struct weir_str id_of(const struct weir_event *event) {
    return event->session.len > 0 ? event->session : event->visitor;
}

/* The id of the first session in the record; data NULL when there is none. */
static struct weir_str find_key(const struct weir_decoded *decoded, bool *mixed) {
    struct weir_str key = {NULL, 0};
    *mixed = false;
    for (size_t i = 0; i < decoded->len; i++) {
        struct weir_str id = id_of(&decoded->events[i]);
        if (id.len == 0)
            continue;
        if (!key.data)
            key = id;
        *mixed |= id.len != key.len || memcmp(id.data, key.data, id.len) != 0;
    }
    return key;
}

static int send(struct weir_rekey *rekey, const struct weir_record *record, struct weir_err *err) {
    struct weir_decoded decoded;
    bool mixed;
    weir_decode(rekey->decoder, record->value, record->len, &decoded);
    struct weir_str key = find_key(&decoded, &mixed);
    rekey->pending.copied++;
    rekey->pending.mixed += mixed;
    rekey->pending.unkeyed += key.data == NULL;
    if (!key.data)
        return weir_copier_send(rekey->copier, record, record->key, record->key_len, err);
    return weir_copier_send(rekey->copier, record, key.data, key.len, err);
}

/* The transaction is lost: everything since the last commit once more. */
static int start_over(struct weir_rekey *rekey, struct weir_err *err) {
    weir_log(WEIR_LOG_WARN, "rekey", "a transaction was undone; reading again",
             WEIR_STR("why", err->text), WEIR_LOG_END);
    if (++rekey->aborts >= ABORTS_MAX)
        return -err->code;
    weir_rekey_drop_all(rekey);
    rekey->pending = (struct weir_rekey_figures){0};
    for (size_t i = 0; i < rekey->sources_len; i++) {
        struct weir_rekey_source *source = &rekey->sources[i];
        source->taken = source->committed;
        source->held = false;
    }
    weir_clock_sleep_ms(POLL_MS * rekey->aborts);
    rekey->begun_us = weir_clock_monotonic_us(); /* Kafka may not know yet what was passed */
    return weir_rekey_read_on(rekey, err);
}

static void add_figures(struct weir_rekey *rekey) {
    rekey->figures.copied += rekey->pending.copied;
    rekey->figures.unkeyed += rekey->pending.unkeyed;
    rekey->figures.mixed += rekey->pending.mixed;
    rekey->pending = (struct weir_rekey_figures){0};
}

int weir_rekey_commit(struct weir_rekey *rekey, struct weir_err *err) {
    struct weir_topic_partition *offsets = calloc(rekey->sources_len + 1, sizeof *offsets);
    WEIR_ASSERT(offsets != NULL);
    for (size_t i = 0; i < rekey->sources_len; i++) {
        const struct weir_rekey_source *source = &rekey->sources[i];
        offsets[i] = (struct weir_topic_partition){source->topic, source->number,
                                                   weir_rekey_next(source)};
    }
    int status =
        weir_copier_commit(rekey->copier, rekey->consumer, offsets, rekey->sources_len, err);
    free(offsets);
    if (status > 0)
        status = start_over(rekey, err) == 0 ? 1 : -err->code;
    if (status != 0)
        return status;
    for (size_t i = 0; i < rekey->sources_len; i++)
        rekey->sources[i].committed = weir_rekey_next(&rekey->sources[i]);
    add_figures(rekey);
    rekey->aborts = 0;
    rekey->begun_us = 0;
    return 0;
}

static bool commit_is_due(const struct weir_rekey *rekey) {
    return rekey->pending.copied >= COMMIT_RECORDS ||
           (rekey->begun_us != 0 && weir_clock_monotonic_us() - rekey->begun_us >= COMMIT_US);
}

/* Everything whose turn it is. 1 when a transaction was lost. */
static int send_ready(struct weir_rekey *rekey, struct weir_err *err) {
    struct weir_rekey_source *source;
    int status = 0;
    while (status == 0 && rekey->pending.copied < COMMIT_RECORDS &&
           (source = weir_rekey_first(rekey)) != NULL) {
        const struct weir_record *record = &source->kept[source->first].record;
        if (rekey->begun_us == 0)
            rekey->begun_us = weir_clock_monotonic_us();
        status = send(rekey, record, err);
        weir_rekey_drop_first(source);
    }
    return status;
}

static void show_progress(struct weir_rekey *rekey) {
    int64_t done = 0, total = 0;
    for (size_t i = 0; rekey->once && i < rekey->sources_len; i++) {
        done += weir_rekey_next(&rekey->sources[i]) - rekey->sources[i].begun;
        total += rekey->sources[i].end - rekey->sources[i].begun;
    }
    weir_progress_update(&rekey->progress, rekey->figures.copied + rekey->pending.copied, done,
                         total);
}

int weir_rekey_step(struct weir_rekey *rekey, struct weir_err *err) {
    struct weir_batch *batch = NULL;
    int got = weir_consumer_poll(rekey->consumer, weir_rekey_first(rekey) ? 0 : POLL_MS, BATCH_MAX,
                                 rekey->records, &batch, err);
    if (got < 0)
        return got;
    if (got > 0)
        weir_rekey_keep(rekey, batch, (size_t)got);
    weir_rekey_pass_bare(rekey);
    int status = send_ready(rekey, err);
    if (status > 0)
        return start_over(rekey, err);
    if (status == 0)
        status = weir_rekey_hold(rekey, err);
    if (status == 0 && commit_is_due(rekey) && weir_rekey_commit(rekey, err) < 0)
        status = -err->code;
    if (status == 0 && !rekey->once)
        status = weir_rekey_find_new(rekey, err);
    show_progress(rekey);
    bool done = rekey->once && status == 0;
    for (size_t i = 0; i < rekey->sources_len && done; i++)
        done = weir_rekey_is_done(&rekey->sources[i]);
    return status == 0 ? done : status;
}

void weir_rekey_close(struct weir_rekey *rekey) {
    weir_rekey_drop_all(rekey);
    for (size_t i = 0; i < rekey->sources_len; i++)
        free(rekey->sources[i].kept);
    free(rekey->sources);
    weir_copier_free(rekey->copier);
    weir_consumer_free(rekey->consumer);
    weir_decoder_free(rekey->decoder);
    weir_mapping_free(rekey->mapping);
    free(rekey->records);
}

static int open_readers(struct weir_rekey *rekey, struct weir_err *err) {
    int status = weir_mapping_new(&rekey->mapping, &rekey->config->mapping, err);
    if (status != 0)
        return status;
    rekey->decoder = weir_decoder_new(rekey->mapping, 1);
    rekey->records = calloc(BATCH_MAX, sizeof *rekey->records);
    WEIR_ASSERT(rekey->decoder != NULL && rekey->records != NULL);
    struct weir_kafka_options kafka = rekey->config->kafka;
    kafka.group = rekey->name;
    kafka.prefetch_bytes = rekey->config->prefetch_bytes;
    return weir_consumer_new_alone(&rekey->consumer, &kafka, err);
}

int weir_rekey_open(struct weir_rekey *rekey, const struct weir_config *config, const char *to,
                    bool once, bool append, bool (*stopping)(void), struct weir_err *err) {
    *rekey = (struct weir_rekey){.config = config, .to = to, .once = once};
    snprintf(rekey->name, sizeof rekey->name, "%s.rekey.%s", config->kafka.group, to);
    int status = open_readers(rekey, err);
    if (status == 0)
        status = weir_rekey_find_target(rekey, err);
    if (status == 0)
        status = weir_copier_new(&rekey->copier, &config->kafka, rekey->name, to, stopping, err);
    if (status == 0)
        status = weir_rekey_find_sources(rekey, append, err);
    if (status == 0)
        status = weir_rekey_read_on(rekey, err);
    if (status == 0) /* from now on it is known where this copy began */
        do
            status = weir_rekey_commit(rekey, err);
        while (status > 0);
    if (status != 0)
        weir_rekey_close(rekey);
    else
        weir_progress_start(&rekey->progress, "rekey");
    return status;
}
