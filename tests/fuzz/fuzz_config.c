/* Any bytes as a config, and as a rules file of a config: no crash, and every refusal has words. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "app/config_load.h"
#include "weir/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void fuzz_rules(const char *bytes, size_t len, const struct weir_config *config) {
    struct weir_mistakes mistakes;
    struct weir_rules rules = {0};
    weir_mistakes_init(&mistakes);
    struct weir_loader loader = {
        .scratch = weir_arena_new(), .kept = weir_arena_new(), .mistakes = &mistakes, .dir = "."};
    weir_rules_file_parse(&loader, &rules, "fuzz", bytes, len, config);
    for (size_t i = 0; i < rules.len; i++)
        WEIR_ASSERT(rules.rules[i].name && rules.rules[i].group && rules.rules[i].metric);
    weir_rules_close(&rules);
    weir_mistakes_close(&mistakes);
    weir_arena_free(loader.kept);
    weir_arena_free(loader.scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    struct weir_config *config = NULL;
    struct weir_problems problems = {0};
    struct weir_err err = {0};
    const char *text = (const char *)bytes;
    int code = weir_config_load_bytes(&config, "fuzz", text, len, &problems, &err);
    WEIR_ASSERT((code == 0) == (config != NULL));
    WEIR_ASSERT((code == 0) == (problems.len == 0));
    if (config) {
        char out[256];
        WEIR_ASSERT(weir_config_restart_needed(config, config, out, sizeof out) == 0);
    }
    fuzz_rules(text, len, config);
    weir_config_free(config);
    weir_problems_free(&problems);
    return 0;
}
