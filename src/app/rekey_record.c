/* What is kept of a record: its time, and itself under the key of its session. */
#include <string.h>

#include "app/rekey.h"

static struct weir_str id_of(const struct weir_event *event) {
    return event->session.len > 0 ? event->session : event->visitor;
}

/* The id of the first session in the record; data NULL when there is none. */
static struct weir_str find_key(const struct weir_decoded *decoded, bool *mixed) {
    struct weir_str key = {NULL, 0};
    *mixed = false;
    for (size_t i = 0; i < decoded->len; i++) {
        struct weir_str id = id_of(&decoded->events[i]);
        if (id.len == 0)
            continue;
        if (!key.data)
            key = id;
        *mixed |= id.len != key.len || memcmp(id.data, key.data, id.len) != 0;
    }
    return key;
}

/* A time that weir would refuse must not hold its partition back. */
static int64_t time_of(const struct weir_rekey *rekey, struct weir_rekey_source *source,
                       const struct weir_record *record, const struct weir_decoded *decoded) {
    if (decoded->len == 0 || decoded->events[0].reason != WEIR_OK)
        return source->time_ms;
    int64_t time_ms = decoded->events[0].time_ms;
    int64_t latest_ms = record->timestamp_ms + rekey->config->plan.max_ahead_ms;
    if (record->timestamp_ms >= 0 && time_ms > latest_ms)
        return source->time_ms;
    source->time_ms = time_ms;
    return time_ms;
}

struct weir_rekey_kept weir_rekey_kept_of(const struct weir_rekey *rekey,
                                          struct weir_rekey_source *source,
                                          const struct weir_record *record) {
    struct weir_decoded decoded;
    struct weir_rekey_kept kept = {.offset = record->offset};
    weir_decode(rekey->decoder, record->value, record->len, &decoded);
    struct weir_str key = find_key(&decoded, &kept.mixed);
    kept.time_ms = time_of(rekey, source, record, &decoded);
    kept.unkeyed = key.data == NULL;
    kept.copy = kept.unkeyed ? weir_copy_new(record, record->key, record->key_len)
                             : weir_copy_new(record, key.data, key.len);
    return kept;
}
