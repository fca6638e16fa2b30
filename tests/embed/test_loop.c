/* SPDX-License-Identifier: MIT
 *
 * Goal: an engine on the loop of the program: it works there, never waits for itself, and leaves
 * the loop as it was. Method: the loop turns in the test's thread, by hand, until what is expected
 * has come; each test ends with uv_loop_close, which fails where a handle was left.
 */
#include <signal.h>
#include <sys/wait.h>
#include <uv.h>

#include "embed_fixture.h"

static uv_loop_t loop;

static int loop_set_up(void **state)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    return embed_set_up(state);
}

static int loop_tear_down(void **state)
{
    /* What a failed test has left must not keep its message back. */
    for (int i = 0; i < 200 && uv_run(&loop, UV_RUN_NOWAIT) != 0; i++) {
        (void)usleep(5000);
    }
    assert_int_equal(uv_loop_close(&loop), 0);
    return embed_tear_down(state);
}

static void on_late(uv_timer_t *timer)
{
    fail_msg("nothing came within %d ms", EMBED_WAIT_MS);
}

/* Turns the loop until `*flag`. */
static void turn_until(const bool *flag)
{
    uv_timer_t late;
    (void)uv_timer_init(&loop, &late);
    (void)uv_timer_start(&late, on_late, EMBED_WAIT_MS, 0);
    while (!*flag) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&late, NULL);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void turn_until_ended(struct embed_told *told)
{
    while (!embed_has_ended(told)) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static void set_flag(void *user)
{
    *(bool *)user = true;
}

static mr_engine *open_here(void)
{
    mr_options options =
        MR_OPTIONS(.store = embed_store, .actions = embed_actions, .loop = &loop, .jobs = 2);
    return embed_open(&options);
}

static void close_here(mr_engine *engine)
{
    bool closed = false;
    assert_int_equal(mr_close_async(engine, set_flag, &closed, NULL), MR_OK);
    assert_false(closed);
    turn_until(&closed);
}

/* Starts a run and gives its id. */
static void start_here(mr_engine *engine, const char *text, char ret_id[MR_RUN_ID_BYTES])
{
    struct embed_told told = EMBED_TOLD;
    mr_start_options start = MR_START(.text = text);
    assert_int_equal(mr_start_cb(engine, &start, embed_on_answer, &told, NULL), MR_OK);
    assert_int_equal(told.ends, 0); /* Never from within the call. */
    turn_until_ended(&told);
    assert_int_equal(told.status, MR_END);
    assert_int_equal(told.answers, 1);
    embed_run_id(told.json, ret_id);
}

static void ask_here(mr_engine *engine, const char *op, const char *run, struct embed_told *told)
{
    char request[128];
    (void)snprintf(request, sizeof request, "{\"op\":\"%s\",\"run\":\"%s\"}", op, run);
    assert_int_equal(mr_request_cb(engine, request, embed_on_answer, told, NULL, NULL), MR_OK);
}

static void loop__runs_a_dag(void **state)
{
    mr_engine *engine = open_here();
    char run[MR_RUN_ID_BYTES];
    struct embed_told told = EMBED_TOLD;
    assert_int_equal(mr_is_owner(engine), 1);
    start_here(engine, EMBED_SAY, run);
    ask_here(engine, "wait", run, &told);
    turn_until_ended(&told);
    assert_non_null(strstr(told.json, "\"said\":\"hello!\""));
    close_here(engine);
}

static void loop__is_never_waited_for_on_its_own_thread(void **state)
{
    mr_engine *engine = open_here();
    mr_start_options start = MR_START(.text = EMBED_SAY);
    char run[MR_RUN_ID_BYTES] = "-", *json;
    const char *name, *line;
    mr_error error = {.message = ""};
    mr_stream *stream;
    assert_int_equal(mr_start(engine, &start, run, &error), MR_EINVAL);
    assert_non_null(strstr(error.message, "mr_start_cb"));
    assert_int_equal(mr_wait(engine, run, MR_FOREVER, &name, &error), MR_EINVAL);
    assert_non_null(strstr(error.message, "mr_wait would wait"));
    assert_int_equal(mr_call(engine, "{\"op\":\"ping\"}", &json, &error), MR_EINVAL);
    assert_non_null(strstr(error.message, "mr_request_cb"));
    assert_int_equal(mr_cancel(engine, run, &error), MR_EINVAL);
    assert_int_equal(mr_retry(engine, run, &error), MR_EINVAL);
    assert_int_equal(mr_continue(engine, run, &error), MR_EINVAL);
    assert_int_equal(mr_request(engine, "{\"op\":\"ping\"}", &stream, &error), MR_OK);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &line, &error), MR_EINVAL);

    /* Without waiting a stream can be read here too, as the loop turns. */
    assert_int_equal(mr_stream_next(stream, 0, &line, &error), MR_ETIMEDOUT);
    mr_status status;
    while ((status = mr_stream_next(stream, 0, &line, &error)) == MR_ETIMEDOUT) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(status, MR_OK);
    assert_non_null(strstr(line, "\"pid\""));
    mr_stream_close(stream);
    close_here(engine);
}

