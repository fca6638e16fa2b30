/* SPDX-License-Identifier: MIT
 *
 * An asynchronous plugin: the action `slow-sum` waits for a thread of the plugin's own and holds
 * none of the engine's meanwhile. `run` puts a job into a queue and answers MR_PENDING; the one
 * thread, which is started with the first job and stays for the life of the process, works through
 * the queue; what it finds out it posts to the loop, where the output is set and the attempt
 * finished. A cancel or timeout is a flag that the thread looks at.
 *
 * A job lies in the attempt's memory: that lives until mr_finish, whatever happens.
 */
#include <millrace/plugin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct job {
    struct job *next;
    mr_task *task;
    int64_t numbers, sum;
    atomic_int canceled; /* set by the loop, read by the thread */
};

/* The pool of one thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;
static int started;

/* ---- the thread ------------------------------------------------------------------------------ */

static struct job *next_job(void)
{
    (void)pthread_mutex_lock(&lock);
    while (first == NULL) {
        (void)pthread_cond_wait(&filled, &lock);
    }
    struct job *job = first;
    first = job->next;
    last = first == NULL ? &first : last;
    (void)pthread_mutex_unlock(&lock);
    return job;
}

/* Loop thread. What belongs to the thread that runs the action is done here. */
static void on_done(mr_task *t, void *arg)
{
    const struct job *job = arg;
    mr_value sum = {.type = MR_INT, .u.i = job->sum};
    (void)mr_finish(t, mr_output(t, "sum", &sum)); /* it is pending, so that this ends it */
}

static void work(struct job *job)
{
    static const struct timespec moment = {.tv_nsec = 1000000};
    for (int64_t i = 1; i <= job->numbers && !atomic_load(&job->canceled); i++) {
        job->sum += i;
        (void)nanosleep(&moment, NULL); /* the slow part; a shorter sleep does no harm */
    }
    mr_status status = MR_ECANCELED;
    if (!atomic_load(&job->canceled)) {
        mr_trace(job->task, "summed up %lld numbers", (long long)job->numbers);
        status = mr_post(job->task, on_done, job);
    }
    if (status != MR_OK) {
        (void)mr_finish(job->task, status); /* `job` is gone with it */
    }
}

static void *thread_main(void *unused)
{
    for (;;) {
        work(next_job());
    }
    return unused;
}

/* ---- the action, on the loop ----------------------------------------------------------------- */

/* False: there is no thread and none can be started. */
static int put(struct job *job)
{
    pthread_t thread;
    (void)pthread_mutex_lock(&lock);
    if (!started && pthread_create(&thread, NULL, thread_main, NULL) == 0) {
        (void)pthread_detach(thread);
        started = 1;
    }
    int there = started;
    if (there) {
        *last = job;
        last = &job->next;
        (void)pthread_cond_signal(&filled);
    }
    (void)pthread_mutex_unlock(&lock);
    return there;
}

static mr_status run(mr_task *t)
{
    struct job *job = mr_alloc(t, sizeof *job);
    if (job == NULL) {
        return MR_ENOMEM;
    }
    job->task = t;
    job->numbers = mr_param_int(t, "numbers");
    mr_set_data(t, job);
    return put(job) ? MR_PENDING : mr_fail(t, MR_EFAILED, "no thread can be started");
}

/* The thread finishes the attempt soon; until then the job may still wait in the queue. */
static void cancel(mr_task *t)
{
    struct job *job = mr_data(t);
    atomic_store(&job->canceled, 1);
}

static const mr_param params[] = {
    {.name = "numbers", .type = MR_INT, .default_json = "10", .help = "how many to sum up"},
    {.name = NULL},
};
static const mr_action action =
    MR_ACTION(.name = "slow-sum", .help = "sums up 1, 2, 3 ... at one millisecond each",
              .where = MR_ON_LOOP, .flags = MR_IDEMPOTENT, .params = params, .run = run,
              .cancel = cancel);
MR_PLUGIN("async", "1.0.0", &action);
