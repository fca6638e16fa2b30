/* SPDX-License-Identifier: MIT
 *
 * Goal: what a person sees of a run is right at every moment, fits the terminal, and survives
 * answers that are broken. Method: answers of the request `watch` go in as text, trees and lines
 * come out as text; beneath it the reading of JSON in place, the joining of log lines and the
 * caret.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/cli/caret.h"
#include "sdk/cli/lines.h"
#include "sdk/cli/pick.h"
#include "sdk/cli/progress.h"

#define NOW_MS INT64_C(1769853610000) /* 2026-01-31T10:00:10Z */

static const char run_document[] =
    "{\"id\":\"019f0000-1111-7222-8333-aabbccddeeff\",\"dag\":\"deploy\",\"status\":\"running\","
    "\"reason\":\"\",\"startedAt\":\"2026-01-31T10:00:00.000Z\",\"endedAt\":null,\"tasks\":["
    "{\"id\":\"late\",\"status\":\"init\",\"dependOn\":[\"build\",\"push\"]},"
    "{\"id\":\"build\",\"status\":\"success\",\"attempts\":1,\"dependOn\":[],"
    "\"startedAt\":\"2026-01-31T10:00:00.000Z\",\"endedAt\":\"2026-01-31T10:00:01.500Z\"},"
    "{\"id\":\"push\",\"status\":\"running\",\"attempts\":2,\"dependOn\":[\"build\"],"
    "\"startedAt\":\"2026-01-31T10:00:02.000Z\",\"endedAt\":null}]}";

static struct mr__pick value(const char *json)
{
    return mr__pick_value(json, strlen(json));
}

static struct mr__progress_change event(struct mr__progress *p, const char *task,
                                        const char *status, int attempt, const char *reason)
{
    char json[400];
    (void)snprintf(
        json, sizeof json,
        "{\"lsn\":1,\"time\":\"2026-01-31T10:00:05.000Z\",\"event\":\"x\",\"task\":\"%s\","
        "\"attempt\":%d,\"status\":\"%s\",\"reason\":\"%s\"}",
        task, attempt, status, reason); /* fits */
    return mr__progress_take_event(p, value(json));
}

static bool mark(struct mr__progress *p, const char *task, const char *fraction, const char *note)
{
    char json[400];
    (void)snprintf(json, sizeof json,
                   "{\"task\":\"%s\",\"attempt\":1,\"fraction\":%s,\"note\":\"%s\"}", task,
                   fraction, note); /* fits */
    return mr__progress_take_mark(p, value(json)).known;
}

/* A run of `count` tasks t0, t1, ... that have not begun. */
static void many(struct mr__progress *p, uint32_t count)
{
    struct mr__text text = {0};
    mr__text_puts(&text, "{\"id\":\"r\",\"dag\":\"d\",\"status\":\"init\",\"tasks\":[");
    for (uint32_t i = 0; i < count; i++) {
        mr__text_printf(&text, "%s{\"id\":\"t%u\",\"status\":\"init\",\"dependOn\":[]}",
                        i > 0 ? "," : "", i);
    }
    mr__text_puts(&text, "]}");
    mr__progress_take_run(p, mr__pick_value(text.at, text.len));
    mr__text_finish(&text);
}

static uint32_t count_rows(const struct mr__text *text)
{
    uint32_t rows = 0;
    for (size_t i = 0; i < text->len; i++) {
        rows += text->at[i] == '\n' ? 1 : 0;
    }
    return rows;
}

/* Draws without colours; every row must fit. */
static void draw(const struct mr__progress *p, uint32_t columns, uint32_t rows, bool last,
                 struct mr__text *text)
{
    struct mr__view view = {.rows = rows, .columns = columns, .now_ms = NOW_MS, .last = last};
    mr__text_clear(text);
    mr__progress_tree(p, &view, text);
    assert_true(count_rows(text) <= rows);
    for (const char *row = mr__text_str(text); *row != '\0'; row = strchr(row, '\n') + 1) {
        assert_true(mr__text_width(row, strcspn(row, "\n")) < columns);
    }
}

/* ---- the tree ------------------------------------------------------------------------------ */

