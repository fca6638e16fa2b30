/* SPDX-License-Identifier: MIT
 *
 * Goal: a Lua file in a plugin folder is an action like any other: found by name, its params
 * checked and shown, its phases called with what they set between them; and what is wrong with a
 * file is said and refused as of any plugin. Method: files written into a folder of the test's own,
 * a registry over it, a real executor.
 */
#include <millrace/plugin.h>
#include <sys/stat.h>

#include "exec_fixture.h"

static struct fixture *f;
static char folder[64];

static int set_up(void **state)
{
    f = fixture_make(2);
    temp_store_make(folder);
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    temp_store_remove(folder);
    return 0;
}

static void write_file(const char *name, const char *text, size_t len, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static mr_status load(mr_error *reterr)
{
    mr__registry_destroy(f->registry);
    f->registry = NULL;
    fixture_close(f, 0);
    mr_status status = mr__registry_create(folder, NULL, NULL, &f->registry, reterr);
    fixture_open(f, 2);
    return status;
}

static void load_text(const char *text)
{
    mr_error error = {0};
    write_file("a.lua", text, strlen(text), 0644);
    if (load(&error) != MR_OK) {
        fail_msg("%s", error.message);
    }
}

static void expect_refused(const char *text, size_t len, mode_t mode, mr_status status,
                           const char *message)
{
    mr_error error = {0};
    write_file("a.lua", text, len, mode);
    assert_int_equal(load(&error), status);
    if (strstr(error.message, message) == NULL) {
        fail_msg("%s", error.message);
    }
}

static const char all_phases[] =
    "local count = 0\n"
    "return {\n"
    "  name = 'deploy', help = 'rolls out', idempotent = true,\n"
    "  params = {\n"
    "    {name = 'host', type = 'string', required = true, help = 'where to'},\n"
    "    {name = 'n', type = 'int', default = 3},\n"
    "  },\n"
    "  retry_before = function(task) task.trace('retry') end,\n"
    "  run_before = function(task)\n"
    "    value.made = {id = task.id, n = task.params.n}\n"
    "    share.before = 1\n"
    "    trace('before', task.attempt)\n"
    "    return 'is not looked at'\n"
    "  end,\n"
    "  run = function(task)\n"
    "    count = count + 1\n"
    "    assert(count == 1 and share.before == 1)\n"
    "    return {host = task.params.host, made = value.made, stage = vars.stage, dag = run.dag,\n"
    "            key = #task.key}\n"
    "  end,\n"
    "  run_after = function(task) trace('after', value.made and value.made.id) end,\n"
    "}\n";

/* A file may have globals of its own; they last for one attempt. */
static void file__may_name_what_it_sets(void **state)
{
    load_text("function twice(n) return helper(n) end\n"
              "helper = function(n) return n * 2 end\n"
              "one, two = 1, 2\n"
              "return {name = 'x', run = function(task) later --[[ = ]] = two\n"
              "  local t = {os = one} function t:f() return self end\n"
              "  goto done ::done:: return twice(later) + t.os end}\n");
    fixture_start(f, fixture_action(f, "x"), 1, "{}");
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(f->ends[0].output, "5");
}

static void file__is_an_action_with_all_phases(void **state)
{
    load_text(all_phases);
    struct mr__action_binding binding = f->x->ops->bind(f->x, "deploy");
    assert_int_equal(binding.flags, MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT | MR__ACTION_JOB |
                                        MR__ACTION_BEFORE | MR__ACTION_AFTER);
    const struct mr__action *deploy = binding.action;
    fixture_call(f, f->x->ops->before, deploy, 1, "{\"host\":\"h\",\"n\":\"4\"}", true);
    assert_true(fixture_run_until(f, &f->began_count, 1, 5000));
    fixture_start(f, deploy, 1, "{\"host\":\"h\",\"n\":\"4\"}");
    assert_true(fixture_run_until(f, &f->ending_count, 1, 5000));
    assert_string_equal(f->ending.output,
                        "{\"dag\":\"dag\",\"host\":\"h\",\"key\":32,\"made\":{\"id\":\"task-1\","
                        "\"n\":4},\"stage\":\"dev\"}");
    assert_string_equal(f->ending.sets, "before=1;");
    fixture_call(f, f->x->ops->after, deploy, 1, "{\"host\":\"h\"}", false);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->traces, "1:retry\n1:before 1\n1:after task-1\n");
}

