/*
 * decode: the bytes of a record to events, by the configured mapping.
 *
 * A mapping is compiled once from the config, is immutable and may be shared between threads.
 * A decoder belongs to one thread and owns the memory behind the events that it returns: they are
 * valid for as many calls as it was made to keep. No I/O. A decoder takes all of its memory when it
 * is made (10 times record_max, and 1 MB for each that is kept, much of it never touched); decoding
 * allocates nothing.
 *
 * A path is dotted keys, `[0]` an element of a list, `["my.key"]` a key with an odd character, and
 * `[key=text]` the first object of a list whose `key` is the text. A field has several paths (the
 * config's, then the preset's): the first with a value that is not null and not "" is taken.
 *
 * A record is one event, a list of events, or an object around such a list: `events` (ga4, otto),
 * `batch` (segment), `data` (ga4: a list, an object, or either as JSON in a string). Then time,
 * session, visitor, currency, user agent and dimensions may also come from the object around.
 * Preset ga4 joins the client to the session id, `<client>.<session>`, as GA4's is only unique
 * within its client; not where the config maps `session` itself.
 *
 * Times: ISO 8601 (T or a space; a fraction; Z, an offset, " UTC" or nothing, which is UTC), a date
 * alone, or the epoch's s, ms or us by their size, as numbers or strings. ISO digits beyond the ms
 * are cut off. Money is a number or a string that is one.
 *
 * Reasons: of several mistakes in an event the first counts, in the order type, time, session and
 * ids, value, currency, quantity; an event with a reason holds nothing else. WEIR_BAD_JSON,
 * WEIR_TOO_DEEP, WEIR_DUPLICATE_KEY, WEIR_TOO_MANY and WEIR_EMPTY are a whole record's. An element
 * of a list that is no object is an event without a type. A JSON text that is neither an object nor
 * a list is WEIR_BAD_JSON.
 */
#ifndef WEIR_DECODE_H
#define WEIR_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"
#include "weir/event.h"

enum weir_field {
    WEIR_FIELD_TYPE,
    WEIR_FIELD_TIME,
    WEIR_FIELD_SESSION,
    WEIR_FIELD_VISITOR,
    WEIR_FIELD_EVENT_ID,
    WEIR_FIELD_ORDER_ID,
    WEIR_FIELD_VALUE,
    WEIR_FIELD_CURRENCY,
    WEIR_FIELD_QUANTITY,
    WEIR_FIELD_USER_AGENT,
    WEIR_FIELDS
};

/* "type", "time" ... as in the config's `fields`. */
const char *weir_field_name(enum weir_field field);
/* The field of that name, or -1. */
int weir_field_of(const char *name);

struct weir_name_pair {
    const char *name; /* the source's */
    const char *value;
};

/* What the config says of `events`. Strings are borrowed for the call of weir_mapping_new. */
struct weir_mapping_options {
    const char *preset;                 /* weir, ga4, segment, snowplow, rees46, otto */
    const char *fields[WEIR_FIELDS];    /* a dotted path over the preset's, or NULL */
    const struct weir_name_pair *types; /* the source's type name: weir's type or a custom one */
    size_t types_len;
    const struct weir_name_pair *dimensions; /* name: dotted path, in the config's order */
    size_t dimensions_len;                   /* at most WEIR_DIMENSIONS_MAX */
    const char *const *custom_types; /* names that custom metrics use and that are no weir type; */
    size_t custom_types_len;         /* the n-th decodes to WEIR_CUSTOM_TYPE_FIRST + n */
    const char *currency_to;         /* ISO code, or NULL: values are taken as they are */
    const struct weir_currency_rate {
        const char *code;
        double rate; /* value in `currency_to` = value x rate */
    } * rates;
    size_t rates_len;
    size_t record_max; /* bytes; 0 means WEIR_RECORD_MAX_DEFAULT */
};

struct weir_mapping;
struct weir_decoder;

/* Fails with WEIR_ERR_INPUT and a sentence that names the bad path, preset or type. */
int weir_mapping_new(struct weir_mapping **mapping, const struct weir_mapping_options *options,
                     struct weir_err *err);
void weir_mapping_free(struct weir_mapping *mapping);

/* The names of the presets, NULL-terminated; and whether `path` can be compiled. */
const char *const *weir_mapping_presets(void);
int weir_mapping_check_path(const char *path, struct weir_err *err);

struct weir_decoded {
    struct weir_event *events; /* in the order of the record; each with its own reason */
    size_t len;
    enum weir_reason reason; /* not WEIR_OK: the record as a whole is not readable, len is 0 */
};

/* The mapping is borrowed and must outlive the decoder. The `kept` last records that were decoded
 * are kept: at 1, each call ends what the one before gave. NULL when memory is out. */
struct weir_decoder *weir_decoder_new(const struct weir_mapping *mapping, uint32_t kept);
void weir_decoder_free(struct weir_decoder *decoder);

/* `bytes` NULL is a tombstone. Never fails: a bad record is its reason. */
void weir_decode(struct weir_decoder *decoder, const char *bytes, size_t len,
                 struct weir_decoded *out);

/* The same through jansson, slow and simple: the reference that tests hold weir_decode against.
 * What it gives is valid until the next call.
 *
 * Where it does not say WEIR_BAD_JSON, both give the same, field by field. Where it does,
 * weir_decode says so too; or gives another reason for the record, which then has both faults; or
 * gives the events, as the fault is in what it skips. That is: numbers and words that no path leads
 * to, and quotes behind a backslash in them; escapes in strings that are not taken, a NUL or half a
 * surrogate pair among them; commas, colons and the kind of each bracket in what no path goes into;
 * and a number that no double or 64-bit integer can hold (a mapped one makes its event bad_value,
 * bad_time or bad_id).
 *
 * Both reject everywhere: bytes that are not UTF-8, a string that does not close or holds a control
 * character, brackets that do not close, a byte after the end. */
void weir_decode_reference(struct weir_decoder *decoder, const char *bytes, size_t len,
                           struct weir_decoded *out);

/* Any of the time formats of the config manual to ms since 1970 UTC. 0, or -1. */
int weir_time_parse(const char *text, size_t len, int64_t *time_ms);

#endif
