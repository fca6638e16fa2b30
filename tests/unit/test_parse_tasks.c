/* SPDX-License-Identifier: MIT
 *
 * Goal: conditions, retry, fan-outs, Lua, hooks and schedules of a dag file become what contract.md
 * says, or their problems are told with their place. Method: a table of broken files
 * (parse_broken_tasks.h), good ones whose dags are looked at, fastflow's own examples, limits at
 * their edge and one past it, and large files against a clock.
 */
#include "core/base/clock.h"
#include "parse_fixture.h"

#include "parse_broken_tasks.h"

static void parse__names_every_problem_of_broken_tasks(void **state)
{
    assert_broken(broken_tasks, MR__COUNT(broken_tasks));
}

/* ---- good files ---------------------------------------------------------------------------- */

static void assert_script(const struct mr__dag *dag, uint32_t number, const char *text,
                          uint32_t line, uint32_t column)
{
    assert_true(number < dag->script_count);
    const struct mr__script *script = &dag->scripts[number];
    assert_string_equal(script->text, text);
    assert_int_equal(script->len, strlen(text));
    assert_int_equal(script->pos.line, line);
    assert_int_equal(script->pos.column, column);
}

/* A task's word and each of its limits go over the dag's, which short forms and gates do not take.
 */
static void parse__reads_isolation_over_the_dags(void **state)
{
    struct mr__dag *dag = good("isolation: process\n"
                               "limits: {memory: 1GiB, files: 16}\n"
                               "tasks:\n"
                               "  - {id: a, action: x}\n"
                               "  - {id: b, action: x, isolation: none}\n"
                               "  - {id: c, actionName: x, limits: {memory: 16MiB, cpu: 1500ms}}\n"
                               "  - {id: d, run: x}\n"
                               "  - {id: e, http: {url: x}, isolation: process}\n"
                               "  - {id: f}\n");
    const struct mr__isolation *a = dag->tasks[0].isolation, *b = dag->tasks[1].isolation;
    const struct mr__isolation *c = dag->tasks[2].isolation, *e = dag->tasks[4].isolation;
    assert_ptr_equal(a, dag->isolation);
    assert_int_equal(a->word, MR__ISOLATION_PROCESS);
    assert_int_equal(a->limits.memory_bytes, 1u << 30);
    assert_int_equal(a->limits.files, 16);
    assert_int_equal(b->word, MR__ISOLATION_NONE);
    assert_true(b->own && !b->own_limits);
    assert_int_equal(c->word, MR__ISOLATION_PROCESS);
    assert_true(!c->own && c->own_limits);
    assert_int_equal(c->limits.memory_bytes, 16u << 20);
    assert_int_equal(c->limits.cpu_s, 2);
    assert_int_equal(c->limits.files, 16);
    assert_null(dag->tasks[3].isolation);
    assert_int_equal(e->word, MR__ISOLATION_PROCESS);
    assert_int_equal(e->limits.memory_bytes, 0);
    assert_null(dag->tasks[5].isolation);
    assert_true(mr__isolation_applies(a, MR__ACTION_APART));
    assert_false(mr__isolation_applies(a, 0));
    assert_false(mr__isolation_applies(b, MR__ACTION_APART | MR__ACTION_ISOLATED));
    assert_true(mr__isolation_applies(NULL, MR__ACTION_APART | MR__ACTION_ISOLATED));
    assert_false(mr__isolation_applies(NULL, MR__ACTION_APART));
    mr__dag_unref(dag);
}

