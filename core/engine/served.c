/* SPDX-License-Identifier: MIT
 *
 * A served folder, as the loop sees it. See served.h. Loop thread, but where a job's function says
 * otherwise.
 *
 * What may have changed stands in two queues, folders to be listed and files to be read; one job at
 * a time is on the reader thread. An event only adds to the queues and starts the timer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/served_impl.h"

#define DEBOUNCE_MS 100 /* after the first of many events */

static struct mr__served_folder *folder_next(struct mr__served *served);
static struct mr__served_file *file_next(struct mr__served *served);
static struct mr__served_folder *folder_make(struct mr__served *served,
                                             struct mr__served_folder *parent, const char *path);
static void folder_drop(struct mr__served_folder *folder);
static void folder_watch(struct mr__served_folder *folder);
static void work_folder(struct mr__served *served, struct mr__served_folder *folder);

/* ---- life --------------------------------------------------------------------------------------
 */

/* In the folder above something of this name has come, gone or changed. */
static void above_on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct mr__served *served = event->data;
    if (!served->closed && (name == NULL || strcmp(name, served->root_name) == 0)) {
        folder_watch(served->root);
        mr__served_queue_folder(served->root);
        mr__served_moment(served);
    }
}

/* Where this fails the root is served until it is removed, and no longer. */
static void watch_above(struct mr__served *served)
{
    char *above = mr__strdup(served->root->path);
    size_t len = strlen(served->root->path);
    while (len > 1 && served->root->path[len - 1] == '/') {
        len--;
    }
    char *slash = above == NULL ? NULL : memrchr(above, '/', len);
    served->root_name = "";
    if (slash != NULL && len > 1) {
        above[len] = '\0';
        served->root_name = served->root->path + (slash + 1 - above);
        slash[slash == above] = '\0';
        (void)uv_fs_event_start(&served->above, above_on_event, above, 0);
    }
    mr__free(above);
}

mr_status mr__served_create(struct mr__engine *engine, const char *path, bool compat,
                            const struct mr__served_events *events, struct mr__served **ret_served)
{
    struct mr__served *served = mr__calloc(1, sizeof *served);
    if (served == NULL) {
        return MR_ENOMEM;
    }
    served->engine = engine;
    served->events = *events;
    served->compat = compat;
    served->folder_tail = &served->folder_queue;
    served->file_tail = &served->file_queue;
    (void)uv_timer_init(engine->loop, &served->timer); /* cannot fail */
    served->timer.data = served;
    (void)uv_fs_event_init(engine->loop, &served->above); /* likewise */
    served->above.data = served;
    served->handles = 2;
    served->root = folder_make(served, NULL, path);
    if (served->root == NULL) {
        mr__served_close(served);
        return MR_ENOMEM;
    }
    watch_above(served);
    mr__served_work(served);
    *ret_served = served;
    return MR_OK;
}

void mr__served_free(struct mr__served *served)
{
    if (!served->closed || served->handles > 0 || served->pushes > 0 || served->working) {
        return;
    }
    mr__hash_finish(&served->by_path);
    mr__hash_finish(&served->by_dag);
    mr__free(served);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct mr__served *served = handle->data;
    served->handles--;
    mr__served_free(served);
}

void mr__served_close(struct mr__served *served)
{
    struct mr__definitions *definitions = &served->engine->definitions;
    served->closed = true;
    while (folder_next(served) != NULL || file_next(served) != NULL) {
        /* Nothing more is read. */
    }
    if (served->root != NULL) {
        folder_drop(served->root);
    }
    while (definitions->problems != NULL) { /* nobody looks at the files any more */
        (void)mr__definitions_set_problem(definitions, definitions->problems->file, NULL);
    }
    uv_close((uv_handle_t *)&served->above, on_handle_closed);
    uv_close((uv_handle_t *)&served->timer, on_handle_closed);
}

/* ---- what is said -------------------------------------------------------------------------------
 */

void mr__served_say(struct mr__served *served, struct mr__buf *line)
{
    if (!served->closed && !line->failed) {
        served->events.line(served->events.user, (const char *)line->data, line->len);
    }
    mr__buf_finish(line);
}

