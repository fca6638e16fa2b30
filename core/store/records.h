/* SPDX-License-Identifier: MIT
 *
 * What stands in the store: every key and every value, written and read here alone. Each value has
 * a format byte in front and an XXH3 checksum behind; one that is not known or does not match is a
 * clear error, never a guess. Pure; any thread.
 */
#ifndef MR__RECORDS_H
#define MR__RECORDS_H

#include "core/scheduler/event.h"
#include "core/store/store.h"

#define MR__RECORD_FORMAT 1
#define MR__KEY_BYTES     (16 + MR__STORE_KEY_BYTES_MAX)

/* A key being made. */
struct mr__key {
    uint8_t bytes[MR__KEY_BYTES];
    size_t len;
};

void mr__key_definition(struct mr__key *key, const char *dag_id, const uint8_t version[16]);
void mr__key_pushed(struct mr__key *key, const char *dag_id);   /* which version is current */
void mr__key_schedule(struct mr__key *key, const char *dag_id); /* how far its schedule got */
void mr__key_owner(struct mr__key *key, uint16_t shard);
void mr__key_indexed(struct mr__key *key,
                     uint16_t shard); /* history is in the index up to this LSN */
void mr__key_journal(struct mr__key *key, uint16_t shard, uint64_t lsn, uint16_t part);
void mr__key_live(struct mr__key *key, uint16_t shard, const uint8_t *run_id);
void mr__key_history(struct mr__key *key, uint16_t shard, uint64_t lsn, uint16_t part);

/* Index entries: a kind, what is looked up, and the run's id, which sorts by creation. */
void mr__key_by_id(struct mr__key *key, const uint8_t *run_id);
void mr__key_by_dag(struct mr__key *key, const char *dag_id, const uint8_t *run_id);
void mr__key_by_status(struct mr__key *key, uint8_t status, const uint8_t *run_id);
void mr__key_by_tag(struct mr__key *key, const char *tag, const char *value, const uint8_t *run_id);
void mr__key_idempotency(struct mr__key *key, struct mr__blob idempotency_key);

enum mr__log_kind {
    MR__LOG_TRACE = 0, /* kept apart, since every show reads them */
    MR__LOG_OUTPUT = 1
};
/* task MR__LOG_ANY_TASK in `to` position: past the last task of that kind. */
void mr__key_log(struct mr__key *key, const uint8_t *run_id, enum mr__log_kind kind, uint32_t task,
                 uint64_t n);
uint64_t mr__key_log_n(struct mr__bytes key);

/* The run id at the end of an index key. NULL: too short. */
const uint8_t *mr__key_run_id(struct mr__bytes key);
/* The dag id in a key of mr__key_pushed, borrowed. False: it is none. */
bool mr__key_pushed_id(struct mr__bytes key, struct mr__blob *ret_dag_id);
bool mr__key_schedule_id(struct mr__bytes key, struct mr__blob *ret_dag_id); /* likewise */
/* Reads the LSN and part of a journal or history key. */
bool mr__key_lsn(struct mr__bytes key, uint64_t *ret_lsn, uint16_t *ret_part);

/* The smallest key that is larger than every key with this prefix. */
void mr__key_after(struct mr__key *key);

/* ---- values ------------------------------------------------------------------------------------
 */

/* A value begins with mr__record_begin, is filled, and ends with mr__record_end. */
size_t mr__record_begin(struct mr__buf *buf);
void mr__record_end(struct mr__buf *buf, size_t begin);
/* Checks format and checksum and gives a reader over what is between. MR_EFORMAT. `what` names the
 * record in the message. */
mr_status mr__record_open(struct mr__bytes value, const char *what, struct mr__reader *ret_reader,
                          mr_error *reterr);

/* One part of a journal entry: flags, event count of the whole entry, bytes of events. */
struct mr__journal_part {
    bool last;
    uint32_t event_count;
    struct mr__blob events; /* borrowed */
};
void mr__journal_part_write(struct mr__buf *buf, const struct mr__journal_part *part);
mr_status mr__journal_part_read(struct mr__bytes value, struct mr__journal_part *ret_part,
                                mr_error *reterr);

/* A checkpoint: the run's events up to and with commit `lsn`. */
struct mr__live {
    uint64_t lsn;
    uint32_t slot;
    struct mr__blob log; /* borrowed */
};
void mr__live_write(struct mr__buf *buf, const struct mr__live *live);
mr_status mr__live_read(struct mr__bytes value, struct mr__live *ret_live, mr_error *reterr);

