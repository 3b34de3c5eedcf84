/* The stored state's first format, byte for byte: format_1.txt holds what a partition wrote of
 * events that never change, and each later weir must read it.
 *
 *     test_format --write >tests/unit/format_1.txt      when a format is new, never to mend a test
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "weir/partition.h"

#define BASE_MS 1767603600000 /* 2026-01-05T09:00:00Z */
#define EVENTS 120
#define KEYS_MAX 600
#define BUCKETS_MAX 300

struct stored {
    char key[40];
    char *bytes;
    size_t len;
};

static struct stored state[KEYS_MAX]; /* the meta value is the first */
static size_t state_len = 1;

static const struct weir_plan plan = {.gap_ms = 300000,
                                      .cap_ms = 3600000,
                                      .recovery_ms = 3600000,
                                      .sessions_max = 40,
                                      .out_of_orderness_ms = 5000,
                                      .allowed_lateness_ms = 600000,
                                      .max_ahead_ms = 60000,
                                      .dimensions_len = 2,
                                      .values_max = 10,
                                      .bot_events_max = 10000,
                                      .windows_ms = {60000, 3600000, 86400000},
                                      .windows_len = 3};

/* ---- what is written ---- */

static struct weir_str text_of(char *room, const char *name, int number) {
    return (struct weir_str){room, (uint32_t)sprintf(room, "%s-%d", name, number)};
}

/* Sessions that come back, carts, orders that are repeated, values more than have a place. */
static void count(struct weir_partition *partition, int n) {
    char session[16], visitor[16], order[16], device[16], country[16];
    struct weir_event event = {.time_ms = BASE_MS + (int64_t)n * 2500 - n % 4 * 3000,
                               .type = n % 9,
                               .value_micros = (int64_t)n * 1000000,
                               .quantity_micros = WEIR_MICROS};
    struct weir_key key;
    event.session = text_of(session, "session", n * 7 % 60);
    if (n % 3 != 0)
        event.visitor = text_of(visitor, "visitor", n % 40);
    if (event.type == WEIR_PURCHASE)
        event.order_id = text_of(order, "order", n % 30);
    if (n % 5 != 0)
        event.dimensions[0] = text_of(country, "country", n % 7);
    event.dimensions[1] = text_of(device, "device", n % 25);
    weir_partition_prepare(partition, &event, &key);
    weir_partition_apply(partition, &event, &key, -1);
    weir_partition_record(partition, n, WEIR_OK);
}

static void put(struct stored *item, const char *key, const void *bytes, size_t len) {
    free(item->bytes);
    snprintf(item->key, sizeof item->key, "%s", key);
    item->bytes = malloc(len + 1);
    memcpy(item->bytes, bytes, len);
    item->len = len;
}

static struct stored *find(const char *key) {
    for (size_t i = 1; i < state_len; i++)
        if (strcmp(state[i].key, key) == 0)
            return &state[i];
    return NULL;
}

static void commit(struct weir_partition *partition) {
    struct weir_changes changes;
    struct weir_err err;
    CHECK_INT(weir_partition_export(partition, &changes, &err), 0);
    for (size_t i = 0; i < changes.len; i++) {
        const struct weir_change *change = &changes.items[i];
        struct stored *item = find(change->key);
        if (!change->remove) {
            if (!item && state_len == KEYS_MAX)
                abort();
            put(item ? item : &state[state_len++], change->key, changes.bytes + change->at,
                change->len);
        } else if (item) {
            free(item->bytes);
            *item = state[--state_len];
            state[state_len].bytes = NULL;
        }
    }
    put(&state[0], "meta", changes.meta, changes.meta_len);
    weir_partition_committed(partition);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct stored *)a)->key, ((const struct stored *)b)->key);
}

static struct weir_partition *counted(void) {
    struct weir_partition *partition = weir_partition_new(&plan);
    weir_partition_start_at(partition, 0);
    for (int n = 0; n < EVENTS; n++) {
        count(partition, n);
        if (n % 40 == 39)
            commit(partition);
    }
    qsort(state + 1, state_len - 1, sizeof state[0], by_key);
    return partition;
}

/* ---- the file: a line for each key, its bytes in hexadecimal ---- */

static void write_line(FILE *out, const struct stored *item) {
    fprintf(out, "%s ", item->key);
    for (size_t i = 0; i < item->len; i++)
        fprintf(out, "%02x", (unsigned char)item->bytes[i]);
    fputc('\n', out);
}

