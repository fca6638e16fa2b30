/* SPDX-License-Identifier: MIT
 *
 * What was typed, as a struct: the verb, its words, its options and the MILLRACE_ environment.
 *
 * Pure: argv, the environment and the table of verbs come in, a struct or one usage error goes out.
 * Strings are borrowed from argv and the environment.
 */
#ifndef MR__OPTIONS_H
#define MR__OPTIONS_H

#include <millrace/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr__cli;

#define MR__SUGGESTION_BYTES 64

enum mr__option_id {
    MR__OPTION_NONE, /* ends a table */
    MR__OPTION_AS,
    MR__OPTION_COLOR,
    MR__OPTION_COMPAT,
    MR__OPTION_COUNT,
    MR__OPTION_DAG,
    MR__OPTION_DAGS,
    MR__OPTION_DETACH,
    MR__OPTION_DRY_RUN,
    MR__OPTION_FOLLOW,
    MR__OPTION_FROM,
    MR__OPTION_HELP,
    MR__OPTION_IN_FLIGHT,
    MR__OPTION_JOBS,
    MR__OPTION_KEEP,
    MR__OPTION_KEY,
    MR__OPTION_LANG,
    MR__OPTION_LATER, /* known, but not of this release */
    MR__OPTION_LIMIT,
    MR__OPTION_ONLY,
    MR__OPTION_OLDER,
    MR__OPTION_OUTPUT,
    MR__OPTION_PLUGINS,
    MR__OPTION_PROGRESS,
    MR__OPTION_QUIET,
    MR__OPTION_RESUME,
    MR__OPTION_RUNS,
    MR__OPTION_SINCE,
    MR__OPTION_STATUS,
    MR__OPTION_STORE,
    MR__OPTION_TAG,
    MR__OPTION_TASKS,
    MR__OPTION_TIMEOUT,
    MR__OPTION_VAR,
    MR__OPTION_VARS_FILE
};

struct mr__option {
    enum mr__option_id id;
    char letter;       /* or 0 */
    const char *name;  /* without its "--" */
    const char *value; /* what its value is called in the help; NULL: it takes none */
    const char *help;
};

/* A verb. Tables end with a row without a name. */
struct mr__command {
    const char *name; /* one word, or two: "store stats" */
    const char *group;
    const char *synopsis; /* its words, for the help */
    const char *summary;
    const char *help;
    const struct mr__option *options; /* beside the global ones; or NULL */
    int words_min, words_max;         /* words_max < 0: any number */
    int (*run)(struct mr__cli *cli);  /* its exit code; NULL: not of this release */
};

enum mr__output { MR__OUTPUT_TEXT, MR__OUTPUT_JSON, MR__OUTPUT_JSONL };
enum mr__color { MR__COLOR_AUTO, MR__COLOR_ALWAYS, MR__COLOR_NEVER };
enum mr__drawing { MR__DRAW_ASCII, MR__DRAW_DOT, MR__DRAW_MERMAID };
enum mr__lang { MR__LANG_C, MR__LANG_CPP, MR__LANG_LUA };
enum mr__progress_mode {
    MR__PROGRESS_AUTO,
    MR__PROGRESS_TREE,
    MR__PROGRESS_PLAIN,
    MR__PROGRESS_NONE
};

struct mr__list {
    const char **at;
    size_t count;
};

struct mr__options {
    const struct mr__command *command; /* NULL: no verb was given */
    const char *family;                /* the first word of a verb of two, or NULL */
    struct mr__list words;
    /* global */
    const char *store;
    bool store_typed; /* given as an option, so that a command to type next needs it too */
    bool plugins_typed;
    struct mr__list plugins;
    enum mr__output output;
    enum mr__color color;
    enum mr__progress_mode progress;
    bool quiet, help;
    int64_t timeout_ms; /* -1: none */
    /* of verbs */
    struct mr__list vars; /* key=value each, with a key */
    struct mr__list tags;
    struct mr__list only; /* task ids, ',' between where several stand in one */
    const char *vars_file, *key;
    const char *from; /* a task id */
    enum mr__lang lang;
    bool detach, resume, follow, dry_run;
    enum mr__drawing drawing; /* of graph */
    bool compat;              /* fastflow's rules */
    uint32_t jobs;            /* 0: the default */
    const char *dag, *status;
    const char *dags;       /* the folder that serve reads */
    int64_t since_ms;       /* Unix time, or -1 */
    int64_t limit;          /* -1: not given */
    int64_t count;          /* 0: the default */
    int64_t older_ms, keep; /* -1: not given; of prune; how old what serve keeps may be */
    int64_t bench_runs, bench_in_flight, bench_tasks; /* 0: the default */
};

/* The options that every verb takes. */
extern const struct mr__option mr__options_global[];

/* The words that an option's value can be, ended by NULL; NULL: any text. */
const char *const *mr__options_words(enum mr__option_id id);

/* Where the environment is read: getenv, or a test's own. */
typedef char *(*mr__getenv)(const char *name);

/* How an error is to be written, which must be known even if the rest is wrong: a look at the
 * environment and at -o wherever it stands. */
enum mr__output mr__options_output(int argc, char **argv, mr__getenv env);

/* Reads everything. MR_EINVAL: `reterr` says what is wrong and `ret_suggestion` (may become NULL)
 * is the nearest known word, static; MR_ENOSYS: of a later release; MR_ENOMEM. `ret` is to be
 * finished in every case. */
mr_status mr__options_parse(const struct mr__command *commands, int argc, char **argv,
                            mr__getenv env, struct mr__options *ret,
                            char ret_suggestion[MR__SUGGESTION_BYTES], mr_error *reterr);
void mr__options_finish(struct mr__options *options);

#endif
