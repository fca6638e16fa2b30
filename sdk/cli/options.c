/* SPDX-License-Identifier: MIT
 *
 * What was typed, as a struct. One pass over argv: the first word (or two) picks the verb, whose
 * options are known from then on; global ones may stand anywhere.
 */
#include "sdk/cli/options.h"
#include "sdk/cli/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOBS_MAX         4096
#define NUMBER_MAX       INT64_C(1000000000000)
#define COUNT_MAX        1000
#define SUGGEST_DISTANCE 2

struct parser {
    const struct mr__command *commands;
    int argc;
    char **argv;
    struct mr__options *o;
    const char *from_env; /* the variable that is being read, else NULL */
    char *suggestion;     /* MR__SUGGESTION_BYTES */
    mr_error *reterr;
};

const struct mr__option mr__options_global[] = {
    {MR__OPTION_STORE, 0, "store", "DIR", "where runs are kept ($XDG_STATE_HOME/millrace)"},
    {MR__OPTION_PLUGINS, 0, "plugins", "DIR",
     "a folder with plugins beside the installed ones; repeat"},
    {MR__OPTION_OUTPUT, 'o', "output", "FORMAT", "text, json or jsonl"},
    {MR__OPTION_QUIET, 'q', "quiet", NULL, "silent on stderr but for errors"},
    {MR__OPTION_COLOR, 0, "color", "WHEN", "auto, always or never"},
    {MR__OPTION_PROGRESS, 0, "progress", "HOW", "auto, tree, plain or none"},
    {MR__OPTION_TIMEOUT, 0, "timeout", "DUR",
     "how long to wait (300ms, 10s, 5m, 2h, 1d); then exit 124"},
    {MR__OPTION_HELP, 'h', "help", NULL, "help on a verb"},
    {MR__OPTION_NONE},
};

static mr_status read_environment(struct parser *p, mr__getenv env);
static mr_status read_long(struct parser *p, const char *arg, int *index);
static mr_status read_short(struct parser *p, const char *arg, int *index);
static mr_status read_word(struct parser *p, const char *word);
static mr_status set_option(struct parser *p, const struct mr__option *option, const char *value);
static mr_status check_words(struct parser *p);

__attribute__((format(printf, 2, 3))) static mr_status refuse(struct parser *p, const char *fmt,
                                                              ...)
{
    va_list args;
    va_start(args, fmt);
    p->reterr->status = MR_EINVAL;
    (void)vsnprintf(p->reterr->message, sizeof p->reterr->message, fmt, args); /* cut if too long */
    va_end(args);
    return MR_EINVAL;
}

/* Notes the nearest known word, if there is one. */
static void suggest(struct parser *p, const char *before, const char *word)
{
    if (word != NULL) {
        (void)snprintf(p->suggestion, MR__SUGGESTION_BYTES, "%s%s", before,
                       word); /* words are short */
    }
}

static mr_status refuse_later(struct parser *p, const char *what)
{
    (void)refuse(p, "%s is not yet supported", what);
    p->reterr->status = MR_ENOSYS;
    return MR_ENOSYS;
}

enum mr__output mr__options_output(int argc, char **argv, mr__getenv env)
{
    const char *value = env("MILLRACE_OUTPUT");
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--output=", 9) == 0) {
            value = arg + 9;
        } else if ((strcmp(arg, "-o") == 0 || strcmp(arg, "--output") == 0) && i + 1 < argc) {
            value = argv[++i];
        } else if (strncmp(arg, "-o", 2) == 0) {
            value = arg + 2;
        }
    }
    if (value != NULL && strcmp(value, "json") == 0) {
        return MR__OUTPUT_JSON;
    }
    return value != NULL && strcmp(value, "jsonl") == 0 ? MR__OUTPUT_JSONL : MR__OUTPUT_TEXT;
}

