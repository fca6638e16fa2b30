/* SPDX-License-Identifier: MIT
 *
 * Children. The parent prepares all that needs memory or may fail (path, environment, pipes); the
 * child, on a stack of its own but in the parent's memory, makes system calls alone, enters itself
 * in the child table and executes. The parent sleeps meanwhile, so that a failure is told through
 * plain memory.
 *
 * The group is only ever signaled while its leader is not yet reaped: until then its number cannot
 * be anybody else's.
 */
#include "core/exec/process.h"

#include <errno.h>
#include <fcntl.h>
#include <millrace/plugin.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES    (64u << 10)
#define READS_PER_TURN 2 /* of a stream, so that a flood cannot hold the loop */
#define KERNEL_SIGSET  8 /* bytes of the kernel's own signal set */
#define NO_SANITIZERS  __attribute__((no_sanitize("address", "thread", "undefined")))

/* Clang's thread sanitizer takes every clone() for a fork of its own state, which a child in the
 * parent's memory then spoils; it does not know the C library's other name of it. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
int __clone(int (*main)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif
#endif

struct stream {
    uv_poll_t poll;
    int fd; /* -1: closed */
    uint32_t number;
    struct mr__process *process;
};

struct mr__process {
    struct mr__process_start start;
    pid_t pid;
    int pidfd;
    uv_poll_t exit_poll;
    uv_timer_t grace;
    struct stream streams[2];
    uint32_t handles; /* that the loop knows */
    bool ending, killed;
};

/* What the child is told, and what it tells. */
struct launch {
    const char *path;
    char *const *argv;
    char *const *envp;
    const char *folder;
    struct mr__child_row *row;
    uint64_t claim;
    int fds[3];
    int descriptor; /* 0: none */
    struct failure *failure;
};

/* At the foot of the stack, which is shared memory, so that it is told also where a tool (valgrind)
 * makes a plain fork of the clone. */
struct failure {
    int number; /* errno, 0: it was executed */
    const char *at;
};

static char *find_program(const char *name, mr_error *reterr);
static char **merge_environment(const char *const *const over[2]);
static mr_status open_pipes(struct launch *launch, int ret_reads[2], mr_error *reterr);
static void close_fds(int *fds, size_t count);
static int launch_child(struct launch *launch, char *stack, pid_t *ret_pid);
static mr_status launch_failed(const struct launch *launch, int pidfd, mr_error *reterr);
static mr_status watch(struct mr__process *p, int reads[2], mr_error *reterr);
static void on_readable(uv_poll_t *poll, int status, int events);
static void on_ended(uv_poll_t *poll, int status, int events);
static void close_handle(struct mr__process *p, uv_handle_t *handle);

mr_status mr__process_stack_init(struct mr__process_stack *stack)
{
    void *memory =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    stack->memory = memory == MAP_FAILED ? NULL : memory;
    return memory == MAP_FAILED ? MR_ENOMEM : MR_OK;
}

void mr__process_stack_finish(struct mr__process_stack *stack)
{
    if (stack->memory != NULL) {
        (void)munmap(stack->memory, STACK_BYTES);
        stack->memory = NULL;
    }
}

