/* SPDX-License-Identifier: MIT
 *
 * A Lua state's life, its memory, its budget, and the one way in: mr__lua_protect. The thread that
 * the state belongs to.
 *
 * A budget that is spent sets `ended`, which stays set until the call is over: the hook then raises
 * at each instruction, and what catches errors (pcall, xpcall) raises anew. The allocator never
 * raises; it charges large pieces of memory to the budget and makes the hook look at each
 * instruction once texts are so long that a single instruction on them takes long.
 *
 * In the pure tier the collector rests while a script runs, so that nothing that a script sees
 * depends on what ran before it; it works between the calls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lua/lua_impl.h"

#define LARGE_BYTES      1024u        /* an allocation from here on costs steps */
#define BYTES_A_STEP     64u          /* copied in about the time of one instruction */
#define LONG_TEXT        (64u << 10)  /* from here on the hook looks at each instruction */
#define REFUSED_FACTOR   32u          /* a refusal makes Lua collect everything: bytes a step */
#define COLLECT_BYTES    (256u << 10) /* of garbage between the calls, at least */
#define COLLECT_STEP     16           /* KiB */
#define PLACE_LEVELS_MAX 16
#define FIRST_LOOK       1000u /* steps (10 us) before the clock, which is dear, is looked at */
#define CANCEL_LOOKS     16u   /* looks at the budget between two at acts->canceled */
#define KEPT_SLACK       (1u << 20) /* what may stay after a limit before the state is made anew */

const struct mr__lua_budget mr__lua_budget_loop = {
    .instructions = 40000, .ms = 1, .memory_bytes = 4u << 20, .output_bytes = 1u << 20};
const struct mr__lua_budget mr__lua_budget_worker = {
    .instructions = 2000000, .ms = 50, .memory_bytes = 32u << 20, .output_bytes = 4u << 20};
const struct mr__lua_budget mr__lua_budget_acting = {
    .instructions = 0, .ms = 0, .memory_bytes = 128u << 20, .output_bytes = MR__OUTPUT_BYTES_MAX};

static bool open_protected(struct mr__lua *lua);

/* ---- memory ---------------------------------------------------------------------------------- */

static void hook(lua_State *L, lua_Debug *debug);

static void look_closely(struct mr__lua *lua)
{
    if (!lua->fine_hook && lua->L != NULL) {
        lua->fine_hook = true;
        lua_sethook(lua->L, hook, LUA_MASKCOUNT, 1);
    }
}

/* What Lua calls for all its memory. `old_bytes` is the kind of object where `old` is NULL. */
static void *allocate(void *user, void *old, size_t old_bytes, size_t bytes)
{
    struct mr__lua *lua = user;
    size_t before = old == NULL ? 0 : old_bytes;
    if (bytes == 0) {
        mr__free(old);
        lua->bytes -= before;
        return NULL;
    }
    if (bytes > before) {
        bool text = old == NULL && old_bytes == LUA_TSTRING;
        bool too_long = text && lua->string_max > 0 && bytes > lua->string_max + 64;
        if (too_long || (lua->bytes_max > 0 &&
                         bytes - before > lua->bytes_max - MR__MIN(lua->bytes, lua->bytes_max))) {
            lua->refused = true;
            lua->steps += lua->bytes / REFUSED_FACTOR;
            return NULL;
        }
        if (bytes >= LARGE_BYTES) {
            lua->steps += bytes / BYTES_A_STEP;
            if (text && bytes >= LONG_TEXT) {
                look_closely(lua);
            }
        }
        if (lua->fail_after > 0 && --lua->fail_after == 0) {
            lua->fail_after = 1; /* and all that follow */
            lua->out_of_memory = true;
            return NULL;
        }
    }
    void *memory = mr__realloc(old, bytes);
    if (memory == NULL) {
        lua->out_of_memory = bytes > before;
        return bytes > before ? NULL : old; /* Lua takes it that shrinking never fails */
    }
    lua->bytes += bytes - before;
    lua->bytes_peak = MR__MAX(lua->bytes_peak, lua->bytes);
    return memory;
}

