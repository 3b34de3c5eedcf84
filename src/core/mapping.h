/*
 * mapping: the compiled form of weir_mapping_options, for the decoder.
 *
 * All paths of all fields make one tree (a trie): a record is walked once, and each value that a
 * path ends in is put in that path's slot; then each field takes the first of its slots that is
 * filled. Owned by the mapping, immutable after weir_mapping_new, shared by threads. Core: no I/O.
 */
#ifndef WEIR_MAPPING_H
#define WEIR_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/mapping_keys.h"
#include "core/mapping_path.h"
#include "core/presets.h"
#include "weir/decode.h"

#define WEIR_SLOTS_MAX 127   /* distinct paths in a mapping */
#define WEIR_SLOT_NONE 127   /* one that is never filled */
#define WEIR_CHILDREN_MAX 64 /* keys that are read in one object: bits of a word */
#define WEIR_CANDIDATES_MAX (WEIR_PRESET_PATHS_MAX + 1)
#define WEIR_CODE_MAX 8 /* bytes of a currency code */

struct weir_node {
    struct weir_quoted key; /* its own, to compare with at once */
    uint64_t bit;           /* its own among its parent's children: which of them were seen */
    int16_t slot;           /* what ends here, or -1 */
    int8_t list;            /* at the root: which of the preset's lists, or -1 */
    uint32_t children_len;

    /* A decoder's own copy guesses the next key: what came after this one the last time, and what
     * came first in it. Never NULL there; the root stands for none. */
    struct weir_node *after, *first;

    struct weir_keys keys; /* as an object: the node of each key that is read */

    struct weir_keys select; /* as a list: the member to search by; empty: by index */
    struct weir_keys picks;  /* by that member's text: the node */
    uint16_t *items;         /* nodes */
    uint32_t *indexes;       /* of items, where the list is not searched */
    uint32_t items_len;
};

struct weir_candidates {
    uint8_t slots[WEIR_CANDIDATES_MAX]; /* from len on: WEIR_SLOT_NONE */
    uint8_t len;
    bool outer; /* the enclosing record is asked too */
};

struct weir_currency {
    uint64_t code; /* upper case, as weir_currency_code gives it */
    double rate;
};

struct weir_mapping {
    struct weir_node *nodes; /* nodes[0] is the event, or the record around it */
    uint32_t nodes_len, nodes_cap;

    struct weir_path paths[WEIR_SLOTS_MAX]; /* by slot */
    uint32_t slots_len;
    struct weir_candidates fields[WEIR_FIELDS_ALL];
    struct weir_candidates dimensions[WEIR_DIMENSIONS_MAX];
    uint32_t dimensions_len;
    struct weir_preset_list lists[3];
    uint32_t lists_len;
    uint32_t key_max; /* bytes of the longest key or selected text */

    struct weir_keys types;
    struct weir_currency *currencies; /* the first is `to` at rate 1 */
    uint32_t currencies_len;          /* 0: values are taken as they are */
    bool session_of_client;           /* a session id is unique within its client only */
    size_t record_max;
};

/* The code in upper case as a number; 0 when it is empty or longer than WEIR_CODE_MAX. */
uint64_t weir_currency_code(const char *text, size_t len);

/* Adds the path's nodes to the tree; the slot that it ends in. */
int weir_mapping_add_path(struct weir_mapping *mapping, const char *text, int *slot,
                          struct weir_err *err);
int weir_mapping_add_list(struct weir_mapping *mapping, const struct weir_preset_list *list,
                          struct weir_err *err);
void weir_mapping_free_nodes(struct weir_mapping *mapping);

#endif
