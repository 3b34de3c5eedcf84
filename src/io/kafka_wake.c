#include "io/kafka_internal.h"
#include "weir/clock.h"

#define SETTING_VERSION 0x020200ff /* knows fetch.queue.backoff.ms, and is given 5 ms */
#define WAKE_EVERY_US 20000
#define WAITING_MIN 1000 /* records: with fewer the queues cannot have been full */

/* Now and then while the queues may be full, and once when they have run dry. */
static bool is_due(struct weir_consumer *consumer) {
    int64_t now_us = weir_clock_monotonic_us();
    bool filled = consumer->filled;
    consumer->filled = rd_kafka_queue_length(consumer->queue) >= WAITING_MIN;
    if (consumer->filled ? now_us - consumer->woken_us < WAKE_EVERY_US : !filled)
        return false;
    consumer->woken_us = now_us;
    return true;
}

/* A librdkafka before 2.2 that found its queues full fetches nothing for up to a second, unless
 * something is to be sent to that broker. So while records wait here, the leaders are asked how
 * their partitions end, and nobody waits for the answer: three times the speed with a reader that
 * is slower than the fetcher, and thirty times where the queues are small. */
void weir_consumer_wake(struct weir_consumer *consumer) {
    if (rd_kafka_version() >= SETTING_VERSION || !is_due(consumer))
        return;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t t = 0; t < consumer->topics_len; t++)
        for (int32_t p = 0; p < consumer->topics[t].len; p++)
            if (consumer->topics[t].slots[p].assigned)
                rd_kafka_topic_partition_list_add(list, consumer->topics[t].name, p)->offset =
                    RD_KAFKA_OFFSET_END;
    rd_kafka_offsets_for_times(consumer->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}
