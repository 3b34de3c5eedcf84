/*
 * replay: files through the very step that `run` uses. Parts: cmd_replay.c (the command),
 * replay.c (records to a partition), replay_summary.c (its totals as JSON or text) and
 * replay_store.c (its state and windows into Redis). Private to app, one thread.
 */
#ifndef WEIR_APP_REPLAY_H
#define WEIR_APP_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

#include "weir/config.h"
#include "weir/decode.h"
#include "weir/file.h"
#include "weir/partition.h"

#define WEIR_REPLAY_PIPE 8

struct weir_replay {
    const struct weir_config *config;
    struct weir_mapping *mapping;
    struct weir_decoder *decoder; /* keeps WEIR_REPLAY_PIPE records */
    struct weir_partition *partition;
    struct weir_replay_pending {
        struct weir_decoded decoded;
        struct weir_key key; /* of the first event */
    } pipe[WEIR_REPLAY_PIPE];
    unsigned pipe_first, pipe_len;
    int64_t offset; /* of the next record */
    struct weir_progress progress;
};

int weir_replay_open(struct weir_replay *replay, const struct weir_config *config,
                     struct weir_err *err);
void weir_replay_close(struct weir_replay *replay);

/* All inputs in their order, or with `sort` all records of all inputs by event time (ties in the
 * order of the inputs; records without a time first). */
int weir_replay_files(struct weir_replay *replay, char *const *paths, int paths_len,
                      enum weir_file_format format, bool sort, struct weir_err *err);

/* What came out; after weir_partition_finish. 0, or -1 when it could not be written. */
int weir_replay_summary_json(struct weir_replay *replay, FILE *out);
int weir_replay_summary_text(struct weir_replay *replay, FILE *out);

/* Before anything is read: -WEIR_ERR_REFUSED for a group in which `run` counts. */
int weir_replay_store_check(struct weir_replay *replay, const char *redis_url,
                            struct weir_err *err);
/* The state and the windows, as `run` would leave them, under the topic "replay", in the place of
 * an earlier replay's; without alerts. Before weir_partition_finish, so that open sessions stay
 * open. */
int weir_replay_store(struct weir_replay *replay, const char *redis_url, struct weir_err *err);

#endif
