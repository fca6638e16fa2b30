/* SPDX-License-Identifier: MIT
 *
 * Goal: what is typed means what contract.md says, wherever its words and options stand, and what
 * is wrong is refused with the nearest known word. Method: the parser with a small table of verbs
 * and an environment of the test's own; and the pure helpers of text.c beneath it.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sdk/cli/options.h"
#include "sdk/cli/text.h"

static int nothing(struct mr__cli *cli)
{
    (void)cli;
    return 0;
}

static const struct mr__option run_options[] = {
    {MR__OPTION_VAR, 'v', "var", "KEY=VALUE", ""},
    {MR__OPTION_TAG, 0, "tag", "KEY=VALUE", ""},
    {MR__OPTION_JOBS, 'j', "jobs", "N", ""},
    {MR__OPTION_DETACH, 0, "detach", NULL, ""},
    {MR__OPTION_FOLLOW, 'f', "follow", NULL, ""},
    {MR__OPTION_SINCE, 0, "since", "TIME", ""},
    {MR__OPTION_STATUS, 0, "status", "STATUS", ""},
    {MR__OPTION_ONLY, 0, "only", "TASK...", ""},
    {MR__OPTION_COMPAT, 0, "compat", "fastflow", ""},
    {MR__OPTION_FROM, 0, "from", "TASK", ""},
    {MR__OPTION_COUNT, 'n', "count", "N", ""},
    {MR__OPTION_LATER, 0, "shard", "N", NULL},
    {MR__OPTION_NONE},
};
static const struct mr__command commands[] = {
    {"run", "daily", "FILE", "", "", run_options, 0, 1, nothing},
    {"logs", "runs", "", "", "", NULL, 0, 2, nothing},
    {"validate", "daily", "FILE...", "", "", NULL, 1, -1, nothing},
    {"store stats", "system", "[DIR]", "", "", NULL, 0, 1, nothing},
    {"store check", "system", "[DIR]", "", "", NULL, 0, 1, nothing},
    {"exec", "daily", "", "", "", NULL, 0, 0, NULL},
    {"plugin new", "system", "", "", "", NULL, 0, 0, NULL},
    {NULL},
};

/* "NAME=VALUE" ended by NULL. */
static const char *const *environment;

static char *test_getenv(const char *name)
{
    size_t len = strlen(name);
    for (const char *const *at = environment; at != NULL && *at != NULL; at++) {
        if (strncmp(*at, name, len) == 0 && (*at)[len] == '=') {
            return (char *)*at + len + 1;
        }
    }
    return NULL;
}

static struct mr__options got;
static char suggestion[MR__SUGGESTION_BYTES];
static mr_error error;

/* Parses a line of words that have no blanks in them. */
static mr_status parse(const char *line)
{
    static char copy[512];
    char *argv[32] = {"millrace"};
    int argc = 1;
    char *rest = copy;
    mr__options_finish(&got);
    memset(&error, 0, sizeof error);
    assert_true(strlen(line) < sizeof copy);
    strcpy(copy, line);
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        argv[argc++] = word;
    }
    return mr__options_parse(commands, argc, argv, test_getenv, &got, suggestion, &error);
}

static int reset(void **state)
{
    (void)state;
    environment = NULL;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    mr__options_finish(&got);
    return 0;
}

/* ---- the order of things ------------------------------------------------------------------------
 */

static void cli_options__options_and_words_mix(void **state)
{
    static const char *const lines[] = {
        "--store /s run a.yaml -v x=1 -o json -j 3 --detach",
        "run -v x=1 a.yaml --store=/s -ojson -j3 --detach",
        "-o json --store /s run --detach -vx=1 --jobs=3 a.yaml",
        "--output=json run -j 3 --store /s --var x=1 --detach -- a.yaml"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(parse(lines[i]), MR_OK);
        assert_string_equal(got.command->name, "run");
        assert_int_equal(got.words.count, 1);
        assert_string_equal(got.words.at[0], "a.yaml");
        assert_string_equal(got.store, "/s");
        assert_true(got.store_typed);
        assert_int_equal(got.output, MR__OUTPUT_JSON);
        assert_int_equal(got.jobs, 3);
        assert_true(got.detach);
        assert_int_equal(got.vars.count, 1);
        assert_string_equal(got.vars.at[0], "x=1");
    }
}

static void cli_options__two_dashes_end_the_options(void **state)
{
    (void)state;
    assert_int_equal(parse("run -q -- -v"), MR_OK);
    assert_true(got.quiet);
    assert_string_equal(got.words.at[0], "-v");
    assert_int_equal(parse("-- run x"), MR_OK);
    assert_string_equal(got.words.at[0], "x");
}

