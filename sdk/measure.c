/* SPDX-License-Identifier: MIT
 *
 * The two public calls that work on a store without an owner's handle: mr_bench, in a fresh folder
 * inside the store's, and mr_store_check. The caller's thread.
 */
#include <millrace/engine.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/engine/engine.h"
#include "sdk/folder.h"
#include "sdk/stream.h"

/* Removes a folder and the files in it; folders in it are emptied first, two levels deep. */
static void remove_folder(int parent_fd, const char *name, int depth)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 0) {
            remove_folder(fd, entry->d_name, depth - 1);
        }
    }
    (void)closedir(dir);
    (void)unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* A request's answer is not yet the caller's document: it may be an error, and it says that it is
 * the last one. */
static mr_status answer_to_document(struct mr__buf *out, mr_error *reterr)
{
    static const char end[] = ",\"end\":true}";
    mr_error error;
    if (mr__answer_error((const char *)out->data, out->len, &error)) {
        return mr__error_set(reterr, error.status, "%s", error.message);
    }
    MR_ASSERT(out->len > sizeof end);
    out->len -= sizeof end - 1;
    mr__buf_text(out, "}");
    return MR_OK;
}

mr_status mr_bench(const char *store, const char *plugins, const char *options_json,
                   char **ret_json, mr_error *reterr)
{
    struct mr__folder folder;
    struct mr__registry *registry = NULL;
    struct mr__buf out;
    char name[64];
    if (ret_json == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "mr_bench: ret_json is NULL");
    }
    mr_status status = mr__folder_open(store, true, &folder, reterr);
    if (status != MR_OK) {
        return status;
    }
    mr__buf_init(&out);
    (void)snprintf(name, sizeof name, "bench-%d", (int)getpid());
    char *path = mr__malloc(strlen(folder.path) + sizeof name + 1);
    if (path == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    } else {
        (void)sprintf(path, "%s/%s", folder.path, name);
        remove_folder(folder.dir_fd, name, 1); /* of an earlier process of this number */
        if (mkdirat(folder.dir_fd, name, 0700) != 0) {
            status = mr__error_set(reterr, MR_ESTORE, "%s: the folder cannot be made", path);
        }
    }
    if (status == MR_OK) {
        status = mr__registry_create(plugins, NULL, NULL, &registry, reterr);
        if (status == MR_OK) {
            status = mr__bench(path, registry, options_json, &out, reterr);
            if (status == MR_OK) {
                status = answer_to_document(&out, reterr);
            }
        }
        remove_folder(folder.dir_fd, name, 1);
    }
    if (status == MR_OK && mr__buf_cstr(&out) == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    if (status == MR_OK) {
        *ret_json = (char *)out.data;
        out.data = NULL;
    }
    mr__registry_destroy(registry);
    mr__buf_finish(&out);
    mr__free(path);
    mr__folder_close(&folder);
    return status;
}

mr_status mr_store_check(const char *store, char **ret_json, mr_error *reterr)
{
    struct mr__folder folder;
    struct mr__buf out;
    int64_t pid;
    mr_status status = mr__folder_open(store, false, &folder, reterr);
    if (status != MR_OK) {
        return status;
    }
    mr__buf_init(&out);
    status = mr__folder_lock(&folder, &pid, reterr);
    if (status == MR_OK && faccessat(folder.dir_fd, "data.mdb", F_OK, 0) != 0) {
        status = mr__error_set(reterr, MR_ENOTFOUND, "%s: there is no store here", folder.path);
    }
    if (status == MR_OK) {
        status = mr__check_path(folder.path, &out, reterr);
    }
    if (status == MR_OK && mr__buf_cstr(&out) == NULL) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    if (status == MR_OK && ret_json != NULL) {
        *ret_json = (char *)out.data;
        out.data = NULL;
    }
    mr__buf_finish(&out);
    mr__folder_close(&folder);
    return status;
}
