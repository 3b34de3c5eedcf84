#include "weir/crash.h"

#ifdef WEIR_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void weir_crash_point(const char *name) {
    static _Atomic long reached;
    const char *chosen = getenv("WEIR_CRASH_POINT");
    size_t len = strlen(name);
    if (!chosen || strncmp(chosen, name, len) != 0 || (chosen[len] && chosen[len] != ':'))
        return;
    long wanted = chosen[len] ? strtol(chosen + len + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&reached, 1) + 1 == wanted)
        raise(getenv("WEIR_CRASH_FREEZES") ? SIGSTOP : SIGKILL);
}

#else

/* A source file needs something in it. */
typedef int weir_crash_points_are_off;

#endif
