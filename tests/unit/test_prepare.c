/* SPDX-License-Identifier: MIT
 *
 * Goal: before a task begins, preCheck, runIf, skipIf, blockIf, forEach and templates decide, in
 * this order, as contract.md and fastflow.md say; a failure is tried again if retry.if lets it.
 * Method: a dag of one task for each case, an evaluator that looks its answers up in a table
 * (fake_scope.h), and the verdict as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_scope.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__arena arena;

static int set_up(void **state)
{
    mr__arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    mr__arena_finish(&arena);
    return 0;
}

static const char *const share[] = {"empty", "\"\"", "n", "3", "text", "\"3\"", NULL};
static const struct fake_expression expressions[] = {
    {"true", "true"},
    {"false", "false"},
    {"nil", "null"},
    {"0", "0"},
    {"''", "\"\""},
    {"share.slow", FAKE_AGAIN},
    {"share.bad", FAKE_FAILS},
    {"share.full", FAKE_NO_MEMORY},
    {"share.list", "[{\"name\":\"web\"},{\"name\":\"db\"},{\"name\":3}]"},
    {"share.none", "[]"},
    {"share.nothing", "{}"},
    {"share.map", "{\"a\":1}"},
    {"share.same", "[{\"name\":\"a\"},{\"name\":true},{\"name\":\"a\"}]"},
    {"share.lists", "[{\"name\":[1]}]"},
    {"share.blank", "[{\"name\":\"a b\"}]"},
    {NULL, NULL}};

static struct mr__dag *make_dag(const char *task)
{
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    struct mr__buf text;
    mr__buf_init(&text);
    mr__buf_printf(&text,
                   "vars: {s: {defaultValue: dev}, i: {type: int, defaultValue: 3}, d: {type: "
                   "number, defaultValue: 3}, b: {type: bool, defaultValue: true}, none: {type: "
                   "int}, ten: {defaultValue: '10'}}\ntasks: [{id: t, %s}]\n",
                   task);
    mr__problems_init(&problems);
    mr_status status = mr__dag_parse(mr__buf_cstr(&text), text.len, NULL, &problems, &dag);
    if (status != MR_OK) {
        fail_msg("%s: %s", task, problems.list[0].message);
    }
    mr__problems_finish(&problems);
    mr__buf_finish(&text);
    return dag;
}

/* "go PARAMS", "skip REASON", "fan KEY=JSON ...", ... */
static void describe(const struct mr__prepared *prepared, struct mr__buf *said)
{
    static const char *const verdicts[] = {"go", "skip", "block", "fail", "fan", "again"};
    mr__buf_text(said, verdicts[prepared->verdict]);
    if (prepared->reason[0] != '\0') {
        mr__buf_printf(said, " %s", prepared->reason);
    }
    if (prepared->verdict == MR__VERDICT_GO && prepared->params.type != MR_NULL) {
        mr__buf_text(said, " ");
        mr__value_print(said, &prepared->params);
    }
    struct mr__reader reader;
    mr__reader_init(&reader, prepared->items.data == NULL ? (const void *)"" : prepared->items.data,
                    prepared->items.len);
    for (uint32_t i = 0; i < prepared->item_count; i++) {
        size_t key_len, len;
        const char *key = (const char *)mr__read_blob(&reader, &key_len);
        const char *json = (const char *)mr__read_blob(&reader, &len);
        mr__buf_printf(said, " %.*s=%.*s", (int)key_len, key, (int)len, json);
    }
    assert_false(reader.failed);
    assert_int_equal(mr__reader_left(&reader), 0);
}

static void assert_prepared(const char *task, unsigned flags, const char *expected)
{
    struct mr__dag *dag = make_dag(task);
    struct fake_scope fake;
    struct mr__prepared prepared;
    struct mr__buf said;
    mr_value vars;
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.share = share;
    fake.expressions = expressions;
    mr__buf_init(&said);
    assert_int_equal(mr__prepare(&fake.scope, 0, flags, &fake.evaluator, &arena, &prepared), MR_OK);
    describe(&prepared, &said);
    assert_string_equal(mr__buf_cstr(&said), expected);
    mr__buf_finish(&said);
    mr__buf_finish(&prepared.items);
    mr__dag_unref(dag);
}

