#include "app/replay.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_RECORDS 4096

int weir_replay_open(struct weir_replay *r, const struct weir_config *config,
                     struct weir_err *err) {
    *r = (struct weir_replay){.config = config};
    int status = weir_mapping_new(&r->mapping, &config->mapping, err);
    if (status != 0)
        return status;
    r->decoder = weir_decoder_new(r->mapping, WEIR_REPLAY_PIPE);
    WEIR_ASSERT(r->decoder != NULL);
    r->partition = weir_partition_new(&config->plan);
    if (!r->partition || weir_partition_keep_totals(r->partition) != 0)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "no memory for sessions.max_open and events.max_values as configured; "
                            "lower them");
    return 0;
}

void weir_replay_close(struct weir_replay *r) {
    weir_partition_free(r->partition);
    weir_decoder_free(r->decoder);
    weir_mapping_free(r->mapping);
}

static void apply_oldest(struct weir_replay *r) {
    struct weir_replay_pending *pending = &r->pipe[r->pipe_first];
    r->pipe_first = (r->pipe_first + 1) % WEIR_REPLAY_PIPE;
    r->pipe_len--;
    for (size_t i = 0; i < pending->decoded.len; i++) {
        const struct weir_event *event = &pending->decoded.events[i];
        if (i > 0)
            weir_partition_prepare(r->partition, event, &pending->key);
        weir_partition_apply(r->partition, event, &pending->key, -1);
    }
    weir_partition_record(r->partition, r->offset++, pending->decoded.reason);
}

/* The same pipe as the worker's: a few records lie between decode and apply. */
static void take(struct weir_replay *r, const char *record, size_t len) {
    if (r->pipe_len == WEIR_REPLAY_PIPE)
        apply_oldest(r);
    unsigned at = (r->pipe_first + r->pipe_len++) % WEIR_REPLAY_PIPE;
    weir_decode(r->decoder, record, len, &r->pipe[at].decoded);
    if (r->pipe[at].decoded.len > 0)
        weir_partition_prepare(r->partition, &r->pipe[at].decoded.events[0], &r->pipe[at].key);
}

static void drain(struct weir_replay *r) {
    while (r->pipe_len > 0)
        apply_oldest(r);
}

static int replay_one(struct weir_replay *r, const char *path, enum weir_file_format format,
                      struct weir_err *err) {
    struct weir_file *file = NULL;
    const char *record;
    size_t len;
    int more = weir_file_open(&file, path, format, err);
    if (more != 0)
        return more;
    while ((more = weir_file_next(file, &record, &len, err)) > 0) {
        take(r, record, len);
        if (r->offset % PROGRESS_RECORDS == 0)
            weir_progress_update(&r->progress, (uint64_t)r->offset, weir_file_read(file),
                                 weir_file_size(file));
    }
    drain(r); /* the last records' bytes go with the file */
    weir_file_close(file);
    return more;
}

/* ---- sorted ---- */

struct kept {
    int64_t time_ms;
    size_t number;
    char *bytes;
    size_t len;
};

static int by_time(const void *left, const void *right) {
    const struct kept *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

struct keeper {
    struct kept *records;
    size_t len, cap;
};

static void keep(struct weir_replay *r, struct keeper *keeper, const char *record, size_t len) {
    struct weir_decoded decoded;
    if (keeper->len == keeper->cap) {
        keeper->cap = keeper->cap ? keeper->cap * 2 : 1024;
        keeper->records = realloc(keeper->records, keeper->cap * sizeof *keeper->records);
        WEIR_ASSERT(keeper->records != NULL);
    }
    struct kept *kept = &keeper->records[keeper->len];
    *kept = (struct kept){INT64_MIN, keeper->len, malloc(len + 1), len};
    WEIR_ASSERT(kept->bytes != NULL);
    memcpy(kept->bytes, record, len);
    keeper->len++;
    weir_decode(r->decoder, record, len, &decoded);
    if (decoded.len > 0 && decoded.events[0].reason == WEIR_OK)
        kept->time_ms = decoded.events[0].time_ms;
}

static int keep_all(struct weir_replay *r, struct keeper *keeper, const char *path,
                    enum weir_file_format format, struct weir_err *err) {
    struct weir_file *file = NULL;
    const char *record;
    size_t len;
    int more = weir_file_open(&file, path, format, err);
    if (more != 0)
        return more;
    while ((more = weir_file_next(file, &record, &len, err)) > 0)
        keep(r, keeper, record, len);
    weir_file_close(file);
    return more;
}

static int replay_sorted(struct weir_replay *r, char *const *paths, int paths_len,
                         enum weir_file_format format, struct weir_err *err) {
    struct keeper keeper = {0};
    int status = 0;
    for (int i = 0; i < paths_len && status == 0; i++)
        status = keep_all(r, &keeper, paths[i], format, err);
    if (keeper.len > 1)
        qsort(keeper.records, keeper.len, sizeof *keeper.records, by_time);
    for (size_t i = 0; i < keeper.len; i++) {
        if (status == 0)
            take(r, keeper.records[i].bytes, keeper.records[i].len);
        if (i % PROGRESS_RECORDS == 0)
            weir_progress_update(&r->progress, i, (int64_t)i, (int64_t)keeper.len);
    }
    drain(r);
    for (size_t i = 0; i < keeper.len; i++)
        free(keeper.records[i].bytes);
    free(keeper.records);
    return status;
}

int weir_replay_files(struct weir_replay *r, char *const *paths, int paths_len,
                      enum weir_file_format format, bool sort, struct weir_err *err) {
    int status = 0;
    weir_progress_start(&r->progress, "replay");
    if (sort)
        status = replay_sorted(r, paths, paths_len, format, err);
    for (int i = 0; i < paths_len && !sort && status == 0; i++)
        status = replay_one(r, paths[i], format, err);
    weir_progress_end(&r->progress, (uint64_t)r->offset);
    return status;
}
