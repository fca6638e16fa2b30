/* SPDX-License-Identifier: MIT
 *
 * Reading runs back from a snapshot of the store: finished runs, their dags, logs and traces. On
 * the store's reader thread; no engine state is touched.
 */
#ifndef MR__READS_H
#define MR__READS_H

#include "core/engine/doc.h"
#include "core/engine/run_names.h"
#include "core/engine/run_progress.h"
#include "core/store/records.h"

/* Where the finished run stands. MR_ENOTFOUND. */
mr_status mr__read_place(struct mr__snapshot *snapshot, const uint8_t *run_id,
                         struct mr__place *ret_place);
/* The finished run at a place: `copy` gets its bytes, into which `ret_finished` points. */
mr_status mr__read_finished(struct mr__snapshot *snapshot, const struct mr__place *place,
                            struct mr__buf *copy, struct mr__finished *ret_finished,
                            mr_error *reterr);
/* The first event of a log. */
bool mr__read_created(struct mr__blob log, struct mr__event *ret_event);
/* The dag of a run, parsed anew: **owned**, mr__dag_unref. */
mr_status mr__read_dag(struct mr__snapshot *snapshot, const struct mr__event *created,
                       struct mr__dag **ret_dag, mr_error *reterr);

/* The finished run that was submitted with this idempotency key. MR_ENOTFOUND. */
mr_status mr__read_key(struct mr__snapshot *snapshot, struct mr__blob key,
                       uint8_t ret_run_id[MR__RUN_ID_BYTES]);

/* The traces of a run for mr__doc_run, at most up to log number `upto`, and what was known of its
 * progress. */
struct mr__read_traces {
    struct mr__snapshot *snapshot;
    uint8_t run_id[MR__RUN_ID_BYTES];
    bool any, looked;
    const struct mr__run_progress *progress; /* borrowed */
    size_t progress_count;
};
struct mr__doc_traces mr__read_traces(struct mr__read_traces *traces);

/* One page of a run's log: outputs and traces of tasks in dag order, then of the children of
 * fan-outs, then of hooks; each task's by time. */
struct mr__log_page {
    uint8_t run_id[MR__RUN_ID_BYTES];
    const struct mr__run_names *names; /* borrowed while the page is read */
    const char *only; /* the id of the only task wanted (of a fan-out: and its children), or NULL */
    int64_t only_task; /* its number, -1: all; found with the first page */
    uint64_t upto;     /* no chunk numbered above this */
    int64_t since_ms;  /* nor one that is older: Unix time */
    uint32_t task;     /* the cursor: begin with zeros */
    uint64_t next;
    bool done;
    struct mr__buf lines; /* {"log":...}\n for each chunk of the page */
};
mr_status mr__read_log_page(struct mr__snapshot *snapshot, struct mr__log_page *page);
/* {"log":{...}} of one chunk. A task without a name: null, for hooks. */
void mr__log_json(struct mr__buf *out, struct mr__blob task, const struct mr__log_chunk *chunk);

#endif
