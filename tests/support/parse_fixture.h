/* SPDX-License-Identifier: MIT
 *
 * What the tests of the dag parser share: reading a good text, and a table of broken ones with what
 * is said about each: code, line:column+width, message, [suggestion@its line]; one line each, in
 * the order of the file.
 */
#ifndef PARSE_FIXTURE_H
#define PARSE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/model/dag.h"

#include <cmocka.h> /* last: its macros take plain words */

struct broken {
    const char *name;
    const char *text;
    size_t len;
    const char *problems;
};

#define TEXT(text) text, sizeof(text) - 1

static inline mr_status parse(const char *text, size_t len, const char *file,
                              struct mr__problems *problems, struct mr__dag **ret_dag)
{
    struct mr__parse_options options = {.file = file};
    *ret_dag = NULL;
    mr__problems_init(problems);
    return mr__dag_parse(text, len, &options, problems, ret_dag);
}

/* The dag of a good text. */
static inline struct mr__dag *good(const char *text)
{
    struct mr__problems problems;
    struct mr__dag *dag;
    mr_status status = parse(text, strlen(text), "dir/good.yaml", &problems, &dag);
    for (uint32_t i = 0; i < problems.count; i++) {
        print_message("%u:%u %s\n", problems.list[i].pos.line, problems.list[i].pos.column,
                      problems.list[i].message);
    }
    assert_int_equal(status, MR_OK);
    assert_int_equal(problems.count, 0);
    mr__problems_finish(&problems);
    return dag;
}

/* The first problem of a text is this one. */
static inline void assert_problem(const char *text, size_t len, const char *code, uint32_t line,
                                  uint32_t column)
{
    struct mr__problems problems;
    struct mr__dag *dag;
    assert_int_equal(parse(text, len, "bad.yaml", &problems, &dag), MR_EDEFINITION);
    assert_true(problems.count > 0);
    assert_string_equal(problems.list[0].code, code);
    assert_int_equal(problems.list[0].pos.line, line);
    assert_int_equal(problems.list[0].pos.column, column);
    mr__problems_finish(&problems);
}

static inline void describe(const struct mr__problems *problems, struct mr__buf *buf)
{
    for (uint32_t i = 0; i < problems->count; i++) {
        const struct mr__problem *problem = &problems->list[i];
        mr__buf_printf(buf, "%s%s %u:%u+%u %s", i > 0 ? "\n" : "", problem->code, problem->pos.line,
                       problem->pos.column, problem->pos.width, problem->message);
        if (problem->suggestion != NULL) {
            mr__buf_printf(buf, " [%s@%u]", problem->suggestion, problem->suggestion_line);
        }
    }
}

static inline void assert_json(const mr_value *value, const char *json)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, value);
    assert_string_equal(mr__buf_cstr(&buf), json);
    mr__buf_finish(&buf);
}

static inline void assert_broken(const struct broken *files, size_t count)
{
    size_t faults = 0;
    for (size_t i = 0; i < count; i++) {
        const struct broken *broken = &files[i];
        struct mr__problems problems;
        struct mr__dag *dag;
        struct mr__buf said;
        mr__buf_init(&said);
        mr_status status = parse(broken->text, broken->len, "case.yaml", &problems, &dag);
        describe(&problems, &said);
        if (status != MR_EDEFINITION || dag != NULL ||
            strcmp(mr__buf_cstr(&said), broken->problems) != 0) {
            print_message("%s: status %d\n%s\nbut expected\n%s\n", broken->name, status,
                          mr__buf_cstr(&said), broken->problems);
            faults++;
        }
        mr__buf_finish(&said);
        mr__problems_finish(&problems);
    }
    assert_int_equal(faults, 0);
}

/* Parses a text that was made, and frees it; what is refused is refused with `code` first. */
static inline mr_status parse_buf(struct mr__buf *buf, const char *code)
{
    struct mr__problems problems;
    struct mr__dag *dag;
    assert_false(buf->failed);
    mr_status status = parse((const char *)buf->data, buf->len, "big", &problems, &dag);
    if (status != MR_OK) {
        assert_string_equal(problems.list[0].code, code);
    }
    mr__dag_unref(dag);
    mr__problems_finish(&problems);
    mr__buf_finish(buf);
    return status;
}

#endif