/* ---- budget ---------------------------------------------------------------------------------- */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void spent(struct mr__lua *lua, enum ended ended)
{
    lua->ended = (uint8_t)ended;
    look_closely(lua);
}

/* Whether the script has run too long. What counts is the time for which its thread really ran: on
 * a busy machine a script must not fail because others had their turn. That clock is the dearer
 * one, so that the other one says when to look at it. */
static bool is_late(struct mr__lua *lua)
{
    int64_t limit_ns = lua->budget->ms * 1000000, now = clock_ns(CLOCK_MONOTONIC);
    if (lua->cpu_begin_ns == 0) {
        lua->cpu_begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        lua->look_ns = now + limit_ns;
    }
    if (now < lua->look_ns) {
        return false;
    }
    int64_t left_ns = limit_ns - (clock_ns(CLOCK_THREAD_CPUTIME_ID) - lua->cpu_begin_ns);
    lua->look_ns = now + left_ns;
    return left_ns <= 0;
}

/* Sets `ended` where a budget is spent. */
static bool within_budget(struct mr__lua *lua)
{
    const struct mr__lua_budget *budget = lua->budget;
    const struct mr__lua_acts *acts = lua->acts;
    if (lua->ended != ENDED_NOT || budget == NULL) {
        return lua->ended == ENDED_NOT;
    }
    if (budget->instructions > 0 && lua->steps > budget->instructions) {
        spent(lua, ENDED_STEPS);
    } else if (lua->steps >= lua->look_steps || lua->fine_hook) {
        lua->look_steps = lua->steps + MR__LUA_HOOK_STEP;
        if (budget->ms > 0 && is_late(lua)) {
            spent(lua, ENDED_TIME);
        } else if (acts != NULL && acts->canceled != NULL && lua->looks++ % CANCEL_LOOKS == 0 &&
                   acts->canceled(acts->user)) {
            spent(lua, ENDED_CANCELED);
        }
    }
    return lua->ended == ENDED_NOT;
}

/* Pushes the place of the nearest function that is Lua: "" where there is none. */
static void push_place(lua_State *L)
{
    for (int level = 0; level < PLACE_LEVELS_MAX; level++) {
        luaL_where(L, level);
        if (lua_rawlen(L, -1) > 0) {
            return;
        }
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "");
}

int mr__lua_raise_ended(lua_State *L)
{
    struct mr__lua *lua = lua_of(L);
    const struct mr__lua_budget *budget = lua->budget;
    push_place(L);
    switch (lua->ended) {
    case ENDED_STEPS:
        lua_pushfstring(L, "the script took more than %I steps", (lua_Integer)budget->instructions);
        break;
    case ENDED_TIME:
        lua_pushfstring(L, "the script took more than %I ms", (lua_Integer)budget->ms);
        break;
    case ENDED_CANCELED: lua_pushliteral(L, "canceled"); break;
    case ENDED_FAILED: lua_pushliteral(L, "failed"); break;
    default: lua_pushliteral(L, "not enough memory"); break;
    }
    lua_concat(L, 2);
    return lua_error(L);
}

static void hook(lua_State *L, lua_Debug *debug)
{
    struct mr__lua *lua = lua_of(L);
    (void)debug;
    lua->steps += lua->fine_hook ? 1 : MR__LUA_HOOK_STEP;
    if (!within_budget(lua)) {
        (void)mr__lua_raise_ended(L);
    }
}

bool mr__lua_tick_quiet(struct mr__lua *lua, uint64_t n)
{
    lua->steps += n;
    return within_budget(lua);
}

void mr__lua_tick(lua_State *L, uint64_t n)
{
    if (!mr__lua_tick_quiet(lua_of(L), n)) {
        (void)mr__lua_raise_ended(L);
    }
}

int mr__lua_end(lua_State *L, enum ended ended)
{
    struct mr__lua *lua = lua_of(L);
    size_t len;
    const char *reason = lua_tolstring(L, -1, &len);
    mr__buf_reset(&lua->reason);
    mr__buf_bytes(&lua->reason, reason, len);
    spent(lua, ended);
    return mr__lua_raise_ended(L);
}

