/* Any bytes as a rules file of a config that has windows, dimensions and metrics of its own: no
 * crash, and what is taken over is a rule of that config. */
#include <string.h>

#include "app/config_load.h"
#include "fuzz.h"
#include "weir/config.h"

static const char text[] =
    "events: { dimensions: { country: country, device: device } }\n"
    "windows: [1m, 15m, 24h]\n"
    "metrics: { roas: { ratio: [ { sum: value, of: purchase }, { sum: value, of: ad_cost } ] } }\n";

static struct weir_config *base(void) {
    static struct weir_config *config;
    struct weir_problems problems = {0};
    struct weir_err err;
    if (!config)
        WEIR_ASSERT(weir_config_load_bytes(&config, "base", text, strlen(text), &problems, &err) ==
                    0);
    return config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct weir_config *config = base();
    struct weir_mistakes mistakes;
    struct weir_rules rules = {0};
    weir_mistakes_init(&mistakes);
    struct weir_loader loader = {
        .scratch = weir_arena_new(), .kept = weir_arena_new(), .mistakes = &mistakes, .dir = "."};
    weir_rules_file_parse(&loader, &rules, "fuzz", (const char *)data, size, config);
    for (size_t i = 0; i < rules.len; i++)
        WEIR_ASSERT(rules.rules[i].name && rules.rules[i].group && rules.rules[i].metric);
    weir_rules_close(&rules);
    weir_mistakes_close(&mistakes);
    weir_arena_free(loader.kept);
    weir_arena_free(loader.scratch);
    return 0;
}
