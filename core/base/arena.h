/* SPDX-License-Identifier: MIT
 *
 * An arena: memory that is freed all at once. One thread at a time. Out of memory gives NULL, never
 * an abort.
 */
#ifndef MR__ARENA_H
#define MR__ARENA_H

#include "core/base/base.h"

struct mr__arena_block;

struct mr__arena {
    struct mr__arena_block *blocks; /* newest first */
    char *next, *end;               /* what is left of the newest */
    size_t bytes;                   /* in all blocks */
};

void mr__arena_init(struct mr__arena *arena);
void mr__arena_finish(struct mr__arena *arena); /* may be used again after another init */
void mr__arena_reset(struct mr__arena *arena);  /* empties it, keeping one block */

/* Zeroed memory, aligned for any type. NULL: out of memory. 0 bytes gives a pointer too. */
void *mr__arena_alloc(struct mr__arena *arena, size_t bytes);
/* Memory as it comes, with alignment 1: for text. */
char *mr__arena_bytes(struct mr__arena *arena, size_t bytes);
/* A NUL-terminated copy. */
char *mr__arena_dup(struct mr__arena *arena, const char *bytes, size_t len);
char *mr__arena_vprintf(struct mr__arena *arena, const char *fmt, va_list args);
MR__PRINTF(2, 3) char *mr__arena_printf(struct mr__arena *arena, const char *fmt, ...);

#endif
