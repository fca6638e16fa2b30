/* SPDX-License-Identifier: MIT
 *
 * Goal: the socket server frames lines as docs/requests.md says and stands whatever a peer does:
 * broken JSON, half lines, huge lines, closing halfway, never reading, too many of them. Method:
 * bare sockets against the fake engine (tests/support/fake_engine.c), which runs the real server.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/engine/engine.h"
#include "sdk/folder.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

static char base[64];
static struct mr__folder folder;
static struct mr__engine *engine;

static int set_up(void **state)
{
    int64_t pid;
    struct mr__engine_options options = {.path = base, .listen_fd = -1};
    temp_store_make(base);
    return mr__folder_open(base, true, &folder, NULL) == MR_OK &&
                   mr__folder_lock(&folder, &pid, NULL) == MR_OK &&
                   mr__folder_listen(&folder, &options.listen_fd, NULL) == MR_OK &&
                   mr__engine_create(&options, &engine, NULL) == MR_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    if (engine != NULL) {
        mr__engine_end(engine, false);
        mr__engine_free(engine);
    }
    mr__folder_close(&folder);
    temp_store_remove(base);
    return 0;
}

/* ---- a peer -------------------------------------------------------------------------------- */

struct peer {
    int fd;
    size_t len;
    char buf[65536];
};

static void say_bytes(struct peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = send(peer->fd, bytes, len, MSG_NOSIGNAL);
        assert_true(put > 0);
        bytes += put;
        len -= (size_t)put;
    }
}

static void say(struct peer *peer, const char *text)
{
    say_bytes(peer, text, strlen(text));
}

/* The next line, or NULL at the end of the connection. */
static const char *hear(struct peer *peer)
{
    static char line[65536];
    for (;;) {
        char *end = memchr(peer->buf, '\n', peer->len);
        if (end != NULL) {
            size_t len = (size_t)(end - peer->buf);
            memcpy(line, peer->buf, len);
            line[len] = '\0';
            peer->len -= len + 1;
            memmove(peer->buf, end + 1, peer->len);
            return line;
        }
        struct pollfd at = {.fd = peer->fd, .events = POLLIN};
        assert_true(poll(&at, 1, 20000) > 0);
        ssize_t got = recv(peer->fd, peer->buf + peer->len, sizeof peer->buf - peer->len, 0);
        if (got <= 0) {
            return NULL;
        }
        peer->len += (size_t)got;
    }
}

static void heard(struct peer *peer, const char *expected)
{
    const char *line = hear(peer);
    assert_non_null(line);
    assert_string_equal(line, expected);
}

static void heard_error(struct peer *peer, const char *id, int status)
{
    char expected[64];
    const char *line = hear(peer);
    assert_non_null(line);
    (void)snprintf(expected, sizeof expected, "{\"id\":%s,\"error\":{\"status\":%d,\"name\":", id,
                   status);
    assert_memory_equal(line, expected, strlen(expected));
    assert_non_null(strstr(line, "},\"end\":true}"));
}

static bool hears_nothing(struct peer *peer, int ms)
{
    struct pollfd at = {.fd = peer->fd, .events = POLLIN};
    return peer->len == 0 && poll(&at, 1, ms) == 0;
}

static void peer_connect(struct peer *peer)
{
    peer->len = 0;
    assert_int_equal(mr__folder_connect(&folder, &peer->fd, NULL), MR_OK);
    assert_int_equal(fcntl(peer->fd, F_SETFL, 0), 0); /* blocking */
}

static void peer_open(struct peer *peer)
{
    char expected[128];
    peer_connect(peer);
    (void)snprintf(expected, sizeof expected, "{\"millrace\":\"0.1.0\",\"protocol\":1,\"pid\":%d}",
                   (int)getpid());
    heard(peer, expected);
}

static void peer_close(struct peer *peer)
{
    (void)close(peer->fd);
}

static long clients(struct peer *peer)
{
    say(peer, "{\"id\":99,\"op\":\"stats\"}\n");
    const char *line = hear(peer);
    assert_non_null(line);
    const char *at = strstr(line, "\"clients\":");
    assert_non_null(at);
    return strtol(at + strlen("\"clients\":"), NULL, 10);
}

static void wait_for_clients(struct peer *peer, long count)
{
    for (int i = 0; i < 1000 && clients(peer) != count; i++) {
        (void)usleep(10000);
    }
    assert_int_equal(clients(peer), count);
}

/* ---- framing ------------------------------------------------------------------------------- */

