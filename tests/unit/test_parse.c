/* SPDX-License-Identifier: MIT
 *
 * Goal: a dag file becomes the dag that contract.md says, or every problem in it is told with its
 * place. Method: a table of broken files with what is said about each (parse_broken.h), good files
 * whose dags are looked at, each limit at its edge and one past it, and large graphs against a
 * clock.
 */
#include "core/base/clock.h"
#include "core/model/yaml_tree.h"
#include "parse_fixture.h"

#include "parse_broken.h"

static void parse__names_every_problem_of_broken_files(void **state)
{
    assert_broken(broken_files, MR__COUNT(broken_files));
    assert_true(MR__COUNT(broken_files) > 150);
}

/* ---- good files ---------------------------------------------------------------------------- */

static void parse__reads_everything(void **state)
{
    struct mr__dag *dag =
        good("id: deploy\n"
             "name: Deploy it\n"
             "desc: all\n"
             "status: stopped\n"
             "vars: {stage: {desc: where to, defaultValue: dev, enum: [dev, prod]}, "
             "n: {type: int, defaultValue: 3}}\n"
             "tags: {team: web, level: 1.10}\n"
             "timeout: 2h\n"
             "maxParallel: 20\n"
             "onLost: retry\n"
             "x-mine: {any: [thing]}\n"
             "tasks:\n"
             "  - {id: build, run: \"make -j$JOBS\", env: {JOBS: \"{{n}}\"}, "
             "timeout: 10m, output: json}\n"
             "  - {id: pause, wait: 10s, onLost: fail}\n"
             "  - id: push\n"
             "    name: Push\n"
             "    dependOn: [build, pause]\n"
             "    action: my-action\n"
             "    params: {keep: '{{ n }}', list: [1, 2.5, true, ~, no], s: '1'}\n"
             "  - {id: gate, dependOn: push, timeoutSecs: 90}\n");
    assert_string_equal(dag->id, "deploy");
    assert_string_equal(dag->name, "Deploy it");
    assert_string_equal(dag->desc, "all");
    assert_string_equal(dag->file, "dir/good.yaml");
    assert_true(dag->stopped);
    assert_int_equal(dag->timeout_ms, 7200000);
    assert_int_equal(dag->max_parallel, 20);
    assert_json(&dag->tags, "{\"team\":\"web\",\"level\":\"1.10\"}");
    assert_int_equal(dag->var_count, 2);
    assert_string_equal(dag->vars[0].desc, "where to");
    assert_json(&dag->vars[0].allowed, "[\"dev\",\"prod\"]");
    assert_json(&dag->vars[1].default_value, "3");
    assert_int_equal(dag->vars[1].pos.line, 5);

    assert_int_equal(dag->task_count, 4);
    const struct mr__dag_task *build = &dag->tasks[0], *pause = &dag->tasks[1];
    const struct mr__dag_task *push = &dag->tasks[2], *gate = &dag->tasks[3];
    assert_string_equal(build->action, "sh");
    assert_json(&build->params, "{\"run\":\"make -j$JOBS\",\"env\":{\"JOBS\":\"{{n}}\"},"
                                "\"output\":\"json\"}");
    assert_int_equal(build->flags, MR__TASK_TEMPLATES);
    assert_int_equal(build->timeout_ms, 600000);
    assert_int_equal(build->on_lost, MR__ON_LOST_RETRY);
    assert_int_equal(build->pos.line, 12);
    assert_int_equal(build->pos.column, 10);
    assert_int_equal(build->param_pos[1].column, 38);
    assert_string_equal(pause->action, "wait");
    assert_json(&pause->params, "{\"for\":\"10s\"}");
    assert_int_equal(pause->flags, 0);
    assert_int_equal(pause->on_lost, MR__ON_LOST_FAIL);
    assert_string_equal(push->action, "my-action");
    assert_json(&push->params,
                "{\"keep\":\"{{ n }}\",\"list\":[1,2.5,true,null,\"no\"],\"s\":\"1\"}");
    assert_int_equal(push->action_pos.line, 17);
    assert_int_equal(push->action_pos.column, 13);
    assert_int_equal(push->action_pos.width, 9);
    assert_int_equal(push->parent_count, 2);
    assert_int_equal(dag->parents[push->first_parent], 0);
    assert_int_equal(dag->parents[push->first_parent + 1], 1);
    assert_int_equal(dag->children[build->first_child], 2);
    assert_null(gate->action);
    assert_int_equal(gate->timeout_ms, 90000);
    assert_int_equal(gate->child_count, 0);
    assert_json(&gate->params, "{}");
    assert_int_equal(mr__dag_find(dag, "push", 4), 2);
    assert_int_equal(mr__dag_find(dag, "pus", 3), -1);
    mr__dag_unref(mr__dag_ref(dag));
    mr__dag_unref(dag);
}

