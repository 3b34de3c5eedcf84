/*
 * sim_db: as much of Redis as weir uses, in memory and without a clock of its own.
 *
 * Values are shared between a database and its copies until one of them writes, so that a snapshot
 * after every command is cheap. What it answers is compared with the real Redis by
 * tests/integration/test_sim_redis.c. One thread.
 */
#ifndef SIM_DB_H
#define SIM_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/redis.h"

struct sim_text {
    const char *data;
    size_t len;
};
#define SIM_TEXT(literal) ((struct sim_text){(literal), sizeof(literal) - 1})

struct sim_blob { /* shared bytes, NUL-terminated beyond len */
    uint32_t refs;
    size_t len;
    char data[];
};

enum sim_type { SIM_STRING, SIM_HASH, SIM_SET, SIM_ZSET, SIM_LIST, SIM_STREAM };

/* One element of any type: a string has one, a stream's name is the entry's id. */
struct sim_item {
    struct sim_blob *name;
    struct sim_blob *value; /* of a hash's field or a stream's entry, else NULL */
    double score;
};

struct sim_value {
    uint32_t refs;
    enum sim_type type;
    struct sim_item *items;
    size_t len, cap;
    int64_t expires_ms;          /* 0: never */
    int64_t last_ms, last_count; /* a stream's last id */
};

struct sim_entry {
    struct sim_blob *key; /* NULL: a free place */
    struct sim_value *value;
};

struct sim_db {
    struct sim_entry *entries; /* open addressing; the size is a power of two */
    size_t size, len;
    int64_t now_ms; /* set by the caller */
};

struct sim_db *sim_db_new(void);
struct sim_db *sim_db_copy(const struct sim_db *db);
void sim_db_free(struct sim_db *db);

/* A command's answer; free it with weir_reply_free. Scripts are sim_lua's. */
struct weir_reply *sim_db_call(struct sim_db *db, size_t argc, const struct sim_text *argv);

/* ---- for the commands and for those who look in ---- */

struct sim_text sim_text_of(const char *text);
bool sim_text_equal(struct sim_text a, struct sim_text b);
/* NULL when there is none or it has expired. */
const struct sim_value *sim_db_find(const struct sim_db *db, struct sim_text key);
/* For writing: not shared, made when it is missing. */
struct sim_value *sim_db_write(struct sim_db *db, struct sim_text key, enum sim_type type);
bool sim_db_remove(struct sim_db *db, struct sim_text key);
/* The element of that name, or NULL. */
struct sim_item *sim_value_find(const struct sim_value *value, struct sim_text name);
/* At a place among the elements; `value` may be NULL. */
struct sim_item *sim_value_insert(struct sim_value *value, size_t at, struct sim_text name,
                                  const struct sim_text *bytes);
void sim_value_set(struct sim_item *item, struct sim_text bytes);
void sim_value_erase(struct sim_value *value, size_t at);
/* A hash's field; empty when it is missing. */
struct sim_text sim_db_field(const struct sim_db *db, struct sim_text key, const char *field);

struct weir_reply *sim_reply_text(struct sim_text text);
struct weir_reply *sim_reply_integer(int64_t number);
struct weir_reply *sim_reply_nil(void);
struct weir_reply *sim_reply_array(size_t len); /* fill every item */
struct weir_reply *sim_reply_error(const char *text);

#endif
