#include "core/mapping.h"

#include <stdlib.h>
#include <string.h>

static int out_of_memory(struct weir_err *err) {
    return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory for the events' mapping");
}

/* A new node; the ordinal of it is for the caller to note. -1 when memory is out. */
static int new_node(struct weir_mapping *mapping) {
    if (mapping->nodes_len == mapping->nodes_cap) {
        uint32_t cap = mapping->nodes_cap ? mapping->nodes_cap * 2 : 64;
        struct weir_node *nodes = realloc(mapping->nodes, cap * sizeof(*nodes));
        if (!nodes)
            return -1;
        mapping->nodes = nodes;
        mapping->nodes_cap = cap;
    }
    mapping->nodes[mapping->nodes_len] =
        (struct weir_node){.key = WEIR_QUOTED_NONE, .slot = -1, .list = -1};
    return (int)mapping->nodes_len++;
}

static void note_length(struct weir_mapping *mapping, uint32_t len) {
    if (len > mapping->key_max)
        mapping->key_max = len;
}

static int key_child(struct weir_mapping *mapping, int parent, const struct weir_segment *segment,
                     struct weir_err *err) {
    int32_t known = weir_keys_find(&mapping->nodes[parent].keys, segment->text, segment->text_len);
    if (known >= 0)
        return known;
    if (mapping->nodes[parent].children_len == WEIR_CHILDREN_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "the fields and dimensions read more than %d keys of one object; "
                            "map fewer of them (the last was `%.100s`)",
                            WEIR_CHILDREN_MAX, segment->text);
    int child = new_node(mapping);
    if (child < 0)
        return out_of_memory(err);
    struct weir_node *node = &mapping->nodes[parent];
    if (weir_keys_add(&node->keys, segment->text, segment->text_len, child) != 0 ||
        weir_quoted_set(&mapping->nodes[child].key, segment->text, segment->text_len) != 0)
        return out_of_memory(err);
    mapping->nodes[child].bit = (uint64_t)1 << node->children_len++;
    note_length(mapping, segment->text_len);
    return child;
}

/* A list is read by index or searched by one member: so no value is read twice. */
static int mixed(const struct weir_segment *segment, struct weir_err *err) {
    const char *what = segment->kind == WEIR_SEGMENT_SELECT ? segment->text : "an index";
    return weir_err_set(err, WEIR_ERR_INPUT,
                        "one list is read both by `%.100s` and in another way; read its elements "
                        "either by index or by one member, as in list[key=name]",
                        what);
}

/* The item's node, -1 when it is new, -2 when the list is read in another way. */
static int known_item(const struct weir_node *node, const struct weir_segment *segment) {
    bool selects = segment->kind == WEIR_SEGMENT_SELECT;
    if (node->items_len == 0)
        return -1;
    if (selects != (node->select.len > 0) ||
        (selects && weir_keys_find(&node->select, segment->text, segment->text_len) < 0))
        return -2;
    if (selects)
        return weir_keys_find(&node->picks, segment->value, segment->value_len);
    for (uint32_t i = 0; i < node->items_len; i++)
        if (node->indexes[i] == segment->index)
            return node->items[i];
    return -1;
}

static int add_item(struct weir_node *node, const struct weir_segment *segment, int child) {
    uint16_t *items = realloc(node->items, (node->items_len + 1) * sizeof(*items));
    if (!items)
        return -1;
    node->items = items;
    uint32_t *indexes = realloc(node->indexes, (node->items_len + 1) * sizeof(*indexes));
    if (!indexes)
        return -1;
    node->indexes = indexes;
    items[node->items_len] = (uint16_t)child;
    indexes[node->items_len++] = segment->index;
    if (segment->kind == WEIR_SEGMENT_INDEX)
        return 0;
    return weir_keys_add(&node->select, segment->text, segment->text_len, 0) ||
                   weir_keys_add(&node->picks, segment->value, segment->value_len, child)
               ? -1
               : 0;
}

static int item_child(struct weir_mapping *mapping, int parent, const struct weir_segment *segment,
                      struct weir_err *err) {
    int known = known_item(&mapping->nodes[parent], segment);
    if (known == -2)
        return mixed(segment, err);
    if (known >= 0)
        return known;
    if (mapping->nodes[parent].items_len == WEIR_CHILDREN_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "more than %d elements of one list are read; map "
                            "fewer of them",
                            WEIR_CHILDREN_MAX);
    int child = new_node(mapping);
    if (child < 0)
        return out_of_memory(err);
    mapping->nodes[child].bit = (uint64_t)1 << mapping->nodes[parent].items_len;
    if (add_item(&mapping->nodes[parent], segment, child) != 0)
        return out_of_memory(err);
    note_length(mapping, segment->text_len);
    note_length(mapping, segment->value_len);
    return child;
}

int weir_mapping_add_path(struct weir_mapping *mapping, const char *text, int *slot,
                          struct weir_err *err) {
    struct weir_path path;
    int rc = weir_path_parse(&path, text, err);
    if (rc != 0)
        return rc;
    int at = mapping->nodes_len == 0 ? new_node(mapping) : 0;
    if (at < 0)
        rc = out_of_memory(err);
    for (uint32_t i = 0; rc == 0 && i < path.len; i++) {
        const struct weir_segment *segment = &path.segments[i];
        at = segment->kind == WEIR_SEGMENT_KEY ? key_child(mapping, at, segment, err)
                                               : item_child(mapping, at, segment, err);
        if (at < 0)
            rc = at;
    }
    if (rc == 0 && mapping->nodes[at].slot < 0) {
        if (mapping->slots_len < WEIR_SLOTS_MAX) {
            mapping->nodes[at].slot = (int16_t)mapping->slots_len;
            mapping->paths[mapping->slots_len++] = path;
            *slot = mapping->nodes[at].slot;
            return 0;
        }
        rc = weir_err_set(err, WEIR_ERR_INPUT,
                          "the fields and dimensions have more than %d paths; "
                          "map fewer of them",
                          WEIR_SLOTS_MAX);
    }
    if (rc == 0)
        *slot = mapping->nodes[at].slot;
    weir_path_free(&path);
    return rc;
}

int weir_mapping_add_list(struct weir_mapping *mapping, const struct weir_preset_list *list,
                          struct weir_err *err) {
    struct weir_segment segment = {
        .kind = WEIR_SEGMENT_KEY, .text = list->key, .text_len = (uint32_t)strlen(list->key)};
    int child = key_child(mapping, 0, &segment, err);
    if (child < 0)
        return child;
    mapping->nodes[child].list = (int8_t)mapping->lists_len;
    mapping->lists[mapping->lists_len++] = *list;
    return 0;
}

void weir_mapping_free_nodes(struct weir_mapping *mapping) {
    for (uint32_t i = 0; i < mapping->nodes_len; i++) {
        struct weir_node *node = &mapping->nodes[i];
        free(node->key.text);
        weir_keys_free(&node->keys);
        weir_keys_free(&node->select);
        weir_keys_free(&node->picks);
        free(node->items);
        free(node->indexes);
    }
    free(mapping->nodes);
    for (uint32_t i = 0; i < mapping->slots_len; i++)
        weir_path_free(&mapping->paths[i]);
}
