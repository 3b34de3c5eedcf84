#include "config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weir/shown.h"

#define SECRET_BYTES_MAX 65536

const struct weir_yaml *weir_load_node(const struct weir_loader *loader, const char *path) {
    return loader->set[weir_option_index(weir_options_config(), path)];
}

size_t weir_load_items(const struct weir_yaml *node) {
    if (!node)
        return 0;
    return node->kind == WEIR_YAML_TEXT ? 1 : node->len;
}

const struct weir_yaml *weir_load_item(const struct weir_yaml *node, size_t i) {
    return node->kind == WEIR_YAML_TEXT ? node : node->items[i];
}

const char *weir_load_text(struct weir_loader *loader, const struct weir_yaml *node, size_t max) {
    if (node->broken)
        return NULL;
    if (node->kind != WEIR_YAML_TEXT || !*node->text || node->null) {
        WEIR_MISTAKE(loader->mistakes, node, "is %s; write a text",
                     node->kind == WEIR_YAML_TEXT ? "empty"
                                                  : weir_yaml_shown(loader->scratch, node));
        return NULL;
    }
    if (strlen(node->text) > max) {
        WEIR_MISTAKE(loader->mistakes, node, "is longer than %zu bytes; write a shorter one", max);
        return NULL;
    }
    for (const char *at = node->text; *at; at++) {
        if ((unsigned char)*at >= 0x20 && *at != 0x7f)
            continue;
        WEIR_MISTAKE(loader->mistakes, node,
                     "has a line end or another control character in it; write one line");
        return NULL;
    }
    return node->text;
}

struct weir_source *weir_load_source(struct weir_loader *loader, const char *name) {
    struct weir_source *source = weir_arena_take(loader->scratch, sizeof *source);
    source->name = weir_arena_text(loader->scratch, weir_path_shown(name));
    source->rank = loader->sources++;
    return source;
}

char *weir_load_beside(struct weir_loader *loader, const char *path) {
    if (*path == '/' || strcmp(loader->dir, ".") == 0)
        return weir_arena_text(loader->scratch, path);
    return weir_arena_printf(loader->scratch, "%s/%s", loader->dir, path);
}

/* All of an open file, up to max + 1 bytes, so that the caller sees a longer one. */
static char *read_all(int file, size_t max, size_t *len) {
    char *bytes = malloc(max + 2);
    WEIR_ASSERT(bytes);
    *len = 0;
    while (*len <= max) {
        ssize_t got = read(file, bytes + *len, max + 1 - *len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(bytes);
            return NULL;
        }
        if (got == 0)
            break;
        *len += (size_t)got;
    }
    bytes[*len] = '\0';
    return bytes;
}

char *weir_load_file(const char *path, size_t max, size_t *len, char why[WEIR_LOAD_WHY_MAX]) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *bytes = file < 0 ? NULL : read_all(file, max, len);
    if (!bytes)
        snprintf(why, WEIR_LOAD_WHY_MAX, "cannot be read (%s); check the path and its permissions",
                 strerror(errno));
    if (file >= 0)
        close(file);
    if (bytes && *len > max) {
        snprintf(why, WEIR_LOAD_WHY_MAX, "is larger than %zu KiB; split or shorten it", max / 1024);
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* One line end belongs to the editor that wrote the file, not to the secret. */
static size_t without_line_end(const char *bytes, size_t len) {
    if (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    return len;
}

char *weir_load_secret(struct weir_loader *loader, const struct weir_yaml *node) {
    const char *name = weir_load_text(loader, node, 4096);
    if (!name)
        return NULL;
    if (!loader->reads_files)
        return weir_arena_text(loader->kept, "a secret");
    char why[WEIR_LOAD_WHY_MAX];
    size_t len = 0;
    char *bytes = weir_load_file(weir_load_beside(loader, name), SECRET_BYTES_MAX, &len, why);
    if (!bytes) {
        WEIR_MISTAKE(loader->mistakes, node, "the secret's file %s", why); /* its name may be it */
        return NULL;
    }
    len = without_line_end(bytes, len);
    char *secret = NULL;
    if (len == 0 || memchr(bytes, '\0', len))
        WEIR_MISTAKE(loader->mistakes, node,
                     "the secret's file %s; write the secret as its only line",
                     len == 0 ? "is empty" : "has a NUL character in it");
    else
        secret = weir_arena_copy(loader->kept, bytes, len);
    explicit_bzero(bytes, len);
    free(bytes);
    return secret;
}