mr_status mr__process_start(const struct mr__process_start *start, struct mr__process **ret_process,
                            mr_error *reterr)
{
    struct launch launch = {.folder = start->folder,
                            .descriptor = start->descriptor,
                            .fds = {-1, -1, -1},
                            .failure = (struct failure *)(void *)start->stack->memory};
    int reads[2] = {-1, -1};
    struct mr__process *p = mr__calloc(1, sizeof *p);
    char *path = find_program(start->argv[0], reterr);
    char **envp = merge_environment(start->env);
    mr_status status = MR_ENOMEM;
    if (p == NULL || envp == NULL) {
        (void)mr__error_set(reterr, status, "%s", mr_status_text(status));
        goto fail_memory;
    }
    if (path == NULL) {
        status = MR_ENOTFOUND;
        goto fail_memory;
    }
    p->start = *start;
    p->start.argv = NULL;
    p->start.env[0] = p->start.env[1] = NULL;
    p->start.folder = NULL;
    launch.path = path;
    launch.argv = (char *const *)(uintptr_t)start->argv; /* execve does not write there */
    launch.envp = envp;
    status = open_pipes(&launch, reads, reterr);
    if (status != MR_OK) {
        goto fail_pipes;
    }
    if (start->table != NULL) {
        launch.row = &start->table->rows[start->row];
        launch.claim = mr__child_table_claim(start->table, start->row);
    }
    p->pidfd = launch_child(&launch, start->stack->memory, &p->pid);
    close_fds(launch.fds, MR__COUNT(launch.fds));
    if (p->pidfd < 0 || launch.failure->number != 0) {
        status = launch_failed(&launch, p->pidfd, reterr);
        if (start->table != NULL) {
            mr__child_table_childless(start->table, start->row);
        }
        goto fail_pipes;
    }
    mr__free(path);
    mr__free(envp);
    status = watch(p, reads, reterr);
    if (status == MR_OK) {
        *ret_process = p;
    }
    return status;

fail_pipes:
    close_fds(launch.fds, MR__COUNT(launch.fds));
    close_fds(reads, MR__COUNT(reads));
fail_memory:
    mr__free(path);
    mr__free(envp);
    mr__free(p);
    return status;
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* **Owned**: mr__free. Only absolute entries of PATH count: the child's folder is not the owner's.
 */
static char *find_program(const char *name, mr_error *reterr)
{
    char *found = NULL;
    if (strchr(name, '/') != NULL) {
        found = mr__strdup(name);
        if (found == NULL) {
            (void)mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
            return NULL;
        }
    } else {
        const char *at = getenv("PATH");
        at = at == NULL ? "/usr/local/bin:/usr/bin:/bin" : at;
        while (found == NULL && *at != '\0') {
            size_t len = strcspn(at, ":");
            if (*at == '/') {
                found = mr__aprintf("%.*s/%s", (int)len, at, name);
                if (found == NULL) {
                    (void)mr__error_set(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
                    return NULL;
                }
            }
            if (found != NULL && !is_program(found)) {
                mr__free(found);
                found = NULL;
            }
            at += len + (at[len] == ':');
        }
    }
    if (found == NULL) {
        (void)mr__error_set(reterr, MR_ENOTFOUND, "cannot run \"%.200s\": not found in PATH", name);
    }
    return found;
}

/* True if `entry` ("NAME=value") is named again in `list`. */
static bool overridden(const char *entry, const char *const *list)
{
    size_t len = strcspn(entry, "=") + 1;
    for (; list != NULL && *list != NULL; list++) {
        if (strncmp(entry, *list, len) == 0) {
            return true;
        }
    }
    return false;
}

/* **Owned**: mr__free; the texts are borrowed. */
static char **merge_environment(const char *const *const over[2])
{
    const char *const *own = (const char *const *)environ;
    const char *const *lists[3] = {own, over[0], over[1]};
    size_t count = 1;
    for (size_t i = 0; i < MR__COUNT(lists); i++) {
        for (const char *const *at = lists[i]; at != NULL && *at != NULL; at++) {
            count++;
        }
    }
    const char **merged = mr__calloc(count, sizeof *merged);
    if (merged == NULL) {
        return NULL;
    }
    count = 0;
    for (size_t i = 0; i < MR__COUNT(lists); i++) {
        for (const char *const *at = lists[i]; at != NULL && *at != NULL; at++) {
            bool again = i == 0 ? overridden(*at, over[0]) || overridden(*at, over[1])
                                : overridden(*at, at + 1) || (i == 1 && overridden(*at, over[1]));
            if (!again) {
                merged[count++] = *at;
            }
        }
    }
    return (char **)(uintptr_t)merged;
}

/* A descriptor of 0 to 2 (where the host closed its own) would be in dup2's way. */
int mr__process_above_stdio(int fd)
{
    if (fd < 0 || fd > 2) {
        return fd;
    }
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int number = errno;
    (void)close(fd);
    errno = number;
    return higher;
}

static mr_status open_pipes(struct launch *launch, int ret_reads[2], mr_error *reterr)
{
    launch->fds[0] = mr__process_above_stdio(open("/dev/null", O_RDONLY | O_CLOEXEC));
    bool failed = launch->fds[0] < 0;
    for (int i = 0; i < 2 && !failed; i++) {
        int ends[2];
        failed = pipe2(ends, O_CLOEXEC) != 0;
        if (!failed) {
            ret_reads[i] = mr__process_above_stdio(ends[0]);
            launch->fds[i + 1] = mr__process_above_stdio(ends[1]);
            failed = ret_reads[i] < 0 || launch->fds[i + 1] < 0 ||
                     fcntl(ret_reads[i], F_SETFL, O_NONBLOCK) != 0;
        }
    }
    if (failed) {
        int number = errno;
        return mr__error_set(reterr, mr__status_from_errno(number),
                             "cannot make pipes for a child: %s", strerror(number));
    }
    return MR_OK;
}

static void close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
    }
}

