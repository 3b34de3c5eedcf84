#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"

/* One window's segments of one dimension, the largest first. */
struct ranked {
    uint32_t segment;
    struct weir_str value;
    int64_t sessions, events;
};

#define HEAD_WORDS 3 /* token, previous number, this number */

static int redis_says(struct weir_err *err, const struct weir_reply *reply) {
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis answered: %s",
                        reply->text ? reply->text : "something unexpected");
}

/* ---- commands of the step ---- */

void weir_publish_begin(struct weir_evaluator *e) {
    weir_words_clear(&e->words);
    weir_words_put(&e->words, "%s", e->token);
    weir_words_put(&e->words, "%llu", (unsigned long long)e->number);
    weir_words_put(&e->words, "%llu", (unsigned long long)e->number + 1);
}

size_t weir_publish_command(struct weir_evaluator *e) {
    return weir_words_reserve_number(&e->words);
}

void weir_publish_end(struct weir_evaluator *e, size_t command) {
    weir_words_set_number(&e->words, command, e->words.len - command - 1);
}

static bool is_word(const struct weir_words *words, size_t i, const char *text) {
    return words->lens[i] == strlen(text) && memcmp(words->argv[i], text, words->lens[i]) == 0;
}

static size_t number_in(const struct weir_words *words, size_t i) {
    size_t number = 0;
    for (size_t c = 0; c < words->lens[i]; c++)
        number = 10 * number + (size_t)(words->argv[i][c] - '0');
    return number;
}

/* The keys of all commands, each once in a row. A script must name what it touches: while a slot
 * moves from one node of a cluster to another, Redis then refuses it whole and not half way. */
static size_t list_keys(const struct weir_words *words, const char **keys, size_t *lens) {
    size_t len = 0;
    for (size_t at = HEAD_WORDS; at < words->len;) {
        size_t count = number_in(words, at), last = at + 2;
        if (is_word(words, at + 1, "DEL"))
            last = at + count;
        if (is_word(words, at + 1, "PUBLISH"))
            last = at; /* a channel is no key */
        for (size_t i = at + 2; i <= last; i++) {
            if (len > 0 && lens[len - 1] == words->lens[i] &&
                memcmp(keys[len - 1], words->argv[i], lens[len - 1]) == 0)
                continue;
            keys[len] = words->argv[i];
            lens[len++] = words->lens[i];
        }
        at += count + 1;
    }
    return len;
}

static int send_script(struct weir_evaluator *e, struct weir_reply **reply, struct weir_err *err) {
    const struct weir_words *words = &e->words;
    const char **argv = calloc(2 * words->len + 2, sizeof *argv);
    size_t *lens = calloc(2 * words->len + 2, sizeof *lens);
    WEIR_ASSERT(argv != NULL && lens != NULL);
    argv[0] = e->lease_key;
    argv[1] = e->published_key;
    lens[0] = strlen(e->lease_key);
    lens[1] = strlen(e->published_key);
    size_t keys = 2 + list_keys(words, argv + 2, lens + 2);
    memcpy(argv + keys, words->argv, words->len * sizeof *argv);
    memcpy(lens + keys, words->lens, words->len * sizeof *lens);
    int status = weir_redis_script(e->redis, reply, err, &e->publish, (int)keys,
                                   (int)(keys + words->len), argv, lens);
    free(argv);
    free(lens);
    return status;
}

int weir_publish_send(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    weir_words_finish(&e->words);
    int status = send_script(e, &reply, err);
    if (status != 0)
        return status;
    int done = reply->type == WEIR_REPLY_TEXT &&
               (strcmp(reply->text, "OK") == 0 || strcmp(reply->text, "DUP") == 0);
    if (reply->type == WEIR_REPLY_ERROR)
        status = redis_says(err, reply);
    weir_reply_free(reply);
    if (done)
        e->number++;
    return status != 0 ? status : done;
}

/* ---- fields ---- */

static void put_ratio(struct weir_words *words, const char *prefix,
                      const struct weir_metric *metric, const int64_t *cell) {
    char number[WEIR_NUMBER_MAX];
    struct weir_ratio ratio = weir_metric_eval(metric, cell);
    if (!isnan(ratio.value)) {
        weir_words_put(words, "%s%s", prefix, metric->name);
        weir_words_put(words, "%.6f", ratio.value);
    }
    weir_words_put(words, "%s%s.num", prefix, metric->name);
    weir_unit_text(number, metric->num_unit, ratio.num);
    weir_words_put(words, "%s", number);
    weir_words_put(words, "%s%s.den", prefix, metric->name);
    weir_unit_text(number, metric->den_unit, ratio.den);
    weir_words_put(words, "%s", number);
}

