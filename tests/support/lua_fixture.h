/* SPDX-License-Identifier: MIT
 *
 * A dag of one script and a scope around it, made by hand, so that the Lua host is tested without a
 * parser or an engine. Variables, share data, outputs, the item and the error are given as JSON.
 */
#ifndef MR__LUA_FIXTURE_H
#define MR__LUA_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "core/base/hash.h"
#include "core/base/value.h"
#include "core/model/scope.h"
#include "lua/lua_host.h"

#define FIXTURE_LINE 12 /* where the script begins in its file, "d.yaml" */

struct lua_fixture {
    struct mr__lua *lua;
    struct mr__arena arena;
    struct mr__dag dag;
    struct mr__script script;
    struct mr__dag_task tasks[2];
    struct mr__scope scope;
    mr_value vars, share; /* maps */
    const char *outputs[2];
    struct mr__lua_budget budget;
    struct mr__buf text; /* of the latest result or output */
    struct mr__buf key, json;
    mr_error error;
    uint32_t version; /* counts, so that each text is another version */
};

static bool fixture_task(const struct mr__scope *scope, uint32_t task,
                         struct mr__scope_task *ret_task)
{
    const struct lua_fixture *f = scope->user;
    *ret_task =
        (struct mr__scope_task){.status = task == 0 ? "success" : "init", .reason = {"", 0}};
    if (f->outputs[task] != NULL) {
        ret_task->output = (struct mr__blob){f->outputs[task], strlen(f->outputs[task])};
    }
    return true;
}

static bool fixture_share(const struct mr__scope *scope, const char *key, size_t len,
                          struct mr__blob *ret_json)
{
    struct lua_fixture *f = scope->user;
    const mr_value *value = mr_value_get(&f->share, key);
    if (value == NULL || strlen(key) != len) {
        return false;
    }
    mr__buf_reset(&f->json);
    mr__value_print(&f->json, value);
    *ret_json = (struct mr__blob){(const char *)f->json.data, f->json.len};
    return true;
}

static bool fixture_share_next(const struct mr__scope *scope, struct mr__blob after,
                               struct mr__blob *ret_key)
{
    struct lua_fixture *f = scope->user;
    const char *best = NULL;
    for (uint32_t i = 0; i < f->share.len; i++) {
        const char *key = f->share.u.map[i].key;
        if ((after.data == NULL || strcmp(key, after.data) > 0) &&
            (best == NULL || strcmp(key, best) < 0)) {
            best = key;
        }
    }
    if (best == NULL) {
        return false;
    }
    mr__buf_reset(&f->key);
    mr__buf_text(&f->key, best);
    *ret_key = (struct mr__blob){(const char *)f->key.data, f->key.len};
    return true;
}

static inline mr_value fixture_json(struct lua_fixture *f, const char *json)
{
    mr_value value = {0};
    mr_error error;
    if (mr__value_parse(&f->arena, json, strlen(json), &value, &error) != MR_OK) {
        abort();
    }
    return value;
}

static inline void fixture_init(struct lua_fixture *f)
{
    memset(f, 0, sizeof *f);
    mr__arena_init(&f->arena);
    mr__buf_init(&f->text);
    mr__buf_init(&f->key);
    mr__buf_init(&f->json);
    f->vars = fixture_json(f, "{\"stage\":\"prod\",\"n\":3,\"list\":[1,null,3],\"none\":null}");
    f->share = fixture_json(f, "{\"n\":4,\"hosts\":[{\"name\":\"a\"},{\"name\":\"b\"}]}");
    f->outputs[0] = "{\"pages\":[1,2,3],\"empty\":{},\"big\":9007199254740993}";
    f->tasks[0].id = "fetch";
    f->tasks[1].id = "build";
    f->dag.file = "d.yaml";
    f->dag.id = "d";
    f->dag.tasks = f->tasks;
    f->dag.task_count = 2;
    mr__hash_init(&f->dag.task_by_id);
    for (uint32_t i = 0; i < 2; i++) {
        if (mr__hash_put(&f->dag.task_by_id, f->tasks[i].id, strlen(f->tasks[i].id), i) != MR_OK) {
            abort();
        }
    }
    f->dag.scripts = &f->script;
    f->dag.script_count = 1;
    f->scope.dag = &f->dag;
    f->scope.vars = &f->vars;
    f->scope.user = f;
    f->scope.task = fixture_task;
    f->scope.share = fixture_share;
    f->scope.share_next = fixture_share_next;
    f->scope.run = (struct mr__scope_run){.id = "r1",
                                          .dag = "d",
                                          .status = "running",
                                          .reason = "",
                                          .folder = "/tmp",
                                          .trigger = "manually",
                                          .created_ms = 1500,
                                          .started_ms = 2500};
    f->budget = mr__lua_budget_worker;
    if (mr__lua_create(&f->lua) != MR_OK) {
        abort();
    }
}

static inline void fixture_finish(struct lua_fixture *f)
{
    mr__lua_destroy(f->lua);
    mr__hash_finish(&f->dag.task_by_id);
    mr__buf_finish(&f->text);
    mr__buf_finish(&f->key);
    mr__buf_finish(&f->json);
    mr__arena_finish(&f->arena);
}

static inline void fixture_script(struct lua_fixture *f, enum mr__script_kind kind,
                                  const char *text, size_t len)
{
    f->version++;
    memcpy(f->dag.version, &f->version, sizeof f->version);
    f->script = (struct mr__script){.text = text,
                                    .len = len,
                                    .pos = {.line = FIXTURE_LINE, .column = 1},
                                    .kind = (uint8_t)kind};
}

/* Evaluates an expression; the result as JSON, or the error's message, is in f->text. */
static inline mr_status fixture_eval(struct lua_fixture *f, const char *text)
{
    mr_value value;
    fixture_script(f, MR__SCRIPT_EXPRESSION, text, strlen(text));
    memset(&f->error, 0, sizeof f->error);
    mr_status status = mr__lua_eval(f->lua, &f->scope, 0, &f->budget, &f->arena, &value, &f->error);
    mr__buf_reset(&f->text);
    if (status == MR_OK) {
        mr__value_print(&f->text, &value);
    } else {
        mr__buf_text(&f->text, f->error.message);
    }
    return status;
}

/* The same for a chunk. */
static inline mr_status fixture_run(struct lua_fixture *f, const char *text,
                                    const struct mr__lua_acts *acts)
{
    fixture_script(f, MR__SCRIPT_CHUNK, text, strlen(text));
    memset(&f->error, 0, sizeof f->error);
    mr__buf_reset(&f->text);
    mr_status status = mr__lua_run(f->lua, &f->scope, 0, acts, &f->budget, &f->text, &f->error);
    if (status != MR_OK) {
        mr__buf_reset(&f->text);
        mr__buf_text(&f->text, f->error.message);
    }
    return status;
}

#endif
