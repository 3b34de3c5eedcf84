/*
 * demo: what the parts of `weir demo` share. Private to cmd_demo.c and demo_*.c.
 *
 * Ownership: start/stop and open/close pairs; strings in the options are borrowed and outlive the
 * demo. Thread: the feed has one of its own and shares only its atomic counters; the rest belongs
 * to main's. Limits: WEIR_DEMO_* below, what is beyond is not shown. Units: ms, shares 0..1.
 */
#ifndef WEIR_APP_DEMO_H
#define WEIR_APP_DEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "weir/err.h"
#include "weir/redis.h"

#define WEIR_DEMO_WINDOWS 3
#define WEIR_DEMO_COUNTRIES 9
#define WEIR_DEMO_ALERTS 6     /* the last ones are shown */
#define WEIR_DEMO_HISTORY 24   /* values of a country's sparkline */
#define WEIR_DEMO_WINDOW "30s" /* what the rule and the table of countries look at */
#define WEIR_DEMO_WARM_UP "2m" /* the history without one such window: by then purchases follow */

struct weir_demo_options {
    int64_t seconds;     /* 0: until a signal */
    const char *brokers; /* NULL: a Kafka inside this process */
    const char *topic;   /* NULL: the demo's own, with generated traffic */
    const char *preset;
    const char *redis_url;
    const char *listen; /* NULL: a free port of 127.0.0.1 */
};

/* ---- the service, as a child process in a folder of its own ---- */

struct weir_demo_service {
    char folder[256]; /* holds the config, the rules and the service's log */
    char group[64];
    char listen[256]; /* host:port */
    pid_t pid;        /* 0: not running */
};
/* Writes the config and starts `weir run` on it. */
int weir_demo_service_start(struct weir_demo_service *service,
                            const struct weir_demo_options *options, const char *group,
                            const char *brokers, const char *topic, struct weir_err *err);
/* Waits until it is ready and owns partitions, for at most timeout_ms; false when that did not come
 * or the process ended. */
bool weir_demo_service_ready(const struct weir_demo_service *service, int64_t timeout_ms);
/* True while the process lives; its exit code into `code` when it does not. */
bool weir_demo_service_alive(struct weir_demo_service *service, int *code);
/* The end of its log to standard error. */
void weir_demo_service_explain(const struct weir_demo_service *service);
/* Ends the process, then removes the folder. */
void weir_demo_service_stop(struct weir_demo_service *service);

/* ---- the traffic, by a thread ---- */

struct weir_demo_feed;
/* History up to now as fast as is decent, then in step with the clock. From incident_ms for
 * WEIR_DEMO_INCIDENT_MS nine payments of ten fail in WEIR_DEMO_COUNTRY. */
#define WEIR_DEMO_COUNTRY "DE"
#define WEIR_DEMO_INCIDENT_MS 30000
int weir_demo_feed_start(struct weir_demo_feed **feed, const char *brokers, const char *topic,
                         int64_t incident_ms, struct weir_err *err);
bool weir_demo_feed_caught_up(const struct weir_demo_feed *feed);
uint64_t weir_demo_feed_sent(const struct weir_demo_feed *feed);
/* What ended it early, or NULL; valid until it is stopped. */
const char *weir_demo_feed_error(const struct weir_demo_feed *feed);
void weir_demo_feed_stop(struct weir_demo_feed *feed); /* NULL is nothing */

/* ---- what Redis says ---- */

struct weir_demo_row {
    char name[32];
    bool known;
    int64_t as_of_ms, sessions;
    double conversion, bounce, abandonment, order_value, revenue; /* NaN: nothing to divide by */
    double history[WEIR_DEMO_HISTORY];                            /* of conversion, oldest first */
    int history_len;
    bool firing;
};

struct weir_demo_alert {
    int64_t as_of_ms;
    char status[16], rule[64], segment[96], summary[256];
};

struct weir_demo_view {
    struct weir_redis *redis;
    char group[64];
    bool countries; /* the events have a country */
    struct weir_demo_row windows[WEIR_DEMO_WINDOWS];
    struct weir_demo_row segments[WEIR_DEMO_COUNTRIES];
    int segments_len;
    struct weir_demo_alert alerts[WEIR_DEMO_ALERTS];
    uint64_t alerts_len; /* that ever came; the n-th is at n % WEIR_DEMO_ALERTS */
    char alerts_last[64];
    int64_t fired_ms, resolved_ms; /* wall time of the first one in WEIR_DEMO_COUNTRY, 0: none */
};
int weir_demo_view_open(struct weir_demo_view *view, const char *redis_url, const char *group,
                        bool countries, struct weir_err *err);
/* Reads everything anew. An unreachable Redis is an error, missing keys are not. */
int weir_demo_view_read(struct weir_demo_view *view, struct weir_err *err);
/* Removes the group's keys: the demo leaves nothing in a Redis that is the user's. */
void weir_demo_view_forget(struct weir_demo_view *view);
void weir_demo_view_close(struct weir_demo_view *view);

/* ---- the terminal ---- */

struct weir_demo_screen {
    bool terminal, color;
    int lines;                    /* of the frame that is there, to draw over it */
    int64_t printed_ms, as_of_ms; /* piped: when the windows were last printed, and which */
    uint64_t alerts_len;          /* piped: how many were printed */
};
struct weir_demo_note {
    const char *listen;
    int64_t started_ms, seconds, incident_ms; /* incident_ms 0: there is none */
    uint64_t sent;
};
void weir_demo_screen_open(struct weir_demo_screen *screen);
void weir_demo_screen_draw(struct weir_demo_screen *screen, const struct weir_demo_view *view,
                           const struct weir_demo_note *note, int64_t now_ms);

#endif
