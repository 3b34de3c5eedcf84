/*
 * driver: what the two halves of model_driver share. driver.c reads commands and prints;
 * driver_state.c plays Redis: the key-value map, commits, and loading a partition from the map.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/partition.h"

#define FIELDS_MAX 64
#define SEGMENT_NAME_MAX (WEIR_DIMENSION_VALUE_MAX + 16)

struct entry { /* one key of the map */
    char key[40];
    char *bytes;
    size_t len;
};

struct total {
    char name[SEGMENT_NAME_MAX];
    int64_t counters[WEIR_COUNTERS];
};

struct totals {
    struct total *items;
    size_t len;
};

struct line {
    char *text; /* as read */
    char *cut;  /* with the tabs cut; the fields point into it */
    char *fields[FIELDS_MAX];
    int fields_len;
};

struct driver {
    struct weir_plan plan;
    struct weir_partition *partition;
    struct entry *map;
    size_t map_len;
    char *meta; /* NULL before the first commit */
    size_t meta_len;
    struct line *log;         /* since the last commit */
    size_t log_len, log_from; /* from: the first event of the record that is being read */
    /* totals do not move with the state: kept here of the partitions that are gone */
    struct totals before, at_commit;
    uint64_t returned[WEIR_REASONS];
    char (*ticks)[64]; /* on record, as "offset:watermark" */
    size_t ticks_len;
    bool replaying;
};

/* Ends the program with a sentence. */
_Noreturn void fail(const char *what, const char *detail);
/* Makes room for one more item where `len` is a power of two. */
void *grown(void *items, size_t len, size_t size);

void segment_name(const struct driver *driver, uint32_t segment, char *out, size_t max);
struct total *totals_of(struct totals *totals, const char *name);
void totals_add(struct totals *totals, struct driver *driver);
void totals_clear(struct totals *totals);

/* FNV-1a; start with HASH_START. */
#define HASH_START 14695981039346656037u
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len);

void log_clear(struct driver *driver);
void new_partition(struct driver *driver);
/* The partition's changes into the map; `retry`: as if the first reply had been lost. */
void commit(struct driver *driver, bool retry);
/* A new partition that knows only what the last commit wrote. */
void load(struct driver *driver);

#endif
