/*
 * clock: the only reader of the clock. Everything below io takes time as an argument.
 * Thread: any.
 */
#ifndef WEIR_CLOCK_H
#define WEIR_CLOCK_H

#include <stdint.h>

int64_t weir_clock_wall_ms(void);      /* ms since 1970-01-01 UTC */
int64_t weir_clock_monotonic_us(void); /* us since some start; never goes back */
void weir_clock_sleep_ms(int64_t ms);

#endif