static void parse__reads_fastflow_names(void **state)
{
    struct mr__dag *dag = good("id: f\nname: n\nvars:\n  v:\n    desc: d\n    defaultValue: 10\n"
                               "status: normal\ntasks:\n"
                               "- id: t1\n  actionName: ff-waiting\n  timeoutSecs: 0\n"
                               "  params:\n    waitingTime: '{{v}}s'\n"
                               "- id: t2\n  actionName: PrintAction\n  dependOn:\n  - t1\n");
    assert_string_equal(dag->tasks[0].action, "ff-waiting");
    assert_json(&dag->tasks[0].params, "{\"waitingTime\":\"{{v}}s\"}");
    assert_json(&dag->vars[0].default_value, "\"10\"");
    assert_false(dag->stopped);
    mr__dag_unref(dag);
}

static void parse__takes_the_id_from_the_file_name(void **state)
{
    static const char text[] = "tasks: [{id: a}]";
    static const struct {
        const char *file, *id;
    } cases[] = {{"deploy.yaml", "deploy"}, {"a/b.c/x.y.yml", "x.y"}, {"a.d/noending", "noending"},
                 {".yaml", ".yaml"},        {"-", "stdin"},           {NULL, "stdin"}};
    for (size_t i = 0; i < MR__COUNT(cases); i++) {
        struct mr__problems problems;
        struct mr__dag *dag;
        assert_int_equal(parse(text, strlen(text), cases[i].file, &problems, &dag), MR_OK);
        assert_string_equal(dag->id, cases[i].id);
        mr__dag_unref(dag);
        mr__problems_finish(&problems);
    }
    struct mr__problems problems;
    struct mr__dag *dag;
    assert_int_equal(parse(text, strlen(text), "my dag.yaml", &problems, &dag), MR_EDEFINITION);
    assert_string_equal(problems.list[0].code, "E109");
    mr__problems_finish(&problems);

    struct mr__parse_options options = {.file = "x.yaml", .default_id = "given"};
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), &options, &problems, &dag), MR_OK);
    assert_string_equal(dag->id, "given");
    mr__dag_unref(dag);
    mr__problems_finish(&problems);
}

static void assert_params(const char *text, const char *json)
{
    struct mr__dag *dag = good(text);
    assert_json(&dag->tasks[0].params, json);
    mr__dag_unref(dag);
}

#define PARAMS(yaml) "tasks: [{id: a, action: x, params: " yaml "}]\n"

static void parse__reads_scalars_of_the_core_schema(void **state)
{
    assert_params(PARAMS("{a: no, b: yes, c: on, d: Off, e: y, f: 1_000, g: 1:30, h: 2020-01-01}"),
                  "{\"a\":\"no\",\"b\":\"yes\",\"c\":\"on\",\"d\":\"Off\",\"e\":\"y\","
                  "\"f\":\"1_000\",\"g\":\"1:30\",\"h\":\"2020-01-01\"}");
    assert_params(
        PARAMS("{a: , b: ~, c: null, d: Null, e: NULL, f: nUll, g: true, h: FALSE, i: tRue}"),
        "{\"a\":null,\"b\":null,\"c\":null,\"d\":null,\"e\":null,\"f\":\"nUll\","
        "\"g\":true,\"h\":false,\"i\":\"tRue\"}");
    assert_params(PARAMS("{a: 0o17, b: 0xfF, c: 007, d: +5, e: -0, f: 0o8, g: 0b1, h: '3'}"),
                  "{\"a\":15,\"b\":255,\"c\":7,\"d\":5,\"e\":0,\"f\":\"0o8\",\"g\":\"0b1\","
                  "\"h\":\"3\"}");
    assert_params(
        PARAMS("{a: 9223372036854775807, b: -9223372036854775808, c: 0x7fffffffffffffff}"),
        "{\"a\":9223372036854775807,\"b\":-9223372036854775808,"
        "\"c\":9223372036854775807}");
    assert_params(PARAMS("{a: 1., b: .5, c: 1e3, d: -1.5E-2, e: 0.1, f: 1e, g: ., h: 1.2.3}"),
                  "{\"a\":1.0,\"b\":0.5,\"c\":1000.0,\"d\":-0.015,\"e\":0.1,\"f\":\"1e\","
                  "\"g\":\".\",\"h\":\"1.2.3\"}");
    assert_params(PARAMS("{a: !!str 3, b: !!float 3, c: !!int '4', d: ! 5, e: !!bool true, "
                         "f: !!null '', g: !!seq [1], h: !!map {i: 2}}"),
                  "{\"a\":\"3\",\"b\":3.0,\"c\":4,\"d\":\"5\",\"e\":true,\"f\":null,\"g\":[1],"
                  "\"h\":{\"i\":2}}");
}

