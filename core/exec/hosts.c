/* SPDX-License-Identifier: MIT
 *
 * Host processes: their start, their socket, the pool of those that wait.
 */
#include "core/exec/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/exec/isolated.h"
#include "core/exec/task_host.h"

#define READ_BYTES     (64u << 10)
#define READS_PER_TURN 4u
#define HANG_UP_MS     500
#define KEPT_BYTES     (256u << 10) /* a buffer that grew beyond this is freed when it is empty */

static mr_status start_host(struct mr__task *t, struct mr__host **ret_host, mr_error *reterr);
static mr_status enter(struct mr__host *host, struct mr__task *t, mr_error *reterr);
static void leave_row(struct mr__host *host);
static void on_output(void *user, uint32_t stream, const char *bytes, size_t len);
static void on_exit_of_host(void *user, int32_t exit_code, int32_t signal_number);
static void on_socket(uv_poll_t *poll, int status, int events);
static void close_socket(struct mr__host *host);
static void flush(struct mr__host *host);
static void end_idle(struct mr__exec *x, bool all);
static void on_timer(uv_timer_t *timer);

mr_status mr__hosts_init(struct mr__exec *x, uint32_t jobs, int64_t idle_ms)
{
    const char *program = getenv("MILLRACE_HOST");
    x->hosts.max = jobs;
    x->hosts.idle_ms = idle_ms > 0 ? idle_ms : MR__HOST_IDLE_MS;
    x->hosts.program = mr__strdup(program == NULL || *program == '\0' ? MR__HOST_PROGRAM : program);
    return x->hosts.program == NULL ? MR_ENOMEM : MR_OK;
}

void mr__hosts_finish(struct mr__exec *x)
{
    mr__free(x->hosts.program);
    x->hosts.program = NULL;
}

/* ---- the pool ---------------------------------------------------------------------------------
 */

static bool fits(const struct mr__host *host, const struct mr__task *t)
{
    return host->task == NULL && !host->spoilt && host->fd >= 0 &&
           host->limits.memory_bytes == t->limits.memory_bytes &&
           host->limits.files == t->limits.files && strcmp(host->file, t->action->file) == 0;
}

mr_status mr__host_take(struct mr__task *t, mr_error *reterr)
{
    struct mr__exec *x = t->exec;
    struct mr__host *host = x->hosts.list;
    mr_status status = MR_OK;
    while (host != NULL && !fits(host, t)) {
        host = host->next;
    }
    if (host != NULL) {
        status = enter(host, t, reterr);
        if (status == MR_OK) {
            x->hosts.idle--;
            host->task = t;
            t->host = host;
        }
        return status;
    }
    if (x->hosts.count >= x->hosts.max && x->hosts.idle > 0) {
        end_idle(x, false); /* It counts like any other process. */
    }
    status = start_host(t, &host, reterr);
    if (status == MR_OK) {
        t->host = host;
    }
    return status;
}

void mr__host_give_back(struct mr__host *host)
{
    struct mr__exec *x = host->exec;
    host->task->host = NULL;
    host->task = NULL;
    leave_row(host);
    if (host->busy || host->spoilt || host->fd < 0 || x->closing ||
        x->hosts.idle == MR__HOSTS_IDLE_MAX) {
        host->spoilt = true;
        mr__host_end(host, "was not to be used again", 0);
        return;
    }
    host->idle_at_ms = (int64_t)uv_now(x->loop);
    x->hosts.idle++;
    if (!uv_is_active((uv_handle_t *)&x->hosts.timer)) {
        (void)uv_timer_start(&x->hosts.timer, on_timer, (uint64_t)x->hosts.idle_ms, 0);
    }
}

