/* SPDX-License-Identifier: MIT
 *
 * The store's folder: see folder.h.
 *
 * flock and not fcntl locks: they belong to the open file, so that two handles of one process
 * conflict like two processes do, and a close elsewhere in the program does not drop them. The
 * kernel lets go of them when the owner dies, whatever it dies of. The lock file is never unlinked:
 * that would let two owners hold two files of the same name.
 */
#include "sdk/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_NAME      "lock"
#define SOCK_NAME      "sock"
#define SOCK_NEW_NAME  "sock.new"
#define LISTEN_BACKLOG 1024

static mr_status folder_default(char path[PATH_MAX], mr_error *reterr);
static mr_status folder_make(const char *path, mr_error *reterr);
static mr_status folder_check(const char *path, int dir_fd, mr_error *reterr);
static mr_status lock_try(struct mr__folder *folder, int flags, int operation, int *ret_fd,
                          int64_t *ret_pid, mr_error *reterr);
static mr_status sock_address(const struct mr__folder *folder, const char *name,
                              struct sockaddr_un *ret_address, socklen_t *ret_len,
                              mr_error *reterr);
static mr_status sock_check(const struct mr__folder *folder, mr_error *reterr);
static mr_status peer_check(const struct mr__folder *folder, int fd, mr_error *reterr);

mr_status mr__folder_open(const char *store, bool make, struct mr__folder *ret_folder,
                          mr_error *reterr)
{
    char path[PATH_MAX];
    mr_status status;
    if (store == NULL || *store == '\0') {
        status = folder_default(path, reterr);
        if (status != MR_OK) {
            return status;
        }
    } else if ((size_t)snprintf(path, sizeof path, "%s", store) >= sizeof path) {
        return mr__error_set(reterr, MR_ESTORE, "the store's path is too long");
    }
    if (make) {
        status = folder_make(path, reterr);
        if (status != MR_OK) {
            return status;
        }
    }
    struct mr__folder folder = {.path = NULL, .dir_fd = -1, .lock_fd = -1};
    folder.dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.dir_fd < 0) {
        if (errno == ENOENT && !make) {
            return mr__error_set(reterr, MR_ENOTFOUND, "there is no store in %s", path);
        }
        return mr__error_set(reterr, MR_ESTORE, "cannot open the store %s: %s", path,
                             errno == ENOTDIR ? "it is not a folder" : strerror(errno));
    }
    char real[PATH_MAX];
    if (realpath(path, real) == NULL) {
        status =
            mr__error_set(reterr, MR_ESTORE, "cannot open the store %s: %s", path, strerror(errno));
        goto fail_open;
    }
    folder.path = mr__strdup(real);
    if (folder.path == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto fail_open;
    }
    status = folder_check(folder.path, folder.dir_fd, reterr);
    if (status != MR_OK) {
        goto fail_open;
    }
    *ret_folder = folder;
    return MR_OK;

fail_open:
    mr__free(folder.path);
    (void)close(folder.dir_fd); /* Nothing was written through it. */
    return status;
}

/* The one place where the library looks at the environment. A program with raised rights must not
 * be led elsewhere by it, hence secure_getenv. */
static mr_status folder_default(char path[PATH_MAX], mr_error *reterr)
{
    const char *state = secure_getenv("XDG_STATE_HOME"), *home = secure_getenv("HOME");
    int len;
    if (state != NULL && state[0] == '/') {
        len = snprintf(path, PATH_MAX, "%s/millrace", state);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(path, PATH_MAX, "%s/.local/state/millrace", home);
    } else if (geteuid() == 0) {
        len = snprintf(path, PATH_MAX, "/var/lib/millrace");
    } else {
        return mr__error_set(reterr, MR_ESTORE,
                             "no default place for the store: neither XDG_STATE_HOME nor HOME is "
                             "set to an absolute path");
    }
    if (len < 0 || len >= PATH_MAX) {
        return mr__error_set(reterr, MR_ESTORE, "the store's path is too long");
    }
    return MR_OK;
}

/* Makes `path` and what is missing above it. Another process may do the same at the same time. */
static mr_status folder_make(const char *path, mr_error *reterr)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    for (size_t i = 1; i <= len; i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) == 0 || errno == EEXIST) {
            continue;
        }
        int number = errno;
        struct stat st;
        if (stat(part, &st) == 0 && S_ISDIR(st.st_mode)) {
            continue; /* A read-only or foreign parent that is already there does no harm. */
        }
        return mr__error_set(reterr, number == ENOSPC ? MR_EFULL : MR_ESTORE,
                             "cannot make the folder %s: %s", part, strerror(number));
    }
    return MR_OK;
}

