/* SPDX-License-Identifier: MIT
 *
 * The actions `file-write`, `file-copy` and `file-checksum`. Workers, since files block.
 *
 * What is written takes its place whole or not at all (file_replacement.c), so that an attempt may
 * be made again after a crash. A canceled one stops within a block.
 */
#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/file/file_replacement.h"
#include "plugins/path.h"
#include "plugins/text.h"

#define BLOCK_BYTES (1u << 20) /* read at once; between two looks whether it is to stop */

/* What went through: the output. */
struct sum {
    struct sha256_ctx hash;
    uint64_t bytes, whole;                 /* so far, and of the file as it was opened */
    char text[2 * SHA256_DIGEST_SIZE + 1]; /* "" before sum_end */
};

static mr_status read_all(mr_task *t, const char *path, int fd, struct mr__replacement *to,
                          struct sum *sum);

/* ---- params and output ------------------------------------------------------------------------
 */

/* Octal digits: YAML's 0644 comes as 644. -1: not given. */
static mr_status read_mode(mr_task *t, int *ret_mode)
{
    const char *text = mr_param_str(t, "mode");
    size_t len = strlen(text);
    *ret_mode = len == 0 ? -1 : (int)strtol(text, NULL, 8);
    return len == 0 || (len <= 4 && len >= 3 && strspn(text, "01234567") == len)
               ? MR_OK
               : mr_fail(t, MR_EINVAL, "mode: \"%.64s\" is no mode such as 0644", text);
}

static mr_status read_expected(mr_task *t, const char **ret_expected)
{
    const char *text = mr_param_str(t, "expect");
    size_t len = strlen(text);
    *ret_expected = text;
    return len == 0 || (len == 2 * SHA256_DIGEST_SIZE &&
                        strspn(text, "0123456789abcdefABCDEF") == 2 * SHA256_DIGEST_SIZE)
               ? MR_OK
               : mr_fail(t, MR_EINVAL, "expect: \"%.64s\" is no SHA-256 of 64 hexadecimal digits",
                         text);
}

static void sum_end(struct sum *sum)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&sum->hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        (void)snprintf(sum->text + 2 * i, 3, "%02x", digest[i]);
    }
}

static mr_status check_expected(mr_task *t, const char *path, const struct sum *sum,
                                const char *expected)
{
    return *expected == '\0' || strcasecmp(sum->text, expected) == 0
               ? MR_OK
               : mr_fail(t, MR_EFAILED, "%s has the SHA-256 %s, not %s", path, sum->text, expected);
}

static mr_status give(mr_task *t, const char *path, const struct sum *sum)
{
    mr_value bytes = {.type = MR_INT, .u.i = (int64_t)sum->bytes};
    mr_status status = mr_output_str(t, "path", path);
    if (status == MR_OK) {
        status = mr_output(t, "bytes", &bytes);
    }
    return status == MR_OK ? mr_output_str(t, "sha256", sum->text) : status;
}

/* ---- file-write -------------------------------------------------------------------------------
 */

static const mr_param write_params[] = {
    {.name = "path",
     .type = MR_STRING,
     .flags = MR_REQUIRED,
     .help = "of the file; a relative one begins in the run's folder"},
    {.name = "text", .type = MR_STRING, .help = "the content: text as it is"},
    {.name = "json", .type = MR_NULL, .help = "the content: any value as JSON, and a newline"},
    {.name = "mode",
     .type = MR_STRING,
     .help = "such as 0600; else that of the file that is replaced, or 0666 less the umask"},
    {.name = NULL},
};

