/* SPDX-License-Identifier: MIT
 *
 * completion: what completes commands in bash, zsh and fish, from the table of verbs. Each script
 * finds the verb among the words that stand, and offers its options, their words, or files.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <stdio.h>
#include <string.h>

/* ---- the table ----------------------------------------------------------------------------- */

typedef void (*option_fn)(struct mr__text *out, const struct mr__option *option, void *user);

static void each_option(struct mr__text *out, const struct mr__option *option, option_fn fn,
                        void *user)
{
    for (; option != NULL && option->id != MR__OPTION_NONE; option++) {
        if (option->id != MR__OPTION_LATER) {
            fn(out, option, user);
        }
    }
}

/* Every option once, the global ones first. */
static void each_name(struct mr__text *out, const struct mr__command *commands, option_fn fn,
                      void *user)
{
    each_option(out, mr__options_global, fn, user);
    for (const struct mr__command *c = commands; c->name != NULL; c++) {
        for (const struct mr__option *o = c->options; o != NULL && o->id != MR__OPTION_NONE; o++) {
            bool seen = o->id == MR__OPTION_LATER;
            for (const struct mr__command *b = commands; b != c && !seen; b++) {
                for (const struct mr__option *p = b->options;
                     p != NULL && p->id != MR__OPTION_NONE && !seen; p++) {
                    seen = strcmp(p->name, o->name) == 0;
                }
            }
            if (!seen) {
                fn(out, o, user);
            }
        }
    }
}

/* Whether this is the first verb that begins with this word of two. */
static bool begins_group(const struct mr__command *commands, const struct mr__command *command,
                         size_t len)
{
    for (const struct mr__command *c = commands; c != command; c++) {
        if (strncmp(c->name, command->name, len) == 0 && c->name[len] == ' ') {
            return false;
        }
    }
    return true;
}

/* Adds what may follow `group` ("": the first word of a verb), as `fn` writes a word and what it
 * is. */
static void each_word(struct mr__text *out, const struct mr__command *commands, const char *group,
                      void (*fn)(struct mr__text *out, const char *word, size_t len,
                                 const char *summary))
{
    size_t group_len = strlen(group);
    for (const struct mr__command *c = commands; c->name != NULL; c++) {
        size_t first = strcspn(c->name, " ");
        if (c->run == NULL) {
            continue;
        }
        if (group_len == 0) {
            bool two = c->name[first] == ' ';
            if (!two || begins_group(commands, c, first)) {
                fn(out, c->name, first, two ? "" : c->summary);
            }
        } else if (first == group_len && strncmp(c->name, group, group_len) == 0 &&
                   c->name[first] == ' ') {
            fn(out, c->name + first + 1, strlen(c->name + first + 1), c->summary);
        }
    }
}

/* Adds one word, quoted for a shell. */
static void add_quoted(struct mr__text *out, const char *format, const char *word, size_t len,
                       const char *summary)
{
    char text[256];
    (void)snprintf(text, sizeof text, format, (int)len, word, summary); /* they are short */
    mr__text_shell(out, text);
}

/* ---- bash ---------------------------------------------------------------------------------- */

static void bash_word(struct mr__text *out, const char *word, size_t len, const char *summary)
{
    mr__text_printf(out, "%.*s ", (int)len, word);
}

static void bash_option(struct mr__text *out, const struct mr__option *option, void *user)
{
    mr__text_printf(out, "--%s ", option->name);
}

/* Which options that take a value are listed, and whether one was. */
struct valued {
    bool any_text; /* those alone whose value is no word of a list */
    bool listed;
};

/* "--store|-s" of those that take a value, '|' between. */
static void bash_valued(struct mr__text *out, const struct mr__option *option, void *user)
{
    struct valued *valued = user;
    if (option->value == NULL || (valued->any_text && mr__options_words(option->id) != NULL)) {
        return;
    }
    mr__text_printf(out, "%s--%s", valued->listed ? "|" : "", option->name);
    if (option->letter != 0) {
        mr__text_printf(out, "|-%c", option->letter);
    }
    valued->listed = true;
}

static void add_choices(struct mr__text *out, const struct mr__option *option)
{
    const char *const *words = mr__options_words(option->id);
    for (; words != NULL && *words != NULL; words++) {
        mr__text_printf(out, "%s%s", *words, words[1] != NULL ? " " : "");
    }
}

static void bash_choice(struct mr__text *out, const struct mr__option *option, void *user)
{
    if (option->value == NULL || mr__options_words(option->id) == NULL) {
        return;
    }
    mr__text_printf(out, "    --%s", option->name);
    if (option->letter != 0) {
        mr__text_printf(out, "|-%c", option->letter);
    }
    mr__text_puts(out, ") words=\"");
    add_choices(out, option);
    mr__text_puts(out, "\" ;;\n");
}

