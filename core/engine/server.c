/* SPDX-License-Identifier: MIT
 *
 * The socket server: docs/requests.md on a listening unix socket, one client a connection. Loop
 * thread only. It owns the listener, the clients and their open requests; what a request means is
 * the engine's business.
 *
 * Sockets are watched with uv_poll and written with send(MSG_NOSIGNAL): a write to a peer that has
 * gone must not raise a signal in a program that is not ours. Answers are gathered in one buffer a
 * client and written once per turn of the loop (server_before_wait), so that a stream of thousands
 * costs few system calls. Who does not read is first not read from any more; what piles up for him
 * beyond MR__CLIENT_BYTES_MAX ends the stream that brings it with MR_ELIMIT. The loop never waits.
 *
 * Every answer begins with its id and ends with "end":true if it is the last; sdk/client.c relies
 * on both places.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/hash.h"
#include "core/base/value.h"
#include "core/engine/engine.h"

#define READ_BYTES       (64u << 10)
#define READS_PER_TURN   16         /* of one client, then the others have their turn */
#define OUT_BYTES_PAUSE  (1u << 20) /* more than this unread: no further request is taken */
#define BUF_BYTES_KEPT   (1u << 20) /* a larger buffer is given back once it is empty */
#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS  100 /* after the process ran out of descriptors */
#define HANG_UP_MS       250 /* how often half-closed peers are looked at */
#define CLOSE_MS         500

struct client;

struct server_request {
    struct server_request *prev,
        *next;                   /* of the client's open ones, or of the server's ended ones */
    struct client *client;       /* NULL: it has gone */
    struct mr__request *request; /* NULL while the engine has not returned it */
    uint64_t id;
    bool ended;
};

struct client {
    struct client *prev, *next;
    struct mr__server *server;
    uv_poll_t poll;
    int fd, events;
    struct mr__buf in, out;
    size_t in_start, in_scan, out_start;
    struct server_request *requests;
    struct mr__hash by_id; /* request id -> its address */
    bool no_more_input;    /* the peer has closed its side, or is not listened to any more */
    bool last_words;       /* close once everything is written */
    bool closed;           /* its descriptor and handle are closing */
};

struct mr__server {
    struct mr__engine *engine; /* borrowed */
    uv_poll_t listener;
    uv_prepare_t before_wait;
    uv_timer_t accept_timer, hang_up_timer, close_timer;
    int listen_fd;
    struct client *clients;
    uint32_t client_count;
    struct server_request *ended; /* to be closed at the engine, outside of its calls */
    uint32_t handles;             /* that the loop still knows, of the server and of clients */
    bool closing;
    void (*closed_cb)(void *user);
    void *closed_user;
};

static void server_on_listener(uv_poll_t *poll, int status, int events);
static void server_on_accept_timer(uv_timer_t *timer);
static void server_on_hang_up_timer(uv_timer_t *timer);
static void server_on_close_timer(uv_timer_t *timer);
static void server_before_wait(uv_prepare_t *prepare);
static void server_close_ended(struct mr__server *server);
static void server_on_handle_closed(uv_handle_t *handle);
static void server_finish(struct mr__server *server);
static bool accept_one(struct mr__server *server);
static void client_create(struct mr__server *server, int fd);
static void client_on_poll(uv_poll_t *poll, int status, int events);
static void client_read(struct client *c);
static void client_take_lines(struct client *c);
static void client_on_line(struct client *c, const char *line, size_t len);
static void client_on_end_of_input(struct client *c);
static bool client_has_hung_up(const struct client *c);
static void client_request(struct client *c, uint64_t id, const char *line, size_t len);
static void client_close_request(struct client *c, uint64_t id);
static void request_on_answer(void *user, const char *json, size_t len, bool last);
static void request_end(struct server_request *r);
static bool answer_is_last(const char *json, size_t len);
static void client_answer(struct client *c, uint64_t id, const char *json, size_t len);
static void client_error(struct client *c, const uint64_t *id, mr_status status,
                         const char *message);
