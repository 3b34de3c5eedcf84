/* weir silence: add, list and expire. */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/arguments.h"
#include "app/commands.h"
#include "app/config_value.h"
#include "app/silence.h"
#include "app/token.h"
#include "app/view_source.h"
#include "app/view_table.h"
#include "weir/clock.h"
#include "weir/shown.h"

#define KEY "silences"

struct order {
    const char *words[WEIR_SILENCE_MATCHERS_MAX]; /* matchers or ids */
    size_t len;
    const char *duration, *comment;
    const char *config; /* the file, or NULL: rules and dimensions are not known */
    struct weir_view view;
    char key[WEIR_NAME_KEY_MAX];
};

static const char usage[] =
    "usage: weir silence add MATCHER... --for 2h --comment TEXT " WEIR_VIEW_SOURCE_USAGE "\n"
    "       weir silence list " WEIR_VIEW_SOURCE_USAGE "\n"
    "       weir silence expire ID... " WEIR_VIEW_SOURCE_USAGE "\n"
    "A MATCHER is LABEL=VALUE or LABEL!=VALUE; all of them must hold. Labels are alertname, "
    "metric,\n"
    "window, reading, the segment's dimension (country=DE) and the labels of the rule.\n"
    "Without --config and --redis: $WEIR_CONFIG, else ./weir.yaml.\n";

/* ---- asking Redis ---- */

static int ask(struct order *order, struct weir_reply **reply, struct weir_err *err, int argc,
               const char *const *argv, enum weir_reply_type type) {
    struct weir_redis *redis = order->view.redis;
    int result = weir_redis_command(redis, reply, err, argc, argv, NULL);
    if (result != 0 || (*reply)->type == type)
        return result;
    result = weir_err_set(err, WEIR_ERR_UNREACHABLE, "Redis at %s answered: %.500s",
                          weir_redis_name(redis), weir_reply_words(*reply));
    weir_reply_free(*reply);
    *reply = NULL;
    return result;
}

static int ask_number(struct order *order, int64_t *number, struct weir_err *err, int argc,
                      const char *const *argv) {
    struct weir_reply *reply = NULL;
    int result = ask(order, &reply, err, argc, argv, WEIR_REPLY_INTEGER);
    if (reply)
        *number = reply->integer;
    weir_reply_free(reply);
    return result;
}

/* ---- add ---- */

static char *make_id(void) {
    char *id = calloc(1, WEIR_SILENCE_ID_LEN + 1);
    WEIR_ASSERT(id != NULL);
    weir_token_make(id, WEIR_SILENCE_ID_LEN);
    return id;
}

static char *user_name(void) {
    struct passwd *user = getpwuid(geteuid()); /* one thread */
    char number[32];
    snprintf(number, sizeof number, "uid %u", (unsigned)geteuid());
    char *name = strdup(user ? user->pw_name : number);
    WEIR_ASSERT(name != NULL);
    return name;
}

static int fill(const struct order *order, struct weir_silence *silence, struct weir_err *err) {
    int64_t for_ms = 0;
    if (!order->duration || !order->comment)
        return weir_err_set(err, WEIR_ERR_USAGE, "%s\n%s",
                            order->duration ? "--comment wants a text: why is it silent?"
                                            : "--for wants a duration, such as 2h",
                            usage);
    if (weir_value_duration(order->duration, &for_ms) != WEIR_VALUE_OK || for_ms < 1000 ||
        for_ms > WEIR_SILENCE_FOR_MAX_MS)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "--for %.40s is not a duration from 1s to 366d; write for example 2h",
                            weir_word_shown(order->duration).text);
    if (strlen(order->comment) > WEIR_SILENCE_TEXT_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "the comment is longer than %d bytes",
                            WEIR_SILENCE_TEXT_MAX);
    int result = weir_silence_take_matchers(silence, order->words, order->len, err);
    if (result != 0)
        return result;
    silence->id = make_id();
    silence->created_by = user_name();
    silence->comment = strdup(order->comment);
    WEIR_ASSERT(silence->comment != NULL);
    silence->created_ms = weir_clock_wall_ms();
    silence->expires_ms = silence->created_ms + for_ms;
    return 0;
}

