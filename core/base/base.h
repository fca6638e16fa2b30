/* SPDX-License-Identifier: MIT
 *
 * What every file may use: assertions, the standard includes, small helpers, and mr__error_set.
 */
#ifndef MR__BASE_H
#define MR__BASE_H

#include <millrace/status.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/limits.h"

#define MR__PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* Programmer error only, never input; on in release builds too. */
#define MR_ASSERT(condition) \
    ((condition) ? (void)0 : mr__assert_failed(#condition, __FILE__, __LINE__))

_Noreturn void mr__assert_failed(const char *condition, const char *file, int line);

#define MR__COUNT(array)       (sizeof(array) / sizeof((array)[0]))
#define MR__MIN(a, b)          ((a) < (b) ? (a) : (b))
#define MR__MAX(a, b)          ((a) > (b) ? (a) : (b))
#define MR__CONTAINER(p, t, f) ((t *)(void *)((char *)(p)-offsetof(t, f)))

/* Fills `reterr` (may be NULL) and returns `status`, so that `return mr__error_set(...)` reads
 * well. */
MR__PRINTF(3, 4)
mr_status mr__error_set(mr_error *reterr, mr_status status, const char *fmt, ...);
mr_status mr__error_setv(mr_error *reterr, mr_status status, const char *fmt, va_list args);

/* The status for an errno number: ENOSPC and EDQUOT are MR_EFULL, ENOMEM MR_ENOMEM, ... */
mr_status mr__status_from_errno(int number);

/* Edit distance for did-you-mean, capped: more than `max` gives max + 1. Both NUL-terminated. */
unsigned mr__edit_distance(const char *a, const char *b, unsigned max);

/* True for valid UTF-8 without surrogates or overlong forms. */
bool mr__utf8_valid(const char *bytes, size_t len);

/* True for a legal id of a dag, task or action: contract.md, "Limits". */
bool mr__id_valid(const char *id, size_t len);

#endif