static void client_write(struct client *c);
static void client_watch(struct client *c);
static void client_forget_requests(struct client *c);
static void client_close(struct client *c);
static void client_on_closed(uv_handle_t *handle);

/* ---- the server ---------------------------------------------------------------------------- */

mr_status mr__server_create(struct mr__engine *engine, struct uv_loop_s *loop, int listen_fd,
                            struct mr__server **ret_server, mr_error *reterr)
{
    struct mr__server *server = mr__calloc(1, sizeof *server);
    int flags = fcntl(listen_fd, F_GETFL);
    if (server == NULL || flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        uv_poll_init(loop, &server->listener, listen_fd) != 0) {
        mr__free(server);
        (void)close(listen_fd); /* Nothing was written. */
        return mr__error_set(reterr, MR_ENOMEM, "cannot serve the store's socket");
    }
    server->engine = engine;
    server->listen_fd = listen_fd;
    server->handles = 5;
    server->listener.data = server->before_wait.data = server;
    server->accept_timer.data = server->hang_up_timer.data = server->close_timer.data = server;

    /* None of these can fail on an initialised handle. */
    (void)uv_prepare_init(loop, &server->before_wait);
    (void)uv_timer_init(loop, &server->accept_timer);
    (void)uv_timer_init(loop, &server->hang_up_timer);
    (void)uv_timer_init(loop, &server->close_timer);
    (void)uv_prepare_start(&server->before_wait, server_before_wait);
    (void)uv_poll_start(&server->listener, UV_READABLE, server_on_listener);
    *ret_server = server;
    return MR_OK;
}

uint32_t mr__server_clients(const struct mr__server *server)
{
    return server->client_count;
}

void mr__server_close(struct mr__server *server, void (*cb)(void *user), void *user)
{
    static const char bye[] = "{\"bye\":true}\n";
    MR_ASSERT(!server->closing);
    server->closing = true;
    server->closed_cb = cb;
    server->closed_user = user;
    uv_close((uv_handle_t *)&server->listener, server_on_handle_closed);
    (void)close(server->listen_fd); /* Who waits in its queue finds it closed and tries again. */

    for (struct client *c = server->clients, *next; c != NULL; c = next) {
        next = c->next;
        for (struct server_request *r = c->requests; r != NULL; r = r->next) {
            client_error(c, &r->id, MR_ECLOSED, "the store's owner leaves");
        }
        client_forget_requests(c);
        mr__buf_bytes(&c->out, bye, sizeof bye - 1);
        c->no_more_input = true;
        c->last_words = true;
        client_write(c);
    }
    (void)uv_timer_start(&server->close_timer, server_on_close_timer, CLOSE_MS, 0);
    server_finish(server);
}

/* Who has not read by now does not read. */
static void server_on_close_timer(uv_timer_t *timer)
{
    struct mr__server *server = timer->data;
    for (struct client *c = server->clients, *next; c != NULL; c = next) {
        next = c->next;
        client_close(c);
    }
    server_finish(server);
}

/* Goes on with closing once there are no clients; ends with server_on_handle_closed. */
static void server_finish(struct mr__server *server)
{
    if (!server->closing || server->clients != NULL ||
        uv_is_closing((uv_handle_t *)&server->before_wait) != 0) {
        return;
    }
    server_close_ended(server);
    uv_close((uv_handle_t *)&server->before_wait, server_on_handle_closed);
    uv_close((uv_handle_t *)&server->accept_timer, server_on_handle_closed);
    uv_close((uv_handle_t *)&server->hang_up_timer, server_on_handle_closed);
    uv_close((uv_handle_t *)&server->close_timer, server_on_handle_closed);
}

static void server_on_handle_closed(uv_handle_t *handle)
{
    struct mr__server *server = handle->data;
    if (--server->handles == 0) {
        void (*cb)(void *user) = server->closed_cb;
        void *user = server->closed_user;
        mr__free(server);
        cb(user);
    }
}

