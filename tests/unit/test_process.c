/* SPDX-License-Identifier: MIT
 *
 * Goal: children start, speak and end as plugin.h and contract.md promise: their surroundings,
 * their output, their group, cancel with TERM, grace and KILL, and what cannot be executed. Method:
 * the real executor and the real plugins `sh` and `wait`; an action of its own where sh would hide
 * something.
 */
#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "exec_fixture.h"

static struct fixture *f;
static const struct mr__action *sh;

static int set_up(void **state)
{
    f = fixture_make(200);
    fixture_load_plugins(f);
    fixture_close(f, 0); /* once more, now with the registry */
    fixture_open(f, 200);
    sh = fixture_action(f, "sh");
    return 0;
}

static int tear_down(void **state)
{
    fixture_destroy(f);
    return 0;
}

/* Starts a script; other params of sh after it, as JSON. */
static void start_sh(uint32_t task, const char *script, const char *more)
{
    struct mr__buf buf;
    mr__buf_init(&buf);
    mr__buf_text(&buf, "{\"run\":");
    mr__json_str(&buf, script, strlen(script));
    mr__buf_text(&buf, more);
    mr__buf_text(&buf, "}");
    fixture_start(f, sh, task, mr__buf_cstr(&buf));
    mr__buf_finish(&buf);
}

static const struct fixture_end *run_sh(const char *script, const char *more)
{
    static uint32_t task = 1000000;
    uint32_t ends = f->end_count;
    start_sh(++task, script, more);
    assert_true(fixture_run(f, ends + 1, 20000));
    return &f->ends[ends];
}

/* Reads a small file in the store's folder; false until it is there with a line in it. */
static bool read_line(const char *name, char line[64])
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", f->store, name);
    FILE *file = fopen(path, "r");
    bool read = file != NULL && fgets(line, 64, file) != NULL && strchr(line, '\n') != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    return read;
}

static pid_t wait_for_pid(const char *name)
{
    char line[64];
    for (int i = 0; i < 1000; i++) {
        if (read_line(name, line)) {
            return (pid_t)atoi(line);
        }
        (void)fixture_run(f, UINT32_MAX, 10);
    }
    fail_msg("no %s", name);
    return 0;
}

/* Whether it is gone within 5 s, or at least a zombie. */
static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 500; i++) {
        char path[64], text[512];
        (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *file = fopen(path, "r");
        if (file == NULL) {
            return true;
        }
        size_t len = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
        text[len] = '\0';
        const char *at = strrchr(text, ')');
        if (len == 0 || (at != NULL && at[2] == 'Z')) {
            return true;
        }
        (void)usleep(10000);
    }
    return false;
}

/* ---- sh ---------------------------------------------------------------------------------------
 */

