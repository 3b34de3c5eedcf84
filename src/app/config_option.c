#include "config_option.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_value.h"
#include "weir/buf.h"

#define TEXT_BYTES_MAX 1024 /* where the table says nothing */

static void store(const struct weir_option *option, void *base, int64_t value) {
    char *field = (char *)base + option->offset;
    switch (option->size) {
    case 0:
        return;
    case sizeof(bool):
        *field = (char)(value != 0);
        return;
    case sizeof(uint32_t): {
        uint32_t narrow = (uint32_t)value; /* the same bits for an int: its maximum is below 2^31 */
        memcpy(field, &narrow, sizeof narrow);
        return;
    }
    default:
        WEIR_ASSERT(option->size == sizeof value);
        memcpy(field, &value, sizeof value);
    }
}

static void limit_text(const struct weir_option *option, char out[WEIR_VALUE_TEXT_MAX],
                       int64_t limit) {
    if (option->type == WEIR_OPTION_DURATION)
        weir_value_duration_text(out, limit);
    else if (option->type == WEIR_OPTION_SIZE)
        weir_value_size_text(out, limit);
    else
        snprintf(out, WEIR_VALUE_TEXT_MAX, "%" PRId64, limit);
}

bool weir_option_range(const struct weir_option *option, char *out, size_t out_max) {
    char min[WEIR_VALUE_TEXT_MAX], max[WEIR_VALUE_TEXT_MAX];
    *out = '\0';
    if (option->type != WEIR_OPTION_DURATION && option->type != WEIR_OPTION_SIZE &&
        option->type != WEIR_OPTION_INTEGER)
        return false;
    limit_text(option, min, option->min);
    limit_text(option, max, option->max);
    snprintf(out, out_max, "%s to %s%s", min, max,
             option->flags & WEIR_OPTION_OFF ? ", or off" : "");
    return true;
}

static const char *sample_of(const struct weir_option *option) {
    return option->example ? option->example : option->value;
}

static const char *span_text(struct weir_loader *loader, int64_t min, int64_t max) {
    if (min == max)
        return weir_arena_printf(loader->scratch, "%" PRId64, min);
    return weir_arena_printf(loader->scratch, "%" PRId64 " to %" PRId64, min, max);
}

static const char *shown(struct weir_loader *loader, const struct weir_option *option,
                         const struct weir_yaml *node) {
    if ((option->flags & WEIR_OPTION_SECRET) && node->kind == WEIR_YAML_TEXT && !node->null)
        return "the value";
    if (option->type == WEIR_OPTION_MAP)
        return weir_yaml_kind_shown(node);
    return weir_yaml_shown(loader->scratch, node);
}

static enum weir_value_fault parse_number(const struct weir_option *option, const char *text,
                                          int64_t *value) {
    if ((option->flags & WEIR_OPTION_OFF) && strcmp(text, "off") == 0) {
        *value = option->off;
        return WEIR_VALUE_OK;
    }
    if (option->type == WEIR_OPTION_DURATION)
        return weir_value_duration(text, value);
    return option->type == WEIR_OPTION_SIZE ? weir_value_size(text, value)
                                            : weir_value_integer(text, value);
}

static const char *kind_of(const struct weir_option *option) {
    if (option->type == WEIR_OPTION_DURATION)
        return "a duration; write a whole number with ms, s, m, h, d or w";
    if (option->type == WEIR_OPTION_SIZE)
        return "a size; write a whole number, alone or with KiB, MiB or GiB";
    return "a whole number; write digits only";
}

static bool read_number(struct weir_loader *loader, const struct weir_option *option,
                        const struct weir_yaml *node, void *base) {
    int64_t value = 0;
    char range[96];
    const char *what = shown(loader, option, node);
    enum weir_value_fault fault = parse_number(option, node->text, &value);
    if (fault == WEIR_VALUE_NO_UNIT) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s has no unit; write ms, s, m, h, d or w after it, "
                     "such as %s",
                     what, sample_of(option));
        return false;
    }
    if (fault == WEIR_VALUE_MALFORMED) {
        WEIR_MISTAKE(loader->mistakes, node, "%s is not %s, such as %s", what, kind_of(option),
                     sample_of(option));
        return false;
    }
    bool off = (option->flags & WEIR_OPTION_OFF) && fault == WEIR_VALUE_OK && value == option->off;
    if (fault == WEIR_VALUE_TOO_LARGE || (!off && (value < option->min || value > option->max))) {
        weir_option_range(option, range, sizeof range);
        WEIR_MISTAKE(loader->mistakes, node, "%s is out of range; write %s", what, range);
        return false;
    }
    store(option, base, value);
    return true;
}

static bool read_share(struct weir_loader *loader, const struct weir_option *option,
                       const struct weir_yaml *node, void *base) {
    double value = 0;
    if (weir_value_share(node->text, &value) != WEIR_VALUE_OK) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "%s is not a number; write one such as 0.025, or a percentage such as 20%%",
                     shown(loader, option, node));
        return false;
    }
    memcpy((char *)base + option->offset, &value, sizeof value);
    return true;
}

