/* SPDX-License-Identifier: MIT
 *
 * The keys of a task, and the files that read them for dag_tasks.c: dag_action.c (what is run),
 * dag_conditions.c (whether), dag_retry.c (how often), dag_fan.c (for each of what) and
 * dag_isolation.c (where).
 */
#ifndef MR__PARSE_TASK_H
#define MR__PARSE_TASK_H

#include "core/model/parse.h"

enum mr__task_key {
    MR__TASK_ID,
    MR__TASK_NAME,
    MR__TASK_DESC,
    MR__TASK_DEPEND_ON,
    MR__TASK_ACTION,
    MR__TASK_ACTION_NAME,
    MR__TASK_PARAMS,
    MR__TASK_RUN,
    MR__TASK_ENV,
    MR__TASK_OUTPUT,
    MR__TASK_WAIT,
    MR__TASK_HTTP,
    MR__TASK_LUA,
    MR__TASK_TIMEOUT,
    MR__TASK_TIMEOUT_SECS,
    MR__TASK_HEARTBEAT,
    MR__TASK_ON_LOST,
    MR__TASK_RETRY,
    MR__TASK_WHEN,
    MR__TASK_RUN_IF,
    MR__TASK_SKIP_IF,
    MR__TASK_BLOCK_IF,
    MR__TASK_PRE_CHECK,
    MR__TASK_PRE_CHECKS,
    MR__TASK_FOR_EACH_KEY,
    MR__TASK_AS,
    MR__TASK_KEY,
    MR__TASK_MAX_PARALLEL,
    MR__TASK_ISOLATION,
    MR__TASK_LIMITS,
    MR__TASK_KEYS
};

/* `found` has a row for each key. */

void mr__parse_action(struct mr__parse *p, struct mr__dag_task *task,
                      const struct mr__found *found);
void mr__parse_conditions(struct mr__parse *p, struct mr__dag_task *task,
                          const struct mr__found *found);
void mr__parse_retry(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found);
/* Where it runs. */
void mr__parse_task_isolation(struct mr__parse *p, struct mr__dag_task *task,
                              const struct mr__found *found);
/* forEach and what belongs to it. Sets `p->item`, for the other readers of the same task. */
void mr__parse_fan(struct mr__parse *p, struct mr__dag_task *task, const struct mr__found *found);

#endif
