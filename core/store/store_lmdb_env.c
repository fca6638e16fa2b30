/* SPDX-License-Identifier: MIT
 *
 * The LMDB environment of one store: checks around its opening, the map's size, and the room that
 * is kept on the disk. Called with the store's env lock held for writing (open, close, grow) or for
 * reading; the room is the committer's.
 *
 * The rules come from LMDB's known edges: full sync, plain keys, no WRITEMAP, local disks only. The
 * data file is read by hand first, because LMDB trusts what it maps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/store/store_lmdb.h"

enum { PATH_BYTES = 4096, MAP_BYTES_MIN = 16 << 20 };

static mr_status check_folder(const char *path, mr_error *reterr);
static mr_status check_version(mr_error *reterr);
static mr_status check_files(const char *path, bool settle, struct mr__lmdb_file *ret_file,
                             mr_error *reterr);
static mr_status open_file(const char *path, const char *name, int *ret_fd, mr_error *reterr);
static mr_status rewrite_metas(int fd, const char *path, uint32_t page_bytes, mr_error *reterr);
static mr_status open_map(struct mr__lmdb_env *env, const char *path, uint64_t map_bytes,
                          uint64_t needed_bytes, mr_error *reterr);
static mr_status open_tables(struct mr__lmdb_env *env, mr_error *reterr);
static mr_status sync_folder(const char *path, mr_error *reterr);

const struct mr__lmdb_table mr__lmdb_tables[MR__LMDB_TABLES] = {
    {MR__TABLE_CONFIG, "config"},   {MR__TABLE_LOG, "log"},   {MR__TABLE_HISTORY, "history"},
    {MR__TABLE_JOURNAL, "journal"}, {MR__TABLE_LIVE, "live"}, {MR__TABLE_INDEX, "index"},
};

mr_status mr__lmdb_env_open(struct mr__lmdb_env *env, const char *path, uint64_t map_bytes,
                            bool settle, mr_error *reterr)
{
    memset(env, 0, sizeof *env);
    env->fd = -1;
    struct mr__lmdb_file file;
    mr_status status = check_version(reterr);
    if (status == MR_OK) {
        status = check_folder(path, reterr);
    }
    if (status == MR_OK) {
        status = check_files(path, settle, &file, reterr);
    }
    if (status == MR_OK) {
        status = open_map(env, path, map_bytes, file.needed_bytes, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    /* LMDB leaves this to its user. */
    if (mdb_env_get_fd(env->env, &env->fd) != 0 || fcntl(env->fd, F_SETFD, FD_CLOEXEC) != 0) {
        status = mr__error_set(reterr, MR_ESTORE, "%s/data.mdb: no file descriptor", path);
        goto fail_close;
    }
    status = open_tables(env, reterr);
    if (status == MR_OK) {
        status = sync_folder(path, reterr);
    }
    if (status != MR_OK) {
        goto fail_close;
    }
    int dead = 0;
    (void)mdb_reader_check(env->env, &dead); /* slots of a killed process; none if it fails */
    return MR_OK;

fail_close:
    mr__lmdb_env_close(env);
    return status;
}

void mr__lmdb_env_close(struct mr__lmdb_env *env)
{
    if (env->env != NULL) {
        mdb_env_close(env->env);
        env->env = NULL;
        env->fd = -1;
    }
}

/* ---- before it is opened ----------------------------------------------------------------------
 */

bool mr__lmdb_version_good(int major, int minor, int patch)
{
    /* 0.9.26 to 0.9.31 have a fault in how locks are recovered (ITS#9278, reverted by ITS#10095).
     */
    return major == 0 && minor == 9 && patch >= 24 && (patch < 26 || patch > 31);
}

static mr_status check_version(mr_error *reterr)
{
    int major, minor, patch;
    (void)mdb_version(&major, &minor, &patch);
    if (mr__lmdb_version_good(major, minor, patch)) {
        return MR_OK;
    }
    return mr__error_set(reterr, MR_ESTORE,
                         "LMDB %d.%d.%d is not fit for use; 0.9.24, 0.9.25 and 0.9.32 or later are",
                         major, minor, patch);
}

const char *mr__lmdb_remote_fs(uint64_t magic)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } remote[] = {
        {0x6969, "NFS"},        {0x517b, "SMB"},      {0xff534d42, "CIFS"},
        {0xfe534d42, "SMB2"},   {0x01021997, "9p"},   {0x65735546, "FUSE"},
        {0x00c36400, "CephFS"}, {0x5346414f, "AFS"},  {0x0bd00bd0, "Lustre"},
        {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"}, {0x786f4256, "vboxsf"},
    };
    for (size_t i = 0; i < MR__COUNT(remote); i++) {
        if ((uint32_t)magic == remote[i].magic) {
            return remote[i].name;
        }
    }
    return NULL;
}

