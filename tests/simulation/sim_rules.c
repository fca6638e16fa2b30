/* SPDX-License-Identifier: MIT
 *
 * What the events that become durable mean, by rules of its own: they are slower and simpler than
 * the scheduler's, look at the whole graph each time, and know nothing of it but the codec and the
 * dag. An event that they do not allow is a broken promise.
 */
#include "tests/simulation/sim_rules.h"

/* ---- hooks and ends ------------------------------------------------------------------------- */

static void hooks_due(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    bool at_end = event->status != MR__RUN_RUNNING;
    if (run->hooks_due != 0) {
        sim_broken(sim, "hooks are due while others are");
    }
    if (at_end) {
        sim_expect_outcome(sim, run, event->status);
        if (event->count != sim_expect_hooks_at_end(sim, run, event->status)) {
            sim_broken(sim, "hooks %x are due at the end instead of %x", event->count,
                       sim_expect_hooks_at_end(sim, run, event->status));
        }
    }
    run->hooks_due = event->count;
    run->hooks_status = event->status;
    run->hooks_calls = 0;
    sim_count(sim, at_end ? SIM_hook_at_end : SIM_hook_before);
}

static void settled(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t hooks = sim_expect_hooks_at_end(sim, run, event->status);
    sim_expect_outcome(sim, run, event->status);
    if (run->paused || run->hooks_due != hooks || (hooks != 0 && run->hooks_calls == 0) ||
        (hooks != 0 && run->hooks_status != event->status)) {
        sim_broken(sim, "a run ends (%s) while it is paused, or its hooks are not called",
                   mr__run_status_name(event->status));
    }
    run->hooks_due = 0;
    run->status = event->status;
    run->settles++;
    run->archived = event->status != MR__RUN_BLOCKED;
    run->ends += run->archived;
    run->end_number = run->archived ? ++sim->truth.ends : run->end_number;
    if (event->status == MR__RUN_BLOCKED) {
        sim_count(sim, SIM_run_blocked);
    } else if (event->status == MR__RUN_CANCELED) {
        sim_count(sim, SIM_run_canceled);
    } else if (run->timed_out) {
        sim_count(sim, SIM_run_timed_out);
    }
    if (run->kept == run->task_count) {
        sim_count(sim, SIM_all_kept);
    }
    for (uint32_t t = 0; t < run->plan->dag->task_count; t++) {
        if (sim_expect_dead(run, t)) {
            sim_count(sim, SIM_task_died);
        }
    }
}

/* ---- tasks that begin ------------------------------------------------------------------------ */

/* What was to become of it, by the share data as they stood when its conditions were looked at. */
static enum mr__verdict expected_of(struct sim *sim, const struct sim_run *run, uint32_t t,
                                    const struct mr__check **ret_check)
{
    const struct mr__check *now;
    enum mr__verdict verdict = sim_expect_verdict(run, t, run->seen, ret_check);
    if (sim_expect_verdict(run, t, run->log.len, &now) != verdict) {
        sim_count(sim, SIM_share_changed_meanwhile);
    }
    return verdict;
}

/* An attempt, or a fan-out, begins. */
static void begins(struct sim *sim, const struct sim_run *run, uint32_t t, enum mr__verdict verdict)
{
    const struct mr__check *check;
    sim_expect_turn(sim, run, t);
    if (expected_of(sim, run, t, &check) != verdict) {
        sim_broken_task(sim, run, t, "it begins, and its conditions say otherwise");
    }
    if (sim_expect_skipped(run, t)) {
        sim_broken_task(sim, run, t, "it begins, and nothing above it failed");
    }
    const struct mr__dag_task *row = sim_expect_row(run, t);
    if (run->tasks[t].status == MR__TASK_CONTINUE) {
        sim_count(sim, SIM_block_passed);
    }
    if (row->when == MR__WHEN_ALWAYS && !is_child(run, t) && sim_expect_tainted(run, t)) {
        sim_count(sim, SIM_when_always_after_bad);
    }
    if (row->when == MR__WHEN_FAILED) {
        sim_count(sim, SIM_when_failed_ran);
    }
}

/* ---- TASK_SET ------------------------------------------------------------------------------- */

