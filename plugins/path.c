/* SPDX-License-Identifier: MIT
 *
 * A param that is the path of a file; see path.h.
 */
#include "plugins/path.h"

mr_status mr__path_param(mr_task *t, const char *name, const char **ret_path)
{
    const char *given = mr_param_str(t, name);
    if (*given == '\0') {
        return mr_fail(t, MR_EINVAL, "%s: is empty", name);
    }
    *ret_path = *given == '/' ? given : mr_printf(t, "%s/%s", mr_info(t)->folder, given);
    return *ret_path == NULL ? MR_ENOMEM : MR_OK;
}
