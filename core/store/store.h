/* SPDX-License-Identifier: MIT
 *
 * The store port: an ordered key-value engine that commits one guarded batch at a time.
 *
 * Asynchronous, in one direction each: commit() takes a batch and calls back when it is durable (or
 * not); read() runs a function against a snapshot, off the loop thread, and calls back when it has
 * returned. A store may work on threads of its own; it asks for attention with `notify`, and
 * poll(), called on the loop thread, makes the callbacks. At most one commit is under way at a
 * time; reads run beside it. A read that is begun after a commit's callback sees that commit.
 *
 * Keys are bytes in memcmp order; the first one names the table (enum mr__table), so that a driver
 * may keep tables apart. This is all that the engine asks of LMDB, of etcd and of the simulation.
 */
#ifndef MR__STORE_H
#define MR__STORE_H

#include "core/base/buf.h"

/* The first byte of every key: design.md, "Keys". */
enum mr__table {
    MR__TABLE_CONFIG = 'c',  /* c d <dag id> 0 <version 16>; c p <dag id> 0; c o <shard u16>; c f */
    MR__TABLE_JOURNAL = 'j', /* j <shard u16> <lsn u64> <part u16> */
    MR__TABLE_LIVE = 'l',    /* l <shard u16> <run id 16> */
    MR__TABLE_HISTORY = 'h', /* h <shard u16> <lsn u64> <part u16> */
    MR__TABLE_INDEX = 'x',   /* x <kind> ... <run id 16> */
    MR__TABLE_LOG = 'g'      /* g <run id 16> <task u32> <n u64> */
};
#define MR__STORE_KEY_BYTES_MAX 500u
#define MR__STORE_READS_MAX     1024u /* reads that wait for their callback at a time */
#define MR__STORE_READ_MS_MAX   10000 /* how long a read may hold its snapshot */

bool mr__table_known(uint8_t byte); /* one of enum mr__table */

struct mr__bytes {
    const void *data;
    size_t len;
};

enum mr__op_kind {
    MR__OP_PUT = 0,
    MR__OP_DEL,      /* a key that is not there is no error */
    MR__OP_DEL_RANGE /* key <= k < value */
};

/* key and value are offsets into mr__batch.bytes, so that the batch may grow. */
struct mr__op {
    uint32_t kind, key_len;
    size_t key, value, value_len;
};

/* A list of operations, applied in order, all or none. */
struct mr__batch {
    struct mr__buf bytes;
    struct mr__op *ops;
    size_t count, cap;
    bool failed; /* out of memory while adding: the batch must not be committed */
};

void mr__batch_init(struct mr__batch *batch);
void mr__batch_finish(struct mr__batch *batch);
void mr__batch_reset(struct mr__batch *batch); /* empties it, keeping its memory */
void mr__batch_put(struct mr__batch *batch, const void *key, size_t key_len, const void *value,
                   size_t value_len);
void mr__batch_del(struct mr__batch *batch, const void *key, size_t key_len);
void mr__batch_del_range(struct mr__batch *batch, const void *from, size_t from_len, const void *to,
                         size_t to_len);
/* Adds `count` operations of another batch, from its operation `first` on. */
void mr__batch_append(struct mr__batch *to, const struct mr__batch *from, size_t first,
                      size_t count);

/* A commit happens only if the value at `key` is still `value` (a key that is not there never is);
 * a key_len of 0: no guard. */
struct mr__guard {
    struct mr__bytes key, value;
};

/* MR_OK: durable. MR_ECONFLICT: fenced by the guard, nothing was written. MR_EUNKNOWN: written or
 * not; read the store anew to learn it. MR_EFULL, MR_EIO, MR_ENOMEM, MR_ELIMIT (over the store's
 * limits), MR_EINVAL (a key of no table) and any other: failed, nothing was written. `error` is
 * NULL with MR_OK, else borrowed until the callback returns. */
typedef void (*mr__commit_cb)(void *user, mr_status status, const mr_error *error);

/* What a read function sees: one snapshot. Bytes are borrowed until the read function's next call
 * on the snapshot or its return. It must not call the store itself.
 *
 * A snapshot keeps the store from reusing what was deleted since, so a read must be short: walk
 * long ranges in portions, a read each. A read that lasts longer than MR__STORE_READ_MS_MAX gets
 * MR_ETIMEDOUT from get and range; read_now is exempt. */
struct mr__snapshot;
typedef mr_status (*mr__read_fn)(struct mr__snapshot *snapshot, void *user);
typedef void (*mr__read_cb)(void *user, mr_status status);

enum {
    MR__RANGE_REVERSE = 1u /* from the last key below `to` down to `from` */
};

/* Called for each key of a range in order; false ends the walk early. Bytes borrowed until it
 * returns; it must not call get or range on the same snapshot. */
typedef bool (*mr__range_cb)(void *user, struct mr__bytes key, struct mr__bytes value);

