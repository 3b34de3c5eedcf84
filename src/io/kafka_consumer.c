#include <stdlib.h>
#include <string.h>

#include "io/kafka_internal.h"
#include "weir/log.h"

#define BATCH_MAX 1000000

struct weir_batch {
    struct weir_consumer *consumer;
    struct weir_batch *next; /* in the pool */
    rd_kafka_message_t **messages;
    size_t len, cap;
};

static int check_options(const struct weir_kafka_options *options, struct weir_err *err) {
    if (!options->brokers || !options->brokers[0])
        return weir_err_set(err, WEIR_ERR_INPUT, "kafka.brokers is empty: give host:port");
    if (!options->group || !options->group[0])
        return weir_err_set(err, WEIR_ERR_INPUT, "kafka.group is empty: give the group a name");
    if (options->topics_len == 0)
        return weir_err_set(err, WEIR_ERR_INPUT, "kafka.topics is empty: give at least one");
    for (size_t i = 0; i < options->topics_len; i++) {
        if (!options->topics[i][0] || options->topics[i][0] == '^')
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "kafka.topics: \"%s\" is not the name of a topic (patterns are "
                                "not taken: list the topics)",
                                options->topics[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(options->topics[i], options->topics[j]) == 0)
                return weir_err_set(err, WEIR_ERR_INPUT, "kafka.topics lists %s twice",
                                    options->topics[i]);
    }
    return 0;
}

static int subscribe(struct weir_consumer *consumer, struct weir_err *err) {
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)consumer->topics_len);
    for (size_t i = 0; i < consumer->topics_len; i++)
        rd_kafka_topic_partition_list_add(list, consumer->topics[i].name, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT, "cannot subscribe to kafka.topics: %s",
                        rd_kafka_err2str(code));
}

static void free_memory(struct weir_consumer *consumer) {
    for (size_t i = 0; consumer->topics && i < consumer->topics_len; i++) {
        free(consumer->topics[i].name);
        free(consumer->topics[i].slots);
    }
    while (consumer->pool) {
        struct weir_batch *batch = consumer->pool;
        consumer->pool = batch->next;
        free(batch->messages);
        free(batch);
    }
    free(consumer->topics);
    free(consumer);
}

static struct weir_consumer *shell_new(const struct weir_kafka_options *options,
                                       struct weir_rebalance rebalance) {
    struct weir_consumer *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->rebalance = rebalance;
    self->topics_len = options->topics_len;
    self->topics = calloc(options->topics_len, sizeof *self->topics);
    atomic_store(&self->reachable, true);
    for (size_t i = 0; self->topics && i < options->topics_len; i++) {
        self->topics[i].name = strdup(options->topics[i]);
        if (!self->topics[i].name) {
            free_memory(self);
            return NULL;
        }
    }
    return self;
}

/* NULL with `err` set. */
static struct weir_consumer *make(const struct weir_kafka_options *options,
                                  struct weir_rebalance rebalance, struct weir_err *err) {
    int code = check_options(options, err);
    rd_kafka_conf_t *conf =
        code == 0 ? weir_kafka_conf_new(options, WEIR_KAFKA_CONSUMER, err) : NULL;
    if (!conf)
        return NULL;
    struct weir_consumer *self = shell_new(options, rebalance);
    WEIR_ASSERT(self && self->topics);
    rd_kafka_conf_set_opaque(conf, self);
    rd_kafka_conf_set_rebalance_cb(conf, weir_consumer_rebalanced);
    rd_kafka_conf_set_error_cb(conf, weir_consumer_on_error);
    rd_kafka_conf_set_offset_commit_cb(conf, weir_consumer_on_commit);
    self->rk = weir_kafka_handle_new(conf, WEIR_KAFKA_CONSUMER, err);
    if (!self->rk) {
        free_memory(self);
        return NULL;
    }
    /* All callbacks come from the one queue that poll serves: nothing else may be polled, as any
     * poll resets max.poll.interval (librdkafka issue 4176). */
    rd_kafka_poll_set_consumer(self->rk);
    self->queue = rd_kafka_queue_get_consumer(self->rk);
    return self;
}

int weir_consumer_new(struct weir_consumer **consumer, const struct weir_kafka_options *options,
                      struct weir_rebalance rebalance, struct weir_err *err) {
    struct weir_consumer *self = make(options, rebalance, err);
    if (!self)
        return -err->code;
    int code = subscribe(self, err);
    if (code != 0) {
        weir_consumer_free(self);
        return code;
    }
    *consumer = self;
    return 0;
}

int weir_consumer_new_alone(struct weir_consumer **consumer,
                            const struct weir_kafka_options *options, struct weir_err *err) {
    *consumer = make(options, (struct weir_rebalance){0}, err);
    if (!*consumer)
        return -err->code;
    (*consumer)->alone = true;
    return 0;
}

