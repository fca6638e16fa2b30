/* SPDX-License-Identifier: MIT
 *
 * Goal: the wrappers of plugin.h pass on what they were given, and on a host that is older than a
 * call answer as their comments say, without touching what its table does not have. Method: a host
 * of the test's own, whose table ends where that of each minor ended; past its end stands a pointer
 * that must not be called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <millrace/plugin.h>

#include <cmocka.h> /* last: its macros take plain words */

static char called[256]; /* the latest call, with its arguments */

#define NOTE(...) ((void)snprintf(called, sizeof called, __VA_ARGS__))

static void host_trace(mr_task *t, const char *fmt, va_list args)
{
    char text[64];
    (void)vsnprintf(text, sizeof text, fmt, args);
    NOTE("trace %s", text);
}

static void host_log_line(mr_task *t, uint32_t level, const char *fmt, va_list args)
{
    char text[64];
    (void)vsnprintf(text, sizeof text, fmt, args);
    NOTE("log_line %u %s", level, text);
}

static void host_progress(mr_task *t, double fraction, const char *note)
{
    NOTE("progress %.2f %s", fraction, note);
}

static void host_heartbeat(mr_task *t)
{
    NOTE("heartbeat");
}

static mr_status host_lock(mr_task *t, const char *name, const mr_lock_options *options,
                           uint64_t *ret_fence)
{
    NOTE("lock %s %lld %lld", name, (long long)options->ttl_ms, (long long)options->wait_ms);
    *ret_fence = 7;
    return MR_EBUSY;
}

static void on_lock(mr_task *t, mr_status status, uint64_t fence, void *arg)
{
    NOTE("on_lock %d %llu %s", status, (unsigned long long)fence, (const char *)arg);
}

static mr_status host_lock_then(mr_task *t, const char *name, const mr_lock_options *options,
                                mr_lock_cb cb, void *arg)
{
    NOTE("lock_then %s %s", name, options == NULL ? "default" : "options");
    cb(t, MR_OK, 8, arg);
    return MR_OK;
}

static mr_status host_lock_renew(mr_task *t, const char *name, int64_t ttl_ms)
{
    NOTE("lock_renew %s %lld", name, (long long)ttl_ms);
    return MR_ECONFLICT;
}

static mr_status host_unlock(mr_task *t, const char *name)
{
    NOTE("unlock %s", name);
    return MR_OK;
}

static mr_status host_set(mr_task *t, const char *key, const mr_value *value)
{
    NOTE("set %s %s", key, value == NULL ? "gone" : value->type == MR_INT ? "int" : value->u.s);
    return MR_OK;
}

static mr_status host_set_json(mr_task *t, const char *key, const char *json, size_t len)
{
    NOTE("set_json %s %.*s", key, (int)len, json);
    return MR_OK;
}

/* A table of which `size` bytes are there. What follows is as a table that ends there would have it
 * by chance: not to be called. */
static mr_host host_of(size_t size)
{
    mr_host host = {.trace = host_trace,
                    .output = host_set,
                    .output_json = host_set_json,
                    .detail = host_set,
                    .share_set = host_set,
                    .share_set_json = host_set_json,
                    .log_line = host_log_line,
                    .progress = host_progress,
                    .heartbeat = host_heartbeat,
                    .lock = host_lock,
                    .lock_then = host_lock_then,
                    .lock_renew = host_lock_renew,
                    .unlock = host_unlock};
    memset((char *)&host + size, 0x5a, sizeof host - size);
    host.size = (uint32_t)size;
    return host;
}

static void wrappers__of_1_2_pass_on_what_they_got(void **state)
{
    mr_host host = host_of(sizeof host);
    mr_task task = {.host = &host};
    mr_lock_options options = MR_LOCK(.ttl_ms = 5, .wait_ms = -1);
    char word[] = "word";
    uint64_t fence = 0;
    mr_logf(&task, MR_LOG_WARNING, "%s %d", "n is", 3);
    assert_string_equal(called, "log_line 1 n is 3");
    mr_progress(&task, 0.25, "a quarter");
    assert_string_equal(called, "progress 0.25 a quarter");
    mr_heartbeat(&task);
    assert_string_equal(called, "heartbeat");
    assert_int_equal(options.size, sizeof options);
    assert_int_equal(mr_lock(&task, "name", &options, &fence), MR_EBUSY);
    assert_string_equal(called, "lock name 5 -1");
    assert_int_equal(fence, 7);
    assert_int_equal(mr_lock_then(&task, "name", NULL, on_lock, word), MR_OK);
    assert_string_equal(called, "on_lock 0 8 word");
    assert_int_equal(mr_lock_renew(&task, "name", 9), MR_ECONFLICT);
    assert_string_equal(called, "lock_renew name 9");
    assert_int_equal(mr_unlock(&task, "name"), MR_OK);
    assert_string_equal(called, "unlock name");
}