static void parse__reads_contracts_example(void **state)
{
    struct mr__dag *dag = good(
        "id: deploy\n"
        "vars: {stage: {desc: where to, defaultValue: dev, enum: [dev, prod]}, n: {type: int, "
        "defaultValue: 3}}\n"
        "tags: {team: web}\n"
        "schedule: {cron: \"0 7 * * 1-5\", timezone: Europe/Paris, overlap: skip, catchup: "
        "latest}\n"
        "tasks:\n"
        "  - {id: build, run: \"make -j$JOBS\", env: {JOBS: \"{{n}}\"}, timeout: 10m}\n"
        "  - {id: fetch, http: {url: \"https://x/{{stage}}.json\"}, retry: {max: 5, backoff: "
        "exponential, delay: 1s, maxDelay: 1m, if: \"error.status ~= 404\"}}\n"
        "  - {id: pause, wait: 10s}\n"
        "  - id: sum\n"
        "    dependOn: [fetch]\n"
        "    lua: |\n"
        "      share.links = #tasks.fetch.output.body.pages     -- saved with the task's end\n"
        "      return {n = share.links}                         -- the task's output\n"
        "  - {id: hosts, dependOn: [build], run: ./hosts.sh, output: json}\n"
        "  - {id: roll, dependOn: [hosts], forEach: tasks.hosts.output, as: host, key: host.name, "
        "maxParallel: 4, run: 'deploy \"$H\"', env: {H: \"{{host.name}}\"}}\n"
        "  - {id: approve, dependOn: [sum], blockIf: \"vars.stage == 'prod'\"}\n"
        "  - {id: push, dependOn: [roll, approve], action: my-action, params: {keep: \"{{ vars.n * "
        "2 }}\"}}\n"
        "  - {id: clean, dependOn: [push], when: always, run: rm -rf tmp}\n"
        "hooks: {onFailure: {lua: \"trace('failed: ' .. run.reason)\"}}\n");
    const struct mr__dag_task *fetch = &dag->tasks[1], *sum = &dag->tasks[3];
    const struct mr__dag_task *roll = &dag->tasks[5], *push = &dag->tasks[7];
    assert_string_equal(fetch->action, "http");
    assert_json(&fetch->params, "{\"url\":\"https://x/{{stage}}.json\"}");
    assert_int_equal(fetch->action_pos.column, 23);
    assert_int_equal(fetch->param_pos[0].column, 24);
    assert_int_equal(fetch->retry.max, 5);
    assert_int_equal(fetch->retry.backoff, MR__BACKOFF_EXPONENTIAL);
    assert_int_equal(fetch->retry.delay_ms, 1000);
    assert_int_equal(fetch->retry.max_delay_ms, 60000);
    assert_script(dag, fetch->retry.filter, "error.status ~= 404", 7, 126);
    assert_string_equal(sum->action, "lua");
    assert_int_equal(dag->scripts[sum->lua].kind, MR__SCRIPT_CHUNK);
    assert_int_equal(dag->scripts[sum->lua].pos.line, 12);
    assert_int_equal(dag->scripts[sum->lua].pos.column, 7);
    assert_int_equal(dag->scripts[sum->lua].use_count, 1);
    assert_int_equal(dag->scripts[sum->lua].uses[0], 1);
    assert_string_equal(roll->as, "host");
    assert_int_equal(roll->max_parallel, 4);
    assert_int_equal(roll->flags, MR__TASK_FOR_EACH | MR__TASK_TEMPLATES);
    assert_script(dag, roll->for_each, "tasks.hosts.output", 15, 44);
    assert_script(dag, roll->key, "host.name", 15, 79);
    assert_int_equal(roll->template_count, 1);
    assert_int_equal(dag->templates[roll->first_template].kind, MR__TEMPLATE_SCRIPT);
    assert_script(dag, dag->tasks[6].block_if, "vars.stage == 'prod'", 16, 46);
    assert_int_equal(dag->tasks[6].flags, MR__TASK_CONDITIONS);
    assert_script(dag, dag->templates[push->first_template].number, "vars.n * 2", 17, 81);
    assert_int_equal(dag->tasks[8].when, MR__WHEN_ALWAYS);
    assert_true(dag->has_when);
    assert_int_equal(dag->hook_mask, 1u << MR__HOOK_ON_FAILURE);
    assert_script(dag, dag->hooks[MR__HOOK_ON_FAILURE], "trace('failed: ' .. run.reason)", 19, 27);
    assert_int_equal(dag->hooks[MR__HOOK_ON_EXIT], MR__NO_SCRIPT);
    assert_string_equal(dag->schedule.cron, "0 7 * * 1-5");
    assert_string_equal(dag->schedule.timezone, "Europe/Paris");
    assert_int_equal(dag->schedule.catchup, MR__CATCHUP_LATEST);
    assert_int_equal(dag->schedule.pos.column, 18);
    assert_int_equal(dag->schedule.timezone_pos.column, 43);
    mr__dag_unref(dag);
}

