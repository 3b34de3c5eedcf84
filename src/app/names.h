/*
 * names: how windows and the published keys of a group are written in Redis.
 *
 * Pure. Thread: any. Each writes into the caller's buffer and returns the length, or -1 when it
 * does not fit: the buffer then holds an empty text.
 * Limits: WEIR_NAME_WINDOW_MAX and WEIR_NAME_KEY_MAX are enough for whatever a config can hold.
 */
#ifndef WEIR_APP_NAMES_H
#define WEIR_APP_NAMES_H

#include <stddef.h>
#include <stdint.h>

#define WEIR_NAME_WINDOW_MAX 24
#define WEIR_NAME_KEY_MAX 1024

/* The shortest exact form: 1m, 15m, 1h, 24h, 90s, 7d; days only from two days on. */
int weir_window_name(char *out, size_t max, int64_t window_ms);

/* "weir:{<group>}:" and the formatted rest. */
int weir_name_key(char *out, size_t max, const char *group, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "weir:{<group>.<topic>.<partition>}", before the keys of a partition's own state. */
int weir_name_tag(char *out, size_t max, const char *group, const char *topic, int32_t partition);

#endif
