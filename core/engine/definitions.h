/* SPDX-License-Identifier: MIT
 *
 * The dags of the store, in memory: for each the current version, whether it is stopped, its
 * schedule. Lists, schedules and submits look here; texts stay in the store. Beside them the files
 * of a served folder that cannot be taken, which are not stored.
 *
 * The table changes when a change is handed to the shard, not when it is durable: who answers about
 * it waits with mr__shard_after. After a commit that failed it is read anew. Loop thread.
 */
#ifndef MR__DEFINITIONS_H
#define MR__DEFINITIONS_H

#include "core/base/hash.h"
#include "core/store/records.h"

/* One dag. */
struct mr__dag_row {
    const char *id;
    struct mr__pushed pushed; /* its texts have a NUL behind them; those of "" are absent */
    /* Kept by who runs schedules, and only while somebody does: */
    int64_t next_ms;    /* its next run; 0: none */
    uint32_t waiting;   /* times whose runs wait for an earlier one */
    uint64_t skipped;   /* times that got no run because of others */
    int64_t skipped_ms; /* the last of them; 0: none */
};

/* A file that a dag could not be taken from. */
struct mr__file_problem {
    struct mr__file_problem *next;
    char *file, *message;
};

struct mr__definitions {
    struct mr__dag_row **rows; /* by id */
    size_t count, cap;
    struct mr__file_problem *problems;
    /* Called when a row was added or changed; NULL: any may have been, all was read anew. */
    void (*changed)(void *user, const struct mr__dag_row *row);
    void *user;
};

void mr__definitions_init(struct mr__definitions *definitions);
void mr__definitions_finish(struct mr__definitions *definitions);
/* Reads all rows anew from the store, blocking; what is kept in `next_ms` is lost. */
mr_status mr__definitions_read(struct mr__definitions *definitions, struct mr__store *store,
                               mr_error *reterr);

/* Adds or replaces the row of a dag; copied. MR_ENOMEM, MR_ELIMIT. */
mr_status mr__definitions_put(struct mr__definitions *definitions, struct mr__blob id,
                              const struct mr__pushed *pushed);

/* In the order of their ids; rows are borrowed until their dag is put again. */
const struct mr__dag_row *mr__definitions_at(const struct mr__definitions *definitions, size_t i);
struct mr__dag_row *mr__definitions_find(const struct mr__definitions *definitions,
                                         const char *id); /* or NULL */
/* Did you mean: the nearest id, or NULL. */
const char *mr__definitions_nearest(const struct mr__definitions *definitions, const char *id);

/* What is wrong with a file, or NULL: it is well again. */
mr_status mr__definitions_set_problem(struct mr__definitions *definitions, const char *file,
                                      const char *message);
const char *mr__definitions_problem(const struct mr__definitions *definitions, const char *file);

#endif