/* ---- preCheck ------------------------------------------------------------------------------ */

static void prepare__conditions_hold_as_in_fastflow(void **state)
{
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"source: vars, key: s, op: in, values: [prod, dev]", true},
        {"source: vars, key: s, op: in, values: [prod]", false},
        {"source: vars, key: s, op: in, values: []", false},
        {"source: vars, key: s, op: not-in, values: [prod]", true},
        {"source: vars, key: s, op: not-in, values: [dev]", false},
        {"source: vars, key: s, op: not-in, values: []", true},
        {"source: share-data, key: no, op: in, values: ['']", false},
        {"source: share-data, key: no, op: not-in, values: [a]", false},
        {"source: share-data, key: no, op: '!=', value: a", false},
        {"source: share-data, key: no, op: <, value: 1", false},
        {"source: share-data, key: no, op: matches, value: a", false},
        {"source: share-data, key: no, op: exists", false},
        {"source: share-data, key: no, op: exists, value: false", true},
        {"source: share-data, key: n, op: exists", true},
        {"source: share-data, key: n, op: exists, values: [true]", true},
        {"source: share-data, key: n, op: exists, values: [false]", false},
        {"source: share-data, key: empty, op: exists", true},
        {"source: share-data, key: empty, op: ==, value: ''", true},
        {"source: vars, key: none, op: exists", true},
        {"source: vars, key: none, op: ==, value: ''", true},
        {"source: vars, key: i, op: ==, value: '3'", true},
        {"source: vars, key: i, op: ==, value: 3", true},
        {"source: vars, key: i, op: ==, value: 3.0", true},
        {"source: vars, key: d, op: ==, value: 3", true},
        {"source: vars, key: i, op: ==, value: '03'", false},
        {"source: share-data, key: text, op: ==, value: 3", true},
        {"source: share-data, key: n, op: ==, value: '3'", true},
        {"source: vars, key: b, op: ==, value: 'true'", true},
        {"source: vars, key: b, op: ==, value: true", true},
        {"source: vars, key: b, op: '!=', value: false", true},
        {"source: vars, key: s, op: '!=', value: dev", false},
        {"source: vars, key: ten, op: '>', value: 9", true},
        {"source: vars, key: ten, op: '>', value: '9'", true},
        {"source: vars, key: ten, op: <, value: 10.5", true},
        {"source: vars, key: ten, op: <, value: 10", false},
        {"source: vars, key: ten, op: '>', value: 10", false},
        {"source: vars, key: ten, op: <, value: 9x", true}, /* text: 1 is before 9 */
        {"source: vars, key: s, op: '>', value: de", true},
        {"source: vars, key: s, op: <, value: devs", true},
        {"source: vars, key: i, op: '>', value: 2.5", true},
        {"source: vars, key: s, op: matches, value: ev", true},
        {"source: vars, key: s, op: matches, value: x", false},
        {"source: vars, key: i, op: matches, value: '3'", true},
        {"source: vars, key: s, op: ==, value: '{{s}}'", false},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        char task[256];
        (void)snprintf(task, sizeof task, "preCheck: {c: {act: skip, conditions: [{%s}]}}",
                       cases[i].condition);
        assert_prepared(task, 0, cases[i].holds ? "skip skipped by preCheck \"c\"" : "go");
    }
}

#define YES "{source: vars, key: s, op: exists}"
#define NO  "{source: vars, key: s, op: exists, value: false}"

static void prepare__checks_act_in_file_order(void **state)
{
    assert_prepared("preCheck: {z: {act: skip, conditions: [" YES "]}, a: {act: block, conditions: "
                    "[" YES "]}}",
                    0, "skip skipped by preCheck \"z\"");
    assert_prepared("preCheck: {z: {act: skip, conditions: [" NO "]}, a: {act: block, conditions: "
                    "[" YES "]}}",
                    0, "block blocked by preCheck \"a\"");
    assert_prepared("preCheck: {a: {act: skip, conditions: [" YES ", " NO "]}}", 0, "go");
    assert_prepared("preCheck: {a: {act: skip, conditions: [" YES ", " YES "]}}", 0,
                    "skip skipped by preCheck \"a\"");
}

