/* SPDX-License-Identifier: MIT
 *
 * Params that are programs in a language of their own. They have no templates: a value could become
 * a part of the program, and braces there are the language's. Pure; any thread.
 */
#ifndef MR__PROGRAMS_H
#define MR__PROGRAMS_H

struct mr__program {
    const char *action, *param;
    const char *through; /* the param through which values go; NULL: it is Lua, which has them */
    const char *needs;   /* what an empty one lacks */
};

/* The program of an action, or NULL. `action` may be NULL. */
const struct mr__program *mr__program_of(const char *action);

#endif
