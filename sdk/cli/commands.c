/* SPDX-License-Identifier: MIT
 *
 * The verbs: one table, and the help that is made from it. A verb without a function is one of
 * contract.md that this release does not have yet.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <string.h>

#define COMPAT                                                                                \
    {                                                                                         \
        MR__OPTION_COMPAT, 0, "compat", "fastflow", "reads dag files by fastflow's own rules" \
    }

static const struct mr__option run_options[] = {
    {MR__OPTION_VAR, 'v', "var", "KEY=VALUE", "sets a variable; repeat"},
    {MR__OPTION_VARS_FILE, 0, "vars", "FILE", "variables from a YAML or JSON map; -v wins"},
    {MR__OPTION_TAG, 0, "tag", "KEY=VALUE", "marks the run; repeat"},
    {MR__OPTION_KEY, 0, "key", "KEY", "idempotency key: a second run with it is refused (exit 6)"},
    {MR__OPTION_DETACH, 0, "detach", NULL, "returns when the run is accepted; its owner must stay"},
    {MR__OPTION_RESUME, 0, "resume", NULL, "goes on with every unfinished run instead"},
    {MR__OPTION_JOBS, 'j', "jobs", "N", "processes and worker actions at once (4 x cores)"},
    {MR__OPTION_ONLY, 0, "only", "TASK...", "only these tasks (a,b or repeat); others are skipped"},
    COMPAT,
    {MR__OPTION_NONE},
};
static const struct mr__option exec_options[] = {
    {MR__OPTION_TAG, 0, "tag", "KEY=VALUE", "marks the run; repeat"},
    {MR__OPTION_KEY, 0, "key", "KEY", "idempotency key: a second run with it is refused (exit 6)"},
    {MR__OPTION_DETACH, 0, "detach", NULL, "returns when the run is accepted; its owner must stay"},
    {MR__OPTION_NONE},
};
static const struct mr__option jobs_options[] = {
    {MR__OPTION_JOBS, 'j', "jobs", "N", "processes and worker actions at once (4 x cores)"},
    {MR__OPTION_NONE},
};
static const struct mr__option rerun_options[] = {
    {MR__OPTION_FROM, 0, "from", "TASK", "keeps what is done, but for TASK and what follows it"},
    {MR__OPTION_JOBS, 'j', "jobs", "N", "processes and worker actions at once (4 x cores)"},
    {MR__OPTION_NONE},
};
static const struct mr__option next_options[] = {
    {MR__OPTION_COUNT, 'n', "count", "N", "how many times (5)"},
    {MR__OPTION_NONE},
};
static const struct mr__option validate_options[] = {COMPAT, {MR__OPTION_NONE}};
static const struct mr__option plan_options[] = {
    {MR__OPTION_VAR, 'v', "var", "KEY=VALUE", "sets a variable; repeat"},
    {MR__OPTION_VARS_FILE, 0, "vars", "FILE", "variables from a YAML or JSON map; -v wins"},
    COMPAT,
    {MR__OPTION_NONE},
};
static const struct mr__option graph_options[] = {
    {MR__OPTION_AS, 0, "as", "FORMAT", "ascii (default), dot or mermaid"},
    COMPAT,
    {MR__OPTION_NONE},
};
static const struct mr__option new_options[] = {
    {MR__OPTION_LANG, 0, "lang", "LANG", "c (default), c++ or lua"},
    {MR__OPTION_NONE},
};
static const struct mr__option list_options[] = {
    {MR__OPTION_DAG, 0, "dag", "DAG", "only runs of this dag"},
    {MR__OPTION_STATUS, 0, "status", "STATUS", "only runs with this status"},
    {MR__OPTION_TAG, 0, "tag", "KEY=VALUE", "only runs with this tag; repeat"},
    {MR__OPTION_SINCE, 0, "since", "TIME", "only runs created since: 1d, 2026-01-31, RFC 3339"},
    {MR__OPTION_LIMIT, 0, "limit", "N", "at most so many; 0: all"},
    {MR__OPTION_NONE},
};
static const struct mr__option logs_options[] = {
    {MR__OPTION_FOLLOW, 'f', "follow", NULL, "goes on until the run stands still"},
    {MR__OPTION_NONE},
};
static const struct mr__option prune_options[] = {
    {MR__OPTION_OLDER, 0, "older", "DUR", "only runs that ended longer ago: 12h, 30d"},
    {MR__OPTION_KEEP, 0, "keep", "N", "keeps the last N to end of each dag"},
    {MR__OPTION_DAG, 0, "dag", "DAG", "only runs of this dag"},
    {MR__OPTION_STATUS, 0, "status", "STATUS", "only success, failed or canceled ones"},
    {MR__OPTION_DRY_RUN, 0, "dry-run", NULL, "only says how many there are"},
    {MR__OPTION_NONE},
};
static const struct mr__option bench_options[] = {
    {MR__OPTION_RUNS, 0, "runs", "N", "how many runs"},
    {MR__OPTION_IN_FLIGHT, 0, "in-flight", "N", "runs at the same time (10000)"},
    {MR__OPTION_TASKS, 0, "tasks", "N", "tasks of each run, a chain (10)"},
    {MR__OPTION_NONE},
};

static const struct mr__option serve_options[] = {
    {MR__OPTION_DAGS, 0, "dags", "DIR", "keeps the dag files in DIR, and below it, pushed"},
    COMPAT,
    {MR__OPTION_JOBS, 'j', "jobs", "N", "processes and worker actions at once (4 x cores)"},
    {MR__OPTION_OLDER, 0, "retain", "DUR", "removes finished runs that ended longer ago (30d)"},
    {MR__OPTION_LATER, 0, "listen", "ADDR", NULL},
    {MR__OPTION_LATER, 0, "cluster", "URL", NULL},
    {MR__OPTION_LATER, 0, "node", "KEY", NULL},
    {MR__OPTION_NONE},
};

static const char daily[] = "daily";
static const char runs[] = "runs";
static const char definitions[] = "definitions";
static const char system_group[] = "system";

const struct mr__command mr__commands[] = {
    {"run", daily, "FILE|DAG|-", "runs a dag to its end",
     "Runs a dag file (a word with / or ending in .yaml, .yml or .json), a dag of the store, or "
     "one\n"
     "from standard input, and stays until the run ends. The run's id goes to stdout as soon as "
     "it\n"
     "is accepted, its progress to stderr. Exit 0: success, 1: failed or canceled, 8: blocked.\n"
     "Ctrl-C cancels; after kill -9, `run --resume` goes on.\n\n"
     "  millrace run deploy.yaml -v stage=prod\n"
     "  millrace run deploy\n"
     "  millrace run --resume",
     run_options, 0, -1, mr__cmd_run},
    {"exec", daily, "-- CMD...", "runs one command, durably",
     "A run of the dag \"exec\" with one task, in the current folder. The command gets the words "
     "as\n"
     "they stand: no shell expands them. Stays until the run ends; exit codes as of run.\n\n"
     "  millrace exec --detach -- rsync -a src/ host:dst/",
     exec_options, 1, -1, mr__cmd_exec},
    {"validate", daily, "FILE...", "checks dag files and shows every error",
     "Nothing is run or stored. Exit 3 if any file has an error.", validate_options, 1, -1,
     mr__cmd_validate},
    {"plan", daily, "FILE|DAG", "shows what a run would do, and runs nothing",
     "The tasks in the order in which they can begin. A condition that looks at the variables "
     "alone\n"
     "is evaluated; what depends on share data or on other tasks is decided when it runs.",
     plan_options, 1, 1, mr__cmd_plan},
    {"init", daily, "[NAME]", "writes a dag file to begin with",
     "NAME.yaml, or dag.yaml. A file that exists is left as it is (exit 6).", NULL, 0, 1,
     mr__cmd_init},
    {"bench", daily, "", "measures the engine on this machine",
     "Works in a fresh folder inside the store's and removes it.", bench_options, 0, 0,
     mr__cmd_bench},

    {"ps", runs, "", "lists unfinished runs", "Newest first.", list_options, 0, 0, mr__cmd_ps},
    {"runs", runs, "", "lists runs", "Newest first, 50 if --limit does not say otherwise.",
     list_options, 0, 0, mr__cmd_runs},
    {"show", runs, "[RUN]", "shows one run with its tasks", "", NULL, 0, 1, mr__cmd_show},
    {"watch", runs, "[RUN]", "shows a run's progress until it ends",
     "Its exit code is the run's. With -o jsonl every answer of the engine is one line.", NULL, 0,
     1, mr__cmd_watch},
    {"wait", runs, "[RUN]", "waits until a run ends", "Its exit code is the run's.", NULL, 0, 1,
     mr__cmd_wait},
    {"logs", runs, "[RUN] [TASK]", "shows what the tasks wrote",
     "A first word that names no run is a task of the latest one: `millrace logs build`.",
     logs_options, 0, 2, mr__cmd_logs},
    {"events", runs, "[RUN]", "lists what happened in a run", "", NULL, 0, 1, mr__cmd_events},
    {"why", runs, "[RUN] [TASK]", "tells what a run or task waits for, or why it stands",
     "A first word that names no run is a task of the latest one: `millrace why push`.", NULL, 0, 2,
     mr__cmd_why},
    {"retry", runs, "[RUN] [TASK...]", "runs what failed or was canceled again, and what is left",
     "Stays until the run ends; what succeeded is kept. With TASKs: only these.\n"
     "A first word that names no run is a task of the latest one: `millrace retry push`.",
     jobs_options, 0, -1, mr__cmd_retry},
    {"cancel", runs, "[RUN] [TASK...]", "cancels a run, or some of its tasks",
     "A run with canceled tasks goes on with what does not depend on them, and fails.\n"
     "A first word that names no run is a task of the latest one.",
     jobs_options, 0, -1, mr__cmd_cancel},
    {"continue", runs, "[RUN] [TASK...]", "lets blocked tasks pass",
     "Stays until the run ends. With TASKs: only these.\n"
     "A first word that names no run is a task of the latest one.",
     jobs_options, 0, -1, mr__cmd_continue},
    {"pause", runs, "[RUN]", "lets no further task of a run begin",
     "What has begun goes on to its end.", jobs_options, 0, 1, mr__cmd_pause},
    {"unpause", runs, "[RUN]", "lets a paused run go on", "Stays until the run ends.", jobs_options,
     0, 1, mr__cmd_unpause},
    {"rerun", runs, "[RUN]", "begins a new run with the version and variables of another",
     "Stays until the new run ends. Its id goes to stdout as soon as it is accepted. With --from,\n"
     "what ended well before TASK is kept with its output, and so is the share data.",
     rerun_options, 0, 1, mr__cmd_rerun},

    {"schedule next", definitions, "DAG|FILE", "shows when a dag will run by itself",
     "The next times of its schedule, in UTC and in the schedule's own time zone. Only `millrace\n"
     "serve` runs schedules.\n\n"
     "  millrace schedule next deploy\n"
     "  millrace schedule next deploy.yaml -n 20",
     next_options, 1, 1, mr__cmd_schedule_next},

    {"prune", runs, "", "removes finished runs for good",
     "With their output, and their idempotency keys are free again. Unfinished runs are never\n"
     "removed. At least one option says which runs are meant; several must all hold.\n\n"
     "  millrace prune --older 30d\n"
     "  millrace prune --dag deploy --keep 100",
     prune_options, 0, 0, mr__cmd_prune},

    {"graph", definitions, "FILE|DAG", "draws a dag",
     "As a tree: each task stands under the one before it that is reached last, with the others\n"
     "that it waits for beside it. In brackets: when, forEach and conditions.\n\n"
     "  millrace graph deploy.yaml --as dot | dot -Tsvg > deploy.svg",
     graph_options, 1, 1, mr__cmd_graph},
    {"dags", definitions, "", "lists the dags of the store", "", NULL, 0, 0, mr__cmd_dags},
    {"push", definitions, "FILE...", "puts dag files into the store, checked",
     "A text that has changed is a new version, which runs from then on begin with; runs that go\n"
     "on keep theirs. Of a file with an error nothing is stored (exit 3); the others are.",
     validate_options, 1, -1, mr__cmd_push},
    {"stop", definitions, "DAG", "refuses new runs of a dag",
     "Runs that go on are left alone; `run` of it, and of a file with its id, is exit 6.", NULL, 1,
     1, mr__cmd_stop},
    {"start", definitions, "DAG", "allows runs of a stopped dag again", "", NULL, 1, 1,
     mr__cmd_start},

    {"serve", system_group, "", "holds the store and goes on with its runs, until it is stopped",
     "Goes on with every unfinished run but blocked and paused ones, and takes what other "
     "commands\n"
     "bring, run --detach too. With --dags the files in DIR ending in .yaml, .yml or .json are\n"
     "pushed now and whenever they change; one with an error leaves the last good version. A dag\n"
     "whose file is removed stays in the store.\n"
     "Schedules run while it serves, and only then: times that passed while nobody served are\n"
     "caught up with as the dag's `catchup` says.\n"
     "While another process holds the store, serve waits for its turn. SIGTERM, SIGHUP and Ctrl-C\n"
     "end it and leave the runs resumable.",
     serve_options, 0, 0, mr__cmd_serve},
    {"actions", system_group, "[NAME]", "lists the actions, or shows one with its params", "", NULL,
     0, 1, mr__cmd_actions},
    {"plugin new", system_group, "NAME", "makes a folder with a plugin to begin with",
     "NAME/ gets NAME.c (or NAME.cc, NAME.lua) with one action and its self-test, a meson.build, "
     "a\n"
     "dag that runs it and a README. A folder that exists is left as it is (exit 6).",
     new_options, 1, 1, mr__cmd_plugin_new},
    {"plugin check", system_group, "FILE", "checks a plugin file and runs its self-test",
     "Loads it as the engine would, but in a process of its own: what a plugin does there, a "
     "crash\n"
     "or a loop without end, is told and harms nobody. Exit 3 if it cannot be loaded, 1 if its\n"
     "self-test fails, 124 if it takes longer than --timeout (60 s without one).",
     NULL, 1, 1, mr__cmd_plugin_check},
    {"store stats", system_group, "[DIR]", "shows what a store holds", "", NULL, 0, 1,
     mr__cmd_store_stats},
    {"store check", system_group, "[DIR]", "verifies every checksum of a store",
     "Exit 7 if it is damaged. A store in use is checked by its owner.", NULL, 0, 1,
     mr__cmd_store_check},
    {"store backup", system_group, "DEST", "makes a copy of the store, also of one in use",
     "The folder DEST must not exist (exit 6) and appears once the copy is whole and durable. Use "
     "it\n"
     "with --store DEST. Tasks that run meanwhile are lost attempts there: onLost decides.",
     NULL, 1, 1, mr__cmd_store_backup},
    {"schema", system_group, "[lua]", "prints the JSON Schema of a dag file",
     "With the actions that are installed, for editors: keys, types and words as the parser has\n"
     "them. `millrace schema lua > millrace.d.lua` gives the names that its Lua has, for the Lua\n"
     "language server.",
     NULL, 0, 1, mr__cmd_schema},
    {"doctor", system_group, "", "checks whether this machine and the store are fit for runs",
     "Each line is ok, warn or bad, and says what to do. Exit 7 if any is bad. A store that is "
     "not\n"
     "there is not made.",
     NULL, 0, 0, mr__cmd_doctor},
    {"version", system_group, "", "shows the version", "", NULL, 0, 0, mr__cmd_version},
    {"completion", system_group, "bash|zsh|fish", "prints what completes commands in a shell",
     "For this session, or put it where the shell looks for such files; an installed millrace has\n"
     "done that.\n\n"
     "  eval \"$(millrace completion bash)\"",
     NULL, 1, 1, mr__cmd_completion},
    {"man", system_group, "", "prints the manual page", "  millrace man | man -l -", NULL, 0, 0,
     mr__cmd_man},
    {"help", system_group, "[VERB]", "shows help", "", NULL, 0, 2, mr__cmd_help},

    {"nodes", system_group, NULL, NULL, NULL, NULL, 0, 0, NULL},
    {NULL},
};

/* ---- help ---------------------------------------------------------------------------------- */

