/* SPDX-License-Identifier: MIT
 *
 * Goal: disks and memory that fail on demand. Method: the program defines pwrite, writev, fdatasync
 * and (without sanitizers, which own them) the allocating functions itself, so that LMDB finds
 * these; they do the real thing until a test says otherwise.
 */
#ifndef STORE_FAULTS_H
#define STORE_FAULTS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FAULTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FAULTS_SANITIZED 1
#endif
#endif
#ifndef FAULTS_SANITIZED
#define FAULTS_SANITIZED 0
#endif

#define FAULTS_EXPORT __attribute__((visibility("default")))

/* What LMDB writes to its meta pages is shorter than a page and begins in one of the first two. */
enum { FAULTS_META_END = 8192, FAULTS_META_BYTES = 256 };

static struct {
    atomic_int metas;       /* this many writes of a meta page fail, */
    atomic_bool metas_done; /* the first of them is done all the same */
    atomic_int whole_metas; /* writes of both meta pages at once: the repair */
    atomic_int pages;       /* other writes fail */
    atomic_int syncs;
    atomic_int number;       /* errno; 0: a short write */
    atomic_long allocations; /* the one after these fails; negative: none does */
    atomic_long meta_writes, page_writes, sync_calls;
} faults = {.allocations = -1};

static void faults_clear(void)
{
    faults.metas = faults.whole_metas = faults.pages = faults.syncs = 0;
    faults.metas_done = false;
    faults.allocations = -1;
}

static bool faults_take(atomic_int *left)
{
    int n = atomic_load(left);
    while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1)) {
    }
    return n > 0;
}

static ssize_t faults_fail(size_t len)
{
    if (faults.number == 0) {
        return (ssize_t)(len / 2);
    }
    errno = faults.number;
    return -1;
}

FAULTS_EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    bool meta = at < FAULTS_META_END && len <= FAULTS_META_BYTES;
    bool whole = at == 0 && len == FAULTS_META_END;
    atomic_fetch_add(meta ? &faults.meta_writes : &faults.page_writes, 1);
    if (faults_take(meta ? &faults.metas : whole ? &faults.whole_metas : &faults.pages)) {
        if (meta && atomic_exchange(&faults.metas_done, false)) {
            (void)syscall(SYS_pwrite64, fd, bytes, len, at);
        }
        return faults_fail(len);
    }
    return syscall(SYS_pwrite64, fd, bytes, len, at);
}

/* What pwrite is called where large-file macros are on: our own driver, but not Debian's liblmdb.
 */
FAULTS_EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return pwrite(fd, bytes, len, (off_t)at);
}

FAULTS_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    atomic_fetch_add(&faults.page_writes, 1);
    if (faults_take(&faults.pages)) {
        return faults_fail(parts[0].iov_len);
    }
    return syscall(SYS_writev, fd, parts, count);
}

FAULTS_EXPORT int fdatasync(int fd)
{
    atomic_fetch_add(&faults.sync_calls, 1);
    if (faults_take(&faults.syncs)) {
        errno = faults.number;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

#if !FAULTS_SANITIZED
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

static bool faults_no_memory(void)
{
    return atomic_load(&faults.allocations) >= 0 && atomic_fetch_sub(&faults.allocations, 1) == 0;
}

FAULTS_EXPORT void *malloc(size_t bytes)
{
    return faults_no_memory() ? (errno = ENOMEM, NULL) : __libc_malloc(bytes);
}

FAULTS_EXPORT void *calloc(size_t count, size_t bytes)
{
    return faults_no_memory() ? (errno = ENOMEM, NULL) : __libc_calloc(count, bytes);
}

FAULTS_EXPORT void *realloc(void *old, size_t bytes)
{
    return faults_no_memory() ? (errno = ENOMEM, NULL) : __libc_realloc(old, bytes);
}

FAULTS_EXPORT int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
    *ret = faults_no_memory() ? NULL : __libc_memalign(alignment, bytes);
    return *ret == NULL ? ENOMEM : 0;
}
#endif

#endif
