/* SPDX-License-Identifier: MIT
 *
 * How to run dags from a program: open a store, start runs, wait for them, watch them.
 *
 * mr_open gives a handle on a store (a folder). Who opens it first owns it: the engine then runs in
 * this process, on threads of its own. Everybody else's handle is attached to that owner through
 * the socket in the folder, with the same calls and the same answers; when the owner dies, one
 * attached handle takes the store over and goes on with its runs. Nothing here depends on which it
 * is.
 *
 * Every call is thread-safe and blocks only as long as it says. The library installs no signal
 * handler, writes to no standard stream and changes neither environment nor folder. Two handles on
 * two stores may live in one process. docs/embedding.md is the tour.
 */
#ifndef MILLRACE_ENGINE_H
#define MILLRACE_ENGINE_H

#include <millrace/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MR_API __attribute__((visibility("default")))
#else
#define MR_API
#endif

#define MR_RUN_ID_BYTES 37 /* a run's id as text, with its final NUL */
#define MR_FOREVER      (-1)

typedef struct mr_engine mr_engine; /* a handle on a store */
typedef struct mr_stream mr_stream; /* the answers to one request */
typedef struct mr_dag mr_dag;       /* a dag that is written in code. Since 0.2 */

struct mr_action; /* of millrace/plugin.h, for programs with actions of their own */

/* Points of a run's life, bits of mr_options.hooks. Since 0.2. */
enum {
    MR_HOOK_BEFORE_RUN = 1u << 0,      /* it was accepted, nothing has begun */
    MR_HOOK_BEFORE_SUCCESS = 1u << 1,  /* nothing is left to do; then ON_SUCCESS */
    MR_HOOK_BEFORE_FAIL = 1u << 2,     /* then ON_FAILURE */
    MR_HOOK_BEFORE_BLOCK = 1u << 3,    /* it will stand still until `continue` */
    MR_HOOK_BEFORE_RETRY = 1u << 4,    /* retry was said, nothing has begun again */
    MR_HOOK_BEFORE_CONTINUE = 1u << 5, /* continue was said, likewise */
    MR_HOOK_ON_SUCCESS = 1u << 6,
    MR_HOOK_ON_FAILURE = 1u << 7,
    MR_HOOK_ON_CANCEL = 1u << 8,
    MR_HOOK_ON_EXIT = 1u << 9 /* after each of the three, and after BEFORE_... of theirs */
};

/* What on_hook is told. Borrowed until it returns. Since 0.2. */
typedef struct mr_hook {
    uint32_t size;
    uint32_t hook; /* one of MR_HOOK_... */
    const char *run_id, *dag_id;
    const char *status; /* that the run has, or at its end is about to have */
    const char *reason; /* "" where there is none */
} mr_hook;

/* How to open a store: fill with MR_OPTIONS(...). Strings are copied; 0 means the default. */
typedef struct mr_options {
    uint32_t size;
    uint32_t jobs;     /* processes and worker actions at once; default 4 x cores, at most 4,096 */
    const char *store; /* the folder, made if missing; default: contract's --store default */
    const char *plugins;  /* folders with plugins, ':' between; added to the installed ones */
    uint32_t read_only;   /* 1: never become owner if nobody is: MR_ENOTFOUND instead */
    uint32_t shutdown_ms; /* how long mr_close waits for children and workers; default 10,000 */

    /* Called with one line for a person (recovery, refused plugins, a full disk), one at a time: on
     * a thread of the library's, or in mr_open; with `loop` always on that loop's thread. Must not
     * block nor call back. NULL: nowhere. `level`: 0 error, 1 warning, 2 information. */
    void (*on_log)(int32_t level, const char *line, void *user);
    void *user;

    /* Since 0.2. Called at the points of a run's life that `hooks` names (MR_HOOK_..., combined),
     * before the dag's own hooks of that point, while this handle is the owner: the run goes on
     * when it returns. Engine thread; must not block nor call back. After a crash it may be called
     * again for a point that was not left yet. NULL: not at all. */
    void (*on_hook)(const mr_hook *hook, void *user);
    uint32_t hooks;
    uint32_t unused;

    /* Since 0.2. Actions of this program, beside those of plugins: an array ended by NULL. The
     * array and all that it points to are borrowed until the handle is closed. They are checked as
     * a plugin's (MR_EABI); a name that a plugin has too is MR_EABI, and so is MR_ISOLATED: that is
     * for plugins. NULL: none. */
    const struct mr_action *const *actions;

    /* Since 0.2. A uv_loop_t of this program, borrowed until the handle is closed: the engine lives
     * on it, and callbacks are called on it. mr_open is then called on the loop's own thread; there
     * calls that would wait for an answer are refused (MR_EINVAL), and mr_close returns at once. An
     * open handle keeps the loop alive. NULL: a loop and a thread of the library's. */
    void *loop;
} mr_options;

