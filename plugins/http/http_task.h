/* SPDX-License-Identifier: MIT
 *
 * A request as the work of a task: what an action on top of the client needs. Loop thread.
 */
#ifndef MR__HTTP_TASK_H
#define MR__HTTP_TASK_H

#include <millrace/plugin.h>

/* Sends the request that `params` say, a map with http's params; what is missing in it is as if it
 * were null there, so the timeouts, `redirects` and `maxBytes` must be given. The answer becomes
 * the task's output. MR_PENDING, or an error with its reason. Takes mr_data. */
mr_status mr__http_task_start(mr_task *t, const mr_value *params);

/* The action's `cancel`. */
void mr__http_task_cancel(mr_task *t);

#endif
