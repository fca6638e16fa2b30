/* SPDX-License-Identifier: MIT
 *
 * What is asked: the params of an attempt, checked and put into the form that libcurl takes, and
 * what is left of them after a redirect. No input or output, no clock; any thread, one at a time.
 */
#ifndef MR__HTTP_REQUEST_H
#define MR__HTTP_REQUEST_H

#include <curl/curl.h>
#include <millrace/status.h>
#include <millrace/value.h>
#include <stdbool.h>
#include <stddef.h>

#include "plugins/http/http_address.h"

#define MR__HTTP_EXPECT_MAX       64u /* ranges of statuses */
#define MR__HTTP_REDIRECTS_MAX    50
#define MR__HTTP_METHOD_BYTES_MAX 32u
#define MR__HTTP_BYTES_MAX        (16 << 20) /* of a body that is kept: as of any output */
#define MR__HTTP_URL_BYTES_MAX    (64u << 10)
#define MR__HTTP_BODY_BYTES_MAX   (64u << 20) /* of one that is sent */

enum mr__http_output {
    MR__HTTP_OUTPUT_AUTO,
    MR__HTTP_OUTPUT_JSON,
    MR__HTTP_OUTPUT_TEXT,
    MR__HTTP_OUTPUT_NONE
};

struct mr__http_range {
    long from, to;
};

/* **Owned**, with all that it points to: mr__http_request_finish. */
struct mr__http_request {
    char *url;                                  /* with the query */
    char method[MR__HTTP_METHOD_BYTES_MAX + 1]; /* upper case */
    struct curl_slist *headers;
    char *user, *password; /* of basic authentication, or NULL */
    char *proxy;           /* or NULL */
    char *body;            /* or NULL */
    size_t body_len;
    int64_t timeout_ms, connect_timeout_ms;
    int64_t redirects_max;
    size_t bytes_max; /* of the answer's body, decoded */
    enum mr__http_output output;
    struct mr__http_range expect[MR__HTTP_EXPECT_MAX];
    size_t expect_count;
};

/* Where a URL leads to. */
struct mr__http_place {
    char scheme[8];
    char host[MR__HTTP_HOST_BYTES_MAX + 1]; /* IPv6 without brackets */
    char port[6];
};

/* `params` is the map of all params, complete. MR_EINVAL with the param's name, MR_ELIMIT,
 * MR_ENOMEM; `*ret_request` is to be finished after an error, too. */
mr_status mr__http_request_make(const mr_value *params, const char *idempotency_key,
                                struct mr__http_request *ret_request, mr_error *reterr);
void mr__http_request_finish(struct mr__http_request *request);

bool mr__http_request_expects(const struct mr__http_request *request, long status);

/* MR_EINVAL: not a URL of http or https; the reason begins with `what`. */
mr_status mr__http_place_of(const char *url, const char *what, struct mr__http_place *ret_place,
                            mr_error *reterr);

/* Whether an answer of this status with a Location leads on. */
bool mr__http_is_redirect(long status);

/* Makes it the request that follows a redirect: of 303, and for POST of 301 and 302, a GET without
 * body; what is secret goes to the place for which it was given and to no other. */
mr_status mr__http_request_follow(struct mr__http_request *request, long status, const char *url,
                                  mr_error *reterr);

#endif
