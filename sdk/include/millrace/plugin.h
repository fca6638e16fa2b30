/* SPDX-License-Identifier: MIT
 *
 * How to write an action for millrace: the plugin ABI, major version 1.
 *
 * A plugin is a shared object with one exported function, mr_plugin_entry(), which the macro
 * MR_PLUGIN writes. It returns a table of actions; the host checks the table's head before it calls
 * anything. A plugin links to nothing of millrace: every call back goes through `task->host`, for
 * which this header has inline wrappers (mr_trace, mr_output, ...). docs/plugin-abi.md has the
 * rules by which this file may grow.
 *
 * An action runs where it says: on a worker thread, where it may block, or on the engine's loop
 * thread, where it must return at once and may answer MR_PENDING. Unless a comment here says
 * otherwise a host call is made from the thread that runs the action, and every pointer that a host
 * call returns lives until the attempt ends. Params and variables are a snapshot taken when the
 * attempt started; the share data is live.
 *
 * A call from another thread or at another moment than its own is refused with MR_EINVAL and a line
 * in the engine's log; one that only reads or writes values cannot tell, and is a race. NULL for a
 * name, a text or a value is as one that is not known. What each was first in, if not 1.0, is said
 * by its part of this file.
 */
#ifndef MILLRACE_PLUGIN_H
#define MILLRACE_PLUGIN_H

#include <millrace/status.h>
#include <millrace/value.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MR_PLUGIN_MAGIC 0x4d524143u /* "MRAC" */
#define MR_ABI_MAJOR    1
#define MR_ABI_MINOR    2

/* True where the struct that `p` points to was built with the field: its `size` covers it. */
#define MR_HAS(type, p, field) \
    ((p)->size >= offsetof(type, field) + sizeof(((const type *)0)->field))

#if defined(__GNUC__)
#define MR_PRINTF_FORMAT(fmt, first) __attribute__((format(printf, fmt, first)))
#define MR_EXPORT                    __attribute__((visibility("default")))
#else
#define MR_PRINTF_FORMAT(fmt, first)
#define MR_EXPORT
#endif

typedef struct mr_task mr_task;

/* ---- what an action is -------------------------------------------------------------------- */

/* mr_action.where */
enum {
    MR_ON_WORKER = 0, /* `run` may block; it holds one of --jobs slots while it runs */
    MR_ON_LOOP = 1    /* `run` returns at once, with a result or MR_PENDING */
};

/* mr_action.flags */
enum {
    MR_IDEMPOTENT = 1u, /* doing it twice does no harm: a lost attempt is tried again */
    MR_SPAWNS = 2u,     /* a loop action that starts processes: it holds one of --jobs slots */
    /* Since 1.2: it runs in a process of its own (docs/isolation.md), unless the dag says
     * `isolation: none`. The same calls work there, each a message away, but mr_spawn. */
    MR_ISOLATED = 4u
};

/* mr_param.flags */
enum {
    MR_REQUIRED = 1u /* the task must give it; default_json is not looked at */
};

/* One param: a row of mr_action.params. The host checks and completes params before `run`. */
typedef struct mr_param {
    const char *name;
    uint32_t type; /* MR_STRING ...; MR_NULL: any. Text becomes a number or bool where it is one. */
    uint32_t flags;
    const char *default_json; /* JSON text, or NULL: null */
    const char *help;         /* one line */
} mr_param;

/* One action. All pointers are static. */
typedef struct mr_action {
    uint32_t size;       /* of this struct; MR_ACTION sets it */
    uint32_t param_size; /* of one row of `params`; MR_ACTION sets it */
    uint32_t where;
    uint32_t flags;
    const char *name;       /* what a task's `action:` says: 1-128 bytes, as task ids */
    const char *help;       /* one line, or NULL */
    const mr_param *params; /* ended by a row whose name is NULL; NULL: takes no params */

    /* Does the work, once per attempt. Returns MR_OK, an error (with mr_fail's reason, else the
     * status text), or MR_PENDING from the loop thread, after which mr_finish or mr_finish_after
     * is called exactly once. */
    mr_status (*run)(mr_task *t);

    /* Loop thread, at most once, only for an attempt that answered MR_PENDING and has not finished:
     * make it finish soon, as canceled. mr_cancel_reason says why. A child is ended by the host
     * (TERM, grace, KILL) in any case. NULL: without a child the host finishes the attempt as
     * canceled by itself and ignores what comes later; its memory stays until its mr_finish. */
    void (*cancel)(mr_task *t);

    /* Optional phases, NULL where there is none. They run where `run` does and answer MR_OK or an
     * error, never MR_PENDING; timers, children and mr_finish are for `run` alone. retry_before
     * comes first, in an attempt that follows one that failed, was canceled or was lost; then
     * run_before, then `run`, and if that ended well run_after. mr_data, mr_alloc's memory and
     * mr_info are one and the same in all of them, unless the engine was restarted in between: then
     * a phase may be called again, in a new memory. */
    mr_status (*run_before)(mr_task *t);
    mr_status (*run_after)(mr_task *t);
    mr_status (*retry_before)(mr_task *t);
} mr_action;

