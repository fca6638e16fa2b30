/* SPDX-License-Identifier: MIT
 *
 * The trial of a plugin file. The child leads a process group of its own and says what came of each
 * step through a pipe; the parent waits for its end, not for that of the pipe, which something that
 * the plugin has started may hold. What the child did not say is read from how it ended. When the
 * parent ends, however that is, so does the child.
 */
#include "sdk/cli/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX (16u << 20) /* of both steps */

enum step { STEP_LOAD, STEP_TEST, STEPS };
static const char *const step_names[STEPS] = {"while it was loaded", "in its self-test"};

/* What the child says of a step; the text follows. */
struct step_head {
    uint32_t step;
    mr_status status;
    uint32_t len;
};

/* The child, as the parent sees it. */
struct child {
    const char *file;
    pid_t pid;
    int pid_fd, pipe_fd;
    int64_t limit_ms;
    struct mr__text said;
    bool late;
    siginfo_t end;
};

static void child_main(const char *file, int fd, pid_t parent);
static void watch(struct child *child);
static void judge(struct child *child, struct mr__trial *trial);

__attribute__((format(printf, 3, 4))) static void fail(struct mr__trial *trial, mr_status status,
                                                       const char *fmt, ...)
{
    va_list args;
    trial->status = trial->error.status = status;
    va_start(args, fmt);
    (void)vsnprintf(trial->error.message, sizeof trial->error.message, fmt, args); /* may be cut */
    va_end(args);
}

void mr__trial_run(const char *file, int64_t limit_ms, struct mr__trial *ret_trial)
{
    int ends[2];
    struct child child = {.file = file, .limit_ms = limit_ms};
    pid_t self = getpid();
    *ret_trial = (struct mr__trial){.status = MR_OK};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail(ret_trial, MR_EIO, "cannot make a pipe: %s", strerror(errno));
        return;
    }
    child.pid = fork();
    if (child.pid == 0) {
        (void)close(ends[0]);
        child_main(file, ends[1], self);
    }
    (void)close(ends[1]);
    child.pipe_fd = ends[0];
    child.pid_fd = child.pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, child.pid, 0);
    if (child.pid < 0 || child.pid_fd < 0) {
        fail(ret_trial, MR_EIO, "cannot start a process: %s", strerror(errno));
    } else {
        watch(&child);
    }
    if (child.pid > 0) {
        /* Before it is reaped, so that the numbers are still its own: all that it started. */
        (void)kill(-child.pid, SIGKILL);
        (void)kill(child.pid, SIGKILL);
        while (waitid(P_PID, (id_t)child.pid, &child.end, WEXITED) != 0 && errno == EINTR) {
        }
    }
    if (ret_trial->status == MR_OK) {
        judge(&child, ret_trial);
    }
    if (child.pid_fd >= 0) {
        (void)close(child.pid_fd);
    }
    (void)close(child.pipe_fd);
    mr__text_finish(&child.said);
}

void mr__trial_finish(struct mr__trial *trial)
{
    mr__text_finish(&trial->json);
}

/* ---- the child ----------------------------------------------------------------------------- */

/* False: the parent cannot be told. */
static bool say(int fd, enum step step, mr_status status, const char *text)
{
    struct step_head head = {.step = step, .status = status, .len = (uint32_t)strlen(text)};
    const char *parts[] = {(const char *)&head, text};
    size_t lens[] = {sizeof head, head.len};
    for (int i = 0; i < 2; i++) {
        while (lens[i] > 0) {
            ssize_t n = write(fd, parts[i], lens[i]);
            if (n < 0 && errno != EINTR) {
                return false;
            }
            parts[i] += n > 0 ? n : 0;
            lens[i] -= n > 0 ? (size_t)n : 0;
        }
    }
    return true;
}

/* It leaves by _exit: what the parent would do at its end is not done twice. */
static void child_main(const char *file, int fd, pid_t parent)
{
    mr_error error = {.status = MR_OK};
    sigset_t none;
    char *json = NULL;
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (getppid() != parent || input < 0 || dup2(input, 0) < 0 || dup2(2, 1) < 0) {
        _exit(MR__EXIT_STORE);
    }
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    mr_status status = mr_plugin_check(file, &json, &error);
    bool told = say(fd, STEP_LOAD, status, status == MR_OK ? json : error.message);
    if (told && status == MR_OK) {
        status = mr_plugin_test(file, &error);
        (void)fflush(NULL); /* what the self-test has printed, which nobody else can be told of */
        (void)say(fd, STEP_TEST, status, status == MR_OK ? "" : error.message); /* judge() sees */
    }
    _exit(0);
}

