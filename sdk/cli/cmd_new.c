/* SPDX-License-Identifier: MIT
 *
 * plugin new, init: writes files to begin with. Nothing that exists is ever written over, and what
 * could not be finished is taken away again.
 */
#include "sdk/cli/commands.h"
#include "sdk/cli/plugin_files.h"
#include "sdk/cli/print.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES_MAX 64
#define ID_BYTES_MAX   128 /* of a dag */

/* Adds `text` with each '@' replaced. */
static void fill(struct mr__text *out, const char *text, const char *name)
{
    for (const char *at; (at = strchr(text, '@')) != NULL; text = at + 1) {
        mr__text_add(out, text, (size_t)(at - text));
        mr__text_puts(out, name);
    }
    mr__text_puts(out, text);
}

/* Makes a file that must not exist. 0, or errno; then there is none. */
static int make_file(const char *path, const struct mr__text *text)
{
    int number = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return errno;
    }
    for (size_t done = 0; done < text->len && number == 0;) {
        ssize_t n = write(fd, text->at + done, text->len - done);
        done += n > 0 ? (size_t)n : 0;
        number = n < 0 && errno != EINTR ? errno : 0;
    }
    if (close(fd) != 0 && number == 0) {
        number = errno;
    }
    if (number != 0) {
        (void)unlink(path); /* it was made here; what went wrong is told anyway */
    }
    return number;
}

static int refuse(struct mr__cli *cli, const char *path, int number)
{
    mr_status status = number == EEXIST                       ? MR_ECONFLICT
                       : number == EACCES                     ? MR_EPERM
                       : number == ENOENT                     ? MR_ENOTFOUND
                       : number == ENOSPC || number == EDQUOT ? MR_EFULL
                                                              : MR_EIO;
    return mr__print_error(cli, status, NULL, "%s: %s", path, strerror(number));
}

/* ---- plugin new ---------------------------------------------------------------------------- */

/* The name is the action's, a file's and a folder's. */
static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_BYTES_MAX && strspn(name, letters) > 0 &&
           strspn(name, others) == len;
}

/* Whether an action of this name is there already, so that the new plugin would be refused where
 * it is loaded: asked as a dag file would, without a store. */
static bool is_taken(struct mr__cli *cli, const char *name)
{
    struct mr__text dag = {0};
    char *json = NULL;
    mr_error error;
    mr__text_printf(&dag, "tasks: [{id: a, action: \"%s\"}]", name);
    mr_status status = mr_validate(NULL, mr__text_str(&dag), dag.len,
                                   cli->plugins.len > 0 ? cli->plugins.at : NULL, &json, &error);
    bool taken = status == MR_OK ||
                 (status == MR_EDEFINITION && json != NULL && strstr(json, "\"E201\"") == NULL);
    mr_free(json);
    mr__text_finish(&dag);
    return taken;
}

/* Writes all files into the folder, or none. Their paths go to `paths`, NUL after each. */
static int make_files(struct mr__cli *cli, const char *name, struct mr__text *paths)
{
    const struct mr__plugin_file *files = mr__plugin_files(cli->options.lang);
    int code = MR__EXIT_OK;
    for (size_t i = 0; files[i].name != NULL && code == MR__EXIT_OK; i++) {
        struct mr__text text = {0};
        size_t begin = paths->len;
        mr__text_printf(paths, "%s/", name);
        fill(paths, files[i].name, name);
        mr__text_add(paths, "", 1);
        fill(&text, files[i].text, name);
        if (paths->failed || text.failed) {
            code = mr__print_error(cli, MR_ENOMEM, NULL, "out of memory");
            paths->len = begin;
        } else {
            int number = make_file(paths->at + begin, &text);
            if (number != 0) {
                code = refuse(cli, paths->at + begin, number);
                paths->len = begin;
            }
        }
        mr__text_finish(&text);
    }
    for (size_t at = 0; code != MR__EXIT_OK && at < paths->len; at += strlen(paths->at + at) + 1) {
        (void)unlink(paths->at + at); /* a rest that stays does no harm */
    }
    return code;
}

/* On stderr, what to type next. */
static void tell_next(struct mr__cli *cli, const char *name)
{
    static const char *const compilers[] = {"cc", "c++ -std=c++17", NULL}; /* of each language */
    static const char *const endings[] = {"c", "cc", "lua"};
    const char *compiler = compilers[cli->options.lang], *ending = endings[cli->options.lang];
    if (compiler != NULL) {
        mr__print_talk(cli, "cd %s && %s -shared -fPIC -o %s.so %s.%s", name, compiler, name, name,
                       ending);
    } else {
        mr__print_talk(cli, "cd %s", name);
    }
    mr__print_talk(cli, "%s plugin check %s.%s", cli->program, name,
                   compiler != NULL ? "so" : ending);
    mr__print_talk(cli, "%s run --plugins . test.yaml", cli->program);
}

