#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/evaluator_state.h"
#include "app/names.h"
#include "weir/log.h"

/* One window's segments of one dimension, the largest first. */
struct ranked {
    uint32_t segment;
    struct weir_str value;
    int64_t sessions, events;
};

/* A publication has a number and a word of its own. The number alone does not say which one it is:
 * Redis may go back to an older state under open connections, and somebody else may publish there
 * as often as was published before. */
#define HEAD_WORDS 5 /* token, previous number and word, this number and word */

/* ---- commands of the step ---- */

void weir_publish_begin(struct weir_evaluator *e) {
    weir_words_clear(&e->words);
    weir_words_put(&e->words, "%s", e->token);
    weir_words_put(&e->words, "%llu", (unsigned long long)e->number);
    weir_words_put(&e->words, "%s", e->word);
    weir_words_put(&e->words, "%llu", (unsigned long long)e->number + 1);
    weir_token_make(e->next_word, WEIR_WORD_LEN);
    weir_words_put(&e->words, "%s", e->next_word);
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
    bool taken = reply->type == WEIR_REPLY_ARRAY; /* else it says why not */
    int done = taken || (reply->type == WEIR_REPLY_TEXT && strcmp(reply->text, "DUP") == 0);
    if (taken)
        weir_told_dropped(e, reply);
    if (reply->type == WEIR_REPLY_ERROR)
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    if (done) {
        e->number++;
        memcpy(e->word, e->next_word, sizeof e->word);
    }
    return status != 0 ? status : done;
}

/* ---- windows ---- */

static void key_of(const struct weir_evaluator *e, char *key, const char *kind, uint32_t window,
                   const char *rest) {
    char name[WEIR_NAME_WINDOW_MAX];
    weir_window_name(name, sizeof name, e->config->plan.windows_ms[window]);
    weir_name_key(key, WEIR_NAME_KEY_MAX, e->config->kafka.group, "%s:%s%s", kind, name, rest);
}

static void put_fields(struct weir_evaluator *e) {
    struct weir_redis_hash_reader reader;
    struct weir_str text;
    int damaged = weir_redis_hash_read(&reader, e->hash.bytes, e->hash.len);
    WEIR_ASSERT(!damaged); /* our own */
    while (weir_redis_hash_next(&reader, &text) > 0)
        weir_words_copy(&e->words, text.data, text.len);
}

/* What evaluator->hash holds, whole, in the place of what is there. */
static void put_hash(struct weir_evaluator *e, const char *key, size_t len) {
    struct weir_words *words = &e->words;
    size_t command = weir_publish_command(e);
    if (e->restores) {
        weir_words_text(words, "RESTORE");
        weir_words_copy(words, key, len);
        weir_words_text(words, "0");
        weir_words_copy(words, e->hash.bytes, e->hash.len);
        weir_words_text(words, "REPLACE");
    } else {
        weir_words_text(words, "HSET");
        weir_words_copy(words, key, len);
        put_fields(e);
    }
    weir_publish_end(e, command);
}

