/* SPDX-License-Identifier: MIT
 *
 * Names of tasks as callers give them.
 */
#include "core/engine/names.h"

#include "core/model/nearest.h"

#define NAME_SHOWN 64  /* bytes of a name in a message */
#define LIST_BYTES 380 /* of unknown names in a message: the rest is counted */

/* The length of the part of a name that the dag must know. */
static size_t id_len(const char *name, bool children)
{
    size_t len = strlen(name);
    const char *bracket = children && len > 0 && name[len - 1] == ']' ? strchr(name, '[') : NULL;
    return bracket == NULL ? len : (size_t)(bracket - name);
}

static const char *nearest_id(const struct mr__dag *dag, const char *name, uint64_t *budget)
{
    struct mr__nearest nearest;
    mr__nearest_init(&nearest, name, budget);
    for (uint32_t t = 0; t < dag->task_count; t++) {
        mr__nearest_try(&nearest, dag->tasks[t].id, t);
    }
    return nearest.found;
}

/* "biuld" (did you mean "build"?) */
static void add_unknown(struct mr__buf *list, const struct mr__dag *dag, const char *name,
                        uint64_t *budget)
{
    const char *near = nearest_id(dag, name, budget);
    mr__buf_printf(list, "%s\"%.*s\"", list->len > 0 ? ", " : "", NAME_SHOWN, name);
    if (near != NULL) {
        mr__buf_printf(list, " (did you mean \"%.*s\"?)", NAME_SHOWN, near);
    }
}

mr_status mr__names_check(const struct mr__dag *dag, const char *const *names, size_t count,
                          bool children, mr_error *reterr)
{
    uint64_t budget = MR__NEAREST_BUDGET;
    size_t unknown = 0, hidden = 0;
    mr_status status = MR_OK;
    struct mr__buf list;
    mr__buf_init(&list);
    for (size_t i = 0; i < count; i++) {
        if (mr__dag_find(dag, names[i], id_len(names[i], children)) >= 0) {
            continue;
        }
        unknown++;
        if (list.len < LIST_BYTES - 2 * NAME_SHOWN) {
            add_unknown(&list, dag, names[i], &budget);
        } else {
            hidden++;
        }
    }
    if (hidden > 0) {
        mr__buf_printf(&list, " and %zu more", hidden);
    }
    if (list.failed) {
        status = mr__error_set(reterr, MR_ENOMEM, "out of memory");
    } else if (unknown > 0) {
        status =
            mr__error_set(reterr, MR_ENOTFOUND, "dag \"%.*s\" has no task%s %.*s", NAME_SHOWN,
                          dag->id, unknown == 1 ? "" : "s", (int)list.len, (const char *)list.data);
    }
    mr__buf_finish(&list);
    return status;
}
