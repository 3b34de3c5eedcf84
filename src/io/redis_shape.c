#include "weir/redis.h"

static bool is_text(const struct weir_reply *reply, bool or_nil) {
    return reply->type == WEIR_REPLY_TEXT || (or_nil && reply->type == WEIR_REPLY_NIL);
}

static bool is_array(const struct weir_reply *reply, bool or_nil) {
    if (reply->type != WEIR_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < reply->items_len; i++)
        if (!is_text(reply->items[i], or_nil))
            return false;
    return true;
}

const char *weir_reply_words(const struct weir_reply *reply) {
    return reply->type == WEIR_REPLY_ERROR ? reply->text : "something unexpected";
}

int weir_reply_refuse(const struct weir_reply *reply, struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis answered: %s", weir_reply_words(reply));
}

int weir_reply_expect(const struct weir_reply *reply, enum weir_shape shape, size_t len,
                      struct weir_err *err) {
    bool good = false;
    switch (shape) {
    case WEIR_SHAPE_TEXT:
        good = is_text(reply, true);
        break;
    case WEIR_SHAPE_TEXTS:
        good = is_array(reply, false) && reply->items_len % len == 0;
        break;
    case WEIR_SHAPE_FIELDS:
        good = is_array(reply, true) && reply->items_len == len;
        break;
    }
    if (good)
        return 0;
    return weir_reply_refuse(reply, err);
}
