/* SPDX-License-Identifier: MIT
 *
 * The thread that takes the signals: all threads block them, this one waits for them (sigwait), so
 * that it may lock, talk and call the library, which a signal handler may not.
 *
 * It holds the session's mutex while it acts; the main thread takes it for moments only, and lets
 * the store go only after it has said so under the mutex. What happens after a while without a
 * signal
 * (--timeout before a store is open, a slow end) is this thread's as well.
 */
#include "sdk/cli/signals.h"
#include "sdk/cli/print.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLOW_CLOSE_MS 500  /* then it is said what mr_close waits for */
#define QUIT_MS       5000 /* after the store was let go the main thread has so long to close it */
/* For what --timeout has canceled, to end: a child has 5 s between TERM and KILL; an action on a
 * thread that never returns would be waited for without an end. */
#define CANCEL_MS     15000
#define QUIT_CLOSE_MS 20000 /* and mr_close this long, which ends the children in half of it */

static void *take_signals(void *arg);
static void on_interrupt(struct mr__cli *cli);
static void on_terminate(struct mr__cli *cli);
static void on_moment(struct mr__cli *cli);
static void cancel_runs(struct mr__cli *cli);

static void lock(struct mr__cli *cli)
{
    (void)pthread_mutex_lock(&cli->mutex); /* an error here would be a bug of ours */
}

static void unlock(struct mr__cli *cli)
{
    (void)pthread_mutex_unlock(&cli->mutex); /* likewise */
}

/* The process ends here and now: the store is made for that. Nothing of the terminal is to be
 * undone. */
static void quit(int code)
{
    _exit(code);
}

mr_status mr__signals_start(struct mr__cli *cli)
{
    struct sigaction hangup;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&ignore.sa_mask);      /* these calls fail for bad numbers alone */
    (void)sigaction(SIGPIPE, &ignore, NULL); /* a reader that left shows as EPIPE */
    (void)sigaction(SIGHUP, NULL, &hangup);
    (void)sigemptyset(&cli->signals);
    (void)sigaddset(&cli->signals, SIGINT);
    (void)sigaddset(&cli->signals, SIGTERM);
    (void)sigaddset(&cli->signals, SIGUSR1); /* our own: look again */
    if (hangup.sa_handler != SIG_IGN) {      /* nohup: it was asked to outlive the terminal */
        (void)sigaddset(&cli->signals, SIGHUP);
    }
    if (pthread_sigmask(SIG_BLOCK, &cli->signals, NULL) != 0 ||
        pthread_create(&cli->signal_thread, NULL, take_signals, cli) != 0) {
        return MR_ENOMEM;
    }
    cli->has_signal_thread = true;
    return MR_OK;
}

int64_t mr__session_take_deadline(struct mr__cli *cli)
{
    lock(cli);
    int64_t deadline_ms = cli->deadline_ms, left_ms = deadline_ms - mr__session_now_ms();
    cli->deadline_ms = -1;
    unlock(cli);
    mr__signals_set_phase(cli, MR__PHASE_NO_STORE); /* for the thread to look anew */
    return deadline_ms < 0 ? -1 : left_ms < 0 ? 0 : left_ms;
}

void mr__signals_set_phase(struct mr__cli *cli, enum mr__phase phase)
{
    lock(cli);
    cli->phase = phase;
    cli->closing_since_ms = phase == MR__PHASE_CLOSING ? mr__session_now_ms() : -1;
    if (phase == MR__PHASE_CLOSING && cli->quit_at_ms >= 0) {
        cli->quit_at_ms = mr__session_now_ms() + QUIT_CLOSE_MS;
    }
    unlock(cli);
    if (cli->has_signal_thread) {
        (void)pthread_kill(cli->signal_thread,
                           SIGUSR1); /* the thread is there until it is joined */
    }
}

void mr__signals_stop(struct mr__cli *cli)
{
    mr__signals_set_phase(cli, MR__PHASE_DONE);
    if (cli->has_signal_thread) {
        (void)pthread_join(cli->signal_thread, NULL); /* likewise */
        cli->has_signal_thread = false;
    }
}

/* ---- the thread ---------------------------------------------------------------------------- */

/* When on_moment is due, in monotonic milliseconds; -1: never. */
static int64_t next_moment(const struct mr__cli *cli)
{
    if (cli->quit_at_ms >= 0) {
        return cli->quit_at_ms;
    }
    if (cli->phase == MR__PHASE_NO_STORE) {
        return cli->deadline_ms;
    }
    return cli->closing_since_ms >= 0 ? cli->closing_since_ms + SLOW_CLOSE_MS : -1;
}

static int wait_signal(struct mr__cli *cli, int64_t moment_ms)
{
    struct timespec timeout = {0};
    if (moment_ms < 0) {
        return sigwaitinfo(&cli->signals, NULL);
    }
    int64_t left_ms = moment_ms - mr__session_now_ms();
    if (left_ms > 0) {
        timeout.tv_sec = left_ms / 1000;
        timeout.tv_nsec = left_ms % 1000 * 1000000;
    }
    return sigtimedwait(&cli->signals, NULL, &timeout);
}

