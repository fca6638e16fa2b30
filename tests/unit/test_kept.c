/* SPDX-License-Identifier: MIT
 *
 * Goal: a new run keeps exactly what it need not do. Method: a diamond with a task beside it; logs
 * of runs of it are written event by event, and what is kept of them is read as one line of text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/kept.h"
#include "core/engine/names.h"

static const char text[] = "id: d\n"
                           "tasks:\n"
                           "  - {id: top}\n"
                           "  - {id: left, dependOn: [top]}\n"
                           "  - {id: right, dependOn: [top]}\n"
                           "  - {id: bottom, dependOn: [left, right]}\n"
                           "  - {id: beside}\n";

static struct mr__dag *dag;
static struct mr__buf run_log;
static int64_t last_ms;
static struct mr__kept_set set;
static mr_error error;
static char shown[400];

static int setup(void **state)
{
    struct mr__parse_options options = {.file = "d.yaml"};
    struct mr__problems problems;
    (void)state;
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, sizeof text - 1, &options, &problems, &dag), MR_OK);
    mr__problems_finish(&problems);
    mr__buf_init(&run_log);
    memset(&set, 0, sizeof set);
    memset(&error, 0, sizeof error);
    last_ms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mr__kept_finish(&set);
    mr__buf_finish(&run_log);
    mr__dag_unref(dag);
    return 0;
}

/* ---- logs ---------------------------------------------------------------------------------- */

static void add(struct mr__event event)
{
    event.time_ms = last_ms + 5;
    mr__event_encode(&run_log, &event, last_ms);
    last_ms = event.time_ms;
}

static void created(void)
{
    static const uint8_t id[MR__RUN_ID_BYTES] = {1, 2,    3,           4,    5,    6,   0x70,
                                                 8, 0x80, [12] = 0xde, 0xad, 0xbe, 0xef};
    add((struct mr__event){.type = MR__EVENT_RUN_CREATED,
                           .id = id,
                           .version = dag->version,
                           .dag = {"d", 1},
                           .folder = {"/", 1},
                           .vars = {"{}", 2},
                           .tags = {"{}", 2}});
}

/* One attempt of a task; `output` NULL: it fails. */
static void attempt(uint32_t task, const char *output)
{
    struct mr__event event = {.type = MR__EVENT_ATTEMPT_ENDED, .task = task};
    add((struct mr__event){.type = MR__EVENT_ATTEMPT_STARTED, .task = task});
    if (output != NULL) {
        event.outcome = MR__OUTCOME_SUCCESS;
        event.status = MR__TASK_SUCCESS;
        event.payload = (struct mr__blob){output, strlen(output)};
    } else {
        event.outcome = MR__OUTCOME_FAILED;
        event.status = MR__TASK_FAILED;
        event.reason = (struct mr__blob){"no", 2};
    }
    add(event);
}

static struct mr__blob log_blob(void)
{
    return (struct mr__blob){(const char *)run_log.data, run_log.len};
}

/* "left=success:2" for each task that is kept. */
static const char *show(void)
{
    shown[0] = '\0';
    for (size_t i = 0; i < set.count; i++) {
        const struct mr__kept *kept = &set.list[i];
        size_t used = strlen(shown);
        (void)snprintf(shown + used, sizeof shown - used, "%s%s=%s:%.*s", i > 0 ? " " : "",
                       dag->tasks[kept->task].id, mr__task_status_name(kept->status),
                       (int)kept->output.len, kept->output.len > 0 ? kept->output.data : "");
    }
    return shown;
}

/* ---- --only -------------------------------------------------------------------------------- */

static void kept__only_skips_all_others(void **state)
{
    static const char *const ids[] = {"left", "beside", "left"};
    (void)state;
    assert_int_equal(mr__kept_only(dag, ids, 3, &set, &error), MR_OK);
    assert_string_equal(show(), "top=skipped: right=skipped: bottom=skipped:");
    assert_memory_equal(set.list[0].reason.data, "not among --only", set.list[0].reason.len);
    assert_int_equal(set.share_count, 0);
}

static void kept__only_names_what_is_unknown(void **state)
{
    static const char *const ids[] = {"lfet", "right", "xyzzy", "left[1]"};
    (void)state;
    assert_int_equal(mr__kept_only(dag, ids, 4, &set, &error), MR_ENOTFOUND);
    assert_string_equal(error.message, "dag \"d\" has no tasks \"lfet\" (did you mean \"left\"?), "
                                       "\"xyzzy\", \"left[1]\"");
    assert_int_equal(set.count, 0);
}

/* ---- rerun --from -------------------------------------------------------------------------- */