void mr__served_problem(struct mr__served *served, const char *path, const char *message,
                        const struct mr__checked *checked)
{
    struct mr__buf line;
    if (mr__definitions_set_problem(&served->engine->definitions, path, message) != MR_OK) {
        mr__engine_log(served->engine, 1, "out of memory: a problem of %s is not noted", path);
    }
    mr__buf_init(&line);
    mr__buf_text(&line, "{\"problem\":{\"file\":");
    mr__json_str(&line, path, strlen(path));
    mr__buf_text(&line, ",\"message\":");
    mr__json_str(&line, message, strlen(message));
    if (checked != NULL) {
        mr__buf_text(&line, ",");
        /* The problems are an object: its members go into this one. */
        mr__buf_bytes(&line, checked->problems.data + 1, checked->problems.len - 2);
    }
    mr__buf_text(&line, "}}");
    mr__served_say(served, &line);
}

void mr__served_errno(struct mr__served *served, const char *path, int number)
{
    char message[MR_ERROR_MESSAGE_BYTES];
    (void)snprintf(message, sizeof message, "%s: %s", path, strerror(number)); /* cut */
    mr__served_problem(served, path, message, NULL);
}

static void say_removed(struct mr__served *served, const struct mr__served_file *file)
{
    struct mr__buf line;
    mr__buf_init(&line);
    mr__buf_text(&line, "{\"removed\":{\"file\":");
    mr__json_str(&line, file->path, strlen(file->path));
    mr__buf_text(&line, ",\"dag\":");
    mr__json_str(&line, file->dag, strlen(file->dag));
    mr__buf_text(&line, "}}");
    mr__served_say(served, &line);
}

/* ---- queues ------------------------------------------------------------------------------------
 */

void mr__served_queue_folder(struct mr__served_folder *folder)
{
    struct mr__served *served = folder->served;
    if (!folder->queued && !folder->gone) {
        folder->queued = true;
        folder->queue_next = NULL;
        *served->folder_tail = folder;
        served->folder_tail = &folder->queue_next;
    }
}

void mr__served_queue_file(struct mr__served_file *file)
{
    struct mr__served *served = file->folder->served;
    if (!file->queued) {
        file->queued = true;
        file->queue_next = NULL;
        *served->file_tail = file;
        served->file_tail = &file->queue_next;
    }
}

static struct mr__served_folder *folder_next(struct mr__served *served)
{
    struct mr__served_folder *folder = served->folder_queue;
    if (folder != NULL) {
        served->folder_queue = folder->queue_next;
        folder->queued = false;
    }
    if (served->folder_queue == NULL) {
        served->folder_tail = &served->folder_queue;
    }
    return folder;
}

static struct mr__served_file *file_next(struct mr__served *served)
{
    struct mr__served_file *file = served->file_queue;
    if (file != NULL) {
        served->file_queue = file->queue_next;
        file->queued = false;
    }
    if (served->file_queue == NULL) {
        served->file_tail = &served->file_queue;
    }
    return file;
}

static void unqueue_folder(struct mr__served_folder *folder)
{
    struct mr__served_folder **at = &folder->served->folder_queue;
    while (folder->queued && *at != folder) {
        at = &(*at)->queue_next;
    }
    if (folder->queued) {
        *at = folder->queue_next;
        folder->queued = false;
        if (*at == NULL) {
            folder->served->folder_tail = at;
        }
    }
}

static void unqueue_file(struct mr__served_file *file)
{
    struct mr__served *served = file->folder->served;
    struct mr__served_file **at = &served->file_queue;
    while (file->queued && *at != file) {
        at = &(*at)->queue_next;
    }
    if (file->queued) {
        *at = file->queue_next;
        file->queued = false;
        if (*at == NULL) {
            served->file_tail = at;
        }
    }
}

/* ---- files and folders -------------------------------------------------------------------------
 */

struct mr__served_file *mr__served_find(const struct mr__served *served, const char *path)
{
    uint64_t address;
    return mr__hash_get(&served->by_path, path, strlen(path), &address)
               ? (struct mr__served_file *)(uintptr_t)address
               : NULL;
}

