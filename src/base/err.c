#include "weir/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int weir_err_set(struct weir_err *err, enum weir_err_code code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = (int)code;
    return -(int)code;
}

void weir_assert_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "weir: broken invariant at %s:%d: %s\n", file, line, condition);
    abort();
}
