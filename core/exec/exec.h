/* SPDX-License-Identifier: MIT
 *
 * Making the real executor: worker pool, child processes, plugins.
 */
#ifndef MR__EXEC_H
#define MR__EXEC_H

#include <uv.h>

#include "core/base/clock.h"
#include "core/exec/executor.h"
#include "core/exec/registry.h"

struct mr__exec_options {
    uv_loop_t *loop;   /* borrowed until destroy */
    bool foreign_loop; /* a program's own: what an action does between two turns must wake it */
    struct mr__registry *registry; /* of which it takes a reference */
    const char *store; /* absolute: the folder in which the child table lies; NULL: no table */
    uint32_t jobs;
    struct mr__clock *clock;
    int64_t hook_ms;      /* of one hook; 0: MR__HOOK_MS_MAX */
    int64_t host_idle_ms; /* how long a host process waits for work; 0: MR__HOST_IDLE_MS */
    struct mr__exec_events events;
    mr__registry_log log; /* what a plugin did wrong, on the loop; or NULL */
    void *log_user;
};

/* MR_ENOMEM, MR_EIO, MR_EFULL (the table could not be made), MR_EFORMAT (a table of another
 * format). */
mr_status mr__exec_create(const struct mr__exec_options *options,
                          struct mr__executor **ret_executor, mr_error *reterr);

/* How many children an earlier engine left that still live, for the message of those who leave
 * them. */
uint32_t mr__exec_survivors(struct mr__executor *x);

#endif
