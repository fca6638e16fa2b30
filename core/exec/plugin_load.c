/* SPDX-License-Identifier: MIT
 *
 * The plugin loader. A file is opened, looked at and loaded through one descriptor, so that what
 * was checked is what is loaded. Nothing is ever unloaded.
 *
 * The loader of the C library takes two equal paths for one object, and descriptor numbers come
 * again; so the path through which a descriptor is loaded is made unique by blanks that mean
 * nothing in it ("/." and "//.", at random). The same file, met twice, is still one object (by its
 * inode).
 */
#include "core/exec/plugin_load.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/value.h"
#include "core/exec/plugin_elf.h"

#define FILES_MAX   1024u /* of one folder */
#define ACTIONS_MAX 1024u /* of one plugin */
#define PARAMS_MAX  1024u /* of one action */

struct names {
    char **list;
    size_t count;
};

static mr_status list_folder(const char *folder, int folder_fd, bool with_lua, struct names *names,
                             mr_error *reterr);
static mr_status open_file(int folder_fd, const char *name, const char *file, int *ret_fd,
                           mr_error *reterr);
static mr_status read_file(int folder_fd, const char *name, const char *file,
                           struct mr__buf *ret_text, mr_error *reterr);
static mr_status load_file(int folder_fd, const char *name, const char *file,
                           const mr_plugin **ret_plugin, mr_error *reterr);
static mr_status check_place(int fd, const char *file, mr_error *reterr);
static mr_status check_action(const char *file, const mr_action *action, mr_error *reterr);
static mr_status check_params(const char *file, const mr_action *action, mr_error *reterr);

static bool ends_with(const char *name, const char *ending)
{
    size_t len = strlen(name), ending_len = strlen(ending);
    return len > ending_len && strcmp(name + len - ending_len, ending) == 0;
}

/* Loads one file and tells of it. */
static mr_status load_one(int folder_fd, const char *name, const char *file, mr__plugin_found found,
                          mr__plugin_found_lua found_lua, void *user)
{
    const mr_plugin *plugin = NULL;
    struct mr__buf text = {0};
    mr_error refusal;
    mr_status status;
    if (!ends_with(name, ".lua")) {
        status = load_file(folder_fd, name, file, &plugin, &refusal);
        return found(user, file, status == MR_OK ? plugin : NULL,
                     status == MR_OK ? NULL : &refusal);
    }
    status = read_file(folder_fd, name, file, &text, &refusal);
    status = status == MR_OK ? found_lua(user, file, mr__buf_cstr(&text), text.len)
                             : found(user, file, NULL, &refusal);
    mr__buf_finish(&text);
    return status;
}

mr_status mr__plugin_load_folder(const char *folder, mr__plugin_found found,
                                 mr__plugin_found_lua found_lua, void *user, mr_error *reterr)
{
    struct names names = {NULL, 0};
    struct stat st;
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0 || fstat(folder_fd, &st) != 0) {
        int number = errno;
        if (folder_fd >= 0) {
            (void)close(folder_fd);
        }
        return mr__error_set(reterr, mr__status_from_errno(number), "plugin folder %s: %s", folder,
                             strerror(number));
    }
    mr_status status = MR_OK;
    if ((st.st_mode & S_IWOTH) != 0) {
        status =
            mr__error_set(reterr, MR_EPERM, "plugin folder %s: others may write to it", folder);
    } else {
        status = list_folder(folder, folder_fd, found_lua != NULL, &names, reterr);
    }
    for (size_t i = 0; i < names.count && status == MR_OK; i++) {
        char *file = mr__aprintf("%s/%s", folder, names.list[i]);
        if (file == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
            break;
        }
        status = load_one(folder_fd, names.list[i], file, found, found_lua, user);
        mr__free(file);
    }
    for (size_t i = 0; i < names.count; i++) {
        mr__free(names.list[i]);
    }
    mr__free(names.list);
    (void)close(folder_fd);
    return status;
}

