/* SPDX-License-Identifier: MIT
 *
 * Goal: a replacement is there whole or not at all, leaves nothing behind, and says why it cannot
 * be made. Method: a folder of the test's own; what went wrong is looked at afterwards.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins/file/file_replacement.h"

#include <cmocka.h> /* last: its macros take plain words */

#define LONG_NAME "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static char folder[] = "/tmp/mr-unit-file-XXXXXX";
static char path[1024];
static mr_error error;

static const char *in_folder(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int set_up(void **state)
{
    (void)umask(022);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(in_folder(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_file(const char *name, const char *text, mode_t mode)
{
    char content[256] = "";
    struct stat st;
    FILE *file = fopen(in_folder(name), "r");
    assert_non_null(file);
    content[fread(content, 1, sizeof content - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    assert_string_equal(content, text);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | mode);
}

static void assert_none(const char *name)
{
    assert_int_not_equal(access(in_folder(name), F_OK), 0);
}

static mr_status replace(const char *name, const char *text, int mode)
{
    struct mr__replacement r = {.mode = mode, .mode_if_new = 0666};
    char where[1024];
    (void)snprintf(where, sizeof where, "%s", *name == '/' ? name : in_folder(name));
    mr_status status = mr__replacement_open(&r, where, "key", &error);
    if (status == MR_OK) {
        assert_int_equal(mr__replacement_add(&r, text, strlen(text), &error), MR_OK);
        status = mr__replacement_keep(&r, &error);
    }
    mr__replacement_close(&r);
    assert_none(".millrace-key.tmp");
    return status;
}

/* ---- what it becomes --------------------------------------------------------------------------
 */

static void replacement__modes(void **state)
{
    assert_int_equal(replace("new", "1", -1), MR_OK);
    assert_file("new", "1", 0644);
    assert_int_equal(replace("given", "2", 0666), MR_OK);
    assert_file("given", "2", 0666);
    put("old", "before, and longer", 0640);
    assert_int_equal(replace("old", "3", -1), MR_OK);
    assert_file("old", "3", 0640);
    assert_int_equal(replace("old", "", 0600), MR_OK);
    assert_file("old", "", 0600);
}

static void replacement__the_old_content_is_there_until_the_end(void **state)
{
    struct mr__replacement r = {.mode = -1};
    struct stat st;
    char where[1024];
    put("a", "old", 0644);
    (void)snprintf(where, sizeof where, "%s", in_folder("a"));
    assert_int_equal(mr__replacement_open(&r, where, "key", &error), MR_OK);
    assert_int_equal(mr__replacement_add(&r, "new", 3, &error), MR_OK);
    assert_file("a", "old", 0644);
    assert_int_equal(stat(in_folder(".millrace-key.tmp"), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    mr__replacement_close(&r);
    assert_file("a", "old", 0644);
    assert_none(".millrace-key.tmp");
}

static void replacement__removes_what_an_attempt_that_died_left(void **state)
{
    put(".millrace-key.tmp", "half of it", 0400);
    put(".millrace-other.tmp", "somebody else's", 0600);
    assert_int_equal(replace("a", "whole", -1), MR_OK);
    assert_file("a", "whole", 0644);
    assert_file(".millrace-other.tmp", "somebody else's", 0600);
}

static void replacement__is_not_led_astray_by_a_link_under_its_name(void **state)
{
    put("victim", "kept", 0644);
    assert_int_equal(symlink("victim", in_folder(".millrace-key.tmp")), 0);
    assert_int_equal(replace("a", "new", -1), MR_OK);
    assert_file("victim", "kept", 0644);
    assert_file("a", "new", 0644);
}

/* ---- what it refuses --------------------------------------------------------------------------
 */

static void assert_refused(const char *name, mr_status status, const char *reason)
{
    memset(&error, 0, sizeof error);
    assert_int_equal(replace(name, "x", -1), status);
    assert_int_equal(error.status, status);
    if (strstr(error.message, reason) == NULL) {
        fail_msg("%s: \"%s\" lacks \"%s\"", name, error.message, reason);
    }
}

static void replacement__of_what_is_no_regular_file(void **state)
{
    put("file", "kept", 0644);
    assert_int_equal(symlink("file", in_folder("link")), 0);
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    assert_int_equal(mkdir(in_folder("sub"), 0755), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0644), 0);
    assert_refused("link", MR_EINVAL, "/link is a symbolic link: name the file that it leads to");
    assert_refused("dangling", MR_EINVAL, "is a symbolic link");
    assert_refused("sub", MR_EINVAL, "/sub is a folder");
    assert_refused("sub/", MR_EINVAL, "is a folder");
    assert_refused("sub/.", MR_EINVAL, "is a folder");
    assert_refused("..", MR_EINVAL, "is a folder");
    assert_refused("/", MR_EINVAL, "/ is a folder");
    assert_refused("fifo", MR_EINVAL, "is no regular file");
    assert_refused("/dev/full", MR_EINVAL, "is no regular file");
    assert_refused("none/a", MR_ENOTFOUND, "/none/a cannot be written: its folder is not there");
    assert_refused("file/a", MR_ENOTFOUND, "cannot be written: Not a directory");
    assert_refused(LONG_NAME LONG_NAME LONG_NAME LONG_NAME, MR_EINVAL, "File name too long");
    assert_file("file", "kept", 0644);
}

static void replacement__through_a_folder_that_is_a_link(void **state)
{
    assert_int_equal(mkdir(in_folder("sub"), 0755), 0);
    assert_int_equal(symlink("sub", in_folder("way")), 0);
    assert_int_equal(replace("way/a", "x", -1), MR_OK);
    assert_file("sub/a", "x", 0644);
}

static void replacement__without_permission(void **state)
{
    struct stat st;
    if (geteuid() == 0) {
        assert_int_equal(stat("/sys/kernel", &st), 0); /* where not even root makes files */
        memset(&error, 0, sizeof error);
        struct mr__replacement r = {.mode = -1, .mode_if_new = 0666};
        assert_int_equal(mr__replacement_open(&r, "/sys/kernel/a", "key", &error), MR_EPERM);
        mr__replacement_close(&r);
    } else {
        assert_int_equal(mkdir(in_folder("sub"), 0555), 0);
        assert_refused("sub/a", MR_EPERM, "cannot be written: Permission denied");
    }
}

static void replacement__that_the_disk_does_not_hold(void **state)
{
    struct mr__replacement r = {.mode = -1};
    struct rlimit before, limit;
    char where[1024];
    put("a", "old", 0644);
    (void)snprintf(where, sizeof where, "%s", in_folder("a"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 5, .rlim_max = before.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(mr__replacement_open(&r, where, "key", &error), MR_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    mr_status status = mr__replacement_add(&r, "more than five", 14, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, MR_EFULL);
    assert_non_null(strstr(error.message, "/a cannot be written: File too large"));
    mr__replacement_close(&r);
    assert_file("a", "old", 0644);
    assert_none(".millrace-key.tmp");
}

#define CASE(name) cmocka_unit_test_setup_teardown(replacement__##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(modes),
        CASE(the_old_content_is_there_until_the_end),
        CASE(removes_what_an_attempt_that_died_left),
        CASE(is_not_led_astray_by_a_link_under_its_name),
        CASE(of_what_is_no_regular_file),
        CASE(through_a_folder_that_is_a_link),
        CASE(without_permission),
        CASE(that_the_disk_does_not_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
