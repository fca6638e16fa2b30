/* SPDX-License-Identifier: MIT
 *
 * What evaluating an expression costs, entry and exit included, beside what an empty function costs
 * in plain Lua in the same process: build/tests/bench_lua [EVALUATIONS [EXPRESSION]].
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>

#include "lua_fixture.h"

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int empty(lua_State *L)
{
    (void)L;
    return 0;
}

static double measure_plain(long count)
{
    lua_State *L = luaL_newstate();
    double begin = now_ns();
    for (long i = 0; i < count; i++) {
        lua_pushcfunction(L, empty);
        (void)lua_pcall(L, 0, 0, 0);
    }
    double ns = (now_ns() - begin) / (double)count;
    lua_close(L);
    return ns;
}

static double measure(struct lua_fixture *f, const char *script, long count)
{
    struct mr__arena arena;
    mr_value value;
    mr__arena_init(&arena);
    fixture_script(f, MR__SCRIPT_EXPRESSION, script, strlen(script));
    double begin = now_ns();
    for (long i = 0; i < count; i++) {
        if (mr__lua_eval(f->lua, &f->scope, 0, &mr__lua_budget_loop, &arena, &value, NULL) !=
            MR_OK) {
            abort();
        }
        mr__arena_reset(&arena);
    }
    double ns = (now_ns() - begin) / (double)count;
    mr__arena_finish(&arena);
    return ns;
}

int main(int argc, char **argv)
{
    const char *scripts[] = {
        "true",
        "vars.stage == 'prod' and share.n ~= 3",
        "tasks.fetch.status == 'success' and tasks.fetch.output.pages[1] == 1",
        "run.id .. '-' .. vars.stage",
        "filter(share.hosts, function(h) return h.name ~= vars.stage end)",
    };
    size_t script_count = argc > 2 ? 1 : MR__COUNT(scripts);
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    static struct lua_fixture f;
    if (argc > 2) {
        scripts[0] = argv[2];
    }
    double plain = measure_plain(count);
    (void)printf("%8.0f ns  1.0  lua_pcall of an empty function\n", plain);
    for (size_t i = 0; i < script_count; i++) {
        fixture_init(&f);
        double ns = measure(&f, scripts[i], count);
        (void)printf("%8.0f ns %4.1f  %s\n", ns, ns / plain, scripts[i]);
        fixture_finish(&f);
    }
    return 0;
}
