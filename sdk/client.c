/* SPDX-License-Identifier: MIT
 *
 * The attached side: see client.h and docs/requests.md.
 *
 * The descriptor never blocks: the thread that runs the connection waits for the socket and for the
 * wake in one poll, reads what there is, and writes what others have queued. So neither side can
 * get stuck in a write while the other one writes too. `lock` guards the queue alone.
 */
#include "sdk/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/value.h"
#include "core/engine/engine.h"

#define READ_BYTES      (64u << 10)
#define BUF_BYTES_KEPT  (1u << 20) /* a larger buffer is given back once it is empty */
#define HELLO_BYTES_MAX 4096u

struct mr__client {
    int fd;
    struct mr__wake *wake; /* borrowed */
    int64_t pid;
    bool bye;

    /* The running thread's own. `in` holds bytes from in_start on; no line ends before in_scan. */
    struct mr__buf in;
    size_t in_start, in_scan;
    struct mr__buf sending;
    size_t sent;

    pthread_mutex_t lock;
    struct mr__buf out; /* guarded by lock */
};

static mr_status client_hello(struct mr__client *client, int64_t wait_ms, mr_error *reterr);
static mr_status hello_check(struct mr__client *client, const char *line, size_t len,
                             mr_error *reterr);
static bool client_read(struct mr__client *client);
static bool client_next_line(struct mr__client *client, char **ret_line, size_t *ret_len);
static bool client_write(struct mr__client *client);
static bool client_has_output(struct mr__client *client);
static void client_on_line(struct mr__client *client, char *line, size_t len,
                           mr__client_line_fn on_line, void *user);

/* ---- the wake ------------------------------------------------------------------------------ */

mr_status mr__wake_init(struct mr__wake *wake, mr_error *reterr)
{
    atomic_init(&wake->stop, false);
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake->fd < 0) {
        return mr__error_set(reterr, MR_ENOMEM, "cannot make an eventfd: %s", strerror(errno));
    }
    return MR_OK;
}

void mr__wake_finish(struct mr__wake *wake)
{
    if (wake->fd >= 0) {
        (void)close(wake->fd);
    }
}

void mr__wake_ring(struct mr__wake *wake)
{
    uint64_t one = 1;
    ssize_t written = write(wake->fd, &one, sizeof one);
    (void)written; /* It fails only where the counter is full, and then the other side is awake. */
}

void mr__wake_stop(struct mr__wake *wake)
{
    atomic_store(&wake->stop, true);
    mr__wake_ring(wake);
}

static void wake_clear(struct mr__wake *wake)
{
    uint64_t count;
    ssize_t got = read(wake->fd, &count, sizeof count);
    (void)got; /* Nothing to read is as good. */
}

bool mr__wake_sleep(struct mr__wake *wake, int64_t ms)
{
    struct mr__clock *clock = mr__clock_system();
    int64_t due = clock->monotonic_ms(clock) + ms;
    while (!atomic_load(&wake->stop)) {
        int64_t left = due - clock->monotonic_ms(clock);
        if (left <= 0) {
            return true;
        }
        struct pollfd at = {.fd = wake->fd, .events = POLLIN};
        if (poll(&at, 1, (int)MR__MIN(left, 1000)) > 0) {
            wake_clear(wake);
        }
    }
    return false;
}

/* ---- connecting ---------------------------------------------------------------------------- */

mr_status mr__client_create(struct mr__folder *folder, struct mr__wake *wake, int64_t wait_ms,
                            struct mr__client **ret_client, mr_error *reterr)
{
    int fd;
    mr_status status = mr__folder_connect(folder, &fd, reterr);
    if (status != MR_OK) {
        return status;
    }
    struct mr__client *client = mr__calloc(1, sizeof *client);
    if (client == NULL || pthread_mutex_init(&client->lock, NULL) != 0) {
        mr__free(client);
        (void)close(fd); /* Nothing was written. */
        return mr__error_set(reterr, MR_ENOMEM, "out of memory");
    }
    client->fd = fd;
    client->wake = wake;
    mr__buf_init(&client->in);
    mr__buf_init(&client->sending);
    mr__buf_init(&client->out);
    status = client_hello(client, wait_ms, reterr);
    if (status != MR_OK) {
        mr__client_destroy(client);
        return status;
    }
    *ret_client = client;
    return MR_OK;
}

void mr__client_destroy(struct mr__client *client)
{
    if (client == NULL) {
        return;
    }
    (void)close(client->fd); /* What was not written is asked again elsewhere. */
    mr__buf_finish(&client->in);
    mr__buf_finish(&client->sending);
    mr__buf_finish(&client->out);
    (void)pthread_mutex_destroy(&client->lock);
    mr__free(client);
}

