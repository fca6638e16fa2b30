/* SPDX-License-Identifier: MIT
 *
 * What the task runs of one run are called, from its events alone: the dag's ids, and for the
 * children of fan-outs id[key]. For those who read a run without rebuilding it. Pure; any thread.
 */
#ifndef MR__RUN_NAMES_H
#define MR__RUN_NAMES_H

#include "core/scheduler/event.h"

#include "core/model/dag.h"

struct mr__run_names_fan {
    uint32_t task, first, count;
    const uint8_t **items; /* by child: where its key stands (a blob) */
};
struct mr__run_names {
    const struct mr__dag *dag; /* borrowed */
    struct mr__run_names_fan *fans;
    uint32_t fan_count;
    uint32_t count; /* of all tasks */
};

void mr__run_names_init(struct mr__run_names *names, const struct mr__dag *dag);
/* Takes an event into account; the bytes it was decoded from must stay. MR_ENOMEM, MR_EFORMAT. */
mr_status mr__run_names_add(struct mr__run_names *names, const struct mr__event *event);
/* All events of a log, which must stay. */
mr_status mr__run_names_read(struct mr__run_names *names, const struct mr__dag *dag,
                             struct mr__blob log);
void mr__run_names_finish(struct mr__run_names *names);

/* Adds the task's name. A number that no task has: nothing. */
void mr__run_names_print(const struct mr__run_names *names, uint32_t task, struct mr__buf *out);
/* The number of a task by its name, or -1. */
int64_t mr__run_names_find(const struct mr__run_names *names, const char *name, size_t len);
/* The task of the dag that a task run is of. */
uint32_t mr__run_names_row(const struct mr__run_names *names, uint32_t task);

#endif
