/* What must hold after every script that reaches Redis, whoever sent it and however late. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "app/names.h"
#include "sim.h"

static int64_t number_of(struct sim_text text) {
    char copy[32];
    snprintf(copy, sizeof copy, "%.*s", (int)(text.len < 31 ? text.len : 31), text.data);
    return strtoll(copy, NULL, 10);
}

static struct sim_text key_of(char *out, size_t max, int partition, const char *rest) {
    snprintf(out, max, "weir:{sim.shop.events.%d}:%s", partition, rest);
    return sim_text_of(out);
}

static bool is(const struct weir_reply *reply, const char *text) {
    return reply->type == WEIR_REPLY_TEXT && strcmp(reply->text, text) == 0;
}

static int partition_of(struct sim_text meta) {
    const char *brace = memchr(meta.data, '}', meta.len);
    return brace[-1] - '0';
}

/* ---- claims and commits ---- */

/* No state, but the group has read the partition: counting must not begin anew by itself. */
static void watch_claim(struct sim_text meta, struct sim_text token,
                        const struct weir_reply *reply) {
    int p = partition_of(meta);
    bool lost = reply->type == WEIR_REPLY_ARRAY && sim->logs[p].committed >= 0 &&
                sim_db_field(sim->db, meta, "state").len == 0;
    if (lost)
        snprintf(sim->doomed[p], sizeof sim->doomed[p], "%s", token.data);
}

static void watch_committed(int p, struct sim_text meta, const struct sim_text *args) {
    struct weir_partition_status status;
    uint64_t prev = (uint64_t)number_of(args[1]), seq = (uint64_t)number_of(args[2]);
    int64_t offset = number_of(args[3]);
    struct sim_text state = sim_db_field(sim->db, meta, "state");
    sim->figures.commits++;
    if (!sim_text_equal(sim_db_field(sim->db, meta, "owner"), args[0]))
        sim_fail("partition %d: a commit of somebody who does not own it was taken", p);
    if (sim_text_equal(args[0], sim_text_of(sim->doomed[p])))
        sim_fail("partition %d: its state was lost, and somebody counts anew unasked", p);
    if (prev != sim->seqs[p] || seq != prev + 1)
        sim_fail("partition %d: commit %llu after %llu was taken on top of %llu", p,
                 (unsigned long long)seq, (unsigned long long)prev,
                 (unsigned long long)sim->seqs[p]);
    if (offset < sim->offsets[p])
        sim_fail("partition %d: the offset went back from %lld to %lld", p,
                 (long long)sim->offsets[p], (long long)offset);
    if (weir_partition_read_meta(state.data, state.len, &status) != 0)
        sim_fail("partition %d: the stored state cannot be read", p);
    else if (status.offset != offset || status.seq != seq || (int64_t)status.records != offset)
        sim_fail("partition %d: at offset %lld the state counts %llu records, offset %lld", p,
                 (long long)offset, (unsigned long long)status.records, (long long)status.offset);
    sim->idled |= !sim_text_equal(sim_db_field(sim->db, meta, "idle"), SIM_TEXT("0"));
    sim->seqs[p] = seq;
    sim->offsets[p] = offset;
}

static void watch_commit(struct sim_text meta, const struct sim_text *args,
                         const struct weir_reply *reply, bool heard) {
    int p = partition_of(meta);
    bool refused = is(reply, "ROLLEDBACK") || is(reply, "GONE");
    sim->figures.duplicates += is(reply, "DUP");
    sim->figures.fenced += is(reply, "FENCED");
    sim->figures.rolled_back += refused;
    if (is(reply, "OK"))
        watch_committed(p, meta, args);
    if (is(reply, "DUP") && (number_of(args[2]) != (int64_t)sim->seqs[p]))
        sim_fail("partition %d: what was never committed was called a duplicate", p);
    /* a second claim of a former owner may have put its token back */
    if (refused && heard && !sim->rolled_back && !sim->faults[SIM_TWICE] &&
        (is(reply, "GONE") || sim_text_equal(sim_db_field(sim->db, meta, "owner"), args[0])))
        sim_fail("partition %d: its owner was told %s and nothing was lost", p, reply->text);
}

/* ---- publications ---- */