/* What a memory error means: Lua has collected everything by then, in vain. */
static void note_memory(struct mr__lua *lua)
{
    if (lua->ended == ENDED_NOT) {
        spent(lua, lua->out_of_memory || !lua->refused ? ENDED_NOMEM : ENDED_MEMORY);
    }
}

void mr__lua_caught(lua_State *L, int lua_status)
{
    if (lua_status == LUA_ERRMEM) {
        note_memory(lua_of(L));
    }
    if (lua_of(L)->ended != ENDED_NOT) {
        (void)mr__lua_raise_ended(L);
    }
    mr__lua_place(L);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* A chunk's name is "\1LINES\2": a message begins with that and ":LINE:", the chunk's own line;
 * with
 * "\3" in place of "\2" the chunk's lines are not the file's, and all of it stands in one. If such
 * a mark stands at `at`, adds FILE and the file's line, and returns what follows. */
static const char *place_mark(struct mr__buf *buf, const char *file, const char *at)
{
    char *end;
    if (at[1] < '0' || at[1] > '9') {
        return NULL;
    }
    unsigned long lines = strtoul(at + 1, &end, 10);
    if (*end != '\2' && *end != '\3') {
        return NULL;
    }
    bool folded = *end == '\3';
    mr__buf_text(buf, file);
    at = end + 1;
    if (at[0] == ':' && at[1] >= '0' && at[1] <= '9') {
        unsigned long line = strtoul(at + 1, &end, 10);
        mr__buf_printf(buf, ":%lu", lines + (folded ? 1 : line));
        at = end;
    }
    return at;
}

static void place_text(struct mr__buf *buf, const char *file, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        const char *mark = memchr(text, '\1', (size_t)(end - text));
        mr__buf_bytes(buf, text, (size_t)((mark == NULL ? end : mark) - text));
        if (mark == NULL) {
            return;
        }
        text = place_mark(buf, file, mark);
        if (text == NULL) {
            mr__buf_u8(buf, '\1');
            text = mark + 1;
        }
    }
}

void mr__lua_place(lua_State *L)
{
    struct mr__lua *lua = lua_of(L);
    size_t len;
    if (lua_type(L, -1) != LUA_TSTRING) {
        return;
    }
    const char *text = lua_tolstring(L, -1, &len);
    if (memchr(text, '\1', len) == NULL) {
        return;
    }
    mr__buf_reset(&lua->out);
    place_text(&lua->out, lua->file, text, len);
    if (lua->out.failed) {
        lua->out_of_memory = true;
        note_memory(lua);
        (void)mr__lua_raise_ended(L);
    }
    lua_pushlstring(L, (const char *)lua->out.data, lua->out.len);
    lua_replace(L, -2);
}

/* Whether a message begins with the mark of a chunk, or with what has been made of one. */
static bool has_place(const struct mr__lua *lua, const char *text, size_t len)
{
    size_t file_len = strlen(lua->file);
    return (len > 0 && text[0] == '\1') ||
           (len > file_len + 1 && memcmp(text, lua->file, file_len) == 0 && text[file_len] == ':' &&
            text[file_len + 1] >= '0' && text[file_len + 1] <= '9');
}

/* One line of UTF-8, as every message is. `with_place`: it begins with FILE:LINE, that of the
 * script as a whole where it has none of its own. */
static void give_message(struct mr__lua *lua, mr_status status, const char *text, size_t len,
                         bool with_place, mr_error *reterr)
{
    if (reterr == NULL) {
        return;
    }
    mr__buf_reset(&lua->out);
    if (with_place && !has_place(lua, text, len)) {
        mr__buf_printf(&lua->out, "%s:%u: ", lua->file, lua->line);
    }
    place_text(&lua->out, lua->file, text, MR__MIN(len, 4u * MR_ERROR_MESSAGE_BYTES));
    size_t room = MR__MIN(lua->out.len, sizeof reterr->message - 1);
    reterr->status = status;
    if (lua->out.failed) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
        return;
    }
    while (room > 0 && room < lua->out.len && (lua->out.data[room] & 0xc0) == 0x80) {
        room--;
    }
    for (size_t i = 0; i < room; i++) {
        reterr->message[i] = lua->out.data[i] < ' ' ? ' ' : (char)lua->out.data[i];
    }
    reterr->message[room] = '\0';
    for (size_t i = 0; i < room && !mr__utf8_valid(reterr->message, room); i++) {
        if ((unsigned char)reterr->message[i] >= 0x80) {
            reterr->message[i] = '?';
        }
    }
}

