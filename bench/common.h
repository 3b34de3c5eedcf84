/*
 * common: what the benches share: the clocks, the command line, figures over many rounds.
 *
 * No state of its own. One thread. A wrong option ends the program with 2 and a sentence, a failed
 * call with its code.
 */
#ifndef WEIR_BENCH_COMMON_H
#define WEIR_BENCH_COMMON_H

#include <stddef.h>
#include <stdint.h>

#include "weir/err.h"

/* CPU time of the process, all threads, in seconds; of this thread alone, in ns. */
double bench_cpu_s(void);
double bench_thread_ns(void);
/* Resident memory of the process in bytes, now. */
double bench_resident_bytes(void);

/* "--name value" pairs of the command line into longs and texts; `text` or `number` is set. */
struct bench_option {
    const char *name;
    const char **text;
    long *number;
    long min, max;
};
void bench_options(const char *program, int argc, char **argv, const struct bench_option *options,
                   size_t len);

/* Ends the program when `status` is not 0. */
void bench_check(const char *program, int status, const struct weir_err *err);

/* Sorts in place. */
void bench_sort(double *values, size_t len);
/* The value below which a share q of sorted values lies. */
double bench_quantile(const double *sorted, size_t len, double q);

#endif