static void add_column(struct mr__text *text, size_t from, size_t columns)
{
    size_t used = text->len - from;
    mr__text_fill(text, ' ', (used < columns ? columns - used : 0) + 2);
}

static void add_options(struct mr__text *text, const struct mr__option *option)
{
    for (; option != NULL && option->id != MR__OPTION_NONE; option++) {
        if (option->id == MR__OPTION_LATER) {
            continue;
        }
        size_t from = text->len;
        if (option->letter != 0) {
            mr__text_printf(text, "  -%c, --%s", option->letter, option->name);
        } else {
            mr__text_printf(text, "      --%s", option->name);
        }
        if (option->value != NULL) {
            mr__text_printf(text, " %s", option->value);
        }
        add_column(text, from, 24);
        mr__text_printf(text, "%s\n", option->help);
    }
}

static void add_group(struct mr__text *text, const char *group)
{
    mr__text_printf(text, "\n%s\n", group);
    for (const struct mr__command *c = mr__commands; c->name != NULL; c++) {
        if (c->group == group && c->run != NULL) {
            size_t from = text->len;
            mr__text_printf(text, "  %s %s", c->name, c->synopsis);
            add_column(text, from, 26);
            mr__text_printf(text, "%s\n", c->summary);
        }
    }
}

void mr__commands_help(struct mr__cli *cli, const struct mr__command *command)
{
    struct mr__text text = {0};
    if (command == NULL) {
        mr__text_puts(&text, "millrace runs dags of tasks, durably: what was accepted survives "
                             "kill -9.\n\n  millrace run examples/hello.yaml\n");
        add_group(&text, daily);
        add_group(&text, runs);
        add_group(&text, definitions);
        add_group(&text, system_group);
        mr__text_puts(&text,
                      "\nA RUN is an id, four or more characters of its beginning or end, or "
                      "- for the latest.\n\noptions of every verb\n");
    } else {
        mr__text_printf(&text, "millrace %s%s%s%s: %s\n", command->name,
                        command->options != NULL ? " [OPTIONS]" : "",
                        command->synopsis[0] != '\0' ? " " : "", command->synopsis,
                        command->summary);
        if (command->help[0] != '\0') {
            mr__text_printf(&text, "\n%s\n", command->help);
        }
        if (command->options != NULL && command->options->id != MR__OPTION_LATER) {
            mr__text_puts(&text, "\noptions\n");
            add_options(&text, command->options);
        }
        mr__text_puts(&text, "\noptions of every verb\n");
    }
    add_options(&text, mr__options_global);
    mr__text_puts(&text,
                  "  each has a twin in the environment: MILLRACE_STORE, MILLRACE_OUTPUT ...\n");
    if (command == NULL) {
        mr__text_puts(&text,
                      "\nexit codes: 0 success, 1 failed or canceled, 2 usage, 3 definition, 4 not "
                      "allowed,\n5 not found, 6 conflict, 7 store, 8 blocked, 124 timeout, 130 "
                      "interrupted, 143 terminated\n\nmillrace help VERB tells more on one.\n");
    }
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}

