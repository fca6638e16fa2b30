/* SPDX-License-Identifier: MIT
 *
 * A file of a served folder: read and parsed in a job, judged, pushed. Loop thread, but where a
 * job's function says otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/served_impl.h"

struct file_job {
    struct mr__served *served;
    char *path;
    int error;
    struct mr__buf text;
    struct mr__file_stamp stamp;
    struct mr__checked checked;
};

static void file_job_free(struct file_job *job)
{
    mr__buf_finish(&job->text);
    mr__checked_finish(&job->checked);
    mr__free(job->path);
    mr__free(job);
}

struct served_push {
    struct mr__served *served;
    struct mr__push_result result;
    char *file;
    struct mr__buf warnings;
};

static void served_push_free(struct served_push *push)
{
    mr__buf_finish(&push->warnings);
    mr__free(push->file);
    mr__free(push);
}

static void push_done(void *user, mr_status status, const mr_error *error, const uint8_t *run_id)
{
    struct served_push *push = user;
    struct mr__served *served = push->served;
    struct mr__served_file *file = served->closed ? NULL : mr__served_find(served, push->file);
    served->pushes--;
    if (status == MR_OK) {
        struct mr__buf line;
        mr__buf_init(&line);
        mr__buf_text(&line, "{\"pushed\":");
        mr__add_pushed(&line, &push->result);
        mr__buf_text(&line, ",\"file\":");
        mr__json_str(&line, push->file, strlen(push->file));
        mr__buf_bytes(&line, push->warnings.data, push->warnings.len);
        mr__buf_text(&line, "}}");
        mr__served_say(served, &line);
    } else if (file != NULL) { /* the store could not be written: once more, until it can */
        mr__served_queue_file(file);
        mr__served_moment(served);
    }
    served_push_free(push);
    mr__served_work(served);
    mr__served_free(served);
}

static void file_push(struct mr__served_file *file, struct file_job *job)
{
    struct mr__served *served = file->folder->served;
    struct served_push *push = mr__calloc(1, sizeof *push);
    struct mr__dag *dag = job->checked.dag;
    mr_error error;
    job->checked.dag = NULL;
    if (push == NULL || (push->file = mr__strdup(file->path)) == NULL) {
        mr__free(push);
        mr__dag_unref(dag);
        mr__served_errno(served, file->path, ENOMEM);
        return;
    }
    push->served = served;
    mr__add_warnings(&push->warnings, &job->checked);
    (void)mr__definitions_set_problem(&served->engine->definitions, file->path, NULL);
    served->pushes++;
    if (mr__push(served->engine, dag, file->path, file->folder->path, &push->result, push_done,
                 push, &error) != MR_OK) {
        served->pushes--;
        served_push_free(push);
        mr__served_problem(served, file->path, error.message, NULL);
    }
}

/* A good text: it is pushed, unless its dag stands in another file too. */
static void file_take(struct mr__served_file *file, struct file_job *job)
{
    struct mr__served *served = file->folder->served;
    const char *id = job->checked.dag->id;
    uint64_t address;
    char message[MR_ERROR_MESSAGE_BYTES];
    const struct mr__served_file *other = mr__hash_get(&served->by_dag, id, strlen(id), &address)
                                              ? (const struct mr__served_file *)(uintptr_t)address
                                              : NULL;
    file->second = other != NULL && other != file;
    if (file->second) {
        mr__served_forget_dag(file);
        (void)snprintf(message, sizeof message, "%s:1:1: dag \"%s\" stands in %s too, which counts",
                       file->path, id, other->path); /* cut if too long */
        mr__served_problem(served, file->path, message, NULL);
        return;
    }
    if (other == NULL) {
        mr__served_forget_dag(file);
        file->dag = mr__strdup(id);
        if (file->dag == NULL || mr__hash_put(&served->by_dag, file->dag, strlen(file->dag),
                                              (uint64_t)(uintptr_t)file) != MR_OK) {
            mr__free(file->dag);
            file->dag = NULL;
            mr__served_errno(served, file->path, ENOMEM);
            return;
        }
    }
    file_push(file, job);
}

static void file_read_done(struct mr__served_file *file, struct file_job *job)
{
    struct mr__served *served = file->folder->served;
    file->stamp = job->stamp;
    if (job->error == EISDIR) {
        mr__served_queue_folder(file->folder);
    }
    if (job->error == ENOENT || job->error == EISDIR) {
        mr__served_file_drop(file);
    } else if (job->error != 0) {
        mr__served_errno(served, file->path, job->error);
    } else if (job->checked.bad) {
        char message[2 * MR_ERROR_MESSAGE_BYTES];
        (void)snprintf(message, sizeof message, "%s:%u:%u: %s", file->path, job->checked.first.line,
                       job->checked.first.column, job->checked.message); /* cut if too long */
        mr__served_problem(served, file->path, message, &job->checked);
    } else {
        file_take(file, job);
    }
}

static void file_done(void *user, mr_status status)
{
    struct file_job *job = user;
    struct mr__served *served = job->served;
    struct mr__served_file *file = served->job_file;
    served->working = false;
    served->job_file = NULL;
    if (!served->closed && file != NULL) {
        job->error = status != MR_OK && job->error == 0 ? ENOMEM : job->error;
        file_read_done(file, job);
    }
    file_job_free(job);
    mr__served_work(served);
    mr__served_free(served);
}

/* Reader thread. */
static mr_status file_read(struct mr__snapshot *snapshot, void *user)
{
    struct file_job *job = user;
    struct mr__parse_options options = {.file = job->path, .compat = job->served->compat};
    job->error = mr__scan_read_file(job->path, &job->text, &job->stamp);
    return job->error != 0 ? MR_OK
                           : mr__definition_check(job->served->engine->opt.registry,
                                                  (const char *)job->text.data, job->text.len,
                                                  &options, &job->checked);
}

void mr__served_work_file(struct mr__served *served, struct mr__served_file *file)
{
    struct file_job *job = mr__calloc(1, sizeof *job);
    mr_status status = MR_ENOMEM;
    if (job != NULL && (job->path = mr__strdup(file->path)) != NULL) {
        job->served = served;
        served->job_file = file;
        served->working = true;
        status = mr__engine_read(served->engine, file_read, file_done, job);
    }
    if (status != MR_OK) { /* too much is being read, or the end */
        served->working = false;
        served->job_file = NULL;
        if (job != NULL) {
            file_job_free(job);
        }
        mr__served_queue_file(file);
        mr__served_moment(served);
    }
}
