/*
 * yaml_env: `${NAME}` in a value to what the environment says; `$${` stands for a plain `${`, and
 * so does `${{`, which begins a template variable after a dollar sign.
 *
 * The result lives in the arena. What is put in is bounded over a whole file. Reads the
 * environment: call it before other threads change that.
 */
#ifndef WEIR_APP_YAML_ENV_H
#define WEIR_APP_YAML_ENV_H

#include <stddef.h>

#include "config_arena.h"

#define WEIR_ENV_BYTES_MAX (1024 * 1024) /* put in, over one file */
#define WEIR_ENV_WHY_MAX 256

struct weir_env {
    size_t used; /* bytes so far; start with 0 */
};

/* NULL with the reason and the remedy in `why`. */
const char *weir_env_expand(struct weir_env *env, struct weir_arena *arena, const char *written,
                            char why[WEIR_ENV_WHY_MAX]);

#endif
