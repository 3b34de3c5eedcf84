/*
 * config_value: the texts of a config to numbers, and back for messages.
 *
 * Pure. A parse returns 0 and the value, or a code of enum weir_value_fault and leaves it alone.
 */
#ifndef WEIR_APP_CONFIG_VALUE_H
#define WEIR_APP_CONFIG_VALUE_H

#include <stddef.h>
#include <stdint.h>

enum weir_value_fault {
    WEIR_VALUE_OK,
    WEIR_VALUE_MALFORMED,
    WEIR_VALUE_NO_UNIT,   /* a duration that is a number only (0 needs no unit) */
    WEIR_VALUE_TOO_LARGE, /* beyond int64 */
};

/* 500ms 90s 30m 24h 7d 2w */
enum weir_value_fault weir_value_duration(const char *text, int64_t *ms);
/* 512 64KiB 1MiB 1GiB */
enum weir_value_fault weir_value_size(const char *text, int64_t *bytes);
enum weir_value_fault weir_value_integer(const char *text, int64_t *number);
/* A finite decimal number. */
enum weir_value_fault weir_value_number(const char *text, double *number);
/* A number, or a percentage: 20% is 0.2. */
enum weir_value_fault weir_value_share(const char *text, double *share);

/* In the largest unit that is exact: "90s", "64KiB". */
#define WEIR_VALUE_TEXT_MAX 32
void weir_value_duration_text(char out[WEIR_VALUE_TEXT_MAX], int64_t ms);
void weir_value_size_text(char out[WEIR_VALUE_TEXT_MAX], int64_t bytes);

#endif
