/* SPDX-License-Identifier: MIT
 *
 * One call of the program: the store that it opened and what it asks there. The signals are in
 * signals.c.
 */
#include "sdk/cli/session.h"
#include "sdk/cli/print.h"
#include "sdk/cli/signals.h"

#include <dirent.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool wants_color(enum mr__color color, int fd);
static void add_plugins(struct mr__cli *cli);

int64_t mr__session_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t mr__session_unix_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- begin and end ------------------------------------------------------------------------- */

int mr__session_init(struct mr__cli *cli, int argc, char **argv, const struct mr__command *commands)
{
    char suggestion[MR__SUGGESTION_BYTES];
    mr_error error = {0};
    memset(cli, 0, sizeof *cli);
    cli->commands = commands;
    cli->started_ms = mr__session_now_ms();
    cli->deadline_ms = cli->quit_at_ms = cli->closing_since_ms = -1;
    cli->program = argc > 0 && strchr(argv[0], '/') != NULL ? argv[0] : "millrace";
    if (pthread_mutex_init(&cli->mutex, NULL) != 0) {
        return MR__EXIT_STORE;
    }
    (void)setlocale(LC_CTYPE, ""); /* an unknown locale leaves us with ASCII */
    cli->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (!cli->utf8) {
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* task ids are UTF-8 all the same: for their width */
    }

    mr_status status =
        mr__options_parse(commands, argc, argv, getenv, &cli->options, suggestion, &error);
    if (status != MR_OK) { /* how to print it stands even where the rest does not */
        cli->options.output = mr__options_output(argc, argv, getenv);
    }
    cli->color_out = wants_color(cli->options.color, STDOUT_FILENO);
    cli->color_err = wants_color(cli->options.color, STDERR_FILENO);
    if (mr__screen_open(&cli->screen, &cli->options, cli->color_err, cli->utf8) != MR_OK) {
        return MR__EXIT_STORE;
    }
    if (status != MR_OK) {
        return mr__print_error(cli, status, suggestion[0] != '\0' ? suggestion : NULL, "%s",
                               status == MR_ENOMEM ? mr_status_text(status) : error.message);
    }
    if (cli->options.timeout_ms >= 0) {
        cli->deadline_ms = cli->started_ms + cli->options.timeout_ms;
    }
    add_plugins(cli);
    return MR__EXIT_OK;
}

static bool wants_color(enum mr__color color, int fd)
{
    const char *term = getenv("TERM");
    if (color != MR__COLOR_AUTO) {
        return color == MR__COLOR_ALWAYS;
    }
    return isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

int mr__session_start(struct mr__cli *cli)
{
    if (mr__signals_start(cli) != MR_OK) {
        return mr__print_error(cli, MR_ENOMEM, NULL, "no thread can be started");
    }
    return MR__EXIT_OK;
}

int mr__session_finish(struct mr__cli *cli, int code)
{
    mr__screen_clear(&cli->screen);
    if (cli->engine != NULL) {
        mr__signals_set_phase(cli, MR__PHASE_CLOSING);
        for (size_t i = 0; i < cli->cancel_count; i++) { /* in this phase nobody adds any */
            mr_stream_close(cli->cancels[i]);
        }
        mr_close(cli->engine);
    }
    mr__signals_stop(cli);
    if (cli->terminated) {
        code = MR__EXIT_TERMINATED;
    } else if (cli->interrupted && (code != MR__EXIT_OK || cli->interrupted_late)) {
        code = MR__EXIT_INTERRUPTED;
    }
    code = mr__print_flush(cli, code);
    mr__screen_close(&cli->screen);
    mr__text_finish(&cli->plugins);
    mr__text_finish(&cli->own_runs);
    free(cli->cancels);
    mr__options_finish(&cli->options);
    (void)pthread_mutex_destroy(&cli->mutex); /* nobody else is left */
    return code;
}

/* ---- plugins ------------------------------------------------------------------------------- */

static void add_folder(struct mr__text *plugins, const char *folder)
{
    mr__text_puts(plugins, plugins->len > 0 ? ":" : "");
    mr__text_puts(plugins, folder);
}

static bool has_plugins(const char *folder)
{
    bool found = false;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return false;
    }
    for (const struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);
        found = len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
    }
    (void)closedir(dir); /* it was only read */
    return found;
}

