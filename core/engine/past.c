/* SPDX-License-Identifier: MIT
 *
 * Runs from their events. Pure; any thread.
 */
#include "core/engine/past.h"

static struct mr__action_binding bind_nothing(void *user, const char *action)
{
    return (struct mr__action_binding){0};
}

mr_status mr__past_begin(struct mr__past *past, struct mr__dag *dag, struct mr__blob log)
{
    struct mr__reader r;
    *past = (struct mr__past){.plan = NULL};
    mr__reader_init(&past->reader, log.data, log.len);
    mr__reader_init(&r, log.data, log.len);
    if (!mr__event_decode(&r, 0, &past->created) || past->created.type != MR__EVENT_RUN_CREATED) {
        return MR_EFORMAT;
    }
    mr__scheduler_init(&past->scheduler, 1);
    mr_status status = mr__plan_create(mr__dag_ref(dag), bind_nothing, NULL, &past->plan);
    if (status != MR_OK) {
        mr__dag_unref(dag);
    } else {
        status = mr__run_create(&past->scheduler, 0, past->created.id, past->plan, &past->run);
    }
    if (status != MR_OK) {
        mr__past_finish(past);
    }
    return status;
}

mr_status mr__past_next(struct mr__past *past, struct mr__event *ret_event)
{
    const uint8_t *begin = past->reader.at;
    if (mr__reader_left(&past->reader) == 0) {
        return MR_ENOTFOUND;
    }
    if (!mr__event_decode(&past->reader, past->run->last_ms, ret_event)) {
        return MR_EFORMAT;
    }
    return mr__replay(&past->scheduler, past->run, begin, (size_t)(past->reader.at - begin));
}

mr_status mr__past_open(struct mr__past *past, struct mr__dag *dag, struct mr__blob log)
{
    mr_status status = mr__past_begin(past, dag, log);
    if (status != MR_OK) {
        return status;
    }
    status = mr__replay(&past->scheduler, past->run, (const uint8_t *)log.data, log.len);
    if (status != MR_OK) {
        mr__past_finish(past);
    }
    return status;
}

void mr__past_finish(struct mr__past *past)
{
    mr__scheduler_finish(&past->scheduler);
    mr__plan_unref(past->plan);
}
