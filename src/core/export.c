#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/partition_state.h"
#include "core/records.h"

#define KEEP_REMOVED ((size_t)1 << 16)
#define AHEAD 8 /* sessions from the request for a session's line to its turn */

/* Starts a new value; its bytes are appended to p->bytes until finish_change. */
static struct weir_change *add_change(struct weir_partition *p) {
    if (p->changes_len == p->changes_cap)
        p->changes = weir_partition_grow(p->changes, &p->changes_cap, sizeof *p->changes);
    struct weir_change *change = &p->changes[p->changes_len++];
    *change = (struct weir_change){.at = p->bytes.len, .touched_level = -1};
    return change;
}

static void finish_change(struct weir_partition *p) {
    struct weir_change *change = &p->changes[p->changes_len - 1];
    change->len = p->bytes.len - change->at;
}

static void export_values(struct weir_partition *p) {
    for (uint32_t d = 0; d < p->plan->dimensions_len; d++) {
        if (!p->values[d].changed)
            continue;
        snprintf(add_change(p)->key, 40, "v:%u", d);
        weir_values_export(&p->values[d], &p->bytes);
        finish_change(p);
        p->values[d].changed = false;
    }
}

static void export_overlap(struct weir_partition *p) {
    if (!p->overlap.changed)
        return;
    snprintf(add_change(p)->key, 40, "k");
    weir_overlap_write(&p->overlap, &p->bytes);
    finish_change(p);
    p->overlap.changed = false;
}

/* Every record that changed since the last export; gives the bytes written. */
static size_t export_delta(struct weir_partition *p) {
    if (p->dirty_len + p->removed_len + p->visitors.changed_len == 0)
        return 0;
    int64_t base_ms = p->newest_ms;
    struct weir_change *change = add_change(p);
    snprintf(change->key, sizeof change->key, "d:%llu", (unsigned long long)p->seq);
    size_t start = change->at;
    weir_buf_zigzag(&p->bytes, base_ms);
    for (size_t i = 0; i < p->removed_len; i++)
        weir_record_removed(&p->bytes, &p->removed[i]);
    for (size_t i = 0; i < p->dirty_len; i++) {
        if (i + AHEAD < p->dirty_len)
            __builtin_prefetch(weir_sessions_at(p->sessions, p->dirty[i + AHEAD]), 1);
        struct weir_session *session = weir_sessions_at(p->sessions, p->dirty[i]);
        if (!(session->flags & WEIR_DIRTY))
            continue; /* ended since, or its slot is listed twice */
        if ((session->flags & WEIR_PERSISTED) && !(session->flags & WEIR_WHOLE))
            weir_record_update(&p->bytes, session, base_ms);
        else
            weir_record_whole(p, &p->bytes, session, base_ms);
        session->flags &= ~(unsigned)(WEIR_DIRTY | WEIR_WHOLE) & 0xffff;
        session->flags |= WEIR_PERSISTED;
    }
    for (size_t i = 0; i < p->visitors.changed_len; i++)
        weir_record_visitor(p, &p->bytes, p->visitors.changed[i], base_ms);
    p->dirty_len = p->removed_len = p->visitors.changed_len = 0;
    p->visitors.stored = true;
    finish_change(p);
    return p->bytes.len - start;
}

static void export_chunk(struct weir_partition *p, uint32_t chunk) {
    int64_t base_ms = p->newest_ms;
    snprintf(add_change(p)->key, 40, "s:%u", chunk);
    weir_buf_varint(&p->bytes, p->seq);
    weir_buf_zigzag(&p->bytes, base_ms);
    uint64_t position = 0;
    struct weir_session *session;
    while ((session = weir_sessions_next_in_chunk(p->sessions, chunk, WEIR_CHUNK_BITS,
                                                  &position)) != NULL)
        weir_record_whole(p, &p->bytes, session, base_ms);
    const struct weir_abandoned *entry;
    position = 0;
    while ((entry = weir_visitors_next_in_chunk(&p->visitors, chunk, WEIR_CHUNK_BITS, &position)) !=
           NULL)
        if (entry->end_ms + p->plan->recovery_ms >= weir_partition_floor_ms(p))
            weir_record_visitor(p, &p->bytes, entry->visitor, base_ms);
    p->chunk_seq[chunk] = p->seq;
    finish_change(p);
}

/* As many chunks as the delta has half its bytes, so that all deltas together stay below twice the
 * state: what a claim reads, for a third of what a commit writes. */
