/* SPDX-License-Identifier: MIT
 *
 * doctor: is this machine, and this store, fit for runs? Each check is one line: what was found,
 * and what to do about it. Checks of the machine alone are in doctor_machine.c.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/doctor.h"
#include "sdk/cli/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_folder(struct mr__doctor *d);
static void check_actions(struct mr__doctor *d);
static void check_host(struct mr__doctor *d);
static void check_owner(struct mr__doctor *d);

/* ---- what is found ------------------------------------------------------------------------- */

void mr__doctor_add(struct mr__doctor *d, enum mr__health health, const char *name,
                    const char *advice, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "bad"};
    char message[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args); /* cut if too long */
    va_end(args);
    d->bad = d->bad || health == MR__HEALTH_BAD;
    d->doubtful = d->doubtful || health == MR__HEALTH_WARN;
    if (mr__print_is_json(d->cli)) {
        mr__text_printf(&d->out, "%s{\"name\":\"%s\",\"status\":\"%s\",\"message\":",
                        d->out.len > 0 ? "," : "", name, words[health]);
        mr__text_json(&d->out, message, strlen(message));
        mr__text_puts(&d->out, ",\"advice\":");
        if (advice != NULL && health != MR__HEALTH_OK) {
            mr__text_json(&d->out, advice, strlen(advice));
        } else {
            mr__text_puts(&d->out, "null");
        }
        mr__text_puts(&d->out, "}");
        return;
    }
    mr__text_printf(&d->out, "%-4s  %-11s ", words[health], name);
    (void)mr__text_clean(&d->out, message, strlen(message), SIZE_MAX,
                         ""); /* its width: no matter */
    mr__text_puts(&d->out, "\n");
    if (advice != NULL && health != MR__HEALTH_OK) {
        mr__text_printf(&d->out, "%18s-> %s\n", "", advice);
    }
}

static int print_all(struct mr__doctor *d)
{
    int code = d->bad ? MR__EXIT_STORE : MR__EXIT_OK;
    if (mr__print_is_json(d->cli)) {
        struct mr__text text = {0};
        mr__text_printf(&text, "{\"ok\":%s,\"checks\":[%s]}\n", d->bad ? "false" : "true",
                        mr__text_str(&d->out));
        mr__print_out(d->cli, mr__text_str(&text), text.len);
        mr__text_finish(&text);
    } else {
        mr__print_out(d->cli, mr__text_str(&d->out), d->out.len);
        if (!d->cli->options.quiet) {
            mr__print_talk(d->cli, "%s",
                           d->bad        ? "not fit for runs as it is"
                           : d->doubtful ? "fit for runs, with what is said above in mind"
                                         : "fit for runs");
        }
    }
    return d->out.failed ? mr__print_error(d->cli, MR_ENOMEM, NULL, "out of memory") : code;
}

int mr__cmd_doctor(struct mr__cli *cli)
{
    struct mr__doctor d = {.cli = cli};
    mr_error error = {0};
    mr_status status = mr__session_store(cli, &d.store, &error);
    if (status != MR_OK) {
        mr__doctor_add(&d, MR__HEALTH_BAD, "store", "--store DIR, or set HOME", "%s",
                       status == MR_ENOMEM ? mr_status_text(status) : error.message);
    } else {
        check_folder(&d);
        mr__doctor_disk(&d);
        check_actions(&d);
        check_host(&d);
        check_owner(&d);
    }
    mr__doctor_machine(&d);
    int code = print_all(&d);
    mr__text_finish(&d.store);
    mr__text_finish(&d.place);
    mr__text_finish(&d.out);
    return code;
}

/* ---- the store's folder -------------------------------------------------------------------- */