mr_status mr__options_parse(const struct mr__command *commands, int argc, char **argv,
                            mr__getenv env, struct mr__options *ret,
                            char ret_suggestion[MR__SUGGESTION_BYTES], mr_error *reterr)
{
    struct parser p = {commands, argc, argv, ret, NULL, ret_suggestion, reterr};
    memset(ret, 0, sizeof *ret);
    ret->timeout_ms = -1;
    ret->since_ms = -1;
    ret->limit = -1;
    ret->older_ms = -1;
    ret->keep = -1;
    ret_suggestion[0] = '\0';

    mr_status status = read_environment(&p, env);
    bool ended = false;
    for (int i = 1; i < argc && status == MR_OK; i++) {
        const char *arg = argv[i];
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            status = read_word(&p, arg);
        } else if (strcmp(arg, "--") == 0) {
            ended = true;
        } else if (arg[1] == '-') {
            status = read_long(&p, arg + 2, &i);
        } else {
            status = read_short(&p, arg + 1, &i);
        }
    }
    return status != MR_OK ? status : check_words(&p);
}

void mr__options_finish(struct mr__options *options)
{
    free((void *)options->words.at);
    free((void *)options->plugins.at);
    free((void *)options->vars.at);
    free((void *)options->tags.at);
    free((void *)options->only.at);
    memset(options, 0, sizeof *options);
}

static mr_status list_add(struct mr__list *list, const char *item)
{
    const char **at = realloc((void *)list->at, (list->count + 1) * sizeof *at);
    if (at == NULL) {
        return MR_ENOMEM;
    }
    list->at = at;
    list->at[list->count++] = item;
    return MR_OK;
}

/* ---- the environment ---------------------------------------------------------------------------
 */

/* The twins of the global options. An empty variable counts as none. */
static mr_status read_environment(struct parser *p, mr__getenv env)
{
    static const struct {
        const char *name;
        enum mr__option_id id;
    } twins[] = {
        {"MILLRACE_STORE", MR__OPTION_STORE},     {"MILLRACE_PLUGINS", MR__OPTION_PLUGINS},
        {"MILLRACE_OUTPUT", MR__OPTION_OUTPUT},   {"MILLRACE_QUIET", MR__OPTION_QUIET},
        {"MILLRACE_COLOR", MR__OPTION_COLOR},     {"MILLRACE_PROGRESS", MR__OPTION_PROGRESS},
        {"MILLRACE_TIMEOUT", MR__OPTION_TIMEOUT}, {"MILLRACE_JOBS", MR__OPTION_JOBS},
    };
    const char *no_color = env("NO_COLOR");
    if (no_color != NULL && no_color[0] != '\0') {
        p->o->color = MR__COLOR_NEVER;
    }
    for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++) {
        const char *value = env(twins[i].name);
        if (value == NULL || value[0] == '\0') {
            continue;
        }
        struct mr__option option = {twins[i].id, 0, twins[i].name, "", ""};
        p->from_env = twins[i].name;
        mr_status status = set_option(p, &option, value);
        if (status != MR_OK) {
            return status;
        }
    }
    p->from_env = NULL;
    /* A command to type next need not repeat what stands in the environment. */
    p->o->store_typed = false;
    p->o->plugins_typed = false;
    return MR_OK;
}

/* ---- verbs and words ---------------------------------------------------------------------------
 */

static const struct mr__command *find_command(const struct parser *p, const char *first,
                                              const char *second)
{
    for (const struct mr__command *c = p->commands; c->name != NULL; c++) {
        size_t len = strlen(first);
        if (second == NULL ? strcmp(c->name, first) == 0
                           : strncmp(c->name, first, len) == 0 && c->name[len] == ' ' &&
                                 strcmp(c->name + len + 1, second) == 0) {
            return c;
        }
    }
    return NULL;
}

