/* SPDX-License-Identifier: MIT
 *
 * Compiling the scripts of a dag to see what is wrong with them, in a state made for it: what is
 * checked is not run, and nothing of it is kept. Any thread.
 */
#include "core/exec/check_scripts.h"

#include "core/base/hash.h"
#include "lua/lua_host.h"

/* The text of a line of the file, without blanks around it: under it goes the caret. */
static struct mr__pos place_of_line(const struct mr__dag *dag, uint32_t line)
{
    struct mr__pos pos = {.line = line, .column = 1};
    const char *at = dag->text, *end = dag->text + dag->text_len;
    for (uint32_t i = 1; i < line && at < end; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline == NULL ? end : newline + 1;
    }
    const char *stop = at == end ? NULL : memchr(at, '\n', (size_t)(end - at));
    stop = stop == NULL ? end : stop;
    while (at < stop && (*at == ' ' || *at == '\t')) {
        at++;
        pos.column++;
    }
    while (stop > at && (stop[-1] == ' ' || stop[-1] == '\r' || stop[-1] == '\t')) {
        stop--;
    }
    for (; at < stop; at++) {
        pos.width += ((unsigned char)*at & 0xc0) != 0x80; /* a character's first byte */
    }
    return pos;
}

static uint32_t last_line(const struct mr__script *script)
{
    uint32_t line = script->pos.line;
    for (size_t i = 0; i + 1 < script->len; i++) { /* A last newline begins no line. */
        line += script->text[i] == '\n';
    }
    return line;
}

/* Returns whether the script compiles. */
static bool check(struct mr__lua *lua, const struct mr__dag *dag, const struct mr__script *script,
                  struct mr__problems *problems)
{
    uint32_t line = script->pos.line;
    mr_error error;
    mr_status status = mr__lua_compile_check(lua, script, &line, &error);
    if (status == MR_ENOMEM) {
        problems->failed = true;
    }
    if (status == MR_OK || status == MR_ENOMEM) {
        return status == MR_OK;
    }
    const char *message = error.message; /* "LINE: what": the place is said by `pos` */
    message += strspn(message, "0123456789");
    message += strspn(message, ": ");
    line = MR__MIN(line, last_line(script)); /* An end that is missing is missed after it. */
    bool here = line == script->pos.line || script->folded || dag->text == NULL;
    bool assigns = script->kind == MR__SCRIPT_EXPRESSION && strstr(message, "near '='") != NULL;
    mr__problem_add(problems, "E605", here ? script->pos : place_of_line(dag, line), NULL,
                    "no Lua: %s%s", message, assigns ? " (what compares is ==)" : "");
    return false;
}

/* Texts that compile, with their kinds: thousands of tasks may have the same condition. */
static bool is_good(const struct mr__hash *good, const struct mr__script *script)
{
    uint64_t kind;
    return mr__hash_get(good, script->text, script->len, &kind) && kind == script->kind;
}

static void add_good(struct mr__hash *good, const struct mr__script *script)
{
    (void)mr__hash_put(good, script->text, script->len, script->kind); /* or it is checked again */
}

static void check_joined(struct mr__lua *lua, const struct mr__script *const *scripts, size_t count,
                         struct mr__hash *good)
{
    if (count > 0 && mr__lua_compile_check_all(lua, scripts, count)) {
        for (size_t i = 0; i < count; i++) {
            add_good(good, scripts[i]);
        }
    }
}

/* Or each may have its own: short ones are checked some at a time. */
static void check_short(struct mr__lua *lua, const struct mr__dag *dag, struct mr__hash *good)
{
    const struct mr__script *joined[MR__LUA_JOINED_MAX], *before = NULL;
    size_t count = 0;
    for (uint32_t i = 0; i < dag->script_count; i++) {
        const struct mr__script *script = &dag->scripts[i];
        bool same = before != NULL && before->len == script->len &&
                    memcmp(before->text, script->text, script->len) == 0;
        before = script;
        if (same || !mr__lua_compile_joins(script) || is_good(good, script)) {
            continue;
        }
        joined[count++] = script;
        if (count == MR__COUNT(joined)) {
            check_joined(lua, joined, count, good);
            count = 0;
        }
    }
    check_joined(lua, joined, count, good);
}

void mr__scripts_check(const struct mr__dag *dag, struct mr__problems *problems)
{
    struct mr__lua *lua;
    if (dag->script_count == 0) {
        return;
    }
    if (mr__lua_create(&lua) != MR_OK) {
        problems->failed = true;
        return;
    }
    struct mr__hash good;
    mr__hash_init(&good);
    check_short(lua, dag, &good);
    for (uint32_t i = 0; i < dag->script_count; i++) {
        const struct mr__script *script = &dag->scripts[i];
        if (!is_good(&good, script) && check(lua, dag, script, problems)) {
            add_good(&good, script);
        }
    }
    mr__hash_finish(&good);
    mr__lua_destroy(lua);
}
