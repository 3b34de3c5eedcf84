#include "weir/shown.h"

#include <stdio.h>
#include <string.h>

static const char hidden[] = "(not shown)";

static bool is_url(const char *text) {
    return strstr(text, "://") != NULL;
}

static bool has_secret(const char *text) {
    return is_url(text) || strchr(text, '@') || strstr(text, "-----BEGIN");
}

bool weir_may_be_secret(const char *text) {
    return has_secret(text) || strchr(text, '=');
}

static struct weir_shown shown_up_to(const char *text, size_t len, const char *end) {
    struct weir_shown shown;
    size_t max = sizeof shown.text - sizeof "...";
    if (len > max) {
        len = max;
        end = "...";
    }
    snprintf(shown.text, sizeof shown.text, "%.*s%s", (int)len, text, end);
    return shown;
}

struct weir_shown weir_word_shown(const char *word) {
    size_t name = strcspn(word, "=");
    if (word[name] && *word == '-' && !has_secret(shown_up_to(word, name, "").text))
        return shown_up_to(word, name, "=...");
    return weir_may_be_secret(word) ? shown_up_to(hidden, strlen(hidden), "")
                                    : shown_up_to(word, strlen(word), "");
}

/* A password that is not %-encoded may hold any of ":/?#@": all up to the last @ is hidden. */
void weir_hide_users(char *text) {
    char *rest = strstr(text, "://");
    char *at = rest ? strrchr(rest + 3, '@') : NULL;
    if (at)
        memset(rest + 3, 'x', (size_t)(at - rest - 3));
}

const char *weir_path_shown(const char *path) {
    return is_url(path) ? hidden : path;
}
