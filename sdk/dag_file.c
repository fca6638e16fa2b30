/* SPDX-License-Identifier: MIT
 *
 * A dag file on its way in.
 */
#include "sdk/dag_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/engine/schedule_check.h"

mr_status mr__dag_file_read(const char *file, struct mr__buf *buf, mr_error *reterr)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        mr_status status = mr__status_from_errno(errno);
        return mr__error_set(reterr, status, "cannot open %s: %s", file, strerror(errno));
    }
    mr_status status = MR_OK;
    const size_t step = 64u << 10;
    ssize_t got = 1;
    while (got != 0 && status == MR_OK) {
        if (!mr__buf_reserve(buf, step + 1)) {
            status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
            break;
        }
        got = read(fd, buf->data + buf->len, step);
        if (got < 0 && errno != EINTR) {
            int number = errno;
            status = mr__error_set(reterr, number == EISDIR ? MR_EINVAL : MR_EIO,
                                   "cannot read %s: %s", file, strerror(number));
        } else if (got > 0) {
            buf->len += (size_t)got;
        }
        if (status == MR_OK && buf->len > MR__DAG_FILE_BYTES_MAX) {
            status =
                mr__error_set(reterr, MR_EDEFINITION, "%s:1:1: the file is larger than %u bytes",
                              file, MR__DAG_FILE_BYTES_MAX);
        }
    }
    (void)close(fd); /* It was only read. */
    if (status == MR_OK) {
        buf->data[buf->len] = '\0';
    }
    return status;
}

mr_status mr__dag_file_need(const char *file, const char **ret_text, size_t *ret_len,
                            struct mr__buf *buf, mr_error *reterr)
{
    if (*ret_text != NULL) {
        return MR_OK;
    }
    if (file == NULL) {
        return mr__error_set(reterr, MR_EINVAL, "a file or a text must be given");
    }
    mr_status status = mr__dag_file_read(file, buf, reterr);
    *ret_text = (const char *)buf->data;
    *ret_len = buf->len;
    return status;
}

/* ---- the check ----------------------------------------------------------------------------- */

/* {"dag":...,"tasks":N,"warnings":[...]}, where `found` is what mr__problems_json says. */
static mr_status write_valid(struct mr__buf *buf, const struct mr__dag *dag,
                             const struct mr__buf *found)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value value = mr__value_null();
    mr_status status = mr__value_parse(&arena, (const char *)found->data, found->len, &value, NULL);
    const mr_value *warnings = mr_value_get(&value, "warnings");
    mr__buf_text(buf, "{\"dag\":");
    mr__json_str(buf, dag->id, strlen(dag->id));
    mr__buf_printf(buf, ",\"tasks\":%u,\"warnings\":", dag->task_count);
    if (warnings != NULL) {
        mr__value_print(buf, warnings);
    } else {
        mr__buf_text(buf, "[]");
    }
    mr__buf_text(buf, "}");
    mr__arena_finish(&arena);
    return status;
}

static mr_status set_definition_error(const struct mr__problems *problems, const char *file,
                                      mr_error *reterr)
{
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mr__problem *problem = &problems->list[i];
        if (!problem->warning) {
            return mr__error_set(reterr, MR_EDEFINITION, "%s:%u:%u: error[%s]: %s", file,
                                 problem->pos.line, problem->pos.column, problem->code,
                                 problem->message);
        }
    }
    return mr__error_set(reterr, MR_EDEFINITION, "%s: invalid definition", file);
}

mr_status mr__dag_file_check(const struct mr__parse_options *options, const char *text, size_t len,
                             const struct mr__registry *registry, struct mr__dag **ret_dag,
                             char **ret_json, mr_error *reterr)
{
    const char *file = options->file;
    const char *name = file == NULL || strcmp(file, "-") == 0 ? "stdin" : file;
    struct mr__problems problems;
    struct mr__dag *dag = NULL, *broken;
    struct mr__parse_options with_broken = *options;
    struct mr__buf found, valid;
    with_broken.ret_broken = &broken;
    mr__problems_init(&problems);
    mr__buf_init(&found);
    mr__buf_init(&valid);
    mr_status status = mr__dag_parse(text, len, &with_broken, &problems, &dag);
    if (status == MR_OK || broken != NULL) {
        const struct mr__dag *parsed = broken != NULL ? broken : dag;
        if (registry != NULL) {
            mr__registry_check(registry, parsed, &problems);
        }
        mr__schedule_check(parsed, &problems);
        status = problems.error_count > 0 ? MR_EDEFINITION : MR_OK;
    }
    mr__dag_unref(broken);
    if (status != MR_OK && status != MR_EDEFINITION) {
        (void)mr__error_set(reterr, status, "%s: %s", name, mr_status_text(status));
        goto finish;
    }
    mr__problems_sort(&problems);
    mr__problems_json(&problems, name, text, len, &found);
    struct mr__buf *document = &found;
    if (status == MR_OK) {
        status = write_valid(&valid, dag, &found);
        document = &valid;
    }
    const char *json = mr__buf_cstr(document);
    if (json == NULL || found.failed || problems.failed || status == MR_ENOMEM) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
        goto finish;
    }
    if (ret_json != NULL) {
        *ret_json = (char *)document->data; /* for mr_free, as buf.h has it */
        mr__buf_init(document);
    }
    if (status == MR_EDEFINITION) {
        (void)set_definition_error(&problems, name, reterr);
    } else if (ret_dag != NULL) {
        *ret_dag = dag;
        dag = NULL;
    }
finish:
    mr__dag_unref(dag);
    mr__buf_finish(&found);
    mr__buf_finish(&valid);
    mr__problems_finish(&problems);
    return status;
}
