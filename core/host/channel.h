/* SPDX-License-Identifier: MIT
 *
 * A host's end of the socket: messages out, from any thread; messages in, read by whoever waits for
 * one. There is no thread for it: of those that wait one reads, and wakes the others with what came
 * for them. If the socket ends the process ends, and its group with it.
 */
#ifndef MR__CHANNEL_H
#define MR__CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/exec/wire.h"

struct mr__channel_call; /* a call under way */

/* A message for the main thread. */
struct mr__letter_in {
    struct mr__letter_in *next;
    struct mr__wire message; /* its texts are in `bytes` */
    uint8_t bytes[];
};

struct mr__channel {
    int fd, wake; /* the socket; an eventfd */
    _Atomic uint32_t cancel_reason;
    _Atomic bool misused;      /* a call came for an attempt that was over */
    pthread_mutex_t out_mutex; /* over `out` */
    struct mr__buf out;
    pthread_mutex_t mutex; /* over the rest; `in` is the reader's */
    pthread_cond_t changed;
    bool reading; /* somebody does */
    bool woken;
    struct mr__buf in;
    struct mr__letter_in *first, *last;
    struct mr__channel_call *calls;
    int64_t next_number;
};

/* An answer. `value` and `reason` are **owned**: mr__answer_finish. */
struct mr__answer {
    mr_status status;
    uint64_t fence;
    bool has_value, has_reason;
    struct mr__buf value, reason;
};

mr_status mr__channel_init(struct mr__channel *c, int fd);

/* Any thread. MR_ELIMIT, MR_ENOMEM: it was not sent. */
mr_status mr__channel_send(struct mr__channel *c, const struct mr__wire *message);
/* Any thread: sends a CALL, whose number it sets, and waits for the answer. `gives_up`: no longer
 * than until the attempt is to stop, MR_ECANCELED. What goes wrong here is the answer's status. */
void mr__channel_call(struct mr__channel *c, struct mr__wire *message, bool gives_up,
                      struct mr__answer *ret_answer);
void mr__answer_finish(struct mr__answer *answer);

/* Main thread: waits until something came for it, somebody woke it, or `ms` are over (-1: never).
 * False: the time is over. */
bool mr__channel_wait(struct mr__channel *c, int64_t ms);
/* Main thread: the oldest message, or NULL. **Owned**: free. */
struct mr__letter_in *mr__channel_take(struct mr__channel *c);
/* Main thread, between attempts: waits for the next message, which nothing else interrupts. */
struct mr__letter_in *mr__channel_next(struct mr__channel *c);
/* Any thread: reads what is there now. */
void mr__channel_look(struct mr__channel *c);
/* Any thread: ends the main thread's wait. */
void mr__channel_wake(struct mr__channel *c);
/* Ends this process and its group. */
_Noreturn void mr__channel_die(void);

#endif