static struct sim_published read_published(void) {
    struct sim_published found = {0};
    struct sim_text key = SIM_TEXT("weir:{sim}:published");
    char name[WEIR_NAME_WINDOW_MAX], field[WEIR_NAME_WINDOW_MAX + 8];
    found.number = (uint64_t)number_of(sim_db_field(sim->db, key, "number"));
    for (uint32_t w = 0; w < sim->config->plan.windows_len; w++) {
        weir_window_name(name, sizeof name, sim->config->plan.windows_ms[w]);
        snprintf(field, sizeof field, "as_of:%s", name);
        found.as_of_ms[w] = number_of(sim_db_field(sim->db, key, field));
    }
    return found;
}

/* The window's hash and the end of its series are as old as `published` says. */
static void watch_window(uint32_t w, int64_t as_of_ms) {
    char name[WEIR_NAME_WINDOW_MAX], key[WEIR_NAME_KEY_MAX];
    weir_window_name(name, sizeof name, sim->config->plan.windows_ms[w]);
    weir_name_key(key, sizeof key, "sim", "now:%s", name);
    int64_t now_ms = number_of(sim_db_field(sim->db, sim_text_of(key), "as_of"));
    weir_name_key(key, sizeof key, "sim", "series:%s", name);
    const struct sim_value *series = sim_db_find(sim->db, sim_text_of(key));
    int64_t last_ms = series ? series->last_ms : 0;
    if (now_ms != as_of_ms || last_ms != as_of_ms)
        sim_fail("window %s: published as of %lld, its hash %lld, its series %lld", name,
                 (long long)as_of_ms, (long long)now_ms, (long long)last_ms);
}

static void watch_publish(const struct sim_text *args, const struct weir_reply *reply) {
    struct sim_published now = read_published();
    const struct sim_value *lease = sim_db_find(sim->db, SIM_TEXT("weir:{sim}:lease"));
    if (reply->type == WEIR_REPLY_ERROR && strncmp(reply->text, "NOSCRIPT", 8) != 0)
        sim_fail("a publication was refused: %s", reply->text);
    if (reply->type != WEIR_REPLY_ARRAY) /* OK, and what was dropped */
        return;
    sim->figures.publications++;
    if (!lease || strncmp(lease->items[0].name->data, args[0].data, args[0].len) != 0)
        sim_fail("somebody without the lease has published");
    if (now.number != sim->published.number + 1)
        sim_fail("publication %llu came after %llu", (unsigned long long)now.number,
                 (unsigned long long)sim->published.number);
    for (uint32_t w = 0; w < sim->config->plan.windows_len; w++) {
        if (now.as_of_ms[w] < sim->published.as_of_ms[w])
            sim_fail("window %u went back from %lld to %lld", w,
                     (long long)sim->published.as_of_ms[w], (long long)now.as_of_ms[w]);
        watch_window(w, now.as_of_ms[w]);
    }
    sim->published = now;
}

void sim_watch_call(size_t argc, const struct sim_text *argv, const struct weir_reply *reply,
                    bool heard) {
    for (size_t i = 0; i < argc; i++)
        sim->print = XXH3_64bits_withSeed(argv[i].data, argv[i].len, sim->print + sim->steps);
    if (argc < 4 || argv[0].len < 4 || memcmp(argv[0].data, "EVAL", 4) != 0)
        return;
    const struct sim_text *args = argv + 3 + number_of(argv[2]);
    switch (sim_script_of(argv[1])) {
    case SIM_SCRIPT_COMMIT:
        watch_commit(argv[3], args, reply, heard);
        break;
    case SIM_SCRIPT_PUBLISH:
        watch_publish(args, reply);
        break;
    case SIM_SCRIPT_CLAIM:
        watch_claim(argv[3], args[0], reply);
        break;
    case SIM_SCRIPT_LEASE:
    case SIM_SCRIPT_OTHER:
        break;
    }
}

void sim_watch_reset(void) {
    sim->rolled_back = true;
    sim->published = read_published();
    for (int p = 0; p < sim->partitions; p++) {
        char text[64];
        struct sim_text meta = key_of(text, sizeof text, p, "meta");
        sim->seqs[p] = (uint64_t)number_of(sim_db_field(sim->db, meta, "seq"));
        sim->offsets[p] = number_of(sim_db_field(sim->db, meta, "offset"));
        sim->lost_state |= sim_db_field(sim->db, meta, "state").len == 0;
    }
}
