/* SPDX-License-Identifier: MIT
 *
 * decide: which events follow from an input. Each call is one input; the events are applied at
 * once, and stand in s->events for the next commit; what is to be done about them stands in the two
 * rings of effects. s->now_ms is set by the caller before. Pure; loop thread.
 *
 * Inputs that come too late (an attempt that is not the current one, a timer of something that is
 * over) do nothing: the caller need not know.
 */
#ifndef MR__DECIDE_H
#define MR__DECIDE_H

#include "core/scheduler/apply.h"

/* A task that is settled from the beginning: kept from another run, or not asked for. */
struct mr__kept {
    uint32_t task;
    uint8_t status;                 /* success or skipped */
    struct mr__blob reason, output; /* output: JSON, or absent */
};

/* A run to create. Blobs are borrowed. */
struct mr__submit {
    const uint8_t *id;
    struct mr__plan *plan;
    struct mr__blob folder, vars, tags, key, token; /* vars and tags: JSON maps, complete */
    struct mr__blob origin; /* JSON {"trigger":"schedule"|"rerun",...}; absent: by hand */
    const struct mr__kept *kept;
    size_t kept_count;
    const struct mr__blob *share; /* pairs {key, JSON} that it begins with */
    size_t share_count;
};
mr_status mr__decide_submit(struct mr__scheduler *s, const struct mr__submit *submit,
                            struct mr__run **ret_run);

/* The answer to MR__EFFECT_PREPARE: the rendered params as JSON, or with a `reason` a failure. */
void mr__decide_prepared(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                         struct mr__blob params, struct mr__blob reason);

struct mr__ended {
    uint32_t task, attempt;
    enum mr__outcome outcome;
    struct mr__blob reason, output; /* output.data NULL: none */
};
/* An attempt ended. False: it is not the current one, nothing was done. */
bool mr__decide_ended(struct mr__scheduler *s, struct mr__run *run, const struct mr__ended *ended);

/* A running attempt asks to be ended with success after `ms`. False: it is not the current one. */
bool mr__decide_waiting(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                        uint32_t attempt, int64_t ms);

enum mr__timer_kind {
    MR__TIMER_WAIT,     /* the durable timer of an attempt that waits */
    MR__TIMER_DEADLINE, /* the timeout of an attempt */
    MR__TIMER_RUN       /* the timeout of the run; task and attempt are not looked at */
};
void mr__decide_timer(struct mr__scheduler *s, struct mr__run *run, enum mr__timer_kind kind,
                      uint32_t task, uint32_t attempt);

/* Commands. MR_ECONFLICT with the state in the message: nothing was changed. */
mr_status mr__decide_cancel(struct mr__scheduler *s, struct mr__run *run, enum mr__cancel_why why,
                            mr_error *reterr);
mr_status mr__decide_retry(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr);
mr_status mr__decide_continue(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr);

/* Starts whatever may start now and ends the run if nothing can: after any change from outside. */
void mr__decide_advance(struct mr__scheduler *s, struct mr__run *run);

#endif
