#include "weir/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Behind a number comes its separator or the end. */
static int pass(const char **text, const char *end, char separator) {
    if (*end != separator && *end != '\0')
        return -1;
    *text = *end ? end + 1 : end;
    return 0;
}

int weir_number_next(const char **text, char separator, int64_t *number) {
    char *end;
    if (!isdigit((unsigned char)**text) && **text != '-')
        return -1;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    if (errno || end == *text || pass(text, end, separator) != 0)
        return -1;
    *number = value;
    return 0;
}

int weir_number_next_hex(const char **text, char separator, uint64_t *number) {
    char *end;
    if (!isxdigit((unsigned char)**text))
        return -1;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 16);
    if (errno || pass(text, end, separator) != 0)
        return -1;
    *number = value;
    return 0;
}

int weir_number_whole(const char *text, int64_t *number) {
    return weir_number_next(&text, '\0', number);
}

int weir_number_put_unsigned(char *out, uint64_t number) {
    char digits[WEIR_NUMBER_TEXT_MAX];
    int at = WEIR_NUMBER_TEXT_MAX, len = 0;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (at < WEIR_NUMBER_TEXT_MAX)
        out[len++] = digits[at++];
    out[len] = '\0';
    return len;
}

int weir_number_put(char *out, int64_t number) {
    if (number >= 0)
        return weir_number_put_unsigned(out, (uint64_t)number);
    out[0] = '-';
    return 1 + weir_number_put_unsigned(out + 1, 0 - (uint64_t)number);
}

/* A million times the number, rounded, where the error of the product (below 2e-4) cannot decide
 * which way; printf knows the rest. */
int weir_number_put_fraction(char *out, size_t max, double number) {
    double scaled = fabs(number) * 1e6;
    if (!(scaled < 1e12) || max < WEIR_NUMBER_TEXT_MAX)
        return snprintf(out, max, "%.6f", number);
    uint64_t millionths = (uint64_t)scaled;
    double rest = scaled - (double)millionths;
    if (fabs(rest - 0.5) < 1e-3)
        return snprintf(out, max, "%.6f", number);
    millionths += rest > 0.5;
    int len = 0;
    if (signbit(number))
        out[len++] = '-';
    len += weir_number_put_unsigned(out + len, millionths / 1000000);
    weir_number_put_unsigned(out + len, millionths % 1000000 + 1000000); /* a 1, then six digits */
    out[len] = '.';
    return len + 7;
}
