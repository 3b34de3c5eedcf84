#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/partition_state.h"
#include "core/records.h"
#include "weir/number.h"

#define TIME_FAR_MS (2 * WEIR_TIME_MAX_MS)
#define SEQ_MAX (1ULL << 53)    /* Redis' scripts count in doubles */
#define DELTAS_FAR (1ULL << 20) /* a delta is gone when all chunks were written after it */

static int damaged(struct weir_err *err, const char *key) {
    return weir_err_set(err, WEIR_ERR_REFUSED,
                        "the stored state is damaged at %s; restore Redis from a backup, or count "
                        "again from Kafka with `weir run --rebuild`",
                        key);
}

int weir_partition_read_meta(const void *meta, size_t len, struct weir_partition_status *status) {
    struct weir_reader in;
    weir_reader_init(&in, meta, len);
    *status = (struct weir_partition_status){0};
    if (weir_reader_byte(&in) != WEIR_STATE_VERSION)
        return -1;
    status->seq = weir_reader_varint(&in);
    status->offset = weir_reader_zigzag(&in);
    status->newest_ms = weir_reader_zigzag(&in);
    status->watermark_ms = weir_reader_zigzag(&in);
    status->records = weir_reader_varint(&in);
    status->events = weir_reader_varint(&in);
    status->unknown_types = weir_reader_varint(&in);
    status->bots = weir_reader_varint(&in);
    if (weir_reader_varint(&in) != WEIR_REASONS)
        return -1;
    for (int r = 0; r < WEIR_REASONS; r++)
        status->rejected[r] = weir_reader_varint(&in);
    status->late = status->rejected[WEIR_LATE];
    return in.failed ? -1 : 0;
}

/* No time that was ever counted, or that an idle partition's clock reached, is beyond these. */
static bool is_time(int64_t ms) {
    return ms == INT64_MIN || (ms >= -TIME_FAR_MS && ms <= TIME_FAR_MS);
}

/* Numbers that no commit can have written would be trusted by all that follows. */
static bool is_sound(const struct weir_partition *p) {
    bool fresh = p->newest_ms == INT64_MIN;
    if (!is_time(p->newest_ms) || !is_time(p->watermark_ms) || !is_time(p->settled_ms))
        return false;
    if (!fresh && (p->settled_ms > weir_partition_floor_ms(p) || p->settled_ms > p->watermark_ms))
        return false;
    if ((fresh && p->settled_ms != INT64_MIN) || p->offset < -1 || p->seq > SEQ_MAX)
        return false;
    if (p->first_delta == 0 || p->first_delta > p->seq + 1 ||
        p->seq + 1 - p->first_delta > DELTAS_FAR)
        return false;
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++)
        if (p->chunk_seq[chunk] > p->seq)
            return false;
    return true;
}

/* Behind the version: eight numbers, the reasons' number, and one for each. */
static void skip_figures(struct weir_reader *in) {
    for (int i = 0; i < 8 + 1 + WEIR_REASONS; i++)
        weir_reader_varint(in);
}

int weir_partition_import_meta(struct weir_partition *p, const void *meta, size_t len,
                               struct weir_err *err) {
    struct weir_reader in;
    weir_reader_init(&in, meta, len);
    uint8_t version = weir_reader_byte(&in);
    if (version != WEIR_STATE_VERSION)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "the stored state has format %u and this weir reads format %u; run the "
                            "weir that wrote it, or start a new kafka.group",
                            version, WEIR_STATE_VERSION);
    struct weir_partition_status status;
    if (weir_partition_read_meta(meta, len, &status) != 0)
        return damaged(err, "meta");
    p->visitors.stored = true;
    p->seq = status.seq;
    p->offset = status.offset;
    p->newest_ms = status.newest_ms;
    p->watermark_ms = p->window.watermark_ms = status.watermark_ms;
    p->records = status.records;
    p->events = status.events;
    p->unknown_types = status.unknown_types;
    p->bot_events = status.bots;
    memcpy(p->rejected, status.rejected, sizeof p->rejected);
    skip_figures(&in);
    p->settled_ms = weir_reader_zigzag(&in);
    p->first_delta = weir_reader_varint(&in);
    p->next_chunk = (uint32_t)weir_reader_varint(&in) % WEIR_CHUNKS;
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++)
        p->chunk_seq[chunk] = p->seq - weir_reader_varint(&in);
    if (in.failed || in.at != in.end || !is_sound(p))
        return damaged(err, "meta");
    if (p->watermark_ms != INT64_MIN) {
        p->now_second = p->watermark_ms / 1000;
        weir_sessions_advance(p->sessions, p->now_second, weir_partition_floor_ms(p), NULL, NULL);
    }
    return 0;
}

static char *want(struct weir_partition *p, size_t *cap) {
    if (p->wanted_len == *cap)
        p->wanted = weir_partition_grow(p->wanted, cap, sizeof *p->wanted);
    return p->wanted[p->wanted_len++];
}

/* "level:index", as in the touched set and behind "b:" in a key. */
static int parse_bucket(const char *text, int *level, int64_t *index) {
    int64_t number;
    if (weir_number_next(&text, ':', &number) != 0 || number < 0 || number >= WEIR_LEVELS)
        return -1;
    *level = (int)number;
    return weir_number_whole(text, index);
}