mr_status mr__plugin_load_file(const char *file, mr__plugin_found found,
                               mr__plugin_found_lua found_lua, void *user, mr_error *reterr)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash == NULL ? file : slash + 1;
    char *folder = slash == NULL ? mr__strdup(".") : mr__strndup(file, (size_t)(name - file));
    if (folder == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int number = errno;
    mr__free(folder);
    if (folder_fd < 0) {
        return mr__error_set(reterr, mr__status_from_errno(number), "%s: %s", file,
                             strerror(number));
    }
    mr_status status = load_one(folder_fd, name, file, found, found_lua, user);
    (void)close(folder_fd);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mr_status list_folder(const char *folder, int folder_fd, bool with_lua, struct names *names,
                             mr_error *reterr)
{
    int fd = dup(folder_fd);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int number = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return mr__error_set(reterr, mr__status_from_errno(number), "plugin folder %s: %s", folder,
                             strerror(number));
    }
    mr_status status = MR_OK;
    names->list = mr__calloc(FILES_MAX, sizeof *names->list);
    for (struct dirent *entry; status == MR_OK && (entry = readdir(dir)) != NULL;) {
        if (!ends_with(entry->d_name, ".so") && (!with_lua || !ends_with(entry->d_name, ".lua"))) {
            continue;
        }
        char *copy = names->list == NULL ? NULL : mr__strdup(entry->d_name);
        if (copy == NULL) {
            status = mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
        } else if (names->count == FILES_MAX) {
            mr__free(copy);
            status = mr__error_set(reterr, MR_ELIMIT, "plugin folder %s: more than %u plugins",
                                   folder, FILES_MAX);
        } else {
            names->list[names->count++] = copy;
        }
    }
    (void)closedir(dir);
    if (names->count > 1) {
        qsort(names->list, names->count, sizeof *names->list, by_name);
    }
    return status;
}

/* "/proc/self/fd" and on to the descriptor, by a way that no other load takes. */
static void unique_path(int fd, char ret_path[256])
{
    uint64_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits) {
        bits = (uint64_t)(uintptr_t)&bits ^ (uint64_t)fd << 40;
    }
    size_t at = (size_t)snprintf(ret_path, 256, "/proc/self/fd");
    for (int i = 0; i < 64; i++, bits >>= 1) {
        const char *step = (bits & 1) != 0 ? "//." : "/.";
        memcpy(ret_path + at, step, strlen(step));
        at += strlen(step);
    }
    (void)snprintf(ret_path + at, 256 - at, "/%d", fd);
}

static mr_status open_file(int folder_fd, const char *name, const char *file, int *ret_fd,
                           mr_error *reterr)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int number = errno;
        return mr__error_set(reterr, mr__status_from_errno(number), "%s: %s", file,
                             strerror(number));
    }
    mr_status status = check_place(fd, file, reterr);
    if (status != MR_OK) {
        (void)close(fd);
        return status;
    }
    *ret_fd = fd;
    return MR_OK;
}

