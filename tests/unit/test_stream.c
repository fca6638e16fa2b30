/* SPDX-License-Identifier: MIT
 *
 * Goal: a stream gives its answers in order, is bounded, and ends as millrace/engine.h says,
 * whether the handle owns the store or is attached. Method: every case runs with both kinds of
 * handle, on the fake engine (tests/support/fake_engine.c).
 */
#include <millrace/engine.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/limits.h"
#include "sdk/stream.h"
#include "temp_store.h"

#include <cmocka.h> /* last: its macros take plain words */

static char base[64];
static mr_engine *owner, *handle; /* the same one unless attached */
static bool attached;

static int set_up(void **state)
{
    mr_options options = MR_OPTIONS(.store = base);
    mr_error error;
    temp_store_make(base);
    if (mr_open(&options, &owner, &error) != MR_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    handle = owner;
    if (!attached) {
        return 0;
    }
    return mr_open(&options, &handle, &error) == MR_OK && mr_is_owner(handle) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    if (handle != owner) {
        mr_close(handle);
    }
    mr_close(owner);
    temp_store_remove(base);
    return 0;
}

static mr_stream *ask(const char *json)
{
    mr_stream *stream;
    mr_error error;
    assert_int_equal(mr_request(handle, json, &stream, &error), MR_OK);
    return stream;
}

static void request__must_be_a_json_object(void **state)
{
    mr_stream *stream;
    mr_error error;
    const char *bad[] = {"",
                         "[]",
                         "3",
                         "{",
                         "{\"op\":\"ping\"} x",
                         "{\"op\":\"ping\",\"id\":1}",
                         "{\"op\":\"ping\",\"op\":\"ping\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mr_request(handle, bad[i], &stream, &error), MR_EINVAL);
    }
    assert_int_equal(mr_request(handle, NULL, &stream, &error), MR_EINVAL);
}

static void request__gets_its_answer(void **state)
{
    const char *json;
    mr_stream *stream = ask(" \n{ \"op\" : \"echo\",\r\n\t\"text\":\"a\\nb\" } \n");
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    assert_string_equal(json, "{\"echo\":\"a\\nb\",\"attach\":0,\"end\":true}");
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_END);
    assert_null(json);
    assert_int_equal(mr_stream_next(stream, 0, &json, NULL), MR_END);
    mr_stream_close(stream);
    mr_stream_close(NULL);

    char *owned;
    assert_int_equal(
        mr_call(handle, "{\"op\":\"echo\",\"text\":9223372036854775807}", &owned, NULL), MR_OK);
    assert_string_equal(owned, "{\"echo\":9223372036854775807,\"attach\":0,\"end\":true}");
    mr_free(owned);
    assert_int_equal(mr_call(handle, "{ }", &owned, NULL), MR_EINVAL);
}

static void request__may_be_large(void **state)
{
    const size_t len = 3u << 20;
    char *json = malloc(len + 64), *owned;
    assert_non_null(json);
    int head = sprintf(json, "{\"op\":\"echo\",\"text\":\"");
    memset(json + head, 'x', len);
    strcpy(json + head + len, "\"}");
    assert_int_equal(mr_call(handle, json, &owned, NULL), MR_OK);
    assert_true(strlen(owned) > len);
    mr_free(owned);
    free(json);
}

/* What one byte too much is, the stream says. */
static void request__has_a_limit(void **state)
{
    const size_t len = MR__REQUEST_BYTES_MAX;
    char *json = malloc(len + 1);
    const char *answer;
    assert_non_null(json);
    memset(json, ' ', len);
    json[len] = '\0';
    memcpy(json, "{\"op\":\"ping\"}", 13);
    mr_stream *stream = ask(json);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &answer, NULL), MR_ELIMIT);
    mr_stream_close(stream);
    json[len - 64] = '\0';
    stream = ask(json);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &answer, NULL), MR_OK);
    mr_stream_close(stream);
    free(json);
}

