/* SPDX-License-Identifier: MIT
 *
 * Goal: one owner at a time, everybody else attached, and a take-over that callers do not notice
 * beyond what millrace/engine.h says. Method: several handles in this process and owners in a child
 * process (this program again, with "--owner DIR"), which are killed or closed; the fake engine
 * (tests/support/fake_engine.c) counts what it is asked to resume.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <millrace/engine.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include "fake_engine.h"
#include "sdk/folder.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

#define RACERS 10

static char base[64];
static char logged[4096]; /* guarded by logged_lock */
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static int set_up(void **state)
{
    temp_store_make(base);
    logged[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    temp_store_remove(base);
    return 0;
}

static void on_log(int32_t level, const char *line, void *user)
{
    (void)pthread_mutex_lock(&logged_lock);
    size_t len = strlen(logged);
    (void)snprintf(logged + len, sizeof logged - len, "%d %s\n", (int)level, line);
    (void)pthread_mutex_unlock(&logged_lock);
}

static bool has_logged(const char *text)
{
    (void)pthread_mutex_lock(&logged_lock);
    bool found = strstr(logged, text) != NULL;
    (void)pthread_mutex_unlock(&logged_lock);
    return found;
}

static mr_engine *open_store(void)
{
    mr_options options = MR_OPTIONS(.store = base, .on_log = on_log);
    mr_engine *handle = NULL;
    mr_error error = {.message = ""};
    if (mr_open(&options, &handle, &error) != MR_OK) {
        print_error("%s\n", error.message);
    }
    assert_non_null(handle);
    return handle;
}

/* ---- an owner in another process ----------------------------------------------------------- */

struct child {
    pid_t pid;
    int in; /* closing it makes the child close its handle */
};

static int child_main(const char *store)
{
    mr_options options = MR_OPTIONS(.store = store);
    mr_engine *handle;
    char byte;
    if (mr_open(&options, &handle, NULL) != MR_OK || mr_is_owner(handle) == 0 ||
        write(STDOUT_FILENO, "x", 1) != 1) {
        return 1;
    }
    /* 's': as on SIGTERM; the end of input: an ordinary close. */
    if (read(STDIN_FILENO, &byte, 1) == 1 && byte == 's') {
        mr_stop(handle);
    }
    mr_close(handle);
    return 0;
}

static struct child child_start(void)
{
    int in[2], out[2];
    char byte;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct child child = {.pid = fork(), .in = in[1]};
    if (child.pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "test_handle", "--owner", base, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    assert_int_equal(read(out[0], &byte, 1), 1);
    (void)close(out[0]);
    return child;
}

static void child_kill(struct child *child)
{
    assert_int_equal(kill(child->pid, SIGKILL), 0);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
    (void)close(child->in);
}

static void child_tell(struct child *child, const char *word)
{
    assert_int_equal(write(child->in, word, strlen(word)), (ssize_t)strlen(word));
    (void)close(child->in);
}

static void child_join(struct child *child)
{
    int status = -1;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(status, 0);
}

/* ---- helpers ------------------------------------------------------------------------------- */

static mr_stream *ask(mr_engine *handle, const char *json)
{
    mr_stream *stream;
    assert_int_equal(mr_request(handle, json, &stream, NULL), MR_OK);
    return stream;
}

static const char *next(mr_stream *stream)
{
    const char *json = NULL;
    mr_error error = {.message = ""};
    if (mr_stream_next(stream, 20000, &json, &error) != MR_OK) {
        print_error("%s\n", error.message);
    }
    assert_non_null(json);
    return json;
}

static int64_t stat_of(mr_engine *handle, const char *name)
{
    char *json, key[64];
    assert_int_equal(mr_call(handle, "{\"op\":\"stats\"}", &json, NULL), MR_OK);
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(json, key);
    assert_non_null(at);
    int64_t number = strtoll(at + strlen(key), NULL, 10);
    mr_free(json);
    return number;
}

static void wait_until_owner(mr_engine *handle)
{
    for (int i = 0; i < 2000 && mr_is_owner(handle) == 0; i++) {
        (void)usleep(10000);
    }
    assert_int_equal(mr_is_owner(handle), 1);
}

/* ---- opening ------------------------------------------------------------------------------- */

static void open__first_owns_second_attaches(void **state)
{
    mr_engine *first = open_store(), *second = open_store();
    assert_int_equal(mr_is_owner(first), 1);
    assert_int_equal(mr_is_owner(second), 0);
    char *one, *two;
    assert_int_equal(mr_call(first, "{\"op\":\"ping\"}", &one, NULL), MR_OK);
    assert_int_equal(mr_call(second, "{\"op\":\"ping\"}", &two, NULL), MR_OK);
    assert_string_equal(one, two);
    mr_free(one);
    mr_free(two);
    mr_close(second);
    mr_close(first);
    mr_close(NULL);
    first = open_store();
    assert_int_equal(mr_is_owner(first), 1);
    mr_close(first);
}

static void open__options_of_an_older_program(void **state)
{
    mr_engine *handle;
    mr_error error;
    mr_options options = MR_OPTIONS(.store = base, .read_only = 1);
    options.size = offsetof(mr_options, read_only);
    assert_int_equal(mr_open(&options, &handle, &error), MR_OK);
    assert_int_equal(mr_is_owner(handle), 1);
    mr_close(handle);
    options.size = 0;
    assert_int_equal(mr_open(&options, &handle, &error), MR_EINVAL);
    assert_int_equal(mr_open(NULL, &handle, &error), MR_EINVAL);
}

static void open__read_only_needs_an_owner(void **state)
{
    mr_engine *handle;
    mr_error error;
    char none[96];
    (void)snprintf(none, sizeof none, "%s/none", base);
    mr_options options = MR_OPTIONS(.store = none, .read_only = 1);
    assert_int_equal(mr_open(&options, &handle, &error), MR_ENOTFOUND);
    assert_int_equal(access(none, F_OK), -1);
    options.store = base;
    assert_int_equal(mr_open(&options, &handle, &error), MR_ENOTFOUND);
    mr_engine *owner = open_store();
    assert_int_equal(mr_open(&options, &handle, &error), MR_OK);
    assert_int_equal(mr_is_owner(handle), 0);
    mr_stream *wait = ask(handle, "{\"op\":\"watch\",\"run\":\"r\"}");
    (void)next(wait);
    mr_close(owner);

    /* It does not take over, and says so. */
    const char *json;
    mr_status status;
    while ((status = mr_stream_next(wait, MR_FOREVER, &json, &error)) == MR_OK) {
    }
    assert_int_equal(status, MR_ENOTFOUND);
    assert_int_equal(mr_is_owner(handle), 0);
    char *owned;
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, &error), MR_ENOTFOUND);
    mr_stream_close(wait);
    mr_close(handle);
}