static bool starts_with(struct mr__blob text, const char *prefix)
{
    return text.len >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

/* A fan-out's children have ended; or those that have not are blocked, beside a failure. */
static void fan_ends(struct sim *sim, const struct sim_run *run, uint32_t t, uint8_t status)
{
    const struct sim_fan *fan = &run->fans[run->tasks[t].fan];
    uint32_t bad = 0, blocked = 0;
    for (uint32_t child = fan->first; child < fan->first + fan->count; child++) {
        uint8_t is = run->tasks[child].status;
        bad += is_bad(is);
        blocked += is == MR__TASK_BLOCKED;
        if (!is_good(is) && !is_bad(is) && is != MR__TASK_BLOCKED) {
            sim_broken_task(sim, run, child, "its fan-out ends, and it could go on");
        }
    }
    uint8_t want = bad + blocked == 0    ? MR__TASK_SUCCESS
                   : is_unwanted(run, t) ? MR__TASK_CANCELED
                                         : MR__TASK_FAILED;
    if (status != want) {
        sim_broken_task(sim, run, t, "the fan-out ends otherwise than its children did");
    }
    if (blocked > 0) {
        sim_count(sim, SIM_fan_stuck);
    } else if (status == MR__TASK_FAILED) {
        sim_count(sim, SIM_fan_failed);
    } else if (status == MR__TASK_CANCELED) {
        sim_count(sim, SIM_fan_canceled);
    }
}

static void judged_to_fail(struct sim *sim, const struct sim_run *run, uint32_t t,
                           struct mr__blob reason)
{
    const struct mr__dag_task *row = sim_expect_row(run, t);
    char text[16];
    struct mr__blob item = sim_expect_item(run, t, text);
    enum sim_truth_value value =
        row->retry.filter == MR__NO_SCRIPT
            ? SIM_TRUE
            : sim_script_value(run, row->retry.filter, item, run->tasks[t].attempt);
    if (value == SIM_TRUE && !starts_with(reason, "retry.if: ")) {
        sim_broken_task(sim, run, t, "its policy lets it be tried again, and it is not");
    }
    sim_count(sim, value == SIM_FALSE ? SIM_retry_refused : SIM_retry_unjudgeable);
}

/* What it says before it begins: it is not to begin. */
static void decided(struct sim *sim, const struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    const struct mr__check *check;
    enum mr__verdict expected = expected_of(sim, run, t, &check);
    sim_expect_turn(sim, run, t);
    if (event->status == MR__TASK_SKIPPED && sim_expect_skipped(run, t)) {
        sim_count(sim, SIM_when_failed_skipped);
        return;
    }
    if (event->status == MR__TASK_FAILED && starts_with(event->reason, "too many scripts")) {
        return;
    }
    bool gate = sim_expect_row(run, t)->action == NULL;
    bool fits = event->status == MR__TASK_SKIPPED   ? expected == MR__VERDICT_SKIP
                : event->status == MR__TASK_BLOCKED ? expected == MR__VERDICT_BLOCK
                : event->status == MR__TASK_FAILED
                    ? expected == MR__VERDICT_FAIL
                    : gate && event->status == MR__TASK_SUCCESS && expected == MR__VERDICT_GO &&
                          !sim_expect_skipped(run, t);
    if (!fits) {
        sim_broken_task(sim, run, t, "its conditions say otherwise than what became of it");
    }
    bool by_share = check != NULL && check->conditions[0].source == MR__SOURCE_SHARE;
    switch (event->status) {
    case MR__TASK_SKIPPED:
        sim_count(sim, by_share        ? SIM_skipped_by_share
                       : check != NULL ? SIM_skipped_by_check
                                       : SIM_skipped_by_script);
        break;
    case MR__TASK_BLOCKED:
        sim_count(sim, by_share        ? SIM_blocked_by_share
                       : check != NULL ? SIM_blocked_by_check
                                       : SIM_blocked_by_script);
        break;
    case MR__TASK_FAILED: sim_count(sim, SIM_condition_failed); break;
    default: break;
    }
}

static void set(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    struct sim_task *task = &run->tasks[t];
    if (event->outcome != 0) {
        if (run->status != MR__RUN_INIT || run->began || task->status != MR__TASK_INIT ||
            !is_good(event->status)) {
            sim_broken_task(sim, run, t, "it is kept, and its run has begun");
        }
        task->status = event->status;
        run->kept++;
        return;
    }
    if (task->status == MR__TASK_RUNNING && task->fanned) {
        fan_ends(sim, run, t, event->status);
    } else if (event->status == MR__TASK_CANCELED) {
        if (sim_expect_begun(run, t) ||
            !(may_begin(task->status) || task->status == MR__TASK_BLOCKED)) {
            sim_broken_task(sim, run, t, "it is canceled as if it had not begun");
        }
        sim_count(sim, task->late ? SIM_child_of_late_success : SIM_task_canceled);
        if (is_child(run, t)) {
            sim_count(sim, SIM_child_canceled);
        }
        if (task->delayed) {
            sim_count(sim, SIM_delay_canceled);
        }
        task->taken++;
    } else if (task->judging && event->status == MR__TASK_FAILED) {
        judged_to_fail(sim, run, t, event->reason);
    } else {
        decided(sim, run, event);
    }
    task->status = event->status;
    task->judging = task->delayed = task->again = task->canceling = task->late = false;
    run->status = run->paused ? run->status : MR__RUN_RUNNING;
    run->began = true;
}

/* ---- attempts ------------------------------------------------------------------------------- */

static void started(struct sim *sim, struct sim_run *run, uint32_t t)
{
    struct sim_task *task = &run->tasks[t];
    if (!task->prepared) {
        begins(sim, run, t, MR__VERDICT_GO);
        if ((run->plan->bindings[sim_expect_row(run, t) - run->plan->dag->tasks].flags &
             MR__ACTION_BEFORE) != 0) {
            sim_broken_task(sim, run, t, "it starts without what comes before");
        }
    } else if (run->paused || run->hooks_due != 0) {
        run->must_end = t + 1; /* it ended in run_before: an attempt all the same */
    }
    task->status = MR__TASK_RUNNING;
    task->prepared = task->again = false;
    task->attempt++;
    task->life = sim->life;
    run->began = true;
    run->status = run->paused ? run->status : MR__RUN_RUNNING;
}

static void check_waited(struct sim *sim, const struct sim_run *run, const struct mr__event *event)
{
    const struct sim_task *task = &run->tasks[event->task];
    if (sim->knobs.jump == 0 && event->time_ms - task->since_ms < task->ms) {
        sim_broken_task(sim, run, event->task, "its time is over too early");
    }
}

static uint8_t status_after_loss(const struct sim_run *run, uint32_t t)
{
    const struct mr__dag_task *row = sim_expect_row(run, t);
    uint32_t flags = run->plan->bindings[row - run->plan->dag->tasks].flags;
    uint8_t on_lost = row->on_lost;
    if (is_unwanted(run, t)) {
        return MR__TASK_CANCELED;
    }
    if (run->tasks[t].lost + 1 >= MR__LOST_MAX) {
        return MR__TASK_FAILED;
    }
    if (on_lost == MR__ON_LOST_DEFAULT) {
        on_lost = (flags & MR__ACTION_IDEMPOTENT) != 0 ? MR__ON_LOST_RETRY : MR__ON_LOST_FAIL;
    }
    return on_lost == MR__ON_LOST_RETRY  ? MR__TASK_RETRYING
           : on_lost == MR__ON_LOST_FAIL ? MR__TASK_FAILED
                                         : MR__TASK_BLOCKED;
}

static uint8_t status_after(const struct sim_run *run, uint32_t t, uint8_t outcome)
{
    switch (outcome) {
    case MR__OUTCOME_SUCCESS: return MR__TASK_SUCCESS;
    case MR__OUTCOME_CANCELED: return MR__TASK_CANCELED;
    case MR__OUTCOME_LOST: return status_after_loss(run, t);
    default:
        return is_unwanted(run, t)                                         ? MR__TASK_CANCELED
               : run->tasks[t].retries < sim_expect_row(run, t)->retry.max ? MR__TASK_RETRYING
                                                                           : MR__TASK_FAILED;
    }
}

static void lost(struct sim *sim, struct sim_run *run, uint32_t t)
{
    struct sim_task *task = &run->tasks[t];
    sim_count(sim, is_child(run, t) ? SIM_child_lost : SIM_attempt_lost);
    if (task->life == sim->life && sim->journal_bytes_keep == 0) {
        sim_broken_task(sim, run, t, "it is lost, and the engine that started it goes on");
    }
    if (task->end_sets > 0) {
        sim_broken_task(sim, run, t, "it is lost, and the share data of its end are there");
    }
    if (++task->lost >= MR__LOST_MAX) {
        sim_count(sim, SIM_lost_three_times);
    }
}

/* Those below it that wait for it alone are canceled in its place. */
static void succeeded_late(struct sim *sim, struct sim_run *run, uint32_t t)
{
    const struct mr__dag *dag = run->plan->dag;
    sim_count(sim, SIM_success_after_canceled);
    for (uint32_t i = 0; i < dag->tasks[t].child_count; i++) {
        uint32_t child = dag->children[dag->tasks[t].first_child + i];
        run->tasks[child].late =
            run->tasks[child].status == MR__TASK_INIT && dag->tasks[child].when == MR__WHEN_SUCCESS;
    }
}

static void ended(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    struct sim_task *task = &run->tasks[t];
    if (task->prepared || !sim_expect_begun(run, t)) {
        sim_broken_task(sim, run, t, "it ends, and was not begun");
    }
    if (event->status != status_after(run, t, event->outcome)) {
        sim_broken_task(sim, run, t, "it ends as what its outcome does not give");
    }
    if (task->waiting && event->outcome == MR__OUTCOME_SUCCESS) {
        check_waited(sim, run, event);
    }
    if (event->outcome == MR__OUTCOME_LOST) {
        lost(sim, run, t);
    }
    if (event->status == MR__TASK_SUCCESS && task->canceling && !is_child(run, t)) {
        succeeded_late(sim, run, t);
    }
    task->status = event->status;
    task->end_sets = 0;
    task->waiting = task->canceling = false;
    task->again = event->status == MR__TASK_RETRYING;
    task->judging = task->again && event->outcome != MR__OUTCOME_LOST;
    if (task->judging && event->outcome == MR__OUTCOME_TIMED_OUT) {
        sim_count(sim, SIM_retried_after_timeout);
    }
}

/* ---- retry policies ------------------------------------------------------------------------- */

static void delayed(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    struct sim_task *task = &run->tasks[t];
    const struct mr__retry *retry = &sim_expect_row(run, t)->retry;
    int64_t ms = retry->delay_ms;
    if (!task->judging) {
        sim_broken_task(sim, run, t, "it is delayed, and did not fail");
    }
    for (uint32_t i = 0; i < task->retries && retry->backoff == MR__BACKOFF_EXPONENTIAL; i++) {
        ms *= 2;
        sim_count(sim, SIM_delayed_exponentially);
    }
    ms = retry->max_delay_ms > 0 ? MR__MIN(ms, retry->max_delay_ms) : ms;
    if (event->ms > ms || (double)event->ms < (double)ms * (1 - retry->jitter) - 1) {
        sim_broken_task(sim, run, t, "its delay is another one than its policy says");
    }
    if (retry->jitter > 0 && event->ms < ms) {
        sim_count(sim, SIM_delayed_with_jitter);
    }
    if (++task->retries > retry->max) {
        sim_broken_task(sim, run, t, "it is tried more often than its policy says");
    }
    task->judging = false;
    task->delayed = true;
    task->since_ms = event->time_ms;
    task->since_life = sim->life;
    task->ms = event->ms;
    sim_count(sim, SIM_retried_by_policy);
    if (event->ms > 0) {
        sim_count(sim, SIM_delayed);
    }
}

static void due(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    struct sim_task *task = &run->tasks[event->task];
    if (!task->delayed) {
        sim_broken_task(sim, run, event->task, "its delay is over, and it had none");
    }
    check_waited(sim, run, event);
    if (task->since_life != sim->life) {
        sim_count(sim, SIM_delay_through_lives);
    }
    task->delayed = false;
}

/* ---- fan-outs ------------------------------------------------------------------------------- */

static void fanned(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    begins(sim, run, t, MR__VERDICT_FAN);
    if (run->fan_count == SIM_FANS_MAX || run->task_count + event->count > SIM_TASKS_MAX) {
        sim_broken(sim, "the simulation has too little room for fan-outs");
    }
    run->fans[run->fan_count] =
        (struct sim_fan){.task = t, .first = run->task_count, .count = event->count};
    for (uint32_t i = 0; i < event->count; i++) {
        run->tasks[run->task_count++] = (struct sim_task){.fan = run->fan_count};
    }
    run->tasks[t].status = MR__TASK_RUNNING;
    run->tasks[t].fanned = true;
    run->tasks[t].fan = run->fan_count++;
    run->status = MR__RUN_RUNNING;
    run->began = true;
    sim_count(sim, event->count == 0 ? SIM_fanned_to_nothing : SIM_fanned);
}

/* ---- commands ------------------------------------------------------------------------------- */

static void canceled(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    if (run->canceling || (run->hooks_due != 0 && run->hooks_status != MR__RUN_RUNNING)) {
        sim_broken(sim, "a run is canceled twice, or as it ends");
    }
    run->canceling = true;
    run->timed_out = event->outcome == MR__CANCEL_BY_RUN_TIMEOUT;
    if (run->hooks_due != 0) {
        sim_count(sim, SIM_hook_canceled);
    }
    run->hooks_due = 0;
    run->paused = false;
    run->status = MR__RUN_RUNNING;
    for (uint32_t t = 0; t < run->task_count; t++) {
        struct sim_task *task = &run->tasks[t];
        if ((may_begin(task->status) || task->status == MR__TASK_BLOCKED) && !task->prepared) {
            task->status = MR__TASK_CANCELED;
            task->judging = task->delayed = task->again = task->late = false;
        }
    }
}

static void canceling(struct sim *sim, struct sim_run *run, uint32_t t)
{
    struct sim_task *task = &run->tasks[t];
    bool open_fan = task->fanned && task->status == MR__TASK_RUNNING;
    if (task->canceling || (!sim_expect_begun(run, t) && !open_fan)) {
        sim_broken_task(sim, run, t, "its attempt is canceled, and it has none");
    }
    task->canceling = true;
    task->taken++;
    sim_count(sim, SIM_task_canceling);
}

static void retried(struct sim *sim, struct sim_run *run, uint32_t t)
{
    struct sim_task *task = &run->tasks[t];
    if (!is_bad(task->status) || run->canceling) {
        sim_broken_task(sim, run, t, "it is retried, and did not fail");
    }
    /* A fan-out goes on for a child's sake, which may be continued instead. */
    if (!task->fanned && sim_expect_hooks(sim, run, HOOK(BEFORE_RETRY)) != 0 &&
        run->hooks_due == 0) {
        sim_broken(sim, "a run is retried, and the hook before that is not due");
    }
    task->status = task->fanned        ? MR__TASK_RUNNING
                   : task->attempt > 0 ? MR__TASK_RETRYING
                                       : MR__TASK_INIT;
    task->lost = task->retries = 0;
    task->again = task->late = task->canceling = false;
    task->taken++;
    run->reopened++;
    sim_count(sim, task->fanned       ? SIM_fan_retried
                   : is_child(run, t) ? SIM_child_retried
                                      : SIM_run_retried);
}

static void continued(struct sim *sim, struct sim_run *run, uint32_t t)
{
    struct sim_task *task = &run->tasks[t];
    if (task->status != MR__TASK_BLOCKED) {
        sim_broken_task(sim, run, t, "it is continued, and was not blocked");
    }
    if (sim_expect_hooks(sim, run, HOOK(BEFORE_CONTINUE)) != 0 && run->hooks_due == 0) {
        sim_broken(sim, "a run is continued, and the hook before that is not due");
    }
    task->status = MR__TASK_CONTINUE;
    task->taken++;
    run->reopened++;
    sim_count(sim, SIM_run_continued);
}

static void paused(struct sim *sim, struct sim_run *run, bool is)
{
    if (run->paused == is || run->canceling || run->archived) {
        sim_broken(sim, "a run is paused or unpaused that cannot be");
    }
    run->paused = is;
    run->pauses++;
    sim_count(sim, is ? SIM_paused : SIM_unpaused);
    for (uint32_t t = 0; t < run->task_count && is; t++) {
        if (run->tasks[t].prepared) {
            sim_count(sim, SIM_paused_while_prepared);
        }
    }
}

/* Of one that is being removed it may be decided, too, before that is durable: then it is back. */
static void reopened(struct sim_run *run)
{
    run->pruned = run->torn = false;
    run->status = MR__RUN_RUNNING;
    run->canceling = run->timed_out = run->archived = false;
    run->hooks_called |= HOOK(BEFORE_RUN); /* of its beginning: that is over */
}

/* ---- one event ------------------------------------------------------------------------------ */

static void apply_to_task(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    uint32_t t = event->task;
    struct sim_task *task = &run->tasks[t];
    switch (event->type) {
    case MR__EVENT_TASK_PREPARED:
        begins(sim, run, t, MR__VERDICT_GO);
        task->prepared = true;
        run->began = true;
        run->status = MR__RUN_RUNNING;
        break;
    case MR__EVENT_ATTEMPT_STARTED: started(sim, run, t); break;
    case MR__EVENT_ATTEMPT_WAITING:
        task->waiting = true;
        task->since_ms = event->time_ms;
        task->ms = event->ms;
        break;
    case MR__EVENT_ATTEMPT_ENDING:
        if (task->status != MR__TASK_RUNNING || task->fanned || task->waiting) {
            sim_broken_task(sim, run, t, "its run is through, and was not called");
        }
        task->status = MR__TASK_ENDING;
        task->end_sets = 0;
        break;
    case MR__EVENT_ATTEMPT_ENDED: ended(sim, run, event); break;
    case MR__EVENT_TASK_SET: set(sim, run, event); break;
    case MR__EVENT_TASK_DELAYED: delayed(sim, run, event); break;
    case MR__EVENT_TASK_DUE: due(sim, run, event); break;
    case MR__EVENT_TASK_CANCELING: canceling(sim, run, t); break;
    case MR__EVENT_TASK_FANNED: fanned(sim, run, event); break;
    case MR__EVENT_TASK_RETRIED: retried(sim, run, t); break;
    case MR__EVENT_TASK_CONTINUED: continued(sim, run, t); break;
    default: sim_share_durable(sim, run, event); break;
    }
}

void sim_rules_apply(struct sim *sim, struct sim_run *run, const struct mr__event *event)
{
    if (run->archived && event->type != MR__EVENT_RUN_REOPENED) {
        sim_broken(sim, "a run that is over has an event: %s", mr__event_name(event->type));
    }
    if (event->task >= run->task_count) {
        sim_broken(sim, "an event is about a task that its run does not have");
    }
    if (run->must_end != 0) {
        if (event->type != MR__EVENT_ATTEMPT_ENDED || event->task + 1 != run->must_end) {
            sim_broken_task(sim, run, run->must_end - 1, "it starts while nothing may begin");
        }
        run->must_end = 0;
    }
    switch (event->type) {
    case MR__EVENT_RUN_CREATED:
        run->x = event->vars.len > 6 ? event->vars.data[6] : '1'; /* {"x":"1"} */
        break;
    case MR__EVENT_CANCEL_REQUESTED: canceled(sim, run, event); break;
    case MR__EVENT_RUN_REOPENED: reopened(run); break;
    case MR__EVENT_RUN_PAUSED: paused(sim, run, true); break;
    case MR__EVENT_RUN_UNPAUSED: paused(sim, run, false); break;
    case MR__EVENT_HOOKS_DUE: hooks_due(sim, run, event); break;
    case MR__EVENT_HOOKS_DONE:
        if (run->hooks_due != event->count || run->hooks_calls == 0) {
            sim_broken(sim, "hooks are said to be called that were not");
        }
        run->hooks_called |= event->count;
        run->hooks_due = 0;
        break;
    case MR__EVENT_RUN_SETTLED: settled(sim, run, event); break;
    default: apply_to_task(sim, run, event); break;
    }
}
