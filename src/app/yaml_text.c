/* What a node looks like as text: for messages, and to compare two of them. */
#include <stdio.h>
#include <string.h>

#include "weir/buf.h"
#include "weir/shown.h"
#include "yaml_tree.h"

#define SHOWN_BYTES 60
#define DUMP_BYTES_MAX (32 * 1024 * 1024)

const char *weir_yaml_kind_shown(const struct weir_yaml *node) {
    if (node->kind != WEIR_YAML_TEXT)
        return node->kind == WEIR_YAML_LIST ? "a list" : "a map";
    return node->null ? "nothing" : "a text";
}

const char *weir_yaml_shown(struct weir_arena *arena, const struct weir_yaml *node) {
    if (node->kind != WEIR_YAML_TEXT || node->null || weir_may_be_secret(node->written))
        return weir_yaml_kind_shown(node);
    size_t len = strlen(node->written);
    if (len <= SHOWN_BYTES)
        return weir_arena_printf(arena, "`%s`", node->written);
    len = SHOWN_BYTES;
    while (len > 0 && ((unsigned char)node->written[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    return weir_arena_printf(arena, "`%.*s...`", (int)len, node->written);
}

struct weir_yaml *weir_yaml_first_word(struct weir_arena *arena, const struct weir_yaml *key) {
    size_t word = strcspn(key->text, " "), rest = strlen(key->text) - word;
    struct weir_yaml *shown = weir_arena_take(arena, sizeof *shown);
    *shown = *key;
    if (rest == 0 || key->written != key->text || weir_may_be_secret(key->text))
        return shown;
    shown->written = weir_arena_printf(arena, "%.*s...", (int)word, key->text);
    shown->path = weir_arena_printf(arena, "%.*s...", (int)(strlen(key->path) - rest), key->path);
    return shown;
}

static void dump_text(struct weir_buf *out, const char *text) {
    weir_buf_text(out, "\"");
    for (const char *at = text; *at; at++) {
        if (*at == '"' || *at == '\\')
            weir_buf_printf(out, "\\%c", *at);
        else if ((unsigned char)*at < 0x20)
            weir_buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*at);
        else
            weir_buf_append(out, at, 1);
    }
    weir_buf_text(out, "\"");
}

static void dump(struct weir_buf *out, const struct weir_yaml *node) {
    if (node->kind == WEIR_YAML_TEXT) {
        if (node->null)
            weir_buf_text(out, "null");
        else
            dump_text(out, node->text);
        return;
    }
    bool is_map = node->kind == WEIR_YAML_MAP;
    weir_buf_text(out, is_map ? "{" : "[");
    for (size_t i = 0; i < node->len; i++) {
        if (i > 0)
            weir_buf_text(out, ",");
        if (is_map) {
            dump_text(out, node->keys[i]->text);
            weir_buf_text(out, ":");
        }
        dump(out, node->items[i]);
    }
    weir_buf_text(out, is_map ? "}" : "]");
}

const char *weir_yaml_dump(struct weir_arena *arena, const struct weir_yaml *node) {
    struct weir_buf out;
    weir_buf_init(&out, DUMP_BYTES_MAX);
    dump(&out, node);
    const char *text = weir_arena_copy(arena, out.data ? out.data : "", out.len);
    weir_buf_close(&out);
    return text;
}
