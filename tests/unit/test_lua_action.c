/* SPDX-License-Identifier: MIT
 *
 * Goal: an action file is read, or refused with a reason; its phases are called with a task.
 * Method: files as texts, a host that notes what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lua/lua_impl.h"
#include "lua_fixture.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct lua_fixture f;
static struct mr__buf notes; /* what the host was asked, a line each */
static int canceled_after;   /* calls; 0: never */

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    mr__buf_init(&notes);
    canceled_after = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mr__buf_finish(&notes);
    fixture_finish(&f);
    return 0;
}

/* ---- the host -------------------------------------------------------------------------------- */

static void on_trace(void *user, const char *line, size_t len)
{
    (void)user;
    mr__buf_printf(&notes, "trace %.*s\n", (int)len, line);
}

static void on_log(void *user, uint32_t stream, const char *bytes, size_t len)
{
    (void)user;
    mr__buf_printf(&notes, "log %u %.*s", stream, (int)len, bytes);
}

static mr_status on_share_set(void *user, const char *key, const char *json, size_t len,
                              mr_error *reterr)
{
    (void)user;
    if (strcmp(key, "refused") == 0) {
        return mr__error_set(reterr, MR_ELIMIT, "the share data is full");
    }
    mr__buf_printf(&notes, "share %s %.*s\n", key, (int)len, json == NULL ? "" : json);
    return MR_OK;
}

static mr_status on_flush(void *user, mr_error *reterr)
{
    (void)user;
    (void)reterr;
    mr__buf_text(&notes, "flush\n");
    return MR_OK;
}

static mr_status on_sleep(void *user, int64_t ms)
{
    (void)user;
    mr__buf_printf(&notes, "sleep %lld\n", (long long)ms);
    return ms == 666 ? MR_ECANCELED : MR_OK;
}

static bool on_canceled(void *user)
{
    (void)user;
    return canceled_after > 0 && --canceled_after == 0;
}

static int64_t on_now(void *user)
{
    (void)user;
    return 1234567890123;
}

static mr_status on_value_set(void *user, const char *key, const char *json, size_t len)
{
    (void)user;
    mr__buf_printf(&notes, "value %s %.*s\n", key, (int)len, json == NULL ? "" : json);
    return MR_OK;
}

static bool on_value(void *user, const char *key, struct mr__blob *ret_json)
{
    (void)user;
    *ret_json = (struct mr__blob){"{\"n\":7}", 7};
    return strcmp(key, "kept") == 0;
}

static const struct mr__lua_acts acts = {
    .trace = on_trace,
    .log = on_log,
    .share_set = on_share_set,
    .share_flush = on_flush,
    .sleep = on_sleep,
    .canceled = on_canceled,
    .now_ms = on_now,
    .value_set = on_value_set,
    .value = on_value,
};

/* ---- chunks ---------------------------------------------------------------------------------- */

static void assert_run(const char *script, mr_status expected, const char *text,
                       const char *expected_notes)
{
    mr__buf_reset(&notes);
    f.budget = mr__lua_budget_acting;
    mr_status status = fixture_run(&f, script, &acts);
    if (status != expected || strcmp(mr__buf_cstr(&f.text), text) != 0 ||
        strcmp(mr__buf_cstr(&notes), expected_notes) != 0) {
        fail_msg("%s\n  gives %d %s\n%s", script, status, mr__buf_cstr(&f.text),
                 mr__buf_cstr(&notes));
    }
}

static void run__gives_its_output(void **state)
{
    (void)state;
    assert_run("return {n = 1}", MR_OK, "{\"n\":1}", "");
    assert_run("local x = 1", MR_OK, "", "");
    assert_run("return nil", MR_OK, "", "");
    assert_run("x = 5 return x + tasks.fetch.output.pages[1]", MR_OK, "6", "");
    assert_run("return pcall(function() return x end)", MR_OK, "false", ""); /* a fresh one */
    assert_run("return 'text'", MR_OK, "\"text\"", "");
}

static void run__acts_through_its_host(void **state)
{
    (void)state;
    assert_run("trace('a', 1, {}, nil) print('x', 2) log('y')", MR_OK, "",
               "trace a 1 table nil\nlog 1 x\t2\nlog 1 y\n");
    assert_run("share.a = {1, null} share.b = nil flush()", MR_OK, "",
               "share a [1,null]\nshare b \nflush\n");
    assert_run("sleep(5) sleep('10s') return now()", MR_OK, "1234567890123",
               "sleep 5\nsleep 10000\n");
    assert_run("value.x = 'v' return value.kept.n, value.other", MR_OK, "7", "value x \"v\"\n");
    assert_run("return canceled()", MR_OK, "false", "");
    assert_run("return math.random(1, 1)", MR_OK, "1", "");
}

