/* The reference: the record as jansson's tree, each path looked up on its own. Nothing here is
 * shared with decode_walk.c but the rules of decode_event.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/decode_reference.h"
#include "core/decode_state.h"

struct weir_reference {
    json_t *kept; /* trees and texts that the last events point into */
};

struct found {
    struct weir_scalar slots[WEIR_SLOTS_MAX]; /* by path */
};

void weir_reference_free(struct weir_reference *reference) {
    if (!reference)
        return;
    json_decref(reference->kept);
    free(reference);
}

/* The tree, owned by `kept`; NULL when jansson rejects the text. */
static json_t *parse(struct weir_reference *reference, const char *text, size_t len) {
    json_error_t error;
    json_t *tree = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!tree && json_error_code(&error) == json_error_duplicate_key)
        tree = weir_reference_mark_duplicates(text, len);
    if (tree)
        WEIR_ASSERT(json_array_append_new(reference->kept, tree) == 0);
    return tree;
}

static size_t depth_of(json_t *value) {
    size_t deepest = 0, i;
    const char *key;
    json_t *child;
    if (!json_is_object(value) && !json_is_array(value))
        return 0;
    json_object_foreach(value, key, child) {
        size_t depth = depth_of(child);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, i, child) {
        size_t depth = depth_of(child);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static bool is_twice(json_t *object, const char *key) {
    char marked[WEIR_PATH_MAX + sizeof(WEIR_REFERENCE_TWICE)];
    snprintf(marked, sizeof(marked), "%s%s", key, WEIR_REFERENCE_TWICE);
    return json_object_get(object, marked) != NULL;
}

/* The first element whose member is the text. */
static json_t *select_item(json_t *list, const struct weir_segment *segment, bool *twice) {
    json_t *item, *selected = NULL;
    size_t i;
    json_array_foreach(list, i, item) {
        if (is_twice(item, segment->text))
            *twice = true;
        const char *text = json_string_value(json_object_get(item, segment->text));
        if (!selected && text && strcmp(text, segment->value) == 0)
            selected = item;
    }
    return selected;
}

static json_t *look_up(json_t *value, const struct weir_path *path, bool *twice) {
    for (uint32_t i = 0; i < path->len && value; i++) {
        const struct weir_segment *segment = &path->segments[i];
        switch (segment->kind) {
        case WEIR_SEGMENT_KEY:
            if (is_twice(value, segment->text))
                *twice = true;
            value = json_object_get(value, segment->text);
            break;
        case WEIR_SEGMENT_INDEX:
            value = json_array_get(value, segment->index);
            break;
        case WEIR_SEGMENT_SELECT:
            value = select_item(value, segment, twice);
            break;
        }
    }
    return value;
}

static struct weir_scalar text_scalar(enum weir_scalar_kind kind, json_t *text) {
    union {
        const char *in;
        char *out;
    } data = {.in = json_string_value(text)};
    return (struct weir_scalar){
        .kind = kind, .data = data.out, .len = (uint32_t)json_string_length(text)};
}

static struct weir_scalar kept_text(struct weir_reference *reference, enum weir_scalar_kind kind,
                                    const char *text) {
    json_t *string = json_string(text);
    WEIR_ASSERT(string && json_array_append_new(reference->kept, string) == 0);
    return text_scalar(kind, string);
}

static struct weir_scalar scalar_of(struct weir_reference *reference, json_t *value) {
    struct weir_scalar scalar = {.kind = WEIR_SCALAR_NONE};
    char text[32];
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL:
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        scalar.kind = WEIR_SCALAR_NESTED;
        break;
    case JSON_STRING:
        if (json_string_length(value) > 0)
            scalar = text_scalar(WEIR_SCALAR_STRING, value);
        break;
    case JSON_INTEGER:
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        scalar = kept_text(reference, WEIR_SCALAR_INT, text);
        scalar.number.whole = json_integer_value(value);
        break;
    case JSON_REAL:
        scalar.kind = WEIR_SCALAR_REAL;
        scalar.number.real = json_real_value(value);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        scalar = kept_text(reference, WEIR_SCALAR_BOOL, json_is_true(value) ? "true" : "false");
        break;
    }
    return scalar;
}

static enum weir_reason find_all(struct weir_decoder *decoder, json_t *object,
                                 struct found *found) {
    const struct weir_mapping *mapping = decoder->mapping;
    bool twice = false;
    for (uint32_t slot = 0; slot < mapping->slots_len; slot++)
        found->slots[slot] =
            scalar_of(decoder->reference, look_up(object, &mapping->paths[slot], &twice));
    for (uint32_t i = 0; i < mapping->lists_len; i++)
        if (is_twice(object, mapping->lists[i].key))
            twice = true;
    return twice ? WEIR_DUPLICATE_KEY : WEIR_OK;
}

static struct weir_scalar *first_of(const struct weir_candidates *candidates, struct found *event,
                                    struct found *around) {
    for (int i = 0; i < candidates->len; i++)
        if (event->slots[candidates->slots[i]].kind != WEIR_SCALAR_NONE)
            return &event->slots[candidates->slots[i]];
    return around && candidates->outer ? first_of(candidates, around, NULL) : NULL;
}

static void add_event(struct weir_decoder *decoder, struct found *found, struct found *around) {
    struct weir_picked picked;
    for (int field = 0; field < WEIR_FIELDS_ALL; field++)
        picked.fields[field] = first_of(&decoder->mapping->fields[field], found, around);
    for (uint32_t i = 0; i < decoder->mapping->dimensions_len; i++)
        picked.dimensions[i] = first_of(&decoder->mapping->dimensions[i], found, around);
    struct weir_event *event = weir_decoder_add(decoder);
    if (event)
        weir_event_build(decoder->mapping, &picked, &decoder->out->texts, event);
}

static enum weir_reason take_events(struct weir_decoder *decoder, json_t *list,
                                    struct found *around) {
    struct found found;
    if (!json_is_array(list)) {
        enum weir_reason reason = find_all(decoder, list, &found);
        if (reason == WEIR_OK)
            add_event(decoder, &found, around);
        return reason;
    }
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        enum weir_reason reason = find_all(decoder, item, &found);
        if (reason != WEIR_OK)
            return reason;
        add_event(decoder, &found, around);
    }
    return WEIR_OK;
}

