/* SPDX-License-Identifier: MIT
 *
 * What was answered; see http_answer.h.
 */
#include "plugins/http/http_answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static mr_status give_body(mr_task *t, const struct mr__http_answer *answer,
                           enum mr__http_output output);

void mr__http_answer_finish(struct mr__http_answer *answer)
{
    if (answer != NULL) {
        mr__text_finish(&answer->head);
        mr__text_finish(&answer->body);
        *answer = (struct mr__http_answer){0};
    }
}

void mr__http_answer_reset(struct mr__http_answer *answer)
{
    mr__http_answer_finish(answer);
}

/* ---- while it comes in ------------------------------------------------------------------------
 */

mr_status mr__http_answer_line(struct mr__http_answer *answer, const char *line, size_t len,
                               mr_error *reterr)
{
    answer->head_bytes += len;
    answer->head_lines++;
    if (answer->head_bytes > MR__HTTP_HEAD_BYTES_MAX ||
        answer->head_lines > MR__HTTP_HEAD_LINES_MAX) {
        return mr__text_error(reterr, MR_ELIMIT,
                              "the answer has more than %u headers or %u bytes of them",
                              MR__HTTP_HEAD_LINES_MAX, MR__HTTP_HEAD_BYTES_MAX);
    }
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n')) {
        len--;
    }
    if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        answer->head.len = 0; /* Another answer begins: what was before was a 1xx. */
    } else if (len > 0 && answer->body.len == 0) { /* Trailers are let go. */
        mr__text_add(&answer->head, line, len);
        mr__text_puts(&answer->head, "\n");
    }
    return answer->head.failed ? mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM))
                               : MR_OK;
}

mr_status mr__http_answer_part(struct mr__http_answer *answer, const char *bytes, size_t len,
                               size_t bytes_max, mr_error *reterr)
{
    if (len > bytes_max - answer->body.len) {
        return mr__text_error(reterr, MR_ELIMIT,
                              "the answer's body has more than %zu bytes (maxBytes)", bytes_max);
    }
    mr__text_add(&answer->body, bytes, len);
    return answer->body.failed ? mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM))
                               : MR_OK;
}

/* ---- headers ----------------------------------------------------------------------------------
 */

/* A header of the head: borrowed from it. */
struct header {
    const char *name, *value;
    size_t name_len, value_len;
};

static const char *head_of(const struct mr__http_answer *answer, const char **ret_end)
{
    const char *head = answer->head.len == 0 ? "" : answer->head.bytes;
    *ret_end = head + answer->head.len;
    return head;
}

/* Takes the next header from `*at`; false: there is none. Lines without a colon are none. */
static bool next_header(const char **at, const char *end, struct header *ret_header)
{
    while (*at < end) {
        const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
        const char *colon = memchr(line, ':', (size_t)(newline - line));
        *at = newline + 1;
        if (colon == NULL || colon == line) {
            continue;
        }
        const char *value = colon + 1, *value_end = newline;
        while (value < value_end && (*value == ' ' || *value == '\t')) {
            value++;
        }
        while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) {
            value_end--;
        }
        *ret_header =
            (struct header){line, value, (size_t)(colon - line), (size_t)(value_end - value)};
        return true;
    }
    return false;
}

static bool same_name(const struct header *a, const char *name, size_t len)
{
    return a->name_len == len && strncasecmp(a->name, name, len) == 0;
}

static void add_string(struct mr__text *json, const struct mr__text *bytes)
{
    struct mr__text good = {0};
    mr__text_puts(&good, "");
    mr__text_utf8(&good, bytes->bytes == NULL ? "" : bytes->bytes, bytes->len);
    if (good.failed || bytes->failed) {
        json->failed = true;
    } else {
        mr__text_json_string(json, good.bytes, good.len);
    }
    mr__text_finish(&good);
}

/* All values of one name, from its first header on. */
static void add_values(struct mr__text *json, const struct header *first, const char *at,
                       const char *end)
{
    bool is_list = same_name(first, "set-cookie", 10);
    struct mr__text value = {0};
    struct header header;
    mr__text_puts(json, is_list ? "[" : "");
    mr__text_add(&value, first->value, first->value_len);
    while (next_header(&at, end, &header)) {
        if (!same_name(&header, first->name, first->name_len)) {
            continue;
        }
        if (is_list) {
            add_string(json, &value);
            mr__text_puts(json, ",");
            value.len = 0;
        } else {
            mr__text_puts(&value, ", ");
        }
        mr__text_add(&value, header.value, header.value_len);
    }
    add_string(json, &value);
    mr__text_puts(json, is_list ? "]" : "");
    mr__text_finish(&value);
}

static bool stands_before(const struct mr__text *head, const struct header *header)
{
    struct header earlier;
    const char *at = head->bytes;
    while (next_header(&at, header->name, &earlier)) {
        if (same_name(&earlier, header->name, header->name_len)) {
            return true;
        }
    }
    return false;
}

