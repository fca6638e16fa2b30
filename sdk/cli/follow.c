/* SPDX-License-Identifier: MIT
 *
 * Stays with a run until it stands still, by the request `watch`; by `wait` where nothing of what
 * happens meanwhile is to be shown, so that a large run is not printed and read event by event.
 */
#include "sdk/cli/follow.h"
#include "sdk/cli/lines.h"
#include "sdk/cli/print.h"

#include <stdlib.h>
#include <string.h>

#define TAIL_LINES     10
#define FAILURES_SHOWN 5
#define MARK_MS        5000 /* between two lines that say how far a task is */

struct follower {
    struct mr__cli *cli;
    struct mr__progress progress;
    struct mr__lines lines;
    struct mr__text *document;
    bool known;     /* the first document came */
    bool ended;     /* the last one did */
    int code;       /* then: the run's exit code */
    bool timed_out; /* and the run is being canceled for it */
};

static int follow(struct follower *f, const char *id);
static void take_answer(struct follower *f, struct mr__pick answer);
static void take_event(struct follower *f, struct mr__pick event);
static void take_mark(struct follower *f, struct mr__pick mark);
static void on_line(void *user, const char *task, const char *text, size_t len);
static int leave(struct mr__cli *cli, const char *id, const struct mr__failure *failure);
static void tell_end(struct mr__cli *cli, const struct mr__progress *p, bool plain_shown);

/* `watch -o jsonl`: each answer goes out as it came. */
static bool prints_answers(const struct mr__cli *cli)
{
    return cli->options.output == MR__OUTPUT_JSONL &&
           strcmp(cli->options.command->name, "watch") == 0;
}

int mr__follow_and_print(struct mr__cli *cli, const char *id)
{
    struct mr__text document = {0};
    int code = mr__follow(cli, id, &document);
    if (document.len > 0 && mr__print_is_json(cli) && !prints_answers(cli)) {
        mr__print_document(cli, (struct mr__pick){document.at, document.len});
    }
    mr__text_finish(&document);
    return code;
}

int mr__follow(struct mr__cli *cli, const char *id, struct mr__text *ret_document)
{
    struct follower f = {.cli = cli, .document = ret_document};
    f.lines.line = on_line;
    f.lines.user = &f;
    mr__progress_init(&f.progress);
    mr__text_clear(ret_document);
    int code = follow(&f, id);
    if (f.ended) {
        mr__screen_leave(&cli->screen, mr__session_unix_ms());
        tell_end(cli, &f.progress, cli->screen.mode == MR__PROGRESS_PLAIN);
    } else {
        mr__screen_clear(&cli->screen);
        mr__screen_show(&cli->screen, NULL, NULL);
    }
    mr__lines_finish(&f.lines);
    mr__progress_finish(&f.progress);
    return code;
}

/* Whether anything is shown before the run's end. */
static bool shows_changes(const struct mr__cli *cli)
{
    return cli->screen.mode != MR__PROGRESS_NONE || prints_answers(cli);
}