bool mr__commands_help_family(struct mr__cli *cli, const char *first)
{
    struct mr__text text = {0};
    size_t len = strlen(first);
    for (const struct mr__command *c = mr__commands; c->name != NULL; c++) {
        if (c->run != NULL && strncmp(c->name, first, len) == 0 && c->name[len] == ' ') {
            size_t from = text.len;
            mr__text_printf(&text, "millrace %s %s", c->name, c->synopsis);
            add_column(&text, from, 33);
            mr__text_printf(&text, "%s\n", c->summary);
        }
    }
    bool any = text.len > 0;
    if (any) {
        mr__text_puts(&text, "\nmillrace help VERB tells more on one.\n");
        mr__print_out(cli, mr__text_str(&text), text.len);
    }
    mr__text_finish(&text);
    return any;
}

int mr__cmd_help(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    struct mr__text name = {0};
    int code = MR__EXIT_OK;
    const struct mr__command *c = mr__commands;
    for (size_t i = 0; i < words->count; i++) {
        mr__text_puts(&name, i > 0 ? " " : "");
        mr__text_puts(&name, words->at[i]);
    }
    while (c->name != NULL && strcmp(c->name, mr__text_str(&name)) != 0) {
        c++;
    }
    if (words->count == 1 && c->name == NULL && mr__commands_help_family(cli, words->at[0])) {
        code = MR__EXIT_OK;
    } else if (words->count > 0 && c->name == NULL) {
        code = mr__print_error(cli, MR_EINVAL, NULL, "unknown verb \"%s\"", mr__text_str(&name));
    } else if (words->count > 0 && c->run == NULL) {
        code = mr__print_error(cli, MR_ENOSYS, NULL, "\"%s\" is not yet supported", c->name);
    } else {
        mr__commands_help(cli, words->count > 0 ? c : NULL);
    }
    mr__text_finish(&name);
    return code;
}
