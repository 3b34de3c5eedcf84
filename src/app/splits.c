/* Sessions whose events lie in more than one partition: each partition counts its part as a session
 * of its own, so figures are wrong without any error. The partitions' samples tell how many. */
#include <stdio.h>
#include <stdlib.h>

#include "app/evaluator_state.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/overlap.h"

#define LOOK_US 5000000
#define LEAST 32  /* sessions that must be comparable before there is a verdict */
#define MANY 0.05 /* from this share on it is said ... */
#define FEW 0.01  /* ... and below this that it is over */

static int read_samples(struct weir_evaluator *e, struct weir_overlap *samples,
                        struct weir_err *err) {
    int status = 0;
    for (size_t i = 0; i < e->members_len && status == 0; i++) {
        char key[700];
        snprintf(key, sizeof key, "%s:k", e->members[i].tag);
        status = weir_redis_append(e->redis, 2, (const char *[]){"GET", key}, NULL, err);
    }
    for (size_t i = 0; i < e->members_len && status == 0; i++) {
        struct weir_reply *reply = NULL;
        status = weir_redis_read(e->redis, &reply, err);
        weir_overlap_init(&samples[i]);
        if (status == 0 && reply->type == WEIR_REPLY_TEXT)
            weir_overlap_read(&samples[i], reply->text, reply->len); /* damaged: empty */
        weir_reply_free(reply);
    }
    return status;
}

static void say(struct weir_evaluator *e, struct weir_split all) {
    double share = e->figures.split_ratio;
    bool many = share >= MANY || (e->splits_told && share >= FEW);
    if (many == e->splits_told)
        return;
    e->splits_told = many;
    weir_log(many ? WEIR_LOG_WARN : WEIR_LOG_INFO, "evaluator",
             many ? "sessions are spread over several partitions, and each part is counted as a "
                    "session: let the producer key its records by session id, or copy the topic "
                    "with `weir rekey` and count the copy under another kafka.group"
                  : "sessions are no longer spread over several partitions",
             WEIR_INT("percent", (int64_t)(share * 100 + 0.5)), WEIR_INT("sampled", all.sampled),
             WEIR_INT("partitions", (int64_t)e->members_len), WEIR_LOG_END);
}

int weir_splits_look(struct weir_evaluator *e, struct weir_err *err) {
    int64_t now_us = weir_clock_monotonic_us();
    if (e->splits_us != 0 && now_us - e->splits_us < LOOK_US)
        return 0;
    e->splits_us = now_us;
    struct weir_overlap *samples = calloc(e->members_len + 1, sizeof *samples);
    WEIR_ASSERT(samples != NULL);
    int status = read_samples(e, samples, err);
    if (status == 0) {
        struct weir_split all = weir_overlap_compare(samples, e->members_len, NULL);
        bool known = all.sampled >= LEAST;
        e->figures.split_ratio = known ? (double)all.split / (double)all.sampled : -1;
        if (known)
            say(e, all);
    }
    free(samples);
    return status;
}