static void cli_options__a_dash_is_a_word(void **state)
{
    (void)state;
    assert_int_equal(parse("run -"), MR_OK);
    assert_string_equal(got.words.at[0], "-");
}

static void cli_options__letters_may_stand_together(void **state)
{
    (void)state;
    assert_int_equal(parse("run -qfj7 x"), MR_OK);
    assert_true(got.quiet && got.follow);
    assert_int_equal(got.jobs, 7);
}

static void cli_options__verbs_of_two_words(void **state)
{
    (void)state;
    assert_int_equal(parse("store -q stats /x"), MR_OK);
    assert_string_equal(got.command->name, "store stats");
    assert_string_equal(got.words.at[0], "/x");
    assert_int_equal(parse("store"), MR_EINVAL);
    assert_int_equal(parse("store chekc"), MR_EINVAL);
    assert_string_equal(suggestion, "store check");
}

static void cli_options__help_needs_no_words(void **state)
{
    (void)state;
    assert_int_equal(parse("validate --help"), MR_OK);
    assert_true(got.help);
    assert_int_equal(parse("-h"), MR_OK);
    assert_null(got.command);
}

static void cli_options__values_repeat_or_the_last_counts(void **state)
{
    (void)state;
    assert_int_equal(parse("run x -v a=1 -v a=2 --tag t=1 --tag u=2 -o json -o text"), MR_OK);
    assert_int_equal(got.vars.count, 2);
    assert_int_equal(got.tags.count, 2);
    assert_int_equal(got.output, MR__OUTPUT_TEXT);
    assert_int_equal(parse("run x -v k=a=b="), MR_OK);
    assert_string_equal(got.vars.at[0], "k=a=b=");
    assert_int_equal(parse("run x -v k="), MR_OK);
}