static void read_line(struct stored *item, char *line) {
    char *hex = strchr(line, ' ');
    *hex++ = '\0';
    hex[strcspn(hex, "\n")] = '\0';
    put(item, line, hex, strlen(hex));
    item->len = strlen(hex) / 2;
    for (size_t i = 0; i < item->len; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        item->bytes[i] = (char)strtoul(digits, NULL, 16);
    }
}

static size_t read_file(struct stored *items) {
    char path[4096], *line = NULL;
    const char *tests = getenv("WEIR_TESTS");
    size_t len = 0, cap = 0;
    snprintf(path, sizeof path, "%s/unit/format_1.txt", tests ? tests : "tests");
    FILE *in = fopen(path, "re");
    CHECK(in != NULL);
    while (in && len < KEYS_MAX && getline(&line, &cap, in) > 0)
        read_line(&items[len++], line);
    if (in)
        fclose(in);
    free(line);
    return len;
}

/* ---- the tests ---- */

static void test_written(const struct stored *old, size_t old_len) {
    CHECK_INT(state_len, old_len);
    for (size_t i = 0; i < state_len && i < old_len; i++) {
        CHECK_TEXT(state[i].key, old[i].key);
        bool same =
            state[i].len == old[i].len && memcmp(state[i].bytes, old[i].bytes, old[i].len) == 0;
        CHECK(same);
        if (!same)
            printf("  %s is written otherwise: that is another format, which has another number, "
                   "and this one must still be read\n",
                   old[i].key);
    }
}

static const struct stored *named(const struct stored *old, size_t len, const char *key) {
    for (size_t i = 1; i < len; i++)
        if (strcmp(old[i].key, key) == 0)
            return &old[i];
    return NULL;
}

static struct weir_partition *imported(const struct stored *old, size_t old_len) {
    struct weir_partition *partition = weir_partition_new(&plan);
    const char *buckets[BUCKETS_MAX];
    size_t buckets_len = 0, keys_len = 0;
    char(*keys)[40] = NULL;
    struct weir_err err = {0};
    for (size_t i = 1; i < old_len && buckets_len < BUCKETS_MAX; i++)
        if (strncmp(old[i].key, "b:", 2) == 0)
            buckets[buckets_len++] = old[i].key + 2;
    CHECK_INT(weir_partition_import_meta(partition, old[0].bytes, old[0].len, &err), 0);
    CHECK_INT(weir_partition_import_wants(partition, buckets, buckets_len, &keys, &keys_len, &err),
              0);
    for (size_t i = 0; i < keys_len; i++) {
        const struct stored *item = named(old, old_len, keys[i]);
        if (item)
            CHECK_INT(weir_partition_import(partition, item->key, item->bytes, item->len, &err), 0);
    }
    CHECK_INT(weir_partition_import_done(partition, &err), 0);
    return partition;
}

static bool is_same(const struct weir_changes *a, const struct weir_change *item,
                    const struct weir_changes *b) {
    for (size_t i = 0; i < b->len; i++)
        if (strcmp(b->items[i].key, item->key) == 0)
            return b->items[i].remove == item->remove && b->items[i].len == item->len &&
                   /* sessions lie as they came to lie in memory */
                   (strchr("sd", *item->key) ||
                    memcmp(a->bytes + item->at, b->bytes + b->items[i].at, item->len) == 0);
    return false;
}

/* It goes on from the old bytes as if it had never stopped. */
static void test_read(struct weir_partition *never_stopped, const struct stored *old, size_t len) {
    struct weir_partition *partition = imported(old, len);
    struct weir_changes want, got;
    struct weir_err err;
    for (int n = EVENTS; n < EVENTS + 200; n++) {
        count(never_stopped, n);
        count(partition, n);
    }
    CHECK_INT(weir_partition_export(never_stopped, &want, &err), 0);
    CHECK_INT(weir_partition_export(partition, &got, &err), 0);
    CHECK_INT(got.meta_len, want.meta_len);
    CHECK(memcmp(got.meta, want.meta, want.meta_len) == 0);
    CHECK_INT(got.len, want.len);
    for (size_t i = 0; i < want.len; i++)
        CHECK(is_same(&want, &want.items[i], &got));
    weir_partition_free(partition);
}

int main(int argc, char **argv) {
    static struct stored old[KEYS_MAX];
    struct weir_partition *partition = counted();
    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        for (size_t i = 0; i < state_len; i++)
            write_line(stdout, &state[i]);
        return 0;
    }
    size_t old_len = read_file(old);
    test_written(old, old_len);
    if (old_len > 0)
        test_read(partition, old, old_len);
    weir_partition_free(partition);
    for (size_t i = 0; i < KEYS_MAX; i++) {
        free(old[i].bytes);
        free(state[i].bytes);
    }
    return check_done("test_format");
}