static mr_status folder_check(const char *path, int dir_fd, mr_error *reterr)
{
    struct stat st;
    if (fstat(dir_fd, &st) != 0) {
        return mr__error_set(reterr, MR_ESTORE, "cannot look at the store %s: %s", path,
                             strerror(errno));
    }
    if (st.st_uid != geteuid()) {
        return mr__error_set(reterr, MR_ESTORE, "the store %s belongs to user %u, not to user %u",
                             path, (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return mr__error_set(reterr, MR_ESTORE,
                             "%s may write to the store %s (mode %04o): chmod go-w '%s'",
                             (st.st_mode & S_IWOTH) != 0 ? "every user" : "its whole group", path,
                             (unsigned)(st.st_mode & 07777), path);
    }
    return MR_OK;
}

void mr__folder_close(struct mr__folder *folder)
{
    mr__folder_unlock(folder);
    if (folder->dir_fd >= 0) {
        (void)close(folder->dir_fd); /* Nothing was written through it. */
        folder->dir_fd = -1;
    }
    mr__free(folder->path);
    folder->path = NULL;
}

/* ---- the lock ------------------------------------------------------------------------------ */

mr_status mr__folder_lock(struct mr__folder *folder, int64_t *ret_pid, mr_error *reterr)
{
    MR_ASSERT(folder->lock_fd < 0);
    int fd;
    mr_status status = lock_try(folder, O_RDWR | O_CREAT, LOCK_EX, &fd, ret_pid, reterr);
    if (status != MR_OK) {
        return status;
    }
    /* The pid is for messages alone, so that a full disk must not keep anybody out. */
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRId64 "\n", (int64_t)getpid());
    if (ftruncate(fd, 0) == 0) {
        ssize_t written = pwrite(fd, text, (size_t)len, 0);
        (void)written;
    }
    folder->lock_fd = fd;
    return MR_OK;
}

void mr__folder_unlock(struct mr__folder *folder)
{
    if (folder->lock_fd < 0) {
        return;
    }
    (void)unlinkat(folder->dir_fd, SOCK_NAME, 0); /* It may never have been made. */
    (void)close(folder->lock_fd);                 /* This is what lets go. */
    folder->lock_fd = -1;
}

mr_status mr__folder_probe(struct mr__folder *folder, int64_t *ret_pid, mr_error *reterr)
{
    int fd;
    mr_status status = lock_try(folder, O_RDONLY, LOCK_SH, &fd, ret_pid, reterr);
    if (status == MR_ENOTFOUND) {
        return MR_OK;
    }
    if (status == MR_OK) {
        (void)close(fd); /* Taken for a moment only; whoever came meanwhile tries again. */
    }
    return status;
}

static mr_status lock_try(struct mr__folder *folder, int flags, int operation, int *ret_fd,
                          int64_t *ret_pid, mr_error *reterr)
{
    int fd = openat(folder->dir_fd, LOCK_NAME, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        if (errno == ENOENT) {
            return MR_ENOTFOUND;
        }
        return mr__error_set(reterr, errno == ENOSPC ? MR_EFULL : MR_ESTORE,
                             "cannot open the lock of the store %s: %s", folder->path,
                             strerror(errno));
    }
    int done;
    do {
        done = flock(fd, operation | LOCK_NB);
    } while (done != 0 && errno == EINTR);
    if (done == 0) {
        *ret_fd = fd;
        return MR_OK;
    }
    int number = errno;
    char text[24] = "";
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    *ret_pid = len > 0 ? strtoll(text, NULL, 10) : 0;
    (void)close(fd); /* Nothing was written. */
    if (number == EWOULDBLOCK) {
        return mr__error_set(reterr, MR_EBUSY, "process %" PRId64 " holds the store %s", *ret_pid,
                             folder->path);
    }
    return mr__error_set(reterr, MR_ESTORE, "cannot lock the store %s: %s", folder->path,
                         strerror(number));
}

/* ---- the socket ---------------------------------------------------------------------------- */

/* The socket gets its name when it is complete: whoever sees it may connect, and its mode is right.
 */
mr_status mr__folder_listen(struct mr__folder *folder, int *ret_fd, mr_error *reterr)
{
    MR_ASSERT(folder->lock_fd >= 0);
    struct sockaddr_un address;
    socklen_t address_len = 0;
    mr_status status = sock_address(folder, SOCK_NEW_NAME, &address, &address_len, reterr);
    if (status != MR_OK) {
        return status;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return mr__error_set(reterr, MR_ESTORE, "cannot make a socket: %s", strerror(errno));
    }
    (void)unlinkat(folder->dir_fd, SOCK_NEW_NAME, 0); /* One that died here: the lock is ours. */
    if (bind(fd, (struct sockaddr *)&address, address_len) != 0 ||
        fchmodat(folder->dir_fd, SOCK_NEW_NAME, 0600, 0) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        renameat(folder->dir_fd, SOCK_NEW_NAME, folder->dir_fd, SOCK_NAME) != 0) {
        status = errno == ENOSPC ? MR_EFULL : MR_ESTORE;
        (void)mr__error_set(reterr, status, "cannot listen on %s/%s: %s", folder->path, SOCK_NAME,
                            strerror(errno));
        (void)close(fd); /* Nothing was written. */
        return status;
    }
    *ret_fd = fd;
    return MR_OK;
}

mr_status mr__folder_connect(struct mr__folder *folder, int *ret_fd, mr_error *reterr)
{
    struct sockaddr_un address;
    socklen_t address_len = 0;
    mr_status status = sock_check(folder, reterr);
    if (status == MR_OK) {
        status = sock_address(folder, SOCK_NAME, &address, &address_len, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return mr__error_set(reterr, MR_ESTORE, "cannot make a socket: %s", strerror(errno));
    }
    if (connect(fd, (struct sockaddr *)&address, address_len) != 0) {
        /* A dead owner's socket refuses, an owner at its start has none, a full queue is EAGAIN. */
        bool again = errno == ECONNREFUSED || errno == ENOENT || errno == EAGAIN || errno == EINTR;
        status = mr__error_set(reterr, again ? MR_EBUSY : MR_ESTORE, "cannot connect to %s/%s: %s",
                               folder->path, SOCK_NAME, strerror(errno));
        goto fail_socket;
    }
    status = peer_check(folder, fd, reterr);
    if (status != MR_OK) {
        goto fail_socket;
    }
    *ret_fd = fd;
    return MR_OK;

fail_socket:
    (void)close(fd); /* Nothing was written. */
    return status;
}

/* The path itself where it fits; else by way of the folder's descriptor, which is always short. */
static mr_status sock_address(const struct mr__folder *folder, const char *name,
                              struct sockaddr_un *ret_address, socklen_t *ret_len, mr_error *reterr)
{
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->sun_family = AF_UNIX;
    size_t max = sizeof ret_address->sun_path;
    int len = snprintf(ret_address->sun_path, max, "%s/%s", folder->path, name);
    if (len < 0 || (size_t)len >= max) {
        len = snprintf(ret_address->sun_path, max, "/proc/self/fd/%d/%s", folder->dir_fd, name);
        if (access("/proc/self/fd", X_OK) != 0) {
            return mr__error_set(reterr, MR_ESTORE,
                                 "the path %s is too long for a socket where /proc is missing",
                                 folder->path);
        }
    }
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len + 1);
    return MR_OK;
}

static mr_status sock_check(const struct mr__folder *folder, mr_error *reterr)
{
    struct stat st;
    if (fstatat(folder->dir_fd, SOCK_NAME, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return mr__error_set(reterr, errno == ENOENT ? MR_EBUSY : MR_ESTORE,
                             "cannot look at %s/%s: %s", folder->path, SOCK_NAME, strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return mr__error_set(reterr, MR_EPERM, "%s/%s is not a socket", folder->path, SOCK_NAME);
    }
    if (st.st_uid != geteuid()) {
        return mr__error_set(reterr, MR_EPERM, "the socket %s/%s belongs to user %u", folder->path,
                             SOCK_NAME, (unsigned)st.st_uid);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return mr__error_set(reterr, MR_EPERM, "others may write to the socket %s/%s (mode %04o)",
                             folder->path, SOCK_NAME, (unsigned)(st.st_mode & 07777));
    }
    return MR_OK;
}

static mr_status peer_check(const struct mr__folder *folder, int fd, mr_error *reterr)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        return mr__error_set(reterr, MR_EPERM, "cannot learn who listens on %s/%s: %s",
                             folder->path, SOCK_NAME, strerror(errno));
    }
    if (peer.uid != geteuid() && peer.uid != 0) {
        return mr__error_set(reterr, MR_EPERM, "user %u listens on %s/%s", (unsigned)peer.uid,
                             folder->path, SOCK_NAME);
    }
    return MR_OK;
}