static void parse__reads_json(void **state)
{
    static const char json[] =
        "{\n\t\"id\": \"j\",\n\t\"tasks\": [\n\t\t{\"id\": \"a\", \"action\": \"x\", \"params\":\n"
        "\t\t\t{\"u\": \"a\\/b\\u00e4\\n\\\"\", \"n\": [1, -2.5e1, true, null, {}], \"s\": "
        "\"\\ud83d\\ude00 \\\\ud83d\\ude00\"}}\n\t]\n}\n";
    /* In the last text the first backslash escapes the second: what follows is half a pair. */
    assert_problem(json, strlen(json), "E005", 5, 88);
    assert_params("{\"tasks\": [{\"id\": \"a\", \"action\": \"x\", \"params\": {\"a\": "
                  "\"\\ud83d\\ude00\\uD83D\\uDE01 \\u00e4\"}}]}",
                  "{\"a\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x81 \xc3\xa4\"}");
}

static void parse__leaves_surrogates_alone_outside_double_quotes(void **state)
{
    assert_params(PARAMS("{a: '\\ud83d\\ude00', b: \\ud83d\\ude00, \"\\ud83d\\ude00\": "
                         "\"x\\\\ud83d\"}"),
                  "{\"a\":\"\\\\ud83d\\\\ude00\",\"b\":\"\\\\ud83d\\\\ude00\","
                  "\"\xf0\x9f\x98\x80\":\"x\\\\ud83d\"}");
    assert_params("tasks:\n  - id: a\n    run: |\n      printf '\\ud83d\\ude00'\n",
                  "{\"run\":\"printf '\\\\ud83d\\\\ude00'\\n\"}");
}

static void parse__keeps_columns_behind_surrogates(void **state)
{
    static const char text[] = "name: \"\\ud83d\\ude00\"\n"
                               "tasks: [{id: a, name: \"\\ud83d\\ude00\\ud83d\\ude00\", rnu: x},\n"
                               "  {id: b, nmae: x}]\n";
    struct mr__problems problems;
    struct mr__dag *dag;
    assert_int_equal(parse(text, strlen(text), "x", &problems, &dag), MR_EDEFINITION);
    assert_int_equal(problems.count, 2);
    assert_int_equal(problems.list[0].pos.line, 2);
    assert_int_equal(problems.list[0].pos.column, strstr(text, "rnu") - strchr(text, '\n'));
    assert_int_equal(problems.list[1].pos.column, 11);
    mr__problems_finish(&problems);
}

static void parse__merges_maps(void **state)
{
    struct mr__dag *dag = good("x-a: &a {run: one, timeout: 1s}\n"
                               "x-b: &b {timeout: 2s, onLost: ask, env: &e {K: v}}\n"
                               "tasks:\n"
                               "  - {id: a, <<: *a}\n"
                               "  - {<<: [*a, *b], id: b}\n"
                               "  - {id: c, <<: *b, run: own, timeout: 3s, env: {<<: *e, L: w}}\n"
                               "  - {id: d, run: x, env: {'<<': y}}\n");
    assert_json(&dag->tasks[0].params, "{\"run\":\"one\"}");
    assert_int_equal(dag->tasks[1].timeout_ms, 1000);
    assert_int_equal(dag->tasks[1].on_lost, MR__ON_LOST_ASK);
    assert_json(&dag->tasks[1].params, "{\"run\":\"one\",\"env\":{\"K\":\"v\"}}");
    assert_int_equal(dag->tasks[2].timeout_ms, 3000);
    assert_json(&dag->tasks[2].params, "{\"run\":\"own\",\"env\":{\"L\":\"w\",\"K\":\"v\"}}");
    assert_json(&dag->tasks[3].params, "{\"run\":\"x\",\"env\":{\"<<\":\"y\"}}");
    mr__dag_unref(dag);
}