/* What mr_plugin_entry() returns. The first five fields are the frozen head. */
typedef struct mr_plugin {
    uint32_t magic;
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t size;
    uint32_t flags; /* 0 */
    const char *name;
    const char *version;
    const mr_action *const *actions; /* ended by NULL */

    /* Since 1.2. Optional: tests what the plugin can test of itself without an attempt, as
     * `millrace plugin check` asks for in a process of its own; no engine calls it. MR_OK, or an
     * error with its reason in `reterr`, which is never NULL: see MR_EXPECT. */
    mr_status (*self_test)(mr_error *reterr);
} mr_plugin;

typedef const mr_plugin *(*mr_plugin_entry_fn)(void);
#define MR_PLUGIN_ENTRY_SYMBOL "mr_plugin_entry"

/* An action in C: `static const mr_action a = MR_ACTION(.name = "greet", .run = greet);` */
#define MR_ACTION(...)                                                         \
    {                                                                          \
        .size = sizeof(mr_action), .param_size = sizeof(mr_param), __VA_ARGS__ \
    }

/* An action in C++17, which has no designated initialisers: fill in the rest by assignment in a
 * lambda or function that returns the action. */
#ifdef __cplusplus
static inline mr_action mr_action_make(const char *name, mr_status (*run)(mr_task *t),
                                       uint32_t where, const mr_param *params)
{
    mr_action a;
    memset(&a, 0, sizeof a);
    a.size = sizeof a;
    a.param_size = sizeof(mr_param);
    a.where = where;
    a.name = name;
    a.params = params;
    a.run = run;
    return a;
}
#endif

/* The plugin itself: MR_PLUGIN("greet", "1.0.0", &action, &another_action) at file level; with a
 * self-test (since 1.2): MR_PLUGIN_TESTED("greet", "1.0.0", self_test, &action). */
#ifdef __cplusplus
#define MR_PLUGIN_LINKAGE extern "C"
#else
#define MR_PLUGIN_LINKAGE
#endif
#define MR_PLUGIN(plugin_name, plugin_version, ...) \
    MR_PLUGIN_TESTED(plugin_name, plugin_version, 0, __VA_ARGS__)
#define MR_PLUGIN_TESTED(plugin_name, plugin_version, plugin_self_test, ...)      \
    static const mr_action *const mr_plugin_actions[] = {__VA_ARGS__, 0};         \
    static const mr_plugin mr_plugin_table = {                                    \
        MR_PLUGIN_MAGIC, MR_ABI_MAJOR,   MR_ABI_MINOR,      sizeof(mr_plugin), 0, \
        plugin_name,     plugin_version, mr_plugin_actions, plugin_self_test};    \
    MR_PLUGIN_LINKAGE MR_EXPORT const mr_plugin *mr_plugin_entry(void);           \
    MR_PLUGIN_LINKAGE MR_EXPORT const mr_plugin *mr_plugin_entry(void)            \
    {                                                                             \
        return &mr_plugin_table;                                                  \
    }                                                                             \
    typedef int mr_plugin_takes_a_semicolon

/* In a self-test: returns from it with a failure that names the place and the condition, unless the
 * condition holds: MR_EXPECT(reterr, length_of("abc") == 3). Since 1.2. */
#define MR_EXPECT(reterr, condition)                                                             \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            return mr_self_test_failed(reterr,                                                   \
                                       __FILE__ ":" MR_TEXT(__LINE__) ": expected " #condition); \
        }                                                                                        \
    } while (0)
#define MR_TEXT(number)  MR_TEXT_(number)
#define MR_TEXT_(number) #number