static void sh__says_how_it_ended(void **state)
{
    assert_int_equal(run_sh("true", "")->outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(run_sh("exit 7", "")->reason, "exit 7");
    assert_string_equal(run_sh("false; true", "")->reason, "exit 1"); /* -e */
    assert_string_equal(run_sh("kill -9 $$", "")->reason, "killed by SIGKILL");
    assert_string_equal(run_sh("kill -TERM $$", "")->reason, "killed by SIGTERM");
    assert_string_equal(run_sh("kill -34 $$", "")->reason, "killed by signal 34");
    assert_string_equal(run_sh("no-such-program-at-all", "")->reason, "exit 127");
    assert_string_equal(run_sh("true", ",\"output\":\"xml\"")->reason,
                        "output: \"xml\" is none of text, json, none");
}

static void sh__text_is_the_end_of_stdout(void **state)
{
    assert_string_equal(run_sh("echo one; echo no >&2; printf 'two\\n\\n\\n'", "")->output,
                        "\"one\\ntwo\"");
    assert_string_equal(run_sh("true", "")->output, "\"\"");
    assert_string_equal(run_sh("printf '\\n\\n'", "")->output, "\"\"");
    assert_null(run_sh("echo x", ",\"output\":\"none\"")->output);
    assert_string_equal(run_sh("printf 'a\\377b\\000c\\303'", "")->output, "\"a\xef\xbf\xbd"
                                                                           "b\xef\xbf\xbd"
                                                                           "c\xef\xbf\xbd\"");
    /* Exactly 4,096 bytes, one more, and a cut in a character. */
    assert_int_equal(strlen(run_sh("printf %04096d 1", "")->output), 4096 + 2);
    const struct fixture_end *end = run_sh("printf b%04096d 1", "");
    assert_int_equal(strlen(end->output), 4096 + 2);
    assert_int_equal(end->output[1], '0');
    end = run_sh("printf '\\303\\244%04095d' 1", "");
    assert_int_equal(strlen(end->output), 4095 + 2);
    end = run_sh("printf 'a%05000d\\n' 1; yes '' | head -n 9000; printf 'z\\n\\n'", "");
    assert_int_equal(strlen(end->output), 2 * 4095 + 1 + 2); /* \n is two characters in JSON */
    end = run_sh("yes 0123456789abcdef | head -c 1000000", "");
    assert_int_equal(strlen(end->output), 4096 + 2 + 241);
}

static void sh__json_is_exactly_one_value(void **state)
{
    const char *json = ",\"output\":\"json\"";
    assert_string_equal(run_sh("echo '{\"a\": [1, 9007199254740993]}'", json)->output,
                        "{\"a\":[1,9007199254740993]}");
    const char *bad[] = {"echo 1 2", "true", "echo '{'", "echo x"};
    for (size_t i = 0; i < MR__COUNT(bad); i++) {
        const struct fixture_end *end = run_sh(bad[i], json);
        assert_int_equal(end->outcome, MR__OUTCOME_FAILED);
        assert_int_equal(strncmp(end->reason, "output is not one JSON value: ", 30), 0);
    }
    assert_string_equal(run_sh("echo 1; exit 3", json)->reason, "exit 3");
    assert_string_equal(run_sh("head -c 16777217 /dev/zero", json)->reason,
                        "output: json holds at most 16777216 bytes");
}

static void sh__env_is_text(void **state)
{
    assert_string_equal(
        run_sh("echo \"$A|$B|$C|$D|$E|$F|$G\"",
               ",\"env\":{\"A\":\"x y\",\"B\":3,\"C\":true,\"D\":[1,\"q\\\"\"],\"E\":null,"
               "\"F\":{\"k\":1.5},\"G\":2.0}")
            ->output,
        "\"x y|3|true|[1,\\\"q\\\\\\\"\\\"]||{\\\"k\\\":1.5}|2.0\"");
    assert_string_equal(run_sh("true", ",\"env\":{\"A=B\":1}")->reason,
                        "env: \"A=B\" is no name of a variable");
    (void)setenv("MILLRACE_TEST_INHERITED", "old", 1);
    assert_string_equal(run_sh("echo $MILLRACE_TEST_INHERITED", "")->output, "\"old\"");
    assert_string_equal(
        run_sh("env | grep -c ^MILLRACE_TEST_INHERITED=; echo $MILLRACE_TEST_INHERITED",
               ",\"env\":{\"MILLRACE_TEST_INHERITED\":\"new\"}")
            ->output,
        "\"1\\nnew\"");
}

static void sh__child_knows_what_it_works_for(void **state)
{
    char expected[512], folder[128];
    start_sh(5,
             "echo $MILLRACE_STORE $MILLRACE_RUN $MILLRACE_TASK $MILLRACE_ATTEMPT; pwd; "
             "echo ${#MILLRACE_IDEMPOTENCY_KEY}",
             "");
    assert_true(fixture_run(f, 1, 5000));
    struct mr__attempt_ref ref = fixture_ref(1, 5, 1);
    char id[MR__RUN_ID_TEXT_BYTES];
    mr__id_text(ref.run_id, id);
    assert_non_null(realpath(f->store, folder));
    (void)snprintf(expected, sizeof expected, "\"%s %s task-5 1\\n%s\\n32\"", f->store, id, folder);
    assert_string_equal(f->ends[0].output, expected);
}

static void sh__child_is_clean(void **state)
{
    (void)signal(SIGUSR1, SIG_IGN);
    int leak = open("/dev/null", O_RDONLY); /* without CLOEXEC, as a careless host has it */
    sigset_t blocked, before;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    const struct fixture_end *end =
        run_sh("grep -h -E '^Sig(Ign|Blk)' /proc/self/status | cut -f2; ls /proc/$$/fd; "
               "readlink /proc/$$/fd/0; ps -o pgid= -p $$ | tr -d ' '; echo $$",
               "");
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGUSR1, SIG_DFL);
    (void)close(leak);
    assert_string_equal(end->reason, "");
    assert_non_null(
        strstr(end->output, "\"0000000000000000\\n0000000000000000\\n0\\n1\\n2\\n/dev/null\\n"));
}

/* ---- output -----------------------------------------------------------------------------------
 */

