#include "weir/number.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* Behind a number comes its separator or the end. */
static int pass(const char **text, const char *end, char separator) {
    if (*end != separator && *end != '\0')
        return -1;
    *text = *end ? end + 1 : end;
    return 0;
}

int weir_number_next(const char **text, char separator, int64_t *number) {
    char *end;
    if (!isdigit((unsigned char)**text) && **text != '-')
        return -1;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    if (errno || end == *text || pass(text, end, separator) != 0)
        return -1;
    *number = value;
    return 0;
}

int weir_number_next_hex(const char **text, char separator, uint64_t *number) {
    char *end;
    if (!isxdigit((unsigned char)**text))
        return -1;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 16);
    if (errno || pass(text, end, separator) != 0)
        return -1;
    *number = value;
    return 0;
}

int weir_number_whole(const char *text, int64_t *number) {
    return weir_number_next(&text, '\0', number);
}
