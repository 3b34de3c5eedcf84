/* check: the least that a test program needs. CHECK counts; check_done prints and gives main's
 * result. The last line is what tests/run adds up: "<name>: N passed, N failed". */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>

static int check_passed_, check_failed_;

#define CHECK(condition) check_that_((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_INT(got, want)                                                                       \
    check_int_((long long)(got), (long long)(want), __FILE__, __LINE__, #got)
#define CHECK_TEXT(got, want) check_text_((got), (want), __FILE__, __LINE__, #got)

static inline void check_that_(int holds, const char *file, int line, const char *text) {
    if (holds) {
        check_passed_++;
        return;
    }
    check_failed_++;
    printf("%s:%d: failed: %s\n", file, line, text);
}

static inline void check_int_(long long got, long long want, const char *file, int line,
                              const char *text) {
    if (got != want)
        printf("%s:%d: %s is %lld, not %lld\n", file, line, text, got, want);
    check_that_(got == want, file, line, text);
}

static inline void check_text_(const char *got, const char *want, const char *file, int line,
                               const char *text) {
    int same = got && want && strcmp(got, want) == 0;
    if (!same)
        printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, text, got ? got : "(null)",
               want ? want : "(null)");
    check_that_(same, file, line, text);
}

static inline int check_done(const char *name) {
    printf("%s: %d passed, %d failed\n", name, check_passed_, check_failed_);
    return check_failed_ ? 1 : 0;
}

#endif
