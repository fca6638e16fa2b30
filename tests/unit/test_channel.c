/* SPDX-License-Identifier: MIT
 *
 * Goal: whoever wakes the main thread of a host process wakes it once. Method: the channel alone,
 * with a thread that wakes it while the main thread looks; nobody writes to its socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <poll.h>

#include "core/host/channel.h"

#include <cmocka.h> /* last: its macros take plain words */

#define ROUNDS 30000u

static struct mr__channel channel;
static _Atomic uint32_t asked, done;

static void *wake_it(void *arg)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        while (atomic_load(&asked) < i) {
        }
        mr__channel_wake(&channel);
        atomic_store(&done, i);
    }
    return arg;
}

/* The flag was taken before the descriptor was written to, which then woke it for ever. */
static void wake__is_taken_as_a_whole(void **state)
{
    int ends[2];
    pthread_t thread;
    uint32_t left = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(mr__channel_init(&channel, ends[0]), MR_OK);
    assert_int_equal(pthread_create(&thread, NULL, wake_it, NULL), 0);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        struct pollfd wake = {.fd = channel.wake, .events = POLLIN};
        atomic_store(&asked, i);
        while (!mr__channel_wait(&channel, 0)) {
        }
        while (atomic_load(&done) < i) {
        }
        left += poll(&wake, 1, 0) > 0;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(left, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(channel.wake);
    mr__buf_finish(&channel.in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wake__is_taken_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