/* The text of the file, in memory of its own or borrowed from the params. */
static mr_status read_content(mr_task *t, struct mr__text *json, const char **ret_bytes,
                              size_t *ret_len)
{
    const mr_value *text = mr_param_get(t, "text"), *value = mr_param_get(t, "json");
    if ((text->type == MR_NULL) == (value->type == MR_NULL)) {
        return mr_fail(t, MR_EINVAL, "one of text and json must be given");
    }
    if (text->type != MR_NULL) {
        *ret_bytes = text->u.s;
        *ret_len = text->len;
        return MR_OK;
    }
    mr__text_json(json, value);
    mr__text_puts(json, "\n");
    *ret_bytes = json->bytes;
    *ret_len = json->len;
    return json->failed ? MR_ENOMEM : MR_OK;
}

static mr_status write_content(mr_task *t, struct mr__replacement *to, const char *path,
                               const char *bytes, size_t len)
{
    struct sum sum = {.bytes = len};
    mr_error error;
    mr_status status = mr__replacement_open(to, path, mr_info(t)->idempotency_key, &error);
    if (status == MR_OK) {
        status = mr__replacement_add(to, bytes, len, &error);
    }
    if (status == MR_OK) {
        status = mr__replacement_keep(to, &error);
    }
    mr__replacement_close(to);
    if (status != MR_OK) {
        return mr_fail(t, status, "%s", error.message);
    }
    sha256_init(&sum.hash);
    sha256_update(&sum.hash, len, (const uint8_t *)bytes);
    sum_end(&sum);
    return give(t, path, &sum);
}

static mr_status write_run(mr_task *t)
{
    struct mr__replacement to = {.mode_if_new = 0666};
    struct mr__text json = {0};
    const char *path, *bytes = NULL;
    size_t len = 0;
    mr_status status = mr__path_param(t, "path", &path);
    if (status == MR_OK) {
        status = read_mode(t, &to.mode);
    }
    if (status == MR_OK) {
        status = read_content(t, &json, &bytes, &len);
    }
    if (status == MR_OK) {
        status = write_content(t, &to, path, bytes, len);
    }
    mr__text_finish(&json);
    return status;
}

/* ---- file-copy and file-checksum --------------------------------------------------------------
 */

static const mr_param copy_params[] = {
    {.name = "from", .type = MR_STRING, .flags = MR_REQUIRED, .help = "the file that is read"},
    {.name = "to", .type = MR_STRING, .flags = MR_REQUIRED, .help = "the file that is written"},
    {.name = "expect",
     .type = MR_STRING,
     .help = "the SHA-256 that it must have, before it is put in place"},
    {.name = "mode",
     .type = MR_STRING,
     .help = "such as 0600; else that of the file that is replaced, or of the one that is read"},
    {.name = NULL},
};

static const mr_param checksum_params[] = {
    {.name = "path", .type = MR_STRING, .flags = MR_REQUIRED, .help = "of the file"},
    {.name = "expect", .type = MR_STRING, .help = "the SHA-256 that it must have"},
    {.name = NULL},
};

/* Opens a regular file for reading. O_NONBLOCK: nobody may be at the other end of a FIFO. */
static mr_status open_file(mr_task *t, const char *path, int *ret_fd, struct stat *ret_stat)
{
    mr_error error;
    mr_status status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        status = mr__file_error(&error, path, "read", errno);
        return mr_fail(t, status, "%s", error.message);
    }
    if (fstat(fd, ret_stat) != 0) {
        status = mr__file_error(&error, path, "read", errno);
    } else {
        status =
            S_ISREG(ret_stat->st_mode) ? MR_OK : mr__file_refuse(&error, path, ret_stat->st_mode);
    }
    if (status != MR_OK) {
        (void)close(fd); /* It was not even read. */
        return mr_fail(t, status, "%s", error.message);
    }
    *ret_fd = fd;
    return MR_OK;
}