static int store(struct order *order, const struct weir_silence *silence, struct weir_err *err) {
    char *json = weir_silence_json(silence);
    int64_t number = 0;
    if (!json)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "the comment or a matcher is not UTF-8; write it in UTF-8");
    int result = ask_number(order, &number, err, 2, (const char *[]){"HLEN", order->key});
    if (result == 0 && number >= WEIR_SILENCES_MAX)
        result = weir_err_set(err, WEIR_ERR_INPUT,
                              "there are %d silences already; `weir silence list` removes those "
                              "that have expired, `weir silence expire ID` ends one",
                              WEIR_SILENCES_MAX);
    if (result == 0)
        result = ask_number(order, &number, err, 4,
                            (const char *[]){"HSET", order->key, silence->id, json});
    if (result == 0)
        printf("%s\n", silence->id);
    free(json);
    return result;
}

static bool is_known(const struct weir_config *config, const char *label) {
    static const char *const always[] = {"alertname", "metric", "window", "reading"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(label, always[i]) == 0)
            return true;
    for (uint32_t d = 0; d < config->plan.dimensions_len; d++)
        if (strcmp(label, config->dimension_names[d]) == 0)
            return true;
    for (size_t r = 0; r < config->rules.len; r++)
        for (size_t i = 0; i < config->rules.rules[r].labels_len; i++)
            if (strcmp(label, config->rules.rules[r].labels[i].name) == 0)
                return true;
    return false;
}

/* The silence holds all the same: the rules may be on their way. */
static void warn_of_unknown(const char *path, const struct weir_silence *silence) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err ignored;
    if (weir_config_load(&config, path, &problems, &ignored) == 0)
        for (size_t i = 0; i < silence->matchers_len; i++)
            if (!is_known(config, silence->matchers[i].label))
                fprintf(stderr,
                        "weir silence: no rule and no dimension of %s has the label `%s`; is it "
                        "misspelt?\n",
                        path, silence->matchers[i].label);
    weir_problems_free(&problems);
    weir_config_free(config);
}

static int add(struct order *order, struct weir_err *err) {
    struct weir_silence silence = {0};
    int result = fill(order, &silence, err);
    if (result == 0)
        result = store(order, &silence, err);
    if (result == 0 && order->config)
        warn_of_unknown(order->config, &silence);
    weir_silence_close(&silence);
    return result;
}

/* ---- list ---- */

static void print_list(const struct weir_silences *silences, int64_t now_ms) {
    static const char *const header[] = {"id", "ends", "until", "matchers", "by", "comment"};
    struct weir_table table;
    weir_table_init(&table, "llllll");
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++)
        weir_table_cell(&table, "%s", header[i]);
    for (size_t i = 0; i < silences->len; i++) {
        const struct weir_silence *silence = &silences->items[i];
        char text[WEIR_TABLE_TEXT_MAX], matchers[WEIR_TABLE_CELL_MAX];
        weir_table_cell(&table, "%s", silence->id);
        weir_table_age(text, silence->expires_ms, now_ms);
        weir_table_cell(&table, "%s", text);
        weir_table_time(text, silence->expires_ms);
        weir_table_cell(&table, "%s", text);
        weir_silence_describe(silence, matchers, sizeof matchers);
        weir_table_cell(&table, "%s", matchers);
        weir_table_cell(&table, "%s", silence->created_by);
        weir_table_cell(&table, "%s", silence->comment);
    }
    weir_table_print(&table, stdout);
    weir_table_close(&table);
}

/* Moves what has expired out of the set and out of Redis. */
static int remove_expired(struct order *order, struct weir_silences *silences, int64_t now_ms,
                          struct weir_err *err) {
    size_t kept = 0;
    int result = 0;
    for (size_t i = 0; i < silences->len; i++) {
        struct weir_silence *silence = &silences->items[i];
        int64_t removed = 0;
        if (silence->expires_ms > now_ms) {
            silences->items[kept++] = *silence;
            continue;
        }
        if (result == 0)
            result = ask_number(order, &removed, err, 3,
                                (const char *[]){"HDEL", order->key, silence->id});
        weir_silence_close(silence);
    }
    silences->len = kept;
    return result;
}

