/* SPDX-License-Identifier: MIT
 *
 * Evaluations on a worker: what took too long on the loop is done once more, with the full budget,
 * on threads that no action can hold. Loop thread, but for work().
 *
 * The scope looks into the dag, which the engine holds until it has the answer: so a shutdown waits
 * for those that a worker has begun (their budget ends them soon), and takes back the others.
 */
#include <stdlib.h>

#include "core/exec/evaluator.h"
#include "core/exec/task_host.h"

struct mr__evaluation_job {
    struct mr__letter letter; /* stays first */
    struct mr__pool_job job;
    struct mr__exec *exec;
    struct mr__evaluation *evaluation;
    struct mr__evaluation_job *next, *previous; /* loop */
};

static void unlink_job(struct mr__evaluation_job *job)
{
    struct mr__exec *x = job->exec;
    if (job->next != NULL) {
        job->next->previous = job->previous;
    }
    *(job->previous == NULL ? &x->evaluations : &job->previous->next) = job->next;
    x->evaluation_count--;
    x->scoped--;
    mr__free(job);
}

/* Loop: the answer is there. */
static void answer(struct mr__exec *x, struct mr__letter *letter)
{
    struct mr__evaluation_job *job = (struct mr__evaluation_job *)letter;
    struct mr__evaluation *evaluation = job->evaluation;
    unlink_job(job);
    if (x->closing) {
        mr__evaluation_destroy(evaluation);
    } else {
        x->events.evaluated(x->events.user, evaluation);
    }
}

static void work(struct mr__pool_job *pool_job)
{
    struct mr__evaluation_job *job = MR__CONTAINER(pool_job, struct mr__evaluation_job, job);
    struct mr__evaluation *e = job->evaluation;
    struct mr__lua_evaluator evaluator;
    bool again = false; /* never, with this budget */
    mr__lua_evaluator_init_worker(&evaluator, (struct mr__lua **)mr__pool_local());
    if (e->judge) {
        e->status = mr__judge(&e->scope->scope, e->row, &evaluator.port, &e->arena, &e->retry,
                              &again, &e->error);
    } else {
        e->status = mr__prepare(&e->scope->scope, e->row, e->flags, &evaluator.port, &e->arena,
                                &e->prepared);
    }
    mr__lua_evaluator_finish(&evaluator);
    bool posted = mr__exec_post(job->exec, &job->letter);
    MR_ASSERT(posted); /* The end waits for what is scoped. */
}

mr_status mr__exec_evaluate(struct mr__exec *x, struct mr__evaluation *evaluation)
{
    if (x->closing) {
        return MR_ECLOSED;
    }
    if (x->evaluation_count >= MR__EVALUATIONS_MAX) {
        return MR_ELIMIT;
    }
    struct mr__evaluation_job *job = mr__calloc(1, sizeof *job);
    if (job == NULL) {
        return MR_ENOMEM;
    }
    *job = (struct mr__evaluation_job){.letter = {.deliver = answer},
                                       .job = {.run = work},
                                       .exec = x,
                                       .evaluation = evaluation,
                                       .next = x->evaluations};
    mr_status status = mr__pool_submit(x->evaluators, &job->job);
    if (status != MR_OK) {
        mr__free(job);
        return MR_ENOMEM; /* of threads or of memory */
    }
    if (x->evaluations != NULL) {
        x->evaluations->previous = job;
    }
    x->evaluations = job;
    x->evaluation_count++;
    x->scoped++;
    return MR_OK;
}

void mr__exec_evaluate_close(struct mr__exec *x)
{
    struct mr__evaluation_job *next;
    for (struct mr__evaluation_job *job = x->evaluations; job != NULL; job = next) {
        next = job->next;
        if (mr__pool_remove(x->evaluators, &job->job)) {
            mr__evaluation_destroy(job->evaluation);
            unlink_job(job);
        }
    }
}
