/*
 * model_driver: the real partition at the end of a pipe, for tests/model/run.py.
 *
 * It plays the worker and Redis: it applies what it reads, commits the partition's changes into a
 * key-value map of its own, and prints what the map holds. Fields are separated by tabs, "-" is
 * absent. One process takes many streams.
 *
 *   stream ID                    a new map; forgets the last
 *   plan FIELD...                see read_plan; makes the partition
 *   e FIELD...                   an event of the coming record, see read_event
 *   o OFFSET REASON              the record: applies its events
 *   t WATERMARK | f              tick | finish
 *   x                            commit, asking twice for the changes as a retry does
 *   r                            commit, then a new partition from the map
 *   c                            crash: a new partition from the map, then all since the commit
 *   p                            commit, then print: see print_point
 *   k                            print the ticks on record: "t OFFSET:WATERMARK"
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "weir/bucket.h"
#include "weir/partition.h"
#include "weir/overlap.h"

static const char *const counter_names[WEIR_C_CUSTOM] = {
    [WEIR_C_EVENTS] = "events",
    [WEIR_C_SESSION_MS] = "session_ms",
    [WEIR_C_PAGE_VIEWS] = "page_views",
    [WEIR_C_INTERACTIONS] = "interactions",
    [WEIR_C_SESSIONS] = "sessions",
    [WEIR_C_ENGAGED] = "engaged",
    [WEIR_C_ADD_TO_CART] = "add_to_cart",
    [WEIR_C_REMOVE_FROM_CART] = "remove_from_cart",
    [WEIR_C_CARTS_CREATED] = "carts_created",
    [WEIR_C_CARTS_EMPTIED] = "carts_emptied",
    [WEIR_C_CARTS_BOUGHT] = "carts_bought",
    [WEIR_C_CHECKOUTS] = "checkouts",
    [WEIR_C_CONVERTED] = "converted",
    [WEIR_C_ORDERS] = "orders",
    [WEIR_C_REVENUE] = "revenue",
    [WEIR_C_REFUNDS] = "refunds",
    [WEIR_C_REFUNDED] = "refunded",
    [WEIR_C_UNKNOWN] = "unknown",
    [WEIR_C_BOT_EVENTS] = "bot_events",
    [WEIR_C_BOT_SESSIONS] = "bot_sessions",
    [WEIR_C_S_SESSIONS] = "s_sessions",
    [WEIR_C_S_BOUNCED] = "s_bounced",
    [WEIR_C_S_CONVERTED] = "s_converted",
    [WEIR_C_S_CARTS] = "s_carts",
    [WEIR_C_S_ABANDONED] = "s_abandoned",
    [WEIR_C_S_RECOVERED] = "recovered",
    [WEIR_C_S_DURATION_MS] = "s_duration_ms",
    [WEIR_C_S_ORDERS] = "s_orders",
    [WEIR_C_S_REVENUE] = "s_revenue",
    [WEIR_C_EVICTED] = "evicted",
};

static int64_t number(const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        fail("not a number", text);
    return value;
}

static struct weir_str string(const char *text) {
    if (strcmp(text, "-") == 0)
        return (struct weir_str){NULL, 0};
    return (struct weir_str){text, (uint32_t)strlen(text)};
}

/* ---- commands ---- */

static enum weir_reason reason_of(const char *name) {
    for (int reason = 0; reason < WEIR_REASONS; reason++)
        if (strcmp(weir_reason_name((enum weir_reason)reason), name) == 0)
            return (enum weir_reason)reason;
    fail("unknown reason", name);
}

static void read_plan(struct driver *driver, char **field, int len) {
    struct weir_plan *plan = &driver->plan;
    if (len < 15)
        fail("plan", "too few fields");
    *plan = (struct weir_plan){
        .gap_ms = number(field[1]),
        .cap_ms = number(field[2]),
        .recovery_ms = number(field[3]),
        .bounce = (enum weir_bounce)number(field[4]),
        .cart = (enum weir_cart)number(field[5]),
        .sessions_max = (uint32_t)number(field[6]),
        .out_of_orderness_ms = number(field[7]),
        .allowed_lateness_ms = number(field[8]),
        .max_ahead_ms = number(field[9]),
        .dimensions_len = (uint32_t)number(field[10]),
        .values_max = (uint32_t)number(field[11]),
        .bot_events_max = (uint32_t)number(field[12]),
        .bot_user_agents = number(field[13]) != 0,
        .fingerprint = 1,
    };
    int windows = (int)number(field[14]);
    int at = 15;
    for (int i = 0; i < windows && at < len; i++)
        plan->windows_ms[plan->windows_len++] = number(field[at++]);
    while (at + 1 < len) { /* custom counters: type, what */
        struct weir_custom_counter *counter = &plan->custom_counters[plan->custom_counters_len++];
        counter->type = (int)number(field[at++]);
        int64_t what = number(field[at++]);
        counter->what = what == 0   ? WEIR_COUNT_EVENTS
                        : what == 1 ? WEIR_SUM_VALUE
                                    : WEIR_SUM_QUANTITY;
    }
    new_partition(driver);
}

