/* What goes wrong between a browser and a topic: records that come late, out of order, twice or
 * damaged. Held in a heap by the time at which they are to come; the good stream is not touched. */
#include "core/traffic_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/traffic_random.h"

#define MALFORMED_KINDS 8
#define MALFORMED_MAX 256

static const char *const fault_names[WEIR_TRAFFIC_FAULTS] = {"late", "delayed", "disorder",
                                                             "duplicates", "malformed"};

const char *weir_traffic_fault_name(enum weir_traffic_fault fault) {
    return fault < WEIR_TRAFFIC_FAULTS ? fault_names[fault] : NULL;
}

static bool is_before(const struct weir_traffic_held *a, const struct weir_traffic_held *b) {
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static int grow(struct weir_traffic_faults *faults, struct weir_err *err) {
    size_t cap = faults->cap ? faults->cap * 2 : 256;
    struct weir_traffic_held *heap = NULL;
    if (cap <= WEIR_TRAFFIC_HELD_MAX)
        heap = realloc(faults->heap, cap * sizeof *heap);
    if (!heap)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "no room to hold back more than %zu records: lower the rate or the "
                            "shares of --faults",
                            faults->cap);
    faults->heap = heap;
    faults->cap = cap;
    return 0;
}

static int hold(struct weir_traffic *traffic, int64_t at_ms, int64_t time_ms, const char *line,
                size_t len, struct weir_err *err) {
    struct weir_traffic_faults *faults = &traffic->faults;
    int failed = faults->len == faults->cap ? grow(faults, err) : 0;
    if (failed)
        return failed;
    char *copy = malloc(WEIR_TRAFFIC_KEY_LEN + len);
    if (!copy)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory to hold back a record of %zu bytes",
                            len);
    memcpy(copy, traffic->key, WEIR_TRAFFIC_KEY_LEN);
    memcpy(copy + WEIR_TRAFFIC_KEY_LEN, line, len);
    struct weir_traffic_held held = {
        .at_ms = at_ms, .time_ms = time_ms, .order = faults->order++, .line = copy, .len = len};
    size_t at = faults->len++;
    while (at > 0 && is_before(&held, &faults->heap[(at - 1) / 2])) {
        faults->heap[at] = faults->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    faults->heap[at] = held;
    return 0;
}

bool weir_traffic_faults_due(const struct weir_traffic *traffic, int64_t before_ms) {
    return traffic->faults.len > 0 && traffic->faults.heap[0].at_ms <= before_ms;
}

void weir_traffic_faults_take(struct weir_traffic *traffic, struct weir_traffic_record *record) {
    struct weir_traffic_faults *faults = &traffic->faults;
    WEIR_ASSERT(faults->len > 0);
    struct weir_traffic_held first = faults->heap[0];
    struct weir_traffic_held moved = faults->heap[--faults->len];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= faults->len)
            break;
        if (child + 1 < faults->len && is_before(&faults->heap[child + 1], &faults->heap[child]))
            child++;
        if (!is_before(&faults->heap[child], &moved))
            break;
        faults->heap[at] = faults->heap[child];
        at = child;
    }
    faults->heap[at] = moved;
    free(faults->given);
    faults->given = first.line;
    *record = (struct weir_traffic_record){.time_ms = first.time_ms,
                                           .at_ms = first.at_ms,
                                           .key = first.line,
                                           .line = first.line + WEIR_TRAFFIC_KEY_LEN,
                                           .len = first.len};
}

void weir_traffic_faults_close(struct weir_traffic *traffic) {
    struct weir_traffic_faults *faults = &traffic->faults;
    for (size_t i = 0; i < faults->len; i++)
        free(faults->heap[i].line);
    free(faults->heap);
    free(faults->given);
    *faults = (struct weir_traffic_faults){.any = false};
}

