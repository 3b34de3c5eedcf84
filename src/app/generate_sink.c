#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/generate.h"
#include "weir/kafka.h"
#include "weir/log.h"
#include "weir/shown.h"

#define BUFFER_BYTES (1u << 20)
#define FLUSH_TIMEOUT_MS 30000
#define REPLICATION_OF_BROKER (-1)

struct weir_generate_sink {
    int fd; /* -1: Kafka */
    bool close_fd;
    const char *name; /* for messages; the job's */
    char *buffer;
    size_t len;
    struct weir_producer *producer;
    const char *topic;
};

static int open_file(struct weir_generate_sink *sink, const struct weir_generate_job *job,
                     struct weir_err *err) {
    sink->name = "standard output";
    sink->fd = STDOUT_FILENO;
    if (job->target == WEIR_TO_FILE) {
        sink->name = job->path;
        sink->fd = open(job->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (sink->fd < 0)
            return weir_err_set(err, WEIR_ERR_INPUT, "cannot write %s: %s",
                                weir_path_shown(job->path), strerror(errno));
        sink->close_fd = true;
    }
    sink->buffer = malloc(BUFFER_BYTES);
    if (!sink->buffer)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory for a buffer of 1 MiB");
    return 0;
}

/* A cluster that does not let us create topics may still have this one: then sending works. */
static int open_kafka(struct weir_generate_sink *sink, const struct weir_generate_job *job,
                      struct weir_err *err) {
    struct weir_kafka_options options = {.brokers = job->brokers, .client_id = "weir-generate"};
    sink->topic = job->topic;
    if (job->partitions == 0)
        return weir_producer_new(&sink->producer, &options, err);
    int failed =
        weir_kafka_create_topic(&options, job->topic, job->partitions, REPLICATION_OF_BROKER, err);
    if (failed == -WEIR_ERR_UNREACHABLE)
        return failed;
    if (failed)
        weir_log(WEIR_LOG_WARN, "generate", "did not make the topic; it may be there",
                 WEIR_STR("topic", job->topic), WEIR_STR("detail", err->text), WEIR_LOG_END);
    return weir_producer_new(&sink->producer, &options, err);
}

int weir_generate_sink_open(struct weir_generate_sink **out, const struct weir_generate_job *job,
                            struct weir_err *err) {
    struct weir_generate_sink *sink = calloc(1, sizeof *sink);
    if (!sink)
        return weir_err_set(err, WEIR_ERR_INPUT, "no memory for the output");
    sink->fd = -1;
    int failed =
        job->target == WEIR_TO_KAFKA ? open_kafka(sink, job, err) : open_file(sink, job, err);
    if (failed) {
        weir_generate_sink_free(sink);
        return failed;
    }
    *out = sink;
    return 0;
}

int weir_generate_sink_flush(struct weir_generate_sink *sink, struct weir_err *err) {
    size_t done = 0;
    while (done < sink->len) {
        ssize_t got = write(sink->fd, sink->buffer + done, sink->len - done);
        if (got >= 0)
            done += (size_t)got;
        else if (errno == EPIPE)
            return 1;
        else if (errno != EINTR)
            return weir_err_set(err, WEIR_ERR_INPUT, "cannot write %s: %s", sink->name,
                                strerror(errno));
    }
    sink->len = 0;
    return 0;
}

int weir_generate_sink_write(struct weir_generate_sink *sink,
                             const struct weir_traffic_record *record, struct weir_err *err) {
    if (sink->producer) /* without the line's end: a Kafka record needs none */
        return weir_producer_send(sink->producer, sink->topic, -1, record->key,
                                  WEIR_TRAFFIC_KEY_LEN, record->line, record->len - 1,
                                  record->at_ms, NULL, err);
    if (sink->len + record->len > BUFFER_BYTES) {
        int failed = weir_generate_sink_flush(sink, err);
        if (failed)
            return failed;
    }
    memcpy(sink->buffer + sink->len, record->line, record->len);
    sink->len += record->len;
    return 0;
}

int weir_generate_sink_finish(struct weir_generate_sink *sink, struct weir_err *err) {
    if (!sink->producer)
        return weir_generate_sink_flush(sink, err);
    int left = weir_producer_flush(sink->producer, FLUSH_TIMEOUT_MS);
    uint64_t lost = weir_producer_failed(sink->producer) + (uint64_t)(left > 0 ? left : 0);
    if (lost > 0)
        return weir_err_set(err, WEIR_ERR_UNREACHABLE,
                            "Kafka did not take %llu records of topic %s: see the warnings above, "
                            "then run it again",
                            (unsigned long long)lost, sink->topic);
    return 0;
}

void weir_generate_sink_free(struct weir_generate_sink *sink) {
    if (!sink)
        return;
    if (sink->close_fd && sink->fd >= 0)
        close(sink->fd);
    weir_producer_free(sink->producer);
    free(sink->buffer);
    free(sink);
}
