/* SPDX-License-Identifier: MIT
 *
 * What belongs to the executor's port itself, whoever implements it. Any thread.
 */
#include <stdlib.h>

#include "core/exec/executor.h"

void mr__evaluation_destroy(struct mr__evaluation *evaluation)
{
    if (evaluation != NULL) {
        mr__scope_copy_destroy(evaluation->scope);
        mr__buf_finish(&evaluation->prepared.items);
        mr__arena_finish(&evaluation->arena);
        mr__free(evaluation);
    }
}
