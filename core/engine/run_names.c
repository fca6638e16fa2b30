/* SPDX-License-Identifier: MIT
 *
 * Names from events. Pure; any thread.
 */
#include "core/engine/run_names.h"

#include <stdlib.h>

void mr__run_names_init(struct mr__run_names *names, const struct mr__dag *dag)
{
    *names = (struct mr__run_names){.dag = dag, .count = dag->task_count};
}

void mr__run_names_finish(struct mr__run_names *names)
{
    for (uint32_t i = 0; i < names->fan_count; i++) {
        mr__free(names->fans[i].items);
    }
    mr__free(names->fans);
    names->fans = NULL;
    names->fan_count = 0;
}

mr_status mr__run_names_add(struct mr__run_names *names, const struct mr__event *event)
{
    if (event->type != MR__EVENT_TASK_FANNED) {
        return MR_OK;
    }
    if (event->task >= names->dag->task_count || event->count > MR__RUN_TASKS_MAX - names->count) {
        return MR_EFORMAT;
    }
    struct mr__run_names_fan *fans =
        mr__realloc(names->fans, (names->fan_count + 1) * sizeof *fans);
    names->fans = fans == NULL ? names->fans : fans;
    const uint8_t **items = mr__malloc((event->count + 1) * sizeof *items);
    if (fans == NULL || items == NULL) {
        mr__free(items);
        return MR_ENOMEM;
    }
    struct mr__reader r;
    mr__reader_init(&r, event->payload.data, event->payload.len);
    for (uint32_t i = 0; i < event->count; i++) {
        size_t len;
        items[i] = r.at;
        (void)mr__read_blob(&r, &len);
        (void)mr__read_blob(&r, &len);
    }
    if (r.failed) {
        mr__free(items);
        return MR_EFORMAT;
    }
    fans[names->fan_count++] = (struct mr__run_names_fan){
        .task = event->task, .first = names->count, .count = event->count, .items = items};
    names->count += event->count;
    return MR_OK;
}

mr_status mr__run_names_read(struct mr__run_names *names, const struct mr__dag *dag,
                             struct mr__blob log)
{
    struct mr__reader r;
    struct mr__event event;
    int64_t last_ms = 0;
    mr_status status = MR_OK;
    mr__run_names_init(names, dag);
    mr__reader_init(&r, log.data, log.len);
    while (status == MR_OK && mr__reader_left(&r) > 0) {
        status =
            mr__event_decode(&r, last_ms, &event) ? mr__run_names_add(names, &event) : MR_EFORMAT;
        last_ms = event.time_ms;
    }
    return status;
}

static const struct mr__run_names_fan *fan_of(const struct mr__run_names *names, uint32_t task)
{
    const struct mr__run_names_fan *found = NULL;
    for (uint32_t i = 0; i < names->fan_count && task >= names->fans[i].first; i++) {
        found = &names->fans[i];
    }
    return found;
}

static struct mr__blob key_at(const uint8_t *item)
{
    struct mr__reader r = {.at = item, .end = item + MR__VARINT_BYTES_MAX};
    uint64_t len = mr__read_varint(&r);
    return (struct mr__blob){(const char *)r.at, (size_t)len};
}

uint32_t mr__run_names_row(const struct mr__run_names *names, uint32_t task)
{
    return task < names->dag->task_count ? task : fan_of(names, task)->task;
}

void mr__run_names_print(const struct mr__run_names *names, uint32_t task, struct mr__buf *out)
{
    if (task >= names->count) {
        return;
    }
    mr__buf_text(out, names->dag->tasks[mr__run_names_row(names, task)].id);
    if (task >= names->dag->task_count) {
        const struct mr__run_names_fan *fan = fan_of(names, task);
        struct mr__blob key = key_at(fan->items[task - fan->first]);
        mr__buf_u8(out, '[');
        mr__buf_bytes(out, key.data, key.len);
        mr__buf_u8(out, ']');
    }
}

int64_t mr__run_names_find(const struct mr__run_names *names, const char *name, size_t len)
{
    const char *bracket = memchr(name, '[', len);
    if (bracket == NULL) {
        return mr__dag_find(names->dag, name, len);
    }
    int64_t parent = mr__dag_find(names->dag, name, (size_t)(bracket - name));
    size_t key_len = len - (size_t)(bracket + 1 - name) - 1;
    for (uint32_t i = 0; i < names->fan_count && parent >= 0 && name[len - 1] == ']'; i++) {
        const struct mr__run_names_fan *fan = &names->fans[i];
        for (uint32_t j = 0; fan->task == (uint32_t)parent && j < fan->count; j++) {
            struct mr__blob key = key_at(fan->items[j]);
            if (key.len == key_len && memcmp(key.data, bracket + 1, key_len) == 0) {
                return fan->first + j;
            }
        }
    }
    return -1;
}
