/*
 * redis_hash: a hash in the bytes that Redis's DUMP gives and its RESTORE takes.
 *
 * HSET looks for each of its fields among all that are there, which for a hash of eighty costs
 * Redis several times what it costs to take the whole hash as it keeps it: as a listpack, RDB type
 * 16 of version 10, which Redis 7.0 and everything after it reads. What is written here is byte for
 * byte what DUMP gives without compression.
 *
 * Pure, but for tables made once; one thread a hash. The bytes belong to the hash until the next
 * weir_redis_hash_begin. A reader borrows them; damaged bytes are -1, never read past.
 */
#ifndef WEIR_REDIS_HASH_H
#define WEIR_REDIS_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "weir/buf.h"
#include "weir/event.h"

struct weir_redis_hash {
    struct weir_buf buf;
    uint32_t entries;
    const char *bytes; /* after weir_redis_hash_end */
    size_t len;
};

void weir_redis_hash_init(struct weir_redis_hash *hash);
void weir_redis_hash_close(struct weir_redis_hash *hash);
void weir_redis_hash_begin(struct weir_redis_hash *hash);
/* By turns a field and its value; no field twice. A text that is a whole number is kept as one, as
 * Redis does. */
void weir_redis_hash_text(struct weir_redis_hash *hash, const char *text, size_t len);
void weir_redis_hash_whole(struct weir_redis_hash *hash, int64_t number);
void weir_redis_hash_end(struct weir_redis_hash *hash);

struct weir_redis_hash_reader {
    struct weir_reader in;
    char number[24];
};
/* 0, or -1 when it is no hash in this form. */
int weir_redis_hash_read(struct weir_redis_hash_reader *reader, const void *bytes, size_t len);
/* 1 and the next text, valid until the next call; 0 at the end, -1 when damaged. */
int weir_redis_hash_next(struct weir_redis_hash_reader *reader, struct weir_str *text);

#endif
