/* SPDX-License-Identifier: MIT
 *
 * A dag in code: mr_dag_create and its neighbours write the text of a dag file, in JSON, a task a
 * line. They know which names have been given, not what they mean: the parser of dag files judges
 * the text. One thread at a time; the dag owns an arena, and a buffer for each of its parts.
 */
#include <millrace/engine.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/base/value.h"

/* A map or list under construction: what stands between its brackets. */
struct part {
    struct mr__buf text;
};

struct task {
    struct task *next;
    struct part keys, params, depends;
};

struct mr_dag {
    struct mr__arena arena;
    struct mr__hash seen; /* names that have been given, each with what it belongs to */
    struct part keys, vars;
    struct task *first, **last;
    struct mr__buf text;
    mr_error failed; /* the first thing that went wrong; status 0: nothing */
};

static void fail(mr_dag *dag, mr_status status, const char *fmt, ...) MR__PRINTF(3, 4);
static bool see(mr_dag *dag, const char *what, const char *task_id, const char *name,
                uint64_t number);
static struct task *task_find(mr_dag *dag, const char *task_id);
static void put_name(struct part *part, const char *name);
static void put_json(mr_dag *dag, struct part *part, const char *name, const char *json);
static void put_str(struct part *part, const char *name, const char *text);
static void write_map(struct mr__buf *out, const char *name, const struct part *part,
                      const char *brackets);
static void escape(struct mr__buf *out, const struct mr__buf *json);

mr_dag *mr_dag_create(const char *id)
{
    mr_dag *dag = mr__calloc(1, sizeof *dag);
    if (dag == NULL) {
        return NULL;
    }
    dag->last = &dag->first;
    mr__arena_init(&dag->arena);
    mr__hash_init(&dag->seen);
    static const char *const own[] = {"tasks", "vars"}; /* there are calls for these */
    for (size_t i = 0; i < MR__COUNT(own); i++) {
        (void)see(dag, "key", NULL, own[i], 0);
    }
    if (id == NULL) {
        fail(dag, MR_EINVAL, "a dag needs an id");
    } else if (see(dag, "key", NULL, "id", 0)) {
        put_str(&dag->keys, "id", id);
    }
    return dag;
}

void mr_dag_destroy(mr_dag *dag)
{
    if (dag == NULL) {
        return;
    }
    for (struct task *task = dag->first; task != NULL; task = task->next) {
        mr__buf_finish(&task->keys.text);
        mr__buf_finish(&task->params.text);
        mr__buf_finish(&task->depends.text);
    }
    mr__buf_finish(&dag->keys.text);
    mr__buf_finish(&dag->vars.text);
    mr__buf_finish(&dag->text);
    mr__hash_finish(&dag->seen);
    mr__arena_finish(&dag->arena);
    mr__free(dag);
}

void mr_dag_set(mr_dag *dag, const char *key, const char *value_json)
{
    if (see(dag, "key", NULL, key, 0)) {
        put_json(dag, &dag->keys, key, value_json);
    }
}

void mr_dag_var(mr_dag *dag, const char *name, const char *value_json)
{
    if (see(dag, "variable", NULL, name, 0)) {
        put_json(dag, &dag->vars, name, value_json);
    }
}

void mr_dag_task(mr_dag *dag, const char *task_id, const char *action)
{
    struct task *task = dag == NULL ? NULL : mr__arena_alloc(&dag->arena, sizeof *task);
    if (task == NULL) {
        fail(dag, MR_ENOMEM, "out of memory");
        return;
    }
    if (!see(dag, "task", NULL, task_id, (uint64_t)(uintptr_t)task)) {
        return;
    }
    *dag->last = task;
    dag->last = &task->next;
    static const char *const own[] = {"id", "params", "dependOn"};
    for (size_t i = 0; i < MR__COUNT(own); i++) {
        (void)see(dag, "key", task_id, own[i], 0);
    }
    put_str(&task->keys, "id", task_id);
    if (action != NULL && see(dag, "key", task_id, "action", 0)) {
        put_str(&task->keys, "action", action);
    }
}