static void file__has_params_like_any_action(void **state)
{
    struct mr__buf buf = {0};
    load_text(all_phases);
    fixture_start(f, fixture_action(f, "deploy"), 1, "{}");
    assert_string_equal(f->ends[0].reason, "param \"host\" of action \"deploy\" is missing");
    mr__registry_json(f->registry, "deploy", &buf);
    const char *json = mr__buf_cstr(&buf);
    assert_non_null(
        strstr(json, "\"help\":\"rolls out\",\"where\":\"worker\",\"idempotent\":true"));
    assert_non_null(strstr(json, "/a.lua\""));
    assert_non_null(strstr(json,
                           "{\"name\":\"n\",\"type\":\"int\",\"required\":false,\"help\":null,"
                           "\"default\":3}"));
    mr__buf_finish(&buf);
}

static void file__fails_with_its_own_line(void **state)
{
    load_text("return {name = 'bad', run = function(task)\n  local x = nil\n  return x.y\nend}\n");
    fixture_start(f, fixture_action(f, "bad"), 1, NULL);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_FAILED);
    assert_non_null(strstr(f->ends[0].reason, "/a.lua:3: "));
}

static void file__that_is_wrong_is_refused_with_its_place(void **state)
{
    static char large[MR__SCRIPT_BYTES_MAX + 1];
    char text[256];
    (void)snprintf(text, sizeof text, "return {\n name = 'x'\n run = 1}\n");
    expect_refused(text, strlen(text), 0644, MR_EABI, "/a.lua:3: ");
    (void)snprintf(text, sizeof text, "return {name = 'no name', run = function() end}");
    expect_refused(text, strlen(text), 0644, MR_EABI, "is no name of an action");
    (void)snprintf(text, sizeof text,
                   "return {name = 'x', run = function() end, params = {{name = 'n', type = 'int', "
                   "default = 'three'}}}");
    expect_refused(text, strlen(text), 0644, MR_EABI, "the default of param \"n\" is no int");
    (void)snprintf(text, sizeof text, "while true do end");
    expect_refused(text, strlen(text), 0644, MR_EABI, "/a.lua:1: ");
    (void)snprintf(text, sizeof text, "return {name = 'x',\n  run = function() os.exit() end}");
    expect_refused(text, strlen(text), 0644, MR_EABI, "/a.lua:2: unknown name \"os\"");
    (void)snprintf(text, sizeof text, "return {name = 'x', run = function() pritn(1) end}");
    expect_refused(text, strlen(text), 0644, MR_EABI, "\"pritn\", did you mean \"print\"?");
    (void)snprintf(text, sizeof text, "return {name = 'x', run = function() end}");
    expect_refused(text, strlen(text), 0666, MR_EPERM, "/a.lua: others may write to it");
    memset(large, ' ', sizeof large);
    memcpy(large, text, strlen(text));
    expect_refused(large, sizeof large, 0644, MR_EABI, "/a.lua: more than 65536 bytes");
    write_file("a.lua", large, sizeof large - 1, 0644);
    mr_error error;
    assert_int_equal(load(&error), MR_OK); /* the largest */
}

static void file__with_the_name_of_another_action_is_refused(void **state)
{
    static const char first[] = "return {name = 'x', run = function() end}";
    static const char second[] = "return {name = 'x', run = function() end} -- another";
    static const char own[] = "return {name = 'lua', run = function() end}";
    mr_error error = {0};
    write_file("a.lua", first, strlen(first), 0644);
    write_file("b.lua", first, strlen(first), 0644); /* the same once more */
    assert_int_equal(load(&error), MR_OK);
    assert_int_equal(mr__registry_count(f->registry), 2);
    write_file("b.lua", second, strlen(second), 0644);
    assert_int_equal(load(&error), MR_EABI);
    assert_non_null(strstr(error.message, "/b.lua: action \"x\" is already that of "));
    write_file("b.lua", own, strlen(own), 0644);
    assert_int_equal(load(&error), MR_EABI);
    assert_non_null(strstr(error.message, "action \"lua\" is already that of millrace itself"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file__is_an_action_with_all_phases),
        TEST(file__may_name_what_it_sets),
        TEST(file__has_params_like_any_action),
        TEST(file__fails_with_its_own_line),
        TEST(file__that_is_wrong_is_refused_with_its_place),
        TEST(file__with_the_name_of_another_action_is_refused),
    };
    return cmocka_run_group_tests_name("lua_file", tests, NULL, NULL);
}