static int follow(struct follower *f, const char *id)
{
    struct mr__cli *cli = f->cli;
    struct mr__screen *screen = &cli->screen;
    struct mr__text request = {0};
    struct mr__failure failure;
    struct mr__pick answer;
    mr_stream *stream = NULL;
    int code = MR__EXIT_STORE;
    mr__request_begin(&request, shows_changes(cli) ? "watch" : "wait");
    mr__request_string(&request, "run", id);
    if (screen->mode == MR__PROGRESS_PLAIN) {
        mr__text_printf(&request, ",\"logs\":true,\"since\":%lld", (long long)cli->logs_since_ms);
    }
    mr__text_puts(&request, "}");
    bool sent = mr__session_request(cli, &request, &stream, &failure);
    mr__text_finish(&request);
    if (!sent) {
        return mr__print_failure(cli, &failure);
    }
    while (!f->ended) {
        enum mr__answer kind = mr__session_next(
            cli, stream, mr__screen_due(screen, mr__session_now_ms()), &answer, &failure);
        if (kind == MR__ANSWER) {
            take_answer(f, answer);
        } else if (kind == MR__ANSWER_LATE && mr__session_time_out(cli)) {
            f->timed_out = true;
            mr__print_talk(cli, "millrace: timed out: canceling");
        } else if (kind != MR__ANSWER_TICK) {
            if (kind == MR__ANSWER_END) {
                memset(&failure, 0, sizeof failure);
                failure.status = MR_EFORMAT;
            }
            mr__screen_clear(screen);
            code = leave(cli, id, &failure);
            break;
        }
        if (!f->ended) {
            mr__screen_draw(screen, mr__session_now_ms(), mr__session_unix_ms());
        }
    }
    if (f->ended) {
        code = f->timed_out ? MR__EXIT_TIMEOUT : f->code;
    }
    mr_stream_close(stream);
    return code;
}