static void line__in_pieces_and_many_at_once(void **state)
{
    struct peer peer;
    peer_open(&peer);
    const char *text = "{\"id\":7,\"op\":\"echo\",\"text\":\"a\"}\n";
    for (const char *at = text; *at != '\0'; at++) {
        say_bytes(&peer, at, 1);
        (void)usleep(500);
    }
    heard(&peer, "{\"id\":7,\"echo\":\"a\",\"attach\":0,\"end\":true}");
    say(&peer, "{\"id\":1,\"op\":\"echo\",\"text\":1}\n\n\n{\"op\":\"echo\",\"text\":2,\"id\":0}\n"
               "{\"id\":9007199254740993,\"op\":\"echo\",\"text\":3}\n{\"id\":4,");
    heard(&peer, "{\"id\":1,\"echo\":1,\"attach\":0,\"end\":true}");
    heard(&peer, "{\"id\":0,\"echo\":2,\"attach\":0,\"end\":true}");
    heard(&peer, "{\"id\":9007199254740993,\"echo\":3,\"attach\":0,\"end\":true}");
    say(&peer, "\"op\":\"echo\",\"text\":4}\n");
    heard(&peer, "{\"id\":4,\"echo\":4,\"attach\":0,\"end\":true}");
    peer_close(&peer);
}

static void line__that_is_no_request(void **state)
{
    struct peer peer;
    peer_open(&peer);
    say(&peer, "nonsense\n");
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "{\"id\":1,\"op\":\"ping\"\n");
    heard_error(&peer, "null", MR_EINVAL);
    say_bytes(&peer, "\0\xff\x01\n", 4);
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "[]\n");
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "{\"op\":\"ping\"}\n");
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "{\"op\":\"ping\",\"id\":-1}\n");
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "{\"op\":\"ping\",\"id\":\"1\"}\n");
    heard_error(&peer, "null", MR_EINVAL);
    char deep[512];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\n';
    say_bytes(&peer, deep, sizeof deep);
    heard_error(&peer, "null", MR_EINVAL);
    say(&peer, "{\"op\":3,\"id\":5}\n");
    heard_error(&peer, "5", MR_EINVAL);
    say(&peer, "{\"id\":1,\"op\":\"echo\",\"text\":1}\n");
    heard(&peer, "{\"id\":1,\"echo\":1,\"attach\":0,\"end\":true}");
    peer_close(&peer);
}