/* ---- the way in ------------------------------------------------------------------------------ */

static mr_status status_of(const struct mr__lua *lua, int lua_status)
{
    switch (lua->ended) {
    case ENDED_NOT: return lua_status == LUA_OK ? MR_OK : MR_EFAILED;
    case ENDED_NOMEM: return MR_ENOMEM;
    case ENDED_CANCELED: return MR_ECANCELED;
    case ENDED_FAILED: return MR_EFAILED;
    default: return MR_ELIMIT;
    }
}

static void give_error(struct mr__lua *lua, mr_status status, mr_error *reterr)
{
    char text[128];
    size_t len;
    const char *message;
    if (lua->ended == ENDED_FAILED) {
        message = mr__buf_cstr(&lua->reason);
        give_message(lua, status, message == NULL ? "failed" : message, lua->reason.len, false,
                     reterr);
        return;
    }
    if (lua->ended == ENDED_MEMORY) {
        int n = lua->budget == NULL ? 0 : (int)(lua->budget->memory_bytes >> 10);
        (void)snprintf(text, sizeof text,
                       "the script took more than %d KiB of memory, or %d KiB for one text", n,
                       n / (int)MR__LUA_STRING_PART);
        give_message(lua, status, text, strlen(text), true, reterr);
        return;
    }
    if (lua_type(lua->L, -1) == LUA_TSTRING) {
        message = lua_tolstring(lua->L, -1, &len);
    } else {
        (void)snprintf(text, sizeof text, "error() was called with a %s",
                       lua_typename(lua->L, lua_type(lua->L, -1)));
        message = text;
        len = strlen(text);
    }
    give_message(lua, status, message, len, true, reterr);
}

static void begin(struct mr__lua *lua, const struct mr__lua_call *call)
{
    lua->scope = call->scope;
    lua->acts = call->acts;
    lua->budget = call->budget;
    lua->file = call->file == NULL ? "?" : call->file;
    lua->line = MR__MAX(call->line, 1u);
    lua->steps = 0;
    lua->looks = 0;
    lua->ended = ENDED_NOT;
    lua->refused = lua->out_of_memory = false;
    lua->look_steps = FIRST_LOOK;
    lua->cpu_begin_ns = 0;
    lua->bytes_max = call->budget->memory_bytes > 0 ? lua->bytes + call->budget->memory_bytes : 0;
    lua->string_max = call->budget->memory_bytes / MR__LUA_STRING_PART;
    if (call->acts != NULL) {
        (void)lua_gc(lua->L, LUA_GCRESTART);
    }
}

/* It sets slots of the registry that are there: no memory is asked for, and nothing can raise. */
static void drop_caches(struct mr__lua *lua)
{
    for (int cache = 0; cache < CACHES; cache++) {
        if ((lua->caches & 1u << cache) != 0) {
            lua_pushboolean(lua->L, 0);
            lua_rawseti(lua->L, LUA_REGISTRYINDEX, lua->kept[KEPT_CACHES + cache]);
        }
    }
    lua->caches = 0;
}

/* Closes and makes anew a state that a limit left too large. */
static void make_anew(struct mr__lua *lua)
{
    lua_close(lua->L);
    lua->L = NULL;
    mr__lua_chunks_reset(lua);
    (void)open_protected(lua); /* what fails here is tried again by the next call */
}

static void collect(struct mr__lua *lua)
{
    if (lua->bytes < lua->collect_at) {
        return;
    }
    if (lua_gc(lua->L, LUA_GCSTEP, COLLECT_STEP) != 0) {
        lua->collect_at = lua->bytes + MR__MAX(lua->bytes, COLLECT_BYTES);
    }
}

