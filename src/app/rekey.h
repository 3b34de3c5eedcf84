/*
 * rekey: the config's topics copied into one topic that is keyed by session id, exactly once.
 *
 * A consumer outside of any group reads all partitions, a copier (weir/copy.h) writes; the offsets
 * are those of the group <kafka.group>.rekey.<topic> and move in the same transaction as the
 * records. Records of several partitions go on in the order of their event time, so that the copy
 * is no more out of order than the partitions themselves.
 * Ownership: open/close for the caller's storage; config and target are borrowed.
 * Thread: one. Errors: as the program's exit codes.
 */
#ifndef WEIR_APP_REKEY_H
#define WEIR_APP_REKEY_H

#include "weir/config.h"
#include "weir/copy.h"
#include "weir/decode.h"
#include "weir/file.h"

#define WEIR_REKEY_NAME_MAX 512

struct weir_rekey_figures {
    uint64_t copied;
    uint64_t unkeyed; /* without a session to be read from them: their own key stays */
    uint64_t mixed;   /* with events of several sessions: keyed by the first one's */
};

/* A batch of the consumer, until all its records are sent. */
struct weir_rekey_batch {
    struct weir_batch *batch;
    size_t left;
};

struct weir_rekey_kept {
    struct weir_record record;
    int64_t time_ms; /* of its first event */
    struct weir_rekey_batch *batch;
};

/* A partition that is copied, and what of it waits for its turn. */
struct weir_rekey_source {
    int32_t topic, number;
    int64_t begun, end;      /* where the copy began now; where it ends, INT64_MAX if never */
    int64_t committed;       /* where the next one is to begin, as far as is known for good */
    int64_t taken;           /* the first record not taken from the consumer */
    int64_t time_ms;         /* of the last one that could be read */
    struct weir_rekey_kept *kept; /* a ring */
    size_t first, len, cap;       /* cap: a power of two */
    size_t bytes;
    bool held; /* too far ahead of the others: not read for now */
};

struct weir_rekey {
    const struct weir_config *config;
    const char *to;
    bool once;
    char name[WEIR_REKEY_NAME_MAX]; /* of the group and of the transactions */
    struct weir_consumer *consumer;
    struct weir_copier *copier;
    struct weir_mapping *mapping;
    struct weir_decoder *decoder;
    struct weir_record *records; /* of one poll */
    struct weir_rekey_source *sources;
    size_t sources_len;
    int target_partitions;
    bool target_made;
    uint32_t aborts;   /* since the last commit */
    int64_t looked_us; /* for new partitions */
    int64_t begun_us;  /* since when there is something to commit; 0: nothing */
    struct weir_rekey_figures figures, pending; /* committed, and since then */
    struct weir_progress progress;
};

/* Finds where to begin, makes the target where there is none. `append`: also where it holds records
 * that this copy has not written. With `stopping` true no broker is waited for much longer. */
int weir_rekey_open(struct weir_rekey *rekey, const struct weir_config *config, const char *to,
                    bool once, bool append, bool (*stopping)(void), struct weir_err *err);
void weir_rekey_close(struct weir_rekey *rekey);
/* A little of the work, up to 100 ms. 1 when all is copied (only `once`), 0, or negative. */
int weir_rekey_step(struct weir_rekey *rekey, struct weir_err *err);
/* Commits what was sent. 1 when it must be read and sent again, else 0 or negative. */
int weir_rekey_commit(struct weir_rekey *rekey, struct weir_err *err);

/* rekey_begin.c: how many partitions there are, and where each is copied from. */
int weir_rekey_find_target(struct weir_rekey *rekey, struct weir_err *err);
int weir_rekey_find_sources(struct weir_rekey *rekey, bool append, struct weir_err *err);
/* Partitions that were added to the topics meanwhile. */
int weir_rekey_find_new(struct weir_rekey *rekey, struct weir_err *err);

/* rekey_merge.c: the records that wait. */
/* Takes a batch's records; the batch goes back when the last one is sent. */
void weir_rekey_keep(struct weir_rekey *rekey, struct weir_batch *batch, size_t len);
/* Whose record comes next; NULL while a partition might still bring an earlier one. */
struct weir_rekey_source *weir_rekey_first(const struct weir_rekey *rekey);
/* Goes past what lies before the end of a partition without being a record. */
void weir_rekey_pass_bare(struct weir_rekey *rekey);
/* The first offset that holds a record that was not sent. */
int64_t weir_rekey_next(const struct weir_rekey_source *source);
void weir_rekey_drop_first(struct weir_rekey_source *source);
void weir_rekey_drop_all(struct weir_rekey *rekey);
/* Lets go of partitions that are far ahead of the others, and takes them up again. */
int weir_rekey_hold(struct weir_rekey *rekey, struct weir_err *err);
/* The consumer reads on behind what was taken. */
int weir_rekey_read_on(struct weir_rekey *rekey, struct weir_err *err);
bool weir_rekey_is_done(const struct weir_rekey_source *source);

#endif
