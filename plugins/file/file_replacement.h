/* SPDX-License-Identifier: MIT
 *
 * A file that takes the place of another, whole or not at all: it is written beside it under a name
 * of its own, made durable, and renamed. Whoever opens the path sees the old content or the new
 * one. Blocks; worker threads, one at a time for one replacement.
 *
 * Where the process dies in between, the file under that name stays: .millrace-KEY.tmp, KEY being
 * the idempotency key. The next attempt with the same key removes it.
 */
#ifndef MR__FILE_REPLACEMENT_H
#define MR__FILE_REPLACEMENT_H

#include <millrace/status.h>
#include <stddef.h>
#include <sys/types.h>

#define MR__REPLACEMENT_TEMP_BYTES 160u

struct mr__replacement {
    int mode;           /* in: that it gets; -1: as the file that is replaced */
    mode_t mode_if_new; /* in: where there was none, less the umask */
    const char *path;   /* borrowed from the caller of open */
    const char *name;   /* its last part */
    int folder, fd;
    char temp[MR__REPLACEMENT_TEMP_BYTES]; /* "": there is none */
};

/* `path` is absolute. Sets all but the modes; `*r` is to be closed after an error, too. MR_EINVAL:
 * the path names no file that can be replaced; MR_ENOTFOUND, MR_EPERM, MR_EIO ... by what the
 * system says. */
mr_status mr__replacement_open(struct mr__replacement *r, const char *path, const char *key,
                               mr_error *reterr);

/* Adds bytes at its end. */
mr_status mr__replacement_add(struct mr__replacement *r, const char *bytes, size_t len,
                              mr_error *reterr);

/* Puts it in its place, durably. After an error the old file may be there, or the new one. */
mr_status mr__replacement_keep(struct mr__replacement *r, mr_error *reterr);

/* Removes what was not kept. */
void mr__replacement_close(struct mr__replacement *r);

/* What the system's `number` means for `path`: "PATH cannot be WHAT: REASON". Returns its status.
 */
mr_status mr__file_error(mr_error *reterr, const char *path, const char *what, int number);

/* MR_EINVAL, and which kind of thing `path` is instead of a regular file. */
mr_status mr__file_refuse(mr_error *reterr, const char *path, mode_t mode);

#endif
