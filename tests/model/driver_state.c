#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fail(const char *what, const char *detail) {
    fprintf(stderr, "model_driver: %s: %s\n", what, detail);
    exit(2);
}

void *grown(void *items, size_t len, size_t size) {
    if (len > 0 && (len & (len - 1)) != 0)
        return items;
    void *more = realloc(items, (len ? len * 2 : 1) * size);
    if (!more)
        fail("memory", "out");
    return more;
}

struct total *totals_of(struct totals *totals, const char *name) {
    for (size_t i = 0; i < totals->len; i++)
        if (strcmp(totals->items[i].name, name) == 0)
            return &totals->items[i];
    totals->items = grown(totals->items, totals->len, sizeof *totals->items);
    struct total *total = &totals->items[totals->len++];
    memset(total, 0, sizeof *total);
    snprintf(total->name, sizeof total->name, "%s", name);
    return total;
}

void totals_clear(struct totals *totals) {
    free(totals->items);
    *totals = (struct totals){0};
}

void segment_name(const struct driver *driver, uint32_t segment, char *out, size_t max) {
    if (segment == 0) {
        snprintf(out, max, "total");
        return;
    }
    uint32_t dimension = (segment >> 24) - 1;
    struct weir_str value = weir_partition_value(driver->partition, dimension, segment & 0xffffffu);
    snprintf(out, max, "%u=%.*s", dimension, (int)value.len, value.data);
}

void totals_add(struct totals *totals, struct driver *driver) {
    for (uint32_t dimension = 0; dimension <= driver->plan.dimensions_len; dimension++) {
        bool whole = dimension == driver->plan.dimensions_len;
        uint32_t values = whole ? 1 : weir_partition_values(driver->partition, dimension);
        for (uint32_t value = 0; value < values; value++) {
            uint32_t segment = whole ? 0 : weir_segment(dimension, value);
            const int64_t *cell = weir_partition_total(driver->partition, segment);
            if (!cell)
                continue;
            char name[SEGMENT_NAME_MAX];
            segment_name(driver, segment, name, sizeof name);
            struct total *total = totals_of(totals, name);
            for (int counter = 0; counter < WEIR_COUNTERS; counter++)
                total->counters[counter] += cell[counter];
        }
    }
}

/* ---- the map ---- */

static struct entry *map_find(struct driver *driver, const char *key) {
    for (size_t i = 0; i < driver->map_len; i++)
        if (strcmp(driver->map[i].key, key) == 0)
            return &driver->map[i];
    return NULL;
}

static void map_change(struct driver *driver, const struct weir_change *change, const char *bytes) {
    struct entry *entry = map_find(driver, change->key);
    if (change->remove) {
        if (!entry)
            return;
        free(entry->bytes);
        *entry = driver->map[--driver->map_len];
        return;
    }
    if (!entry) {
        driver->map = grown(driver->map, driver->map_len, sizeof *driver->map);
        entry = &driver->map[driver->map_len++];
        memset(entry, 0, sizeof *entry);
        memcpy(entry->key, change->key, sizeof entry->key);
    }
    free(entry->bytes);
    entry->bytes = malloc(change->len + 1);
    if (!entry->bytes)
        fail("memory", "out");
    memcpy(entry->bytes, bytes + change->at, change->len);
    entry->len = change->len;
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

static uint64_t export_changes(struct driver *driver, struct weir_changes *changes) {
    struct weir_err err;
    if (weir_partition_export(driver->partition, changes, &err) != 0)
        fail("export", err.text);
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < changes->len; i++) {
        const struct weir_change *change = &changes->items[i];
        hash = hash_bytes(hash, change->key, strlen(change->key) + 1);
        hash = hash_bytes(hash, changes->bytes + change->at, change->remove ? 0 : change->len);
    }
    hash = hash_bytes(hash, changes->meta, changes->meta_len);
    hash = hash_bytes(hash, changes->ticks, changes->ticks_len);
    return hash_bytes(hash, &changes->seq, sizeof changes->seq);
}