void weir_consumer_free(struct weir_consumer *consumer) {
    if (!consumer)
        return;
    WEIR_ASSERT(consumer->batches_out == 0);
    weir_consumer_settle(consumer);
    weir_ends_free(consumer->ends);
    consumer->closing = true;
    rd_kafka_consumer_close(consumer->rk); /* calls `revoked` */
    rd_kafka_queue_destroy(consumer->queue);
    if (consumer->gone) /* librdkafka 2.0.2 would wait for good for what belonged to it */
        return;         /* and the process is about to end */
    rd_kafka_destroy(consumer->rk);
    free_memory(consumer);
}

static struct weir_batch *batch_taken(struct weir_consumer *consumer, size_t max) {
    struct weir_batch *batch = consumer->pool;
    if (batch)
        consumer->pool = batch->next;
    else
        batch = calloc(1, sizeof *batch);
    WEIR_ASSERT(batch != NULL);
    if (batch->cap < max) {
        free(batch->messages);
        batch->messages = calloc(max, sizeof(rd_kafka_message_t *));
        WEIR_ASSERT(batch->messages != NULL);
        batch->cap = max;
    }
    batch->consumer = consumer;
    batch->len = 0;
    consumer->batches_out++;
    return batch;
}

void weir_batch_free(struct weir_batch *batch) {
    if (!batch)
        return;
    struct weir_consumer *consumer = batch->consumer;
    for (size_t i = 0; i < batch->len; i++)
        rd_kafka_message_destroy(batch->messages[i]);
    batch->next = consumer->pool;
    consumer->pool = batch;
    consumer->batches_out--;
}

int64_t weir_kafka_timestamp_ms(const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t kind;
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, &kind);
    return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp_ms;
}

/* Fills a record; false when it is not to be handed out (paused, given up, or before the offset
 * that was asked for). */
static bool take_record(struct weir_consumer *consumer, const rd_kafka_message_t *message,
                        int32_t topic, struct weir_record *record) {
    struct weir_slot *slot = weir_consumer_slot(consumer, topic, message->partition);
    if (!slot || !slot->assigned || consumer->paused || consumer->again || slot->next < 0)
        return false;
    slot->looking = false;
    if (message->offset < slot->next) {
        weir_consumer_recognize(consumer, slot, message);
        return false;
    }
    slot->next = message->offset + 1;
    slot->at_end = false;
    *record = (struct weir_record){
        .value = message->payload,
        .len = message->len,
        .key = message->key,
        .key_len = message->key_len,
        .offset = message->offset,
        .timestamp_ms = weir_kafka_timestamp_ms(message),
        .partition = message->partition,
        .topic = topic,
        .message = message,
    };
    return true;
}

static size_t unpack(struct weir_consumer *consumer, const struct weir_batch *batch,
                     struct weir_record *records) {
    const rd_kafka_topic_t *last = NULL;
    int32_t topic = -1;
    size_t count = 0;
    for (size_t i = 0; i < batch->len; i++) {
        const rd_kafka_message_t *message = batch->messages[i];
        if (message->err) {
            weir_consumer_on_bad_message(consumer, message);
            continue;
        }
        if (message->rkt != last) { /* a topic's handle stays the same within a batch */
            last = message->rkt;
            topic = weir_consumer_topic_index(consumer, rd_kafka_topic_name(last));
        }
        if (topic >= 0 && take_record(consumer, message, topic, &records[count]))
            count++;
    }
    weir_consumer_keep_marks(consumer, records, count);
    /* Records prove nothing of the brokers: they may have been fetched before an outage, which is
     * reported only once. look_after asks. */
    return count;
}

/* Stays until the next assignment: a partition that stands still must not be forgotten. */
static int give_fatal(const struct weir_consumer *consumer, struct weir_err *err) {
    *err = consumer->fatal;
    return -err->code;
}

int weir_consumer_poll(struct weir_consumer *consumer, int timeout_ms, size_t max,
                       struct weir_record *records, struct weir_batch **batch,
                       struct weir_err *err) {
    struct weir_err why;
    WEIR_ASSERT(max > 0 && max <= BATCH_MAX && timeout_ms >= 0);
    *batch = NULL;
    weir_consumer_settle(consumer);
    weir_consumer_look_after(consumer);
    if (consumer->fatal.code != 0)
        return give_fatal(consumer, err);
    weir_consumer_wake(consumer);
    struct weir_batch *taken = batch_taken(consumer, max);
    ssize_t got = rd_kafka_consume_batch_queue(consumer->queue, timeout_ms, taken->messages, max);
    taken->len = got > 0 ? (size_t)got : 0;
    size_t count = unpack(consumer, taken, records);
    if (consumer->again && consumer->fatal.code == 0 &&
        weir_consumer_assign_again(consumer, &why) != 0)
        consumer->fatal = why;
    if (count == 0) {
        weir_batch_free(taken);
        return consumer->fatal.code != 0 ? give_fatal(consumer, err) : 0;
    }
    *batch = taken;
    return (int)count;
}

bool weir_consumer_fenced(const struct weir_consumer *consumer) {
    return consumer->fenced;
}

bool weir_consumer_reachable(const struct weir_consumer *consumer) {
    return atomic_load(&consumer->reachable);
}

uint64_t weir_consumer_errors(const struct weir_consumer *consumer) {
    return atomic_load(&consumer->errors);
}