static void export_chunks(struct weir_partition *p, size_t delta_bytes) {
    if (delta_bytes == 0)
        return;
    size_t start = p->bytes.len;
    for (uint32_t i = 0; i < WEIR_CHUNKS && p->bytes.len - start < delta_bytes / 2; i++) {
        export_chunk(p, p->next_chunk);
        p->next_chunk = (p->next_chunk + 1) % WEIR_CHUNKS;
    }
    uint64_t oldest = p->seq;
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++)
        oldest = p->chunk_seq[chunk] < oldest ? p->chunk_seq[chunk] : oldest;
    for (; p->first_delta <= oldest; p->first_delta++) {
        struct weir_change *change = add_change(p);
        snprintf(change->key, sizeof change->key, "d:%llu", (unsigned long long)p->first_delta);
        change->remove = true;
    }
}

static void export_buckets(struct weir_partition *p) {
    for (int l = 0; l < WEIR_LEVELS; l++) {
        struct weir_level *level = &p->window.levels[l];
        for (uint32_t i = level->len; i-- > 0;) {
            struct weir_stored *stored = &level->buckets[i];
            if (!stored->touched)
                continue;
            struct weir_change *change = add_change(p);
            snprintf(change->key, sizeof change->key, "b:%d:%lld", l, (long long)stored->index);
            change->touched_level = l;
            weir_buf_append(&p->bytes, stored->bytes, stored->len);
            finish_change(p);
            stored->touched = false;
        }
        for (uint32_t i = 0; i < level->removed_len; i++) {
            struct weir_change *change = add_change(p);
            snprintf(change->key, sizeof change->key, "b:%d:%lld", l, (long long)level->removed[i]);
            change->touched_level = l;
            change->remove = true;
        }
        level->removed_len = 0;
    }
    p->window.unsaved = 0;
}

static void export_meta(struct weir_partition *p) {
    struct weir_buf *out = &p->meta;
    weir_buf_clear(out);
    weir_buf_byte(out, WEIR_STATE_VERSION);
    weir_buf_varint(out, p->seq);
    weir_buf_zigzag(out, p->offset);
    weir_buf_zigzag(out, p->newest_ms);
    weir_buf_zigzag(out, p->watermark_ms);
    weir_buf_varint(out, p->records);
    weir_buf_varint(out, p->events);
    weir_buf_varint(out, p->unknown_types);
    weir_buf_varint(out, p->bot_events);
    weir_buf_varint(out, WEIR_REASONS);
    for (int r = 0; r < WEIR_REASONS; r++)
        weir_buf_varint(out, p->rejected[r]);
    weir_buf_zigzag(out, p->settled_ms);
    weir_buf_varint(out, p->first_delta);
    weir_buf_varint(out, p->next_chunk);
    for (uint32_t chunk = 0; chunk < WEIR_CHUNKS; chunk++)
        weir_buf_varint(out, p->seq - p->chunk_seq[chunk]);
}

int weir_partition_export(struct weir_partition *p, struct weir_changes *changes,
                          struct weir_err *err) {
    if (!p->exported && p->moved) {
        p->prev_seq = p->seq++;
        p->changes_len = 0;
        weir_buf_clear(&p->bytes);
        weir_window_fold(&p->window);
        export_values(p);
        export_overlap(p);
        export_chunks(p, export_delta(p));
        export_buckets(p);
        export_meta(p);
        weir_buf_clear(&p->exported_ticks);
        weir_buf_append(&p->exported_ticks, p->ticks.data, p->ticks.len);
        p->exported_ticks.failed |= p->ticks.failed;
        weir_buf_clear(&p->ticks);
        p->exported_settled_ms = p->settled_ms;
        p->moved = false;
        p->exported = true;
    }
    if (!p->exported) {
        *changes = (struct weir_changes){.prev_seq = p->seq, .seq = p->seq, .offset = p->offset};
        return 0;
    }
    if (p->bytes.failed || p->meta.failed || p->exported_ticks.failed) /* each time it is asked */
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "a commit of more than 2 GiB, or no memory for it; use more partitions "
                            "or a lower sessions.max_open");
    *changes = (struct weir_changes){
        .items = p->changes,
        .len = p->changes_len,
        .bytes = p->bytes.data,
        .bytes_len = p->bytes.len,
        .prev_seq = p->prev_seq,
        .seq = p->seq,
        .offset = p->offset,
        .watermark_ms = p->watermark_ms,
        .meta = p->meta.data,
        .meta_len = p->meta.len,
        .ticks = p->exported_ticks.data,
        .ticks_len = p->exported_ticks.len,
    };
    return 0;
}

void weir_partition_committed(struct weir_partition *p) {
    if (!p->exported)
        return;
    p->exported = false;
    weir_window_release(&p->window, p->exported_settled_ms); /* what came since is not stored yet */
    if (p->bytes.cap > p->window.unsaved_max) /* a larger one is not kept for the next commit */
        weir_buf_close(&p->bytes);
    if (p->removed_cap > KEEP_REMOVED && p->removed_len == 0) {
        free(p->removed);
        p->removed = NULL;
        p->removed_cap = 0;
    }
}