NO_SANITIZERS static void child_failed(struct launch *launch, const char *at, int number)
{
    launch->failure->at = at;
    launch->failure->number = number == 0 ? EINVAL : number;
    (void)syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

/* The kernel's form of a signal's disposition; all zeros is the default. */
struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

/* In the child: system calls alone, since the memory, also the C library's, is the parent's. */
NO_SANITIZERS static int child_main(void *arg)
{
    struct launch *launch = arg;
    struct kernel_sigaction by_default;
    uint64_t no_signals = 0;
    by_default.handler = NULL;
    by_default.flags = 0;
    by_default.restorer = NULL;
    by_default.mask = 0;
    (void)syscall(SYS_setpgid, 0, 0);
    for (int i = 1; i <= 64; i++) {
        (void)syscall(SYS_rt_sigaction, i, &by_default, NULL, KERNEL_SIGSET);
    }
    for (int i = 0; i < 3; i++) {
        if (syscall(SYS_dup3, launch->fds[i], i, 0) < 0) {
            child_failed(launch, "its pipes", errno);
        }
    }
    bool moved = launch->descriptor != 0 && launch->descriptor != 3;
    if (launch->descriptor == 3 ? syscall(SYS_fcntl, 3, F_SETFD, 0) < 0
                                : moved && syscall(SYS_dup3, launch->descriptor, 3, 0) < 0) {
        child_failed(launch, "its socket", errno);
    }
#ifdef SYS_close_range
    unsigned first = launch->descriptor == 0 ? 3 : 4;
    (void)syscall(SYS_close_range, first, ~0u, 0); /* An old kernel: CLOEXEC does most of it. */
#endif
    if (launch->folder != NULL && syscall(SYS_chdir, launch->folder) != 0) {
        child_failed(launch, launch->folder, errno);
    }
    if (launch->row != NULL && !mr__child_table_enter_child(launch->row, launch->claim)) {
        child_failed(launch, "the child table", ECANCELED);
    }
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, KERNEL_SIGSET);
    (void)syscall(SYS_execve, launch->path, launch->argv, launch->envp);
    child_failed(launch, launch->path, errno);
    return 0;
}

/* Returns its pidfd, or -1 with a failure. No signal handler may run in the child. */
NO_SANITIZERS static int launch_child(struct launch *launch, char *stack, pid_t *ret_pid)
{
    uint64_t all = ~UINT64_C(0), before = 0;
    int pidfd = -1;
    launch->failure->number = 0;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET);
    pid_t pid = clone(child_main, stack + STACK_BYTES,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, &pidfd);
    int number = errno;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET);
    if (pid < 0) {
        launch->failure->at = "a new process";
        launch->failure->number = number;
        return -1;
    }
    *ret_pid = pid;
    return pidfd;
}