static void parse__a_plain_task_asks_for_nothing(void **state)
{
    struct mr__dag *dag = good("tasks: [{id: a, action: lua, params: {lua: return 1}}, {id: b}]\n");
    const struct mr__dag_task *a = &dag->tasks[0], *b = &dag->tasks[1];
    assert_script(dag, a->lua, "return 1", 1, 44);
    assert_json(&a->params, "{\"lua\":\"return 1\"}");
    assert_int_equal(a->flags, 0);
    assert_int_equal(b->lua, MR__NO_SCRIPT);
    assert_int_equal(b->run_if, MR__NO_SCRIPT);
    assert_int_equal(b->skip_if, MR__NO_SCRIPT);
    assert_int_equal(b->block_if, MR__NO_SCRIPT);
    assert_int_equal(b->for_each, MR__NO_SCRIPT);
    assert_int_equal(b->key, MR__NO_SCRIPT);
    assert_int_equal(b->retry.filter, MR__NO_SCRIPT);
    assert_int_equal(b->retry.max, 0);
    assert_false(dag->has_when);
    assert_null(dag->schedule.cron);
    assert_int_equal(dag->hook_mask, 0);
    mr__dag_unref(dag);
}

static void parse__reads_retry(void **state)
{
    struct mr__dag *dag = good("tasks:\n"
                               "- {id: a, retry: 3}\n"
                               "- {id: b, retry: {max: 0}}\n"
                               "- {id: c, retry: {max: 2, backoff: exponential, jitter: 1}}\n"
                               "- {id: d, retry: {max: 1000000, delay: 2s, jitter: 0.25}}\n"
                               "- {id: e, retry: }\n"
                               "- {id: f, retry: {max: 1, delay: 0s}}\n"
                               "- {id: g, retry: {max: 1, backoff: exponential, delay: 0s, "
                               "maxDelay: 1s}}\n"
                               "- {id: h, retry: {max: 1, backoff: exponential, delay: }}\n");
    assert_int_equal(dag->tasks[0].retry.max, 3);
    assert_int_equal(dag->tasks[0].retry.delay_ms, 0);
    assert_int_equal(dag->tasks[1].retry.max, 0);
    assert_int_equal(dag->tasks[2].retry.delay_ms, 1000);
    assert_true(dag->tasks[2].retry.jitter == 1);
    assert_int_equal(dag->tasks[3].retry.max, MR__RETRIES_MAX);
    assert_int_equal(dag->tasks[3].retry.backoff, MR__BACKOFF_FIXED);
    assert_int_equal(dag->tasks[3].retry.delay_ms, 2000);
    assert_true(dag->tasks[3].retry.jitter == 0.25);
    assert_int_equal(dag->tasks[4].retry.max, 0);
    assert_int_equal(dag->tasks[5].retry.delay_ms, 0);
    assert_int_equal(dag->tasks[6].retry.delay_ms, 0);
    assert_int_equal(dag->tasks[7].retry.delay_ms, 1000);
    mr__dag_unref(dag);
}

static void parse__reads_conditions(void **state)
{
    struct mr__dag *dag = good(
        "vars: {n: {}}\n"
        "tasks:\n"
        "- id: a\n"
        "  preChecks:\n"
        "    second: {act: block, conditions: [{source: share-data, key: k, op: <, value: 3}]}\n"
        "    first:\n"
        "      act: skip\n"
        "      conditions:\n"
        "      - {source: vars, key: n, op: not-in, values: [x, 1, ~]}\n"
        "      - {source: vars, key: n, op: exists}\n"
        "  runIf: true\n"
        "  skipIf: ~\n"
        "  blockIf: false\n");
    const struct mr__dag_task *a = &dag->tasks[0];
    assert_int_equal(a->check_count, 2);
    assert_string_equal(a->checks[0].name, "second");
    assert_true(a->checks[0].block);
    assert_int_equal(a->checks[0].conditions[0].source, MR__SOURCE_SHARE);
    assert_int_equal(a->checks[0].conditions[0].op, MR__OP_LT);
    assert_json(&a->checks[0].conditions[0].values, "[3]");
    assert_false(a->checks[1].block);
    assert_int_equal(a->checks[1].pos.line, 6);
    assert_int_equal(a->checks[1].count, 2);
    assert_int_equal(a->checks[1].conditions[0].op, MR__OP_NOT_IN);
    assert_json(&a->checks[1].conditions[0].values, "[\"x\",1,null]");
    assert_json(&a->checks[1].conditions[1].values, "[]");
    assert_script(dag, a->run_if, "true", 11, 10);
    assert_int_equal(a->skip_if, MR__NO_SCRIPT);
    assert_script(dag, a->block_if, "false", 13, 12);
    mr__dag_unref(dag);
}

