/* SPDX-License-Identifier: MIT
 *
 * Goal: the table of children keeps what it promises through kill -9, and what an engine left
 * behind is found, counted and ended, but never a stranger. Method: tables in real folders, some of
 * them spoilt by hand; an engine in a process of its own that is killed while its children run.
 */
#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/exec/child_table.h"
#include "exec_fixture.h"

static char store[64];
static struct mr__child_table table;

static int set_up(void **state)
{
    temp_store_make(store);
    return 0;
}

static int tear_down(void **state)
{
    mr__child_table_close(&table);
    temp_store_remove(store);
    return 0;
}

static void reopen(void)
{
    mr_error error = {0};
    mr__child_table_close(&table);
    if (mr__child_table_open(&table, store, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
}

static struct mr__child_key key_of(uint32_t task)
{
    struct mr__child_key key = {.task = task, .attempt = 1};
    memset(key.run_id, 9, sizeof key.run_id);
    return key;
}

static const char *file_path(void)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/children", store);
    return path;
}

static void patch(off_t at, const void *bytes, size_t len)
{
    int fd = open(file_path(), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    (void)close(fd);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static void table__keeps_its_rows(void **state)
{
    struct mr__child_key key = key_of(3);
    uint32_t row, again;
    pid_t pid;
    uint64_t start;
    reopen();
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    assert_false(mr__child_table_child(&table, row, &pid, &start));
    uint64_t claim = mr__child_table_claim(&table, row);
    assert_true(mr__child_table_enter_child(&table.rows[row], claim));
    assert_true(mr__child_table_child(&table, row, &pid, &start));
    assert_int_equal(pid, getpid());
    assert_true(table.own[row]);
    reopen();
    assert_true(mr__child_table_find(&table, &key, &again));
    assert_int_equal(again, row);
    assert_false(table.own[row]);
    assert_true(mr__child_table_child(&table, row, &pid, &start));
    mr__child_table_childless(&table, row);
    assert_true(mr__child_table_find(&table, &key, &again));
    assert_false(mr__child_table_child(&table, row, &pid, &start));
    mr__child_table_free(&table, row);
    assert_false(mr__child_table_find(&table, &key, &again));
    reopen();
    assert_false(mr__child_table_find(&table, &key, &again));
}

/* A process that goes from attempt to attempt stands under the one it runs. */
static void table__takes_a_process_that_runs_already(void **state)
{
    struct mr__child_key key = key_of(3 | MR__CHILD_HOST), other = key_of(3);
    uint32_t row, again;
    pid_t pid;
    uint64_t start;
    reopen();
    assert_int_equal(mr__child_table_enter_again(&table, &key, &row), MR_OK);
    assert_false(mr__child_table_find(&table, &other, &again));
    mr__child_table_adopt(&table, row, 4711, 12345);
    reopen(); /* The engine died with it, and the attempt comes again. */
    assert_true(mr__child_table_child(&table, row, &pid, &start));
    assert_int_equal(pid, 4711);
    assert_int_equal(start, 12345);
    assert_int_equal(mr__child_table_enter_again(&table, &key, &again), MR_OK);
    assert_int_equal(again, row);
    assert_true(table.own[row]);
    assert_false(mr__child_table_child(&table, row, &pid, &start));
    mr__child_table_free(&table, row);
    assert_false(mr__child_table_find(&table, &key, &again));
}

static void table__a_child_of_a_dead_engine_cannot_enter_itself(void **state)
{
    struct mr__child_key key = key_of(3);
    uint32_t row;
    reopen();
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    uint64_t claim = mr__child_table_claim(&table, row);
    reopen(); /* the next engine */
    assert_false(mr__child_table_enter_child(&table.rows[row], claim));
}

static void table__is_full_at_its_limit(void **state)
{
    uint32_t row;
    reopen();
    for (uint32_t i = 0; i < MR__CHILD_TABLE_ROWS; i++) {
        struct mr__child_key key = key_of(i);
        assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    }
    struct mr__child_key key = key_of(MR__CHILD_TABLE_ROWS);
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_ELIMIT);
    mr__child_table_free(&table, 77);
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    assert_int_equal(row, 77);
}

static void table__of_another_boot_is_emptied_and_proves_nothing(void **state)
{
    struct mr__child_key key = key_of(3);
    uint32_t row;
    reopen();
    assert_false(mr__child_table_settled(&table));
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    mr__child_table_settle(&table);
    reopen();
    assert_true(mr__child_table_settled(&table));
    assert_true(mr__child_table_find(&table, &key, &row));
    patch(offsetof(struct mr__child_header, boot), "0", 1);
    patch(offsetof(struct mr__child_header, boot) + 1, "0", 1);
    patch(offsetof(struct mr__child_header, boot) + 2, "00", 2);
    reopen();
    assert_false(mr__child_table_settled(&table));
    assert_false(mr__child_table_find(&table, &key, &row));
}

static void table__settle_frees_what_nobody_will_ask_for(void **state)
{
    struct mr__child_key old = key_of(1), living = key_of(2), own = key_of(3);
    uint32_t row;
    reopen();
    assert_int_equal(mr__child_table_enter(&table, &old, &row), MR_OK);
    assert_int_equal(mr__child_table_enter(&table, &living, &row), MR_OK);
    assert_true(mr__child_table_enter_child(&table.rows[row], mr__child_table_claim(&table, row)));
    reopen();
    assert_int_equal(mr__child_table_enter(&table, &own, &row), MR_OK);
    mr__child_table_settle(&table);
    assert_false(mr__child_table_find(&table, &old, &row));
    assert_true(mr__child_table_find(&table, &living, &row));
    assert_true(mr__child_table_find(&table, &own, &row));
}

static void table__of_another_format_is_refused(void **state)
{
    uint32_t format = 2;
    mr_error error;
    reopen();
    mr__child_table_close(&table);
    patch(offsetof(struct mr__child_header, format), &format, sizeof format);
    assert_int_equal(mr__child_table_open(&table, store, &error), MR_EFORMAT);
    assert_string_equal(error.message, "children: unknown format (2, this program writes 1)");
    patch(0, "not a table", 11);
    assert_int_equal(mr__child_table_open(&table, store, &error), MR_EFORMAT);
    uint8_t zeros[128] = {0};
    patch(0, zeros, sizeof zeros); /* Its making was cut short. */
    assert_int_equal(mr__child_table_open(&table, store, &error), MR_OK);
    mr__child_table_close(&table);
    (void)unlink(file_path());
    assert_int_equal(mkdir(file_path(), 0700), 0);
    assert_true(mr__child_table_open(&table, store, &error) != MR_OK);
    assert_int_equal(mr__child_table_open(&table, "/no/such/folder", &error), MR_ENOTFOUND);
}

static void table__is_private(void **state)
{
    struct stat st;
    reopen();
    assert_int_equal(stat(file_path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(st.st_blocks * 512 >= st.st_size); /* Its room is taken, not only promised. */
}

/* ---- survivors --------------------------------------------------------------------------------
 */

static struct fixture *f;
static const struct mr__action *sh;

static int set_up_engine(void **state)
{
    /* Orphans become ours, since the machine that tests run on may have nobody who reaps them. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    f = fixture_make(4);
    fixture_close(f, 0);
    fixture_load_plugins(f);
    sh = fixture_action(f, "sh");
    return 0;
}

static int tear_down_engine(void **state)
{
    fixture_free(f);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    return 0;
}

static pid_t read_pid(const char *name)
{
    char path[128], line[32];
    (void)snprintf(path, sizeof path, "%s/%s", f->store, name);
    for (int i = 0; i < 1000; i++) {
        FILE *file = fopen(path, "r");
        bool read =
            file != NULL && fgets(line, sizeof line, file) != NULL && strchr(line, '\n') != NULL;
        if (file != NULL) {
            (void)fclose(file);
        }
        if (read) {
            return (pid_t)atoi(line);
        }
        (void)usleep(10000);
    }
    fail_msg("no %s", name);
    return 0;
}

/* An engine that starts these scripts as tasks 0, 1, ... and is then killed. Their leaders' pids
 * lie in the files 0, 1, ... */
static void engine_that_dies(const char *const *scripts, uint32_t count)
{
    pid_t engine = fork();
    if (engine == 0) {
        fixture_open(f, 4);
        for (uint32_t i = 0; i < count; i++) {
            char params[512];
            (void)snprintf(params, sizeof params, "{\"run\":\"echo $$ > %u; %s\"}", i, scripts[i]);
            fixture_start(f, sh, i, params);
        }
        (void)uv_run(&f->loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        (void)read_pid(name);
    }
    (void)kill(engine, SIGKILL);
    (void)waitpid(engine, NULL, 0);
}

/* False for a zombie too. */
static bool is_alive(pid_t pid)
{
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[len] = '\0';
    const char *at = strrchr(text, ')');
    return at != NULL && at[2] != 'Z' && at[2] != 'X';
}

static void on_swept(void *user)
{
    ((struct fixture *)user)->swept = true;
}

static void sweep(uint32_t run)
{
    struct mr__attempt_ref ref = fixture_ref(run, 0, 1);
    f->swept = false;
    f->x->ops->sweep(f->x, (const uint8_t(*)[MR__RUN_ID_BYTES]) & ref.run_id, 1, on_swept, f);
    for (int i = 0; i < 1000 && !f->swept; i++) {
        (void)fixture_run(f, UINT32_MAX, 10);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
    assert_true(f->swept);
}

static void sweep__ends_what_a_killed_engine_left(void **state)
{
    const char *scripts[] = {"trap '' TERM; sleep 1000 & echo $! > inner; wait", "sleep 1000",
                             "exit 0"};
    engine_that_dies(scripts, 3);
    pid_t first = read_pid("0"), inner = read_pid("inner"), second = read_pid("1");
    pid_t third = read_pid("2");
    for (int i = 0; i < 500 && is_alive(third); i++) {
        (void)usleep(10000);
    }
    fixture_open(f, 4);
    f->x->ops->settled(f->x);
    assert_int_equal(mr__exec_survivors(f->x), 2);
    assert_int_equal(fixture_fate(f, 1, 0, sh), MR__FATE_GONE);
    assert_int_equal(fixture_fate(f, 1, 9, sh), MR__FATE_NOT_BEGUN);
    sweep(2); /* another run: nobody of ours */
    assert_int_equal(mr__exec_survivors(f->x), 2);
    assert_true(is_alive(first));
    sweep(1);
    assert_false(is_alive(first));
    assert_false(is_alive(inner));
    assert_false(is_alive(second));
    assert_int_equal(mr__exec_survivors(f->x), 0);
    assert_int_equal(fixture_fate(f, 1, 0, sh), MR__FATE_GONE); /* until it is forgotten */
    sweep(1);
    fixture_close(f, 0);
}

static void sweep__ends_a_group_whose_leader_is_gone(void **state)
{
    const char *scripts[] = {"sleep 1000 & echo $! > inner; read x < fifo; exit 0"};
    char fifo[128];
    (void)snprintf(fifo, sizeof fifo, "%s/fifo", f->store);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    engine_that_dies(scripts, 1);
    pid_t leader = read_pid("0"), inner = read_pid("inner");
    int fd = open(fifo, O_WRONLY);
    assert_int_equal(write(fd, "\n", 1), 1);
    (void)close(fd);
    assert_int_equal(waitpid(leader, NULL, 0), leader);
    assert_true(is_alive(inner));
    fixture_open(f, 4);
    assert_int_equal(mr__exec_survivors(f->x), 1);
    sweep(1);
    assert_false(is_alive(inner));
    fixture_close(f, 0);
}

/* A row whose numbers mean somebody else by now. */
static void put_row(uint32_t task, pid_t pid, uint64_t start)
{
    struct mr__attempt_ref ref = fixture_ref(1, task, 1);
    struct mr__child_key key = {.task = task, .attempt = 1};
    uint32_t row;
    memcpy(key.run_id, ref.run_id, sizeof key.run_id);
    (void)snprintf(store, sizeof store, "%s", f->store);
    reopen();
    assert_int_equal(mr__child_table_enter(&table, &key, &row), MR_OK);
    table.rows[row].child = start << 24 | (uint64_t)pid;
    mr__child_table_close(&table);
}

static void sweep__leaves_strangers_alone(void **state)
{
    /* One process with the right pid but another start time, and one in a group of the right
     * number. */
    pid_t leader = fork();
    if (leader == 0) {
        (void)setpgid(0, 0);
        pid_t member = fork();
        if (member == 0) {
            (void)pause();
        }
        (void)pause();
        _exit(0);
    }
    (void)setpgid(leader, leader);
    (void)usleep(50000);
    put_row(1, leader, 1);
    fixture_open(f, 4);
    assert_int_equal(mr__exec_survivors(f->x), 0);
    sweep(1);
    assert_int_equal(waitpid(leader, NULL, WNOHANG), 0);
    fixture_close(f, 0);
    (void)kill(-leader, SIGKILL);
    (void)waitpid(leader, NULL, 0);
}

static void sweep__does_not_touch_its_own(void **state)
{
    fixture_open(f, 4);
    fixture_start(f, sh, 1, "{\"run\":\"echo $$ > up; sleep 1000\"}");
    pid_t pid = read_pid("up");
    assert_int_equal(mr__exec_survivors(f->x), 0);
    sweep(1);
    assert_true(is_alive(pid));
    assert_int_equal(fixture_fate(f, 1, 1, sh), MR__FATE_RUNNING);
    fixture_cancel(f, 1, MR_BY_USER);
    assert_true(fixture_run(f, 1, 5000));
    fixture_close(f, 0);
}

static void sweep__under_way_is_no_hindrance_to_a_shutdown(void **state)
{
    const char *scripts[] = {"sleep 1000"};
    engine_that_dies(scripts, 1);
    fixture_open(f, 4);
    struct mr__attempt_ref ref = fixture_ref(1, 0, 1);
    f->swept = false;
    f->x->ops->sweep(f->x, (const uint8_t(*)[MR__RUN_ID_BYTES]) & ref.run_id, 1, on_swept, f);
    fixture_close(f, 0);
    assert_false(f->swept);
}

#define TABLE(name)  cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ENGINE(name) cmocka_unit_test_setup_teardown(name, set_up_engine, tear_down_engine)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE(table__keeps_its_rows),
        TABLE(table__takes_a_process_that_runs_already),
        TABLE(table__a_child_of_a_dead_engine_cannot_enter_itself),
        TABLE(table__is_full_at_its_limit),
        TABLE(table__of_another_boot_is_emptied_and_proves_nothing),
        TABLE(table__settle_frees_what_nobody_will_ask_for),
        TABLE(table__of_another_format_is_refused),
        TABLE(table__is_private),
        ENGINE(sweep__ends_what_a_killed_engine_left),
        ENGINE(sweep__ends_a_group_whose_leader_is_gone),
        ENGINE(sweep__leaves_strangers_alone),
        ENGINE(sweep__does_not_touch_its_own),
        ENGINE(sweep__under_way_is_no_hindrance_to_a_shutdown),
    };
    return cmocka_run_group_tests_name("child_table", tests, NULL, NULL);
}
