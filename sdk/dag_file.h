/* SPDX-License-Identifier: MIT
 *
 * A dag file on its way in: read, parsed, checked against the actions that exist. No state, any
 * thread.
 */
#ifndef MR__DAG_FILE_H
#define MR__DAG_FILE_H

#include "core/exec/registry.h"
#include "core/model/dag.h"

/* Reads a whole file, or what a pipe gives, and puts a NUL behind it. */
mr_status mr__dag_file_read(const char *file, struct mr__buf *buf, mr_error *reterr);
/* The same into `ret_text`, borrowed from `buf`, unless there is a text already. */
mr_status mr__dag_file_need(const char *file, const char **ret_text, size_t *ret_len,
                            struct mr__buf *buf, mr_error *reterr);

/* Parses and checks a dag; `registry` NULL: not its actions. `ret_json` (may be NULL) is
 * mr_validate's document for both outcomes; `ret_dag` (may be NULL) the dag where it is good,
 * **owned**: mr__dag_unref. */
mr_status mr__dag_file_check(const struct mr__parse_options *options, const char *text, size_t len,
                             const struct mr__registry *registry, struct mr__dag **ret_dag,
                             char **ret_json, mr_error *reterr);

#endif
