/* SPDX-License-Identifier: MIT
 *
 * Every limit of the engine, by name. A limit that a caller can reach gives MR_ELIMIT with its name
 * and number; the tests stand at each limit and one past it.
 */
#ifndef MR__LIMITS_H
#define MR__LIMITS_H

/* dag files (contract.md) */
#define MR__DAG_FILE_BYTES_MAX (64u << 20)
#define MR__DAG_TASKS_MAX      1000000u
#define MR__DAG_DEPTH_MAX      64u
#define MR__DAG_ALIAS_FACTOR_MAX \
    10u /* nodes after alias expansion, as a multiple of those written */
#define MR__DAG_ALIAS_NODES_FREE 10000u /* expansion below this many nodes is always allowed */
#define MR__DAG_ERRORS_MAX       100u
#define MR__ID_BYTES_MAX         128u
#define MR__JSON_DEPTH_MAX       64u
#define MR__SCRIPT_BYTES_MAX     (64u << 10) /* of one piece of Lua, of one action file */
#define MR__RETRIES_MAX          1000000u    /* retry.max */
#define MR__FAN_ITEMS_MAX        1000000u    /* of a forEach's list */
#define MR__FAN_BYTES_MAX        (16u << 20) /* its items as JSON, with their keys */

/* schedules */
#define MR__CRON_BYTES_MAX       1024u
#define MR__CRON_YEARS_MAX       28          /* without a time for so long: never; 8 are possible */
#define MR__ZONE_BYTES_MAX       (64u << 10) /* of a TZif file; the largest of tzdata has 4 KiB */
#define MR__ZONE_TRANSITIONS_MAX 2000u       /* what the C libraries allow, too */
#define MR__ZONE_NAME_BYTES_MAX  128u
#define MR__SCHEDULE_CATCHUP_MAX 100u /* missed times that run after all: the latest ones */
#define MR__SCHEDULE_QUEUE_MAX   100u /* times of one dag that wait for an earlier run to end */
#define MR__SCHEDULE_LATE_MS     10000 /* a time later than this was missed: catchup says what then */
#define MR__SCHEDULE_NEXT_MAX    1000u /* times that `scheduleNext` tells at once */

/* runs */
#define MR__OUTPUT_BYTES_MAX    (16u << 20) /* outputs and share of one run, together */
#define MR__SHARE_KEY_BYTES_MAX 256u
#define MR__SHARE_KEYS_MAX      65536u
#define MR__REASON_BYTES_MAX    1024u
#define MR__KEY_BYTES_MAX       256u
#define MR__VARS_BYTES_MAX      (1u << 20)
#define MR__TAGS_BYTES_MAX      (16u << 10)
#define MR__RETRY_DELAY_MS_MAX  (INT64_C(366) * 86400 * 1000)
#define MR__RUN_TASKS_MAX       2000000u /* task runs of one run, with the children of fan-outs */
#define MR__LOST_MAX            3u /* lost attempts of a task run before it fails in any case */
#define MR__RUNS_LIVE_MAX       4000000u
#define MR__REF_RUNS            10000u /* finished runs among which a short id is looked up */
#define MR__REF_CHARS_MIN       4u

/* executor */
#define MR__JOBS_MAX              4096u
#define MR__JOBS_PER_CORE         4u
#define MR__CHILD_GRACE_MS        5000
#define MR__CHILD_TABLE_ROWS      8192u /* > MR__JOBS_MAX: rows of killed children are freed late */
#define MR__LOG_ATTEMPT_BYTES_MAX (4u << 20) /* captured output of one attempt; the oldest goes */
#define MR__LOG_CHUNK_BYTES_MAX   (32u << 10)
#define MR__TRACE_LINES_MAX       1000u /* of one task run */
#define MR__TRACE_LINE_BYTES_MAX  1024u
#define MR__DETAIL_BYTES_MAX      (16u << 10) /* of a failure: error.exit, ... */
#define MR__PROCESS_ARGS_MAX      4096u
#define MR__EVALUATIONS_MAX       16384u /* handed to workers and not yet answered */
#define MR__EVALUATION_THREADS    2u
#define MR__HOOK_THREADS          4u
#define MR__HOOK_MS_MAX           30000 /* of one hook */
#define MR__HOOK_LINES_MAX        1024u /* of a run's hooks, on the way to the loop */
#define MR__LOG_LINE_BYTES_MAX    4096u /* of one mr_logf */
#define MR__PROGRESS_NOTE_BYTES   256u
#define MR__PROGRESS_MS           250 /* between two that are told of one attempt */