static void cli_options__tasks_are_named_one_by_one_or_together(void **state)
{
    (void)state;
    assert_int_equal(parse("run x --only a --only b,c --from d -n 1000 --compat fastflow"), MR_OK);
    assert_int_equal(got.only.count, 2);
    assert_string_equal(got.only.at[0], "a");
    assert_string_equal(got.only.at[1], "b,c");
    assert_string_equal(got.from, "d");
    assert_int_equal(got.count, 1000);
    assert_true(got.compat);
    assert_int_equal(parse("run x"), MR_OK);
    assert_int_equal(got.only.count, 0);
    assert_null(got.from);
    assert_int_equal(got.count, 0);
    assert_false(got.compat);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void cli_options__refuses_what_it_does_not_know(void **state)
{
    static const struct {
        const char *line, *suggestion;
    } cases[] = {
        {"lgos", "logs"},
        {"ru", "run"},
        {"vlaidate x", "validate"},
        {"frobnicate", ""},
        {"run --detahc", "--detach"},
        {"run --stroe x", "--store"},
        {"run --frobnicate", ""},
        {"run -Z", ""},
        {"run --only2", "--only"},
        {"-o jsno run", "json"},
        {"--color alwyas run", "always"},
        {"run --status faild", "failed"},
        {"run --compat fastflwo", "fastflow"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(cases[i].line), MR_EINVAL);
        assert_string_equal(suggestion, cases[i].suggestion);
        assert_true(error.message[0] != '\0');
    }
}

static void cli_options__refuses_bad_values(void **state)
{
    static const char *const lines[] = {
        "run -v",
        "run -v x",
        "run -v =x",
        "run --tag x",
        "run -j 0",
        "run -j 4097",
        "run -j x",
        "run -j 1x",
        "run -j -1",
        "run --timeout 5",
        "run --timeout x",
        "run --timeout",
        "run --detach=1",
        "run --since yesterday",
        "run --since 2026-13-01",
        "run a b",
        "validate",
        "run --store=",
        "run --plugins a:b",
        "run --only",
        "run --only=",
        "run --only ,a",
        "run --only a,",
        "run --only a,,b",
        "run --compat",
        "run --compat go",
        "run --from=",
        "run -n 0",
        "run -n 1001",
        "run -n many",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (parse(lines[i]) != MR_EINVAL) {
            fail_msg("was taken: %s", lines[i]);
        }
    }
}

static void cli_options__says_what_comes_later(void **state)
{
    (void)state;
    assert_int_equal(parse("exec -- ls --bogus"), MR_ENOSYS);
    assert_int_equal(parse("exec --bogus"), MR_ENOSYS);
    assert_int_equal(parse("plugin new x"), MR_ENOSYS);
    assert_int_equal(parse("run --shard 1 x"), MR_ENOSYS);
    assert_non_null(strstr(error.message, "--shard is not yet supported"));
}

static void cli_options__a_verbs_option_before_it_is_explained(void **state)
{
    (void)state;
    assert_int_equal(parse("-j 3 run x"), MR_EINVAL);
    assert_non_null(strstr(error.message, "after its verb"));
}

/* ---- the environment ----------------------------------------------------------------------- */

static void cli_options__environment_has_twins(void **state)
{
    static const char *const env[] = {"MILLRACE_STORE=/e",
                                      "MILLRACE_OUTPUT=jsonl",
                                      "MILLRACE_QUIET=1",
                                      "MILLRACE_COLOR=always",
                                      "MILLRACE_PROGRESS=plain",
                                      "MILLRACE_TIMEOUT=2s",
                                      "MILLRACE_PLUGINS=/a:/b",
                                      "MILLRACE_JOBS=5",
                                      "NO_COLOR=1",
                                      NULL};
    (void)state;
    environment = env;
    assert_int_equal(parse("run x"), MR_OK);
    assert_string_equal(got.store, "/e");
    assert_false(got.store_typed);
    assert_int_equal(got.output, MR__OUTPUT_JSONL);
    assert_true(got.quiet);
    assert_int_equal(got.color, MR__COLOR_ALWAYS);
    assert_int_equal(got.progress, MR__PROGRESS_PLAIN);
    assert_int_equal(got.timeout_ms, 2000);
    assert_int_equal(got.jobs, 5);
    assert_int_equal(got.plugins.count, 1);

    assert_int_equal(parse("run x --store /t -o text --plugins /c --plugins /d"), MR_OK);
    assert_string_equal(got.store, "/t");
    assert_int_equal(got.output, MR__OUTPUT_TEXT);
    assert_int_equal(got.plugins.count, 2);
    assert_string_equal(got.plugins.at[0], "/c");
}

static void cli_options__environment_is_checked_too(void **state)
{
    static const char *const bad[] = {"MILLRACE_TIMEOUT=soon", NULL};
    static const char *const empty[] = {
        "MILLRACE_TIMEOUT=", "MILLRACE_STORE=", "NO_COLOR=", "MILLRACE_QUIET=0", NULL};
    (void)state;
    environment = bad;
    assert_int_equal(parse("run x"), MR_EINVAL);
    assert_non_null(strstr(error.message, "MILLRACE_TIMEOUT"));
    environment = empty;
    assert_int_equal(parse("run x"), MR_OK);
    assert_int_equal(got.timeout_ms, -1);
    assert_null(got.store);
    assert_false(got.quiet);
    assert_int_equal(got.color, MR__COLOR_AUTO);
}

static void cli_options__output_is_found_before_all_else(void **state)
{
    char *json[] = {"millrace", "run", "--bogus", "-o", "json"};
    char *glued[] = {"millrace", "-ojsonl", "--bogus"};
    char *ended[] = {"millrace", "exec", "--", "-o", "json"};
    (void)state;
    assert_int_equal(mr__options_output(5, json, test_getenv), MR__OUTPUT_JSON);
    assert_int_equal(mr__options_output(3, glued, test_getenv), MR__OUTPUT_JSONL);
    assert_int_equal(mr__options_output(5, ended, test_getenv), MR__OUTPUT_TEXT);
}

static void cli_options__since_takes_times_and_durations(void **state)
{
    (void)state;
    assert_int_equal(parse("run --since 2026-01-31T10:00:00Z"), MR_OK);
    assert_int_equal(got.since_ms, INT64_C(1769853600000));
    assert_int_equal(parse("run --since 2026-01-31T10:00:00.250+02:00"), MR_OK);
    assert_int_equal(got.since_ms, INT64_C(1769846400250));
    assert_int_equal(parse("run --since 1d"), MR_OK);
    int64_t day_ago = got.since_ms;
    assert_int_equal(parse("run --since 2d"), MR_OK);
    assert_in_range(day_ago - got.since_ms, 86400000 - 5000, 86400000 + 5000);
    assert_int_equal(parse("run --since 2026-01-31"), MR_OK);
    assert_int_equal(parse("run --since 2026-01-31T10:30"), MR_OK);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void cli_options__durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"300ms", 300},   {"10s", 10000},     {"5m", 300000}, {"2h", 7200000},
        {"1d", 86400000}, {"1h30m", 5400000}, {"0s", 0},      {"36500d", INT64_C(3153600000000)}};
    static const char *const bad[] = {
        "", "5", "s", "-1s", "1.5s", "1w", "1 s", "36501d", "99999999999999999999s"};
    int64_t ms = -1;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(mr__text_read_duration(good[i].text, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(mr__text_read_duration(bad[i], &ms));
    }
}