/* Fills in `reterr` with the text, copied and cut to what fits, and returns its status, MR_EFAILED.
 * Any thread. Since 1.2. */
static inline mr_status mr_self_test_failed(mr_error *reterr, const char *what)
{
    size_t len = strlen(what);
    len = len < sizeof reterr->message ? len : sizeof reterr->message - 1;
    memcpy(reterr->message, what, len);
    reterr->message[len] = 0;
    reterr->status = MR_EFAILED;
    return MR_EFAILED;
}

/* ---- what an action is told ---------------------------------------------------------------- */

/* About the attempt. All strings borrowed until the attempt ends. */
typedef struct mr_task_info {
    uint32_t size;
    uint32_t attempt; /* 1, 2, ... */
    const char *run_id;
    const char *dag_id;
    const char *task_id;
    const char *idempotency_key; /* the same for all attempts of this task run */
    const char *folder;          /* absolute: where `run` was called, or the dag's file stands */
    const char *store;           /* absolute: the store's folder */
    int64_t started_at_ms;       /* Unix time */
    int64_t deadline_ms;         /* Unix time at which the attempt times out; 0: never */
} mr_task_info;

/* mr_cancel_reason */
enum { MR_NOT_CANCELED = 0, MR_BY_USER = 1, MR_BY_TIMEOUT = 2, MR_BY_SHUTDOWN = 3 };

/* mr_log's stream */
enum { MR_STDOUT = 1, MR_STDERR = 2 };

/* mr_logf's level. Since 1.2. */
enum { MR_LOG_ERROR = 0, MR_LOG_WARNING = 1, MR_LOG_INFO = 2, MR_LOG_DEBUG = 3 };

/* How to take a lock. Since 1.2. */
typedef struct mr_lock_options {
    uint32_t size;
    uint32_t flags;  /* 0 */
    int64_t ttl_ms;  /* it is lost unless renewed within this time; 0: 30,000; at most a day */
    int64_t wait_ms; /* how long to wait for it; 0: not at all; -1: until the attempt is to stop */
} mr_lock_options;

#define MR_LOCK(...)                                 \
    {                                                \
        .size = sizeof(mr_lock_options), __VA_ARGS__ \
    }

/* Told of a lock that was waited for: MR_OK and its fencing number, or why it is not held. */
typedef void (*mr_lock_cb)(mr_task *t, mr_status status, uint64_t fence, void *arg);

/* A child process to start, in a process group of its own. Everything is copied. */
typedef struct mr_process {
    uint32_t size;
    uint32_t flags; /* 0 */
    const char *const
        *argv;              /* ended by NULL; argv[0] is a path, or looked up in the owner's PATH */
    const char *const *env; /* "NAME=value" ended by NULL, over the owner's environment and
                             * MILLRACE_STORE, _RUN, _TASK, _ATTEMPT, _IDEMPOTENCY_KEY; or NULL */
    const char *folder;     /* NULL: mr_task_info.folder */
    uint32_t grace_ms;      /* between TERM and KILL when it is canceled; 0: the host's 5,000 */
    uint32_t unused;

    /* Loop thread. What the child wrote; stdin is /dev/null. NULL: only to the log. It is written
     * to the task's log in any case. */
    void (*on_output)(mr_task *t, uint32_t stream, const char *bytes, size_t len);

    /* Loop thread, exactly once, after the last on_output: the exit code 0-255, or -1 and the
     * signal that ended it. Whatever is left of the group has been killed. Call mr_finish here. */
    void (*on_exit)(mr_task *t, int32_t exit_code, int32_t signal_number);
} mr_process;

/* ---- the host's calls; use the wrappers below ---------------------------------------------- */

