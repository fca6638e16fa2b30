/* SPDX-License-Identifier: MIT
 *
 * The names that scripts have, as an editor's language server reads them (LuaLS, ---@meta). Pure,
 * any thread.
 */
#include "lua/annotations.h"

#include "lua/api.h"
#include "lua/lua_host.h"

#define PURE   "expressions too"
#define ACTING "only lua: tasks, hooks and actions"
#define VALUE  NULL

struct api_row {
    const char *tier, *name, *params, *result, *help;
};

static const struct api_row rows[] = {
#define API_ROW(tier, name, params, result, help) {tier, name, params, result, help},
    LUA_NAMES(API_ROW)
#undef API_ROW
};

/* What is not in the table: it depends on the dag. */
static const char scope[] =
    "---The variables of the run; an unknown name is an error.\n"
    "---@type table<string, any>\n"
    "vars = {}\n\n"
    "---The share data of the run; lua: tasks, hooks and actions may set it.\n"
    "---@type table<string, any>\n"
    "share = {}\n\n"
    "---@class millrace.task\n"
    "---@field output any\n"
    "---@field status string\n"
    "---@field reason string\n\n"
    "---The tasks of the dag, by id.\n"
    "---@type table<string, millrace.task>\n"
    "tasks = {}\n\n"
    "---@class millrace.run\n"
    "---@field id string\n"
    "---@field dag string\n"
    "---@field status string\n"
    "---@field reason string\n"
    "---@field folder string\n"
    "---@field trigger string\n"
    "---@field createdAt integer Unix milliseconds\n"
    "---@field startedAt integer|nil\n"
    "---@field scheduledAt integer|nil\n"
    "run = {}\n\n"
    "---The attempt's own values, kept over its phases (only lua: tasks, hooks and actions).\n"
    "---@type table<string, any>\n"
    "value = {}\n";

/* The libraries, each before its first function. */
static void begin_library(struct mr__buf *out, const char *name, const char *before)
{
    const char *point = strchr(name, '.');
    size_t len = point == NULL ? 0 : (size_t)(point - name);
    if (len > 0 && (before == NULL || strncmp(before, name, len + 1) != 0)) {
        mr__buf_printf(out, "%.*s = {}\n\n", (int)len, name);
    }
}

void mr__lua_annotations(struct mr__buf *out)
{
    mr__buf_text(out, "---@meta\n\n");
    for (size_t i = 0; i < MR__COUNT(rows); i++) {
        const struct api_row *row = &rows[i];
        begin_library(out, row->name, i > 0 ? rows[i - 1].name : NULL);
        mr__buf_printf(out, "---%s (%s)\n", row->help, row->tier);
        if (row->params == NULL) {
            mr__buf_printf(out, "---@type %s\n%s = nil\n\n", row->result, row->name);
        } else {
            mr__buf_printf(out, "---@return %s\nfunction %s(%s) end\n\n", row->result, row->name,
                           row->params);
        }
    }
    mr__buf_text(out, scope);
}
