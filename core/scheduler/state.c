/* SPDX-License-Identifier: MIT
 *
 * Memory of the state: plans, slots, runs, rings of effects, the list by oldest LSN. No rules here:
 * those are in apply.c and decide.c. Pure; loop thread.
 */
#include "core/scheduler/state.h"

#include <stdlib.h>

/* ---- plans ------------------------------------------------------------------------------------
 */

/* Whether the task's action runs in a process of its own, which holds one of --jobs slots. */
static void isolate(struct mr__action_binding *binding, const struct mr__isolation *isolation)
{
    if (mr__isolation_applies(isolation, binding->flags)) {
        binding->flags |= MR__ACTION_ISOLATED | MR__ACTION_JOB;
    } else {
        binding->flags &= ~(uint32_t)MR__ACTION_ISOLATED;
    }
}

static bool plan_fill(struct mr__plan *plan, mr__bind_fn bind, void *user)
{
    const struct mr__dag *dag = plan->dag;
    plan->bindings = mr__calloc(dag->task_count, sizeof *plan->bindings);
    plan->initial = mr__calloc(dag->task_count, sizeof *plan->initial);
    plan->roots = mr__calloc(dag->task_count, sizeof *plan->roots);
    if (plan->bindings == NULL || plan->initial == NULL || plan->roots == NULL) {
        return false;
    }
    for (uint32_t t = 0; t < dag->task_count; t++) {
        const struct mr__dag_task *task = &dag->tasks[t];
        if (task->action != NULL) {
            plan->bindings[t] = bind(user, task->action);
            plan->missing += (plan->bindings[t].flags & MR__ACTION_KNOWN) == 0;
            isolate(&plan->bindings[t], task->isolation);
        }
        plan->initial[t].open = task->parent_count;
        plan->initial[t].next = plan->initial[t].prev = MR__NONE;
        if (task->parent_count == 0) {
            plan->roots[plan->root_count++] = t;
        }
    }
    return true;
}

mr_status mr__plan_create(struct mr__dag *dag, mr__bind_fn bind, void *user,
                          struct mr__plan **ret_plan)
{
    struct mr__plan *plan = mr__calloc(1, sizeof *plan);
    if (plan == NULL) {
        return MR_ENOMEM;
    }
    plan->refs = 1;
    plan->dag = dag;
    if (!plan_fill(plan, bind, user)) {
        plan->dag = NULL; /* stays the caller's */
        mr__plan_unref(plan);
        return MR_ENOMEM;
    }
    *ret_plan = plan;
    return MR_OK;
}

struct mr__plan *mr__plan_ref(struct mr__plan *plan)
{
    plan->refs++;
    return plan;
}

void mr__plan_unref(struct mr__plan *plan)
{
    if (plan == NULL || --plan->refs > 0) {
        return;
    }
    mr__dag_unref(plan->dag);
    mr__free(plan->bindings);
    mr__free(plan->initial);
    mr__free(plan->roots);
    mr__free(plan);
}

/* ---- the scheduler ----------------------------------------------------------------------------
 */

void mr__scheduler_init(struct mr__scheduler *s, uint32_t jobs_max)
{
    memset(s, 0, sizeof *s);
    s->jobs_max = jobs_max;
    mr__hash_init(&s->by_id);
    mr__buf_init(&s->events);
}

void mr__scheduler_finish(struct mr__scheduler *s)
{
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        if (s->runs[slot] != NULL) {
            mr__run_release(s, s->runs[slot]);
        }
    }
    mr__free(s->runs);
    mr__free(s->free_slots);
    mr__free(s->now.ring);
    mr__free(s->durable.ring);
    mr__hash_finish(&s->by_id);
    mr__buf_finish(&s->events);
}

/* ---- slots and runs ---------------------------------------------------------------------------
 */

mr_status mr__slots_reach(struct mr__scheduler *s, uint32_t slot)
{
    if (slot < s->runs_cap) {
        return MR_OK;
    }
    if (slot >= MR__RUNS_LIVE_MAX) {
        return MR_ELIMIT;
    }
    uint32_t cap = s->runs_cap == 0 ? 64 : s->runs_cap;
    while (cap <= slot) {
        cap *= 2;
    }
    struct mr__run **runs = mr__realloc(s->runs, cap * sizeof *runs);
    if (runs == NULL) {
        return MR_ENOMEM;
    }
    memset(runs + s->runs_cap, 0, (cap - s->runs_cap) * sizeof *runs);
    s->runs = runs;
    s->runs_cap = cap;
    return MR_OK;
}

