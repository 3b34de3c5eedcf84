/*
 * text: the scalars of JSON: numbers, escapes, and times as numbers. Pure functions, no memory.
 */
#ifndef WEIR_DECODE_TEXT_H
#define WEIR_DECODE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_REAL_TEXT_MAX 32 /* bytes of a real number's shortest text */

enum weir_number { WEIR_NUMBER_NONE, WEIR_NUMBER_INT, WEIR_NUMBER_REAL };

/* The whole of the text as a JSON number: an integer where it has no fraction or exponent and
 * fits, else the nearest double, infinite when it is too large. */
enum weir_number weir_number_parse(const char *text, size_t len, int64_t *whole, double *real);

/* Takes JSON's escapes out, in place or into other memory that has `len` bytes. The new length, or
 * -1: not a valid escape, half of a surrogate pair, or a NUL. */
int64_t weir_text_unescape(char *out, const char *text, size_t len);

int weir_time_of_int(int64_t value, int64_t *time_ms);
int weir_time_of_real(double value, int64_t *time_ms);

#endif
