#include "core/decode_reference.h"

#include <string.h>

#include "weir/buf.h"

#define DEPTH_MAX 2048 /* jansson's own: what is deeper is copied as it is, to be rejected */

struct copier {
    const char *at, *end;
    size_t depth;
    struct weir_buf out;
};

static void copy(struct copier *copier, size_t len) {
    weir_buf_append(&copier->out, copier->at, len);
    copier->at += len;
}

static void copy_space(struct copier *copier) {
    copy(copier, strspn(copier->at, " \t\n\r"));
}

/* The bytes of the string at `at`, quotes included; as many as there are if it never closes. */
static size_t string_len(const struct copier *copier) {
    const char *at = copier->at + 1;
    for (; at < copier->end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < copier->end)
            at++;
    return (size_t)(at - copier->at) + (at < copier->end ? 1 : 0);
}

static void copy_key(struct copier *copier, json_t *keys) {
    size_t len = string_len(copier);
    json_t *key = json_loadb(copier->at, len, JSON_DECODE_ANY, NULL);
    const char *name = json_string_value(key);
    if (name && json_object_get(keys, name)) {
        weir_buf_append(&copier->out, copier->at, len - 1);
        weir_buf_text(&copier->out, "\\u0001twice\"");
        copier->at += len;
    } else {
        if (name)
            json_object_set_new(keys, name, json_true());
        copy(copier, len);
    }
    json_decref(key);
}

static void copy_value(struct copier *copier);

static void copy_members(struct copier *copier, json_t *keys) {
    char close = keys ? '}' : ']';
    copy(copier, 1);
    copy_space(copier);
    while (copier->at < copier->end && *copier->at != close) {
        if (*copier->at == ',' || *copier->at == ':')
            copy(copier, 1);
        copy_space(copier);
        if (keys && *copier->at == '"') {
            copy_key(copier, keys);
            copy_space(copier);
            if (*copier->at == ':')
                copy(copier, 1);
            copy_space(copier);
        }
        copy_value(copier);
        copy_space(copier);
    }
    if (copier->at < copier->end)
        copy(copier, 1);
}

/* Always goes on by a byte at least, so that even a text that is not JSON comes to its end. */
static void copy_value(struct copier *copier) {
    if (copier->at >= copier->end)
        return;
    if (copier->depth == DEPTH_MAX) {
        copy(copier, (size_t)(copier->end - copier->at));
        return;
    }
    copier->depth++;
    if (*copier->at == '{') {
        json_t *keys = json_object();
        copy_members(copier, keys);
        json_decref(keys);
    } else if (*copier->at == '[') {
        copy_members(copier, NULL);
    } else if (*copier->at == '"') {
        copy(copier, string_len(copier));
    } else {
        size_t len = strcspn(copier->at, " \t\n\r,:{}[]\"");
        copy(copier, len > 0 ? len : 1);
    }
    copier->depth--;
}

json_t *weir_reference_mark_duplicates(const char *text, size_t len) {
    struct copier copier = {.at = text, .end = text + len};
    weir_buf_init(&copier.out, len * 8 + 64);
    while (copier.at < copier.end) {
        copy_space(&copier);
        copy_value(&copier);
    }
    json_t *tree = copier.out.failed ? NULL : json_loadb(copier.out.data, copier.out.len, 0, NULL);
    weir_buf_close(&copier.out);
    return tree;
}