/* A bad record of the given kind; returns the reason by which it is to be counted. */
static enum weir_reason write_malformed(const struct weir_traffic *traffic, unsigned kind,
                                        int64_t time_ms, char *text, size_t *len) {
    const char *key = traffic->key;
    char time[32];
    weir_traffic_time_text(time_ms, time);
    int got = 0;
    enum weir_reason reason = WEIR_BAD_JSON;
    switch (kind) {
    case 0: /* cut off on its way */
        *len = 150;
        memcpy(text, traffic->line, *len);
        text[(*len)++] = '\n';
        return WEIR_BAD_JSON;
    case 1:
        got = snprintf(text, MALFORMED_MAX, "%s ERROR upstream timed out, session=%.36s\n", time,
                       key);
        break;
    case 2: /* not UTF-8 */
        got = snprintf(text, MALFORMED_MAX,
                       "{\"type\":\"page_view\",\"time\":\"%s\",\"session\":\"%.8s\xff\xfe\"}\n",
                       time, key);
        break;
    case 3:
        reason = WEIR_NO_TYPE;
        got = snprintf(text, MALFORMED_MAX, "{\"time\":\"%s\",\"session\":\"%.36s\"}\n", time, key);
        break;
    case 4:
        reason = WEIR_NO_TIME;
        got =
            snprintf(text, MALFORMED_MAX, "{\"type\":\"page_view\",\"session\":\"%.36s\"}\n", key);
        break;
    case 5:
        reason = WEIR_BAD_TIME;
        got = snprintf(text, MALFORMED_MAX,
                       "{\"type\":\"page_view\",\"time\":\"yesterday\",\"session\":\"%.36s\"}\n",
                       key);
        break;
    case 6:
        reason = WEIR_NO_SESSION;
        got = snprintf(text, MALFORMED_MAX, "{\"type\":\"page_view\",\"time\":\"%s\"}\n", time);
        break;
    default:
        reason = WEIR_BAD_VALUE;
        got = snprintf(text, MALFORMED_MAX,
                       "{\"type\":\"purchase\",\"time\":\"%s\",\"session\":\"%.36s\","
                       "\"order_id\":\"o-bad\",\"value\":-1.00}\n",
                       time, key);
        break;
    }
    WEIR_ASSERT(got > 0 && got < MALFORMED_MAX);
    *len = (size_t)got;
    return reason;
}

static int64_t between_ms(struct weir_traffic_faults *faults, int64_t low_ms, int64_t high_ms) {
    return low_ms + (int64_t)((double)(high_ms - low_ms) * weir_traffic_random(&faults->random));
}

static int add_records(struct weir_traffic *traffic, int64_t time_ms, struct weir_err *err) {
    struct weir_traffic_faults *faults = &traffic->faults;
    const double *shares = traffic->options.faults;
    uint64_t *counts = traffic->totals.faults;
    int failed = 0;
    if (weir_traffic_random(&faults->random) < shares[WEIR_TRAFFIC_DUPLICATES]) {
        failed = hold(traffic, time_ms + between_ms(faults, 0, 30000), time_ms, traffic->line,
                      traffic->line_len, err);
        counts[WEIR_TRAFFIC_DUPLICATES]++;
    }
    if (!failed && weir_traffic_random(&faults->random) < shares[WEIR_TRAFFIC_MALFORMED]) {
        char text[MALFORMED_MAX];
        size_t len = 0;
        unsigned kind = (unsigned)(counts[WEIR_TRAFFIC_MALFORMED]++ % MALFORMED_KINDS);
        enum weir_reason reason = write_malformed(traffic, kind, time_ms, text, &len);
        traffic->totals.malformed[reason]++;
        failed = hold(traffic, time_ms + 1, time_ms, text, len, err);
    }
    return failed;
}

int weir_traffic_faults_apply(struct weir_traffic *traffic, int64_t time_ms, struct weir_err *err) {
    static const struct {
        int64_t min_ms, max_ms;
    } delays[] = {[WEIR_TRAFFIC_LATE] = {660000, 900000},
                  [WEIR_TRAFFIC_DELAYED] = {10000, 540000},
                  [WEIR_TRAFFIC_DISORDER] = {1, 4000}};
    struct weir_traffic_faults *faults = &traffic->faults;
    int failed = add_records(traffic, time_ms, err);
    if (failed)
        return failed;
    double unit = weir_traffic_random(&faults->random);
    for (int fault = WEIR_TRAFFIC_LATE; fault <= WEIR_TRAFFIC_DISORDER; fault++) {
        unit -= traffic->options.faults[fault];
        if (unit >= 0)
            continue;
        traffic->totals.faults[fault]++;
        int64_t delay_ms = between_ms(faults, delays[fault].min_ms, delays[fault].max_ms);
        failed = hold(traffic, time_ms + delay_ms, time_ms, traffic->line, traffic->line_len, err);
        return failed ? failed : 0;
    }
    return 1;
}
