/* SPDX-License-Identifier: MIT
 *
 * The client: one thread that carries all transfers of the process through one multi handle of
 * libcurl and one epoll descriptor. It is started by the first call, ends when it has had nothing
 * to do for a while, and with the program.
 *
 * A call is the loop's side of a transfer. The client answers it once, by mr_post, unless it was
 * canceled before. All functions here are the loop thread's, of any engine.
 */
#ifndef MR__HTTP_CLIENT_H
#define MR__HTTP_CLIENT_H

#include "plugins/http/http_transfer.h"

#define MR__HTTP_PENDING_MAX  1000000u /* transfers that run or wait for their turn */
#define MR__HTTP_ACTIVE_MAX   10000u   /* that run at once: at most half of RLIMIT_NOFILE, too */
#define MR__HTTP_LOOK_UPS_MAX 32u  /* names looked up at once: each takes a thread of libcurl's */
#define MR__HTTP_KEPT_MAX     256L /* connections beyond which none is kept for later */

/* In the attempt's memory: it lives until mr_finish. Its fields are under the client's mutex. */
struct mr__http_call {
    mr_task *task;
    void (*on_end)(mr_task *t, void *call);
    struct mr__http_transfer *transfer; /* NULL: it has been answered or canceled */
};

/* Starts the request, which is taken in any case. `call` has its first two fields. */
mr_status mr__http_client_start(struct mr__http_call *call, struct mr__http_request *request,
                                mr_error *reterr);

/* Takes the transfer that has ended: **owned**, one reference. For on_end, once. */
struct mr__http_transfer *mr__http_client_take(struct mr__http_call *call);

/* Ends the transfer at once. True: the caller is to call mr_finish. False: somebody has. */
bool mr__http_client_cancel(struct mr__http_call *call);

#endif
