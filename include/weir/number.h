/*
 * number: text to integers, the whole text and within range, and numbers to text.
 *
 * Pure; any thread; owns nothing. Limits: int64_t in decimal, uint64_t in hexadecimal. Errors: -1,
 * with the number untouched, on anything else than digits (and a leading minus in decimal).
 * Writing gives what printf gives, in a fraction of its time.
 */
#ifndef WEIR_NUMBER_H
#define WEIR_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The decimal number before `separator` (or the end of the text), which is passed over: 0 or -1. */
int weir_number_next(const char **text, char separator, int64_t *number);
/* The same for a hexadecimal one without sign. */
int weir_number_next_hex(const char **text, char separator, uint64_t *number);
/* The whole text is one decimal number: 0 or -1. */
int weir_number_whole(const char *text, int64_t *number);

#define WEIR_NUMBER_TEXT_MAX 24 /* of a whole number, with its end */
/* As "%lld" and "%llu"; returns the length. */
int weir_number_put(char *out, int64_t number);
int weir_number_put_unsigned(char *out, uint64_t number);
/* As snprintf's "%.6f"; returns the length. */
int weir_number_put_fraction(char *out, size_t max, double number);

#endif
