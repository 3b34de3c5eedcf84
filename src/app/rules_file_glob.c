/* alerts.rules_files: patterns to files, and those to rules. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config_load.h"
#include "weir/buf.h"

#define FILES_MAX 256

struct files {
    struct weir_loader *loader;
    char *paths[FILES_MAX];
    size_t len;
};

static void add_file(struct files *files, const struct weir_yaml *item, const char *path) {
    for (size_t i = 0; i < files->len; i++)
        if (strcmp(files->paths[i], path) == 0)
            return;
    if (files->len < FILES_MAX)
        files->paths[files->len++] = weir_arena_text(files->loader->kept, path);
    else
        WEIR_MISTAKE(files->loader->mistakes, item, "more than %d rules files; join some",
                     FILES_MAX);
}

/* The folder of the config is a plain name, even where it has a `*` or a `[` in it. */
static const char *pattern_of(struct weir_loader *loader, const char *text) {
    if (*text == '/' || strcmp(loader->dir, ".") == 0)
        return text;
    struct weir_buf out;
    weir_buf_init(&out, 64 * 1024);
    for (const char *at = loader->dir; *at; at++)
        weir_buf_printf(&out, strchr("*?[]\\", *at) ? "\\%c" : "%c", *at);
    weir_buf_printf(&out, "/%s", text);
    const char *pattern = weir_arena_copy(loader->scratch, out.data ? out.data : "", out.len);
    weir_buf_close(&out);
    return pattern;
}

static void add_pattern(struct files *files, const struct weir_yaml *item, const char *text) {
    struct weir_loader *loader = files->loader;
    struct stat found;
    if (!strpbrk(text, "*?[")) {
        const char *path = weir_load_beside(loader, text);
        if (stat(path, &found) == 0)
            add_file(files, item, path);
        else
            WEIR_MISTAKE(loader->mistakes, item,
                         "there is no rules file %s (%s); write a path relative to this config, or "
                         "remove it",
                         weir_yaml_shown(loader->scratch, item), strerror(errno));
        return;
    }
    glob_t matches;
    int code = glob(pattern_of(loader, text), 0, NULL, &matches);
    if (code != 0 && code != GLOB_NOMATCH)
        WEIR_MISTAKE(loader->mistakes, item,
                     "%s cannot be searched; check the folder's permissions",
                     weir_yaml_shown(loader->scratch, item));
    if (code == GLOB_NOMATCH)
        WEIR_MISTAKE(loader->warnings, item,
                     "%s matches no file, so no rule comes from it; correct it, or remove it",
                     weir_yaml_shown(loader->scratch, item));
    for (size_t i = 0; code == 0 && i < matches.gl_pathc; i++)
        add_file(files, item, matches.gl_pathv[i]);
    if (code == 0)
        globfree(&matches);
}

static int by_text(const void *left, const void *right) {
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

void weir_load_rules(struct weir_loader *loader, struct weir_config *config) {
    const struct weir_yaml *list = weir_load_node(loader, "alerts.rules_files");
    struct files files = {.loader = loader};
    for (size_t i = 0; i < weir_load_items(list); i++) {
        const struct weir_yaml *item = weir_load_item(list, i);
        const char *text = weir_load_text(loader, item, 4096);
        if (text && loader->reads_files)
            add_pattern(&files, item, text);
    }
    qsort(files.paths, files.len, sizeof files.paths[0], by_text);
    config->rules_files = weir_arena_take(loader->kept, (files.len + 1) * sizeof(char *));
    memcpy(config->rules_files, files.paths, files.len * sizeof(char *));
    config->rules_files_len = files.len;
    for (size_t i = 0; i < files.len; i++)
        weir_rules_file_load(loader, &config->rules, files.paths[i], config);
}
