/* SPDX-License-Identifier: MIT
 *
 * The thread of an attached handle: it runs the connection, and when that breaks it goes on to the
 * next owner, which may be this handle. handle.c has the states.
 *
 * Streams live through SWITCHING: each is asked again, except for commands that may have been done
 * (MR_EUNKNOWN). An owner that dies says nothing; one that leaves says "bye" and ends what is still
 * open with MR_ECLOSED, which is not passed on. What then goes on:
 *
 *   - who takes over from a dead owner resumes all unfinished runs (contract.md, "The program");
 *   - after a bye, or where somebody else has taken over (who may have had no reason to resume
 *     anything), a handle asks for its own alone: runs that it started and has not seen end, and
 *     those that its open streams wait for. An owner that was not stopped has left none of these.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/value.h"
#include "sdk/handle_impl.h"

#define SWITCH_WAIT_MS   60000  /* for the next owner: a large store takes its time */
#define ORPHAN_WAIT_MS   2000   /* for somebody else to take over, where this handle may not */
#define STARTED_RUNS_MAX 65536u /* of the runs that a handle started, those it remembers */

static void *thread_main(void *arg);
static void connections_run(mr_engine *h);
static void attached_on_line(void *user, uint64_t id, const char *json, size_t len);
static void attached_note_end(mr_engine *h, const mr_stream *stream, const char *json, size_t len);
static void switch_begin(mr_engine *h, bool ended);
static void switch_end(mr_engine *h, bool died, mr_stream **ret_resume);
static void switch_fail(mr_engine *h, const mr_error *error);
static void switch_resume_attached(mr_engine *h);
static mr_stream *switch_resume_owner(mr_engine *h, bool all);
static bool write_own_runs(mr_engine *h, struct mr__buf *buf);
static void take_resumed(mr_engine *h, mr_stream *resume);
static bool run_ids_add(struct run_ids *ids, const char *id, uint32_t max);
static void run_ids_del(struct run_ids *ids, const char *id);

/* Signals are the program's business: none is ever delivered to a thread of the library. */
mr_status mr__switch_start(mr_engine *h, mr_error *reterr)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (result == 0) {
        result = pthread_create(&h->thread, NULL, thread_main, h);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* It has just worked. */
    }
    if (result != 0) {
        return mr__error_set(reterr, MR_ENOMEM, "cannot start a thread: %s", strerror(result));
    }
    h->has_thread = true;
    return MR_OK;
}

static void *thread_main(void *arg)
{
    mr_engine *h = arg;
    connections_run(h);
    if (h->loop != NULL) {
        mr__loop_thread_over(h->loop);
    }
    return NULL;
}

/* One connection after the other, until this handle is the owner or nobody's any more. */
static void connections_run(mr_engine *h)
{
    for (;;) {
        /* This thread alone changes h->client, so that it may look at it without the lock. */
        enum mr__client_end end = mr__client_run(h->client, attached_on_line, h);
        mr_error error;
        int64_t pid = mr__client_pid(h->client);
        switch_begin(h, end != MR__CLIENT_STOPPED);
        if (end == MR__CLIENT_STOPPED) {
            (void)mr__error_set(&error, MR_ECLOSED, "the handle was closed");
            switch_fail(h, &error);
            return;
        }
        if (mr__handle_establish(h, SWITCH_WAIT_MS, ORPHAN_WAIT_MS, &error) != MR_OK) {
            switch_fail(h, &error);
            return;
        }
        mr_stream *resume = NULL;
        switch_end(h, end == MR__CLIENT_DIED, &resume);
        if (h->client == NULL) {
            mr__handle_log(h, 2,
                           "the store's owner, process %" PRId64 ", %s: this one has taken over",
                           pid, end == MR__CLIENT_DIED ? "died" : "left");
            take_resumed(h, resume);
            return;
        }
    }
}