static void publish_total(struct weir_evaluator *e, uint32_t window) {
    char key[WEIR_NAME_KEY_MAX];
    int64_t as_of_ms = weir_rollup_as_of(e->rollup, window);
    weir_fields_total(e, window);
    key_of(e, key, "now", window, "");
    size_t command = weir_publish_command(e);
    weir_words_text(&e->words, "DEL");
    weir_words_text(&e->words, key);
    weir_publish_end(e, command);
    put_hash(e, key, strlen(key));

    key_of(e, key, "series", window, "");
    command = weir_publish_command(e);
    weir_words_text(&e->words, "XADD");
    weir_words_text(&e->words, key);
    weir_words_text(&e->words, "MINID");
    weir_words_text(&e->words, "~");
    weir_words_number(&e->words, as_of_ms - e->config->publish_retention_ms);
    weir_words_put(&e->words, "%lld-0", (long long)as_of_ms);
    put_fields(e);
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

static bool is_other(struct weir_str value) {
    return value.len == 6 && memcmp(value.data, "_other", 6) == 0;
}

/* The keys of one window and dimension, made once for all its segments. */
struct place {
    uint32_t window;
    int dimension;
    char top[WEIR_NAME_KEY_MAX];
    char now[WEIR_NAME_KEY_MAX + WEIR_DIMENSION_VALUE_MAX]; /* the value goes behind */
    size_t now_len;
};

static struct place place_of(const struct weir_evaluator *e, uint32_t window, int dimension) {
    struct place place = {.window = window, .dimension = dimension};
    char rest[256];
    snprintf(rest, sizeof rest, ":%s", e->config->dimension_names[dimension]);
    key_of(e, place.top, "top", window, rest);
    snprintf(rest, sizeof rest, ":%s:", e->config->dimension_names[dimension]);
    key_of(e, place.now, "now", window, rest);
    place.now_len = strlen(place.now);
    return place;
}

/* The key of a value's segment; its length. */
static size_t segment_key(struct place *place, const char *value, size_t len) {
    len = len < WEIR_DIMENSION_VALUE_MAX ? len : WEIR_DIMENSION_VALUE_MAX;
    memcpy(place->now + place->now_len, value, len);
    return place->now_len + len;
}

static void put_segment(struct weir_evaluator *e, struct place *place, struct weir_str value,
                        const int64_t *cell) {
    weir_fields_segment(e, place->window, cell);
    put_hash(e, place->now, segment_key(place, value.data, value.len));
}

static void put_top(struct weir_evaluator *e, struct weir_str value, int64_t sessions) {
    weir_words_number(&e->words, sessions);
    weir_words_copy(&e->words, value.data, value.len);
}

/* Brings the `top` largest to the front, in no order. */
static void select_largest(struct ranked *ranked, uint32_t len, uint32_t top) {
    uint32_t low = 0, high = len;
    while (high - low > 1) {
        struct ranked pivot = ranked[low + (high - low) / 2];
        uint32_t left = low, right = high - 1;
        for (;;) {
            while (by_size(&ranked[left], &pivot) < 0)
                left++;
            while (by_size(&ranked[right], &pivot) > 0)
                right--;
            if (left >= right)
                break;
            struct ranked swapped = ranked[left];
            ranked[left++] = ranked[right];
            ranked[right--] = swapped;
        }
        if (top <= left)
            high = left;
        else
            low = left + (left == right); /* there it is the pivot itself */
    }
}

/* The largest values of a dimension but `_other`, in order; how many. */
static uint32_t rank(const struct weir_evaluator *e, const struct place *place,
                     struct ranked *ranked) {
    uint32_t len = 0, segments = weir_rollup_segments(e->rollup), top = e->config->publish_top;
    for (uint32_t s = 1; s < segments; s++) {
        if (weir_rollup_dimension(e->rollup, s) != place->dimension)
            continue;
        const int64_t *cell = weir_rollup_cell(e->rollup, place->window, s);
        struct weir_str value = weir_rollup_value(e->rollup, s);
        if ((cell[WEIR_C_EVENTS] || cell[WEIR_C_S_SESSIONS]) && !is_other(value))
            ranked[len++] = (struct ranked){s, value, cell[WEIR_C_SESSIONS], cell[WEIR_C_EVENTS]};
    }
    if (len > top)
        select_largest(ranked, len, top);
    len = len < top ? len : top;
    qsort(ranked, len, sizeof *ranked, by_size);
    return len;
}

/* The largest values by sessions; `_other` is all that is left of the dimension. */
static void publish_dimension(struct weir_evaluator *e, struct place *place,
                              struct ranked *ranked) {
    static const struct weir_str other_name = {"_other", 6};
    int64_t other[WEIR_COUNTERS];
    uint32_t counters = WEIR_C_CUSTOM + e->config->plan.custom_counters_len;
    uint32_t len = rank(e, place, ranked);
    memcpy(other, weir_rollup_dimension_cell(e->rollup, place->window, (uint32_t)place->dimension),
           sizeof other);
    for (uint32_t i = 0; i < len; i++) {
        const int64_t *cell = weir_rollup_cell(e->rollup, place->window, ranked[i].segment);
        for (uint32_t c = 0; c < counters; c++)
            other[c] -= cell[c];
        put_segment(e, place, ranked[i].value, cell);
    }
    bool has_other = other[WEIR_C_EVENTS] || other[WEIR_C_S_SESSIONS];
    if (has_other)
        put_segment(e, place, other_name, other);
    if (len == 0 && !has_other)
        return;
    size_t command = weir_publish_command(e);
    weir_words_text(&e->words, "ZADD");
    weir_words_text(&e->words, place->top);
    for (uint32_t i = 0; i < len; i++)
        put_top(e, ranked[i].value, ranked[i].sessions);
    if (has_other)
        put_top(e, other_name, other[WEIR_C_SESSIONS]);
    weir_publish_end(e, command);
}

/* Deletes what the last step published of a dimension: the top list says what that was. */
static void delete_old(struct weir_evaluator *e, struct place *place,
                       const struct weir_reply *old) {
    size_t command = weir_publish_command(e);
    weir_words_text(&e->words, "DEL");
    weir_words_text(&e->words, place->top);
    for (size_t i = 0; i < old->items_len; i++) {
        size_t len = segment_key(place, old->items[i]->text, old->items[i]->len);
        weir_words_copy(&e->words, place->now, len);
    }
    weir_publish_end(e, command);
}

/* The lists that are read together with it are those of our last publication: Redis may have gone
 * back and forth between two looks, and the script sees only the last state. */
static int check_last(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    int status = weir_gather_answer(e, WEIR_SHAPE_FIELDS, 2, &reply, err);
    if (status != 0)
        return status;
    const char *number = reply->items[0]->text, *word = reply->items[1]->text;
    bool same = (number ? strtoull(number, NULL, 10) : 0) == e->number &&
                strcmp(word ? word : "", e->word) == 0;
    weir_reply_free(reply);
    if (same)
        return 0;
    weir_redis_disconnect(e->redis); /* the lists are on their way */
    return weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis went back while it was read");
}

/* What the last step published of the windows that move, asked in one go. */
static int ask_old(struct weir_evaluator *e, const bool *moved, struct weir_err *err) {
    const char *last[] = {"HMGET", e->published_key, "number", "word"};
    int status = weir_redis_append(e->redis, 4, last, NULL, err);
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        for (uint32_t d = 0; moved[w] && d < e->config->plan.dimensions_len && status == 0; d++) {
            struct place place = place_of(e, w, (int)d);
            const char *list[] = {"ZRANGE", place.top, "0", "-1"};
            status = weir_redis_append(e->redis, 4, list, NULL, err);
        }
    return status == 0 ? check_last(e, err) : status;
}

static int publish_segments(struct weir_evaluator *e, uint32_t window, struct ranked *ranked,
                            struct weir_err *err) {
    for (uint32_t d = 0; d < e->config->plan.dimensions_len; d++) {
        struct weir_reply *old = NULL;
        struct place place = place_of(e, window, (int)d);
        int status = weir_gather_answer(e, WEIR_SHAPE_TEXTS, 1, &old, err);
        if (status != 0)
            return status;
        delete_old(e, &place, old);
        publish_dimension(e, &place, ranked);
        weir_reply_free(old);
    }
    return 0;
}

/* For readers that do not know the config: with the fields as_of:<window> of the same hash. And
 * whether the data can be trusted, which only the lease's holder knows. */
static void publish_state(struct weir_evaluator *e) {
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
    weir_words_put(&e->words, "data_quality");
    weir_words_put(&e->words, "%s", e->suspect[0] ? e->suspect : "good");
    weir_publish_end(e, command);
}

/* What is published of a window, in the hash `published`. */
static void publish_time(struct weir_evaluator *e, uint32_t window) {
    char name[WEIR_NAME_WINDOW_MAX];
    weir_window_name(name, sizeof name, e->config->plan.windows_ms[window]);
    size_t command = weir_publish_command(e);
    weir_words_text(&e->words, "HSET");
    weir_words_text(&e->words, e->published_key);
    weir_words_put(&e->words, "as_of:%s", name);
    weir_words_number(&e->words, weir_rollup_as_of(e->rollup, window));
    weir_words_text(&e->words, "first");
    weir_words_number(&e->words, e->first_ms);
    weir_publish_end(e, command);
}

int weir_publish_windows(struct weir_evaluator *e, const bool *moved, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    size_t command = weir_publish_command(e);
    weir_name_key(key, sizeof key, e->config->kafka.group, "schema");
    weir_words_text(&e->words, "SET");
    weir_words_text(&e->words, key);
    weir_words_text(&e->words, "1");
    weir_publish_end(e, command);
    publish_state(e);
    weir_fields_begin(e);
    struct ranked *ranked = malloc((weir_rollup_segments(e->rollup) + 1) * sizeof *ranked);
    WEIR_ASSERT(ranked != NULL);
    int status = ask_old(e, moved, err);
    for (uint32_t w = 0; w < e->config->plan.windows_len && status == 0; w++) {
        if (!moved[w])
            continue;
        publish_total(e, w);
        status = publish_segments(e, w, ranked, err);
        publish_time(e, w);
    }
    free(ranked);
    return status;
}

/* Whether this user and this Redis take a hash as it is kept. The trial's end lies in the past, so
 * it leaves nothing behind. */
static int try_restore(struct weir_evaluator *e, struct weir_err *err) {
    char key[WEIR_NAME_KEY_MAX];
    struct weir_reply *reply = NULL;
    weir_name_key(key, sizeof key, e->config->kafka.group, "trial");
    weir_redis_hash_begin(&e->hash);
    weir_redis_hash_text(&e->hash, "trial", 5);
    weir_redis_hash_whole(&e->hash, 1);
    weir_redis_hash_end(&e->hash);
    const char *trial[] = {"RESTORE", key, "1", e->hash.bytes, "REPLACE", "ABSTTL"};
    const size_t lens[] = {7, strlen(key), 1, e->hash.len, 7, 6};
    int status = weir_redis_append(e->redis, 6, trial, lens, err);
    if (status == 0)
        status = weir_redis_read(e->redis, &reply, err);
    if (status != 0)
        return status;
    e->restores = reply->type != WEIR_REPLY_ERROR;
    bool refused = !e->restores &&
                   (strncmp(reply->text, "NOPERM", 6) == 0 || strncmp(reply->text, "ERR ", 4) == 0);
    if (refused)
        weir_log(WEIR_LOG_WARN, "evaluator",
                 "Redis does not take RESTORE: windows are published field by field, which costs "
                 "it more; grant it",
                 WEIR_STR("why", reply->text), WEIR_LOG_END);
    else if (!e->restores)
        status = weir_reply_refuse(reply, err);
    weir_reply_free(reply);
    return status;
}

int weir_publish_load(struct weir_evaluator *e, struct weir_err *err) {
    struct weir_reply *reply = NULL;
    const char *question[] = {"HGETALL", e->published_key};
    int status = try_restore(e, err);
    if (status == 0)
        status = weir_redis_append(e->redis, 2, question, NULL, err);
    if (status == 0)
        status = weir_gather_answer(e, WEIR_SHAPE_TEXTS, 2, &reply, err);
    if (status != 0)
        return status;
    e->number = 0;
    e->word[0] = '\0';
    e->first_ms = INT64_MAX;
    for (uint32_t w = 0; w < e->config->plan.windows_len; w++)
        e->shown_ms[w] = INT64_MIN;
    for (size_t i = 0; i + 1 < reply->items_len; i += 2) {
        const char *field = reply->items[i]->text, *value = reply->items[i + 1]->text;
        if (strcmp(field, "number") == 0)
            e->number = strtoull(value, NULL, 10);
        if (strcmp(field, "word") == 0)
            snprintf(e->word, sizeof e->word, "%s", value);
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
