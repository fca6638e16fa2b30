/* SPDX-License-Identifier: MIT
 *
 * Names of tasks as callers give them: are they tasks of this dag? Pure; any thread.
 */
#ifndef MR__NAMES_H
#define MR__NAMES_H

#include "core/model/dag.h"

/* MR_ENOTFOUND: the message names all that are not tasks of the dag (as many as find room), with
 * the nearest id where there is one. With `children` "id[key]" is taken if the dag has the task
 * `id`: whether it has such a child only its run knows. */
mr_status mr__names_check(const struct mr__dag *dag, const char *const *names, size_t count,
                          bool children, mr_error *reterr);

#endif