struct mr__snapshot {
    const struct mr__snapshot_ops *ops;
};
struct mr__snapshot_ops {
    mr_status (*get)(struct mr__snapshot *s, const void *key, size_t len,
                     struct mr__bytes *ret_value); /* MR_ENOTFOUND */
    /* from <= key < to, at most `limit` keys (0: all). */
    mr_status (*range)(struct mr__snapshot *s, struct mr__bytes from, struct mr__bytes to,
                       uint32_t flags, size_t limit, mr__range_cb cb, void *user);
    /* Writes all of the store, as it is now or was when the snapshot was taken, to the empty file
     * `fd`: what a driver of the same kind opens as "data.mdb". Without sync. MR_EFULL, MR_EIO;
     * MR_ENOSYS where there is no file. It takes as long as it takes, and the map cannot grow
     * meanwhile. */
    mr_status (*copy)(struct mr__snapshot *s, int fd, mr_error *reterr);
};

struct mr__store_limits {
    size_t ops_max;   /* of one batch */
    size_t bytes_max; /* of one batch, keys and values */
    size_t value_max;
};

/* For drivers: MR_ENOMEM (a failed batch), MR_EINVAL (a key of no table), MR_ELIMIT. */
mr_status mr__batch_check(const struct mr__batch *batch, const struct mr__store_limits *limits,
                          mr_error *reterr);

struct mr__store_stats {
    /* commits since open; used: the data file's, with what is free in it; keys by table byte */
    uint64_t commits, bytes_used, bytes_mapped, keys[256];
    const char *engine;  /* "LMDB 0.9.24"; static */
    uint64_t room_bytes; /* that can still be written before a commit fails; UINT64_MAX: unknown */
};

struct mr__store {
    const struct mr__store_ops *ops;
    struct mr__store_limits limits;
};

struct mr__store_ops {
    /* Begins to write `batch`; batch and guard stay the caller's and unchanged until cb. Loop
     * thread; no other commit may be under way. The store need not call back from within. */
    void (*commit)(struct mr__store *store, const struct mr__batch *batch,
                   const struct mr__guard *guard, mr__commit_cb cb, void *user);
    /* Runs fn on the store's own time and thread, then cb on the loop thread. MR_ELIMIT when too
     * many wait. fn's status goes to cb. */
    mr_status (*read)(struct mr__store *store, mr__read_fn fn, mr__read_cb cb, void *user);
    /* Runs fn at once on the calling thread, which may block: for start and offline checks only. */
    mr_status (*read_now)(struct mr__store *store, mr__read_fn fn, void *user);
    /* Loop thread: makes the callbacks that are due. */
    void (*poll)(struct mr__store *store);
    /* New runs should be refused (MR_EFULL): what room is left is kept for completions. Cheap. */
    bool (*nearly_full)(struct mr__store *store);
    mr_status (*stats)(struct mr__store *store, struct mr__store_stats *ret_stats); /* may block */
    /* Waits for a commit and a read under way and frees everything. Callbacks that are due are not
     * made, reads that wait are dropped. Not from within a callback. */
    void (*close)(struct mr__store *store);
};

/* Asks for a poll() on the loop thread. Called from any thread, any number of times. */
typedef void (*mr__notify_fn)(void *user);

/* LMDB in the folder `path` (which exists and whose lock file the caller holds). MR_ESTORE (remote
 * file system, read-only, damaged), MR_EFORMAT, MR_EFULL, MR_ENOMEM. */
mr_status mr__store_lmdb_open(const char *path, mr__notify_fn notify, void *user,
                              struct mr__store **ret_store, mr_error *reterr);

/* ---- the store in memory: for tests and simulation ----------------------------------------- */

/* What becomes of the next commits, decided by the test. A commit is done in poll(), when the hook
 * says so. */
enum mr__mem_verdict {
    MR__MEM_OK = 0,
    MR__MEM_WAIT,             /* not yet: ask again at the next poll */
    MR__MEM_FAIL,             /* MR_EIO, not written */
    MR__MEM_FULL,             /* MR_EFULL, not written */
    MR__MEM_UNKNOWN_WRITTEN,  /* MR_EUNKNOWN, but written */
    MR__MEM_UNKNOWN_UNWRITTEN /* MR_EUNKNOWN, not written */
};
struct mr__mem_options {
    struct mr__store_limits limits; /* zeros: none */
    enum mr__mem_verdict (*verdict)(void *user, const struct mr__batch *batch);
    void *user;
    mr__notify_fn notify;
    void *notify_user;
};
struct mr__mem_image; /* what a memory store holds durably: survives its close, like a disk */

struct mr__mem_image *mr__mem_image_create(void);
struct mr__mem_image *mr__mem_image_copy(const struct mr__mem_image *image);
void mr__mem_image_destroy(struct mr__mem_image *image);
/* Opens a store on an image, which stays the caller's and must outlive it. Single-threaded. */
mr_status mr__store_mem_open(struct mr__mem_image *image, const struct mr__mem_options *options,
                             struct mr__store **ret_store);

#endif