static mr_status free_slot_push(struct mr__scheduler *s, uint32_t slot)
{
    if (s->free_count == s->free_cap) {
        uint32_t cap = s->free_cap == 0 ? 64 : s->free_cap * 2;
        uint32_t *slots = mr__realloc(s->free_slots, cap * sizeof *slots);
        if (slots == NULL) {
            return MR_ENOMEM;
        }
        s->free_slots = slots;
        s->free_cap = cap;
    }
    s->free_slots[s->free_count++] = slot;
    return MR_OK;
}

mr_status mr__slot_take(struct mr__scheduler *s, uint32_t *ret_slot)
{
    if (s->free_count == 0) {
        uint32_t first = s->runs_cap;
        mr_status status = mr__slots_reach(s, first);
        for (uint32_t slot = s->runs_cap; status == MR_OK && slot > first; slot--) {
            status = free_slot_push(s, slot - 1);
        }
        if (s->free_count == 0) {
            return status;
        }
    }
    *ret_slot = s->free_slots[--s->free_count];
    return MR_OK;
}

mr_status mr__slots_rebuild(struct mr__scheduler *s)
{
    mr_status status = MR_OK;
    s->free_count = 0;
    for (uint32_t slot = s->runs_cap; slot > 0 && status == MR_OK; slot--) {
        if (s->runs[slot - 1] == NULL) {
            status = free_slot_push(s, slot - 1);
        }
    }
    return status;
}

mr_status mr__run_create(struct mr__scheduler *s, uint32_t slot, const uint8_t *id,
                         struct mr__plan *plan, struct mr__run **ret_run)
{
    uint32_t n = plan->dag->task_count;
    mr_status status = mr__slots_reach(s, slot);
    if (status != MR_OK) {
        return status;
    }
    if (s->runs[slot] != NULL || mr__run_find(s, id) != NULL) {
        return MR_EFORMAT;
    }
    struct mr__run *run = mr__malloc(sizeof *run + n * sizeof run->own[0]);
    if (run == NULL) {
        return MR_ENOMEM;
    }
    memset(run, 0, sizeof *run);
    run->tasks = run->own;
    memcpy(run->own, plan->initial, n * sizeof run->own[0]);
    memcpy(run->id, id, MR__RUN_ID_BYTES);
    run->count[MR__TASK_INIT] = run->task_count = n;
    run->ready_free = run->ready_job = (struct mr__list){MR__NONE, MR__NONE};
    run->slot = slot;
    run->gen = ++s->gen;
    run->flags = MR__RUNFLAG_DORMANT;
    mr__buf_init(&run->log);
    if (plan->dag->has_when) {
        run->bad = mr__calloc(n, 2 * sizeof *run->bad);
        status = run->bad == NULL ? MR_ENOMEM : MR_OK;
    }
    if (status == MR_OK) {
        status = mr__hash_put(&s->by_id, run->id, MR__RUN_ID_BYTES, slot);
    }
    if (status != MR_OK) {
        mr__free(run->bad);
        mr__free(run);
        return status;
    }
    run->plan = mr__plan_ref(plan);
    s->runs[slot] = run;
    s->run_count++;
    s->dormant_count++;
    *ret_run = run;
    return MR_OK;
}

static void job_queue_remove(struct mr__scheduler *s, struct mr__run *run)
{
    struct mr__run *before = NULL;
    for (struct mr__run *r = s->job_head; r != run; r = r->job_next) {
        before = r;
    }
    *(before == NULL ? &s->job_head : &before->job_next) = run->job_next;
    if (s->job_tail == run) {
        s->job_tail = before;
    }
}

