/* SPDX-License-Identifier: MIT
 *
 * One call of the program: what was typed, the store that it opened, its deadline and its signals.
 *
 * The main thread does the verb's work. A second thread takes the signals, so that nothing runs in
 * a signal handler: SIGINT cancels the runs that this process is the owner of (attached: it
 * detaches), a second one quits; SIGTERM and SIGHUP let go of the store and leave the runs
 * resumable.
 */
#ifndef MR__SESSION_H
#define MR__SESSION_H

#include <millrace/engine.h>
#include <pthread.h>
#include <signal.h>

#include "sdk/cli/options.h"
#include "sdk/cli/pick.h"
#include "sdk/cli/screen.h"
#include "sdk/cli/text.h"

/* contract.md's exit codes. */
enum {
    MR__EXIT_OK = 0,
    MR__EXIT_FAILED = 1,
    MR__EXIT_USAGE = 2,
    MR__EXIT_DEFINITION = 3,
    MR__EXIT_DENIED = 4,
    MR__EXIT_NOT_FOUND = 5,
    MR__EXIT_CONFLICT = 6,
    MR__EXIT_STORE = 7,
    MR__EXIT_BLOCKED = 8,
    MR__EXIT_TIMEOUT = 124,
    MR__EXIT_INTERRUPTED = 130,
    MR__EXIT_TERMINATED = 143
};

enum mr__phase {
    MR__PHASE_NO_STORE, /* nothing is open: a signal may simply end the process */
    MR__PHASE_OPEN,
    MR__PHASE_CLOSING, /* mr_close is under way, maybe waiting for runs of attached processes */
    MR__PHASE_DONE
};

struct mr__cli {
    const char *program; /* how this program can be called again */
    const struct mr__command *commands;
    struct mr__options options;
    struct mr__screen screen;
    struct mr__text plugins; /* for mr_options: folders with ':' between */
    bool utf8;               /* the terminal shows more than ASCII */
    bool color_out, color_err;
    int stdout_error; /* errno of the first write that failed; EPIPE: nobody reads any more */
    int64_t started_ms;
    int64_t logs_since_ms; /* Unix time: earlier output of a run that is followed is not shown */

    mr_engine *engine;
    pthread_t signal_thread;
    sigset_t signals;
    bool has_signal_thread;

    pthread_mutex_t mutex; /* guards what follows */
    enum mr__phase phase;
    int64_t deadline_ms; /* monotonic; -1: none, or it has passed */
    bool timed_out;      /* own runs were canceled at it; the deadline is that of their ends */
    int64_t quit_at_ms;  /* the store was let go: the process ends then, whatever it waits for */
    int64_t closing_since_ms; /* -1: not closing, or it has been said why it takes long */
    bool submitting;          /* a run is being accepted: its id is not known yet */
    bool interrupted;         /* SIGINT came */
    bool interrupted_late;    /* while the store was closed */
    bool terminated;          /* SIGTERM or SIGHUP came */
    struct mr__text own_runs; /* ids that this process started or goes on with, NUL after each */
    mr_stream **cancels;      /* requests to cancel them */
    size_t cancel_count;
};

/* Reads what was typed. Returns an exit code; an error has been printed. */
int mr__session_init(struct mr__cli *cli, int argc, char **argv,
                     const struct mr__command *commands);
/* Blocks the signals for all threads to come and starts the one that takes them. An exit code. */
int mr__session_start(struct mr__cli *cli);
/* Closes what is open. Returns what the signals leave of the exit code `code`. */
int mr__session_finish(struct mr__cli *cli, int code);

/* ---- the store ----------------------------------------------------------------------------------
 */

enum {
    MR__OPEN_ATTACH = 1, /* never become the owner */
    MR__OPEN_RESUME = 2  /* goes on with the dormant runs: do not speak of them */
};
/* Opens the store. Returns an exit code; an error has been printed. */
int mr__session_open(struct mr__cli *cli, unsigned flags);
/* The same without printing, for who judges what is wrong; not of the dormant runs either. */
mr_status mr__session_try_open(struct mr__cli *cli, mr_error *reterr);
bool mr__session_is_owner(struct mr__cli *cli);
/* The folder of the store, typed or the default one, into `path`. */
mr_status mr__session_store(const struct mr__cli *cli, struct mr__text *path, mr_error *reterr);

/* ---- requests -----------------------------------------------------------------------------------
 */

/* Begins {"op":OP for the caller to add members to and to end with "}". */
void mr__request_begin(struct mr__text *request, const char *op);
void mr__request_string(struct mr__text *request, const char *name, const char *value);
/* Adds a map of KEY=VALUE pairs; of a repeated key the last counts. */
void mr__request_pairs(struct mr__text *request, const struct mr__list *pairs);

enum mr__answer {
    MR__ANSWER,       /* an answer */
    MR__ANSWER_TICK,  /* `tick_ms` passed */
    MR__ANSWER_LATE,  /* the deadline of --timeout passed, or had passed before */
    MR__ANSWER_END,   /* there are no more */
    MR__ANSWER_FAILED /* `failure` says why */
};
struct mr__failure {
    mr_status status;
    const char *json; /* the error's answer if there is one, borrowed like an answer, else NULL */
    mr_error error;
};
/* Sends a request. False: `failure` says why. */
bool mr__session_request(struct mr__cli *cli, const struct mr__text *request,
                         mr_stream **ret_stream, struct mr__failure *failure);
/* The next answer, **borrowed until the next call on this stream**. Waits `tick_ms` at most, -1: as
 * long as the deadline allows. */
enum mr__answer mr__session_next(struct mr__cli *cli, mr_stream *stream, int64_t tick_ms,
                                 struct mr__pick *ret_answer, struct mr__failure *failure);
/* A request with one answer, copied into `answer`. Returns an exit code; an error has been printed.
 */
int mr__session_call(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer);
/* The same without printing: the caller judges `failure`, whose `json` is then in `answer`. */
bool mr__session_try(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer,
                     struct mr__failure *failure);

/* ---- runs ---------------------------------------------------------------------------------- */

/* Between these two a SIGINT waits for the run's id. */
void mr__session_own_begin(struct mr__cli *cli);
/* `id` NULL: it was not accepted. From here on the run is canceled by SIGINT if we are the owner.
 */
void mr__session_own_add(struct mr__cli *cli, const char *id);
/* The caller keeps to the deadline itself from here on. The time left, 0 up; -1: there is none. */
int64_t mr__session_take_deadline(struct mr__cli *cli);
/* The deadline passed: cancels the own runs if we are the owner and forgets the deadline. False: we
 * are not the owner, they go on. */
bool mr__session_time_out(struct mr__cli *cli);
bool mr__session_is_interrupted(struct mr__cli *cli);
bool mr__session_is_terminated(struct mr__cli *cli);

/* The full id of the run that the words name, into `id`: words[0], or the latest. With
 * `ret_tasks` a first word that names no run is a task of the latest one: it gets the place of the
 * first word that is no run's name. Returns an exit code. */
int mr__session_resolve(struct mr__cli *cli, struct mr__text *id, size_t *ret_tasks);

/* ---- exit codes and time ------------------------------------------------------------------- */

int mr__session_exit_of(mr_status status);
int mr__session_exit_of_run(struct mr__pick run);
int64_t mr__session_now_ms(void); /* monotonic */
int64_t mr__session_unix_ms(void);

#endif
