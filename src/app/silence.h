/*
 * silence: alerts that people asked not to be told of, for a time.
 *
 * A silence is JSON in the hash weir:{<group>}:silences under its id; it covers an alert when every
 * matcher holds. Pure: time is an argument, whoever holds the connection reads and writes the hash.
 * Ownership: init by parse or load, close for the caller's storage; texts are the silence's own.
 * Thread: one at a time. Errors: -WEIR_ERR_INPUT with a sentence that says what to write.
 */
#ifndef WEIR_APP_SILENCE_H
#define WEIR_APP_SILENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"
#include "weir/redis.h"
#include "weir/rule.h"

#define WEIR_SILENCE_ID_LEN 16
#define WEIR_SILENCE_MATCHERS_MAX 16
#define WEIR_SILENCE_TEXT_MAX 1000 /* bytes of a comment or of a matcher's value */
#define WEIR_SILENCE_FOR_MAX_MS (366 * (int64_t)86400000)
#define WEIR_SILENCES_MAX 1000 /* in one group */

/* An alert without the label has it with an empty value, as in Prometheus. */
struct weir_matcher {
    char *label, *value;
    bool equal; /* else: not equal */
};

struct weir_silence {
    char *id, *comment, *created_by;
    int64_t created_ms, expires_ms;
    struct weir_matcher *matchers;
    size_t matchers_len;
};

/* Reads LABEL=VALUE and LABEL!=VALUE (VALUE may stand in double quotes) into a fresh silence. At
 * least one must ask for a label that is there, so that nobody silences everything by a slip. */
int weir_silence_take_matchers(struct weir_silence *silence, const char *const *texts, size_t len,
                               struct weir_err *err);
/* The matchers as they were written, separated by spaces; cut at max. */
void weir_silence_describe(const struct weir_silence *silence, char *out, size_t max);
/* From and to the JSON in Redis; the text is the caller's to free, NULL when a text of the silence
 * is not UTF-8. */
int weir_silence_parse(struct weir_silence *silence, const char *json, size_t len,
                       struct weir_err *err);
char *weir_silence_json(const struct weir_silence *silence);
bool weir_silence_matches(const struct weir_silence *silence, const struct weir_label *labels,
                          size_t labels_len);
void weir_silence_close(struct weir_silence *silence);

struct weir_silences {
    struct weir_silence *items;
    size_t len;
};
/* The answer to HGETALL of the hash, without what has expired by now_ms, into a fresh set. Returns
 * how many entries were damaged and left out, or -1 when the answer is no hash; the set can be
 * closed in either case. */
int weir_silences_load(struct weir_silences *silences, const struct weir_reply *hgetall,
                       int64_t now_ms);
/* The id of the first silence that covers an alert of these labels, or NULL. */
const char *weir_silences_find(const struct weir_silences *silences,
                               const struct weir_label *labels, size_t labels_len);
void weir_silences_close(struct weir_silences *silences);

#endif