int64_t mr__client_pid(const struct mr__client *client)
{
    return client->pid;
}

/* The owner listens before it has read its store, so that this may take a while. */
static mr_status client_hello(struct mr__client *client, int64_t wait_ms, mr_error *reterr)
{
    struct mr__clock *clock = mr__clock_system();
    int64_t due = clock->monotonic_ms(clock) + wait_ms;
    for (;;) {
        char *line;
        size_t len;
        if (client_next_line(client, &line, &len)) {
            return hello_check(client, line, len, reterr);
        }
        if (client->in.len - client->in_start > HELLO_BYTES_MAX) {
            return mr__error_set(reterr, MR_ESTORE, "the store's socket speaks another protocol");
        }
        int64_t left = due - clock->monotonic_ms(clock);
        if (left <= 0) {
            return mr__error_set(reterr, MR_ETIMEDOUT, "the store's owner does not answer");
        }
        struct pollfd at[2] = {{.fd = client->fd, .events = POLLIN},
                               {.fd = client->wake->fd, .events = POLLIN}};
        if (poll(at, 2, (int)MR__MIN(left, 1000)) <= 0) {
            continue;
        }
        if (at[1].revents != 0) {
            wake_clear(client->wake);
            if (atomic_load(&client->wake->stop)) {
                return mr__error_set(reterr, MR_ECLOSED, "stopped");
            }
        }
        if (at[0].revents != 0 && !client_read(client)) {
            return mr__error_set(reterr, MR_EBUSY, "the store's owner has just left");
        }
    }
}

static mr_status hello_check(struct mr__client *client, const char *line, size_t len,
                             mr_error *reterr)
{
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value hello = mr__value_null();
    mr_status status = mr__value_parse(&arena, line, len, &hello, NULL);
    const mr_value *error = mr_value_get(&hello, "error");
    if (status == MR_ENOMEM) {
        (void)mr__error_set(reterr, status, "out of memory");
    } else if (status != MR_OK) {
        status = mr__error_set(reterr, MR_ESTORE, "the store's socket speaks another protocol");
    } else if (mr_value_get(&hello, "bye") != NULL) {
        status = mr__error_set(reterr, MR_EBUSY, "the store's owner has just left");
    } else if (error != NULL) {
        status = (mr_status)mr_value_int(mr_value_get(error, "status"), MR_ESTORE);
        status = mr__error_set(reterr, status < 0 ? status : MR_ESTORE, "the store's owner: %s",
                               mr_value_str(mr_value_get(error, "message"), "refused"));
    } else if (mr_value_int(mr_value_get(&hello, "protocol"), -1) != MR__PROTOCOL) {
        status = mr__error_set(reterr, MR_ESTORE,
                               "the store's owner is millrace %s, which speaks another protocol",
                               mr_value_str(mr_value_get(&hello, "millrace"), "of some version"));
    } else {
        client->pid = mr_value_int(mr_value_get(&hello, "pid"), 0);
    }
    mr__arena_finish(&arena);
    return status;
}

/* ---- running ------------------------------------------------------------------------------- */

bool mr__client_send(struct mr__client *client, const char *head, size_t head_len, const char *tail,
                     size_t tail_len)
{
    (void)pthread_mutex_lock(&client->lock);
    /* Room first: half a line must never stay in the queue. */
    bool queued = mr__buf_reserve(&client->out, head_len + tail_len + 1);
    if (queued) {
        mr__buf_bytes(&client->out, head, head_len);
        mr__buf_bytes(&client->out, tail, tail_len);
        mr__buf_u8(&client->out, '\n');
    } else {
        client->out.failed = false; /* What was queued before is whole and still goes out. */
    }
    (void)pthread_mutex_unlock(&client->lock);
    mr__wake_ring(client->wake);
    return queued;
}