#define MR_OPTIONS(...)                         \
    {                                           \
        .size = sizeof(mr_options), __VA_ARGS__ \
    }

/* The library's version, "0.1.0". Static. */
MR_API const char *mr_version(void);

/* The process's allocator for all memory of this library and its Lua, like malloc, realloc and free
 * of the C library, from any thread. Once, before any other call: MR_ECONFLICT later, MR_EINVAL for
 * a NULL. What libuv, LMDB, libyaml and the C library allocate is not theirs. Since 0.2. */
typedef void *(*mr_malloc_fn)(size_t size);
typedef void *(*mr_realloc_fn)(void *memory, size_t size);
typedef void (*mr_free_fn)(void *memory);
MR_API mr_status mr_set_allocator(mr_malloc_fn malloc_fn, mr_realloc_fn realloc_fn,
                                  mr_free_fn free_fn);

/* Opens a store. Returns MR_OK and a handle, **owned**: mr_close. MR_ESTORE (unusable folder, not
 * ours, others may write), MR_EFORMAT (made by a newer version), MR_EFULL, MR_EABI (a refused
 * plugin in a folder that was named), MR_ENOMEM. Blocks while the store is read. With `loop` a
 * failure may leave handles there that are closed when it turns next. */
MR_API mr_status mr_open(const mr_options *options, mr_engine **ret_engine, mr_error *reterr);

/* Closes a handle. An owner first waits until the runs of attached handles have ended, unless
 * mr_stop was called; its own unfinished runs stay resumable. NULL is allowed. No other thread may
 * be in a call on this handle, but for mr_stop. Not from a callback of mr_request_cb, unless the
 * handle has a `loop`: on that loop's thread it only begins to close, as mr_close_async does. */
MR_API void mr_close(mr_engine *engine);

/* mr_close for a handle with a `loop`, without waiting: any thread; `cb` (may be NULL) is called on
 * the loop when the handle is gone and its store can be opened again. Callbacks that are still to
 * be called come before. MR_EINVAL: the handle has no `loop`; nothing is closed. Since 0.2. */
MR_API mr_status mr_close_async(mr_engine *engine, void (*cb)(void *user), void *user,
                                mr_error *reterr);

/* Makes an owner let go at once: ends all children (TERM, then KILL) and leaves every run
 * resumable. Calls in progress on this handle return MR_ECLOSED. Attached: only closes the
 * connection. Any thread, also while mr_close waits on another one: that returns after it. Who may
 * come later than that must know that the handle is gone. */
MR_API void mr_stop(mr_engine *engine);

/* 1 if this handle owns the store now, 0 if it is attached. */
MR_API uint32_t mr_is_owner(mr_engine *engine);

/* ---- runs ---------------------------------------------------------------------------------- */

/* A run to start. Strings are copied. One of `dag`, `text` or `file` (read by this call) is needed;
 * the first of these that is given is taken. */
typedef struct mr_start_options {
    uint32_t size;
    uint32_t unused;
    const char *file;      /* path of a dag file */
    const char *text;      /* or its text, NUL-terminated; `file` then only names it in errors */
    const char *vars_json; /* a JSON map of variables, or NULL */
    const char *tags_json; /* a JSON map of text, or NULL */
    const char *key;       /* idempotency key, or NULL: a second run with it is MR_ECONFLICT */
    const char *folder;    /* absolute: where its commands run; NULL: the current one */
    mr_dag *dag;           /* since 0.2: written in code, borrowed until the call returns; NULL */
} mr_start_options;

#define MR_START(...)                                 \
    {                                                 \
        .size = sizeof(mr_start_options), __VA_ARGS__ \
    }

/* Starts a run and returns when it is durable. MR_EDEFINITION (the message has the first error as
 * FILE:LINE:COL), MR_EINVAL (vars), MR_ECONFLICT (key), MR_ENOTFOUND (file), MR_EFULL, MR_ESTORE.
 */
