#include "core/mapping_keys.h"

#include <stdlib.h>

void weir_keys_free(struct weir_keys *keys) {
    if (keys->places)
        for (uint32_t i = 0; i <= keys->mask; i++)
            free(keys->places[i].text);
    free(keys->places);
    *keys = (struct weir_keys){0};
}

static struct weir_key *free_place(struct weir_key *places, uint32_t mask, uint64_t head,
                                   size_t len) {
    uint32_t i = weir_keys_place(head, len);
    while (places[i & mask].text)
        i++;
    return &places[i & mask];
}

static int grow(struct weir_keys *keys) {
    uint32_t mask = keys->places ? keys->mask * 2 + 1 : 15;
    struct weir_key *places = calloc((size_t)mask + 1, sizeof(*places));
    if (!places)
        return -1;
    if (keys->places)
        for (uint32_t i = 0; i <= keys->mask; i++) {
            const struct weir_key *key = &keys->places[i];
            if (key->text)
                *free_place(places, mask, key->head, key->len) = *key;
        }
    free(keys->places);
    keys->places = places;
    keys->mask = mask;
    return 0;
}

int weir_keys_add(struct weir_keys *keys, const char *text, size_t len, int32_t value) {
    if (weir_keys_find(keys, text, len) >= 0)
        return 0;
    if (!keys->places || (keys->len + 1) * 4 > keys->mask + 1)
        if (grow(keys) != 0)
            return -1;
    char *copy = malloc(len + 1);
    if (!copy)
        return -1;
    memcpy(copy, text, len);
    copy[len] = 0;
    uint64_t head = weir_keys_head(text, len);
    *free_place(keys->places, keys->mask, head, len) =
        (struct weir_key){.head = head,
                          .tail = len > 8 ? weir_keys_eight(text + len - 8) : 0,
                          .text = copy,
                          .len = (uint32_t)len,
                          .value = value};
    keys->len++;
    keys->firsts |= weir_keys_first((char)(len > 0 ? text[0] : '"'));
    return 0;
}

int weir_quoted_set(struct weir_quoted *quoted, const char *key, size_t len) {
    *quoted = WEIR_QUOTED_NONE;
    if (memchr(key, '"', len) || memchr(key, '\\', len))
        return 0;
    size_t all = len + 3, tail_at = all > 8 ? all - 8 : 0;
    char *text = malloc(all);
    if (!text)
        return -1;
    text[0] = '"';
    memcpy(text + 1, key, len);
    text[1 + len] = '"';
    text[2 + len] = ':';
    *quoted = (struct weir_quoted){.head = weir_keys_head(text, all),
                                   .tail = weir_keys_head(text + tail_at, all - tail_at),
                                   .mask = all < 8 ? ((uint64_t)1 << (8 * all)) - 1 : UINT64_MAX,
                                   .text = text,
                                   .len = (uint32_t)all,
                                   .tail_at = (uint32_t)tail_at};
    return 0;
}
