/* SPDX-License-Identifier: MIT
 *
 * The environment and the end of a shell script; see shell.h.
 */
#include "plugins/shell.h"

#include <signal.h>

#include "plugins/text.h"

mr_status mr__shell_env(mr_task *t, const mr_value *map, const char *more,
                        const char *const **ret_env)
{
    uint32_t i, count = map != NULL && map->type == MR_MAP ? map->len : 0;
    const char **env = mr_alloc(t, (count + 2) * sizeof *env);
    if (env == NULL) {
        return MR_ENOMEM;
    }
    for (i = 0; i < count; i++) {
        const char *name = map->u.map[i].key;
        const mr_value *value = &map->u.map[i].value;
        struct mr__text text = {0};
        if (*name == '\0' || strchr(name, '=') != NULL) {
            return mr_fail(t, MR_EINVAL, "env: \"%.64s\" is no name of a variable", name);
        }
        mr__text_plain(&text, value);
        if (!text.failed) {
            env[i] = mr_printf(t, "%s=%s", name, text.bytes != NULL ? text.bytes : "");
        }
        mr__text_finish(&text);
        if (env[i] == NULL) {
            return MR_ENOMEM;
        }
    }
    env[count] = more;
    *ret_env = env;
    return MR_OK;
}

mr_status mr__shell_end(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    const char *name = sigabbrev_np(signal_number);
    if (exit_code == 0) {
        return MR_OK;
    }
    if (exit_code > 0) {
        (void)mr_detail_int(t, "exit", exit_code); /* An older host does without. */
        return mr_fail(t, MR_EFAILED, "exit %d", exit_code);
    }
    if (signal_number == 0) {
        return mr_fail(t, MR_EFAILED,
                       "its exit status was taken by the program that runs millrace");
    }
    (void)mr_detail_int(t, "signal", signal_number);
    return name != NULL ? mr_fail(t, MR_EFAILED, "killed by SIG%s", name)
                        : mr_fail(t, MR_EFAILED, "killed by signal %d", signal_number);
}