/* ---- actions on the loop -------------------------------------------------------------------- */

static mr_task *pending;

static mr_status pending_run(mr_task *t)
{
    pending = t;
    return MR_PENDING;
}
static const mr_action pending_action =
    MR_ACTION(.name = "pending", .where = MR_ON_LOOP, .run = pending_run);
static const mr_action *const pending_actions[] = {&pending_action, NULL};

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_prepare(uv_prepare_t *prepare)
{
    if (pending != NULL && *(bool *)prepare->data) {
        assert_int_equal(mr_finish(pending, MR_OK), MR_OK);
        pending = NULL;
    }
}

/* The end was seen when something else woke the loop: the program's prepare handle is older than
 * the engine's, and libuv calls it after that, right before the loop sleeps. */
static void loop__wakes_for_what_ends_right_before_it_sleeps(void **state)
{
    bool time = false;
    uv_prepare_t prepare;
    uv_timer_t timer;
    (void)uv_prepare_init(&loop, &prepare);
    (void)uv_prepare_start(&prepare, on_prepare);
    (void)uv_timer_init(&loop, &timer);
    timer.data = prepare.data = &time;
    mr_options options =
        MR_OPTIONS(.store = embed_store, .actions = pending_actions, .loop = &loop);
    mr_engine *engine = embed_open(&options);
    char run[MR_RUN_ID_BYTES];
    struct embed_told told = EMBED_TOLD;
    start_here(engine, "{\"id\":\"d\",\"tasks\":[{\"id\":\"t\",\"action\":\"pending\"}]}", run);
    ask_here(engine, "wait", run, &told);
    /* By then all else that could wake it is over. */
    (void)uv_timer_start(&timer, on_time, 300, 0);
    uv_timer_t late;
    (void)uv_timer_init(&loop, &late);
    (void)uv_timer_start(&late, on_late, EMBED_WAIT_MS, 0);
    turn_until_ended(&told);
    uv_close((uv_handle_t *)&late, NULL);
    assert_int_equal(told.status, MR_END);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_close((uv_handle_t *)&prepare, NULL);
    close_here(engine);
}

/* ---- other threads -------------------------------------------------------------------------- */

struct other {
    mr_engine *engine;
    uv_async_t done;
    bool closes, over;
};

static void on_other_done(uv_async_t *async)
{
    struct other *other = async->data;
    other->over = true;
    uv_close((uv_handle_t *)async, NULL);
}

static void *other_main(void *arg)
{
    struct other *other = arg;
    mr_start_options start = MR_START(.text = EMBED_SAY);
    char run[MR_RUN_ID_BYTES];
    const char *name = "";
    assert_int_equal(mr_start(other->engine, &start, run, NULL), MR_OK);
    assert_int_equal(mr_wait(other->engine, run, MR_FOREVER, &name, NULL), MR_OK);
    assert_string_equal(name, "success");
    if (other->closes) {
        mr_close(other->engine);
    }
    (void)uv_async_send(&other->done);
    return NULL;
}