static bool read_choice(struct weir_loader *loader, const struct weir_option *option,
                        const struct weir_yaml *node, void *base) {
    size_t len = 0;
    for (; option->choices[len]; len++) {
        if (strcmp(option->choices[len], node->text) != 0)
            continue;
        store(option, base, (int64_t)len);
        return true;
    }
    const char *what = shown(loader, option, node);
    const char *nearest = weir_names_nearest(node->text, option->choices, len);
    if (nearest) {
        WEIR_MISTAKE(loader->mistakes, node, "%s is unknown; did you mean `%s`?", what, nearest);
        return false;
    }
    struct weir_buf list;
    weir_buf_init(&list, 1024);
    for (size_t i = 0; i < len; i++)
        weir_buf_printf(&list, "%s%s",
                        i == 0         ? ""
                        : i + 1 == len ? " or "
                                       : ", ",
                        option->choices[i]);
    WEIR_MISTAKE(loader->mistakes, node, "%s is unknown; write %s", what,
                 list.data ? list.data : "");
    weir_buf_close(&list);
    return false;
}

static bool read_text(struct weir_loader *loader, const struct weir_option *option,
                      const struct weir_yaml *node, void *base) {
    size_t len = strlen(node->text);
    size_t max = option->max > 0 ? (size_t)option->max : TEXT_BYTES_MAX;
    if (len < (size_t)option->min || len > max) {
        WEIR_MISTAKE(loader->mistakes, node, "%s has %zu bytes; write %s, such as %s",
                     shown(loader, option, node), len, span_text(loader, option->min, (int64_t)max),
                     sample_of(option));
        return false;
    }
    for (const char *at = node->text; *at; at++) {
        if ((unsigned char)*at >= 0x20 && *at != 0x7f)
            continue;
        WEIR_MISTAKE(loader->mistakes, node,
                     "has a line end or another control character in it; write one line");
        return false;
    }
    if (!(option->flags & WEIR_OPTION_SECRET) && strstr(node->text, "://")) {
        WEIR_MISTAKE(loader->mistakes, node,
                     "is a url, and this is no place for one, as it is shown to all who look; "
                     "write such as %s",
                     sample_of(option));
        return false;
    }
    if (option->size == 0)
        return true;
    WEIR_ASSERT(option->size == sizeof(char *));
    char *text = weir_arena_text(loader->kept, node->text);
    memcpy((char *)base + option->offset, &text, sizeof text);
    return true;
}

static bool read_collection(struct weir_loader *loader, const struct weir_option *option,
                            const struct weir_yaml *node) {
    bool list = option->type == WEIR_OPTION_LIST;
    if (node->null && !(option->flags & WEIR_OPTION_REQUIRED))
        return false; /* all of its lines are commented out */
    if (node->null || (list ? node->kind == WEIR_YAML_MAP : node->kind != WEIR_YAML_MAP)) {
        WEIR_MISTAKE(loader->mistakes, node, "%s, not a %s; write for example %s",
                     node->null
                         ? "is empty"
                         : weir_arena_printf(loader->scratch, "is %s", shown(loader, option, node)),
                     list ? "list" : "map", sample_of(option));
        return false;
    }
    size_t len = weir_load_items(node);
    if (len < (size_t)option->min || len > (size_t)option->max) {
        WEIR_MISTAKE(loader->mistakes, node, "has %zu entries; write %s, for example %s", len,
                     span_text(loader, option->min, option->max), sample_of(option));
        return false;
    }
    return true;
}

bool weir_option_read(struct weir_loader *loader, const struct weir_option *option,
                      const struct weir_yaml *node, void *base) {
    if (option->type == WEIR_OPTION_LIST || option->type == WEIR_OPTION_MAP)
        return read_collection(loader, option, node);
    if (node->kind != WEIR_YAML_TEXT || node->null) {
        WEIR_MISTAKE(loader->mistakes, node, "is %s; write one value, such as %s",
                     weir_yaml_shown(loader->scratch, node), sample_of(option));
        return false;
    }
    if (option->type == WEIR_OPTION_TEXT)
        return read_text(loader, option, node, base);
    if (option->type == WEIR_OPTION_SHARE)
        return read_share(loader, option, node, base);
    if (option->type == WEIR_OPTION_CHOICE)
        return read_choice(loader, option, node, base);
    return read_number(loader, option, node, base);
}

const char *weir_option_canonical(struct weir_arena *arena, const struct weir_option *option,
                                  const struct weir_yaml *node) {
    int64_t value = 0;
    bool number = option->type == WEIR_OPTION_DURATION || option->type == WEIR_OPTION_SIZE ||
                  option->type == WEIR_OPTION_INTEGER;
    if (number && parse_number(option, node->text, &value) == WEIR_VALUE_OK)
        return weir_arena_printf(arena, "%" PRId64, value);
    return weir_yaml_dump(arena, node);
}