static void parse__reads_lists_of_fan_outs(void **state)
{
    struct mr__dag *dag = good("vars: {l: {type: list}, 'my\\l': {type: list}}\n"
                               "tasks:\n"
                               "- {id: a, forEach: \"{{ l }}\"}\n"
                               "- {id: b, forEach: '{{.vars.my\\l.Value}}', as: l, key: l.x}\n"
                               "- {id: c, forEach: ' {{.shareData.a\\b}} '}\n"
                               "- {id: d, forEach: '{{ vars.l }}'}\n"
                               "- {id: e, forEach: '{ {1}, {2} }', run: 'x {{other}}'}\n");
    assert_script(dag, dag->tasks[0].for_each, "vars[\"l\"]", 3, 20);
    assert_string_equal(dag->tasks[0].as, "item");
    assert_script(dag, dag->tasks[1].for_each, "vars[\"my\\092l\"]", 4, 20);
    assert_string_equal(dag->tasks[1].as, "l");
    assert_script(dag, dag->tasks[2].for_each, "share[\"a\\092b\"]", 5, 20);
    assert_script(dag, dag->tasks[3].for_each, "vars.l", 6, 24);
    assert_script(dag, dag->tasks[4].for_each, "{ {1}, {2} }", 7, 21);
    mr__dag_unref(dag);
}

static void parse__resolves_templates_in_the_order_of_the_params(void **state)
{
    static const uint8_t kinds[] = {MR__TEMPLATE_ITEM,   MR__TEMPLATE_VAR,  MR__TEMPLATE_VAR,
                                    MR__TEMPLATE_SHARE,  MR__TEMPLATE_TEXT, MR__TEMPLATE_SCRIPT,
                                    MR__TEMPLATE_SCRIPT, MR__TEMPLATE_ITEM};
    struct mr__dag *dag =
        good("vars: {a: {}, b: {}, run: {}}\n"
             "tasks:\n"
             "- {id: x, action: x, params: {p: '{{run}}'}}\n"
             "- {id: y, forEach: share.l, as: a, action: x, params: {p: '{{a}}{{ b }}', q: "
             "[{r: '{{.vars.b.Value}}'}, '{{.shareData.k}}'], s: \"{{'{{'}}\", t: '{{share.k}} "
             "{{a-1}}', u: '{{a}}'}}\n");
    const struct mr__dag_task *y = &dag->tasks[1];
    assert_int_equal(dag->tasks[0].first_template, 0);
    assert_int_equal(dag->tasks[0].template_count, 1);
    assert_int_equal(dag->templates[0].kind, MR__TEMPLATE_VAR);
    assert_int_equal(dag->templates[0].number, 2);
    assert_int_equal(y->first_template, 1);
    assert_int_equal(y->template_count, MR__COUNT(kinds));
    for (size_t i = 0; i < MR__COUNT(kinds); i++) {
        assert_int_equal(dag->templates[1 + i].kind, kinds[i]);
    }
    assert_int_equal(dag->templates[2].number, 1);
    assert_string_equal(dag->templates[4].text, "k");
    assert_string_equal(dag->templates[5].text, "{{");
    assert_string_equal(dag->scripts[dag->templates[7].number].text, "a-1");
    mr__dag_unref(dag);
}