static void line__at_its_limit(void **state)
{
    struct peer peer, other;
    const size_t len = MR__REQUEST_BYTES_MAX;
    char *text = malloc(len + 2);
    assert_non_null(text);
    memset(text, ' ', len + 2);
    const char *request = "{\"id\":1,\"op\":\"echo\",\"text\":1}";
    memcpy(text, request, strlen(request));
    peer_open(&peer);
    text[len] = '\n';
    say_bytes(&peer, text, len + 1);
    heard(&peer, "{\"id\":1,\"echo\":1,\"attach\":0,\"end\":true}");

    text[len] = ' ';
    text[len + 1] = '\n';
    /* The server may hang up before it has all. */
    for (size_t at = 0; at < len + 2;) {
        ssize_t put = send(peer.fd, text + at, len + 2 - at, MSG_NOSIGNAL);
        if (put <= 0) {
            break;
        }
        at += (size_t)put;
    }
    heard_error(&peer, "null", MR_ELIMIT);
    assert_null(hear(&peer));
    peer_close(&peer);
    peer_open(&other);
    wait_for_clients(&other, 1);
    peer_close(&other);
    free(text);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void request__ids_are_of_one_connection(void **state)
{
    struct peer one, two;
    peer_open(&one);
    peer_open(&two);
    say(&one, "{\"id\":1,\"op\":\"wait\",\"run\":\"r\"}\n");
    say(&one, "{\"id\":1,\"op\":\"ping\"}\n");
    heard_error(&one, "1", MR_ECONFLICT);
    say(&two, "{\"id\":1,\"op\":\"echo\"}\n");
    heard(&two, "{\"id\":1,\"echo\":null,\"attach\":0,\"end\":true}");
    say(&two, "{\"op\":\"close\",\"of\":1}\n{\"op\":\"close\"}\n{\"op\":\"close\",\"of\":\"1\"}\n");
    say(&one, "{\"op\":\"close\",\"of\":1}\n{\"id\":1,\"op\":\"echo\"}\n");
    heard(&one, "{\"id\":1,\"echo\":null,\"attach\":0,\"end\":true}");
    peer_close(&one);
    peer_close(&two);
}

static void request__closed_gives_no_more_answers(void **state)
{
    struct peer peer;
    peer_open(&peer);
    say(&peer, "{\"id\":1,\"op\":\"watch\",\"run\":\"r\"}\n");
    for (int i = 0; i < 5; i++) {
        assert_non_null(strstr(hear(&peer), "{\"id\":1,"));
    }
    say(&peer, "{\"op\":\"close\",\"of\":1}\n{\"id\":2,\"op\":\"echo\"}\n");
    while (strstr(hear(&peer), "{\"id\":2,") == NULL) {
    }
    assert_true(hears_nothing(&peer, 100));
    peer_close(&peer);
}

static void request__as_many_as_allowed(void **state)
{
    struct peer peer;
    char line[64];
    peer_open(&peer);
    for (uint32_t i = 0; i < MR__CLIENT_REQUESTS_MAX; i++) {
        int len =
            snprintf(line, sizeof line, "{\"id\":%u,\"op\":\"cancel\",\"run\":\"slow\"}\n", i);
        say_bytes(&peer, line, (size_t)len);
    }
    say(&peer, "{\"id\":70000,\"op\":\"ping\"}\n");
    heard_error(&peer, "70000", MR_ELIMIT);
    say(&peer, "{\"op\":\"close\",\"of\":5}\n{\"id\":70000,\"op\":\"echo\"}\n");
    heard(&peer, "{\"id\":70000,\"echo\":null,\"attach\":0,\"end\":true}");
    peer_close(&peer);
}

/* ---- peers --------------------------------------------------------------------------------- */

static void peer__that_has_closed_its_side_gets_its_answers(void **state)
{
    struct peer peer;
    peer_open(&peer);
    say(&peer, "{\"id\":1,\"op\":\"submit\",\"delay_ms\":300}\n{\"id\":2,\"op\":\"echo\"}\n");
    assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    heard(&peer, "{\"id\":2,\"echo\":null,\"attach\":0,\"end\":true}");
    assert_non_null(strstr(hear(&peer), "{\"id\":1,\"run\":"));
    assert_null(hear(&peer));
    peer_close(&peer);

    peer_open(&peer);
    assert_int_equal(shutdown(peer.fd, SHUT_WR), 0);
    assert_null(hear(&peer));
    peer_close(&peer);
}

static void peer__that_goes_is_forgotten(void **state)
{
    struct peer one, two, three;
    peer_open(&one);
    peer_open(&two);
    peer_open(&three);
    wait_for_clients(&one, 3);
    say(&two,
        "{\"id\":1,\"op\":\"watch\",\"run\":\"r\"}\n{\"id\":2,\"op\":\"wait\",\"run\":\"r\"}\n");
    (void)hear(&two);
    peer_close(&two);
    wait_for_clients(&one, 2);

    /* This one first stops to write, then goes: no read tells it. */
    say(&three, "{\"id\":1,\"op\":\"wait\",\"run\":\"r\"}\n");
    assert_int_equal(shutdown(three.fd, SHUT_WR), 0);
    (void)usleep(100000);
    assert_int_equal(clients(&one), 2);
    peer_close(&three);
    wait_for_clients(&one, 1);
    peer_close(&one);
}

static void peer__that_never_reads_is_cut_off(void **state)
{
    struct peer deaf, other;
    char line[2048];
    char pad[1025];
    memset(pad, 'p', sizeof pad - 1);
    pad[sizeof pad - 1] = '\0';
    peer_open(&deaf);
    peer_open(&other);
    (void)snprintf(line, sizeof line,
                   "{\"id\":1,\"op\":\"watch\",\"run\":\"flood\",\"pad\":\"%s\"}\n", pad);
    say(&deaf, line);
    /* It asks on, too; that is not even read. */
    for (int i = 2; i < 500; i++) {
        int len =
            snprintf(line, sizeof line, "{\"id\":%d,\"op\":\"echo\",\"text\":\"%s\"}\n", i, pad);
        if (send(deaf.fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len) {
            break;
        }
    }
    long begun = temp_store_now_ms();
    while (temp_store_now_ms() - begun < 500) {
        long asked = temp_store_now_ms();
        assert_int_equal(clients(&other), 2);
        assert_true(temp_store_now_ms() - asked < 5000);
    }
    /* What was queued is bounded, and the last line of the stream says why there is no more. */
    size_t bytes = 0;
    const char *heard_line;
    while ((heard_line = hear(&deaf)) != NULL && strstr(heard_line, "\"id\":1,\"error\"") == NULL) {
        bytes += strlen(heard_line);
    }
    assert_non_null(heard_line);
    assert_non_null(strstr(heard_line, "\"status\":-14"));
    assert_true(bytes > MR__CLIENT_BYTES_MAX / 2);
    assert_int_equal(clients(&other), 2);
    peer_close(&deaf);
    peer_close(&other);
}

static void peer__beyond_the_limit_is_refused(void **state)
{
    struct rlimit limit;
    static struct peer peers[3];
    int *fds = calloc(MR__CLIENTS_MAX, sizeof *fds);
    assert_non_null(fds);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = MR__MIN(limit.rlim_max, 4 * MR__CLIENTS_MAX);
    if (limit.rlim_cur < 2 * MR__CLIENTS_MAX + 64 || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        free(fds);
        skip();
    }
    peer_open(&peers[0]);
    for (uint32_t i = 1; i < MR__CLIENTS_MAX; i++) {
        for (;;) {
            mr_status status = mr__folder_connect(&folder, &fds[i], NULL);
            if (status == MR_OK) {
                break;
            }
            assert_int_equal(status, MR_EBUSY); /* The kernel's queue is full for a moment. */
            (void)usleep(1000);
        }
    }
    wait_for_clients(&peers[0], MR__CLIENTS_MAX);
    peer_connect(&peers[1]);
    heard_error(&peers[1], "null", MR_ELIMIT);
    assert_null(hear(&peers[1]));
    peer_close(&peers[1]);
    (void)close(fds[1]);
    wait_for_clients(&peers[0], MR__CLIENTS_MAX - 1);
    peer_open(&peers[2]);
    peer_close(&peers[2]);
    for (uint32_t i = 2; i < MR__CLIENTS_MAX; i++) {
        (void)close(fds[i]);
    }
    peer_close(&peers[0]);
    limit.rlim_cur = before;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    free(fds);
}

/* A program that has run out of descriptors serves again once it has some. */
static void peer__waits_while_descriptors_are_out(void **state)
{
    struct rlimit limit;
    struct peer peer, other;
    peer_open(&other);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    peer.len = 0;
    peer.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int next = dup(peer.fd);
    (void)close(next);
    limit.rlim_cur = (rlim_t)next; /* the lowest free one is already too high */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/sock", base);
    assert_int_equal(connect(peer.fd, (struct sockaddr *)&address, sizeof address), 0);
    say(&peer, "{\"id\":1,\"op\":\"echo\"}\n");
    bool silent = hears_nothing(&peer, 300);
    long others = clients(&other);
    limit.rlim_cur = before;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(silent);
    assert_int_equal(others, 1);
    assert_non_null(strstr(hear(&peer), "\"protocol\":1"));
    heard(&peer, "{\"id\":1,\"echo\":null,\"attach\":0,\"end\":true}");
    peer_close(&peer);
    peer_close(&other);
}

/* ---- closing ------------------------------------------------------------------------------- */

static void close__ends_requests_and_says_bye(void **state)
{
    struct peer peer;
    peer_open(&peer);
    say(&peer, "{\"id\":3,\"op\":\"wait\",\"run\":\"r\"}\n");
    (void)clients(&peer);
    mr__engine_end(engine, false);
    mr__engine_free(engine);
    engine = NULL;
    heard_error(&peer, "3", MR_ECLOSED);
    heard(&peer, "{\"bye\":true}");
    assert_null(hear(&peer));
    peer_close(&peer);
    assert_int_equal(mr__folder_connect(&folder, &peer.fd, NULL), MR_EBUSY);
}

static void close__does_not_wait_for_a_deaf_peer(void **state)
{
    struct peer deaf, other;
    peer_open(&deaf);
    peer_open(&other);
    say(&deaf, "{\"id\":1,\"op\":\"events\",\"count\":100000}\n");
    (void)clients(&other);
    long begun = temp_store_now_ms();
    mr__engine_end(engine, false);
    mr__engine_free(engine);
    engine = NULL;
    assert_true(temp_store_now_ms() - begun < 5000);
    while (hear(&deaf) != NULL) {
    }
    peer_close(&deaf);
    peer_close(&other);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(line__in_pieces_and_many_at_once),
        CASE(line__that_is_no_request),
        CASE(line__at_its_limit),
        CASE(request__ids_are_of_one_connection),
        CASE(request__closed_gives_no_more_answers),
        CASE(request__as_many_as_allowed),
        CASE(peer__that_has_closed_its_side_gets_its_answers),
        CASE(peer__that_goes_is_forgotten),
        CASE(peer__that_never_reads_is_cut_off),
        CASE(peer__beyond_the_limit_is_refused),
        CASE(peer__waits_while_descriptors_are_out),
        CASE(close__ends_requests_and_says_bye),
        CASE(close__does_not_wait_for_a_deaf_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
