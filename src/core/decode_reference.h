/*
 * reference: what jansson cannot tell: keys that are in one object twice.
 *
 * jansson keeps the last of them or rejects the whole text, and a record may repeat a key that is
 * not mapped. So the second `key` of an object is renamed to `key` + WEIR_REFERENCE_TWICE, and the
 * tree shows it. For tests only: slow. The tree is the caller's.
 */
#ifndef WEIR_DECODE_REFERENCE_H
#define WEIR_DECODE_REFERENCE_H

#include <stddef.h>

#include <jansson.h>

#define WEIR_REFERENCE_TWICE "\001twice"

/* `text` is JSON but for such keys, and closed by a NUL. NULL when jansson rejects it even so. */
json_t *weir_reference_mark_duplicates(const char *text, size_t len);

#endif
