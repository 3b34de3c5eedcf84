#include "core/values.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "weir/err.h"
#include "weir/partition.h"

#define SLOTS_BITS_MIN 6
#define TEXT_MAX (64U << 20)

int weir_values_init(struct weir_values *values, uint32_t max) {
    *values = (struct weir_values){.max = max, .slots_bits = SLOTS_BITS_MIN, .cap = 16};
    weir_buf_init(&values->text, TEXT_MAX);
    values->starts = calloc(values->cap + 1, sizeof *values->starts);
    values->slots = calloc((size_t)1 << SLOTS_BITS_MIN, sizeof *values->slots);
    return values->starts && values->slots ? 0 : -1;
}

void weir_values_close(struct weir_values *values) {
    weir_buf_close(&values->text);
    free(values->starts);
    free(values->slots);
}

size_t weir_values_memory(const struct weir_values *values) {
    return values->text.cap + values->cap * sizeof *values->starts +
           (sizeof *values->slots << values->slots_bits);
}

static struct weir_str text_at(const struct weir_values *values, uint32_t i) {
    return (struct weir_str){values->text.data + values->starts[i],
                             values->starts[i + 1] - values->starts[i]};
}

struct weir_str weir_values_text(const struct weir_values *values, uint32_t value) {
    if (value == WEIR_VALUE_OTHER)
        return (struct weir_str){"_other", 6};
    if (value == WEIR_VALUE_NONE)
        return (struct weir_str){"_none", 5};
    WEIR_ASSERT(value - WEIR_VALUE_FIRST < values->len);
    return text_at(values, value - WEIR_VALUE_FIRST);
}

static uint32_t *slot_of(const struct weir_values *values, struct weir_str text) {
    uint32_t mask = (1U << values->slots_bits) - 1;
    uint32_t at = (uint32_t)XXH3_64bits(text.data, text.len) & mask;
    while (values->slots[at]) {
        struct weir_str known = text_at(values, values->slots[at] - WEIR_VALUE_FIRST);
        if (known.len == text.len && memcmp(known.data, text.data, text.len) == 0)
            break;
        at = (at + 1) & mask;
    }
    return &values->slots[at];
}

static void grow_slots(struct weir_values *values) {
    free(values->slots);
    values->slots_bits++;
    values->slots = calloc((size_t)1 << values->slots_bits, sizeof *values->slots);
    WEIR_ASSERT(values->slots != NULL);
    for (uint32_t i = 0; i < values->len; i++)
        *slot_of(values, text_at(values, i)) = WEIR_VALUE_FIRST + i;
}

static uint32_t append(struct weir_values *values, struct weir_str text) {
    if (values->len == values->cap) {
        values->cap *= 2;
        values->starts = realloc(values->starts, (values->cap + 1) * sizeof *values->starts);
        WEIR_ASSERT(values->starts != NULL);
    }
    int failed = weir_buf_append(&values->text, text.data, text.len);
    WEIR_ASSERT(!failed);
    values->starts[values->len + 1] = values->starts[values->len] + text.len;
    values->changed = true;
    return WEIR_VALUE_FIRST + values->len++;
}

static bool is_text(struct weir_str text, const char *word) {
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

uint32_t weir_values_intern(struct weir_values *values, struct weir_str text) {
    if (!text.data || text.len == 0)
        return WEIR_VALUE_NONE;
    bool reserved = text.data[0] == '_';
    if (text.len > WEIR_DIMENSION_VALUE_MAX || (reserved && is_text(text, "_other")))
        return WEIR_VALUE_OTHER;
    if (reserved && is_text(text, "_none"))
        return WEIR_VALUE_NONE;
    uint32_t *slot = slot_of(values, text);
    if (*slot)
        return *slot;
    if (values->len == values->max)
        return WEIR_VALUE_OTHER;
    uint32_t value = *slot = append(values, text);
    if (values->len * 2 > 1U << values->slots_bits)
        grow_slots(values);
    return value;
}

void weir_values_export(const struct weir_values *values, struct weir_buf *out) {
    for (uint32_t i = 0; i < values->len; i++) {
        struct weir_str text = text_at(values, i);
        weir_buf_varint(out, text.len);
        weir_buf_append(out, text.data, text.len);
    }
}

int weir_values_import(struct weir_values *values, const void *bytes, size_t len) {
    struct weir_reader in;
    weir_reader_init(&in, bytes, len);
    while (in.at < in.end) {
        uint64_t text_len = weir_reader_varint(&in);
        const char *text = weir_reader_bytes(&in, (size_t)text_len);
        if (!text || text_len == 0 || text_len > WEIR_DIMENSION_VALUE_MAX ||
            values->len == values->max)
            return -1;
        weir_values_intern(values, (struct weir_str){text, (uint32_t)text_len});
    }
    values->changed = false;
    return in.failed ? -1 : 0;
}
