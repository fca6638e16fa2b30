/* SPDX-License-Identifier: MIT
 *
 * The action `sh`: a shell script in a child process. Loop; the child is the host's (mr_spawn).
 *
 * The host gives the child the folder, both streams to the log, and MILLRACE_STORE, MILLRACE_RUN,
 * MILLRACE_TASK, MILLRACE_ATTEMPT and MILLRACE_IDEMPOTENCY_KEY. What is done here: the output from
 * stdout; the environment of the param `env` and the reason of a failure are shell.h's. A struct of
 * ours lives as long as the attempt; only the buffer of a JSON output is on the heap, freed when
 * the child is gone.
 */
#include <millrace/plugin.h>

#include "plugins/shell.h"
#include "plugins/text.h"

#define TEXT_BYTES     4096u       /* of an output as text: the last ones */
#define JSON_BYTES_MAX (16u << 20) /* of an output as JSON */

enum output_mode { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_NONE };

struct script {
    enum output_mode mode;
    struct mr__text json;      /* failed, too, once it is too long */
    char tail[2 * TEXT_BYTES]; /* the end of stdout, without newlines at its own end */
    size_t tail_len;
    size_t newlines; /* seen after it, not yet followed by anything else */
    int was_cut;     /* something stood before the tail */
};

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
    status = mr__shell_env(t, mr_param_get(t, "env"), NULL, &process.env);
    if (status != MR_OK) {
        return status;
    }
    mr_set_data(t, script);
    status = mr_spawn(t, &process);
    return status == MR_OK ? MR_PENDING : status;
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
            script->json.failed = true;
        }
        mr__text_add(&script->json, bytes, len);
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
        size_t len = mr__text_character(at, (size_t)(end - at));
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

static void on_exit_of_shell(mr_task *t, int32_t exit_code, int32_t signal_number)
{
    struct script *script = mr_data(t);
    mr_status status = mr__shell_end(t, exit_code, signal_number);
    if (status == MR_OK && script->mode == OUTPUT_JSON) {
        status = output_json(t, script);
    } else if (status == MR_OK && script->mode == OUTPUT_TEXT) {
        status = output_text(t, script);
    }
    mr__text_finish(&script->json);
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