static void end(struct mr__lua *lua, size_t bytes_before)
{
    lua_settop(lua->L, 0);
    lua->bytes_max = lua->string_max = 0;
    lua->scope = NULL;
    lua->acts = NULL;
    lua->budget = NULL;
    if (lua->fine_hook) {
        lua->fine_hook = false;
        lua_sethook(lua->L, hook, LUA_MASKCOUNT, MR__LUA_HOOK_STEP);
    }
    (void)lua_gc(lua->L, LUA_GCSTOP);
    drop_caches(lua);
    if (lua->bytes > bytes_before + KEPT_SLACK) {
        (void)lua_gc(lua->L, LUA_GCCOLLECT);
        if (lua->bytes > bytes_before + KEPT_SLACK) {
            make_anew(lua);
        }
        lua->collect_at = lua->bytes + MR__MAX(lua->bytes, COLLECT_BYTES);
    } else {
        collect(lua);
    }
}

mr_status mr__lua_protect(struct mr__lua *lua, const struct mr__lua_call *call, lua_CFunction body,
                          void *arg, mr_error *reterr)
{
    if (lua->L == NULL && !open_protected(lua)) {
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    locale_t locale = uselocale(lua->c_locale);
    size_t bytes_before = lua->bytes;
    begin(lua, call);
    lua_pushcfunction(lua->L, body);
    lua_pushlightuserdata(lua->L, arg);
    int lua_status = lua_pcall(lua->L, 1, 0, 0);
    if (lua_status == LUA_ERRMEM) {
        note_memory(lua);
    } else if (lua_status != LUA_OK && lua->ended == ENDED_NOT && lua->refused &&
               lua_type(lua->L, -1) == LUA_TSTRING &&
               strcmp(lua_tostring(lua->L, -1), "not enough memory") == 0) {
        note_memory(lua); /* the auxiliary library's buffers say it so */
    }
    mr_status status = status_of(lua, lua_status);
    if (status == MR_ENOMEM) {
        (void)mr__error_set(reterr, MR_ENOMEM, "out of memory");
    } else if (status != MR_OK) {
        give_error(lua, status, reterr);
    }
    end(lua, bytes_before);
    (void)uselocale(locale);
    return status;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_state(lua_State *L)
{
    struct mr__lua *lua = lua_touserdata(L, 1);
    *(struct mr__lua **)lua_getextraspace(L) = lua;
    (void)lua_gc(L, LUA_GCSTOP);
    mr__lua_proxy_open(L);
    lua_sethook(L, hook, LUA_MASKCOUNT, MR__LUA_HOOK_STEP);
    return 0;
}

static bool open_protected(struct mr__lua *lua)
{
    lua->L = lua_newstate(allocate, lua);
    if (lua->L == NULL) {
        return false;
    }
    lua_pushcfunction(lua->L, open_state);
    lua_pushlightuserdata(lua->L, lua);
    if (lua_pcall(lua->L, 1, 0, 0) == LUA_OK) {
        lua->collect_at = lua->bytes + MR__MAX(lua->bytes, COLLECT_BYTES);
        return true;
    }
    lua_close(lua->L);
    lua->L = NULL;
    return false;
}

mr_status mr__lua_create(struct mr__lua **ret_lua)
{
    struct mr__lua *lua = mr__calloc(1, sizeof *lua);
    if (lua == NULL) {
        return MR_ENOMEM;
    }
    mr__hash_init(&lua->chunk_rows);
    mr__lua_chunks_reset(lua);
    mr__buf_init(&lua->out);
    mr__buf_init(&lua->reason);
    lua->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (lua->c_locale == (locale_t)0 || !open_protected(lua)) {
        mr__lua_destroy(lua);
        return MR_ENOMEM;
    }
    *ret_lua = lua;
    return MR_OK;
}

void mr__lua_destroy(struct mr__lua *lua)
{
    if (lua == NULL) {
        return;
    }
    if (lua->L != NULL) {
        lua_close(lua->L);
    }
    if (lua->c_locale != (locale_t)0) {
        freelocale(lua->c_locale);
    }
    mr__hash_finish(&lua->chunk_rows);
    mr__buf_finish(&lua->out);
    mr__buf_finish(&lua->reason);
    mr__free(lua);
}