/* locks of attempts (core/exec/locks.h) */
#define MR__LOCKS_MAX           1048576u /* held at once */
#define MR__LOCK_NAME_BYTES_MAX 256u
#define MR__LOCK_TAKEN_MAX      65535u /* how often one attempt may take one that it holds */
#define MR__LOCK_TTL_MS         30000
#define MR__LOCK_TTL_MS_MAX     86400000
#define MR__TASK_LOCKS_MAX      64u /* that one attempt holds and waits for */

/* isolated actions (core/exec/isolated.h) */
#define MR__WIRE_BYTES_MAX   (64u << 20) /* of one message between the engine and a host process */
#define MR__WIRE_QUEUE_BYTES (80u << 20) /* of messages that a host process has not read yet */
#define MR__HOSTS_IDLE_MAX   64u         /* host processes that wait for their next attempt ... */
#define MR__HOST_IDLE_MS     10000       /* ... and how long each of them waits */
#define MR__HOST_LEAK_MAX    32u /* descriptors that a plugin may leave open before its host goes */
#define MR__HOST_TIMERS_MAX  64u /* of an attempt, as in the engine */
#define MR__LIMIT_BYTES_MIN  (16u << 20) /* limits.memory: less does not hold a C library */
#define MR__LIMIT_FILES_MIN  16u         /* limits.files */
#define MR__LIMIT_FILES_MAX  1048576u

/* Lua (lua/lua_host.h) */
#define MR__LUA_CHUNKS_MAX      1024u   /* compiled ones that a state keeps */
#define MR__LUA_PATH_KEYS_BYTES 256u    /* of the path in "result.a[3] is a function" */
#define MR__LUA_JOINED_MAX      64u     /* expressions that are checked as one chunk ... */
#define MR__LUA_JOINED_BYTES    256u    /* ... of at most so many bytes each */
#define MR__LUA_HOOK_STEP       100     /* instructions between two looks at the budget */
#define MR__LUA_MATCH_DEPTH_MAX 200u    /* nested parts of a pattern, as in Lua itself */
#define MR__LUA_MATCH_STEPS_MAX 100000u /* of a preCheck's `matches`: about 1 ms */
#define MR__LUA_STRING_PART     8u      /* one text may have this part of a budget's memory */
#define MR__LUA_PARAMS_MAX      256u    /* of an action file */

/* store */
#define MR__STEP_BYTES (4u << 20) /* read from the store at once, at recovery */
/* Of events: an idle store gets them although more effects are due, so that it writes one half
 * while the loop works on the other. */
#define MR__HAND_OVER_BYTES        (48u << 10)
#define MR__JOURNAL_PART_BYTES_MAX (1u << 20)
#define MR__HISTORY_PART_BYTES     (64u << 10) /* finished runs are packed up to this */
#define MR__JOURNAL_BYTES_KEEP     (64u << 20) /* more than this begins checkpoints and trimming */
#define MR__CHECKPOINT_BYTES_STEP  (1u << 20)  /* put into live/ in one commit, or one run */
#define MR__TRIM_ENTRIES_STEP      64u
#define MR__INDEX_RUNS_PENDING     16384u     /* finished runs whose index entries wait in memory */
#define MR__PRUNE_RUNS_STEP        256u       /* looked at before a commit, or one part ... */
#define MR__PRUNE_BYTES_STEP       (1u << 20) /* ... of the history */
#define MR__PRUNE_LOG_KEYS_STEP    1024u      /* chunks of output removed by one commit */
#define MR__STORE_ROOM_BYTES       (8u << 20) /* kept free for completions: runs are refused before */
#define MR__STORE_RETRY_MS         500        /* after a failed commit */
#define MR__STORE_RETRY_MAX_MS     10000 /* after this long without a commit the owner gives up */

/* definitions */
#define MR__DAGS_MAX           65536u /* pushed to one store; files of a served folder */
#define MR__SERVED_FOLDERS_MAX 8192u  /* each has a watch of the kernel */

/* requests */
#define MR__REQUEST_BYTES_MAX   (80u << 20) /* a dag file as JSON text and what belongs to it */
#define MR__CLIENTS_MAX         1024u
#define MR__CLIENT_REQUESTS_MAX 65536u /* open at once on one connection */
#define MR__CLIENT_BYTES_MAX \
    (128u << 20) /* answers that wait for a slow peer before a stream is cut off */
#define MR__STREAM_LINES_MAX   65536u /* answers that wait for a slow reader before it is cut off */
#define MR__LIST_LIMIT_DEFAULT 50u

#endif
