#include "weir/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "weir/number.h"

#ifdef WEIR_MIMALLOC
#include <mimalloc.h>
#pragma weak mi_option_disable /* a program that is linked without it */
#pragma weak mi_option_set
#endif

#define LINE 256

/* The first number behind `name` in a file of lines; -1 when there is none. */
static int64_t read_number(const char *path, const char *name) {
    char line[LINE];
    int64_t number = -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    while (number < 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        char *text = line + strlen(name);
        text += strspn(text, " \t:");
        text[strspn(text, "0123456789")] = '\0';
        if (weir_number_whole(text, &number) != 0)
            break; /* "max": no limit */
    }
    fclose(file);
    return number;
}

static int64_t lesser(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int64_t weir_memory_available(void) {
    int64_t available = INT64_MAX;
    int64_t machine_kb = read_number("/proc/meminfo", "MemAvailable");
    if (machine_kb >= 0)
        available = machine_kb * 1024;
    int64_t group_max = read_number("/sys/fs/cgroup/memory.max", "");
    int64_t group_now = read_number("/sys/fs/cgroup/memory.current", "");
    if (group_max >= 0 && group_now >= 0)
        available = lesser(available, group_max > group_now ? group_max - group_now : 0);
    struct rlimit limit;
    int64_t used_kb = read_number("/proc/self/status", "VmSize");
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < INT64_MAX && used_kb >= 0) {
        int64_t space = (int64_t)limit.rlim_cur - used_kb * 1024;
        available = lesser(available, space > 0 ? space : 0);
    }
    return available;
}

void weir_memory_keep(void) {
#if defined WEIR_MIMALLOC && MI_MALLOC_VERSION < 210
    if (mi_option_disable)
        mi_option_disable(mi_option_allow_decommit);
#elif defined WEIR_MIMALLOC
    if (mi_option_set)
        mi_option_set(mi_option_purge_delay, -1);
#endif
}