static mr_status launch_failed(const struct launch *launch, int pidfd, mr_error *reterr)
{
    int number = launch->failure->number;
    if (pidfd >= 0) {
        siginfo_t info;
        while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) != 0 && errno == EINTR) {
        }
        (void)close(pidfd);
    }
    bool at_folder = launch->failure->at == launch->folder;
    return mr__error_set(reterr, mr__status_from_errno(number), "cannot %s \"%.200s\": %s",
                         at_folder ? "enter folder" : "run",
                         at_folder || pidfd < 0 ? launch->failure->at : launch->path,
                         strerror(number));
}

/* From here on the child runs. */
static mr_status watch(struct mr__process *p, int reads[2], mr_error *reterr)
{
    uv_loop_t *loop = p->start.loop;
    (void)uv_timer_init(loop, &p->grace);
    p->grace.data = p;
    p->handles = 1;
    ++*p->start.open_count;
    int failed = uv_poll_init(loop, &p->exit_poll, p->pidfd);
    if (failed == 0) {
        p->handles++;
        p->exit_poll.data = p;
        failed = uv_poll_start(&p->exit_poll, UV_READABLE, on_ended);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct stream *s = &p->streams[i];
        *s = (struct stream){.fd = -1, .number = i == 0 ? MR_STDOUT : MR_STDERR, .process = p};
        if (failed == 0) {
            failed = uv_poll_init(loop, &s->poll, reads[i]);
        }
        if (failed == 0) {
            p->handles++;
            s->fd = reads[i];
            s->poll.data = s;
            failed = uv_poll_start(&s->poll, UV_READABLE, on_readable);
        } else {
            (void)close(reads[i]);
        }
    }
    if (failed == 0) {
        return MR_OK;
    }
    /* The loop has no room for it: the child is ended at once, and nobody hears of it. */
    siginfo_t info;
    (void)kill(-p->pid, SIGKILL);
    while (waitid(P_PID, (id_t)p->pid, &info, WEXITED) != 0 && errno == EINTR) {
    }
    if (p->start.table != NULL) {
        mr__child_table_childless(p->start.table, p->start.row);
    }
    if (p->exit_poll.data == NULL) {
        (void)close(p->pidfd);
        p->pidfd = -1;
    }
    for (int i = 0; i < 2; i++) {
        if (p->streams[i].fd >= 0) {
            close_handle(p, (uv_handle_t *)&p->streams[i].poll);
            (void)close(p->streams[i].fd);
        }
    }
    if (p->pidfd >= 0) {
        close_handle(p, (uv_handle_t *)&p->exit_poll);
        (void)close(p->pidfd);
    }
    close_handle(p, (uv_handle_t *)&p->grace);
    return mr__error_set(reterr, failed == UV_ENOMEM ? MR_ENOMEM : MR_EIO,
                         "cannot watch a child: %s", uv_strerror(failed));
}

static void close_stream(struct stream *s)
{
    if (s->fd >= 0) {
        close_handle(s->process, (uv_handle_t *)&s->poll);
        (void)close(s->fd);
        s->fd = -1;
    }
}

/* Reads at most `bytes` in at most `reads` calls; the stream may be closed afterwards. */
static void read_stream(struct stream *s, size_t bytes, unsigned reads)
{
    char chunk[MR__LOG_CHUNK_BYTES_MAX];
    struct mr__process *p = s->process;
    while (bytes > 0 && reads-- > 0 && s->fd >= 0) {
        ssize_t len = read(s->fd, chunk, MR__MIN(bytes, sizeof chunk));
        if (len > 0) {
            bytes -= (size_t)len;
            p->start.on_output(p->start.user, s->number, chunk, (size_t)len);
        } else if (len == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_stream(s);
        } else {
            return;
        }
    }
}

