/*
 * notify: an alert to the world, over HTTP, by libcurl.
 *
 * Thread: belongs to one (the notifier's) and may block up to the sink's time-out. Keeps nothing
 * but open connections: the queue and its retries live in Redis (app/outbox). An alert is JSON as
 * in interface.md. Limits: 256 KiB of an alert, 64 KiB read of an answer; redirects are not
 * followed; certificates are checked. An error names the sink, never its URL, which may hold a
 * token.
 *
 * What a receiver gets: the labels are the rule's, and alertname, metric, reading, window, group
 * and the segment; names are made fit for Prometheus (geo.country: geo_country). The annotations
 * are the rule's, and summary, value, num, den, threshold. `suspect` goes out as firing with an
 * annotation `data_quality: suspect`, no label, so that it stays the same alert; `inactive`
 * (pending or suspect is over) as resolved, which takes a suspect back; `pending` is refused, it is
 * nobody's business. In Alertmanager a firing alert lasts until it is resolved, or 24 h without
 * word of it; 4 times the alert's `repeat_interval_ms`, where it has one.
 */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

#include <stdint.h>

#include "weir/err.h"

enum weir_sink_type {
    WEIR_SINK_LOG,
    WEIR_SINK_KAFKA,        /* url: the topic */
    WEIR_SINK_WEBHOOK,      /* Alertmanager's version "4" body */
    WEIR_SINK_ALERTMANAGER, /* POST <url>/api/v2/alerts */
};

struct weir_sink {
    enum weir_sink_type type;
    char *name;   /* unique, for /metrics and the outbox key; default "<type>-<n>" */
    char *url;    /* or the topic; NULL for log */
    char *secret; /* HMAC-SHA256 key, or NULL */
    int64_t timeout_ms;
};

struct weir_notify;
/* -WEIR_ERR_UNREACHABLE when memory is out. */
int weir_notify_new(struct weir_notify **notify, struct weir_err *err);
void weir_notify_free(struct weir_notify *notify);
/* From another thread: a send that is under way has five seconds more, whatever the sink's time-out
 * is, and then fails as one that is worth trying again. */
void weir_notify_stop(struct weir_notify *notify);

/* Sends one alert to a webhook or Alertmanager sink: 0 when the receiver took it (2xx), else
 * -WEIR_ERR_UNREACHABLE (worth trying again: network, 3xx, 408, 425, 429, 5xx) or -WEIR_ERR_INPUT
 * (other 4xx, an alert or a URL that makes no sense: it never will). The header Idempotency-Key is
 * `id` (printable ASCII); with a secret, X-Weir-Signature is "sha256=" + hex HMAC-SHA256 of the
 * body. `group` is the Kafka group. `external_url` is weir's own, for links; NULL: none. A sink's
 * timeout_ms of 0 is 10 s. */
int weir_notify_send(struct weir_notify *notify, const struct weir_sink *sink, const char *id,
                     const char *alert_json, const char *group, const char *external_url,
                     struct weir_err *err);

#endif