static void stream__keeps_the_order(void **state)
{
    const char *json;
    char expected[64];
    mr_stream *stream = ask("{\"op\":\"events\",\"count\":20000}");
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
        (void)snprintf(expected, sizeof expected, "{\"event\":{\"lsn\":%d}}", i);
        assert_string_equal(json, expected);
    }
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    assert_string_equal(json, "{\"end\":true}");
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_END);
    mr_stream_close(stream);
}

static void stream__times_out_and_goes_on(void **state)
{
    const char *json;
    mr_stream *stream = ask("{\"op\":\"submit\",\"delay_ms\":150}");
    assert_int_equal(mr_stream_next(stream, 0, &json, NULL), MR_ETIMEDOUT);
    assert_int_equal(mr_stream_next(stream, 20, &json, NULL), MR_ETIMEDOUT);
    assert_null(json);
    assert_int_equal(mr_stream_next(stream, 5000, &json, NULL), MR_OK);
    mr_stream_close(stream);
}

static void stream__gives_an_error_with_its_answer(void **state)
{
    const char *json;
    mr_error error;
    mr_stream *stream = ask("{\"op\":\"fail\"}");
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, &error), MR_EDEFINITION);
    assert_int_equal(error.status, MR_EDEFINITION);
    assert_string_equal(error.message, "x.yaml:3:5: error[E102]: unknown key");
    assert_non_null(strstr(json, "\"errors\":["));
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, &error), MR_END);
    mr_stream_close(stream);

    char *owned = NULL;
    assert_int_equal(mr_call(handle, "{\"op\":\"nonsense\"}", &owned, &error), MR_EINVAL);
    assert_string_equal(error.message, "unknown op");
    assert_null(owned);
}

/* The queue holds as many as it promises; one more ends it, after those that were queued. */
static void stream__at_its_limit(void **state)
{
    const char *json;
    mr_error error;
    char request[64];
    (void)snprintf(request, sizeof request, "{\"op\":\"events\",\"count\":%u}",
                   MR__STREAM_LINES_MAX - 1);
    mr_stream *stream = ask(request);
    while (!mr__stream_has_ended(stream)) {
        (void)usleep(1000);
    }
    for (uint32_t i = 0; i < MR__STREAM_LINES_MAX; i++) {
        assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    }
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_END);
    mr_stream_close(stream);

    (void)snprintf(request, sizeof request, "{\"op\":\"events\",\"count\":%u}",
                   MR__STREAM_LINES_MAX);
    stream = ask(request);
    while (!mr__stream_has_ended(stream)) {
        (void)usleep(1000);
    }
    for (uint32_t i = 0; i < MR__STREAM_LINES_MAX; i++) {
        assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    }
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, &error), MR_ELIMIT);
    assert_null(json);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_END);
    mr_stream_close(stream);
}

/* A reader that never reads holds up nobody else, and one cut off is closed on the other side. */
static void stream__of_a_slow_reader_is_cut_off(void **state)
{
    const char *json;
    char *owned;
    mr_stream *slow = ask("{\"op\":\"watch\",\"run\":\"flood\"}");
    while (!mr__stream_has_ended(slow)) {
        assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, NULL), MR_OK);
        mr_free(owned);
    }
    uint32_t lines = 0;
    while (mr_stream_next(slow, MR_FOREVER, &json, NULL) == MR_OK) {
        lines++;
    }
    assert_int_equal(lines, MR__STREAM_LINES_MAX);
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, NULL), MR_OK);
    mr_free(owned);
    mr_stream_close(slow);
}

static void stream__may_be_closed_at_any_time(void **state)
{
    const char *json;
    for (int i = 0; i < 50; i++) {
        mr_stream *stream = ask("{\"op\":\"watch\",\"run\":\"r\"}");
        for (int lines = 0; lines < i % 4; lines++) {
            assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
        }
        mr_stream_close(stream);
    }
    char *owned;
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, NULL), MR_OK);
    mr_free(owned);
}

static void stream__that_is_left_open_outlives_its_handle(void **state)
{
    const char *json;
    mr_stream *stream = ask("{\"op\":\"watch\",\"run\":\"r\"}");
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    mr_close(handle);
    owner = handle == owner ? NULL : owner;
    handle = owner;
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_ECLOSED);
    mr_stream_close(stream);
}