typedef struct mr_host {
    uint32_t size;
    uint32_t abi_minor;
    void *(*alloc)(mr_task *t, size_t bytes);
    char *(*format)(mr_task *t, const char *fmt, va_list args);
    const mr_task_info *(*info)(mr_task *t);
    const mr_value *(*param)(mr_task *t, const char *name);
    const mr_value *(*var)(mr_task *t, const char *name);
    mr_status (*output)(mr_task *t, const char *key, const mr_value *value);
    mr_status (*output_json)(mr_task *t, const char *key, const char *json, size_t len);
    void (*trace)(mr_task *t, const char *fmt, va_list args);
    void (*log)(mr_task *t, uint32_t stream, const char *bytes, size_t len);
    mr_status (*fail)(mr_task *t, mr_status status, const char *fmt, va_list args);
    uint32_t (*cancel_reason)(mr_task *t);
    mr_status (*sleep)(mr_task *t, int64_t ms);
    mr_status (*finish)(mr_task *t, mr_status status);
    mr_status (*finish_after)(mr_task *t, int64_t ms);
    mr_status (*timer)(mr_task *t, int64_t ms, void (*cb)(mr_task *t, void *arg), void *arg);
    mr_status (*post)(mr_task *t, void (*cb)(mr_task *t, void *arg), void *arg);
    mr_status (*spawn)(mr_task *t, const mr_process *process);
    void (*set_data)(mr_task *t, void *data);
    void *(*data)(mr_task *t);
    /* since 1.1 */
    const mr_value *(*vars)(mr_task *t);
    mr_status (*detail)(mr_task *t, const char *key, const mr_value *value);
    const mr_value *(*share_get)(mr_task *t, const char *key);
    const char *(*share_next)(mr_task *t, const char *after);
    mr_status (*share_set)(mr_task *t, const char *key, const mr_value *value);
    mr_status (*share_set_json)(mr_task *t, const char *key, const char *json, size_t len);
    mr_status (*share_flush)(mr_task *t);
    /* since 1.2 */
    void (*log_line)(mr_task *t, uint32_t level, const char *fmt, va_list args);
    void (*progress)(mr_task *t, double fraction, const char *note);
    void (*heartbeat)(mr_task *t);
    mr_status (*lock)(mr_task *t, const char *name, const mr_lock_options *options,
                      uint64_t *ret_fence);
    mr_status (*lock_then)(mr_task *t, const char *name, const mr_lock_options *options,
                           mr_lock_cb cb, void *arg);
    mr_status (*lock_renew)(mr_task *t, const char *name, int64_t ttl_ms);
    mr_status (*unlock)(mr_task *t, const char *name);
} mr_host;

/* The host's own fields follow; a plugin sees only this. */
struct mr_task {
    const mr_host *host;
};

/* Memory for this attempt: zeroed, freed by the host when the attempt ends. NULL: out of memory. */
static inline void *mr_alloc(mr_task *t, size_t bytes)
{
    return t->host->alloc(t, bytes);
}

/* printf into memory of this attempt. NULL: out of memory. */
MR_PRINTF_FORMAT(2, 3) static inline char *mr_printf(mr_task *t, const char *fmt, ...)
{
    va_list args;
    char *text;
    va_start(args, fmt);
    text = t->host->format(t, fmt, args);
    va_end(args);
    return text;
}

/* About this attempt. Never NULL. Any thread. */
static inline const mr_task_info *mr_info(mr_task *t)
{
    return t->host->info(t);
}

/* A param as checked against the action's table, borrowed until the attempt ends; NULL for a name
 * that the table lacks. */
static inline const mr_value *mr_param_get(mr_task *t, const char *name)
{
    return t->host->param(t, name);
}

/* A param's text; "" where it is null or not text. Never NULL. */
static inline const char *mr_param_str(mr_task *t, const char *name)
{
    return mr_value_str(t->host->param(t, name), "");
}

/* A param's integer (a bool counts as 0 or 1); 0 where it is null or no integer. */
static inline int64_t mr_param_int(mr_task *t, const char *name)
{
    return mr_value_int(t->host->param(t, name), 0);
}

/* A variable of the run, borrowed until the attempt ends; NULL if the dag declares none of that
 * name, or out of memory. */
static inline const mr_value *mr_var(mr_task *t, const char *name)
{
    return t->host->var(t, name);
}

/* Sets one member of the output, a map, or with key NULL the whole output. Copied. Saved when `run`
 * has ended well; MR_EINVAL in run_after. MR_ELIMIT over 16 MiB, MR_EINVAL for a value that is no
 * JSON. */
static inline mr_status mr_output(mr_task *t, const char *key, const mr_value *value)
{
    return t->host->output(t, key, value);
}

/* mr_output for text, which is NUL-terminated; NULL (as from a failed mr_printf) is MR_ENOMEM. */
static inline mr_status mr_output_str(mr_task *t, const char *key, const char *text)
{
    mr_value v;
    if (text == 0) {
        return MR_ENOMEM;
    }
    v.type = MR_STRING;
    v.len = (uint32_t)strlen(text);
    v.u.s = text;
    return t->host->output(t, key, &v);
}

