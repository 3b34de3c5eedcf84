/* Any bytes as what Redis answers, in pieces of any size: no crash, and replies that hold together.
 * The first byte is the pieces' size; 0 gives all at once. */
#include <string.h>

#include "fuzz.h"
#include "io/redis_reply.h"
#include "weir/redis.h"

#define ITEMS_MAX 4096 /* so that an input of 12 bytes does not ask for 512 MiB */

static size_t look_at(const struct weir_reply *reply) {
    size_t found = 1;
    WEIR_ASSERT(reply->type <= WEIR_REPLY_ERROR);
    if (reply->type == WEIR_REPLY_TEXT || reply->type == WEIR_REPLY_ERROR)
        WEIR_ASSERT(reply->text && reply->text[reply->len] == 0);
    else
        WEIR_ASSERT(!reply->text);
    WEIR_ASSERT((reply->type == WEIR_REPLY_ARRAY) || reply->items_len == 0);
    for (size_t i = 0; i < reply->items_len; i++) {
        WEIR_ASSERT(reply->items[i] != NULL);
        found += look_at(reply->items[i]);
    }
    return found;
}

/* False when the connection would be closed. */
static int take_replies(redisReader *reader, struct weir_reply_budget *budget) {
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK)
            return 0;
        if (!reply)
            return 1;
        WEIR_ASSERT(look_at(reply) <= (size_t)10 * ITEMS_MAX + 10);
        weir_reply_free(reply);
        budget->items_left = ITEMS_MAX;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz in = {data, size};
    size_t piece = fuzz_byte(&in);
    struct weir_reply_budget budget = {ITEMS_MAX};
    redisReader *reader = weir_reply_reader_new(&budget);
    WEIR_ASSERT(reader != NULL);
    int open = 1;
    while (open && in.left > 0) {
        size_t len = piece == 0 || piece > in.left ? in.left : piece;
        open = redisReaderFeed(reader, (const char *)in.at, len) == REDIS_OK &&
               take_replies(reader, &budget);
        in.at += len;
        in.left -= len;
    }
    redisReaderFree(reader);
    return 0;
}