/* Runs each time before the loop waits: everything that was answered since goes out now. */
static void server_before_wait(uv_prepare_t *prepare)
{
    struct mr__server *server = prepare->data;
    server_close_ended(server);
    for (struct client *c = server->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (c->out.len > c->out_start || c->out.failed || c->last_words) {
            client_write(c);
        }
    }
    server_finish(server);
}

/* The engine may still be at work with a request while it answers it; here it is not. */
static void server_close_ended(struct mr__server *server)
{
    while (server->ended != NULL) {
        struct server_request *r = server->ended;
        server->ended = r->next;
        mr__engine_close_request_on_loop(server->engine, r->request);
        mr__free(r);
    }
}

static void server_on_listener(uv_poll_t *poll, int status, int events)
{
    struct mr__server *server = poll->data;
    for (int i = 0; i < ACCEPTS_PER_TURN && accept_one(server); i++) {
    }
}

/* False: there is nobody else now, or no descriptor for him. */
static bool accept_one(struct mr__server *server)
{
    int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The peer stays in the queue and waits; asking on would only burn time. */
            (void)uv_poll_stop(&server->listener);
            (void)uv_timer_start(&server->accept_timer, server_on_accept_timer, ACCEPT_PAUSE_MS, 0);
        }
        return errno == EINTR || errno == ECONNABORTED;
    }
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
        (void)close(fd); /* Not a word to strangers. */
        return true;
    }
    client_create(server, fd);
    return true;
}

static void server_on_accept_timer(uv_timer_t *timer)
{
    struct mr__server *server = timer->data;
    if (!server->closing) {
        (void)uv_poll_start(&server->listener, UV_READABLE, server_on_listener);
    }
}

/* ---- clients ------------------------------------------------------------------------------- */

static void client_create(struct mr__server *server, int fd)
{
    struct client *c = mr__calloc(1, sizeof *c);
    if (c == NULL || uv_poll_init(server->listener.loop, &c->poll, fd) != 0) {
        mr__free(c);
        (void)close(fd); /* The peer tries again. */
        return;
    }
    c->server = server;
    c->fd = fd;
    c->poll.data = c;
    c->next = server->clients;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    server->clients = c;
    server->handles++;
    mr__buf_init(&c->in);
    mr__buf_init(&c->out);
    mr__hash_init(&c->by_id);
    if (++server->client_count > MR__CLIENTS_MAX) {
        client_error(c, NULL, MR_ELIMIT, "too many clients");
        c->no_more_input = true;
        c->last_words = true;
    } else {
        mr__buf_printf(&c->out, "{\"millrace\":\"%s\",\"protocol\":%d,\"pid\":%" PRId64 "}\n",
                       MR__VERSION_TEXT, MR__PROTOCOL, (int64_t)getpid());
    }
    client_watch(c);
}

static void client_on_poll(uv_poll_t *poll, int status, int events)
{
    struct client *c = poll->data;
    if (status < 0) {
        c->events = 0; /* libuv has stopped watching. */
    }
    if (c->no_more_input && client_has_hung_up(c)) {
        client_close(c);
        return;
    }
    /* An error shows again, and by name, in the call that it makes fail. */
    if ((status < 0 || (events & UV_READABLE) != 0) && !c->no_more_input) {
        client_read(c);
    }
    if (!c->closed && (status < 0 || (events & UV_WRITABLE) != 0)) {
        client_write(c);
    }
}

