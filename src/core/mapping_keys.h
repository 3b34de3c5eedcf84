/*
 * keys: a set of texts made at start-up and looked up a million times a second.
 *
 * Open addressing, at most a quarter full; a look-up compares length, first and last eight bytes
 * before it touches the text (little-endian processors, as Debian's are). Texts are copied and
 * owned. Immutable once filled, then shared by threads. Adding gives -1 when memory is out. Core:
 * no I/O.
 */
#ifndef WEIR_MAPPING_KEYS_H
#define WEIR_MAPPING_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weir_key {
    uint64_t head; /* the first eight bytes, zeros after a shorter text */
    uint64_t tail; /* of a text longer than that: the last eight */
    char *text;    /* NULL: a free place */
    uint32_t len;
    int32_t value; /* 0 and up */
};

struct weir_keys {
    struct weir_key *places; /* mask + 1 of them, NULL while empty */
    uint32_t mask, len;
    uint64_t firsts; /* bits of weir_keys_first: what no text begins with is not searched */
};

void weir_keys_free(struct weir_keys *keys);
/* Keeps the first value of a text that is added twice. 0, or -1 when memory is out. */
int weir_keys_add(struct weir_keys *keys, const char *text, size_t len, int32_t value);

/* The bit of a quoted text by its first byte, which is the closing quote of an empty one. */
static inline uint64_t weir_keys_first(char first) {
    return (uint64_t)1 << ((uint8_t)first & 63);
}

/* Reads no byte outside of the text. */
static inline uint64_t weir_keys_head(const char *text, size_t len) {
    uint64_t head = 0;
    if (len >= 8) {
        memcpy(&head, text, 8);
    } else if (len >= 4) {
        uint32_t low, high; /* they overlap, with the same bytes */
        memcpy(&low, text, 4);
        memcpy(&high, text + len - 4, 4);
        head = low | (uint64_t)high << (8 * (len - 4));
    } else if (len > 0) {
        head = (uint64_t)(uint8_t)text[0] | (uint64_t)(uint8_t)text[len / 2] << (8 * (len / 2)) |
               (uint64_t)(uint8_t)text[len - 1] << (8 * (len - 1));
    }
    return head;
}

static inline uint64_t weir_keys_eight(const char *bytes) {
    uint64_t eight;
    memcpy(&eight, bytes, 8);
    return eight;
}

static inline uint32_t weir_keys_place(uint64_t head, size_t len) {
    return (uint32_t)((head + len) * 0x9e3779b97f4a7c15u >> 50); /* every byte reaches the top */
}

static inline int32_t weir_keys_find_head(const struct weir_keys *keys, uint64_t head,
                                          const char *text, size_t len) {
    if (keys->len == 0)
        return -1;
    for (uint32_t i = weir_keys_place(head, len);; i++) {
        const struct weir_key *key = &keys->places[i & keys->mask];
        if (key->head == head && key->len == len && key->text &&
            (len <= 8 || (key->tail == weir_keys_eight(text + len - 8) &&
                          (len <= 16 || memcmp(key->text + 8, text + 8, len - 16) == 0))))
            return key->value;
        if (!key->text)
            return -1;
    }
}

/* The text's value, or -1. */
static inline int32_t weir_keys_find(const struct weir_keys *keys, const char *text, size_t len) {
    return weir_keys_find_head(keys, weir_keys_head(text, len), text, len);
}

/* The same where eight bytes can be read from the text's start, however short it is. */
static inline int32_t weir_keys_find_padded(const struct weir_keys *keys, const char *text,
                                            size_t len) {
    uint64_t head = weir_keys_eight(text);
    if (len < 8)
        head &= ((uint64_t)1 << (8 * len)) - 1;
    return weir_keys_find_head(keys, head, text, len);
}

/* A key as most records write it, `"key":`, to compare with at once. */
struct weir_quoted {
    uint64_t head, tail; /* the first and the last eight bytes, under the mask */
    uint64_t mask;       /* of the bytes that are the key's, where it is shorter than eight */
    char *text;          /* owned */
    uint32_t len, tail_at;
};

/* No text is this key: a head that its mask takes away. */
#define WEIR_QUOTED_NONE ((struct weir_quoted){.head = 1})

/* 0, or -1 when memory is out. A key that JSON writes with escapes becomes WEIR_QUOTED_NONE. */
int weir_quoted_set(struct weir_quoted *quoted, const char *key, size_t len);

/* `text` can be read for as many bytes as the key has, and eight more. */
static inline bool weir_quoted_is(const struct weir_quoted *quoted, const char *text) {
    uint64_t head = (weir_keys_eight(text) & quoted->mask) ^ quoted->head;
    uint64_t tail = (weir_keys_eight(text + quoted->tail_at) & quoted->mask) ^ quoted->tail;
    return (head | tail) == 0 &&
           (quoted->len <= 16 || memcmp(quoted->text + 8, text + 8, quoted->len - 16) == 0);
}

#endif
