#include "app/silence.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/shown.h"

#define LABEL_MAX 63

/* ---- matchers ---- */

static char *copy(const char *text, size_t len) {
    char *bytes = strndup(text, len);
    WEIR_ASSERT(bytes != NULL);
    return bytes;
}

static bool is_label(const char *text, size_t len) {
    if (len == 0 || len > LABEL_MAX || isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_')
            return false;
    return true;
}

static int parse_matcher(struct weir_matcher *matcher, const char *text, struct weir_err *err) {
    const char *sign = strchr(text, '=');
    if (!sign)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "`%.100s` is not a matcher; write LABEL=VALUE or LABEL!=VALUE, such as "
                            "country=DE",
                            weir_path_shown(text));
    if (sign[1] == '~' || (sign > text && sign[-1] == '~'))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "`%.100s`: patterns are not known; write a whole value, LABEL=VALUE or "
                            "LABEL!=VALUE",
                            weir_path_shown(text));
    bool equal = sign == text || sign[-1] != '!';
    size_t label_len = (size_t)(sign - text) - (equal ? 0 : 1);
    if (!is_label(text, label_len))
        return weir_err_set(
            err, WEIR_ERR_INPUT,
            "`%.100s` does not begin with a label's name; write at most %d letters, "
            "digits and `_`, such as country=DE",
            weir_path_shown(text), LABEL_MAX);
    const char *value = sign + 1;
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value++;
        len -= 2;
    }
    if (len > WEIR_SILENCE_TEXT_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "the value of `%.*s` is longer than %d bytes",
                            (int)label_len, text, WEIR_SILENCE_TEXT_MAX);
    *matcher = (struct weir_matcher){copy(text, label_len), copy(value, len), equal};
    return 0;
}

static bool asks_for_something(const struct weir_silence *silence) {
    for (size_t i = 0; i < silence->matchers_len; i++) {
        const struct weir_matcher *matcher = &silence->matchers[i];
        WEIR_ASSERT(matcher->value != NULL);
        if (matcher->equal == (*matcher->value != 0))
            return true;
    }
    return false;
}

int weir_silence_take_matchers(struct weir_silence *silence, const char *const *texts, size_t len,
                               struct weir_err *err) {
    if (len == 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a silence needs a matcher; write LABEL=VALUE, such as "
                            "alertname=ConversionDown");
    if (len > WEIR_SILENCE_MATCHERS_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT, "%zu matchers are too many; write at most %d", len,
                            WEIR_SILENCE_MATCHERS_MAX);
    silence->matchers = calloc(len, sizeof *silence->matchers);
    WEIR_ASSERT(silence->matchers != NULL);
    for (size_t i = 0; i < len; i++) {
        int result = parse_matcher(&silence->matchers[i], texts[i], err);
        if (result != 0)
            return result;
        silence->matchers_len++;
    }
    if (!asks_for_something(silence))
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "this would silence alerts that have none of these labels, so nearly "
                            "all; add a matcher of the form LABEL=VALUE");
    return 0;
}

void weir_silence_describe(const struct weir_silence *silence, char *out, size_t max) {
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < silence->matchers_len && used < max; i++) {
        const struct weir_matcher *matcher = &silence->matchers[i];
        int len = snprintf(out + used, max - used, "%s%s%s%s", i ? " " : "", matcher->label,
                           matcher->equal ? "=" : "!=", matcher->value);
        used += len > 0 ? (size_t)len : 0;
    }
}

static bool matcher_holds(const struct weir_matcher *matcher, const struct weir_label *labels,
                          size_t labels_len) {
    const char *value = "";
    for (size_t i = 0; i < labels_len; i++)
        if (strcmp(labels[i].name, matcher->label) == 0)
            value = labels[i].value;
    return (strcmp(value, matcher->value) == 0) == matcher->equal;
}

bool weir_silence_matches(const struct weir_silence *silence, const struct weir_label *labels,
                          size_t labels_len) {
    for (size_t i = 0; i < silence->matchers_len; i++)
        if (!matcher_holds(&silence->matchers[i], labels, labels_len))
            return false;
    return silence->matchers_len > 0;
}

void weir_silence_close(struct weir_silence *silence) {
    for (size_t i = 0; i < silence->matchers_len; i++) {
        free(silence->matchers[i].label);
        free(silence->matchers[i].value);
    }
    free(silence->matchers);
    free(silence->id);
    free(silence->comment);
    free(silence->created_by);
    *silence = (struct weir_silence){0};
}

