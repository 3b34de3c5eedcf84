#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double bench_cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

double bench_thread_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double bench_resident_bytes(void) {
    char text[256] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    char *got = fgets(text, sizeof text, file);
    fclose(file);
    char *pages = got ? strchr(text, ' ') : NULL;
    return pages ? strtod(pages, NULL) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static void take(const char *program, const struct bench_option *option, const char *value) {
    if (option->text) {
        *option->text = value;
        return;
    }
    char *end;
    long number = strtol(value, &end, 10);
    if (!*value || *end || number < option->min || number > option->max) {
        fprintf(stderr, "%s: --%s %s is not a number from %ld to %ld\n", program, option->name,
                value, option->min, option->max);
        exit(2);
    }
    *option->number = number;
}

void bench_options(const char *program, int argc, char **argv, const struct bench_option *options,
                   size_t len) {
    for (int at = 1; at < argc; at += 2) {
        size_t i = 0;
        while (i < len &&
               (strncmp(argv[at], "--", 2) != 0 || strcmp(argv[at] + 2, options[i].name)))
            i++;
        if (i == len || at + 1 == argc) {
            fprintf(stderr, "%s: \"%s\" is no option with a value; there are:", program, argv[at]);
            for (i = 0; i < len; i++)
                fprintf(stderr, " --%s", options[i].name);
            fputc('\n', stderr);
            exit(2);
        }
        take(program, &options[i], argv[at + 1]);
    }
}

void bench_check(const char *program, int status, const struct weir_err *err) {
    if (status == 0)
        return;
    fprintf(stderr, "%s: %s\n", program, err->text);
    exit(status < 0 ? -status : status);
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void bench_sort(double *values, size_t len) {
    qsort(values, len, sizeof *values, by_size);
}

double bench_quantile(const double *sorted, size_t len, double q) {
    if (len == 0)
        return 0;
    size_t at = (size_t)(q * (double)len);
    return sorted[at < len ? at : len - 1];
}
