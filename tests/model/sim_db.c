#include "sim_db.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_MIN 256

static void *must(void *memory) {
    WEIR_ASSERT(memory != NULL);
    return memory;
}

struct sim_text sim_text_of(const char *text) {
    return (struct sim_text){text, strlen(text)};
}

bool sim_text_equal(struct sim_text a, struct sim_text b) {
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* ---- shared bytes and values ---- */

static struct sim_blob *blob_new(struct sim_text text) {
    struct sim_blob *blob = must(malloc(sizeof *blob + text.len + 1));
    blob->refs = 1;
    blob->len = text.len;
    memcpy(blob->data, text.data, text.len);
    blob->data[text.len] = '\0';
    return blob;
}

static struct sim_blob *blob_share(struct sim_blob *blob) {
    if (blob)
        blob->refs++;
    return blob;
}

static void blob_drop(struct sim_blob *blob) {
    if (blob && --blob->refs == 0)
        free(blob);
}

static struct sim_text blob_text(const struct sim_blob *blob) {
    return (struct sim_text){blob->data, blob->len};
}

static void value_drop(struct sim_value *value) {
    if (--value->refs > 0)
        return;
    for (size_t i = 0; i < value->len; i++) {
        blob_drop(value->items[i].name);
        blob_drop(value->items[i].value);
    }
    free(value->items);
    free(value);
}

static struct sim_value *value_new(enum sim_type type) {
    struct sim_value *value = must(calloc(1, sizeof *value));
    value->refs = 1;
    value->type = type;
    return value;
}

static struct sim_value *value_clone(const struct sim_value *from) {
    struct sim_value *value = must(malloc(sizeof *value));
    *value = *from;
    value->refs = 1;
    value->cap = from->len + 1;
    value->items = must(malloc(value->cap * sizeof *value->items));
    for (size_t i = 0; i < from->len; i++) {
        value->items[i] = from->items[i];
        blob_share(value->items[i].name);
        blob_share(value->items[i].value);
    }
    return value;
}

struct sim_item *sim_value_find(const struct sim_value *value, struct sim_text name) {
    for (size_t i = 0; value && i < value->len; i++)
        if (sim_text_equal(blob_text(value->items[i].name), name))
            return &value->items[i];
    return NULL;
}

struct sim_item *sim_value_insert(struct sim_value *value, size_t at, struct sim_text name,
                                  const struct sim_text *bytes) {
    if (value->len == value->cap) {
        value->cap = value->cap ? value->cap * 2 : 4;
        value->items = must(realloc(value->items, value->cap * sizeof *value->items));
    }
    struct sim_item *item = &value->items[at];
    memmove(item + 1, item, (value->len - at) * sizeof *item);
    value->len++;
    *item = (struct sim_item){.name = blob_new(name), .value = bytes ? blob_new(*bytes) : NULL};
    return item;
}

void sim_value_set(struct sim_item *item, struct sim_text bytes) {
    blob_drop(item->value);
    item->value = blob_new(bytes);
}

void sim_value_erase(struct sim_value *value, size_t at) {
    struct sim_item *item = &value->items[at];
    blob_drop(item->name);
    blob_drop(item->value);
    value->len--;
    memmove(item, item + 1, (value->len - at) * sizeof *item);
}

/* ---- keys ---- */

static size_t place_of(const struct sim_db *db, struct sim_text key) {
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (uint8_t)key.data[i]) * 1099511628211U;
    return (size_t)(hash ^ hash >> 29) & (db->size - 1);
}

static size_t find_place(const struct sim_db *db, struct sim_text key) {
    size_t at = place_of(db, key);
    while (db->entries[at].key && !sim_text_equal(blob_text(db->entries[at].key), key))
        at = (at + 1) & (db->size - 1);
    return at;
}

static void grow(struct sim_db *db) {
    struct sim_entry *old = db->entries;
    size_t old_size = db->size;
    db->size *= 2;
    db->entries = must(calloc(db->size, sizeof *db->entries));
    for (size_t i = 0; i < old_size; i++)
        if (old[i].key)
            db->entries[find_place(db, blob_text(old[i].key))] = old[i];
    free(old);
}

struct sim_db *sim_db_new(void) {
    struct sim_db *db = must(calloc(1, sizeof *db));
    db->size = SIZE_MIN;
    db->entries = must(calloc(db->size, sizeof *db->entries));
    return db;
}

