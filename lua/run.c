/* SPDX-License-Identifier: MIT
 *
 * The calls of lua_host.h on the scripts of dag files: check, evaluate, run, match. Each is one
 * protected call into the state. The thread that the state belongs to.
 */
#include <stdio.h>

#include "core/base/value.h"
#include "lua/lua_impl.h"
#include "lua/pattern.h"

static struct chunk_source source_of(const struct mr__script *script, const uint8_t *version,
                                     uint32_t number)
{
    return (struct chunk_source){.version = version,
                                 .number = number,
                                 .kind = script->kind,
                                 .text = script->text,
                                 .len = script->len,
                                 .line = script->pos.line,
                                 .folded = script->folded};
}

/* ---- check ----------------------------------------------------------------------------------- */

static int check_body(lua_State *L)
{
    mr__lua_compile(L, lua_touserdata(L, 1));
    return 0;
}

mr_status mr__lua_compile_check(struct mr__lua *lua, const struct mr__script *script,
                                uint32_t *ret_line, mr_error *reterr)
{
    struct chunk_source source = source_of(script, NULL, 0);
    struct mr__lua_call call = {.budget = &mr__lua_budget_worker, .file = "", .line = source.line};
    mr_error error = {0};
    mr_status status = mr__lua_protect(lua, &call, check_body, &source, &error);
    if (status == MR_OK || status == MR_ENOMEM) {
        return status == MR_OK ? MR_OK : mr__error_set(reterr, status, "out of memory");
    }
    /* The message is ":LINE: text", as no file was named. */
    unsigned line = script->pos.line, read;
    int after = 0;
    const char *message = error.message;
    if (sscanf(message, ":%u: %n", &read, &after) == 1 && after > 0) {
        line = read;
        message += after;
    }
    *ret_line = line;
    return mr__error_set(reterr, MR_EINVAL, "%u: %s", line, message);
}

struct joined_check {
    const struct mr__script *const *scripts;
    size_t count;
};

static int check_all_body(lua_State *L)
{
    const struct joined_check *check = lua_touserdata(L, 1);
    mr__lua_compile_joined(L, check->scripts, check->count);
    return 0;
}

bool mr__lua_compile_check_all(struct mr__lua *lua, const struct mr__script *const *scripts,
                               size_t count)
{
    struct joined_check check = {scripts, count};
    struct mr__lua_call call = {.budget = &mr__lua_budget_worker, .file = ""};
    return mr__lua_protect(lua, &call, check_all_body, &check, NULL) == MR_OK;
}

/* ---- evaluate -------------------------------------------------------------------------------- */

struct evaluation {
    struct chunk_source source;
    struct mr__arena *arena;
    mr_value value;
    bool composed; /* the value is JSON in lua->out */
};

static void take_text(lua_State *L, struct evaluation *e)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    mr__lua_tick(L, len / 32);
    if (len > lua_of(L)->budget->output_bytes || memchr(text, '\0', len) != NULL ||
        !mr__utf8_valid(text, len)) {
        (void)mr__lua_to_json(L, -1, "the result"); /* says what is wrong with it */
        (void)luaL_error(L, "the result is too large");
    }
    char *copy = mr__arena_dup(e->arena, text, len);
    if (copy == NULL) {
        lua_pushliteral(L, "out of memory");
        (void)mr__lua_end(L, ENDED_NOMEM);
    }
    e->value = mr__value_str(copy, len);
}

static int eval_body(lua_State *L)
{
    struct evaluation *e = lua_touserdata(L, 1);
    mr__lua_push_chunk(L, &e->source);
    lua_push_kept(L, KEPT_PURE);
    (void)lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    switch (lua_type(L, -1)) {
    case LUA_TNIL: e->value = mr__value_null(); break;
    case LUA_TBOOLEAN: e->value = mr__value_bool(lua_toboolean(L, -1)); break;
    case LUA_TSTRING: take_text(L, e); break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1)) {
            e->value = mr__value_int(lua_tointeger(L, -1));
            break;
        }
        e->value = mr__value_number(lua_tonumber(L, -1));
        (void)mr__lua_to_json(L, -1, "the result"); /* refuses what is not finite */
        break;
    default: (void)mr__lua_to_json(L, -1, "the result"); e->composed = true;
    }
    return 0;
}