static void *let_go_soon(void *arg)
{
    (void)usleep(300000);
    mr__folder_close(arg);
    return NULL;
}

static void open__waits_for_an_owner_that_is_starting(void **state)
{
    struct mr__folder folder;
    int64_t pid;
    pthread_t thread;
    assert_int_equal(mr__folder_open(base, true, &folder, NULL), MR_OK);
    assert_int_equal(mr__folder_lock(&folder, &pid, NULL), MR_OK);
    assert_int_equal(pthread_create(&thread, NULL, let_go_soon, &folder), 0);
    long begun = temp_store_now_ms();
    mr_engine *handle = open_store();
    assert_true(temp_store_now_ms() - begun >= 250);
    assert_int_equal(mr_is_owner(handle), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mr_close(handle);
}

static void open__names_an_owner_that_says_nothing(void **state)
{
    struct mr__folder folder;
    int64_t pid;
    int listen_fd;
    char text[32];
    mr_engine *handle;
    mr_error error;
    mr_options options = MR_OPTIONS(.store = base);
    assert_int_equal(mr__folder_open(base, true, &folder, NULL), MR_OK);
    assert_int_equal(mr__folder_lock(&folder, &pid, NULL), MR_OK);
    assert_int_equal(mr__folder_listen(&folder, &listen_fd, NULL), MR_OK);
    long begun = temp_store_now_ms();
    assert_int_equal(mr_open(&options, &handle, &error), MR_ESTORE);
    assert_true(temp_store_now_ms() - begun < 15000);
    (void)snprintf(text, sizeof text, "process %d ", (int)getpid());
    assert_non_null(strstr(error.message, text));
    (void)close(listen_fd);
    mr__folder_close(&folder);
}

static void open__passes_on_what_the_engine_refuses(void **state)
{
    char path[96];
    mr_engine *handle;
    mr_error error;
    mr_options options = MR_OPTIONS(.store = base);
    (void)snprintf(path, sizeof path, "%s/" FAKE_REFUSE, base);
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(mr_open(&options, &handle, &error), MR_EFORMAT);
    assert_int_equal(unlink(path), 0);
    handle = open_store(); /* The lock was let go. */
    mr_close(handle);
}

static void *open_and_ask(void *arg)
{
    mr_engine **handle = arg;
    mr_options options = MR_OPTIONS(.store = base);
    if (mr_open(&options, handle, NULL) != MR_OK) {
        *handle = NULL;
    }
    return NULL;
}

static void open__by_many_at_once_makes_one_owner(void **state)
{
    for (int round = 0; round < 20; round++) {
        pthread_t threads[RACERS];
        mr_engine *handles[RACERS];
        uint32_t owners = 0;
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, open_and_ask, &handles[i]), 0);
        }
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_non_null(handles[i]);
            owners += mr_is_owner(handles[i]);
        }
        assert_int_equal(owners, 1);
        for (int i = 0; i < RACERS; i++) {
            mr_close(handles[i]);
        }
    }
}

