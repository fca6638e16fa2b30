/* SPDX-License-Identifier: MIT
 *
 * One step of a prune, on the store's reader thread: which runs of the next parts of the history
 * may go, and which keys go with each. No engine state is touched.
 */
#ifndef MR__PRUNE_READ_H
#define MR__PRUNE_READ_H

#include "core/base/hash.h"
#include "core/engine/prune.h"
#include "core/store/records.h"

/* How many runs of a dag were seen, the ones that ended last first. */
struct mr__prune_count {
    struct mr__prune_count *next; /* all of them, linked */
    uint64_t seen;
    char dag[]; /* the key in the table */
};

enum mr__prune_fate { MR__PRUNE_STAYS, MR__PRUNE_GOES, MR__PRUNE_LEFT_OVER };

/* A run of a part of this step. */
struct mr__prune_run {
    uint8_t id[MR__RUN_ID_BYTES];
    uint32_t offset;
    size_t at, len;            /* its bytes, in mr__prune_step.bytes */
    size_t op_first, op_count; /* if it goes: its deletions, in mr__prune_step.ops */
    uint8_t fate;              /* LEFT_OVER: the index names another place, or none, for it */
};

struct mr__prune_part {
    struct mr__key key;
    size_t run_first, run_count;
    bool changes; /* some of its runs do not stay */
};

/* The walk, and what its last step found. */
struct mr__prune_step {
    struct mr__prune_options options; /* dag: owned */
    struct mr__key from, to;          /* what is left to be walked */
    bool begun, done;
    struct mr__hash counts; /* dag id -> struct mr__prune_count * */
    struct mr__prune_count *all_counts;

    struct mr__prune_part *parts;
    size_t part_count, part_cap;
    struct mr__prune_run *runs;
    size_t run_count, run_cap;
    struct mr__prune_count **counted; /* to be taken back if the step is not carried out */
    size_t counted_count, counted_cap;
    struct mr__buf bytes;
    struct mr__batch ops; /* of runs that go; where there are no parts: output alone, to go first */
    struct mr__key from_before, to_before;
    mr_error error;
};

mr_status mr__prune_step_init(struct mr__prune_step *step, const struct mr__prune_options *options);
void mr__prune_step_finish(struct mr__prune_step *step);
/* Reader thread: the next step. A step without parts and operations is the last one, or passed over
 * parts that stay. */
mr_status mr__prune_step_read(struct mr__snapshot *snapshot, void *step);
/* The step was not carried out: the next one is the same again. */
void mr__prune_step_undo(struct mr__prune_step *step);

#endif