static int list(struct order *order, struct weir_err *err) {
    struct weir_silences silences;
    struct weir_reply *reply = NULL;
    int64_t now_ms = weir_clock_wall_ms();
    if (order->len > 0 || order->duration || order->comment)
        return weir_err_set(err, WEIR_ERR_USAGE, "weir silence list takes nothing more\n%s", usage);
    int result =
        ask(order, &reply, err, 2, (const char *[]){"HGETALL", order->key}, WEIR_REPLY_ARRAY);
    if (result != 0)
        return result;
    int damaged = weir_silences_load(&silences, reply, INT64_MIN);
    weir_reply_free(reply);
    if (damaged != 0)
        fprintf(stderr, "weir silence: %d entries of %s are damaged and silence nothing\n", damaged,
                order->key);
    result = remove_expired(order, &silences, now_ms, err);
    if (result == 0 && silences.len > 0)
        print_list(&silences, now_ms);
    else if (result == 0)
        printf("No alert of group %s is silenced.\n", order->view.group);
    weir_silences_close(&silences);
    return result;
}

/* ---- expire ---- */

static int expire(struct order *order, struct weir_err *err) {
    if (order->len == 0 || order->duration || order->comment)
        return weir_err_set(err, WEIR_ERR_USAGE, "weir silence expire wants an ID\n%s", usage);
    for (size_t i = 0; i < order->len; i++) {
        int64_t removed = 0;
        int result = ask_number(order, &removed, err, 3,
                                (const char *[]){"HDEL", order->key, order->words[i]});
        if (result == 0 && removed == 0)
            result = weir_err_set(err, WEIR_ERR_INPUT,
                                  "there is no silence %.80s; `weir silence list` shows them",
                                  weir_word_shown(order->words[i]).text);
        if (result != 0)
            return result;
    }
    return 0;
}

/* ---- the command line ---- */

static int parse(struct order *order, struct weir_view_source *source, int argc, char **argv,
                 struct weir_err *err) {
    const struct weir_named_text known[] = {{"--for", &order->duration},
                                            {"--comment", &order->comment}};
    for (int i = 2; i < argc; i++) {
        int taken = weir_view_source_option(source, argv, &i, err);
        if (taken == 0)
            taken = weir_arguments_named(known, sizeof known / sizeof known[0], argv, &i, err);
        if (taken < 0)
            return taken;
        if (taken == 1)
            continue;
        if (strncmp(argv[i], "--", 2) == 0)
            return weir_err_set(err, WEIR_ERR_USAGE, "weir silence has no option %s\n%s",
                                weir_word_shown(argv[i]).text, usage);
        if (order->len == sizeof order->words / sizeof order->words[0])
            return weir_err_set(err, WEIR_ERR_USAGE, "%s is one too many; write at most %d",
                                weir_word_shown(argv[i]).text, WEIR_SILENCE_MATCHERS_MAX);
        order->words[order->len++] = argv[i];
    }
    return 0;
}

int weir_cmd_silence(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(struct order *order, struct weir_err *err);
    } verbs[] = {{"add", add}, {"list", list}, {"expire", expire}};
    struct order order = {0};
    struct weir_view_source source = {0};
    struct weir_err err = {0};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    size_t verb = 0;
    while (verb < 3 && (argc < 2 || strcmp(argv[1], verbs[verb].name) != 0))
        verb++;
    if (verb == 3) {
        fputs(usage, stderr);
        return WEIR_ERR_USAGE;
    }
    int result = parse(&order, &source, argc, argv, &err);
    if (result == 0)
        result = weir_view_source_open(&source, &order.view, &err);
    if (result == 0) {
        order.config = source.config;
        weir_name_key(order.key, sizeof order.key, order.view.group, KEY);
        result = verbs[verb].run(&order, &err);
    }
    weir_view_close(&order.view);
    if (result != 0)
        fprintf(stderr, "weir silence: %s\n", err.text);
    return -result;
}
