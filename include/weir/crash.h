/*
 * crash: named points at which a test lets the process die as by kill -9.
 *
 * Compiled to nothing unless WEIR_CRASH_POINTS is defined (the debug and asan presets). Then the
 * environment's WEIR_CRASH_POINT=<name>[:<n>] chooses one: the n-th time that it is reached (the
 * first without a number), the process gets SIGKILL, or SIGSTOP where WEIR_CRASH_FREEZES is set.
 * tests/fault dies at every one. Thread: any.
 */
#ifndef WEIR_CRASH_H
#define WEIR_CRASH_H

#ifdef WEIR_CRASH_POINTS
/* The place of that name is reached. */
void weir_crash_point(const char *name);
#else
static inline void weir_crash_point(const char *name) {
    (void)name;
}
#endif

#endif