/* Ends those that wait: all, or the one that has waited longest. */
static void end_idle(struct mr__exec *x, bool all)
{
    struct mr__host *oldest = NULL;
    for (struct mr__host *host = x->hosts.list; host != NULL; host = host->next) {
        if (host->task != NULL || host->spoilt) {
            continue;
        }
        if (all) {
            mr__host_end(host, "was not needed", 0);
        } else if (oldest == NULL || host->idle_at_ms < oldest->idle_at_ms) {
            oldest = host;
        }
    }
    if (oldest != NULL) {
        mr__host_end(oldest, "was not needed", 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct mr__exec *x = timer->data;
    int64_t now = (int64_t)uv_now(x->loop), next = -1;
    for (struct mr__host *host = x->hosts.list; host != NULL; host = host->next) {
        if (host->task != NULL || host->spoilt) {
            continue;
        }
        int64_t left = host->idle_at_ms + x->hosts.idle_ms - now;
        if (left <= 0) {
            mr__host_end(host, "was not needed", 0);
        } else if (next < 0 || left < next) {
            next = left;
        }
    }
    if (next >= 0) {
        (void)uv_timer_start(timer, on_timer, (uint64_t)next, 0);
    }
}

void mr__hosts_close(struct mr__exec *x)
{
    (void)uv_timer_stop(&x->hosts.timer);
    end_idle(x, true);
}

void mr__hosts_kill(struct mr__exec *x)
{
    for (struct mr__host *host = x->hosts.list; host != NULL; host = host->next) {
        mr__host_end(host, "did not end with the engine", 0);
    }
}

void mr__hosts_leave(struct mr__exec *x)
{
    struct mr__host *next;
    for (struct mr__host *host = x->hosts.list; host != NULL; host = next) {
        next = host->next;
        if (host->process != NULL) {
            mr__process_forget(host->process);
            host->process = NULL;
        }
        if (host->task != NULL) {
            host->task->host = NULL;
            host->task = NULL;
        }
        close_socket(host);
    }
}

void mr__host_end(struct mr__host *host, const char *why, int64_t grace_ms)
{
    if (host->task == NULL && !host->spoilt) {
        host->exec->hosts.idle--;
    }
    host->spoilt = true;
    host->why = host->why == NULL ? why : host->why;
    if (host->process != NULL) {
        mr__process_end(host->process, grace_ms);
    }
}

/* ---- the process ------------------------------------------------------------------------------
 */

/* While an attempt is in it the child table says so, so that a later engine ends it first. */
static mr_status enter(struct mr__host *host, struct mr__task *t, mr_error *reterr)
{
    struct mr__exec *x = host->exec;
    struct mr__child_key key = t->entry->key;
    key.task |= MR__CHILD_HOST;
    if (!x->has_table) {
        return MR_OK;
    }
    mr_status status = mr__child_table_enter_again(&x->table, &key, &host->row);
    if (status != MR_OK) {
        host->row = MR__CHILD_NO_ROW;
        return mr__error_set(reterr, status, "the table of children is full (%u)",
                             MR__CHILD_TABLE_ROWS);
    }
    if (host->pid != 0) {
        mr__child_table_adopt(&x->table, host->row, host->pid, host->start);
    }
    return MR_OK;
}

static void leave_row(struct mr__host *host)
{
    if (host->row != MR__CHILD_NO_ROW) {
        mr__child_table_free(&host->exec->table, host->row);
        host->row = MR__CHILD_NO_ROW;
    }
}

static void free_host(struct mr__host *host)
{
    mr__buf_finish(&host->in);
    mr__buf_finish(&host->out);
    mr__free(host->file);
    mr__free(host);
}

/* Both ends of a socket; the engine's does not block. */
static mr_status open_socket(int ret_ends[2], mr_error *reterr)
{
    bool made = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends) == 0;
    for (int i = 0; i < 2 && made; i++) {
        ret_ends[i] = mr__process_above_stdio(ret_ends[i]);
    }
    if (!made || ret_ends[0] < 0 || ret_ends[1] < 0) {
        int number = errno;
        for (int i = 0; i < 2 && made; i++) {
            if (ret_ends[i] >= 0) {
                (void)close(ret_ends[i]);
            }
        }
        return mr__error_set(reterr, mr__status_from_errno(number),
                             "cannot make a socket for a host process: %s", strerror(number));
    }
    return MR_OK;
}

static mr_status launch(struct mr__host *host, int theirs, mr_error *reterr)
{
    struct mr__exec *x = host->exec;
    const char *argv[] = {x->hosts.program, host->file, NULL};
    bool entered = host->row != MR__CHILD_NO_ROW;
    struct mr__process_start start = {.loop = x->loop,
                                      .stack = &x->stack,
                                      .table = entered ? &x->table : NULL,
                                      .row = host->row,
                                      .argv = argv,
                                      .grace_ms = MR__CHILD_GRACE_MS,
                                      .descriptor = theirs,
                                      .user = host,
                                      .on_output = on_output,
                                      .on_exit = on_exit_of_host,
                                      .open_count = &x->children,
                                      .on_closed = mr__exec_less,
                                      .closed_user = x};
    mr_status status = mr__process_start(&start, &host->process, reterr);
    if (status == MR_OK && entered) {
        (void)mr__child_table_child(&x->table, host->row, &host->pid, &host->start);
        mr__process_leave_row(host->process);
    }
    return status;
}

static mr_status watch_socket(struct mr__host *host, mr_error *reterr)
{
    struct mr__exec *x = host->exec;
    int failed = uv_poll_init(x->loop, &host->poll, host->fd);
    if (failed == 0) {
        host->polled = true;
        host->poll.data = host;
        x->handles++;
        failed = uv_poll_start(&host->poll, UV_READABLE, on_socket);
    } else { /* The loop does not know it, and so nobody may look at it. */
        (void)close(host->fd);
        host->fd = -1;
    }
    return failed == 0 ? MR_OK
                       : mr__error_set(reterr, MR_EIO, "cannot watch a host process: %s",
                                       uv_strerror(failed));
}

static mr_status say_hello(struct mr__host *host)
{
    struct mr__wire hello = {
        .kind = MR__WIRE_HELLO,
        .number = {MR__WIRE_VERSION, (int64_t)host->limits.memory_bytes, host->limits.files},
        .text = {mr__wire_text(host->file)}};
    return mr__wire_write(&host->out, &hello); /* It goes with the first START. */
}

static mr_status start_host(struct mr__task *t, struct mr__host **ret_host, mr_error *reterr)
{
    struct mr__exec *x = t->exec;
    int ends[2] = {-1, -1};
    struct mr__host *host = mr__calloc(1, sizeof *host);
    if (host == NULL) {
        return mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    *host = (struct mr__host){.exec = x, .task = t, .limits = t->limits, .fd = -1};
    host->row = MR__CHILD_NO_ROW;
    host->file = mr__strdup(t->action->file);
    mr_status status = host->file == NULL || say_hello(host) != MR_OK
                           ? mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM))
                           : open_socket(ends, reterr);
    if (status != MR_OK) {
        free_host(host);
        return status;
    }
    host->fd = ends[0];
    status = enter(host, t, reterr);
    if (status == MR_OK) {
        status = launch(host, ends[1], reterr);
    }
    (void)close(ends[1]);
    if (status == MR_OK) {
        host->next = x->hosts.list;
        x->hosts.list = host;
        x->hosts.count++;
        status = watch_socket(host, reterr);
        if (status != MR_OK) { /* Its end frees it. */
            leave_row(host);
            host->task = NULL;
            host->spoilt = true;
            mr__process_end(host->process, 0);
        }
    } else {
        leave_row(host);
        (void)close(host->fd);
        free_host(host);
    }
    *ret_host = host;
    return status;
}

