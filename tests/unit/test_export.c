/* What cannot be encoded is never given out, however often it is asked for. */
#include <string.h>

#include "check.h"
#include "core/partition_state.h"

#define START_MS 1767600000000LL
#define FEW 8 /* bytes that a buffer may have */

static const struct weir_plan plan = {.gap_ms = 1800000,
                                      .cap_ms = 86400000,
                                      .recovery_ms = 86400000,
                                      .sessions_max = 1000,
                                      .out_of_orderness_ms = 5000,
                                      .allowed_lateness_ms = 600000,
                                      .max_ahead_ms = 60000,
                                      .values_max = 1000,
                                      .bot_events_max = 10000,
                                      .windows_ms = {60000},
                                      .windows_len = 1};

static struct weir_partition *with_an_event(void) {
    struct weir_partition *partition = weir_partition_new(&plan);
    struct weir_event event = {.time_ms = START_MS,
                               .type = WEIR_PAGE_VIEW,
                               .quantity_micros = WEIR_MICROS,
                               .session = {"s", 1}};
    struct weir_key key;
    weir_partition_prepare(partition, &event, &key);
    CHECK_INT(weir_partition_apply(partition, &event, &key, -1), WEIR_OK);
    weir_partition_record(partition, 0, WEIR_OK);
    return partition;
}

static void check_refused(struct weir_partition *partition) {
    struct weir_changes changes;
    struct weir_err err;
    for (int i = 0; i < 2; i++) { /* the last commit of a worker asks again */
        CHECK_INT(weir_partition_export(partition, &changes, &err), -WEIR_ERR_REFUSED);
        CHECK(strstr(err.text, "a commit of more than 2 GiB") != NULL);
    }
    weir_partition_free(partition);
}

static void test_refused(void) {
    struct weir_partition *partition = with_an_event();
    partition->bytes.max = FEW;
    check_refused(partition);
    partition = with_an_event();
    partition->meta.max = FEW;
    check_refused(partition);
    partition = with_an_event();
    partition->ticks.max = FEW;
    weir_partition_tick(partition, START_MS + 60000);
    check_refused(partition);
}

static void test_given(void) {
    struct weir_partition *partition = with_an_event();
    struct weir_changes changes;
    struct weir_err err;
    weir_partition_tick(partition, START_MS + 60000);
    CHECK_INT(weir_partition_export(partition, &changes, &err), 0);
    CHECK(changes.len > 0 && changes.bytes_len > 0 && changes.ticks_len > 0);
    weir_partition_free(partition);
}

int main(void) {
    test_given();
    test_refused();
    return check_done("test_export");
}
