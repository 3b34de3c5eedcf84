/*
 * http_listen: a listening socket from a text like "127.0.0.1:9465" or "[::1]:0".
 * The caller owns the descriptor. No state; thread: any.
 */
#ifndef WEIR_IO_HTTP_LISTEN_H
#define WEIR_IO_HTTP_LISTEN_H

#include "weir/err.h"

/* The descriptor and, in `port`, the port it got; or a negative code and the sentence. */
int weir_http_listen(const char *listen, int *port, struct weir_err *err);

#endif