static void unlist(struct mr__host *host)
{
    struct mr__host **link = &host->exec->hosts.list;
    while (*link != host) {
        link = &(*link)->next;
    }
    *link = host->next;
    host->exec->hosts.count--;
}

static void on_output(void *user, uint32_t stream, const char *bytes, size_t len)
{
    struct mr__host *host = user;
    struct mr__exec *x = host->exec;
    if (host->task != NULL && !host->task->told && !x->closing) {
        mr__task_log_flush(host->task);
        x->events.log(x->events.user, &host->task->ref, stream, bytes, len);
    }
}

static void on_exit_of_host(void *user, int32_t exit_code, int32_t signal_number)
{
    struct mr__host *host = user;
    struct mr__task *t = host->task;
    const char *why = mr__process_was_killed(host->process) ? host->why : NULL;
    if (t == NULL && !host->spoilt) {
        host->exec->hosts.idle--;
    }
    host->process = NULL;
    host->spoilt = true;
    leave_row(host);
    if (host->fd >= 0) {
        on_socket(&host->poll, 0, UV_READABLE); /* What it said last: perhaps that it is done. */
        t = host->task;
    }
    if (t != NULL) {
        t->host = NULL;
        host->task = NULL;
    }
    close_socket(host);
    if (t != NULL) {
        mr__isolated_on_ended(t, exit_code, signal_number, why);
    }
}

/* ---- the socket -------------------------------------------------------------------------------
 */

static void on_closed(uv_handle_t *handle)
{
    struct mr__host *host = handle->data;
    struct mr__exec *x = host->exec;
    x->handles--;
    free_host(host);
    mr__exec_less(x);
}

