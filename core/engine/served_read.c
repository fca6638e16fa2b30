/* SPDX-License-Identifier: MIT
 *
 * Reading a served folder. Reader thread.
 */
#include "core/engine/served_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP (256u << 10)

static struct mr__file_stamp stamp_of(const struct stat *info)
{
    return (struct mr__file_stamp){
        .modified_ns = info->st_mtim.tv_sec * INT64_C(1000000000) + info->st_mtim.tv_nsec,
        .changed_ns = info->st_ctim.tv_sec * INT64_C(1000000000) + info->st_ctim.tv_nsec,
        .bytes = (uint64_t)info->st_size,
        .inode = info->st_ino};
}

bool mr__scan_is_dag_file(const char *name)
{
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);
    for (size_t i = 0; i < MR__COUNT(endings) && name[0] != '.'; i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(name + len - ending, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int add_entry(struct mr__scan *scan, const char *folder, const char *name, bool is_folder,
                     const struct stat *info)
{
    if (scan->count == scan->cap) {
        size_t cap = scan->cap == 0 ? 32 : scan->cap * 2;
        struct mr__scan_entry *entries = mr__realloc(scan->entries, cap * sizeof *entries);
        if (entries == NULL) {
            return ENOMEM;
        }
        scan->entries = entries;
        scan->cap = cap;
    }
    size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = mr__malloc(bytes);
    if (path == NULL) {
        return ENOMEM;
    }
    (void)snprintf(path, bytes, "%s/%s", folder, name); /* fits */
    scan->entries[scan->count++] =
        (struct mr__scan_entry){.path = path, .is_folder = is_folder, .stamp = stamp_of(info)};
    return 0;
}

/* One name of the folder. What has gone in the meantime is not there. */
static int look_at(struct mr__scan *scan, const char *folder, int fd, const char *name)
{
    struct stat info;
    if (name[0] == '.' || fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return 0;
    }
    if (S_ISDIR(info.st_mode)) {
        return add_entry(scan, folder, name, true, &info);
    }
    if (!mr__scan_is_dag_file(name) || fstatat(fd, name, &info, 0) != 0 || !S_ISREG(info.st_mode)) {
        return 0;
    }
    return add_entry(scan, folder, name, false, &info);
}

void mr__scan_folder(const char *path, struct mr__scan *ret_scan)
{
    *ret_scan = (struct mr__scan){.error = 0};
    DIR *dir = opendir(path);
    if (dir == NULL) {
        ret_scan->error = errno;
        return;
    }
    for (const struct dirent *entry; ret_scan->error == 0;) {
        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            ret_scan->error = errno;
            break;
        }
        ret_scan->error = look_at(ret_scan, path, dirfd(dir), entry->d_name);
    }
    (void)closedir(dir); /* it was only read */
}

void mr__scan_finish(struct mr__scan *scan)
{
    for (size_t i = 0; i < scan->count; i++) {
        mr__free(scan->entries[i].path);
    }
    mr__free(scan->entries);
    *scan = (struct mr__scan){.error = 0};
}

int mr__scan_read_file(const char *path, struct mr__buf *text, struct mr__file_stamp *ret_stamp)
{
    struct stat info;
    /* A pipe of that name must not hold up the thread. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno;
    }
    int error = fstat(fd, &info) != 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
    error = error == 0 && !S_ISREG(info.st_mode) ? EINVAL : error;
    ssize_t got = 1;
    while (error == 0 && got != 0 && text->len <= MR__DAG_FILE_BYTES_MAX) {
        if (!mr__buf_reserve(text, READ_STEP)) {
            error = ENOMEM;
            break;
        }
        got = read(fd, text->data + text->len, READ_STEP);
        if (got > 0) {
            text->len += (size_t)got;
        } else if (got < 0 && errno != EINTR) {
            error = errno;
        }
    }
    *ret_stamp = stamp_of(&info);
    (void)close(fd); /* it was only read */
    return error;
}