static void open__leaves_no_descriptor_to_children(void **state)
{
    mr_engine *owner = open_store(), *attached = open_store();
    for (int fd = 3; fd < 256; fd++) {
        char path[64], target[256] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && readlink(path, target, sizeof target - 1) > 0 &&
            (strncmp(target, base, strlen(base)) == 0 || strncmp(target, "socket", 6) == 0 ||
             strstr(target, "eventfd") != NULL)) {
            assert_int_equal(flags & FD_CLOEXEC, FD_CLOEXEC);
        }
    }
    mr_close(attached);
    mr_close(owner);
}

/* ---- taking over --------------------------------------------------------------------------- */

static void takeover__from_a_killed_owner_resumes_all(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    assert_int_equal(mr_is_owner(handle), 0);
    mr_stream *wait = ask(handle, "{\"op\":\"wait\",\"run\":\"r\"}");
    mr_stream *watch = ask(handle, "{\"op\":\"watch\",\"run\":\"w\"}");
    char first[256];
    (void)snprintf(first, sizeof first, "%s", next(watch));
    assert_non_null(strstr(first, "\"run\":{\"id\":\"w\""));
    child_kill(&child);

    assert_non_null(strstr(next(wait), "\"success\""));
    assert_int_equal(mr_is_owner(handle), 1);
    /* The watcher sees its run once more, as the new owner has it, and then its events. */
    const char *json;
    do {
        json = next(watch);
    } while (strstr(json, "\"event\"") != NULL);
    assert_non_null(strstr(json, "\"run\":{\"id\":\"w\""));
    assert_string_not_equal(json, first);
    assert_non_null(strstr(next(watch), "\"event\""));
    assert_int_equal(stat_of(handle, "resumedAll"), 1);
    assert_true(has_logged("died: this one has taken over"));
    mr_stream_close(wait);
    mr_stream_close(watch);

    /* The taker stays until what it resumed has ended. */
    long begun = temp_store_now_ms();
    while (!has_logged("does not go on")) {
        (void)usleep(1000);
    }
    mr_close(handle);
    assert_true(temp_store_now_ms() - begun < 10000);
}

static void takeover__taker_waits_for_what_it_resumed(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    child_kill(&child);
    wait_until_owner(handle);
    long begun = temp_store_now_ms();
    mr_close(handle);
    assert_true(temp_store_now_ms() - begun >= FAKE_RESUMED_MS - 100);

    /* But not when it is stopped. */
    child = child_start();
    handle = open_store();
    child_kill(&child);
    wait_until_owner(handle);
    begun = temp_store_now_ms();
    mr_stop(handle);
    mr_close(handle);
    assert_true(temp_store_now_ms() - begun < FAKE_RESUMED_MS - 100);
}

