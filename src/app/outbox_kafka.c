#include "app/outbox_kafka.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/crash.h"
#include "weir/kafka.h"

#define TIMEOUT_MS 10000 /* a Kafka sink has none of its own */
#define ID_MAX 64
#define SEEN_MAX 10000 /* ids: more than Redis can lose and weir can tell in that time; of each */
                       /* partition, as any of them may hold the latest */
#define ID_HEADER "idempotency-key"

struct weir_topic_sink {
    const struct weir_kafka_options *options;
    const struct weir_sink *sink;
    char *name;                     /* under which only one may write */
    struct weir_producer *producer; /* NULL until the topic was asked */
    char (*seen)[ID_MAX];           /* the latest ids in the topic; a ring of seen_max */
    size_t seen_len, seen_next, seen_max;
};

struct weir_topic_sink *weir_topic_sink_new(const struct weir_kafka_options *options,
                                            const struct weir_sink *sink) {
    struct weir_topic_sink *self = calloc(1, sizeof *self);
    WEIR_ASSERT(self != NULL);
    self->options = options;
    self->sink = sink;
    if (asprintf(&self->name, "weir.%s.%s", options->group, sink->name) < 0)
        self->name = NULL;
    WEIR_ASSERT(self->name != NULL);
    return self;
}

void weir_topic_sink_yield(struct weir_topic_sink *self) {
    weir_producer_free(self->producer);
    self->producer = NULL;
}

void weir_topic_sink_free(struct weir_topic_sink *self) {
    if (!self)
        return;
    weir_topic_sink_yield(self);
    free(self->name);
    free(self->seen);
    free(self);
}

static void make_room(struct weir_topic_sink *self, size_t max) {
    self->seen = realloc(self->seen, max * sizeof *self->seen);
    WEIR_ASSERT(self->seen != NULL);
    self->seen_max = max;
}

static void remember(struct weir_topic_sink *self, const char *id, size_t len) {
    self->seen_next %= self->seen_max;
    snprintf(self->seen[self->seen_next++], ID_MAX, "%.*s", (int)len, id);
    if (self->seen_len < self->seen_next)
        self->seen_len = self->seen_next;
}

/* Of what is there nothing may push out anything. */
static void find(void *context, const char *id, size_t len) {
    struct weir_topic_sink *self = context;
    if (self->seen_len == self->seen_max)
        make_room(self, self->seen_max * 2);
    remember(self, id, len);
}

static bool is_seen(const struct weir_topic_sink *self, const char *id) {
    for (size_t i = 0; i < self->seen_len; i++)
        if (strcmp(self->seen[i], id) == 0)
            return true;
    return false;
}

/* First nobody else can write any more, then it is seen what is there. */
static int take_over(struct weir_topic_sink *self, struct weir_err *err) {
    int result =
        weir_producer_new_fenced(&self->producer, self->options, self->name, TIMEOUT_MS, err);
    if (result != 0)
        return result;
    self->seen_len = self->seen_next = 0;
    make_room(self, SEEN_MAX);
    result = weir_kafka_tail(self->options, self->sink->url, ID_HEADER, SEEN_MAX, TIMEOUT_MS, find,
                             self, err);
    make_room(self, self->seen_len + SEEN_MAX); /* for those that are written from now on */
    return result;
}

static int write_alert(struct weir_topic_sink *self, const char *id, const char *alert,
                       size_t alert_len, struct weir_err *err) {
    json_t *tree = json_loadb(alert, alert_len, 0, NULL);
    const char *fingerprint = json_string_value(json_object_get(tree, "fingerprint"));
    const struct weir_header headers[] = {{ID_HEADER, id}, {NULL, NULL}};
    int result = weir_producer_begin(self->producer, err);
    if (result == 0)
        result = weir_producer_send(self->producer, self->sink->url, -1, fingerprint,
                                    fingerprint ? strlen(fingerprint) : 0, alert, alert_len, 0,
                                    headers, err);
    json_decref(tree);
    weir_crash_point("sink_kafka_put");
    if (result == 0)
        result = weir_producer_commit(self->producer, TIMEOUT_MS, err);
    weir_crash_point("sink_kafka_committed");
    return result;
}

int weir_topic_sink_send(struct weir_topic_sink *self, const char *id, const char *alert,
                         size_t alert_len, struct weir_err *err) {
    struct weir_err why;
    int result = self->producer ? 0 : take_over(self, &why);
    if (result == 0 && is_seen(self, id))
        return 0;
    if (result == 0)
        result = write_alert(self, id, alert, alert_len, &why);
    if (result == 0) {
        remember(self, id, strlen(id));
        return 0;
    }
    weir_topic_sink_yield(self); /* whether it was written is to be asked */
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "sink %s, topic %s: %.500s", self->sink->name,
                        self->sink->url, why.text);
}
