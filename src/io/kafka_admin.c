#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "io/kafka_internal.h"

#define ADMIN_TIMEOUT_MS 20000
#define SETTLE_TIMEOUT_MS 10000 /* until the brokers know the new topic */

static int result_of(rd_kafka_event_t *event, const char *topic, struct weir_err *err) {
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    const char *words = rd_kafka_event_error_string(event);
    size_t len = 0;
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        result ? rd_kafka_CreateTopics_result_topics(result, &len) : NULL;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && len == 1) {
        code = rd_kafka_topic_result_error(topics[0]);
        words = rd_kafka_topic_result_error_string(topics[0]);
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return 0;
    bool silent = code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT;
    return weir_err_set(err, silent ? WEIR_ERR_UNREACHABLE : WEIR_ERR_INPUT,
                        "cannot make the Kafka topic %s: %s", topic,
                        words ? words : rd_kafka_err2str(code));
}

int weir_kafka_create_topic(const struct weir_kafka_options *options, const char *topic,
                            int partitions, int replication, struct weir_err *err) {
    char words[512];
    rd_kafka_conf_t *conf = weir_kafka_conf_new(options, WEIR_KAFKA_PRODUCER, err);
    rd_kafka_t *rk = conf ? weir_kafka_handle_new(conf, WEIR_KAFKA_PRODUCER, err) : NULL;
    if (!rk)
        return -err->code;
    int code = 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *made =
        rd_kafka_NewTopic_new(topic, partitions, replication, words, sizeof words);
    if (!made) {
        code =
            weir_err_set(err, WEIR_ERR_INPUT, "cannot make the Kafka topic %s: %s", topic, words);
        goto done;
    }
    rd_kafka_AdminOptions_set_request_timeout(admin, ADMIN_TIMEOUT_MS, words, sizeof words);
    rd_kafka_AdminOptions_set_operation_timeout(admin, SETTLE_TIMEOUT_MS, words, sizeof words);
    rd_kafka_CreateTopics(rk, &made, 1, admin, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS + 5000);
    if (event)
        code = result_of(event, topic, err);
    else
        code =
            weir_err_set(err, WEIR_ERR_UNREACHABLE,
                         "cannot make the Kafka topic %s: no answer; check kafka.brokers", topic);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(made);
done:
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return code;
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
