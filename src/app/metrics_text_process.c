/* What the kernel says of this process. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/metrics_text.h"

#define TEXT_MAX 4096

/* The first bytes of a file, up to TEXT_MAX - 1. */
static bool read_text(const char *path, char text[TEXT_MAX]) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t len = fread(text, 1, TEXT_MAX - 1, file);
    fclose(file);
    text[len] = 0;
    return len > 0;
}

/* The n-th number of a text of words; the words before it may be anything. */
static double word_number(const char *text, int n) {
    while (n-- > 0) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return strtod(text, NULL);
}

static double boot_seconds(void) {
    FILE *file = fopen("/proc/stat", "re");
    char line[TEXT_MAX];
    double seconds = -1;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "btime ", 6) == 0)
            seconds = strtod(line + 6, NULL);
    if (file)
        fclose(file);
    return seconds;
}

static int64_t count_fds(void) {
    DIR *folder = opendir("/proc/self/fd");
    int64_t count = -3; /* ".", ".." and the folder's own */
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void weir_process_figures(struct weir_process_figures *figures) {
    char text[TEXT_MAX];
    struct rlimit limit;
    *figures = (struct weir_process_figures){-1, -1, -1, -1, -1, count_fds(), -1};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        figures->max_fds = (int64_t)limit.rlim_cur;
    if (!read_text("/proc/self/stat", text))
        return;
    const char *after_name = strrchr(text, ')'); /* the name may hold spaces and parentheses */
    double ticks = (double)sysconf(_SC_CLK_TCK), boot = boot_seconds();
    if (!after_name || after_name[1] != ' ' || ticks <= 0)
        return;
    const char *words = after_name + 2; /* proc(5) numbers them from 3 */
    figures->cpu_seconds = (word_number(words, 14 - 3) + word_number(words, 15 - 3)) / ticks;
    figures->threads = (int64_t)word_number(words, 20 - 3);
    if (boot >= 0)
        figures->start_seconds = boot + word_number(words, 22 - 3) / ticks;
    figures->virtual_bytes = (int64_t)word_number(words, 23 - 3);
    figures->resident_bytes = (int64_t)word_number(words, 24 - 3) * (int64_t)sysconf(_SC_PAGESIZE);
}
