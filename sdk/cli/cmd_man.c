/* SPDX-License-Identifier: MIT
 *
 * man: the manual page, in roff, from the table of verbs.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/print.h"

#include <string.h>

/* Adds text as roff shows it: no dash, backslash or point at a line's beginning is a command. */
static void add_bytes(struct mr__text *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (i == 0 && (bytes[i] == '.' || bytes[i] == '\'')) {
            mr__text_puts(out, "\\&");
        }
        if (bytes[i] == '\\') {
            mr__text_puts(out, "\\e");
        } else {
            mr__text_puts(out, bytes[i] == '-' ? "\\" : "");
            mr__text_add(out, bytes + i, 1);
        }
    }
}

static void add_text(struct mr__text *out, const char *text)
{
    add_bytes(out, text, strlen(text));
}

/* A verb's help: lines with blanks before them are examples, an empty one parts paragraphs. */
static void add_help(struct mr__text *out, const char *help)
{
    bool example = false;
    while (*help != '\0') {
        size_t len = strcspn(help, "\n");
        if ((len > 0 && help[0] == ' ') != example && len > 0) {
            example = !example;
            mr__text_puts(out, example ? ".RS 2\n.nf\n" : ".fi\n.RE\n");
        }
        if (len == 0) {
            mr__text_puts(out, example ? "" : ".PP\n");
        } else {
            size_t blanks = strspn(help, " ");
            add_bytes(out, help + blanks, len - blanks);
            mr__text_puts(out, "\n");
        }
        help += len + (help[len] != '\0' ? 1 : 0);
    }
    mr__text_puts(out, example ? ".fi\n.RE\n" : "");
}

static void add_options(struct mr__text *out, const struct mr__option *option)
{
    for (; option != NULL && option->id != MR__OPTION_NONE; option++) {
        if (option->id == MR__OPTION_LATER) {
            continue;
        }
        mr__text_puts(out, ".TP\n\\fB");
        if (option->letter != 0) {
            mr__text_printf(out, "\\-%c\\fR, \\fB", option->letter);
        }
        mr__text_puts(out, "\\-\\-");
        add_text(out, option->name);
        mr__text_puts(out, "\\fR");
        if (option->value != NULL) {
            mr__text_puts(out, " \\fI");
            add_text(out, option->value);
            mr__text_puts(out, "\\fR");
        }
        mr__text_puts(out, "\n");
        add_text(out, option->help);
        mr__text_puts(out, "\n");
    }
}

static void add_command(struct mr__text *out, const struct mr__command *command)
{
    mr__text_puts(out, ".SS \"");
    add_text(out, command->name);
    mr__text_puts(out, command->synopsis[0] != '\0' ? " " : "");
    add_text(out, command->synopsis);
    mr__text_puts(out, "\"\n");
    add_text(out, command->summary);
    mr__text_puts(out, ".\n");
    if (command->help[0] != '\0') {
        mr__text_puts(out, command->help[0] != ' ' ? ".PP\n" : "");
        add_help(out, command->help);
    }
    add_options(out, command->options);
}

static void add_commands(struct mr__text *out, const struct mr__command *commands)
{
    const char *group = NULL;
    for (const struct mr__command *first = commands; first->name != NULL; first++) {
        bool seen = false;
        for (const struct mr__command *c = commands; c != first; c++) {
            seen = seen || c->group == first->group;
        }
        if (seen) {
            continue;
        }
        group = first->group;
        mr__text_printf(out, ".SH \"VERBS: %s\"\n", group);
        for (const struct mr__command *c = first; c->name != NULL; c++) {
            if (c->group == group && c->run != NULL) {
                add_command(out, c);
            }
        }
    }
}

static void add_exit_codes(struct mr__text *out)
{
    static const struct {
        int code;
        const char *meaning;
    } codes[] = {{MR__EXIT_OK, "the run succeeded; the command was done"},
                 {MR__EXIT_FAILED, "the run failed or was canceled"},
                 {MR__EXIT_USAGE, "bad usage, or a variable that does not fit"},
                 {MR__EXIT_DEFINITION, "the definition is invalid"},
                 {MR__EXIT_DENIED, "not allowed"},
                 {MR__EXIT_NOT_FOUND, "not found: run, dag, file, or action at resume"},
                 {MR__EXIT_CONFLICT, "conflict: duplicate key, wrong state, stopped dag"},
                 {MR__EXIT_STORE, "the store or its owner is unreachable, unusable or full"},
                 {MR__EXIT_BLOCKED, "the run stopped as blocked: it needs continue"},
                 {MR__EXIT_TIMEOUT, "--timeout passed"},
                 {MR__EXIT_INTERRUPTED, "interrupted"},
                 {MR__EXIT_TERMINATED, "terminated"}};
    mr__text_puts(out, ".SH \"EXIT STATUS\"\n");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        mr__text_printf(out, ".TP\n%d\n", codes[i].code);
        add_text(out, codes[i].meaning);
        mr__text_puts(out, "\n");
    }
}

int mr__cmd_man(struct mr__cli *cli)
{
    struct mr__text out = {0};
    mr__text_printf(&out, ".TH MILLRACE 1 \"\" \"millrace %s\" \"User Commands\"\n", mr_version());
    mr__text_puts(
        &out, ".SH NAME\nmillrace \\- runs dags of tasks, durably\n"
              ".SH SYNOPSIS\n\\fBmillrace\\fR \\fIVERB\\fR [\\fIOPTIONS\\fR] [\\fIWORDS\\fR]\n"
              ".SH DESCRIPTION\n"
              "Runs files that say which tasks there are and what they depend on. What was "
              "accepted survives\nkill \\-9. No daemon is needed: whoever opens the store first "
              "holds it, and every other command\nworks through that process.\n"
              ".PP\nA \\fIRUN\\fR is an id, four or more characters of its beginning or end, or "
              "\\- for the latest, which is also\nmeant where it is left out. A word with / or "
              "ending in .yaml, .yml or .json is a \\fIFILE\\fR, any other\na \\fIDAG\\fR of the "
              "store. Options stand before or after the words; \\-\\- ends them.\n"
              ".SH OPTIONS\nEvery verb takes these.\n");
    add_options(&out, mr__options_global);
    add_commands(&out, cli->commands);
    add_exit_codes(&out);
    mr__text_puts(
        &out,
        ".SH ENVIRONMENT\n"
        "MILLRACE_STORE, MILLRACE_PLUGINS, MILLRACE_OUTPUT, MILLRACE_QUIET, "
        "MILLRACE_COLOR, MILLRACE_PROGRESS,\nMILLRACE_TIMEOUT and MILLRACE_JOBS stand for "
        "the options of these names, which win. NO_COLOR is\nhonoured.\n"
        ".TP\nMILLRACE_HTTP_ALLOW, MILLRACE_HTTP_DENY, MILLRACE_HTTP_CA_FILE\nof the owner: "
        "the addresses that http and notify may reach, and whom they trust\n"
        ".TP\nMILLRACE_HOST\nof the owner: the program in which isolated actions run, where it "
        "is not beside the plugins\n"
        ".SH FILES\n.TP\n$XDG_STATE_HOME/millrace, ~/.local/state/millrace, "
        "/var/lib/millrace\nthe store, where \\-\\-store does not say another\n");
    if (out.failed) {
        mr__text_finish(&out);
        return mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
    }
    mr__print_out(cli, out.at, out.len);
    mr__text_finish(&out);
    return MR__EXIT_OK;
}