static void submit__gets_a_token_of_its_own(void **state)
{
    char *one, *two;
    static const char *const starts[] = {"{\"op\":\"submit\"}", "{\"op\":\"rerun\"}"};
    for (size_t i = 0; i < MR__COUNT(starts); i++) {
        assert_int_equal(mr_call(handle, starts[i], &one, NULL), MR_OK);
        assert_int_equal(mr_call(handle, starts[i], &two, NULL), MR_OK);
        assert_string_not_equal(one, two);
        mr_free(one);
        mr_free(two);
    }
    assert_int_equal(mr_call(handle, "{\"op\":\"submit\",\"token\":\"t\"}", &one, NULL), MR_OK);
    assert_int_equal(mr_call(handle, "{\"op\":\"submit\",\"token\":\"t\"}", &two, NULL), MR_OK);
    assert_string_equal(one, two);
    mr_free(one);
    mr_free(two);
}

/* Only an owner elsewhere is asked to stay. */
static void request__attaches_where_it_is_attached(void **state)
{
    mr_stream *stream;
    const char *json;
    assert_int_equal(mr__request_attach(handle, "{\"op\":\"echo\"}", true, &stream, NULL), MR_OK);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_OK);
    assert_non_null(strstr(json, handle == owner ? "\"attach\":0" : "\"attach\":1"));
    mr_stream_close(stream);
}

static void *stop_soon(void *arg)
{
    (void)usleep(50000);
    mr_stop(handle);
    return NULL;
}

static void stop__ends_calls_in_progress(void **state)
{
    const char *json;
    char *owned;
    pthread_t thread;
    long begun = temp_store_now_ms();
    mr_stream *stream = ask("{\"op\":\"wait\",\"run\":\"r\"}");
    mr_stream *unread = ask("{\"op\":\"events\",\"count\":10}");
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    assert_int_equal(mr_stream_next(stream, MR_FOREVER, &json, NULL), MR_ECLOSED);
    assert_true(temp_store_now_ms() - begun < 2000);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(mr_stream_next(unread, MR_FOREVER, &json, NULL), MR_ECLOSED);
    mr_stream_close(stream);
    mr_stream_close(unread);
    assert_int_equal(mr_call(handle, "{\"op\":\"ping\"}", &owned, NULL), MR_ECLOSED);
}

static void *ask_often(void *arg)
{
    size_t *good = arg;
    char request[96], expected[96], *owned;
    for (int i = 0; i < 300; i++) {
        (void)snprintf(request, sizeof request, "{\"op\":\"echo\",\"text\":\"%p %d\"}", arg, i);
        (void)snprintf(expected, sizeof expected, "{\"echo\":\"%p %d\",", arg, i);
        if (mr_call(handle, request, &owned, NULL) == MR_OK) {
            *good += strncmp(owned, expected, strlen(expected)) == 0 ? 1 : 0;
            mr_free(owned);
        }
    }
    return NULL;
}

static void request__from_many_threads(void **state)
{
    pthread_t threads[8];
    size_t good[8] = {0};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &good[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(good[i], 300);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(request__must_be_a_json_object),
        CASE(request__gets_its_answer),
        CASE(request__may_be_large),
        CASE(request__has_a_limit),
        CASE(request__attaches_where_it_is_attached),
        CASE(request__from_many_threads),
        CASE(stream__keeps_the_order),
        CASE(stream__times_out_and_goes_on),
        CASE(stream__gives_an_error_with_its_answer),
        CASE(stream__at_its_limit),
        CASE(stream__of_a_slow_reader_is_cut_off),
        CASE(stream__may_be_closed_at_any_time),
        CASE(stream__that_is_left_open_outlives_its_handle),
        CASE(submit__gets_a_token_of_its_own),
        CASE(stop__ends_calls_in_progress),
    };
    int failed = cmocka_run_group_tests_name("owner", tests, NULL, NULL);
    attached = true;
    return failed + cmocka_run_group_tests_name("attached", tests, NULL, NULL);
}