static mr_status check_folder(const char *path, mr_error *reterr)
{
    struct statfs fs;
    if (strlen(path) > PATH_BYTES - sizeof "/data.mdb") {
        return mr__error_set(reterr, MR_ESTORE, "the store's path is too long");
    }
    if (statfs(path, &fs) != 0) {
        return mr__error_set(reterr, MR_ESTORE, "%s: %s", path, strerror(errno));
    }
    const char *remote = mr__lmdb_remote_fs((uint64_t)fs.f_type);
    if (remote != NULL) {
        return mr__error_set(
            reterr, MR_ESTORE,
            "%s is on a file system (%s) that cannot hold a store safely; choose a "
            "folder on a local disk",
            path, remote);
    }
    return MR_OK;
}

static mr_status check_files(const char *path, bool settle, struct mr__lmdb_file *ret_file,
                             mr_error *reterr)
{
    int fd;
    mr_status status = open_file(path, "lock.mdb", &fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    /* LMDB writes to this file through a map: without its blocks a full disk would be a SIGBUS. */
    int failed = posix_fallocate(fd, 0, MR__LMDB_LOCK_BYTES);
    (void)close(fd); /* nothing was written */
    if (failed != 0) {
        return mr__lmdb_error(reterr, failed, "lock.mdb");
    }
    status = open_file(path, "data.mdb", &fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    status = mr__lmdb_check(fd, path, ret_file, reterr);
    /* Free pages at the end may never have been written; nothing may lie behind the file's end.
     * What is left of a file whose making was broken off goes. */
    bool longer = ret_file->file_bytes < ret_file->needed_bytes;
    bool empty = ret_file->needed_bytes == 0 && ret_file->file_bytes > 0;
    if (status == MR_OK && (longer || empty) && ftruncate(fd, (off_t)ret_file->needed_bytes) != 0) {
        status = mr__lmdb_error(reterr, errno, "data.mdb");
    }
    if (status == MR_OK && settle && ret_file->needed_bytes > 0) {
        status = rewrite_metas(fd, path, ret_file->page_bytes, reterr);
    }
    (void)close(fd); /* what matters has been synced */
    return status;
}

static mr_status open_file(const char *path, const char *name, int *ret_fd, mr_error *reterr)
{
    char file[PATH_BYTES];
    (void)snprintf(file, sizeof file, "%s/%s", path, name);
    int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) {
        mr_status status = mr__status_from_errno(errno);
        if (status != MR_EFULL && status != MR_ENOMEM) {
            status = MR_ESTORE;
        }
        return mr__error_set(reterr, status, "cannot write %s: %s", file, strerror(errno));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return mr__error_set(reterr, MR_EFORMAT, "%s is not a file", file);
    }
    *ret_fd = fd;
    return MR_OK;
}

/* After a failed write of a meta page the kernel's copy and the disk may differ. What was read is
 * from the former; written again it is also the latter's, and later commits stand on firm ground.
 */
static mr_status rewrite_metas(int fd, const char *path, uint32_t page_bytes, mr_error *reterr)
{
    size_t len = 2 * (size_t)page_bytes;
    void *metas = mr__malloc(len);
    if (metas == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    mr_status status = MR_OK;
    errno = EIO; /* for a short count */
    if (pread(fd, metas, len, 0) != (ssize_t)len || pwrite(fd, metas, len, 0) != (ssize_t)len ||
        fdatasync(fd) != 0) {
        status = mr__error_set(reterr, MR_EIO, "%s/data.mdb: %s", path, strerror(errno));
    }
    mr__free(metas);
    return status;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static mr_status open_map(struct mr__lmdb_env *env, const char *path, uint64_t map_bytes,
                          uint64_t needed_bytes, mr_error *reterr)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        map_bytes = MR__MIN(map_bytes, limit.rlim_cur / 4);
    }
    while (map_bytes / 10 * 7 < needed_bytes) {
        map_bytes *= 2;
    }
    for (;;) {
        map_bytes = MR__MAX(map_bytes, MAP_BYTES_MIN) & ~(uint64_t)0xffff;
        int rc = mdb_env_create(&env->env);
        if (rc != 0) {
            env->env = NULL;
            return mr__lmdb_error(reterr, rc, "LMDB");
        }
        if ((rc = mdb_env_set_maxdbs(env->env, MR__LMDB_TABLES)) == 0 &&
            (rc = mdb_env_set_mapsize(env->env, map_bytes)) == 0) {
            rc = mdb_env_open(env->env, path, MDB_NOTLS, 0600);
        }
        if (rc == 0) {
            env->map_bytes = map_bytes;
            MDB_stat stat;
            (void)mdb_env_stat(env->env, &stat); /* cannot fail with these arguments */
            env->page_bytes = stat.ms_psize;
            return MR_OK;
        }
        mdb_env_close(env->env);
        env->env = NULL;
        /* Too little address space: less will do, down to what the file needs. */
        if (rc != ENOMEM || map_bytes <= MAP_BYTES_MIN || map_bytes / 2 < needed_bytes) {
            return mr__lmdb_error(reterr, rc, path);
        }
        map_bytes /= 2;
    }
}

static mr_status open_tables(struct mr__lmdb_env *env, mr_error *reterr)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->env, NULL, 0, &txn);
    if (rc != 0) {
        return mr__lmdb_error(reterr, rc, "opening the tables");
    }
    for (size_t i = 0; rc == 0 && i < MR__LMDB_TABLES; i++) {
        rc = mdb_dbi_open(txn, mr__lmdb_tables[i].name, MDB_CREATE, &env->dbi[i]);
    }
    if (rc == 0) {
        rc = mdb_txn_commit(txn);
    } else {
        mdb_txn_abort(txn);
    }
    return rc == 0 ? MR_OK : mr__lmdb_error(reterr, rc, "opening the tables");
}