static void parse__tells_scripts_whose_lines_are_not_the_files(void **state)
{
    struct mr__dag *dag = good("tasks:\n"
                               "- {id: a, lua: \"local x = 1\\nreturn x\"}\n"
                               "- {id: b, lua: return 1}\n"
                               "- id: c\n"
                               "  lua: | # a comment\n"
                               "\n"
                               "    return 1\n"
                               "- id: d\n"
                               "  action: x\n"
                               "  params: {k: 'a {{ 1 + 1 }}'}\n");
    assert_true(dag->scripts[dag->tasks[0].lua].folded);
    assert_script(dag, dag->tasks[0].lua, "local x = 1\nreturn x", 2, 16);
    assert_false(dag->scripts[dag->tasks[1].lua].folded);
    assert_false(dag->scripts[dag->tasks[2].lua].folded);
    assert_script(dag, dag->tasks[2].lua, "\nreturn 1\n", 6, 1);
    assert_script(dag, dag->templates[0].number, "1 + 1", 10, 21);
    mr__dag_unref(dag);
}

static void parse__writes_down_the_tasks_that_lua_names(void **state)
{
    struct mr__dag *dag =
        good("tasks:\n"
             "- {id: a, skipIf: \"tasks.c.status == 'x' or tasks['b'].output or tasks.c.reason\"}\n"
             "- {id: b, skipIf: 'pairs(tasks)'}\n"
             "- {id: c, skipIf: share.x}\n");
    const struct mr__script *a = &dag->scripts[dag->tasks[0].skip_if];
    assert_int_equal(a->use_count, 2);
    assert_int_equal(a->uses[0], 1);
    assert_int_equal(a->uses[1], 2);
    assert_false(a->uses_all_tasks);
    assert_true(dag->scripts[dag->tasks[1].skip_if].uses_all_tasks);
    assert_int_equal(dag->scripts[dag->tasks[2].skip_if].use_count, 0);
    mr__dag_unref(dag);
}

static void parse__reads_hooks_and_cron(void **state)
{
    struct mr__buf text;
    mr__buf_init(&text);
    mr__buf_text(&text, "cron: \"@daily\"\nhooks:\n");
    for (unsigned i = 0; i < MR__HOOKS; i++) {
        mr__buf_printf(&text, "  %s: {lua: trace(%u)}\n", mr__hook_names[i], i);
    }
    mr__buf_text(&text, "tasks: [{id: a}]\n");
    struct mr__dag *dag = good(mr__buf_cstr(&text));
    assert_int_equal(dag->hook_mask, (1u << MR__HOOKS) - 1);
    for (unsigned i = 0; i < MR__HOOKS; i++) {
        char lua[32];
        (void)snprintf(lua, sizeof lua, "trace(%u)", i);
        assert_string_equal(dag->scripts[dag->hooks[i]].text, lua);
        assert_int_equal(dag->scripts[dag->hooks[i]].kind, MR__SCRIPT_CHUNK);
    }
    assert_string_equal(dag->schedule.cron, "@daily");
    assert_null(dag->schedule.timezone);
    mr__dag_unref(dag);
    mr__buf_finish(&text);
}

/* ---- fastflow ------------------------------------------------------------------------------ */