static void attached_on_line(void *user, uint64_t id, const char *json, size_t len)
{
    mr_engine *h = user;
    (void)pthread_mutex_lock(&h->lock);
    uint64_t address;
    mr_error error;
    bool last = mr__answer_is_last(json, len);
    if (!mr__hash_get(&h->by_id, &id, sizeof id, &address)) {
        goto unlock; /* The caller closed it while this was on its way. */
    }
    mr_stream *stream = (mr_stream *)(uintptr_t)address;
    if (last && mr__answer_error(json, len, &error)) {
        if (error.status == MR_ECLOSED) {
            goto unlock; /* The owner leaves: the next one is asked. */
        }
    } else if (last) {
        attached_note_end(h, stream, json, len);
    }
    if (!mr__stream_push(stream, json, len, last) && !last) {
        char line[MR__REQUEST_HEAD_BYTES];
        int line_len = snprintf(line, sizeof line, "{\"op\":\"close\",\"of\":%" PRIu64 "}", id);
        (void)mr__client_send(h->client, line, (size_t)line_len, "", 0); /* Only to save work. */
    }
unlock:
    (void)pthread_mutex_unlock(&h->lock);
}

/* Remembers which runs go on because of this handle, and forgets them when they stand still. */
static void attached_note_end(mr_engine *h, const mr_stream *stream, const char *json, size_t len)
{
    if (stream->waits && stream->run != NULL) {
        run_ids_del(&h->started, stream->run);
    }
    if (!stream->starts) {
        return;
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value answer = mr__value_null();
    (void)mr__value_parse(&arena, json, len, &answer, NULL); /* It stays null: no run. */
    const char *run = mr_value_str(mr_value_get(&answer, "run"), NULL);
    if (run != NULL && !run_ids_add(&h->started, run, STARTED_RUNS_MAX)) {
        mr__handle_log(h, 1, "out of memory: run %s may not go on if the store's owner stops", run);
    }
    mr__arena_finish(&arena);
}

/* ---- from one owner to the next ------------------------------------------------------------ */

/* Closes the connection. `ended`: by the owner, so that what it was asked to do may be done or not.
 */
static void switch_begin(mr_engine *h, bool ended)
{
    (void)pthread_mutex_lock(&h->lock);
    struct mr__client *client = h->client;
    h->client = NULL;
    h->mode = SWITCHING;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (ended && stream->kind == MR__STREAM_ONCE && stream->sent) {
            mr_error error;
            (void)mr__error_set(&error, MR_EUNKNOWN,
                                "the store's owner ended before it answered: whether this was done "
                                "is unknown; look with show");
            mr__stream_fail(stream, &error);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
    mr__client_destroy(client);
}

/* There is an owner again: asks it everything that is open, after what makes the runs go on. */
static void switch_end(mr_engine *h, bool died, mr_stream **ret_resume)
{
    (void)pthread_mutex_lock(&h->lock);
    h->mode = h->engine != NULL ? OWNER : ATTACHED;
    if (h->mode == OWNER) {
        *ret_resume = switch_resume_owner(h, died);
    } else {
        switch_resume_attached(h);
    }
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (stream != *ret_resume && !mr__stream_has_ended(stream)) {
            mr__stream_again(stream);
            mr__handle_send(h, stream);
        }
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static void switch_fail(mr_engine *h, const mr_error *error)
{
    (void)pthread_mutex_lock(&h->lock);
    h->mode = BROKEN;
    h->broken = *error;
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        mr__stream_fail(stream, error);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

static void switch_resume_attached(mr_engine *h)
{
    static const char head[] = "{\"id\":0,\"op\":\"resume\",\"attach\":true,\"runs\":[",
                      end[] = "]}";
    struct mr__buf buf;
    mr__buf_init(&buf);
    bool any = write_own_runs(h, &buf);
    mr__buf_text(&buf, end);
    if (any && (buf.failed || !mr__client_send(h->client, head, sizeof head - 1,
                                               (const char *)buf.data, buf.len))) {
        mr__handle_log(h, 1, "out of memory: the runs of this process may not go on");
    }
    mr__buf_finish(&buf);
}

/* The stream of the request that was sent, or NULL. */
static mr_stream *switch_resume_owner(mr_engine *h, bool all)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_text(&buf, "{\"op\":\"resume\"");
    bool any = all;
    if (!all) {
        mr__buf_text(&buf, ",\"runs\":[");
        any = write_own_runs(h, &buf);
        mr__buf_text(&buf, "]");
    }
    mr__buf_text(&buf, "}");
    const char *json = mr__buf_cstr(&buf);
    mr_stream *resume = NULL;
    if (any && (json == NULL || mr__stream_create(json, false, &resume, NULL) != MR_OK)) {
        mr__handle_log(h, 0, "out of memory: the unfinished runs do not go on");
    }
    if (resume != NULL) {
        mr__handle_link(h, resume);
        mr__handle_send(h, resume);
    }
    mr__buf_finish(&buf);
    return resume;
}

/* "id","id",... of the runs that this handle has reason to wait for. False: there are none. */
static bool write_own_runs(mr_engine *h, struct mr__buf *buf)
{
    bool any = false;
    for (uint32_t i = 0; i < h->started.count; i++) {
        mr__buf_text(buf, any ? ",\"" : "\"");
        mr__buf_text(buf, h->started.list[i]);
        mr__buf_text(buf, "\"");
        any = true;
    }
    for (mr_stream *stream = h->first; stream != NULL; stream = stream->next) {
        if (stream->waits && !mr__stream_has_ended(stream)) {
            const char *run = stream->run != NULL ? stream->run : "-";
            mr__buf_text(buf, any ? "," : "");
            mr__json_str(buf, run, strlen(run));
            any = true;
        }
    }
    return any;
}

/* Reads which runs go on, for mr_close, and names those that cannot. */
static void take_resumed(mr_engine *h, mr_stream *resume)
{
    if (resume == NULL) {
        return;
    }
    const char *json = NULL;
    mr_error error;
    mr_status status = mr_stream_next(resume, MR_FOREVER, &json, &error);
    if (status != MR_OK && status != MR_ECLOSED) {
        mr__handle_log(h, 0, "the unfinished runs do not go on: %s", error.message);
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value answer = mr__value_null();
    if (status == MR_OK) {
        (void)mr__value_parse(&arena, json, strlen(json), &answer, NULL); /* It stays null. */
    }
    const mr_value *runs = mr_value_get(&answer, "runs");
    for (uint32_t i = 0; runs != NULL && runs->type == MR_LIST && i < runs->len; i++) {
        const char *run = mr_value_str(&runs->u.list[i], "");
        if (!run_ids_add(&h->resumed, run, UINT32_MAX)) {
            mr__handle_log(h, 1, "out of memory: run %s is not waited for", run);
        }
    }
    const mr_value *missing = mr_value_get(&answer, "missing");
    for (uint32_t i = 0; missing != NULL && missing->type == MR_LIST && i < missing->len; i++) {
        const mr_value *row = &missing->u.list[i];
        mr__handle_log(h, 1, "run %s does not go on: task %s has action %s, which is not here",
                       mr_value_str(mr_value_get(row, "run"), "?"),
                       mr_value_str(mr_value_get(row, "task"), "?"),
                       mr_value_str(mr_value_get(row, "action"), "?"));
    }
    mr__arena_finish(&arena);
    mr_stream_close(resume);
}

/* ---- run ids ------------------------------------------------------------------------------- */

/* False: out of memory. With `max` ids in it one of the older ones gives way. */
static bool run_ids_add(struct run_ids *ids, const char *id, uint32_t max)
{
    uint32_t at = ids->count;
    if (ids->count >= max) {
        at = ids->turn++ % max;
    } else if (ids->count == ids->cap) {
        uint32_t cap = ids->cap == 0 ? 16 : ids->cap * 2;
        void *list = cap < ids->cap ? NULL : mr__realloc(ids->list, cap * sizeof *ids->list);
        if (list == NULL) {
            return false;
        }
        ids->list = list;
        ids->cap = cap;
    }
    (void)snprintf(ids->list[at], sizeof ids->list[at], "%s", id);
    ids->count = MR__MAX(ids->count, at + 1);
    return true;
}

static void run_ids_del(struct run_ids *ids, const char *id)
{
    for (uint32_t i = 0; i < ids->count; i++) {
        if (strcmp(ids->list[i], id) == 0) {
            memcpy(ids->list[i], ids->list[--ids->count], sizeof ids->list[i]);
            return;
        }
    }
}