static const char *prefix_of(enum weir_reading reading) {
    return reading == WEIR_SETTLED ? "settled." : "";
}

static void put_cell(struct weir_evaluator *e, const int64_t *cell) {
    struct weir_words *words = &e->words;
    char number[WEIR_NUMBER_MAX];
    for (int c = 0; c < WEIR_C_CUSTOM; c++) {
        const struct weir_counter_info *info = weir_counter_info(c);
        weir_words_put(words, "%s%s", prefix_of(info->reading), info->name);
        weir_unit_text(number, info->unit, cell[c]);
        weir_words_put(words, "%s", number);
    }
    for (size_t m = 0; m < e->config->metrics_len; m++)
        put_ratio(words, prefix_of(e->config->metrics[m].reading), &e->config->metrics[m], cell);
    weir_words_put(words, "sample");
    weir_words_put(words, "%lld", (long long)cell[WEIR_C_SESSIONS]);
}

static void put_head(struct weir_evaluator *e, uint32_t window) {
    size_t partitions = 0;
    for (size_t i = 0; i < e->members_len; i++)
        partitions += e->members[i].has_state;
    weir_words_put(&e->words, "as_of");
    weir_words_put(&e->words, "%lld", (long long)weir_rollup_as_of(e->rollup, window));
    weir_words_put(&e->words, "computed_at");
    weir_words_put(&e->words, "%lld", (long long)e->wall_ms);
    weir_words_put(&e->words, "partitions");
    weir_words_put(&e->words, "%zu", partitions);
}

/* What only the total has: distinct visitors and the quantiles of settled durations. */
static void put_total(struct weir_evaluator *e, uint32_t window) {
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};
    put_head(e, window);
    put_cell(e, weir_rollup_cell(e->rollup, window, 0));
    weir_words_put(&e->words, "visitors");
    weir_words_put(&e->words, "%.0f", weir_rollup_visitors(e->rollup, window));
    const int64_t *bins = weir_rollup_durations(e->rollup, window);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double ms = weir_sketch_quantile(bins, quantiles[i].q);
        if (isnan(ms))
            continue;
        weir_words_put(&e->words, "settled.session_duration.%s", quantiles[i].name);
        weir_words_put(&e->words, "%.3f", ms / 1000);
    }
}

/* ---- windows ---- */

static void key_of(const struct weir_evaluator *e, char *key, const char *kind, uint32_t window,
                   const char *rest) {
    char name[WEIR_NAME_WINDOW_MAX];
    weir_window_name(name, sizeof name, e->config->plan.windows_ms[window]);
    weir_name_key(key, WEIR_NAME_KEY_MAX, e->config->kafka.group, "%s:%s%s", kind, name, rest);
}

static void publish_total(struct weir_evaluator *e, uint32_t window) {
    char key[WEIR_NAME_KEY_MAX];
    int64_t as_of_ms = weir_rollup_as_of(e->rollup, window);
    key_of(e, key, "now", window, "");
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "DEL");
    weir_words_put(&e->words, "%s", key);
    weir_publish_end(e, command);
    command = weir_publish_command(e);
    weir_words_put(&e->words, "HSET");
    weir_words_put(&e->words, "%s", key);
    put_total(e, window);
    weir_publish_end(e, command);

    key_of(e, key, "series", window, "");
    command = weir_publish_command(e);
    weir_words_put(&e->words, "XADD");
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "MINID");
    weir_words_put(&e->words, "~");
    weir_words_put(&e->words, "%lld", (long long)(as_of_ms - e->config->publish_retention_ms));
    weir_words_put(&e->words, "%lld-0", (long long)as_of_ms);
    put_total(e, window);
    weir_publish_end(e, command);
}

static int by_size(const void *left, const void *right) {
    const struct ranked *a = left, *b = right;
    if (a->sessions != b->sessions)
        return a->sessions < b->sessions ? 1 : -1;
    if (a->events != b->events)
        return a->events < b->events ? 1 : -1;
    /* by name, as the numbers are in the order in which this evaluator met them */
    size_t common = a->value.len < b->value.len ? a->value.len : b->value.len;
    int order = memcmp(a->value.data, b->value.data, common);
    return order != 0 ? order : (a->value.len > b->value.len) - (a->value.len < b->value.len);
}

