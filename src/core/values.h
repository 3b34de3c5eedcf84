/*
 * values: the dictionary of one dimension in one partition: text to a small number, in the order
 * of first use, so that it is the same in every run over the same records.
 *
 * 0 is `_other`, 1 is `_none`, real values follow. Grows to `max` real values, then gives `_other`.
 */
#ifndef WEIR_CORE_VALUES_H
#define WEIR_CORE_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"
#include "weir/event.h"

struct weir_values {
    struct weir_buf text; /* all values, one after the other */
    uint32_t *starts;     /* [i] is where value WEIR_VALUE_FIRST + i begins; one more at the end */
    uint32_t len, cap, max;
    uint32_t *slots; /* open addressing: value number, 0 free */
    uint32_t slots_bits;
    bool changed; /* since the last export */
};

int weir_values_init(struct weir_values *values, uint32_t max);
void weir_values_close(struct weir_values *values);
size_t weir_values_memory(const struct weir_values *values);

/* The number of a text, which is remembered when there is room. */
uint32_t weir_values_intern(struct weir_values *values, struct weir_str text);
struct weir_str weir_values_text(const struct weir_values *values, uint32_t value);

/* Length and bytes per value. Import into an empty one: 0, or -1 when damaged. */
void weir_values_export(const struct weir_values *values, struct weir_buf *out);
int weir_values_import(struct weir_values *values, const void *bytes, size_t len);

#endif