MR_API mr_status mr_start(mr_engine *engine, const mr_start_options *options,
                          char ret_run_id[MR_RUN_ID_BYTES], mr_error *reterr);

/* Waits until the run stands still: success, failed, canceled or blocked. `ret_status` gets its
 * name (static). MR_ETIMEDOUT after `timeout_ms` (MR_FOREVER: never), MR_ENOTFOUND, MR_ECLOSED. */
MR_API mr_status mr_wait(mr_engine *engine, const char *run_id, int64_t timeout_ms,
                         const char **ret_status, mr_error *reterr);

/* Cancels a whole run; returns when that is durable. MR_ECONFLICT in the wrong state (nothing is
 * changed; the message says the state), MR_ENOTFOUND. */
MR_API mr_status mr_cancel(mr_engine *engine, const char *run_id, mr_error *reterr);

/* Lets a failed run go on from its failed tasks; returns and errors as mr_cancel. */
MR_API mr_status mr_retry(mr_engine *engine, const char *run_id, mr_error *reterr);

/* Lets a blocked run go on; returns and errors as mr_cancel. */
MR_API mr_status mr_continue(mr_engine *engine, const char *run_id, mr_error *reterr);

/* ---- requests: everything else ------------------------------------------------------------- */

/* Sends one request, a JSON object (docs/requests.md lists them all): {"op":"show","run":"-"}.
 * Returns at once with the stream of its answers, **owned**: mr_stream_close. MR_EINVAL for text
 * that is no JSON object; every other error comes through the stream. */
MR_API mr_status mr_request(mr_engine *engine, const char *request_json, mr_stream **ret_stream,
                            mr_error *reterr);

/* The next answer, one JSON object: `ret_json` is **borrowed until the next call on this stream**.
 * MR_END after the last one, MR_ETIMEDOUT, MR_ECLOSED (mr_stop), or the request's error; `ret_json`
 * is then that answer, with its details, or NULL where the error is not the engine's. One thread at
 * a time. */
MR_API mr_status mr_stream_next(mr_stream *stream, int64_t timeout_ms, const char **ret_json,
                                mr_error *reterr);

/* Ends a stream, read to its end or not. NULL is allowed. */
MR_API void mr_stream_close(mr_stream *stream);

/* mr_request with a single answer: `ret_json` is **owned**: mr_free. */
MR_API mr_status mr_call(mr_engine *engine, const char *request_json, char **ret_json,
                         mr_error *reterr);

/* Frees what a call has given away as **owned**: mr_free. NULL is allowed. */
MR_API void mr_free(void *memory);

/* ---- answers by callback -------------------------------------------------------------------- */

/* What a callback is told: what mr_stream_next would have returned. Borrowed until it returns.
 * Since 0.2. */
typedef struct mr_answer {
    uint32_t size;
    mr_status status;    /* MR_OK: an answer, and another call follows; else this is the last one:
                          * MR_END, or what went wrong */
    const char *json;    /* the answer, one JSON object; NULL with MR_END, and for an error that is
                          * not the engine's */
    const char *message; /* of an error; else "" */
} mr_answer;

/* Called on the thread of mr_options.loop, or else on one thread of the handle's own, one call at a
 * time. It may make any call that does not wait; without `loop` also those that do, but not
 * mr_close of its handle. Since 0.2. */
typedef void (*mr_answer_cb)(const mr_answer *answer, void *user);

/* mr_request whose answers come by callback: one call for each, and a last one, never before this
 * call returns where it is made on the loop's thread. More than 65,536 answers that nobody was told
 * of yet end it with MR_ELIMIT. `ret_stream` NULL: it goes by itself after the last call. Else it
 * gets the stream, **owned**: mr_stream_close, before or after the last call; when that returns no
 * call is going on (but the one that it is called from) and none will follow. MR_EINVAL, MR_ENOMEM,
 * MR_ECLOSED: nothing will be called. Since 0.2. */
MR_API mr_status mr_request_cb(mr_engine *engine, const char *request_json, mr_answer_cb cb,
                               void *user, mr_stream **ret_stream, mr_error *reterr);

/* mr_start without waiting: reads and writes what it must, sends the request and returns. The one
 * answer, before the last call, is {"run":ID,"dag":...,"file":...,"warnings":[...]}. Errors that
 * the engine finds come by callback; MR_EINVAL, MR_ENOTFOUND, MR_ENOMEM, MR_ECLOSED, and
 * MR_EDEFINITION for a file that is no text, from here, and nothing is called then. Since 0.2. */