static void *take_signals(void *arg)
{
    struct mr__cli *cli = arg;
    for (;;) {
        lock(cli);
        bool done = cli->phase == MR__PHASE_DONE;
        int64_t moment_ms = next_moment(cli);
        unlock(cli);
        if (done) {
            return NULL;
        }
        int signal_number = wait_signal(cli, moment_ms);
        lock(cli);
        if (cli->phase == MR__PHASE_DONE) {
            unlock(cli);
            return NULL;
        }
        if (signal_number == SIGINT) {
            on_interrupt(cli);
        } else if (signal_number == SIGTERM || signal_number == SIGHUP) {
            on_terminate(cli);
        } else if (moment_ms >= 0 && moment_ms == next_moment(cli) &&
                   mr__session_now_ms() >= moment_ms) {
            on_moment(cli);
        }
        unlock(cli);
    }
}

static void let_go(struct mr__cli *cli)
{
    mr_stop(cli->engine);
    cli->quit_at_ms =
        mr__session_now_ms() + (cli->phase == MR__PHASE_CLOSING ? QUIT_CLOSE_MS : QUIT_MS);
}

static void on_interrupt(struct mr__cli *cli)
{
    if (cli->interrupted || cli->terminated || cli->phase == MR__PHASE_NO_STORE) {
        quit(cli->terminated ? MR__EXIT_TERMINATED : MR__EXIT_INTERRUPTED);
    }
    cli->interrupted = true;
    if (cli->phase == MR__PHASE_CLOSING) {
        cli->interrupted_late = true;
        let_go(cli);
    } else if (!mr__session_is_owner(cli)) {
        let_go(cli);
    } else if (cli->submitting) {
        /* Its id comes soon: mr__session_own_add cancels it then. */
        mr__print_talk(cli, "millrace: canceling; Ctrl-C once more quits at once");
    } else if (cli->own_runs.len > 0) {
        mr__print_talk(cli, "millrace: canceling; Ctrl-C once more quits at once");
        cancel_runs(cli);
    } else {
        let_go(cli);
    }
}

static void on_terminate(struct mr__cli *cli)
{
    if (cli->phase == MR__PHASE_NO_STORE) {
        quit(MR__EXIT_TERMINATED);
    }
    if (!cli->terminated) {
        cli->terminated = true;
        let_go(cli);
    }
}

static void on_moment(struct mr__cli *cli)
{
    if (cli->quit_at_ms >= 0) {
        bool late = cli->timed_out && !cli->interrupted;
        quit(cli->terminated ? MR__EXIT_TERMINATED
             : late          ? MR__EXIT_TIMEOUT
                             : MR__EXIT_INTERRUPTED);
    }
    if (cli->phase == MR__PHASE_NO_STORE) {
        cli->deadline_ms = -1;
        (void)mr__print_error(cli, MR_ETIMEDOUT, NULL, "timed out");
        (void)mr__print_flush(cli, MR__EXIT_TIMEOUT); /* the process ends with this code anyhow */
        quit(MR__EXIT_TIMEOUT);
    }
    cli->closing_since_ms = -1;
    mr__print_talk(cli, "millrace: still at work for runs that go on; Ctrl-C stops and leaves them "
                        "resumable");
}

/* ---- the runs of this process -------------------------------------------------------------- */

/* Under the mutex. The answers are not waited for here: whoever follows the runs sees them end. */
static void cancel_run(struct mr__cli *cli, const char *id)
{
    struct mr__text request = {0};
    mr_error error;
    mr_stream **cancels = realloc(cli->cancels, (cli->cancel_count + 1) * sizeof(mr_stream *));
    if (cancels == NULL) {
        return;
    }
    cli->cancels = cancels;
    mr__request_begin(&request, "cancel");
    mr__request_string(&request, "run", id);
    mr__text_puts(&request, "}");
    if (!request.failed && mr_request(cli->engine, mr__text_str(&request),
                                      &cli->cancels[cli->cancel_count], &error) == MR_OK) {
        cli->cancel_count++;
    }
    mr__text_finish(&request);
}

static void cancel_runs(struct mr__cli *cli)
{
    const char *end = mr__text_str(&cli->own_runs) + cli->own_runs.len;
    for (const char *id = mr__text_str(&cli->own_runs); id < end; id += strlen(id) + 1) {
        cancel_run(cli, id);
    }
}

void mr__session_own_begin(struct mr__cli *cli)
{
    lock(cli);
    cli->submitting = true;
    unlock(cli);
}

void mr__session_own_add(struct mr__cli *cli, const char *id)
{
    lock(cli);
    cli->submitting = false;
    if (id != NULL) {
        mr__text_add(&cli->own_runs, id, strlen(id) + 1);
        if (cli->interrupted && mr__session_is_owner(cli)) {
            cancel_run(cli, id);
        }
    }
    unlock(cli);
}

bool mr__session_time_out(struct mr__cli *cli)
{
    lock(cli);
    bool cancels = mr__session_is_owner(cli) && cli->own_runs.len > 0 && !cli->timed_out;
    cli->deadline_ms = -1;
    if (cancels) {
        cancel_runs(cli);
        cli->timed_out = true;
        cli->deadline_ms = mr__session_now_ms() + CANCEL_MS;
    } else if (cli->timed_out) {
        let_go(cli); /* Else the end of this process would wait for them. */
    }
    unlock(cli);
    return cancels;
}

bool mr__session_is_interrupted(struct mr__cli *cli)
{
    lock(cli);
    bool interrupted = cli->interrupted;
    unlock(cli);
    return interrupted;
}

bool mr__session_is_terminated(struct mr__cli *cli)
{
    lock(cli);
    bool terminated = cli->terminated;
    unlock(cli);
    return terminated;
}
