/* SPDX-License-Identifier: MIT
 *
 * What the files of lua/ share: the state's own struct, and who offers what. Everything that is
 * called with a lua_State may raise a Lua error, and is called below mr__lua_protect alone.
 *
 * Whatever a script can hold that is no plain Lua value is a full userdata that begins with struct
 * proxy: a script can neither change one nor look into it, but by its metamethods.
 */
#ifndef MR__LUA_IMPL_H
#define MR__LUA_IMPL_H

#include <lauxlib.h>
#include <locale.h>
#include <lua.h>

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "lua/lua_host.h"

enum proxy_kind {
    PROXY_NULL = 0, /* JSON null inside tables */
    PROXY_LIBRARY,  /* string, table, ...: user value 1 is the table */
    PROXY_PURE,     /* what expressions have as _ENV */
    PROXY_VARS,
    PROXY_SHARE,
    PROXY_TASKS,
    PROXY_TASK,   /* tasks.ID: `number` */
    PROXY_RECORD, /* run, error, task: user value 1 is the table, 2 its name or nil (any field) */
    PROXY_VALUE,  /* the attempt's private values */
    PROXY_KINDS
};
struct proxy {
    uint8_t kind; /* enum proxy_kind */
    uint32_t number;
};

/* What was parsed is kept for the rest of the call in tables, each with keys of its own. */
enum cache {
    CACHE_VARS = 0, /* by name */
    CACHE_SHARE,    /* by key */
    CACHE_REST,     /* outputs by the task's number; run, error and the item by these names */
    CACHES
};

/* What a state keeps in its registry, by number. */
enum kept {
    KEPT_GLOBALS = 0, /* names of the pure tier */
    KEPT_ACTING,      /* names that the acting tier has beside them */
    KEPT_CHUNK_META,  /* of the environment of a chunk */
    KEPT_EMPTY_META,  /* marks a map that came in empty */
    KEPT_PURE,        /* the proxies of which there is one */
    KEPT_NULL,
    KEPT_VARS,
    KEPT_SHARE,
    KEPT_TASKS,
    KEPT_VALUE,
    KEPT_CACHES, /* KEPT_CACHES + enum cache: what this call has parsed, or false */
    KEPT_META = KEPT_CACHES + CACHES, /* the metatables of proxies: KEPT_META + enum proxy_kind */
    KEPT_COUNT = KEPT_META + PROXY_KINDS
};

/* Why a script was ended so that no pcall can catch it. */
enum ended {
    ENDED_NOT = 0,
    ENDED_STEPS,
    ENDED_TIME,
    ENDED_MEMORY,
    ENDED_NOMEM,
    ENDED_CANCELED,
    ENDED_FAILED
};

#define CHUNK_KEY_BYTES (MR__VERSION_BYTES + 5)
struct chunk {
    uint8_t key[CHUNK_KEY_BYTES]; /* version or digest, number, kind */
    int ref;                      /* in the registry; LUA_NOREF: the row is free */
    uint32_t older, newer;        /* by use; MR__LUA_CHUNKS_MAX: none */
};

struct mr__lua {
    lua_State *L; /* NULL: it was given up and could not be made anew */
    int kept[KEPT_COUNT];
    locale_t c_locale; /* of all that runs: a decimal point is a point */

    /* The allocator. */
    size_t bytes;        /* in use */
    size_t bytes_peak;   /* the most that it was; for tests, which set it back */
    size_t bytes_max;    /* 0: no limit */
    size_t string_max;   /* of one text; 0: no limit */
    size_t collect_at;   /* bytes at which a collection begins between two calls */
    bool refused;        /* since the call began: a limit above */
    bool out_of_memory;  /* since the call began: the system's */
    uint64_t fail_after; /* for tests: this many allocations more succeed; 0: all */

    /* The call that runs. */
    const struct mr__scope *scope;
    const struct mr__lua_acts *acts; /* NULL: the pure tier */
    const struct mr__lua_budget *budget;
    const char *file; /* in messages, instead of the mark that chunks are named by */
    uint32_t line;    /* of the script: for messages that have no line of their own */
    uint64_t steps;
    uint64_t look_steps;  /* at which the clock is looked at next */
    int64_t cpu_begin_ns; /* of the thread, at the first look; 0: there was none */
    int64_t look_ns;      /* before then the script cannot be late */
    uint8_t ended;        /* enum ended */
    bool fine_hook;       /* the hook looks at each instruction */
    uint8_t caches;       /* which there are: 1 << enum cache */
    uint32_t looks;
    struct mr__buf out;    /* JSON on its way out */
    struct mr__buf reason; /* of fail() and of what ended the script */

    struct mr__hash chunk_rows; /* key -> number of the row */
    struct chunk chunks[MR__LUA_CHUNKS_MAX];
    uint32_t chunk_count, oldest, newest;
};

static inline struct mr__lua *lua_of(lua_State *L)
{
    return *(struct mr__lua **)lua_getextraspace(L);
}

/* ---- state.c: memory, budget, protection */

/* Counts `n` steps (about 10 ns each) of work in C; raises once the budget is spent. */
void mr__lua_tick(lua_State *L, uint64_t n);
/* The same without raising: false once it is spent. For loops that hold memory of their own. */
bool mr__lua_tick_quiet(struct mr__lua *lua, uint64_t n);
/* Raises what ended the script. */
int mr__lua_raise_ended(lua_State *L);
/* Ends the script for good: `reason` is on the stack's top. */
int mr__lua_end(lua_State *L, enum ended ended);
/* To be called by what caught an error, which is on top: raises anew what must not be caught, and
 * puts the file and its own line into the message. */
void mr__lua_caught(lua_State *L, int lua_status);
/* Replaces each mark of a chunk in the text on top. */
void mr__lua_place(lua_State *L);