/* Whether verbs of two words begin with this one. */
static bool is_group(const struct parser *p, const char *word)
{
    size_t len = strlen(word);
    for (const struct mr__command *c = p->commands; c->name != NULL; c++) {
        if (strncmp(c->name, word, len) == 0 && c->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

/* The nearest verb, or second word of verbs that begin with `group`; NULL if none is near. */
static const char *nearest_command(const struct parser *p, const char *group, const char *word)
{
    const char *best = NULL;
    unsigned best_distance = SUGGEST_DISTANCE + 1;
    for (const struct mr__command *c = p->commands; c->name != NULL; c++) {
        const char *name = c->name; /* what is compared of it */
        if (group != NULL) {
            size_t len = strlen(group);
            if (strncmp(name, group, len) != 0 || name[len] != ' ') {
                continue;
            }
            name += len + 1;
        }
        unsigned distance = mr__text_distance(word, name, SUGGEST_DISTANCE);
        if (distance < best_distance && distance < strlen(name)) {
            best = c->name;
            best_distance = distance;
        }
    }
    return best;
}

static mr_status choose_command(struct parser *p, const struct mr__command *command)
{
    if (command->run == NULL) {
        char quoted[80];
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", command->name); /* cut if too long */
        return refuse_later(p, quoted);
    }
    p->o->command = command;
    return MR_OK;
}

static mr_status read_word(struct parser *p, const char *word)
{
    const struct mr__command *command;
    if (p->o->command != NULL) {
        return list_add(&p->o->words, word);
    }
    if (p->o->family != NULL) {
        command = find_command(p, p->o->family, word);
        if (command == NULL) {
            suggest(p, "", nearest_command(p, p->o->family, word));
            return refuse(p, "unknown verb \"%s %s\"", p->o->family, word);
        }
        return choose_command(p, command);
    }
    command = find_command(p, word, NULL);
    if (command != NULL) {
        return choose_command(p, command);
    }
    if (is_group(p, word)) {
        p->o->family = word;
        return MR_OK;
    }
    suggest(p, "", nearest_command(p, NULL, word));
    return refuse(p, "unknown verb \"%s\"", word);
}

static mr_status check_words(struct parser *p)
{
    const struct mr__command *c = p->o->command;
    if (c == NULL) {
        if (p->o->family != NULL && !p->o->help) {
            return refuse(p, "\"%s\" needs a second word: see millrace help %s", p->o->family,
                          p->o->family);
        }
        return MR_OK;
    }
    if (p->o->help) {
        return MR_OK;
    }
    if (p->o->words.count < (size_t)c->words_min) {
        return refuse(p, "%s: something is missing: millrace %s %s", c->name, c->name, c->synopsis);
    }
    if (c->words_max >= 0 && p->o->words.count > (size_t)c->words_max) {
        return refuse(p, "%s: \"%s\" is too much: millrace %s %s", c->name,
                      p->o->words.at[c->words_max], c->name, c->synopsis);
    }
    return MR_OK;
}

/* ---- options -----------------------------------------------------------------------------------
 */

static const struct mr__option *find_in(const struct mr__option *table, char letter,
                                        const char *name, size_t len)
{
    for (; table != NULL && table->id != MR__OPTION_NONE; table++) {
        if (letter != 0 ? table->letter == letter
                        : strlen(table->name) == len && strncmp(table->name, name, len) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct mr__option *find_option(const struct parser *p, char letter, const char *name,
                                            size_t len)
{
    const struct mr__option *found = find_in(mr__options_global, letter, name, len);
    if (found == NULL && p->o->command != NULL) {
        found = find_in(p->o->command->options, letter, name, len);
    }
    return found;
}

static void nearest_in(const struct mr__option *table, const char *name, const char **best,
                       unsigned *best_distance)
{
    for (; table != NULL && table->id != MR__OPTION_NONE; table++) {
        unsigned distance = mr__text_distance(name, table->name, SUGGEST_DISTANCE);
        if (distance < *best_distance && distance < strlen(table->name)) {
            *best = table->name;
            *best_distance = distance;
        }
    }
}

static mr_status refuse_option(struct parser *p, const char *dashes, const char *name, int len)
{
    const struct mr__command *command = p->o->command;
    char word[64];
    unsigned distance = SUGGEST_DISTANCE + 1;
    const char *best = NULL;
    if (command == NULL && p->o->family == NULL) {
        for (const struct mr__command *c = p->commands; c->name != NULL; c++) {
            if (find_in(c->options, dashes[1] == '\0' ? name[0] : 0, name, (size_t)len) != NULL) {
                return refuse(p, "option %s%.*s must stand after its verb", dashes, len, name);
            }
        }
    }
    if (dashes[1] == '-' && (size_t)len < sizeof word) {
        memcpy(word, name, (size_t)len);
        word[len] = '\0';
        nearest_in(mr__options_global, word, &best, &distance);
        nearest_in(command != NULL ? command->options : NULL, word, &best, &distance);
    }
    suggest(p, "--", best);
    return command == NULL
               ? refuse(p, "unknown option %s%.*s", dashes, len, name)
               : refuse(p, "%s: unknown option %s%.*s", command->name, dashes, len, name);
}

static mr_status read_long(struct parser *p, const char *arg, int *index)
{
    size_t len = strcspn(arg, "=");
    const char *value = arg[len] == '=' ? arg + len + 1 : NULL;
    if (len == 7 && strncmp(arg, "version", len) == 0 && p->o->command == NULL) {
        return read_word(p, "version");
    }
    const struct mr__option *option = find_option(p, 0, arg, len);
    if (option == NULL) {
        return refuse_option(p, "--", arg, (int)len);
    }
    if (option->id == MR__OPTION_LATER) {
        return set_option(p, option, value);
    }
    if (option->value == NULL && value != NULL) {
        return refuse(p, "--%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (*index + 1 >= p->argc) {
            return refuse(p, "--%s needs a value: %s", option->name, option->value);
        }
        value = p->argv[++*index];
    }
    return set_option(p, option, value);
}

/* -qf, -j8, -j 8, -vkey=value. */
static mr_status read_short(struct parser *p, const char *arg, int *index)
{
    for (; *arg != '\0'; arg++) {
        const char *value = NULL;
        const struct mr__option *option = find_option(p, *arg, NULL, 0);
        if (option == NULL) {
            return refuse_option(p, "-", arg, 1);
        }
        if (option->value != NULL) {
            value = arg[1] != '\0' ? arg + 1 : NULL;
            if (value == NULL && *index + 1 >= p->argc) {
                return refuse(p, "-%c needs a value: %s", *arg, option->value);
            }
            value = value != NULL ? value : p->argv[++*index];
        }
        mr_status status = set_option(p, option, value);
        if (status != MR_OK || option->value != NULL) {
            return status;
        }
    }
    return MR_OK;
}

/* ---- values ------------------------------------------------------------------------------------
 */

static mr_status refuse_value(struct parser *p, const struct mr__option *option, const char *value,
                              const char *wanted)
{
    return refuse(p, "%s%s: \"%s\" is not %s", p->from_env != NULL ? "" : "--", option->name, value,
                  wanted);
}

/* One of the words in `words` ("auto always never") as its position. */
static mr_status read_choice(struct parser *p, const struct mr__option *option, const char *value,
                             const char *const *words, int *ret_choice)
{
    char wanted[80] = "one of";
    const char *best = NULL;
    unsigned best_distance = SUGGEST_DISTANCE + 1;
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            *ret_choice = i;
            return MR_OK;
        }
        unsigned distance = mr__text_distance(value, words[i], SUGGEST_DISTANCE);
        if (distance < best_distance && distance < strlen(words[i])) {
            best = words[i];
            best_distance = distance;
        }
        size_t used = strlen(wanted);
        (void)snprintf(wanted + used, sizeof wanted - used, " %s", words[i]); /* they are short */
    }
    suggest(p, "", best);
    return refuse_value(p, option, value, wanted);
}

static mr_status read_number(struct parser *p, const struct mr__option *option, const char *value,
                             int64_t least, int64_t most, int64_t *ret_number)
{
    char wanted[80];
    char *stop;
    long long number = strtoll(value, &stop, 10);
    if (value[0] < '0' || value[0] > '9' || *stop != '\0' || number < least || number > most) {
        (void)snprintf(wanted, sizeof wanted, "a number from %lld to %lld", (long long)least,
                       (long long)most); /* fits */
        return refuse_value(p, option, value, wanted);
    }
    *ret_number = number;
    return MR_OK;
}

/* A duration back from now, an RFC 3339 time, or a day or a time of day without zone: local time.
 */
static mr_status read_since(struct parser *p, const struct mr__option *option, const char *value)
{
    struct tm tm = {.tm_isdst = -1};
    int64_t back_ms = 0;
    int used = 0;
    if (mr__text_read_duration(value, &back_ms)) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
        p->o->since_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - back_ms;
        p->o->since_ms = p->o->since_ms < 0 ? 0 : p->o->since_ms;
        return MR_OK;
    }
    if (mr__text_read_time(value, strlen(value), &p->o->since_ms)) {
        return MR_OK;
    }
    int fields = sscanf(value, "%4d-%2d-%2d%n%*1[T ]%2d:%2d%n:%2d%n", &tm.tm_year, &tm.tm_mon,
                        &tm.tm_mday, &used, &tm.tm_hour, &tm.tm_min, &used, &tm.tm_sec, &used);
    if (fields < 3 || fields == 4 || value[used] != '\0' || tm.tm_mon < 1 || tm.tm_mon > 12 ||
        tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60) {
        return refuse_value(p, option, value, "a duration (1d), a day (2026-01-31) or a time");
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    p->o->since_ms = (int64_t)mktime(&tm) * 1000;
    return MR_OK;
}

/* key=value with a key; `list` gets the whole. */
static mr_status read_pair(struct parser *p, const struct mr__option *option, const char *value,
                           struct mr__list *list)
{
    const char *equals = strchr(value, '=');
    if (equals == NULL || equals == value) {
        return refuse_value(p, option, value, "of the form KEY=VALUE");
    }
    if (!mr__text_is_utf8(value, strlen(value))) {
        return refuse(p, "--%s: the value of %.*s is not UTF-8", option->name,
                      (int)(equals - value), value);
    }
    return list_add(list, value);
}

static mr_status read_plugins(struct parser *p, const struct mr__option *option, const char *value)
{
    struct mr__options *o = p->o;
    if (p->from_env == NULL && !o->plugins_typed) {
        o->plugins.count = 0; /* options win over the environment */
        o->plugins_typed = true;
    }
    if (p->from_env == NULL && strchr(value, ':') != NULL) {
        return refuse_value(p, option, value, "possible: a folder with ':' cannot be named");
    }
    return list_add(&o->plugins, value);
}

static mr_status read_text(struct parser *p, const struct mr__option *option, const char *value,
                           const char **ret_text)
{
    if (value[0] == '\0' || !mr__text_is_utf8(value, strlen(value))) {
        return refuse_value(p, option, value, "possible: it must be UTF-8 and not empty");
    }
    *ret_text = value;
    return MR_OK;
}

/* One id, or several with ',' between: no id has one in it. */
static mr_status read_ids(struct parser *p, const struct mr__option *option, const char *value)
{
    size_t len = strlen(value);
    if (len == 0 || value[0] == ',' || value[len - 1] == ',' || strstr(value, ",,") != NULL ||
        !mr__text_is_utf8(value, len)) {
        return refuse_value(p, option, value, "a task, or several with ',' between");
    }
    return list_add(&p->o->only, value);
}

static mr_status set_number_option(struct parser *p, const struct mr__option *option,
                                   const char *value)
{
    struct mr__options *o = p->o;
    int64_t number = 0;
    mr_status status;
    switch (option->id) {
    case MR__OPTION_JOBS:
        status = read_number(p, option, value, 1, JOBS_MAX, &number);
        o->jobs = status == MR_OK ? (uint32_t)number : 0;
        return status;
    case MR__OPTION_LIMIT: return read_number(p, option, value, 0, NUMBER_MAX, &o->limit);
    case MR__OPTION_COUNT: return read_number(p, option, value, 1, COUNT_MAX, &o->count);
    case MR__OPTION_KEEP: return read_number(p, option, value, 1, NUMBER_MAX, &o->keep);
    case MR__OPTION_RUNS: return read_number(p, option, value, 1, NUMBER_MAX, &o->bench_runs);
    case MR__OPTION_IN_FLIGHT:
        return read_number(p, option, value, 1, NUMBER_MAX, &o->bench_in_flight);
    default: return read_number(p, option, value, 1, NUMBER_MAX, &o->bench_tasks);
    }
}

const char *const *mr__options_words(enum mr__option_id id)
{
    static const char *const outputs[] = {"text", "json", "jsonl", NULL};
    static const char *const colors[] = {"auto", "always", "never", NULL};
    static const char *const modes[] = {"auto", "tree", "plain", "none", NULL};
    static const char *const drawings[] = {"ascii", "dot", "mermaid", NULL};
    static const char *const langs[] = {"c", "c++", "lua", NULL};
    static const char *const compats[] = {"fastflow", NULL};
    static const char *const statuses[] = {"init",    "scheduled", "running",  "success", "failed",
                                           "blocked", "paused",    "canceled", NULL};
    switch (id) {
    case MR__OPTION_OUTPUT: return outputs;
    case MR__OPTION_COLOR: return colors;
    case MR__OPTION_PROGRESS: return modes;
    case MR__OPTION_AS: return drawings;
    case MR__OPTION_COMPAT: return compats;
    case MR__OPTION_LANG: return langs;
    case MR__OPTION_STATUS: return statuses;
    default: return NULL;
    }
}

static mr_status set_choice_option(struct parser *p, const struct mr__option *option,
                                   const char *value)
{
    const char *const *words = mr__options_words(option->id);
    int choice = 0;
    mr_status status = read_choice(p, option, value, words, &choice);
    switch (option->id) {
    case MR__OPTION_OUTPUT: p->o->output = (enum mr__output)choice; break;
    case MR__OPTION_COLOR: p->o->color = (enum mr__color)choice; break;
    case MR__OPTION_PROGRESS: p->o->progress = (enum mr__progress_mode)choice; break;
    case MR__OPTION_AS: p->o->drawing = (enum mr__drawing)choice; break;
    case MR__OPTION_LANG: p->o->lang = (enum mr__lang)choice; break;
    case MR__OPTION_COMPAT: p->o->compat = status == MR_OK; break;
    default: p->o->status = words[choice]; break;
    }
    return status;
}

static mr_status set_option(struct parser *p, const struct mr__option *option, const char *value)
{
    struct mr__options *o = p->o;
    char later[80];
    switch (option->id) {
    case MR__OPTION_STORE:
        if (value[0] == '\0') {
            return refuse_value(p, option, value, "a folder");
        }
        o->store = value;
        o->store_typed = true;
        return MR_OK;
    case MR__OPTION_PLUGINS: return read_plugins(p, option, value);
    case MR__OPTION_QUIET:
        o->quiet = p->from_env == NULL || (strcmp(value, "0") != 0 && strcmp(value, "false") != 0);
        return MR_OK;
    case MR__OPTION_AS:
    case MR__OPTION_OUTPUT:
    case MR__OPTION_COLOR:
    case MR__OPTION_COMPAT:
    case MR__OPTION_LANG:
    case MR__OPTION_PROGRESS:
    case MR__OPTION_STATUS: return set_choice_option(p, option, value);
    case MR__OPTION_TIMEOUT:
        return mr__text_read_duration(value, &o->timeout_ms)
                   ? MR_OK
                   : refuse_value(p, option, value, "a duration (300ms, 10s, 5m, 2h, 1d)");
    case MR__OPTION_OLDER:
        return mr__text_read_duration(value, &o->older_ms)
                   ? MR_OK
                   : refuse_value(p, option, value, "a duration (300ms, 10s, 5m, 2h, 1d)");
    case MR__OPTION_HELP: o->help = true; return MR_OK;
    case MR__OPTION_VAR: return read_pair(p, option, value, &o->vars);
    case MR__OPTION_TAG: return read_pair(p, option, value, &o->tags);
    case MR__OPTION_VARS_FILE: o->vars_file = value; return MR_OK;
    case MR__OPTION_KEY: return read_text(p, option, value, &o->key);
    case MR__OPTION_DAG: return read_text(p, option, value, &o->dag);
    case MR__OPTION_DAGS: return read_text(p, option, value, &o->dags);
    case MR__OPTION_DETACH: o->detach = true; return MR_OK;
    case MR__OPTION_DRY_RUN: o->dry_run = true; return MR_OK;
    case MR__OPTION_RESUME: o->resume = true; return MR_OK;
    case MR__OPTION_FOLLOW: o->follow = true; return MR_OK;
    case MR__OPTION_FROM: return read_text(p, option, value, &o->from);
    case MR__OPTION_ONLY: return read_ids(p, option, value);
    case MR__OPTION_SINCE: return read_since(p, option, value);
    case MR__OPTION_LATER:
        (void)snprintf(later, sizeof later, "--%s", option->name); /* names are short */
        return refuse_later(p, later);
    default: return set_number_option(p, option, value);
    }
}
