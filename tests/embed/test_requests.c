/* SPDX-License-Identifier: MIT
 *
 * Goal: answers by callback on a handle with threads of its own: each answer once and in order,
 * one last call, none after the stream was closed, whoever closes it and whenever. Method: a real
 * engine with actions of this program; what callbacks were told is counted.
 */
#include "embed_fixture.h"

static char *call(mr_engine *engine, const char *request)
{
    char *json = NULL;
    mr_error error = {.message = ""};
    if (mr_call(engine, request, &json, &error) != MR_OK) {
        print_error("%s\n", error.message);
    }
    assert_non_null(json);
    return json;
}

static void start(mr_engine *engine, const char *text, char ret_id[MR_RUN_ID_BYTES])
{
    mr_start_options options = MR_START(.text = text);
    assert_int_equal(mr_start(engine, &options, ret_id, NULL), MR_OK);
}

static void ask(mr_engine *engine, const char *op, const char *run, struct embed_told *told)
{
    char request[128];
    (void)snprintf(request, sizeof request, "{\"op\":\"%s\",\"run\":\"%s\"}", op, run);
    assert_int_equal(mr_request_cb(engine, request, embed_on_answer, told, NULL, NULL), MR_OK);
}

static void request__answers_and_the_end_come_once(void **state)
{
    mr_engine *engine = embed_open_default();
    char run[MR_RUN_ID_BYTES];
    const char *name;
    start(engine, EMBED_SAY, run);
    assert_int_equal(mr_wait(engine, run, MR_FOREVER, &name, NULL), MR_OK);
    struct embed_told told = EMBED_TOLD;
    ask(engine, "events", run, &told);
    embed_wait_ended(&told);
    assert_int_equal(told.status, MR_END);

    /* As many as a reader of the stream gets. */
    mr_stream *stream;
    char request[128];
    const char *json;
    uint32_t lines = 0;
    (void)snprintf(request, sizeof request, "{\"op\":\"events\",\"run\":\"%s\"}", run);
    assert_int_equal(mr_request(engine, request, &stream, NULL), MR_OK);
    while (mr_stream_next(stream, MR_FOREVER, &json, NULL) == MR_OK) {
        lines++;
    }
    mr_stream_close(stream);
    assert_true(lines > 2);
    assert_int_equal(told.answers, lines);
    mr_close(engine);
}

static void request__errors_are_the_last_call(void **state)
{
    mr_engine *engine = embed_open_default();
    struct embed_told told = EMBED_TOLD, bad = EMBED_TOLD;
    ask(engine, "show", "none", &told);
    embed_wait_ended(&told);
    assert_int_equal(told.status, MR_ENOTFOUND);
    assert_string_equal(told.message, "no run \"none\"");
    assert_non_null(strstr(told.json, "\"error\""));

    mr_error error;
    mr_start_options options = MR_START(.text = "{\"id\":\"d\",\"tasks\":1}");
    assert_int_equal(mr_start_cb(engine, &options, embed_on_answer, &bad, &error), MR_OK);
    embed_wait_ended(&bad);
    assert_int_equal(bad.status, MR_EDEFINITION);

    /* Nothing is called where the call itself says what is wrong. */
    assert_int_equal(mr_request_cb(engine, "[]", embed_on_answer, NULL, NULL, &error), MR_EINVAL);
    assert_int_equal(mr_request_cb(engine, "{}", NULL, NULL, NULL, &error), MR_EINVAL);
    options = (mr_start_options)MR_START(.file = "/nowhere/x.yaml");
    assert_int_equal(mr_start_cb(engine, &options, embed_on_answer, NULL, &error), MR_ENOTFOUND);
    mr_close(engine);
}

