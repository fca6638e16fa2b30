/* SPDX-License-Identifier: MIT
 *
 * Goal: all memory is the program's to give, and a failed allocation is an error that is returned:
 * no crash, no leak, no hanging, and what was acknowledged is in the store. Method: this program's
 * allocator counts, and fails the n-th allocation, for every n that a life of an engine has: open,
 * start a run of a dag in code, wait, ask by callback, close. Then once more with each that follows
 * it failing too, until the close; and once on a loop of the program. After each life the store is
 * opened again, with memory enough.
 *
 * usage: test_allocator [FIRST [LAST]] tries these n alone.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "embed_fixture.h"

#define HEADER 16 /* before each piece, so that it is known as this allocator's */
#define MARK   UINT64_C(0x6d696c6c72616365)

static atomic_long allocated; /* pieces that have not been freed */
static atomic_long counted;   /* allocations since `fail_from` was set */
static atomic_long fail_from; /* 0: none fails */
static atomic_bool fail_on;   /* all that follow it fail too */

static bool fails(void)
{
    long from = atomic_load(&fail_from), now = atomic_fetch_add(&counted, 1) + 1;
    return from != 0 && (now == from || (now > from && atomic_load(&fail_on)));
}

static void *give(size_t size)
{
    uint64_t *piece = fails() ? NULL : malloc(size + HEADER);
    if (piece == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    piece[0] = MARK;
    atomic_fetch_add(&allocated, 1);
    return (char *)piece + HEADER;
}

static uint64_t *piece_of(void *memory)
{
    uint64_t *piece = (uint64_t *)((char *)memory - HEADER);
    if (piece[0] != MARK) {
        abort(); /* It was never ours. cmocka cannot be told on another thread. */
    }
    return piece;
}

static void take(void *memory)
{
    if (memory != NULL) {
        uint64_t *piece = piece_of(memory);
        piece[0] = 0;
        atomic_fetch_sub(&allocated, 1);
        free(piece);
    }
}

static void *give_again(void *memory, size_t size)
{
    if (memory == NULL) {
        return give(size);
    }
    uint64_t *piece = fails() ? NULL : realloc(piece_of(memory), size + HEADER);
    return piece == NULL ? NULL : (char *)piece + HEADER;
}

/* What a life came to. */
struct life {
    mr_status opened, started, waited, asked;
    char run[MR_RUN_ID_BYTES];
    const char *name;
};

static mr_dag *make_dag(void)
{
    mr_dag *dag = mr_dag_create("d");
    mr_dag_var(dag, "who", "{\"defaultValue\":\"you\"}");
    mr_dag_task(dag, "a", "say");
    mr_dag_param_str(dag, "a", "text", "hello {{who}}");
    mr_dag_task(dag, "b", "say");
    mr_dag_depend(dag, "b", "a");
    mr_dag_task_set(dag, "b", "runIf", "\"tasks.a.output.said ~= ''\"");
    return dag;
}

static struct life live(void)
{
    struct life life = {.opened = MR_ECLOSED, .started = MR_ECLOSED, .name = ""};
    struct embed_told told = EMBED_TOLD;
    mr_options options = MR_OPTIONS(.store = embed_store, .actions = embed_actions, .jobs = 1);
    mr_engine *engine = NULL;
    life.opened = mr_open(&options, &engine, NULL);
    if (life.opened != MR_OK) {
        return life;
    }
    mr_start_options start = MR_START(.dag = make_dag(), .folder = "/");
    life.started = mr_start(engine, &start, life.run, NULL);
    mr_dag_destroy(start.dag);
    if (life.started == MR_OK) {
        life.waited = mr_wait(engine, life.run, EMBED_WAIT_MS, &life.name, NULL);
        life.asked = mr_request_cb(engine, "{\"op\":\"events\",\"run\":\"-\"}", embed_on_answer,
                                   &told, NULL, NULL);
        if (life.asked == MR_OK) {
            embed_wait_ended(&told);
        }
    }
    atomic_store(&fail_on, false);
    mr_close(engine);
    return life;
}

/* ---- on a loop of the program --------------------------------------------------------------- */

struct loop_life {
    struct life life;
    mr_engine *engine;
};

static void loop_close(struct loop_life *of)
{
    mr_close(of->engine);
}

static void loop_on_waited(const mr_answer *answer, void *user)
{
    struct loop_life *of = user;
    if (answer->status == MR_OK) {
        of->life.name = strstr(answer->json, "\"success\"") != NULL ? "success" : "";
        return;
    }
    of->life.waited = answer->status == MR_END ? MR_OK : answer->status;
    loop_close(of);
}

static void loop_on_started(const mr_answer *answer, void *user)
{
    struct loop_life *of = user;
    if (answer->status == MR_OK) {
        of->life.started = MR_OK;
        embed_run_id(answer->json, of->life.run);
    } else if (answer->status != MR_END ||
               mr_request_cb(of->engine, "{\"op\":\"wait\",\"run\":\"-\"}", loop_on_waited, of,
                             NULL, NULL) != MR_OK) {
        loop_close(of);
    }
}

static struct life live_on_loop(void)
{
    struct loop_life of = {
        .life = {.opened = MR_ECLOSED, .started = MR_ECLOSED, .waited = MR_ECLOSED, .name = ""}};
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    mr_options options =
        MR_OPTIONS(.store = embed_store, .actions = embed_actions, .jobs = 1, .loop = &loop);
    of.life.opened = mr_open(&options, &of.engine, NULL);
    if (of.life.opened == MR_OK) {
        mr_start_options start = MR_START(.dag = make_dag(), .folder = "/");
        if (mr_start_cb(of.engine, &start, loop_on_started, &of, NULL) != MR_OK) {
            loop_close(&of);
        }
        mr_dag_destroy(start.dag);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return of.life;
}

/* ---- each allocation ------------------------------------------------------------------------ */

/* Memory is back: the run is there, goes on and ends. */
static void look_after(const struct life *life, long n)
{
    mr_engine *engine = embed_open_default();
    char *json = NULL;
    const char *name = "";
    mr_error error = {.message = ""};
    if (life->started == MR_OK) {
        assert_int_equal(mr_call(engine, "{\"op\":\"resume\"}", &json, &error), MR_OK);
        mr_free(json);
        mr_status status = mr_wait(engine, life->run, EMBED_WAIT_MS, &name, &error);
        if (status != MR_OK) {
            fail_msg("allocation %ld: the run that was acknowledged: %s", n, error.message);
        }
        /* A failed task where its own memory failed; else all of it was done. */
        if (strcmp(name, "success") != 0 && strcmp(name, "failed") != 0) {
            fail_msg("allocation %ld: the run is %s", n, name);
        }
    }
    mr_close(engine);
}

/* In memory where that can be: thousands of lives wait for no disk. */
static void make_store(void)
{
    (void)snprintf(embed_store, sizeof embed_store, "/dev/shm/millrace-test-XXXXXX");
    if (mkdtemp(embed_store) == NULL) {
        temp_store_make(embed_store);
    }
}

static void try_one(struct life (*lives)(void), long n, bool on, struct life *ret_life)
{
    make_store();
    long before = atomic_load(&allocated);
    atomic_store(&fail_on, on);
    atomic_store(&counted, 0);
    atomic_store(&fail_from, n);
    *ret_life = lives();
    atomic_store(&fail_from, 0);
    atomic_store(&fail_on, false);
    long left = atomic_load(&allocated) - before;
    if (left != 0) {
        fail_msg("allocation %ld%s: %ld pieces were not freed", n, on ? " and on" : "", left);
    }
    if (ret_life->opened == MR_OK && ret_life->started == MR_OK &&
        ret_life->waited == MR_ETIMEDOUT) {
        fail_msg("allocation %ld%s: the run stands still", n, on ? " and on" : "");
    }
    look_after(ret_life, n);
    temp_store_remove(embed_store);
}

static long first = 1, last = 100000;

static void each(struct life (*lives)(void), bool on)
{
    struct life life;
    for (long n = first; n <= last; n++) {
        try_one(lives, n, on, &life);
        if (atomic_load(&counted) < n) {
            print_message("%ld allocations\n", n - 1);
            return;
        }
    }
}

static void allocator__is_set_before_anything_else(void **state)
{
    struct life life;
    assert_int_equal(mr_set_allocator(NULL, give_again, take), MR_EINVAL);
    assert_int_equal(mr_set_allocator(give, give_again, take), MR_OK);
    assert_int_equal(mr_set_allocator(give, give_again, take), MR_ECONFLICT);
    try_one(live_on_loop, 0, false, &life);
    assert_int_equal(life.waited, MR_OK);
    assert_string_equal(life.name, "success");
    try_one(live, 0, false, &life);
    assert_int_equal(life.waited, MR_OK);
    assert_string_equal(life.name, "success");
    assert_true(atomic_load(&counted) > 100);
    assert_int_equal(mr_set_allocator(malloc, realloc, free), MR_ECONFLICT);
}

static void allocator__fails_once(void **state)
{
    each(live, false);
}

static void allocator__fails_from_then_on(void **state)
{
    each(live, true);
}

static void allocator__fails_once_on_a_loop(void **state)
{
    each(live_on_loop, false);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocator__is_set_before_anything_else),
        cmocka_unit_test(allocator__fails_once),
        cmocka_unit_test(allocator__fails_from_then_on),
        cmocka_unit_test(allocator__fails_once_on_a_loop),
    };
    first = argc > 1 ? strtol(argv[1], NULL, 10) : first;
    last = argc > 2 ? strtol(argv[2], NULL, 10) : last;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
