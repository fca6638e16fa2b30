/* SPDX-License-Identifier: MIT
 *
 * A run as conditions, templates and scripts see it (core/model/scope.h): a window into the
 * scheduler's state. Nothing is copied but the list that a fan-out gives. Loop thread; valid until
 * the run changes.
 */
#ifndef MR__RUN_SCOPE_H
#define MR__RUN_SCOPE_H

#include "core/model/scope.h"
#include "core/scheduler/state.h"

struct mr__run_scope {
    struct mr__scope scope; /* stays first */
    const struct mr__run *run;
    struct mr__event event;  /* of the task that was asked for last */
    struct mr__buf gathered; /* the outputs of a fan-out's children */
    char id[MR__RUN_ID_TEXT_BYTES];
    char reason[MR__REASON_BYTES_MAX + 1];
};

/* What is the same for all tasks of the run: `vars`, `folder` and `trigger` are borrowed. */
void mr__run_scope_init(struct mr__run_scope *rs, const struct mr__run *run, const mr_value *vars,
                        const char *folder, const char *trigger, int64_t scheduled_ms);
/* A fan-out's child has its item. */
void mr__run_scope_item(struct mr__run_scope *rs, uint32_t task);
/* The task's last failure is in scope as `error`. */
void mr__run_scope_error(struct mr__run_scope *rs, uint32_t task);
void mr__run_scope_finish(struct mr__run_scope *rs);

/* The outputs of a fan-out's children as a JSON list, in the order of its list. */
void mr__run_gather(const struct mr__run *run, const struct mr__fan *fan, struct mr__buf *json);
/* The output of a task that succeeded, as JSON; a fan-out's is not stored, but gathered. False: it
 * has none. Borrowed from the run's log. */
bool mr__run_output(const struct mr__run *run, uint32_t t, struct mr__blob *ret_json);

#endif