static void takeover__by_one_of_many(void **state)
{
    struct child child = child_start();
    mr_engine *handles[RACERS];
    mr_stream *waits[RACERS];
    for (int i = 0; i < RACERS; i++) {
        char request[64];
        handles[i] = open_store();
        (void)snprintf(request, sizeof request, "{\"op\":\"wait\",\"run\":\"r%d\"}", i);
        waits[i] = ask(handles[i], request);
    }
    assert_int_equal(stat_of(handles[0], "clients"), RACERS);
    child_kill(&child);
    uint32_t owners = 0;
    for (int i = 0; i < RACERS; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "\"id\":\"r%d\"", i);
        const char *json = next(waits[i]);
        assert_non_null(strstr(json, id));
        assert_non_null(strstr(json, "\"success\""));
    }
    for (int i = 0; i < RACERS; i++) {
        owners += mr_is_owner(handles[i]);
        mr_stream_close(waits[i]);
    }
    assert_int_equal(owners, 1);
    assert_int_equal(stat_of(handles[0], "resumedAll"), 1);
    assert_int_equal(stat_of(handles[0], "clients"), RACERS - 1);

    /* One after the other goes; there is an owner to the last. */
    for (int i = 0; i < RACERS; i++) {
        char *json;
        assert_int_equal(mr_call(handles[RACERS - 1], "{\"op\":\"ping\"}", &json, NULL), MR_OK);
        mr_free(json);
        mr_close(handles[i]);
    }
}

/* An owner that was told to stop leaves runs that others wait for. They go on, and they alone. */
static void takeover__from_a_stopped_owner_resumes_ones_own(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    char run[MR_RUN_ID_BYTES];
    mr_start_options start = MR_START(.text = "tasks: []");
    assert_int_equal(mr_start(handle, &start, run, NULL), MR_OK);
    mr_stream *wait = ask(handle, "{\"op\":\"wait\",\"run\":\"r\"}");
    assert_int_equal(stat_of(handle, "clients"), 1);
    child_tell(&child, "s");
    assert_non_null(strstr(next(wait), "\"success\""));
    child_join(&child);
    wait_until_owner(handle);
    assert_int_equal(stat_of(handle, "resumes"), 1);
    assert_int_equal(stat_of(handle, "resumedAll"), 0);
    mr_stream_close(wait);
    const char *status;
    assert_int_equal(mr_wait(handle, run, 5000, &status, NULL), MR_OK);
    assert_string_equal(status, "success");
    assert_int_equal(mr_wait(handle, "other", 50, &status, NULL), MR_ETIMEDOUT);
    mr_close(handle);
}

static void takeover__from_an_owner_that_left_resumes_nothing(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    char *json;
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &json, NULL), MR_OK);
    mr_free(json);
    child_tell(&child, "");
    child_join(&child);
    wait_until_owner(handle);
    assert_int_equal(stat_of(handle, "resumes"), 0);
    assert_true(has_logged("left: this one has taken over"));
    mr_close(handle);
}

static void *close_it(void *arg)
{
    mr_close(arg);
    return NULL;
}

/* An owner that closes stays as long as somebody attached waits for a run. */
static void close__of_an_owner_waits_for_attached_ones(void **state)
{
    mr_engine *owner = open_store(), *handle = open_store();
    pthread_t thread;
    mr_stream *wait = ask(handle, "{\"op\":\"wait\",\"run\":\"r\"}");
    assert_int_equal(stat_of(handle, "clients"), 1);
    assert_int_equal(pthread_create(&thread, NULL, close_it, owner), 0);
    (void)usleep(200000);
    assert_int_equal(mr_is_owner(handle), 0);
    mr_stream_close(wait);
    assert_int_equal(pthread_join(thread, NULL), 0);
    mr_close(handle);
}

static void close__while_taking_over(void **state)
{
    for (int i = 0; i < 30; i++) {
        mr_engine *owner = open_store(), *handle = open_store();
        mr_stop(owner);
        mr_close(owner);
        (void)usleep((useconds_t)(i * 100));
        mr_stop(handle);
        mr_close(handle);
    }
}

static void takeover__repeats_a_submit_once(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    mr_stream *submit = ask(handle, "{\"op\":\"submit\",\"mute\":1}");
    assert_int_equal(stat_of(handle, "submits"), 1);
    child_kill(&child);
    char id[32];
    (void)snprintf(id, sizeof id, "-8000-%08x0001\"", (unsigned)child.pid);
    assert_non_null(strstr(next(submit), id));
    assert_int_equal(stat_of(handle, "submits"), 0);
    mr_stream_close(submit);
    mr_close(handle);
}

static void takeover__does_not_repeat_a_command(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    const char *json, *ops[] = {"cancel", "retry", "continue", "pause", "unpause"};
    mr_error error;
    mr_stream *streams[5];
    for (int i = 0; i < 5; i++) {
        char request[64];
        (void)snprintf(request, sizeof request, "{\"op\":\"%s\",\"run\":\"slow\"}", ops[i]);
        streams[i] = ask(handle, request);
    }
    assert_int_equal(stat_of(handle, "commands"), 5);
    child_kill(&child);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mr_stream_next(streams[i], 20000, &json, &error), MR_EUNKNOWN);
        assert_non_null(strstr(error.message, "show"));
        mr_stream_close(streams[i]);
    }
    assert_int_equal(stat_of(handle, "commands"), 0);
    mr_close(handle);
}

