/* SPDX-License-Identifier: MIT
 *
 * Who submits and commands: as a user of the engine does, at any time, for any run or task, whether
 * it fits or not.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/simulation/sim.h"

/* ---- submits -------------------------------------------------------------------------------- */

/* The engine looks keys of runs that have ended up in the store before it asks the shard. */
static bool key_is_taken(const struct sim *sim, struct mr__blob key)
{
    for (size_t i = 0; i < sim->truth.run_count; i++) {
        const struct sim_run *run = &sim->truth.runs[i];
        struct mr__reader r;
        struct mr__event created;
        if (run->ends == 0 || run->pruned) {
            continue;
        }
        mr__reader_init(&r, run->log.data, run->log.len);
        if (mr__event_decode(&r, 0, &created) && created.key.len == key.len &&
            memcmp(created.key.data, key.data, key.len) == 0) {
            return true;
        }
    }
    return false;
}

/* As a rerun does: some of the tasks, or all, are settled from the beginning. */
static size_t choose_kept(struct sim *sim, const struct mr__dag *dag, struct mr__kept *kept)
{
    size_t count = 0;
    uint32_t per_mille = sim_chance(sim, 200) ? 1000 : sim_below(sim, 1000);
    for (uint32_t t = 0; t < dag->task_count; t++) {
        if (sim_chance(sim, per_mille)) {
            kept[count++] = (struct mr__kept){.task = t,
                                              .status = sim_chance(sim, 700) ? MR__TASK_SUCCESS
                                                                             : MR__TASK_SKIPPED,
                                              .reason = {"kept", 4},
                                              .output = {"{\"n\":1}", 7}};
        }
    }
    if (count > 0) {
        sim_count(sim, SIM_submitted_with_kept);
    }
    return count;
}

void sim_submit(struct sim *sim, uint32_t runs_max)
{
    static const char *const names[SIM_KEYS_MAX] = {"k0", "k1", "k2", "k3"};
    struct mr__plan *plan;
    struct mr__kept kept[SIM_TASKS_MAX];
    struct mr__blob share[2 * SIM_KEYS_MAX];
    char key[32], token[32], vars[16], numbers[SIM_KEYS_MAX][16];
    if (sim->truth.run_count >= runs_max) {
        return;
    }
    size_t dag = sim_below(sim, (uint32_t)sim_dag_count);
    if (mr__shard_plan_add(sim->shard, sim_dag_parse(dag), &plan) != MR_OK) {
        sim_broken(sim, "a plan cannot be added");
    }
    (void)snprintf(vars, sizeof vars, "{\"x\":\"%u\"}", 1 + sim_below(sim, 3));
    struct mr__submit how = {
        .plan = plan, .folder = {"/", 1}, .vars = {vars, strlen(vars)}, .tags = {"{}", 2}};
    if (plan->dag->tags.len > 0) {
        how.tags = (struct mr__blob){"{\"team\":\"a\"}", 12};
    }
    (void)snprintf(key, sizeof key, "key-%u", sim_below(sim, 20));
    if (sim_chance(sim, 400) && !key_is_taken(sim, (struct mr__blob){key, strlen(key)})) {
        how.key = (struct mr__blob){key, strlen(key)};
    }
    if (sim_chance(sim, 300)) {
        (void)snprintf(token, sizeof token, "token-%llx", (unsigned long long)sim_random(sim));
        how.token = (struct mr__blob){token, strlen(token)};
    }
    if (sim_chance(sim, 120)) {
        how.origin = (struct mr__blob){"{\"trigger\":\"rerun\"}", 19};
        how.kept = kept;
        how.kept_count = choose_kept(sim, plan->dag, kept);
    }
    for (uint32_t k = 0; k < SIM_KEYS_MAX && how.origin.len > 0 && sim_chance(sim, 500); k++) {
        (void)snprintf(numbers[k], sizeof numbers[k], "%u", sim_share_given(sim, k));
        share[how.share_count * 2] = (struct mr__blob){names[k], 2};
        share[how.share_count++ * 2 + 1] = (struct mr__blob){numbers[k], strlen(numbers[k])};
        how.share = share;
        sim_count(sim, SIM_submitted_with_share);
    }
    sim_note(sim, "submit %s", plan->dag->id);
    struct sim_request *request = sim_request(sim, SIM_SUBMIT, NULL);
    request->kept = (uint32_t)how.kept_count;
    request->shared = (uint32_t)how.share_count;
    mr__shard_submit(sim->shard, &how, sim_done, request);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void unknown_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    const struct sim_request *request = user;
    if (status == MR_OK) {
        sim_broken(request->sim, "a command for a task that the run does not have is done");
    }
    sim_done(user, status, error, run_id);
}

/* For the run, or for one of its tasks. */
static void send(struct sim *sim, struct sim_run *run, enum mr__command command, bool one)
{
    char name[64];
    const char *const names[] = {name};
    struct mr__command_of what = {.command = command};
    struct sim_request *request = sim_request(sim, (enum sim_request_kind)command, run);
    mr__done_fn done = sim_done;
    if (one && command < MR__COMMAND_PAUSE) {
        uint32_t t = sim_below(sim, run->task_count);
        request->task = t + 1;
        request->taken = run->tasks[t].taken;
        request->said = run->tasks[t].canceling; /* twice is not wrong */
        sim_truth_name(run, t, name, sizeof name);
        if (sim_chance(sim, 30)) {
            (void)snprintf(name, sizeof name, "nobody");
            done = unknown_done;
        }
        what.tasks = names;
        what.task_count = 1;
    }
    sim_note(sim, "command %d %s", (int)command, what.task_count == 0 ? "" : name);
    mr__shard_command(sim->shard, run->id, &what, done, request);
}