/* In a build tree the plugins are built beside the program and nothing may be installed. */
static void add_build_tree(struct mr__text *plugins)
{
    static const char place[] = "/sdk/cli/millrace";
    char path[4096];
    char folder[4096 + 512];
    struct stat info;
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    size_t root = len > 0 ? (size_t)len : 0;
    if (root <= strlen(place)) {
        return;
    }
    path[root] = '\0';
    root -= strlen(place);
    if (strcmp(path + root, place) != 0) {
        return;
    }
    path[root] = '\0';
    (void)snprintf(folder, sizeof folder, "%s/build.ninja", path); /* fits */
    if (strchr(path, ':') != NULL || stat(folder, &info) != 0) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%s/core/host/millrace-host", path); /* fits */
    (void)setenv("MILLRACE_HOST", folder, 0);
    (void)snprintf(folder, sizeof folder, "%s/plugins", path); /* fits */
    if (has_plugins(folder)) {
        add_folder(plugins, folder);
    }
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        (void)snprintf(folder, sizeof folder, "%s/plugins/%s", path, entry->d_name); /* fits */
        if (entry->d_name[0] != '.' && has_plugins(folder)) {
            add_folder(plugins, folder);
        }
    }
    (void)closedir(dir); /* it was only read */
}

static void add_plugins(struct mr__cli *cli)
{
    for (size_t i = 0; i < cli->options.plugins.count; i++) {
        add_folder(&cli->plugins, cli->options.plugins.at[i]);
    }
    add_build_tree(&cli->plugins);
}

/* ---- the store ----------------------------------------------------------------------------- */

static void on_log(int32_t level, const char *line, void *user)
{
    struct mr__cli *cli = user;
    if (level == 0 || (level == 1 && !cli->options.quiet)) {
        mr__print_talk(cli, "millrace: %s", line);
    }
}

/* Says how many runs nobody goes on with, which this command leaves as they stand. */
static void tell_dormant(struct mr__cli *cli)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__text command = {0};
    struct mr__failure failure;
    mr__request_begin(&request, "ping");
    mr__text_puts(&request, "}");
    if (mr__session_try(cli, &request, &answer, &failure)) {
        struct mr__pick ping = mr__pick_value(mr__text_str(&answer), answer.len);
        int64_t dormant = mr__pick_int(mr__pick_member(ping, "dormant"), 0);
        if (dormant > 0) {
            mr__print_command(cli, &command, "run --resume", NULL, NULL);
            mr__print_talk(cli, "millrace: %lld unfinished run%s nobody goes on with: %s",
                           (long long)dormant, dormant == 1 ? " that" : "s that",
                           mr__text_str(&command));
        }
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    mr__text_finish(&command);
}

static mr_status open_store(struct mr__cli *cli, unsigned flags, bool silent, mr_error *reterr)
{
    mr_engine *engine = NULL;
    mr_options options = MR_OPTIONS(.jobs = cli->options.jobs, .store = cli->options.store,
                                    .plugins = cli->plugins.len > 0 ? cli->plugins.at : NULL,
                                    .read_only = (flags & MR__OPEN_ATTACH) != 0 ? 1 : 0,
                                    .on_log = silent ? NULL : on_log, .user = cli);
    mr_status status = mr_open(&options, &engine, reterr);
    if (status == MR_OK) {
        cli->engine = engine;
        mr__signals_set_phase(cli, MR__PHASE_OPEN);
    }
    return status;
}

mr_status mr__session_try_open(struct mr__cli *cli, mr_error *reterr)
{
    return open_store(cli, 0, true, reterr);
}

int mr__session_open(struct mr__cli *cli, unsigned flags)
{
    mr_error error = {0};
    mr_status status = open_store(cli, flags, false, &error);
    if (status != MR_OK) {
        if (status == MR_ENOTFOUND) { /* no folder or no owner there */
            status = MR_ESTORE;
        }
        return mr__print_error(cli, status, NULL, "%s",
                               error.message[0] != '\0' ? error.message : mr_status_text(status));
    }
    if ((flags & MR__OPEN_RESUME) == 0 && !cli->options.quiet && mr__session_is_owner(cli)) {
        tell_dormant(cli);
    }
    return MR__EXIT_OK;
}

bool mr__session_is_owner(struct mr__cli *cli)
{
    return mr_is_owner(cli->engine) != 0;
}

