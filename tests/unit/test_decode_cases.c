/* The cases of tests/cases/decode: a mapping, records, and what they decode to; and that both
 * parsers say the same. */
#include <dirent.h>
#include <jansson.h>

#include "test_decode.h"

#define PAIRS_MAX 32

struct mapping_text {
    struct weir_mapping_options options;
    struct weir_name_pair types[PAIRS_MAX], dimensions[PAIRS_MAX];
    struct weir_currency_rate rates[PAIRS_MAX];
    const char *custom_types[PAIRS_MAX];
};

static size_t read_pairs(struct weir_name_pair *pairs, json_t *object) {
    size_t len = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value) {
        pairs[len++] = (struct weir_name_pair){key, json_string_value(value)};
    }
    return len;
}

static void read_mapping(struct mapping_text *text, json_t *from) {
    *text = (struct mapping_text){.options = {
                                      .types = text->types,
                                      .dimensions = text->dimensions,
                                      .custom_types = text->custom_types,
                                      .preset = json_string_value(json_object_get(from, "preset")),
                                      .currency_to = json_string_value(json_object_get(from, "to")),
                                  }};
    struct weir_mapping_options *options = &text->options;
    options->types_len = read_pairs(text->types, json_object_get(from, "types"));
    options->dimensions_len = read_pairs(text->dimensions, json_object_get(from, "dimensions"));
    options->record_max = (size_t)json_integer_value(json_object_get(from, "record_max"));
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(from, "fields"), key, value) {
        CHECK(weir_field_of(key) >= 0);
        options->fields[weir_field_of(key)] = json_string_value(value);
    }
    json_object_foreach(json_object_get(from, "rates"), key, value) {
        text->rates[options->rates_len++] =
            (struct weir_currency_rate){key, json_number_value(value)};
    }
    options->rates = text->rates;
    json_array_foreach(json_object_get(from, "custom_types"), i, value) {
        text->custom_types[options->custom_types_len++] = json_string_value(value);
    }
}

/* The record's bytes: `text` as it is, `hex`, or `record`, a value to be written as JSON. */
static char *read_record(json_t *from, size_t *len) {
    json_t *text = json_object_get(from, "text"), *hex = json_object_get(from, "hex");
    char *bytes;
    if (hex) {
        const char *digits = json_string_value(hex);
        *len = strlen(digits) / 2;
        bytes = malloc(*len + 1);
        for (size_t i = 0; i < *len; i++) {
            unsigned byte = 0;
            CHECK(sscanf(digits + 2 * i, "%2x", &byte) == 1);
            bytes[i] = (char)byte;
        }
        return bytes;
    }
    bytes = text ? strdup(json_string_value(text))
                 : json_dumps(json_object_get(from, "record"), JSON_COMPACT | JSON_ENCODE_ANY);
    *len = bytes ? strlen(bytes) : 0;
    return bytes;
}

/* One line for each event; or the reason for the whole record in angle brackets. */
static json_t *lines_of(const struct weir_decoded *decoded) {
    json_t *lines = json_array();
    char line[EVENT_LINE_MAX];
    if (decoded->reason != WEIR_OK) {
        snprintf(line, sizeof(line), "<%s>", weir_reason_name(decoded->reason));
        json_array_append_new(lines, json_string(line));
    }
    for (size_t i = 0; i < decoded->len; i++) {
        event_line(&decoded->events[i], line);
        json_array_append_new(lines, json_string(line));
    }
    return lines;
}

static void check_case(struct both *both, json_t *one, const char *file) {
    size_t len;
    char *bytes = read_record(one, &len);
    bool agree = both_decode(both, bytes, len);
    json_t *got = lines_of(&both->fast), *want = json_object_get(one, "events");
    bool same = json_equal(got, want);
    const char *reference = json_string_value(json_object_get(one, "reference"));
    bool reference_same = !reference || strcmp(reference, weir_reason_name(both->ref.reason)) == 0;
    if (!same || !agree || !reference_same) {
        char *text = json_dumps(got, JSON_INDENT(1));
        printf("%s: %s\n  got: %s\n  jansson: %s\n", file, bytes, text,
               weir_reason_name(both->ref.reason));
        free(text);
    }
    CHECK(agree);
    CHECK(same);
    CHECK(reference_same);
    /* What is not said to be damage that weir_decode skips has to be seen by both. */
    CHECK(reference || both->fast.reason == both->ref.reason);
    json_decref(got);
    free(bytes);
}

static void check_group(json_t *group, const char *file) {
    struct mapping_text text;
    struct both both;
    json_t *one, *error = json_object_get(group, "error");
    size_t i;
    read_mapping(&text, json_object_get(group, "mapping"));
    if (error) {
        struct weir_err err = {0};
        struct weir_mapping *mapping;
        CHECK_INT(weir_mapping_new(&mapping, &text.options, &err), -WEIR_ERR_INPUT);
        CHECK_TEXT(err.text, json_string_value(error));
        weir_mapping_free(mapping);
        return;
    }
    bool open = both_open(&both, &text.options);
    CHECK(open);
    json_array_foreach(json_object_get(group, "cases"), i, one) {
        if (open)
            check_case(&both, one, file);
    }
    both_close(&both);
}

static void check_file(const char *path, const char *name) {
    json_error_t error;
    json_t *groups = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *group;
    size_t i;
    if (!groups)
        printf("%s:%d: %s\n", path, error.line, error.text);
    CHECK(json_is_array(groups) && json_array_size(groups) > 0);
    json_array_foreach(groups, i, group) {
        check_group(group, name);
    }
    json_decref(groups);
}

int main(void) {
    char folder[1024], path[2048];
    int dir = (int)(strstr(__FILE__, "unit/") - __FILE__);
    snprintf(folder, sizeof(folder), "%.*scases/decode", dir, __FILE__);
    DIR *open = opendir(folder);
    int files = 0;
    CHECK(open != NULL);
    for (struct dirent *entry; open && (entry = readdir(open));) {
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        check_file(path, entry->d_name);
        files++;
    }
    if (open)
        closedir(open);
    CHECK(files >= 4);
    return check_done("decode_cases");
}
