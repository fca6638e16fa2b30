/* SPDX-License-Identifier: MIT
 *
 * Goal: a store's folder is found, made and refused as promised, its lock has one holder, its
 * socket is reached by nobody else. Method: real folders below /tmp; a child process that is killed
 * while it holds the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sdk/folder.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

static char base[64];

static int set_up(void **state)
{
    temp_store_make(base);
    return 0;
}

static int tear_down(void **state)
{
    temp_store_remove(base);
    return 0;
}

static const char *below(const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void folder__is_made_with_its_parents(void **state)
{
    struct mr__folder folder;
    mr_error error;
    assert_int_equal(mr__folder_open(below("a//b/c/"), true, &folder, &error), MR_OK);
    assert_int_equal(mode_of(below("a")), 0700);
    assert_int_equal(mode_of(below("a/b/c")), 0700);
    assert_string_equal(folder.path, below("a/b/c"));
    mr__folder_close(&folder);
    mr__folder_close(&folder); /* does no harm */

    assert_int_equal(symlink("a/b", below("link")), 0);
    assert_int_equal(mr__folder_open(below("link/c"), true, &folder, &error), MR_OK);
    assert_string_equal(folder.path, below("a/b/c"));
    mr__folder_close(&folder);
}

static void folder__has_a_default_place(void **state)
{
    struct mr__folder folder;
    mr_error error;
    assert_int_equal(setenv("XDG_STATE_HOME", below("state"), 1), 0);
    assert_int_equal(mr__folder_open(NULL, true, &folder, &error), MR_OK);
    assert_string_equal(folder.path, below("state/millrace"));
    mr__folder_close(&folder);

    assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
    assert_int_equal(setenv("HOME", below("home"), 1), 0);
    assert_int_equal(mr__folder_open("", true, &folder, &error), MR_OK);
    assert_string_equal(folder.path, below("home/.local/state/millrace"));
    mr__folder_close(&folder);

    if (geteuid() != 0) {
        assert_int_equal(unsetenv("HOME"), 0);
        assert_int_equal(mr__folder_open(NULL, false, &folder, &error), MR_ESTORE);
    }
}

static void folder__is_not_made_for_readers(void **state)
{
    struct mr__folder folder;
    mr_error error;
    assert_int_equal(mr__folder_open(below("none"), false, &folder, &error), MR_ENOTFOUND);
    assert_int_equal(access(below("none"), F_OK), -1);
}

static void folder__that_others_may_write_is_refused(void **state)
{
    struct mr__folder folder;
    mr_error error;
    assert_int_equal(mkdir(below("s"), 0700), 0);
    assert_int_equal(chmod(below("s"), 0770), 0);
    assert_int_equal(mr__folder_open(below("s"), true, &folder, &error), MR_ESTORE);
    assert_non_null(strstr(error.message, "group"));
    assert_non_null(strstr(error.message, "chmod go-w"));
    assert_int_equal(chmod(below("s"), 0702), 0);
    assert_int_equal(mr__folder_open(below("s"), true, &folder, &error), MR_ESTORE);
    assert_non_null(strstr(error.message, "every user"));
    assert_int_equal(chmod(below("s"), 0755), 0);
    assert_int_equal(mr__folder_open(below("s"), true, &folder, &error), MR_OK);
    mr__folder_close(&folder);
}

static void folder__of_another_user_is_refused(void **state)
{
    struct mr__folder folder;
    mr_error error;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(mkdir(below("s"), 0700), 0);
    assert_int_equal(chown(below("s"), 4321, 4321), 0);
    assert_int_equal(mr__folder_open(below("s"), true, &folder, &error), MR_ESTORE);
    assert_non_null(strstr(error.message, "4321"));
}