static void prepare__continue_passes_blocks_but_not_skips(void **state)
{
    assert_prepared("preCheck: {a: {act: block, conditions: [" YES "]}}, blockIf: true",
                    MR__PREPARE_CONTINUED, "go");
    assert_prepared("preCheck: {a: {act: block, conditions: [" YES "]}}, skipIf: true",
                    MR__PREPARE_CONTINUED, "skip skipped by skipIf");
    assert_prepared("preCheck: {a: {act: block, conditions: [" YES "]}}, skipIf: true",
                    MR__PREPARE_NO_CONDITIONS, "go");
}

static void prepare__a_bad_pattern_fails_the_task(void **state)
{
    assert_prepared("preCheck: {a: {act: skip, conditions: [{source: vars, key: s, op: matches, "
                    "value: '%'}]}}",
                    0, "fail malformed pattern");
}

/* ---- conditions in Lua ---------------------------------------------------------------------- */

static void prepare__lua_decides_in_order(void **state)
{
    assert_prepared("runIf: true, skipIf: false, blockIf: nil", 0, "go");
    assert_prepared("runIf: false, skipIf: true, blockIf: true", 0, "skip skipped by runIf");
    assert_prepared("runIf: nil", 0, "skip skipped by runIf");
    assert_prepared("runIf: 0", 0, "go");
    assert_prepared("runIf: \"''\"", 0, "go");
    assert_prepared("blockIf: true, skipIf: true", 0, "skip skipped by skipIf");
    assert_prepared("blockIf: 0, skipIf: nil", 0, "block blocked by blockIf");
    assert_prepared("preCheck: {a: {act: block, conditions: [" YES "]}}, runIf: share.bad", 0,
                    "block blocked by preCheck \"a\"");
}

static void prepare__lua_that_fails_fails_the_task(void **state)
{
    assert_prepared("skipIf: share.bad", 0, "fail f.yaml:2: it fails");
    assert_prepared("action: x, params: {a: '{{share.bad}}'}", 0, "fail f.yaml:2: it fails");
    assert_prepared("action: x, params: {a: '{{.shareData.no}}'}", 0,
                    "fail -:2: the share data has no key \"no\"");
}

static void prepare__nothing_is_decided_where_lua_was_too_slow(void **state)
{
    assert_prepared("skipIf: share.slow", 0, "again");
    assert_prepared("skipIf: false, blockIf: share.slow", 0, "again");
    assert_prepared("action: x, params: {a: '{{share.slow}}'}", 0, "again");
    assert_prepared("forEach: share.slow", 0, "again");
    assert_prepared("forEach: share.list, key: share.slow", 0, "again");
}

static void prepare__passes_on_that_memory_is_out(void **state)
{
    static const char *const tasks[] = {"skipIf: share.full", "forEach: share.full",
                                        "forEach: share.list, key: share.full",
                                        "action: x, params: {a: '{{share.full}}'}"};
    for (size_t i = 0; i < MR__COUNT(tasks); i++) {
        struct mr__dag *dag = make_dag(tasks[i]);
        struct fake_scope fake;
        struct mr__prepared prepared;
        mr_value vars;
        assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
        fake_scope_init(&fake, dag, &vars);
        fake.expressions = expressions;
        assert_int_equal(mr__prepare(&fake.scope, 0, 0, &fake.evaluator, &arena, &prepared),
                         MR_ENOMEM);
        mr__buf_finish(&prepared.items);
        mr__dag_unref(dag);
    }
}

static void prepare__renders_params(void **state)
{
    assert_prepared("action: x, params: {a: 1}", 0, "go");
    assert_prepared("action: x, params: {a: '{{i}}'}, skipIf: false", 0, "go {\"a\":3}");
    assert_prepared("action: x, params: {a: '{{i}}'}, skipIf: true", 0, "skip skipped by skipIf");
}

/* ---- forEach ------------------------------------------------------------------------------- */