static void run__fails_with_its_reason(void **state)
{
    (void)state;
    assert_run("fail('no rows')", MR_EFAILED, "no rows", "");
    assert_run("pcall(fail, 'no rows') trace('on')", MR_EFAILED, "no rows", "");
    assert_run("\nerror('boom')", MR_EFAILED, "d.yaml:13: boom", "");
    assert_run("share.refused = 1", MR_EFAILED, "d.yaml:12: the share data is full", "");
    assert_run("sleep('soon')", MR_EFAILED,
               "d.yaml:12: bad argument #1 to 'sleep': \"soon\" is no duration such as 10s", "");
    assert_run("return {f = print}", MR_EFAILED, "d.yaml:12: the result.f is a function", "");
    assert_run("share.f = function() end", MR_EFAILED, "d.yaml:12: share.f is a function", "");
}

static void run__is_canceled(void **state)
{
    (void)state;
    assert_run("pcall(sleep, 666) trace('on')", MR_ECANCELED, "d.yaml:12: canceled", "sleep 666\n");
    canceled_after = 3;
    assert_run("while true do pcall(function() while true do end end) end", MR_ECANCELED,
               "d.yaml:12: canceled", "");
}

static void run__has_only_the_calls_that_are_there(void **state)
{
    (void)state;
    static const struct mr__lua_acts none = {0};
    static const char *const names[] = {"trace",     "print",    "log",  "flush",
                                        "sleep",     "canceled", "now",  "value",
                                        "heartbeat", "progress", "lock", "unlock"};
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        assert_int_equal(
            fixture_run(&f, names[i][0] == 'v' ? "value.x = 1" : "return sleep", &none),
            MR_EFAILED);
        char script[64], message[64];
        (void)snprintf(script, sizeof script, "return %s", names[i]);
        (void)snprintf(message, sizeof message, "d.yaml:12: unknown name \"%s\"", names[i]);
        assert_int_equal(fixture_run(&f, script, &none), MR_EFAILED);
        assert_memory_equal(mr__buf_cstr(&f.text), message, strlen(message));
    }
    assert_int_equal(fixture_run(&f, "share.x = 1", &none), MR_EFAILED);
    assert_int_equal(fixture_run(&f, "fail('x')", &none), MR_EFAILED);
    assert_string_equal(mr__buf_cstr(&f.text), "x");
}

/* ---- files ----------------------------------------------------------------------------------- */

static struct mr__lua_file make_file(const char *text)
{
    struct mr__lua_file file = {.path = "greet.lua", .text = text, .len = strlen(text)};
    mr__hash128(text, file.len, file.digest);
    return file;
}

static const char greet[] =
    "local function greet(task)\n"
    "  task.trace('hello ' .. task.params.who)\n"
    "  task:trace('attempt', task.attempt)\n"
    "  task.share.seen = vars.stage\n"
    "  return {text = 'hello ' .. task.params.who, key = task.key, id = task.id}\n"
    "end\n"
    "return {name = 'greet', help = 'greets', idempotent = true, run = greet,\n"
    "  run_after = function(task) task.value.done = true end,\n"
    "  params = {{name = 'who', type = 'string', default = 'world', help = 'whom'},\n"
    "            {name = 'n', type = 'int', required = true}, {name = 'any'}}}\n";

