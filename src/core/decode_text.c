#include "core/decode_text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/decode_simd.h"

#define EXACT_MAX (1ull << 53) /* integers up to here are doubles; so are the powers below */
#define POWERS 23
#define DIGITS_MAX 19 /* always fit a word */

static const double powers[POWERS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Eight digits at once: the sums of pairs, of fours, of all. False when one is no digit. */
static inline bool take_eight(const char *at, uint64_t *value) {
    uint64_t bytes, high;
    memcpy(&bytes, at, 8);
    high = (bytes + 0x4646464646464646u) | (bytes - 0x3030303030303030u);
    if (high & 0x8080808080808080u)
        return false;
    bytes -= 0x3030303030303030u;
    bytes = bytes * 10 + (bytes >> 8);
    bytes = ((bytes & 0x000000ff000000ffu) * 0x000f424000000064u +
             (bytes >> 16 & 0x000000ff000000ffu) * 0x0000271000000001u) >>
            32;
    *value = *value * 100000000 + (bytes & 0xffffffffu);
    return true;
}

/* Beyond DIGITS_MAX digits the value means nothing. */
static inline const char *take_digits(const char *at, const char *end, uint64_t *value) {
    uint64_t sum = *value;
    while (end - at >= 8 && take_eight(at, &sum))
        at += 8;
    for (; at != end && is_digit(*at); at++)
        sum = sum * 10 + (uint64_t)(*at - '0');
    *value = sum;
    return at;
}

/* The exponent with its sign; far beyond a double's range it stops growing. */
static const char *take_exponent(const char *at, const char *end, int64_t *exponent) {
    bool minus = at != end && *at == '-';
    if (at != end && (*at == '+' || *at == '-'))
        at++;
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at != end && is_digit(*at); at++)
        if (*exponent < 1000000000)
            *exponent = *exponent * 10 + (*at - '0');
    if (minus)
        *exponent = -*exponent;
    return at;
}

/* The number's parts: -<whole>.<fraction>e<exponent>. */
struct number {
    const char *text, *end, *whole;
    int64_t whole_len, fraction_len, exponent;
    uint64_t digits; /* of both, as one number */
};

/* Out of a double's range: above it, or so near to 0? By the place of the first digit. */
static bool is_above(const struct number *number) {
    int64_t zeros = 0;
    if (*number->whole != '0')
        return number->whole_len + number->exponent > 0;
    while (zeros < number->fraction_len && number->whole[2 + zeros] == '0')
        zeros++;
    return number->exponent - zeros > 0;
}

static double real_of(const struct number *number) {
    bool minus = *number->text == '-';
    int64_t exponent = number->exponent - number->fraction_len;
    if (number->whole_len + number->fraction_len <= DIGITS_MAX && number->digits <= EXACT_MAX &&
        exponent > -POWERS && exponent < POWERS) {
        double value = (double)number->digits;
        value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
        return minus ? -value : value;
    }
    double value;
    if (weir_real_parse(number->text, (size_t)(number->end - number->text), &value) == 0)
        return value;
    value = is_above(number) ? INFINITY : 0.0;
    return minus ? -value : value;
}

enum weir_number weir_number_parse(const char *text, size_t len, int64_t *whole, double *real) {
    const char *at = text, *end = text + len;
    struct number number = {.text = text, .end = end};
    bool minus = at != end && *at == '-', integer = true;
    if (minus)
        at++;
    if (at == end || !is_digit(*at) || (*at == '0' && at + 1 != end && is_digit(at[1])))
        return WEIR_NUMBER_NONE;
    number.whole = at;
    at = take_digits(at, end, &number.digits);
    number.whole_len = at - number.whole;
    if (at != end && *at == '.') {
        const char *start = ++at;
        at = take_digits(at, end, &number.digits);
        number.fraction_len = at - start;
        integer = false;
        if (at == start)
            return WEIR_NUMBER_NONE;
    }
    if (at != end && (*at == 'e' || *at == 'E')) {
        at = take_exponent(at + 1, end, &number.exponent);
        integer = false;
        if (!at)
            return WEIR_NUMBER_NONE;
    }
    if (at != end)
        return WEIR_NUMBER_NONE;
    if (integer && number.whole_len <= DIGITS_MAX &&
        number.digits <= (uint64_t)INT64_MAX + (minus ? 1 : 0)) {
        *whole = minus ? (int64_t)(0 - number.digits) : (int64_t)number.digits;
        return WEIR_NUMBER_INT;
    }
    *real = real_of(&number);
    return WEIR_NUMBER_REAL;
}

static int hex4(const char *at, const char *end, uint32_t *unit) {
    if (end - at < 4)
        return -1;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit;
        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            digit = (uint32_t)((c | 0x20) - 'a') + 10;
        else
            return -1;
        *unit = *unit << 4 | digit;
    }
    return 0;
}

/* After the `u`: one code point, of one unit or two. */
static int take_point(const char **at, const char *end, uint32_t *point) {
    uint32_t high, low;
    if (hex4(*at, end, &high) != 0 || high == 0 || (high >= 0xdc00 && high <= 0xdfff))
        return -1;
    *at += 4;
    *point = high;
    if (high < 0xd800 || high > 0xdbff)
        return 0;
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' || hex4(*at + 2, end, &low) != 0 ||
        low < 0xdc00 || low > 0xdfff)
        return -1;
    *at += 6;
    *point = 0x10000 + ((high - 0xd800) << 10 | (low - 0xdc00));
    return 0;
}

static char *put_utf8(char *out, uint32_t point) {
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xc0 | point >> 6);
        *out++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *out++ = (char)(0xe0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    } else {
        *out++ = (char)(0xf0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 0x3f));
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    }
    return out;
}

int64_t weir_text_unescape(char *out, const char *text, size_t len) {
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *at = text, *end = text + len;
    char *start = out;
    while (at != end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((slash ? slash : end) - at);
        memmove(out, at, plain);
        out += plain;
        if (!slash)
            break;
        at = slash + 1;
        if (at == end)
            return -1;
        char name = *at++;
        const char *known = name ? strchr(names, name) : NULL;
        if (known) {
            *out++ = bytes[known - names];
            continue;
        }
        uint32_t point;
        if (name != 'u' || take_point(&at, end, &point) != 0)
            return -1;
        out = put_utf8(out, point);
    }
    return out - start;
}
