/* SPDX-License-Identifier: MIT
 *
 * What an attempt writes to its log, on the loop: small pieces are put together, so that an action
 * that writes a character at a time makes no answer of each for everybody who follows the run. What
 * was put together is told with the call or turn of the loop in which it was written.
 */
#include "core/exec/task_host.h"

static void tell(struct mr__task *t, uint32_t stream, const char *bytes, size_t len)
{
    struct mr__exec *x = t->exec;
    if (!t->told && !x->closing) {
        x->events.log(x->events.user, &t->ref, stream, bytes, len);
    }
}

void mr__task_log_tell(struct mr__task *t)
{
    tell(t, t->log_stream, (const char *)t->log.data, t->log.len);
    mr__buf_reset(&t->log);
}

void mr__task_log_add(struct mr__task *t, uint32_t stream, const char *bytes, size_t len)
{
    if (t->log_stream != stream || t->log.len + len > MR__LOG_CHUNK_BYTES_MAX) {
        mr__task_log_flush(t);
    }
    t->log_stream = stream;
    if (mr__buf_reserve(&t->log, len)) {
        mr__buf_bytes(&t->log, bytes, len);
    } else { /* Without memory, piece by piece. */
        mr__task_log_flush(t);
        mr__buf_reset(&t->log);
        tell(t, stream, bytes, len);
    }
}
