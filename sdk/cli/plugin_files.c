/* SPDX-License-Identifier: MIT
 *
 * The files of `plugin new`: texts alone.
 */
#include "sdk/cli/plugin_files.h"

#include <stddef.h>

static const char test_dag[] =
    "# Runs the action with and without its param:\n"
    "#     millrace run --plugins . test.yaml\n"
    "id: @-test\n"
    "\n"
    "tasks:\n"
    "  - {id: default, action: \"@\"}\n"
    "  - {id: given, dependOn: [default], action: \"@\", params: {who: Ada}}\n";

static const struct mr__plugin_file in_c[] = {
    {"@.c",
     "/* The action \"@\". A plugin links to nothing of millrace, so that this builds it:\n"
     " *\n"
     " *     cc -shared -fPIC -o @.so @.c\n"
     " */\n"
     "#include <millrace/plugin.h>\n"
     "#include <stdio.h>\n"
     "\n"
     "/* What needs no attempt stands alone, so that the self-test can try it. */\n"
     "static int greeting(char *text, size_t size, const char *who)\n"
     "{\n"
     "    return snprintf(text, size, \"hello %s\", who);\n"
     "}\n"
     "\n"
     "/* Runs on a worker thread, once per attempt, and may block there. */\n"
     "static mr_status run(mr_task *t)\n"
     "{\n"
     "    char text[256];\n"
     "    int len = greeting(text, sizeof text, mr_param_str(t, \"who\"));\n"
     "    mr_trace(t, \"greeting %s\", mr_param_str(t, \"who\"));\n"
     "    return len < (int)sizeof text ? mr_output_str(t, \"text\", text)\n"
     "                                  : mr_fail(t, MR_EFAILED, \"a name of %d bytes\", len);\n"
     "}\n"
     "\n"
     "/* What `millrace plugin check` runs. */\n"
     "static mr_status self_test(mr_error *reterr)\n"
     "{\n"
     "    char text[16];\n"
     "    MR_EXPECT(reterr, greeting(text, sizeof text, \"Ada\") == 9 && strcmp(text, \"hello "
     "Ada\") == 0);\n"
     "    MR_EXPECT(reterr, greeting(text, 4, \"Ada\") == 9 && strcmp(text, \"hel\") == 0);\n"
     "    return MR_OK;\n"
     "}\n"
     "\n"
     "static const mr_param params[] = {\n"
     "    {.name = \"who\", .type = MR_STRING, .default_json = \"\\\"world\\\"\", .help = \"whom "
     "to greet\"},\n"
     "    {.name = NULL},\n"
     "};\n"
     "static const mr_action action =\n"
     "    MR_ACTION(.name = \"@\", .help = \"says hello\", .params = params, .run = run);\n"
     "MR_PLUGIN_TESTED(\"@\", \"0.1.0\", self_test, &action);\n"},
    {"meson.build",
     "project('@', 'c', version: '0.1.0', default_options: ['c_std=c11', 'warning_level=2'])\n"
     "\n"
     "# The headers alone: the host is called through what it passes in.\n"
     "millrace = dependency('millrace')\n"
     "plugin = shared_module('@', '@.c',\n"
     "  name_prefix: '',\n"
     "  dependencies: millrace.partial_dependency(compile_args: true, includes: true),\n"
     "  install: true,\n"
     "  install_dir: millrace.get_variable('plugindir'))\n"
     "\n"
     "# `meson test`: its self-test, and the dag, in a store of the build folder's own.\n"
     "program = find_program('millrace', required: false)\n"
     "if program.found()\n"
     "  test('self-test', program, args: ['plugin', 'check', plugin])\n"
     "  test('dag', program, depends: plugin, args: ['run', files('test.yaml'), '--plugins', "
     "meson.current_build_dir(),\n"
     "    '--store', meson.current_build_dir() / 'store'])\n"
     "endif\n"},
    {"test.yaml", test_dag},
    {"README.md",
     "# @\n"
     "\n"
     "A millrace plugin with one action, `@`. Build it, test it and run its test dag:\n"
     "\n"
     "    cc -shared -fPIC -o @.so @.c\n"
     "    millrace plugin check @.so\n"
     "    millrace run --plugins . test.yaml\n"
     "\n"
     "Where millrace's headers are not installed in a place that cc looks at, add `-I DIR`.\n"
     "With meson: `meson setup build && meson test -C build`, then `--plugins build`;\n"
     "`meson install -C build` puts it beside millrace's own plugins, where every run finds it.\n"
     "\n"
     "`millrace actions @ --plugins .` shows the params, from the table in @.c. The header\n"
     "`millrace/plugin.h` says what else an action can do: timers, processes, share data.\n"},
    {NULL},
};

