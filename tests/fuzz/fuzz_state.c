/* The stored state's reader: a partition's real state, damaged as the input says, is imported and
 * counted on. Either it is refused in words, or the partition works: it takes events, and what it
 * exports is read or refused in the same way. Without any damage all of it is read.
 *
 * The input is a list of edits, seven bytes and a piece: which key, what to do, where, with what.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "app/config_load.h"
#include "weir/overlap.h"
#include "weir/partition.h"

#define KEYS_MAX 600
#define EDITS_MAX 8
#define BASE_MS 1767603600000 /* 2026-01-05T09:00:00Z */

struct stored {
    char key[40];
    char *bytes;
    size_t len;
    int gone;
};

struct state {
    struct stored meta, items[KEYS_MAX];
    size_t len;
};

static const char text[] = "events: { dimensions: { country: c, device: d }, max_values: 20 }\n"
                           "sessions: { gap: 5m, cap: 1h, max_open: 40 }\n"
                           "windows: [1m, 15m, 2h, 3d]\n";

static const struct weir_plan *plan(void) {
    static struct weir_config *config;
    struct weir_problems problems = {0};
    struct weir_err err;
    if (!config)
        WEIR_ASSERT(weir_config_load_bytes(&config, "base", text, strlen(text), &problems, &err) ==
                    0);
    return &config->plan;
}

static void put(struct stored *item, const char *key, const void *bytes, size_t len) {
    free(item->bytes);
    snprintf(item->key, sizeof item->key, "%s", key);
    item->bytes = malloc(len + 1);
    WEIR_ASSERT(item->bytes != NULL);
    if (len > 0)
        memcpy(item->bytes, bytes, len);
    item->len = len;
}

static void set(struct state *state, const struct weir_change *change, const char *bytes) {
    size_t at = 0;
    while (at < state->len && strcmp(state->items[at].key, change->key) != 0)
        at++;
    if (change->remove) {
        if (at == state->len)
            return;
        free(state->items[at].bytes);
        state->items[at] = state->items[--state->len];
        return;
    }
    if (at == state->len) {
        WEIR_ASSERT(state->len < KEYS_MAX);
        state->items[state->len++] = (struct stored){0};
    }
    put(&state->items[at], change->key, bytes + change->at, change->len);
}

static void clear(struct state *state) {
    free(state->meta.bytes);
    for (size_t i = 0; i < state->len; i++)
        free(state->items[i].bytes);
    *state = (struct state){0};
}

/* ---- counting ---- */

static void count(struct weir_partition *p, int n) {
    static const char *const countries[] = {"DE", "FR", "", "IT", "a long name of a country"};
    char session[16], order[16];
    snprintf(session, sizeof session, "s%d", n * 7 % 60);
    snprintf(order, sizeof order, "o%d", n % 90);
    const char *country = countries[n % 5];
    struct weir_event event = {
        .time_ms = BASE_MS + (int64_t)n * 2500 - n % 4 * 3000,
        .value_micros = (int64_t)n * 1000000,
        .quantity_micros = WEIR_MICROS,
        .type = n % 9,
        .session = {session, (uint32_t)strlen(session)},
        .visitor = {session, n % 3 ? (uint32_t)strlen(session) : 0},
        .order_id = {order, n % 2 ? (uint32_t)strlen(order) : 0},
        .dimensions = {{country, (uint32_t)strlen(country)}, {order, (uint32_t)strlen(order)}}};
    struct weir_key key;
    weir_partition_prepare(p, &event, &key);
    weir_partition_apply(p, &event, &key, -1);
    weir_partition_record(p, n, WEIR_OK);
}

static void commit(struct weir_partition *p, struct state *state) {
    struct weir_changes changes;
    struct weir_err err;
    int code = weir_partition_export(p, &changes, &err);
    if (code != 0) {
        fuzz_refused(&err, code);
        return;
    }
    for (size_t i = 0; i < changes.len; i++)
        set(state, &changes.items[i], changes.bytes);
    if (changes.seq != changes.prev_seq)
        put(&state->meta, "meta", changes.meta, changes.meta_len);
    weir_partition_committed(p);
}

static int by_key(const void *left, const void *right) {
    const struct stored *a = left, *b = right;
    return strcmp(a->key, b->key);
}

static const struct state *undamaged(void) {
    static struct state state;
    if (state.len > 0)
        return &state;
    struct weir_partition *p = weir_partition_new(plan());
    WEIR_ASSERT(p != NULL);
    weir_partition_start_at(p, 0);
    for (int n = 0; n < 900; n++) {
        count(p, n);
        if (n % 150 == 149)
            commit(p, &state);
    }
    weir_partition_free(p);
    qsort(state.items, state.len, sizeof state.items[0], by_key);
    return &state;
}