/* ---- as JSON ---- */

char *weir_silence_json(const struct weir_silence *silence) {
    json_t *matchers = json_array();
    for (size_t i = 0; i < silence->matchers_len; i++) {
        const struct weir_matcher *matcher = &silence->matchers[i];
        json_array_append_new(matchers,
                              json_pack("{s:s, s:s, s:s}", "label", matcher->label, "op",
                                        matcher->equal ? "=" : "!=", "value", matcher->value));
    }
    bool whole = json_array_size(matchers) == silence->matchers_len; /* else not UTF-8 */
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "id", silence->id, "comment",
                             silence->comment, "created_by", silence->created_by, "created_at_ms",
                             (json_int_t)silence->created_ms, "expires_at_ms",
                             (json_int_t)silence->expires_ms, "matchers", matchers);
    char *text = json && whole ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static bool take_text(char **out, const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    if (text)
        *out = copy(text, strlen(text));
    return text != NULL;
}

static bool take_matcher(struct weir_silence *silence, const json_t *json) {
    struct weir_matcher *matcher = &silence->matchers[silence->matchers_len++];
    const char *op = json_string_value(json_object_get(json, "op"));
    matcher->equal = op && strcmp(op, "=") == 0;
    return op && (matcher->equal || strcmp(op, "!=") == 0) &&
           take_text(&matcher->label, json, "label") && take_text(&matcher->value, json, "value");
}

static bool take_all(struct weir_silence *silence, const json_t *json) {
    const json_t *created = json_object_get(json, "created_at_ms");
    const json_t *expires = json_object_get(json, "expires_at_ms");
    const json_t *matchers = json_object_get(json, "matchers");
    size_t len = json_array_size(matchers);
    if (!take_text(&silence->id, json, "id") || !take_text(&silence->comment, json, "comment") ||
        !take_text(&silence->created_by, json, "created_by") || !json_is_integer(created) ||
        !json_is_integer(expires) || len == 0 || len > WEIR_SILENCE_MATCHERS_MAX)
        return false;
    silence->created_ms = json_integer_value(created);
    silence->expires_ms = json_integer_value(expires);
    silence->matchers = calloc(len, sizeof *silence->matchers);
    WEIR_ASSERT(silence->matchers != NULL);
    for (size_t i = 0; i < len; i++)
        if (!take_matcher(silence, json_array_get(matchers, i)))
            return false;
    return asks_for_something(silence);
}

int weir_silence_parse(struct weir_silence *silence, const char *json, size_t len,
                       struct weir_err *err) {
    json_t *tree = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
    *silence = (struct weir_silence){0};
    bool whole = take_all(silence, tree);
    json_decref(tree);
    if (whole)
        return 0;
    weir_silence_close(silence);
    return weir_err_set(err, WEIR_ERR_INPUT, "the silence is damaged");
}

/* ---- a group's ---- */

int weir_silences_load(struct weir_silences *silences, const struct weir_reply *hgetall,
                       int64_t now_ms) {
    *silences = (struct weir_silences){0};
    if (hgetall->type != WEIR_REPLY_ARRAY || hgetall->items_len % 2 != 0)
        return -1;
    int damaged = 0;
    silences->items = calloc(hgetall->items_len / 2 + 1, sizeof *silences->items);
    WEIR_ASSERT(silences->items != NULL);
    for (size_t i = 0; i + 1 < hgetall->items_len; i += 2) {
        const struct weir_reply *id = hgetall->items[i], *json = hgetall->items[i + 1];
        struct weir_silence *silence = &silences->items[silences->len];
        struct weir_err ignored;
        if (id->type != WEIR_REPLY_TEXT || json->type != WEIR_REPLY_TEXT ||
            weir_silence_parse(silence, json->text, json->len, &ignored) != 0)
            damaged++;
        else if (silence->expires_ms <= now_ms)
            weir_silence_close(silence);
        else
            silences->len++;
    }
    return damaged;
}

const char *weir_silences_find(const struct weir_silences *silences,
                               const struct weir_label *labels, size_t labels_len) {
    for (size_t i = 0; i < silences->len; i++)
        if (weir_silence_matches(&silences->items[i], labels, labels_len))
            return silences->items[i].id;
    return NULL;
}

void weir_silences_close(struct weir_silences *silences) {
    for (size_t i = 0; i < silences->len; i++)
        weir_silence_close(&silences->items[i]);
    free(silences->items);
    *silences = (struct weir_silences){0};
}
