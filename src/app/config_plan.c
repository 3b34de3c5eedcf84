/* How to count: windows, sessions, and the fingerprint of all of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "config_load.h"
#include "config_memory.h"
#include "config_value.h"
#include "weir/buf.h"

#define WINDOW_MIN_MS 10000LL
#define WINDOW_MAX_MS (90LL * 24 * 60 * 60 * 1000)
#define FINGERPRINT_BYTES_MAX (16 * 1024 * 1024)

static void not_a_multiple(struct weir_loader *loader, const struct weir_yaml *item,
                           int64_t window_ms, int64_t slide_ms) {
    char slide[WEIR_VALUE_TEXT_MAX], lower[WEIR_VALUE_TEXT_MAX], upper[WEIR_VALUE_TEXT_MAX];
    weir_value_duration_text(slide, slide_ms);
    weir_value_duration_text(lower, window_ms / slide_ms * slide_ms);
    weir_value_duration_text(upper, (window_ms / slide_ms + 1) * slide_ms);
    WEIR_MISTAKE(loader->mistakes, item, "%s is not a multiple of its slide, %s; write %s or %s",
                 weir_yaml_shown(loader->scratch, item), slide, lower, upper);
}

static void read_window(struct weir_loader *loader, struct weir_plan *plan,
                        const struct weir_yaml *item) {
    const char *text = weir_load_text(loader, item, 64);
    int64_t window_ms = 0;
    if (!text)
        return;
    enum weir_value_fault fault = weir_value_duration(text, &window_ms);
    const char *shown = weir_yaml_shown(loader->scratch, item);
    if (fault == WEIR_VALUE_MALFORMED || fault == WEIR_VALUE_NO_UNIT) {
        WEIR_MISTAKE(loader->mistakes, item,
                     "%s is not a duration; write a whole number with s, m, h or d, such as 15m",
                     shown);
        return;
    }
    if (fault != WEIR_VALUE_OK || window_ms < WINDOW_MIN_MS || window_ms > WINDOW_MAX_MS) {
        WEIR_MISTAKE(loader->mistakes, item, "%s is out of range; write 10s to 90d", shown);
        return;
    }
    int64_t slide_ms = weir_level_ms[weir_window_level(window_ms)];
    if (window_ms % slide_ms != 0) {
        not_a_multiple(loader, item, window_ms, slide_ms);
        return;
    }
    for (uint32_t i = 0; i < plan->windows_len; i++) {
        if (plan->windows_ms[i] != window_ms)
            continue;
        WEIR_MISTAKE(loader->mistakes, item, "%s stands in the list twice; keep one", shown);
        return;
    }
    plan->windows_ms[plan->windows_len++] = window_ms;
}

static int ascending(const void *left, const void *right) {
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static int pairs_by_name(const void *left, const void *right) {
    const struct weir_name_pair *a = left, *b = right;
    return strcmp(a->name, b->name);
}

static int rates_by_code(const void *left, const void *right) {
    const struct weir_currency_rate *a = left, *b = right;
    return strcmp(a->code, b->code);
}

/* Each text behind its length, so that no two lists can look the same. */
static void put(struct weir_buf *out, const char *text) {
    weir_buf_printf(out, "%zu:%s,", text ? strlen(text) : 0, text ? text : "");
}

static void put_number(struct weir_buf *out, const char *name, int64_t value) {
    weir_buf_printf(out, "%s=%" PRId64 "\n", name, value);
}

static void put_plan(struct weir_buf *out, const struct weir_plan *plan) {
    put_number(out, "gap", plan->gap_ms);
    put_number(out, "cap", plan->cap_ms);
    put_number(out, "recovery", plan->recovery_ms);
    put_number(out, "bounce", (int64_t)plan->bounce);
    put_number(out, "cart", (int64_t)plan->cart);
    put_number(out, "sessions_max", plan->sessions_max);
    put_number(out, "out_of_orderness", plan->out_of_orderness_ms);
    put_number(out, "allowed_lateness", plan->allowed_lateness_ms);
    put_number(out, "max_ahead", plan->max_ahead_ms);
    put_number(out, "values_max", plan->values_max);
    put_number(out, "bot_events_max", plan->bot_events_max);
    put_number(out, "bot_user_agents", plan->bot_user_agents);
    for (uint32_t i = 0; i < plan->custom_counters_len; i++)
        weir_buf_printf(out, "counter=%d,%d\n", plan->custom_counters[i].type,
                        (int)plan->custom_counters[i].what);
    for (uint32_t i = 0; i < plan->windows_len; i++)
        put_number(out, "window", plan->windows_ms[i]);
}