static void parse__reads_fastflows_examples(void **state)
{
    mr__dag_unref(good("id: \"test-dag\"\nname: \"test\"\ntasks:\n- id: \"task1\"\n"
                       "  actionName: \"PrintAction\"\n- id: \"task2\"\n"
                       "  actionName: \"PrintAction\"\n  dependOn: [\"task1\"]\n"));
    struct mr__dag *dag = good("id: \"test-dag\"\n"
                               "vars:\n"
                               "  fileName:\n"
                               "    desc: \"the file name\"\n"
                               "    defaultValue: \"file.txt\"\n"
                               "tasks:\n"
                               "- id: \"task1\"\n"
                               "  actionName: \"PrintAction\"\n"
                               "  params:\n"
                               "    writeName: \"{{fileName}}\"\n"
                               "    readName: \"{{ .vars.fileName.Value }}-{{.shareData.x}}\"\n"
                               "  preCheck:\n"
                               "    isWarn:\n"
                               "      act: skip #you can set \"skip\" or \"block\"\n"
                               "      conditions:\n"
                               "      - source: vars # source could be \"vars\" or \"share-data\"\n"
                               "        key: \"fileName\"\n"
                               "        op: \"in\"\n"
                               "        values: [\"warn.txt\", \"error.txt\"]\n"
                               "- id: \"task2\"\n"
                               "  actionName: \"PrintAction\"\n"
                               "  preCheck:\n" /* a list, as its README has it */
                               "  - act: block\n"
                               "    conditions:\n"
                               "    - source: share-data\n"
                               "      key: \"fileName\"\n"
                               "      op: \"not-in\"\n"
                               "      values: [\"warn.txt\", \"error.txt\"]\n");
    assert_int_equal(dag->tasks[0].template_count, 3);
    assert_int_equal(dag->tasks[0].checks[0].conditions[0].op, MR__OP_IN);
    assert_string_equal(dag->tasks[1].checks[0].name, "0");
    assert_true(dag->tasks[1].checks[0].block);
    mr__dag_unref(dag);
}

static void parse__is_lenient_where_fastflow_is(void **state)
{
    static const char text[] = "version: 1\n"
                               "vars: {a: {label: x}}\n"
                               "tasks:\n"
                               "- {id: w, actionName: ff-waiting, params: {waitingTime: 1s}}\n"
                               "- {id: x, actionName: x, owner: me, timeoutSecs: 0, params: {p: "
                               "'{{a}} {{b}} {{date}} {{my-c}}'}}\n"
                               "- {id: y, action: x, timeoutSecs: 7}\n"
                               "- {id: z, wait: 1s}\n";
    struct mr__parse_options options = {.file = "f.yaml", .compat = true};
    struct mr__problems problems;
    struct mr__dag *dag = NULL, *strict;
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), &options, &problems, &dag), MR_OK);
    assert_int_equal(problems.count, 3);
    for (uint32_t i = 0; i < problems.count; i++) {
        assert_string_equal(problems.list[i].code, "W102");
        assert_true(problems.list[i].warning);
    }
    mr__problems_finish(&problems);
    assert_true(dag->compat);
    assert_int_equal(dag->tasks[0].timeout_ms, 0);
    assert_int_equal(dag->tasks[1].timeout_ms, 30000);
    assert_int_equal(dag->tasks[2].timeout_ms, 7000);
    assert_int_equal(dag->tasks[3].timeout_ms, 0);
    assert_int_equal(dag->templates[0].kind, MR__TEMPLATE_VAR);
    static const char *const kept[] = {"{{b}}", "{{date}}", "{{my-c}}"};
    for (size_t i = 0; i < MR__COUNT(kept); i++) {
        assert_int_equal(dag->templates[1 + i].kind, MR__TEMPLATE_AS_IS);
        assert_string_equal(dag->templates[1 + i].text, kept[i]);
    }
    mr__dag_unref(dag);
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), NULL, &problems, &strict), MR_EDEFINITION);
    assert_int_equal(problems.error_count, 6);
    mr__problems_finish(&problems);
}

static void parse__the_same_text_with_compat_is_another_version(void **state)
{
    static const char text[] = "id: a\ntasks: [{id: a}]\n";
    struct mr__parse_options options = {.file = "dir/good.yaml", .compat = true};
    struct mr__problems problems;
    struct mr__dag *lenient = NULL, *strict = good(text);
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), &options, &problems, &lenient), MR_OK);
    assert_memory_not_equal(lenient->version, strict->version, MR__VERSION_BYTES);
    mr__problems_finish(&problems);
    mr__dag_unref(lenient);
    mr__dag_unref(strict);
}

/* ---- limits and sizes ------------------------------------------------------------------------ */

static void parse__holds_the_limit_of_scripts(void **state)
{
    for (unsigned more = 0; more < 2; more++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_printf(&buf, "tasks: [{id: a, lua: return %0*d}]\n",
                       (int)(MR__SCRIPT_BYTES_MAX - strlen("return ") + more), 7);
        assert_int_equal(parse_buf(&buf, "E604"), more == 0 ? MR_OK : MR_EDEFINITION);
    }
}

