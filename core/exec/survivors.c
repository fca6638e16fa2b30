/* SPDX-License-Identifier: MIT
 *
 * Children that an earlier engine left behind: counting them, and ending them before anything of
 * their runs begins again. Loop thread.
 *
 * Whom we may kill. A row names a leader by pid and start time, which no other process shares.
 * While that leader exists, be it as a zombie, the number of its process group cannot be given to
 * anybody else: every process in that group is ours. Once it is gone, a group of that number may be
 * what is left of ours, or, after the numbers have gone round, a stranger's: then a process is ours
 * only if its environment still names this run and attempt, as that of every child of ours does.
 * One that has wiped its environment or left the group stays unharmed.
 *
 * Nothing is polled: each process is watched through a pidfd, and when all have ended /proc is read
 * once more, for what they may have forked meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/exec/task_host.h"

#define RETRY_MS                                                                     \
    100 /* only where there is no pidfd: no descriptor is left, or a very old kernel \
         */

struct process {
    pid_t pid, group;
    uint64_t start;
    uint32_t row;
    bool zombie;
};

struct found {
    struct process *list;
    uint32_t count, cap;
    bool failed;
};

struct watch {
    uv_poll_t poll;
    int fd;
    struct mr__sweep *sweep;
    struct watch *next;
};

struct mr__sweep {
    struct mr__exec *exec;
    struct mr__sweep *next;
    void (*cb)(void *user);
    void *user;
    uint32_t *rows;
    uint32_t row_count;
    struct watch *watches;
    uv_timer_t retry;
};

static void scan(const struct mr__exec *x, const uint32_t *rows, uint32_t count,
                 struct found *found);
static void sweep_round(struct mr__sweep *sweep);
static void sweep_finish(struct mr__sweep *sweep);

/* ---- reading /proc ----------------------------------------------------------------------------
 */

static ssize_t read_file(pid_t pid, const char *name, char *text, size_t bytes)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t len = 0;
    for (ssize_t more = 1; more > 0 && len < bytes;) {
        more = read(fd, text + len, bytes - len);
        len += more > 0 ? (size_t)more : 0;
    }
    (void)close(fd);
    return (ssize_t)len;
}

/* State, group and start time: fields 3, 5 and 22 of its stat. */
static bool read_process(pid_t pid, struct process *ret_process)
{
    char text[1024];
    ssize_t len = read_file(pid, "stat", text, sizeof text - 1);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    const char *at = strrchr(text, ')'); /* The name may hold anything. */
    char state = 0;
    int group = 0;
    unsigned long long start = 0;
    if (at == NULL ||
        sscanf(at + 1,
               " %c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &state, &group, &start) != 3) {
        return false;
    }
    *ret_process = (struct process){
        .pid = pid, .group = (pid_t)group, .start = start, .zombie = state == 'Z' || state == 'X'};
    return true;
}

static bool has_variable(const char *environment, size_t len, const char *wanted)
{
    size_t wanted_len = strlen(wanted) + 1;
    for (size_t at = 0; at < len;) {
        const char *end = memchr(environment + at, '\0', len - at);
        size_t entry_len = end == NULL ? len - at : (size_t)(end - environment) - at + 1;
        if (entry_len == wanted_len && memcmp(environment + at, wanted, wanted_len) == 0) {
            return true;
        }
        at += entry_len;
    }
    return false;
}

/* Whether its environment names the row's attempt. */
static bool is_of_attempt(pid_t pid, const struct mr__child_key *key)
{
    char id[MR__RUN_ID_TEXT_BYTES], run[64], attempt[40];
    size_t bytes = 256u << 10;
    char *text = mr__malloc(bytes);
    if (text == NULL) {
        return false;
    }
    mr__id_text(key->run_id, id);
    (void)snprintf(run, sizeof run, "MILLRACE_RUN=%s", id);
    (void)snprintf(attempt, sizeof attempt, "MILLRACE_ATTEMPT=%u", key->attempt);
    ssize_t len = read_file(pid, "environ", text, bytes);
    bool ours =
        len > 0 && has_variable(text, (size_t)len, run) && has_variable(text, (size_t)len, attempt);
    mr__free(text);
    return ours;
}

static void found_add(struct found *found, const struct process *process)
{
    if (found->count == found->cap) {
        uint32_t cap = found->cap == 0 ? 64 : found->cap * 2;
        struct process *list = mr__realloc(found->list, cap * sizeof *list);
        if (list == NULL) {
            found->failed = true;
            return;
        }
        found->list = list;
        found->cap = cap;
    }
    found->list[found->count++] = *process;
}

/* All processes whose group has the number of one of the rows' leaders. */
static void scan_groups(const struct mr__hash *leaders, struct found *found)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL) {
        found->failed = true;
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct process process;
        uint64_t row;
        char *end;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && read_process((pid_t)pid, &process) &&
            mr__hash_get(leaders, &process.group, sizeof process.group, &row)) {
            process.row = (uint32_t)row;
            found_add(found, &process);
        }
    }
    (void)closedir(dir);
}