static int64_t read_event(const struct driver *driver, const struct line *line,
                          struct weir_event *event) {
    if (line->fields_len != 12 + (int)driver->plan.dimensions_len)
        fail("event", line->text);
    char *const *field = line->fields;
    *event = (struct weir_event){
        .time_ms = number(field[1]),
        .type = (int)number(field[3]),
        .reason = reason_of(field[4]),
        .value_micros = number(field[5]),
        .quantity_micros = number(field[6]),
        .session = string(field[7]),
        .visitor = string(field[8]),
        .order_id = string(field[9]),
        .user_agent = string(field[10]),
        .event_id = string(field[11]),
    };
    for (uint32_t i = 0; i < driver->plan.dimensions_len; i++)
        event->dimensions[i] = string(field[12 + i]);
    return number(field[2]);
}

/* As the worker: all keys of a batch are asked for before the first event is applied. */
static void apply_record(struct driver *driver, struct line *record) {
    struct weir_event events[FIELDS_MAX];
    struct weir_key keys[FIELDS_MAX];
    int64_t kafka_ms[FIELDS_MAX];
    size_t len = 0;
    for (struct line *line = driver->log + driver->log_from; line < record; line++) {
        if (len == FIELDS_MAX)
            fail("record", "too many events");
        kafka_ms[len] = read_event(driver, line, &events[len]);
        weir_partition_prepare(driver->partition, &events[len], &keys[len]);
        len++;
    }
    for (size_t i = 0; i < len; i++) {
        enum weir_reason reason =
            weir_partition_apply(driver->partition, &events[i], &keys[i], kafka_ms[i]);
        if (!driver->replaying)
            driver->returned[reason]++;
    }
    weir_partition_record(driver->partition, number(record->fields[1]),
                          reason_of(record->fields[2]));
    driver->log_from = (size_t)(record - driver->log) + 1;
    if (!driver->replaying && weir_partition_is_full(driver->partition))
        commit(driver, false);
}

static void apply_logged(struct driver *driver, size_t at) {
    struct line *line = &driver->log[at];
    switch (line->fields[0][0]) {
    case 'o':
        apply_record(driver, line);
        return;
    case 't':
        weir_partition_tick(driver->partition, number(line->fields[1]));
        driver->log_from = at + 1;
        return;
    case 'f':
        weir_partition_finish(driver->partition);
        driver->log_from = at + 1;
        return;
    default: /* an event: waits for its record */
        return;
    }
}

static void crash(struct driver *driver) {
    load(driver);
    driver->replaying = true;
    driver->log_from = 0;
    for (size_t i = 0; i < driver->log_len; i++)
        apply_logged(driver, i);
    driver->replaying = false;
}

/* ---- printing ---- */

static void print_entry(uint32_t id, int64_t value) {
    if (id >= WEIR_BIN_FIRST)
        printf("\tbin%u=%" PRId64, id - WEIR_BIN_FIRST, value);
    else if (id >= WEIR_C_CUSTOM)
        printf("\tcustom%u=%" PRId64, id - WEIR_C_CUSTOM, value);
    else
        printf("\t%s=%" PRId64, counter_names[id], value);
}

static void print_bucket(const struct driver *driver, const struct entry *entry) {
    int level;
    int64_t index;
    if (sscanf(entry->key, "b:%d:%" SCNd64, &level, &index) != 2 || level < 0 ||
        level >= WEIR_LEVELS)
        fail("bucket key", entry->key);
    uint8_t hll[WEIR_HLL_REGISTERS] = {0};
    struct weir_bucket_reader reader;
    if (weir_bucket_read(&reader, entry->bytes, entry->len, hll) != 0)
        fail("damaged bucket", entry->key);
    int64_t start = index * weir_level_ms[level];
    printf("b\t%d\t%" PRId64 "\t%.3f\t%016" PRIx64 "\n", level, start, weir_hll_estimate(hll),
           hash_bytes(HASH_START, entry->bytes, entry->len));
    uint32_t segment;
    int more;
    while ((more = weir_bucket_segment(&reader, &segment)) > 0) {
        char name[SEGMENT_NAME_MAX];
        segment_name(driver, segment, name, sizeof name);
        printf("c\t%d\t%" PRId64 "\t%s", level, start, name);
        struct weir_entry item;
        while ((more = weir_bucket_entry(&reader, &item)) > 0)
            print_entry(item.id, item.value);
        printf("\n");
        if (more < 0)
            break;
    }
    if (more < 0)
        fail("damaged bucket", entry->key);
}