/* The verb of the words before the cursor, as both bash and zsh read it; `at`: where they begin. */
static void add_verb_loop(struct mr__text *out, const struct mr__command *commands,
                          const char *words, const char *from, const char *to)
{
    struct valued valued = {0};
    mr__text_printf(out, "  for ((i = %s; i < %s; i++)); do\n    case \"${%s[i]}\" in\n      ",
                    from, to, words);
    each_name(out, commands, bash_valued, &valued);
    mr__text_printf(out,
                    ") ((i++)) ;;\n      --) break ;;\n      -*) ;;\n      *)\n"
                    "        if [[ -z $verb ]]; then\n          verb=${%s[i]}\n"
                    "        elif [[ $verb != *\" \"* ]]; then\n          case $verb in\n"
                    "            ",
                    words);
    bool any = false;
    for (const struct mr__command *c = commands; c->name != NULL; c++) {
        size_t len = strcspn(c->name, " ");
        if (c->name[len] == ' ' && c->run != NULL && begins_group(commands, c, len)) {
            mr__text_printf(out, "%s%.*s", any ? "|" : "", (int)len, c->name);
            any = true;
        }
    }
    mr__text_printf(out,
                    ") verb=\"$verb ${%s[i]}\" ;;\n          esac\n        fi\n        ;;\n"
                    "    esac\n  done\n",
                    words);
}

/* A case of each verb, and of each first word of two, that sets what is offered. */
static void add_verb_cases(struct mr__text *out, const struct mr__command *commands,
                           void (*word)(struct mr__text *, const char *, size_t, const char *),
                           option_fn option, const char *begin, const char *end)
{
    mr__text_printf(out, "    \"\") %s", begin);
    each_word(out, commands, "", word);
    mr__text_printf(out, "%s ;;\n", end);
    for (const struct mr__command *c = commands; c->name != NULL; c++) {
        size_t len = strcspn(c->name, " ");
        if (c->run == NULL) {
            continue;
        }
        if (c->name[len] == ' ' && begins_group(commands, c, len)) {
            char group[64];
            (void)snprintf(group, sizeof group, "%.*s", (int)len, c->name); /* verbs are short */
            mr__text_printf(out, "    %s) %s", group, begin);
            each_word(out, commands, group, word);
            mr__text_printf(out, "%s ;;\n", end);
        }
        mr__text_printf(out, "    \"%s\") %s", c->name, begin);
        each_option(out, c->options, option, NULL);
        mr__text_printf(out, "%s ;;\n", end);
    }
}

static void write_bash(struct mr__text *out, const struct mr__command *commands)
{
    mr__text_puts(out, "# bash completion for millrace: made by `millrace completion bash`.\n"
                       "_millrace() {\n"
                       "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                       "  local verb=\"\" words=\"\" i\n");
    add_verb_loop(out, commands, "COMP_WORDS", "1", "COMP_CWORD");
    mr__text_puts(out, "  case $prev in\n");
    each_name(out, commands, bash_choice, NULL);
    struct valued valued = {.any_text = true};
    mr__text_puts(out, "    ");
    each_name(out, commands, bash_valued, &valued);
    mr__text_puts(out, ")\n      mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                       "      return\n      ;;\n  esac\n"
                       "  if [[ -n $words ]]; then\n"
                       "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                       "    return\n  fi\n"
                       "  case $verb in\n");
    add_verb_cases(out, commands, bash_word, bash_option, "words=\"", "\"");
    mr__text_puts(out, "  esac\n  if [[ $cur == -* ]]; then\n    words+=\" ");
    each_option(out, mr__options_global, bash_option, NULL);
    mr__text_puts(out, "\"\n  elif [[ $words == *--* || ( -z $words && -n $verb ) ]]; then\n"
                       "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n    return\n  fi\n"
                       "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
                       "complete -o filenames -F _millrace millrace\n");
}

/* ---- zsh ----------------------------------------------------------------------------------- */

static void zsh_word(struct mr__text *out, const char *word, size_t len, const char *summary)
{
    add_quoted(out, summary[0] != '\0' ? "%.*s:%s" : "%.*s%s", word, len, summary);
    mr__text_puts(out, " ");
}

static void zsh_option(struct mr__text *out, const struct mr__option *option, void *user)
{
    char name[64];
    (void)snprintf(name, sizeof name, "--%s", option->name); /* names are short */
    add_quoted(out, "%.*s:%s", name, strlen(name), option->help);
    mr__text_puts(out, " ");
}

static void zsh_choice(struct mr__text *out, const struct mr__option *option, void *user)
{
    if (option->value == NULL || mr__options_words(option->id) == NULL) {
        return;
    }
    mr__text_printf(out, "    --%s", option->name);
    if (option->letter != 0) {
        mr__text_printf(out, "|-%c", option->letter);
    }
    mr__text_puts(out, ") list=(");
    add_choices(out, option);
    mr__text_puts(out, "); _describe value list; return ;;\n");
}