static void put_mapping(struct weir_loader *loader, struct weir_buf *out,
                        const struct weir_mapping_options *mapping) {
    put(out, mapping->preset);
    for (int i = 0; i < WEIR_FIELDS; i++)
        put(out, mapping->fields[i]);
    /* The order of these says nothing, so it may change. */
    struct weir_name_pair *types =
        weir_arena_take(loader->scratch, sizeof *types * (mapping->types_len + 1));
    memcpy(types, mapping->types, mapping->types_len * sizeof *types);
    qsort(types, mapping->types_len, sizeof *types, pairs_by_name);
    weir_buf_printf(out, "\ntypes=%zu ", mapping->types_len);
    for (size_t i = 0; i < mapping->types_len; i++) {
        put(out, types[i].name);
        put(out, types[i].value);
    }
    weir_buf_printf(out, "\ndimensions=%zu ", mapping->dimensions_len);
    for (size_t i = 0; i < mapping->dimensions_len; i++) {
        put(out, mapping->dimensions[i].name);
        put(out, mapping->dimensions[i].value);
    }
    weir_buf_printf(out, "\ncustom_types=%zu ", mapping->custom_types_len);
    for (size_t i = 0; i < mapping->custom_types_len; i++)
        put(out, mapping->custom_types[i]);
    struct weir_currency_rate *rates =
        weir_arena_take(loader->scratch, sizeof *rates * (mapping->rates_len + 1));
    memcpy(rates, mapping->rates, mapping->rates_len * sizeof *rates);
    qsort(rates, mapping->rates_len, sizeof *rates, rates_by_code);
    put(out, mapping->currency_to);
    for (size_t i = 0; i < mapping->rates_len; i++)
        weir_buf_printf(out, "%s=%.17g,", rates[i].code, rates[i].rate);
    weir_buf_printf(out, "\nrecord_max=%zu\n", mapping->record_max);
}

static uint64_t fingerprint(struct weir_loader *loader, const struct weir_config *config) {
    struct weir_buf out;
    weir_buf_init(&out, FINGERPRINT_BYTES_MAX);
    weir_buf_text(&out, "weir plan 1\n");
    put_plan(&out, &config->plan);
    put_mapping(loader, &out, &config->mapping);
    WEIR_ASSERT(!out.failed && out.data);
    uint64_t hash = XXH3_64bits(out.data, out.len);
    weir_buf_close(&out);
    return hash;
}

void weir_load_plan(struct weir_loader *loader, struct weir_config *config) {
    struct weir_plan *plan = &config->plan;
    const struct weir_yaml *cap = weir_load_node(loader, "sessions.cap");
    const struct weir_yaml *gap = weir_load_node(loader, "sessions.gap");
    if (plan->cap_ms < plan->gap_ms) {
        const struct weir_yaml *place = cap->line > 0 ? cap : gap; /* the one that was written */
        WEIR_MISTAKE(loader->mistakes, place,
                     "the cap (%s) is below the gap (%s), so no session would end by the gap; "
                     "write a cap of at least the gap",
                     cap->written, gap->written);
    }
    const struct weir_yaml *cart = weir_load_node(loader, "sessions.cart");
    if (cart->line == 0 && strcmp(config->mapping.preset, "rees46") == 0)
        plan->cart = WEIR_CART_ANY;

    const struct weir_yaml *list = weir_load_node(loader, "windows");
    for (size_t i = 0; i < weir_load_items(list); i++)
        read_window(loader, plan, weir_load_item(list, i));
    qsort(plan->windows_ms, plan->windows_len, sizeof plan->windows_ms[0], ascending);
    weir_load_memory(loader, config);
    plan->fingerprint = fingerprint(loader, config);
}
