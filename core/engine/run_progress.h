/* SPDX-License-Identifier: MIT
 *
 * How far attempts say they are: the last word of each, in memory only, from its first one to its
 * end. Loop thread; a copy of a run's goes to the reader thread with what it prints.
 */
#ifndef MR__RUN_PROGRESS_H
#define MR__RUN_PROGRESS_H

#include "core/base/buf.h"
#include "core/base/hash.h"
#include "core/exec/executor.h"

/* Of one task run. */
struct mr__run_progress {
    uint8_t key[MR__RUN_ID_BYTES + 4]; /* run id, task: the key in the table */
    uint32_t task, attempt;
    double fraction; /* or NaN */
    char note[MR__PROGRESS_NOTE_BYTES + 1];
};

/* What the executor has told. The row, **borrowed** until its attempt ends; NULL: out of memory. */
const struct mr__run_progress *mr__run_progress_put(struct mr__hash *table,
                                                    const struct mr__attempt_ref *ref,
                                                    double fraction, const char *note);
/* The attempt has ended. */
void mr__run_progress_del(struct mr__hash *table, const struct mr__attempt_ref *ref);
void mr__run_progress_finish(struct mr__hash *table);
/* A copy of a run's rows: **owned**, free. NULL with count 0: none, or out of memory. */
struct mr__run_progress *mr__run_progress_list(const struct mr__hash *table, const uint8_t *run_id,
                                               size_t *ret_count);
/* "fraction":0.5,"note":"..." */
void mr__run_progress_print(struct mr__buf *out, const struct mr__run_progress *progress);

#endif