static void takeover__leaves_no_gap_in_a_log(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    mr_stream *logs = ask(handle, "{\"op\":\"logs\",\"run\":\"r\",\"count\":400}");
    char expected[64];
    for (int i = 0; i < 400; i++) {
        (void)snprintf(expected, sizeof expected, "{\"log\":{\"n\":%d}}", i);
        assert_string_equal(next(logs), expected);
        if (i == 50) {
            child_kill(&child);
        }
    }
    assert_string_equal(next(logs), "{\"end\":true}");
    assert_int_equal(mr_is_owner(handle), 1);
    mr_stream_close(logs);
    mr_close(handle);
}

static void takeover__that_fails_is_told(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    mr_stream *wait = ask(handle, "{\"op\":\"wait\",\"run\":\"r\"}");
    char path[96], *owned;
    const char *json;
    mr_error error;
    (void)snprintf(path, sizeof path, "%s/" FAKE_REFUSE, base);
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    child_kill(&child);
    assert_int_equal(mr_stream_next(wait, 20000, &json, &error), MR_EFORMAT);
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, &error), MR_EFORMAT);
    mr_stream_close(wait);
    mr_close(handle);
}

static void *ask_all_the_time(void *arg)
{
    mr_engine *handle = arg;
    size_t bad = 0;
    for (int i = 0; i < 400; i++) {
        char *json = NULL;
        if (mr_call(handle, "{\"op\":\"echo\",\"text\":\"x\"}", &json, NULL) != MR_OK) {
            bad++;
        }
        mr_free(json);
        (void)usleep(1000);
    }
    return (void *)bad;
}

/* Requests that come while there is no owner are asked of the next one. */
static void takeover__is_not_noticed_by_reads(void **state)
{
    struct child child = child_start();
    mr_engine *handle = open_store();
    mr_stream *stream;
    pthread_t threads[4];
    /* "echo" is no op of the product, hence asked once only; "ping" may be asked again. */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all_the_time, handle), 0);
    }
    (void)usleep(100000);
    child_kill(&child);
    for (int i = 0; i < 50; i++) {
        stream = ask(handle, "{\"op\":\"ping\"}");
        (void)next(stream);
        mr_stream_close(stream);
    }
    size_t bad = 0;
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        bad += (size_t)result;
    }
    assert_true(bad <= 4); /* what each thread had under way at that moment */
    mr_close(handle);
}

/* ---- typed calls --------------------------------------------------------------------------- */

static void calls__speak_for_themselves(void **state)
{
    mr_engine *handle = open_store();
    mr_error error;
    char run[MR_RUN_ID_BYTES], path[96];
    const char *status;
    assert_string_equal(mr_version(), "0.1.0");
    mr_start_options start = MR_START(.text = "tasks: []", .vars_json = "{\"a\":1}");
    assert_int_equal(mr_start(handle, &start, run, &error), MR_OK);
    assert_int_equal(strlen(run), MR_RUN_ID_BYTES - 1);
    start.vars_json = "[1]";
    assert_int_equal(mr_start(handle, &start, run, &error), MR_EINVAL);
    start.vars_json = NULL;
    start.tags_json = "{";
    assert_int_equal(mr_start(handle, &start, run, &error), MR_EINVAL);
    start.tags_json = NULL;
    start.text = NULL;
    assert_int_equal(mr_start(handle, &start, run, &error), MR_EINVAL);
    (void)snprintf(path, sizeof path, "%s/none.yaml", base);
    start.file = path;
    assert_int_equal(mr_start(handle, &start, run, &error), MR_ENOTFOUND);
    start.file = base;
    assert_int_equal(mr_start(handle, &start, run, &error), MR_EINVAL);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("tasks: []\n", file) >= 0);
    (void)fclose(file);
    start.file = path;
    assert_int_equal(mr_start(handle, &start, run, &error), MR_OK);

    assert_int_equal(mr_wait(handle, "done", MR_FOREVER, &status, &error), MR_OK);
    assert_string_equal(status, "success");
    assert_int_equal(mr_wait(handle, "r", 30, &status, &error), MR_ETIMEDOUT);
    assert_int_equal(mr_cancel(handle, "r\"", &error), MR_OK);
    assert_int_equal(mr_retry(handle, "r", &error), MR_OK);
    assert_int_equal(mr_continue(handle, "r", &error), MR_OK);
    assert_int_equal(mr_continue(handle, NULL, &error), MR_EINVAL);
    mr_close(handle);
}

