/* SPDX-License-Identifier: MIT
 *
 * store stats, store check, store backup. A store that is in use is asked through its owner.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/files.h"
#include "sdk/cli/print.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The folder that is meant (`dir` NULL: --store or the default), which must be there: looking at a
 * store makes none. */
static int find_store(struct mr__cli *cli, const char *dir, struct mr__text *path)
{
    struct mr__options *o = &cli->options;
    struct stat info;
    mr_error error = {0};
    if (dir != NULL) {
        o->store = dir;
        o->store_typed = true;
    }
    mr_status status = mr__session_store(cli, path, &error);
    if (status != MR_OK) {
        return mr__print_error(cli, status, NULL, "%s",
                               status == MR_ENOMEM ? mr_status_text(status) : error.message);
    }
    if (stat(path->at, &info) != 0) {
        mr_status missing = errno == ENOENT || errno == ENOTDIR ? MR_ENOTFOUND : MR_ESTORE;
        return mr__print_error(cli, missing, NULL, "store %s: %s", path->at, strerror(errno));
    }
    return MR__EXIT_OK;
}

static const char *first_word(const struct mr__cli *cli)
{
    return cli->options.words.count > 0 ? cli->options.words.at[0] : NULL;
}

/* Adds "key  value" lines of an object; of an object in it "key.inner". */
static void add_lines(struct mr__text *text, const char *prefix, struct mr__pick object)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick value;
    mr__pick_begin(&each, object);
    while (each.object && mr__pick_next(&each, &key, &value)) {
        struct mr__text name = {0};
        mr__text_puts(&name, prefix);
        mr__pick_unescape(key, &name);
        if (value.at[0] == '{') {
            mr__text_puts(&name, ".");
            if (strlen(prefix) < 64) { /* deeper than any answer */
                add_lines(text, mr__text_str(&name), value);
            }
        } else {
            mr__text_printf(text, "%-20s  ", mr__text_str(&name));
            if (!mr__pick_text(value, text)) {
                mr__text_puts(text, "-");
            }
            mr__text_puts(text, "\n");
        }
        mr__text_finish(&name);
    }
}

int mr__cmd_store_stats(struct mr__cli *cli)
{
    struct mr__text path = {0};
    struct mr__text request = {0};
    struct mr__text answer = {0};
    int code = find_store(cli, first_word(cli), &path);
    if (code == MR__EXIT_OK) {
        code = mr__session_open(cli, 0);
    }
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "stats");
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK) {
        struct mr__pick stats =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "stats");
        struct mr__text text = {0};
        if (stats.at == NULL) {
            code = mr__print_error(cli, MR_EFORMAT, NULL, "the store's owner gave no numbers");
        } else if (mr__print_is_json(cli)) {
            mr__print_document(cli, stats);
        } else {
            add_lines(&text, "", stats);
            mr__print_out(cli, mr__text_str(&text), text.len);
        }
        mr__text_finish(&text);
    }
    mr__text_finish(&path);
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

/* ---- store check --------------------------------------------------------------------------- */

static void add_errors(struct mr__text *text, struct mr__pick errors)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick error;
    mr__pick_begin(&each, errors);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &error)) {
        mr__text_puts(text, "  ");
        (void)mr__pick_text(error, text); /* null: an empty line, which does no harm */
        mr__text_puts(text, "\n");
    }
}

/* Damage is for stderr; the document is on stdout in any case. */
static int print_check(struct mr__cli *cli, const char *path, struct mr__pick check)
{
    bool ok = mr__pick_is(mr__pick_member(check, "ok"), "true");
    struct mr__text text = {0};
    if (mr__print_is_json(cli)) {
        mr__print_document(cli, check);
    } else if (ok) {
        mr__text_printf(&text, "store %s: ok\n", path);
        mr__print_out(cli, mr__text_str(&text), text.len);
    } else {
        mr__text_printf(&text, "millrace: store %s is damaged\n", path);
        add_errors(&text, mr__pick_member(check, "errors"));
        mr__screen_write(&cli->screen, mr__text_str(&text), text.len);
    }
    mr__text_finish(&text);
    return ok ? MR__EXIT_OK : MR__EXIT_STORE;
}

