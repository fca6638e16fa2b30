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

#include "core/model/scope.h"
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

/* The answer to MR__EFFECT_PREPARE. */
struct mr__ready_to_go {
    enum mr__verdict verdict; /* not AGAIN */
    struct mr__blob params;   /* GO: rendered, as JSON; absent: as they stand in the dag */
    struct mr__blob reason;   /* SKIP, BLOCK, FAIL */
    struct mr__blob items;    /* FAN: for each item a blob key, a blob JSON */
    uint32_t item_count;
};
void mr__decide_prepared(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                         const struct mr__ready_to_go *answer);

/* The answer to MR__EFFECT_JUDGE: whether the task's failure may be followed by another attempt. A
 * filter that could not be evaluated gives its `reason`, and no attempt. */
void mr__decide_judged(struct mr__scheduler *s, struct mr__run *run, uint32_t task, bool retry,
                       struct mr__blob reason);

/* retry_before and run_before are through: the answer to MR__EFFECT_BEFORE. False: it is not the
 * current attempt. */
bool mr__decide_began(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                      uint32_t attempt);

struct mr__ended {
    uint32_t task, attempt;
    enum mr__outcome outcome;
    struct mr__blob reason, output; /* output.data NULL: none; of a failure: its details */
};
/* An attempt ended, in whatever phase. False: it is not the current one, nothing was done. */
bool mr__decide_ended(struct mr__scheduler *s, struct mr__run *run, const struct mr__ended *ended);
/* `run` of an attempt is through, and run_after is to be called. False: as above. */
bool mr__decide_ending(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                       uint32_t attempt, struct mr__blob output);

/* The task sets a key of the share data (json absent: removes it). Nothing is done for a task that
 * has no attempt. */
void mr__decide_share(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                      struct mr__blob key, struct mr__blob json);

/* The answer to MR__EFFECT_HOOK: these hooks have been called. */
void mr__decide_hooked(struct mr__scheduler *s, struct mr__run *run, uint32_t mask);

/* A running attempt asks to be ended with success after `ms`. False: it is not the current one. */
bool mr__decide_waiting(struct mr__scheduler *s, struct mr__run *run, uint32_t task,
                        uint32_t attempt, int64_t ms);

enum mr__timer_kind {
    MR__TIMER_WAIT,     /* the durable timer of an attempt that waits */
    MR__TIMER_DEADLINE, /* the timeout of an attempt */
    MR__TIMER_RETRY,    /* the delay before the attempt after this one */
    MR__TIMER_RUN       /* the timeout of the run; task and attempt are not looked at */
};
void mr__decide_timer(struct mr__scheduler *s, struct mr__run *run, enum mr__timer_kind kind,
                      uint32_t task, uint32_t attempt);

/* Commands. MR_ECONFLICT with the state in the message: nothing was changed. `tasks` are numbers;
 * count 0 means the whole run: every failed and canceled task is retried, every blocked one
 * continued, everything canceled. All of the named tasks must be in a state that fits. */
mr_status mr__decide_cancel(struct mr__scheduler *s, struct mr__run *run, enum mr__cancel_why why,
                            mr_error *reterr);
mr_status mr__decide_cancel_tasks(struct mr__scheduler *s, struct mr__run *run,
                                  const uint32_t *tasks, size_t count, mr_error *reterr);
mr_status mr__decide_retry(struct mr__scheduler *s, struct mr__run *run, const uint32_t *tasks,
                           size_t count, mr_error *reterr);
mr_status mr__decide_continue(struct mr__scheduler *s, struct mr__run *run, const uint32_t *tasks,
                              size_t count, mr_error *reterr);
mr_status mr__decide_pause(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr);
mr_status mr__decide_unpause(struct mr__scheduler *s, struct mr__run *run, mr_error *reterr);

/* Asks, perhaps once more, for what comes before the attempt of a task that is prepared; and tells
 * one that is to end so, since the executor may not have known it when it was told first. */
void mr__decide_ask_before(struct mr__scheduler *s, struct mr__run *run, uint32_t task);

/* Starts whatever may start now and ends the run if nothing can: after any change from outside. */
void mr__decide_advance(struct mr__scheduler *s, struct mr__run *run);

#endif