void log_clear(struct driver *driver) {
    for (size_t i = 0; i < driver->log_len; i++) {
        free(driver->log[i].text);
        free(driver->log[i].cut);
    }
    driver->log_len = driver->log_from = 0;
}

/* As the script of app/scripts.h does. */
static void record_ticks(struct driver *driver, const char *lines, size_t len) {
    const char *end = lines + len, *line = lines;
    while (line < end) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        bool same = *line == '=';
        line += same;
        size_t offset_len =
            (size_t)((const char *)memchr(line, ':', (size_t)(stop - line)) + 1 - line);
        if (!same || driver->ticks_len == 0 ||
            strncmp(driver->ticks[driver->ticks_len - 1], line, offset_len) != 0) {
            driver->ticks = grown(driver->ticks, driver->ticks_len, sizeof *driver->ticks);
            driver->ticks_len++;
        }
        snprintf(driver->ticks[driver->ticks_len - 1], sizeof *driver->ticks, "%.*s",
                 (int)(stop - line), line);
        line = stop + 1;
    }
}

void commit(struct driver *driver, bool retry) {
    struct weir_changes changes;
    uint64_t hash = export_changes(driver, &changes);
    if (retry && export_changes(driver, &changes) != hash)
        fail("export", "a second export without a commit differs from the first");
    for (size_t i = 0; i < changes.len; i++)
        map_change(driver, &changes.items[i], changes.bytes);
    if (changes.seq != changes.prev_seq) {
        record_ticks(driver, changes.ticks, changes.ticks_len);
        free(driver->meta);
        driver->meta = malloc(changes.meta_len + 1);
        if (!driver->meta)
            fail("memory", "out");
        memcpy(driver->meta, changes.meta, changes.meta_len);
        driver->meta_len = changes.meta_len;
    } else if (changes.len > 0) {
        fail("export", "changes without a new sequence number");
    }
    weir_partition_committed(driver->partition);
    totals_clear(&driver->at_commit);
    totals_add(&driver->at_commit, driver);
    log_clear(driver);
}

void new_partition(struct driver *driver) {
    weir_partition_free(driver->partition);
    driver->partition = weir_partition_new(&driver->plan);
    if (!driver->partition || weir_partition_keep_totals(driver->partition) != 0)
        fail("partition", "no memory");
}

void load(struct driver *driver) {
    new_partition(driver);
    for (size_t i = 0; i < driver->at_commit.len; i++) {
        struct total *total = totals_of(&driver->before, driver->at_commit.items[i].name);
        for (int counter = 0; counter < WEIR_COUNTERS; counter++)
            total->counters[counter] += driver->at_commit.items[i].counters[counter];
    }
    totals_clear(&driver->at_commit);
    if (!driver->meta)
        return;
    struct weir_err err;
    if (weir_partition_import_meta(driver->partition, driver->meta, driver->meta_len, &err) != 0)
        fail("import meta", err.text);
    const char **buckets = calloc(driver->map_len + 1, sizeof *buckets);
    if (!buckets)
        fail("memory", "out");
    size_t buckets_len = 0;
    for (size_t i = 0; i < driver->map_len; i++)
        if (strncmp(driver->map[i].key, "b:", 2) == 0)
            buckets[buckets_len++] = driver->map[i].key + 2;
    char(*keys)[40];
    size_t keys_len;
    if (weir_partition_import_wants(driver->partition, buckets, buckets_len, &keys, &keys_len,
                                    &err) != 0)
        fail("import wants", err.text);
    for (size_t i = 0; i < keys_len; i++) {
        struct entry *entry = map_find(driver, keys[i]);
        if (entry &&
            weir_partition_import(driver->partition, keys[i], entry->bytes, entry->len, &err) != 0)
            fail(keys[i], err.text);
    }
    free(buckets);
    if (weir_partition_import_done(driver->partition, &err) != 0)
        fail("import done", err.text);
}
