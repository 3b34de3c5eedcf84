/*
 * arguments: the command line and the environment, without what nobody but us should read in them.
 * Any user of the machine may see a process's arguments; its environment is kept with a core dump,
 * and systemd writes it to the journal.
 *
 * Thread: main's, before others start. What is returned is for the whole life of the process.
 */
#ifndef WEIR_APP_ARGUMENTS_H
#define WEIR_APP_ARGUMENTS_H

#include <getopt.h>
#include <stddef.h>

#include "weir/err.h"

/* Returns a copy of argv, and overwrites user and password of every URL in the original. The
 * environment moves to the heap, where getenv finds it, and the original is overwritten. */
char **weir_arguments_take(int argc, char **argv);

struct weir_named_text {
    const char *name; /* --redis */
    const char **value;
};
/* Takes `--name value` or `--name=value` at argv[*at] when its name is known, and moves *at to its
 * last word: 1 then, 0 when the word is another, or -WEIR_ERR_USAGE without a value. */
int weir_arguments_named(const struct weir_named_text *known, size_t len, char **argv, int *at,
                         struct weir_err *err);

/* getopt_long for long options, which says in our words what is wrong: its own show the value that
 * is behind an unknown name. Returns '?' after a message. argv[0] is the command. */
int weir_arguments_next(int argc, char **argv, const struct option *known);

#endif
