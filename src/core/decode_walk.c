#include "core/decode_walk.h"

#include <string.h>

#include "core/decode_text.h"

/* In the low bits 64 and the step in depth, so that skipping is one addition a token. */
#define STEP_BITS 0x7f
enum token_class { NOT_JSON = 0, SCALAR = 64, OPEN = 65, CLOSE = 63, BETWEEN = 128 + 64 };

static const uint8_t classes[256] = {
    ['"'] = SCALAR, ['-'] = SCALAR,  ['0'] = SCALAR, ['1'] = SCALAR, ['2'] = SCALAR, ['3'] = SCALAR,
    ['4'] = SCALAR, ['5'] = SCALAR,  ['6'] = SCALAR, ['7'] = SCALAR, ['8'] = SCALAR, ['9'] = SCALAR,
    ['t'] = SCALAR, ['f'] = SCALAR,  ['n'] = SCALAR, ['{'] = OPEN,   ['['] = OPEN,   ['}'] = CLOSE,
    [']'] = CLOSE,  [','] = BETWEEN, [':'] = BETWEEN};

static inline enum token_class class_of(const struct weir_walk *walk, uint32_t token) {
    return (enum token_class)classes[(uint8_t)weir_walk_byte(walk, token)];
}

uint32_t weir_walk_fail(struct weir_walk *walk, enum weir_reason reason) {
    walk->reason = reason;
    return 0;
}

uint32_t weir_walk_skip(struct weir_walk *walk, uint32_t token, uint32_t depth) {
    const char *const text = walk->text;
    const uint32_t *const places = walk->places;
    if (classes[(uint8_t)text[places[token]]] == SCALAR)
        return token + 1;
    if (classes[(uint8_t)text[places[token]]] != OPEN)
        return weir_walk_fail(walk, WEIR_BAD_JSON);
    uint32_t open = 0, max = WEIR_DEPTH_MAX - depth;
    do { /* until the last bracket, one too deep, or no token, which takes 64 away */
        uint32_t class = classes[(uint8_t)text[places[token++]]];
        open += (class & STEP_BITS) - 64;
    } while (open - 1 < max);
    if (open == 0)
        return token;
    return weir_walk_fail(walk, open > WEIR_DEPTH_MAX + 1 ? WEIR_BAD_JSON : WEIR_TOO_DEEP);
}