static struct mr__served_file *file_make(struct mr__served_folder *folder, const char *path)
{
    struct mr__served *served = folder->served;
    struct mr__served_file *file = mr__calloc(1, sizeof *file);
    char *copy = mr__strdup(path);
    if (file == NULL || copy == NULL ||
        mr__hash_put(&served->by_path, copy, strlen(copy), (uint64_t)(uintptr_t)file) != MR_OK) {
        mr__engine_log(served->engine, 1, "out of memory: %s is not looked at", path);
        mr__free(file);
        mr__free(copy);
        return NULL;
    }
    file->path = copy;
    file->folder = folder;
    file->next = folder->files;
    if (file->next != NULL) {
        file->next->prev = file;
    }
    folder->files = file;
    return file;
}

void mr__served_forget_dag(struct mr__served_file *file)
{
    struct mr__served *served = file->folder->served;
    if (file->dag == NULL) {
        return;
    }
    (void)mr__hash_del(&served->by_dag, file->dag, strlen(file->dag));
    mr__free(file->dag);
    file->dag = NULL;
    for (size_t i = 0; i < served->by_path.cap && !served->closed; i++) {
        struct mr__served_file *other =
            (struct mr__served_file *)(uintptr_t)served->by_path.rows[i].number;
        if (served->by_path.rows[i].key != NULL && other->second) {
            mr__served_queue_file(other);
        }
    }
}

void mr__served_file_drop(struct mr__served_file *file)
{
    struct mr__served *served = file->folder->served;
    if (file->dag != NULL) {
        say_removed(served, file);
    }
    (void)mr__definitions_set_problem(&served->engine->definitions, file->path, NULL);
    (void)mr__hash_del(&served->by_path, file->path, strlen(file->path));
    mr__served_forget_dag(file);
    unqueue_file(file);
    if (served->job_file == file) {
        served->job_file = NULL;
    }
    *(file->prev == NULL ? &file->folder->files : &file->prev->next) = file->next;
    if (file->next != NULL) {
        file->next->prev = file->prev;
    }
    mr__free(file->path);
    mr__free(file);
}

/* The event's name is that of an entry of the folder, or NULL. */
static void folder_on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    struct mr__served_folder *folder = (struct mr__served_folder *)event;
    struct mr__served *served = folder->served;
    if (served->closed || folder->gone) {
        return;
    }
    char path[4096];
    int len = name == NULL ? -1 : snprintf(path, sizeof path, "%s/%s", folder->path, name);
    if (len > 0 && (size_t)len < sizeof path && mr__scan_is_dag_file(name)) {
        struct mr__served_file *file = mr__served_find(served, path);
        file = file == NULL ? file_make(folder, path) : file;
        if (file != NULL) {
            mr__served_queue_file(file);
        }
    } else {
        mr__served_queue_folder(folder);
    }
    mr__served_moment(served);
}

/* Watches what stands at the folder's path now, and nothing that did before. */
static void folder_watch(struct mr__served_folder *folder)
{
    (void)uv_fs_event_stop(&folder->event); /* cannot fail */
    int result = uv_fs_event_start(&folder->event, folder_on_event, folder->path, 0);
    if (result != 0 && result != UV_ENOENT) {
        char message[MR_ERROR_MESSAGE_BYTES];
        (void)snprintf(message, sizeof message, "%s cannot be watched: %s", folder->path,
                       uv_strerror(result)); /* cut if too long */
        mr__served_problem(folder->served, folder->path, message, NULL);
    }
}

static struct mr__served_folder *folder_make(struct mr__served *served,
                                             struct mr__served_folder *parent, const char *path)
{
    struct mr__served_folder *folder = mr__calloc(1, sizeof *folder);
    char *copy = mr__strdup(path);
    if (folder == NULL || copy == NULL) {
        mr__free(folder);
        mr__free(copy);
        return NULL;
    }
    folder->served = served;
    folder->path = copy;
    folder->parent = parent;
    if (parent != NULL) {
        folder->next = parent->folders;
        if (folder->next != NULL) {
            folder->next->prev = folder;
        }
        parent->folders = folder;
    }
    (void)uv_fs_event_init(served->engine->loop, &folder->event); /* cannot fail */
    served->handles++;
    served->folder_count++;
    folder_watch(folder);
    mr__served_queue_folder(folder); /* Listed only now: what comes in the meantime is an event. */
    return folder;
}

