/* SPDX-License-Identifier: MIT
 *
 * Params that are programs; see programs.h.
 */
#include "core/model/programs.h"

#include "core/base/base.h"

static const struct mr__program programs[] = {
    {"sh", "run", "env", "a command"},
    {"with-lock", "run", "env", "a command"},
    {"lua", "lua", NULL, "a script"},
    {"sqlite-read", "query", "bind", "a statement"},
    {"sqlite-write", "query", "bind", "a statement"},
};

const struct mr__program *mr__program_of(const char *action)
{
    for (size_t i = 0; action != NULL && i < MR__COUNT(programs); i++) {
        if (strcmp(action, programs[i].action) == 0) {
            return &programs[i];
        }
    }
    return NULL;
}
