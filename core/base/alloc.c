/* SPDX-License-Identifier: MIT
 *
 * The process's allocator: see alloc.h. This is the one state that engines of a process share; it
 * is set before there is any, and then fixed.
 */
#include "core/base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mr__malloc_fn use_malloc = malloc;
static mr__realloc_fn use_realloc = realloc;
static mr__free_fn use_free = free;
static bool replaced;
static atomic_bool used;

/* A read, where that says enough: threads do not take the line from each other. */
static void note_use(void)
{
    if (!atomic_load_explicit(&used, memory_order_relaxed)) {
        atomic_store_explicit(&used, true, memory_order_relaxed);
    }
}

bool mr__alloc_set(mr__malloc_fn malloc_fn, mr__realloc_fn realloc_fn, mr__free_fn free_fn)
{
    if (replaced || atomic_load(&used)) {
        return false;
    }
    use_malloc = malloc_fn;
    use_realloc = realloc_fn;
    use_free = free_fn;
    replaced = true;
    return true;
}

void *mr__malloc(size_t size)
{
    note_use();
    return use_malloc(size);
}

void *mr__calloc(size_t count, size_t size)
{
    note_use();
    if (!replaced) {
        return calloc(count, size); /* It knows which pages are zero already. */
    }
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *memory = use_malloc(count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void *mr__realloc(void *memory, size_t size)
{
    note_use();
    return use_realloc(memory, size);
}

void mr__free(void *memory)
{
    use_free(memory);
}

char *mr__strdup(const char *text)
{
    return mr__strndup(text, strlen(text));
}

char *mr__strndup(const char *text, size_t len)
{
    len = strnlen(text, len);
    char *copy = mr__malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

char *mr__aprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = len < 0 ? NULL : mr__malloc((size_t)len + 1);
    if (text != NULL) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    return text;
}
