#include "core/mapping.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const field_names[WEIR_FIELDS] = {
    [WEIR_FIELD_TYPE] = "type",         [WEIR_FIELD_TIME] = "time",
    [WEIR_FIELD_SESSION] = "session",   [WEIR_FIELD_VISITOR] = "visitor",
    [WEIR_FIELD_EVENT_ID] = "event_id", [WEIR_FIELD_ORDER_ID] = "order_id",
    [WEIR_FIELD_VALUE] = "value",       [WEIR_FIELD_CURRENCY] = "currency",
    [WEIR_FIELD_QUANTITY] = "quantity", [WEIR_FIELD_USER_AGENT] = "user_agent",
};

/* What an event may take from the record around it; the rest would be the same for all of them. */
static const bool field_outer[WEIR_FIELDS_ALL] = {
    [WEIR_FIELD_TIME] = true,     [WEIR_FIELD_SESSION] = true,    [WEIR_FIELD_VISITOR] = true,
    [WEIR_FIELD_CURRENCY] = true, [WEIR_FIELD_USER_AGENT] = true, [WEIR_FIELD_CLIENT] = true,
};

const char *weir_field_name(enum weir_field field) {
    return field < WEIR_FIELDS ? field_names[field] : NULL;
}

int weir_field_of(const char *name) {
    for (int field = 0; field < WEIR_FIELDS; field++)
        if (strcmp(field_names[field], name) == 0)
            return field;
    return -1;
}

static int add_candidate(struct weir_mapping *mapping, struct weir_candidates *candidates,
                         const char *path, struct weir_err *err) {
    int slot = -1, rc = weir_mapping_add_path(mapping, path, &slot, err);
    if (rc != 0)
        return rc;
    for (int i = 0; i < candidates->len; i++)
        if (candidates->slots[i] == slot)
            return 0; /* an earlier place is the stronger one */
    WEIR_ASSERT(candidates->len < WEIR_CANDIDATES_MAX);
    candidates->slots[candidates->len++] = (uint8_t)slot;
    return 0;
}

static int add_fields(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                      const struct weir_preset *preset, struct weir_err *err) {
    for (int field = 0; field < WEIR_FIELDS_ALL; field++) {
        struct weir_candidates *candidates = &mapping->fields[field];
        const char *over = field < WEIR_FIELDS ? options->fields[field] : NULL;
        candidates->outer = preset->lists[0].key && field_outer[field];
        int rc = over ? add_candidate(mapping, candidates, over, err) : 0;
        for (int i = 0; rc == 0 && i < WEIR_PRESET_PATHS_MAX && preset->fields[field][i]; i++)
            rc = add_candidate(mapping, candidates, preset->fields[field][i], err);
        if (rc != 0)
            return rc;
    }
    /* A session that the user maps is taken as it is. */
    mapping->session_of_client =
        mapping->fields[WEIR_FIELD_CLIENT].len > 0 && !options->fields[WEIR_FIELD_SESSION];
    return 0;
}

static int add_dimensions(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                          const struct weir_preset *preset, struct weir_err *err) {
    if (options->dimensions_len > WEIR_DIMENSIONS_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%zu dimensions are more than the %d that are "
                            "kept; leave out the least useful",
                            options->dimensions_len, WEIR_DIMENSIONS_MAX);
    for (size_t i = 0; i < options->dimensions_len; i++) {
        struct weir_candidates *candidates = &mapping->dimensions[i];
        memset(candidates->slots, WEIR_SLOT_NONE, WEIR_CANDIDATES_MAX);
        candidates->outer = preset->lists[0].key != NULL;
        int rc = add_candidate(mapping, candidates, options->dimensions[i].value, err);
        if (rc != 0)
            return rc;
    }
    mapping->dimensions_len = (uint32_t)options->dimensions_len;
    return 0;
}

static int custom_type(const struct weir_mapping_options *options, const char *name) {
    for (size_t i = 0; i < options->custom_types_len; i++)
        if (strcmp(options->custom_types[i], name) == 0)
            return WEIR_CUSTOM_TYPE_FIRST + (int)i;
    return -1;
}

static int add_type(struct weir_mapping *mapping, const char *name, int type,
                    struct weir_err *err) {
    if (weir_keys_add(&mapping->types, name, strlen(name), type) != 0)
        return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory for the types");
    return 0;
}

