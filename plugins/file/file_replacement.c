/* SPDX-License-Identifier: MIT
 *
 * A file that takes the place of another; see file_replacement.h.
 *
 * Everything goes by the folder's descriptor, so that a folder that is renamed meanwhile does not
 * tear the parts asunder.
 */
#include "plugins/file/file_replacement.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/text.h"

static mr_status open_folder(struct mr__replacement *r, mr_error *reterr);
static mr_status look_at_old(struct mr__replacement *r, mr_error *reterr);

/* ---- errors -----------------------------------------------------------------------------------
 */

mr_status mr__file_error(mr_error *reterr, const char *path, const char *what, int number)
{
    mr_status status = MR_EIO;
    switch (number) {
    case ENOENT:
    case ENOTDIR: status = MR_ENOTFOUND; break;
    case EACCES:
    case EPERM:
    case EROFS: status = MR_EPERM; break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: status = MR_EFULL; break;
    case ENOMEM: status = MR_ENOMEM; break;
    case EINVAL:
    case ELOOP:
    case ENAMETOOLONG: status = MR_EINVAL; break;
    default: break;
    }
    return mr__text_error(reterr, status, "%.300s cannot be %s: %s", path, what, strerror(number));
}

mr_status mr__file_refuse(mr_error *reterr, const char *path, mode_t mode)
{
    const char *kind = S_ISDIR(mode)   ? "a folder"
                       : S_ISLNK(mode) ? "a symbolic link: name the file that it leads to"
                                       : "no regular file";
    return mr__text_error(reterr, MR_EINVAL, "%.300s is %s", path, kind);
}

/* ---- its beginning ----------------------------------------------------------------------------
 */

mr_status mr__replacement_open(struct mr__replacement *r, const char *path, const char *key,
                               mr_error *reterr)
{
    r->path = path;
    r->name = strrchr(path, '/') + 1;
    r->folder = r->fd = -1;
    r->temp[0] = '\0';
    if (*r->name == '\0' || strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0) {
        return mr__file_refuse(reterr, path, S_IFDIR);
    }
    mr_status status = open_folder(r, reterr);
    if (status == MR_OK) {
        status = look_at_old(r, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    (void)snprintf(r->temp, sizeof r->temp, ".millrace-%s.tmp", key);
    (void)unlinkat(r->folder, r->temp, 0); /* An earlier attempt's; mostly there is none. */
    /* What gets its mode later is nobody else's to read before. */
    r->fd = openat(r->folder, r->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   r->mode >= 0 ? S_IRUSR | S_IWUSR : r->mode_if_new);
    if (r->fd < 0) {
        int number = errno;
        r->temp[0] = '\0';
        return mr__file_error(reterr, path, "written", number);
    }
    return MR_OK;
}

static mr_status open_folder(struct mr__replacement *r, mr_error *reterr)
{
    size_t len = (size_t)(r->name - r->path); /* with the slash, which / itself needs */
    char *folder = strndup(r->path, len);
    if (folder == NULL) {
        return mr__file_error(reterr, r->path, "written", ENOMEM);
    }
    r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int number = errno;
    free(folder);
    if (r->folder < 0 && number == ENOENT) {
        return mr__text_error(reterr, MR_ENOTFOUND,
                              "%.300s cannot be written: its folder is not there", r->path);
    }
    return r->folder >= 0 ? MR_OK : mr__file_error(reterr, r->path, "written", number);
}

/* Only a regular file is replaced: a link would be lost, and what it leads to not written. */
static mr_status look_at_old(struct mr__replacement *r, mr_error *reterr)
{
    struct stat old;
    if (fstatat(r->folder, r->name, &old, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? MR_OK : mr__file_error(reterr, r->path, "written", errno);
    }
    if (!S_ISREG(old.st_mode)) {
        return mr__file_refuse(reterr, r->path, old.st_mode);
    }
    r->mode = r->mode >= 0 ? r->mode : (int)(old.st_mode & 07777);
    return MR_OK;
}

/* ---- its content ------------------------------------------------------------------------------
 */

mr_status mr__replacement_add(struct mr__replacement *r, const char *bytes, size_t len,
                              mr_error *reterr)
{
    while (len > 0) {
        ssize_t written = write(r->fd, bytes, len);
        if (written < 0 && errno != EINTR) {
            return mr__file_error(reterr, r->path, "written", errno);
        }
        if (written > 0) {
            bytes += written;
            len -= (size_t)written;
        }
    }
    return MR_OK;
}

/* ---- its end ----------------------------------------------------------------------------------
 */

mr_status mr__replacement_keep(struct mr__replacement *r, mr_error *reterr)
{
    if ((r->mode >= 0 && fchmod(r->fd, (mode_t)r->mode) != 0) || fsync(r->fd) != 0 ||
        renameat(r->folder, r->temp, r->folder, r->name) != 0) {
        return mr__file_error(reterr, r->path, "written", errno);
    }
    r->temp[0] = '\0';
    return fsync(r->folder) == 0 ? MR_OK : mr__file_error(reterr, r->path, "made durable", errno);
}

void mr__replacement_close(struct mr__replacement *r)
{
    if (r->temp[0] != '\0') {
        (void)unlinkat(r->folder, r->temp, 0); /* What cannot be removed is removed next time. */
    }
    if (r->fd >= 0) {
        (void)close(r->fd); /* It was synced, or is gone. */
    }
    if (r->folder >= 0) {
        (void)close(r->folder);
    }
}
