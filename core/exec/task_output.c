/* SPDX-License-Identifier: MIT
 *
 * What an attempt gives back: its output, and the details of a failure. Each is a map in the
 * making, kept as JSON text member by member; what is no JSON is refused where it is set. The
 * thread that runs the action.
 */
#include <stdlib.h>

#include "core/exec/task_host.h"

/* ---- members ----------------------------------------------------------------------------------
 */

void mr__members_finish(struct mr__members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        mr__free(members->rows[i].key);
        mr__buf_finish(&members->rows[i].json);
    }
    mr__free(members->rows);
    *members = (struct mr__members){.rows = NULL};
}

static size_t key_bytes(const char *key)
{
    return key == NULL ? 0 : strlen(key);
}

static void del_row(struct mr__members *members, struct mr__members_row *row)
{
    members->bytes -= row->json.len + key_bytes(row->key);
    mr__free(row->key);
    mr__buf_finish(&row->json);
    members->count--;
    memmove(row, row + 1, (size_t)(&members->rows[members->count] - row) * sizeof *row);
}

static struct mr__members_row *find_row(const struct mr__members *members, const char *key)
{
    for (uint32_t i = 0; i < members->count; i++) {
        if (members->rows[i].key != NULL && strcmp(members->rows[i].key, key) == 0) {
            return &members->rows[i];
        }
    }
    return NULL;
}

bool mr__members_find(const struct mr__members *members, const char *key, struct mr__blob *ret_json)
{
    const struct mr__members_row *row = find_row(members, key);
    if (row != NULL) {
        *ret_json = (struct mr__blob){(const char *)row->json.data, row->json.len};
    }
    return row != NULL;
}

void mr__members_del(struct mr__members *members, const char *key)
{
    struct mr__members_row *row = find_row(members, key);
    if (row != NULL) {
        del_row(members, row);
    }
}

/* The row whose key this is, or a new one. NULL: out of memory. */
static struct mr__members_row *row_of(struct mr__members *members, const char *key)
{
    bool whole_before = members->count > 0 && members->rows[0].key == NULL;
    if (members->count > 0 && (key == NULL || whole_before)) {
        mr__members_finish(members); /* A whole and members replace each other. */
    }
    struct mr__members_row *found = key == NULL ? NULL : find_row(members, key);
    if (found != NULL) {
        return found;
    }
    if (members->count == members->cap) {
        uint32_t cap = members->cap == 0 ? 4 : members->cap * 2;
        struct mr__members_row *rows = mr__realloc(members->rows, cap * sizeof *rows);
        if (rows == NULL) {
            return NULL;
        }
        members->rows = rows;
        members->cap = cap;
    }
    char *copy = key == NULL ? NULL : mr__strdup(key);
    if (key != NULL && copy == NULL) {
        return NULL;
    }
    struct mr__members_row *row = &members->rows[members->count++];
    *row = (struct mr__members_row){.key = copy};
    members->bytes += key_bytes(key);
    return row;
}

mr_status mr__members_set(struct mr__members *members, const char *key, const void *json,
                          size_t len, size_t bytes_max)
{
    if (len > bytes_max || key_bytes(key) > bytes_max) {
        return MR_ELIMIT;
    }
    struct mr__members_row *row = row_of(members, key);
    if (row == NULL) {
        return MR_ENOMEM;
    }
    members->bytes -= row->json.len;
    mr__buf_reset(&row->json);
    if (members->bytes + len > bytes_max) {
        del_row(members, row);
        return MR_ELIMIT;
    }
    mr__buf_bytes(&row->json, json, len);
    members->bytes += row->json.len;
    if (row->json.failed) {
        del_row(members, row);
        return MR_ENOMEM;
    }
    return MR_OK;
}

bool mr__members_json(struct mr__members *members, struct mr__buf *buf)
{
    if (members->rows[0].key == NULL) {
        *buf = members->rows[0].json;
        mr__buf_init(&members->rows[0].json);
        return true;
    }
    for (uint32_t i = 0; i < members->count; i++) {
        const struct mr__members_row *row = &members->rows[i];
        mr__buf_u8(buf, i == 0 ? '{' : ',');
        mr__json_str(buf, row->key, strlen(row->key));
        mr__buf_u8(buf, ':');
        mr__buf_bytes(buf, row->json.data, row->json.len);
    }
    mr__buf_u8(buf, '}');
    return !buf->failed;
}

/* ---- the calls --------------------------------------------------------------------------------
 */

mr_status mr__task_set_output(struct mr__task *t, const char *key, const struct mr__buf *json)
{
    if (t->phase == MR__PHASE_AFTER) {
        return mr__task_fail(t, MR_EINVAL, "output in run_after: that of run is told already");
    }
    if (t->wait_ms >= 0) {
        return mr__task_fail(t, MR_EINVAL, "output after mr_finish_after");
    }
    if (key != NULL && !mr__utf8_valid(key, strlen(key))) {
        return mr__task_fail(t, MR_EINVAL, "the key of an output is not UTF-8");
    }
    mr_status status =
        mr__members_set(&t->output, key, json->data, json->len, MR__OUTPUT_BYTES_MAX);
    return status == MR_ELIMIT
               ? mr__task_fail(t, MR_ELIMIT, "output of more than %u bytes", MR__OUTPUT_BYTES_MAX)
               : status;
}

mr_status mr__task_output(mr_task *task, const char *key, const mr_value *value)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf json = {0};
    mr_error error;
    mr_status status = mr__task_json(&json, value, &error);
    status = status == MR_OK ? mr__task_set_output(t, key, &json)
                             : mr__task_fail(t, status, "output: %s", error.message);
    mr__buf_finish(&json);
    return status;
}

mr_status mr__task_output_json(mr_task *task, const char *key, const char *json, size_t len)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf compact = {0};
    mr_error error;
    if (len > MR__OUTPUT_BYTES_MAX) {
        return mr__task_fail(t, MR_ELIMIT, "output of more than %u bytes", MR__OUTPUT_BYTES_MAX);
    }
    mr_status status = mr__task_compact(&compact, json, len, &error);
    status = status == MR_OK
                 ? mr__task_set_output(t, key, &compact)
                 : mr__task_fail(t, status, "output is not one JSON value: %s", error.message);
    mr__buf_finish(&compact);
    return status;
}

mr_status mr__task_detail(mr_task *task, const char *key, const mr_value *value)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__buf json = {0};
    if (key == NULL || *key == '\0' || !mr__utf8_valid(key, strlen(key))) {
        return MR_EINVAL;
    }
    mr_status status = mr__task_json(&json, value, NULL);
    if (status == MR_OK) {
        status = mr__members_set(&t->details, key, json.data, json.len, MR__DETAIL_BYTES_MAX);
    }
    mr__buf_finish(&json);
    return status;
}
