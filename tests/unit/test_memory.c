/* What a partition keeps resident: bytes a session, floods of sessions, carts, orders and values, a
 * full stream against what is reckoned with, a day without an event, and a state that comes back in
 * time whatever its size. */
#include <malloc.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "weir/footprint.h"
#include "weir/partition.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED true /* shadow memory, and slow */
#else
#define SANITIZED false
#endif

#define START_MS 1767600000000LL
#define DAY_MS 86400000LL
#define MIB 1048576.0

static struct weir_plan plan(uint32_t sessions_max) {
    return (struct weir_plan){.gap_ms = 1800000,
                              .cap_ms = DAY_MS,
                              .recovery_ms = DAY_MS,
                              .sessions_max = sessions_max,
                              .out_of_orderness_ms = 5000,
                              .allowed_lateness_ms = 600000,
                              .max_ahead_ms = 60000,
                              .values_max = 1000,
                              .bot_events_max = 10000,
                              .windows_ms = {60000, 3600000, DAY_MS},
                              .windows_len = 3};
}

static double resident_mib(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / MIB;
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint32_t values_made = UINT32_MAX; /* of a dimension */

/* One event of a session and a visitor of its own. */
static void take(struct weir_partition *partition, uint32_t number, int64_t time_ms, int type,
                 uint32_t dimensions) {
    char session[24], visitor[24], order[24], value[24];
    struct weir_key key;
    struct weir_event event = {.time_ms = time_ms, .type = type, .quantity_micros = WEIR_MICROS};
    event.session = (struct weir_str){session, (uint32_t)sprintf(session, "s-%u", number)};
    event.visitor = (struct weir_str){visitor, (uint32_t)sprintf(visitor, "v-%u", number)};
    if (type == WEIR_PURCHASE)
        event.order_id = (struct weir_str){order, (uint32_t)sprintf(order, "o-%u", number)};
    for (uint32_t d = 0; d < dimensions; d++)
        event.dimensions[d] =
            (struct weir_str){value, (uint32_t)sprintf(value, "d%u", number % values_made)};
    weir_partition_prepare(partition, &event, &key);
    enum weir_reason reason = weir_partition_apply(partition, &event, &key, -1);
    if (reason != WEIR_OK)
        CHECK_INT(reason, WEIR_OK);
    weir_partition_record(partition, number, WEIR_OK);
}

static void commit(struct weir_partition *partition) {
    struct weir_changes changes;
    struct weir_err err;
    CHECK_INT(weir_partition_export(partition, &changes, &err), 0);
    weir_partition_committed(partition);
}

static struct weir_partition_status status_of(const struct weir_partition *partition) {
    struct weir_partition_status status;
    weir_partition_status(partition, &status);
    return status;
}

static void bytes_a_session(uint32_t sessions) {
    const struct weir_plan how = plan(2 * sessions);
    struct weir_partition *partition = weir_partition_new(&how);
    double before = resident_mib();
    for (uint32_t i = 0; i < sessions; i++) {
        take(partition, i, START_MS + i / 1000, WEIR_PAGE_VIEW, 0);
        if (i % 50000 == 49999)
            commit(partition);
    }
    CHECK_INT(status_of(partition).open_sessions, sessions);
    double bytes = (resident_mib() - before) * MIB / sessions;
    printf("%u open sessions: %.1f bytes each, resident\n", sessions, bytes);
    CHECK(SANITIZED || bytes <= 100);
    weir_partition_free(partition);
}

static void flood(const char *what, uint32_t events, uint32_t sessions_max, const int *types,
                  uint32_t types_len, double limit_mib) {
    const struct weir_plan how = plan(sessions_max);
    struct weir_partition *partition = weir_partition_new(&how);
    double before = resident_mib(), most = 0;
    for (uint32_t i = 0; i < events; i++) {
        take(partition, i, START_MS + i / 10, types[i % types_len], 0);
        if (weir_partition_pending(partition) > 1 << 20)
            commit(partition);
        if (i % 10000 == 0)
            most = resident_mib() > most ? resident_mib() : most;
    }
    printf("%u sessions with %s, %u at once: %.1f MiB resident\n", events, what, sessions_max,
           most - before);
    CHECK(status_of(partition).open_sessions <= sessions_max);
    CHECK(SANITIZED || most - before < limit_mib);
    weir_partition_free(partition);
}

/* Each value is new, in eight dimensions that take 65,000: counters must not wait for a commit. */
static void flood_of_segments(void) {
    struct weir_plan how = plan(1000);
    how.dimensions_len = WEIR_DIMENSIONS_MAX;
    how.values_max = 65000;
    struct weir_partition *partition = weir_partition_new(&how);
    double before = resident_mib();
    for (uint32_t i = 0; i < 70000; i++)
        take(partition, i, START_MS + i * 10LL, WEIR_PAGE_VIEW, WEIR_DIMENSIONS_MAX);
    double mib = resident_mib() - before;
    printf("520,000 segments: %.1f MiB resident\n", mib);
    CHECK(weir_partition_values(partition, 7) == WEIR_VALUE_FIRST + 65000);
    CHECK(SANITIZED || mib < 128);
    weir_partition_free(partition);
}

/* At full speed, each of a thousand values in every bucket that events may still fall in: a commit
 * comes only where the partition asks for it. */
static void full_stream(uint32_t dimensions, int64_t lateness_ms, uint32_t minutes) {
    enum { A_SECOND = 200 };
    struct weir_plan how = plan(1000);
    how.dimensions_len = dimensions;
    how.allowed_lateness_ms = lateness_ms;
    how.buffers_bytes = 512 << 10;
    struct weir_partition *partition = weir_partition_new(&how);
    malloc_trim(0); /* what earlier tests freed would hide what this one takes */
    double before = resident_mib(), most = 0;
    values_made = how.values_max;
    for (uint32_t i = 0; i < minutes * 60 * A_SECOND; i++) {
        int type = i / how.values_max % 2 ? WEIR_ADD_TO_CART : WEIR_PURCHASE;
        take(partition, i, START_MS + i * 1000LL / A_SECOND, type, dimensions);
        if (weir_partition_is_full(partition) || weir_partition_pending(partition) > 1 << 20)
            commit(partition);
        if (i % 1000 == 0)
            most = resident_mib() > most ? resident_mib() : most;
    }
    values_made = UINT32_MAX;
    most -= before;
    double reckoned = (double)weir_footprint(&how) / MIB;
    double told = (double)status_of(partition).memory_bytes / MIB;
    printf("%u dimensions, %lld min late at most: %.1f MiB resident, %.1f told, %.1f reckoned\n",
           dimensions, (long long)lateness_ms / 60000, most, told, reckoned);
    CHECK(SANITIZED || (most < reckoned && told > most / 2 && told < most));
    CHECK(SANITIZED || reckoned < 3 * most);
    weir_partition_free(partition);
}

static void day_without_an_event(uint32_t sessions) {
    const struct weir_plan how = plan(2 * sessions);
    struct weir_partition *partition = weir_partition_new(&how);
    for (uint32_t i = 0; i < sessions; i++)
        take(partition, i, START_MS + i / 1000, WEIR_ADD_TO_CART, 0);
    commit(partition);
    double before = resident_mib();
    for (int64_t at = 0; at <= DAY_MS; at += 60000) {
        weir_partition_tick(partition, START_MS + at);
        commit(partition);
    }
    struct weir_partition_status status = status_of(partition);
    CHECK_INT(status.open_sessions, 0);
    CHECK_INT(status.watermark_ms, START_MS + DAY_MS);
    printf("a day without an event: %.1f MiB more\n", resident_mib() - before);
    CHECK(SANITIZED || resident_mib() - before < 64);
    take(partition, 1, START_MS + DAY_MS + 10000, WEIR_PAGE_VIEW, 0);
    CHECK_INT(status_of(partition).open_sessions, 1);
    weir_partition_free(partition);
}

/* ---- a state is moved as through Redis: by its keys ---- */

struct kept {
    char key[40];
    char *bytes;
    size_t len;
};
#define KEPT_MAX 1024
static struct kept kept[KEPT_MAX];
static size_t kept_len;
static char meta[4096];
static size_t meta_len;

static struct kept *kept_at(const char *key) {
    for (size_t i = 0; i < kept_len; i++)
        if (strcmp(kept[i].key, key) == 0)
            return &kept[i];
    return NULL;
}

static void keep(struct weir_partition *partition) {
    struct weir_changes changes;
    struct weir_err err;
    CHECK_INT(weir_partition_export(partition, &changes, &err), 0);
    for (size_t i = 0; i < changes.len; i++) {
        struct kept *to = kept_at(changes.items[i].key);
        if (!to && kept_len < KEPT_MAX) {
            to = &kept[kept_len++];
            strcpy(to->key, changes.items[i].key);
        }
        if (!to)
            continue;
        free(to->bytes);
        to->len = changes.items[i].len;
        to->bytes = malloc(to->len + 1);
        memcpy(to->bytes, changes.bytes + changes.items[i].at, to->len);
    }
    meta_len = changes.meta_len;
    memcpy(meta, changes.meta, meta_len);
    weir_partition_committed(partition);
}

static void state_comes_back(uint32_t sessions, uint32_t commits, double limit_ms) {
    const struct weir_plan how = plan(2 * sessions);
    struct weir_partition *partition = weir_partition_new(&how);
    kept_len = 0;
    for (uint32_t i = 0; i < sessions; i++) {
        take(partition, i, START_MS + i / 10, i % 2 ? WEIR_ADD_TO_CART : WEIR_PAGE_VIEW, 0);
        if (commits > 0 && i % (sessions / commits) == 0)
            keep(partition);
    }
    weir_partition_tick(partition, START_MS + how.gap_ms + sessions / 20); /* half have ended */
    keep(partition);
    struct weir_partition_status was = status_of(partition);
    weir_partition_free(partition);

    struct weir_err err;
    char(*keys)[40];
    size_t keys_len;
    partition = weir_partition_new(&how);
    double begun = now_ms();
    CHECK_INT(weir_partition_import_meta(partition, meta, meta_len, &err), 0);
    CHECK_INT(weir_partition_import_wants(partition, NULL, 0, &keys, &keys_len, &err), 0);
    for (size_t i = 0; i < keys_len; i++) {
        const struct kept *from = kept_at(keys[i]);
        if (from && weir_partition_import(partition, keys[i], from->bytes, from->len, &err) != 0)
            CHECK_TEXT(err.text, "");
    }
    CHECK_INT(weir_partition_import_done(partition, &err), 0);
    double took = now_ms() - begun;
    printf("%u open sessions and carts are back in %.0f ms\n", was.open_sessions, took);
    CHECK_INT(status_of(partition).open_sessions, was.open_sessions);
    CHECK(SANITIZED || took < limit_ms);
    weir_partition_free(partition);
    for (size_t i = 0; i < kept_len; i++)
        free(kept[i].bytes);
    memset(kept, 0, sizeof kept);
}

int main(void) {
    static const int views[] = {WEIR_PAGE_VIEW}, carts[] = {WEIR_ADD_TO_CART, WEIR_PURCHASE};
    const char *word = getenv("WEIR_LONG");
    bool whole = word && strcmp(word, "1") == 0;
    bytes_a_session(1000000);
    flood("a page view", whole ? 10000000 : 1000000, 50000, views, 1, 24);
    flood("a cart or an order", whole ? 10000000 : 1000000, 50000, carts, 2, 40);
    flood_of_segments();
    full_stream(1, 600000, SANITIZED ? 20 : 60);
    full_stream(3, 600000, SANITIZED ? 12 : 40);
    full_stream(1, 3600000, SANITIZED ? 12 : 90);
    day_without_an_event(200000);
    state_comes_back(whole ? 2000000 : 400000, 8, 1500);
    state_comes_back(whole ? 2000000 : 400000, 0, 1500);
    return check_done("memory");
}