/* Finds what is there of the path: the store, or the folder in which it would be made. */
static bool find_place(struct mr__doctor *d)
{
    struct stat info;
    mr__text_puts(&d->place, d->store.at);
    while (d->place.len > 1 && stat(d->place.at, &info) != 0 && errno == ENOENT) {
        while (d->place.len > 1 && d->place.at[d->place.len - 1] == '/') {
            d->place.len--;
        }
        while (d->place.len > 0 && d->place.at[d->place.len - 1] != '/') {
            d->place.len--;
        }
        if (d->place.len == 0) {
            mr__text_puts(&d->place, ".");
        } else {
            d->place.at[d->place.len] = '\0';
        }
    }
    return strcmp(d->place.at, d->store.at) == 0;
}

static void check_folder(struct mr__doctor *d)
{
    struct stat info;
    d->exists = find_place(d);
    if (stat(d->place.at, &info) != 0) {
        mr__doctor_add(d, MR__HEALTH_BAD, "store", "another --store DIR", "%s: %s", d->place.at,
                       strerror(errno));
    } else if (!S_ISDIR(info.st_mode)) {
        mr__doctor_add(d, MR__HEALTH_BAD, "store", "another --store DIR", "%s is not a folder",
                       d->place.at);
    } else if (!d->exists && access(d->place.at, W_OK | X_OK) != 0) {
        mr__doctor_add(d, MR__HEALTH_BAD, "store", "another --store DIR",
                       "%s cannot be made in %s: %s", d->store.at, d->place.at, strerror(errno));
    } else if (!d->exists) {
        mr__doctor_add(d, MR__HEALTH_OK, "store", NULL,
                       "%s is not there yet: the first run makes it", d->store.at);
    } else if (info.st_uid != geteuid()) {
        mr__doctor_add(d, MR__HEALTH_BAD, "store", "be that user, or use another --store DIR",
                       "%s belongs to user %u, not to user %u", d->store.at, (unsigned)info.st_uid,
                       (unsigned)geteuid());
    } else if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        mr__doctor_add(d, MR__HEALTH_BAD, "store", "chmod go-w on it",
                       "others may write to %s (mode %04o)", d->store.at,
                       (unsigned)(info.st_mode & 07777));
    } else {
        mr__doctor_add(d, MR__HEALTH_OK, "store", NULL, "%s is yours, mode %04o", d->store.at,
                       (unsigned)(info.st_mode & 07777));
    }
}

/* ---- plugins and the owner ----------------------------------------------------------------- */

static void check_actions(struct mr__doctor *d)
{
    static const char dag[] = "tasks: [{id: a, run: x}, {id: b, wait: 1s}]";
    const char *plugins = d->cli->plugins.len > 0 ? d->cli->plugins.at : NULL;
    char *json = NULL;
    mr_error error = {0};
    mr_status status = mr_validate("doctor", dag, strlen(dag), plugins, &json, &error);
    if (status == MR_OK) {
        mr__doctor_add(d, MR__HEALTH_OK, "plugins", NULL, "all load; sh and wait are there%s%s",
                       plugins != NULL ? ": " : "", plugins != NULL ? plugins : "");
    } else if (status == MR_EDEFINITION) {
        mr__doctor_add(d, MR__HEALTH_BAD, "plugins",
                       "--plugins DIR with the folder that has sh.so and wait.so",
                       "sh and wait are not there, or not as they are: %s", error.message);
    } else {
        mr__doctor_add(d, MR__HEALTH_BAD, "plugins", "remove it, or build it for this version",
                       "%s", error.message[0] != '\0' ? error.message : mr_status_text(status));
    }
    mr_free(json);
}

/* What `isolation: process` needs. */
static void check_host(struct mr__doctor *d)
{
    const char *program = getenv("MILLRACE_HOST");
    program = program == NULL || *program == '\0' ? MR__HOST_PROGRAM : program;
    struct stat st;
    if (stat(program, &st) == 0 && !S_ISREG(st.st_mode)) {
        mr__doctor_add(d, MR__HEALTH_WARN, "isolation", "set MILLRACE_HOST to millrace-host's path",
                       "%s is no program", program);
    } else if (access(program, X_OK) == 0) {
        mr__doctor_add(d, MR__HEALTH_OK, "isolation", NULL, "%s is there", program);
    } else {
        mr__doctor_add(d, MR__HEALTH_WARN, "isolation",
                       "install millrace whole, or set MILLRACE_HOST to millrace-host's path",
                       "%s: %s", program, strerror(errno));
    }
}

