/* SPDX-License-Identifier: MIT
 *
 * The schedules of the pushed dags, while somebody serves: at each nominal time a run, as
 * schedule_rules.h decides. Nothing polls: a timer of the kernel on the wall clock fires at the
 * earliest next time, also after the machine has slept, and at once when the clock is set.
 *
 * A run is submitted with the key "schedule:DAG:MS", and the mark that says so goes with the commit
 * that creates it, behind it: no nominal time has two runs and none is lost, whatever happens. Loop
 * thread; zones and texts are read on the store's reader thread.
 */
#ifndef MR__SCHEDULES_H
#define MR__SCHEDULES_H

#include "core/base/base.h"

struct mr__engine;
struct mr__run;
struct mr__schedules;

/* Reads the store, blocking, and begins: engine->schedules is set. */
mr_status mr__schedules_open(struct mr__engine *engine, mr_error *reterr);
/* engine->schedules is NULL afterwards. It frees itself once nobody knows it any more. */
void mr__schedules_close(struct mr__engine *engine);

/* From the shard: a run stands still; a command has changed one, which may have ended before. */
void mr__schedules_settled(struct mr__engine *engine, const struct mr__run *run);
void mr__schedules_see(struct mr__engine *engine, const struct mr__run *run);

#endif
