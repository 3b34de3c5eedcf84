#include "app/arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/shown.h"

static char **copy_of(char **texts, size_t len) {
    char **copy = calloc(len + 1, sizeof *copy);
    WEIR_ASSERT(copy != NULL);
    for (size_t i = 0; i < len; i++) {
        copy[i] = strdup(texts[i]);
        WEIR_ASSERT(copy[i] != NULL);
    }
    return copy;
}

static void take_environment(void) {
    static char **volatile kept; /* once setenv has moved environ, it is no leak */
    char **original = environ;
    size_t len = 0;
    while (original[len])
        len++;
    environ = kept = copy_of(original, len);
    for (size_t i = 0; i < len; i++)
        explicit_bzero(original[i], strlen(original[i]));
}

char **weir_arguments_take(int argc, char **argv) {
    static char **copy;
    copy = copy_of(argv, (size_t)argc);
    for (int i = 0; i < argc; i++)
        weir_hide_users(argv[i]);
    take_environment();
    return copy;
}

int weir_arguments_named(const struct weir_named_text *known, size_t len, char **argv, int *at,
                         struct weir_err *err) {
    const char *word = argv[*at];
    for (size_t i = 0; i < len; i++) {
        size_t name = strlen(known[i].name);
        if (strncmp(word, known[i].name, name) != 0 || (word[name] && word[name] != '='))
            continue;
        if (!word[name] && !argv[*at + 1])
            return weir_err_set(err, WEIR_ERR_USAGE, "%s wants a value", known[i].name);
        *known[i].value = word[name] ? word + name + 1 : argv[++*at];
        return 1;
    }
    return 0;
}

int weir_arguments_next(int argc, char **argv, const struct option *known) {
    opterr = 0;
    int got = getopt_long(argc, argv, ":", known, NULL);
    if (got != '?' && got != ':')
        return got;
    const char *word = argv[optind - 1];
    if (got == ':')
        fprintf(stderr, "weir %s: %s wants a value\n", argv[0], weir_word_shown(word).text);
    else if (strncmp(word, "--", 2) == 0 && optopt != 0)
        fprintf(stderr, "weir %s: %.*s takes no value\n", argv[0], (int)strcspn(word, "="), word);
    else if (strncmp(word, "--", 2) == 0)
        fprintf(stderr, "weir %s: there is no option %s; weir %s --help lists them\n", argv[0],
                weir_word_shown(word).text, argv[0]);
    else
        fprintf(stderr, "weir %s: there is no option -%c; weir %s --help lists them\n", argv[0],
                optopt, argv[0]);
    return '?';
}
