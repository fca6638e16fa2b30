/* SPDX-License-Identifier: MIT
 *
 * Compiling, and what was compiled: a chunk is known by the bytes of its dag's version (or its
 * file's digest), its number and its kind, never by an address; the one that was used the longest
 * time ago goes when there are too many. The thread that the state belongs to.
 *
 * A chunk is named "\1LINES\2", LINES being how many lines of its file stand before it, or
 * "\1LINES\3" if its lines are not the file's: state.c makes FILE:LINE of that wherever a message
 * comes out, so that file names are never cut.
 */
#include "lua/lua_impl.h"

struct text_parts {
    struct mr__blob parts[3];
    size_t next;
};

static const char *read_part(lua_State *L, void *user, size_t *ret_len)
{
    struct text_parts *text = user;
    (void)L;
    while (text->next < MR__COUNT(text->parts)) {
        const struct mr__blob *part = &text->parts[text->next++];
        if (part->len > 0) {
            *ret_len = part->len;
            return part->data;
        }
    }
    *ret_len = 0;
    return NULL;
}

static int load_parts(lua_State *L, const struct chunk_source *source, const char *before,
                      const char *after)
{
    struct text_parts text = {
        .parts = {{before, strlen(before)}, {source->text, source->len}, {after, strlen(after)}}};
    const char *name =
        lua_pushfstring(L, "=\1%I%s", (lua_Integer)(source->line > 0 ? source->line - 1 : 0),
                        source->folded ? "\3" : "\2");
    int status = lua_load(L, read_part, &text, name, "t");
    lua_remove(L, -2);
    return status;
}

/* The brackets give one value, and keep a call from being a tail call, whose errors would name no
 * line. They stand on the text's own line, whose number the last instruction gets, unless a comment
 * at the end hides the second one. Where they fail, what is wrong is said better without them; and
 * a text that closes a bracket must do without them, as "1) --" is no expression: that is looked at
 * when a dag is checked, and not again when it is evaluated. */
static int load_expression(lua_State *L, const struct chunk_source *source)
{
    struct chunk_source text = *source;
    while (text.len > 0 && strchr(" \t\r\n", text.text[text.len - 1]) != NULL) {
        text.len--; /* The newline at the end of a block scalar begins no line of the text. */
    }
    int status = load_parts(L, &text, "return (", ")");
    if (status == LUA_ERRSYNTAX) {
        lua_pop(L, 1);
        status = load_parts(L, source, "return (", "\n)");
    }
    bool closes = source->version == NULL && memchr(source->text, ')', source->len) != NULL;
    if (status != LUA_ERRSYNTAX && (status != LUA_OK || !closes)) {
        return status;
    }
    int bare = load_parts(L, source, "return ", "\n");
    if (bare != LUA_OK) {
        return bare;
    }
    if (status == LUA_ERRSYNTAX) {
        (void)luaL_error(L, "one expression is expected here, not none or several");
    }
    lua_pop(L, 1); /* the one with the brackets is kept */
    return LUA_OK;
}

void mr__lua_compile(lua_State *L, const struct chunk_source *source)
{
    if (source->len > MR__SCRIPT_BYTES_MAX) {
        (void)luaL_error(L, "a script of more than %d bytes", (int)MR__SCRIPT_BYTES_MAX);
    }
    /* Nothing that a script needs, and of Lua's own faults more than one began with it. */
    if (memmem(source->text, source->len, "_ENV", 4) != NULL) {
        (void)luaL_error(L, "a script may not name _ENV");
    }
    mr__lua_tick(L, source->len / 4);
    int status = source->kind == MR__SCRIPT_EXPRESSION ? load_expression(L, source)
                                                       : load_parts(L, source, "", "");
    if (status != LUA_OK) {
        mr__lua_caught(L, status);
        (void)lua_error(L);
    }
}

/* ---- some at once ---------------------------------------------------------------------------- */

struct joined {
    const struct mr__script *const *scripts;
    size_t count, next;
    unsigned part; /* of the next one: what stands before it, it, what stands behind it */
};

static const char *read_joined(lua_State *L, void *user, size_t *ret_len)
{
    struct joined *joined = user;
    (void)L;
    *ret_len = 0;
    if (joined->next == joined->count) {
        return NULL;
    }
    const struct mr__script *script = joined->scripts[joined->next];
    switch (joined->part++) {
    case 0: *ret_len = 3; return "_=(";
    case 1: *ret_len = script->len; return script->text;
    default:
        joined->part = 0;
        joined->next++;
        *ret_len = 3;
        return "\n)\n";
    }
}

