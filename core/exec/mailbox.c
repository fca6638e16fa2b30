/* SPDX-License-Identifier: MIT
 *
 * The mailbox: how other threads reach the loop. Each attempt has a queue of what it logged, traced
 * and posted, bounded in bytes and messages; the executor has a queue of the attempts that have
 * something, and one of letters, each of which knows what is to be done. Everything under the
 * executor's mutex; delivered on the loop.
 */
#include <stdlib.h>

#include "core/exec/task_host.h"

#define MESSAGES_PER_TURN 256u /* so that a talkative worker cannot hold the loop */

void mr__attempt_wake_loop(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    if (atomic_load(&t->queued)) {
        return;
    }
    atomic_store(&t->queued, true);
    t->queue_next = NULL;
    if (x->queue_last != NULL) {
        x->queue_last->queue_next = t;
    } else {
        x->queue_first = t;
    }
    x->queue_last = t;
    (void)uv_async_send(&x->async);
}

/* True where nothing can be left with the attempt any more. */
static bool is_deaf(const struct mr__task *t)
{
    uint32_t state = atomic_load(&t->state);
    return t->exec->closed || state == MR__TASK_FREE || state == MR__TASK_ABANDONED ||
           (state == MR__TASK_FINISHED && t->finish_posted);
}

mr_status mr__attempt_push(struct mr__task *t, struct mr__message *message)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    while (!is_deaf(t) && atomic_load(&t->state) == MR__TASK_QUEUED &&
           t->queued_bytes >= MR__TASK_MAILBOX_BYTES) {
        (void)pthread_cond_wait(&x->room, &x->mutex); /* Only the worker comes here: t is safe. */
    }
    bool full =
        t->queued_bytes >= MR__TASK_MAILBOX_BYTES || t->queued_count >= MR__TASK_MESSAGES_MAX;
    mr_status status = is_deaf(t) ? MR_ECANCELED : full ? MR_ELIMIT : MR_OK;
    if (status == MR_OK) {
        message->next = NULL;
        if (t->last != NULL) {
            t->last->next = message;
        } else {
            t->first = message;
        }
        t->last = message;
        t->queued_bytes += message->len;
        t->queued_count++;
        mr__attempt_wake_loop(t);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    if (status != MR_OK) {
        mr__free(message);
    }
    return status;
}

/* The oldest message, or NULL. **Owned**: mr__free. */
static struct mr__message *pop_message(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__message *message = t->first;
    if (message != NULL) {
        bool was_full = t->queued_bytes >= MR__TASK_MAILBOX_BYTES;
        t->first = message->next;
        t->last = t->first == NULL ? NULL : t->last;
        t->queued_bytes -= message->len;
        t->queued_count--;
        if (was_full) {
            (void)pthread_cond_broadcast(&x->room);
        }
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return message;
}

static void deliver(struct mr__task *t, const struct mr__message *message)
{
    struct mr__exec *x = t->exec;
    if (t->told || x->closing) {
        return;
    }
    if (message->kind == MR__MESSAGE_TRACE) {
        mr__task_log_flush(t);
        x->events.trace(x->events.user, &t->ref, message->bytes, message->len);
    } else if (message->kind == MR__MESSAGE_LOG) {
        mr__task_log_add(t, message->stream, message->bytes, message->len);
    }
}

/* Before an attempt's end: what was logged comes first, posts come no more; out of the mailbox. */
void mr__attempt_flush(struct mr__task *t)
{
    struct mr__exec *x = t->exec;
    for (struct mr__message *message; (message = pop_message(t)) != NULL;) {
        deliver(t, message);
        mr__free(message);
    }
    (void)pthread_mutex_lock(&x->mutex);
    if (atomic_load(&t->queued)) {
        struct mr__task *before = NULL;
        for (struct mr__task *at = x->queue_first; at != t; at = at->queue_next) {
            before = at;
        }
        *(before == NULL ? &x->queue_first : &before->queue_next) = t->queue_next;
        x->queue_last = x->queue_last == t ? before : x->queue_last;
        atomic_store(&t->queued, false);
    }
    (void)pthread_mutex_unlock(&x->mutex);
}

static struct mr__task *pop_task(struct mr__exec *x)
{
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__task *t = x->queue_first;
    if (t != NULL) {
        x->queue_first = t->queue_next;
        x->queue_last = x->queue_first == NULL ? NULL : x->queue_last;
        atomic_store(&t->queued, false);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return t;
}

static void drain_notes(struct mr__exec *x)
{
    char *note;
    do {
        (void)pthread_mutex_lock(&x->mutex);
        note = x->note_count == 0 ? NULL : x->notes[--x->note_count];
        (void)pthread_mutex_unlock(&x->mutex);
        if (note != NULL && x->log != NULL) {
            x->log(x->log_user, 1, note);
        }
        mr__free(note);
    } while (note != NULL);
}

bool mr__exec_post(struct mr__exec *x, struct mr__letter *letter)
{
    (void)pthread_mutex_lock(&x->mutex);
    bool open = !x->closed;
    if (open) {
        letter->next = NULL;
        *(x->letter_last == NULL ? &x->letter_first : &x->letter_last->next) = letter;
        x->letter_last = letter;
        (void)uv_async_send(&x->async);
    }
    (void)pthread_mutex_unlock(&x->mutex);
    return open;
}

void mr__exec_drain_letters(struct mr__exec *x)
{
    (void)pthread_mutex_lock(&x->mutex);
    struct mr__letter *letter = x->letter_first;
    x->letter_first = x->letter_last = NULL;
    (void)pthread_mutex_unlock(&x->mutex);
    while (letter != NULL) {
        struct mr__letter *next = letter->next;
        letter->deliver(x, letter);
        letter = next;
    }
}

/* Letters come before the ends of attempts: a flush that a worker asked for is told before the end
 * that follows it. */
void mr__attempt_drain(struct mr__exec *x)
{
    unsigned left = MESSAGES_PER_TURN;
    drain_notes(x);
    mr__exec_drain_letters(x);
    for (struct mr__task *t; (t = pop_task(x)) != NULL;) {
        mr__attempt_call_begin(t);
        mr__signs_tell(t);
        mr__task_locks_tell(t);
        for (struct mr__message *message; !t->released && (message = pop_message(t)) != NULL;) {
            left--;
            if (message->kind != MR__MESSAGE_POST) {
                deliver(t, message);
            } else if (atomic_load(&t->state) == MR__TASK_PENDING) {
                message->cb(&t->head, message->arg);
            }
            mr__free(message);
            if (left == 0) {
                break;
            }
        }
        (void)pthread_mutex_lock(&x->mutex);
        if (left == 0 && !t->released) { /* The rest in another turn. */
            mr__attempt_wake_loop(t);
            (void)pthread_mutex_unlock(&x->mutex);
            (void)mr__attempt_call_end(t);
            return;
        }
        bool finished = t->finish_posted && atomic_load(&t->state) == MR__TASK_FINISHED;
        t->finish_posted = t->finish_posted && !finished; /* A child may have to end first. */
        (void)pthread_mutex_unlock(&x->mutex);
        if (finished && !t->released) {
            mr__attempt_finished(t);
        }
        (void)mr__attempt_call_end(t);
    }
}
