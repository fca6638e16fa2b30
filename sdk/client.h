/* SPDX-License-Identifier: MIT
 *
 * The attached side: one connection to the owner of a store. Lines go out from any thread; one
 * thread, the handle's own, runs the connection and gets the lines that come in.
 *
 * It knows the socket's framing and the first and last line of a connection, nothing of requests.
 */
#ifndef MR__CLIENT_H
#define MR__CLIENT_H

#include <stdatomic.h>

#include "sdk/folder.h"

#define MR__ANSWER_BYTES_MAX (1u << 30) /* of one line from the owner; more ends the connection */

/* How a thread that waits is woken: for more to write, or to stop. Outlives its connections. */
struct mr__wake {
    int fd; /* eventfd */
    atomic_bool stop;
};

mr_status mr__wake_init(struct mr__wake *wake, mr_error *reterr);
void mr__wake_finish(struct mr__wake *wake);
void mr__wake_ring(struct mr__wake *wake); /* any thread */
void mr__wake_stop(struct mr__wake *wake); /* any thread; for good */
/* Sleeps; false at once when stopped. */
bool mr__wake_sleep(struct mr__wake *wake, int64_t ms);

struct mr__client;

enum mr__client_end {
    MR__CLIENT_DIED = 0, /* the connection broke without a word */
    MR__CLIENT_BYE,      /* the owner said that it leaves */
    MR__CLIENT_STOPPED   /* mr__wake_stop */
};

/* Connects and reads the owner's first line, which may take `wait_ms`. MR_EBUSY: nobody listens
 * yet, or the owner went away meanwhile: try again. MR_ETIMEDOUT, MR_EPERM, MR_ESTORE (another
 * protocol), MR_ELIMIT (too many clients), MR_ECLOSED (stopped). */
mr_status mr__client_create(struct mr__folder *folder, struct mr__wake *wake, int64_t wait_ms,
                            struct mr__client **ret_client, mr_error *reterr);
void mr__client_destroy(struct mr__client *client); /* NULL is allowed */

/* Any thread: queues one line, given in two pieces without its end. False: out of memory. */
bool mr__client_send(struct mr__client *client, const char *head, size_t head_len, const char *tail,
                     size_t tail_len);

/* Gets each answer: `json` is one object without "id", NUL-terminated, borrowed until it returns.
 */
typedef void (*mr__client_line_fn)(void *user, uint64_t id, const char *json, size_t len);

/* Works until the connection ends. */
enum mr__client_end mr__client_run(struct mr__client *client, mr__client_line_fn on_line,
                                   void *user);

/* The owner's process. */
int64_t mr__client_pid(const struct mr__client *client);

/* True if this line is the last answer to its request: "end" is always its last member. */
bool mr__answer_is_last(const char *json, size_t len);

#endif
