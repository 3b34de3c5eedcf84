/*
 * arguments: the command line without what nobody but us should read in it. Any user of the machine
 * may see a process's arguments, and so does a core dump.
 *
 * Returns a copy of argv, for the whole life of the process, and overwrites user and password of
 * every URL in the original. Thread: main's, before others start.
 */
#ifndef WEIR_APP_ARGUMENTS_H
#define WEIR_APP_ARGUMENTS_H

char **weir_arguments_take(int argc, char **argv);

#endif
