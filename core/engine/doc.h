/* SPDX-License-Identifier: MIT
 *
 * Runs and events as JSON (contract.md, "A run as JSON"; docs/requests.md), made from a run's
 * events by replaying them: live and finished runs are one path. Pure; any thread.
 */
#ifndef MR__DOC_H
#define MR__DOC_H

#include "core/scheduler/state.h"

/* Where the traces of a task come from: calls `add` for each of its lines, in order. */
struct mr__doc_traces {
    void *user;
    mr_status (*each)(void *user, uint32_t task,
                      struct mr__buf *out); /* ",{...},{...}" or nothing */
    /* Of an attempt that runs: adds ,"progress":{...} or nothing. NULL: nobody knows. */
    void (*progress)(void *user, uint32_t task, uint32_t attempt, struct mr__buf *out);
};

/* The whole document. `dag` is of the run's version; `traces` may be NULL. MR_EFORMAT, MR_ENOMEM.
 */
mr_status mr__doc_run(struct mr__buf *out, struct mr__dag *dag, struct mr__blob log,
                      const struct mr__doc_traces *traces);

/* What a listing shows. */
struct mr__doc_header {
    const struct mr__event *created;
    uint8_t status;
    struct mr__blob reason;
    int64_t started_ms, ended_ms; /* 0: none */
};
void mr__doc_header(struct mr__buf *out, const struct mr__doc_header *header);

/* One event, with the name of its task (looked at only where it is about one); `attempt` 0: none.
 */
void mr__doc_event(struct mr__buf *out, struct mr__blob task, const struct mr__event *event,
                   uint32_t attempt);
/* Calls `line` with the JSON of each event of a log. */
mr_status mr__doc_events(const struct mr__dag *dag, struct mr__blob log,
                         void (*line)(void *user, const char *json, size_t len), void *user);

/* ,"name":"2026-..." or null for 0. */
void mr__doc_time(struct mr__buf *out, const char *name, int64_t unix_ms);

#endif
