/* SPDX-License-Identifier: MIT
 *
 * The event codec. Pure; any thread.
 */
#include "core/scheduler/event.h"

#include "core/base/limits.h"
#include "core/model/action.h"
#include "core/model/dag.h"

/* the three bits beside the type: which optional fields follow */
enum { HAS_REASON = 1u << 5, HAS_PAYLOAD = 1u << 6, TYPE_MASK = 0x1f };

static const char *const task_names[MR__TASK_STATUSES] = {
    "init",    "running", "ending",   "retrying", "continue",
    "success", "failed",  "canceled", "skipped",  "blocked",
};
static const char *const run_names[MR__RUN_STATUSES] = {
    "init", "scheduled", "running", "success", "failed", "canceled", "blocked", "paused",
};

const char *mr__task_status_name(uint8_t status)
{
    MR_ASSERT(status < MR__TASK_STATUSES);
    return task_names[status];
}

const char *mr__run_status_name(uint8_t status)
{
    MR_ASSERT(status < MR__RUN_STATUSES);
    return run_names[status];
}

int mr__run_status_find(const char *name)
{
    for (int i = 0; i < MR__RUN_STATUSES; i++) {
        if (strcmp(run_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *mr__event_name(uint8_t type)
{
    switch (type) {
#define EVENT_CASE(name, number, shown) \
    case number: return shown;
        MR__EVENT_MAP(EVENT_CASE)
#undef EVENT_CASE
    default: return "unknown";
    }
}

bool mr__event_of_attempt(uint8_t type)
{
    return type == MR__EVENT_ATTEMPT_STARTED || type == MR__EVENT_ATTEMPT_WAITING ||
           type == MR__EVENT_ATTEMPT_ENDING || type == MR__EVENT_ATTEMPT_ENDED ||
           type == MR__EVENT_TASK_CANCELING;
}

bool mr__event_of_task(uint8_t type)
{
    static const uint32_t others = 1u << MR__EVENT_RUN_CREATED | 1u << MR__EVENT_CANCEL_REQUESTED |
                                   1u << MR__EVENT_RUN_REOPENED | 1u << MR__EVENT_RUN_SETTLED |
                                   1u << MR__EVENT_RUN_PAUSED | 1u << MR__EVENT_RUN_UNPAUSED |
                                   1u << MR__EVENT_HOOKS_DUE | 1u << MR__EVENT_HOOKS_DONE;
    return (others & 1u << type) == 0;
}

static void encode_created(struct mr__buf *buf, const struct mr__event *event)
{
    mr__buf_bytes(buf, event->id, MR__RUN_ID_BYTES);
    mr__buf_bytes(buf, event->version, 16);
    mr__buf_blob(buf, event->dag.data, event->dag.len);
    mr__buf_blob(buf, event->folder.data, event->folder.len);
    mr__buf_blob(buf, event->vars.data, event->vars.len);
    mr__buf_blob(buf, event->tags.data, event->tags.len);
    mr__buf_blob(buf, event->key.data, event->key.len);
    mr__buf_blob(buf, event->token.data, event->token.len);
}

void mr__event_encode(struct mr__buf *buf, const struct mr__event *event, int64_t last_ms)
{
    uint8_t head = event->type;
    head |= event->reason.len > 0 ? HAS_REASON : 0;
    head |= event->payload.data != NULL ? HAS_PAYLOAD : 0;
    if (!mr__buf_reserve(buf, 4 * MR__VARINT_BYTES_MAX)) {
        return;
    }
    uint8_t *at = buf->data + buf->len;
    *at++ = head;
    at = mr__varint_put(at, mr__zigzag((int64_t)((uint64_t)event->time_ms - (uint64_t)last_ms)));
    switch (event->type) {
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_ATTEMPT_ENDING:
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED:
    case MR__EVENT_TASK_PREPARED:
    case MR__EVENT_TASK_DUE:
    case MR__EVENT_TASK_CANCELING:
    case MR__EVENT_SHARE_SET: at = mr__varint_put(at, event->task); break;
    case MR__EVENT_ATTEMPT_WAITING:
    case MR__EVENT_TASK_DELAYED:
        at = mr__varint_put(at, event->task);
        at = mr__varint_put(at, (uint64_t)event->ms);
        break;
    case MR__EVENT_TASK_FANNED:
        at = mr__varint_put(at, event->task);
        at = mr__varint_put(at, event->count);
        break;
    case MR__EVENT_HOOKS_DUE:
        at = mr__varint_put(at, event->count);
        *at++ = event->status;
        break;
    case MR__EVENT_HOOKS_DONE: at = mr__varint_put(at, event->count); break;
    case MR__EVENT_ATTEMPT_ENDED:
        at = mr__varint_put(at, event->task);
        *at++ = (uint8_t)(event->outcome << 4 | event->status);
        break;
    case MR__EVENT_TASK_SET:
        at = mr__varint_put(at, event->task);
        *at++ = (uint8_t)(event->outcome << 4 | event->status);
        break;
    case MR__EVENT_CANCEL_REQUESTED: *at++ = event->outcome; break;
    case MR__EVENT_RUN_SETTLED: *at++ = event->status; break;
    default: break;
    }
    buf->len = (size_t)(at - buf->data);
    if (event->type == MR__EVENT_RUN_CREATED) {
        encode_created(buf, event);
    } else if (event->type == MR__EVENT_SHARE_SET) {
        mr__buf_blob(buf, event->key.data, event->key.len);
    }
    if (head & HAS_REASON) {
        mr__buf_blob(buf, event->reason.data, event->reason.len);
    }
    if (head & HAS_PAYLOAD) {
        mr__buf_blob(buf, event->payload.data, event->payload.len);
    }
}

static void read_blob(struct mr__reader *r, struct mr__blob *ret_blob)
{
    ret_blob->data = (const char *)mr__read_blob(r, &ret_blob->len);
}

static uint32_t read_task(struct mr__reader *r)
{
    uint64_t task = mr__read_varint(r);
    r->failed |= task >= MR__DAG_TASKS_MAX * 16ull;
    return (uint32_t)task;
}

static uint32_t read_count(struct mr__reader *r, uint32_t max)
{
    uint64_t count = mr__read_varint(r);
    r->failed |= count > max;
    return (uint32_t)count;
}

static void decode_created(struct mr__reader *r, struct mr__event *event)
{
    event->id = mr__read_bytes(r, MR__RUN_ID_BYTES);
    event->version = mr__read_bytes(r, 16);
    read_blob(r, &event->dag);
    read_blob(r, &event->folder);
    read_blob(r, &event->vars);
    read_blob(r, &event->tags);
    read_blob(r, &event->key);
    read_blob(r, &event->token);
}

static void decode_body(struct mr__reader *r, struct mr__event *event)
{
    uint8_t byte;
    switch (event->type) {
    case MR__EVENT_RUN_CREATED: decode_created(r, event); break;
    case MR__EVENT_ATTEMPT_STARTED:
    case MR__EVENT_ATTEMPT_ENDING:
    case MR__EVENT_TASK_RETRIED:
    case MR__EVENT_TASK_CONTINUED:
    case MR__EVENT_TASK_PREPARED:
    case MR__EVENT_TASK_DUE:
    case MR__EVENT_TASK_CANCELING: event->task = read_task(r); break;
    case MR__EVENT_SHARE_SET:
        event->task = read_task(r);
        read_blob(r, &event->key);
        break;
    case MR__EVENT_TASK_FANNED:
        event->task = read_task(r);
        event->count = read_count(r, MR__FAN_ITEMS_MAX);
        break;
    case MR__EVENT_HOOKS_DUE:
        event->count = read_count(r, (1u << MR__HOOKS) - 1);
        event->status = mr__read_u8(r);
        r->failed |= event->status >= MR__RUN_STATUSES;
        break;
    case MR__EVENT_HOOKS_DONE: event->count = read_count(r, (1u << MR__HOOKS) - 1); break;
    case MR__EVENT_RUN_PAUSED:
    case MR__EVENT_RUN_UNPAUSED: break;
    case MR__EVENT_ATTEMPT_WAITING:
    case MR__EVENT_TASK_DELAYED:
        event->task = read_task(r);
        event->ms = (int64_t)mr__read_varint(r);
        r->failed |= event->ms < 0;
        break;
    case MR__EVENT_ATTEMPT_ENDED:
        event->task = read_task(r);
        byte = mr__read_u8(r);
        event->outcome = byte >> 4;
        event->status = byte & 0xf;
        r->failed |= event->outcome >= MR__OUTCOMES || event->status >= MR__TASK_STATUSES;
        break;
    case MR__EVENT_TASK_SET:
        event->task = read_task(r);
        byte = mr__read_u8(r);
        event->outcome = byte >> 4;
        event->status = byte & 0xf;
        r->failed |= event->outcome > 1 || event->status >= MR__TASK_STATUSES;
        break;
    case MR__EVENT_CANCEL_REQUESTED:
        event->outcome = mr__read_u8(r);
        r->failed |= event->outcome > MR__CANCEL_BY_RUN_TIMEOUT;
        break;
    case MR__EVENT_RUN_REOPENED: break;
    case MR__EVENT_RUN_SETTLED:
        event->status = mr__read_u8(r);
        r->failed |= event->status >= MR__RUN_STATUSES;
        break;
    default: r->failed = true;
    }
}

bool mr__event_decode(struct mr__reader *r, int64_t last_ms, struct mr__event *ret_event)
{
    uint8_t head = mr__read_u8(r);
    memset(ret_event, 0, sizeof *ret_event);
    ret_event->type = head & TYPE_MASK;
    ret_event->time_ms = (int64_t)((uint64_t)last_ms + (uint64_t)mr__read_zigzag(r));
    decode_body(r, ret_event);
    if (head & HAS_REASON) {
        read_blob(r, &ret_event->reason);
    }
    if (head & HAS_PAYLOAD) {
        read_blob(r, &ret_event->payload);
    }
    r->failed |= (head & 0x80) != 0;
    return !r->failed;
}
