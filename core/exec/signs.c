/* SPDX-License-Identifier: MIT
 *
 * Signs of life: heartbeats, for which an attempt with a limit is watched, and how far it says it
 * is. Any thread leaves them; the loop looks at them, with one timer for each attempt that has
 * either: it ends one that is silent for too long, and tells the engine of progress, the latest of
 * it and not too often.
 */
#include <math.h>
#include <stdlib.h>

#include "core/exec/task_host.h"

struct mr__signs {
    uv_timer_t timer; /* stays first */
    struct mr__exec *exec;
    struct mr__task *task; /* NULL: its handle is being closed */
};

struct mr__task_progress {
    double fraction; /* or NaN */
    int64_t told_ms; /* loop: when the engine was told last; 0: never */
    bool fresh;      /* it was not told of this */
    char note[MR__PROGRESS_NOTE_BYTES + 1];
};

static void on_due(uv_timer_t *timer);

static int64_t now_ms(const struct mr__exec *x)
{
    return x->clock->monotonic_ms(x->clock);
}

/* ---- any thread -------------------------------------------------------------------------------
 */

void mr__signs_heard(struct mr__task *t)
{
    if (t->heartbeat_ms > 0) {
        atomic_store(&t->heard_ms, now_ms(t->exec));
    }
}

void mr__task_heartbeat(mr_task *task)
{
    mr__signs_heard(mr__task_of(task));
}

/* The note as one line, cut. */
static void set_note(struct mr__task_progress *progress, const char *note)
{
    size_t len = note == NULL ? 0 : strnlen(note, MR__PROGRESS_NOTE_BYTES + 1);
    len = mr__task_cut(note, len, MR__PROGRESS_NOTE_BYTES);
    for (size_t i = 0; i < len; i++) {
        progress->note[i] = note[i] == '\n' || note[i] == '\r' ? ' ' : note[i];
    }
    progress->note[len] = '\0';
}

void mr__task_progress(mr_task *task, double fraction, const char *note)
{
    struct mr__task *t = mr__task_of(task);
    struct mr__exec *x = t->exec;
    mr__signs_heard(t);
    (void)pthread_mutex_lock(&x->mutex);
    uint32_t state = atomic_load(&t->state);
    bool runs = !x->closed && (state == MR__TASK_RUNNING || state == MR__TASK_QUEUED ||
                               state == MR__TASK_PENDING);
    if (runs && t->progress == NULL) {
        t->progress = mr__calloc(1, sizeof *t->progress); /* NULL: nobody will know, no harm */
    }
    if (runs && t->progress != NULL) {
        t->progress->fraction = fraction >= 0 && fraction <= 1 ? fraction : NAN;
        set_note(t->progress, note);
        if (!t->progress->fresh) {
            t->progress->fresh = true;
            mr__attempt_wake_loop(t);
        }
    }
    (void)pthread_mutex_unlock(&x->mutex);
}

/* ---- loop -------------------------------------------------------------------------------------
 */

static struct mr__signs *make_signs(struct mr__task *t)
{
    struct mr__signs *signs = mr__calloc(1, sizeof *signs);
    if (signs != NULL) {
        signs->exec = t->exec;
        signs->task = t;
        (void)uv_timer_init(t->exec->loop, &signs->timer);
        t->exec->handles++;
        t->signs = signs;
    }
    return signs;
}

/* When there is something to be done: INT64_MAX: never. */
static int64_t next_ms(struct mr__task *t)
{
    int64_t due = INT64_MAX;
    if (t->heartbeat_ms > 0 && atomic_load(&t->cancel_reason) == MR_NOT_CANCELED) {
        due = atomic_load(&t->heard_ms) + t->heartbeat_ms;
    }
    (void)pthread_mutex_lock(&t->exec->mutex);
    if (t->progress != NULL && t->progress->fresh && !t->told && !t->exec->closing) {
        due = MR__MIN(due, t->progress->told_ms + MR__PROGRESS_MS);
    }
    (void)pthread_mutex_unlock(&t->exec->mutex);
    return due;
}

static mr_status arm(struct mr__task *t)
{
    int64_t due = next_ms(t);
    if (due == INT64_MAX) {
        return MR_OK;
    }
    struct mr__signs *signs = t->signs == NULL ? make_signs(t) : t->signs;
    if (signs == NULL) {
        return MR_ENOMEM;
    }
    int64_t left = MR__MAX(due - now_ms(t->exec), 0);
    uv_update_time(t->exec->loop);
    /* One more millisecond: libuv counts whole ones, and firing early would spin. */
    (void)uv_timer_start(&signs->timer, on_due, (uint64_t)left + (left > 0), 0);
    return MR_OK;
}

static void on_due(uv_timer_t *timer)
{
    struct mr__task *t = ((struct mr__signs *)timer)->task;
    mr__attempt_call_begin(t); /* Its end may come in between. */
    bool waits = t->heartbeat_ms > 0 && atomic_load(&t->cancel_reason) == MR_NOT_CANCELED;
    if (waits && mr__task_waits_for_lock(t)) {
        mr__signs_heard(t); /* Asleep it can say nothing, and it is as alive as its turn is far. */
    }
    if (waits && now_ms(t->exec) >= atomic_load(&t->heard_ms) + t->heartbeat_ms) {
        t->silent = true;
        mr__attempt_cancel(t, MR_BY_TIMEOUT);
    }
    if (t->signs != NULL) {
        mr__signs_tell(t);
    }
    if (t->signs != NULL) {
        (void)arm(t); /* the timer is there */
    }
    (void)mr__attempt_call_end(t);
}

mr_status mr__signs_begin(struct mr__task *t)
{
    if (t->heartbeat_ms == 0) {
        return MR_OK;
    }
    mr__signs_heard(t);
    return arm(t);
}

void mr__signs_tell(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    char note[MR__PROGRESS_NOTE_BYTES + 1];
    double fraction = NAN;
    int64_t now = now_ms(x);
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__task_progress *progress = t->progress;
    bool fresh = progress != NULL && progress->fresh && !t->told && !x->closing;
    bool due = fresh && (progress->told_ms == 0 || now - progress->told_ms >= MR__PROGRESS_MS);
    if (due) {
        progress->fresh = false;
        progress->told_ms = now;
        fraction = progress->fraction;
        memcpy(note, progress->note, sizeof note);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (due) {
        x->events.progress(x->events.user, &t->ref, fraction, note);
    } else if (fresh) {
        (void)arm(t); /* Without memory it is told with the next one. */
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct mr__exec *x = ((struct mr__signs *)handle)->exec;
    mr__free(handle);
    x->handles--;
    mr__exec_less(x);
}

void mr__signs_end(struct mr__task *t)
{
    if (t->signs != NULL) {
        t->signs->task = NULL;
        uv_close((uv_handle_t *)&t->signs->timer, on_closed);
        t->signs = NULL;
    }
}