void mr_dag_param(mr_dag *dag, const char *task_id, const char *name, const char *value_json)
{
    struct task *task = task_find(dag, task_id);
    if (task != NULL && see(dag, "param", task_id, name, 0)) {
        put_json(dag, &task->params, name, value_json);
    }
}

void mr_dag_param_str(mr_dag *dag, const char *task_id, const char *name, const char *text)
{
    struct task *task = task_find(dag, task_id);
    if (task == NULL || !see(dag, "param", task_id, name, 0)) {
        return;
    }
    if (text == NULL) {
        fail(dag, MR_EINVAL, "param \"%s\" of task \"%s\" is NULL", name, task_id);
    } else {
        put_str(&task->params, name, text);
    }
}

void mr_dag_param_int(mr_dag *dag, const char *task_id, const char *name, int64_t number)
{
    struct task *task = task_find(dag, task_id);
    if (task != NULL && see(dag, "param", task_id, name, 0)) {
        mr_value value = mr__value_int(number);
        put_name(&task->params, name);
        mr__value_print(&task->params.text, &value);
    }
}

void mr_dag_depend(mr_dag *dag, const char *task_id, const char *on)
{
    struct task *task = task_find(dag, task_id);
    if (task != NULL && see(dag, "parent", task_id, on, 0)) {
        mr__buf_text(&task->depends.text, task->depends.text.len == 0 ? "" : ",");
        mr__json_str(&task->depends.text, on, strlen(on));
    }
}

void mr_dag_task_set(mr_dag *dag, const char *task_id, const char *key, const char *value_json)
{
    struct task *task = task_find(dag, task_id);
    if (task != NULL && see(dag, "key", task_id, key, 0)) {
        put_json(dag, &task->keys, key, value_json);
    }
}

