#include "yaml_env.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/buf.h"

#define NAME_BYTES_MAX 64

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

/* From `${` to after its `}`; NULL with the reason. */
static const char *put_variable(struct weir_env *env, struct weir_buf *out, const char *at,
                                char why[WEIR_ENV_WHY_MAX]) {
    char name[NAME_BYTES_MAX + 1];
    const char *start = at + 2;
    size_t len = strspn(start, letters);
    bool is_name = len > 0 && len <= NAME_BYTES_MAX && !strchr("0123456789", *start);
    if (!is_name || start[len] != '}') {
        snprintf(why, WEIR_ENV_WHY_MAX,
                 "`${` is not followed by the name of an environment variable and `}`; write "
                 "${NAME}, or $${ for a plain ${");
        return NULL;
    }
    memcpy(name, start, len);
    name[len] = '\0';
    const char *value = getenv(name);
    if (!value) {
        snprintf(why, WEIR_ENV_WHY_MAX,
                 "the environment variable %s is not set; export %s=..., or write $${ for a "
                 "plain ${",
                 name, name);
        return NULL;
    }
    size_t value_len = strlen(value);
    if (value_len > WEIR_ENV_BYTES_MAX - env->used) {
        snprintf(why, WEIR_ENV_WHY_MAX,
                 "the environment variables of this file are longer than 1 MiB together; "
                 "shorten %s",
                 name);
        return NULL;
    }
    env->used += value_len;
    weir_buf_append(out, value, value_len);
    return start + len + 1;
}

const char *weir_env_expand(struct weir_env *env, struct weir_arena *arena, const char *written,
                            char why[WEIR_ENV_WHY_MAX]) {
    if (!strstr(written, "${"))
        return written;
    struct weir_buf out;
    weir_buf_init(&out, strlen(written) + WEIR_ENV_BYTES_MAX);
    const char *at = written;
    while (at && *at) {
        if (strncmp(at, "$${", 3) == 0) {
            weir_buf_text(&out, "${");
            at += 3;
        } else if (strncmp(at, "${", 2) == 0 && at[2] != '{') {
            at = put_variable(env, &out, at, why);
        } else {
            weir_buf_append(&out, at++, 1);
        }
    }
    const char *expanded =
        at && !out.failed ? weir_arena_copy(arena, out.data ? out.data : "", out.len) : NULL;
    if (at && !expanded)
        snprintf(why, WEIR_ENV_WHY_MAX, "is too long; shorten it");
    weir_buf_close(&out);
    return expanded;
}