/* Each of them stands in brackets of its own. A text without a closing bracket cannot leave them;
 * and what it begins and does not end (a string, also by a backslash at its end, a comment) ends at
 * the lines around ours, where it is an error or nothing: all but long brackets. */
bool mr__lua_compile_joins(const struct mr__script *script)
{
    return script->kind == MR__SCRIPT_EXPRESSION && script->len > 0 &&
           script->len <= MR__LUA_JOINED_BYTES && memchr(script->text, ')', script->len) == NULL &&
           memmem(script->text, script->len, "[[", 2) == NULL &&
           memmem(script->text, script->len, "[=", 2) == NULL &&
           memmem(script->text, script->len, "_ENV", 4) == NULL;
}

void mr__lua_compile_joined(lua_State *L, const struct mr__script *const *scripts, size_t count)
{
    struct joined joined = {.scripts = scripts, .count = count};
    mr__lua_tick(L, count * MR__LUA_JOINED_BYTES / 4);
    if (lua_load(L, read_joined, &joined, "=joined", "t") != LUA_OK) {
        (void)lua_error(L);
    }
}

/* ---- what was compiled ----------------------------------------------------------------------- */

static void unlink_row(struct mr__lua *lua, uint32_t number)
{
    struct chunk *row = &lua->chunks[number];
    if (row->older == MR__LUA_CHUNKS_MAX) {
        lua->oldest = row->newer;
    } else {
        lua->chunks[row->older].newer = row->newer;
    }
    if (row->newer == MR__LUA_CHUNKS_MAX) {
        lua->newest = row->older;
    } else {
        lua->chunks[row->newer].older = row->older;
    }
}

static void link_newest(struct mr__lua *lua, uint32_t number)
{
    struct chunk *row = &lua->chunks[number];
    row->older = lua->newest;
    row->newer = MR__LUA_CHUNKS_MAX;
    if (lua->newest == MR__LUA_CHUNKS_MAX) {
        lua->oldest = number;
    } else {
        lua->chunks[lua->newest].newer = number;
    }
    lua->newest = number;
}

void mr__lua_chunks_reset(struct mr__lua *lua)
{
    mr__hash_finish(&lua->chunk_rows);
    mr__hash_init(&lua->chunk_rows);
    lua->chunk_count = 0;
    lua->oldest = lua->newest = MR__LUA_CHUNKS_MAX;
    for (uint32_t i = 0; i < MR__LUA_CHUNKS_MAX; i++) {
        lua->chunks[i].ref = LUA_NOREF;
    }
}

/* Setting a registry slot that exists asks for no memory: this needs no protection. */
static void drop_row(struct mr__lua *lua, uint32_t number)
{
    struct chunk *row = &lua->chunks[number];
    unlink_row(lua, number);
    (void)mr__hash_del(&lua->chunk_rows, row->key, sizeof row->key);
    luaL_unref(lua->L, LUA_REGISTRYINDEX, row->ref);
    row->ref = LUA_NOREF;
    lua->chunk_count--;
}

static uint32_t free_row(struct mr__lua *lua)
{
    if (lua->chunk_count == MR__LUA_CHUNKS_MAX) {
        uint32_t number = lua->oldest;
        drop_row(lua, number);
        return number;
    }
    uint32_t number = 0;
    while (lua->chunks[number].ref != LUA_NOREF) {
        number++;
    }
    return number;
}

static void make_key(const struct chunk_source *source, uint8_t key[CHUNK_KEY_BYTES])
{
    memcpy(key, source->version, MR__VERSION_BYTES);
    memcpy(key + MR__VERSION_BYTES, &source->number, sizeof source->number);
    key[CHUNK_KEY_BYTES - 1] = source->kind;
}

void mr__lua_push_chunk(lua_State *L, const struct chunk_source *source)
{
    struct mr__lua *lua = lua_of(L);
    uint8_t key[CHUNK_KEY_BYTES];
    uint64_t number;
    make_key(source, key);
    if (mr__hash_get(&lua->chunk_rows, key, sizeof key, &number)) {
        if (lua->newest != number) {
            unlink_row(lua, (uint32_t)number);
            link_newest(lua, (uint32_t)number);
        }
        lua_rawgeti(L, LUA_REGISTRYINDEX, lua->chunks[number].ref);
        return;
    }
    mr__lua_compile(L, source);
    number = free_row(lua);
    lua_pushvalue(L, -1);
    int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    struct chunk *row = &lua->chunks[number];
    memcpy(row->key, key, sizeof key);
    if (mr__hash_put(&lua->chunk_rows, row->key, sizeof row->key, number) != MR_OK) {
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
        return; /* it is compiled again the next time */
    }
    row->ref = ref;
    lua->chunk_count++;
    link_newest(lua, (uint32_t)number);
}