/* The list of events that a record's value is, itself or as a text; else NULL. */
static json_t *list_of(struct weir_decoder *decoder, json_t *value, enum weir_reason *reason) {
    if (json_is_array(value) || json_is_object(value))
        return value;
    const char *text = json_string_value(value);
    const char *start = text ? text + strspn(text, " \t\n\r") : NULL;
    if (!start || (*start != '{' && *start != '['))
        return NULL;
    json_t *list = parse(decoder->reference, text, strlen(text));
    if (!list)
        *reason = WEIR_BAD_JSON;
    else if (depth_of(list) > WEIR_DEPTH_MAX)
        *reason = WEIR_TOO_DEEP;
    return list;
}

static enum weir_reason take_record(struct weir_decoder *decoder, json_t *record) {
    const struct weir_mapping *mapping = decoder->mapping;
    struct found found;
    enum weir_reason reason = find_all(decoder, record, &found);
    if (reason != WEIR_OK)
        return reason;
    bool has_type = first_of(&mapping->fields[WEIR_FIELD_TYPE], &found, NULL) != NULL;
    for (uint32_t i = 0; i < mapping->lists_len; i++) {
        if (mapping->lists[i].weak && has_type)
            continue;
        json_t *list = list_of(decoder, json_object_get(record, mapping->lists[i].key), &reason);
        if (reason != WEIR_OK)
            return reason;
        if (list)
            return take_events(decoder, list, &found);
    }
    add_event(decoder, &found, NULL);
    return WEIR_OK;
}

static enum weir_reason take_text(struct weir_decoder *decoder, const char *bytes, size_t len) {
    if (len == strspn(bytes, " \t\n\r"))
        return WEIR_OK;
    if (memchr(bytes, 0, len))
        return WEIR_BAD_JSON; /* jansson 2.14 skips a NUL that follows a number */
    json_t *tree = parse(decoder->reference, bytes, len);
    if (!tree)
        return WEIR_BAD_JSON;
    if (depth_of(tree) > WEIR_DEPTH_MAX)
        return WEIR_TOO_DEEP;
    if (json_is_object(tree))
        return take_record(decoder, tree);
    size_t i;
    json_t *item;
    json_array_foreach(tree, i, item) {
        enum weir_reason reason = take_record(decoder, item);
        if (reason != WEIR_OK)
            return reason;
    }
    return WEIR_OK;
}

void weir_decode_reference(struct weir_decoder *decoder, const char *bytes, size_t len,
                           struct weir_decoded *out) {
    weir_decoder_reset(decoder);
    if (!decoder->reference)
        decoder->reference = calloc(1, sizeof(*decoder->reference));
    WEIR_ASSERT(decoder->reference);
    json_decref(decoder->reference->kept);
    decoder->reference->kept = json_array();
    enum weir_reason reason = weir_decoder_check(decoder, bytes, len);
    if (reason == WEIR_OK) {
        char *text = decoder->out->text;
        memcpy(text, bytes, len);
        text[len] = 0;
        reason = take_text(decoder, text, len);
    }
    weir_decoder_finish(decoder, reason, out);
}
