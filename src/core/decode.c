#include "weir/decode.h"

#include <stdlib.h>
#include <string.h>

#include "core/decode_state.h"
#include "core/decode_text.h"

/* Each begins at another place in its page, as a cache holds few lines of the same place. */
#define STAGGER 640

/* 0, or -1 when memory is out. */
static int make_output(struct weir_decoder *decoder, uint32_t number) {
    const struct weir_mapping *mapping = decoder->mapping;
    struct weir_output *output = &decoder->outputs[number];
    size_t text_max = mapping->record_max + WEIR_INDEX_PADDING + mapping->key_max;
    output->memory = calloc(1, number * STAGGER + text_max);
    output->text = output->memory + number * STAGGER;
    output->events = decoder->events + (size_t)number * WEIR_EVENTS_PER_RECORD_MAX;
    output->texts.max = (size_t)WEIR_EVENTS_PER_RECORD_MAX * WEIR_EVENT_TEXTS_MAX;
    output->texts.bytes = malloc(output->texts.max);
    return output->memory && output->texts.bytes ? 0 : -1;
}

static int make_outputs(struct weir_decoder *decoder, uint32_t kept) {
    WEIR_ASSERT(kept > 0);
    decoder->outputs = calloc(kept, sizeof(*decoder->outputs));
    decoder->events = calloc((size_t)kept * WEIR_EVENTS_PER_RECORD_MAX, sizeof(*decoder->events));
    if (!decoder->outputs || !decoder->events)
        return -1;
    decoder->kept = kept;
    decoder->out = decoder->outputs;
    for (uint32_t i = 0; i < kept; i++)
        if (make_output(decoder, i) != 0)
            return -1;
    return 0;
}

struct weir_decoder *weir_decoder_new(const struct weir_mapping *mapping, uint32_t kept) {
    struct weir_decoder *decoder = calloc(1, sizeof(*decoder));
    if (!decoder)
        return NULL;
    decoder->mapping = mapping;
    decoder->scratch_max = (size_t)mapping->key_max * 6; /* \u00xx each */
    decoder->nodes = malloc(mapping->nodes_len * sizeof(*decoder->nodes));
    decoder->scratch = malloc(decoder->scratch_max);
    decoder->index = weir_index_new(mapping->record_max);
    decoder->embedded = mapping->lists_len > 0 ? weir_index_new(mapping->record_max) : NULL;
    if (make_outputs(decoder, kept) != 0 || !decoder->nodes || !decoder->scratch ||
        !decoder->index || (mapping->lists_len > 0 && !decoder->embedded)) {
        weir_decoder_free(decoder);
        return NULL;
    }
    memcpy(decoder->nodes, mapping->nodes, mapping->nodes_len * sizeof(*decoder->nodes));
    for (uint32_t i = 0; i < mapping->nodes_len; i++)
        decoder->nodes[i].after = decoder->nodes[i].first = &decoder->nodes[0];
    return decoder;
}

void weir_decoder_free(struct weir_decoder *decoder) {
    if (!decoder)
        return;
    weir_reference_free(decoder->reference);
    weir_index_free(decoder->index);
    weir_index_free(decoder->embedded);
    for (uint32_t i = 0; i < decoder->kept; i++) {
        free(decoder->outputs[i].memory);
        free(decoder->outputs[i].texts.bytes);
    }
    free(decoder->outputs);
    free(decoder->events);
    free(decoder->scratch);
    free(decoder->nodes);
    free(decoder);
}

struct weir_event *weir_decoder_add(struct weir_decoder *decoder) {
    if (decoder->events_len < WEIR_EVENTS_PER_RECORD_MAX)
        return &decoder->out->events[decoder->events_len++];
    decoder->too_many = true;
    return NULL;
}

void weir_decoder_reset(struct weir_decoder *decoder) {
    decoder->events_len = 0;
    decoder->too_many = false;
    if (++decoder->out == decoder->outputs + decoder->kept)
        decoder->out = decoder->outputs;
    decoder->out->texts.len = 0;
}

void weir_decoder_finish(const struct weir_decoder *decoder, enum weir_reason reason,
                         struct weir_decoded *out) {
    if (reason == WEIR_OK && decoder->too_many)
        reason = WEIR_TOO_MANY;
    if (reason == WEIR_OK && decoder->events_len == 0)
        reason = WEIR_EMPTY;
    out->events = decoder->out->events;
    out->len = reason == WEIR_OK ? decoder->events_len : 0;
    out->reason = reason;
}

