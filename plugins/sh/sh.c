/* SPDX-License-Identifier: MIT
 *
 * The action `sh`: a shell script in a child process. Loop; the child is the host's (mr_spawn).
 *
 * The host gives the child the folder, both streams to the log, and MILLRACE_STORE, MILLRACE_RUN,
 * MILLRACE_TASK, MILLRACE_ATTEMPT and MILLRACE_IDEMPOTENCY_KEY. What is done here: the environment
 * of the param `env`, the output from stdout, and the reason of a failure. A struct of ours lives
 * as long as the attempt; only the buffer of a JSON output is on the heap, freed when the child is
 * gone.
 */
#include <millrace/plugin.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_BYTES     4096u       /* of an output as text: the last ones */
#define JSON_BYTES_MAX (16u << 20) /* of an output as JSON */

enum output_mode { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_NONE };

/* Growing text; `failed` once out of memory or, for an output, too long. */
struct text {
    char *bytes;
    size_t len, cap;
    int failed;
};

struct script {
    enum output_mode mode;
    struct text json;
    char tail[2 * TEXT_BYTES]; /* the end of stdout, without newlines at its own end */
    size_t tail_len;
    size_t newlines; /* seen after it, not yet followed by anything else */
    int was_cut;     /* something stood before the tail */
};

static mr_status make_env(mr_task *t, const char *const **ret_env);
static void on_output(mr_task *t, uint32_t stream, const char *bytes, size_t len);
static void on_exit_of_shell(mr_task *t, int32_t exit_code, int32_t signal_number);

static mr_status sh_run(mr_task *t)
{
    const char *mode = mr_param_str(t, "output");
    const char *argv[] = {"/bin/sh", "-ec", mr_param_str(t, "run"), NULL};
    struct script *script = mr_alloc(t, sizeof *script);
    mr_process process;
    mr_status status;
    if (script == NULL) {
        return MR_ENOMEM;
    }
    if (strcmp(mode, "json") == 0) {
        script->mode = OUTPUT_JSON;
    } else if (strcmp(mode, "none") == 0) {
        script->mode = OUTPUT_NONE;
    } else if (strcmp(mode, "text") != 0) {
        return mr_fail(t, MR_EINVAL, "output: \"%.64s\" is none of text, json, none", mode);
    }
    memset(&process, 0, sizeof process);
    process.size = sizeof process;
    process.argv = argv;
    process.on_output = on_output;
    process.on_exit = on_exit_of_shell;
    status = make_env(t, &process.env);
    if (status != MR_OK) {
        return status;
    }
    mr_set_data(t, script);
    status = mr_spawn(t, &process);
    return status == MR_OK ? MR_PENDING : status;
}

/* ---- text -------------------------------------------------------------------------------------
 */

static void text_add(struct text *text, const char *bytes, size_t len)
{
    if (!text->failed && text->cap - text->len <= len) {
        size_t cap = text->cap == 0 ? 256 : text->cap;
        char *grown;
        while (cap - text->len <= len) {
            cap *= 2;
        }
        grown = realloc(text->bytes, cap);
        if (grown == NULL) {
            text->failed = 1;
        } else {
            text->bytes = grown;
            text->cap = cap;
        }
    }
    if (!text->failed) {
        if (len > 0) {
            memcpy(text->bytes + text->len, bytes, len);
        }
        text->len += len;
        text->bytes[text->len] = '\0';
    }
}

static void text_puts(struct text *text, const char *s)
{
    text_add(text, s, strlen(s));
}

static void json_string(struct text *text, const char *bytes, size_t len)
{
    char escape[8];
    size_t i;
    text_puts(text, "\"");
    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\') {
            (void)snprintf(escape, sizeof escape, "\\%c", c);
            text_puts(text, escape);
        } else if (c < 0x20) {
            (void)snprintf(escape, sizeof escape, c == '\n' ? "\\n" : "\\u%04x", c);
            text_puts(text, escape);
        } else {
            text_add(text, bytes + i, 1);
        }
    }
    text_puts(text, "\"");
}

/* The shortest text that reads back as the same number, and as one with a fraction. */
static void json_number(struct text *text, double v)
{
    char number[40];
    char *point;
    int digits;
    for (digits = 15; digits <= 17; digits++) {
        (void)snprintf(number, sizeof number, "%.*g", digits, v);
        if (strtod(number, NULL) == v) {
            break;
        }
    }
    point = strchr(number, ','); /* the host program's locale */
    if (point != NULL) {
        *point = '.';
    }
    text_puts(text, number);
    if (strpbrk(number, ".e") == NULL) {
        text_puts(text, ".0");
    }
}

