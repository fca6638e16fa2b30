/* SPDX-License-Identifier: MIT
 *
 * The socket of a host process.
 */
#include "core/host/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)
#define KEPT_BYTES (1u << 20)

struct mr__channel_call {
    struct mr__channel_call *next;
    int64_t number;
    bool done;
    struct mr__answer *answer;
};

void mr__channel_die(void)
{
    (void)kill(0, SIGKILL); /* What the plugin has started goes too. */
    _exit(1);
}

/* The socket cannot be used any more: the plugin has closed it, or the engine is gone. */
static _Noreturn void die_of(int number)
{
    if (number == EBADF || number == ENOTSOCK) {
        _exit(MR__WIRE_EXIT_CLOSED);
    }
    mr__channel_die();
}

mr_status mr__channel_init(struct mr__channel *c, int fd)
{
    pthread_condattr_t monotonic;
    memset(c, 0, sizeof *c);
    c->fd = fd;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return mr__status_from_errno(errno);
    }
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)pthread_mutex_init(&c->out_mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return MR_OK;
}

/* ---- out --------------------------------------------------------------------------------------
 */

mr_status mr__channel_send(struct mr__channel *c, const struct mr__wire *message)
{
    (void)pthread_mutex_lock(&c->out_mutex);
    mr_status status = mr__wire_write(&c->out, message);
    size_t sent = 0;
    while (status == MR_OK && sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            die_of(errno);
        }
        sent += n < 0 ? 0 : (size_t)n;
    }
    if (c->out.cap > KEPT_BYTES) {
        mr__buf_finish(&c->out);
        mr__buf_init(&c->out);
    }
    mr__buf_reset(&c->out);
    (void)pthread_mutex_unlock(&c->out_mutex);
    return status;
}

/* ---- in: the reader ---------------------------------------------------------------------------
 */

static void answer_call(struct mr__channel *c, const struct mr__wire *m)
{
    struct mr__channel_call *call = c->calls;
    while (call != NULL && call->number != m->number[0]) {
        call = call->next;
    }
    if (call == NULL) {
        return; /* Nobody waits any more. */
    }
    struct mr__answer *answer = call->answer;
    answer->status = (mr_status)m->number[1];
    answer->fence = (uint64_t)m->number[2];
    answer->has_value = m->text[0].data != NULL;
    answer->has_reason = m->text[1].data != NULL;
    mr__buf_bytes(&answer->value, m->text[0].data, m->text[0].len);
    mr__buf_bytes(&answer->reason, m->text[1].data, m->text[1].len);
    if (answer->value.failed || answer->reason.failed) {
        answer->status = MR_ENOMEM;
        answer->has_value = answer->has_reason = false;
    }
    call->done = true;
}

/* Keeps a message for the main thread: START and LOCKED. */
static void keep(struct mr__channel *c, const uint8_t *bytes, size_t len)
{
    struct mr__letter_in *letter = mr__malloc(sizeof *letter + len);
    size_t used;
    if (letter != NULL) {
        memcpy(letter->bytes, bytes, len);
        letter->next = NULL;
        (void)mr__wire_read(letter->bytes, len, MR__WIRE_FROM_ENGINE, &letter->message, &used);
        *(c->last == NULL ? &c->first : &c->last->next) = letter;
        c->last = letter;
        return;
    }
    mr__channel_die(); /* Nobody could be told. */
}

/* Under the mutex: what is whole goes where it belongs. */
static void dispatch(struct mr__channel *c)
{
    size_t at = 0, used;
    struct mr__wire m;
    mr_status status;
    while ((status = mr__wire_read(c->in.data + at, c->in.len - at, MR__WIRE_FROM_ENGINE, &m,
                                   &used)) == MR_OK) {
        if (m.kind == MR__WIRE_ANSWER) {
            answer_call(c, &m);
        } else if (m.kind == MR__WIRE_CANCEL) {
            atomic_store(&c->cancel_reason, (uint32_t)m.number[0]);
            c->woken = true;
        } else {
            keep(c, c->in.data + at, used);
        }
        at += used;
    }
    if (status == MR_EFORMAT) {
        mr__channel_die();
    }
    memmove(c->in.data, c->in.data + at, c->in.len - at);
    c->in.len -= at;
    if (c->in.len == 0 && c->in.cap > KEPT_BYTES) {
        mr__buf_finish(&c->in);
        mr__buf_init(&c->in);
    }
}