static void kept__from_keeps_what_is_not_below(void **state)
{
    (void)state;
    created();
    attempt(0, "0");
    attempt(1, "1");
    attempt(2, "2");
    attempt(4, "{\"a\":4}");
    attempt(3, NULL);
    assert_int_equal(mr__kept_from(dag, log_blob(), "right", &set, &error), MR_OK);
    assert_string_equal(show(), "top=success:0 left=success:1 beside=success:{\"a\":4}");
    assert_int_equal(set.list[0].reason.len, strlen("kept from run deadbeef"));
    assert_memory_equal(set.list[0].reason.data, "kept from run deadbeef", 22);
    mr__kept_finish(&set);
    assert_int_equal(mr__kept_from(dag, log_blob(), "bottom", &set, &error), MR_OK);
    assert_string_equal(show(),
                        "top=success:0 left=success:1 right=success:2 beside=success:{\"a\":4}");
    mr__kept_finish(&set);
    assert_int_equal(mr__kept_from(dag, log_blob(), "top", &set, &error), MR_OK);
    assert_string_equal(show(), "beside=success:{\"a\":4}");
}

static void kept__from_a_run_that_goes_on(void **state)
{
    (void)state;
    created();
    attempt(0, "0");
    attempt(1, "1");
    add((struct mr__event){.type = MR__EVENT_ATTEMPT_STARTED, .task = 4});
    assert_int_equal(mr__kept_from(dag, log_blob(), "right", &set, &error), MR_OK);
    assert_string_equal(show(), "top=success:0 left=success:1");
    mr__kept_finish(&set);
    assert_int_equal(mr__kept_from(dag, log_blob(), "bottom", &set, &error), MR_ECONFLICT);
    assert_non_null(strstr(error.message, "\"right\" above it is init"));
}

static void kept__from_below_a_failure_is_refused(void **state)
{
    (void)state;
    created();
    attempt(0, "0");
    attempt(1, NULL);
    attempt(2, "2");
    assert_int_equal(mr__kept_from(dag, log_blob(), "bottom", &set, &error), MR_ECONFLICT);
    assert_non_null(strstr(error.message, "\"left\" above it is failed"));
    /* What failed beside it is simply done again. */
    mr__kept_finish(&set);
    assert_int_equal(mr__kept_from(dag, log_blob(), "right", &set, &error), MR_OK);
    assert_string_equal(show(), "top=success:0");
}

static void kept__from_takes_the_last_output(void **state)
{
    (void)state;
    created();
    attempt(4, "4");
    attempt(0, NULL);
    add((struct mr__event){.type = MR__EVENT_RUN_SETTLED, .status = MR__RUN_FAILED});
    add((struct mr__event){.type = MR__EVENT_RUN_REOPENED});
    add((struct mr__event){.type = MR__EVENT_TASK_RETRIED, .task = 0});
    attempt(0, "\"second\"");
    assert_int_equal(mr__kept_from(dag, log_blob(), "left", &set, &error), MR_OK);
    assert_string_equal(show(), "top=success:\"second\" beside=success:4");
}

static void kept__damage_is_told(void **state)
{
    (void)state;
    created();
    attempt(0, "0");
    struct mr__blob cut = log_blob();
    cut.len -= 1;
    assert_int_equal(mr__kept_from(dag, cut, "left", &set, &error), MR_EFORMAT);
    assert_int_equal(mr__kept_from(dag, (struct mr__blob){"", 0}, "left", &set, &error),
                     MR_EFORMAT);
    assert_int_equal(mr__kept_from(dag, log_blob(), "lef", &set, &error), MR_ENOTFOUND);
    assert_string_equal(error.message, "dag \"d\" has no task \"lef\" (did you mean \"left\"?)");
}

/* ---- names --------------------------------------------------------------------------------- */

static void kept__names_of_children_are_left_to_their_run(void **state)
{
    static const char *const good[] = {"left[a[b]", "right[]", "top"};
    static const char *const bad[] = {"left[a", "lost[a]", "[a]", ""};
    (void)state;
    assert_int_equal(mr__names_check(dag, good, 3, true, &error), MR_OK);
    assert_int_equal(mr__names_check(dag, good, 0, true, &error), MR_OK);
    for (size_t i = 0; i < MR__COUNT(bad); i++) {
        assert_int_equal(mr__names_check(dag, &bad[i], 1, true, &error), MR_ENOTFOUND);
    }
}

static void kept__more_names_than_find_room_are_counted(void **state)
{
    static char name[300];
    const char *names[50];
    (void)state;
    memset(name, 'x', sizeof name - 1);
    for (size_t i = 0; i < MR__COUNT(names); i++) {
        names[i] = name;
    }
    assert_int_equal(mr__names_check(dag, names, MR__COUNT(names), true, &error), MR_ENOTFOUND);
    assert_non_null(strstr(error.message, " and "));
    const char *end = strstr(error.message, " more");
    assert_non_null(end);
    assert_string_equal(end, " more");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(kept__only_skips_all_others),
        CASE(kept__only_names_what_is_unknown),
        CASE(kept__from_keeps_what_is_not_below),
        CASE(kept__from_a_run_that_goes_on),
        CASE(kept__from_below_a_failure_is_refused),
        CASE(kept__from_takes_the_last_output),
        CASE(kept__damage_is_told),
        CASE(kept__names_of_children_are_left_to_their_run),
        CASE(kept__more_names_than_find_room_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