static void run_other(mr_engine *engine, bool closes)
{
    struct other other = {.engine = engine, .closes = closes};
    pthread_t thread;
    assert_int_equal(uv_async_init(&loop, &other.done, on_other_done), 0);
    other.done.data = &other;
    assert_int_equal(pthread_create(&thread, NULL, other_main, &other), 0);
    turn_until(&other.over);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void loop__other_threads_may_wait_and_close(void **state)
{
    mr_engine *engine = open_here();
    run_other(engine, false);
    run_other(engine, true);
    engine = open_here(); /* the store is free again */
    assert_int_equal(mr_is_owner(engine), 1);
    close_here(engine);
}

/* Several threads send requests while the loop's own does: none of them waits for it with a lock
 * that it needs. */
static void *asker_main(void *arg)
{
    for (int i = 0; i < 200; i++) {
        char *json;
        assert_int_equal(mr_call(arg, "{\"op\":\"ping\"}", &json, NULL), MR_OK);
        mr_free(json);
    }
    return NULL;
}

static void loop__threads_and_the_loop_ask_at_once(void **state)
{
    mr_engine *engine = open_here();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, asker_main, engine), 0);
    }
    for (int i = 0; i < 200; i++) {
        struct embed_told told = EMBED_TOLD;
        ask_here(engine, "ping", "-", &told);
        turn_until_ended(&told);
        assert_int_equal(told.answers, 1);
    }
    /* The threads may have more to ask: the loop goes on for them. */
    for (int i = 0; i < 3; i++) {
        while (pthread_tryjoin_np(threads[i], NULL) != 0) {
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        }
    }
    close_here(engine);
}

/* ---- closing and stopping ------------------------------------------------------------------- */

static void loop__mr_close_there_returns_at_once(void **state)
{
    mr_engine *engine = open_here();
    char run[MR_RUN_ID_BYTES];
    start_here(engine, EMBED_SAY, run);
    mr_close(engine);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* It ends: nothing keeps the loop alive. */
    engine = open_here();
    close_here(engine);
}

static void loop__open_streams_hear_of_the_end(void **state)
{
    mr_engine *engine = open_here();
    char run[MR_RUN_ID_BYTES];
    struct embed_told wait = EMBED_TOLD, watch = EMBED_TOLD;
    start_here(engine, EMBED_NAP, run);
    ask_here(engine, "wait", run, &wait);
    ask_here(engine, "watch", run, &watch);
    close_here(engine);
    assert_int_equal(wait.status, MR_ECLOSED);
    assert_int_equal(watch.status, MR_ECLOSED);
    assert_int_equal(wait.answers, 0);
}

static void loop__stop_ends_all_at_once(void **state)
{
    mr_engine *engine = open_here();
    char run[MR_RUN_ID_BYTES];
    struct embed_told told = EMBED_TOLD, late = EMBED_TOLD;
    start_here(engine, EMBED_NAP, run);
    ask_here(engine, "wait", run, &told);
    mr_stop(engine);
    turn_until_ended(&told);
    assert_int_equal(told.status, MR_ECLOSED);
    ask_here(engine, "ping", "-", &late);
    turn_until_ended(&late);
    assert_int_equal(late.status, MR_ECLOSED);
    close_here(engine);
}

static mr_stream *stopping;

static void on_first_answer(const mr_answer *answer, void *user)
{
    ++*(uint32_t *)user;
    mr_stream_close(stopping);
}