static void action__is_read(void **state)
{
    (void)state;
    struct mr__lua_file file = make_file(greet);
    struct mr__lua_action action;
    mr_error error = {0};
    if (mr__lua_action_read(f.lua, &file, &f.arena, &action, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(action.name, "greet");
    assert_string_equal(action.help, "greets");
    assert_true(action.idempotent);
    assert_int_equal(action.phases, MR__LUA_HAS_RUN_AFTER);
    assert_int_equal(action.param_count, 3);
    assert_string_equal(action.params[0].name, "who");
    assert_string_equal(action.params[0].default_json, "\"world\"");
    assert_string_equal(action.params[0].help, "whom");
    assert_int_equal(action.params[0].type, MR_STRING);
    assert_false(action.params[0].required);
    assert_int_equal(action.params[1].type, MR_INT);
    assert_true(action.params[1].required);
    assert_null(action.params[1].default_json);
    assert_int_equal(action.params[2].type, MR_NULL);
    assert_null(action.params[2].help);
}

static void action__params_may_be_a_map(void **state)
{
    (void)state;
    struct mr__lua_file file = make_file("return {name = 'x', run = function() end,\n"
                                         "  params = {b = {type = 'list', default = {}}, a = {}}}");
    struct mr__lua_action action;
    assert_int_equal(mr__lua_action_read(f.lua, &file, &f.arena, &action, NULL), MR_OK);
    assert_int_equal(action.param_count, 2);
    assert_string_equal(action.params[0].name, "a");
    assert_string_equal(action.params[1].name, "b");
    assert_string_equal(action.params[1].default_json, "[]");
}

static void action__refusals_name_the_file(void **state)
{
    static const char *const rows[][2] = {
        {"return 1", "greet.lua:1: the file returns no table but a number"},
        {"\nreturn {", "greet.lua:2: unexpected symbol near <eof>"},
        {"\nerror('x')", "greet.lua:2: x"},
        {"return {run = print}", "greet.lua:1: unknown name \"print\""},
        {"return {run = function() end}", "greet.lua:1: the action has no name"},
        {"return {name = 'a b', run = function() end}",
         "greet.lua:1: \"a b\" is no name of an action"},
        {"return {name = 'x'}", "greet.lua:1: run is no function but a nil"},
        {"return {name = 'x', runn = 1, run = function() end}",
         "greet.lua:1: an action has no field \"runn\", did you mean \"run\"?"},
        {"return {name = 'x', run = function() end, params = {{}}}",
         "greet.lua:1: a param has no name"},
        {"return {name = 'x', run = function() end, params = {{name = 'p', type = 'float'}}}",
         "greet.lua:1: param \"p\": type is string, int, number, bool, list, map or any"},
        {"return {name = 'x', run = function() end, params = {{name = 'p'}, {name = 'p'}}}",
         "greet.lua:1: param \"p\" stands there twice"},
        {"return {name = 'x', run = function() end, params = {{name = 'p', required = true, "
         "default = 1}}}",
         "greet.lua:1: param \"p\" is required and has a default"},
        {"return vars", "greet.lua:1: the file returns no table but a userdata"},
        {"return vars.x", "greet.lua:1: vars is not there yet: the file is only being read"},
        {"while true do end", "greet.lua:1: the script took more than 2000000 steps"},
    };
    (void)state;
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        struct mr__lua_file file = make_file(rows[i][0]);
        struct mr__lua_action action;
        mr_error error = {0};
        assert_int_equal(mr__lua_action_read(f.lua, &file, &f.arena, &action, &error), MR_EINVAL);
        assert_string_equal(error.message, rows[i][1]);
    }
}

static void action__phases_are_called(void **state)
{
    (void)state;
    struct mr__lua_file file = make_file(greet);
    mr_value params = fixture_json(&f, "{\"who\":\"you\"}");
    struct mr__lua_task task = {
        .id = "t", .run = "r", .dag = "d", .key = "k", .attempt = 2, .params = &params};
    mr_error error = {0};
    f.scope.task = NULL;
    if (mr__lua_action_call(f.lua, &file, MR__LUA_RUN, &task, &f.scope, &acts,
                            &mr__lua_budget_acting, &f.text, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    assert_string_equal(mr__buf_cstr(&f.text),
                        "{\"id\":\"t\",\"key\":\"k\",\"text\":\"hello you\"}");
    assert_string_equal(mr__buf_cstr(&notes),
                        "trace hello you\ntrace attempt 2\nshare seen \"prod\"\n");
    mr__buf_reset(&notes);
    mr__buf_reset(&f.text);
    assert_int_equal(mr__lua_action_call(f.lua, &file, MR__LUA_RUN_AFTER, &task, &f.scope, &acts,
                                         &mr__lua_budget_acting, &f.text, &error),
                     MR_OK);
    assert_int_equal(f.text.len, 0);
    assert_string_equal(mr__buf_cstr(&notes), "value done true\n");
    assert_int_equal(mr__lua_action_call(f.lua, &file, MR__LUA_RETRY_BEFORE, &task, &f.scope, &acts,
                                         &mr__lua_budget_acting, &f.text, &error),
                     MR_EFAILED);
}

static void action__each_allocation_may_fail(void **state)
{
    (void)state;
    struct mr__lua_file file = make_file(greet);
    mr_value params = fixture_json(&f, "{\"who\":\"you\"}");
    struct mr__lua_task task = {.id = "t", .run = "r", .dag = "d", .key = "k", .params = &params};
    bool reached = true;
    for (uint64_t n = 1; reached; n++) {
        struct mr__lua_action action;
        mr_error error = {0};
        mr__buf_reset(&f.text);
        memcpy(file.digest, &n, sizeof n); /* a file that it has not compiled yet */
        f.lua->fail_after = n;
        mr_status status = mr__lua_action_read(f.lua, &file, &f.arena, &action, &error);
        if (status == MR_OK) {
            status = mr__lua_action_call(f.lua, &file, MR__LUA_RUN, &task, &f.scope, &acts,
                                         &mr__lua_budget_acting, &f.text, &error);
        }
        reached = f.lua->fail_after == 1;
        f.lua->fail_after = 0;
        assert_true(status == MR_OK || (reached && status == MR_ENOMEM));
        assert_int_equal(fixture_eval(&f, "1+1"), MR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(run__gives_its_output, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run__acts_through_its_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run__fails_with_its_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run__is_canceled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(run__has_only_the_calls_that_are_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action__is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action__params_may_be_a_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action__refusals_name_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action__phases_are_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(action__each_allocation_may_fail, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lua_action", tests, NULL, NULL);
}
