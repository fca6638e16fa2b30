/* SPDX-License-Identifier: MIT
 *
 * A plugin of a later time that the host must take: its structs have grown at the end, and its rows
 * of params are wider, but it asks for no newer version.
 */
#include <millrace/plugin.h>

struct wide_param {
    mr_param v1;
    const char *added;
};

struct wide_action {
    mr_action v1;
    void (*added)(void);
};

static mr_status run(mr_task *t)
{
    return mr_output_str(t, NULL, mr_param_str(t, "second"));
}

static const struct wide_param params[] = {
    {.v1 = {.name = "first", .type = MR_STRING}, .added = "x"},
    {.v1 = {.name = "second", .type = MR_STRING, .default_json = "\"wide\""}, .added = "y"},
    {.v1 = {.name = NULL}},
};

static const struct wide_action action = {.v1 = {.size = sizeof action,
                                                 .param_size = sizeof(struct wide_param),
                                                 .where = MR_ON_LOOP,
                                                 .name = "wide",
                                                 .params = &params[0].v1,
                                                 .run = run}};
MR_PLUGIN("wide", "1.0.0", &action.v1);