static int check_through_owner(struct mr__cli *cli, const char *path)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    int code = mr__session_open(cli, MR__OPEN_ATTACH);
    if (code == MR__EXIT_OK) {
        mr__request_begin(&request, "check");
        mr__text_puts(&request, "}");
        code = mr__session_call(cli, &request, &answer);
    }
    if (code == MR__EXIT_OK) {
        struct mr__pick check =
            mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "check");
        code = check.at != NULL
                   ? print_check(cli, path, check)
                   : mr__print_error(cli, MR_EFORMAT, NULL, "the store's owner gave no verdict");
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_store_check(struct mr__cli *cli)
{
    struct mr__text path = {0};
    char *json = NULL;
    mr_error error = {0};
    int code = find_store(cli, first_word(cli), &path);
    if (code != MR__EXIT_OK) {
        mr__text_finish(&path);
        return code;
    }
    mr_status status = mr_store_check(path.at, &json, &error);
    struct mr__pick check =
        json != NULL ? mr__pick_value(json, strlen(json)) : (struct mr__pick){NULL, 0};
    if (status == MR_EBUSY) {
        code = check_through_owner(cli, path.at);
    } else if (check.at != NULL) {
        code = print_check(cli, path.at, check);
    } else {
        code = mr__print_error(cli, status == MR_OK || status == MR_ENOTFOUND ? MR_ESTORE : status,
                               NULL, "%s",
                               error.message[0] != '\0' ? error.message : mr_status_text(status));
    }
    mr_free(json);
    mr__text_finish(&path);
    return code;
}

/* ---- store backup -------------------------------------------------------------------------- */

/* The absolute path of what is to be made: the owner may stand in another folder. */
static int find_dest(struct mr__cli *cli, const char *word, struct mr__text *dest)
{
    if (!mr__files_has_name(word)) {
        return mr__print_error(cli, MR_EINVAL, NULL, "store backup: \"%s\" is no name for a folder",
                               word);
    }
    return mr__files_absolute(cli, word, dest);
}

static void print_backup(struct mr__cli *cli, struct mr__pick backup)
{
    struct mr__text text = {0};
    if (mr__print_is_json(cli)) {
        mr__print_document(cli, backup);
        return;
    }
    (void)mr__pick_text(mr__pick_member(backup, "path"), &text); /* it is there */
    mr__text_puts(&text, "\n");
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
    if (!cli->options.quiet) {
        mr__print_talk(cli, "%.1f MiB; use it with --store",
                       (double)mr__pick_int(mr__pick_member(backup, "bytes"), 0) / 1048576);
    }
}

static int ask_backup(struct mr__cli *cli, const char *dest)
{
    struct mr__text request = {0};
    struct mr__text answer = {0};
    struct mr__failure failure;
    int code = MR__EXIT_OK;
    mr__request_begin(&request, "backup");
    mr__request_string(&request, "dest", dest);
    mr__text_puts(&request, "}");
    if (mr__session_try(cli, &request, &answer, &failure)) {
        print_backup(cli,
                     mr__pick_member(mr__pick_value(mr__text_str(&answer), answer.len), "backup"));
    } else if (failure.status == MR_EINVAL &&
               strncmp(failure.error.message, "unknown op", 10) == 0) {
        code = mr__print_error(cli, MR_ESTORE, NULL,
                               "the store's owner is of another version: it makes no copies");
    } else {
        code = mr__print_failure(cli, &failure);
    }
    mr__text_finish(&request);
    mr__text_finish(&answer);
    return code;
}

int mr__cmd_store_backup(struct mr__cli *cli)
{
    struct mr__text path = {0};
    struct mr__text dest = {0};
    int code = find_store(cli, NULL, &path);
    if (code == MR__EXIT_OK) {
        code = find_dest(cli, cli->options.words.at[0], &dest);
    }
    if (code == MR__EXIT_OK) {
        code = mr__session_open(cli, 0);
    }
    if (code == MR__EXIT_OK) {
        code = ask_backup(cli, dest.at);
    }
    mr__text_finish(&path);
    mr__text_finish(&dest);
    return code;
}