/* mr_output for JSON text: exactly one value, else MR_EINVAL. */
static inline mr_status mr_output_json(mr_task *t, const char *key, const char *json, size_t len)
{
    return t->host->output_json(t, key, json, len);
}

/* Adds one line to the task's trace, kept with the run: the first 1,000 of a task, each cut at
 * 1,024 bytes; what is not UTF-8 is shown as U+FFFD. Any thread while it runs. */
MR_PRINTF_FORMAT(2, 3) static inline void mr_trace(mr_task *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    t->host->trace(t, fmt, args);
    va_end(args);
}

/* Adds `len` bytes to the task's log, as of MR_STDOUT or MR_STDERR; shown by `millrace logs`. The
 * last 4 MiB of an attempt are kept. A worker waits where the loop is behind; from another thread
 * what does not fit into 1 MiB then is lost. Any thread while it runs. */
static inline void mr_log(mr_task *t, uint32_t stream, const char *bytes, size_t len)
{
    t->host->log(t, stream, bytes, len);
}

/* Sets the reason of a failure, copied, and returns `status`, an error:
 * `return mr_fail(t, MR_EFAILED, "no %s", x)`. Without it the reason is the status's text. */
MR_PRINTF_FORMAT(3, 4)
static inline mr_status mr_fail(mr_task *t, mr_status status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    status = t->host->fail(t, status, fmt, args);
    va_end(args);
    return status;
}

/* Whether this attempt is to stop, and why: MR_NOT_CANCELED, MR_BY_USER ... Any thread while it
 * runs. */
static inline uint32_t mr_cancel_reason(mr_task *t)
{
    return t->host->cancel_reason(t);
}

/* Worker thread: sleeps `ms` milliseconds. MR_OK when the time is over, MR_ECANCELED at once when
 * the attempt is to stop. */
static inline mr_status mr_sleep(mr_task *t, int64_t ms)
{
    return t->host->sleep(t, ms);
}

/* Ends an attempt that answered MR_PENDING, or is about to: exactly once, any thread; `t` is dead
 * afterwards. `status`: as `run` would answer, MR_OK or an error. MR_EINVAL: it has ended, or is of
 * a worker or another phase than `run`. */
static inline mr_status mr_finish(mr_task *t, mr_status status)
{
    return t->host->finish(t, status);
}

/* Loop thread, before `run` returns MR_PENDING: the host ends this attempt with success after `ms`
 * milliseconds (0 up). Durable: it survives restarts, and the plugin is not called again.
 * MR_EINVAL, with a reason, with a child, an output or share data that is not flushed. */
static inline mr_status mr_finish_after(mr_task *t, int64_t ms)
{
    return t->host->finish_after(t, ms);
}

/* Loop thread, in or after `run`: calls cb once on it after `ms` milliseconds, unless the attempt
 * ends first. Not durable. MR_ELIMIT over 64 at once, MR_ENOMEM. */
static inline mr_status mr_timer(mr_task *t, int64_t ms, void (*cb)(mr_task *t, void *arg),
                                 void *arg)
{
    return t->host->timer(t, ms, cb, arg);
}

/* Any thread, from `run` of a loop action to its end: calls cb on the loop thread once it is
 * pending, unless it ended first. MR_ECANCELED: it has ended; MR_ELIMIT over 65,536 that wait,
 * MR_ENOMEM. */
static inline mr_status mr_post(mr_task *t, void (*cb)(mr_task *t, void *arg), void *arg)
{
    return t->host->post(t, cb, arg);
}

/* Loop thread, at most one at a time per attempt, for an action with MR_SPAWNS: starts a child.
 * MR_ENOTFOUND or MR_EPERM (reason set) when it cannot be executed, MR_EINVAL for arguments that
 * are none, MR_ECANCELED when the attempt is to stop; then on_exit is not called. */
static inline mr_status mr_spawn(mr_task *t, const mr_process *process)
{
    return t->host->spawn(t, process);
}

/* ---- since 1.1 ------------------------------------------------------------------------------ */

/* All variables of the run, a map, to be gone through; a snapshot, borrowed until the attempt ends.
 * NULL: out of memory, or a host older than 1.1. */
static inline const mr_value *mr_vars(mr_task *t)
{
    return MR_HAS(mr_host, t->host, vars) ? t->host->vars(t) : 0;
}