enum mr__client_end mr__client_run(struct mr__client *client, mr__client_line_fn on_line,
                                   void *user)
{
    bool open = true;
    for (;;) {
        char *line;
        size_t len;
        while (client_next_line(client, &line, &len)) {
            client_on_line(client, line, len, on_line, user);
        }
        if (atomic_load(&client->wake->stop)) {
            return MR__CLIENT_STOPPED;
        }
        if (!open || client->bye) {
            return client->bye ? MR__CLIENT_BYE : MR__CLIENT_DIED;
        }
        short events = client_has_output(client) ? POLLIN | POLLOUT : POLLIN;
        struct pollfd at[2] = {{.fd = client->fd, .events = events},
                               {.fd = client->wake->fd, .events = POLLIN}};
        if (poll(at, 2, -1) < 0) {
            continue; /* Signals are blocked here; anything else shows at the next read. */
        }
        if (at[1].revents != 0) {
            wake_clear(client->wake);
        }
        /* What the owner wrote before it died is read although writing fails already. */
        if ((at[0].revents & POLLOUT) != 0) {
            (void)client_write(client);
        }
        if ((at[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            open = client_read(client);
        }
    }
}

/* Reads once. False: the connection has ended. */
static bool client_read(struct mr__client *client)
{
    struct mr__buf *in = &client->in;
    if (client->in_start > 0) {
        memmove(in->data, in->data + client->in_start, in->len - client->in_start);
        in->len -= client->in_start;
        client->in_scan -= client->in_start;
        client->in_start = 0;
    }
    if (in->len == 0 && in->cap > BUF_BYTES_KEPT) {
        mr__buf_finish(in);
        mr__buf_init(in);
    }
    if (in->len > MR__ANSWER_BYTES_MAX || !mr__buf_reserve(in, READ_BYTES)) {
        return false;
    }
    ssize_t got;
    do {
        got = recv(client->fd, in->data + in->len, READ_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        in->len += (size_t)got;
        return true;
    }
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* The next whole line, NUL-terminated, borrowed until the next read. */
static bool client_next_line(struct mr__client *client, char **ret_line, size_t *ret_len)
{
    struct mr__buf *in = &client->in;
    if (client->in_scan >= in->len) {
        return false;
    }
    uint8_t *end = memchr(in->data + client->in_scan, '\n', in->len - client->in_scan);
    if (end == NULL) {
        client->in_scan = in->len;
        return false;
    }
    *end = '\0';
    *ret_line = (char *)in->data + client->in_start;
    *ret_len = (size_t)(end - in->data) - client->in_start;
    client->in_start = client->in_scan = (size_t)(end - in->data) + 1;
    return true;
}

/* Takes the id off an answer, where the owner writes it first: {"id":7,"run":...} becomes
 * {"run":...}. */
static void client_on_line(struct mr__client *client, char *line, size_t len,
                           mr__client_line_fn on_line, void *user)
{
    static const char head[] = "{\"id\":", bye[] = "{\"bye\":true";
    if (strncmp(line, bye, sizeof bye - 1) == 0) {
        client->bye = true;
        return;
    }
    if (strncmp(line, head, sizeof head - 1) != 0) {
        return; /* About no request of ours: an owner may say more than we know. */
    }
    char *rest;
    errno = 0;
    uint64_t id = strtoull(line + sizeof head - 1, &rest, 10);
    if (errno != 0 || rest == line + sizeof head - 1 || (*rest != ',' && *rest != '}')) {
        return;
    }
    if (*rest == '}') {
        on_line(user, id, "{}", 2);
        return;
    }
    *rest = '{';
    on_line(user, id, rest, len - (size_t)(rest - line));
}

static bool client_has_output(struct mr__client *client)
{
    if (client->sent < client->sending.len) {
        return true;
    }
    (void)pthread_mutex_lock(&client->lock);
    bool more = client->out.len > 0;
    (void)pthread_mutex_unlock(&client->lock);
    return more;
}

/* Writes what fits. False: the connection has ended. */
static bool client_write(struct mr__client *client)
{
    if (client->sent == client->sending.len) {
        mr__buf_reset(&client->sending);
        if (client->sending.cap > BUF_BYTES_KEPT) {
            mr__buf_finish(&client->sending);
            mr__buf_init(&client->sending);
        }
        client->sent = 0;
        (void)pthread_mutex_lock(&client->lock);
        struct mr__buf empty = client->sending;
        client->sending = client->out;
        client->out = empty;
        (void)pthread_mutex_unlock(&client->lock);
    }
    while (client->sent < client->sending.len) {
        ssize_t put = send(client->fd, client->sending.data + client->sent,
                           client->sending.len - client->sent, MSG_NOSIGNAL);
        if (put < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        client->sent += (size_t)put;
    }
    return true;
}

bool mr__answer_is_last(const char *json, size_t len)
{
    /* A quote inside of text is escaped, so that these bytes can only be the outermost member. */
    static const char end[] = "\"end\":true}";
    return len >= sizeof end - 1 && memcmp(json + len - (sizeof end - 1), end, sizeof end - 1) == 0;
}