static void client_read(struct client *c)
{
    for (int i = 0; i < READS_PER_TURN && !c->no_more_input && !c->closed; i++) {
        struct mr__buf *in = &c->in;
        if (c->in_start > 0) {
            memmove(in->data, in->data + c->in_start, in->len - c->in_start);
            in->len -= c->in_start;
            c->in_scan -= c->in_start;
            c->in_start = 0;
        }
        if (in->len == 0 && in->cap > BUF_BYTES_KEPT) {
            mr__buf_finish(in);
            mr__buf_init(in);
        }
        if (!mr__buf_reserve(in, READ_BYTES)) {
            client_error(c, NULL, MR_ENOMEM, "out of memory");
            c->no_more_input = true;
            c->last_words = true;
            break;
        }
        ssize_t got = recv(c->fd, in->data + in->len, READ_BYTES, 0);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            break;
        }
        if (got < 0) {
            client_close(c);
            return;
        }
        if (got == 0) {
            client_on_end_of_input(c);
            return;
        }
        in->len += (size_t)got;
        client_take_lines(c);
    }
    if (!c->closed) {
        client_watch(c);
    }
}

static void client_take_lines(struct client *c)
{
    struct mr__buf *in = &c->in;
    while (c->in_scan < in->len && !c->no_more_input && !c->closed) {
        uint8_t *end = memchr(in->data + c->in_scan, '\n', in->len - c->in_scan);
        size_t len = (end != NULL ? (size_t)(end - in->data) : in->len) - c->in_start;
        if (len > MR__REQUEST_BYTES_MAX) {
            /* Where the next request begins is not known: nothing more can be understood. */
            client_error(c, NULL, MR_ELIMIT, "a request is larger than 80 MiB");
            c->no_more_input = true;
            c->last_words = true;
            return;
        }
        if (end == NULL) {
            c->in_scan = in->len;
            return;
        }
        *end = '\0';
        const char *line = (const char *)in->data + c->in_start;
        c->in_start = c->in_scan = c->in_start + len + 1;
        client_on_line(c, line, len);
    }
}

/* The peer has closed its side. One that still reads gets the answers to what it asked. */
static void client_on_end_of_input(struct client *c)
{
    c->no_more_input = true;
    if (client_has_hung_up(c)) {
        client_close(c);
        return;
    }
    c->last_words = c->requests == NULL;
    struct mr__server *server = c->server;
    if (uv_is_active((uv_handle_t *)&server->hang_up_timer) == 0) {
        (void)uv_timer_start(&server->hang_up_timer, server_on_hang_up_timer, HANG_UP_MS,
                             HANG_UP_MS);
    }
    client_watch(c);
}

/* A half-closed peer that then goes away makes no event on a descriptor that is not read; its open
 * requests would keep the owner. The timer runs while there are such peers. */
static void server_on_hang_up_timer(uv_timer_t *timer)
{
    struct mr__server *server = timer->data;
    bool any = false;
    for (struct client *c = server->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (c->no_more_input && client_has_hung_up(c)) {
            client_close(c);
        } else if (c->no_more_input) {
            any = true;
        }
    }
    if (!any) {
        (void)uv_timer_stop(timer);
    }
    server_finish(server);
}