static void request__that_is_too_large_is_told_by_callback(void **state)
{
    mr_engine *engine = embed_open_default();
    struct embed_told told = EMBED_TOLD;
    size_t len = 81u << 20;
    char *large = malloc(len + 1);
    assert_non_null(large);
    memset(large, ' ', len);
    large[0] = '{';
    large[len - 1] = '}';
    large[len] = '\0';
    assert_int_equal(mr_request_cb(engine, large, embed_on_answer, &told, NULL, NULL), MR_OK);
    free(large);
    embed_wait_ended(&told);
    assert_int_equal(told.status, MR_ELIMIT);
    mr_close(engine);
}

/* A callback of a handle with its own threads may wait for answers of the same handle. */
static void on_answer_that_waits(const mr_answer *answer, void *user)
{
    struct embed_told *told = user;
    mr_engine *engine;
    memcpy(&engine, told->message, sizeof engine); /* as it was put there: nowhere in particular */
    if (answer->status == MR_OK) {
        char *json = call(engine, "{\"op\":\"ping\"}");
        mr_free(json);
    }
    embed_on_answer(answer, told);
}

static void request__callback_may_wait_for_another_answer(void **state)
{
    mr_engine *engine = embed_open_default();
    struct embed_told told = EMBED_TOLD;
    memcpy(told.message, &engine, sizeof engine);
    assert_int_equal(
        mr_request_cb(engine, "{\"op\":\"ping\"}", on_answer_that_waits, &told, NULL, NULL), MR_OK);
    embed_wait_ended(&told);
    assert_int_equal(told.answers, 1);
    mr_close(engine);
}

/* ---- closing a stream early ----------------------------------------------------------------- */

struct counted {
    pthread_mutex_t lock;
    mr_stream *stream;
    uint32_t calls;
    bool closes, in_call, closed;
};

static void on_counted(const mr_answer *answer, void *user)
{
    struct counted *counted = user;
    (void)pthread_mutex_lock(&counted->lock);
    assert_false(counted->closed);
    counted->calls++;
    counted->in_call = true;
    (void)pthread_mutex_unlock(&counted->lock);
    if (counted->closes) {
        mr_stream_close(counted->stream);
    } else {
        (void)usleep(1000);
    }
    (void)pthread_mutex_lock(&counted->lock);
    counted->in_call = false;
    counted->closed = counted->closes;
    (void)pthread_mutex_unlock(&counted->lock);
}

static uint32_t calls_of(struct counted *counted)
{
    (void)pthread_mutex_lock(&counted->lock);
    uint32_t calls = counted->calls;
    (void)pthread_mutex_unlock(&counted->lock);
    return calls;
}

static void request__closed_from_its_callback_is_silent(void **state)
{
    mr_engine *engine = embed_open_default();
    char run[MR_RUN_ID_BYTES];
    struct counted counted = {.lock = PTHREAD_MUTEX_INITIALIZER, .closes = true};
    start(engine, EMBED_NAP, run);
    assert_int_equal(mr_request_cb(engine, "{\"op\":\"watch\",\"run\":\"-\"}", on_counted, &counted,
                                   &counted.stream, NULL),
                     MR_OK);
    while (calls_of(&counted) == 0) {
        (void)usleep(1000);
    }
    assert_int_equal(mr_cancel(engine, run, NULL), MR_OK); /* would be told */
    mr_close(engine);
    assert_int_equal(counted.calls, 1);
}

/* Closed from another thread at any moment, before, during and after its calls. */
static void request__closed_elsewhere_is_not_called_any_more(void **state)
{
    mr_engine *engine = embed_open_default();
    char run[MR_RUN_ID_BYTES];
    const char *name;
    start(engine, EMBED_SAY, run);
    assert_int_equal(mr_wait(engine, run, MR_FOREVER, &name, NULL), MR_OK);
    for (unsigned i = 0; i < 100; i++) {
        struct counted counted = {.lock = PTHREAD_MUTEX_INITIALIZER};
        assert_int_equal(mr_request_cb(engine, "{\"op\":\"events\",\"run\":\"-\"}", on_counted,
                                       &counted, &counted.stream, NULL),
                         MR_OK);
        (void)usleep(i * 100);
        mr_stream_close(counted.stream);
        (void)pthread_mutex_lock(&counted.lock);
        assert_false(counted.in_call);
        counted.closed = true;
        (void)pthread_mutex_unlock(&counted.lock);
    }
    mr_close(engine);
}