/* The living processes that are provably of these rows. */
static void scan(const struct mr__exec *x, const uint32_t *rows, uint32_t count,
                 struct found *found)
{
    struct mr__hash leaders;
    pid_t *pids = mr__calloc(count + 1, sizeof *pids);
    bool *has_leader = mr__calloc(MR__CHILD_TABLE_ROWS, sizeof *has_leader);
    memset(found, 0, sizeof *found);
    mr__hash_init(&leaders);
    found->failed = pids == NULL || has_leader == NULL;
    for (uint32_t i = 0; i < count && !found->failed; i++) {
        uint64_t start;
        if (mr__child_table_child(&x->table, rows[i], &pids[i], &start)) {
            found->failed = mr__hash_put(&leaders, &pids[i], sizeof pids[i], rows[i]) != MR_OK;
        }
    }
    if (!found->failed && leaders.count > 0) {
        scan_groups(&leaders, found);
    }
    for (uint32_t i = 0; i < found->count && !found->failed; i++) {
        const struct process *p = &found->list[i];
        pid_t pid;
        uint64_t start;
        if (mr__child_table_child(&x->table, p->row, &pid, &start) && p->pid == pid &&
            p->start == start) {
            has_leader[p->row] = true;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < found->count && !found->failed; i++) {
        const struct process *p = &found->list[i];
        if (!p->zombie &&
            (has_leader[p->row] || is_of_attempt(p->pid, &x->table.rows[p->row].key))) {
            found->list[kept++] = *p;
        }
    }
    found->count = kept;
    mr__hash_finish(&leaders);
    mr__free(has_leader);
    mr__free(pids);
}

/* The rows of an earlier engine that have a child. **Owned**: mr__free. NULL: out of memory. */
static uint32_t *rows_with_child(const struct mr__exec *x, const struct mr__hash *runs,
                                 uint32_t *ret_count)
{
    uint32_t *rows = mr__calloc(MR__CHILD_TABLE_ROWS, sizeof *rows);
    *ret_count = 0;
    for (uint32_t i = 0; rows != NULL && i < MR__CHILD_TABLE_ROWS; i++) {
        pid_t pid;
        uint64_t start;
        if (!x->table.own[i] && mr__child_table_child(&x->table, i, &pid, &start) &&
            (runs == NULL ||
             mr__hash_get(runs, x->table.rows[i].key.run_id, MR__RUN_ID_BYTES, NULL))) {
            rows[(*ret_count)++] = i;
        }
    }
    return rows;
}

uint32_t mr__survivors_count(struct mr__exec *x)
{
    struct found found = {0};
    uint32_t row_count, alive = 0;
    uint32_t *rows = x->has_table ? rows_with_child(x, NULL, &row_count) : NULL;
    if (rows == NULL) {
        return 0;
    }
    if (row_count > 0) {
        scan(x, rows, row_count, &found);
    }
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t j = 0;
        while (j < found.count && found.list[j].row != rows[i]) {
            j++;
        }
        alive += j < found.count;
    }
    mr__free(found.list);
    mr__free(rows);
    return alive;
}

/* ---- ending them ------------------------------------------------------------------------------
 */

void mr__survivors_sweep(struct mr__exec *x, const uint8_t (*run_ids)[MR__RUN_ID_BYTES],
                         size_t count, void (*cb)(void *user), void *user)
{
    struct mr__hash runs;
    struct mr__sweep *sweep = mr__calloc(1, sizeof *sweep);
    bool failed = sweep == NULL;
    mr__hash_init(&runs);
    for (size_t i = 0; i < count && !failed && x->has_table; i++) {
        failed = mr__hash_put(&runs, run_ids[i], MR__RUN_ID_BYTES, i) != MR_OK;
    }
    if (!failed && x->has_table) {
        sweep->rows = rows_with_child(x, &runs, &sweep->row_count);
        failed = sweep->rows == NULL;
    }
    mr__hash_finish(&runs);
    if (failed) {
        /* Without memory nobody is ended, and so nothing of these runs may begin: no callback. */
        mr__task_note(x, "out of memory while ending the children of an earlier engine");
        mr__free(sweep);
        return;
    }
    if (sweep->row_count == 0) {
        mr__free(sweep->rows);
        mr__free(sweep);
        cb(user);
        return;
    }
    sweep->exec = x;
    sweep->cb = cb;
    sweep->user = user;
    sweep->next = x->sweeps;
    x->sweeps = sweep;
    (void)uv_timer_init(x->loop, &sweep->retry);
    sweep->retry.data = sweep;
    x->handles++;
    sweep_round(sweep);
}