/* The names of new files are durable only when their folder is. */
static mr_status sync_folder(const char *path, mr_error *reterr)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return mr__lmdb_error(reterr, errno, path);
    }
    int rc = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd); /* only read */
    return rc == 0 || rc == EINVAL ? MR_OK : mr__lmdb_error(reterr, rc, path);
}

/* ---- the map's size ---------------------------------------------------------------------------
 */

uint64_t mr__lmdb_env_end(const struct mr__lmdb_env *env)
{
    MDB_envinfo info;
    (void)mdb_env_info(env->env, &info); /* cannot fail with these arguments */
    return ((uint64_t)info.me_last_pgno + 1) * env->page_bytes;
}

bool mr__lmdb_env_wants_growth(const struct mr__lmdb_env *env, uint64_t bytes)
{
    uint64_t need = mr__lmdb_env_end(env) + bytes;
    return need > env->map_bytes / 10 * 7;
}

mr_status mr__lmdb_env_grow(struct mr__lmdb_env *env, const char *path, uint64_t bytes,
                            mr_error *reterr)
{
    uint64_t need = mr__lmdb_env_end(env) + bytes, old = env->map_bytes, want = old * 2;
    while (need > want / 10 * 7) {
        want *= 2;
    }
    if (mdb_env_set_mapsize(env->env, want) == 0) {
        env->map_bytes = want;
        env->map_refused = 0;
        return MR_OK;
    }
    /* LMDB has given up its old map and would go on without any. */
    mr__lmdb_env_close(env);
    mr_status status = mr__lmdb_env_open(env, path, old, false, reterr);
    env->map_refused = want;
    if (status != MR_OK) {
        return status;
    }
    return mr__error_set(reterr, MR_EFULL,
                         "the store needs a map of %llu MiB and there is no address space for it",
                         (unsigned long long)(want >> 20));
}

/* ---- room on the disk -------------------------------------------------------------------------
 */

static uint64_t disk_free(const struct mr__lmdb_env *env)
{
    struct statvfs fs;
    if (fstatvfs(env->fd, &fs) != 0) {
        return 0;
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

bool mr__lmdb_env_reserve(struct mr__lmdb_env *env)
{
    uint64_t end = mr__lmdb_env_end(env), room = MR__STORE_ROOM_BYTES;
    if (env->map_refused != 0 && env->map_bytes < end + room) {
        return false;
    }
    if (env->reserved_to >= end + room) {
        return true;
    }
    /* Twice as much as must be, so that not every commit has to ask. */
    for (uint64_t bytes = 2 * room; bytes >= room && !env->reserve_unsupported; bytes -= room) {
        if (fallocate(env->fd, FALLOC_FL_KEEP_SIZE, (off_t)end, (off_t)bytes) == 0) {
            env->reserved_to = end + bytes;
            return true;
        }
        env->reserve_unsupported = errno == EOPNOTSUPP || errno == ENOSYS;
    }
    return env->reserve_unsupported && disk_free(env) >= room;
}

uint64_t mr__lmdb_env_room(const struct mr__lmdb_env *env)
{
    uint64_t end = mr__lmdb_env_end(env), room = disk_free(env);
    if (env->reserved_to > end) {
        room += env->reserved_to - end;
    }
    return env->map_refused == 0 ? room : MR__MIN(room, env->map_bytes - end);
}

/* ---- errors -----------------------------------------------------------------------------------
 */

mr_status mr__lmdb_error(mr_error *reterr, int code, const char *what)
{
    mr_status status;
    switch (code) {
    case MDB_NOTFOUND: status = MR_ENOTFOUND; break;
    case MDB_MAP_FULL: status = MR_EFULL; break;
    case MDB_PANIC: status = MR_EUNKNOWN; break;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: status = MR_EFORMAT; break;
    case MDB_TXN_FULL:
    case MDB_READERS_FULL: status = MR_ELIMIT; break;
    default: status = code > 0 ? mr__status_from_errno(code) : MR_ESTORE; break;
    }
    /* Statuses that would mean something else to who asked for a commit or a store. */
    if (code > 0 && status != MR_EFULL && status != MR_ENOMEM && status != MR_EIO) {
        status = MR_ESTORE;
    }
    return mr__error_set(reterr, status, "%s: %s", what, mdb_strerror(code));
}
