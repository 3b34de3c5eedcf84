/*
 * evaluator_state: the inside of the evaluator, shared by its parts: evaluator.c (the steps),
 * gather.c (from Redis), quality.c (can the data be trusted), splits.c (sessions in two
 * partitions), alerting.c (rules), told.c (what was told lately), publish.c (to Redis) and
 * publish_fields.c (what is said of a window). Private to app; all of it belongs to the
 * evaluator's thread but what `lock` guards.
 */
#ifndef WEIR_APP_EVALUATOR_STATE_H
#define WEIR_APP_EVALUATOR_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/evaluator.h"
#include "app/silence.h"
#include "app/store.h"
#include "app/token.h"
#include "app/words.h"
#include "weir/partition.h"
#include "weir/redis.h"
#include "weir/redis_hash.h"
#include "weir/rollup.h"

/* A partition as its last commit left it in Redis. */
struct weir_member {
    char name[300]; /* <topic>.<number> */
    char tag[600];
    uint32_t number;                /* in the rollup */
    uint64_t seq;                   /* everything up to this commit is in the rollup */
    char owner[WEIR_TOKEN_LEN + 1]; /* a token comes once; an epoch again, after a rollback */
    bool has_state, idle;
    bool foreign;    /* counted by other definitions */
    bool unreadable; /* it has a state, damaged or in a newer format */
    int64_t lag, wall_ms;
    int64_t seen_us;  /* when it was first seen ... */
    int64_t moved_us; /* ... and when its last commit was */
    struct weir_partition_status status;
    uint64_t found_seq; /* of the present look */
    char found_owner[WEIR_TOKEN_LEN + 1];
};

/* An alert and what is needed to tell of it. */
struct weir_tracked {
    struct weir_alert alert;
    uint64_t rule;  /* fingerprint of its rule without a segment */
    char *json;     /* the last one told, NULL before */
    bool in_firing; /* the hash of firing alerts has it */
    char told_state[12];
};

#define WEIR_WORD_LEN 16 /* digits of a publication's word */
#define WEIR_ALERT_ID_MAX 64
#define WEIR_PAST 64 /* publications: more than Redis can lose in its last seconds */

/* A publication that this evaluator has made or met. */
struct weir_past {
    uint64_t number;
    size_t told_len; /* of `told`, what was told up to it */
    char word[WEIR_WORD_LEN + 1];
};

struct weir_told { /* of an alert */
    char id[WEIR_ALERT_ID_MAX];
    char *json;
    bool to_stream, to_sinks;
};

struct weir_dropped { /* alerts that a sink's queue had no room for */
    char sink[64];
    uint64_t entries;
    int64_t untold, told_us; /* since the last warning; when that was */
};

/* The alerts as this evaluator last published them. */
struct weir_kept {
    bool sure; /* it has, since it read them */
    struct weir_tracked *tracked;
    size_t tracked_len;
    int64_t judged_ms[WEIR_WINDOWS_MAX];
    size_t told_len;
};

struct weir_history { /* totals of all partitions at one time, for jumps */
    int64_t as_of_ms;
    uint64_t records, events, rejected, unknown;
};
#define WEIR_HISTORY 64

/* Names of published fields, made once a step. */
struct weir_field_name {
    char text[88];
    size_t len;
};
struct weir_field_names {
    struct weir_field_name counters[WEIR_C_CUSTOM];
    struct weir_metric_names {
        struct weir_field_name value, num, den;
    } metrics[WEIR_METRICS_MAX];
};

struct weir_evaluator {
    const struct weir_config *config;      /* of the service; see weir_evaluator_reload */
    const struct weir_config *next_config; /* guarded by lock; NULL when there is none */
    const struct weir_plan *plan; /* of the config at the start, which outlives every reload */
    pthread_t thread;
    _Atomic bool stopping;
    _Atomic int64_t seen_us; /* the last sign of life; figures are shown less often */
    struct weir_redis *redis;
    struct weir_script lease, publish;
    char lease_key[1024], published_key[1024];
    char token[WEIR_TOKEN_LEN + 1];
    bool leader;
    int64_t lease_us; /* when it was last kept */
    struct weir_err kept_err;