void mr__run_release(struct mr__scheduler *s, struct mr__run *run)
{
    if (run->flags & MR__RUNFLAG_JOB_QUEUED) {
        job_queue_remove(s, run);
    }
    mr__run_checkpointed(s, run);
    MR_ASSERT(mr__hash_del(&s->by_id, run->id, MR__RUN_ID_BYTES));
    MR_ASSERT(s->runs[run->slot] == run);
    s->runs[run->slot] = NULL;
    s->run_count--;
    s->dormant_count -= (run->flags & MR__RUNFLAG_DORMANT) != 0;
    s->failed |= free_slot_push(s, run->slot) != MR_OK;
    mr__buf_finish(&run->log);
    for (uint32_t i = 0; i < run->fan_count; i++) {
        mr__free(run->fans[i].item_at);
    }
    for (uint32_t i = 0; i < run->share_count; i++) {
        mr__free(run->share[i]);
    }
    mr__free(run->fans);
    mr__free(run->share);
    mr__free(run->bad);
    mr__free(run->details);
    if (run->tasks != run->own) {
        mr__free(run->tasks);
    }
    if (run->context != NULL) {
        s->free_context(run->context);
    }
    mr__plan_unref(run->plan);
    mr__free(run);
}

struct mr__run *mr__run_find(const struct mr__scheduler *s, const uint8_t *id)
{
    uint64_t slot;
    return mr__hash_get(&s->by_id, id, MR__RUN_ID_BYTES, &slot) ? s->runs[slot] : NULL;
}

void mr__run_touched(struct mr__scheduler *s, struct mr__run *run, uint64_t lsn)
{
    if (run->oldest_lsn != 0) {
        return;
    }
    run->oldest_lsn = lsn;
    run->ckpt_prev = s->ckpt_tail;
    run->ckpt_next = NULL;
    *(s->ckpt_tail == NULL ? &s->ckpt_head : &s->ckpt_tail->ckpt_next) = run;
    s->ckpt_tail = run;
}

void mr__run_checkpointed(struct mr__scheduler *s, struct mr__run *run)
{
    if (run->oldest_lsn == 0) {
        return;
    }
    *(run->ckpt_prev == NULL ? &s->ckpt_head : &run->ckpt_prev->ckpt_next) = run->ckpt_next;
    *(run->ckpt_next == NULL ? &s->ckpt_tail : &run->ckpt_next->ckpt_prev) = run->ckpt_prev;
    run->ckpt_prev = run->ckpt_next = NULL;
    run->oldest_lsn = 0;
}

/* ---- looking into a run -----------------------------------------------------------------------
 */

