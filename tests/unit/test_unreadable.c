/* SPDX-License-Identifier: MIT
 *
 * Goal: a dag whose stored text the parser refuses keeps nobody from the rest of the store, and its
 * runs lose nothing. Method: the world of the conformance cases on the store in memory; the text is
 * spoiled between two lives of the engine, many other runs go by, and it is made good again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "spoil.h"
#include "tests/conformance/world.h"

#include <cmocka.h>

#define OTHERS 40u

static struct world *w;

static int set_up(void **state)
{
    (void)state;
    w = malloc(sizeof *w);
    assert_non_null(w);
    world_init(w, NULL, (struct world_crash){0});
    w->all_idempotent = true;
    w->journal_bytes_keep = 1; /* it is shortened with each commit */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_finish(w);
    free(w);
    return 0;
}

static size_t submit(const char *text)
{
    struct mr__problems problems;
    struct mr__parse_options options = {.file = "d.yaml", .default_id = "d"};
    struct mr__dag *dag;
    mr__problems_init(&problems);
    assert_int_equal(mr__dag_parse(text, strlen(text), &options, &problems, &dag), MR_OK);
    mr__problems_finish(&problems);
    assert_int_equal(world_submit(w, dag, (struct mr__blob){"{}", 2}), MR_OK);
    return w->run_count - 1;
}

static void end(const char *task)
{
    struct world_answer how = {.until = WORLD_OVER, .outcome = MR__OUTCOME_SUCCESS};
    const struct world_attempt *a = world_exec_find(w, task);
    assert_non_null(a);
    how.attempt = a->ref.attempt;
    (void)snprintf(how.task, sizeof how.task, "%s", task);
    world_exec_answer(w, &how);
    world_settle(w);
}

/* While the engine is at rest; it sees that in its next life. */
static void spoil(const char *dag, bool restore)
{
    struct spoil spoil = {.dag = dag, .restore = restore};
    struct mr__store *store;
    mr_status status;
    assert_int_equal(mr__store_mem_open(w->image, NULL, &store), MR_OK);
    assert_int_equal(spoil_begin(&spoil, store, &status), 1);
    store->ops->poll(store);
    assert_int_equal(status, MR_OK);
    mr__batch_finish(&spoil.batch);
    store->ops->close(store);
}

/* Runs of another dag come and go in one slot of the world's table, so that the journal is trimmed.
 */
static void others(void)
{
    for (unsigned i = 0; i < OTHERS; i++) {
        (void)submit("id: other\ntasks: [{id: o, action: echo}]\n");
        mr__plan_unref(w->runs[--w->run_count].plan);
    }
}

static size_t count_unreadable(void)
{
    size_t count = 0;
    for (const struct mr__unreadable *run = mr__shard_unreadables(w->shard); run != NULL;
         run = run->next) {
        count++;
    }
    return count;
}

static const char two[] = "id: two\ntasks: [{id: a, action: idem}, {id: b, action: idem, "
                          "dependOn: [a]}]\n";

static void unreadable__a_dag_that_does_not_parse_kept_the_store_from_opening(void **state)
{
    (void)state;
    size_t run = submit(two);
    spoil("two", false);
    world_crash(w);
    const struct mr__unreadable *left = mr__shard_unreadable(w->shard, w->runs[run].id);
    assert_non_null(left);
    assert_string_equal(left->dag, "two");
    assert_non_null(strstr(mr__shard_refused(w->shard, left->version), "does not parse"));
    assert_null(mr__shard_find(w->shard, w->runs[run].id));
    size_t other = submit("id: other\ntasks: [{id: o, action: idem}]\n");
    end("o");
    assert_int_equal(world_look(w, other)->status, MR__RUN_SUCCESS);
}

static void unreadable__its_run_loses_nothing_while_the_journal_is_trimmed(void **state)
{
    struct mr__shard_stats stats;
    (void)state;
    size_t run = submit(two);
    end("a");
    spoil("two", false);
    for (int life = 0; life < 3; life++) {
        world_crash(w);
        assert_int_equal(count_unreadable(), 1);
        others();
    }
    mr__shard_stats(w->shard, &stats);
    assert_true(stats.journal_first > OTHERS); /* nothing of the run is in it any more */
    spoil("two", true);
    world_crash(w);
    assert_int_equal(count_unreadable(), 0);
    const struct mr__run *live = world_look(w, run);
    assert_int_equal(live->tasks[0].status, MR__TASK_SUCCESS);
    assert_int_equal(live->tasks[1].status, MR__TASK_RUNNING);
    end("b");
    assert_int_equal(world_look(w, run)->status, MR__RUN_SUCCESS);
}

static void unreadable__its_run_cannot_be_commanded(void **state)
{
    (void)state;
    size_t run = submit(two);
    spoil("two", false);
    world_crash(w);
    for (int command = MR__COMMAND_CANCEL; command <= MR__COMMAND_UNPAUSE; command++) {
        struct mr__command_of what = {.command = (enum mr__command)command};
        assert_int_equal(world_command(w, run, &what), MR_EDEFINITION);
    }
}

/* What has ended, and is not in the index yet, goes there all the same. */
static void unreadable__a_finished_run_is_found(void **state)
{
    (void)state;
    size_t run = submit("id: one\ntasks: [{id: a, action: idem}]\n");
    end("a");
    spoil("one", false);
    world_crash(w);
    assert_int_equal(count_unreadable(), 0);
    const struct mr__pending *pending = mr__shard_pending_find(w->shard, w->runs[run].id);
    assert_non_null(pending);
    assert_null(pending->plan);
    assert_string_equal(mr__pending_dag(pending), "one");
    assert_int_equal(world_listed(w, run), MR__RUN_SUCCESS);
}

/* Events in the journal name the slot. */
static void unreadable__its_slot_and_its_id_stay_its_own(void **state)
{
    (void)state;
    size_t run = submit(two);
    uint32_t slot = mr__shard_find(w->shard, w->runs[run].id)->slot;
    spoil("two", false);
    for (int life = 0; life < 2; life++) {
        world_crash(w);
        size_t other = submit(life == 0 ? "id: other\ntasks: [{id: o, action: idem}]\n"
                                        : "id: third\ntasks: [{id: p, action: idem}]\n");
        assert_int_not_equal(mr__shard_find(w->shard, w->runs[other].id)->slot, slot);
        end(life == 0 ? "o" : "p");
    }
    spoil("two", true);
    world_crash(w);
    assert_int_equal(mr__shard_find(w->shard, w->runs[run].id)->slot, slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            unreadable__a_dag_that_does_not_parse_kept_the_store_from_opening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            unreadable__its_run_loses_nothing_while_the_journal_is_trimmed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable__its_run_cannot_be_commanded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable__a_finished_run_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreadable__its_slot_and_its_id_stay_its_own, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("unreadable", tests, NULL, NULL);
}