/* Of one whose process has ended, or is to be forgotten: it is freed. */
static void close_socket(struct mr__host *host)
{
    unlist(host);
    if (host->fd >= 0) {
        (void)close(host->fd);
        host->fd = -1;
    }
    if (host->polled) {
        uv_close((uv_handle_t *)&host->poll, on_closed);
    } else {
        free_host(host);
    }
}

static void shrink(struct mr__buf *buf)
{
    if (buf->cap > KEPT_BYTES) {
        mr__buf_finish(buf);
        mr__buf_init(buf);
    } else {
        mr__buf_reset(buf);
    }
}

/* Nothing that it says is worth anything any more; its end is told by its process. */
static void stop_listening(struct mr__host *host, const char *why, int64_t grace_ms)
{
    host->deaf = true;
    (void)uv_poll_stop(&host->poll);
    mr__host_end(host, why, grace_ms);
}

/* Most often because it ends: of what it died is then told by its status. */
static void on_hang_up(struct mr__host *host)
{
    stop_listening(host, MR__HOST_CLOSED, HANG_UP_MS);
}

/* Sends what the socket takes. */
static void flush(struct mr__host *host)
{
    while (host->sent < host->out.len) {
        ssize_t n = send(host->fd, host->out.data + host->sent, host->out.len - host->sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            break;
        }
        host->sent += (size_t)n;
    }
    bool all = host->sent == host->out.len;
    if (all) {
        shrink(&host->out);
        host->sent = 0;
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
        on_hang_up(host);
        return;
    } else if (host->sent >= KEPT_BYTES) {
        memmove(host->out.data, host->out.data + host->sent, host->out.len - host->sent);
        host->out.len -= host->sent;
        host->sent = 0;
    }
    if (all == host->writing && !host->deaf) {
        host->writing = !all;
        int events = all ? UV_READABLE : UV_READABLE | UV_WRITABLE;
        (void)uv_poll_start(&host->poll, events, on_socket); /* It is started: cannot fail. */
    }
}

mr_status mr__host_send(struct mr__host *host, const struct mr__wire *message)
{
    if (host->fd < 0 || host->out.len - host->sent > MR__WIRE_QUEUE_BYTES) {
        return MR_ELIMIT;
    }
    mr_status status = mr__wire_write(&host->out, message);
    if (status == MR_OK) {
        flush(host);
    }
    return status;
}

/* Hands on each message that is all there. */
static void deliver(struct mr__host *host)
{
    size_t at = 0, used = 0;
    mr_status status = MR_OK;
    while (host->fd >= 0 && !host->deaf) {
        struct mr__wire message;
        status = mr__wire_read(host->in.data + at, host->in.len - at, MR__WIRE_FROM_HOST, &message,
                               &used);
        if (status != MR_OK) {
            break;
        }
        at += used;
        bool last = at == host->in.len;
        if (host->task == NULL) {
            mr__host_end(host, "spoke after its attempt", 0);
        } else if (!mr__isolated_on_message(host->task, &message, last)) {
            status = MR_EFORMAT;
            break;
        }
    }
    if (status == MR_EFORMAT) {
        stop_listening(host, "sent what is no message", 0);
        at = host->in.len;
    }
    if (at == host->in.len) {
        shrink(&host->in);
    } else if (at > 0) {
        memmove(host->in.data, host->in.data + at, host->in.len - at);
        host->in.len -= at;
    }
}

static void receive(struct mr__host *host)
{
    for (unsigned i = 0; i < READS_PER_TURN && host->fd >= 0 && !host->deaf; i++) {
        if (!mr__buf_reserve(&host->in, READ_BYTES)) {
            stop_listening(host, "sent more than there is memory for", 0);
            return;
        }
        size_t room = host->in.cap - host->in.len;
        ssize_t n = recv(host->fd, host->in.data + host->in.len, room, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            on_hang_up(host);
            return;
        }
        host->in.len += (size_t)n;
        deliver(host);
        if ((size_t)n < room) {
            return;
        }
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct mr__host *host = poll->data;
    struct mr__task *t = host->task;
    if (t != NULL) {
        mr__attempt_call_begin(t); /* What it logs is told with this turn; it may end in it. */
    }
    if ((events & UV_WRITABLE) != 0 && host->fd >= 0) {
        flush(host);
    }
    receive(host);
    if (t != NULL) {
        (void)mr__attempt_call_end(t);
    }
}
