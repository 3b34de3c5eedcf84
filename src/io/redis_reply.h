/*
 * redis_reply: hiredis' reader building struct weir_reply directly. Private to io/redis.
 *
 * Ownership: the reader owns a reply until redisReaderGetReply hands it over.
 * Thread: the connection's.  Limits: see WEIR_REPLY_ITEMS_MAX; depth is hiredis' own (7 or 9).
 * Errors: beyond a limit the reader reports an error and the connection is closed.
 */
#ifndef WEIR_IO_REDIS_REPLY_H
#define WEIR_IO_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stddef.h>

#define WEIR_REPLY_ITEMS_MAX ((size_t)64 << 20) /* elements of one reply, over all its arrays */

struct weir_reply_budget {
    size_t items_left;
};

/* NULL when memory runs out. `budget` is reset by the caller before each reply. */
redisReader *weir_reply_reader_new(struct weir_reply_budget *budget);

#endif