static void loop__a_callback_closes_its_own_stream(void **state)
{
    mr_engine *engine = open_here();
    char run[MR_RUN_ID_BYTES];
    uint32_t calls = 0;
    struct embed_told told = EMBED_TOLD;
    start_here(engine, EMBED_SAY, run);
    ask_here(engine, "wait", run, &told);
    turn_until_ended(&told);
    char request[128];
    (void)snprintf(request, sizeof request, "{\"op\":\"events\",\"run\":\"%s\"}", run);
    assert_int_equal(mr_request_cb(engine, request, on_first_answer, &calls, &stopping, NULL),
                     MR_OK);
    told = (struct embed_told)EMBED_TOLD;
    ask_here(engine, "events", run, &told);
    turn_until_ended(&told);
    while (calls == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_true(told.answers > 1);
    assert_int_equal(calls, 1);
    close_here(engine);
}

static void loop__a_failed_open_leaves_nothing(void **state)
{
    mr_engine *engine = NULL;
    mr_error error;
    char path[96];
    mr_options options = MR_OPTIONS(.store = embed_store, .read_only = 1, .loop = &loop);
    assert_int_equal(mr_open(&options, &engine, &error), MR_ENOTFOUND);
    /* Here the engine has its loop already, and finds that the store is none. */
    (void)snprintf(path, sizeof path, "%s/data.mdb", embed_store);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < 20000; i++) {
        (void)fputs("no store\n", file);
    }
    (void)fclose(file);
    options.read_only = 0;
    assert_int_not_equal(mr_open(&options, &engine, &error), MR_OK);
    assert_null(engine);
    assert_int_equal(mr_close_async(NULL, NULL, NULL, &error), MR_EINVAL);
}

static void loop__close_async_is_for_handles_with_a_loop(void **state)
{
    mr_engine *engine = embed_open_default();
    mr_error error;
    assert_int_equal(mr_close_async(engine, NULL, NULL, &error), MR_EINVAL);
    mr_close(engine);
}

/* ---- two handles ---------------------------------------------------------------------------- */

static void loop__two_engines_share_it(void **state)
{
    char second_store[64], run[MR_RUN_ID_BYTES];
    temp_store_make(second_store);
    mr_options options = MR_OPTIONS(.store = second_store, .actions = embed_actions, .loop = &loop);
    mr_engine *first = open_here(), *second = embed_open(&options);
    struct embed_told told = EMBED_TOLD;
    start_here(first, EMBED_SAY, run);
    start_here(second, EMBED_SAY, run);
    mr_close(first); /* while the other one works */
    ask_here(second, "wait", run, &told);
    turn_until_ended(&told);
    assert_non_null(strstr(told.json, "\"success\""));
    close_here(second);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    temp_store_remove(second_store);
}

static void loop__attached_handle_takes_over(void **state)
{
    mr_engine *owner = embed_open_default(), *attached = open_here();
    char run[MR_RUN_ID_BYTES];
    struct embed_told wait = EMBED_TOLD, told = EMBED_TOLD;
    assert_int_equal(mr_is_owner(attached), 0);
    start_here(attached, EMBED_SAY, run);
    ask_here(attached, "wait", run, &wait);
    turn_until_ended(&wait);
    assert_non_null(strstr(wait.json, "\"success\""));

    mr_stop(owner);
    mr_close(owner);
    while (mr_is_owner(attached) == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    ask_here(attached, "show", run, &told);
    turn_until_ended(&told);
    assert_non_null(strstr(told.json, run));
    close_here(attached);
}

static void loop__attached_handle_closes_while_it_takes_over(void **state)
{
    mr_engine *owner = embed_open_default(), *attached = open_here();
    mr_stop(owner);
    mr_close(owner);
    (void)usleep(300000); /* Its thread has the lock by now and waits for the loop. */
    close_here(attached);
    attached = open_here();
    assert_int_equal(mr_is_owner(attached), 1);
    close_here(attached);
}

/* An owner in a process of its own, with a run that sleeps. */
static pid_t fork_owner(char ret_run[MR_RUN_ID_BYTES])
{
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        mr_start_options start = MR_START(.text = EMBED_NAP);
        char run[MR_RUN_ID_BYTES] = "";
        mr_engine *engine = embed_open_default();
        if (mr_start(engine, &start, run, NULL) == MR_OK && write(out[1], run, sizeof run) > 0) {
            (void)pause();
        }
        _exit(1);
    }
    (void)close(out[1]);
    assert_int_equal(read(out[0], ret_run, MR_RUN_ID_BYTES), MR_RUN_ID_BYTES);
    (void)close(out[0]);
    return pid;
}