/* Most values are scalars. */
static inline uint32_t skip(struct weir_walk *walk, uint32_t token, uint32_t depth) {
    return class_of(walk, token) == SCALAR ? token + 1 : weir_walk_skip(walk, token, depth);
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* One past the last byte of a scalar token. */
static const char *token_end(const struct weir_walk *walk, uint32_t token) {
    const char *end = walk->text + walk->places[token + 1];
    while (is_space(end[-1]))
        end--;
    return end;
}

static bool is_word(const char *data, uint32_t len, const char *word) {
    return len == strlen(word) && memcmp(data, word, len) == 0;
}

static int fill_number(struct weir_scalar *scalar) {
    int64_t whole = 0;
    double real = 0;
    switch (weir_number_parse(scalar->data, scalar->len, &whole, &real)) {
    case WEIR_NUMBER_NONE:
        return -1;
    case WEIR_NUMBER_REAL:
        scalar->kind = WEIR_SCALAR_REAL;
        scalar->number.real = real;
        return 0;
    case WEIR_NUMBER_INT:
        break;
    }
    scalar->kind = WEIR_SCALAR_INT;
    scalar->number.whole = whole;
    if (whole == 0 && scalar->len == 2) { /* -0 */
        scalar->data++;
        scalar->len--;
    }
    return 0;
}

/* Anything but a string into its slot; null counts as absent. 0, or -1: it is not JSON. */
static int fill_word(struct weir_walk *walk, int slot, uint32_t token) {
    struct weir_scalar *scalar = &walk->capture->slots[slot];
    char *data = walk->text + walk->places[token];
    if (*data == '{' || *data == '[') {
        scalar->kind = WEIR_SCALAR_NESTED;
        walk->capture->filled[slot] = 1;
        return 0;
    }
    if (class_of(walk, token) != SCALAR)
        return -1;
    scalar->data = data;
    scalar->len = (uint32_t)(token_end(walk, token) - data);
    if (*data == 'n')
        return is_word(data, scalar->len, "null") ? 0 : -1;
    walk->capture->filled[slot] = 1;
    if (*data != 't' && *data != 'f')
        return fill_number(scalar);
    scalar->kind = WEIR_SCALAR_BOOL;
    return is_word(data, scalar->len, *data == 't' ? "true" : "false") ? 0 : -1;
}

/* An empty string counts as absent too. */
static inline void put_string(struct weir_capture *capture, int slot, char *data, uint32_t len,
                              enum weir_scalar_kind kind) {
    struct weir_scalar *scalar = &capture->slots[slot];
    scalar->data = data;
    scalar->len = len;
    scalar->kind = kind;
    capture->filled[slot] = len > 0;
}

static inline enum weir_scalar_kind string_kind(const struct weir_walk *walk) {
    return walk->escapes ? WEIR_SCALAR_ESCAPED : WEIR_SCALAR_STRING;
}

/* A string token's value in the set, its escapes taken out. -1: none; -2: failed, it is not JSON.
 */
static __attribute__((noinline)) int32_t
find_escaped(struct weir_walk *walk, const struct weir_keys *keys, char *text, size_t len) {
    if (!memchr(text, '\\', len))
        return weir_keys_find(keys, text, len);
    if (len > walk->scratch_max)
        return -1; /* no mapped text can be that long */
    int64_t plain = weir_text_unescape(walk->scratch, text, len);
    if (plain >= 0)
        return weir_keys_find(keys, walk->scratch, (size_t)plain);
    walk->reason = WEIR_BAD_JSON;
    return -2;
}

static inline int32_t find_string(struct weir_walk *walk, const struct weir_keys *keys,
                                  uint32_t token) {
    uint32_t len;
    char *text = weir_walk_string(walk, token, &len);
    return walk->escapes ? find_escaped(walk, keys, text, len)
                         : weir_keys_find_padded(keys, text, len);
}

/* What is mapped of the key at `token`, which a value has to follow. -1: nothing; -2: failed. */
static inline int32_t find_key(struct weir_walk *walk, const struct weir_keys *keys,
                               uint32_t token) {
    const char *key = walk->text + walk->places[token];
    if (*key == '"' && weir_walk_byte(walk, token + 1) == ':') {
        if (!walk->escapes && !(keys->firsts & weir_keys_first(key[1])))
            return -1;
        return find_string(walk, keys, token);
    }
    walk->reason = WEIR_BAD_JSON;
    return -2;
}

/* After a value: the next key or element, or past the end, which `more` tells. */
static uint32_t next_token(struct weir_walk *walk, uint32_t token, char close, bool *more) {
    char c = weir_walk_byte(walk, token);
    *more = c == ',';
    if (c != ',' && c != close)
        return weir_walk_fail(walk, WEIR_BAD_JSON);
    return token + 1;
}

static uint32_t take_value(struct weir_walk *walk, struct weir_node *node, uint32_t token,
                           uint32_t depth);

/* The node of the key at `token`, or the root: not mapped; NULL: failed. */
static __attribute__((noinline)) struct weir_node *search_child(struct weir_walk *walk,
                                                                const struct weir_node *node,
                                                                struct weir_node **guess,
                                                                uint32_t token) {
    int32_t child = find_key(walk, &node->keys, token);
    if (child > 0)
        *guess = &walk->nodes[child];
    return child == -2 ? NULL : &walk->nodes[child > 0 ? child : 0];
}

/* Producers write their keys in one order and without white space: what came after the last mapped
 * key before is tried first, without a search. Then its colon is the next token. */
uint32_t weir_walk_object(struct weir_walk *walk, struct weir_node *node, uint32_t token,
                          uint32_t depth) {
    struct weir_node *const root = walk->nodes;
    char *const text = walk->text; /* copies: a write through a char may change what walk holds */
    const uint32_t *const places = walk->places;
    struct weir_capture *const capture = walk->capture;
    const enum weir_scalar_kind kind = string_kind(walk);
    struct weir_node **guess = &node->first;
    uint64_t seen = 0;
    if (depth >= WEIR_DEPTH_MAX)
        return weir_walk_fail(walk, WEIR_TOO_DEEP);
    if (text[places[++token]] == '}')
        return token + 1;
    for (;;) {
        struct weir_node *next = *guess;
        if (!weir_quoted_is(&next->key, text + places[token]))
            next = search_child(walk, node, guess, token);
        if (!next)
            return 0;
        token += 2;
        if (next == root) {
            token = skip(walk, token, depth + 1);
        } else {
            if (seen & next->bit)
                return weir_walk_fail(walk, WEIR_DUPLICATE_KEY);
            seen |= next->bit;
            guess = &next->after;
            char *data = text + places[token++];
            if (next->slot >= 0 && *data == '"') /* the common case */
                put_string(capture, next->slot, data + 1,
                           weir_string_len(data + 1, text + places[token]), kind);
            else
                token = take_value(walk, next, token - 1, depth + 1);
        }
        if (token == 0)
            return 0;
        char c = text[places[token++]];
        if (c == '}')
            return token;
        if (c != ',')
            return weir_walk_fail(walk, WEIR_BAD_JSON);
    }
}

/* Which of the list's items the object at `token` is, by its member `select`. -1: none; -2:
 * failed. */
static int32_t find_item(struct weir_walk *walk, const struct weir_node *node, uint32_t token,
                         uint32_t depth) {
    int32_t item = -1;
    bool more = true, seen = false;
    if (depth >= WEIR_DEPTH_MAX) {
        walk->reason = WEIR_TOO_DEEP;
        return -2;
    }
    if (weir_walk_byte(walk, ++token) == '}')
        return -1;
    while (more) {
        int32_t found = find_key(walk, &node->select, token);
        if (found == -2)
            return -2;
        if (found == 0 && seen) {
            walk->reason = WEIR_DUPLICATE_KEY;
            return -2;
        }
        seen = seen || found == 0;
        if (found == 0 && weir_walk_byte(walk, token + 2) == '"')
            item = find_string(walk, &node->picks, token + 2);
        if (item == -2)
            return -2;
        token = weir_walk_skip(walk, token + 2, depth + 1);
        if (token != 0)
            token = next_token(walk, token, '}', &more);
        if (token == 0)
            return -2;
    }
    return item;
}

static int32_t find_index(const struct weir_node *node, uint32_t index) {
    for (uint32_t i = 0; i < node->items_len; i++)
        if (node->indexes[i] == index)
            return node->items[i];
    return -1;
}

/* Of several elements that a selector fits, the first is taken. */
static uint32_t walk_list(struct weir_walk *walk, const struct weir_node *node, uint32_t token,
                          uint32_t depth) {
    uint64_t seen = 0;
    bool more = true;
    if (depth >= WEIR_DEPTH_MAX)
        return weir_walk_fail(walk, WEIR_TOO_DEEP);
    if (weir_walk_byte(walk, ++token) == ']')
        return token + 1;
    for (uint32_t index = 0; more; index++) {
        int32_t item = -1;
        if (node->select.len == 0)
            item = find_index(node, index);
        else if (weir_walk_byte(walk, token) == '{')
            item = find_item(walk, node, token, depth + 1);
        if (item == -2)
            return 0;
        struct weir_node *next = item >= 0 ? &walk->nodes[item] : NULL;
        if (next && !(seen & next->bit)) {
            seen |= next->bit;
            token = take_value(walk, next, token, depth + 1);
        } else {
            token = weir_walk_skip(walk, token, depth + 1);
        }
        if (token != 0)
            token = next_token(walk, token, ']', &more);
        if (token == 0)
            return 0;
    }
    return token;
}

static uint32_t take_value(struct weir_walk *walk, struct weir_node *node, uint32_t token,
                           uint32_t depth) {
    char c = weir_walk_byte(walk, token);
    if (node->slot >= 0 && c == '"') {
        uint32_t len;
        char *data = weir_walk_string(walk, token, &len);
        put_string(walk->capture, node->slot, data, len, string_kind(walk));
    } else if (node->slot >= 0 && fill_word(walk, node->slot, token) != 0) {
        return weir_walk_fail(walk, WEIR_BAD_JSON);
    }
    if (c != '{' && c != '[' && node->slot >= 0)
        return token + 1;
    if (node->list >= 0)
        walk->capture->lists[node->list] = token;
    if (c == '{' && node->keys.len > 0)
        return weir_walk_object(walk, node, token, depth);
    if (c == '[' && node->items_len > 0)
        return walk_list(walk, node, token, depth);
    return skip(walk, token, depth);
}

bool weir_walk_too_deep(const struct weir_walk *walk) {
    uint32_t open = 0;
    for (uint32_t token = 0; token < walk->places_len; token++) {
        enum token_class class = class_of(walk, token);
        if (class == OPEN && ++open > WEIR_DEPTH_MAX)
            return true;
        if (class == CLOSE && open > 0)
            open--;
    }
    return false;
}

void weir_capture_clear(const struct weir_mapping *mapping, struct weir_capture *capture) {
    memset(capture->filled, 0, mapping->slots_len);
    memset(capture->lists, 0, sizeof(capture->lists));
}

int weir_scalar_unescape(struct weir_scalar *scalar) {
    if (memchr(scalar->data, '\\', scalar->len)) {
        int64_t len = weir_text_unescape(scalar->data, scalar->data, scalar->len);
        if (len < 0)
            return -1;
        scalar->len = (uint32_t)len;
    }
    scalar->kind = WEIR_SCALAR_STRING;
    return 0;
}