/* The host bounds the depth of what it hands us. */
static void json_value(struct text *text, const mr_value *v)
{
    char number[24];
    uint32_t i;
    switch (v->type) {
    case MR_NULL: text_puts(text, "null"); break;
    case MR_BOOL: text_puts(text, v->u.i != 0 ? "true" : "false"); break;
    case MR_INT:
        (void)snprintf(number, sizeof number, "%lld", (long long)v->u.i);
        text_puts(text, number);
        break;
    case MR_NUMBER: json_number(text, v->u.d); break;
    case MR_STRING: json_string(text, v->u.s, v->len); break;
    default:
        text_puts(text, v->type == MR_LIST ? "[" : "{");
        for (i = 0; i < v->len; i++) {
            text_puts(text, i == 0 ? "" : ",");
            if (v->type == MR_MAP) {
                json_string(text, v->u.map[i].key, strlen(v->u.map[i].key));
                text_puts(text, ":");
            }
            json_value(text, v->type == MR_LIST ? &v->u.list[i] : &v->u.map[i].value);
        }
        text_puts(text, v->type == MR_LIST ? "]" : "}");
    }
}

/* "NAME=value" of each member of `env`: text as it is, null as nothing, anything else as JSON. */
static mr_status make_env(mr_task *t, const char *const **ret_env)
{
    const mr_value *map = mr_param_get(t, "env");
    uint32_t i, count = map->type == MR_MAP ? map->len : 0;
    const char **env = mr_alloc(t, (count + 1) * sizeof *env);
    if (env == NULL) {
        return MR_ENOMEM;
    }
    for (i = 0; i < count; i++) {
        const char *name = map->u.map[i].key;
        const mr_value *value = &map->u.map[i].value;
        struct text text = {NULL, 0, 0, 0};
        if (*name == '\0' || strchr(name, '=') != NULL) {
            return mr_fail(t, MR_EINVAL, "env: \"%.64s\" is no name of a variable", name);
        }
        if (value->type != MR_STRING && value->type != MR_NULL) {
            json_value(&text, value);
        }
        if (!text.failed) {
            env[i] = mr_printf(t, "%s=%s", name,
                               text.bytes != NULL ? text.bytes : mr_value_str(value, ""));
        }
        free(text.bytes);
        if (env[i] == NULL) {
            return MR_ENOMEM;
        }
    }
    *ret_env = env;
    return MR_OK;
}

/* ---- output -----------------------------------------------------------------------------------
 */

static void tail_add(struct script *script, const char *bytes, size_t len)
{
    if (len >= TEXT_BYTES) {
        script->was_cut = script->was_cut || script->tail_len > 0 || len > TEXT_BYTES;
        memcpy(script->tail, bytes + len - TEXT_BYTES, TEXT_BYTES);
        script->tail_len = TEXT_BYTES;
        return;
    }
    if (script->tail_len + len > sizeof script->tail) {
        size_t keep = TEXT_BYTES - len;
        memmove(script->tail, script->tail + script->tail_len - keep, keep);
        script->tail_len = keep;
        script->was_cut = 1;
    }
    memcpy(script->tail + script->tail_len, bytes, len);
    script->tail_len += len;
}

static void on_output(mr_task *t, uint32_t stream, const char *bytes, size_t len)
{
    static const char newlines[64] =
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
        "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n";
    struct script *script = mr_data(t);
    size_t end = len;
    if (stream != MR_STDOUT || script->mode == OUTPUT_NONE) {
        return;
    }
    if (script->mode == OUTPUT_JSON) {
        if (script->json.len + len > JSON_BYTES_MAX) {
            script->json.failed = 1;
        }
        text_add(&script->json, bytes, len);
        return;
    }
    while (end > 0 && bytes[end - 1] == '\n') {
        end--;
    }
    if (end > 0) {
        size_t left = script->newlines;
        if (left > TEXT_BYTES) {
            script->was_cut = 1;
            left = TEXT_BYTES;
        }
        while (left > 0) {
            size_t part = left < sizeof newlines ? left : sizeof newlines;
            tail_add(script, newlines, part);
            left -= part;
        }
        script->newlines = 0;
        tail_add(script, bytes, end);
    }
    script->newlines += len - end;
}

