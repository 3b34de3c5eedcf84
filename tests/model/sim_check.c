/* What must hold at rest: Redis holds what one undisturbed run over the same records gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"
#include "weir/decode.h"

#define MEMBERS_MAX 1024

static struct weir_decoder *decoder; /* made once a process */

static struct sim_text key_of(char *out, size_t max, int partition, const char *rest) {
    snprintf(out, max, "weir:{sim.shop.events.%d}:%s", partition, rest);
    return sim_text_of(out);
}

static const struct sim_value *stored(int partition, const char *rest) {
    char text[128];
    return sim_db_find(sim->db, key_of(text, sizeof text, partition, rest));
}

/* ---- the undisturbed run ---- */

static void prepare_decoder(void) {
    struct weir_mapping *mapping = NULL;
    struct weir_err err;
    if (decoder)
        return;
    WEIR_ASSERT(weir_mapping_new(&mapping, &sim->config->mapping, &err) == 0);
    decoder = weir_decoder_new(mapping, 1);
    WEIR_ASSERT(decoder != NULL);
}

static void apply(struct weir_partition *partition, const struct sim_record *record,
                  int64_t offset) {
    struct weir_decoded decoded;
    weir_decode(decoder, record->bytes, record->len, &decoded);
    for (size_t i = 0; i < decoded.len; i++) {
        struct weir_key key;
        weir_partition_prepare(partition, &decoded.events[i], &key);
        weir_partition_apply(partition, &decoded.events[i], &key, record->time_ms);
    }
    weir_partition_record(partition, offset, decoded.reason);
}

/* One run over the first records, with the ticks that Redis has on record. */
static struct weir_partition *undisturbed(int p, int64_t offset) {
    struct weir_partition *partition = weir_partition_new(&sim->config->plan);
    const struct sim_value *ticks = stored(p, "ticks");
    size_t tick = 0, ticks_len = ticks ? ticks->len : 0;
    WEIR_ASSERT(partition != NULL);
    prepare_decoder();
    weir_partition_start_at(partition, 0);
    for (int64_t i = 0; i <= offset; i++) {
        for (; tick < ticks_len; tick++) {
            const char *colon = strchr(ticks->items[tick].name->data, ':');
            if (strtoll(ticks->items[tick].name->data, NULL, 10) != i)
                break;
            weir_partition_tick(partition, strtoll(colon + 1, NULL, 10));
        }
        if (i < offset)
            apply(partition, &sim->logs[p].records[i], i);
    }
    if (tick < ticks_len)
        sim_fail("partition %d: a tick on record is not of this past", p);
    return partition;
}

/* ---- the state in Redis, as a worker would load it ---- */

static struct weir_partition *loaded(int p, struct sim_text meta) {
    struct weir_partition *partition = weir_partition_new(&sim->config->plan);
    const struct sim_value *touched = stored(p, "t");
    const char *buckets[MEMBERS_MAX];
    struct weir_err err = {0};
    char(*keys)[40];
    size_t keys_len = 0, len = touched ? touched->len : 0;
    WEIR_ASSERT(partition != NULL && len <= MEMBERS_MAX);
    for (size_t i = 0; i < len; i++)
        buckets[i] = touched->items[i].name->data;
    int status = weir_partition_import_meta(partition, meta.data, meta.len, &err);
    if (status == 0)
        status = weir_partition_import_wants(partition, buckets, len, &keys, &keys_len, &err);
    for (size_t i = 0; i < keys_len && status == 0; i++) {
        const struct sim_value *value = stored(p, keys[i]);
        if (value)
            status = weir_partition_import(partition, keys[i], value->items[0].name->data,
                                           value->items[0].name->len, &err);
    }
    if (status == 0)
        status = weir_partition_import_done(partition, &err);
    if (status != 0)
        sim_fail("partition %d: its state cannot be loaded: %s", p, err.text);
    return partition;
}

/* ---- comparing ---- */

static bool is_counted(const char *key) {
    return key[0] == 'b' || key[0] == 'v';
}

static const struct weir_change *find_change(const struct weir_changes *changes, const char *key) {
    for (size_t i = 0; i < changes->len; i++)
        if (!changes->items[i].remove && strcmp(changes->items[i].key, key) == 0)
            return &changes->items[i];
    return NULL;
}

