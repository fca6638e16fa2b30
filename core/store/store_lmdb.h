/* SPDX-License-Identifier: MIT
 *
 * What the files of the LMDB driver share:
 *
 *   store_lmdb.c        the port: threads, queues, callbacks, when to reopen, grow and reserve
 *   store_lmdb_env.c    the environment: open, close, grow; error codes; room on the disk
 *   store_lmdb_check.c  the data file, read by hand before LMDB maps it
 *   store_lmdb_txn.c    one write transaction for a batch; one read transaction for a read
 *
 * None of this is for use outside core/store and its tests.
 */
#ifndef MR__STORE_LMDB_H
#define MR__STORE_LMDB_H

#include <lmdb.h>
#include <stdatomic.h>

#include "core/store/store.h"

#define MR__LMDB_TABLES     6
#define MR__LMDB_VALUE_MAX  ((size_t)1 << 30)
#define MR__LMDB_BYTES_MAX  ((size_t)2 << 30)
#define MR__LMDB_OPS_MAX    ((size_t)1 << 20)
#define MR__LMDB_MAP_BYTES  ((uint64_t)16 << 30) /* address space, not memory */
#define MR__LMDB_LOCK_BYTES 8192                 /* LMDB's lock file with its 126 reader slots */

struct mr__lmdb_table {
    uint8_t byte;
    const char *name;
};
extern const struct mr__lmdb_table
    mr__lmdb_tables[MR__LMDB_TABLES]; /* in the order of their bytes */

/* ---- store_lmdb_check.c ------------------------------------------------------------------------
 */

struct mr__lmdb_file {
    uint32_t page_bytes;
    uint64_t file_bytes;
    uint64_t needed_bytes; /* up to the last page in use; 0: a new file, or not even that */
};

/* Reads the meta pages and walks the trees: small ones whole, of large ones the branch pages or the
 * root. A file that is shorter than its last page is walked whole, and good if what is missing is
 * free pages. MR_EFORMAT: not ours; MR_ESTORE: damaged; MR_EIO, MR_ENOMEM. */
mr_status mr__lmdb_check(int fd, const char *path, struct mr__lmdb_file *ret_file,
                         mr_error *reterr);

/* ---- store_lmdb_env.c --------------------------------------------------------------------------
 */

struct mr__lmdb_env {
    MDB_env *env; /* NULL: closed */
    MDB_dbi dbi[MR__LMDB_TABLES];
    int fd; /* of the data file; LMDB's, borrowed */
    uint32_t page_bytes;
    uint64_t map_bytes;
    uint64_t map_refused;     /* a map of this size could not be had; 0: none */
    uint64_t reserved_to;     /* blocks of the data file are ours up to here */
    bool reserve_unsupported; /* by the file system */
};

/* Opens the store in the folder `path`. `settle`: a write of the meta pages has failed, so that
 * memory and disk may differ; writes them again first. MR_ESTORE, MR_EFORMAT, MR_EFULL, MR_EIO,
 * MR_ENOMEM. */
mr_status mr__lmdb_env_open(struct mr__lmdb_env *env, const char *path, uint64_t map_bytes,
                            bool settle, mr_error *reterr);
void mr__lmdb_env_close(struct mr__lmdb_env *env);

/* Bytes of the data file in use, the last commit's. */
uint64_t mr__lmdb_env_end(const struct mr__lmdb_env *env);

/* True when less than 30 % of the map would be left after `bytes` more. */
bool mr__lmdb_env_wants_growth(const struct mr__lmdb_env *env, uint64_t bytes);
/* Makes the map larger, so that `bytes` more fit well. No transaction may be open. MR_EFULL: no
 * more address space, the map is what it was; any other: the environment is closed. */
mr_status mr__lmdb_env_grow(struct mr__lmdb_env *env, const char *path, uint64_t bytes,
                            mr_error *reterr);

/* Keeps MR__STORE_ROOM_BYTES of the disk behind the end of the file; false: there is not enough. */
bool mr__lmdb_env_reserve(struct mr__lmdb_env *env);
/* Bytes that the file can still grow by. */
uint64_t mr__lmdb_env_room(const struct mr__lmdb_env *env);

/* The status for a code of LMDB's or errno, with a message that begins with `what`. */
mr_status mr__lmdb_error(mr_error *reterr, int code, const char *what);

/* NULL: a local file system; else its name. `magic` is statfs.f_type. */
const char *mr__lmdb_remote_fs(uint64_t magic);
/* False for versions of LMDB that are known to be harmful, or whose format is another one. */
bool mr__lmdb_version_good(int major, int minor, int patch);

/* ---- store_lmdb_txn.c --------------------------------------------------------------------------
 */

/* One batch in one write transaction. MR_EUNKNOWN: the environment must be reopened before use. */
mr_status mr__lmdb_write(struct mr__lmdb_env *env, const struct mr__batch *batch,
                         const struct mr__guard *guard, bool *ret_map_full, mr_error *reterr);

/* Runs fn in a read transaction. After `limit_ms` (0: never), or once `stop` is set, the snapshot
 * gives nothing more. */
mr_status mr__lmdb_read(struct mr__lmdb_env *env, mr__read_fn fn, void *user, int64_t limit_ms,
                        const atomic_bool *stop);

/* Keys by table. */
mr_status mr__lmdb_count(struct mr__lmdb_env *env, uint64_t ret_keys[256]);

/* ---- store_lmdb.c ------------------------------------------------------------------------------
 */

struct mr__lmdb_options {
    uint64_t map_bytes; /* at first */
    int64_t read_ms_max;
    int64_t room_look_ms; /* how often to look for room again while there is too little */
};

/* mr__store_lmdb_open with other numbers, for tests. */
mr_status mr__lmdb_open(const char *path, const struct mr__lmdb_options *options,
                        mr__notify_fn notify, void *user, struct mr__store **ret_store,
                        mr_error *reterr);

#endif