enum weir_reason weir_decoder_check(const struct weir_decoder *decoder, const char *bytes,
                                    size_t len) {
    if (!bytes)
        return WEIR_TOMBSTONE;
    if (len > decoder->mapping->record_max)
        return WEIR_TOO_LARGE;
    return len == 0 ? WEIR_EMPTY : WEIR_OK;
}

/* The first candidate that is filled, or NULL. */
static struct weir_scalar *first_of(const struct weir_candidates *candidates,
                                    struct weir_capture *capture) {
    for (uint32_t i = 0; i < candidates->len; i++)
        if (capture->filled[candidates->slots[i]])
            return &capture->slots[candidates->slots[i]];
    return NULL;
}

/* In the event, else in the record around it. */
static inline struct weir_scalar *pick(const struct weir_candidates *candidates,
                                       struct weir_capture *event, struct weir_capture *around) {
    if (event->filled[candidates->slots[0]]) /* the common case */
        return &event->slots[candidates->slots[0]];
    struct weir_scalar *scalar = candidates->len > 1 ? first_of(candidates, event) : NULL;
    return !scalar && around && candidates->outer ? first_of(candidates, around) : scalar;
}

/* 0, or -1: one of them is not JSON. */
static __attribute__((noinline)) int unescape(struct weir_scalar *const *scalars, uint32_t len) {
    for (uint32_t i = 0; i < len; i++)
        if (scalars[i] && scalars[i]->kind == WEIR_SCALAR_ESCAPED &&
            weir_scalar_unescape(scalars[i]) != 0)
            return -1;
    return 0;
}

/* 0, or -1 with the walk failed. */
static int add_event(struct weir_decoder *decoder, struct weir_walk *walk,
                     struct weir_capture *capture, struct weir_capture *around) {
    const struct weir_mapping *mapping = decoder->mapping;
    struct weir_picked picked;
    for (int field = 0; field < WEIR_FIELDS_ALL; field++)
        picked.fields[field] = pick(&mapping->fields[field], capture, around);
    for (uint32_t i = 0; i < mapping->dimensions_len; i++)
        picked.dimensions[i] = pick(&mapping->dimensions[i], capture, around);
    bool escapes = walk->escapes || around; /* what is around may be another text */
    if (escapes && (unescape(picked.fields, WEIR_FIELDS_ALL) != 0 ||
                    unescape(picked.dimensions, mapping->dimensions_len) != 0)) {
        weir_walk_fail(walk, WEIR_BAD_JSON);
        return -1;
    }
    struct weir_event *event = weir_decoder_add(decoder);
    if (event)
        weir_event_build(mapping, &picked, &decoder->out->texts, event);
    return 0;
}

/* One element of a list of events. What is no object is an event without a type. The next token,
 * or 0. */
static uint32_t take_event(struct weir_decoder *decoder, struct weir_walk *walk, uint32_t token,
                           uint32_t depth, struct weir_capture *around) {
    struct weir_capture *capture = &decoder->inner;
    weir_capture_clear(decoder->mapping, capture);
    walk->capture = capture;
    token = weir_walk_byte(walk, token) == '{' ? weir_walk_object(walk, walk->nodes, token, depth)
                                               : weir_walk_skip(walk, token, depth);
    if (token == 0 || add_event(decoder, walk, capture, around) != 0)
        return 0;
    return token;
}

typedef uint32_t take_element(struct weir_decoder *decoder, struct weir_walk *walk, uint32_t token,
                              uint32_t depth, struct weir_capture *around);

/* Every element of the list at `token`, or the one object there. The token after it, or 0. */
static uint32_t each(struct weir_decoder *decoder, struct weir_walk *walk, uint32_t token,
                     uint32_t depth, struct weir_capture *around, take_element *take) {
    if (weir_walk_byte(walk, token) == '{')
        return take(decoder, walk, token, depth, around);
    if (weir_walk_byte(walk, token) != '[')
        return weir_walk_fail(walk, WEIR_BAD_JSON);
    if (weir_walk_byte(walk, ++token) == ']')
        return token + 1;
    for (;;) {
        token = take(decoder, walk, token, depth + 1, around);
        if (token == 0)
            return 0;
        char c = weir_walk_byte(walk, token++);
        if (c == ']')
            return token;
        if (c != ',')
            return weir_walk_fail(walk, WEIR_BAD_JSON);
    }
}

