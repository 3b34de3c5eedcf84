#include "app/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

/* A password that is not %-encoded may hold any of ":/?#@": all up to the last @ is hidden. */
static void hide(char *text) {
    char *rest = strstr(text, "://");
    char *at = rest ? strrchr(rest + 3, '@') : NULL;
    if (at)
        memset(rest + 3, 'x', (size_t)(at - rest - 3));
}

char **weir_arguments_take(int argc, char **argv) {
    static char **copy; /* for the whole life of the process */
    copy = calloc((size_t)argc + 1, sizeof *copy);
    WEIR_ASSERT(copy != NULL);
    for (int i = 0; i < argc; i++) {
        copy[i] = strdup(argv[i]);
        WEIR_ASSERT(copy[i] != NULL);
        hide(argv[i]);
    }
    return copy;
}
