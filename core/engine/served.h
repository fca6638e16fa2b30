/* SPDX-License-Identifier: MIT
 *
 * A served folder: its dag files are pushed to the store when serving begins and whenever they
 * change. Nothing polls: the kernel says what happened (uv_fs_event, one for each folder in it); a
 * moment later, so that an editor has come to its end, what may have changed is read again.
 *
 * A file that cannot be taken leaves the last good version of its dag as it is, and is noted in the
 * table of definitions until it is well again. A dag whose file is gone stays in the store. Of two
 * files with the same dag the first one counts. A folder that is removed and made again, or another
 * one in its place (a link that is swapped), is served like the first. Loop thread.
 */
#ifndef MR__SERVED_H
#define MR__SERVED_H

#include "core/base/base.h"

struct mr__engine;
struct mr__served;

struct mr__served_events {
    void *user;
    /* docs/requests.md, the answers to `serve`: {"pushed":...}, {"problem":...}, {"removed":...} */
    void (*line)(void *user, const char *json, size_t len);
    /* Once: all that was there at the beginning was looked at, and what was pushed is durable. */
    void (*settled)(void *user);
};

/* `path` is absolute. MR_ENOMEM. */
mr_status mr__served_create(struct mr__engine *engine, const char *path, bool compat,
                            const struct mr__served_events *events, struct mr__served **ret_served);
/* No event is called any more. It frees itself once the loop knows nothing of it. */
void mr__served_close(struct mr__served *served);

#endif
