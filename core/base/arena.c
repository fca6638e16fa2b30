/* SPDX-License-Identifier: MIT
 *
 * Blocks of growing size, each handed out from front to back.
 */
#include "core/base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES_FIRST 1024u
#define BLOCK_BYTES_MAX   (256u << 10)
#define ALIGNMENT         16u

struct mr__arena_block {
    struct mr__arena_block *older;
    size_t bytes;
};

_Static_assert(sizeof(struct mr__arena_block) == ALIGNMENT, "a block's memory begins aligned");

void mr__arena_init(struct mr__arena *arena)
{
    memset(arena, 0, sizeof *arena);
}

void mr__arena_finish(struct mr__arena *arena)
{
    struct mr__arena_block *block = arena->blocks;
    while (block != NULL) {
        struct mr__arena_block *older = block->older;
        mr__free(block);
        block = older;
    }
    memset(arena, 0, sizeof *arena);
}

void mr__arena_reset(struct mr__arena *arena)
{
    struct mr__arena_block *keep = arena->blocks;
    if (keep == NULL) {
        return;
    }
    for (struct mr__arena_block *block = keep->older; block != NULL;) {
        struct mr__arena_block *older = block->older;
        mr__free(block);
        block = older;
    }
    keep->older = NULL;
    arena->next = (char *)(keep + 1);
    arena->end = arena->next + keep->bytes;
    arena->bytes = keep->bytes;
}

static bool grow(struct mr__arena *arena, size_t bytes)
{
    size_t size = arena->blocks == NULL ? BLOCK_BYTES_FIRST
                                        : MR__MIN(arena->blocks->bytes * 2, BLOCK_BYTES_MAX);
    /* Rounded up, so that what is left of a block always ends aligned: room for a pad is never
     * missing. */
    size = (MR__MAX(size, bytes + ALIGNMENT) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct mr__arena_block *block = mr__malloc(sizeof *block + size);
    if (block == NULL) {
        return false;
    }
    block->bytes = size;
    block->older = arena->blocks;
    arena->blocks = block;
    arena->next = (char *)(block + 1);
    arena->end = arena->next + size;
    arena->bytes += size;
    return true;
}

char *mr__arena_bytes(struct mr__arena *arena, size_t bytes)
{
    if ((size_t)(arena->end - arena->next) < bytes || arena->next == NULL) {
        if (bytes > SIZE_MAX / 4 || !grow(arena, bytes)) {
            return NULL;
        }
    }
    char *memory = arena->next;
    arena->next += bytes;
    return memory;
}

void *mr__arena_alloc(struct mr__arena *arena, size_t bytes)
{
    size_t pad = (size_t)(-(uintptr_t)arena->next) & (ALIGNMENT - 1);
    if (arena->next != NULL && (size_t)(arena->end - arena->next) >= pad) {
        arena->next += pad;
    } else {
        arena->next = arena->end;
    }
    char *memory = mr__arena_bytes(arena, bytes);
    if (memory == NULL) {
        return NULL;
    }
    MR_ASSERT(((uintptr_t)memory & (ALIGNMENT - 1)) == 0);
    return memset(memory, 0, bytes);
}

char *mr__arena_dup(struct mr__arena *arena, const char *bytes, size_t len)
{
    char *copy = mr__arena_bytes(arena, len + 1);
    if (copy != NULL) {
        if (len > 0) {
            memcpy(copy, bytes, len);
        }
        copy[len] = '\0';
    }
    return copy;
}

char *mr__arena_vprintf(struct mr__arena *arena, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = len < 0 ? NULL : mr__arena_bytes(arena, (size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, fmt, args);
    }
    return text;
}

char *mr__arena_printf(struct mr__arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = mr__arena_vprintf(arena, fmt, args);
    va_end(args);
    return text;
}
