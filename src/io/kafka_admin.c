#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "io/kafka_internal.h"

#define ADMIN_TIMEOUT_MS 20000
#define SETTLE_TIMEOUT_MS 10000 /* until the brokers know the new topic */

/* One request to the cluster's controller, and the queue that its answer comes to. */
struct admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
};

static void admin_close(struct admin *admin) {
    if (admin->options)
        rd_kafka_AdminOptions_destroy(admin->options);
    if (admin->queue)
        rd_kafka_queue_destroy(admin->queue);
    if (admin->rk)
        rd_kafka_destroy(admin->rk);
}

static int admin_open(struct admin *admin, const struct weir_kafka_options *options,
                      rd_kafka_admin_op_t operation, struct weir_err *err) {
    char words[512];
    *admin = (struct admin){0};
    rd_kafka_conf_t *conf = weir_kafka_conf_new(options, WEIR_KAFKA_PRODUCER, err);
    admin->rk = conf ? weir_kafka_handle_new(conf, WEIR_KAFKA_PRODUCER, err) : NULL;
    if (!admin->rk)
        return -err->code;
    admin->queue = rd_kafka_queue_new(admin->rk);
    admin->options = rd_kafka_AdminOptions_new(admin->rk, operation);
    rd_kafka_AdminOptions_set_request_timeout(admin->options, ADMIN_TIMEOUT_MS, words,
                                              sizeof words);
    rd_kafka_AdminOptions_set_operation_timeout(admin->options, SETTLE_TIMEOUT_MS, words,
                                                sizeof words);
    return 0;
}

/* Waits for the answer about the one topic that was asked for; `fine` is a success too. */
static int admin_answer(struct admin *admin, const char *what, const char *topic,
                        rd_kafka_resp_err_t fine, struct weir_err *err) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, ADMIN_TIMEOUT_MS + 5000);
    if (!event)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "cannot %s the Kafka topic %s: no answer; check the brokers' addresses",
                            what, topic);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *words = rd_kafka_event_error_string(event);
    size_t len = 0;
    const rd_kafka_topic_result_t **topics = NULL;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        topics =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &len);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
        topics =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &len);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && len == 1) {
        code = rd_kafka_topic_result_error(topics[0]);
        words = rd_kafka_topic_result_error_string(topics[0]);
    }
    int status = 0;
    bool silent = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != fine)
        status = weir_err_set(err, silent ? WEIR_ERR_UNREACHABLE : WEIR_ERR_INPUT,
                              "cannot %s the Kafka topic %s: %s%s", what, topic,
                              words ? words : rd_kafka_err2str(code),
                              silent ? "; check the brokers' addresses" : "");
    rd_kafka_event_destroy(event);
    return status;
}

int weir_kafka_create_topic(const struct weir_kafka_options *options, const char *topic,
                            int partitions, int replication, struct weir_err *err) {
    char words[512];
    struct admin admin;
    int status = admin_open(&admin, options, RD_KAFKA_ADMIN_OP_CREATETOPICS, err);
    if (status != 0)
        return status;
    rd_kafka_NewTopic_t *made =
        rd_kafka_NewTopic_new(topic, partitions, replication, words, sizeof words);
    if (made) {
        rd_kafka_CreateTopics(admin.rk, &made, 1, admin.options, admin.queue);
        status = admin_answer(&admin, "make", topic, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, err);
        rd_kafka_NewTopic_destroy(made);
    } else {
        status =
            weir_err_set(err, WEIR_ERR_INPUT, "cannot make the Kafka topic %s: %s", topic, words);
    }
    admin_close(&admin);
    return status;
}

int weir_kafka_delete_topic(const struct weir_kafka_options *options, const char *topic,
                            struct weir_err *err) {
    struct admin admin;
    int status = admin_open(&admin, options, RD_KAFKA_ADMIN_OP_DELETETOPICS, err);
    if (status != 0)
        return status;
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(admin.rk, &gone, 1, admin.options, admin.queue);
    status = admin_answer(&admin, "remove", topic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, err);
    rd_kafka_DeleteTopic_destroy(gone);
    admin_close(&admin);
    return status;
}

struct weir_mock_kafka {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
};

int weir_mock_kafka_new(struct weir_mock_kafka **mock, int brokers, struct weir_err *err) {
    struct weir_kafka_options none = {0};
    rd_kafka_conf_t *conf = weir_kafka_conf_new(&none, WEIR_KAFKA_PRODUCER, err);
    rd_kafka_t *rk = conf ? weir_kafka_handle_new(conf, WEIR_KAFKA_PRODUCER, err) : NULL;
    if (!rk)
        return -err->code;
    struct weir_mock_kafka *self = calloc(1, sizeof *self);
    WEIR_ASSERT(self != NULL);
    self->rk = rk;
    self->cluster = rd_kafka_mock_cluster_new(rk, brokers);
    if (!self->cluster) {
        weir_mock_kafka_free(self);
        return weir_err_set(err, WEIR_ERR_INPUT, "cannot start a mock Kafka of %d brokers",
                            brokers);
    }
    *mock = self;
    return 0;
}

const char *weir_mock_kafka_brokers(const struct weir_mock_kafka *mock) {
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

int weir_mock_kafka_create_topic(struct weir_mock_kafka *mock, const char *topic, int partitions,
                                 struct weir_err *err) {
    rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    return weir_err_set(err, WEIR_ERR_INPUT, "cannot make the topic %s in the mock Kafka: %s",
                        topic, rd_kafka_err2str(code));
}

void weir_mock_kafka_free(struct weir_mock_kafka *mock) {
    if (!mock)
        return;
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
    free(mock);
}
