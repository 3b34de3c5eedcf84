/* Records of several partitions in the order of their event time. */
#include <stdlib.h>

#include "app/rekey.h"
#include "weir/clock.h"

#define HOLD_RECORDS 20000
#define HOLD_BYTES ((size_t)16 << 20)
#define RING_MIN 64

static struct weir_rekey_source *source_of(const struct weir_rekey *rekey,
                                           const struct weir_record *record) {
    for (size_t i = 0; i < rekey->sources_len; i++)
        if (rekey->sources[i].number == record->partition &&
            rekey->sources[i].topic == record->topic)
            return &rekey->sources[i];
    return NULL;
}

/* A time that weir would refuse must not hold its partition back. */
static int64_t time_of(const struct weir_rekey *rekey, struct weir_rekey_source *source,
                       const struct weir_record *record) {
    struct weir_decoded decoded;
    weir_decode(rekey->decoder, record->value, record->len, &decoded);
    if (decoded.len == 0 || decoded.events[0].reason != WEIR_OK)
        return source->time_ms;
    int64_t time_ms = decoded.events[0].time_ms;
    int64_t latest_ms = record->timestamp_ms + rekey->config->plan.max_ahead_ms;
    if (record->timestamp_ms >= 0 && time_ms > latest_ms)
        return source->time_ms;
    source->time_ms = time_ms;
    return time_ms;
}

static void grow(struct weir_rekey_source *source) {
    size_t cap = source->cap ? source->cap * 2 : RING_MIN;
    struct weir_rekey_kept *kept = malloc(cap * sizeof *kept);
    WEIR_ASSERT(kept != NULL);
    for (size_t i = 0; i < source->len; i++)
        kept[i] = source->kept[(source->first + i) & (source->cap - 1)];
    free(source->kept);
    source->kept = kept;
    source->cap = cap;
    source->first = 0;
}

void weir_rekey_keep(struct weir_rekey *rekey, struct weir_batch *batch, size_t len) {
    struct weir_rekey_batch *shared = malloc(sizeof *shared);
    WEIR_ASSERT(shared != NULL);
    *shared = (struct weir_rekey_batch){.batch = batch};
    for (size_t i = 0; i < len; i++) {
        const struct weir_record *record = &rekey->records[i];
        struct weir_rekey_source *source = source_of(rekey, record);
        if (!source || record->offset < source->taken)
            continue;
        if (record->offset >= source->end) {
            source->taken = source->end;
            continue;
        }
        if (source->len == source->cap)
            grow(source);
        source->kept[(source->first + source->len++) & (source->cap - 1)] =
            (struct weir_rekey_kept){*record, time_of(rekey, source, record), shared};
        source->taken = record->offset + 1;
        source->bytes += record->len;
        shared->left++;
    }
    if (shared->left == 0) {
        weir_batch_free(batch);
        free(shared);
    }
}

int64_t weir_rekey_next(const struct weir_rekey_source *source) {
    return source->len > 0 ? source->kept[source->first].record.offset : source->taken;
}

/* Retention may pass it, as the end of a transaction, and that is no loss; but what reads on before
 * it would be refused then. So it is committed, too, though nothing is sent with it. */
static void pass_bare(struct weir_rekey *rekey, struct weir_rekey_source *source) {
    int64_t to = source->taken, was = weir_rekey_next(source);
    weir_consumer_at_end(rekey->consumer, source->topic, source->number, &to);
    if (source->held || to <= source->taken || source->taken >= source->end)
        return;
    source->taken = to < source->end ? to : source->end;
    if (source->len > 0)
        return;
    if (source->committed == was) /* an abort undoes nothing of it */
        source->committed = source->taken;
    if (rekey->begun_us == 0)
        rekey->begun_us = weir_clock_monotonic_us();
}

void weir_rekey_pass_bare(struct weir_rekey *rekey) {
    for (size_t i = 0; i < rekey->sources_len; i++)
        pass_bare(rekey, &rekey->sources[i]);
}

void weir_rekey_drop_first(struct weir_rekey_source *source) {
    struct weir_rekey_kept *kept = &source->kept[source->first];
    source->first = (source->first + 1) & (source->cap - 1);
    source->len--;
    source->bytes -= kept->record.len;
    if (--kept->batch->left > 0)
        return;
    weir_batch_free(kept->batch->batch);
    free(kept->batch);
}

void weir_rekey_drop_all(struct weir_rekey *rekey) {
    for (size_t i = 0; i < rekey->sources_len; i++)
        while (rekey->sources[i].len > 0)
            weir_rekey_drop_first(&rekey->sources[i]);
}

bool weir_rekey_is_done(const struct weir_rekey_source *source) {
    return source->len == 0 && source->taken >= source->end;
}

struct weir_rekey_source *weir_rekey_first(const struct weir_rekey *rekey) {
    struct weir_rekey_source *first = NULL;
    for (size_t i = 0; i < rekey->sources_len; i++) {
        struct weir_rekey_source *source = &rekey->sources[i];
        if (source->len > 0) {
            int64_t time_ms = source->kept[source->first].time_ms;
            if (!first || time_ms < first->kept[first->first].time_ms)
                first = source;
        } else if (source->held ||
                   (!weir_consumer_at_end(rekey->consumer, source->topic, source->number, NULL) &&
                    !weir_rekey_is_done(source))) {
            return NULL;
        }
    }
    return first;
}

int weir_rekey_read_on(struct weir_rekey *rekey, struct weir_err *err) {
    struct weir_topic_partition *list = calloc(rekey->sources_len + 1, sizeof *list);
    size_t len = 0;
    WEIR_ASSERT(list != NULL);
    for (size_t i = 0; i < rekey->sources_len; i++) {
        const struct weir_rekey_source *source = &rekey->sources[i];
        if (!source->held)
            list[len++] =
                (struct weir_topic_partition){source->topic, source->number, source->taken};
    }
    int status = weir_consumer_take(rekey->consumer, list, len, err);
    free(list);
    return status;
}

int weir_rekey_hold(struct weir_rekey *rekey, struct weir_err *err) {
    bool changed = false;
    for (size_t i = 0; i < rekey->sources_len; i++) {
        struct weir_rekey_source *source = &rekey->sources[i];
        bool full = source->len > HOLD_RECORDS || source->bytes > HOLD_BYTES;
        bool room = source->len <= HOLD_RECORDS / 4 && source->bytes <= HOLD_BYTES / 4;
        changed |= source->held ? room : full;
        source->held = source->held ? !room : full;
    }
    return changed ? weir_rekey_read_on(rekey, err) : 0;
}