static void put_segment(struct weir_evaluator *e, uint32_t window, const char *dimension,
                        struct weir_str value, const int64_t *cell) {
    char key[WEIR_NAME_KEY_MAX], rest[256];
    snprintf(rest, sizeof rest, ":%s:", dimension);
    key_of(e, key, "now", window, rest);
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "HSET");
    weir_words_put(&e->words, "%s%.*s", key, (int)value.len, value.data);
    put_head(e, window);
    put_cell(e, cell);
    weir_publish_end(e, command);

    snprintf(rest, sizeof rest, ":%s", dimension);
    key_of(e, key, "top", window, rest);
    command = weir_publish_command(e);
    weir_words_put(&e->words, "ZADD");
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "%lld", (long long)cell[WEIR_C_SESSIONS]);
    weir_words_copy(&e->words, value.data, value.len);
    weir_publish_end(e, command);
}

static bool is_other(struct weir_str value) {
    return value.len == 6 && memcmp(value.data, "_other", 6) == 0;
}

/* The largest values by sessions; what lies beyond them is added to `_other`. */
static void publish_dimension(struct weir_evaluator *e, uint32_t window, int dimension,
                              struct ranked *ranked) {
    uint32_t len = 0, segments = weir_rollup_segments(e->rollup);
    int64_t other[WEIR_COUNTERS] = {0};
    const char *name = e->config->dimension_names[dimension];
    for (uint32_t s = 1; s < segments; s++) {
        const int64_t *cell = weir_rollup_cell(e->rollup, window, s);
        struct weir_str value = weir_rollup_value(e->rollup, s);
        if (weir_rollup_dimension(e->rollup, s) != dimension)
            continue;
        if (is_other(value))
            memcpy(other, cell, sizeof other);
        else if (cell[WEIR_C_EVENTS] || cell[WEIR_C_S_SESSIONS])
            ranked[len++] = (struct ranked){s, value, cell[WEIR_C_SESSIONS], cell[WEIR_C_EVENTS]};
    }
    qsort(ranked, len, sizeof *ranked, by_size);
    for (uint32_t i = 0; i < len; i++) {
        const int64_t *cell = weir_rollup_cell(e->rollup, window, ranked[i].segment);
        if (i < e->config->publish_top)
            put_segment(e, window, name, ranked[i].value, cell);
        else
            for (int c = 0; c < WEIR_COUNTERS; c++)
                other[c] += cell[c];
    }
    if (other[WEIR_C_EVENTS] || other[WEIR_C_S_SESSIONS])
        put_segment(e, window, name, (struct weir_str){"_other", 6}, other);
}

/* Deletes what the last step published of a dimension: the top list says what that was. */
static void delete_old(struct weir_evaluator *e, uint32_t window, int dimension,
                       const struct weir_reply *old) {
    char key[WEIR_NAME_KEY_MAX], rest[256];
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "DEL");
    snprintf(rest, sizeof rest, ":%s", e->config->dimension_names[dimension]);
    key_of(e, key, "top", window, rest);
    weir_words_put(&e->words, "%s", key);
    snprintf(rest, sizeof rest, ":%s:", e->config->dimension_names[dimension]);
    key_of(e, key, "now", window, rest);
    for (size_t i = 0; i < old->items_len; i++)
        weir_words_put(&e->words, "%s%.*s", key, (int)old->items[i]->len, old->items[i]->text);
    weir_publish_end(e, command);
}

/* The lists that are read together with it are those of our last publication: Redis may have gone
 * back and forth between two looks, and the script sees only the last state. */
static int check_number(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int status = weir_gather_answer(e, &reply, err);
    if (status != 0)
        return status;
    uint64_t number = reply->text ? strtoull(reply->text, NULL, 10) : 0;
    weir_reply_free(reply);
    if (number == e->number)
        return 0;
    weir_redis_disconnect(e->redis); /* the lists are on their way */
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis went back while it was read");
}