void mr__http_answer_headers(const struct mr__http_answer *answer, struct mr__text *json)
{
    struct header header;
    const char *end, *at = head_of(answer, &end);
    bool first = true;
    mr__text_puts(json, "{");
    while (next_header(&at, end, &header)) {
        if (stands_before(&answer->head, &header)) {
            continue;
        }
        struct mr__text name = {0};
        mr__text_add(&name, header.name, header.name_len);
        for (size_t i = 0; i < name.len; i++) {
            name.bytes[i] = (char)tolower((unsigned char)name.bytes[i]);
        }
        mr__text_puts(json, first ? "" : ",");
        add_string(json, &name);
        mr__text_finish(&name);
        mr__text_puts(json, ":");
        add_values(json, &header, at, end);
        first = false;
    }
    mr__text_puts(json, "}");
}

bool mr__http_answer_is_json(const struct mr__http_answer *answer)
{
    struct header header;
    const char *end, *at = head_of(answer, &end);
    while (next_header(&at, end, &header)) {
        if (same_name(&header, "content-type", 12)) {
            size_t len = 0; /* of the type without its parameters */
            while (len < header.value_len && strchr("; \t", header.value[len]) == NULL) {
                len++;
            }
            return (len == 16 && strncasecmp(header.value, "application/json", len) == 0) ||
                   (len == 9 && strncasecmp(header.value, "text/json", len) == 0) ||
                   (len > 5 && strncasecmp(header.value + len - 5, "+json", 5) == 0);
        }
    }
    return false;
}

/* ---- the log ----------------------------------------------------------------------------------
 */

void mr__http_answer_readable(const struct mr__http_answer *answer, struct mr__text *text)
{
    size_t len =
        answer->body.len < MR__HTTP_LOG_BODY_BYTES ? answer->body.len : MR__HTTP_LOG_BODY_BYTES;
    mr__text_utf8(text, len == 0 ? "" : answer->body.bytes, len);
    for (size_t i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->bytes[i];
        unsigned char next = (unsigned char)text->bytes[i + 1]; /* a text ends with NUL */
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            text->bytes[i] = '?';
        } else if (c == 0xc2 && next < 0xa0) {
            text->bytes[i] = text->bytes[i + 1] = '?'; /* U+0080 to U+009F are controls, too */
        }
    }
}

static void log_body(mr_task *t, const struct mr__http_answer *answer)
{
    struct mr__text text = {0};
    mr__http_answer_readable(answer, &text);
    if (!text.failed && text.len > 0) {
        mr_log(t, MR_STDERR, text.bytes, text.len);
    }
    mr__text_finish(&text);
}

/* ---- the output -------------------------------------------------------------------------------
 */

mr_status mr__http_answer_give(mr_task *t, const struct mr__http_answer *answer,
                               const struct mr__http_request *request)
{
    mr_value number = {.type = MR_INT, .u.i = answer->status};
    struct mr__text headers = {0};
    if (!mr__http_request_expects(request, answer->status)) {
        log_body(t, answer);
        return mr_fail(t, MR_EFAILED, "HTTP %ld", answer->status);
    }
    mr_status status = mr_output(t, "status", &number);
    if (status == MR_OK) {
        mr__http_answer_headers(answer, &headers);
        status =
            headers.failed ? MR_ENOMEM : mr_output_json(t, "headers", headers.bytes, headers.len);
        mr__text_finish(&headers);
    }
    return status == MR_OK ? give_body(t, answer, request->output) : status;
}

static mr_status give_text(mr_task *t, const struct mr__http_answer *answer)
{
    struct mr__text good = {0};
    mr__text_puts(&good, "");
    mr__text_utf8(&good, answer->body.bytes == NULL ? "" : answer->body.bytes, answer->body.len);
    mr_value value = {.type = MR_STRING, .len = (uint32_t)good.len, .u.s = good.bytes};
    mr_status status = good.failed ? MR_ENOMEM : mr_output(t, "body", &value);
    mr__text_finish(&good);
    return status;
}

static mr_status give_body(mr_task *t, const struct mr__http_answer *answer,
                           enum mr__http_output output)
{
    bool must_be_json = output == MR__HTTP_OUTPUT_JSON;
    if (output == MR__HTTP_OUTPUT_NONE) {
        return MR_OK;
    }
    if (!must_be_json && (output == MR__HTTP_OUTPUT_TEXT || !mr__http_answer_is_json(answer))) {
        return give_text(t, answer);
    }
    bool empty = answer->body.len == 0; /* as that of a 204 */
    mr_status status = mr_output_json(t, "body", empty ? "null" : answer->body.bytes,
                                      empty ? 4 : answer->body.len);
    if (status == MR_OK || status == MR_ENOMEM || status == MR_ELIMIT) {
        return status;
    }
    return must_be_json ? mr_fail(t, MR_EFAILED, "the answer's body is no JSON")
                        : give_text(t, answer);
}