static const struct mr__plugin_file in_cpp[] = {
    {"@.cc", "// The action \"@\". A plugin links to nothing of millrace, so that this builds it:\n"
             "//\n"
             "//     c++ -std=c++17 -shared -fPIC -o @.so @.cc\n"
             "#include <millrace/plugin.h>\n"
             "\n"
             "#include <exception>\n"
             "#include <string>\n"
             "\n"
             "// What needs no attempt stands alone, so that the self-test can try it.\n"
             "static std::string greeting(const std::string &who)\n"
             "{\n"
             "    return \"hello \" + who;\n"
             "}\n"
             "\n"
             "// Runs on a worker thread, once per attempt, and may block there. No exception may "
             "leave it.\n"
             "static mr_status run(mr_task *t)\n"
             "try {\n"
             "    mr_trace(t, \"greeting %s\", mr_param_str(t, \"who\"));\n"
             "    return mr_output_str(t, \"text\", greeting(mr_param_str(t, \"who\")).c_str());\n"
             "} catch (const std::exception &error) {\n"
             "    return mr_fail(t, MR_EFAILED, \"%s\", error.what());\n"
             "}\n"
             "\n"
             "// What `millrace plugin check` runs.\n"
             "static mr_status self_test(mr_error *reterr)\n"
             "{\n"
             "    MR_EXPECT(reterr, greeting(\"Ada\") == \"hello Ada\");\n"
             "    return MR_OK;\n"
             "}\n"
             "\n"
             "static const mr_param params[] = {\n"
             "    {\"who\", MR_STRING, 0, \"\\\"world\\\"\", \"whom to greet\"},\n"
             "    {},\n"
             "};\n"
             "static const mr_action action = [] {\n"
             "    mr_action made = mr_action_make(\"@\", run, MR_ON_WORKER, params);\n"
             "    made.help = \"says hello\";\n"
             "    return made;\n"
             "}();\n"
             "MR_PLUGIN_TESTED(\"@\", \"0.1.0\", self_test, &action);\n"},
    {"meson.build",
     "project('@', 'cpp', version: '0.1.0', default_options: ['cpp_std=c++17', "
     "'warning_level=2'])\n"
     "\n"
     "# The headers alone: the host is called through what it passes in.\n"
     "millrace = dependency('millrace')\n"
     "plugin = shared_module('@', '@.cc',\n"
     "  name_prefix: '',\n"
     "  dependencies: millrace.partial_dependency(compile_args: true, includes: true),\n"
     "  install: true,\n"
     "  install_dir: millrace.get_variable('plugindir'))\n"
     "\n"
     "# `meson test`: its self-test, and the dag, in a store of the build folder's own.\n"
     "program = find_program('millrace', required: false)\n"
     "if program.found()\n"
     "  test('self-test', program, args: ['plugin', 'check', plugin])\n"
     "  test('dag', program, depends: plugin, args: ['run', files('test.yaml'), '--plugins', "
     "meson.current_build_dir(),\n"
     "    '--store', meson.current_build_dir() / 'store'])\n"
     "endif\n"},
    {"test.yaml", test_dag},
    {"README.md",
     "# @\n"
     "\n"
     "A millrace plugin with one action, `@`. Build it, test it and run its test dag:\n"
     "\n"
     "    c++ -std=c++17 -shared -fPIC -o @.so @.cc\n"
     "    millrace plugin check @.so\n"
     "    millrace run --plugins . test.yaml\n"
     "\n"
     "Where millrace's headers are not installed in a place that c++ looks at, add `-I DIR`.\n"
     "With meson: `meson setup build && meson test -C build`, then `--plugins build`;\n"
     "`meson install -C build` puts it beside millrace's own plugins, where every run finds it.\n"
     "\n"
     "`millrace actions @ --plugins .` shows the params, from the table in @.cc. The header\n"
     "`millrace/plugin.h` says what else an action can do: timers, processes, share data.\n"},
    {NULL},
};

static const struct mr__plugin_file in_lua[] = {
    {"@.lua",
     "-- The action \"@\": run is called once per attempt, on a worker thread.\n"
     "return {\n"
     "  name = \"@\",\n"
     "  help = \"says hello\",\n"
     "  params = {\n"
     "    {name = \"who\", type = \"string\", default = \"world\", help = \"whom to greet\"},\n"
     "  },\n"
     "  run = function(task)\n"
     "    trace(\"greeting \" .. task.params.who)\n"
     "    return {text = \"hello \" .. task.params.who}\n"
     "  end,\n"
     "}\n"},
    {"test.yaml", test_dag},
    {"README.md", "# @\n"
                  "\n"
                  "A millrace action in one Lua file, `@`. Check it and run its test dag:\n"
                  "\n"
                  "    millrace plugin check @.lua\n"
                  "    millrace run --plugins . test.yaml\n"
                  "\n"
                  "`millrace actions @ --plugins .` shows the params, from the table in @.lua. "
                  "`millrace schema lua`\n"
                  "gives your editor the names that Lua has here.\n"},
    {NULL},
};

const struct mr__plugin_file *mr__plugin_files(enum mr__lang lang)
{
    switch (lang) {
    case MR__LANG_CPP: return in_cpp;
    case MR__LANG_LUA: return in_lua;
    default: return in_c;
    }
}