static void folder_on_closed(uv_handle_t *handle)
{
    struct mr__served_folder *folder = (struct mr__served_folder *)handle;
    struct mr__served *served = folder->served;
    mr__free(folder->path);
    mr__free(folder);
    served->handles--;
    mr__served_free(served);
}

/* Empties a folder. */
static void folder_clear(struct mr__served_folder *folder)
{
    struct mr__served_file *next_file;
    struct mr__served_folder *next_folder;
    for (struct mr__served_file *file = folder->files; file != NULL; file = next_file) {
        next_file = file->next;
        mr__served_file_drop(file);
    }
    for (struct mr__served_folder *inner = folder->folders; inner != NULL; inner = next_folder) {
        next_folder = inner->next;
        folder_drop(inner);
    }
}

static void folder_drop(struct mr__served_folder *folder)
{
    struct mr__served *served = folder->served;
    folder_clear(folder);
    (void)mr__definitions_set_problem(&served->engine->definitions, folder->path, NULL);
    unqueue_folder(folder);
    folder->gone = true;
    if (served->job_folder == folder) {
        served->job_folder = NULL;
    }
    if (folder->parent != NULL) {
        *(folder->prev == NULL ? &folder->parent->folders : &folder->prev->next) = folder->next;
        if (folder->next != NULL) {
            folder->next->prev = folder->prev;
        }
    }
    served->folder_count--;
    uv_close((uv_handle_t *)&folder->event, folder_on_closed);
}

/* ---- work --------------------------------------------------------------------------------------
 */

static void on_moment(uv_timer_t *timer)
{
    mr__served_work(timer->data);
}

/* What comes within a moment is looked at together. */
void mr__served_moment(struct mr__served *served)
{
    if (uv_is_active((uv_handle_t *)&served->timer) == 0) {
        uv_update_time(served->engine->loop);
        (void)uv_timer_start(&served->timer, on_moment, DEBOUNCE_MS, 0); /* it has a callback */
    }
}

void mr__served_work(struct mr__served *served)
{
    if (served->closed || served->working || uv_is_active((uv_handle_t *)&served->timer) != 0) {
        return;
    }
    struct mr__served_folder *folder = folder_next(served);
    struct mr__served_file *file = folder == NULL ? file_next(served) : NULL;
    if (folder != NULL) {
        work_folder(served, folder);
    } else if (file != NULL) {
        mr__served_work_file(served, file);
    } else if (!served->settled && served->pushes == 0) {
        served->settled = true;
        served->events.settled(served->events.user);
    }
}

/* ---- a folder ----------------------------------------------------------------------------------
 */

struct folder_job {
    struct mr__served *served;
    char *path;
    struct mr__scan scan;
};

static void folder_job_free(struct folder_job *job)
{
    mr__scan_finish(&job->scan);
    mr__free(job->path);
    mr__free(job);
}

static bool same_stamp(const struct mr__file_stamp *a, const struct mr__file_stamp *b)
{
    return a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns &&
           a->bytes == b->bytes && a->inode == b->inode;
}

static void see_file(struct mr__served_folder *folder, const struct mr__scan_entry *entry)
{
    struct mr__served *served = folder->served;
    struct mr__served_file *file = mr__served_find(served, entry->path);
    if (file == NULL && served->by_path.count >= MR__DAGS_MAX) {
        char message[MR_ERROR_MESSAGE_BYTES];
        (void)snprintf(message, sizeof message, "%s: more than %u files; the others are left out",
                       folder->path, MR__DAGS_MAX); /* cut if too long */
        mr__served_problem(served, folder->path, message, NULL);
        return;
    }
    bool fresh = file == NULL;
    file = fresh ? file_make(folder, entry->path) : file;
    if (file != NULL) {
        file->seen = true;
        if (fresh || !same_stamp(&file->stamp, &entry->stamp)) {
            mr__served_queue_file(file);
        }
    }
}

