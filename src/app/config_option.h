/*
 * config_option: one value of one option: its type, its range, and its place in the struct.
 */
#ifndef WEIR_APP_CONFIG_OPTION_H
#define WEIR_APP_CONFIG_OPTION_H

#include "config_load.h"

/* Stores the value; false when there is none to store (a mistake was added, or an empty list). */
bool weir_option_read(struct weir_loader *loader, const struct weir_option *option,
                      const struct weir_yaml *node, void *base);
/* The value as one text that is equal for equal values (30m and 1800s), from `arena`. */
const char *weir_option_canonical(struct weir_arena *arena, const struct weir_option *option,
                                  const struct weir_yaml *node);
/* The range in the option's own units: "10ms to 1m". False when there is none worth telling. */
bool weir_option_range(const struct weir_option *option, char *out, size_t out_max);

#endif
