/* SPDX-License-Identifier: MIT
 *
 * What was answered: collected by the client's thread while it comes in, bounded in every respect,
 * and made the task's output by the loop. One thread at a time.
 */
#ifndef MR__HTTP_ANSWER_H
#define MR__HTTP_ANSWER_H

#include <millrace/plugin.h>

#include "plugins/http/http_request.h"
#include "plugins/text.h"

#define MR__HTTP_HEAD_BYTES_MAX (64u << 10) /* all header lines of one answer, trailers too */
#define MR__HTTP_HEAD_LINES_MAX 256u
#define MR__HTTP_LOG_BODY_BYTES 4096u /* of the body of a failure, for the log */

/* **Owned**: mr__http_answer_finish. */
struct mr__http_answer {
    long status;           /* 0: none yet */
    int64_t retry_after_s; /* 0: not said */
    struct mr__text head;  /* "Name: value\n" for each header of the last answer */
    size_t head_bytes;     /* of all that came, 1xx and trailers included */
    size_t head_lines;
    struct mr__text body;
};

void mr__http_answer_finish(struct mr__http_answer *answer);

/* Empties it, for the answer to the request that follows a redirect. */
void mr__http_answer_reset(struct mr__http_answer *answer);

/* A line of the head with its end. MR_ELIMIT with a reason; MR_ENOMEM. */
mr_status mr__http_answer_line(struct mr__http_answer *answer, const char *line, size_t len,
                               mr_error *reterr);

/* A part of the body, decoded. MR_ELIMIT with a reason: more than `bytes_max`; MR_ENOMEM. */
mr_status mr__http_answer_part(struct mr__http_answer *answer, const char *bytes, size_t len,
                               size_t bytes_max, mr_error *reterr);

/* The headers as one JSON map: lower-case names; what came twice with ", " between; set-cookie,
 * whose values have commas, as a list. */
void mr__http_answer_headers(const struct mr__http_answer *answer, struct mr__text *json);

/* Whether the body is JSON by its content type. */
bool mr__http_answer_is_json(const struct mr__http_answer *answer);

/* The beginning of the body for the log, which ends up on terminals: controls become ?. */
void mr__http_answer_readable(const struct mr__http_answer *answer, struct mr__text *text);

/* Loop thread: sets the output, or says why the attempt failed. */
mr_status mr__http_answer_give(mr_task *t, const struct mr__http_answer *answer,
                               const struct mr__http_request *request);

#endif
