/* SPDX-License-Identifier: MIT
 *
 * The engine: one owner of one store, on a libuv loop in a thread of its own, or on the caller's.
 *
 * It takes requests (docs/requests.md) as JSON text from any thread or from the socket and answers
 * with JSON lines; the work behind them is done by the shard (shard.h). This header is all that
 * sdk/ uses of it.
 */
#ifndef MR__ENGINE_H
#define MR__ENGINE_H

#include "core/base/buf.h"
#include "core/exec/registry.h"
#include "core/model/scope.h"
#include "core/store/store.h"

struct mr__engine;
struct mr__request;
struct uv_loop_s;

struct mr__engine_options {
    const char *path; /* absolute: the store's folder; its lock is held by the caller */
    struct mr__registry *registry; /* of which it takes a reference */
    uint32_t jobs;                 /* 0: MR__JOBS_PER_CORE x cores */
    int64_t shutdown_ms;
    bool bench;    /* a request `bench` is allowed */
    int listen_fd; /* a bound, listening unix socket, taken (also on failure); -1: none */
    void (*on_log)(int32_t level, const char *line, void *user);
    uint32_t hooks; /* 1u << enum mr__hook: on_hook is called for these */
    void (*on_hook)(void *hook_user, enum mr__hook hook, const struct mr__scope_run *run);
    void *hook_user;
    void *user; /* of on_log */

    /* NULL: a loop and a thread of its own. Else the caller's, whose thread makes the engine. */
    struct uv_loop_s *loop;
    /* Caller's loop alone: on it, at the end that mr__engine_end began. The engine is not used any
     * more but for mr__engine_free, which may be called from within. */
    void (*on_over)(void *over_user);
    void *over_user;
};

/* Opens the store, reads it and starts the loop thread. Unfinished runs are not gone on with until
 * a request `resume` or one that names them. Where it fails on a caller's loop, that loop still
 * closes handles for some turns. */
mr_status mr__engine_create(const struct mr__engine_options *options,
                            struct mr__engine **ret_engine, mr_error *reterr);

/* Where answers go. Called on the loop thread, never again after mr__engine_close_request returned
 * or after `last` was true. Must not block. `json` is one object without newline, borrowed. */
typedef void (*mr__answer_fn)(void *user, const char *json, size_t len, bool last);

/* Any thread. `json` is copied. The request's answers go to `answer` until the last. `ret_request`
 * is valid until the last answer or mr__engine_close_request. MR_ECLOSED, MR_ENOMEM: never
 * answered. */
mr_status mr__engine_request(struct mr__engine *engine, const char *json, size_t len,
                             mr__answer_fn answer, void *user, struct mr__request **ret_request);

/* Any thread but the loop's: no answer is given once this has returned. Must be called exactly once
 * for every request that mr__engine_request accepted, also after its last answer. */
void mr__engine_close_request(struct mr__engine *engine, struct mr__request *request);

/* The same two for the loop thread itself (the socket server, and whoever brought the loop), but
 * not from within an answer. MR_ECLOSED: the engine is ending. */
mr_status mr__engine_request_on_loop(struct mr__engine *engine, const char *json, size_t len,
                                     mr__answer_fn answer, void *user,
                                     struct mr__request **ret_request);
void mr__engine_close_request_on_loop(struct mr__engine *engine, struct mr__request *request);

/* Once: ends children (TERM, grace, KILL), leaves runs resumable, answers every open request with
 * MR_ECLOSED and leaves the loop. If `drain`, first waits until no run that an attached client
 * started or waits for is unfinished. With a loop of its own: any thread but that one, and it
 * returns when that is done. On a caller's loop: at once, and on_over tells. */
void mr__engine_end(struct mr__engine *engine, bool drain);
/* After the end: closes the store and frees everything. NULL is allowed. */
void mr__engine_free(struct mr__engine *engine);
/* Any thread, until mr__engine_free: stop waiting in mr__engine_end, or end as soon as that is
 * called. */
void mr__engine_stop(struct mr__engine *engine);

/* Measures (contract.md, `bench`): `options_json` as mr_bench has it, or NULL. `path` is an empty
 * folder. Blocks. */
mr_status mr__bench(const char *path, struct mr__registry *registry, const char *options_json,
                    struct mr__buf *out, mr_error *reterr);
/* Verifies the store in `path`, whose lock the caller holds: writes check.h's object, closed. */
mr_status mr__check_path(const char *path, struct mr__buf *out, mr_error *reterr);

/* ---- the socket server (core/engine/server.c), used by engine.c alone ------------------------ */

#define MR__PROTOCOL     1       /* of the socket; in an owner's first line */
#define MR__VERSION_TEXT "0.1.0" /* as in meson.build */

struct mr__server;

/* Serves `listen_fd` (taken) on the loop. Peers whose uid is neither ours nor root's are refused.
 */
mr_status mr__server_create(struct mr__engine *engine, struct uv_loop_s *loop, int listen_fd,
                            struct mr__server **ret_server, mr_error *reterr);
/* How many clients are connected. */
uint32_t mr__server_clients(const struct mr__server *server);
/* Closes the listener and all connections (after what was answered is written, at most 500 ms); cb
 * when the loop no longer knows any of them, after which the server is freed. */
void mr__server_close(struct mr__server *server, void (*cb)(void *user), void *user);

#endif