static void wrappers__of_texts_make_values(void **state)
{
    mr_host host = host_of(sizeof host);
    mr_task task = {.host = &host};
    assert_int_equal(mr_output_str(&task, "key", "text"), MR_OK);
    assert_string_equal(called, "set key text");
    assert_int_equal(mr_share_set_str(&task, "key", "text"), MR_OK);
    assert_string_equal(called, "set key text");
    assert_int_equal(mr_share_set(&task, "key", NULL), MR_OK);
    assert_string_equal(called, "set key gone");
    assert_int_equal(mr_share_set_json(&task, "key", "[1]x", 3), MR_OK);
    assert_string_equal(called, "set_json key [1]");
    assert_int_equal(mr_detail_int(&task, "key", 3), MR_OK);
    assert_string_equal(called, "set key int");
    called[0] = '\0';
    assert_int_equal(mr_output_str(&task, "key", NULL), MR_ENOMEM);
    assert_int_equal(mr_share_set_str(&task, "key", NULL), MR_ENOMEM);
    assert_string_equal(called, "");
}

static void wrappers__of_1_2_do_without_on_a_host_of_1_1(void **state)
{
    mr_host host = host_of(offsetof(mr_host, log_line));
    mr_task task = {.host = &host};
    uint64_t fence = 1;
    mr_logf(&task, MR_LOG_ERROR, "%s", "to the trace");
    assert_string_equal(called, "trace to the trace");
    called[0] = '\0';
    mr_progress(&task, 0.5, NULL);
    mr_heartbeat(&task);
    assert_int_equal(mr_lock(&task, "name", NULL, &fence), MR_ENOSYS);
    assert_int_equal(mr_lock_then(&task, "name", NULL, on_lock, NULL), MR_ENOSYS);
    assert_int_equal(mr_lock_renew(&task, "name", 1), MR_ENOSYS);
    assert_int_equal(mr_unlock(&task, "name"), MR_ENOSYS);
    assert_string_equal(called, "");
    assert_int_equal(fence, 1);
    assert_int_equal(mr_share_set_str(&task, "key", "still there"), MR_OK);
}

static void wrappers__of_1_1_do_without_on_a_host_of_1_0(void **state)
{
    mr_host host = host_of(offsetof(mr_host, vars));
    mr_task task = {.host = &host};
    called[0] = '\0';
    assert_null(mr_vars(&task));
    assert_null(mr_share_get(&task, "key"));
    assert_null(mr_share_next(&task, NULL));
    assert_int_equal(mr_detail_int(&task, "key", 1), MR_ENOSYS);
    assert_int_equal(mr_share_set(&task, "key", NULL), MR_ENOSYS);
    assert_int_equal(mr_share_set_json(&task, "key", "1", 1), MR_ENOSYS);
    assert_int_equal(mr_share_flush(&task), MR_ENOSYS);
    assert_int_equal(mr_unlock(&task, "name"), MR_ENOSYS);
    assert_string_equal(called, "");
}

static mr_status expects(mr_error *reterr, int number)
{
    MR_EXPECT(reterr, number == 3);
    return MR_OK;
}

static void self_test__names_the_place_and_the_condition(void **state)
{
    mr_error error = {.status = MR_OK};
    char text[2 * MR_ERROR_MESSAGE_BYTES];
    assert_int_equal(expects(&error, 3), MR_OK);
    assert_int_equal(expects(&error, 4), MR_EFAILED);
    assert_int_equal(error.status, MR_EFAILED);
    assert_non_null(strstr(error.message, "test_plugin_calls.c:"));
    assert_non_null(strstr(error.message, ": expected number == 3"));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(mr_self_test_failed(&error, text), MR_EFAILED);
    assert_int_equal(strlen(error.message), MR_ERROR_MESSAGE_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrappers__of_1_2_pass_on_what_they_got),
        cmocka_unit_test(wrappers__of_texts_make_values),
        cmocka_unit_test(wrappers__of_1_2_do_without_on_a_host_of_1_1),
        cmocka_unit_test(wrappers__of_1_1_do_without_on_a_host_of_1_0),
        cmocka_unit_test(self_test__names_the_place_and_the_condition),
    };
    return cmocka_run_group_tests_name("plugin_calls", tests, NULL, NULL);
}