static int publish_segments(struct weir_evaluator *e, uint32_t window, struct weir_err *err) {
    uint32_t dimensions = e->config->plan.dimensions_len;
    char key[WEIR_NAME_KEY_MAX], rest[256];
    const char *number[] = {"HGET", e->published_key, "number"};
    int status = weir_redis_append(e->redis, 3, number, NULL, err);
    for (uint32_t d = 0; d < dimensions && status == 0; d++) {
        snprintf(rest, sizeof rest, ":%s", e->config->dimension_names[d]);
        key_of(e, key, "top", window, rest);
        status =
            weir_redis_append(e->redis, 4, (const char *[]){"ZRANGE", key, "0", "-1"}, NULL, err);
    }
    if (status == 0)
        status = check_number(e, err);
    if (status != 0)
        return status;
    struct ranked *ranked = malloc((weir_rollup_segments(e->rollup) + 1) * sizeof *ranked);
    WEIR_ASSERT(ranked != NULL);
    for (uint32_t d = 0; d < dimensions && status == 0; d++) {
        struct weir_reply *old = NULL;
        status = weir_gather_answer(e, &old, err);
        if (status != 0)
            break;
        delete_old(e, window, (int)d, old);
        publish_dimension(e, window, (int)d, ranked);
        weir_reply_free(old);
    }
    free(ranked);
    return status;
}

/* For readers that do not know the config: with the fields as_of:<window> of the same hash. */
static void publish_dimensions(struct weir_evaluator *e) {
    char names[WEIR_DIMENSIONS_MAX * 64] = "";
    size_t len = 0;
    for (uint32_t d = 0; d < e->config->plan.dimensions_len && len < sizeof names; d++)
        len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", d ? " " : "",
                                e->config->dimension_names[d]);
    size_t command = weir_publish_command(e);
    weir_words_put(&e->words, "HSET");
    weir_words_put(&e->words, "%s", e->published_key);
    weir_words_put(&e->words, "dimensions");
    weir_words_put(&e->words, "%s", names);
    weir_publish_end(e, command);
}

int weir_publish_windows(struct weir_evaluator *e, const bool *moved, struct weir_err *err) {
    char name[WEIR_NAME_WINDOW_MAX], key[WEIR_NAME_KEY_MAX];
    size_t command = weir_publish_command(e);
    weir_name_key(key, sizeof key, e->config->kafka.group, "schema");
    weir_words_put(&e->words, "SET");
    weir_words_put(&e->words, "%s", key);
    weir_words_put(&e->words, "1");
    weir_publish_end(e, command);
    publish_dimensions(e);
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++) {
        if (!moved[w])
            continue;
        publish_total(e, w);
        int status = publish_segments(e, w, err);
        if (status != 0)
            return status;
        weir_window_name(name, sizeof name, e->config->plan.windows_ms[w]);
        command = weir_publish_command(e);
        weir_words_put(&e->words, "HSET");
        weir_words_put(&e->words, "%s", e->published_key);
        weir_words_put(&e->words, "as_of:%s", name);
        weir_words_put(&e->words, "%lld", (long long)weir_rollup_as_of(e->rollup, w));
        weir_words_put(&e->words, "first");
        weir_words_put(&e->words, "%lld", (long long)e->first_ms);
        weir_publish_end(e, command);
    }
    return 0;
}

int weir_publish_load(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    const char *question[] = {"HGETALL", e->published_key};
    int status = weir_redis_append(e->redis, 2, question, NULL, err);
    if (status == 0)
        status = weir_gather_answer(e, &reply, err);
    if (status != 0)
        return status;
    e->number = 0;
    e->first_ms = INT64_MAX;
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        e->shown_ms[w] = INT64_MIN;
    for (size_t i = 0; i + 1 < reply->items_len; i += 2) {
        const char *field = reply->items[i]->text, *value = reply->items[i + 1]->text;
        if (strcmp(field, "number") == 0)
            e->number = strtoull(value, NULL, 10);
        if (strcmp(field, "first") == 0)
            e->first_ms = strtoll(value, NULL, 10);
        for (uint32_t w = 0; w < e->config->plan.windows_len; w++) {
            char name[WEIR_NAME_WINDOW_MAX];
            weir_window_name(name, sizeof name, e->config->plan.windows_ms[w]);
            if (strncmp(field, "as_of:", 6) == 0 && strcmp(field + 6, name) == 0)
                e->shown_ms[w] = strtoll(value, NULL, 10);
        }
    }
    weir_reply_free(reply);
    return 0;
}
