/* SPDX-License-Identifier: MIT
 *
 * Pruning: finished runs are removed from the history, with their index entries, their output and
 * their idempotency keys. Never a run that is unfinished, nor one that was retried and goes on.
 *
 * In steps, so that nobody is held up: a job on the reader thread looks through some parts of the
 * history and says what may go (prune_read.c); the loop takes out what has come back to life since
 * and hands the rest over as one commit; then the next step. A crash leaves whole steps, or of a
 * store that writes in several pieces runs that the next prune removes. docs/adr/0007 says how the
 * history is kept readable. Loop thread.
 */
#ifndef MR__PRUNE_H
#define MR__PRUNE_H

#include "core/base/base.h"

struct mr__engine;

struct mr__prune_options {
    int64_t before_ms; /* only runs that ended before; INT64_MAX: whenever */
    uint64_t keep;     /* of each dag the last so many to end are kept; 0: none is */
    const char *dag;   /* only runs of this one, copied; NULL: of any */
    int status;        /* only runs that ended so; -1: any */
    bool dry_run;      /* only counts */
};

/* `runs`: how many were removed, or would be. */
typedef void (*mr__prune_fn)(void *user, mr_status status, const mr_error *error, uint64_t runs);

/* Calls `done` exactly once, at the latest when the engine ends; maybe from within. */
void mr__prune(struct mr__engine *engine, const struct mr__prune_options *options,
               mr__prune_fn done, void *user);

#endif