static bool client_has_hung_up(const struct client *c)
{
    struct pollfd at = {.fd = c->fd, .events = 0};
    return poll(&at, 1, 0) > 0 && (at.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* ---- requests ------------------------------------------------------------------------------ */

static void client_on_line(struct client *c, const char *line, size_t len)
{
    if (len == 0) {
        return;
    }
    struct mr__arena arena;
    mr__arena_init(&arena);
    mr_value request = mr__value_null();
    mr_error error = {.status = MR_OK};
    mr_status status = mr__value_parse(&arena, line, len, &request, &error);
    const mr_value *id = mr_value_get(&request, "id");
    if (status != MR_OK) {
        client_error(c, NULL, status == MR_ENOMEM ? MR_ENOMEM : MR_EINVAL, error.message);
    } else if (request.type != MR_MAP) {
        client_error(c, NULL, MR_EINVAL, "a request is a JSON object");
    } else if (strcmp(mr_value_str(mr_value_get(&request, "op"), ""), "close") == 0) {
        const mr_value *of = mr_value_get(&request, "of");
        if (of != NULL && of->type == MR_INT && of->u.i >= 0) {
            client_close_request(c, (uint64_t)of->u.i);
        }
    } else if (id == NULL || id->type != MR_INT || id->u.i < 0) {
        client_error(c, NULL, MR_EINVAL, "a request needs an \"id\", a number from 0 on");
    } else {
        client_request(c, (uint64_t)id->u.i, line, len);
    }
    mr__arena_finish(&arena);
}

static void client_request(struct client *c, uint64_t id, const char *line, size_t len)
{
    if (mr__hash_get(&c->by_id, &id, sizeof id, NULL)) {
        client_error(c, &id, MR_ECONFLICT, "a request with this id is still open");
        return;
    }
    if (c->by_id.count >= MR__CLIENT_REQUESTS_MAX) {
        client_error(c, &id, MR_ELIMIT, "too many requests are open on this connection");
        return;
    }
    struct server_request *r = mr__calloc(1, sizeof *r);
    if (r == NULL) {
        client_error(c, &id, MR_ENOMEM, "out of memory");
        return;
    }
    r->client = c;
    r->id = id;
    mr_status status = mr__hash_put(&c->by_id, &r->id, sizeof r->id, (uint64_t)(uintptr_t)r);
    if (status != MR_OK) {
        mr__free(r);
        client_error(c, &id, status, mr_status_text(status));
        return;
    }
    r->next = c->requests;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    c->requests = r;

    /* It may answer, even for the last time, before it returns. */
    struct mr__request *request = NULL;
    status =
        mr__engine_request_on_loop(c->server->engine, line, len, request_on_answer, r, &request);
    if (status != MR_OK) {
        client_error(c, &id, status, mr_status_text(status));
        request_end(r);
        mr__free(r);
        return;
    }
    r->request = request;
    if (r->ended) {
        r->next = c->server->ended;
        c->server->ended = r;
    }
}

static void client_close_request(struct client *c, uint64_t id)
{
    uint64_t address;
    if (!mr__hash_get(&c->by_id, &id, sizeof id, &address)) {
        return; /* Its last answer is on the way. */
    }
    struct server_request *r = (struct server_request *)(uintptr_t)address;
    request_end(r);
    mr__engine_close_request_on_loop(c->server->engine, r->request);
    mr__free(r);
    if (c->no_more_input && c->requests == NULL) {
        c->last_words = true;
    }
}

static void request_on_answer(void *user, const char *json, size_t len, bool last)
{
    struct server_request *r = user;
    struct client *c = r->client;
    if (r->ended) {
        return; /* It was cut off; the engine does not know it yet. */
    }
    size_t waiting = c->out.len - c->out_start;
    bool cut = waiting > 0 && waiting + len > MR__CLIENT_BYTES_MAX;
    if (cut) {
        client_error(c, &r->id, MR_ELIMIT,
                     "too many answers wait to be read: the stream was cut off");
    } else {
        MR_ASSERT(len >= 2 && json[0] == '{' && last == answer_is_last(json, len));
        client_answer(c, r->id, json, len);
    }
    if (last || cut) {
        request_end(r);
        /* The engine is in the middle of it: server_close_ended closes it there. */
        if (r->request != NULL) {
            r->next = c->server->ended;
            c->server->ended = r;
        }
    }
}

/* Takes a request off its client: from now on nothing is written for it. */
static void request_end(struct server_request *r)
{
    struct client *c = r->client;
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        c->requests = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    (void)mr__hash_del(&c->by_id, &r->id, sizeof r->id);
    r->prev = r->next = NULL;
    r->client = NULL;
    r->ended = true;
    if (c->no_more_input && c->requests == NULL) {
        c->last_words = true;
    }
}

/* Not from within the engine's call of request_on_answer. */
static void client_forget_requests(struct client *c)
{
    while (c->requests != NULL) {
        struct server_request *r = c->requests;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the list has another one by now, or none */
        request_end(r);
        mr__engine_close_request_on_loop(c->server->engine, r->request);
        mr__free(r);
    }
}

/* ---- writing ------------------------------------------------------------------------------- */

/* The same bytes within a text would have their quotes escaped. */
static bool answer_is_last(const char *json, size_t len)
{
    static const char end[] = "\"end\":true}";
    return len >= sizeof end - 1 && memcmp(json + len - (sizeof end - 1), end, sizeof end - 1) == 0;
}

static void client_answer(struct client *c, uint64_t id, const char *json, size_t len)
{
    mr__buf_printf(&c->out, "{\"id\":%" PRIu64 "%s", id, len > 2 ? "," : "");
    mr__buf_bytes(&c->out, json + 1, len - 1);
    mr__buf_u8(&c->out, '\n');
}

/* `id` NULL: the request's is not known. */
static void client_error(struct client *c, const uint64_t *id, mr_status status,
                         const char *message)
{
    char number[24] = "null";
    if (id != NULL) {
        (void)snprintf(number, sizeof number, "%" PRIu64, *id);
    }
    mr__buf_printf(&c->out, "{\"id\":%s,\"error\":{\"status\":%d,\"name\":", number, (int)status);
    mr__json_str(&c->out, mr_status_text(status), strlen(mr_status_text(status)));
    mr__buf_text(&c->out, ",\"message\":");
    mr__json_str(&c->out, message, strlen(message));
    mr__buf_text(&c->out, "},\"end\":true}\n");
}

static void client_write(struct client *c)
{
    if (c->out.failed) {
        client_close(c); /* A line is incomplete: there is no way on. */
        return;
    }
    while (c->out_start < c->out.len) {
        ssize_t put = send(c->fd, c->out.data + c->out_start, c->out.len - c->out_start,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno != EINTR) {
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                client_close(c);
                return;
            }
            break;
        }
        c->out_start += put > 0 ? (size_t)put : 0;
    }
    if (c->out_start == c->out.len) {
        c->out_start = 0;
        mr__buf_reset(&c->out);
        if (c->out.cap > BUF_BYTES_KEPT) {
            mr__buf_finish(&c->out);
            mr__buf_init(&c->out);
        }
        if (c->last_words) {
            client_close(c);
            return;
        }
    } else if (c->out_start > c->out.len / 2) {
        memmove(c->out.data, c->out.data + c->out_start, c->out.len - c->out_start);
        c->out.len -= c->out_start;
        c->out_start = 0;
    }
    client_watch(c);
}

/* Watches for what is of use now: input unless too much waits to be read by the peer. */
static void client_watch(struct client *c)
{
    size_t waiting = c->out.len - c->out_start;
    int events = 0;
    if (!c->no_more_input && waiting <= OUT_BYTES_PAUSE) {
        events |= UV_READABLE;
    }
    if (waiting > 0) {
        events |= UV_WRITABLE;
    }
    if (events == c->events || c->closed) {
        return;
    }
    c->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&c->poll);
    } else {
        (void)uv_poll_start(&c->poll, events, client_on_poll);
    }
}

/* Closes at once, whatever is unwritten. Not from within the engine's call of request_on_answer. */
static void client_close(struct client *c)
{
    if (c->closed) {
        return;
    }
    struct mr__server *server = c->server;
    c->closed = true;
    client_forget_requests(c);
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        server->clients = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    server->client_count--;
    uv_close((uv_handle_t *)&c->poll, client_on_closed);
    (void)close(c->fd); /* uv_close has taken it out of the loop's set. */
}

static void client_on_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    struct mr__server *server = c->server;
    mr__buf_finish(&c->in);
    mr__buf_finish(&c->out);
    mr__hash_finish(&c->by_id);
    mr__free(c);
    handle = (uv_handle_t *)&server->listener; /* Any of the server's own, for its data. */
    server_on_handle_closed(handle);
}
