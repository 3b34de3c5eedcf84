/* Any bytes as a config: no crash, and every refusal has words. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "app/config_load.h"
#include "fuzz.h"

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
    weir_config_free(config);
    weir_problems_free(&problems);
    return 0;
}
