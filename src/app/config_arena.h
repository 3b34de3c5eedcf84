/*
 * config_arena: memory that is freed all at once, for the trees and strings of the config.
 *
 * new/free for the heap; what is taken lives until the arena is freed. Memory that runs out ends
 * the program (a config is bounded to about a MiB). Thread: one at a time.
 */
#ifndef WEIR_APP_CONFIG_ARENA_H
#define WEIR_APP_CONFIG_ARENA_H

#include <stddef.h>

struct weir_arena;
struct weir_arena *weir_arena_new(void);
void weir_arena_free(struct weir_arena *arena); /* NULL is fine */

/* Zeroed and aligned for anything; never NULL. */
void *weir_arena_take(struct weir_arena *arena, size_t size);
/* A NUL-terminated copy. */
char *weir_arena_copy(struct weir_arena *arena, const char *bytes, size_t len);
char *weir_arena_text(struct weir_arena *arena, const char *text);
char *weir_arena_printf(struct weir_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