    struct weir_rollup *rollup;
    uint32_t told_keep; /* what was last said of its limit */
    bool told_full;
    struct weir_member *members;
    size_t members_len;
    int64_t first_ms;                   /* where the data begin, also those that Redis let go */
    int64_t as_of_ms;                   /* watermark of the last step */
    int64_t wall_ms;                    /* when it was made: one time for all that it publishes */
    int64_t shown_ms[WEIR_WINDOWS_MAX]; /* as_of of what is published, per window */
    uint64_t number;                    /* of the last publication ... */
    char word[WEIR_WORD_LEN + 1];      /* ... and its own word: numbers come again, see publish.c */
    char next_word[WEIR_WORD_LEN + 1]; /* of the one that is made */
    struct weir_words words;
    struct weir_field_names names;
    struct weir_redis_hash hash; /* of the segment that is written */
    bool restores;               /* Redis takes hashes as it keeps them, by RESTORE */

    struct weir_tracked *tracked;
    size_t tracked_len, tracked_cap;
    struct weir_silences silences;
    int64_t judged_ms[WEIR_WINDOWS_MAX]; /* as_of up to which alerts are decided */
    struct weir_past past[WEIR_PAST];    /* see told.c; the last one is what Redis should hold */
    size_t past_len;
    struct weir_told *told; /* since past[0], in their order */
    size_t told_len, told_cap;
    struct weir_kept kept;
    struct weir_dropped *dropped; /* guarded by lock, as its length */
    size_t dropped_len;
    bool tells_again;  /* Redis does not have all that was told and kept */
    char suspect[160]; /* why, or empty */
    struct weir_history history[WEIR_HISTORY];
    uint32_t history_len;
    int64_t splits_us; /* the last look for sessions in several partitions; 0: none yet */
    bool splits_told;

    uint64_t stage_us[WEIR_STAGES]; /* of the present step */
    struct weir_evaluator_figures figures;
    pthread_mutex_t lock;
    pthread_cond_t reload_done;
    struct weir_evaluator_figures shown;
    char why[256]; /* what was last said of Redis being away; empty while it is not */
};

/* evaluator.c: the lease is taken, or still ours; else `leader` is false afterwards, and nothing
 * may be published. 0 or -WEIR_ERR_UNREACHABLE. Asks Redis once a second at most, so a step that
 * takes long calls it now and then. */
int weir_evaluator_keep_lease(struct weir_evaluator *evaluator, struct weir_err *err);
/* The same from within the sums: what it met is in `kept_err`, its code 0 when nothing. */
void weir_evaluator_keep_meanwhile(void *evaluator);

/* A sign of life, also from within a step that takes long. */
void weir_evaluator_lives(struct weir_evaluator *evaluator);

/* gather.c: every function 0 or -WEIR_ERR_UNREACHABLE. */
/* Which partitions there are, and how far each has come. */
int weir_gather_members(struct weir_evaluator *evaluator, struct weir_err *err);
/* The time up to which every partition is complete; INT64_MIN when there is none yet. */
int64_t weir_gather_watermark(const struct weir_evaluator *evaluator);
/* The buckets that changed since the last time, into the rollup, which will go to that time. */
int weir_gather_buckets(struct weir_evaluator *evaluator, int64_t watermark_ms,
                        struct weir_err *err);
/* The next answer to what was asked, of the shape that it must have (see weir_reply_expect). An
 * error of Redis's own is a failure too: it must not pass for an empty answer. */
int weir_gather_answer(struct weir_evaluator *evaluator, enum weir_shape shape, size_t len,
                       struct weir_reply **reply, struct weir_err *err);
/* Forgets all that was read; under a new lease also that values were put together. */
void weir_gather_reset(struct weir_evaluator *evaluator);

/* quality.c: fills evaluator->suspect. */
void weir_quality_check(struct weir_evaluator *evaluator, int64_t watermark_ms, int64_t wall_ms);