static void cli_progress__shows_all_in_file_order_if_it_fits(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    draw(&p, 80, 22, false, &text);
    assert_string_equal(text.at, "deploy  run ccddeeff  running  10s\n"
                                 "  . init      late            after push\n"
                                 "  + success   build     1.5s\n"
                                 "  | running   push      8.0s  attempt 2\n"
                                 "  1/3\n");
    (void)event(&p, "push", "failed", 2, "exit 7");
    draw(&p, 80, 22, true, &text);
    assert_string_equal(text.at, "deploy  run ccddeeff  running  10s\n"
                                 "  . init      late\n"
                                 "  + success   build     1.5s\n"
                                 "  x failed    push      3.0s  attempt 2  exit 7\n");
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__folds_to_what_matters(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    char id[16];
    (void)state;
    mr__progress_init(&p);
    many(&p, 10000);
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(id, sizeof id, "t%d", i); /* fits */
        (void)event(&p, id, "running", 1, "");
        if (i < 4990) {
            (void)event(&p, id,
                        i == 77       ? "failed"
                        : i % 10 == 0 ? "skipped"
                                      : "success",
                        1, i == 77 ? "exit 1" : "");
        }
    }
    draw(&p, 80, 12, false, &text);
    const char *failed = strstr(text.at, "x failed    t77");
    const char *running = strstr(text.at, "| running   t4990");
    const char *more = strstr(text.at, "more tasks");
    assert_non_null(failed);
    assert_non_null(running);
    assert_non_null(more);
    assert_true(failed < running && running < more);
    assert_non_null(strstr(text.at, "  . init      5000 tasks\n"));
    assert_non_null(strstr(text.at, "  + success   4490 tasks\n"));
    assert_non_null(strstr(text.at, "  - skipped   499 tasks\n"));
    assert_non_null(strstr(text.at, "  4990/10000\n"));
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__fits_any_terminal(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    (void)event(&p, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
                "running", 1, "");
    (void)event(&p, "x\\u001b[2Jy", "failed", 3,
                "a very long reason, a very long reason\\nof two lines");
    for (uint32_t columns = 4; columns < 90; columns++) {
        for (uint32_t rows = 1; rows < 12; rows++) {
            draw(&p, columns, rows, rows % 2 == 0, &text);
            assert_null(strchr(mr__text_str(&text), '\033'));
        }
    }
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__folds_children_into_their_parent(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    char id[32];
    (void)state;
    mr__progress_init(&p);
    many(&p, 1);
    (void)event(&p, "t0", "running", 1, "");
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "t0[web-%d]", i); /* fits */
        (void)event(&p, id, "running", 1, "");
        if (i < 27) {
            (void)event(&p, id, i == 3 ? "failed" : "success", 1, i == 3 ? "exit 2" : "");
        }
    }
    draw(&p, 80, 10, false, &text);
    assert_non_null(strstr(text.at, "27/40 done, 1 failed  web-27, web-28, web-29\n"));
    assert_non_null(strstr(text.at, "x failed    t0[web-3]"));
    assert_null(strstr(text.at, "t0[web-4]"));
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__late_children_stand_behind_their_parent(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    many(&p, 3);
    (void)event(&p, "t1", "running", 1, "");
    (void)event(&p, "t1[b]", "running", 1, "");
    (void)event(&p, "t1[a]", "blocked", 1, "blockIf");
    (void)event(&p, "t9[a]", "running", 1, ""); /* of a task that nobody named */
    draw(&p, 80, 22, false, &text);
    assert_string_equal(text.at, "d  run r  running  5.0s\n"
                                 "  . init      t0\n"
                                 "  | running   t1        5.0s  0/2 done, 1 blocked  b\n"
                                 "  | running   t1[b]     5.0s\n"
                                 "  ! blocked   t1[a]           blockIf\n"
                                 "  . init      t2\n"
                                 "  | running   t9[a]     5.0s\n"
                                 "  0/6\n");
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

/* However much room there is, and however many of them: rows are those of the tasks beside them. */
static void cli_progress__many_children_are_counts(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    char id[32];
    (void)state;
    mr__progress_init(&p);
    many(&p, 2);
    (void)event(&p, "t0", "running", 1, "");
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof id, "t0[%d]", i); /* fits */
        (void)event(&p, id, "running", 1, "");
        assert_int_equal(p.rows, i < MR__PROGRESS_CHILDREN_SHOWN ? 3 + i : 2);
    }
    for (int i = 0; i < 120; i++) {
        (void)snprintf(id, sizeof id, "t0[%d]", i); /* fits */
        (void)event(&p, id, i % 50 == 7 ? "failed" : "success", 1, "");
    }
    draw(&p, 80, 22, false, &text);
    assert_string_equal(text.at,
                        "d  run r  running  5.0s\n"
                        "  | running   t0          5.0s  120/10000 done, 3 failed  120, 121, 122\n"
                        "  x failed    t0[7]        0ms\n"
                        "  x failed    t0[57]       0ms\n"
                        "  x failed    t0[107]      0ms\n"
                        "  . init      t1\n"
                        "  120/10002\n");
    assert_true(mr__progress_moves(&p));
    assert_int_equal(p.lists[MR__STATE_RUNNING].count, 1);
    assert_int_equal(p.children[MR__STATE_RUNNING].count, 9880);
    (void)event(&p, "t0[7]", "running", 2, "");
    assert_int_equal(p.rows, 4);
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__no_tasks_are_no_trouble(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    draw(&p, 80, 22, false, &text);
    mr__progress_take_run(
        &p, value("{\"id\":\"r\",\"dag\":\"d\",\"status\":\"success\",\"tasks\":[]}"));
    draw(&p, 80, 22, true, &text);
    assert_string_equal(text.at, "d  run r  success\n");
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

/* ---- events and lines ---------------------------------------------------------------------- */

static void cli_progress__a_change_is_told_once(void **state)
{
    struct mr__progress p;
    (void)state;
    mr__progress_init(&p);
    many(&p, 2);
    assert_int_equal(p.state, MR__STATE_INIT);
    assert_true(event(&p, "t0", "running", 1, "").known);
    assert_int_equal(p.state, MR__STATE_RUNNING);
    assert_false(event(&p, "t0", "running", 1, "").known);
    assert_true(event(&p, "t0", "running", 2, "").known); /* a new attempt */
    assert_true(event(&p, "t0", "success", 2, "").known);
    assert_int_equal(p.ended_count, 1);
    assert_true(event(&p, "t0", "retrying", 2, "").known);
    assert_int_equal(p.ended_count, 0);
    assert_false(event(&p, "t0", "no such status", 2, "").known);
    assert_int_equal(p.lists[MR__STATE_RETRYING].count, 1);
    assert_int_equal(p.lists[MR__STATE_INIT].count, 1);
    struct mr__progress_change change = mr__progress_take_event(
        &p, value("{\"event\":\"runEnded\",\"status\":\"failed\",\"reason\":\"x\"}"));
    assert_true(change.known);
    assert_int_equal(change.task, MR__NO_TASK);
    assert_string_equal(p.reason.at, "x");
    mr__progress_finish(&p);
}

static void cli_progress__retrying_says_when(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    (void)event(&p, "push", "failed", 2, "exit 7");
    struct mr__progress_change change = mr__progress_take_event(
        &p, value("{\"time\":\"2026-01-31T10:00:05.000Z\",\"event\":\"taskDelayed\","
                  "\"task\":\"push\",\"status\":\"retrying\",\"reason\":\"exit 7\","
                  "\"due\":\"2026-01-31T10:00:13.000Z\"}"));
    assert_true(change.known);
    draw(&p, 80, 22, false, &text);
    assert_non_null(
        strstr(text.at, "~ retrying  push      8.0s  attempt 2  next in 3.0s  exit 7\n"));
    mr__text_clear(&text);
    mr__progress_line(&p, 2, false, &text);
    assert_string_equal(text.at, "retrying  push  attempt 2  next in 8.0s  exit 7\n");
    change = mr__progress_take_event(
        &p, value("{\"event\":\"taskDue\",\"task\":\"push\",\"status\":\"retrying\"}"));
    assert_false(change.known);
    mr__text_clear(&text);
    mr__progress_line(&p, 2, false, &text);
    assert_string_equal(text.at, "retrying  push  attempt 2\n");
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__says_how_far_a_task_that_runs_is(void **state)
{
    static const char *const rows[][2] = {
        {"0", "0 %"},      {"1", "100 %"},   {"0.5", "50 %"},  {"0.07", "7 %"},
        {"0.999", "99 %"}, {"1e-04", "0 %"}, {"1.0", "100 %"},
    };
    struct mr__progress p;
    struct mr__text text = {0};
    char expected[64];
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(mark(&p, "push", rows[i][0], "half\\u0007way"));
        mr__text_clear(&text);
        mr__progress_line(&p, 2, false, &text);
        (void)snprintf(expected, sizeof expected, "running   push  attempt 2  %s half?way\n",
                       rows[i][1]);
        assert_string_equal(mr__text_str(&text), expected);
    }
    assert_true(mark(&p, "push", "null", "only words"));
    draw(&p, 80, 24, false, &text);
    assert_non_null(strstr(mr__text_str(&text), "attempt 2  only words\n"));
    assert_false(mark(&p, "build", "0.5", "it has ended"));
    assert_false(mark(&p, "none", "0.5", "it is not there"));
    assert_true(event(&p, "push", "success", 2, "").known);
    draw(&p, 80, 24, false, &text);
    assert_null(strstr(mr__text_str(&text), "only words"));
    mr__text_finish(&text);
    mr__progress_finish(&p);
    mr__progress_init(&p);
    mr__progress_take_run(
        &p, value("{\"id\":\"r\",\"dag\":\"d\",\"status\":\"running\",\"tasks\":[{\"id\":\"a\","
                  "\"status\":\"running\",\"progress\":{\"fraction\":0.25,\"note\":\"\"}}]}"));
    assert_string_equal(p.tasks[0].mark, "25 %");
    mr__progress_finish(&p);
}

static void cli_progress__events_beside_statuses_change_none(void **state)
{
    static const struct {
        const char *json;
        enum mr__state run, task; /* after it */
    } steps[] = {
        {"{\"event\":\"runPaused\"}", MR__STATE_PAUSED, MR__STATE_RUNNING},
        {"{\"event\":\"shareSet\",\"task\":\"push\",\"key\":\"k\",\"status\":\"failed\"}",
         MR__STATE_PAUSED, MR__STATE_RUNNING},
        {"{\"event\":\"taskCanceling\",\"task\":\"push\"}", MR__STATE_PAUSED, MR__STATE_RUNNING},
        {"{\"event\":\"attemptEnding\",\"task\":\"push\"}", MR__STATE_PAUSED, MR__STATE_ENDING},
        {"{\"event\":\"runUnpaused\"}", MR__STATE_RUNNING, MR__STATE_ENDING},
        {"{\"event\":\"hooksDue\",\"status\":\"failed\",\"reason\":\"x\"}", MR__STATE_RUNNING,
         MR__STATE_ENDING},
        {"{\"event\":\"hooksDone\",\"status\":\"failed\"}", MR__STATE_RUNNING, MR__STATE_ENDING},
        {"{\"event\":\"runEnded\",\"status\":\"failed\"}", MR__STATE_FAILED, MR__STATE_ENDING},
    };
    struct mr__progress p;
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        (void)mr__progress_take_event(&p, value(steps[i].json));
        assert_int_equal(p.state, steps[i].run);
        assert_int_equal(p.tasks[2].state, steps[i].task);
    }
    mr__progress_finish(&p);
}

static void cli_progress__a_later_document_corrects_all(void **state)
{
    struct mr__progress p;
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    (void)event(&p, "late", "running", 1, "");
    (void)event(&p, "build", "failed", 1, "exit 1");
    mr__progress_take_run(&p, value(run_document));
    assert_int_equal(p.count, 3);
    assert_int_equal(p.tasks[0].state, MR__STATE_INIT);
    assert_int_equal(p.tasks[1].state, MR__STATE_SUCCESS);
    assert_null(p.tasks[1].reason);
    assert_int_equal(p.ended_count, 1);
    mr__progress_finish(&p);
}

static void cli_progress__a_line_for_each_change(void **state)
{
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    mr__progress_take_run(&p, value(run_document));
    mr__progress_line(&p, MR__NO_TASK, false, &text);
    mr__progress_line(&p, 1, false, &text);
    (void)event(&p, "push", "failed", 2, "exit 7");
    mr__progress_line(&p, 2, false, &text);
    mr__progress_line(&p, 1, true, &text);
    assert_string_equal(text.at, "running   deploy  run ccddeeff\n"
                                 "success   build  1.5s\n"
                                 "failed    push  attempt 2  3.0s  exit 7\n"
                                 "\033[32msuccess\033[0m   build  1.5s\n");
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

static void cli_progress__broken_answers_do_no_harm(void **state)
{
    static const char *const broken[] = {
        "",
        "{",
        "[",
        "{}",
        "{\"tasks\":[{]}",
        "{\"tasks\":[{\"id\":\"a\"",
        "null",
        "{\"tasks\":{\"a\":1}}",
        "{\"tasks\":[1,null,[],\"x\",{\"id\":5,\"status\":7}]}",
        "{\"id\":null,\"dag\":3,\"startedAt\":\"yesterday\"}",
        "}{",
        "\"",
        "{\"a\":\"\\",
        "{\"a\":1,}",
        "{\"tasks\":[{\"id\":\"\"},{\"id\":\"a\",\"dependOn\":[null,\"a\",\"z\"]}]}",
        "{\"task\":\"\\ud800\\u12\",\"status\":\"running\",\"time\":\"9999999999999999999\"}",
    };
    struct mr__progress p;
    struct mr__text text = {0};
    (void)state;
    mr__progress_init(&p);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        mr__progress_take_run(&p, value(broken[i]));
        (void)mr__progress_take_event(&p, value(broken[i]));
        draw(&p, 80, 22, false, &text);
    }
    for (size_t i = 0; i < sizeof run_document; i++) { /* cut off anywhere */
        mr__progress_take_run(&p, mr__pick_value(run_document, i));
    }
    mr__text_finish(&text);
    mr__progress_finish(&p);
}

/* ---- picks --------------------------------------------------------------------------------- */

static void cli_progress__picks_keep_the_text(void **state)
{
    struct mr__pick object = value(
        " {\"n\": 9223372036854775807, \"s\":\"}]\\\"\", \"o\":{\"a\":[1,{}]} , \"t\":true}\n");
    struct mr__pick number = mr__pick_member(object, "n");
    struct mr__pick inner = mr__pick_member(object, "o");
    struct mr__text text = {0};
    (void)state;
    assert_int_equal(number.len, 19);
    assert_memory_equal(number.at, "9223372036854775807", 19);
    assert_true(mr__pick_int(number, 0) == INT64_MAX);
    assert_int_equal(inner.len, 12);
    assert_memory_equal(inner.at, "{\"a\":[1,{}]}", 12);
    assert_true(mr__pick_is(mr__pick_member(object, "t"), "true"));
    assert_null(mr__pick_member(object, "missing").at);
    assert_null(mr__pick_member(number, "n").at);
    assert_int_equal(mr__pick_count(object), 4);
    assert_true(mr__pick_text(mr__pick_member(object, "s"), &text));
    assert_string_equal(text.at, "}]\"");
    mr__text_clear(&text);
    assert_true(mr__pick_text(value("\"\\u00e9\\ud83d\\ude00\\n\\/\""), &text));
    assert_string_equal(text.at, "\xc3\xa9\xf0\x9f\x98\x80\n/");
    mr__text_finish(&text);
}

/* ---- lines of logs ------------------------------------------------------------------------- */

static void add_line(void *user, const char *task, const char *text, size_t len)
{
    mr__text_printf(user, "%s| %.*s\n", task, (int)len, text);
}

static void take_log(struct mr__lines *lines, const char *task, const char *stream,
                     const char *text)
{
    char json[200];
    (void)snprintf(json, sizeof json, "{\"task\":\"%s\",\"stream\":\"%s\",\"text\":\"%s\"}", task,
                   stream, text); /* fits */
    mr__lines_take(lines, value(json));
}

static void cli_progress__parts_of_lines_are_joined(void **state)
{
    struct mr__text out = {0};
    struct mr__lines lines = {.line = add_line, .user = &out};
    (void)state;
    take_log(&lines, "a", "stdout", "one\\ntw");
    take_log(&lines, "b", "stdout", "other\\r\\n\\n");
    take_log(&lines, "a", "stderr", "err");
    take_log(&lines, "a", "trace", "a message");
    take_log(&lines, "a", "stdout", "o\\nthree");
    mr__lines_flush(&lines, "b");
    mr__lines_flush(&lines, "a");
    take_log(&lines, "c", "stdout", "left");
    mr__lines_take(&lines, value("{\"text\":7}"));
    mr__lines_flush(&lines, NULL);
    mr__lines_take(&lines, value("{\"task\":null,\"stream\":\"trace\",\"text\":\"bye\"}"));
    assert_string_equal(out.at, "a| one\nb| other\nb| \na| a message\na| two\na| three\na| err\n"
                                "| 7\nc| left\n(hook)| bye\n");
    mr__lines_finish(&lines);
    mr__text_finish(&out);
}

/* ---- the caret ----------------------------------------------------------------------------- */

static void cli_progress__caret_is_as_the_contract_shows(void **state)
{
    struct mr__text text = {0};
    (void)state;
    mr__caret_add(
        &text,
        value("{\"file\":\"deploy.yaml\",\"line\":14,\"column\":5,\"code\":\"E102\","
              "\"message\":\"unknown key \\\"dependon\\\" in task \\\"push\\\"\",\"suggestion\":"
              "\"dependOn\",\"source\":\"    dependon: [build]\",\"width\":8}"),
        false);
    assert_string_equal(text.at,
                        "deploy.yaml:14:5: error[E102]: unknown key \"dependon\" in task \"push\"\n"
                        "  14 |     dependon: [build]\n"
                        "     |     ^~~~~~~~ did you mean \"dependOn\"?\n");
    mr__text_clear(&text);
    mr__caret_add(
        &text,
        value("{\"file\":\"d\",\"line\":21,\"column\":16,\"code\":\"W311\",\"message\":\"m\","
              "\"suggestion\":\"test\",\"suggestionLine\":9,"
              "\"source\":\"\\tdependOn: [\xe6\x97\xa5,\xe6\x9c\xactset, build]\",\"width\":3}"),
        false);
    assert_string_equal(text.at, "d:21:16: warning[W311]: m\n"
                                 "  21 | \tdependOn: [\xe6\x97\xa5,\xe6\x9c\xactset, build]\n"
                                 "     | \t                ^~~ did you mean \"test\" (line 9)?\n");
    mr__text_finish(&text);
}

static void cli_progress__caret_stays_with_wide_long_and_missing_lines(void **state)
{
    struct mr__text text = {0};
    struct mr__text json = {0};
    (void)state;
    mr__caret_add(
        &text,
        value(
            "{\"file\":\"d\",\"line\":3,\"column\":2,\"code\":\"E1\",\"message\":\"m\",\"source\":"
            "\"a\xe6\x97\xa5z\",\"width\":1}"),
        false);
    assert_string_equal(text.at, "d:3:2: error[E1]: m\n   3 | a\xe6\x97\xa5z\n     |  ^~\n");
    mr__text_clear(&text);
    mr__caret_add(&text,
                  value("{\"file\":null,\"line\":null,\"column\":null,\"message\":\"m\","
                        "\"suggestion\":\"x\"}"),
                  false);
    assert_string_equal(text.at, "millrace: error: m: did you mean \"x\"?\n");

    mr__text_puts(&json,
                  "{\"file\":\"d\",\"line\":1,\"column\":5001,\"message\":\"m\",\"width\":9999,"
                  "\"source\":\"");
    mr__text_fill(&json, 'x', 5000);
    mr__text_puts(&json, "HERE");
    mr__text_fill(&json, 'y', 5000);
    mr__text_puts(&json, "\"}");
    mr__text_clear(&text);
    mr__caret_add(&text, value(json.at), false);
    assert_true(text.len < 600);
    const char *here = strstr(text.at, "HERE");
    const char *caret = strchr(text.at, '^');
    assert_non_null(here);
    assert_non_null(caret);
    const char *second = strchr(text.at, '\n') + 1;
    const char *third = strchr(second, '\n') + 1;
    assert_int_equal(here - second, caret - third);
    mr__text_clear(&text);
    mr__caret_add(&text, value("{\"line\":1,\"column\":99,\"source\":\"short\",\"width\":2}"),
                  true);
    mr__caret_add(&text, value("[]"), true);
    mr__text_finish(&text);
    mr__text_finish(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cli_progress__shows_all_in_file_order_if_it_fits),
        cmocka_unit_test(cli_progress__folds_to_what_matters),
        cmocka_unit_test(cli_progress__fits_any_terminal),
        cmocka_unit_test(cli_progress__folds_children_into_their_parent),
        cmocka_unit_test(cli_progress__late_children_stand_behind_their_parent),
        cmocka_unit_test(cli_progress__many_children_are_counts),
        cmocka_unit_test(cli_progress__no_tasks_are_no_trouble),
        cmocka_unit_test(cli_progress__a_change_is_told_once),
        cmocka_unit_test(cli_progress__retrying_says_when),
        cmocka_unit_test(cli_progress__says_how_far_a_task_that_runs_is),
        cmocka_unit_test(cli_progress__events_beside_statuses_change_none),
        cmocka_unit_test(cli_progress__a_later_document_corrects_all),
        cmocka_unit_test(cli_progress__a_line_for_each_change),
        cmocka_unit_test(cli_progress__broken_answers_do_no_harm),
        cmocka_unit_test(cli_progress__picks_keep_the_text),
        cmocka_unit_test(cli_progress__parts_of_lines_are_joined),
        cmocka_unit_test(cli_progress__caret_is_as_the_contract_shows),
        cmocka_unit_test(cli_progress__caret_stays_with_wide_long_and_missing_lines),
    };
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