static void cli_options__text_is_quoted_for_json_and_shell(void **state)
{
    struct mr__text text = {0};
    (void)state;
    mr__text_json(&text, "a\"\\\n\t\0z\xc3\xa9", 9);
    assert_string_equal(text.at, "\"a\\\"\\\\\\n\\u0009\\u0000z\xc3\xa9\"");
    mr__text_clear(&text);
    mr__text_shell(&text, "it's");
    mr__text_shell(&text, "/a/b-c");
    mr__text_shell(&text, "");
    assert_string_equal(text.at, "'it'\\''s'/a/b-c''");
    mr__text_finish(&text);
}

static void cli_options__text_is_cut_by_its_width(void **state)
{
    static const char wide[] =
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"; /* three characters, six columns */
    struct mr__text text = {0};
    (void)state;
    assert_int_equal(mr__text_width(wide, 9), 6);
    assert_int_equal(mr__text_clean(&text, wide, 9, 6, "~"), 6);
    assert_string_equal(text.at, wide);
    mr__text_clear(&text);
    assert_int_equal(mr__text_clean(&text, wide, 9, 5, "~"), 5);
    assert_string_equal(text.at, "\xe6\x97\xa5\xe6\x9c\xac~");
    mr__text_clear(&text);
    assert_int_equal(mr__text_clean(&text, wide, 9, 4, "~"), 3);
    mr__text_clear(&text);
    assert_int_equal(mr__text_clean(&text, "a\033[2J\nb\xff", 8, 100, "~"), 8);
    assert_string_equal(text.at, "a?[2J b?");
    mr__text_clear(&text);
    assert_int_equal(mr__text_clean(&text, "abc", 3, 0, "~"), 0);
    assert_string_equal(mr__text_str(&text), "");
    mr__text_finish(&text);
}

static void cli_options__utf8_is_checked(void **state)
{
    (void)state;
    assert_true(mr__text_is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10));
    assert_false(mr__text_is_utf8("\xc0\x80", 2));     /* overlong */
    assert_false(mr__text_is_utf8("\xed\xa0\x80", 3)); /* a surrogate */
    assert_false(mr__text_is_utf8("\xf4\x90\x80\x80", 4));
    assert_false(mr__text_is_utf8("\xe2\x82", 2)); /* cut off */
    assert_false(mr__text_is_utf8("\x80", 1));
}

static void cli_options__distance_counts_single_changes(void **state)
{
    (void)state;
    assert_int_equal(mr__text_distance("logs", "lgos", 2), 1);
    assert_int_equal(mr__text_distance("run", "runs", 2), 1);
    assert_int_equal(mr__text_distance("run", "ran", 2), 1);
    assert_int_equal(mr__text_distance("", "ab", 2), 2);
    assert_int_equal(mr__text_distance("abcdef", "x", 2), 3);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, reset, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(cli_options__options_and_words_mix),
        CASE(cli_options__two_dashes_end_the_options),
        CASE(cli_options__a_dash_is_a_word),
        CASE(cli_options__letters_may_stand_together),
        CASE(cli_options__verbs_of_two_words),
        CASE(cli_options__help_needs_no_words),
        CASE(cli_options__values_repeat_or_the_last_counts),
        CASE(cli_options__tasks_are_named_one_by_one_or_together),
        CASE(cli_options__refuses_what_it_does_not_know),
        CASE(cli_options__refuses_bad_values),
        CASE(cli_options__says_what_comes_later),
        CASE(cli_options__a_verbs_option_before_it_is_explained),
        CASE(cli_options__environment_has_twins),
        CASE(cli_options__environment_is_checked_too),
        CASE(cli_options__output_is_found_before_all_else),
        CASE(cli_options__since_takes_times_and_durations),
        CASE(cli_options__durations_are_read),
        CASE(cli_options__text_is_quoted_for_json_and_shell),
        CASE(cli_options__text_is_cut_by_its_width),
        CASE(cli_options__utf8_is_checked),
        CASE(cli_options__distance_counts_single_changes),
    };
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