static void parse__leaves_the_shell_its_braces(void **state)
{
    static const char *const commands[] = {"docker ps --format '{{.Names}}'",
                                           "echo ${a:-{{}}}",
                                           "echo '{{ range .tasks }}'",
                                           "awk '{{print}}'",
                                           "kubectl '{{.run.id}}'",
                                           "echo {{ $vars.x }}",
                                           "echo '{{'",
                                           "echo {{ 'vars.x' }}",
                                           "echo {{ .shareDatas }}",
                                           "echo {{other}}",
                                           "echo {{varsx.y}}",
                                           "echo {{ printf run }}"};
    for (size_t i = 0; i < MR__COUNT(commands); i++) {
        struct mr__buf text;
        mr__buf_init(&text);
        mr__buf_printf(&text, "vars: {stage: {}}\ntasks:\n  - id: a\n    run: |\n      %s\n",
                       commands[i]);
        struct mr__dag *dag = good(mr__buf_cstr(&text));
        assert_int_equal(dag->tasks[0].flags, 0);
        mr__dag_unref(dag);
        mr__buf_finish(&text);
    }
}

static void parse__takes_a_repeated_dependency_once(void **state)
{
    static const char text[] = "tasks:\n  - {id: a}\n  - {id: b, dependOn: [a, a]}\n";
    struct mr__problems problems;
    struct mr__dag *dag;
    assert_int_equal(parse(text, strlen(text), "x", &problems, &dag), MR_OK);
    assert_int_equal(problems.count, 1);
    assert_true(problems.list[0].warning);
    assert_int_equal(problems.error_count, 0);
    assert_int_equal(dag->tasks[1].parent_count, 1);
    assert_int_equal(dag->tasks[0].child_count, 1);
    mr__dag_unref(dag);
    mr__problems_finish(&problems);
}

static void parse__versions_follow_text_and_id(void **state)
{
    struct mr__dag *a = good("id: x\ntasks: [{id: a}]\n"), *b = good("id: x\ntasks: [{id: a}]\n");
    struct mr__dag *c = good("id: x\ntasks: [{id: b}]\n"), *d = good("id: y\ntasks: [{id: a}]\n");
    assert_memory_equal(a->version, b->version, MR__VERSION_BYTES);
    assert_memory_not_equal(a->version, c->version, MR__VERSION_BYTES);
    assert_memory_not_equal(a->version, d->version, MR__VERSION_BYTES);
    assert_string_equal(a->text, "id: x\ntasks: [{id: a}]\n");
    mr__dag_unref(a);
    mr__dag_unref(b);
    mr__dag_unref(c);
    mr__dag_unref(d);

    static const char text[] = "tasks: [{id: a}]\n";
    struct mr__problems problems;
    mr__problems_init(&problems);
    struct mr__parse_options one = {.default_id = "one"}, two = {.default_id = "two"};
    assert_int_equal(mr__dag_parse(text, strlen(text), &one, &problems, &a), MR_OK);
    assert_int_equal(mr__dag_parse(text, strlen(text), &two, &problems, &b), MR_OK);
    assert_memory_not_equal(a->version, b->version, MR__VERSION_BYTES);
    mr__dag_unref(a);
    mr__dag_unref(b);
    mr__problems_finish(&problems);
}

static void parse__skips_a_byte_order_mark(void **state)
{
    mr__dag_unref(good("\xef\xbb\xbftasks: [{id: a}]\r\n"));
    assert_problem("\xef\xbb\xbftaks: []", 11, "E102", 1, 1);
}