struct mr__fan *mr__run_fan_find(const struct mr__run *run, uint32_t t)
{
    uint32_t low = 0, high = run->fan_count;
    while (low < high) { /* the last one whose children begin at or before t */
        uint32_t middle = (low + high) / 2;
        if (run->fans[middle].first <= t) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &run->fans[low - 1];
}

struct mr__detail *mr__run_detail_make(struct mr__run *run, uint32_t t)
{
    if (run->details == NULL) {
        run->details = mr__calloc(run->task_count, sizeof *run->details);
    }
    return mr__run_detail(run, t);
}

void mr__run_item(const struct mr__run *run, uint32_t t, struct mr__blob *ret_key,
                  struct mr__blob *ret_json)
{
    const struct mr__fan *fan = mr__run_fan(run, t);
    uint32_t at = fan->item_at[t - fan->first];
    struct mr__reader r;
    mr__reader_init(&r, run->log.data + at, run->log.len - at);
    ret_key->data = (const char *)mr__read_blob(&r, &ret_key->len);
    ret_json->data = (const char *)mr__read_blob(&r, &ret_json->len);
}

void mr__run_task_name(const struct mr__run *run, uint32_t t, struct mr__buf *name)
{
    mr__buf_text(name, mr__run_dag_task(run, t)->id);
    if (t >= run->plan->dag->task_count) {
        struct mr__blob key, json;
        mr__run_item(run, t, &key, &json);
        mr__buf_u8(name, '[');
        mr__buf_bytes(name, key.data, key.len);
        mr__buf_u8(name, ']');
    }
}

int64_t mr__run_task_find(const struct mr__run *run, const char *name, size_t len)
{
    const char *bracket = memchr(name, '[', len);
    if (bracket == NULL) {
        return mr__dag_find(run->plan->dag, name, len);
    }
    int64_t parent = mr__dag_find(run->plan->dag, name, (size_t)(bracket - name));
    if (parent < 0 || name[len - 1] != ']' ||
        (run->tasks[parent].flags & MR__TASKFLAG_FANNED) == 0) {
        return -1;
    }
    const struct mr__fan *fan = &run->fans[run->details[parent].fan];
    size_t key_len = len - (size_t)(bracket + 1 - name) - 1;
    for (uint32_t t = fan->first; t < fan->first + fan->count; t++) {
        struct mr__blob key, json;
        mr__run_item(run, t, &key, &json);
        if (key.len == key_len && memcmp(key.data, bracket + 1, key_len) == 0) {
            return t;
        }
    }
    return -1;
}

bool mr__run_event(const struct mr__run *run, uint32_t at, struct mr__event *ret_event)
{
    struct mr__reader r;
    mr__reader_init(&r, run->log.data + at, run->log.len - at);
    return mr__event_decode(&r, 0, ret_event);
}

bool mr__run_task_event(const struct mr__run *run, uint32_t t, struct mr__event *ret_event)
{
    const struct mr__detail *detail = mr__run_detail(run, t);
    return detail != NULL && detail->ended_at != 0 &&
           mr__run_event(run, detail->ended_at - 1, ret_event);
}

uint32_t mr__run_share_at(const struct mr__run *run, const char *key, size_t len, bool *ret_found)
{
    uint32_t low = 0, high = run->share_count;
    *ret_found = false;
    while (low < high && !*ret_found) {
        uint32_t middle = (low + high) / 2;
        const struct mr__share_row *row = run->share[middle];
        int order = memcmp(row->key, key, MR__MIN(row->key_len, len));
        if (order == 0) {
            order = row->key_len < len ? -1 : row->key_len > len;
        }
        if (order == 0) {
            *ret_found = true;
            low = middle;
        } else if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool mr__run_share(const struct mr__run *run, const char *key, size_t len,
                   struct mr__blob *ret_json)
{
    bool found;
    struct mr__event event;
    uint32_t i = mr__run_share_at(run, key, len, &found);
    if (!found || !mr__run_event(run, run->share[i]->at, &event)) {
        return false;
    }
    *ret_json = event.payload;
    return true;
}

/* ---- effects ----------------------------------------------------------------------------------
 */

static bool effects_grow(struct mr__effects *ring)
{
    size_t cap = ring->cap == 0 ? 256 : ring->cap * 2;
    struct mr__effect *bigger = mr__malloc(cap * sizeof *bigger);
    if (bigger == NULL) {
        return false;
    }
    for (uint64_t i = ring->head; i < ring->tail; i++) {
        bigger[i & (cap - 1)] = ring->ring[i & (ring->cap - 1)];
    }
    mr__free(ring->ring);
    ring->ring = bigger;
    ring->cap = cap;
    return true;
}

static void push(struct mr__scheduler *s, struct mr__effects *ring, struct mr__effect effect)
{
    if (ring->tail - ring->head == ring->cap && !effects_grow(ring)) {
        s->failed = true;
        return;
    }
    ring->ring[ring->tail++ & (ring->cap - 1)] = effect;
}

void mr__effect_push(struct mr__scheduler *s, struct mr__effects *ring, enum mr__effect_kind kind,
                     uint32_t slot, uint32_t task, uint32_t arg)
{
    push(s, ring,
         (struct mr__effect){.kind = (uint16_t)kind, .slot = slot, .task = task, .arg = arg});
}

void mr__effect_notify(struct mr__scheduler *s, const struct mr__run *run,
                       const struct mr__event *event, size_t at)
{
    uint32_t attempt = mr__event_of_attempt(event->type) ? run->tasks[event->task].attempt : 0;
    push(s, &s->durable,
         (struct mr__effect){
             .kind = MR__EFFECT_NOTIFY,
             .attempt = (uint16_t)MR__MIN(attempt, UINT16_MAX),
             .slot = run->slot,
             .task = (uint32_t)MR__MIN(event->time_ms - run->created_ms, UINT32_MAX),
             .arg = (uint32_t)at,
         });
}

bool mr__effect_pop(struct mr__effects *ring, struct mr__effect *ret_effect)
{
    if (ring->head == ring->tail) {
        return false;
    }
    *ret_effect = ring->ring[ring->head++ & (ring->cap - 1)];
    return true;
}

/* ---- for tests --------------------------------------------------------------------------------
 */

static void digest_task(struct mr__buf *buf, const struct mr__run *run, uint32_t t)
{
    const struct mr__task *task = &run->tasks[t];
    const struct mr__detail *detail = mr__run_detail(run, t);
    bool ready = (task->flags & (MR__TASKFLAG_READY | MR__TASKFLAG_PREPARING)) != 0;
    uint16_t flags =
        task->flags & (MR__TASKFLAG_PREPARED | MR__TASKFLAG_WAITING | MR__TASKFLAG_CANCELED |
                       MR__TASKFLAG_JUDGING | MR__TASKFLAG_DELAYED | MR__TASKFLAG_AGAIN |
                       MR__TASKFLAG_FANNED | MR__TASKFLAG_HELD | MR__TASKFLAG_DEAD);
    mr__buf_u8(buf, task->status);
    mr__buf_u32le(buf, flags);
    mr__buf_u8(buf, ready);
    mr__buf_u8(buf, task->lost);
    mr__buf_u32le(buf, task->attempt);
    mr__buf_u32le(buf, task->open);
    if (task->flags & (MR__TASKFLAG_WAITING | MR__TASKFLAG_DELAYED)) {
        mr__buf_u64le(buf, (uint64_t)detail->due_ms);
        mr__buf_u64le(buf, (uint64_t)detail->duration_ms);
    }
    mr__buf_u32le(buf, detail == NULL ? 0 : detail->retries);
    if (detail != NULL && detail->started_ms != 0 && task->status == MR__TASK_RUNNING) {
        mr__buf_u64le(buf, (uint64_t)detail->started_ms);
    }
    if (run->bad != NULL && t < run->plan->dag->task_count) {
        mr__buf_u32le(buf, run->bad[t]);
    }
}

static void digest_run(struct mr__buf *buf, const struct mr__run *run)
{
    mr__buf_bytes(buf, run->id, MR__RUN_ID_BYTES);
    mr__buf_bytes(buf, run->plan->dag->version, MR__VERSION_BYTES);
    mr__buf_u8(buf, run->status);
    mr__buf_u8(buf,
               run->flags & (MR__RUNFLAG_CANCELING | MR__RUNFLAG_TIMED_OUT | MR__RUNFLAG_SETTLED));
    for (int i = 0; i < MR__TASK_STATUSES; i++) {
        mr__buf_u32le(buf, run->count[i]);
    }
    mr__buf_u32le(buf, run->task_count);
    mr__buf_u32le(buf, run->ready_count + run->preparing_count);
    mr__buf_u32le(buf, run->delayed_count);
    mr__buf_u32le(buf, run->fan_open);
    mr__buf_u32le(buf, run->hooks_due);
    mr__buf_u8(buf, run->hooks_status);
    mr__buf_u64le(buf, run->output_bytes);
    mr__buf_u64le(buf, (uint64_t)run->created_ms);
    mr__buf_u64le(buf, (uint64_t)run->last_ms);
    for (uint32_t i = 0; i < run->fan_count; i++) {
        const struct mr__fan *fan = &run->fans[i];
        mr__buf_u32le(buf, fan->task);
        mr__buf_u32le(buf, fan->active);
        mr__buf_u32le(buf, fan->ended);
        mr__buf_u32le(buf, fan->bad);
    }
    for (uint32_t i = 0; i < run->share_count; i++) {
        mr__buf_u32le(buf, run->share[i]->at);
    }
}

uint64_t mr__run_digest(const struct mr__run *run)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    digest_run(&buf, run);
    for (uint32_t t = 0; t < run->task_count; t++) {
        digest_task(&buf, run, t);
    }
    mr__buf_bytes(&buf, run->log.data, run->log.len);
    MR_ASSERT(!buf.failed);
    uint64_t digest = mr__hash64(buf.data, buf.len);
    mr__buf_finish(&buf);
    return digest;
}