/* The files, as -o says. */
static void tell_files(struct mr__cli *cli, const char *name, const struct mr__text *paths)
{
    bool json = mr__print_is_json(cli);
    struct mr__text text = {0};
    mr__text_puts(&text, json ? "{\"plugin\":" : "");
    if (json) {
        mr__text_json(&text, name, strlen(name));
        mr__text_puts(&text, ",\"files\":[");
    }
    for (size_t at = 0; at < paths->len; at += strlen(paths->at + at) + 1) {
        if (json) {
            mr__text_puts(&text, at > 0 ? "," : "");
            mr__text_json(&text, paths->at + at, strlen(paths->at + at));
        } else {
            mr__text_printf(&text, "%s\n", paths->at + at);
        }
    }
    mr__text_puts(&text, json ? "]}\n" : "");
    mr__print_out(cli, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}

int mr__cmd_plugin_new(struct mr__cli *cli)
{
    const char *name = cli->options.words.at[0];
    struct mr__text paths = {0};
    if (!is_name(name)) {
        return mr__print_error(cli, MR_EINVAL, NULL,
                               "plugin new: \"%s\" is no name: a letter, then letters, digits, - "
                               "and _, %d at most",
                               name, NAME_BYTES_MAX);
    }
    if (is_taken(cli, name)) {
        return mr__print_error(cli, MR_ECONFLICT, NULL, "there is an action \"%s\" already", name);
    }
    /* Not for others to write, whatever the umask is: such a folder's plugins are refused. */
    if (mkdir(name, 0755) != 0) {
        return refuse(cli, name, errno);
    }
    int code = make_files(cli, name, &paths);
    if (code == MR__EXIT_OK) {
        tell_files(cli, name, &paths);
        if (!cli->options.quiet) {
            tell_next(cli, name);
        }
    } else {
        (void)rmdir(name); /* made here; not empty if somebody else wrote into it */
    }
    mr__text_finish(&paths);
    return code;
}

/* ---- init ---------------------------------------------------------------------------------- */

static const char dag_text[] =
    "# millrace run @\n"
    "# millrace run @ -v who=Ada\n"
    "\n"
    "vars:\n"
    "  who: {desc: whom to greet, defaultValue: world}\n"
    "\n"
    "tasks:\n"
    "  # A command. Values reach it through env:, never as a part of its text.\n"
    "  - id: greet\n"
    "    env: {WHO: \"{{who}}\"}\n"
    "    run: echo \"hello $WHO\"\n"
    "\n"
    "  # Begins once what it depends on has ended well; Lua sees its output.\n"
    "  - id: measure\n"
    "    dependOn: [greet]\n"
    "    lua: return #tasks.greet.output\n"
    "\n"
    "  # What else a task can say, of how it is run and whether:\n"
    "  - id: report\n"
    "    dependOn: [measure]\n"
    "    timeout: 1m                        # of each attempt\n"
    "    retry: {max: 3, delay: 1s, backoff: exponential}\n"
    "    skipIf: vars.who == 'nobody'       # also runIf and blockIf\n"
    "    env: {LEN: \"{{tasks.measure.output}}\"}\n"
    "    run: echo \"$LEN characters\"\n";

/* NAME.yaml, or NAME where it ends so. What stands before is the dag's id, and must be one. */
static bool add_path(struct mr__text *path, const char *name)
{
    static const char *const endings[] = {".yaml", ".yml"};
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    size_t len = strlen(base);
    size_t id_len = len;
    for (size_t i = 0; i < 2; i++) {
        size_t ending = strlen(endings[i]);
        if (id_len == len && len > ending && strcmp(base + len - ending, endings[i]) == 0) {
            id_len = len - ending;
        }
    }
    for (size_t i = 0; i < id_len; i++) {
        unsigned char c = (unsigned char)base[i];
        if (c <= ' ' || c == 0x7f || strchr("[],", c) != NULL) {
            return false;
        }
    }
    mr__text_puts(path, name);
    mr__text_puts(path, id_len == len ? ".yaml" : "");
    return id_len > 0 && id_len <= ID_BYTES_MAX && base[0] != '.' && base[0] != '-' &&
           mr__text_is_utf8(name, strlen(name));
}

int mr__cmd_init(struct mr__cli *cli)
{
    const struct mr__list *words = &cli->options.words;
    const char *name = words->count > 0 ? words->at[0] : "dag";
    struct mr__text path = {0};
    struct mr__text word = {0};
    struct mr__text text = {0};
    int code = MR__EXIT_OK;
    if (!add_path(&path, name)) {
        code = mr__print_error(cli, MR_EINVAL, NULL,
                               "init: \"%s\" is no name for a dag: 1 to %d bytes without [ ] , "
                               "blanks or control characters",
                               name, ID_BYTES_MAX);
    } else {
        mr__text_shell(&word, mr__text_str(&path));
        fill(&text, dag_text, mr__text_str(&word));
        int number = path.failed || word.failed || text.failed ? ENOMEM : make_file(path.at, &text);
        code = number != 0 ? refuse(cli, mr__text_str(&path), number) : MR__EXIT_OK;
    }
    if (code == MR__EXIT_OK) {
        mr__text_clear(&text);
        mr__text_puts(&text, mr__print_is_json(cli) ? "{\"file\":" : "");
        if (mr__print_is_json(cli)) {
            mr__text_json(&text, path.at, path.len);
        } else {
            mr__text_puts(&text, path.at);
        }
        mr__text_puts(&text, mr__print_is_json(cli) ? "}\n" : "\n");
        mr__print_out(cli, mr__text_str(&text), text.len);
        if (!cli->options.quiet) {
            mr__print_talk(cli, "%s run %s", cli->program, mr__text_str(&word));
        }
    }
    mr__text_finish(&path);
    mr__text_finish(&word);
    mr__text_finish(&text);
    return code;
}