static size_t count_kept(const struct weir_changes *changes) {
    size_t count = 0;
    for (size_t i = 0; i < changes->len; i++)
        count += !changes->items[i].remove && is_counted(changes->items[i].key);
    return count;
}

/* Every bucket and dictionary, byte for byte. */
static void compare_keys(int p, const struct weir_changes *want) {
    char prefix[64];
    struct sim_text tag = key_of(prefix, sizeof prefix, p, "");
    size_t found = 0;
    for (size_t i = 0; i < sim->db->size; i++) {
        const struct sim_blob *key = sim->db->entries[i].key;
        if (!key || key->len < tag.len || memcmp(key->data, tag.data, tag.len) != 0 ||
            !is_counted(key->data + tag.len))
            continue;
        const struct weir_change *change = find_change(want, key->data + tag.len);
        const struct sim_blob *bytes = sim->db->entries[i].value->items[0].name;
        found++;
        if (!change)
            sim_fail("partition %d: %s should not be there", p, key->data);
        else if (change->len != bytes->len ||
                 memcmp(want->bytes + change->at, bytes->data, bytes->len) != 0)
            sim_fail("partition %d: %s differs from the undisturbed run", p, key->data);
    }
    if (found != count_kept(want))
        sim_fail("partition %d: %zu keys of counters instead of %zu", p, found, count_kept(want));
}

static void compare_changes(int p, const struct weir_changes *got,
                            const struct weir_changes *want) {
    for (size_t i = 0; i < want->len; i++) {
        const struct weir_change *item = &want->items[i];
        if (item->remove || item->key[0] != 'b')
            continue;
        const struct weir_change *other = find_change(got, item->key);
        if (!other || other->len != item->len ||
            memcmp(got->bytes + other->at, want->bytes + item->at, item->len) != 0)
            sim_fail("partition %d: with its sessions ended, %s differs", p, item->key);
    }
}

static void compare_status(int p, const struct weir_partition *got,
                           const struct weir_partition *want) {
    struct weir_partition_status a, b;
    weir_partition_status(got, &a);
    weir_partition_status(want, &b);
    if (a.offset != b.offset || a.newest_ms != b.newest_ms || a.watermark_ms != b.watermark_ms ||
        a.records != b.records || a.events != b.events || a.unknown_types != b.unknown_types ||
        a.bots != b.bots || a.open_sessions != b.open_sessions ||
        memcmp(a.rejected, b.rejected, sizeof a.rejected) != 0)
        sim_fail("partition %d: offset %lld, %llu events, %u sessions open, watermark %lld; the "
                 "undisturbed run: %lld, %llu, %u, %lld",
                 p, (long long)a.offset, (unsigned long long)a.events, a.open_sessions,
                 (long long)a.watermark_ms, (long long)b.offset, (unsigned long long)b.events,
                 b.open_sessions, (long long)b.watermark_ms);
}

/* Open sessions are compared by what they count when all of them end. */
static void compare_sessions(int p, struct weir_partition *got, struct weir_partition *want) {
    struct weir_changes got_changes, want_changes;
    struct weir_err err;
    weir_partition_committed(want);
    weir_partition_finish(got);
    weir_partition_finish(want);
    WEIR_ASSERT(weir_partition_export(got, &got_changes, &err) == 0);
    WEIR_ASSERT(weir_partition_export(want, &want_changes, &err) == 0);
    compare_changes(p, &got_changes, &want_changes);
    compare_changes(p, &want_changes, &got_changes);
}

void sim_check_partitions(bool whole) {
    for (int p = 0; p < sim->partitions && !sim->failed; p++) {
        char text[64];
        struct sim_text meta = key_of(text, sizeof text, p, "meta");
        struct sim_text state = sim_db_field(sim->db, meta, "state");
        struct weir_partition_status status;
        struct weir_changes changes;
        struct weir_err err;
        if (!whole && state.len == 0)
            continue; /* lost, and not begun again */
        if (weir_partition_read_meta(state.data, state.len, &status) != 0) {
            sim_fail("partition %d: there is no state", p);
            return;
        }
        if (whole && status.offset != sim->logs[p].len)
            sim_fail("partition %d: counted to %lld, not to its end %lld", p,
                     (long long)status.offset, (long long)sim->logs[p].len);
        struct weir_partition *want = undisturbed(p, status.offset), *got = loaded(p, state);
        if (!sim->failed)
            compare_status(p, got, want);
        WEIR_ASSERT(weir_partition_export(want, &changes, &err) == 0);
        if (!sim->failed)
            compare_keys(p, &changes);
        if (!sim->failed)
            compare_sessions(p, got, want);
        weir_partition_free(want);
        weir_partition_free(got);
    }
}