static pthread_t logged_by;
static uint32_t logged;

static void on_log(int32_t level, const char *line, void *user)
{
    logged += strstr(line, "has taken over") != NULL ? 1 : 0;
    logged_by = pthread_self();
}

/* What the connection's thread has to say came on that thread, beside all that the loop's did. */
static void loop__on_log_is_called_there_alone(void **state)
{
    mr_engine *owner = embed_open_default();
    mr_options options =
        MR_OPTIONS(.store = embed_store, .actions = embed_actions, .loop = &loop, .on_log = on_log);
    mr_engine *attached = embed_open(&options);
    logged = 0;
    mr_stop(owner);
    mr_close(owner);
    while (mr_is_owner(attached) == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    close_here(attached); /* what was said is heard before the end */
    assert_int_equal(logged, 1);
    assert_true(pthread_equal(logged_by, pthread_self()) != 0);
}

/* Its runs are gone on with, and open streams do not notice. The wait was sent before the resume
 * that it needs, and got a conflict. */
static void loop__attached_handle_inherits_from_a_dead_owner(void **state)
{
    char run[MR_RUN_ID_BYTES];
    struct embed_told wait = EMBED_TOLD, told = EMBED_TOLD;
    pid_t pid = fork_owner(run);
    mr_engine *attached = open_here();
    assert_int_equal(mr_is_owner(attached), 0);
    ask_here(attached, "wait", run, &wait);
    ask_here(attached, "ping", "-", &told); /* so that the owner knows of the wait */
    turn_until_ended(&told);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    turn_until_ended(&wait);
    assert_int_equal(wait.status, MR_END);
    assert_non_null(strstr(wait.json, "\"failed\"")); /* its attempt was lost */
    assert_int_equal(mr_is_owner(attached), 1);
    close_here(attached);
}

static void loop__closing_waits_for_what_was_inherited(void **state)
{
    char run[MR_RUN_ID_BYTES];
    const char *name = "";
    pid_t pid = fork_owner(run);
    mr_engine *attached = open_here();
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (mr_is_owner(attached) == 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    close_here(attached);
    mr_engine *engine = embed_open_default();
    assert_int_equal(mr_wait(engine, run, EMBED_WAIT_MS, &name, NULL), MR_OK);
    assert_string_equal(name, "failed");
    mr_close(engine);
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, loop_set_up, loop_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(loop__runs_a_dag),
        LOOP_TEST(loop__is_never_waited_for_on_its_own_thread),
        LOOP_TEST(loop__wakes_for_what_ends_right_before_it_sleeps),
        LOOP_TEST(loop__other_threads_may_wait_and_close),
        LOOP_TEST(loop__threads_and_the_loop_ask_at_once),
        LOOP_TEST(loop__mr_close_there_returns_at_once),
        LOOP_TEST(loop__open_streams_hear_of_the_end),
        LOOP_TEST(loop__stop_ends_all_at_once),
        LOOP_TEST(loop__a_callback_closes_its_own_stream),
        LOOP_TEST(loop__a_failed_open_leaves_nothing),
        LOOP_TEST(loop__close_async_is_for_handles_with_a_loop),
        LOOP_TEST(loop__two_engines_share_it),
        LOOP_TEST(loop__attached_handle_takes_over),
        LOOP_TEST(loop__attached_handle_closes_while_it_takes_over),
        LOOP_TEST(loop__on_log_is_called_there_alone),
        LOOP_TEST(loop__attached_handle_inherits_from_a_dead_owner),
        LOOP_TEST(loop__closing_waits_for_what_was_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
