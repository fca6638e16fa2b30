/* SPDX-License-Identifier: MIT
 *
 * A param that is the path of a file. It is compiled into each plugin that uses it. The thread that
 * runs the action.
 */
#ifndef MR__PLUGIN_PATH_H
#define MR__PLUGIN_PATH_H

#include <millrace/plugin.h>

/* The param `name` as an absolute path: a relative one begins in the run's folder. Borrowed until
 * the attempt ends. MR_EINVAL with a reason: it is empty; MR_ENOMEM. */
mr_status mr__path_param(mr_task *t, const char *name, const char **ret_path);

#endif
