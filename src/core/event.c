#include "weir/event.h"

#include <string.h>

static const char *const type_names[WEIR_UNKNOWN_TYPE] = {
    [WEIR_PAGE_VIEW] = "page_view",
    [WEIR_INTERACTION] = "interaction",
    [WEIR_ADD_TO_CART] = "add_to_cart",
    [WEIR_REMOVE_FROM_CART] = "remove_from_cart",
    [WEIR_BEGIN_CHECKOUT] = "begin_checkout",
    [WEIR_PURCHASE] = "purchase",
    [WEIR_REFUND] = "refund",
    [WEIR_SESSION_START] = "session_start",
    [WEIR_SESSION_END] = "session_end",
};

static const char *const reason_names[WEIR_REASONS] = {
    [WEIR_OK] = "ok",
    [WEIR_BAD_JSON] = "bad_json",
    [WEIR_TOO_LARGE] = "too_large",
    [WEIR_TOO_DEEP] = "too_deep",
    [WEIR_DUPLICATE_KEY] = "duplicate_key",
    [WEIR_EMPTY] = "empty",
    [WEIR_TOMBSTONE] = "tombstone",
    [WEIR_TOO_MANY] = "too_many",
    [WEIR_NO_TYPE] = "no_type",
    [WEIR_NO_TIME] = "no_time",
    [WEIR_BAD_TIME] = "bad_time",
    [WEIR_NO_SESSION] = "no_session",
    [WEIR_BAD_ID] = "bad_id",
    [WEIR_BAD_VALUE] = "bad_value",
    [WEIR_BAD_QUANTITY] = "bad_quantity",
    [WEIR_BAD_CURRENCY] = "bad_currency",
    [WEIR_TOO_FAR_AHEAD] = "too_far_ahead",
    [WEIR_LATE] = "late",
};

const char *weir_reason_name(enum weir_reason reason) {
    return reason_names[reason];
}

const char *weir_event_type_name(int type) {
    return type >= 0 && type < WEIR_UNKNOWN_TYPE ? type_names[type] : NULL;
}

int weir_event_type_of(const char *name, size_t len) {
    for (int type = 0; type < WEIR_UNKNOWN_TYPE; type++)
        if (strlen(type_names[type]) == len && memcmp(type_names[type], name, len) == 0)
            return type;
    return -1;
}