MR_API mr_status mr_start_cb(mr_engine *engine, const mr_start_options *options, mr_answer_cb cb,
                             void *user, mr_error *reterr);

/* ---- a dag in code -------------------------------------------------------------------------- */

/* A dag under construction; one thread at a time. **Owned**: mr_dag_destroy. It becomes the text of
 * a dag file, in JSON, which is checked as any other: what a key means says docs/dag-file.md. None
 * of the calls below fails: the first thing that goes wrong is remembered, and told by mr_dag_text
 * and mr_start. Strings are copied. NULL: out of memory; the calls below do nothing with it, and
 * mr_dag_text says so. Since 0.2. */
MR_API mr_dag *mr_dag_create(const char *id);

/* Frees a dag; runs that were started with it do not need it. NULL is allowed. Since 0.2. */
MR_API void mr_dag_destroy(mr_dag *dag);

/* Sets a key of the dag, such as "timeout" or "hooks", to a value in JSON: exactly one, else
 * MR_EINVAL is remembered, as for a key that was set already. Since 0.2. */
MR_API void mr_dag_set(mr_dag *dag, const char *key, const char *value_json);

/* Declares a variable as `vars` of a dag file does: "null", or
 * "{\"type\":\"int\",\"defaultValue\":3}". Since 0.2. */
MR_API void mr_dag_var(mr_dag *dag, const char *name, const char *value_json);

/* Adds a task. `action` NULL: a key such as "run" says what it does. Since 0.2. */
MR_API void mr_dag_task(mr_dag *dag, const char *task_id, const char *action);

/* Sets a param of a task that was added, to a value in JSON. Remembered is MR_EINVAL for an unknown
 * task, for what is no JSON and for a param that was set already. Since 0.2. */
MR_API void mr_dag_param(mr_dag *dag, const char *task_id, const char *name,
                         const char *value_json);

/* mr_dag_param for text; templates work in it. Since 0.2. */
MR_API void mr_dag_param_str(mr_dag *dag, const char *task_id, const char *name, const char *text);

/* mr_dag_param for an integer. Since 0.2. */
MR_API void mr_dag_param_int(mr_dag *dag, const char *task_id, const char *name, int64_t number);

/* The task begins after `on` has ended with success. `on` need not be there yet. Since 0.2. */
MR_API void mr_dag_depend(mr_dag *dag, const char *task_id, const char *on);

/* Sets another key of a task, such as "retry", "runIf" or "forEach", to a value in JSON. Since 0.2.
 */
MR_API void mr_dag_task_set(mr_dag *dag, const char *task_id, const char *key,
                            const char *value_json);

/* The text of the dag file, **borrowed until the next call on this dag**. What was remembered, or
 * MR_ENOMEM; what the text means is checked where it is used. Since 0.2. */
MR_API mr_status mr_dag_text(mr_dag *dag, const char **ret_text, mr_error *reterr);

/* ---- without a store ----------------------------------------------------------------------- */

/* Checks one dag file. MR_OK, or MR_EDEFINITION with all errors. `ret_json` (may be NULL),
 * **owned**: mr_free, is {"dag":...,"tasks":N,"warnings":[...]} or {"errors":[...]} as contract.md
 * has it. `plugins` as in mr_options. */
MR_API mr_status mr_validate(const char *file, const char *text, size_t text_len,
                             const char *plugins, char **ret_json, mr_error *reterr);

/* The same with options: fill with MR_VALIDATE(...). One of `file` (read by this call) or `text` is
 * needed. */
typedef struct mr_validate_options {
    uint32_t size;
    uint32_t compat;                        /* 1: by fastflow's rules, as `--compat fastflow` */
    const char *file;                       /* path of a dag file */
    const char *text;                       /* or its text; `file` then only names it in errors */
    size_t text_len;                        /* bytes of `text` */
    const char *plugins;                    /* as in mr_options */
    const struct mr_action *const *actions; /* as in mr_options. Since 0.2 */
} mr_validate_options;

#define MR_VALIDATE(...)                                 \
    {                                                    \
        .size = sizeof(mr_validate_options), __VA_ARGS__ \
    }

/* mr_validate with options. */
MR_API mr_status mr_validate_with(const mr_validate_options *options, char **ret_json,
                                  mr_error *reterr);

/* Tells what a dag file would do without running anything: fill with MR_PLAN(...). One of `file`
 * (read by this call) or `text` is needed. Since 0.2. */