/* A whole text of JSON, to its last token. */
static enum weir_reason take_text(struct weir_decoder *decoder, struct weir_index *index,
                                  char *text, size_t len, struct weir_capture *around,
                                  take_element *take) {
    struct weir_walk walk = {.nodes = decoder->nodes,
                             .text = text,
                             .escapes = memchr(text, '\\', len) != NULL,
                             .scratch = decoder->scratch,
                             .scratch_max = decoder->scratch_max};
    if (weir_index_run(index, text, len, &walk.places, &walk.places_len) != 0)
        return WEIR_BAD_JSON;
    if (walk.places_len == 0)
        return WEIR_OK;
    uint32_t end = each(decoder, &walk, 0, 0, around, take);
    enum weir_reason reason = end == 0                 ? walk.reason
                              : end != walk.places_len ? WEIR_BAD_JSON
                                                       : WEIR_OK;
    bool deep = reason != WEIR_OK && weir_walk_too_deep(&walk);
    return deep ? WEIR_TOO_DEEP : reason;
}

/* Whether the text begins an object or a list: then it is JSON, and has to be all of it. */
static bool looks_like_json(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\n\r", text[i]) || text[i] == 0)
            return text[i] == '{' || text[i] == '[';
    return false;
}

/* The events in the record's list, if that is one. 1: it was; 0: it was not; -1: failed. */
static int take_list(struct weir_decoder *decoder, struct weir_walk *walk, uint32_t token,
                     uint32_t depth) {
    struct weir_capture *outer = &decoder->outer;
    char c = weir_walk_byte(walk, token);
    if (c == '[' || c == '{')
        return each(decoder, walk, token, depth, outer, take_event) != 0 ? 1 : -1;
    if (c != '"')
        return 0;
    uint32_t raw_len;
    char *text = weir_walk_string(walk, token, &raw_len);
    int64_t len = walk->escapes ? weir_text_unescape(text, text, raw_len) : raw_len;
    if (len < 0)
        weir_walk_fail(walk, WEIR_BAD_JSON);
    if (len < 0 || !looks_like_json(text, (size_t)len))
        return len < 0 ? -1 : 0;
    text[len] = 0; /* at the latest the closing quote's place, which nobody reads again */
    enum weir_reason reason =
        take_text(decoder, decoder->embedded, text, (size_t)len, outer, take_event);
    if (reason != WEIR_OK)
        weir_walk_fail(walk, reason);
    return reason == WEIR_OK ? 1 : -1;
}

static bool has_type(const struct weir_mapping *mapping, const struct weir_capture *capture) {
    const struct weir_candidates *candidates = &mapping->fields[WEIR_FIELD_TYPE];
    for (uint32_t i = 0; i < candidates->len; i++)
        if (capture->filled[candidates->slots[i]])
            return true;
    return false;
}

/* An object of the top level: an event, or a record around a list of them. The next token, or 0. */
static uint32_t take_record(struct weir_decoder *decoder, struct weir_walk *walk, uint32_t token,
                            uint32_t depth, struct weir_capture *around) {
    const struct weir_mapping *mapping = decoder->mapping;
    struct weir_capture *outer = &decoder->outer;
    if (weir_walk_byte(walk, token) != '{')
        return take_event(decoder, walk, token, depth, around);
    weir_capture_clear(mapping, outer);
    walk->capture = outer;
    uint32_t next = weir_walk_object(walk, walk->nodes, token, depth);
    if (next == 0)
        return 0;
    for (uint32_t i = 0; i < mapping->lists_len; i++) {
        if (outer->lists[i] == 0 || (mapping->lists[i].weak && has_type(mapping, outer)))
            continue;
        int taken = take_list(decoder, walk, outer->lists[i], depth + 1);
        if (taken != 0)
            return taken > 0 ? next : 0;
    }
    return add_event(decoder, walk, outer, NULL) == 0 ? next : 0;
}

void weir_decode(struct weir_decoder *decoder, const char *bytes, size_t len,
                 struct weir_decoded *out) {
    weir_decoder_reset(decoder);
    enum weir_reason reason = weir_decoder_check(decoder, bytes, len);
    if (reason == WEIR_OK) {
        char *text = decoder->out->text;
        memcpy(text, bytes, len);
        memset(text + len, 0, WEIR_INDEX_PADDING);
        reason = take_text(decoder, decoder->index, text, len, NULL, take_record);
    }
    weir_decoder_finish(decoder, reason, out);
}