mr_status mr__session_store(const struct mr__cli *cli, struct mr__text *path, mr_error *reterr)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (cli->options.store != NULL) {
        mr__text_puts(path, cli->options.store);
    } else if (state != NULL && state[0] == '/') {
        mr__text_printf(path, "%s/millrace", state);
    } else if (home != NULL && home[0] == '/') {
        mr__text_printf(path, "%s/.local/state/millrace", home);
    } else if (geteuid() == 0) {
        mr__text_puts(path, "/var/lib/millrace");
    } else {
        reterr->status = MR_ESTORE;
        (void)snprintf(reterr->message, sizeof reterr->message,
                       "neither XDG_STATE_HOME nor HOME is set: name the store with --store DIR");
        return MR_ESTORE;
    }
    return path->failed ? MR_ENOMEM : MR_OK;
}

/* ---- requests ------------------------------------------------------------------------------ */

void mr__request_begin(struct mr__text *request, const char *op)
{
    mr__text_clear(request);
    mr__text_printf(request, "{\"op\":\"%s\"", op);
}

void mr__request_string(struct mr__text *request, const char *name, const char *value)
{
    mr__text_printf(request, ",\"%s\":", name);
    mr__text_json(request, value, strlen(value));
}

void mr__request_pairs(struct mr__text *request, const struct mr__list *pairs)
{
    bool first = true;
    mr__text_puts(request, "{");
    for (size_t i = 0; i < pairs->count; i++) {
        size_t key_len = strcspn(pairs->at[i], "=");
        bool again = false;
        for (size_t j = i + 1; j < pairs->count && !again; j++) {
            again = strncmp(pairs->at[i], pairs->at[j], key_len + 1) == 0;
        }
        if (!again) {
            const char *value = pairs->at[i] + key_len + 1;
            mr__text_puts(request, first ? "" : ",");
            mr__text_json(request, pairs->at[i], key_len);
            mr__text_puts(request, ":");
            mr__text_json(request, value, strlen(value));
            first = false;
        }
    }
    mr__text_puts(request, "}");
}

static void fail(struct mr__failure *failure, mr_status status, const char *message)
{
    memset(failure, 0, sizeof *failure);
    failure->status = failure->error.status = status;
    (void)snprintf(failure->error.message, sizeof failure->error.message, "%s", message); /* cut */
}

bool mr__session_request(struct mr__cli *cli, const struct mr__text *request,
                         mr_stream **ret_stream, struct mr__failure *failure)
{
    memset(failure, 0, sizeof *failure);
    if (request->failed) {
        fail(failure, MR_ENOMEM, mr_status_text(MR_ENOMEM));
        return false;
    }
    failure->status = mr_request(cli->engine, mr__text_str(request), ret_stream, &failure->error);
    return failure->status == MR_OK;
}

enum mr__answer mr__session_next(struct mr__cli *cli, mr_stream *stream, int64_t tick_ms,
                                 struct mr__pick *ret_answer, struct mr__failure *failure)
{
    const char *json = NULL;
    int64_t wait_ms = tick_ms < 0 ? MR_FOREVER : tick_ms;
    (void)pthread_mutex_lock(&cli->mutex); /* an error here would be a bug of ours */
    int64_t deadline_ms = cli->deadline_ms;
    (void)pthread_mutex_unlock(&cli->mutex); /* likewise */
    if (deadline_ms >= 0) {
        int64_t left_ms = deadline_ms - mr__session_now_ms();
        if (left_ms <= 0) {
            fail(failure, MR_ETIMEDOUT, "timed out");
            return MR__ANSWER_LATE;
        }
        wait_ms = wait_ms < 0 || left_ms < wait_ms ? left_ms : wait_ms;
    }
    memset(failure, 0, sizeof *failure);
    mr_status status = mr_stream_next(stream, wait_ms, &json, &failure->error);
    if (status == MR_END) {
        return MR__ANSWER_END;
    }
    if (status == MR_ETIMEDOUT) {
        if (deadline_ms >= 0 && mr__session_now_ms() >= deadline_ms) {
            fail(failure, MR_ETIMEDOUT, "timed out");
            return MR__ANSWER_LATE;
        }
        return MR__ANSWER_TICK;
    }
    if (status != MR_OK) {
        failure->status = status;
        failure->json = json;
        return MR__ANSWER_FAILED;
    }
    *ret_answer = mr__pick_value(json, strlen(json));
    if (ret_answer->at == NULL || ret_answer->at[0] != '{') {
        fail(failure, MR_EFORMAT, "the store's owner gave an answer that is no JSON object");
        return MR__ANSWER_FAILED;
    }
    return MR__ANSWER;
}

