/* Where a copy begins, and what it goes into. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/rekey.h"
#include "weir/clock.h"
#include "weir/log.h"

#define LOOK_US 10000000
#define REPLICATION_OF_BROKER (-1)

static const char *topic_of(const struct weir_rekey *rekey, int32_t topic) {
    return rekey->config->kafka.topics[topic];
}

static int32_t known_partitions(const struct weir_rekey *rekey, int32_t topic) {
    int32_t known = 0;
    for (size_t i = 0; i < rekey->sources_len; i++)
        known += rekey->sources[i].topic == topic;
    return known;
}

/* The partitions of a topic that are not known yet; gives how many it has. */
static int add_partitions(struct weir_rekey *rekey, int32_t topic, struct weir_err *err) {
    int partitions = weir_consumer_partitions(rekey->consumer, topic, err);
    if (partitions <= 0)
        return -err->code;
    size_t len = rekey->sources_len + (size_t)partitions;
    rekey->sources = realloc(rekey->sources, len * sizeof *rekey->sources);
    WEIR_ASSERT(rekey->sources != NULL);
    for (int32_t number = known_partitions(rekey, topic); number < partitions; number++)
        rekey->sources[rekey->sources_len++] = (struct weir_rekey_source){.topic = topic,
                                                                          .number = number,
                                                                          .committed = -1,
                                                                          .time_ms = INT64_MIN,
                                                                          .end = INT64_MAX};
    return partitions;
}

/* Where the target is still to be made, it gets as many partitions as the largest source has. */
int weir_rekey_find_target(struct weir_rekey *rekey, struct weir_err *err) {
    int largest = 0;
    for (size_t t = 0; t < rekey->config->kafka.topics_len; t++) {
        int partitions = add_partitions(rekey, (int32_t)t, err);
        if (partitions < 0)
            return partitions;
        largest = partitions > largest ? partitions : largest;
    }
    rekey->target_partitions = weir_consumer_partitions_of(rekey->consumer, rekey->to, err);
    if (rekey->target_partitions != 0)
        return rekey->target_partitions < 0 ? rekey->target_partitions : 0;
    rekey->target_made = true;
    rekey->target_partitions = largest;
    return weir_kafka_create_topic(&rekey->config->kafka, rekey->to, largest, REPLICATION_OF_BROKER,
                                   err);
}

/* Records that are there without this copy's having begun are somebody else's. */
static int check_empty(struct weir_rekey *rekey, struct weir_err *err) {
    for (int32_t number = 0; number < rekey->target_partitions; number++) {
        int64_t low = 0, high = 0;
        int status = weir_consumer_range_of(rekey->consumer, rekey->to, number, &low, &high, err);
        if (status != 0)
            return status;
        if (high > low)
            return weir_err_set(err, WEIR_ERR_REFUSED,
                                "topic %s holds records already, and the group %s knows of no copy "
                                "into it: copying might write records that are there a second "
                                "time; name an empty topic, or add --append if that is meant",
                                rekey->to, rekey->name);
    }
    return 0;
}

/* As kafka.start says. */
static int64_t first_offset(struct weir_rekey *rekey, const struct weir_rekey_source *source,
                            int64_t low, int64_t high, struct weir_err *err) {
    if (rekey->config->start == WEIR_START_LATEST)
        return high;
    if (rekey->config->start == WEIR_START_TIME)
        return weir_consumer_offset_at(rekey->consumer, source->topic, source->number,
                                       rekey->config->start_time_ms, err);
    return low;
}

static int begin_at(struct weir_rekey *rekey, struct weir_rekey_source *source, bool known,
                    struct weir_err *err) {
    int64_t low = 0, high = 0, begin = source->committed;
    int status =
        weir_consumer_range(rekey->consumer, source->topic, source->number, &low, &high, err);
    if (status != 0)
        return status;
    if (begin < 0) /* a partition that came later is copied from its first record on */
        begin = known ? low : first_offset(rekey, source, low, high, err);
    if (begin < 0)
        return (int)begin;
    if (begin < low || begin > high)
        return weir_err_set(err, WEIR_ERR_REFUSED,
                            "partition %d of %s was copied up to offset %lld, but Kafka holds %lld "
                            "to %lld: records were deleted by retention or the topic was made "
                            "again; copy what is there into another topic",
                            source->number, topic_of(rekey, source->topic), (long long)begin,
                            (long long)low, (long long)high);
    source->begun = source->taken = source->committed = begin;
    if (rekey->once)
        source->end = high;
    return 0;
}

int weir_rekey_find_sources(struct weir_rekey *rekey, bool append, struct weir_err *err) {
    bool known = false;
    int status = 0;
    for (size_t i = 0; i < rekey->sources_len; i++) {
        struct weir_rekey_source *source = &rekey->sources[i];
        source->committed =
            weir_consumer_committed(rekey->consumer, source->topic, source->number, err);
        if (source->committed < -1)
            return (int)source->committed;
        known |= source->committed >= 0;
    }
    if (!known && !append && !rekey->target_made)
        status = check_empty(rekey, err);
    for (size_t i = 0; i < rekey->sources_len && status == 0; i++)
        status = begin_at(rekey, &rekey->sources[i], known, err);
    return status;
}

int weir_rekey_find_new(struct weir_rekey *rekey, struct weir_err *err) {
    int64_t now_us = weir_clock_monotonic_us();
    size_t before = rekey->sources_len;
    struct weir_err later;
    if (rekey->looked_us == 0)
        rekey->looked_us = now_us;
    if (now_us - rekey->looked_us < LOOK_US || !weir_consumer_reachable(rekey->consumer))
        return 0;
    rekey->looked_us = now_us;
    for (size_t t = 0; t < rekey->config->kafka.topics_len; t++)
        add_partitions(rekey, (int32_t)t, &later); /* no answer: at the next look */
    for (size_t i = before; i < rekey->sources_len; i++) {
        int status = begin_at(rekey, &rekey->sources[i], true, err);
        if (status == -WEIR_ERR_REFUSED)
            return status;
        if (status != 0) { /* not every broker knows it yet: at the next look */
            rekey->sources_len = i;
            break;
        }
        weir_log(WEIR_LOG_INFO, "rekey", "a partition was added",
                 WEIR_STR("topic", topic_of(rekey, rekey->sources[i].topic)),
                 WEIR_INT("partition", rekey->sources[i].number), WEIR_LOG_END);
    }
    return rekey->sources_len > before ? weir_rekey_read_on(rekey, err) : 0;
}