static void child__flood_does_not_hold_the_loop(void **state)
{
    /* Both streams flood; the other attempt's timely end shows that the loop turns. */
    start_sh(1, "yes a & yes b >&2", ",\"output\":\"none\"");
    (void)fixture_run(f, 1, 100);
    uint64_t before = uv_hrtime();
    start_sh(2, "echo hello", "");
    assert_true(fixture_run(f, 1, 5000));
    assert_string_equal(fixture_end_of(f, 2)->output, "\"hello\"");
    assert_true(uv_hrtime() - before < UINT64_C(2000000000));
    assert_true(f->log_total > 100000);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 2, 5000));
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_CANCELED);
}

static void child__binary_output_reaches_the_log_whole(void **state)
{
    (void)run_sh("head -c 3000000 /dev/urandom | tee copy", ",\"output\":\"none\"");
    assert_int_equal(f->log_total, 3000000);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/copy", f->store);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *copy = malloc(3000000);
    assert_int_equal(fread(copy, 1, 3000000, file), 3000000);
    (void)fclose(file);
    assert_memory_equal(f->log, copy, 3000000);
    free(copy);
}

static void child__group_is_killed_with_its_leader(void **state)
{
    /* A grandchild that holds the pipe, and one that has left the group and holds it too. */
    uint64_t before = uv_hrtime();
    const struct fixture_end *end =
        run_sh("sleep 60 & echo $! > in; setsid sh -c 'echo $$ > out; exec sleep 60' & "
               "while [ ! -s out ]; do sleep 0.01; done; echo done",
               "");
    assert_string_equal(end->output, "\"done\"");
    assert_true(uv_hrtime() - before < UINT64_C(10000000000));
    assert_true(is_gone(wait_for_pid("in")));
    pid_t out = wait_for_pid("out");
    assert_int_equal(kill(out, 0), 0); /* Not ours any more. */
    (void)kill(out, SIGKILL);
}

static void child__two_hundred_at_once(void **state)
{
    for (uint32_t i = 0; i < 200; i++) {
        start_sh(i, "echo $MILLRACE_TASK; sleep 0.2", "");
    }
    assert_true(fixture_run(f, 200, 60000));
    for (uint32_t i = 0; i < 200; i++) {
        char expected[32];
        (void)snprintf(expected, sizeof expected, "\"task-%u\"", i);
        assert_string_equal(fixture_end_of(f, i)->output, expected);
    }
}

/* ---- cancel -----------------------------------------------------------------------------------
 */

static void cancel__sends_term_to_the_group(void **state)
{
    start_sh(1, "sh -c 'echo $$ > inner; sleep 60' & sleep 60", "");
    pid_t inner = wait_for_pid("inner");
    fixture_cancel(f, 1, MR_BY_TIMEOUT);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 4000)); /* below the grace */
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_TIMED_OUT);
    assert_string_equal(f->ends[0].reason, "");
    assert_true(is_gone(inner));
    fixture_cancel(f, 1, MR_BY_USER); /* after its end */
    assert_int_equal(f->end_count, 1);
}

static void cancel__of_one_that_succeeds_all_the_same(void **state)
{
    start_sh(1, "trap 'echo bye; exit 0' TERM; echo $$ > up; while :; do sleep 0.05; done", "");
    (void)wait_for_pid("up");
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_string_equal(f->ends[0].output, "\"bye\"");
}

static void cancel__kills_who_ignores_term_and_who_is_stopped(void **state)
{
    start_sh(1, "trap '' TERM; echo $$ > up1; while :; do sleep 0.05; done", "");
    start_sh(2, "echo $$ > up2; kill -STOP $$", "");
    (void)wait_for_pid("up1");
    (void)wait_for_pid("up2");
    uint64_t before = uv_hrtime();
    fixture_cancel(f, 1, MR_BY_USER);
    fixture_cancel(f, 2, MR_BY_USER);
    assert_true(fixture_run(f, 1, 3000));
    assert_int_equal(fixture_end_of(f, 2)->outcome, MR__OUTCOME_CANCELED);
    assert_true(fixture_run(f, 2, 10000));
    assert_true(uv_hrtime() - before >= UINT64_C(4900000000)); /* MR__CHILD_GRACE_MS */
    assert_int_equal(fixture_end_of(f, 1)->outcome, MR__OUTCOME_CANCELED);
}

/* ---- what cannot be run, and a child of another kind of action --------------------------------
 */

static const char *raw_argv[8];
static const char *raw_folder;
static mr_status raw_status;
static int raw_rounds;

static void raw_on_exit(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    mr_process again = {.size = sizeof again, .argv = raw_argv, .on_exit = raw_on_exit};
    if (--raw_rounds > 0) {
        assert_int_equal(mr_spawn(t, &again), MR_OK);
        return;
    }
    (void)mr_finish(t, exit_code == 0 ? MR_OK : mr_fail(t, MR_EFAILED, "exit %d", exit_code));
}

