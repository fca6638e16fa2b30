/* SPDX-License-Identifier: MIT
 *
 * A whole plugin: one action, `greet`, with one param. It runs on a worker thread, since it does
 * not say otherwise, and would be free to block there.
 */
#include <millrace/plugin.h>

static mr_status greet(mr_task *t)
{
    const char *who = mr_param_str(t, "who");
    mr_trace(t, "greeting %s", who);
    return mr_output_str(t, "text", mr_printf(t, "hello %s", who));
}

static const mr_param params[] = {
    {.name = "who", .type = MR_STRING, .default_json = "\"world\"", .help = "whom to greet"},
    {.name = NULL},
};
static const mr_action action =
    MR_ACTION(.name = "greet", .help = "says hello", .params = params, .run = greet);
MR_PLUGIN("greet", "1.0.0", &action);