static void prepare__makes_the_list_of_a_fan_out(void **state)
{
    assert_prepared("forEach: share.list", 0,
                    "fan 0={\"name\":\"web\"} 1={\"name\":\"db\"} 2={\"name\":3}");
    assert_prepared("forEach: share.list, key: item.name", 0,
                    "fan web={\"name\":\"web\"} db={\"name\":\"db\"} 3={\"name\":3}");
    assert_prepared("forEach: share.list, as: h, key: h.name, action: x, params: {a: '{{h}}'}", 0,
                    "fan web={\"name\":\"web\"} db={\"name\":\"db\"} 3={\"name\":3}");
    assert_prepared("forEach: share.none", 0, "fan");
    assert_prepared("forEach: share.nothing", 0, "fan");
    assert_prepared("forEach: share.list, skipIf: true", 0, "skip skipped by skipIf");
}

static void prepare__refuses_what_is_no_list(void **state)
{
    assert_prepared("forEach: share.map", 0, "fail forEach gave a map, not a list");
    assert_prepared("forEach: nil", 0, "fail forEach gave nothing, not a list");
    assert_prepared("forEach: 0", 0, "fail forEach gave an int, not a list");
    assert_prepared("forEach: true", 0, "fail forEach gave a bool, not a list");
    assert_prepared("forEach: \"''\"", 0, "fail forEach gave a string, not a list");
    assert_prepared("forEach: share.bad", 0, "fail f.yaml:2: it fails");
}

static void prepare__refuses_keys_that_cannot_be(void **state)
{
    assert_prepared("forEach: share.same, key: item.name", 0,
                    "fail the key \"a\" is of two items, 0 and 2");
    assert_prepared("forEach: share.lists, key: item.name", 0,
                    "fail the key of item 0 is a list, not text");
    assert_prepared("forEach: share.list, key: item.no", 0,
                    "fail the key of item 0 is nothing, not text");
    assert_prepared("forEach: share.blank, key: item.name", 0,
                    "fail the key \"a b\" of item 0 is not allowed: 1 to 128 bytes without [ ] / , "
                    "blanks or control characters");
    assert_prepared("forEach: share.list, key: share.bad", 0, "fail f.yaml:2: it fails");
}

static void prepare__a_child_renders_with_its_item(void **state)
{
    struct mr__dag *dag =
        make_dag("forEach: share.bad, as: h, skipIf: share.bad, action: x, params: {a: '{{h.name}}"
                 "', b: '{{h}}'}");
    struct fake_scope fake;
    struct mr__prepared prepared;
    struct mr__buf said;
    mr_value vars;
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.scope.item_name = "h";
    fake.scope.item = (struct mr__blob){"{\"name\":\"web\"}", 14};
    mr__buf_init(&said);
    assert_int_equal(mr__prepare(&fake.scope, 0, MR__PREPARE_CHILD | MR__PREPARE_NO_CONDITIONS,
                                 &fake.evaluator, &arena, &prepared),
                     MR_OK);
    describe(&prepared, &said);
    assert_string_equal(mr__buf_cstr(&said), "go {\"a\":\"web\",\"b\":{\"name\":\"web\"}}");
    assert_int_equal(fake.evaluated, 1);
    mr__buf_finish(&said);
    mr__buf_finish(&prepared.items);
    mr__dag_unref(dag);
}

/* A list of `count` items that are `bytes` long as JSON. */
static void assert_fan_limit(uint32_t count, size_t bytes, const char *reason)
{
    struct mr__dag *dag = make_dag("forEach: share.many");
    struct mr__buf json;
    mr_value vars;
    struct fake_scope fake;
    struct mr__prepared prepared;
    mr__buf_init(&json);
    mr__buf_text(&json, "[");
    for (uint32_t i = 0; i < count; i++) {
        mr__buf_printf(&json, "%s\"%0*d\"", i == 0 ? "" : ",", (int)bytes - 2, 7);
    }
    mr__buf_text(&json, "]");
    const struct fake_expression many[] = {{"share.many", mr__buf_cstr(&json)}, {NULL, NULL}};
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.expressions = many;
    assert_int_equal(mr__prepare(&fake.scope, 0, 0, &fake.evaluator, &arena, &prepared), MR_OK);
    assert_string_equal(prepared.reason, reason);
    assert_int_equal(prepared.verdict, reason[0] == '\0' ? MR__VERDICT_FAN : MR__VERDICT_FAIL);
    assert_int_equal(prepared.item_count, reason[0] == '\0' ? count : 0);
    mr__buf_finish(&prepared.items);
    mr__buf_finish(&json);
    mr__dag_unref(dag);
}

