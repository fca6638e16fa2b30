/* SPDX-License-Identifier: MIT
 *
 * All memory of the library comes from here, so that a program can give it its own allocator
 * (mr_set_allocator). The functions do what those of the C library do, NULL for out of memory
 * included. What another library has allocated goes back to that one.
 */
#ifndef MR__ALLOC_H
#define MR__ALLOC_H

#include <stdbool.h>
#include <stddef.h>

typedef void *(*mr__malloc_fn)(size_t size);
typedef void *(*mr__realloc_fn)(void *memory, size_t size);
typedef void (*mr__free_fn)(void *memory);

void *mr__malloc(size_t size);
void *mr__calloc(size_t count, size_t size); /* zeroed */
void *mr__realloc(void *memory, size_t size);
void mr__free(void *memory);
char *mr__strdup(const char *text);
char *mr__strndup(const char *text, size_t len); /* `len` bytes at most */
/* Formatted text, **owned**: mr__free. */
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
char *
mr__aprintf(const char *fmt, ...);

/* For the whole process, once, before the first allocation. False: it is too late. */
bool mr__alloc_set(mr__malloc_fn malloc_fn, mr__realloc_fn realloc_fn, mr__free_fn free_fn);

#endif
