/*
 * err: what went wrong, in words that say what to do.
 *
 * The caller owns the error. A function that can fail takes `struct weir_err *` last, returns 0 or
 * a negative code, and fills the error only when it fails. `err` may not be NULL.
 * Thread: no shared state. The codes are also the exit codes of the program (interface).
 */
#ifndef WEIR_ERR_H
#define WEIR_ERR_H

#define WEIR_ERR_TEXT_MAX 1024

enum weir_err_code {
    WEIR_ERR_INPUT = 1,       /* the input or the config is wrong */
    WEIR_ERR_USAGE = 2,       /* the command line is wrong */
    WEIR_ERR_UNREACHABLE = 3, /* a service cannot be reached */
    WEIR_ERR_REFUSED = 4,     /* going on would break a promise */
};

struct weir_err {
    int code; /* one of enum weir_err_code, 0 when nothing failed */
    char text[WEIR_ERR_TEXT_MAX];
};

/* Formats the text (cut at WEIR_ERR_TEXT_MAX) and returns -code, so `return weir_err_set(...)`. */
int weir_err_set(struct weir_err *err, enum weir_err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A broken invariant ends the program in release builds too, with the place and the condition. */
#define WEIR_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : weir_assert_failed(__FILE__, __LINE__, #condition))
_Noreturn void weir_assert_failed(const char *file, int line, const char *condition);

#endif
