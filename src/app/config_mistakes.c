#include "config_mistakes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/buf.h"

#define LINE_BYTES_MAX 4096
#define NAME_BYTES_MAX 64 /* longer names are not compared */

void weir_mistakes_init(struct weir_mistakes *mistakes) {
    *mistakes = (struct weir_mistakes){0};
}

void weir_mistakes_close(struct weir_mistakes *mistakes) {
    for (size_t i = 0; i < mistakes->len; i++)
        free(mistakes->items[i].text);
    free(mistakes->items);
    *mistakes = (struct weir_mistakes){0};
}

void weir_mistakes_add(struct weir_mistakes *mistakes, const struct weir_source *source, int line,
                       int column, const char *key, const char *format, ...) {
    if (mistakes->len == WEIR_MISTAKES_MAX) {
        mistakes->dropped++;
        return;
    }
    if (mistakes->len == mistakes->cap) {
        mistakes->cap = mistakes->cap ? mistakes->cap * 2 : 8;
        mistakes->items = realloc(mistakes->items, mistakes->cap * sizeof *mistakes->items);
        WEIR_ASSERT(mistakes->items);
    }
    char text[LINE_BYTES_MAX];
    int used = snprintf(text, sizeof text, "%s:%d:%d: %s: ", source->name, line, column, key);
    if (used > 0 && (size_t)used < sizeof text) {
        va_list args;
        va_start(args, format);
        vsnprintf(text + used, sizeof text - (size_t)used, format, args);
        va_end(args);
    }
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    struct weir_mistake *mistake = &mistakes->items[mistakes->len];
    *mistake = (struct weir_mistake){source, line, column, mistakes->len, strdup(text)};
    WEIR_ASSERT(mistake->text);
    mistakes->len++;
}

static int by_place(const void *left, const void *right) {
    const struct weir_mistake *a = left, *b = right;
    if (a->source->rank != b->source->rank)
        return a->source->rank < b->source->rank ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

int weir_mistakes_give(struct weir_mistakes *mistakes, struct weir_problems *problems,
                       struct weir_err *err) {
    if (problems)
        *problems = (struct weir_problems){0};
    if (mistakes->len == 0)
        return 0;
    qsort(mistakes->items, mistakes->len, sizeof *mistakes->items, by_place);
    int result = weir_err_set(err, WEIR_ERR_INPUT, "%s", mistakes->items[0].text);
    if (!problems)
        return result;
    problems->lines = calloc(mistakes->len + 1, sizeof *problems->lines);
    WEIR_ASSERT(problems->lines);
    for (size_t i = 0; i < mistakes->len; i++) {
        problems->lines[problems->len++] = mistakes->items[i].text;
        mistakes->items[i].text = NULL;
    }
    if (mistakes->dropped > 0) {
        const struct weir_mistake *last = &mistakes->items[mistakes->len - 1];
        char text[LINE_BYTES_MAX];
        snprintf(text, sizeof text,
                 "%s:%d:%d: config: %zu more mistakes are not shown; "
                 "mend these first",
                 last->source->name, last->line, last->column, mistakes->dropped);
        problems->lines[problems->len] = strdup(text);
        WEIR_ASSERT(problems->lines[problems->len]);
        problems->len++;
    }
    return result;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Optimal string alignment: insert, delete, replace, swap neighbours. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    unsigned rows[3][NAME_BYTES_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (unsigned j = 0; j <= b_len; j++)
        before[j] = last[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        now[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *weir_names_within(const char *name, const char *const *names, size_t len,
                              unsigned far) {
    size_t name_len = strlen(name);
    const char *nearest = NULL;
    for (size_t i = 0; i < len && name_len <= NAME_BYTES_MAX; i++) {
        size_t other_len = strlen(names[i]);
        if (other_len > NAME_BYTES_MAX)
            continue;
        unsigned slips = distance(name, name_len, names[i], other_len);
        if (slips > far || slips >= name_len || slips >= other_len)
            continue;
        nearest = names[i];
        if (slips == 0)
            break;
        far = slips - 1;
    }
    return nearest;
}

const char *weir_names_nearest(const char *name, const char *const *names, size_t len) {
    size_t name_len = strlen(name);
    unsigned far = name_len < 3 ? 1 : name_len < 6 ? 2 : 3; /* beyond it is another word */
    return weir_names_within(name, names, len, far);
}