static mr_status copy_run(mr_task *t)
{
    struct mr__replacement to = {0};
    struct sum sum = {0};
    struct stat stat;
    mr_error error = {.status = MR_OK};
    const char *from_path, *to_path, *expected;
    int fd;
    mr_status status = mr__path_param(t, "from", &from_path);
    if (status == MR_OK) {
        status = mr__path_param(t, "to", &to_path);
    }
    if (status == MR_OK) {
        status = read_mode(t, &to.mode);
    }
    if (status == MR_OK) {
        status = read_expected(t, &expected);
    }
    if (status == MR_OK) {
        status = open_file(t, from_path, &fd, &stat);
    }
    if (status != MR_OK) {
        return status;
    }
    to.mode_if_new = stat.st_mode & 0777;
    sum.whole = (uint64_t)stat.st_size;
    status = mr__replacement_open(&to, to_path, mr_info(t)->idempotency_key, &error);
    if (status == MR_OK) {
        status = read_all(t, from_path, fd, &to, &sum);
        if (status == MR_OK) {
            status = check_expected(t, from_path, &sum, expected);
        }
        if (status == MR_OK) {
            status = mr__replacement_keep(&to, &error);
        }
    }
    mr__replacement_close(&to);
    (void)close(fd); /* It was only read. */
    if (error.status != MR_OK) {
        return mr_fail(t, status, "%s", error.message);
    }
    return status == MR_OK ? give(t, to_path, &sum) : status;
}

static mr_status checksum_run(mr_task *t)
{
    struct sum sum = {0};
    struct stat stat;
    const char *path, *expected;
    int fd;
    mr_status status = mr__path_param(t, "path", &path);
    if (status == MR_OK) {
        status = read_expected(t, &expected);
    }
    if (status == MR_OK) {
        status = open_file(t, path, &fd, &stat);
    }
    if (status != MR_OK) {
        return status;
    }
    sum.whole = (uint64_t)stat.st_size;
    status = read_all(t, path, fd, NULL, &sum);
    (void)close(fd); /* It was only read. */
    if (status == MR_OK) {
        status = check_expected(t, path, &sum, expected);
    }
    return status == MR_OK ? give(t, path, &sum) : status;
}

/* Reads the file to its end, into the sum and, unless it is NULL, the replacement. */
static mr_status read_all(mr_task *t, const char *path, int fd, struct mr__replacement *to,
                          struct sum *sum)
{
    mr_error error;
    mr_status status = MR_OK;
    char *block = mr_alloc(t, BLOCK_BYTES);
    ssize_t len = 1;
    sha256_init(&sum->hash);
    while (status == MR_OK && len != 0) {
        if (block == NULL || mr_cancel_reason(t) != MR_NOT_CANCELED) {
            return block == NULL ? MR_ENOMEM : MR_ECANCELED;
        }
        len = read(fd, block, BLOCK_BYTES);
        if (len < 0 && errno != EINTR) {
            status = mr__file_error(&error, path, "read", errno);
        } else if (len > 0) {
            sha256_update(&sum->hash, (size_t)len, (const uint8_t *)block);
            sum->bytes += (uint64_t)len;
            status = to == NULL ? MR_OK : mr__replacement_add(to, block, (size_t)len, &error);
            mr_progress(t, sum->whole > 0 ? (double)sum->bytes / (double)sum->whole : -1, NULL);
        }
    }
    sum_end(sum);
    return status == MR_OK ? MR_OK : mr_fail(t, status, "%s", error.message);
}

static const mr_action file_write = MR_ACTION(.name = "file-write", .flags = MR_IDEMPOTENT,
                                              .help = "writes a file, whole or not at all",
                                              .params = write_params, .run = write_run);
static const mr_action file_copy =
    MR_ACTION(.name = "file-copy", .flags = MR_IDEMPOTENT,
              .help = "copies a file, whole or not at all", .params = copy_params, .run = copy_run);
static const mr_action file_checksum =
    MR_ACTION(.name = "file-checksum", .flags = MR_IDEMPOTENT, .help = "the SHA-256 of a file",
              .params = checksum_params, .run = checksum_run);
MR_PLUGIN("file", "0.1.0", &file_write, &file_copy, &file_checksum);