/* One answer, or an absent pick. */
static struct mr__pick ask(struct mr__doctor *d, const char *op, const char *member,
                           struct mr__text *answer)
{
    struct mr__text request = {0};
    struct mr__failure failure;
    struct mr__pick found = {NULL, 0};
    mr__request_begin(&request, op);
    mr__text_puts(&request, "}");
    if (mr__session_try(d->cli, &request, answer, &failure)) {
        found = mr__pick_value(mr__text_str(answer), answer->len);
        found = member != NULL ? mr__pick_member(found, member) : found;
    } else {
        mr__doctor_add(d, MR__HEALTH_BAD, "owner", "stop it and start it anew",
                       "it does not answer: %s",
                       failure.error.message[0] != '\0' ? failure.error.message
                                                        : mr_status_text(failure.status));
    }
    mr__text_finish(&request);
    return found;
}

/* The store is open: what its owner, maybe this process, says of it. */
static void ask_owner(struct mr__doctor *d)
{
    struct mr__text answer = {0};
    struct mr__text version = {0};
    bool own = mr__session_is_owner(d->cli);
    struct mr__pick ping = ask(d, "ping", NULL, &answer);
    if (ping.at == NULL) {
        mr__text_finish(&answer);
        return;
    }
    long long dormant = (long long)mr__pick_int(mr__pick_member(ping, "dormant"), 0);
    (void)mr__pick_text(mr__pick_member(ping, "version"), &version); /* absent: another version */
    if (own) {
        mr__doctor_add(d, MR__HEALTH_OK, "owner", NULL, "nobody holds the store");
    } else {
        mr__doctor_add(
            d, strcmp(mr__text_str(&version), mr_version()) == 0 ? MR__HEALTH_OK : MR__HEALTH_WARN,
            "owner", "restart it, so that it is of this version too",
            "process %lld holds the store, version %s, and answers",
            (long long)mr__pick_int(mr__pick_member(ping, "pid"), 0), mr__text_str(&version));
    }
    if (dormant > 0) {
        mr__doctor_add(d, MR__HEALTH_WARN, "runs", "millrace run --resume",
                       "%lld unfinished that nobody goes on with", dormant);
    }
    struct mr__pick stats = ask(d, "stats", "stats", &answer);
    if (stats.at != NULL) {
        mr__doctor_add(d, MR__HEALTH_OK, "format", NULL, "%lld, %.1f MiB used",
                       (long long)mr__pick_int(mr__pick_member(stats, "format"), 0),
                       (double)mr__pick_int(mr__pick_member(stats, "bytesUsed"), 0) / 1048576);
    }
    mr__text_finish(&answer);
    mr__text_finish(&version);
}

/* A store that is not there is not made by being looked at. */
static void check_owner(struct mr__doctor *d)
{
    struct mr__text data = {0};
    mr_error error = {0};
    mr__text_printf(&data, "%s/data.mdb", d->store.at);
    if (!d->exists || data.failed || access(data.at, F_OK) != 0) {
        mr__text_finish(&data);
        return;
    }
    mr__text_finish(&data);
    mr_status status = mr__session_try_open(d->cli, &error);
    if (status == MR_OK) {
        ask_owner(d);
    } else if (status != MR_EABI) { /* that was said of the plugins */
        mr__doctor_add(d, MR__HEALTH_BAD, "open",
                       status == MR_EFORMAT ? "the version of millrace that made it, or a newer one"
                                            : "millrace store check",
                       "%s", error.message[0] != '\0' ? error.message : mr_status_text(status));
    }
}