static int add_user_types(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                          struct weir_err *err) {
    for (size_t i = 0; i < options->types_len; i++) {
        const char *name = options->types[i].name, *to = options->types[i].value;
        int type = weir_event_type_of(to, strlen(to));
        if (type < 0)
            type = custom_type(options, to);
        if (type < 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "types: `%.100s: %.100s`: there is no type `%.100s`; write "
                                "page_view, interaction, add_to_cart, remove_from_cart, "
                                "begin_checkout, purchase, refund, session_start, session_end or "
                                "a type that a custom metric names",
                                name, to, to);
        if (*name == 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "types: a name is empty; write the source's own name of `%.100s`",
                                to);
        int rc = add_type(mapping, name, type, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* A custom metric whose events are taken for something else would stay at 0 without a word. */
static int add_custom_type(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                           size_t i, struct weir_err *err) {
    const char *name = options->custom_types[i];
    for (size_t j = 0; j < options->types_len; j++)
        if (strcmp(options->types[j].value, name) == 0)
            return 0; /* it has names of its own */
    if (weir_keys_find(&mapping->types, name, strlen(name)) >= 0)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a metric counts `%.100s`, which preset %s reads as one of weir's own "
                            "types; add `types: { \"%.100s\": %.100s }` to count it apart",
                            name, options->preset, name, name);
    return add_type(mapping, name, WEIR_CUSTOM_TYPE_FIRST + (int)i, err);
}

/* The first name wins: the config's table, then the preset's, then the custom metrics'. */
static int add_types(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                     const struct weir_preset *preset, struct weir_err *err) {
    if (options->custom_types_len > WEIR_CUSTOM_TYPES_MAX)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "%zu custom types are more than the %d that are "
                            "kept",
                            options->custom_types_len, WEIR_CUSTOM_TYPES_MAX);
    int rc = add_user_types(mapping, options, err);
    for (int i = 0; rc == 0 && preset->types[i].name; i++)
        rc = add_type(mapping, preset->types[i].name, preset->types[i].type, err);
    for (int type = 0; rc == 0 && preset->own_names && type < WEIR_UNKNOWN_TYPE; type++)
        rc = add_type(mapping, weir_event_type_name(type), type, err);
    for (size_t i = 0; rc == 0 && i < options->custom_types_len; i++)
        rc = add_custom_type(mapping, options, i, err);
    return rc;
}

uint64_t weir_currency_code(const char *text, size_t len) {
    uint64_t code = 0;
    if (len > WEIR_CODE_MAX)
        return 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 0x20);
        code = code << 8 | c;
    }
    return code;
}

static int add_currencies(struct weir_mapping *mapping, const struct weir_mapping_options *options,
                          struct weir_err *err) {
    if (!options->currency_to)
        return 0;
    mapping->currencies = calloc(options->rates_len + 1, sizeof(*mapping->currencies));
    if (!mapping->currencies)
        return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory for the currencies");
    for (size_t i = 0; i <= options->rates_len; i++) {
        const char *text = i == 0 ? options->currency_to : options->rates[i - 1].code;
        double rate = i == 0 ? 1.0 : options->rates[i - 1].rate;
        uint64_t code = weir_currency_code(text, strlen(text));
        if (code == 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "currency: `%.40s` is not a code; write one "
                                "such as EUR",
                                text);
        if (!isfinite(rate) || rate <= 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "currency: the rate of %.40s is %g; write a number above 0, the "
                                "value of one %.40s in %.40s",
                                text, rate, text, options->currency_to);
        mapping->currencies[mapping->currencies_len++] = (struct weir_currency){code, rate};
    }
    return 0;
}

/* What holds the events is no value of theirs. */
static int check_lists(const struct weir_mapping *mapping,
                       const struct weir_mapping_options *options, struct weir_err *err) {
    for (uint32_t i = 0; i < mapping->nodes_len; i++)
        if (mapping->nodes[i].list >= 0 && mapping->nodes[i].slot >= 0)
            return weir_err_set(err, WEIR_ERR_INPUT,
                                "path `%s` is where preset %s finds the events themselves; name a "
                                "key of an event",
                                mapping->lists[mapping->nodes[i].list].key, options->preset);
    return 0;
}

int weir_mapping_new(struct weir_mapping **mapping, const struct weir_mapping_options *options,
                     struct weir_err *err) {
    *mapping = NULL;
    const struct weir_preset *preset = options->preset ? weir_preset_of(options->preset) : NULL;
    if (!preset)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "preset `%.100s` is not known; write weir, ga4, "
                            "segment, snowplow, rees46 or otto",
                            options->preset ? options->preset : "");
    if (options->record_max > UINT32_MAX / 2)
        return weir_err_set(err, WEIR_ERR_INPUT,
                            "a record of %zu bytes is too large; write 1GiB at most",
                            options->record_max);
    struct weir_mapping *new_mapping = calloc(1, sizeof(*new_mapping));
    if (!new_mapping)
        return weir_err_set(err, WEIR_ERR_REFUSED, "out of memory for the events' mapping");
    for (int field = 0; field < WEIR_FIELDS_ALL; field++)
        memset(new_mapping->fields[field].slots, WEIR_SLOT_NONE, WEIR_CANDIDATES_MAX);
    new_mapping->record_max = options->record_max ? options->record_max : WEIR_RECORD_MAX_DEFAULT;
    int rc = add_fields(new_mapping, options, preset, err);
    for (int i = 0; rc == 0 && preset->lists[i].key; i++)
        rc = weir_mapping_add_list(new_mapping, &preset->lists[i], err);
    if (rc == 0)
        rc = add_dimensions(new_mapping, options, preset, err);
    if (rc == 0)
        rc = check_lists(new_mapping, options, err);
    if (rc == 0)
        rc = add_types(new_mapping, options, preset, err);
    if (rc == 0)
        rc = add_currencies(new_mapping, options, err);
    if (rc != 0) {
        weir_mapping_free(new_mapping);
        return rc;
    }
    *mapping = new_mapping;
    return 0;
}

void weir_mapping_free(struct weir_mapping *mapping) {
    if (!mapping)
        return;
    weir_mapping_free_nodes(mapping);
    weir_keys_free(&mapping->types);
    free(mapping->currencies);
    free(mapping);
}