/* A finished run: what a listing needs beside its first event, and its events. */
struct mr__finished {
    uint8_t status;
    int64_t started_ms, ended_ms; /* Unix time; started 0: it never began */
    struct mr__blob reason;       /* borrowed */
    struct mr__blob log;          /* borrowed; its first event is RUN_CREATED */
};
/* Without format and checksum: those stand around the part that packs many. */
void mr__finished_write(struct mr__buf *buf, const struct mr__finished *finished);
bool mr__finished_read(struct mr__reader *r, struct mr__finished *ret_finished);

/* A part of the history being read, run by run. A run that was pruned has left a gap of a few
 * bytes, which says how many it had: what stands behind it keeps its offset. A part with gaps
 * begins with one of no bytes, so that one without is known at a glance. */
struct mr__part {
    struct mr__reader r;
    uint32_t offset;     /* of what comes next, as places have it */
    struct mr__blob run; /* the bytes of the run read last; borrowed */
    uint32_t run_offset; /* and where it stands */
};
/* MR_EFORMAT. `what` names the part in the message. */
mr_status mr__part_open(struct mr__bytes value, const char *what, struct mr__part *ret_part,
                        mr_error *reterr);
/* Whether there is a further run; gaps are passed over. r.failed: the part is damaged. */
bool mr__part_next(struct mr__part *part, struct mr__finished *ret_finished);
/* The run at an offset, of a part that was just opened. False: none, or r.failed. */
bool mr__part_find(struct mr__part *part, uint32_t offset, struct mr__finished *ret_finished);
/* Writes what stays of a part: mr__part_keep_begin, mr__part_keep for each run in order, and then
 * mr__record_end with what the first one returned. `at`: where the last one ended, at first 1. */
size_t mr__part_keep_begin(struct mr__buf *buf, uint32_t *ret_at);
void mr__part_keep(struct mr__buf *buf, uint32_t *at, uint32_t offset, struct mr__blob run);

/* Where a finished run stands. */
struct mr__place {
    uint64_t lsn;
    uint16_t part;
    uint32_t offset; /* in the part's record as it was first written, from its first byte */
};
#define MR__PLACE_BYTES 14
void mr__place_write(const struct mr__place *place, uint8_t ret_bytes[MR__PLACE_BYTES]);
bool mr__place_read(struct mr__bytes value, struct mr__place *ret_place);

/* A dag version's text. */
struct mr__definition {
    struct mr__blob file, default_id, text; /* borrowed */
    bool compat;                            /* it was parsed with --compat fastflow */
};
void mr__definition_write(struct mr__buf *buf, const struct mr__definition *definition);
mr_status mr__definition_read(struct mr__bytes value, struct mr__definition *ret_definition,
                              mr_error *reterr);

/* A dag that was pushed: its current version, and what lists and schedules need to know of it
 * without reading its text. */
struct mr__pushed {
    uint8_t version[16];
    bool stopped;      /* no run may begin: the text said so, or `stop` */
    bool text_stopped; /* the text says so */
    int64_t pushed_ms; /* when this version became current; Unix time */
    int64_t from_ms;   /* its schedule counts from then: pushed_ms, or when it was started again */
    uint32_t task_count;
    struct mr__blob file, folder;   /* as it was named; where its commands run. Borrowed */
    struct mr__blob cron, timezone; /* its schedule; absent: none. Borrowed */
    uint8_t overlap, catchup;       /* enum mr__overlap, enum mr__catchup */
};
void mr__pushed_write(struct mr__buf *buf, const struct mr__pushed *pushed);
mr_status mr__pushed_read(struct mr__bytes value, struct mr__pushed *ret_pushed, mr_error *reterr);

/* How far a dag's schedule got. Times are nominal ones: what the cron expression says. */
struct mr__schedule_mark {
    int64_t decided_ms;     /* what becomes of every time up to this one is decided; 0: of none */
    uint64_t skipped;       /* times that got no run because of others, since the dag is known */
    int64_t skipped_ms;     /* the last of them; 0: none */
    uint32_t waiting_count; /* times that are to have a run, which does not exist yet ... */
    int64_t waiting[MR__SCHEDULE_QUEUE_MAX]; /* ... the earliest first */
};
void mr__schedule_mark_write(struct mr__buf *buf, const struct mr__schedule_mark *mark);
mr_status mr__schedule_mark_read(struct mr__bytes value, struct mr__schedule_mark *ret_mark,
                                 mr_error *reterr);

/* A chunk of a task's log. */
struct mr__log_chunk {
    uint8_t stream; /* MR_STDOUT, MR_STDERR, 3: trace */
    uint32_t attempt;
    int64_t time_ms;
    struct mr__blob text; /* borrowed */
};
#define MR__STREAM_TRACE 3
void mr__log_chunk_write(struct mr__buf *buf, const struct mr__log_chunk *chunk);
bool mr__log_chunk_read(struct mr__bytes value, struct mr__log_chunk *ret_chunk);

#endif
