#include "core/mapping_path.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "weir/decode.h"

struct parser {
    const char *whole, *at;
    char *out; /* the next free byte of the path's storage */
    struct weir_path *path;
    struct weir_err *err;
};

static int wrong(const struct parser *p, const char *what) {
    return weir_err_set(p->err, WEIR_ERR_INPUT, "path `%.200s`: %s (at character %d)", p->whole,
                        what, (int)(p->at - p->whole) + 1);
}

static bool is_bare(char c) {
    return (unsigned char)c > ' ' && c != 0x7f && !strchr(".[]\"\\=*", c);
}

/* A bare or quoted text up to a character that cannot be in it. */
static int take_text(struct parser *p, const char **text, uint32_t *len) {
    char *start = p->out;
    if (*p->at == '"') {
        for (p->at++; *p->at != '"'; p->at++) {
            if (*p->at == '\\' && (p->at[1] == '"' || p->at[1] == '\\'))
                p->at++;
            else if (*p->at == 0 || *p->at == '\\')
                return wrong(p, "the quote never closes; write [\"my.key\"], a quote or backslash "
                                "inside it with a backslash before");
            *p->out++ = *p->at;
        }
        p->at++;
    } else {
        while (*p->at && is_bare(*p->at))
            *p->out++ = *p->at++;
    }
    if (p->out == start)
        return wrong(p, *p->at == '*'
                            ? "`*` is not known; name an element, as in items[0].price"
                            : "a key is missing; write keys separated by dots, as in geo.country");
    *text = start;
    *len = (uint32_t)(p->out - start);
    *p->out++ = 0;
    return 0;
}

static int take_index(struct parser *p, struct weir_segment *segment) {
    uint32_t index = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++) {
        index = index * 10 + (uint32_t)(*p->at - '0');
        if (index > WEIR_PATH_INDEX_MAX)
            return wrong(p, "an index can be 999 at most");
    }
    *segment = (struct weir_segment){.kind = WEIR_SEGMENT_INDEX, .index = index};
    return 0;
}

/* After the `[`. */
static int take_bracket(struct parser *p, struct weir_segment *segment) {
    int rc;
    if (*p->at >= '0' && *p->at <= '9') {
        rc = take_index(p, segment);
    } else {
        bool quoted = *p->at == '"';
        segment->kind = WEIR_SEGMENT_KEY;
        rc = take_text(p, &segment->text, &segment->text_len);
        if (rc == 0 && *p->at == '=') {
            p->at++;
            segment->kind = WEIR_SEGMENT_SELECT;
            rc = take_text(p, &segment->value, &segment->value_len);
        } else if (rc == 0 && !quoted) {
            return wrong(p, "in brackets write an index [0], a quoted key [\"my.key\"] or a "
                            "selector [key=text]");
        }
    }
    if (rc != 0)
        return rc;
    if (*p->at != ']')
        return wrong(p, "a `]` is missing");
    p->at++;
    return 0;
}

static int take_segments(struct parser *p) {
    struct weir_path *path = p->path;
    for (;;) {
        if (path->len == WEIR_PATH_SEGMENTS_MAX)
            return wrong(p, "the path is deeper than a record may be (16)");
        struct weir_segment *segment = &path->segments[path->len];
        *segment = (struct weir_segment){.kind = WEIR_SEGMENT_KEY};
        int rc;
        if (*p->at == '[') {
            p->at++;
            rc = take_bracket(p, segment);
        } else {
            rc = take_text(p, &segment->text, &segment->text_len);
        }
        if (rc != 0)
            return rc;
        if (path->len == 0 && segment->kind != WEIR_SEGMENT_KEY)
            return wrong(p, "a path starts with a key, as an event is an object");
        path->len++;
        if (*p->at == 0)
            return 0;
        if (*p->at == '.')
            p->at++;
        else if (*p->at != '[')
            return wrong(p, "write a dot between keys; a key with an odd character goes in "
                            "brackets and quotes, as in [\"my key\"]");
    }
}

int weir_path_parse(struct weir_path *path, const char *text, struct weir_err *err) {
    *path = (struct weir_path){0};
    size_t len = strlen(text);
    if (len > WEIR_PATH_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "path `%.60s...` is %zu bytes; write %d at most",
                            text, len, WEIR_PATH_MAX);
    path->bytes = malloc(2 * len + 2); /* each text and its NUL */
    if (!path->bytes)
        return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory for a path");
    struct parser p = {text, text, path->bytes, path, err};
    int rc = take_segments(&p);
    if (rc != 0)
        weir_path_free(path);
    return rc;
}

void weir_path_free(struct weir_path *path) {
    free(path->bytes);
    *path = (struct weir_path){0};
}

int weir_mapping_check_path(const char *path, struct weir_err *err) {
    struct weir_path parsed;
    int rc = weir_path_parse(&parsed, path, err);
    if (rc == 0)
        weir_path_free(&parsed);
    return rc;
}
