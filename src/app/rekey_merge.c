/* Records of several partitions in the order of their event time. */
#include <stdlib.h>

#include "app/rekey.h"
#include "weir/clock.h"

#define HOLD_RECORDS 20000
#define HOLD_BYTES ((size_t)16 << 20)
#define MEMORY_SHARE 8 /* of `memory`, all that waits may take one part of so many */
#define RING_MIN 64

static struct weir_rekey_source *source_of(const struct weir_rekey *rekey,
                                           const struct weir_record *record) {
    for (size_t i = 0; i < rekey->sources_len; i++)
        if (rekey->sources[i].number == record->partition &&
            rekey->sources[i].topic == record->topic)
            return &rekey->sources[i];
    return NULL;
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

/* The bytes that may wait of one partition. */
static size_t share_of(const struct weir_rekey *rekey) {
    size_t limit = rekey->config->memory.limit, share = limit / MEMORY_SHARE / rekey->sources_len;
    return limit == 0 || share > HOLD_BYTES ? HOLD_BYTES : share;
}

/* Any record finds room where none waits. */
static bool is_full(const struct weir_rekey *rekey, const struct weir_rekey_source *source) {
    return source->len >= HOLD_RECORDS || (source->len > 0 && source->bytes >= share_of(rekey));
}

static size_t bytes_of(const struct weir_rekey_kept *kept) {
    return 2 * sizeof *kept + weir_copy_bytes(kept->copy); /* the ring may be half empty */
}

static void push(struct weir_rekey_source *source, struct weir_rekey_kept kept) {
    if (source->len == source->cap)
        grow(source);
    source->kept[(source->first + source->len++) & (source->cap - 1)] = kept;
    source->taken = kept.offset + 1;
    source->bytes += bytes_of(&kept);
}

void weir_rekey_keep(struct weir_rekey *rekey, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const struct weir_record *record = &rekey->records[i];
        struct weir_rekey_source *source = source_of(rekey, record);
        if (!source || source->held || record->offset < source->taken)
            continue;
        if (record->offset >= source->end)
            source->taken = source->end;
        else if (is_full(rekey, source))
            source->held = rekey->read_anew = true;
        else
            push(source, weir_rekey_kept_of(rekey, source, record));
    }
}

void weir_rekey_drop_first(struct weir_rekey_source *source) {
    struct weir_rekey_kept *kept = &source->kept[source->first];
    source->first = (source->first + 1) & (source->cap - 1);
    source->len--;
    source->bytes -= bytes_of(kept);
    weir_copy_free(kept->copy);
}

int64_t weir_rekey_next(const struct weir_rekey_source *source) {
    return source->len > 0 ? source->kept[source->first].offset : source->taken;
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
    rekey->read_anew = false;
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
    for (size_t i = 0; i < rekey->sources_len; i++) {
        struct weir_rekey_source *source = &rekey->sources[i];
        bool room = source->len <= HOLD_RECORDS / 4 && source->bytes <= share_of(rekey) / 4;
        rekey->read_anew |= source->held && room;
        source->held &= !room;
    }
    return rekey->read_anew ? weir_rekey_read_on(rekey, err) : 0;
}
