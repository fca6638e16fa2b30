/* SPDX-License-Identifier: MIT
 *
 * Host processes: each has one plugin loaded and runs one attempt at a time in it (core/host). This
 * is the engine's end: starting them, the socket, and those that wait for their next attempt. What
 * the messages mean is isolated.c's. Loop thread.
 *
 * A host is in use from mr__host_take until mr__host_give_back, and is used again only if it did
 * nothing wrong meanwhile. It ends by itself when its socket is closed, be it by the engine's
 * death.
 */
#ifndef MR__HOSTS_H
#define MR__HOSTS_H

#include <uv.h>

#include "core/exec/process.h"
#include "core/exec/wire.h"
#include "core/model/action.h"

struct mr__exec;
struct mr__task;

#define MR__HOST_CLOSED "closed its socket"

struct mr__host {
    struct mr__exec *exec;
    struct mr__host *next;
    struct mr__process *process; /* NULL: it has ended */
    struct mr__task *task;       /* whose attempt is in it; NULL: it waits */
    const char *why;             /* it is being ended: what it did; static. Or NULL */
    char *file;                  /* the plugin's; **owned** */
    struct mr__action_limits limits;
    pid_t pid; /* 0: not entered in the child table, which then knows nothing of it */
    uint64_t start;
    uint32_t row;       /* of the child table, or MR__CHILD_NO_ROW */
    bool busy;          /* a START was sent, and no END has come */
    bool spoilt;        /* not to be used again */
    bool polled;        /* the loop knows `poll` */
    bool writing;       /* it tells when there is room */
    bool deaf;          /* what it sends is not looked at any more */
    int64_t idle_at_ms; /* loop time at which it began to wait */
    uv_poll_t poll;
    int fd; /* -1: closed */
    struct mr__buf in, out;
    size_t sent; /* of `out` */
};

struct mr__hosts {
    struct mr__host *list;
    uint32_t count, idle, max;
    int64_t idle_ms;
    char *program; /* millrace-host */
    uv_timer_t timer;
};

/* The program is $MILLRACE_HOST, else the installed one. MR_ENOMEM. */
mr_status mr__hosts_init(struct mr__exec *x, uint32_t jobs, int64_t idle_ms);
void mr__hosts_finish(struct mr__exec *x);
/* A shutdown begins: those that wait are ended. */
void mr__hosts_close(struct mr__exec *x);
void mr__hosts_kill(struct mr__exec *x);
/* The loop is to forget those that are still there. */
void mr__hosts_leave(struct mr__exec *x);

/* Gives the attempt a host: one that waits for that plugin with these limits, or a new one. */
mr_status mr__host_take(struct mr__task *t, mr_error *reterr);
void mr__host_give_back(struct mr__host *host);
/* Sends at once what the socket takes, the rest soon. MR_ELIMIT, MR_ENOMEM: nothing was sent. */
mr_status mr__host_send(struct mr__host *host, const struct mr__wire *message);
/* Ends it: TERM, then KILL; or KILL at once. `why`: "closed its socket", say. */
void mr__host_end(struct mr__host *host, const char *why, int64_t grace_ms);

#endif
