/* SPDX-License-Identifier: MIT
 *
 * The child table: DIR/children, a small mmap'd file that says which attempts of spawning actions
 * have begun and which child process each of them has now. `kill -9` of the engine leaves it whole;
 * a power cut ends the children too, so that it is never synced. Loop thread.
 *
 * A row is entered before the action's `run` is called, and the child itself puts its pid and start
 * time in before exec, in one compare-and-swap: a child that was cloned by an engine that is dead
 * by now finds its claim gone and exits. So, on the same boot, an attempt without a row never
 * began, and a child without a row never lived.
 */
#ifndef MR__CHILD_TABLE_H
#define MR__CHILD_TABLE_H

#include <sys/types.h>

#include "core/base/hash.h"
#include "core/base/id.h"

struct mr__child_key {
    uint8_t run_id[MR__RUN_ID_BYTES];
    uint32_t task, attempt;
};

/* `child` is 0: free; with the top bit set: begun, without a child, under this claim number; else
 * start time << 24 | pid of the child, which is the leader of its process group. */
struct mr__child_row {
    uint64_t child; /* atomic */
    struct mr__child_key key;
};

struct mr__child_header {
    uint64_t magic;
    uint32_t format, rows;
    uint32_t settled; /* no attempt of an earlier boot is unaccounted for */
    uint32_t unused;
    uint64_t claims; /* the latest claim number */
    char boot[64];   /* boot id and pid namespace in which the pids mean something */
    uint64_t reserved[4];
};

struct mr__child_table {
    struct mr__child_header *header; /* the mapping */
    struct mr__child_row *rows;
    struct mr__hash by_key;            /* -> row; the keys lie in the mapping */
    uint8_t own[MR__CHILD_TABLE_ROWS]; /* 1: entered by this process */
    uint32_t next;                     /* where the search for a free row begins */
};

#define MR__CHILD_NO_ROW UINT32_MAX
/* Set in a key's task: the row is that of the host process in which the attempt runs. */
#define MR__CHILD_HOST 0x80000000u

/* Opens or makes STORE/children and maps it. MR_EIO, MR_EPERM, MR_EFULL, MR_EFORMAT, MR_ENOMEM. */
mr_status mr__child_table_open(struct mr__child_table *table, const char *store, mr_error *reterr);
void mr__child_table_close(struct mr__child_table *table); /* also one that was never opened */

/* Enters an attempt. MR_ELIMIT: every row is taken. */
mr_status mr__child_table_enter(struct mr__child_table *table, const struct mr__child_key *key,
                                uint32_t *ret_row);
/* Enters an attempt of which an earlier engine may have left the row, whose child is gone. */
mr_status mr__child_table_enter_again(struct mr__child_table *table,
                                      const struct mr__child_key *key, uint32_t *ret_row);
bool mr__child_table_find(const struct mr__child_table *table, const struct mr__child_key *key,
                          uint32_t *ret_row);
void mr__child_table_free(struct mr__child_table *table, uint32_t row);

/* The claim that mr__child_table_enter_child of the next child will take. */
uint64_t mr__child_table_claim(struct mr__child_table *table, uint32_t row);
/* The row's child is a process that runs already. */
void mr__child_table_adopt(struct mr__child_table *table, uint32_t row, pid_t pid, uint64_t start);
/* In the child, before exec; async-signal-safe. False: the claim is gone, the child must exit. */
bool mr__child_table_enter_child(struct mr__child_row *row, uint64_t claim);
/* The row's child has been reaped, or is known to be gone. */
void mr__child_table_childless(struct mr__child_table *table, uint32_t row);

/* The row's child, false if it has none. */
bool mr__child_table_child(const struct mr__child_table *table, uint32_t row, pid_t *ret_pid,
                           uint64_t *ret_start);

/* True where a missing row proves that an attempt never began. */
bool mr__child_table_settled(const struct mr__child_table *table);
/* All attempts that began before the table was opened are accounted for: their childless rows go.
 */
void mr__child_table_settle(struct mr__child_table *table);

#endif