/* Adds a detail to the failure of this attempt: retry.if and those who read the run see it as
 * error.KEY. Copied; forgotten unless the attempt fails; of one key the last holds. `key` is text
 * of at least a byte. MR_EINVAL for a key or value that is no JSON, MR_ELIMIT over 16 KiB in all,
 * MR_ENOMEM; MR_ENOSYS by a host older than 1.1. The reason of the failure is left as it is. */
static inline mr_status mr_detail(mr_task *t, const char *key, const mr_value *value)
{
    return MR_HAS(mr_host, t->host, detail) ? t->host->detail(t, key, value) : MR_ENOSYS;
}

/* mr_detail for an integer. */
static inline mr_status mr_detail_int(mr_task *t, const char *key, int64_t number)
{
    mr_value v;
    v.type = MR_INT;
    v.len = 0;
    v.u.i = number;
    return mr_detail(t, key, &v);
}

/* The share data of the run: values by key that its tasks leave for each other. What this attempt
 * has set it sees at once; what others have set it sees as soon as that is durable (live, no
 * snapshot). Returns the value, borrowed until the attempt ends: a later change gives another
 * pointer, and each of them costs memory until then. NULL: there is none, out of memory, or a host
 * older than 1.1. */
static inline const mr_value *mr_share_get(mr_task *t, const char *key)
{
    return MR_HAS(mr_host, t->host, share_get) ? t->host->share_get(t, key) : 0;
}

/* The first key of the share data after `after` in byte order (NULL: the first of all), borrowed
 * until the attempt ends. NULL: there is none, out of memory, or a host older than 1.1. */
static inline const char *mr_share_next(mr_task *t, const char *after)
{
    return MR_HAS(mr_host, t->host, share_next) ? t->host->share_next(t, after) : 0;
}

/* Sets a key of the share data; `value` NULL removes it. Copied. It becomes durable, and visible to
 * other attempts, with the end of this one or of its `run`, also if it fails, or with
 * mr_share_flush; if the engine dies before that it is gone. `key` has 1 to 256 bytes of UTF-8.
 * MR_EINVAL for a key or value that is none, MR_ELIMIT over 16 MiB or 65,536 keys with what is
 * there, MR_ENOMEM: each with a reason, as by mr_fail. MR_ENOSYS by a host older than 1.1. */
static inline mr_status mr_share_set(mr_task *t, const char *key, const mr_value *value)
{
    return MR_HAS(mr_host, t->host, share_set) ? t->host->share_set(t, key, value) : MR_ENOSYS;
}

/* mr_share_set for text, which is NUL-terminated; NULL (as from a failed mr_printf) is MR_ENOMEM.
 */
static inline mr_status mr_share_set_str(mr_task *t, const char *key, const char *text)
{
    mr_value v;
    if (text == 0) {
        return MR_ENOMEM;
    }
    v.type = MR_STRING;
    v.len = (uint32_t)strlen(text);
    v.u.s = text;
    return mr_share_set(t, key, &v);
}

/* mr_share_set for JSON text: exactly one value, else MR_EINVAL. */
static inline mr_status mr_share_set_json(mr_task *t, const char *key, const char *json, size_t len)
{
    return MR_HAS(mr_host, t->host, share_set_json) ? t->host->share_set_json(t, key, json, len)
                                                    : MR_ENOSYS;
}

/* Makes what was set durable before the attempt ends. On a worker it returns when that is so; on
 * the loop at once, and it will soon be so. MR_ECANCELED at once when the attempt is to stop (what
 * was set may have become durable or not); any other error: it is not durable, with a reason as by
 * mr_fail, and will be tried again with the attempt's end. MR_ENOSYS by a host older than 1.1. */
static inline mr_status mr_share_flush(mr_task *t)
{
    return MR_HAS(mr_host, t->host, share_flush) ? t->host->share_flush(t) : MR_ENOSYS;
}

/* ---- since 1.2 ------------------------------------------------------------------------------ */

/* Adds one line to the task's log, with its level before it ("error: ", "warning: ", "debug: ";
 * information has none): errors and warnings to what stderr holds, the others to stdout. By a host
 * older than 1.2: to the trace. Cut at 4 KiB. Any thread while it runs. */
