/* SPDX-License-Identifier: MIT
 *
 * What decide.c (going on, ends) and commands.c share. Nobody else includes this.
 */
#ifndef MR__DECIDE_IMPL_H
#define MR__DECIDE_IMPL_H

#include "core/scheduler/decide.h"

/* Writes the event to the run's log and to the journal and applies it: the one way in which
 * anything happens. An event that is not legal here is a bug of the caller. */
void mr__decide_emit(struct mr__scheduler *s, struct mr__run *run, struct mr__event *event);
void mr__decide_emit_task(struct mr__scheduler *s, struct mr__run *run, uint8_t type,
                          uint32_t task);
/* A TASK_SET. A fan-out whose last child it is ends with it. */
void mr__decide_set(struct mr__scheduler *s, struct mr__run *run, uint32_t task, uint8_t status,
                    struct mr__blob reason);
/* Asks for hooks, if there are any among `mask`. `status` is what the run is to become afterwards:
 * running: it goes on. False: there are none. */
bool mr__decide_hooks(struct mr__scheduler *s, struct mr__run *run, uint32_t mask, uint8_t status,
                      struct mr__blob reason);
/* commands.c: lets a run that stands still go on, and asks for hooks before that. */
void mr__decide_reopen(struct mr__scheduler *s, struct mr__run *run, uint32_t hooks);
/* mr__decide_ask_before for each task that is prepared: nothing began while it could not. */
void mr__decide_ask_all_before(struct mr__scheduler *s, struct mr__run *run);
/* Gives free --jobs slots out. */
void mr__decide_start_jobs(struct mr__scheduler *s);
/* Ends every fan-out whose children have ended; or the one whose last child `t` was. */
void mr__decide_close_fans(struct mr__scheduler *s, struct mr__run *run);
void mr__decide_close_fan_of(struct mr__scheduler *s, struct mr__run *run, uint32_t t);

static inline struct mr__blob mr__blob_of(const char *text)
{
    return (struct mr__blob){text, strlen(text)};
}

#endif
