/* SPDX-License-Identifier: MIT
 *
 * Reading a whole store and verifying it: every format and checksum, the journal's order, that
 * events fit each other, that the index points to what it says. Changes nothing. Any thread that
 * may use the snapshot.
 */
#ifndef MR__CHECK_H
#define MR__CHECK_H

#include "core/store/records.h"

/* Walks everything and writes {"ok":...,"errors":[...],"definitions":N,"journal":N,...} without the
 * closing brace. MR_OK also when there are errors in the store; other statuses: it could not be
 * read. */
mr_status mr__check_snapshot(struct mr__snapshot *snapshot, struct mr__buf *out, bool *ret_ok);

#endif
