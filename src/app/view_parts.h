/*
 * view_parts: what the files of view share: asking Redis, and its answers as JSON. Private to
 * view*.c; owned and threaded as the view is.
 */
#ifndef WEIR_APP_VIEW_PARTS_H
#define WEIR_APP_VIEW_PARTS_H

#include "app/view.h"

/* The next answer; one of Redis's errors is an error, and the connection is closed, as more
 * answers may be due. */
int weir_view_next(struct weir_view *view, struct weir_reply **reply, struct weir_err *err);
/* A command of NUL-terminated words up to a NULL, to be answered by weir_view_next. */
int weir_view_send(struct weir_view *view, struct weir_err *err, ...) __attribute__((sentinel));

/* Field and value in turn to an object; what is no array gives an empty one. */
json_t *weir_view_fields(const struct weir_reply *fields);
/* A text as the number, text or null that it is. */
json_t *weir_view_value(const struct weir_reply *text);
/* JSON in Redis; what is none comes as a text, so that it is seen. */
json_t *weir_view_json(const struct weir_reply *text);

#endif