mr_status mr__lua_eval(struct mr__lua *lua, const struct mr__scope *scope, uint32_t script,
                       const struct mr__lua_budget *budget, struct mr__arena *arena,
                       mr_value *ret_value, mr_error *reterr)
{
    MR_ASSERT(script < scope->dag->script_count);
    struct evaluation e = {.source =
                               source_of(&scope->dag->scripts[script], scope->dag->version, script),
                           .arena = arena};
    struct mr__lua_call call = {
        .scope = scope, .budget = budget, .file = scope->dag->file, .line = e.source.line};
    mr_status status = mr__lua_protect(lua, &call, eval_body, &e, reterr);
    if (status == MR_OK && e.composed) {
        status =
            mr__value_parse(arena, (const char *)lua->out.data, lua->out.len, &e.value, reterr);
    }
    if (status == MR_OK) {
        *ret_value = e.value;
    } else if (status == MR_EFAILED) {
        status = MR_EINVAL;
        if (reterr != NULL) {
            reterr->status = MR_EINVAL;
        }
    }
    return status;
}

/* ---- run ------------------------------------------------------------------------------------- */

static int run_body(lua_State *L)
{
    struct chunk_source *source = lua_touserdata(L, 1);
    mr__lua_push_chunk(L, source);
    mr__lua_push_environment(L);
    (void)lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    mr__buf_reset(&lua_of(L)->out);
    if (!lua_isnil(L, -1)) {
        (void)mr__lua_to_json(L, -1, "the result");
    }
    return 0;
}

mr_status mr__lua_give_output(struct mr__lua *lua, struct mr__buf *output, mr_error *reterr)
{
    mr__buf_bytes(output, lua->out.data, lua->out.len);
    return output->failed ? mr__error_set(reterr, MR_ENOMEM, "out of memory") : MR_OK;
}

mr_status mr__lua_run(struct mr__lua *lua, const struct mr__scope *scope, uint32_t script,
                      const struct mr__lua_acts *acts, const struct mr__lua_budget *budget,
                      struct mr__buf *output, mr_error *reterr)
{
    MR_ASSERT(script < scope->dag->script_count && acts != NULL);
    struct chunk_source source =
        source_of(&scope->dag->scripts[script], scope->dag->version, script);
    struct mr__lua_call call = {.scope = scope,
                                .acts = acts,
                                .budget = budget,
                                .file = scope->dag->file,
                                .line = source.line};
    mr_status status = mr__lua_protect(lua, &call, run_body, &source, reterr);
    return status == MR_OK ? mr__lua_give_output(lua, output, reterr) : status;
}

/* ---- match ----------------------------------------------------------------------------------- */

static bool count_match_steps(void *user, unsigned steps)
{
    unsigned *left = user;
    if (*left < steps) {
        return false;
    }
    *left -= steps;
    return true;
}

mr_status mr__lua_matches(struct mr__lua *lua, const char *text, size_t len, const char *pattern,
                          size_t pattern_len, bool *ret_matches, mr_error *reterr)
{
    unsigned left = MR__LUA_MATCH_STEPS_MAX;
    bool anchored = pattern_len > 0 && pattern[0] == '^';
    struct pattern_match m = {.text = text,
                              .text_end = text + len,
                              .pattern = pattern + anchored,
                              .pattern_end = pattern + pattern_len,
                              .more = count_match_steps,
                              .user = &left};
    const char *begin;
    locale_t locale = uselocale(lua->c_locale); /* what a letter is must not depend on the host */
    bool found = pattern_find(&m, text, anchored, &begin) != NULL;
    (void)uselocale(locale);
    if (m.error[0] != '\0') {
        return mr__error_set(reterr, MR_EINVAL, "%s", m.error);
    }
    if (m.spent) {
        return mr__error_set(reterr, MR_ELIMIT, "the pattern took more than %u steps",
                             MR__LUA_MATCH_STEPS_MAX);
    }
    *ret_matches = found;
    return MR_OK;
}