static void watch_on_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;
    struct mr__exec *x = handle->data;
    mr__free(watch);
    x->handles--;
    mr__exec_less(x);
}

static void close_watch(struct watch *watch)
{
    struct mr__sweep *sweep = watch->sweep;
    struct watch **link = &sweep->watches;
    while (*link != watch) {
        link = &(*link)->next;
    }
    *link = watch->next;
    watch->poll.data = sweep->exec;
    uv_close((uv_handle_t *)&watch->poll, watch_on_closed);
    (void)close(watch->fd);
}

static void watch_on_ended(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = (struct watch *)poll;
    struct mr__sweep *sweep = watch->sweep;
    close_watch(watch);
    if (sweep->watches == NULL && !uv_is_active((uv_handle_t *)&sweep->retry)) {
        sweep_round(sweep);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct mr__sweep *sweep = timer->data;
    while (sweep->watches != NULL) {
        close_watch(sweep->watches);
    }
    sweep_round(sweep);
}

/* KILL, then a watch. False: it cannot be watched, though it may live. */
static bool kill_and_watch(struct mr__sweep *sweep, const struct process *p)
{
    struct mr__exec *x = sweep->exec;
    struct process now;
    int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    bool gone = fd < 0 && errno == ESRCH;
    /* The descriptor is of a process that had this number before this look at it. */
    if (gone || !read_process(p->pid, &now) || now.start != p->start || now.group != p->group ||
        now.zombie) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return true;
    }
    if (p->pid == p->group) {
        (void)kill(-p->group, SIGKILL);
    }
    int result =
        fd < 0 ? kill(p->pid, SIGKILL) : (int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    if (result != 0 && errno == EPERM) {
        mr__task_note(x, "child %d of an earlier engine may not be ended: waiting for it", p->pid);
    }
    if (fd < 0) {
        return false;
    }
    struct watch *watch = mr__calloc(1, sizeof *watch);
    if (watch == NULL || uv_poll_init(x->loop, &watch->poll, fd) != 0) {
        mr__free(watch);
        (void)close(fd);
        return false;
    }
    watch->fd = fd;
    watch->sweep = sweep;
    watch->next = sweep->watches;
    sweep->watches = watch;
    x->handles++;
    if (uv_poll_start(&watch->poll, UV_READABLE, watch_on_ended) != 0) {
        close_watch(watch);
        return false;
    }
    return true;
}

static void sweep_round(struct mr__sweep *sweep)
{
    struct mr__exec *x = sweep->exec;
    struct found found;
    scan(x, sweep->rows, sweep->row_count, &found);
    bool watched = !found.failed;
    for (uint32_t i = 0; i < found.count && !found.failed; i++) {
        watched = kill_and_watch(sweep, &found.list[i]) && watched;
    }
    bool gone = watched && found.count == 0;
    mr__free(found.list);
    if (gone) {
        for (uint32_t i = 0; i < sweep->row_count; i++) {
            mr__child_table_childless(&x->table, sweep->rows[i]);
        }
        void (*cb)(void *user) = sweep->cb;
        void *user = sweep->user;
        sweep_finish(sweep);
        cb(user);
    } else if (!watched || sweep->watches == NULL) {
        (void)uv_timer_start(&sweep->retry, on_retry, watched ? 0 : RETRY_MS, 0);
    }
}

static void retry_on_closed(uv_handle_t *handle)
{
    struct mr__sweep *sweep = handle->data;
    struct mr__exec *x = sweep->exec;
    mr__free(sweep->rows);
    mr__free(sweep);
    x->handles--;
    mr__exec_less(x);
}

static void sweep_finish(struct mr__sweep *sweep)
{
    struct mr__sweep **link = &sweep->exec->sweeps;
    while (*link != sweep) {
        link = &(*link)->next;
    }
    *link = sweep->next;
    while (sweep->watches != NULL) {
        close_watch(sweep->watches);
    }
    uv_close((uv_handle_t *)&sweep->retry, retry_on_closed);
}

void mr__survivors_close(struct mr__exec *x)
{
    while (x->sweeps != NULL) {
        sweep_finish(x->sweeps);
    }
}
