/* SPDX-License-Identifier: MIT
 *
 * A plugin file tried in a child process: loaded, verified, its self-test run. Whatever it does
 * there (crash, exit, loop, close what is not its own, write to stdout) becomes a reason.
 */
#ifndef MR__TRIAL_H
#define MR__TRIAL_H

#include "sdk/cli/session.h"

struct mr__trial {
    mr_status status;     /* MR_OK: it is good */
    mr_error error;       /* else why not; it names the file */
    bool tested;          /* it has a self-test, which passed */
    struct mr__text json; /* mr_plugin_check's; of one that could be loaded */
};

/* Tries it, for `limit_ms` at most. What it writes goes to stderr. Blocks; main thread. */
void mr__trial_run(const char *file, int64_t limit_ms, struct mr__trial *ret_trial);
void mr__trial_finish(struct mr__trial *trial);

#endif
