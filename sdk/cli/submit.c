/* SPDX-License-Identifier: MIT
 *
 * A new run of what was typed.
 */
#include "sdk/cli/submit.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"
#include "sdk/cli/start.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int add_word(struct mr__cli *cli, const char *word, struct mr__text *request);
static int add_text(struct mr__cli *cli, const char *path, const struct mr__text *file,
                    struct mr__text *request);
static int add_options(struct mr__cli *cli, struct mr__text *request);
static int submit(struct mr__cli *cli, const struct mr__text *request, const char *word,
                  struct mr__text *id);

/* Which of the words is the FILE: with --only the others are tasks too, wherever they stand. */
static size_t find_file(const struct mr__options *o)
{
    size_t at = 0;
    while (at < o->words.count && !mr__files_is_file(o->words.at[at])) {
        at++;
    }
    return at < o->words.count ? at : 0;
}

/* Sends what was made, if that went well, and stays with the run. */
static int run_request(struct mr__cli *cli, int code, const char *word, struct mr__text *request)
{
    bool detach = cli->options.detach;
    struct mr__text id = {0};
    if (code == MR__EXIT_OK) {
        code = mr__session_open(cli, detach ? MR__OPEN_ATTACH : 0);
        if (code == MR__EXIT_STORE && detach) {
            mr__print_talk(cli, "millrace: --detach needs a process that holds the store: "
                                "millrace serve; leave it out to run here");
        }
    }
    if (code == MR__EXIT_OK) {
        code = submit(cli, request, word, &id);
    }
    mr__text_finish(request);
    if (code == MR__EXIT_OK) {
        code = mr__start_stay(cli, &id, detach);
    }
    mr__text_finish(&id);
    return code;
}

int mr__submit_word(struct mr__cli *cli)
{
    const char *word = cli->options.words.at[find_file(&cli->options)];
    struct mr__text request = {0};
    mr__request_begin(&request, "submit");
    int code = add_word(cli, word, &request);
    if (code == MR__EXIT_OK) {
        code = add_options(cli, &request);
    }
    return run_request(cli, code, word, &request);
}

int mr__submit_text(struct mr__cli *cli, const char *name, const struct mr__text *text)
{
    struct mr__text request = {0};
    mr__request_begin(&request, "submit");
    int code = add_text(cli, name, text, &request);
    if (code == MR__EXIT_OK) {
        code = add_options(cli, &request);
    }
    return run_request(cli, code, name, &request);
}

/* ---- the request --------------------------------------------------------------------------- */

static void add_pairs(struct mr__text *request, const char *name, const struct mr__list *pairs)
{
    if (pairs->count > 0) {
        mr__text_printf(request, ",\"%s\":", name);
        mr__request_pairs(request, pairs);
    }
}

static void add_id(struct mr__text *request, const char *id, size_t len, bool *first)
{
    mr__text_puts(request, *first ? ",\"only\":[" : ",");
    mr__text_json(request, id, len);
    *first = false;
}

/* Adds ,"only":[...]: the options' ids, and the words beside the FILE. */
static void add_only(struct mr__text *request, const struct mr__options *o)
{
    bool first = true;
    size_t file = find_file(o);
    if (o->only.count == 0) {
        return;
    }
    for (size_t i = 0; i < o->only.count; i++) {
        for (const char *at = o->only.at[i]; at != NULL; at = strchr(at, ',')) {
            at += *at == ',' ? 1 : 0;
            add_id(request, at, strcspn(at, ","), &first);
        }
    }
    for (size_t i = 0; i < o->words.count; i++) {
        if (i != file) {
            add_id(request, o->words.at[i], strlen(o->words.at[i]), &first);
        }
    }
    mr__text_puts(request, "]");
}

/* A text that nobody else makes up: if the owner dies before its answer comes, the request is
 * repeated and must not start a second run. */
static void add_token(struct mr__text *request)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return;
    }
    mr__text_puts(request, ",\"token\":\"");
    for (size_t i = 0; i < sizeof random; i++) {
        mr__text_printf(request, "%02x", random[i]);
    }
    mr__text_puts(request, "\"");
}