/* It was not seen to its end: what becomes of it depends on who is left. */
static int leave(struct mr__cli *cli, const char *id, const struct mr__failure *failure)
{
    struct mr__text command = {0};
    bool terminated = mr__session_is_terminated(cli);
    bool interrupted = mr__session_is_interrupted(cli);
    bool late = failure->status == MR_ETIMEDOUT;
    int code;
    if (!terminated && !late && !(interrupted && failure->status == MR_ECLOSED)) {
        return mr__print_failure(cli, failure);
    }
    if ((terminated || late) && mr__session_is_owner(cli)) {
        mr__print_command(cli, &command, "run --resume", NULL, NULL);
        (void)mr__print_error(cli, terminated ? MR_ECLOSED : MR_ETIMEDOUT, NULL,
                              "%s; unfinished runs can be gone on with: %s",
                              terminated ? "terminated" : "it does not end; timed out",
                              mr__text_str(&command));
        code = terminated ? MR__EXIT_TERMINATED : MR__EXIT_TIMEOUT;
    } else {
        mr__print_command(cli, &command, "watch", id, NULL);
        (void)mr__print_error(cli, late ? MR_ETIMEDOUT : MR_ECLOSED, NULL, "%s; run %s goes on: %s",
                              late         ? "timed out"
                              : terminated ? "terminated"
                                           : "detached",
                              mr__print_short_id(id), mr__text_str(&command));
        code = late ? MR__EXIT_TIMEOUT : terminated ? MR__EXIT_TERMINATED : MR__EXIT_INTERRUPTED;
    }
    mr__text_finish(&command);
    return code;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* Whether nobody can have seen any of the run before: this command has made it. */
static bool is_own_run(const struct mr__cli *cli)
{
    const struct mr__options *o = &cli->options;
    return strcmp(o->command->name, "run") == 0 && !o->resume && o->only.count == 0;
}

/* The tasks that have begun when the run is first seen: of a new one all, of an old one those that
 * are of interest. */
static void add_begun(const struct follower *f, struct mr__text *text)
{
    static const enum mr__state states[] = {
        MR__STATE_SUCCESS, MR__STATE_SKIPPED,  MR__STATE_CANCELED, MR__STATE_FAILED,
        MR__STATE_BLOCKED, MR__STATE_RETRYING, MR__STATE_RUNNING};
    const struct mr__progress *p = &f->progress;
    for (size_t i = is_own_run(f->cli) ? 0 : 3; i < sizeof states / sizeof states[0]; i++) {
        for (uint32_t t = p->lists[states[i]].first; t != MR__NO_TASK; t = p->tasks[t].after) {
            mr__progress_line(p, t, f->cli->screen.color, text);
        }
    }
}

static void take_run(struct follower *f, struct mr__pick run, bool last)
{
    struct mr__screen *screen = &f->cli->screen;
    struct mr__text line = {0};
    mr__progress_take_run(&f->progress, run);
    if (!f->known && !last) {
        if (screen->mode == MR__PROGRESS_TREE) {
            mr__screen_show(screen, &f->progress,
                            mr__session_is_owner(f->cli) ? "Ctrl-C cancels" : "Ctrl-C detaches");
        } else if (screen->mode == MR__PROGRESS_PLAIN &&
                   !mr__progress_state_ended(f->progress.state)) {
            mr__progress_line(&f->progress, MR__NO_TASK, screen->color, &line);
            add_begun(f, &line);
        }
    } else if (last && screen->mode == MR__PROGRESS_PLAIN) {
        mr__lines_flush(&f->lines, NULL);
        mr__progress_line(&f->progress, MR__NO_TASK, screen->color, &line);
    } else if (last && screen->mode == MR__PROGRESS_TREE && !f->known) {
        mr__screen_show(screen, &f->progress, NULL);
    }
    f->known = true;
    if (line.len > 0) {
        mr__screen_write(screen, line.at, line.len);
    }
    mr__text_finish(&line);
    mr__screen_touch(screen);
}

/* What earlier attempts wrote, before a retry, is not shown again. */
static bool is_current(const struct follower *f, struct mr__pick log)
{
    struct mr__text id = {0};
    (void)mr__pick_text(mr__pick_member(log, "task"), &id); /* absent: a name that no task has */
    uint32_t task = mr__progress_find(&f->progress, mr__text_str(&id), id.len);
    mr__text_finish(&id);
    return task == MR__NO_TASK || mr__pick_int(mr__pick_member(log, "attempt"), UINT32_MAX) >=
                                      f->progress.tasks[task].attempts;
}

/* Of a run that ended well nothing is said but that: its tasks need not be read. */
static bool says_more(struct mr__pick run)
{
    return mr__progress_state_of(mr__pick_member(run, "status")) != MR__STATE_SUCCESS;
}

static void take_answer(struct follower *f, struct mr__pick answer)
{
    struct mr__cli *cli = f->cli;
    struct mr__pick run = {0}, event = {0}, log = {0}, mark = {0}, key, value;
    struct mr__pick_each each;
    bool last = false;
    mr__pick_begin(&each, answer); /* once through: a run may be of many megabytes */
    while (each.object && mr__pick_next(&each, &key, &value)) {
        if (key.len == 3 && memcmp(key.at, "run", 3) == 0) {
            run = value;
        } else if (key.len == 5 && memcmp(key.at, "event", 5) == 0) {
            event = value;
        } else if (key.len == 3 && memcmp(key.at, "log", 3) == 0) {
            log = value;
        } else if (key.len == 8 && memcmp(key.at, "progress", 8) == 0) {
            mark = value;
        } else if (key.len == 3 && memcmp(key.at, "end", 3) == 0) {
            last = mr__pick_is(value, "true");
        }
    }
    if (prints_answers(cli)) {
        mr__print_document(cli, answer);
        (void)mr__print_flush(cli, MR__EXIT_OK); /* said at the end of the program */
    }
    if (run.at != NULL && (shows_changes(cli) || says_more(run))) {
        take_run(f, run, last);
    }
    if (event.at != NULL) {
        take_event(f, event);
    }
    if (mark.at != NULL) {
        take_mark(f, mark);
    }
    if (log.at != NULL && cli->screen.mode == MR__PROGRESS_PLAIN && is_current(f, log)) {
        mr__lines_take(&f->lines, log);
    }
    if (last && run.at != NULL) {
        mr__text_clear(f->document);
        mr__text_add(f->document, run.at, run.len);
        f->code = mr__session_exit_of_run(run);
        f->ended = true;
    }
}

/* Whether a change has no line: moments that pass, and of the run all but a pause and its end. Its
 * first line and its last one come with its documents. */
static bool is_passing(const struct follower *f, uint32_t task, bool was_paused)
{
    const struct mr__progress *p = &f->progress;
    if (task == MR__NO_TASK) {
        return p->state != MR__STATE_PAUSED && !(was_paused && p->state == MR__STATE_RUNNING);
    }
    return p->tasks[task].state == MR__STATE_ENDING || p->tasks[task].state == MR__STATE_CONTINUE;
}

static void take_event(struct follower *f, struct mr__pick event)
{
    struct mr__screen *screen = &f->cli->screen;
    bool paused = f->progress.state == MR__STATE_PAUSED;
    struct mr__progress_change change = mr__progress_take_event(&f->progress, event);
    if (!change.known) {
        return;
    }
    mr__screen_touch(screen);
    if (screen->mode != MR__PROGRESS_PLAIN || is_passing(f, change.task, paused)) {
        return;
    }
    struct mr__text line = {0};
    if (change.task != MR__NO_TASK && f->progress.tasks[change.task].state != MR__STATE_RUNNING) {
        mr__lines_flush(&f->lines, f->progress.tasks[change.task].id);
    }
    mr__progress_line(&f->progress, change.task, screen->color, &line);
    mr__screen_write(screen, mr__text_str(&line), line.len);
    mr__text_finish(&line);
}

/* In the tree each of them; as lines only some: a step of a loop is not worth one. */
static void take_mark(struct follower *f, struct mr__pick mark)
{
    struct mr__screen *screen = &f->cli->screen;
    struct mr__progress_change change = mr__progress_take_mark(&f->progress, mark);
    struct mr__text line = {0};
    if (!change.known) {
        return;
    }
    struct mr__progress_task *t = &f->progress.tasks[change.task];
    int64_t now_ms = mr__session_now_ms();
    mr__screen_touch(screen);
    if (screen->mode != MR__PROGRESS_PLAIN ||
        (t->marked_ms != 0 && now_ms - t->marked_ms < MARK_MS)) {
        return;
    }
    t->marked_ms = now_ms;
    mr__progress_line(&f->progress, change.task, screen->color, &line);
    mr__screen_write(screen, mr__text_str(&line), line.len);
    mr__text_finish(&line);
}

static void on_line(void *user, const char *task, const char *text, size_t len)
{
    struct follower *f = user;
    struct mr__text line = {0};
    mr__text_puts(&line, task);
    mr__text_puts(&line, "| ");
    mr__text_add(&line, text, len);
    mr__text_puts(&line, "\n");
    mr__screen_write(&f->cli->screen, mr__text_str(&line), line.len);
    mr__text_finish(&line);
}

/* ---- what failed --------------------------------------------------------------------------- */

/* The last lines of a task's last attempt. */
struct tail {
    struct mr__text lines[TAIL_LINES];
    size_t count;
    int64_t attempt;
};

static void tail_line(void *user, const char *task, const char *text, size_t len)
{
    struct tail *tail = user;
    struct mr__text *line = &tail->lines[tail->count++ % TAIL_LINES];
    mr__text_clear(line);
    mr__text_add(line, text, len);
}

static void read_tail(struct mr__cli *cli, const char *run, const char *task, struct tail *tail)
{
    struct mr__lines lines = {.line = tail_line, .user = tail};
    struct mr__text request = {0};
    struct mr__failure failure;
    struct mr__pick answer;
    mr_stream *stream = NULL;
    mr__request_begin(&request, "logs");
    mr__request_string(&request, "run", run);
    mr__request_string(&request, "task", task);
    mr__text_puts(&request, "}");
    if (mr__session_request(cli, &request, &stream, &failure)) {
        while (mr__session_next(cli, stream, -1, &answer, &failure) == MR__ANSWER) {
            struct mr__pick log = mr__pick_member(answer, "log");
            int64_t attempt = mr__pick_int(mr__pick_member(log, "attempt"), tail->attempt);
            if (attempt != tail->attempt) {
                mr__lines_finish(&lines);
                tail->attempt = attempt;
                tail->count = 0;
            }
            if (log.at != NULL) {
                mr__lines_take(&lines, log);
            }
        }
        mr__lines_flush(&lines, NULL);
    }
    mr_stream_close(stream);
    mr__lines_finish(&lines);
    mr__text_finish(&request);
}

static void add_tail(struct mr__cli *cli, const char *run, const char *task, struct mr__text *text)
{
    struct tail tail = {.attempt = -1};
    struct mr__text command = {0};
    read_tail(cli, run, task, &tail);
    size_t first = tail.count > TAIL_LINES ? tail.count - TAIL_LINES : 0;
    for (size_t i = first; i < tail.count; i++) {
        const struct mr__text *line = &tail.lines[i % TAIL_LINES];
        mr__text_puts(text, "    ");
        mr__text_add(text, mr__text_str(line), line->len);
        mr__text_puts(text, "\n");
    }
    if (first > 0) {
        mr__print_command(cli, &command, "logs", run, task);
        mr__text_printf(text, "    (%zu earlier line%s: %s)\n", first, first == 1 ? "" : "s",
                        mr__text_str(&command));
    }
    for (size_t i = 0; i < TAIL_LINES; i++) {
        mr__text_finish(&tail.lines[i]);
    }
    mr__text_finish(&command);
}

/* A fan-out that failed because of its children says nothing that they do not. */
static bool has_failed_child(const struct mr__progress *p, uint32_t task)
{
    uint32_t i = p->tasks[task].children > 0 ? p->lists[MR__STATE_FAILED].first : MR__NO_TASK;
    while (i != MR__NO_TASK && p->tasks[i].parent != task) {
        i = p->tasks[i].after;
    }
    return i != MR__NO_TASK;
}

/* The task that failed next after the task `after` (MR__NO_TASK: first), or MR__NO_TASK: in the
 * order in which they failed, whether that was watched or only read at the end. */
static uint32_t next_failed(const struct mr__progress *p, uint32_t after)
{
    uint32_t best = MR__NO_TASK;
    bool passed = after == MR__NO_TASK;
    int64_t after_ms = passed ? INT64_MIN : p->tasks[after].ended_ms;
    for (uint32_t i = p->lists[MR__STATE_FAILED].first; i != MR__NO_TASK; i = p->tasks[i].after) {
        int64_t ms = p->tasks[i].ended_ms;
        bool follows = ms > after_ms || (ms == after_ms && passed);
        if (follows && (best == MR__NO_TASK || ms < p->tasks[best].ended_ms)) {
            best = i;
        }
        passed = passed || i == after;
    }
    return best;
}

/* "failed   push   exit 1 after 3 attempts" and the tail of its log. */
static void add_failure(struct mr__cli *cli, const struct mr__progress *p, uint32_t task,
                        bool logs_shown, struct mr__text *text)
{
    const struct mr__progress_task *t = &p->tasks[task];
    mr__text_puts(text, cli->color_err ? "\033[31mfailed\033[0m   " : "failed   ");
    (void)mr__text_clean(text, t->id, t->id_len, SIZE_MAX, ""); /* its width is not needed */
    if (t->reason != NULL) {
        mr__text_puts(text, "  ");
        (void)mr__text_clean(text, t->reason, strlen(t->reason), SIZE_MAX, ""); /* likewise */
    }
    if (t->attempts > 1) {
        mr__text_printf(text, " after %u attempts", t->attempts);
    }
    mr__text_puts(text, "\n");
    if (!logs_shown && !cli->options.quiet) {
        add_tail(cli, mr__text_str(&p->run), t->id, text);
    }
}

static void add_failures(struct mr__cli *cli, const struct mr__progress *p, bool logs_shown,
                         struct mr__text *text, bool *ret_lost)
{
    uint32_t shown = 0;
    uint32_t hidden = 0;
    for (uint32_t i = p->lists[MR__STATE_FAILED].first; i != MR__NO_TASK; i = p->tasks[i].after) {
        const char *reason = p->tasks[i].reason;
        if (!has_failed_child(p, i)) {
            *ret_lost = *ret_lost || (reason != NULL && strncmp(reason, "lost", 4) == 0);
            hidden++;
        }
    }
    for (uint32_t i = next_failed(p, MR__NO_TASK); i != MR__NO_TASK && shown < FAILURES_SHOWN;
         i = next_failed(p, i)) {
        if (!has_failed_child(p, i)) {
            add_failure(cli, p, i, logs_shown, text);
            shown++;
            hidden--;
        }
    }
    if (hidden > 0) {
        mr__text_printf(text, "and %u more\n", hidden);
    }
    if (shown == 0 && p->reason.len > 0) {
        mr__text_puts(text, "failed   ");
        (void)mr__text_clean(text, p->reason.at, p->reason.len, SIZE_MAX, ""); /* likewise */
        mr__text_puts(text, "\n");
    }
}

/* ---- what to type next --------------------------------------------------------------------- */

static void add_blocked(const struct mr__progress *p, struct mr__text *text)
{
    uint32_t shown = 0;
    for (uint32_t i = p->lists[MR__STATE_BLOCKED].first; i != MR__NO_TASK; i = p->tasks[i].after) {
        if (shown == FAILURES_SHOWN) {
            mr__text_printf(text, " and %u more", p->lists[MR__STATE_BLOCKED].count - shown);
            break;
        }
        mr__text_puts(text, shown == 0 ? " " : ", ");
        (void)mr__text_clean(text, p->tasks[i].id, p->tasks[i].id_len, SIZE_MAX, ""); /* likewise */
        shown++;
    }
}

static void add_next(struct mr__cli *cli, const struct mr__progress *p, bool lost,
                     struct mr__text *text)
{
    const char *run = mr__text_str(&p->run);
    switch (p->state) {
    case MR__STATE_FAILED:
        mr__text_puts(text, lost ? "what was lost may be half done; if it can be run again:   "
                                 : "run again only what is left:   ");
        mr__print_command(cli, text, "retry", run, NULL);
        break;
    case MR__STATE_CANCELED:
        mr__text_puts(text, "run what is left after all:   ");
        mr__print_command(cli, text, "retry", run, NULL);
        break;
    case MR__STATE_BLOCKED:
        mr__text_puts(text, "blocked:");
        add_blocked(p, text);
        mr__text_puts(text, "; let it pass:   ");
        mr__print_command(cli, text, "continue", run, NULL);
        break;
    case MR__STATE_PAUSED:
        mr__text_puts(text, "paused; let it go on:   ");
        mr__print_command(cli, text, "unpause", run, NULL);
        break;
    default: return;
    }
    mr__text_puts(text, "\n");
}

/* With -q only what failed is said; how it ended is in the exit code. */
static void tell_end(struct mr__cli *cli, const struct mr__progress *p, bool plain_shown)
{
    struct mr__text text = {0};
    bool lost = false;
    if (mr__session_is_terminated(cli)) {
        return;
    }
    if (p->state == MR__STATE_FAILED) {
        add_failures(cli, p, plain_shown, &text, &lost);
    }
    if (!cli->options.quiet) {
        add_next(cli, p, lost, &text);
    }
    if (text.len > 0) {
        mr__screen_write(&cli->screen, text.at, text.len);
    }
    mr__text_finish(&text);
}

void mr__follow_tell(struct mr__cli *cli, struct mr__pick run)
{
    struct mr__progress progress;
    struct mr__text line = {0};
    mr__progress_init(&progress);
    mr__progress_take_run(&progress, run);
    if (!cli->options.quiet) {
        mr__progress_line(&progress, MR__NO_TASK, cli->color_err, &line);
        mr__screen_write(&cli->screen, mr__text_str(&line), line.len);
    }
    tell_end(cli, &progress, false);
    mr__text_finish(&line);
    mr__progress_finish(&progress);
}