typedef struct mr_plan_options {
    uint32_t size;
    uint32_t compat;       /* 1: by fastflow's rules, as `--compat fastflow` */
    const char *file;      /* path of a dag file */
    const char *text;      /* or its text; `file` then only names it in errors */
    size_t text_len;       /* bytes of `text` */
    const char *plugins;   /* as in mr_options */
    const char *vars_json; /* a JSON map of variables, or NULL; text becomes the declared type */
    const char *vars_file; /* path of a YAML or JSON map of variables, or NULL; vars_json wins */
    uint32_t graph;        /* 1: the graph alone; no variable is looked at */
    uint32_t unused;
    const struct mr_action *const *actions; /* as in mr_options */
} mr_plan_options;

#define MR_PLAN(...)                                 \
    {                                                \
        .size = sizeof(mr_plan_options), __VA_ARGS__ \
    }

/* `ret_json`, **owned**: mr_free, is {"dag","vars","tasks":[...],"warnings":[...]}, or with
 * MR_EDEFINITION {"errors":[...]} (with any other error it is not set). The tasks stand layer by
 * layer, those that depend on nothing first: {"id","action","layer","dependOn":[ids],"when",
 * "forEach":bool,"conditions":["preCheck","runIf",...]}. Without `graph` each also has "plan",
 * which is what its variables make of it: "run", "skip", "block", "fail", "wait" (behind one that
 * blocks), "never" (behind one that fails) or "undecided" (only the run can tell); "reason", and
 * "items", the length of a fan-out's list where that is known. MR_EINVAL (vars, as mr_start),
 * MR_ENOTFOUND, MR_EABI. Since 0.2. */
MR_API mr_status mr_plan(const mr_plan_options *options, char **ret_json, mr_error *reterr);

/* The JSON Schema (draft 2020-12) of a dag file, with the actions of the plugins; `ret_json`,
 * **owned**: mr_free. It sees what stands in one place (keys, types, words), not the graph.
 * `plugins` as in mr_options. MR_EABI, MR_EPERM. Since 0.2. */
MR_API mr_status mr_schema(const char *plugins, char **ret_json, mr_error *reterr);

/* The same with options: fill with MR_SCHEMA(...). Since 0.2. */
typedef struct mr_schema_options {
    uint32_t size;
    uint32_t unused;
    const char *plugins;                    /* as in mr_options */
    const struct mr_action *const *actions; /* as in mr_options */
} mr_schema_options;

#define MR_SCHEMA(...)                                 \
    {                                                  \
        .size = sizeof(mr_schema_options), __VA_ARGS__ \
    }

/* mr_schema with options. Since 0.2. */
MR_API mr_status mr_schema_with(const mr_schema_options *options, char **ret_json,
                                mr_error *reterr);

/* A file for editors (LuaLS, ---@meta) with every name that a dag's Lua has; `ret_text`,
 * **owned**: mr_free. MR_ENOMEM. Since 0.2. */
MR_API mr_status mr_lua_annotations(char **ret_text, mr_error *reterr);

/* Loads one plugin file (a shared object, or FILE.lua) as the engine would, in this process;
 * `ret_json` (may be NULL), **owned**: mr_free, describes it. MR_EABI with the reason,
 * MR_ENOTFOUND, MR_EPERM. */
MR_API mr_status mr_plugin_check(const char *file, char **ret_json, mr_error *reterr);

/* mr_plugin_check, then the plugin's own self-test (mr_plugin.self_test), in this process: whoever
 * doubts the plugin calls it in another one, as `millrace plugin check` does. MR_EFAILED with the
 * reason: it failed; MR_ENOSYS: the plugin has none. Since 0.2. */
MR_API mr_status mr_plugin_test(const char *file, mr_error *reterr);

/* Measures an engine in a fresh folder inside `store`, removed afterwards, beside a bare store in
 * the same process. `options_json`: {"runs":N,"in_flight":W,"tasks":10} or NULL. `ret_json`,
 * **owned**: mr_free, is contract.md's bench document. */
MR_API mr_status mr_bench(const char *store, const char *plugins, const char *options_json,
                          char **ret_json, mr_error *reterr);

/* Reads a store and verifies every checksum; nobody may hold it. `ret_json`, **owned**: mr_free, is
 * {"ok":...,"errors":[...],...}. MR_EBUSY while it is in use. */
MR_API mr_status mr_store_check(const char *store, char **ret_json, mr_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