static void prepare__holds_the_limits_of_a_fan_out(void **state)
{
    assert_fan_limit(MR__FAN_ITEMS_MAX, 3, "");
    assert_fan_limit(MR__FAN_ITEMS_MAX + 1, 3,
                     "forEach gave 1000001 items; at most 1000000 are allowed");
    /* One item: its key and two lengths beside it. */
    assert_fan_limit(1, MR__FAN_BYTES_MAX - 2 - 4, "");
    assert_fan_limit(1, MR__FAN_BYTES_MAX - 2 - 4 + 1, "forEach gave more than 16 MiB");
}

/* ---- retry.if ------------------------------------------------------------------------------ */

static void prepare__conditions_can_be_asked_alone(void **state)
{
    const char *fan = "forEach: share.bad, run: x, skipIf: 'false'";
    assert_prepared(fan, MR__PREPARE_CONDITIONS, "go");
    assert_prepared("env: {A: '{{share.bad}}'}, run: x", MR__PREPARE_CONDITIONS, "go");
    assert_prepared("run: x, skipIf: 'true'", MR__PREPARE_CONDITIONS, "skip skipped by skipIf");
}

static void judge__asks_the_filter(void **state)
{
    static const struct {
        const char *task;
        mr_status status;
        bool retry, again;
    } cases[] = {
        {"retry: 3", MR_OK, true, false},
        {"retry: {max: 3, if: true}", MR_OK, true, false},
        {"retry: {max: 3, if: 0}", MR_OK, true, false},
        {"retry: {max: 3, if: false}", MR_OK, false, false},
        {"retry: {max: 3, if: nil}", MR_OK, false, false},
        {"retry: {max: 3, if: share.bad}", MR_EINVAL, false, false},
        {"retry: {max: 3, if: share.slow}", MR_ELIMIT, false, true},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__dag *dag = make_dag(cases[i].task);
        const mr_value vars = {.type = MR_MAP};
        struct fake_scope fake;
        bool retry = false, again = true;
        fake_scope_init(&fake, dag, &vars);
        fake.expressions = expressions;
        assert_int_equal(mr__judge(&fake.scope, 0, &fake.evaluator, &arena, &retry, &again, NULL),
                         cases[i].status);
        assert_int_equal(retry, cases[i].retry);
        assert_int_equal(again, cases[i].again);
        mr__dag_unref(dag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepare__conditions_hold_as_in_fastflow),
        cmocka_unit_test(prepare__checks_act_in_file_order),
        cmocka_unit_test(prepare__continue_passes_blocks_but_not_skips),
        cmocka_unit_test(prepare__a_bad_pattern_fails_the_task),
        cmocka_unit_test(prepare__lua_decides_in_order),
        cmocka_unit_test(prepare__lua_that_fails_fails_the_task),
        cmocka_unit_test(prepare__nothing_is_decided_where_lua_was_too_slow),
        cmocka_unit_test(prepare__passes_on_that_memory_is_out),
        cmocka_unit_test(prepare__renders_params),
        cmocka_unit_test(prepare__makes_the_list_of_a_fan_out),
        cmocka_unit_test(prepare__refuses_what_is_no_list),
        cmocka_unit_test(prepare__refuses_keys_that_cannot_be),
        cmocka_unit_test(prepare__a_child_renders_with_its_item),
        cmocka_unit_test(prepare__holds_the_limits_of_a_fan_out),
        cmocka_unit_test(prepare__conditions_can_be_asked_alone),
        cmocka_unit_test(judge__asks_the_filter),
    };
    return cmocka_run_group_tests_name("prepare", tests, set_up, tear_down);
}