MR_PRINTF_FORMAT(3, 4)
static inline void mr_logf(mr_task *t, uint32_t level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (MR_HAS(mr_host, t->host, log_line)) {
        t->host->log_line(t, level, fmt, args);
    } else {
        t->host->trace(t, fmt, args);
    }
    va_end(args);
}

/* Says how far the attempt is: `fraction` from 0 to 1 (anything else: not known) and a note of one
 * line, copied, or NULL. The last one is shown while the attempt runs; it is not kept with the run.
 * Counts as a heartbeat. Any thread while it runs; cheap enough for each step of a loop. */
static inline void mr_progress(mr_task *t, double fraction, const char *note)
{
    if (MR_HAS(mr_host, t->host, progress)) {
        t->host->progress(t, fraction, note);
    }
}

/* Says that the attempt is alive. A task with `heartbeat: D` in its dag whose action has said
 * nothing for D is ended as one that timed out; while it waits for a lock it is taken for alive.
 * Any thread while it runs. */
static inline void mr_heartbeat(mr_task *t)
{
    if (MR_HAS(mr_host, t->host, heartbeat)) {
        t->host->heartbeat(t);
    }
}

/* Takes the lock of that name, which one attempt at a time holds across all runs of the store. It
 * is let go by mr_unlock, with the end of the attempt, or when its time is over without
 * mr_lock_renew; those that wait get it in the order in which they came. The attempt that holds it
 * may take it again: it then counts, and as many mr_unlock let it go. `ret_fence` (may be NULL)
 * gets the fencing number: greater than that of each earlier holder, also of earlier engines, so
 * that what the lock protects can refuse a holder that came too late. An attempt that the host has
 * ended while its plugin goes on keeps it until mr_finish, or until its time is over. Not together
 * with mr_finish_after (MR_EINVAL). `name`: 1 to 256 bytes of UTF-8. `options` NULL: the defaults,
 * without waiting. Worker: waits, asleep. On the loop it does not wait: use mr_lock_then. MR_EBUSY
 * or MR_ETIMEDOUT: another attempt holds it (after wait_ms); MR_ECANCELED: the attempt is to stop;
 * MR_EINVAL, MR_ELIMIT (64 locks an attempt), MR_ENOMEM: each with a reason, as by mr_fail, also of
 * the first two. MR_ENOSYS by a host older than 1.2. */
static inline mr_status mr_lock(mr_task *t, const char *name, const mr_lock_options *options,
                                uint64_t *ret_fence)
{
    return MR_HAS(mr_host, t->host, lock) ? t->host->lock(t, name, options, ret_fence) : MR_ENOSYS;
}

/* mr_lock that waits without a thread: loop thread, in or after `run`, of an attempt that answers
 * MR_PENDING. Calls cb once on the loop thread, later, unless the attempt ends first. Errors of
 * mr_lock's arguments are returned, then cb is not called. */
static inline mr_status mr_lock_then(mr_task *t, const char *name, const mr_lock_options *options,
                                     mr_lock_cb cb, void *arg)
{
    return MR_HAS(mr_host, t->host, lock_then) ? t->host->lock_then(t, name, options, cb, arg)
                                               : MR_ENOSYS;
}

/* Holds a lock for another ttl_ms from now (0: 30,000). MR_ECONFLICT: this attempt does not hold it
 * any more, and another may. MR_ENOSYS by a host older than 1.2. Any thread while it runs. */
static inline mr_status mr_lock_renew(mr_task *t, const char *name, int64_t ttl_ms)
{
    return MR_HAS(mr_host, t->host, lock_renew) ? t->host->lock_renew(t, name, ttl_ms) : MR_ENOSYS;
}

/* Lets a lock go. MR_ECONFLICT: this attempt did not hold it (any more). MR_ENOSYS by a host older
 * than 1.2. Any thread while it runs. */
static inline mr_status mr_unlock(mr_task *t, const char *name)
{
    return MR_HAS(mr_host, t->host, unlock) ? t->host->unlock(t, name) : MR_ENOSYS;
}

/* ---- one pointer of the plugin's own -------------------------------------------------------- */

/* Keeps one pointer of the plugin's own across the phases of one attempt; NULL at its begin. */
static inline void mr_set_data(mr_task *t, void *data)
{
    t->host->set_data(t, data);
}

/* What mr_set_data has kept; NULL: nothing. */
static inline void *mr_data(mr_task *t)
{
    return t->host->data(t);
}

#ifdef __cplusplus
}
#endif
#endif