/* Files that would take for ever were any step of them not linear. The bound is far above what is
 * measured (below a second each, without sanitizers). */
static void parse__lua_is_read_in_linear_time(void **state)
{
    enum { CONDITIONS, BLOCKS, ONE_TEXT, ONE_LINE, WRONG_NAMES, WRONG_TASKS, SHAPES };
    for (int shape = 0; shape < SHAPES; shape++) {
        struct mr__buf buf;
        mr__buf_init(&buf);
        mr__buf_text(&buf, "vars: {n: {}}\ntasks:\n- {id: t, skipIf: vars.n}\n");
        if (shape == ONE_TEXT || shape == ONE_LINE) {
            mr__buf_text(&buf, "- id: x\n  action: x\n  params:\n    k: |\n      ");
        }
        for (int i = 0; i < 100000; i++) {
            switch (shape) {
            case CONDITIONS:
                mr__buf_printf(&buf, "- {id: t%d, skipIf: vars.n == 'x' and tasks.t.output}\n", i);
                break;
            case BLOCKS:
                mr__buf_printf(&buf, "- id: t%d\n  lua: |\n    local a = %d\n    return a\n", i, i);
                break;
            case ONE_TEXT: mr__buf_printf(&buf, "{{ vars.n .. %d }}\n      ", i); break;
            case ONE_LINE: mr__buf_printf(&buf, "{{ vars.n .. %d }}", i); break;
            case WRONG_NAMES:
                mr__buf_printf(&buf, "- {id: t%d, skipIf: vrs.n + %d}\n", i, i);
                break;
            default: mr__buf_printf(&buf, "- {id: t%d, skipIf: tasks.u%d}\n", i, i); break;
            }
        }
        mr__buf_text(&buf, "\n");
        struct mr__clock *clock = mr__clock_system();
        int64_t begin = clock->monotonic_ms(clock);
        bool wrong = shape == WRONG_NAMES || shape == WRONG_TASKS;
        assert_int_equal(parse_buf(&buf, shape == WRONG_NAMES ? "E601" : "E603"),
                         wrong ? MR_EDEFINITION : MR_OK);
        assert_true(clock->monotonic_ms(clock) - begin < 10000);
    }
}

static void parse__reads_heartbeat(void **state)
{
    struct mr__dag *dag =
        good("tasks: [{id: a, run: x, heartbeat: 90s}, {id: b, action: c, heartbeat: 1d},\n"
             "  {id: c, lua: return 1}]\n");
    assert_int_equal(dag->tasks[0].heartbeat_ms, 90000);
    assert_int_equal(dag->tasks[1].heartbeat_ms, 86400000);
    assert_int_equal(dag->tasks[2].heartbeat_ms, 0);
    mr__dag_unref(dag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__names_every_problem_of_broken_tasks),
        cmocka_unit_test(parse__reads_isolation_over_the_dags),
        cmocka_unit_test(parse__reads_contracts_example),
        cmocka_unit_test(parse__a_plain_task_asks_for_nothing),
        cmocka_unit_test(parse__reads_retry),
        cmocka_unit_test(parse__reads_heartbeat),
        cmocka_unit_test(parse__reads_conditions),
        cmocka_unit_test(parse__reads_lists_of_fan_outs),
        cmocka_unit_test(parse__resolves_templates_in_the_order_of_the_params),
        cmocka_unit_test(parse__tells_scripts_whose_lines_are_not_the_files),
        cmocka_unit_test(parse__writes_down_the_tasks_that_lua_names),
        cmocka_unit_test(parse__reads_hooks_and_cron),
        cmocka_unit_test(parse__reads_fastflows_examples),
        cmocka_unit_test(parse__is_lenient_where_fastflow_is),
        cmocka_unit_test(parse__the_same_text_with_compat_is_another_version),
        cmocka_unit_test(parse__holds_the_limit_of_scripts),
        cmocka_unit_test(parse__lua_is_read_in_linear_time),
    };
    return cmocka_run_group_tests_name("parse_tasks", tests, NULL, NULL);
}
