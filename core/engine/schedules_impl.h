/* SPDX-License-Identifier: MIT
 *
 * The schedules' own fields, and what their files call of each other: schedules.c (the timer, the
 * rows), schedule_zones.c (time zones), schedule_start.c (a nominal time becomes a run). Nobody
 * else includes this. Loop thread.
 */
#ifndef MR__SCHEDULES_IMPL_H
#define MR__SCHEDULES_IMPL_H

#include "core/engine/engine_impl.h"
#include "core/engine/schedule_rules.h"
#include "core/engine/schedules.h"

/* The origin of a scheduled run begins so; nothing else writes origins. */
#define MR__SCHEDULE_ORIGIN "{\"trigger\":\"schedule\",\"scheduledFor\":"

struct mr__schedule_zone;
struct mr__schedule_start;

/* A dag that has a schedule, or had one: its mark must not be forgotten. */
struct mr__schedule_row {
    struct mr__schedules *schedules;
    const char *id;
    bool active; /* it has a schedule, and is not stopped */
    struct mr__schedule_rule rule;
    struct mr__schedule_zone *zone; /* rule.zone is NULL until it is read */
    struct mr__schedule_state state;
    int64_t pushed_from_ms; /* the row's of the definition, as it was seen last */
    bool unsaved;           /* the mark differs from what was handed to the store */
    uint64_t skipped_told;  /* mark.skipped when it was last told of; 0: a run was made since */
    bool told_back;         /* it was told that the clock was set back */
    int64_t retry_ms;       /* when to try again what failed; INT64_MAX: nothing did */
    int64_t next_ms;        /* when to look again; INT64_MAX: never */
    uint8_t (*runs)[MR__RUN_ID_BYTES]; /* its unfinished ones */
    size_t run_count, run_cap;
    struct mr__schedule_start *start; /* a run being made, or NULL */
};

struct mr__schedules {
    struct mr__engine *engine;
    uv_poll_t poll; /* of the timer */
    int timer_fd;
    bool closed, poll_closed;
    int64_t since_ms;
    struct mr__schedule_row **rows;
    size_t count, cap;
    struct mr__hash by_id;
    struct mr__schedule_zone *zones;
    uint32_t zone_jobs;
};

/* ---- schedules.c ---- */
void mr__schedules_free(struct mr__schedules *schedules); /* if nobody knows it any more */
/* Decides what is due, goes on with what can, and tells what was found. */
void mr__schedule_row_look(struct mr__schedule_row *row);
/* Begins what may begin now: a run has ended, or exists. */
void mr__schedule_row_advance(struct mr__schedule_row *row);
/* Hands the mark to the store: it goes with what the shard was told in this turn of the loop. */
void mr__schedule_row_save(struct mr__schedule_row *row);
bool mr__schedule_row_add_run(struct mr__schedule_row *row, const uint8_t *run_id);
void mr__schedules_arm(struct mr__schedules *schedules);

/* ---- schedule_zones.c ---- */
/* Sets the row's zone: at once, or when it has been read, and then looks at the row. `name`: "" is
 * UTC. */
void mr__schedule_zone_want(struct mr__schedule_row *row, const char *name);
void mr__schedule_zones_finish(struct mr__schedules *schedules);

/* ---- schedule_start.c ---- */
/* Makes the run of a waiting time; row->start is set until it is there or cannot be. */
void mr__schedule_start(struct mr__schedule_row *row, int64_t time_ms);
/* The row forgets it: nothing is made any more. */
void mr__schedule_start_orphan(struct mr__schedule_start *start);

#endif