static mr_status read_file(int folder_fd, const char *name, const char *file,
                           struct mr__buf *ret_text, mr_error *reterr)
{
    char part[4096];
    int fd = -1;
    mr_status status = open_file(folder_fd, name, file, &fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    ssize_t got = 1;
    while (got > 0 && ret_text->len <= MR__SCRIPT_BYTES_MAX && !ret_text->failed) {
        got = read(fd, part, sizeof part);
        if (got > 0) {
            mr__buf_bytes(ret_text, part, (size_t)got);
        }
    }
    int number = errno;
    (void)close(fd);
    if (got < 0) {
        return mr__error_set(reterr, mr__status_from_errno(number), "%s: %s", file,
                             strerror(number));
    }
    if (ret_text->len > MR__SCRIPT_BYTES_MAX) {
        return mr__error_set(reterr, MR_EABI, "%s: more than %u bytes", file, MR__SCRIPT_BYTES_MAX);
    }
    return mr__buf_cstr(ret_text) != NULL
               ? MR_OK
               : mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
}

static mr_status load_file(int folder_fd, const char *name, const char *file,
                           const mr_plugin **ret_plugin, mr_error *reterr)
{
    char path[256];
    mr_plugin_entry_fn entry = NULL;
    int fd = -1;
    mr_status status = open_file(folder_fd, name, file, &fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct stat st;
    status = fstat(fd, &st) == 0 ? mr__plugin_elf_check(fd, (uint64_t)st.st_size, file, reterr)
                                 : mr__error_set(reterr, MR_EIO, "%s: %s", file, strerror(errno));
    if (status != MR_OK) {
        (void)close(fd);
        return status;
    }
    unique_path(fd, path);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object != NULL) {
        /* POSIX's own way from void * to a function. */
        *(void **)&entry = dlsym(object, MR_PLUGIN_ENTRY_SYMBOL);
    }
    if (object == NULL) {
        const char *why = dlerror();
        why = why == NULL ? "unknown error" : why;
        why = strncmp(why, path, strlen(path)) == 0 ? why + strlen(path) + 2 : why;
        status = mr__error_set(reterr, MR_EABI, "%s: cannot be loaded: %s", file, why);
    } else if (entry == NULL) {
        status = mr__error_set(reterr, MR_EABI, "%s: no millrace plugin: it has no %s()", file,
                               MR_PLUGIN_ENTRY_SYMBOL);
    } else {
        const mr_plugin *plugin = entry();
        status = mr__plugin_check(file, plugin, reterr);
        if (status == MR_OK) {
            *ret_plugin = plugin;
        }
    }
    (void)close(fd);
    return status;
}

mr_status mr__plugin_load_object(const char *file, const mr_plugin **ret_plugin, mr_error *reterr)
{
    return load_file(AT_FDCWD, file, file, ret_plugin, reterr);
}

/* A regular file that others may not write, in a folder (behind links too) of the same kind. */
static mr_status check_place(int fd, const char *file, mr_error *reterr)
{
    struct stat st;
    char link[64], real[4096];
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return mr__error_set(reterr, MR_EPERM, "%s: no regular file", file);
    }
    if ((st.st_mode & S_IWOTH) != 0) {
        return mr__error_set(reterr, MR_EPERM, "%s: others may write to it", file);
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, real, sizeof real - 1);
    while (len > 1 && real[len - 1] != '/') {
        len--;
    }
    if (len <= 0) {
        return mr__error_set(reterr, MR_EIO, "%s: its folder is unknown (is /proc mounted?)", file);
    }
    real[len] = '\0';
    if (stat(real, &st) != 0 || (st.st_mode & S_IWOTH) != 0) {
        return mr__error_set(reterr, MR_EPERM, "%s: others may write to its folder %.200s", file,
                             real);
    }
    return MR_OK;
}

mr_status mr__plugin_check(const char *file, const mr_plugin *plugin, mr_error *reterr)
{
    if (plugin == NULL) {
        return mr__error_set(reterr, MR_EABI, "%s: %s() returned nothing", file,
                             MR_PLUGIN_ENTRY_SYMBOL);
    }
    if (plugin->magic != MR_PLUGIN_MAGIC) {
        return mr__error_set(reterr, MR_EABI, "%s: no millrace plugin: magic 0x%08x, not 0x%08x",
                             file, plugin->magic, MR_PLUGIN_MAGIC);
    }
    if (plugin->abi_major != MR_ABI_MAJOR) {
        return mr__error_set(reterr, MR_EABI, "%s: built for plugin ABI %u.%u, this is %u.%u", file,
                             plugin->abi_major, plugin->abi_minor, MR_ABI_MAJOR, MR_ABI_MINOR);
    }
    if (plugin->abi_minor > MR_ABI_MINOR) {
        return mr__error_set(reterr, MR_EABI,
                             "%s: built for the newer plugin ABI %u.%u, this is %u.%u", file,
                             plugin->abi_major, plugin->abi_minor, MR_ABI_MAJOR, MR_ABI_MINOR);
    }
    /* All that version 1.0 had. */
    if (!MR_HAS(mr_plugin, plugin, actions)) {
        return mr__error_set(reterr, MR_EABI, "%s: its table has %u bytes, not %zu", file,
                             plugin->size, sizeof(mr_plugin));
    }
    if (plugin->flags != 0 || plugin->name == NULL || plugin->version == NULL ||
        plugin->actions == NULL) {
        return mr__error_set(reterr, MR_EABI,
                             "%s: its table lacks a name, version or actions, or has unknown flags",
                             file);
    }
    for (uint32_t i = 0; plugin->actions[i] != NULL; i++) {
        if (i == ACTIONS_MAX) {
            return mr__error_set(reterr, MR_EABI, "%s: more than %u actions", file, ACTIONS_MAX);
        }
        mr_status status = check_action(file, plugin->actions[i], reterr);
        if (status != MR_OK) {
            return status;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(plugin->actions[i]->name, plugin->actions[j]->name) == 0) {
                return mr__error_set(reterr, MR_EABI, "%s: two actions named \"%s\"", file,
                                     plugin->actions[i]->name);
            }
        }
    }
    return MR_OK;
}

