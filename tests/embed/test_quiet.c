/* SPDX-License-Identifier: MIT
 *
 * Goal: a program that embeds the library stays its own master: signals, mask, environment, folder,
 * standard streams and umask are after an engine's life what they were before, and two engines live
 * side by side. Method: all of these are written down before and after a life with a child process
 * and a failed open; the standard streams are a file meanwhile, which must stay empty.
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>

#include "embed_fixture.h"

extern char **environ;

/* What a process has that a library could change. */
struct possessions {
    void (*handlers[NSIG])(int number);
    int flags[NSIG];
    sigset_t mask;
    char folder[4096], env[65536], locale[256];
    struct stat streams[3];
    struct rlimit files;
    mode_t mask_of_files;
};

static void note(struct possessions *p)
{
    memset(p, 0, sizeof *p);
    for (int i = 1; i < NSIG; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0) { /* two of them cannot be asked for */
            p->handlers[i] = action.sa_handler;
            p->flags[i] = action.sa_flags;
        }
    }
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &p->mask), 0);
    assert_non_null(getcwd(p->folder, sizeof p->folder));
    size_t len = 0;
    for (char **at = environ; *at != NULL; at++) {
        len += (size_t)snprintf(p->env + len, sizeof p->env - len, "%s\n", *at);
        assert_true(len < sizeof p->env);
    }
    (void)snprintf(p->locale, sizeof p->locale, "%s", setlocale(LC_ALL, NULL));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fstat(i, &p->streams[i]), 0);
        p->streams[i].st_atim = (struct timespec){0, 0};
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &p->files), 0);
    p->mask_of_files = umask(0);
    (void)umask(p->mask_of_files);
}

static void say_nothing(int32_t level, const char *line, void *user)
{
}

/* Opens, starts a run of each kind, lets a child run, is refused, and closes. */
static void live(void)
{
    char plugins[4096];
    const char *build = getenv("MILLRACE_TEST_BUILD");
    (void)snprintf(plugins, sizeof plugins, "%s/plugins/sh", build == NULL ? "build" : build);
    mr_options options = MR_OPTIONS(.store = embed_store, .actions = embed_actions,
                                    .plugins = plugins, .on_log = say_nothing);
    mr_engine *engine = embed_open(&options), *none = NULL;
    mr_start_options start =
        MR_START(.text = "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"say\"},"
                         "{\"id\":\"child\",\"run\":\"echo to nobody; echo likewise >&2; cd /; "
                         "kill $$\"}]}");
    char run[MR_RUN_ID_BYTES];
    const char *name = "";
    mr_error error;
    assert_int_equal(mr_start(engine, &start, run, &error), MR_OK);
    assert_int_equal(mr_wait(engine, run, EMBED_WAIT_MS, &name, &error), MR_OK);
    assert_string_equal(name, "failed"); /* the child ends by a signal */
    mr_options bad = MR_OPTIONS(.store = "/dev/null/none");
    assert_int_equal(mr_open(&bad, &none, &error), MR_ESTORE);
    assert_int_equal(mr_validate("none", "{", 1, NULL, NULL, &error), MR_EDEFINITION);
    mr_stop(engine);
    mr_close(engine);
}

static void quiet__a_life_changes_nothing_of_the_program(void **state)
{
    static struct possessions before, after;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/streams", embed_store);
    int saved[2] = {dup(1), dup(2)}, file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(saved[0] >= 0 && saved[1] >= 0 && file >= 0);
    (void)fflush(stdout);
    assert_true(dup2(file, 1) == 1 && dup2(file, 2) == 2);
    note(&before);
    live();
    note(&after);
    (void)fflush(stdout);
    (void)fflush(stderr);
    struct stat st;
    int result = fstat(file, &st);
    (void)dup2(saved[0], 1);
    (void)dup2(saved[1], 2);
    (void)close(saved[0]);
    (void)close(saved[1]);
    (void)close(file);
    assert_int_equal(result, 0);
    assert_int_equal(st.st_size, 0); /* Nothing was written to stdout and stderr. */
    assert_memory_equal(&before, &after, sizeof before);
}

static void two__one_closes_while_the_other_works(void **state)
{
    char second_store[64];
    temp_store_make(second_store);
    mr_options options = MR_OPTIONS(.store = second_store, .actions = embed_actions);
    mr_engine *first = embed_open_default(), *second = embed_open(&options);
    assert_int_equal(mr_is_owner(first), 1);
    assert_int_equal(mr_is_owner(second), 1);
    mr_start_options nap = MR_START(
            .text =
                "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"nap\","
                "\"params\":{\"ms\":300}},{\"id\":\"u\",\"action\":\"say\",\"dependOn\":\"t\"}]}");
    char one[MR_RUN_ID_BYTES], two[MR_RUN_ID_BYTES];
    const char *name = "";
    assert_int_equal(mr_start(first, &nap, one, NULL), MR_OK);
    assert_int_equal(mr_start(second, &nap, two, NULL), MR_OK);
    mr_close(first);
    assert_int_equal(mr_wait(second, two, EMBED_WAIT_MS, &name, NULL), MR_OK);
    assert_string_equal(name, "success");
    assert_int_equal(mr_wait(second, one, EMBED_WAIT_MS, &name, NULL),
                     MR_ENOTFOUND); /* the other's run */
    mr_close(second);
    temp_store_remove(second_store);
}

#define QUIET_TEST(test) cmocka_unit_test_setup_teardown(test, embed_set_up, embed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUIET_TEST(quiet__a_life_changes_nothing_of_the_program),
        QUIET_TEST(two__one_closes_while_the_other_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