bool mr__session_try(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer,
                     struct mr__failure *failure)
{
    mr_stream *stream = NULL;
    struct mr__pick got = {NULL, 0};
    mr__text_clear(answer);
    if (!mr__session_request(cli, request, &stream, failure)) {
        return false;
    }
    enum mr__answer kind = mr__session_next(cli, stream, -1, &got, failure);
    if (kind == MR__ANSWER) {
        mr__text_add(answer, got.at, got.len);
        kind = answer->failed ? MR__ANSWER_FAILED : kind;
        failure->status = answer->failed ? MR_ENOMEM : MR_OK;
    } else if (kind == MR__ANSWER_END) {
        fail(failure, MR_EFORMAT, "the store's owner gave no answer");
    } else if (failure->json != NULL) {
        mr__text_puts(answer, failure->json);
        failure->json = mr__text_str(answer);
    }
    mr_stream_close(stream);
    return kind == MR__ANSWER;
}

int mr__session_call(struct mr__cli *cli, const struct mr__text *request, struct mr__text *answer)
{
    struct mr__failure failure;
    if (mr__session_try(cli, request, answer, &failure)) {
        return MR__EXIT_OK;
    }
    return mr__print_failure(cli, &failure);
}

/* ---- runs ---------------------------------------------------------------------------------- */

int mr__session_resolve(struct mr__cli *cli, struct mr__text *id, size_t *ret_tasks)
{
    const struct mr__list *words = &cli->options.words;
    const char *name = words->count > 0 ? words->at[0] : "-";
    size_t tasks = words->count > 0 ? 1 : 0;
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__text latest = {0};
    struct mr__failure failure;
    struct mr__failure no_latest;
    int code = MR__EXIT_OK;
    if (!mr__text_is_utf8(name, strlen(name))) {
        return mr__print_error(cli, MR_EINVAL, NULL, "the name of the run is not UTF-8");
    }
    mr__request_begin(&request, "resolve");
    mr__request_string(&request, "run", name);
    mr__text_puts(&request, "}");
    bool found = mr__session_try(cli, &request, &answer, &failure);
    if (!found && ret_tasks != NULL && words->count > 0 && strcmp(name, "-") != 0 &&
        (failure.status == MR_ENOTFOUND || failure.status == MR_EINVAL) &&
        !mr__print_has_candidates(&failure)) {
        mr__request_begin(&request, "resolve");
        mr__request_string(&request, "run", "-");
        mr__text_puts(&request, "}");
        if (mr__session_try(cli, &request, &latest, &no_latest)) {
            found = true;
            tasks = 0;
            mr__text_clear(&answer);
            mr__text_add(&answer, latest.at, latest.len);
        } /* else the word is what is told of: it names nothing */
    }
    if (ret_tasks != NULL) {
        *ret_tasks = tasks;
    }
    mr__text_clear(id);
    if (!found) {
        code = mr__print_failure(cli, &failure);
    } else if (!mr__pick_text(
                   mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "run"), id) ||
               id->len == 0) {
        code = mr__print_error(cli, MR_EFORMAT, NULL, "the store's owner named no run");
    }
    mr__text_finish(&request);
    mr__text_finish(&latest);
    mr__text_finish(&answer);
    return code;
}

/* ---- exit codes ---------------------------------------------------------------------------- */

int mr__session_exit_of(mr_status status)
{
    switch (status) {
    case MR_OK: return MR__EXIT_OK;
    case MR_EINVAL:
    case MR_ENOSYS: return MR__EXIT_USAGE;
    case MR_EDEFINITION:
    case MR_EABI: return MR__EXIT_DEFINITION;
    case MR_EPERM: return MR__EXIT_DENIED;
    case MR_ENOTFOUND: return MR__EXIT_NOT_FOUND;
    case MR_ECONFLICT: return MR__EXIT_CONFLICT;
    case MR_ETIMEDOUT: return MR__EXIT_TIMEOUT;
    case MR_ECANCELED:
    case MR_EFAILED: return MR__EXIT_FAILED;
    default: return MR__EXIT_STORE; /* the store or this machine: full, damaged, out of memory */
    }
}

int mr__session_exit_of_run(struct mr__pick run)
{
    switch (mr__progress_state_of(mr__pick_member(run, "status"))) {
    case MR__STATE_SUCCESS: return MR__EXIT_OK;
    case MR__STATE_FAILED:
    case MR__STATE_CANCELED: return MR__EXIT_FAILED;
    case MR__STATE_BLOCKED:
    case MR__STATE_PAUSED: return MR__EXIT_BLOCKED; /* both stand until somebody says so */
    default: return MR__EXIT_STORE;
    }
}