static void calls__validate_a_dag(void **state)
{
    char *json = NULL;
    mr_error error;
    const char *good = "id: d\ntasks: [{id: a}, {id: b, dependOn: [a]}]\n";
    const char *bad = "tasks:\n  - {id: a, dependon: [b]}\n";
    assert_int_equal(mr_validate("g.yaml", good, strlen(good), NULL, &json, &error), MR_OK);
    assert_string_equal(json, "{\"dag\":\"d\",\"tasks\":2,\"warnings\":[]}");
    mr_free(json);
    assert_int_equal(mr_validate("b.yaml", bad, strlen(bad), NULL, &json, &error), MR_EDEFINITION);
    assert_memory_equal(error.message, "b.yaml:2:13: error[E102]", 24);
    assert_non_null(strstr(json, "\"errors\":["));
    mr_free(json);
    assert_int_equal(mr_validate("b.yaml", bad, strlen(bad), NULL, NULL, NULL), MR_EDEFINITION);
    assert_int_equal(mr_validate(base, NULL, 0, NULL, &json, &error), MR_EINVAL);
    assert_int_equal(mr_validate("/none.yaml", NULL, 0, NULL, &json, &error), MR_ENOTFOUND);
    assert_int_equal(mr_validate(NULL, NULL, 0, NULL, &json, &error), MR_EINVAL);

    /* What JSON cannot carry to the engine is refused before, with its place. */
    mr_engine *handle = open_store();
    char run[MR_RUN_ID_BYTES];
    mr_start_options start = MR_START(.file = "x.yaml", .text = "id: d\nname: \xff\ntasks: []\n");
    assert_int_equal(mr_start(handle, &start, run, &error), MR_EDEFINITION);
    assert_memory_equal(error.message, "x.yaml:2:", 9);
    mr_close(handle);
}

static void calls__check_a_plugin(void **state)
{
    char path[96], *json = NULL;
    mr_error error;
    (void)snprintf(path, sizeof path, "%s/no.so", base);
    assert_int_equal(mr_plugin_check(path, &json, &error), MR_ENOTFOUND);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("no plugin", file) >= 0);
    (void)fclose(file);
    assert_int_equal(mr_plugin_check(path, &json, &error), MR_EABI);
    assert_memory_equal(error.message, path, strlen(path));
    assert_null(strstr(error.message, "millrace-plugin-"));
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(mr_plugin_check(path, &json, &error), MR_EPERM);
    assert_int_equal(mr_plugin_check(NULL, &json, &error), MR_EINVAL);
    assert_null(json);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--owner") == 0) {
        return child_main(argv[2]);
    }
    const struct CMUnitTest tests[] = {
        CASE(open__first_owns_second_attaches),
        CASE(open__options_of_an_older_program),
        CASE(open__read_only_needs_an_owner),
        CASE(open__waits_for_an_owner_that_is_starting),
        CASE(open__names_an_owner_that_says_nothing),
        CASE(open__passes_on_what_the_engine_refuses),
        CASE(open__by_many_at_once_makes_one_owner),
        CASE(open__leaves_no_descriptor_to_children),
        CASE(takeover__from_a_killed_owner_resumes_all),
        CASE(takeover__taker_waits_for_what_it_resumed),
        CASE(takeover__by_one_of_many),
        CASE(takeover__from_a_stopped_owner_resumes_ones_own),
        CASE(takeover__from_an_owner_that_left_resumes_nothing),
        CASE(takeover__repeats_a_submit_once),
        CASE(takeover__does_not_repeat_a_command),
        CASE(takeover__leaves_no_gap_in_a_log),
        CASE(takeover__that_fails_is_told),
        CASE(takeover__is_not_noticed_by_reads),
        CASE(close__of_an_owner_waits_for_attached_ones),
        CASE(close__while_taking_over),
        CASE(calls__speak_for_themselves),
        CASE(calls__validate_a_dag),
        CASE(calls__check_a_plugin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
