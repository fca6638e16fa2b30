/* SPDX-License-Identifier: MIT
 *
 * The verbs: one table, from which the parser, the help and the suggestions are made; and the
 * function of each, in the file of its family.
 */
#ifndef MR__COMMANDS_H
#define MR__COMMANDS_H

#include "sdk/cli/session.h"

extern const struct mr__command mr__commands[];

/* The help of one verb, or with NULL of the program. */
void mr__commands_help(struct mr__cli *cli, const struct mr__command *command);
/* One line for each verb whose first of two words is `first`. False: there is none. */
bool mr__commands_help_family(struct mr__cli *cli, const char *first);

/* Each does what its verb says and returns the exit code. */
int mr__cmd_actions(struct mr__cli *cli);
int mr__cmd_bench(struct mr__cli *cli);
int mr__cmd_cancel(struct mr__cli *cli);
int mr__cmd_completion(struct mr__cli *cli);
int mr__cmd_continue(struct mr__cli *cli);
int mr__cmd_dags(struct mr__cli *cli);
int mr__cmd_doctor(struct mr__cli *cli);
int mr__cmd_events(struct mr__cli *cli);
int mr__cmd_exec(struct mr__cli *cli);
int mr__cmd_graph(struct mr__cli *cli);
int mr__cmd_help(struct mr__cli *cli);
int mr__cmd_init(struct mr__cli *cli);
int mr__cmd_logs(struct mr__cli *cli);
int mr__cmd_man(struct mr__cli *cli);
int mr__cmd_pause(struct mr__cli *cli);
int mr__cmd_plan(struct mr__cli *cli);
int mr__cmd_plugin_check(struct mr__cli *cli);
int mr__cmd_plugin_new(struct mr__cli *cli);
int mr__cmd_prune(struct mr__cli *cli);
int mr__cmd_ps(struct mr__cli *cli);
int mr__cmd_push(struct mr__cli *cli);
int mr__cmd_rerun(struct mr__cli *cli);
int mr__cmd_retry(struct mr__cli *cli);
int mr__cmd_run(struct mr__cli *cli);
int mr__cmd_runs(struct mr__cli *cli);
int mr__cmd_schedule_next(struct mr__cli *cli);
int mr__cmd_schema(struct mr__cli *cli);
int mr__cmd_serve(struct mr__cli *cli);
int mr__cmd_show(struct mr__cli *cli);
int mr__cmd_start(struct mr__cli *cli);
int mr__cmd_stop(struct mr__cli *cli);
int mr__cmd_store_backup(struct mr__cli *cli);
int mr__cmd_store_check(struct mr__cli *cli);
int mr__cmd_store_stats(struct mr__cli *cli);
int mr__cmd_unpause(struct mr__cli *cli);
int mr__cmd_validate(struct mr__cli *cli);
int mr__cmd_version(struct mr__cli *cli);
int mr__cmd_wait(struct mr__cli *cli);
int mr__cmd_watch(struct mr__cli *cli);
int mr__cmd_why(struct mr__cli *cli);

#endif
