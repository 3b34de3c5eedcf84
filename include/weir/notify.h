/*
 * notify: an alert to the world, over HTTP, by libcurl.
 *
 * Belongs to one thread (the notifier's), may block up to the sink's time-out, keeps nothing: the
 * queue and its retries live in Redis (app/outbox). `body` is an alert as JSON (interface.md).
 */
#ifndef WEIR_NOTIFY_H
#define WEIR_NOTIFY_H

#include "weir/config.h"
#include "weir/err.h"

struct weir_notify;
int weir_notify_new(struct weir_notify **notify, struct weir_err *err);
void weir_notify_free(struct weir_notify *notify);

/* Sends one alert to a webhook or Alertmanager sink: 0 when the receiver took it (2xx), else
 * -WEIR_ERR_UNREACHABLE (worth trying again: network, 5xx, 429) or -WEIR_ERR_INPUT (4xx: it never
 * will). The header Idempotency-Key is `id`; with a secret, X-Weir-Signature is
 * "sha256=" + hex HMAC-SHA256 of the body. `group` is the Kafka group, for groupLabels. */
int weir_notify_send(struct weir_notify *notify, const struct weir_sink *sink, const char *id,
                     const char *alert_json, const char *group, const char *external_url,
                     struct weir_err *err);

#endif
