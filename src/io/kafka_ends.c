#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "io/kafka_internal.h"
#include "weir/clock.h"

#define ANSWER_MS 2000 /* while no broker answers; a stop may wait as long */

/* A question for the ends of some partitions, and the thread that asks it: the answer may wait
 * behind a fetch for as long as that waits for records, and the consumer must not. The list is the
 * thread's while `asked`, else the consumer's. */
struct weir_ends {
    rd_kafka_t *rk;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool stop, asked;
    int64_t asked_us;
    rd_kafka_topic_partition_list_t *list; /* NULL: neither question nor answer */
};

/* Of the kind that librdkafka gives for a time: the time is asked for in the offset's place. */
static void answer(struct weir_ends *ends) {
    rd_kafka_topic_partition_list_t *list = ends->list;
    pthread_mutex_unlock(&ends->lock);
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(ends->rk, list, ANSWER_MS);
    pthread_mutex_lock(&ends->lock);
    for (int i = 0; i < list->cnt && code != RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        list->elems[i].err = code;
    ends->asked = false;
}

static void *ask(void *context) {
    struct weir_ends *ends = context;
    pthread_setname_np(pthread_self(), "ends");
    pthread_mutex_lock(&ends->lock);
    while (!ends->stop) {
        if (ends->asked)
            answer(ends);
        else
            pthread_cond_wait(&ends->changed, &ends->lock);
    }
    pthread_mutex_unlock(&ends->lock);
    return NULL;
}

/* Without it, which takes a limit of threads, no end is ever known and no partition idle. */
static struct weir_ends *ends_new(rd_kafka_t *rk) {
    sigset_t all, before;
    struct weir_ends *ends = calloc(1, sizeof *ends);
    WEIR_ASSERT(ends != NULL);
    ends->rk = rk;
    pthread_mutex_init(&ends->lock, NULL);
    pthread_cond_init(&ends->changed, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* they are the main thread's */
    int failed = pthread_create(&ends->thread, NULL, ask, ends);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        return ends;
    free(ends);
    return NULL;
}

void weir_ends_free(struct weir_ends *ends) {
    if (!ends)
        return;
    pthread_mutex_lock(&ends->lock);
    ends->stop = true;
    pthread_cond_signal(&ends->changed);
    pthread_mutex_unlock(&ends->lock);
    pthread_join(ends->thread, NULL);
    if (ends->list)
        rd_kafka_topic_partition_list_destroy(ends->list);
    pthread_mutex_destroy(&ends->lock);
    pthread_cond_destroy(&ends->changed);
    free(ends);
}

static void take_answers(struct weir_consumer *consumer) {
    const rd_kafka_topic_partition_list_t *list = consumer->ends->list;
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        int32_t topic = weir_consumer_topic_index(consumer, one->topic);
        struct weir_slot *slot =
            topic >= 0 ? weir_consumer_slot(consumer, topic, one->partition) : NULL;
        if (!slot || one->err != RD_KAFKA_RESP_ERR_NO_ERROR || one->offset < 0)
            continue;
        slot->end = one->offset;
        slot->end_us = consumer->ends->asked_us;
    }
}

void weir_consumer_ask_ends(struct weir_consumer *consumer,
                            const struct weir_topic_partition *partitions, size_t len) {
    if (!consumer->ends && len > 0)
        consumer->ends = ends_new(consumer->rk);
    struct weir_ends *ends = consumer->ends;
    if (!ends)
        return;
    pthread_mutex_lock(&ends->lock);
    if (!ends->asked) {
        take_answers(consumer);
        if (ends->list)
            rd_kafka_topic_partition_list_destroy(ends->list);
        ends->list = len > 0 ? rd_kafka_topic_partition_list_new((int)len) : NULL;
        for (size_t i = 0; i < len; i++)
            rd_kafka_topic_partition_list_add(
                ends->list, consumer->topics[partitions[i].topic].name, partitions[i].partition)
                ->offset = RD_KAFKA_OFFSET_END;
        ends->asked = len > 0;
        ends->asked_us = weir_clock_monotonic_us();
        pthread_cond_signal(&ends->changed);
    }
    pthread_mutex_unlock(&ends->lock);
}

int64_t weir_consumer_ended_us(struct weir_consumer *consumer, int32_t topic, int32_t partition,
                               int64_t next) {
    const struct weir_slot *slot = weir_consumer_slot(consumer, topic, partition);
    return slot && slot->end_us > 0 && slot->end <= next ? slot->end_us : INT64_MIN;
}
