/* SPDX-License-Identifier: MIT
 *
 * What is to be evaluated on a worker: its end. Any thread.
 */
#include "core/exec/executor.h"

#include <stdlib.h>

void mr__evaluation_destroy(struct mr__evaluation *evaluation)
{
    if (evaluation != NULL) {
        mr__scope_copy_destroy(evaluation->scope);
        mr__buf_finish(&evaluation->prepared.items);
        mr__arena_finish(&evaluation->arena);
        free(evaluation);
    }
}
