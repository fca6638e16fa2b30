/* SPDX-License-Identifier: MIT
 *
 * A served folder's own fields, and what its files call of each other: served.c (life, queues,
 * folders), served_files.c (a file: read, judged, pushed). Nobody else includes this. Loop thread.
 */
#ifndef MR__SERVED_IMPL_H
#define MR__SERVED_IMPL_H

#include "core/engine/engine_impl.h"
#include "core/engine/served.h"
#include "core/engine/served_read.h"

struct mr__served_folder;

struct mr__served_file {
    char *path;
    struct mr__served_folder *folder;
    struct mr__served_file *prev, *next; /* of the folder's */
    struct mr__served_file *queue_next;  /* of those to be read */
    struct mr__file_stamp stamp;         /* as it was read last */
    char *dag;                           /* whose file it is, or NULL: none was taken from it */
    bool queued, seen;
    bool second; /* its dag was taken from another file */
};

struct mr__served_folder {
    uv_fs_event_t event; /* first: it is closed as this */
    struct mr__served *served;
    char *path;
    struct mr__served_folder *parent, *prev, *next; /* siblings */
    struct mr__served_folder *folders;
    struct mr__served_file *files;
    struct mr__served_folder *queue_next;
    uint64_t inode; /* as its parent was listed last; of the root: 0 */
    bool queued, seen, gone;
};

struct mr__served {
    struct mr__engine *engine;
    struct mr__served_events events;
    bool compat, closed, settled;
    struct mr__served_folder *root;
    uv_fs_event_t above;   /* the folder that the root stands in: says when there is another root */
    const char *root_name; /* in the root's path; "" where it stands in none */
    struct mr__hash by_path; /* of files: path -> struct mr__served_file * */
    struct mr__hash by_dag;  /* dag id -> struct mr__served_file * */
    size_t folder_count;
    struct mr__served_folder *folder_queue, **folder_tail;
    struct mr__served_file *file_queue, **file_tail;
    uv_timer_t timer;
    uint32_t handles;                     /* that the loop knows */
    uint32_t pushes;                      /* not durable yet */
    bool working;                         /* a job is on the reader thread ... */
    struct mr__served_folder *job_folder; /* ... for one of these; NULL: for one that has gone */
    struct mr__served_file *job_file;
};

/* ---- served.c ---- */
/* Frees it if it is closed and nobody knows it any more. */
void mr__served_free(struct mr__served *served);
/* Gives a line to the listener and finishes it. */
void mr__served_say(struct mr__served *served, struct mr__buf *line);
/* Notes and says what is wrong; `checked` NULL: only `message` does. */
void mr__served_problem(struct mr__served *served, const char *path, const char *message,
                        const struct mr__checked *checked);
void mr__served_errno(struct mr__served *served, const char *path, int number);
void mr__served_queue_folder(struct mr__served_folder *folder);
void mr__served_queue_file(struct mr__served_file *file);
/* Goes on with what is queued, at once or in a moment. */
void mr__served_work(struct mr__served *served);
void mr__served_moment(struct mr__served *served);
struct mr__served_file *mr__served_find(const struct mr__served *served, const char *path);
void mr__served_file_drop(struct mr__served_file *file);
/* The file no longer stands for its dag; another one that says the same may from now on. */
void mr__served_forget_dag(struct mr__served_file *file);

/* ---- served_files.c ---- */
void mr__served_work_file(struct mr__served *served, struct mr__served_file *file);

#endif
