/* SPDX-License-Identifier: MIT
 *
 * One child process in a process group of its own: starting it, its output, its end. Loop thread.
 *
 * No SIGCHLD handler and no uv_spawn (which installs one): a library must leave its host's signals
 * alone. The child is cloned as vfork does, and a pidfd in the loop tells of its end.
 */
#ifndef MR__PROCESS_H
#define MR__PROCESS_H

#include <uv.h>

#include "core/exec/child_table.h"

struct mr__process;

/* Where children live between clone and exec: one for all children of a loop. */
struct mr__process_stack {
    char *memory;
};

struct mr__process_start {
    uv_loop_t *loop;
    struct mr__process_stack *stack;
    struct mr__child_table *table; /* NULL: the child is not entered */
    uint32_t row;
    const char *const *argv; /* argv[0]: a path, or looked up in the owner's PATH */
    const char *const
        *env[2];        /* over the owner's environment, the second over the first; or NULL */
    const char *folder; /* NULL: the owner's */
    uint32_t grace_ms;  /* between TERM and KILL */
    int descriptor;     /* the child gets it as its number 3; 0: none */
    void *user;
    void (*on_output)(void *user, uint32_t stream, const char *bytes, size_t len);
    /* Once; whatever was left of the group has been killed. (-1, 0): somebody else took its status.
     */
    void (*on_exit)(void *user, int32_t exit_code, int32_t signal_number);
    /* Counts the children of whom the loop still knows handles; on_closed follows each decrement.
     */
    uint32_t *open_count;
    void (*on_closed)(void *closed_user);
    void *closed_user;
};

mr_status mr__process_stack_init(struct mr__process_stack *stack);
void mr__process_stack_finish(struct mr__process_stack *stack);

/* The descriptor, or where it is 0 to 2 (of a host that closed its own) another one of it: those
 * would be in the way of a child's own. */
int mr__process_above_stdio(int fd);

/* Everything is copied. On failure no callback comes; MR_ENOTFOUND and MR_EPERM: it cannot be run.
 */
mr_status mr__process_start(const struct mr__process_start *start, struct mr__process **ret_process,
                            mr_error *reterr);

/* TERM to the group, after at most `grace_ms` KILL (0: at once). May be called again to be quicker.
 */
void mr__process_end(struct mr__process *process, int64_t grace_ms);
/* No callback but on_closed comes any more, and nobody waits for the child. */
void mr__process_forget(struct mr__process *process);
uint32_t mr__process_grace_ms(const struct mr__process *process);
bool mr__process_was_killed(const struct mr__process *process); /* KILL was sent */
/* Tells of all that the child has written until now. */
void mr__process_drain(struct mr__process *process);
/* The row of the child table is the caller's from now on. */
void mr__process_leave_row(struct mr__process *process);

#endif
