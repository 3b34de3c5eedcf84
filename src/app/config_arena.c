#include "config_arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/err.h"

#define BLOCK_BYTES 8192

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

struct weir_arena {
    struct block *blocks;
};

struct weir_arena *weir_arena_new(void) {
    struct weir_arena *arena = calloc(1, sizeof *arena);
    WEIR_ASSERT(arena);
    return arena;
}

void weir_arena_free(struct weir_arena *arena) {
    if (!arena)
        return;
    for (struct block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    free(arena);
}

void *weir_arena_take(struct weir_arena *arena, size_t size) {
    const size_t step = alignof(max_align_t);
    WEIR_ASSERT(size < SIZE_MAX / 4);
    size = (size + step - 1) / step * step;
    struct block *block = arena->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = calloc(1, sizeof *block + room);
        WEIR_ASSERT(block);
        block->size = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    return taken;
}

char *weir_arena_copy(struct weir_arena *arena, const char *bytes, size_t len) {
    char *copy = weir_arena_take(arena, len + 1);
    memcpy(copy, bytes, len);
    return copy;
}

char *weir_arena_text(struct weir_arena *arena, const char *text) {
    return weir_arena_copy(arena, text, strlen(text));
}

char *weir_arena_printf(struct weir_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    WEIR_ASSERT(len >= 0);
    char *text = weir_arena_take(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
