/* SPDX-License-Identifier: MIT
 *
 * The names that a piece of Lua reads, found without compiling it: the variables and tasks that it
 * names, and whatever else it does not declare itself. What is not Lua gives some names or none;
 * that it is not is the compiler's to say (lua/). Pure, any thread.
 */
#ifndef MR__LUA_NAMES_H
#define MR__LUA_NAMES_H

#include "core/base/arena.h"
#include "core/base/hash.h"

enum mr__lua_name_kind {
    MR__LUA_VAR,   /* vars.NAME or vars["NAME"] */
    MR__LUA_TASK,  /* tasks.ID or tasks["ID"] */
    MR__LUA_TASKS, /* `tasks` in any other use */
    MR__LUA_FREE   /* a name that nothing in the text declares */
};

struct mr__lua_name {
    uint8_t kind;
    const char *text; /* in the script: without the quotes of ["..."] */
    size_t len;
    bool may_set; /* of a free name: this may be an assignment to it */
};

struct mr__lua_token;

/* Reused from text to text. */
struct mr__lua_names {
    struct mr__lua_name *list; /* in the order of the text; borrowed until the next read */
    size_t count, cap;
    struct mr__lua_token *tokens;
    size_t token_count, token_cap;
    struct mr__hash declared;
};

void mr__lua_names_init(struct mr__lua_names *names);
void mr__lua_names_finish(struct mr__lua_names *names);
/* MR_OK, MR_ENOMEM. */
mr_status mr__lua_names_read(struct mr__lua_names *names, const char *text, size_t len);

/* What every script can name. */
struct mr__lua_global {
    const char *name;
    bool is_data; /* a value of the run, as a template may name it alone; else a function or a
                   * library */
    bool acts;    /* in `lua:` tasks and hooks only */
};
extern const struct mr__lua_global mr__lua_globals[];
extern const size_t mr__lua_global_count;
/* NULL: there is none. */
const struct mr__lua_global *mr__lua_global_find(const char *name, size_t len);

bool mr__lua_is_keyword(const char *text, size_t len);
/* True for what Lua takes as a name. */
bool mr__lua_is_name(const char *text, size_t len);

#endif