static void parse__reads_any_value(void **state)
{
    static const char text[] = "stage: prod\nn: 3\nlist: [a, {b: ~}]\n";
    struct mr__arena arena;
    struct mr__problems problems;
    mr_value value;
    mr__arena_init(&arena);
    mr__problems_init(&problems);
    assert_int_equal(mr__yaml_value(text, strlen(text), &arena, &problems, &value), MR_OK);
    assert_json(&value, "{\"stage\":\"prod\",\"n\":3,\"list\":[\"a\",{\"b\":null}]}");
    assert_int_equal(mr__yaml_value("a: .inf", 7, &arena, &problems, &value), MR_EDEFINITION);
    assert_int_equal(problems.count, 1);
    mr__problems_finish(&problems);
    mr__arena_finish(&arena);
}

/* ---- problems as JSON ----------------------------------------------------------------------- */

static void problems__are_drawn_without_the_file(void **state)
{
    static const char text[] = "id: x\r\ntasks:\r\n  - {id: gr\xc3\xb6\xc3\x9f"
                               "e, rnu: a}\r\n";
    struct mr__problems problems;
    struct mr__dag *dag;
    struct mr__buf buf;
    mr__buf_init(&buf);
    assert_int_equal(parse(text, strlen(text), "x", &problems, &dag), MR_EDEFINITION);
    mr__problem_add(&problems, "W900", (struct mr__pos){.line = 0}, NULL, "no\nplace");
    mr__problems_json(&problems, "f.yaml", text, strlen(text), &buf);
    assert_string_equal(
        mr__buf_cstr(&buf),
        "{\"errors\":[{\"file\":\"f.yaml\",\"line\":3,\"column\":17,\"code\":\"E102\","
        "\"message\":\"unknown key \\\"rnu\\\" in task \\\"gr\xc3\xb6\xc3\x9f"
        "e\\\"\","
        "\"suggestion\":\"run\",\"source\":\"  - {id: gr\xc3\xb6\xc3\x9f"
        "e, rnu: a}\",\"width\":3,"
        "\"suggestionLine\":null}],\"warnings\":[{\"file\":\"f.yaml\",\"line\":null,"
        "\"column\":null,\"code\":\"W900\",\"message\":\"no place\",\"suggestion\":null,"
        "\"source\":null,\"width\":1,\"suggestionLine\":null}]}");
    mr__buf_finish(&buf);
    mr__problems_finish(&problems);
}

static void problems__keep_a_hundred_errors_and_count_the_rest(void **state)
{
    struct mr__problems problems;
    struct mr__buf buf;
    mr__problems_init(&problems);
    mr__buf_init(&buf);
    for (uint32_t i = 0; i < MR__DAG_ERRORS_MAX + 7; i++) {
        mr__problem_add(&problems, "E999", (struct mr__pos){.line = 1, .column = 1}, NULL, "%u", i);
    }
    mr__problem_add(&problems, "W900", (struct mr__pos){.line = 1, .column = 1}, NULL, "still");
    assert_int_equal(problems.count, MR__DAG_ERRORS_MAX + 1);
    assert_int_equal(problems.error_count, MR__DAG_ERRORS_MAX + 7);
    mr__problems_json(&problems, "f", "x", 1, &buf);
    assert_non_null(strstr(mr__buf_cstr(&buf), "\"7 more errors are not shown\""));
    assert_non_null(strstr(mr__buf_cstr(&buf), "\"still\""));
    mr__buf_finish(&buf);
    mr__problems_finish(&problems);
}

/* ---- limits and sizes ------------------------------------------------------------------------ */

