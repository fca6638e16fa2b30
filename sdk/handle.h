/* SPDX-License-Identifier: MIT
 *
 * A handle on a store: as its owner, or attached to the owner, or on the way from one owner to the
 * next. handle.c has the states; this is what streams need of it.
 */
#ifndef MR__HANDLE_H
#define MR__HANDLE_H

#include <millrace/engine.h>

struct mr__delivery;

#define MR__REQUEST_HEAD_BYTES \
    64u /* room for what the socket puts before a request: its id, attach */

/* Makes the stream known to the handle and sends its request, now or once there is an owner.
 * MR_ENOMEM, MR_ECLOSED: it is not known. */
mr_status mr__handle_add(mr_engine *engine, mr_stream *stream);
/* Forgets it and closes its request; afterwards nobody else uses the stream. Also after mr_close.
 */
void mr__handle_remove(mr_stream *stream);
/* The thread of a caller's loop: sends what others have left for it. */
void mr__handle_send_rest(mr_engine *engine);

/* MR_EINVAL on the thread of a caller's loop, where `call` would wait for that. */
mr_status mr__handle_may_wait(mr_engine *engine, const char *call, const char *instead,
                              mr_error *reterr);
/* Who calls callbacks for this handle. */
struct mr__delivery *mr__handle_delivery(mr_engine *engine);

#endif
