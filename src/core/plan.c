#include "weir/plan.h"

#define MINUTE_MS 60000
#define HOUR_MS 3600000

const int64_t weir_level_ms[WEIR_LEVELS] = {10000, MINUTE_MS, HOUR_MS};

int weir_window_level(int64_t window_ms) {
    if (window_ms <= HOUR_MS)
        return 0;
    return window_ms <= 24 * (int64_t)HOUR_MS ? 1 : 2;
}

int64_t weir_level_retention_ms(const struct weir_plan *plan, int level) {
    int64_t longest_ms = 0;
    for (uint32_t i = 0; i < plan->windows_len; i++)
        if (weir_window_level(plan->windows_ms[i]) == level && plan->windows_ms[i] > longest_ms)
            longest_ms = plan->windows_ms[i];
    return 2 * longest_ms;
}
