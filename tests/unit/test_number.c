/* Numbers to text: what printf gives. */
#include <inttypes.h>
#include <math.h>

#include "check.h"
#include "weir/number.h"

#define RANDOM 200000

static uint64_t state = 1;
static uint64_t next_random(void) { /* splitmix64 */
    uint64_t x = state += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static void check_whole(int64_t number) {
    char got[WEIR_NUMBER_TEXT_MAX], want[32];
    snprintf(want, sizeof want, "%" PRId64, number);
    int len = weir_number_put(got, number);
    if (strcmp(got, want) != 0 || (size_t)len != strlen(want))
        CHECK_TEXT(got, want);
    snprintf(want, sizeof want, "%" PRIu64, (uint64_t)number);
    len = weir_number_put_unsigned(got, (uint64_t)number);
    if (strcmp(got, want) != 0 || (size_t)len != strlen(want))
        CHECK_TEXT(got, want);
}

static void check_fraction(double number) {
    char got[400], want[400];
    snprintf(want, sizeof want, "%.6f", number);
    int len = weir_number_put_fraction(got, sizeof got, number);
    if (strcmp(got, want) != 0 || (size_t)len != strlen(want))
        CHECK_TEXT(got, want);
}

int main(void) {
    static const int64_t edges[] = {0, 1, 9, 10, 99, 100, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    static const double odd[] = {
        0.0,     -0.0,     1e-7, 5e-7,           15e-7, 0.5,         0.0000005,       1.5e-6,
        2.5e-6,  999999.5, 1e6,  999999.9999995, 1e12,  1e300,       -1e-9,           -0.25,
        1.0 / 3, -2.0 / 3, 0.1,  0.000125,       1e18,  (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        check_whole(edges[i]);
        check_whole(-(edges[i] / 3));
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        check_fraction(odd[i]);
    for (int i = 0; i < RANDOM; i++) {
        uint64_t bits = next_random() >> next_random() % 64;
        double num = (double)(next_random() >> (34 + next_random() % 30));
        double den = (double)(1 + (next_random() >> (44 + next_random() % 20)));
        check_whole((int64_t)bits);
        check_fraction(num / den);
        check_fraction(-num / den);
        check_fraction(num / 64 + 0x1p-7); /* a tie now and then */
        check_fraction((num + 0.5) / 1e6);
    }
    CHECK_INT(check_failed_, 0);
    return check_done("test_number");
}