/* The reader's, without the mutex: waits for bytes (ms: -1, for ever), or for `wake` too. */
static void read_some(struct mr__channel *c, int64_t ms, bool for_main)
{
    struct pollfd fds[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = c->wake, .events = POLLIN}};
    if (ms != 0 && (for_main || ms > 0)) {
        int timeout = ms < 0 ? -1 : (int)MR__MIN(ms, INT32_MAX);
        (void)poll(fds, for_main ? 2 : 1, timeout); /* A signal is as good as an event. */
    }
    if (!mr__buf_reserve(&c->in, READ_BYTES)) {
        mr__channel_die();
    }
    bool blocks = ms < 0 && !for_main;
    ssize_t n =
        recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, blocks ? 0 : MSG_DONTWAIT);
    if (n == 0) {
        mr__channel_die();
    }
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        die_of(errno);
    }
    c->in.len += n < 0 ? 0 : (size_t)n;
}

/* Under the mutex, which is released meanwhile. */
static void read_as_reader(struct mr__channel *c, int64_t ms, bool for_main)
{
    c->reading = true;
    (void)pthread_mutex_unlock(&c->mutex);
    read_some(c, ms, for_main);
    (void)pthread_mutex_lock(&c->mutex);
    dispatch(c);
    c->reading = false;
    (void)pthread_cond_broadcast(&c->changed);
}

void mr__channel_look(struct mr__channel *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    if (!c->reading) {
        read_as_reader(c, 0, false);
    }
    (void)pthread_mutex_unlock(&c->mutex);
}

void mr__channel_call(struct mr__channel *c, struct mr__wire *message, bool gives_up,
                      struct mr__answer *ret_answer)
{
    struct mr__channel_call call = {.answer = ret_answer};
    memset(ret_answer, 0, sizeof *ret_answer);
    (void)pthread_mutex_lock(&c->mutex);
    call.number = message->number[0] = ++c->next_number;
    call.next = c->calls;
    /* cppcheck-suppress autoVariables ; it is taken out again before this returns */
    c->calls = &call;
    (void)pthread_mutex_unlock(&c->mutex);
    mr_status status = mr__channel_send(c, message);
    (void)pthread_mutex_lock(&c->mutex);
    while (status == MR_OK && !call.done) {
        if (gives_up && atomic_load(&c->cancel_reason) != 0) {
            status = MR_ECANCELED;
        } else if (c->reading) {
            (void)pthread_cond_wait(&c->changed, &c->mutex);
        } else {
            read_as_reader(c, -1, false);
        }
    }
    struct mr__channel_call **link = &c->calls;
    while (*link != &call) {
        link = &(*link)->next;
    }
    *link = call.next;
    (void)pthread_mutex_unlock(&c->mutex);
    if (status != MR_OK) {
        ret_answer->status = status;
    }
}

void mr__answer_finish(struct mr__answer *answer)
{
    mr__buf_finish(&answer->value);
    mr__buf_finish(&answer->reason);
}

/* ---- the main thread --------------------------------------------------------------------------
 */

void mr__channel_wake(struct mr__channel *c)
{
    uint64_t one = 1;
    (void)pthread_mutex_lock(&c->mutex);
    c->woken = true;
    (void)pthread_cond_broadcast(&c->changed);
    /* Both under the mutex: whoever takes the one takes the other. */
    if (write(c->wake, &one, sizeof one) < 0 && errno != EAGAIN) {
        die_of(EBADF); /* The plugin has closed it. */
    }
    (void)pthread_mutex_unlock(&c->mutex);
}

static void wait_for_reader(struct mr__channel *c, int64_t ms)
{
    struct timespec until;
    if (ms < 0) {
        (void)pthread_cond_wait(&c->changed, &c->mutex);
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&c->changed, &c->mutex, &until);
}

bool mr__channel_wait(struct mr__channel *c, int64_t ms)
{
    uint64_t count;
    (void)pthread_mutex_lock(&c->mutex);
    if (c->first == NULL && !c->woken) {
        if (c->reading) {
            wait_for_reader(c, ms);
        } else {
            read_as_reader(c, ms, true);
        }
    }
    bool came = c->first != NULL || c->woken;
    if (c->woken) {
        c->woken = false;
        (void)!read(c->wake, &count, sizeof count); /* There may be nothing in it. */
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return came;
}

struct mr__letter_in *mr__channel_take(struct mr__channel *c)
{
    (void)pthread_mutex_lock(&c->mutex);
    struct mr__letter_in *letter = c->first;
    if (letter != NULL) {
        c->first = letter->next;
        c->last = c->first == NULL ? NULL : c->last;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return letter;
}

struct mr__letter_in *mr__channel_next(struct mr__channel *c)
{
    struct mr__letter_in *letter;
    while ((letter = mr__channel_take(c)) == NULL) {
        (void)pthread_mutex_lock(&c->mutex);
        if (c->reading) {
            wait_for_reader(c, -1);
        } else if (c->first == NULL) {
            read_as_reader(c, -1, false);
        }
        (void)pthread_mutex_unlock(&c->mutex);
    }
    return letter;
}