/* ,"file":...,"folder":...,"text":... : the folder is where `run` was called. */
static int add_text(struct mr__cli *cli, const char *path, const struct mr__text *file,
                    struct mr__text *request)
{
    char folder[PATH_MAX];
    struct mr__text answer = {0};
    struct mr__failure failure;
    int code = MR__EXIT_OK;
    if (!mr__files_sendable(cli, path, file, &answer, &failure)) {
        code = mr__print_failure(cli, &failure);
    }
    if (code == MR__EXIT_OK && getcwd(folder, sizeof folder) == NULL) {
        code = mr__print_error(cli, MR_ENOTFOUND, NULL, "the current folder: %s", strerror(errno));
    }
    if (code == MR__EXIT_OK &&
        (!mr__text_is_utf8(folder, strlen(folder)) || !mr__text_is_utf8(path, strlen(path)))) {
        code = mr__print_error(cli, MR_EINVAL, NULL, "the path of the file is not UTF-8");
    }
    if (code == MR__EXIT_OK) {
        mr__request_string(request, "file", mr__files_name(path));
        mr__request_string(request, "folder", folder);
        mr__text_puts(request, ",\"text\":");
        mr__text_json(request, mr__text_str(file), file->len);
    }
    mr__text_finish(&answer);
    return code;
}

static int add_file(struct mr__cli *cli, const char *path, struct mr__text *request)
{
    struct mr__text file = {0};
    int code = mr__files_read(cli, path, NULL, &file);
    if (code == MR__EXIT_OK) {
        code = add_text(cli, path, &file, request);
    }
    mr__text_finish(&file);
    return code;
}

/* What is to be run: a file's text, or the name of a dag. */
static int add_word(struct mr__cli *cli, const char *word, struct mr__text *request)
{
    if (mr__files_is_file(word)) {
        return add_file(cli, word, request);
    }
    if (word[0] == '\0' || !mr__text_is_utf8(word, strlen(word))) {
        return mr__print_error(cli, MR_EINVAL, NULL, "run: the name of the dag is not UTF-8");
    }
    mr__request_string(request, "dag", word);
    return MR__EXIT_OK;
}

/* Adds what was typed beside the dag, and ends the request. */
static int add_options(struct mr__cli *cli, struct mr__text *request)
{
    const struct mr__options *o = &cli->options;
    struct mr__text vars = {0};
    int code = MR__EXIT_OK;
    if (o->vars_file != NULL) {
        code = mr__files_read(cli, o->vars_file, NULL, &vars);
        if (code == MR__EXIT_OK && !mr__text_is_utf8(mr__text_str(&vars), vars.len)) {
            code = mr__print_error(cli, MR_EINVAL, NULL, "%s is not UTF-8", o->vars_file);
        }
    }
    if (code == MR__EXIT_OK) {
        mr__text_puts(request, ",\"attach\":true");
        add_token(request);
        add_pairs(request, "vars_text", &o->vars);
        add_pairs(request, "tags", &o->tags);
        add_only(request, o);
        mr__text_puts(request, o->compat ? ",\"compat\":true" : "");
        if (o->key != NULL) {
            mr__request_string(request, "key", o->key);
        }
        if (o->vars_file != NULL) {
            mr__text_puts(request, ",\"vars_file\":{\"name\":");
            mr__text_json(request, o->vars_file, strlen(o->vars_file));
            mr__text_puts(request, ",\"text\":");
            mr__text_json(request, mr__text_str(&vars), vars.len);
            mr__text_puts(request, "}");
        }
        mr__text_puts(request, "}");
    }
    mr__text_finish(&vars);
    return code;
}

/* ---- sending it ---------------------------------------------------------------------------- */

/* A dag that the store has not. A file of that name may have been meant. */
static int refuse_dag(struct mr__cli *cli, const char *word, const struct mr__failure *failure)
{
    static const char *const around[][2] = {{"./", ""}, {"", ".yaml"}, {"", ".yml"}, {"", ".json"}};
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        char near[PATH_MAX];
        int len = snprintf(near, sizeof near, "%s%s%s", around[i][0], word, around[i][1]);
        if (len > 0 && (size_t)len < sizeof near && access(near, R_OK) == 0) {
            return mr__print_error(cli, MR_ENOTFOUND, near, "no dag \"%s\" in the store", word);
        }
    }
    return mr__print_failure(cli, failure);
}

static int submit(struct mr__cli *cli, const struct mr__text *request, const char *word,
                  struct mr__text *id)
{
    struct mr__text answer = {0};
    struct mr__failure failure;
    int code = MR__EXIT_OK;
    bool accepted = mr__start_send(cli, request, &answer, id, &failure);
    if (!accepted && failure.status == MR_ENOTFOUND && !mr__files_is_file(word)) {
        code = refuse_dag(cli, word, &failure);
    } else if (!accepted) {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&answer);
    return code;
}