struct mr__lua_call {
    const struct mr__scope *scope;
    const struct mr__lua_acts *acts;
    const struct mr__lua_budget *budget;
    const char *file;
    uint32_t line; /* at which the script begins; 0: the file's first */
};
/* Begins a call and runs `body` with `arg` in it, protected. MR_OK; MR_EFAILED for an error of the
 * script; MR_ELIMIT, MR_ECANCELED, MR_ENOMEM. Whatever came of it, the state is of use afterwards.
 */
mr_status mr__lua_protect(struct mr__lua *lua, const struct mr__lua_call *call, lua_CFunction body,
                          void *arg, mr_error *reterr);
static inline void lua_push_kept(lua_State *L, int kept)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua_of(L)->kept[kept]);
}

/* run.c: adds what mr__lua_to_json left to the caller's buffer. */
mr_status mr__lua_give_output(struct mr__lua *lua, struct mr__buf *output, mr_error *reterr);

/* ---- chunks.c: compiled once */

struct chunk_source {
    const uint8_t *version; /* MR__VERSION_BYTES, or a file's digest */
    uint32_t number;
    uint8_t kind; /* enum mr__script_kind; CHUNK_FILE */
    const char *text;
    size_t len;
    uint32_t line; /* of its first character */
    bool folded;   /* its lines are not the file's */
};
enum { CHUNK_FILE = 2 };
/* Compiles without keeping; leaves the function, or raises. */
void mr__lua_compile(lua_State *L, const struct chunk_source *source);
/* Compiles expressions as one chunk, which nobody calls; raises where that fails. */
void mr__lua_compile_joined(lua_State *L, const struct mr__script *const *scripts, size_t count);
/* Pushes the function of a chunk, compiled now or before. */
void mr__lua_push_chunk(lua_State *L, const struct chunk_source *source);
void mr__lua_chunks_reset(struct mr__lua *lua); /* forgets all, as if none had ever been */

/* ---- json.c: Lua and JSON */

void mr__lua_push_value(lua_State *L, const mr_value *value);
/* Pushes what the text says; `what` is named in errors. A null at the top is nil. */
void mr__lua_push_json(lua_State *L, const char *json, size_t len, const char *what);
/* The value at `index` as JSON, into lua->out, which it empties first; `what` begins the path in
 * errors. Valid until the next such call. */
struct mr__blob mr__lua_to_json(lua_State *L, int index, const char *what);

/* ---- keys.c: order */

/* Pushes a list of the keys of the table or proxy at `index`, in key order, and returns how many.
 */
lua_Integer mr__lua_push_keys(lua_State *L, int index, const char *what);
int mr__lua_pairs(lua_State *L);
int mr__lua_next(lua_State *L);

/* ---- scope.c, proxy.c: what scripts see */

void mr__lua_proxy_open(lua_State *L); /* makes the metatables and the proxies */
/* The proxy at `index`, or NULL. */
static inline struct proxy *to_proxy(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
}
static inline bool is_null(lua_State *L, int index)
{
    const struct proxy *proxy = to_proxy(L, index);
    return proxy != NULL && proxy->kind == PROXY_NULL;
}
struct proxy *mr__lua_push_proxy(lua_State *L, enum proxy_kind kind, int user_values);
/* Makes a record of the table on top; `name` is NULL where any field may be asked for. */
void mr__lua_push_record(lua_State *L, const char *name);
/* Raises "WHAT has no field "KEY", did you mean ...?"; the table at `index` has the names. */
int mr__lua_unknown(lua_State *L, const char *what, const char *key, int index);
int mr__lua_vars_index(lua_State *L);
int mr__lua_share_index(lua_State *L);
int mr__lua_share_set(lua_State *L);
int mr__lua_tasks_index(lua_State *L);
int mr__lua_task_index(lua_State *L);
int mr__lua_value_index(lua_State *L);
int mr__lua_value_set(lua_State *L);
int mr__lua_global_index(lua_State *L);      /* of both tiers */
void mr__lua_push_environment(lua_State *L); /* a fresh one, for a chunk */
/* Adds the keys of the proxy at `index` to the empty list on top, in any order. */
lua_Integer mr__lua_scope_keys(lua_State *L, int index, const struct proxy *proxy);

/* ---- the library: each leaves its functions in the table on top */

void mr__lua_open_base(lua_State *L);
/* No expression may have random numbers. */
void mr__lua_open_math(lua_State *L, bool random);
void mr__lua_open_data(lua_State *L); /* json, date, filter, ... */
void mr__lua_open_string(lua_State *L);
void mr__lua_open_patterns(lua_State *L); /* find, match, gmatch, gsub */
void mr__lua_open_table(lua_State *L);
void mr__lua_open_acting(lua_State *L); /* the table of the acting tier's own names */
/* Raises what a call of the host's said, but for MR_OK. */
void mr__lua_check_host(lua_State *L, mr_status status, const mr_error *error);
/* Whether the acting function `name` is there in this call. */
bool mr__lua_acting_has(const struct mr__lua_acts *acts, const char *name);
/* The text by which a value is shown: never an address. Pushes it. */
const char *mr__lua_push_text(lua_State *L, int index, size_t *ret_len);
/* Opens one of Lua's own libraries, for its functions to be taken: it is on top. */
void mr__lua_open_own(lua_State *L, lua_CFunction open, const char *name);
/* Takes functions from the library on top into the table below it. `charge`: each call pays for the
 * length of the texts that it is given. `names` ends with NULL. */
void mr__lua_take(lua_State *L, const char *const *names, bool charge);
/* Makes the table on top read-only: a proxy takes its place. */
void mr__lua_seal(lua_State *L);

#endif
