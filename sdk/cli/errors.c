/* SPDX-License-Identifier: MIT
 *
 * Errors as a person reads them and as contract.md's JSON object. A dag file's are drawn by
 * caret.c.
 */
#include "sdk/cli/caret.h"
#include "sdk/cli/print.h"

#include <stdarg.h>
#include <string.h>

/* ---- objects ------------------------------------------------------------------------------- */

static void add_string_or_null(struct mr__text *text, const char *string)
{
    if (string != NULL) {
        mr__text_json(text, string, strlen(string));
    } else {
        mr__text_puts(text, "null");
    }
}

void mr__print_error_object(struct mr__text *text, const char *code, const char *message,
                            const char *suggestion)
{
    mr__text_puts(text, "{\"file\":null,\"line\":null,\"column\":null,\"code\":");
    add_string_or_null(text, code);
    mr__text_puts(text, ",\"message\":");
    add_string_or_null(text, message);
    mr__text_puts(text, ",\"suggestion\":");
    add_string_or_null(text, suggestion);
    mr__text_puts(text, "}");
}

void mr__print_problem_objects(struct mr__text *text, struct mr__pick problems)
{
    static const char *const names[] = {"file", "line", "column", "code", "message", "suggestion"};
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick problem;
    mr__pick_begin(&each, problems);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &problem)) {
        mr__text_puts(text, text->len > 0 && text->at[text->len - 1] == '}' ? "," : "");
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct mr__pick value = mr__pick_member(problem, names[i]);
            mr__text_printf(text, "%s\"%s\":", i == 0 ? "{" : ",", names[i]);
            if (value.at != NULL) {
                mr__text_add(text, value.at, value.len);
            } else {
                mr__text_puts(text, "null");
            }
        }
        mr__text_puts(text, "}");
    }
}

static void print_objects(struct mr__cli *cli, const struct mr__text *objects,
                          struct mr__pick candidates)
{
    mr__print_out(cli, "{\"errors\":[", 11);
    mr__print_out(cli, mr__text_str(objects), objects->len);
    mr__print_out(cli, "]", 1);
    if (candidates.at != NULL) {
        mr__print_out(cli, ",\"candidates\":", 14);
        mr__print_out(cli, candidates.at, candidates.len);
    }
    mr__print_out(cli, "}\n", 2);
}

/* ---- one error ----------------------------------------------------------------------------- */

int mr__print_error(struct mr__cli *cli, mr_status status, const char *suggestion, const char *fmt,
                    ...)
{
    char message[2048];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof message, fmt, args); /* a longer one is cut */
    va_end(args);
    if (mr__print_is_json(cli)) {
        struct mr__text objects = {0};
        mr__print_error_object(&objects, mr_status_text(status), message, suggestion);
        print_objects(cli, &objects, (struct mr__pick){NULL, 0});
        mr__text_finish(&objects);
    } else if (suggestion != NULL) {
        mr__print_talk(cli, "millrace: %s: did you mean \"%s\"?", message, suggestion);
    } else {
        mr__print_talk(cli, "millrace: %s", message);
    }
    return mr__session_exit_of(status);
}

/* A member of the error's object, or one that stands beside it. */
static struct mr__pick detail_of(const struct mr__failure *failure, const char *name)
{
    if (failure->json == NULL) {
        return (struct mr__pick){NULL, 0};
    }
    struct mr__pick answer = mr__pick_value(failure->json, strlen(failure->json));
    struct mr__pick inside = mr__pick_member(mr__pick_member(answer, "error"), name);
    return inside.at != NULL ? inside : mr__pick_member(answer, name);
}

bool mr__print_has_candidates(const struct mr__failure *failure)
{
    return mr__pick_count(detail_of(failure, "candidates")) > 0;
}

/* What a signal ended: it is no fault of the store that no answer came. */
static int print_signal(struct mr__cli *cli, bool terminated)
{
    if (terminated) {
        (void)mr__print_error(cli, MR_ECLOSED, NULL, "terminated");
        return MR__EXIT_TERMINATED;
    }
    (void)mr__print_error(cli, MR_ECLOSED, NULL, "interrupted");
    return MR__EXIT_INTERRUPTED;
}

static void add_message(struct mr__text *message, const struct mr__failure *failure)
{
    if (!mr__pick_text(detail_of(failure, "message"), message)) {
        mr__text_puts(message, failure->error.message[0] != '\0' ? failure->error.message
                                                                 : mr_status_text(failure->status));
    }
}

void mr__print_failure_objects(struct mr__text *objects, const struct mr__failure *failure)
{
    struct mr__pick problems = detail_of(failure, "errors");
    struct mr__text message = {0};
    struct mr__text nearest = {0};
    if (mr__pick_count(problems) > 0) {
        mr__print_problem_objects(objects, problems);
        return;
    }
    add_message(&message, failure);
    bool near = mr__pick_text(detail_of(failure, "suggestion"), &nearest) && !nearest.failed;
    mr__text_puts(objects, objects->len > 0 ? "," : "");
    mr__print_error_object(objects, mr_status_text(failure->status), mr__text_str(&message),
                           near ? nearest.at : NULL);
    mr__text_finish(&message);
    mr__text_finish(&nearest);
}

static void print_candidates(struct mr__cli *cli, struct mr__pick candidates)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick id;
    struct mr__text text = {0};
    mr__pick_begin(&each, candidates);
    while (mr__pick_next(&each, &key, &id)) {
        mr__text_clear(&text);
        (void)mr__pick_text(id, &text); /* null: an empty line, which does no harm */
        mr__print_talk(cli, "  %s", mr__text_str(&text));
    }
    mr__text_finish(&text);
}

int mr__print_failure(struct mr__cli *cli, const struct mr__failure *failure)
{
    struct mr__pick problems = detail_of(failure, "errors");
    struct mr__pick candidates = detail_of(failure, "candidates");
    int code = mr__session_exit_of(failure->status);
    struct mr__text text = {0};
    struct mr__text nearest = {0};
    if (failure->status == MR_ECLOSED) {
        bool terminated = mr__session_is_terminated(cli);
        if (terminated || mr__session_is_interrupted(cli)) {
            return print_signal(cli, terminated);
        }
    }
    if (mr__print_is_json(cli)) {
        mr__print_failure_objects(&text, failure);
        print_objects(cli, &text, candidates);
    } else if (mr__pick_count(problems) > 0) {
        mr__print_problems(cli, problems);
    } else {
        add_message(&text, failure);
        bool near = mr__pick_text(detail_of(failure, "suggestion"), &nearest);
        if (near) {
            mr__print_talk(cli, "millrace: %s: did you mean \"%s\"?", mr__text_str(&text),
                           mr__text_str(&nearest));
        } else {
            mr__print_talk(cli, "millrace: %s", mr__text_str(&text));
        }
        print_candidates(cli, candidates);
    }
    mr__text_finish(&text);
    mr__text_finish(&nearest);
    return mr__pick_count(candidates) > 0 ? MR__EXIT_USAGE : code;
}

/* ---- problems of a dag file ---------------------------------------------------------------- */

void mr__print_problems(struct mr__cli *cli, struct mr__pick problems)
{
    struct mr__pick_each each;
    struct mr__pick key;
    struct mr__pick problem;
    struct mr__text text = {0};
    mr__pick_begin(&each, problems);
    while (!each.object && each.at != NULL && mr__pick_next(&each, &key, &problem)) {
        mr__caret_add(&text, problem, cli->color_err);
    }
    mr__screen_write(&cli->screen, mr__text_str(&text), text.len);
    mr__text_finish(&text);
}
