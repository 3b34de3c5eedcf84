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

#define LINE 512
#define GROUPS "/sys/fs/cgroup"

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

/* A control group's files, of the first version of its interface and of the second. */
static const struct group_files {
    const char *controller; /* as /proc/self/cgroup calls it */
    const char *root, *max, *now, *pages;
} group_files[] = {
    {":memory:", GROUPS "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file"},
    {"0::", GROUPS, "memory.max", "memory.current", "inactive_file"},
};

/* What a group leaves; pages of files count as its own and are given up when others need them. */
static int64_t left_in_group(const struct group_files *files, const char *group) {
    char path[2 * LINE];
    snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->max);
    int64_t max = read_number(path, "");
    snprintf(path, sizeof path, "%s%s/%s", files->root, group, files->now);
    int64_t now = read_number(path, "");
    snprintf(path, sizeof path, "%s%s/memory.stat", files->root, group);
    int64_t pages = read_number(path, files->pages);
    if (max < 0 || now < 0)
        return INT64_MAX;
    now -= pages > 0 && pages < now ? pages : 0;
    return max > now ? max - now : 0;
}

/* The least that the process's group and those above it leave. In a container its own group is
 * called as outside, and lies at the root. */
static int64_t left_in_groups(void) {
    char line[LINE];
    int64_t left = INT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file))
        for (size_t i = 0; i < sizeof group_files / sizeof *group_files; i++) {
            char *group = strstr(line, group_files[i].controller);
            if (!group)
                continue;
            group += strlen(group_files[i].controller);
            group[strcspn(group, "\n")] = '\0';
            for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
                *end = '\0';
                left = lesser(left, left_in_group(&group_files[i], group));
            }
            break;
        }
    if (file)
        fclose(file);
    return left;
}

int64_t weir_memory_available(void) {
    int64_t available = left_in_groups();
    int64_t machine_kb = read_number("/proc/meminfo", "MemAvailable");
    if (machine_kb >= 0)
        available = lesser(available, machine_kb * 1024);
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