/* ---- what is published ---- */

static bool is_shown(const struct sim_blob *key) {
    return strncmp(key->data, "weir:{sim}:now:", 15) == 0 ||
           strncmp(key->data, "weir:{sim}:top:", 15) == 0;
}

static void compare_shown(const char *key, const struct sim_value *got,
                          const struct sim_value *want) {
    if (!got || got->len != want->len) {
        sim_fail("%s has %zu elements, a new evaluator makes %zu of the same states", key,
                 got ? got->len : 0, want->len);
        return;
    }
    for (size_t i = 0; i < want->len; i++) {
        const struct sim_item *x = &got->items[i], *y = &want->items[i];
        bool same = strcmp(x->name->data, y->name->data) == 0 &&
                    (int64_t)x->score == (int64_t)y->score &&
                    (!x->value || strcmp(x->value->data, y->value->data) == 0);
        if (!same && strcmp(x->name->data, "computed_at") != 0)
            sim_fail("%s: %s is %s, a new evaluator makes %s %s of the same states", key,
                     x->name->data, x->value ? x->value->data : "there", y->name->data,
                     y->value ? y->value->data : "");
    }
}

void sim_check_shown(const struct sim_db *got, const struct sim_db *want) {
    for (size_t i = 0; i < got->size; i++) {
        const struct sim_blob *key = got->entries[i].key;
        if (key && is_shown(key) && !sim_db_find(want, sim_text_of(key->data)))
            sim_fail("%s is there, a new evaluator does not make it of the same states", key->data);
    }
    for (size_t i = 0; i < want->size; i++) {
        const struct sim_blob *key = want->entries[i].key;
        if (!key || !is_shown(key))
            continue;
        compare_shown(key->data, sim_db_find(got, sim_text_of(key->data)), want->entries[i].value);
    }
}

static struct sim_text part_of(const struct sim_blob *json, const char *name) {
    const char *at = strstr(json->data, name);
    WEIR_ASSERT(at != NULL);
    at += strlen(name);
    return (struct sim_text){at, strcspn(at, "\"")};
}

/* Whoever reads the stream to its end knows which alerts fire. */
static void check_last(const struct sim_value *alerts) {
    const struct sim_text firing = SIM_TEXT("weir:{sim}:firing");
    for (size_t i = 0; i < alerts->len; i++) {
        struct sim_text name = part_of(alerts->items[i].value, "\"fingerprint\":\"");
        struct sim_text status = part_of(alerts->items[i].value, "\"status\":\"");
        bool last = true;
        for (size_t j = i + 1; j < alerts->len && last; j++)
            last = !sim_text_equal(part_of(alerts->items[j].value, "\"fingerprint\":\""), name);
        if (!last)
            continue;
        char field[32];
        snprintf(field, sizeof field, "%.*s", (int)name.len, name.data);
        bool fires = sim_db_field(sim->db, firing, field).len > 0;
        if ((sim_text_equal(status, SIM_TEXT("firing")) && !fires) ||
            (sim_text_equal(status, SIM_TEXT("resolved")) && fires))
            sim_fail("the alert %s was last told as %.*s, and %s", field, (int)status.len,
                     status.data, fires ? "fires" : "does not fire");
    }
}

/* Each change of an alert is told once. */
void sim_check_alerts(void) {
    const struct sim_value *alerts = sim_db_find(sim->db, SIM_TEXT("weir:{sim}:alerts"));
    for (size_t i = 0; alerts && i < alerts->len; i++) {
        const char *id = strstr(alerts->items[i].value->data, "\"id\":\"");
        WEIR_ASSERT(id != NULL);
        size_t len = strcspn(id + 6, "\"") + 7;
        for (size_t j = 0; j < i; j++)
            if (memmem(alerts->items[j].value->data, alerts->items[j].value->len, id, len))
                sim_fail("the alert %.*s was told twice", (int)len, id);
    }
    if (alerts)
        check_last(alerts);
}
