#include "names.h"

#include <stdarg.h>
#include <stdio.h>

static int fits(char *out, size_t max, int len) {
    if (len >= 0 && (size_t)len < max)
        return len;
    if (max > 0)
        out[0] = 0;
    return -1;
}

int weir_window_name(char *out, size_t max, int64_t window_ms) {
    static const struct {
        int64_t ms, from_ms; /* the unit, and the least that is written in it */
        const char *name;
    } units[] = {
        {86400000, 2 * 86400000, "d"},
        {3600000, 3600000, "h"},
        {60000, 60000, "m"},
        {1000, 1000, "s"},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (window_ms >= units[i].from_ms && window_ms % units[i].ms == 0)
            return fits(
                out, max,
                snprintf(out, max, "%lld%s", (long long)(window_ms / units[i].ms), units[i].name));
    return fits(out, max, snprintf(out, max, "%lldms", (long long)window_ms));
}

int weir_name_key(char *out, size_t max, const char *group, const char *format, ...) {
    int head = fits(out, max, snprintf(out, max, "weir:{%s}:", group));
    if (head < 0)
        return -1;
    va_list arguments;
    va_start(arguments, format);
    int rest = vsnprintf(out + head, max - (size_t)head, format, arguments);
    va_end(arguments);
    if (fits(out + head, max - (size_t)head, rest) < 0) {
        out[0] = 0;
        return -1;
    }
    return head + rest;
}

int weir_name_tag(char *out, size_t max, const char *group, const char *topic, int32_t partition) {
    return fits(out, max, snprintf(out, max, "weir:{%s.%s.%d}", group, topic, partition));
}