static void see_folder(struct mr__served_folder *folder, const struct mr__scan_entry *entry)
{
    struct mr__served *served = folder->served;
    struct mr__served_folder *inner = folder->folders;
    while (inner != NULL && strcmp(inner->path, entry->path) != 0) {
        inner = inner->next;
    }
    if (inner == NULL && served->folder_count >= MR__SERVED_FOLDERS_MAX) {
        char message[MR_ERROR_MESSAGE_BYTES];
        (void)snprintf(message, sizeof message, "%s: more than %u folders; it is left out",
                       entry->path, MR__SERVED_FOLDERS_MAX); /* cut if too long */
        mr__served_problem(served, folder->path, message, NULL);
        return;
    }
    if (inner != NULL && inner->inode != entry->stamp.inode) { /* another one of its name */
        folder_watch(inner);
        mr__served_queue_folder(inner);
    }
    inner = inner == NULL ? folder_make(served, folder, entry->path) : inner;
    if (inner != NULL) {
        inner->seen = true;
        inner->inode = entry->stamp.inode;
    }
}

static void folder_listed(struct mr__served_folder *folder, const struct mr__scan *scan)
{
    struct mr__served_file *next_file;
    struct mr__served_folder *next_folder;
    (void)mr__definitions_set_problem(&folder->served->engine->definitions, folder->path, NULL);
    for (struct mr__served_file *file = folder->files; file != NULL; file = file->next) {
        file->seen = false;
    }
    for (struct mr__served_folder *inner = folder->folders; inner != NULL; inner = inner->next) {
        inner->seen = false;
    }
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->entries[i].is_folder) {
            see_folder(folder, &scan->entries[i]);
        } else {
            see_file(folder, &scan->entries[i]);
        }
    }
    for (struct mr__served_file *file = folder->files; file != NULL; file = next_file) {
        next_file = file->next;
        if (!file->seen) {
            mr__served_file_drop(file);
        }
    }
    for (struct mr__served_folder *inner = folder->folders; inner != NULL; inner = next_folder) {
        next_folder = inner->next;
        if (!inner->seen) {
            folder_drop(inner);
        }
    }
}

static void folder_done(void *user, mr_status status)
{
    struct folder_job *job = user;
    struct mr__served *served = job->served;
    struct mr__served_folder *folder = served->job_folder;
    bool gone = job->scan.error == ENOENT || job->scan.error == ENOTDIR;
    served->working = false;
    served->job_folder = NULL;
    if (served->closed || folder == NULL || status != MR_OK) {
        /* nobody wants to know any more */
    } else if (gone && folder->parent != NULL) {
        folder_drop(folder);
    } else if (job->scan.error != 0) {
        if (gone) {
            folder_clear(folder);
        }
        mr__served_errno(served, folder->path, job->scan.error);
    } else {
        folder_listed(folder, &job->scan);
    }
    folder_job_free(job);
    mr__served_work(served);
    mr__served_free(served);
}

/* Reader thread. */
static mr_status folder_read(struct mr__snapshot *snapshot, void *user)
{
    struct folder_job *job = user;
    mr__scan_folder(job->path, &job->scan);
    return MR_OK;
}

static void work_folder(struct mr__served *served, struct mr__served_folder *folder)
{
    struct folder_job *job = mr__calloc(1, sizeof *job);
    mr_status status = MR_ENOMEM;
    if (job != NULL && (job->path = mr__strdup(folder->path)) != NULL) {
        job->served = served;
        served->job_folder = folder;
        served->working = true;
        status = mr__engine_read(served->engine, folder_read, folder_done, job);
    }
    if (status != MR_OK) { /* too much is being read, or the end */
        served->working = false;
        served->job_folder = NULL;
        if (job != NULL) {
            folder_job_free(job);
        }
        mr__served_queue_folder(folder);
        mr__served_moment(served);
    }
}