/* The sample of sessions as it is stored: its bytes, and how many are in it. */
static void print_sample(const struct driver *driver) {
    struct weir_overlap sample;
    weir_overlap_init(&sample);
    for (size_t i = 0; i < driver->map_len; i++) {
        const struct entry *entry = &driver->map[i];
        if (strcmp(entry->key, "k") != 0)
            continue;
        if (weir_overlap_read(&sample, entry->bytes, entry->len) != 0)
            fail("damaged sample", entry->key);
        printf("k\t%016" PRIx64 "\n", hash_bytes(HASH_START, entry->bytes, entry->len));
    }
    printf("s\tsample_hour=%" PRId64 "\tsample_now=%u\tsample_before=%u", sample.hour,
           sample.now.len, sample.before.len);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

/* b LEVEL START VISITORS HASH, c LEVEL START SEGMENT COUNTER=VALUE..., a SEGMENT COUNTER=VALUE...
 * (totals), k HASH (the sample), s NAME=VALUE... (status), end. */
static void print_point(struct driver *driver) {
    if (driver->map_len > 0)
        qsort(driver->map, driver->map_len, sizeof *driver->map, by_key);
    for (size_t i = 0; i < driver->map_len; i++)
        if (strncmp(driver->map[i].key, "b:", 2) == 0)
            print_bucket(driver, &driver->map[i]);
    struct totals sum = {0};
    totals_add(&sum, driver);
    for (size_t i = 0; i < driver->before.len; i++) {
        struct total *total = totals_of(&sum, driver->before.items[i].name);
        for (int counter = 0; counter < WEIR_COUNTERS; counter++)
            total->counters[counter] += driver->before.items[i].counters[counter];
    }
    for (size_t i = 0; i < sum.len; i++) {
        printf("a\t%s", sum.items[i].name);
        for (uint32_t counter = 0; counter < WEIR_COUNTERS; counter++)
            if (sum.items[i].counters[counter] != 0)
                print_entry(counter, sum.items[i].counters[counter]);
        printf("\n");
    }
    totals_clear(&sum);
    struct weir_partition_status status;
    weir_partition_status(driver->partition, &status);
    print_sample(driver);
    printf("\toffset=%" PRId64 "\tnewest=%" PRId64 "\twatermark=%" PRId64, status.offset,
           status.newest_ms, status.watermark_ms);
    printf("\trecords=%" PRIu64 "\tevents=%" PRIu64 "\tlate=%" PRIu64, status.records,
           status.events, status.late);
    printf("\tunknown_types=%" PRIu64 "\tbots=%" PRIu64 "\topen_sessions=%u", status.unknown_types,
           status.bots, status.open_sessions);
    for (int reason = 0; reason < WEIR_REASONS; reason++)
        printf("\trejected_%s=%" PRIu64 "\treturned_%s=%" PRIu64,
               weir_reason_name((enum weir_reason)reason), status.rejected[reason],
               weir_reason_name((enum weir_reason)reason), driver->returned[reason]);
    printf("\nend\n");
}

static void forget(struct driver *driver) {
    weir_partition_free(driver->partition);
    for (size_t i = 0; i < driver->map_len; i++)
        free(driver->map[i].bytes);
    free(driver->map);
    free(driver->meta);
    free(driver->ticks);
    log_clear(driver);
    free(driver->log);
    totals_clear(&driver->before);
    totals_clear(&driver->at_commit);
    *driver = (struct driver){0};
}

static struct line *keep_line(struct driver *driver, const char *text) {
    driver->log = grown(driver->log, driver->log_len, sizeof *driver->log);
    struct line *line = &driver->log[driver->log_len++];
    *line = (struct line){.text = strdup(text), .cut = strdup(text)};
    if (!line->text || !line->cut)
        fail("memory", "out");
    char *rest = line->cut, *field;
    while ((field = strsep(&rest, "\t")) != NULL && line->fields_len < FIELDS_MAX)
        line->fields[line->fields_len++] = field;
    return line;
}

static void drop_line(struct driver *driver) {
    struct line *line = &driver->log[--driver->log_len];
    free(line->text);
    free(line->cut);
}

static void obey(struct driver *driver, const char *text) {
    if (strchr("eotf", text[0]) && (text[1] == '\t' || text[1] == '\0')) {
        keep_line(driver, text);
        apply_logged(driver, driver->log_len - 1);
    } else if (strncmp(text, "stream", 6) == 0) {
        forget(driver);
        printf("%s\n", text);
    } else if (strncmp(text, "plan", 4) == 0) {
        struct line *line = keep_line(driver, text);
        read_plan(driver, line->fields, line->fields_len);
        drop_line(driver);
    } else if (strcmp(text, "c") == 0) {
        crash(driver);
    } else if (strcmp(text, "k") == 0) {
        for (size_t i = 0; i < driver->ticks_len; i++)
            printf("t\t%s\n", driver->ticks[i]);
    } else if (strcmp(text, "x") == 0 || strcmp(text, "r") == 0 || strcmp(text, "p") == 0) {
        commit(driver, text[0] == 'x');
        if (text[0] == 'r')
            load(driver);
        if (text[0] == 'p')
            print_point(driver);
    } else {
        fail("unknown command", text);
    }
}

int main(void) {
    struct driver driver = {0};
    char *text = NULL;
    size_t size = 0;
    ssize_t len;
    while ((len = getline(&text, &size, stdin)) > 0) {
        if (text[len - 1] == '\n')
            text[len - 1] = '\0';
        obey(&driver, text);
    }
    free(text);
    forget(&driver);
    return 0;
}
