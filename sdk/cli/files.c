/* SPDX-License-Identifier: MIT
 *
 * Files that are named on the command line, read whole.
 */
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX (64u << 20) /* contract.md's limit of a dag file */

/* What is no file that can be read: said by the caller, where it wants to. */
static int not_found(struct mr__cli *cli, const char *path, int number, const char **ret_missing)
{
    if (ret_missing == NULL) {
        return mr__print_error(cli, MR_ENOTFOUND, NULL, "%s: %s", path, strerror(number));
    }
    *ret_missing = number == ENOENT || number == ENOTDIR ? "no such file" : strerror(number);
    return MR__EXIT_NOT_FOUND;
}

int mr__files_read(struct mr__cli *cli, const char *path, const char **ret_missing,
                   struct mr__text *text)
{
    char chunk[65536];
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;
    if (fd < 0) {
        return errno == EACCES
                   ? mr__print_error(cli, MR_EPERM, NULL, "%s: %s", path, strerror(errno))
                   : not_found(cli, path, errno, ret_missing);
    }
    /* One byte more than allowed is kept, so that the parser is the one to refuse it. */
    while (text->len <= FILE_BYTES_MAX && !text->failed) {
        n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        mr__text_add(text, chunk, (size_t)n);
    }
    int number = errno;
    if (!is_stdin) {
        (void)close(fd); /* it was only read */
    }
    if (text->failed) {
        return mr__print_error(cli, MR_ENOMEM, NULL, "%s: out of memory", path);
    }
    if (n < 0) {
        return number == EISDIR
                   ? not_found(cli, path, number, ret_missing)
                   : mr__print_error(cli, MR_EIO, NULL, "%s: %s", path, strerror(number));
    }
    return MR__EXIT_OK;
}

const char *mr__files_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "stdin" : path;
}

bool mr__files_sendable(struct mr__cli *cli, const char *path, const struct mr__text *file,
                        struct mr__text *answer, struct mr__failure *failure)
{
    if (mr__text_is_utf8(mr__text_str(file), file->len) && file->len <= FILE_BYTES_MAX) {
        return true;
    }
    char *json = NULL;
    memset(failure, 0, sizeof *failure);
    failure->status =
        mr_validate(mr__files_name(path), mr__text_str(file), file->len,
                    cli->plugins.len > 0 ? cli->plugins.at : NULL, &json, &failure->error);
    mr__text_clear(answer);
    if (failure->status == MR_OK) {
        failure->status = MR_EDEFINITION;
        (void)snprintf(failure->error.message, sizeof failure->error.message,
                       "%s: a dag file is text in UTF-8", path); /* cut if too long */
    } else if (json != NULL) {
        mr__text_printf(answer, "{\"error\":%s}", json);
        failure->json = mr__text_str(answer);
    }
    mr_free(json);
    return false;
}

int mr__files_folder(struct mr__cli *cli, const char *path, struct mr__text *folder)
{
    const char *slash = strrchr(path, '/');
    struct mr__text named = {0};
    if (slash == NULL) {
        mr__text_puts(&named, ".");
    } else {
        mr__text_add(&named, path, (size_t)(slash - path) + 1);
    }
    char *real = named.failed ? NULL : realpath(named.at, NULL);
    int number = errno;
    mr__text_finish(&named);
    if (real == NULL) {
        return mr__print_error(cli, MR_ENOTFOUND, NULL, "the folder of %s: %s",
                               mr__files_name(path), strerror(number));
    }
    mr__text_puts(folder, real);
    free(real); /* realpath's own */
    if (!mr__text_is_utf8(mr__text_str(folder), folder->len) ||
        !mr__text_is_utf8(path, strlen(path))) {
        return mr__print_error(cli, MR_EINVAL, NULL, "the path of the file is not UTF-8");
    }
    return folder->failed ? mr__print_error(cli, MR_ENOMEM, NULL, "out of memory") : MR__EXIT_OK;
}

/* Where the last part of a path begins, and its length. */
static size_t last_part(const char *path, size_t *ret_len)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    size_t base = len;
    while (base > 0 && path[base - 1] != '/') {
        base--;
    }
    *ret_len = len - base;
    return base;
}

bool mr__files_has_name(const char *path)
{
    size_t len, base = last_part(path, &len);
    return len > 2 || strspn(path + base, ".") < len;
}

int mr__files_absolute(struct mr__cli *cli, const char *path, struct mr__text *absolute)
{
    struct mr__text parent = {0};
    size_t len, base = last_part(path, &len);
    mr__text_puts(&parent, base == 0 ? "." : "");
    mr__text_add(&parent, path, base);
    char *real = parent.failed ? NULL : realpath(parent.at, NULL);
    int number = errno;
    mr__text_finish(&parent);
    if (real == NULL) {
        return mr__print_error(cli, number == EACCES ? MR_EPERM : MR_ENOTFOUND, NULL,
                               "the folder of %s: %s", path, strerror(number));
    }
    mr__text_printf(absolute, "%s%s%.*s", real, strcmp(real, "/") == 0 ? "" : "/", (int)len,
                    path + base);
    free(real); /* realpath's own */
    return absolute->failed || !mr__text_is_utf8(absolute->at, absolute->len)
               ? mr__print_error(cli, MR_EINVAL, NULL, "the path of %s is not UTF-8", path)
               : MR__EXIT_OK;
}

bool mr__files_is_file(const char *word)
{
    static const char *const endings[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(word);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(word + len - ending, endings[i]) == 0) {
            return true;
        }
    }
    return strcmp(word, "-") == 0 || strchr(word, '/') != NULL;
}
