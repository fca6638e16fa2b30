/* SPDX-License-Identifier: MIT
 *
 * Goal: templates become the run's variables, once, of their own type where they are the whole
 * text; and the scanner finds exactly the templates. Method: a dag and variables for each case,
 * what comes out as JSON; tables for the scanner.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/model/template.h"
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

/* A dag with variables of every type and one task. */
static struct mr__dag *make_dag(const char *task)
{
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    struct mr__buf text;
    mr__buf_init(&text);
    mr__buf_printf(
        &text,
        "vars: {s: {defaultValue: text}, i: {type: int, defaultValue: 7}, "
        "f: {type: number, defaultValue: 1}, b: {type: bool, defaultValue: true}, "
        "l: {type: list, defaultValue: [1, [2]]}, m: {type: map, defaultValue: {k: v}}, "
        "none: {type: int}, evil: {defaultValue: '{{s}}{{'}, my-var: {defaultValue: d}}\n"
        "tasks: [%s]\n",
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

static const char *const share[] = {"deep", "[[1]]", "file", "\"a {{s}} b\"", NULL};
static const struct fake_expression expressions[] = {
    {"vars.i * 2", "14"}, {"{a = 1}", "{\"a\":1}"}, {"tasks.a.status", "\"init\""}, {NULL, NULL}};

/* The first task's params with the variables' defaults, `share` and an item {"name":"web"}. */
static mr_status render_task(const struct mr__dag *dag, mr_value *ret_params, bool *ret_again,
                             mr_error *reterr)
{
    mr_value vars;
    struct fake_scope fake;
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.share = share;
    fake.expressions = expressions;
    fake.scope.item_name = dag->tasks[0].as;
    fake.scope.item = (struct mr__blob){"{\"name\":\"web\"}", 14};
    return mr__render(&fake.scope, 0, &fake.evaluator, &arena, ret_params, ret_again, reterr);
}

static void assert_renders(const char *task, const char *json)
{
    struct mr__dag *dag = make_dag(task);
    mr_value params;
    mr_error error = {0};
    bool again = true;
    assert_int_equal(dag->tasks[0].flags & MR__TASK_TEMPLATES, MR__TASK_TEMPLATES);
    if (render_task(dag, &params, &again, &error) != MR_OK) {
        fail_msg("%s: %s", task, error.message);
    }
    assert_false(again);
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__value_print(&buf, &params);
    assert_string_equal(mr__buf_cstr(&buf), json);
    mr__buf_finish(&buf);
    mr__dag_unref(dag);
}

#define TASK(params) "{id: a, action: x, params: " params "}"

static void render__keeps_the_type_of_a_whole_template(void **state)
{
    assert_renders(TASK("{a: '{{s}}', b: '{{ i }}', c: '{{f}}', d: '{{b}}', e: '{{\tl\n}}', f: "
                        "'{{m}}', g: '{{none}}', h: '{{my-var}}'}"),
                   "{\"a\":\"text\",\"b\":7,\"c\":1.0,\"d\":true,\"e\":[1,[2]],\"f\":{\"k\":\"v\"},"
                   "\"g\":null,\"h\":\"d\"}");
}

static void render__writes_values_into_longer_text(void **state)
{
    assert_renders(TASK("{a: ' {{s}}', b: '{{i}}{{i}}', c: '<{{f}}|{{b}}|{{l}}|{{m}}|{{none}}>'}"),
                   "{\"a\":\" text\",\"b\":\"77\",\"c\":\"<1.0|true|[1,[2]]|{\\\"k\\\":\\\"v\\\"}|>"
                   "\"}");
}

static void render__goes_into_lists_and_maps_but_not_keys(void **state)
{
    assert_renders(TASK("{a: [x, '{{i}}', {'{{s}}': ['{{b}}']}], n: 3, t: '}}'}"),
                   "{\"a\":[\"x\",7,{\"{{s}}\":[true]}],\"n\":3,\"t\":\"}}\"}");
}

static void render__expands_nothing_twice(void **state)
{
    assert_renders(TASK("{a: '{{evil}}', b: 'x{{evil}}y'}"),
                   "{\"a\":\"{{s}}{{\",\"b\":\"x{{s}}{{y\"}");
}

static void render__writes_braces(void **state)
{
    assert_renders(TASK("{a: \"{{'{{'}}\", b: \"{{'{{'}}s}}\", c: '{{\"}}\"}} and {{i}}'}"),
                   "{\"a\":\"{{\",\"b\":\"{{s}}\",\"c\":\"}} and 7\"}");
}

static void render__leaves_the_shell_alone(void **state)
{
    assert_renders(
        "{id: a, run: \"docker ps --format '{{.Names}}' {{\", env: {S: '{{s}}', I: '{{i}}'}}",
        "{\"run\":\"docker ps --format '{{.Names}}' {{\",\"env\":{\"S\":\"text\",\"I\":7}}");
    assert_renders("{id: a, action: sh, params: {env: {S: '{{s}}'}, run: 'echo {{x}}'}}",
                   "{\"env\":{\"S\":\"text\"},\"run\":\"echo {{x}}\"}");
    assert_renders("{id: a, action: other, params: {run: 'echo {{s}}'}}",
                   "{\"run\":\"echo text\"}");
}

static void render__wait_takes_a_template(void **state)
{
    assert_renders("{id: a, wait: '{{i}}s'}", "{\"for\":\"7s\"}");
}

static void render__takes_all_spellings(void **state)
{
    assert_renders(TASK("{a: '{{.vars.i.Value}}', b: 'x{{ .vars.my-var.Value }}', "
                        "c: '{{.shareData.file}}', d: '<{{.shareData.deep}}>', e: '{{vars.i * 2}}',"
                        " f: '{{ {a = 1} }} {{tasks.a.status}}'}"),
                   "{\"a\":7,\"b\":\"xd\",\"c\":\"a {{s}} b\",\"d\":\"<[[1]]>\",\"e\":14,"
                   "\"f\":\"{\\\"a\\\":1} init\"}");
}

static void render__the_item_of_a_fan_out_comes_first(void **state)
{
    assert_renders(
        "{id: a, forEach: vars.l, as: s, action: x, params: {a: '{{s}}', b: '{{s.name}}'"
        ", c: '-{{ s }}'}}",
        "{\"a\":{\"name\":\"web\"},\"b\":\"web\",\"c\":\"-{\\\"name\\\":\\\"web\\\"}\"}");
}

static void render__leaves_lua_alone(void **state)
{
    assert_renders(
        "{id: a, action: lua, params: {a: '{{i}}', lua: \"return '{{i}}'\", b: '{{s}}'}}",
        "{\"a\":7,\"lua\":\"return '{{i}}'\",\"b\":\"text\"}");
}

static void assert_render_fails(const char *task, mr_status status, bool again, const char *message)
{
    struct mr__dag *dag = make_dag(task);
    mr_value params;
    mr_error error = {0};
    bool ret_again = !again;
    assert_int_equal(render_task(dag, &params, &ret_again, &error), status);
    assert_int_equal(ret_again, again);
    assert_string_equal(error.message, message);
    mr__dag_unref(dag);
}

static void render__says_what_cannot_be_evaluated(void **state)
{
    assert_render_fails(TASK("{a: '{{.shareData.no}}'}"), MR_EINVAL, false,
                        "-:2: the share data has no key \"no\"");
    assert_render_fails(TASK("{a: '{{ vars.i + nil }}'}"), MR_EINVAL, false, "f.yaml:2: it fails");
    assert_render_fails(TASK("{a: '{{s}}', b: 'x {{error()}} {{s}}'}"), MR_EINVAL, false,
                        "f.yaml:2: it fails");
}

static void render__is_asked_again_where_lua_was_too_slow(void **state)
{
    struct mr__dag *dag = make_dag(TASK("{a: '{{s}}', b: '{{ tostring(1) }}'}"));
    mr_value vars, params;
    bool again = false;
    struct fake_scope fake;
    static const struct fake_expression slow[] = {{"tostring(1)", FAKE_AGAIN}, {NULL, NULL}};
    assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
    fake_scope_init(&fake, dag, &vars);
    fake.expressions = slow;
    assert_int_equal(mr__render(&fake.scope, 0, &fake.evaluator, &arena, &params, &again, NULL),
                     MR_ELIMIT);
    assert_true(again);
    assert_int_equal(mr__render(&fake.scope, 0, NULL, &arena, &params, &again, NULL), MR_EINVAL);
    assert_false(again);
    mr__dag_unref(dag);
}

static void render__many_variables(void **state)
{
    struct mr__buf text;
    struct mr__problems problems;
    struct mr__dag *dag = NULL;
    mr_value params;
    bool again;
    mr__buf_init(&text);
    mr__problems_init(&problems);
    mr__buf_text(&text, "vars:\n");
    for (int i = 0; i < 5000; i++) {
        mr__buf_printf(&text, "  v%d: {type: int, defaultValue: %d}\n", i, i);
    }
    mr__buf_text(&text, "tasks:\n- id: a\n  action: x\n  params:\n");
    for (int i = 0; i < 5000; i++) {
        mr__buf_printf(&text, "    p%d: '{{v%d}}'\n", i, 4999 - i);
    }
    assert_int_equal(mr__dag_parse(mr__buf_cstr(&text), text.len, NULL, &problems, &dag), MR_OK);
    assert_int_equal(render_task(dag, &params, &again, NULL), MR_OK);
    assert_int_equal(params.u.map[4990].value.u.i, 9);
    mr__dag_unref(dag);
    mr__problems_finish(&problems);
    mr__buf_finish(&text);
}

static void render__refuses_an_unknown_name(void **state)
{
    struct mr__dag *dag = make_dag(TASK("{a: 'x {{s}}'}"));
    mr_value params, vars = {.type = MR_MAP};
    mr_error error = {0};
    bool again;
    struct fake_scope fake;
    fake_scope_init(&fake, dag, &vars);
    assert_int_equal(mr__render(&fake.scope, 0, NULL, &arena, &params, &again, &error), MR_EINVAL);
    assert_string_equal(error.message, "no variable is called \"s\"");
    mr__dag_unref(dag);
}

static void render__holds_the_limit_of_depth(void **state)
{
    struct mr__dag *dag = make_dag(TASK("{a: ['{{l}}']}")); /* two levels above the value */
    for (unsigned more = 0; more < 2; more++) {
        mr_value params, deep = mr__value_int(1);
        for (unsigned i = 0; i < MR__JSON_DEPTH_MAX - 2 + more; i++) {
            mr_value *below = mr__arena_alloc(&arena, sizeof *below);
            *below = deep;
            deep = (mr_value){.type = MR_LIST, .len = 1, .u.list = below};
        }
        mr_value vars;
        bool again;
        struct fake_scope fake;
        assert_int_equal(mr__dag_vars(dag, NULL, &arena, &vars, NULL), MR_OK);
        ((mr_member *)vars.u.map)[4].value = deep;
        fake_scope_init(&fake, dag, &vars);
        mr_status status = mr__render(&fake.scope, 0, NULL, &arena, &params, &again, NULL);
        assert_int_equal(status, more == 0 ? MR_OK : MR_ELIMIT);
        if (status == MR_OK) {
            struct mr__buf buf;
            mr__buf_init(&buf);
            mr__value_print(&buf, &params);
            assert_false(buf.failed);
            mr__buf_finish(&buf);
        }
    }
    mr__dag_unref(dag);
}

/* ---- the scanner ---------------------------------------------------------------------------- */

static void template__ends_where_lua_would_end(void **state)
{
    static const struct {
        const char *text, *body; /* NULL: it has no end */
    } cases[] = {
        {"{{a}}", "a"},
        {"x {{ a b }} y {{c}}", "a b"},
        {"{{}}", ""},
        {"{{ '}}' }}", "'}}'"},
        {"{{ \"}}\\\"}}\" }}", "\"}}\\\"}}\""},
        {"{{ {a={b=1}} }}", "{a={b=1}}"},
        {"{{{a}}}", "{a}"},
        {"{{ [[ }} ]] }}", "[[ }} ]]"},
        {"{{ [==[ }} ]=] ]==] }}", "[==[ }} ]=] ]==]"},
        {"{{ t[1] }}", "t[1]"},
        {"{{ a } }}", "a }"},
        {"{{", NULL},
        {"{{ a }", NULL},
        {"{{ '}}", NULL},
        {"{{ {}}", NULL},
        {"{{ [[ }}", NULL},
        {"{{ [= }}", "[="},
    };
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        const char *text = cases[i].text;
        struct mr__template t;
        enum mr__template_found found = mr__template_next(text, text + strlen(text), &t);
        assert_int_equal(found, cases[i].body == NULL ? MR__TEMPLATE_OPEN : MR__TEMPLATE_FOUND);
        if (cases[i].body != NULL) {
            assert_int_equal(t.body_len, strlen(cases[i].body));
            assert_memory_equal(t.body, cases[i].body, t.body_len);
        }
    }
    struct mr__template t;
    static const char *const without[] = {"", "{", "a { { b", "}}", "{ {a}}"};
    for (size_t i = 0; i < MR__COUNT(without); i++) {
        assert_int_equal(mr__template_next(without[i], without[i] + strlen(without[i]), &t),
                         MR__TEMPLATE_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(render__keeps_the_type_of_a_whole_template),
        cmocka_unit_test(render__writes_values_into_longer_text),
        cmocka_unit_test(render__goes_into_lists_and_maps_but_not_keys),
        cmocka_unit_test(render__expands_nothing_twice),
        cmocka_unit_test(render__writes_braces),
        cmocka_unit_test(render__leaves_the_shell_alone),
        cmocka_unit_test(render__wait_takes_a_template),
        cmocka_unit_test(render__takes_all_spellings),
        cmocka_unit_test(render__the_item_of_a_fan_out_comes_first),
        cmocka_unit_test(render__leaves_lua_alone),
        cmocka_unit_test(render__says_what_cannot_be_evaluated),
        cmocka_unit_test(render__is_asked_again_where_lua_was_too_slow),
        cmocka_unit_test(render__many_variables),
        cmocka_unit_test(render__refuses_an_unknown_name),
        cmocka_unit_test(render__holds_the_limit_of_depth),
        cmocka_unit_test(template__ends_where_lua_would_end),
    };
    return cmocka_run_group_tests_name("render", tests, set_up, tear_down);
}
