/*
 * notify_hide: what a receiver answered, without what it repeats of a sink's secrets. Error pages
 * often name the path that was asked for, and a webhook's path is its password.
 *
 * In place, on the caller's text. Private to io/notify. Thread: any. Limits: words of the url below
 * WEIR_HIDDEN_MIN bytes are no secrets.
 */
#ifndef WEIR_IO_NOTIFY_HIDE_H
#define WEIR_IO_NOTIFY_HIDE_H

#include "weir/notify.h"

#define WEIR_HIDDEN_MIN 6

/* Overwrites the secret, the words of the url but its host, and the header that its user and
 * password make, wherever they are in the text; also where the text's end cuts them. */
void weir_notify_hide(char *text, const struct weir_sink *sink);

#endif