mr_status mr_dag_text(mr_dag *dag, const char **ret_text, mr_error *reterr)
{
    if (dag == NULL || ret_text == NULL) {
        return dag == NULL ? mr__error_set(reterr, MR_ENOMEM, "there is no dag: out of memory")
                           : mr__error_set(reterr, MR_EINVAL, "a place for the text must be given");
    }
    if (dag->failed.status != MR_OK) {
        return mr__error_set(reterr, dag->failed.status, "%s", dag->failed.message);
    }
    struct mr__buf json;
    mr__buf_init(&json);
    write_map(&json, NULL, &dag->keys, "{");
    write_map(&json, "vars", &dag->vars, "{}");
    mr__buf_text(&json, ",\"tasks\":[");
    for (const struct task *task = dag->first; task != NULL; task = task->next) {
        mr__buf_text(&json, task == dag->first ? "\n" : ",\n");
        write_map(&json, NULL, &task->keys, "{");
        write_map(&json, "params", &task->params, "{}");
        write_map(&json, "dependOn", &task->depends, "[]");
        mr__buf_text(&json, "}");
    }
    mr__buf_text(&json, "]}\n");
    mr__buf_reset(&dag->text);
    if (json.failed) {
        dag->text.failed = true;
    } else {
        escape(&dag->text, &json);
    }
    mr__buf_finish(&json);
    const char *text = mr__buf_cstr(&dag->text);
    if (text == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    *ret_text = text;
    return MR_OK;
}

/* ---- helpers -------------------------------------------------------------------------------- */

static void fail(mr_dag *dag, mr_status status, const char *fmt, ...)
{
    if (dag != NULL && dag->failed.status == MR_OK) {
        va_list args;
        va_start(args, fmt);
        (void)mr__error_setv(&dag->failed, status, fmt, args);
        va_end(args);
    }
}

/* Notes a name, of a task or, where that is NULL, of the dag. False: that went wrong, or something
 * has before, and the call does nothing more. */
static bool see(mr_dag *dag, const char *what, const char *task_id, const char *name,
                uint64_t number)
{
    uint64_t other;
    if (dag == NULL || dag->failed.status != MR_OK) {
        return false;
    }
    if (name == NULL) {
        fail(dag, MR_EINVAL, "a %s is NULL", what);
        return false;
    }
    /* No blank is allowed in an id, so that no two of these are the same by accident. */
    char *key = task_id == NULL ? mr__arena_printf(&dag->arena, "%s %s", what, name)
                                : mr__arena_printf(&dag->arena, "of %s %s %s", what, task_id, name);
    if (key != NULL && mr__hash_get(&dag->seen, key, strlen(key), &other)) {
        const char *of = task_id == NULL ? "the dag" : task_id;
        fail(dag, MR_EINVAL, "the %s \"%s\" of %s is set already, or has a call of its own", what,
             name, of);
        return false;
    }
    if (key == NULL || mr__hash_put(&dag->seen, key, strlen(key), number) != MR_OK) {
        fail(dag, MR_ENOMEM, "out of memory");
        return false;
    }
    return true;
}

static struct task *task_find(mr_dag *dag, const char *task_id)
{
    uint64_t address = 0;
    if (dag == NULL || dag->failed.status != MR_OK) {
        return NULL;
    }
    char *key = mr__arena_printf(&dag->arena, "task %s", task_id == NULL ? "" : task_id);
    if (key == NULL) {
        fail(dag, MR_ENOMEM, "out of memory");
    } else if (!mr__hash_get(&dag->seen, key, strlen(key), &address)) {
        fail(dag, MR_EINVAL, "there is no task \"%s\" yet", task_id == NULL ? "" : task_id);
    }
    return (struct task *)(uintptr_t)address;
}

static void put_name(struct part *part, const char *name)
{
    mr__buf_text(&part->text, part->text.len == 0 ? "" : ",");
    mr__json_str(&part->text, name, strlen(name));
    mr__buf_text(&part->text, ":");
}

/* The value goes through the parser: what comes out is JSON whatever went in. */
static void put_json(mr_dag *dag, struct part *part, const char *name, const char *json)
{
    struct mr__arena arena;
    mr_value value = mr__value_null();
    mr_error error;
    mr__arena_init(&arena);
    mr_status status = json == NULL ? mr__error_set(&error, MR_EINVAL, "NULL is no JSON")
                                    : mr__value_parse(&arena, json, strlen(json), &value, &error);
    if (status != MR_OK) {
        fail(dag, status == MR_ENOMEM ? MR_ENOMEM : MR_EINVAL, "\"%s\": %s", name, error.message);
    } else {
        put_name(part, name);
        mr__value_print(&part->text, &value);
    }
    mr__arena_finish(&arena);
}

static void put_str(struct part *part, const char *name, const char *text)
{
    put_name(part, name);
    mr__json_str(&part->text, text, strlen(text));
}

/* A member where `name` is given and the part is not empty; or the beginning of a map. */
static void write_map(struct mr__buf *out, const char *name, const struct part *part,
                      const char *brackets)
{
    out->failed = out->failed || part->text.failed;
    if (name != NULL && part->text.len == 0) {
        return;
    }
    if (name != NULL) {
        mr__buf_printf(out, ",\"%s\":", name);
    }
    mr__buf_u8(out, (uint8_t)brackets[0]);
    mr__buf_bytes(out, part->text.data, part->text.len);
    if (name != NULL) {
        mr__buf_u8(out, (uint8_t)brackets[1]);
    }
}

/* A dag file is YAML, where some characters that JSON has as they are mean the end of a line or are
 * refused. They stand in strings alone: there they are written as \uXXXX. */
static void escape(struct mr__buf *out, const struct mr__buf *json)
{
    size_t begun = 0;
    for (size_t i = 0; i < json->len; i++) {
        const uint8_t *at = json->data + i;
        size_t left = json->len - i;
        uint32_t code = 0;
        size_t len = 1;
        if (at[0] == 0x7f) {
            code = at[0];
        } else if (at[0] == 0xc2 && left > 1 && at[1] < 0xa0) { /* U+0080 to U+009F */
            code = at[1];
            len = 2;
        } else if (left > 2 && (at[0] == 0xe2 || at[0] == 0xef)) {
            code = (uint32_t)(at[0] & 0x0f) << 12 | (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);
            bool special = code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe;
            code = special ? code : 0;
            len = special ? 3 : 1;
        }
        if (code != 0) {
            mr__buf_bytes(out, json->data + begun, i - begun);
            mr__buf_printf(out, "\\u%04x", code);
            i += len - 1;
            begun = i + 1;
        }
    }
    mr__buf_bytes(out, json->data + begun, json->len - begun);
}