/* ---- the parent ---------------------------------------------------------------------------- */

/* Takes what stands in the pipe. False: no more will come. */
static bool take(struct child *child)
{
    char bytes[4096];
    ssize_t n = read(child->pipe_fd, bytes, sizeof bytes);
    if (n > 0 && child->said.len < ANSWER_BYTES_MAX) {
        mr__text_add(&child->said, bytes, (size_t)n);
    }
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Until it has ended, or its time is over. */
static void watch(struct child *child)
{
    int64_t until_ms = mr__session_now_ms() + child->limit_ms;
    struct pollfd fds[] = {{.fd = child->pid_fd, .events = POLLIN},
                           {.fd = child->pipe_fd, .events = POLLIN}};
    (void)fcntl(child->pipe_fd, F_SETFL, O_NONBLOCK); /* something else may hold the other end */
    for (;;) {
        int64_t left_ms = until_ms - mr__session_now_ms();
        int ready = poll(fds, 2, (int)(left_ms < 0 ? 0 : left_ms > 1000000 ? 1000000 : left_ms));
        if (ready > 0 && fds[1].revents != 0 && !take(child)) {
            fds[1].fd = -1;
        }
        if (ready > 0 && fds[0].revents != 0) {
            while (fds[1].fd >= 0 && take(child)) {
            }
            return;
        }
        if (ready <= 0 && mr__session_now_ms() >= until_ms) {
            child->late = true;
            return;
        }
    }
}

/* What was said of a step, NUL-terminated in `text`. False: nothing. */
static bool find_step(const struct child *child, enum step step, struct step_head *head,
                      struct mr__text *text)
{
    for (size_t at = 0; at + sizeof *head <= child->said.len; at += sizeof *head + head->len) {
        memcpy(head, child->said.at + at, sizeof *head);
        if (head->len > child->said.len - at - sizeof *head) {
            return false;
        }
        if (head->step == (uint32_t)step) {
            mr__text_clear(text);
            mr__text_add(text, child->said.at + at + sizeof *head, head->len);
            return !text->failed;
        }
    }
    return false;
}

/* It ended in the middle of a step. */
static void judge_end(const struct child *child, enum step step, struct mr__trial *trial)
{
    mr_status status = step == STEP_LOAD ? MR_EABI : MR_EFAILED;
    if (child->late) {
        fail(trial, MR_ETIMEDOUT, "%s: its time of %lld ms was over %s", child->file,
             (long long)child->limit_ms, step_names[step]);
    } else if (child->end.si_code == CLD_EXITED && child->end.si_status == 0) {
        fail(trial, status, "%s: ended its process, or closed descriptors that are not its own, %s",
             child->file, step_names[step]);
    } else if (child->end.si_code == CLD_EXITED) {
        fail(trial, status, "%s: ended its process with exit %d %s", child->file,
             child->end.si_status, step_names[step]);
    } else {
        const char *name = sigabbrev_np(child->end.si_status);
        char number[32];
        (void)snprintf(number, sizeof number, "signal %d", child->end.si_status);
        fail(trial, status, "%s: killed by %s%s %s", child->file, name == NULL ? "" : "SIG",
             name == NULL ? number : name, step_names[step]);
    }
}

static void judge(struct child *child, struct mr__trial *trial)
{
    struct step_head head;
    struct mr__text text = {0};
    if (child->said.failed) {
        fail(trial, MR_ENOMEM, "out of memory");
    } else if (!find_step(child, STEP_LOAD, &head, &trial->json)) {
        judge_end(child, STEP_LOAD, trial);
    } else if (head.status != MR_OK) {
        fail(trial, head.status, "%s", mr__text_str(&trial->json));
    } else if (!find_step(child, STEP_TEST, &head, &text)) {
        judge_end(child, STEP_TEST, trial);
    } else if (head.status != MR_OK && head.status != MR_ENOSYS) { /* ENOSYS: it has none */
        fail(trial, head.status, "%s", mr__text_str(&text));
    } else {
        trial->tested = head.status == MR_OK;
    }
    mr__text_finish(&text);
}