static mr_status raw_run(mr_task *t)
{
    mr_process process = {.size = sizeof process,
                          .argv = raw_argv,
                          .folder = raw_folder,
                          .grace_ms = 50,
                          .on_exit = raw_on_exit};
    raw_status = mr_spawn(t, &process);
    if (raw_status == MR_OK) {
        assert_int_equal(mr_spawn(t, &process), MR_EINVAL); /* One at a time. */
    }
    return raw_status == MR_OK ? MR_PENDING : raw_status;
}
static const mr_action raw_table =
    MR_ACTION(.name = "raw", .where = MR_ON_LOOP, .flags = MR_SPAWNS, .run = raw_run);
static const struct mr__action raw = {.table = &raw_table, .name = "raw", .plugin = "test"};

static mr_status plain_run(mr_task *t)
{
    return raw_run(t);
}
static const mr_action plain_table =
    MR_ACTION(.name = "plain", .where = MR_ON_LOOP, .run = plain_run);
static const struct mr__action plain = {.table = &plain_table, .name = "plain", .plugin = "test"};

static const struct fixture_end *run_raw(const char *program, const char *folder)
{
    static uint32_t task = 2000000;
    uint32_t ends = f->end_count;
    raw_argv[0] = program;
    raw_folder = folder;
    raw_rounds = 1;
    fixture_start(f, &raw, ++task, NULL);
    assert_true(fixture_run(f, ends + 1, 10000));
    return &f->ends[ends];
}

static void spawn__says_why_it_cannot(void **state)
{
    char path[128], expected[256];
    assert_string_equal(run_raw("no-such-program", NULL)->reason,
                        "cannot run \"no-such-program\": not found in PATH");
    assert_int_equal(raw_status, MR_ENOTFOUND);
    assert_string_equal(run_raw("/no/such/program", NULL)->reason,
                        "cannot run \"/no/such/program\": No such file or directory");
    assert_int_equal(raw_status, MR_ENOTFOUND);
    assert_string_equal(run_raw("/etc/passwd", NULL)->reason,
                        "cannot run \"/etc/passwd\": Permission denied");
    assert_int_equal(raw_status, MR_EPERM);
    assert_string_equal(run_raw("true", "/no/such/folder")->reason,
                        "cannot enter folder \"/no/such/folder\": No such file or directory");
    (void)snprintf(path, sizeof path, "%s/text", f->store);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("neither a program nor a script\n", file);
    (void)fclose(file);
    (void)chmod(path, 0700);
    (void)snprintf(expected, sizeof expected, "cannot run \"%s\": Exec format error", path);
    assert_string_equal(run_raw(path, NULL)->reason, expected);
    fixture_start(f, &plain, 1, NULL); /* without MR_SPAWNS */
    assert_int_equal(raw_status, MR_EINVAL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* Nothing is left unreaped. */
    assert_int_equal(errno, ECHILD);
}

static void spawn__one_child_after_the_other(void **state)
{
    raw_argv[0] = "true";
    raw_folder = NULL;
    raw_rounds = 5;
    fixture_start(f, &raw, 1, NULL);
    assert_true(fixture_run(f, 1, 10000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_SUCCESS);
    assert_int_equal(raw_rounds, 0);
}

static void spawn__grace_is_the_actions_own(void **state)
{
    raw_argv[0] = "sh";
    raw_argv[1] = "-c";
    raw_argv[2] = "trap '' TERM; echo $$ > up; while :; do sleep 0.05; done";
    raw_folder = NULL;
    raw_rounds = 1;
    fixture_start(f, &raw, 1, NULL);
    (void)wait_for_pid("up");
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 3000));
    assert_int_equal(f->ends[0].outcome, MR__OUTCOME_CANCELED);
    raw_argv[1] = NULL;
}

static void spawn__survives_a_host_that_ignores_sigchld(void **state)
{
    (void)signal(SIGCHLD, SIG_IGN);
    const struct fixture_end *end = run_sh("echo x", "");
    (void)signal(SIGCHLD, SIG_DFL);
    assert_int_equal(end->outcome, MR__OUTCOME_FAILED);
    assert_string_equal(end->reason, "its exit status was taken by the program that runs millrace");
}

static void spawn__works_without_standard_descriptors(void **state)
{
    int saved = dup(0);
    (void)close(0);
    const struct fixture_end *end = run_sh("cat; echo x", "");
    (void)dup2(saved, 0);
    (void)close(saved);
    assert_string_equal(end->output, "\"x\"");
}

/* ---- shutdown, wait ---------------------------------------------------------------------------
 */

