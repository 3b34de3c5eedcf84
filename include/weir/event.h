/*
 * event: the values that the stages share, and their limits. No functions but names and tables.
 *
 * An event is one thing that a visitor did. Strings are views into memory that the decoder owns:
 * they are valid until its next call. Money and quantities are fixed-point, so that sums are exact
 * in any order: one unit is 1,000,000 micros.
 */
#ifndef WEIR_EVENT_H
#define WEIR_EVENT_H

#include <stdint.h>
#include <stddef.h>

#define WEIR_DIMENSIONS_MAX 8        /* dimensions in a config */
#define WEIR_ID_MAX 256              /* bytes of a session, visitor, event or order id */
#define WEIR_DIMENSION_VALUE_MAX 128 /* bytes of a dimension's value; a longer one is `_other` */
#define WEIR_RECORD_MAX_DEFAULT (64 * 1024) /* bytes of a record before any parse */
#define WEIR_DEPTH_MAX 16                   /* nesting of a record */
#define WEIR_EVENTS_PER_RECORD_MAX 1000
#define WEIR_MICROS 1000000             /* micros in one unit of money or quantity */
#define WEIR_VALUE_MAX 1000000000       /* units of a value; larger is bad_value */
#define WEIR_QUANTITY_MAX 1000000       /* pieces in one event; larger is bad_quantity */
#define WEIR_TIME_MIN_MS 315532800000   /* 1980-01-01: an earlier time is bad_time */
#define WEIR_TIME_MAX_MS 32503680000000 /* 3000-01-01: a later time is bad_time */
#define WEIR_CUSTOM_TYPES_MAX 32        /* types that only custom metrics name */

enum weir_event_type {
    WEIR_PAGE_VIEW,
    WEIR_INTERACTION,
    WEIR_ADD_TO_CART,
    WEIR_REMOVE_FROM_CART,
    WEIR_BEGIN_CHECKOUT,
    WEIR_PURCHASE,
    WEIR_REFUND,
    WEIR_SESSION_START,
    WEIR_SESSION_END,
    WEIR_UNKNOWN_TYPE,     /* counted, and extends its session */
    WEIR_CUSTOM_TYPE_FIRST /* + n: the n-th type that only a custom metric names */
};
#define WEIR_TYPES_MAX (WEIR_CUSTOM_TYPE_FIRST + WEIR_CUSTOM_TYPES_MAX)

/* Why an event or a record is not counted. All but WEIR_LATE go to the dead letters. */
enum weir_reason {
    WEIR_OK,
    WEIR_BAD_JSON,      /* not JSON, truncated, not UTF-8, a NUL in a mapped string */
    WEIR_TOO_LARGE,     /* more bytes than events.max_record */
    WEIR_TOO_DEEP,      /* nested deeper than WEIR_DEPTH_MAX */
    WEIR_DUPLICATE_KEY, /* a mapped key twice in one object */
    WEIR_EMPTY,         /* no bytes, or no event in it */
    WEIR_TOMBSTONE,     /* a Kafka record with a null value */
    WEIR_TOO_MANY,      /* more than WEIR_EVENTS_PER_RECORD_MAX events in one record */
    WEIR_NO_TYPE,
    WEIR_NO_TIME,
    WEIR_BAD_TIME,      /* not a time, or outside 1980..3000 */
    WEIR_NO_SESSION,    /* neither session nor visitor */
    WEIR_BAD_ID,        /* an id longer than WEIR_ID_MAX, or not a string or number */
    WEIR_BAD_VALUE,     /* not a number, negative, or above WEIR_VALUE_MAX */
    WEIR_BAD_QUANTITY,  /* not a number, negative, or above WEIR_QUANTITY_MAX */
    WEIR_BAD_CURRENCY,  /* a currency without a rate in the config */
    WEIR_TOO_FAR_AHEAD, /* further ahead of its Kafka timestamp than max_ahead */
    WEIR_LATE,          /* behind the watermark by more than allowed_lateness */
    WEIR_REASONS
};

/* "bad_json" ...; stable: they are labels in /metrics and keys in a summary. */
const char *weir_reason_name(enum weir_reason reason);
/* "page_view" ... "session_end"; NULL from WEIR_UNKNOWN_TYPE on. */
const char *weir_event_type_name(int type);
/* The type of that name, or -1. */
int weir_event_type_of(const char *name, size_t len);

struct weir_str {
    const char *data; /* not NUL-terminated; NULL when absent */
    uint32_t len;
};

struct weir_event {
    int64_t time_ms;         /* event time, ms since 1970 UTC */
    int64_t value_micros;    /* in the config's currency; 0 when absent */
    int64_t quantity_micros; /* pieces x WEIR_MICROS; absent: 1 piece */
    int type;                /* enum weir_event_type, or WEIR_CUSTOM_TYPE_FIRST + n */
    enum weir_reason reason; /* WEIR_OK, or why this event is not counted */
    struct weir_str session, visitor, event_id, order_id, user_agent;
    struct weir_str dimensions[WEIR_DIMENSIONS_MAX]; /* in the config's order; absent: data NULL */
};

#endif