/* splits.c: every few seconds, how many sessions lie in more than one partition. 0 or
 * -WEIR_ERR_UNREACHABLE. */
int weir_splits_look(struct weir_evaluator *evaluator, struct weir_err *err);

/* alerting.c */
/* Has the windows added up that rules compare with. */
void weir_alerting_prepare(struct weir_evaluator *evaluator);
int weir_alerting_load(struct weir_evaluator *evaluator, struct weir_err *err);
/* Steps every rule whose window moved (moved[w]), and adds what follows to the words. 0, or
 * negative when the silences cannot be learnt. */
int weir_alerting_step(struct weir_evaluator *evaluator, const bool *moved, struct weir_err *err);
/* Ends alerts whose rule is gone. */
void weir_alerting_orphans(struct weir_evaluator *evaluator);
/* What a rule looks at: one of the config's metrics, or a counter. */
struct weir_metric weir_alerting_metric(const struct weir_evaluator *evaluator,
                                        const struct weir_rule *rule);
/* The alerts as they are into `kept`, and back. */
void weir_alerting_keep(struct weir_evaluator *evaluator);
void weir_alerting_restore(struct weir_evaluator *evaluator);
void weir_alerting_free(struct weir_evaluator *evaluator);

/* <fingerprint>-<when it began>-<number of the change>: the idempotency key. */
void weir_alert_id(char *out, const struct weir_alert *alert);

/* told.c */
/* Tells a change of the alert in this publication, to the stream and the channel or to sinks. */
void weir_told_add(struct weir_evaluator *evaluator, const struct weir_tracked *tracked,
                   bool to_stream, bool to_sinks);
/* Counts what the publication dropped from full queues: the script's answer. */
void weir_told_dropped(struct weir_evaluator *evaluator, const struct weir_reply *answer);
/* Redis has taken the publication. */
void weir_told_published(struct weir_evaluator *evaluator);
/* After weir_publish_load: whether Redis holds a publication that is known here, so that the alerts
 * as they were last published hold, and need not be read. */
bool weir_told_holds(struct weir_evaluator *evaluator);
/* Puts into this publication what Redis does not have. */
void weir_told_again(struct weir_evaluator *evaluator);
void weir_told_free(struct weir_evaluator *evaluator);

/* alert_json.c: the alert as in interface.md; the caller frees. */
char *weir_alert_json(const struct weir_evaluator *evaluator, const struct weir_rule *rule,
                      const struct weir_tracked *tracked, const char *status,
                      const struct weir_sample *sample, struct weir_str segment,
                      const char *silenced);

/* The last alert told, ended because its rule is gone (`why` NULL), or nobody can tell any more
 * whether it is met: then `data_quality` and the summary say so. */
char *weir_alert_json_ended(const struct weir_tracked *tracked, int64_t as_of_ms, const char *why);

/* publish.c */
/* as_of and number of what is in Redis, so that nothing goes back. */
int weir_publish_load(struct weir_evaluator *evaluator, struct weir_err *err);
/* Adds the windows that moved to the words. Reads the old top lists first. */
int weir_publish_windows(struct weir_evaluator *evaluator, const bool *moved, struct weir_err *err);
/* Begins and sends the words in one atomic step. 1 when done, 0 when the lease is somebody else's
 * or the state here is stale, negative when Redis is away. */
void weir_publish_begin(struct weir_evaluator *evaluator);
int weir_publish_send(struct weir_evaluator *evaluator, struct weir_err *err);
/* publish_fields.c: the fields of a window and of a segment into evaluator->hash, after begin. */
void weir_fields_begin(struct weir_evaluator *evaluator);
void weir_fields_total(struct weir_evaluator *evaluator, uint32_t window);
void weir_fields_segment(struct weir_evaluator *evaluator, uint32_t window, const int64_t *cell);
/* One command for the step: the words that follow until weir_publish_end. */
size_t weir_publish_command(struct weir_evaluator *evaluator);
void weir_publish_end(struct weir_evaluator *evaluator, size_t command);

#endif
