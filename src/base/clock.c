#include "weir/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t weir_clock_wall_ms(void) {
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t weir_clock_monotonic_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

void weir_clock_sleep_ms(int64_t ms) {
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    nanosleep(&left, NULL);
}
