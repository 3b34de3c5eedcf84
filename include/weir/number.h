/*
 * number: text to integers, the whole text and within range.
 *
 * Pure; any thread; owns nothing. Limits: int64_t in decimal, uint64_t in hexadecimal. Errors: -1,
 * with the number untouched, on anything else than digits (and a leading minus in decimal).
 */
#ifndef WEIR_NUMBER_H
#define WEIR_NUMBER_H

#include <stdint.h>

/* The decimal number before `separator` (or the end of the text), which is passed over: 0 or -1. */
int weir_number_next(const char **text, char separator, int64_t *number);
/* The same for a hexadecimal one without sign. */
int weir_number_next_hex(const char **text, char separator, uint64_t *number);
/* The whole text is one decimal number: 0 or -1. */
int weir_number_whole(const char *text, int64_t *number);

#endif
