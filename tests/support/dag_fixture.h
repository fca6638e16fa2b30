/* SPDX-License-Identifier: MIT
 *
 * A dag with Lua and a scope of its run, for the tests of core/exec. Header only; include it after
 * exec_fixture.h.
 */
#ifndef MR__DAG_FIXTURE_H
#define MR__DAG_FIXTURE_H

#include "core/model/scope.h"

struct dag_fixture {
    struct mr__dag *dag;
    mr_value vars;
    struct mr__arena arena;
    const char *outputs[16]; /* JSON of each task, or NULL */
};

static inline bool dag_fixture_task(const struct mr__scope *scope, uint32_t task,
                                    struct mr__scope_task *ret_task)
{
    const struct dag_fixture *l = scope->user;
    const char *output = l->outputs[task];
    *ret_task = (struct mr__scope_task){.status = output == NULL ? "init" : "success",
                                        .reason = {"", 0},
                                        .output = {output, output == NULL ? 0 : strlen(output)}};
    return true;
}

static inline bool dag_fixture_share(const struct mr__scope *scope, const char *key, size_t len,
                                     struct mr__blob *ret_json)
{
    *ret_json = (struct mr__blob){"\"of the copy\"", 13};
    return len == 4 && memcmp(key, "copy", 4) == 0;
}

static inline bool dag_fixture_share_next(const struct mr__scope *scope, struct mr__blob after,
                                          struct mr__blob *ret_key)
{
    *ret_key = (struct mr__blob){"copy", 4};
    return after.data == NULL;
}

static inline void dag_fixture_parse(struct dag_fixture *l, const char *text)
{
    struct mr__problems problems;
    struct mr__parse_options options = {.file = "dag.yaml"};
    mr_value none = mr__value_null();
    mr_error error = {0};
    memset(l, 0, sizeof *l);
    mr__problems_init(&problems);
    if (mr__dag_parse(text, strlen(text), &options, &problems, &l->dag) != MR_OK) {
        fail_msg("%s %s", problems.list[0].code, problems.list[0].message);
    }
    mr__problems_finish(&problems);
    mr__arena_init(&l->arena);
    assert_int_equal(mr__dag_vars(l->dag, &none, &l->arena, &l->vars, &error), MR_OK);
}

static inline void dag_fixture_finish(struct dag_fixture *l)
{
    mr__arena_finish(&l->arena);
    mr__dag_unref(l->dag);
    l->dag = NULL;
}

static inline struct mr__scope dag_fixture_scope(struct dag_fixture *l)
{
    return (struct mr__scope){.dag = l->dag,
                              .vars = &l->vars,
                              .run = {.id = "run-1",
                                      .dag = l->dag->id,
                                      .status = "running",
                                      .reason = "",
                                      .folder = "/tmp",
                                      .trigger = "manually",
                                      .created_ms = 1,
                                      .started_ms = 2},
                              .user = l,
                              .task = dag_fixture_task,
                              .share = dag_fixture_share,
                              .share_next = dag_fixture_share_next};
}

/* With all tasks. **Owned**, or to be taken. */
static inline struct mr__scope_copy *dag_fixture_copy(struct dag_fixture *l)
{
    struct mr__scope scope = dag_fixture_scope(l);
    struct mr__scope_copy *copy =
        mr__scope_copy_create(&scope, NULL, 0, MR__COPY_SHARE | MR__COPY_ALL_TASKS);
    assert_non_null(copy);
    return copy;
}

#endif
