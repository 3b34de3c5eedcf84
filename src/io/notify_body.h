/*
 * notify_body: what a receiver is sent, apart from the sending. Pure; thread: any.
 */
#ifndef WEIR_IO_NOTIFY_BODY_H
#define WEIR_IO_NOTIFY_BODY_H

#include <stdint.h>

#include "weir/buf.h"
#include "weir/err.h"
#include "weir/notify.h"

#define WEIR_NOTIFY_BODY_MAX ((size_t)1024 * 1024)

/* Appends the body for `sink` (webhook: Alertmanager's version "4"; alertmanager: its API v2) to
 * `body`, which the caller owns. -WEIR_ERR_INPUT when the alert is none. */
int weir_notify_body(struct weir_buf *body, const struct weir_sink *sink, const char *alert_json,
                     const char *group, const char *external_url, int64_t now_ms,
                     struct weir_err *err);

#endif
