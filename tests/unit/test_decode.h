/* decode's tests: an event as a line of text, and what holds between the two parsers. */
#ifndef TEST_DECODE_H
#define TEST_DECODE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "weir/decode.h"

#define EVENT_LINE_MAX 4096

static inline size_t put_str(char *line, size_t at, const char *name, struct weir_str str) {
    if (!str.data || at >= EVENT_LINE_MAX)
        return at;
    return at + (size_t)snprintf(line + at, EVENT_LINE_MAX - at, " %s=%.*s", name,
                                 (int)(str.len > 200 ? 200 : str.len), str.data);
}

static inline size_t put_micros(char *line, size_t at, const char *name, int64_t micros) {
    char text[40];
    int len = snprintf(text, sizeof(text), "%" PRId64 ".%06" PRId64, micros / WEIR_MICROS,
                       micros % WEIR_MICROS);
    while (text[len - 1] == '0')
        text[--len] = 0;
    if (text[len - 1] == '.')
        text[--len] = 0;
    return at + (size_t)snprintf(line + at, EVENT_LINE_MAX - at, " %s=%s", name, text);
}

/* "page_view 1570000000000 session=s visitor=v value=12.5"; or the reason alone. What is absent is
 * left out, so is a value of 0 and a quantity of 1. Dimensions are d0= d1= ... */
static inline void event_line(const struct weir_event *event, char *line) {
    if (event->reason != WEIR_OK) {
        snprintf(line, EVENT_LINE_MAX, "%s", weir_reason_name(event->reason));
        return;
    }
    size_t at = 0;
    const char *type = weir_event_type_name(event->type);
    if (type || event->type == WEIR_UNKNOWN_TYPE)
        at = (size_t)snprintf(line, EVENT_LINE_MAX, "%s", type ? type : "unknown");
    else
        at = (size_t)snprintf(line, EVENT_LINE_MAX, "custom%d",
                              event->type - WEIR_CUSTOM_TYPE_FIRST);
    at += (size_t)snprintf(line + at, EVENT_LINE_MAX - at, " %" PRId64, event->time_ms);
    at = put_str(line, at, "session", event->session);
    at = put_str(line, at, "visitor", event->visitor);
    at = put_str(line, at, "event_id", event->event_id);
    at = put_str(line, at, "order_id", event->order_id);
    if (event->value_micros != 0)
        at = put_micros(line, at, "value", event->value_micros);
    if (event->quantity_micros != WEIR_MICROS)
        at = put_micros(line, at, "quantity", event->quantity_micros);
    at = put_str(line, at, "user_agent", event->user_agent);
    for (int i = 0; i < WEIR_DIMENSIONS_MAX; i++) {
        char name[] = {'d', (char)('0' + i), 0};
        at = put_str(line, at, name, event->dimensions[i]);
    }
}

static inline bool same_str(struct weir_str a, struct weir_str b) {
    return a.len == b.len && !a.data == !b.data &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool same_event(const struct weir_event *a, const struct weir_event *b) {
    bool same = a->reason == b->reason && a->type == b->type && a->time_ms == b->time_ms &&
                a->value_micros == b->value_micros && a->quantity_micros == b->quantity_micros &&
                same_str(a->session, b->session) && same_str(a->visitor, b->visitor) &&
                same_str(a->event_id, b->event_id) && same_str(a->order_id, b->order_id) &&
                same_str(a->user_agent, b->user_agent);
    for (int i = 0; i < WEIR_DIMENSIONS_MAX; i++)
        same = same && same_str(a->dimensions[i], b->dimensions[i]);
    return same;
}

/* The relation that decode.h states: the same result, unless jansson rejects the record (then the
 * damage may lie in what weir_decode skips, or may be worse than the reason that it gives). */
static inline bool parsers_agree(const struct weir_decoded *fast, const struct weir_decoded *ref) {
    if (ref->reason == WEIR_BAD_JSON)
        return true;
    if (fast->reason != ref->reason || fast->len != ref->len)
        return false;
    for (size_t i = 0; i < fast->len; i++)
        if (!same_event(&fast->events[i], &ref->events[i]))
            return false;
    return true;
}

/* One mapping and a decoder for each parser, so that both results are valid at once. */
struct both {
    struct weir_mapping *mapping;
    struct weir_decoder *decoder, *reference;
    struct weir_decoded fast, ref;
};

static inline bool both_open(struct both *both, const struct weir_mapping_options *options) {
    struct weir_err err = {0};
    *both = (struct both){0};
    if (weir_mapping_new(&both->mapping, options, &err) != 0) {
        printf("mapping: %s\n", err.text);
        return false;
    }
    both->decoder = weir_decoder_new(both->mapping, 1);
    both->reference = weir_decoder_new(both->mapping, 1);
    return both->decoder && both->reference;
}

static inline void both_close(struct both *both) {
    weir_decoder_free(both->decoder);
    weir_decoder_free(both->reference);
    weir_mapping_free(both->mapping);
}

static inline void both_print(const struct both *both) {
    char line[EVENT_LINE_MAX];
    const struct weir_decoded *sides[] = {&both->fast, &both->ref};
    for (int side = 0; side < 2; side++) {
        printf("  %s: %s, %zu events\n", side ? "jansson" : "weir",
               weir_reason_name(sides[side]->reason), sides[side]->len);
        for (size_t i = 0; i < sides[side]->len && i < 20; i++) {
            event_line(&sides[side]->events[i], line);
            printf("    %s\n", line);
        }
    }
}

/* Decodes by both parsers; says where they differ. The bytes are copied to a block of just their
 * size, so that a sanitizer sees a read beyond them. */
static inline bool both_decode(struct both *both, const char *bytes, size_t len) {
    char *copy = bytes ? malloc(len ? len : 1) : NULL;
    if (copy)
        memcpy(copy, bytes, len);
    weir_decode(both->decoder, copy, len, &both->fast);
    weir_decode_reference(both->reference, copy, len, &both->ref);
    free(copy);
    bool agree = parsers_agree(&both->fast, &both->ref);
    if (!agree) {
        printf("the parsers differ on %zu bytes: %.*s\n", len, (int)(len > 600 ? 600 : len), bytes);
        both_print(both);
    }
    return agree;
}

/* A file of the repository's neighbour `shared`, or of the test's own folder. */
static inline bool shared_path(char *path, size_t path_max, const char *name) {
    const char *shared = getenv("WEIR_SHARED");
    int dir = (int)(strstr(__FILE__, "tests/unit/") - __FILE__);
    if (shared)
        snprintf(path, path_max, "%s/%s", shared, name);
    else
        snprintf(path, path_max, "%.*s../shared/%s", dir, __FILE__, name);
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

#endif
