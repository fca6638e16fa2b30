/* SPDX-License-Identifier: MIT
 *
 * A handle on a store: as its owner, or attached to the owner, or on the way from one owner to the
 * next. handle.c has the states; this is what stream.c needs of it.
 */
#ifndef MR__HANDLE_H
#define MR__HANDLE_H

#include <millrace/engine.h>

#define MR__REQUEST_HEAD_BYTES \
    64u /* room for what the socket puts before a request: its id, attach */

/* Makes the stream known to the handle and sends its request, now or once there is an owner.
 * MR_ENOMEM: it is not known. */
mr_status mr__handle_add(mr_engine *engine, mr_stream *stream);
/* Forgets it and closes its request; afterwards nobody else uses the stream. Also after mr_close.
 */
void mr__handle_remove(mr_stream *stream);

#endif