/* ---- damage ---- */

static void edit(struct stored *item, struct fuzz *in) {
    uint32_t what = fuzz_byte(in), where = fuzz_u16(in);
    size_t len;
    const uint8_t *piece = fuzz_piece(in, 4096, &len);
    size_t at = item->len ? where % item->len : 0;
    if (what % 5 == 0) {
        put(item, item->key, piece, len);
    } else if (what % 5 == 1) {
        item->len = at;
    } else if (what % 5 == 2) { /* over what is there */
        len = len < item->len - at ? len : item->len - at;
        memcpy(item->bytes + at, piece, len);
    } else if (what % 5 == 3) { /* between what is there */
        char *grown = malloc(item->len + len + 1);
        WEIR_ASSERT(grown != NULL);
        memcpy(grown, item->bytes, at);
        memcpy(grown + at, piece, len);
        memcpy(grown + at + len, item->bytes + at, item->len - at);
        free(item->bytes);
        item->bytes = grown;
        item->len += len;
    } else {
        item->gone = 1;
    }
}

static void damage(struct state *state, struct fuzz *in) {
    const struct state *whole = undamaged();
    put(&state->meta, "meta", whole->meta.bytes, whole->meta.len);
    state->len = whole->len;
    for (size_t i = 0; i < whole->len; i++)
        put(&state->items[i], whole->items[i].key, whole->items[i].bytes, whole->items[i].len);
    for (int i = 0; i < EDITS_MAX && in->left > 0; i++) {
        size_t which = fuzz_u16(in) % (state->len + 8);
        edit(which < state->len ? &state->items[which] : &state->meta, in);
    }
}

/* ---- reading ---- */

static int names(const void *key, const void *item) {
    return strcmp(key, ((const struct stored *)item)->key);
}

static int import_wanted(struct weir_partition *p, const struct state *state,
                         struct weir_err *err) {
    const char *buckets[KEYS_MAX];
    size_t buckets_len = 0, len = 0;
    char(*keys)[40] = NULL;
    for (size_t i = 0; i < state->len; i++)
        if (state->items[i].key[0] == 'b' && !state->items[i].gone)
            buckets[buckets_len++] = state->items[i].key + 2;
    int code = weir_partition_import_wants(p, buckets, buckets_len, &keys, &len, err);
    for (size_t i = 0; i < len && code == 0; i++) {
        const struct stored *item = bsearch(keys[i], state->items, state->len, sizeof *item, names);
        if (item && !item->gone)
            code = weir_partition_import(p, keys[i], item->bytes, item->len, err);
    }
    return code == 0 ? weir_partition_import_done(p, err) : code;
}

/* NULL when it is refused. */
static struct weir_partition *import(const struct state *state) {
    struct weir_partition *p = weir_partition_new(plan());
    struct weir_partition_status status;
    struct weir_err err;
    WEIR_ASSERT(p != NULL);
    int code = weir_partition_import_meta(p, state->meta.bytes, state->meta.len, &err);
    if (code == 0)
        WEIR_ASSERT(weir_partition_read_meta(state->meta.bytes, state->meta.len, &status) == 0);
    if (code == 0)
        code = import_wanted(p, state, &err);
    if (code == 0)
        return p;
    fuzz_refused(&err, code);
    weir_partition_free(p);
    return NULL;
}

/* What the evaluator and `weir get` read by themselves. */
static void read_alone(const struct state *state) {
    struct weir_overlap samples[2];
    for (size_t i = 0; i < state->len; i++)
        if (strcmp(state->items[i].key, "k") == 0) {
            weir_overlap_read(&samples[0], state->items[i].bytes, state->items[i].len);
            weir_overlap_read(&samples[1], undamaged()->items[0].bytes, undamaged()->items[0].len);
            struct weir_split split = weir_overlap_compare(samples, 2, NULL);
            WEIR_ASSERT(split.split <= split.sampled);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz in = {data, size};
    struct state state = {0};
    damage(&state, &in);
    read_alone(&state);
    struct weir_partition *p = import(&state);
    WEIR_ASSERT(size > 0 || p != NULL);
    if (p) {
        for (int n = 900; n < 916; n++)
            count(p, n);
        weir_partition_tick(p, BASE_MS + (int64_t)4 * 3600000);
        commit(p, &state);
        qsort(state.items, state.len, sizeof state.items[0], by_key);
        struct weir_partition *again = import(&state);
        WEIR_ASSERT(size > 0 || again != NULL);
        weir_partition_free(again);
        weir_partition_finish(p);
        weir_partition_free(p);
    }
    clear(&state);
    return 0;
}