/* What is in the pipes now, and no more: whoever left the group may hold them open for ever. */
void mr__process_drain(struct mr__process *p)
{
    for (int i = 0; i < 2; i++) {
        int bytes = 0;
        if (p->streams[i].fd >= 0 && ioctl(p->streams[i].fd, FIONREAD, &bytes) == 0 && bytes > 0) {
            read_stream(&p->streams[i], (size_t)bytes, UINT32_MAX);
        }
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    read_stream(poll->data, SIZE_MAX, READS_PER_TURN);
}

/* The leader has ended and is not yet reaped. */
static void on_ended(uv_poll_t *poll, int status, int events)
{
    struct mr__process *p = poll->data;
    siginfo_t info = {0};
    int result = waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
    if (result == 0 && info.si_pid == 0) {
        return; /* Not yet, after all. */
    }
    if (result == 0) { /* else the host has reaped it, and the number may be a stranger's */
        (void)kill(-p->pid, SIGKILL);
        result = waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG);
    }
    if (p->start.table != NULL) {
        mr__child_table_childless(p->start.table, p->start.row);
    }
    close_handle(p, (uv_handle_t *)&p->exit_poll);
    (void)close(p->pidfd);
    mr__process_drain(p);
    for (int i = 0; i < 2; i++) {
        close_stream(&p->streams[i]);
    }
    int32_t code = -1, signal_number = 0;
    if (result == 0 && info.si_code == CLD_EXITED) {
        code = info.si_status;
    } else if (result == 0) {
        signal_number = info.si_status;
    }
    p->start.on_exit(p->start.user, code, signal_number);
    close_handle(p, (uv_handle_t *)&p->grace);
}

static void close_handle_on_closed(uv_handle_t *handle);

static void close_handle(struct mr__process *p, uv_handle_t *handle)
{
    handle->data = p;
    uv_close(handle, close_handle_on_closed);
}

static void close_handle_on_closed(uv_handle_t *handle)
{
    struct mr__process *p = handle->data;
    if (--p->handles > 0) {
        return;
    }
    void (*on_closed)(void *user) = p->start.on_closed;
    void *user = p->start.closed_user;
    --*p->start.open_count;
    mr__free(p);
    on_closed(user);
}

static void end_on_grace(uv_timer_t *timer)
{
    struct mr__process *p = timer->data;
    p->killed = true;
    (void)kill(-p->pid, SIGKILL);
}

void mr__process_end(struct mr__process *p, int64_t grace_ms)
{
    if (p->killed) {
        return;
    }
    if (grace_ms <= 0) {
        (void)uv_timer_stop(&p->grace);
        end_on_grace(&p->grace);
        return;
    }
    if (!p->ending) {
        p->ending = true;
        (void)kill(-p->pid, SIGTERM);
        (void)kill(-p->pid, SIGCONT); /* A stopped one cannot end. */
    }
    if (!uv_is_active((uv_handle_t *)&p->grace) ||
        uv_timer_get_due_in(&p->grace) > (uint64_t)grace_ms) {
        (void)uv_timer_start(&p->grace, end_on_grace, (uint64_t)grace_ms, 0);
    }
}

void mr__process_forget(struct mr__process *p)
{
    for (int i = 0; i < 2; i++) {
        close_stream(&p->streams[i]);
    }
    close_handle(p, (uv_handle_t *)&p->exit_poll);
    (void)close(p->pidfd);
    close_handle(p, (uv_handle_t *)&p->grace);
}

uint32_t mr__process_grace_ms(const struct mr__process *p)
{
    return p->start.grace_ms;
}

bool mr__process_was_killed(const struct mr__process *p)
{
    return p->killed;
}

void mr__process_leave_row(struct mr__process *p)
{
    p->start.table = NULL;
}