static void parse__holds_the_limit_of_bytes(void **state)
{
    for (size_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "tasks: [{id: a}]\n#");
        size_t rest = MR__DAG_FILE_BYTES_MAX + more - buf.len;
        assert_true(mr__buf_reserve(&buf, rest));
        memset(buf.data + buf.len, 'x', rest);
        buf.len += rest;
        assert_int_equal(parse_buf(&buf, "E002"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

static void parse__holds_the_limit_of_tasks(void **state)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "tasks:\n");
        for (uint32_t i = 0; i < MR__DAG_TASKS_MAX + more; i++) {
            mr__buf_printf(&buf, "- {id: %u}\n", i);
        }
        assert_int_equal(parse_buf(&buf, "E302"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

static void parse__holds_the_limit_of_depth(void **state)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "tasks: [{id: a, action: x, params: {a: ");
        uint32_t depth = MR__DAG_DEPTH_MAX - 4 + more; /* within map, list, map and map */
        for (uint32_t i = 0; i < depth; i++) {
            mr__buf_text(&buf, "[");
        }
        for (uint32_t i = 0; i < depth; i++) {
            mr__buf_text(&buf, "]");
        }
        mr__buf_text(&buf, "}}]\n");
        assert_int_equal(parse_buf(&buf, "E008"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

static void parse__holds_the_limit_of_ids(void **state)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_printf(&buf, "tasks: [{id: %0*d}]\n", (int)(MR__ID_BYTES_MAX + more), 7);
        assert_int_equal(parse_buf(&buf, "E109"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

static void parse__holds_the_limit_of_tags(void **state)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_printf(&buf, "tags: {a: %0*d}\ntasks: [{id: a}]\n",
                       (int)(MR__TAGS_BYTES_MAX - 1 + more), 7);
        assert_int_equal(parse_buf(&buf, "E505"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

static void parse__holds_the_limit_of_alias_expansion(void **state)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "x-a: &a [");
        for (uint32_t i = 0; i < 2000; i++) {
            mr__buf_text(&buf, "x,");
        }
        /* The list has 2,001 nodes and the rest a few: with nine aliases the file counts just below
         * ten times what is written, with ten of them more than that. */
        uint32_t aliases = 9 + more;
        mr__buf_text(&buf, "]\nx-b: [");
        for (uint32_t i = 0; i < aliases; i++) {
            mr__buf_text(&buf, "*a,");
        }
        mr__buf_text(&buf, "]\ntasks: [{id: a}]\n");
        assert_int_equal(parse_buf(&buf, "E010"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

enum shape { CHAIN, DIAMONDS, JOIN, CYCLE, WRONG_DEPENDENCIES };

static void write_shape(struct mr__buf *buf, enum shape shape)
{
    mr__buf_init(buf);
    mr__buf_text(buf, "id: big\ntasks:\n  - {id: t0, run: 'true'}\n");
    for (int i = 1; shape == CHAIN && i < 100000; i++) {
        mr__buf_printf(buf, "  - {id: t%d, run: 'true', dependOn: [t%d]}\n", i, i - 1);
    }
    for (int i = 1; shape == CYCLE && i < 100000; i++) {
        mr__buf_printf(buf, "  - {id: t%d, run: 'true', dependOn: [t%d]}\n", i, i % 99999 + 1);
    }
    for (int i = 1; shape == WRONG_DEPENDENCIES && i < 100000; i++) {
        mr__buf_printf(buf, "  - {id: t%d, run: 'true', dependOn: [u%d]}\n", i, i);
    }
    for (int i = 1; shape == DIAMONDS && i <= 1000; i++) {
        mr__buf_printf(buf, "  - {id: a%d, dependOn: [t%d]}\n  - {id: b%d, dependOn: [t%d]}\n", i,
                       i - 1, i, i - 1);
        mr__buf_printf(buf, "  - {id: t%d, dependOn: [a%d, b%d]}\n", i, i, i);
    }
    for (int i = 1; shape == JOIN && i < 10000; i++) {
        mr__buf_printf(buf, "  - {id: t%d, run: 'true'}\n", i);
    }
    mr__buf_text(buf, shape == JOIN ? "  - {id: join, dependOn: [" : "");
    for (int i = 0; shape == JOIN && i < 10000; i++) {
        mr__buf_printf(buf, "%st%d", i == 0 ? "" : ",", i);
    }
    mr__buf_text(buf, shape == JOIN ? "]}\n" : "");
}

/* Milliseconds that a shape takes; the bound is far above the measured time (a 100,000-task chain:
 * 300 ms without sanitizers) and far below what anything that is not linear would take. */
static void assert_fast(enum shape shape, mr_status expected, const char *code)
{
    struct mr__buf buf;
    write_shape(&buf, shape);
    struct mr__clock *clock = mr__clock_system();
    int64_t begin = clock->monotonic_ms(clock);
    assert_int_equal(parse_buf(&buf, code), expected);
    assert_true(clock->monotonic_ms(clock) - begin < 10000);
}

static void parse__is_linear(void **state)
{
    assert_fast(CHAIN, MR_OK, "");
    assert_fast(DIAMONDS, MR_OK, "");
    assert_fast(JOIN, MR_OK, "");
    assert_fast(CYCLE, MR_EDEFINITION, "E313");
    assert_fast(WRONG_DEPENDENCIES, MR_EDEFINITION, "E311");
}

static void parse__makes_a_lean_dag(void **state)
{
    struct mr__buf buf;
    struct mr__problems problems;
    struct mr__dag *dag;
    write_shape(&buf, CHAIN);
    assert_int_equal(parse((const char *)buf.data, buf.len, "x", &problems, &dag), MR_OK);
    size_t bytes =
        dag->arena.bytes - dag->text_len + dag->task_by_id.cap * sizeof(struct mr__hash_row);
    assert_true(bytes / dag->task_count <= 352);
    mr__dag_unref(dag);
    mr__problems_finish(&problems);
    mr__buf_finish(&buf);
}

/* Random graphs against a slow, simple check: a dag is refused exactly if some task reaches itself.
 */
static void parse__finds_exactly_the_cycles(void **state)
{
    enum { N = 8 };
    uint32_t seed = 12345, cyclic = 0;
    for (int round = 0; round < 2000; round++) {
        bool reach[N][N] = {{false}};
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "tasks:\n");
        for (int i = 0; i < N; i++) {
            mr__buf_printf(&buf, "- {id: t%d, dependOn: [", i);
            for (int j = 0; j < N; j++) {
                seed = seed * 1664525u + 1013904223u;
                if (i != j && (seed >> 16) % 9 == 0) {
                    reach[i][j] = true;
                    mr__buf_printf(&buf, "t%d,", j);
                }
            }
            mr__buf_text(&buf, "]}\n");
        }
        for (int k = 0; k < N; k++) {
            for (int i = 0; i < N; i++) {
                for (int j = 0; j < N; j++) {
                    reach[i][j] = reach[i][j] || (reach[i][k] && reach[k][j]);
                }
            }
        }
        /* Tasks that reach each other are one component: one problem for each. */
        uint32_t components = 0;
        for (int i = 0; i < N; i++) {
            bool first = reach[i][i];
            for (int j = 0; j < i; j++) {
                first = first && !(reach[i][j] && reach[j][i]);
            }
            components += first;
        }
        struct mr__problems problems;
        struct mr__dag *dag;
        mr_status status = parse((const char *)buf.data, buf.len, "x", &problems, &dag);
        uint32_t found = 0;
        for (uint32_t i = 0; i < problems.count; i++) {
            found += strcmp(problems.list[i].code, "E313") == 0;
        }
        assert_int_equal(found, components);
        assert_int_equal(status, components > 0 ? MR_EDEFINITION : MR_OK);
        cyclic += components > 0;
        mr__dag_unref(dag);
        mr__problems_finish(&problems);
        mr__buf_finish(&buf);
    }
    assert_in_range(cyclic, 300, 1900); /* both kinds were met */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__names_every_problem_of_broken_files),
        cmocka_unit_test(parse__reads_everything),
        cmocka_unit_test(parse__reads_fastflow_names),
        cmocka_unit_test(parse__takes_the_id_from_the_file_name),
        cmocka_unit_test(parse__reads_scalars_of_the_core_schema),
        cmocka_unit_test(parse__reads_json),
        cmocka_unit_test(parse__leaves_surrogates_alone_outside_double_quotes),
        cmocka_unit_test(parse__keeps_columns_behind_surrogates),
        cmocka_unit_test(parse__merges_maps),
        cmocka_unit_test(parse__leaves_the_shell_its_braces),
        cmocka_unit_test(parse__takes_a_repeated_dependency_once),
        cmocka_unit_test(parse__versions_follow_text_and_id),
        cmocka_unit_test(parse__skips_a_byte_order_mark),
        cmocka_unit_test(parse__reads_any_value),
        cmocka_unit_test(problems__are_drawn_without_the_file),
        cmocka_unit_test(problems__keep_a_hundred_errors_and_count_the_rest),
        cmocka_unit_test(parse__holds_the_limit_of_bytes),
        cmocka_unit_test(parse__holds_the_limit_of_tasks),
        cmocka_unit_test(parse__holds_the_limit_of_depth),
        cmocka_unit_test(parse__holds_the_limit_of_ids),
        cmocka_unit_test(parse__holds_the_limit_of_tags),
        cmocka_unit_test(parse__holds_the_limit_of_alias_expansion),
        cmocka_unit_test(parse__is_linear),
        cmocka_unit_test(parse__makes_a_lean_dag),
        cmocka_unit_test(parse__finds_exactly_the_cycles),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