static void shutdown__ends_children_and_keeps_their_rows(void **state)
{
    start_sh(1, "trap '' TERM; echo $$ > up1; while :; do sleep 0.05; done", "");
    start_sh(2, "echo $$ > up2; sleep 60", "");
    pid_t first = wait_for_pid("up1"), second = wait_for_pid("up2");
    f->x->ops->settled(f->x);
    uint64_t before = uv_hrtime();
    fixture_close(f, 300);
    assert_true(uv_hrtime() - before < UINT64_C(2500000000));
    assert_true(is_gone(first));
    assert_true(is_gone(second));
    assert_int_equal(f->end_count, 0);
    fixture_open(f, 4);
    assert_int_equal(mr__exec_survivors(f->x), 0);
    assert_int_equal(fixture_fate(f, 1, 1, sh), MR__FATE_GONE);
    assert_int_equal(fixture_fate(f, 1, 3, sh), MR__FATE_NOT_BEGUN);
    struct mr__attempt_ref ref = fixture_ref(1, 1, 1);
    f->x->ops->forget(f->x, &ref);
    assert_int_equal(fixture_fate(f, 1, 1, sh), MR__FATE_NOT_BEGUN);
}

static void wait__is_the_engines_timer(void **state)
{
    const struct mr__action *wait = fixture_action(f, "wait");
    const struct mr__action *ff = fixture_action(f, "ff-waiting");
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"300ms", 300},
                {"10s", 10000},
                {"5m", 300000},
                {"2h", 7200000},
                {"1d", 86400000},
                {"0s", 0},
                {"36525d", INT64_C(3155760000000)}};
    static const char *const bad[] = {"",    "10",   "s",      "10x",  "1.5s",
                                      "-1s", "10 s", "36526d", "1h1m", "99999999999999999999s"};
    char params[128];
    for (uint32_t i = 0; i < MR__COUNT(good); i++) {
        (void)snprintf(params, sizeof params, "{\"for\":\"%s\"}", good[i].text);
        fixture_start(f, wait, i, params);
        assert_int_equal(f->waiting_count, i + 1);
        assert_int_equal(f->waiting_ms, good[i].ms);
    }
    fixture_start(f, ff, 100, "{\"waitingTime\":\"7s\"}");
    assert_int_equal(f->waiting_ms, 7000);
    for (uint32_t i = 0; i < MR__COUNT(bad); i++) {
        (void)snprintf(params, sizeof params, "{\"for\":\"%s\"}", bad[i]);
        fixture_start(f, wait, 200 + i, params);
        assert_int_equal(f->end_count, i + 1);
        assert_int_equal(f->ends[i].outcome, MR__OUTCOME_FAILED);
    }
    assert_string_equal(f->ends[3].reason,
                        "for: \"10x\" is no duration such as 300ms, 10s, 5m, 2h or 1d");
}

static void binding__says_what_an_action_is(void **state)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } known[] = {{"sh", MR__ACTION_KNOWN | MR__ACTION_JOB},
                 {"noop", MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT | MR__ACTION_APART},
                 {"wait", MR__ACTION_KNOWN | MR__ACTION_IDEMPOTENT | MR__ACTION_APART},
                 {"none", 0}};
    for (uint32_t i = 0; i < MR__COUNT(known); i++) {
        struct mr__action_binding binding = f->x->ops->bind(f->x, known[i].name);
        assert_int_equal(binding.flags, known[i].flags);
        assert_int_equal(binding.action != NULL, known[i].flags != 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sh__says_how_it_ended),
        TEST(sh__text_is_the_end_of_stdout),
        TEST(sh__json_is_exactly_one_value),
        TEST(sh__env_is_text),
        TEST(sh__child_knows_what_it_works_for),
        TEST(sh__child_is_clean),
        TEST(child__flood_does_not_hold_the_loop),
        TEST(child__binary_output_reaches_the_log_whole),
        TEST(child__group_is_killed_with_its_leader),
        TEST(child__two_hundred_at_once),
        TEST(cancel__sends_term_to_the_group),
        TEST(cancel__of_one_that_succeeds_all_the_same),
        TEST(cancel__kills_who_ignores_term_and_who_is_stopped),
        TEST(spawn__says_why_it_cannot),
        TEST(spawn__one_child_after_the_other),
        TEST(spawn__grace_is_the_actions_own),
        TEST(spawn__survives_a_host_that_ignores_sigchld),
        TEST(spawn__works_without_standard_descriptors),
        TEST(shutdown__ends_children_and_keeps_their_rows),
        TEST(wait__is_the_engines_timer),
        TEST(binding__says_what_an_action_is),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