/* How many bytes at `at` are one character of UTF-8 but NUL; 0: none. */
static size_t character(const unsigned char *at, size_t left)
{
    size_t i, len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] == 0 || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || len > left) {
        return 0;
    }
    for (i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)) {
        return 0; /* too long a form, a surrogate, or beyond the last character */
    }
    return len;
}

static mr_status output_text(mr_task *t, struct script *script)
{
    const unsigned char *at = (const unsigned char *)script->tail;
    const unsigned char *end = at + script->tail_len;
    char *text = mr_alloc(t, 3 * TEXT_BYTES + 1), *to = text;
    int skipped;
    if (text == NULL) {
        return MR_ENOMEM;
    }
    if (script->tail_len > TEXT_BYTES) {
        at = end - TEXT_BYTES;
        script->was_cut = 1;
    }
    /* The rest of a character whose beginning was cut off. */
    for (skipped = 0; script->was_cut && skipped < 3 && at < end && (*at & 0xc0) == 0x80;
         skipped++) {
        at++;
    }
    while (at < end) {
        size_t len = character(at, (size_t)(end - at));
        memcpy(to, len > 0 ? (const char *)at : "\xef\xbf\xbd", len > 0 ? len : 3);
        to += len > 0 ? len : 3;
        at += len > 0 ? len : 1;
    }
    *to = '\0';
    return mr_output_str(t, NULL, text);
}

static mr_status output_json(mr_task *t, const struct script *script)
{
    if (script->json.failed) {
        return mr_fail(t, MR_ELIMIT, "output: json holds at most %u bytes", JSON_BYTES_MAX);
    }
    return mr_output_json(t, NULL, script->json.bytes == NULL ? "" : script->json.bytes,
                          script->json.len);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static const char *signal_name(int32_t number)
{
    switch (number) {
    case SIGHUP: return "SIGHUP";
    case SIGINT: return "SIGINT";
    case SIGQUIT: return "SIGQUIT";
    case SIGILL: return "SIGILL";
    case SIGTRAP: return "SIGTRAP";
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGKILL: return "SIGKILL";
    case SIGUSR1: return "SIGUSR1";
    case SIGSEGV: return "SIGSEGV";
    case SIGUSR2: return "SIGUSR2";
    case SIGPIPE: return "SIGPIPE";
    case SIGALRM: return "SIGALRM";
    case SIGTERM: return "SIGTERM";
    case SIGXCPU: return "SIGXCPU";
    case SIGXFSZ: return "SIGXFSZ";
    case SIGSYS: return "SIGSYS";
    default: return NULL;
    }
}

static void on_exit_of_shell(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    struct script *script = mr_data(t);
    const char *name = signal_name(signal_number);
    mr_status status = MR_OK;
    if (exit_code > 0) {
        (void)mr_detail_int(t, "exit", exit_code); /* An older host does without. */
        status = mr_fail(t, MR_EFAILED, "exit %d", exit_code);
    } else if (exit_code < 0 && signal_number == 0) {
        status =
            mr_fail(t, MR_EFAILED, "its exit status was taken by the program that runs millrace");
    } else if (exit_code < 0 && name != NULL) {
        (void)mr_detail_int(t, "signal", signal_number);
        status = mr_fail(t, MR_EFAILED, "killed by %s", name);
    } else if (exit_code < 0) {
        (void)mr_detail_int(t, "signal", signal_number);
        status = mr_fail(t, MR_EFAILED, "killed by signal %d", signal_number);
    } else if (script->mode == OUTPUT_JSON) {
        status = output_json(t, script);
    } else if (script->mode == OUTPUT_TEXT) {
        status = output_text(t, script);
    }
    free(script->json.bytes);
    (void)mr_finish(t, status);
}

static const mr_param sh_params[] = {
    {.name = "run", .type = MR_STRING, .flags = MR_REQUIRED, .help = "the script, for /bin/sh -ec"},
    {.name = "env", .type = MR_MAP, .help = "variables over the owner's environment"},
    {.name = "output",
     .type = MR_STRING,
     .default_json = "\"text\"",
     .help = "what stdout gives: text (its last 4 KiB), json, none"},
    {.name = NULL},
};

static const mr_action sh =
    MR_ACTION(.name = "sh", .help = "runs a shell script", .where = MR_ON_LOOP, .flags = MR_SPAWNS,
              .params = sh_params, .run = sh_run);
MR_PLUGIN("sh", "0.1.0", &sh);