struct sim_db *sim_db_copy(const struct sim_db *from) {
    struct sim_db *db = must(malloc(sizeof *db));
    *db = *from;
    db->entries = must(malloc(db->size * sizeof *db->entries));
    memcpy(db->entries, from->entries, db->size * sizeof *db->entries);
    for (size_t i = 0; i < db->size; i++) {
        if (!db->entries[i].key)
            continue;
        blob_share(db->entries[i].key);
        db->entries[i].value->refs++;
    }
    return db;
}

void sim_db_free(struct sim_db *db) {
    if (!db)
        return;
    for (size_t i = 0; i < db->size; i++) {
        if (!db->entries[i].key)
            continue;
        blob_drop(db->entries[i].key);
        value_drop(db->entries[i].value);
    }
    free(db->entries);
    free(db);
}

const struct sim_value *sim_db_find(const struct sim_db *db, struct sim_text key) {
    const struct sim_entry *entry = &db->entries[find_place(db, key)];
    if (!entry->key || (entry->value->expires_ms && entry->value->expires_ms <= db->now_ms))
        return NULL;
    return entry->value;
}

struct sim_value *sim_db_write(struct sim_db *db, struct sim_text key, enum sim_type type) {
    if (!sim_db_find(db, key))
        sim_db_remove(db, key); /* expired */
    size_t at = find_place(db, key);
    if (!db->entries[at].key) {
        if (db->len * 2 >= db->size) {
            grow(db);
            at = find_place(db, key);
        }
        db->entries[at] = (struct sim_entry){blob_new(key), value_new(type)};
        db->len++;
    } else if (db->entries[at].value->refs > 1) {
        struct sim_value *own = value_clone(db->entries[at].value);
        value_drop(db->entries[at].value);
        db->entries[at].value = own;
    }
    return db->entries[at].value;
}

bool sim_db_remove(struct sim_db *db, struct sim_text key) {
    size_t at = find_place(db, key);
    if (!db->entries[at].key)
        return false;
    blob_drop(db->entries[at].key);
    value_drop(db->entries[at].value);
    db->entries[at].key = NULL;
    db->len--;
    for (size_t next = (at + 1) & (db->size - 1); db->entries[next].key;
         next = (next + 1) & (db->size - 1)) {
        size_t home = place_of(db, blob_text(db->entries[next].key));
        if (((next - home) & (db->size - 1)) < ((next - at) & (db->size - 1)))
            continue; /* it stands between its home and the gap */
        db->entries[at] = db->entries[next];
        db->entries[next].key = NULL;
        at = next;
    }
    return true;
}

struct sim_text sim_db_field(const struct sim_db *db, struct sim_text key, const char *field) {
    const struct sim_value *value = sim_db_find(db, key);
    const struct sim_item *item = sim_value_find(value, sim_text_of(field));
    return item ? blob_text(item->value) : SIM_TEXT("");
}

/* ---- answers: a node is one block, as io/redis_reply makes them ---- */

static struct weir_reply *node_new(enum weir_reply_type type, size_t extra) {
    struct weir_reply *node = must(calloc(1, sizeof *node + extra));
    node->type = type;
    return node;
}

struct weir_reply *sim_reply_text(struct sim_text text) {
    struct weir_reply *node = node_new(WEIR_REPLY_TEXT, text.len + 1);
    node->text = (char *)(node + 1);
    node->len = text.len;
    memcpy(node->text, text.data, text.len);
    return node;
}

struct weir_reply *sim_reply_error(const char *text) {
    struct weir_reply *node = sim_reply_text(sim_text_of(text));
    node->type = WEIR_REPLY_ERROR;
    return node;
}

struct weir_reply *sim_reply_integer(int64_t number) {
    struct weir_reply *node = node_new(WEIR_REPLY_INTEGER, 0);
    node->integer = number;
    return node;
}

struct weir_reply *sim_reply_nil(void) {
    return node_new(WEIR_REPLY_NIL, 0);
}

struct weir_reply *sim_reply_array(size_t len) {
    struct weir_reply *node = node_new(WEIR_REPLY_ARRAY, len * sizeof(struct weir_reply *));
    node->items = (struct weir_reply **)(node + 1);
    node->items_len = len;
    return node;
}
