#include "config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest first, so that the texts are short; `w` is only read, 7d says as much. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {"w", 604800000}};
static const struct unit sizes[] = {
    {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}, {"B", 1}};

#define LEN(array) (sizeof(array) / sizeof(array)[0])

/* Digits only: no sign, no space, as strtoll would allow. */
static enum weir_value_fault digits(const char *text, int64_t *number, const char **end) {
    size_t len = strspn(text, "0123456789");
    if (len == 0)
        return WEIR_VALUE_MALFORMED;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        return WEIR_VALUE_TOO_LARGE;
    *number = value;
    *end = text + len;
    return WEIR_VALUE_OK;
}

static enum weir_value_fault with_unit(const char *text, const struct unit *units, size_t len,
                                       int64_t *out) {
    int64_t number = 0;
    const char *end = text;
    enum weir_value_fault fault = digits(text, &number, &end);
    if (fault != WEIR_VALUE_OK)
        return fault;
    if (!*end) {
        *out = number;
        return WEIR_VALUE_NO_UNIT;
    }
    for (size_t i = 0; i < len; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (number > INT64_MAX / units[i].factor)
            return WEIR_VALUE_TOO_LARGE;
        *out = number * units[i].factor;
        return WEIR_VALUE_OK;
    }
    return WEIR_VALUE_MALFORMED;
}

enum weir_value_fault weir_value_duration(const char *text, int64_t *ms) {
    int64_t value = 0;
    enum weir_value_fault fault = with_unit(text, durations, LEN(durations), &value);
    if (fault == WEIR_VALUE_NO_UNIT && value == 0)
        fault = WEIR_VALUE_OK;
    if (fault == WEIR_VALUE_OK)
        *ms = value;
    return fault;
}

enum weir_value_fault weir_value_size(const char *text, int64_t *bytes) {
    int64_t value = 0;
    enum weir_value_fault fault = with_unit(text, sizes, LEN(sizes), &value);
    if (fault == WEIR_VALUE_NO_UNIT)
        fault = WEIR_VALUE_OK;
    if (fault == WEIR_VALUE_OK)
        *bytes = value;
    return fault;
}

enum weir_value_fault weir_value_integer(const char *text, int64_t *number) {
    bool negative = *text == '-';
    int64_t value = 0;
    const char *end = text;
    enum weir_value_fault fault = digits(text + (negative ? 1 : 0), &value, &end);
    if (fault != WEIR_VALUE_OK)
        return fault;
    if (*end)
        return WEIR_VALUE_MALFORMED;
    *number = negative ? -value : value;
    return WEIR_VALUE_OK;
}

/* The first `len` bytes as a number; strtod alone would take hex, inf, nan and spaces. */
static enum weir_value_fault decimal(const char *text, size_t len, double *number) {
    char copy[64];
    if (len == 0 || strspn(text, "0123456789+-.eE") < len)
        return WEIR_VALUE_MALFORMED;
    if (len >= sizeof copy)
        return WEIR_VALUE_TOO_LARGE;
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *end = NULL;
    double value = strtod(copy, &end);
    if (end != copy + len)
        return WEIR_VALUE_MALFORMED;
    if (!isfinite(value))
        return WEIR_VALUE_TOO_LARGE;
    *number = value;
    return WEIR_VALUE_OK;
}

enum weir_value_fault weir_value_number(const char *text, double *number) {
    return decimal(text, strlen(text), number);
}

enum weir_value_fault weir_value_share(const char *text, double *share) {
    size_t len = strlen(text);
    bool percent = len > 0 && text[len - 1] == '%';
    double value = 0;
    enum weir_value_fault fault = decimal(text, percent ? len - 1 : len, &value);
    if (fault == WEIR_VALUE_OK)
        *share = percent ? value / 100 : value;
    return fault;
}

static void in_units(char out[WEIR_VALUE_TEXT_MAX], const struct unit *units, size_t len,
                     int64_t value) {
    for (size_t i = 0; i < len; i++) {
        if (value != 0 && value % units[i].factor == 0) {
            snprintf(out, WEIR_VALUE_TEXT_MAX, "%" PRId64 "%s", value / units[i].factor,
                     units[i].name);
            return;
        }
    }
    snprintf(out, WEIR_VALUE_TEXT_MAX, "%" PRId64, value);
}

void weir_value_duration_text(char out[WEIR_VALUE_TEXT_MAX], int64_t ms) {
    in_units(out, durations, LEN(durations) - 1, ms);
}

void weir_value_size_text(char out[WEIR_VALUE_TEXT_MAX], int64_t bytes) {
    in_units(out, sizes, LEN(sizes) - 1, bytes);
}
