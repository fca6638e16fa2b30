/* SPDX-License-Identifier: MIT
 *
 * A copy of a store in use, as a folder that can be opened as a store. Reader thread.
 */
#ifndef MR__BACKUP_H
#define MR__BACKUP_H

#include "core/store/store.h"

/* Makes the folder `dest` (an absolute path) with a copy of all of the store. It gets its name
 * last, complete and synced: a crash leaves at most a folder of another name beside it. The table
 * of child processes is not part of it: what ran when the copy was made is lost there.
 * MR_ECONFLICT: it is there already; MR_ENOTFOUND: its parent is not; MR_EPERM, MR_EFULL, MR_EIO,
 * MR_ENOMEM. */
mr_status mr__backup(struct mr__snapshot *snapshot, const char *dest, uint64_t *ret_bytes,
                     mr_error *reterr);

#endif