static void request__stream_may_be_closed_after_its_handle(void **state)
{
    mr_engine *engine = embed_open_default();
    char run[MR_RUN_ID_BYTES];
    struct embed_told told = EMBED_TOLD;
    mr_stream *stream;
    const char *json;
    start(engine, EMBED_NAP, run);
    assert_int_equal(mr_request_cb(engine, "{\"op\":\"wait\",\"run\":\"-\"}", embed_on_answer,
                                   &told, &stream, NULL),
                     MR_OK);
    assert_int_equal(mr_stream_next(stream, 0, &json, NULL), MR_EINVAL);
    mr_close(engine);
    assert_int_equal(told.ends, 1);
    assert_int_equal(told.status, MR_ECLOSED);
    mr_stream_close(stream);
}

/* ---- the end of the handle ------------------------------------------------------------------ */

/* Asks again whenever it is told of an end: that must not keep mr_close from its own. */
static void on_answer_that_asks_again(const mr_answer *answer, void *user)
{
    if (answer->status < 0) {
        mr_engine *engine = *(mr_engine **)user;
        assert_int_equal(
            mr_request_cb(engine, "{\"op\":\"ping\"}", on_answer_that_asks_again, user, NULL, NULL),
            MR_ECLOSED);
    }
}

static void request__none_is_taken_by_a_handle_that_closes(void **state)
{
    mr_engine *engine = embed_open_default();
    char run[MR_RUN_ID_BYTES];
    start(engine, EMBED_NAP, run);
    assert_int_equal(mr_request_cb(engine, "{\"op\":\"wait\",\"run\":\"-\"}",
                                   on_answer_that_asks_again, &engine, NULL, NULL),
                     MR_OK);
    mr_close(engine);
}

static void *stop_main(void *arg)
{
    (void)usleep(1000);
    mr_stop(arg);
    return NULL;
}

/* mr_stop from another thread ended the waiting of mr_close, and met an engine that was freed. */
static void close__stopped_while_it_waits_for_others(void **state)
{
    for (unsigned i = 0; i < 20; i++) {
        mr_engine *engine = embed_open_default();
        pthread_t thread;
        char run[MR_RUN_ID_BYTES];
        start(engine, EMBED_NAP, run);
        mr_options options = MR_OPTIONS(.store = embed_store);
        mr_engine *attached = embed_open(&options);
        mr_stream *stream;
        assert_int_equal(mr_request(attached, "{\"op\":\"wait\",\"run\":\"-\"}", &stream, NULL),
                         MR_OK);
        mr_free(call(attached, "{\"op\":\"ping\"}")); /* So that the owner knows of the wait. */
        assert_int_equal(pthread_create(&thread, NULL, stop_main, engine), 0);
        mr_close(engine); /* waits for the other handle's run */
        assert_int_equal(pthread_join(thread, NULL), 0);
        mr_stream_close(stream);
        mr_stop(attached);
        mr_close(attached);
    }
}

#define REQUEST_TEST(test) cmocka_unit_test_setup_teardown(test, embed_set_up, embed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REQUEST_TEST(request__answers_and_the_end_come_once),
        REQUEST_TEST(request__errors_are_the_last_call),
        REQUEST_TEST(request__that_is_too_large_is_told_by_callback),
        REQUEST_TEST(request__callback_may_wait_for_another_answer),
        REQUEST_TEST(request__closed_from_its_callback_is_silent),
        REQUEST_TEST(request__closed_elsewhere_is_not_called_any_more),
        REQUEST_TEST(request__stream_may_be_closed_after_its_handle),
        REQUEST_TEST(request__none_is_taken_by_a_handle_that_closes),
        REQUEST_TEST(close__stopped_while_it_waits_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
