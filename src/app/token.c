#include "app/token.h"

#include <stdio.h>
#include <sys/random.h>

#include "weir/err.h"

void weir_token_make(char *out, size_t digits) {
    unsigned char bytes[WEIR_TOKEN_LEN / 2];
    WEIR_ASSERT(digits <= WEIR_TOKEN_LEN && digits % 2 == 0);
    ssize_t got = getrandom(bytes, digits / 2, 0);
    WEIR_ASSERT(got == (ssize_t)(digits / 2));
    for (size_t i = 0; i < digits / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