static void folder__that_is_a_file_is_refused(void **state)
{
    struct mr__folder folder;
    mr_error error;
    int fd = open(below("file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(mr__folder_open(below("file"), true, &folder, &error), MR_ESTORE);
    assert_int_equal(mr__folder_open(below("file/x"), true, &folder, &error), MR_ESTORE);
    char *path = calloc(1, PATH_MAX + 2);
    assert_non_null(path);
    memset(path, 'x', PATH_MAX + 1);
    assert_int_equal(mr__folder_open(path, true, &folder, &error), MR_ESTORE);
    free(path);
}

static void lock__has_one_holder_in_one_process(void **state)
{
    struct mr__folder one, two;
    mr_error error;
    int64_t pid = -1;
    assert_int_equal(mr__folder_open(base, true, &one, &error), MR_OK);
    assert_int_equal(mr__folder_open(base, true, &two, &error), MR_OK);
    assert_int_equal(mr__folder_probe(&one, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&one, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&two, &pid, &error), MR_EBUSY);
    assert_int_equal(pid, getpid());
    pid = -1;
    assert_int_equal(mr__folder_probe(&two, &pid, &error), MR_EBUSY);
    assert_int_equal(pid, getpid());
    mr__folder_close(&one);
    assert_int_equal(mr__folder_probe(&two, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&two, &pid, &error), MR_OK);
    mr__folder_close(&two);
}

static void lock__ends_with_its_process(void **state)
{
    struct mr__folder folder;
    mr_error error;
    int64_t pid = 0;
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        if (mr__folder_open(base, true, &folder, NULL) == MR_OK &&
            mr__folder_lock(&folder, &pid, NULL) == MR_OK && write(ready[1], "x", 1) == 1) {
            (void)pause();
        }
        _exit(1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(mr__folder_open(base, true, &folder, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&folder, &pid, &error), MR_EBUSY);
    assert_int_equal(pid, child);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(mr__folder_lock(&folder, &pid, &error), MR_OK);
    mr__folder_close(&folder);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* Who connects before there is a socket, or after its owner died, is told to try again. */
static void sock__is_busy_until_somebody_listens(void **state)
{
    struct mr__folder folder;
    mr_error error;
    int64_t pid;
    int listen_fd, fd;
    assert_int_equal(mr__folder_open(base, true, &folder, &error), MR_OK);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EBUSY);
    assert_int_equal(mr__folder_lock(&folder, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_listen(&folder, &listen_fd, &error), MR_OK);
    assert_int_equal(mode_of(below("sock")), 0600);
    assert_int_equal(access(below("sock.new"), F_OK), -1);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(listen_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(folder.lock_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(folder.dir_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(fd);
    (void)close(listen_fd);

    /* The name is still there, as after kill -9. */
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EBUSY);
    assert_int_equal(mr__folder_listen(&folder, &listen_fd, &error), MR_OK);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_OK);
    (void)close(fd);
    (void)close(listen_fd);
    mr__folder_close(&folder);
    assert_int_equal(access(below("sock"), F_OK), -1);
    assert_int_equal(access(below("lock"), F_OK), 0);
}

static void sock__that_others_may_write_is_refused(void **state)
{
    struct mr__folder folder;
    mr_error error;
    int64_t pid;
    int listen_fd, fd;
    assert_int_equal(mr__folder_open(base, true, &folder, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&folder, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_listen(&folder, &listen_fd, &error), MR_OK);
    assert_int_equal(chmod(below("sock"), 0620), 0);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EPERM);
    assert_int_equal(chmod(below("sock"), 0602), 0);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EPERM);
    assert_int_equal(chmod(below("sock"), 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(below("sock"), 4321, 4321), 0);
        assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EPERM);
    }
    (void)close(listen_fd);
    assert_int_equal(unlink(below("sock")), 0);
    assert_int_equal(symlink("lock", below("sock")), 0);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_EPERM);
    mr__folder_close(&folder);
}

static void sock__works_where_the_path_is_long(void **state)
{
    struct mr__folder folder;
    mr_error error;
    int64_t pid;
    int listen_fd, fd;
    char path[400];
    int len = snprintf(path, sizeof path, "%s/", base);
    memset(path + len, 'p', 200);
    (void)snprintf(path + len + 200, sizeof path - (size_t)len - 200, "/end");
    assert_int_equal(mr__folder_open(path, true, &folder, &error), MR_OK);
    assert_int_equal(mr__folder_lock(&folder, &pid, &error), MR_OK);
    assert_int_equal(mr__folder_listen(&folder, &listen_fd, &error), MR_OK);
    assert_int_equal(mr__folder_connect(&folder, &fd, &error), MR_OK);
    (void)close(fd);
    (void)close(listen_fd);
    mr__folder_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(folder__is_made_with_its_parents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folder__has_a_default_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folder__is_not_made_for_readers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folder__that_others_may_write_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(folder__of_another_user_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(folder__that_is_a_file_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lock__has_one_holder_in_one_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lock__ends_with_its_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sock__is_busy_until_somebody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sock__that_others_may_write_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sock__works_where_the_path_is_long, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
