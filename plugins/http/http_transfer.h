/* SPDX-License-Identifier: MIT
 *
 * One request on its way: a handle of libcurl, what it may reach, and what became of it. All of it
 * belongs to the client's thread until the attempt is told of its end; then the loop reads
 * `request`, `answer` and `failure`, and the thread touches them no more.
 */
#ifndef MR__HTTP_TRANSFER_H
#define MR__HTTP_TRANSFER_H

#include <stdatomic.h>

#include "plugins/http/http_answer.h"

/* Where a host look-up stands. */
enum mr__http_look_up {
    MR__HTTP_LOOK_UP_NONE,     /* not needed, or over */
    MR__HTTP_LOOK_UP_EXPECTED, /* the name may be known already, or the connection be there */
    MR__HTTP_LOOK_UP_RUNS      /* a thread of libcurl's waits for the answer */
};

struct mr__http_call;

struct mr__http_transfer {
    struct mr__http_transfer *next, *previous;             /* all that the client has */
    struct mr__http_transfer *queue_next, *queue_previous; /* which wait for their turn, too */
    struct mr__http_transfer *mail_next;   /* on the way from the loop; under the mutex */
    struct mr__http_transfer *cancel_next; /* likewise */
    struct mr__http_call *call; /* the attempt that waits for it, or NULL; under the mutex */
    atomic_uint refs;           /* the loop's and the client's */

    struct mr__http_request request;
    struct mr__http_answer answer;
    mr_error failure; /* status MR_OK: none */

    const struct mr__http_rules *rules;
    struct mr__http_place place;
    enum mr__http_verdict of_host;
    CURL *easy;
    char curl_error[CURL_ERROR_SIZE];
    int64_t redirects;
    int64_t due_ms, connect_due_ms; /* by the client's clock; 0: not begun, or over */
    unsigned *look_ups;             /* of the client: how many have one expected or running */
    enum mr__http_look_up look_up;
    bool by_name; /* a host or a proxy has to be looked up */
    bool held;    /* among all that the client has */
    bool queued;  /* among those that wait for their turn */
    bool started; /* handed to libcurl */
    bool over;    /* the attempt has its answer; it waits for its look-up's end alone */
};

/* **Owned**, with one reference; `request` is taken in any case. NULL: out of memory. */
struct mr__http_transfer *mr__http_transfer_create(struct mr__http_request *request,
                                                   const struct mr__http_rules *rules);
void mr__http_transfer_unref(struct mr__http_transfer *transfer);

/* Looks at the URL: whom it asks, whether it may. An error is in `failure`. */
mr_status mr__http_transfer_aim(struct mr__http_transfer *transfer);

/* Makes the handle for the request as it stands now. `ca_file` NULL: the system's certificates. */
mr_status mr__http_transfer_prepare(struct mr__http_transfer *transfer, const char *ca_file);

/* Gives the handle back, which is in no multi any more. */
void mr__http_transfer_close(struct mr__http_transfer *transfer);

/* Its look-up is over. */
void mr__http_transfer_looked_up(struct mr__http_transfer *transfer);

/* What libcurl's result means. Returns true where a redirect is to be followed: then `request` and
 * `place` are those of the next one; else the answer or `failure` is complete. */
bool mr__http_transfer_ended(struct mr__http_transfer *transfer, CURLcode result);

/* Fails it, unless it has failed: the first reason holds. */
mr_status mr__http_transfer_fail(struct mr__http_transfer *transfer, mr_status status,
                                 const char *fmt, ...) MR_PRINTF_FORMAT(3, 4);

#endif