/* As the engine does: a finished run comes back from the history first. */
static void revive(struct sim *sim, struct sim_run *run, bool one)
{
    struct mr__plan *plan;
    struct mr__buf log;
    mr_error error = {0};
    if (run->status == MR__RUN_SUCCESS || !sim_archive_history(sim, run->id, &log)) {
        return;
    }
    plan = mr__shard_plan(sim->shard, run->plan->dag->version);
    if (plan == NULL &&
        mr__shard_plan_add(sim->shard, mr__dag_ref(run->plan->dag), &plan) != MR_OK) {
        sim_broken(sim, "a plan cannot be added");
    }
    mr_status status = mr__shard_revive(sim->shard, run->id, plan,
                                        (struct mr__blob){(const char *)log.data, log.len}, &error);
    mr__buf_finish(&log);
    if (status == MR_OK) {
        sim_count(sim, SIM_run_revived);
        send(sim, run, MR__COMMAND_RETRY, one);
    } else if (error.status == MR_OK || status == MR_EFORMAT) {
        sim_broken(sim, "a run does not come back: %s", error.message);
    }
}

static void command_for(struct sim *sim, struct sim_run *run, enum mr__command command, bool one)
{
    static const int named[] = {[MR__COMMAND_CANCEL] = SIM_tasks_canceled,
                                [MR__COMMAND_RETRY] = SIM_tasks_retried,
                                [MR__COMMAND_CONTINUE] = SIM_tasks_continued};
    const struct mr__run *live = mr__shard_find(sim->shard, run->id);
    if (!run->durable) {
        return;
    }
    if (live == NULL) {
        if (command == MR__COMMAND_RETRY) {
            revive(sim, run, one);
        }
        return;
    }
    if ((live->flags & MR__RUNFLAG_DORMANT) != 0) {
        sim_count(sim, one                            ? SIM_task_command_of_dormant
                       : command == MR__COMMAND_PAUSE ? SIM_paused_dormant
                                                      : SIM_command_of_dormant);
    }
    if ((live->flags & MR__RUNFLAG_SETTLED) != 0 && command == MR__COMMAND_RETRY) {
        sim_count(sim, SIM_retry_while_ending);
    }
    if (one && command < MR__COMMAND_PAUSE) {
        sim_count(sim, (enum sim_counter)named[command]);
    }
    send(sim, run, command, one);
}

void sim_command_of(struct sim *sim, struct sim_run *run, enum mr__command command)
{
    command_for(sim, run, command, false);
}

void sim_command(struct sim *sim)
{
    static const enum mr__command often[] = {
        MR__COMMAND_CANCEL,   MR__COMMAND_CANCEL,  MR__COMMAND_RETRY, MR__COMMAND_RETRY,
        MR__COMMAND_RETRY,    MR__COMMAND_RETRY,   MR__COMMAND_PAUSE, MR__COMMAND_UNPAUSE,
        MR__COMMAND_CONTINUE, MR__COMMAND_CONTINUE};
    if (sim->truth.run_count > 0) {
        struct sim_run *run = &sim->truth.runs[sim_below(sim, (uint32_t)sim->truth.run_count)];
        enum mr__command command = often[sim_below(sim, MR__COUNT(often))];
        command_for(sim, run, command, sim_chance(sim, command == MR__COMMAND_CANCEL ? 700 : 300));
    }
}

void sim_resume(struct sim *sim, uint32_t per_mille)
{
    const struct mr__scheduler *s = mr__shard_state(sim->shard);
    uint8_t ids[SIM_RUNS_MAX][MR__RUN_ID_BYTES];
    size_t count = 0;
    for (uint32_t slot = 0; slot < s->runs_cap; slot++) {
        const struct mr__run *run = s->runs[slot];
        if (run == NULL || (run->flags & MR__RUNFLAG_DORMANT) == 0 ||
            run->status == MR__RUN_BLOCKED || run->status == MR__RUN_PAUSED) {
            continue;
        }
        if (sim_chance(sim, per_mille)) {
            memcpy(ids[count++], run->id, MR__RUN_ID_BYTES);
            sim_count(sim, SIM_resumed);
        } else {
            sim_count(sim, SIM_left_dormant);
        }
    }
    if (count > 0) {
        sim_note(sim, "resume %zu", count);
        mr__shard_resume(sim->shard, (const uint8_t(*)[MR__RUN_ID_BYTES])ids, count);
    }
}

void sim_after(struct sim *sim)
{
    if (sim->truth.run_count > 0) {
        struct sim_run *run = &sim->truth.runs[sim_below(sim, (uint32_t)sim->truth.run_count)];
        if (run->durable) {
            mr__shard_after(sim->shard, sim_done, sim_request(sim, SIM_AFTER, run));
        }
    }
}
