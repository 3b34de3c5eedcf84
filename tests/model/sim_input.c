/* The records: few sessions and devices, so that all of them meet; some late, some broken. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define RECORDS_MIN 12
#define SESSIONS 9
#define DEVICES 5
#define STEP_MS 16000
#define LATE_MS 40000

static const char *const types[] = {"page_view", "page_view",        "page_view",
                                    "search",    "add_to_cart",      "add_to_cart",
                                    "purchase",  "remove_from_cart", "no_such_type"};

static void make_record(struct sim_record *record, int64_t time_ms) {
    const char *type = types[sim_below(sizeof types / sizeof types[0])];
    uint32_t session = sim_below(SESSIONS);
    int len;
    record->time_ms = time_ms;
    if (sim_chance(40)) {
        len = snprintf(record->bytes, sizeof record->bytes, "{\"type\":\"page_view\",");
    } else {
        len = snprintf(record->bytes, sizeof record->bytes,
                       "{\"type\":\"%s\",\"time\":%lld,\"session\":\"s%u\",\"visitor\":\"v%u\","
                       "\"device\":\"d%u\",\"value\":%u.%02u,\"order_id\":\"o%u\"}",
                       type, (long long)time_ms, session, session / 2, session % DEVICES,
                       sim_below(90), sim_below(100), sim_below(4));
    }
    record->len = (uint32_t)len;
}

void sim_input_make(void) {
    int64_t longest = 0;
    for (int p = 0; p < sim->partitions; p++) {
        struct sim_log *log = &sim->logs[p];
        int64_t time_ms = sim->base_ms + sim_below(5000);
        log->committed = -1;
        log->end = 0;
        log->len = RECORDS_MIN + sim_below(SIM_RECORDS_MAX / 2 - RECORDS_MIN);
        longest = log->len > longest ? log->len : longest;
        for (int64_t i = 0; i < log->len; i++) {
            time_ms += sim_below(sim_chance(100) ? STEP_MS * 6 : STEP_MS);
            int64_t behind_ms = sim_chance(150) ? sim_below(LATE_MS) : 0;
            make_record(&log->records[i], time_ms - behind_ms);
        }
    }
}

void sim_input_last(int64_t time_ms) {
    for (int p = 0; p < sim->partitions; p++) {
        struct sim_log *log = &sim->logs[p];
        WEIR_ASSERT(log->len < SIM_RECORDS_MAX);
        struct sim_record *record = &log->records[log->len++];
        record->time_ms = time_ms;
        record->len = (uint32_t)snprintf(
            record->bytes, sizeof record->bytes,
            "{\"type\":\"page_view\",\"time\":%lld,\"session\":\"last\",\"device\":\"d0\"}",
            (long long)time_ms);
        log->end = log->len;
    }
}
