/* SPDX-License-Identifier: MIT
 *
 * A copy of a store in use. Reader thread.
 */
#include "core/engine/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA_NAME "data.mdb"

static mr_status fail(mr_error *reterr, const char *path)
{
    int number = errno;
    mr_status status =
        number == EEXIST || number == ENOTEMPTY ? MR_ECONFLICT : mr__status_from_errno(number);
    return mr__error_set(reterr, status, "%s: %s", path, strerror(number));
}

static mr_status sync_folder(const char *path, mr_error *reterr)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return fail(reterr, path);
    }
    mr_status status = fsync(fd) == 0 ? MR_OK : fail(reterr, path);
    (void)close(fd); /* nothing was written through it */
    return status;
}

/* The data file in the folder, synced with it. */
static mr_status write_data(struct mr__snapshot *snapshot, const char *folder, const char *path,
                            uint64_t *ret_bytes, mr_error *reterr)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail(reterr, path);
    }
    mr_status status = snapshot->ops->copy(snapshot, fd, reterr);
    if (status == MR_OK && (fsync(fd) != 0 || fstat(fd, &st) != 0)) {
        status = fail(reterr, path);
    }
    if (status == MR_OK) {
        *ret_bytes = (uint64_t)st.st_size;
    }
    if (close(fd) != 0 && status == MR_OK) {
        status = fail(reterr, path);
    }
    return status == MR_OK ? sync_folder(folder, reterr) : status;
}

/* Gives the folder its name, which nobody must have by now. */
static mr_status give_name(const char *folder, const char *dest, mr_error *reterr)
{
    if (renameat2(AT_FDCWD, folder, AT_FDCWD, dest, RENAME_NOREPLACE) == 0) {
        return MR_OK;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return fail(reterr, dest);
    }
    /* A file system that cannot say "not over another": a folder with files stays in any case. */
    return rename(folder, dest) == 0 ? MR_OK : fail(reterr, dest);
}

mr_status mr__backup(struct mr__snapshot *snapshot, const char *dest, uint64_t *ret_bytes,
                     mr_error *reterr)
{
    struct stat st;
    struct mr__buf folder, data, parent;
    mr_status status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    mr__buf_init(&folder);
    mr__buf_init(&data);
    mr__buf_init(&parent);
    const char *slash = strrchr(dest, '/');
    MR_ASSERT(slash != NULL);
    mr__buf_bytes(&parent, dest, slash == dest ? 1 : (size_t)(slash - dest));
    mr__buf_printf(&folder, "%s.new-XXXXXX", dest);
    if (mr__buf_cstr(&folder) == NULL || mr__buf_cstr(&parent) == NULL) {
        goto finish;
    }
    if (lstat(dest, &st) == 0) {
        errno = EEXIST;
        status = fail(reterr, dest);
        goto finish;
    }
    if (mkdtemp((char *)folder.data) == NULL) {
        status = fail(reterr, (const char *)parent.data);
        goto finish;
    }
    mr__buf_printf(&data, "%s/" DATA_NAME, (const char *)folder.data);
    if (mr__buf_cstr(&data) != NULL) {
        status = write_data(snapshot, (const char *)folder.data, (const char *)data.data, ret_bytes,
                            reterr);
    }
    if (status == MR_OK) {
        status = give_name((const char *)folder.data, dest, reterr);
    }
    if (status == MR_OK) {
        status = sync_folder((const char *)parent.data, reterr);
    } else {
        (void)unlink((const char *)data.data);  /* it may not be there; what went wrong is told */
        (void)rmdir((const char *)folder.data); /* likewise */
    }
finish:
    mr__buf_finish(&folder);
    mr__buf_finish(&data);
    mr__buf_finish(&parent);
    return status;
}