static void write_zsh(struct mr__text *out, const struct mr__command *commands)
{
    mr__text_puts(out, "#compdef millrace\n"
                       "# zsh completion for millrace: made by `millrace completion zsh`.\n"
                       "_millrace() {\n  local verb=\"\" i\n  local -a list\n");
    add_verb_loop(out, commands, "words", "2", "CURRENT");
    mr__text_puts(out, "  case ${words[CURRENT-1]} in\n");
    each_name(out, commands, zsh_choice, NULL);
    struct valued valued = {.any_text = true};
    mr__text_puts(out, "    ");
    each_name(out, commands, bash_valued, &valued);
    mr__text_puts(out, ") _files; return ;;\n  esac\n  case $verb in\n");
    add_verb_cases(out, commands, zsh_word, zsh_option, "list=(", ")");
    mr__text_puts(out, "  esac\n  if [[ ${words[CURRENT]} == -* ]]; then\n    list+=(");
    each_option(out, mr__options_global, zsh_option, NULL);
    mr__text_puts(out, ")\n  elif [[ -n $verb && ( ${#list} -eq 0 || ${list[1]} == --* ) ]]; then\n"
                       "    _files\n    return\n  fi\n"
                       "  _describe millrace list\n}\n"
                       "if [[ $funcstack[1] == _millrace ]]; then\n  _millrace \"$@\"\nelse\n"
                       "  compdef _millrace millrace\nfi\n");
}

/* ---- fish ---------------------------------------------------------------------------------- */

static void fish_word(struct mr__text *out, const char *word, size_t len, const char *summary)
{
    mr__text_printf(out, " -f -a %.*s -d ", (int)len, word);
    mr__text_puts(out, "\"");
    for (; *summary != '\0'; summary++) {
        mr__text_puts(out, strchr("\"\\$", *summary) != NULL ? "\\" : "");
        mr__text_add(out, summary, 1);
    }
    mr__text_puts(out, "\"\n");
}

/* `user`: the condition, or NULL. */
static void fish_option(struct mr__text *out, const struct mr__option *option, void *user)
{
    const char *condition = user;
    mr__text_puts(out, "complete -c millrace");
    if (condition != NULL) {
        mr__text_printf(out, " -n \"%s\"", condition);
    }
    mr__text_printf(out, " -l %s", option->name);
    if (option->letter != 0) {
        mr__text_printf(out, " -s %c", option->letter);
    }
    if (option->value != NULL && mr__options_words(option->id) != NULL) {
        mr__text_puts(out, " -x -a \"");
        add_choices(out, option);
        mr__text_puts(out, "\"");
    } else if (option->value != NULL) {
        mr__text_puts(out, " -r");
    }
    mr__text_puts(out, " -d \"");
    for (const char *help = option->help; *help != '\0'; help++) {
        mr__text_puts(out, strchr("\"\\$", *help) != NULL ? "\\" : "");
        mr__text_add(out, help, 1);
    }
    mr__text_puts(out, "\"\n");
}

static void write_fish(struct mr__text *out, const struct mr__command *commands)
{
    mr__text_puts(out, "# fish completion for millrace: made by `millrace completion fish`.\n");
    each_option(out, mr__options_global, fish_option, NULL);
    for (const struct mr__command *c = commands; c->name != NULL; c++) {
        char condition[128];
        size_t len = strcspn(c->name, " ");
        bool two = c->name[len] == ' ';
        if (c->run == NULL) {
            continue;
        }
        if (!two || begins_group(commands, c, len)) {
            mr__text_puts(out, "complete -c millrace -n __fish_use_subcommand");
            fish_word(out, c->name, len, two ? "" : c->summary);
        }
        if (two) {
            mr__text_printf(out, "complete -c millrace -n \"__fish_seen_subcommand_from %.*s\"",
                            (int)len, c->name);
            fish_word(out, c->name + len + 1, strlen(c->name + len + 1), c->summary);
            (void)snprintf(condition, sizeof condition,
                           "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s",
                           (int)len, c->name, c->name + len + 1); /* verbs are short */
        } else {
            (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %s",
                           c->name); /* likewise */
        }
        each_option(out, c->options, fish_option, condition);
    }
}

int mr__cmd_completion(struct mr__cli *cli)
{
    static const struct {
        const char *shell;
        void (*write)(struct mr__text *out, const struct mr__command *commands);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    const char *word = cli->options.words.at[0];
    struct mr__text out = {0};
    int code = MR__EXIT_OK;
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].shell, word) == 0) {
            shells[i].write(&out, cli->commands);
        }
    }
    if (out.failed) {
        code = mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
    } else if (out.len == 0) {
        code = mr__print_error(cli, MR_EINVAL, NULL,
                               "completion: \"%s\" is not one of bash zsh fish", word);
    } else {
        mr__print_out(cli, out.at, out.len);
    }
    mr__text_finish(&out);
    return code;
}