static mr_status check_action(const char *file, const mr_action *action, mr_error *reterr)
{
    /* All that version 1.0 had. The size is looked at before anything that it may not cover. */
    if (!MR_HAS(mr_action, action, retry_before)) {
        return mr__error_set(reterr, MR_EABI, "%s: an action's table has %u bytes, not %zu", file,
                             action->size, sizeof(mr_action));
    }
    if (action->name == NULL || !mr__id_valid(action->name, strlen(action->name))) {
        return mr__error_set(reterr, MR_EABI, "%s: an action without a valid name", file);
    }
    if (action->param_size < sizeof(mr_param) || action->param_size % sizeof(void *) != 0) {
        return mr__error_set(reterr, MR_EABI,
                             "%s: action \"%s\": a param's row has %u bytes, not %zu", file,
                             action->name, action->param_size, sizeof(mr_param));
    }
    if (action->run == NULL) {
        return mr__error_set(reterr, MR_EABI, "%s: action \"%s\" has no run", file, action->name);
    }
    if (action->where > MR_ON_LOOP ||
        (action->flags & ~(MR_IDEMPOTENT | MR_SPAWNS | MR_ISOLATED)) != 0 ||
        ((action->flags & MR_SPAWNS) != 0 &&
         (action->where != MR_ON_LOOP || (action->flags & MR_ISOLATED) != 0))) {
        return mr__error_set(reterr, MR_EABI,
                             "%s: action \"%s\": where %u with flags %u is unknown", file,
                             action->name, action->where, action->flags);
    }
    return check_params(file, action, reterr);
}

static mr_status check_params(const char *file, const mr_action *action, mr_error *reterr)
{
    const char *row = (const char *)action->params;
    for (uint32_t i = 0; row != NULL && ((const mr_param *)row)->name != NULL;
         i++, row += action->param_size) {
        const mr_param *param = (const mr_param *)row;
        if (i == PARAMS_MAX || !mr__id_valid(param->name, strlen(param->name)) ||
            param->type > MR_MAP || (param->flags & ~MR_REQUIRED) != 0) {
            return mr__error_set(reterr, MR_EABI,
                                 "%s: action \"%s\": param %u has no valid name, type or flags",
                                 file, action->name, i + 1);
        }
        for (const char *other = (const char *)action->params; other < row;
             other += action->param_size) {
            if (strcmp(param->name, ((const mr_param *)other)->name) == 0) {
                return mr__error_set(reterr, MR_EABI, "%s: action \"%s\": two params named \"%s\"",
                                     file, action->name, param->name);
            }
        }
        if (param->default_json != NULL && (param->flags & MR_REQUIRED) == 0) {
            struct mr__arena arena;
            mr_value value;
            mr__arena_init(&arena);
            mr_status status = mr__value_parse(&arena, param->default_json,
                                               strlen(param->default_json), &value, NULL);
            bool fits = status == MR_OK && (param->type == MR_NULL || value.type == MR_NULL ||
                                            value.type == param->type ||
                                            (param->type == MR_NUMBER && value.type == MR_INT));
            mr__arena_finish(&arena);
            if (!fits) {
                return mr__error_set(
                    reterr, MR_EABI, "%s: action \"%s\": the default of param \"%s\" is no %s",
                    file, action->name, param->name, mr__value_type_name(param->type));
            }
        }
    }
    return MR_OK;
}