static int want_bucket(struct weir_partition *p, const char *member, size_t *cap) {
    int l;
    int64_t index;
    if (parse_bucket(member, &l, &index) != 0)
        return -1;
    struct weir_stored *stored = weir_level_bucket(&p->window.levels[l], index);
    stored->released = (index + 1) * weir_level_ms[l] <= p->settled_ms;
    if (!stored->released)
        snprintf(want(p, cap), 40, "b:%d:%lld", l, (long long)index);
    return 0;
}

int weir_partition_import_wants(struct weir_partition *p, const char *const *buckets,
                                size_t buckets_len, char (**keys)[40], size_t *keys_len,
                                struct weir_err *err) {
    size_t cap = 0;
    free(p->wanted);
    p->wanted = NULL;
    p->wanted_len = 0;
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++)
        snprintf(want(p, &cap), 40, "v:%u", d);
    snprintf(want(p, &cap), 40, "k");
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++)
        snprintf(want(p, &cap), 40, "s:%u", chunk);
    for (uint64_t seq = p->first_delta; seq <= p->seq; seq++)
        snprintf(want(p, &cap), 40, "d:%llu", (unsigned long long)seq);
    for (size_t i = 0; i < buckets_len; i++)
        if (want_bucket(p, buckets[i], &cap) != 0)
            return damaged(err, buckets[i]);
    *keys = p->wanted;
    *keys_len = p->wanted_len;
    return 0;
}

static int import_chunk(struct weir_partition *p, uint32_t chunk, struct weir_reader *in) {
    uint64_t seq = weir_reader_varint(in);
    int64_t base_ms = weir_reader_zigzag(in);
    if (in->failed || seq != p->chunk_seq[chunk])
        return -1;
    p->chunk_seq[chunk] = 0; /* its own records count */
    int failed = 0;
    while (!failed && in->at < in->end)
        failed = weir_record_read(p, in, base_ms, seq);
    p->chunk_seq[chunk] = seq;
    return failed;
}

static int import_delta(struct weir_partition *p, uint64_t seq, struct weir_reader *in) {
    int64_t base_ms = weir_reader_zigzag(in);
    int failed = in->failed ? -1 : 0;
    while (!failed && in->at < in->end)
        failed = weir_record_read(p, in, base_ms, seq);
    return failed;
}

static int import_bucket(struct weir_partition *p, const char *name, const void *bytes,
                         size_t len) {
    int l;
    int64_t index;
    if (parse_bucket(name, &l, &index) != 0 || weir_bucket_check(bytes, len) != 0)
        return -1;
    struct weir_stored *stored = weir_level_bucket(&p->window.levels[l], index);
    stored->bytes = malloc(len);
    WEIR_ASSERT(stored->bytes != NULL);
    memcpy(stored->bytes, bytes, len);
    stored->len = (uint32_t)len;
    return 0;
}

static bool is_empty(const struct weir_partition *p) {
    return weir_sessions_len(p->sessions) == 0 && p->visitors.used == 0;
}

/* Chunks come in the order of the tables, one after the other. */
static void defer(struct weir_partition *p, bool deferred) {
    if (p->deferred == deferred)
        return;
    p->deferred = deferred;
    if (deferred) {
        weir_sessions_defer(p->sessions);
        weir_visitors_defer(&p->visitors);
    } else {
        weir_sessions_index(p->sessions);
        weir_visitors_index(&p->visitors);
    }
}

int weir_partition_import(struct weir_partition *p, const char *key, const void *bytes, size_t len,
                          struct weir_err *err) {
    struct weir_reader in;
    weir_reader_init(&in, bytes, len);
    int64_t number = 0;
    bool numbered = key[0] && key[1] == ':' && weir_number_whole(key + 2, &number) == 0;
    int failed = -1;
    defer(p, key[0] == 's' && (p->deferred || is_empty(p)));
    if (strcmp(key, "k") == 0)
        failed = weir_overlap_read(&p->overlap, bytes, len);
    else if (key[0] == 'v' && numbered && number >= 0 && number < p->plan->dimensions_len)
        failed = weir_values_import(&p->values[number], bytes, len);
    else if (key[0] == 's' && numbered && number >= 0 && number < WEIR_CHUNKS)
        failed = import_chunk(p, (uint32_t)number, &in);
    else if (key[0] == 'd' && numbered && number > 0)
        failed = import_delta(p, (uint64_t)number, &in);
    else if (key[0] == 'b' && key[1] == ':')
        failed = import_bucket(p, key + 2, bytes, len);
    return failed ? damaged(err, key) : 0;
}

/* An end before settled_ms would be counted in a bucket that is not here any more. */
static bool ends_before_settled(const struct weir_partition *p) {
    for (uint32_t slot = 1; slot < weir_sessions_slots(p->sessions); slot++) {
        const struct weir_session *session = weir_sessions_at(p->sessions, slot);
        if ((session->flags & WEIR_OPEN) &&
            weir_session_end_ms(p->sessions, session) < p->settled_ms)
            return true;
    }
    return false;
}

int weir_partition_import_done(struct weir_partition *p, struct weir_err *err) {
    for (int l = 0; l < WEIR_LEVELS; l++)
        for (uint32_t i = 0; i < p->window.levels[l].len; i++)
            if (!p->window.levels[l].buckets[i].released && !p->window.levels[l].buckets[i].bytes)
                return damaged(err, "b:");
    defer(p, false);
    if (weir_sessions_len(p->sessions) > weir_sessions_max(p->sessions) || ends_before_settled(p))
        return damaged(err, "s:");
    if (p->watermark_ms != INT64_MIN)
        weir_sessions_refile(p->sessions);
    free(p->wanted);
    p->wanted = NULL;
    return 0;
}
