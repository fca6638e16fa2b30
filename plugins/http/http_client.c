/* SPDX-License-Identifier: MIT
 *
 * The client; see http_client.h.
 *
 *     loop          start --mail--> queued --(its turn)--> in libcurl --> ended --mr_post--> loop
 *     thread                          ^                                     |
 *                                     +------------- redirect --------------+
 *
 * libcurl tells which descriptors it waits for and until when (on_socket, on_timer), and is told
 * what has happened: its cost is that of what happens and not of what waits. Two queues: those that
 * need a host look-up and those that do not, so that a slow name server holds up only the former.
 */
#include "plugins/http/http_client.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS       2000    /* without a transfer, after which the thread ends */
#define SWEEP_MS      20      /* between two looks at all deadlines */
#define WAIT_MS_MAX   3600000 /* what epoll_wait can be told */
#define EVENTS_MAX    256
#define TRANSFERS_MIN 8u /* that run at once, however low the limit of descriptors */

struct queue {
    struct mr__http_transfer *first, *last;
};

/* What belongs to the thread alone; on its stack. */
struct worker {
    CURLM *multi;
    int epoll_fd;
    struct mr__http_transfer *all;
    struct queue by_name, by_address; /* which wait for their turn */
    unsigned active, active_max, look_ups;
    int64_t timer_due_ms; /* libcurl's; -1: none */
    int64_t sweep_due_ms; /* the earliest deadline of a transfer; -1: none */
    int64_t idle_since_ms;
    bool by_name_next; /* whose turn it is */
};

/* The one thread of the process, and what the loops of its engines share with it. A plugin has no
 * place for such a thing but this: an attempt's memory goes with the attempt, and a thread for each
 * would be 10,000 threads. All fields under the mutex, but for what is written before the first
 * thread is started and not changed any more. */
static struct {
    pthread_mutex_t mutex;
    bool ready;   /* libcurl is initialized, the rules are read */
    bool running; /* the thread takes mail */
    bool made;    /* there is a thread to be joined */
    bool stop;    /* the program ends */
    pthread_t thread;
    int wake_fd;
    struct mr__http_transfer *mail_first, *mail_last, *canceled;
    unsigned pending; /* transfers between their start and their end */
    struct mr__http_rules rules;
    const char *ca_file;
} client = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake_fd = -1};

static mr_status make_ready(mr_error *reterr);
static mr_status run_thread(mr_error *reterr);
static void *work(void *unused);
static void queue_up(struct worker *w, struct mr__http_transfer *transfer);
static void end(struct worker *w, struct mr__http_transfer *transfer);
static void drop(struct worker *w, struct mr__http_transfer *transfer);

static void wake(void)
{
    const uint64_t one = 1;
    if (client.running) {
        (void)!write(client.wake_fd, &one, sizeof one); /* Full: it is awake in any case. */
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the loop's side --------------------------------------------------------------------------
 */

mr_status mr__http_client_start(struct mr__http_call *call, struct mr__http_request *request,
                                mr_error *reterr)
{
    struct mr__http_transfer *transfer = mr__http_transfer_create(request, &client.rules);
    if (transfer == NULL) {
        return mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
    }
    (void)pthread_mutex_lock(&client.mutex);
    mr_status status = make_ready(reterr);
    if (status == MR_OK && client.pending == MR__HTTP_PENDING_MAX) {
        status = mr__text_error(reterr, MR_ELIMIT, "more than %u requests at once",
                                MR__HTTP_PENDING_MAX);
    }
    if (status == MR_OK) {
        status = run_thread(reterr);
    }
    if (status == MR_OK) {
        client.pending++;
        atomic_store(&transfer->refs, 2);
        transfer->call = call;
        call->transfer = transfer;
        if (client.mail_last != NULL) {
            client.mail_last->mail_next = transfer;
        } else {
            client.mail_first = transfer;
        }
        client.mail_last = transfer;
        wake();
    }
    (void)pthread_mutex_unlock(&client.mutex);
    if (status != MR_OK) {
        mr__http_transfer_unref(transfer);
    }
    return status;
}

struct mr__http_transfer *mr__http_client_take(struct mr__http_call *call)
{
    (void)pthread_mutex_lock(&client.mutex);
    struct mr__http_transfer *transfer = call->transfer;
    call->transfer = NULL;
    transfer->call = NULL;
    (void)pthread_mutex_unlock(&client.mutex);
    return transfer;
}

bool mr__http_client_cancel(struct mr__http_call *call)
{
    (void)pthread_mutex_lock(&client.mutex);
    struct mr__http_transfer *transfer = call->transfer;
    if (transfer != NULL) {
        call->transfer = NULL;
        transfer->call = NULL;
        transfer->cancel_next = client.canceled; /* with the loop's reference */
        client.canceled = transfer;
        wake();
    }
    (void)pthread_mutex_unlock(&client.mutex);
    return transfer != NULL;
}

/* ---- the thread's beginning and end -----------------------------------------------------------
 */

/* At exit, before the handlers of the libraries that libcurl uses: nobody may use them after. */
static void stop_thread(void)
{
    (void)pthread_mutex_lock(&client.mutex);
    client.stop = true;
    wake();
    bool made = client.made;
    client.made = false;
    (void)pthread_mutex_unlock(&client.mutex);
    if (made) {
        (void)pthread_join(client.thread, NULL);
    }
}

/* Once; what went wrong is tried again by the next request. */
static mr_status make_ready(mr_error *reterr)
{
    if (client.ready) {
        return MR_OK;
    }
    mr_status status = mr__http_rules_read(getenv("MILLRACE_HTTP_ALLOW"),
                                           getenv("MILLRACE_HTTP_DENY"), &client.rules, reterr);
    if (status != MR_OK) {
        mr__http_rules_finish(&client.rules);
        return status;
    }
    const char *ca_file = getenv("MILLRACE_HTTP_CA_FILE");
    client.ca_file = ca_file == NULL || *ca_file == '\0' ? NULL : strdup(ca_file);
    client.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (client.wake_fd < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        atexit(stop_thread) != 0) {
        if (client.wake_fd >= 0) {
            (void)close(client.wake_fd);
        }
        mr__http_rules_finish(&client.rules);
        return mr__text_error(reterr, MR_ENOMEM, "libcurl cannot be started");
    }
    client.ready = true;
    return MR_OK;
}

static mr_status run_thread(mr_error *reterr)
{
    sigset_t all, before;
    if (client.running) {
        return MR_OK;
    }
    if (client.stop) {
        return mr__text_error(reterr, MR_ECLOSED, "the program ends");
    }
    if (client.made) {
        (void)pthread_join(client.thread, NULL); /* It is at its end already. */
        client.made = false;
    }
    (void)sigfillset(&all); /* Signals are for the program's own threads. */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool made = pthread_create(&client.thread, NULL, work, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    client.made = client.running = made;
    if (made) {
        (void)pthread_setname_np(client.thread, "mr-http");
    }
    return made ? MR_OK : mr__text_error(reterr, MR_ELIMIT, "no thread can be started for http");
}

/* ---- what libcurl asks for --------------------------------------------------------------------
 */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct worker *w = user;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* It may be closed already. */
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (known == NULL) {
        (void)curl_multi_assign(w->multi, fd, w);
    }
    if (epoll_ctl(w->epoll_fd, known == NULL ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0 &&
        (errno == EEXIST || errno == ENOENT)) {
        (void)epoll_ctl(w->epoll_fd, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    }
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *user)
{
    struct worker *w = user;
    w->timer_due_ms = ms < 0 ? -1 : now_ms() + ms;
    return 0;
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static bool worker_init(struct worker *w)
{
    struct rlimit files;
    *w = (struct worker){.timer_due_ms = -1, .sweep_due_ms = -1, .idle_since_ms = now_ms()};
    w->active_max = MR__HTTP_ACTIVE_MAX;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < w->active_max) {
        w->active_max = (unsigned)(files.rlim_cur / 2);
    }
    w->active_max = w->active_max < TRANSFERS_MIN ? TRANSFERS_MIN : w->active_max;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client.wake_fd};
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->multi = curl_multi_init();
    if (w->epoll_fd < 0 || w->multi == NULL ||
        epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, client.wake_fd, &event) != 0) {
        return false;
    }
    return curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, (void *)w) == CURLM_OK &&
           curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
           curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, (void *)w) == CURLM_OK &&
           curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, MR__HTTP_KEPT_MAX) == CURLM_OK &&
           curl_multi_setopt(w->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)w->active_max) ==
               CURLM_OK;
}

static void worker_finish(struct worker *w)
{
    while (w->all != NULL) {
        drop(w, w->all);
    }
    if (w->multi != NULL) {
        (void)curl_multi_cleanup(w->multi);
    }
    if (w->epoll_fd >= 0) {
        (void)close(w->epoll_fd);
    }
}

/* Takes what the loops have sent. False: the thread is to end. */
static bool take_mail(struct worker *w, bool can_work)
{
    (void)pthread_mutex_lock(&client.mutex);
    struct mr__http_transfer *mail = client.mail_first, *canceled = client.canceled;
    client.mail_first = client.mail_last = client.canceled = NULL;
    bool idle = mail == NULL && canceled == NULL && w->all == NULL;
    bool ends = client.stop || (idle && (!can_work || now_ms() - w->idle_since_ms >= IDLE_MS));
    client.running = !ends;
    (void)pthread_mutex_unlock(&client.mutex);
    while (mail != NULL) {
        struct mr__http_transfer *transfer = mail;
        mail = mail->mail_next;
        transfer->held = true;
        transfer->look_ups = &w->look_ups;
        transfer->next = w->all;
        if (w->all != NULL) {
            w->all->previous = transfer;
        }
        w->all = transfer;
        queue_up(w, transfer);
    }
    while (canceled != NULL) {
        struct mr__http_transfer *transfer = canceled;
        canceled = canceled->cancel_next;
        if (transfer->held) {
            drop(w, transfer);
        }
        mr__http_transfer_unref(transfer);
    }
    return !ends;
}

/* Its turn comes when there is room; what may not be asked ends here. */
static void queue_up(struct worker *w, struct mr__http_transfer *transfer)
{
    if (transfer->place.host[0] == '\0' && mr__http_transfer_aim(transfer) != MR_OK) {
        end(w, transfer);
        return;
    }
    struct queue *queue = transfer->by_name ? &w->by_name : &w->by_address;
    transfer->queued = true;
    transfer->queue_next = NULL;
    transfer->queue_previous = queue->last;
    *(queue->last == NULL ? &queue->first : &queue->last->queue_next) = transfer;
    queue->last = transfer;
}

static void out_of_queue(struct worker *w, struct mr__http_transfer *transfer)
{
    struct queue *queue = transfer->by_name ? &w->by_name : &w->by_address;
    struct mr__http_transfer *next = transfer->queue_next, *previous = transfer->queue_previous;
    if (transfer->queued) {
        *(previous == NULL ? &queue->first : &previous->queue_next) = next;
        *(next == NULL ? &queue->last : &next->queue_previous) = previous;
        transfer->queued = false;
    }
}

/* Deadlines count from here: the queue is ours, not the server's. */
static void begin(struct worker *w, struct mr__http_transfer *transfer)
{
    int64_t now = now_ms();
    out_of_queue(w, transfer);
    if (mr__http_transfer_prepare(transfer, client.ca_file) != MR_OK) {
        end(w, transfer);
        return;
    }
    if (transfer->by_name) {
        transfer->look_up = MR__HTTP_LOOK_UP_EXPECTED;
        w->look_ups++;
    }
    if (transfer->due_ms == 0) {
        transfer->due_ms = now + transfer->request.timeout_ms;
    }
    transfer->connect_due_ms = now + transfer->request.connect_timeout_ms;
    int64_t due_ms =
        transfer->due_ms < transfer->connect_due_ms ? transfer->due_ms : transfer->connect_due_ms;
    if (w->sweep_due_ms < 0 || due_ms < w->sweep_due_ms) {
        w->sweep_due_ms = due_ms;
    }
    transfer->started = true;
    w->active++;
    if (curl_multi_add_handle(w->multi, transfer->easy) != CURLM_OK) {
        (void)mr__http_transfer_fail(transfer, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
        end(w, transfer);
    }
}

/* Begins what has its turn, from both queues alternately. Returns whether there was any. */
static bool begin_some(struct worker *w)
{
    bool any = false;
    while (w->active < w->active_max) {
        bool by_name = w->by_name.first != NULL && w->look_ups < MR__HTTP_LOOK_UPS_MAX;
        bool by_address = w->by_address.first != NULL;
        if (!by_name && !by_address) {
            break;
        }
        bool name_has_it = by_name && (w->by_name_next || !by_address);
        w->by_name_next = !name_has_it;
        begin(w, name_has_it ? w->by_name.first : w->by_address.first);
        any = true;
    }
    return any;
}

/* ---- ends -------------------------------------------------------------------------------------
 */

static void out_of_libcurl(struct worker *w, struct mr__http_transfer *transfer)
{
    if (transfer->started) {
        (void)curl_multi_remove_handle(w->multi, transfer->easy);
        mr__http_transfer_looked_up(transfer);
        transfer->started = false;
        w->active--;
    }
    mr__http_transfer_close(transfer);
}

/* The loop is told, or if that cannot be, the attempt ended. */
static void tell(struct mr__http_transfer *transfer)
{
    (void)pthread_mutex_lock(&client.mutex);
    struct mr__http_call *call = transfer->call;
    bool posted = call != NULL && !client.stop && mr_post(call->task, call->on_end, call) == MR_OK;
    if (call != NULL && !posted) {
        mr_task *task = call->task;
        call->transfer = NULL;
        transfer->call = NULL;
        if (!client.stop) {
            (void)mr_finish(task, MR_ENOMEM);
        }
    }
    (void)pthread_mutex_unlock(&client.mutex);
    if (call != NULL && !posted) {
        mr__http_transfer_unref(transfer); /* the loop's reference */
    }
}

/* It has its answer or its failure. */
static void end(struct worker *w, struct mr__http_transfer *transfer)
{
    if (transfer->look_up == MR__HTTP_LOOK_UP_RUNS) {
        transfer->over = true; /* The look-up's thread goes on, and counts until it ends. */
        tell(transfer);
        return;
    }
    out_of_libcurl(w, transfer);
    if (!transfer->over) {
        tell(transfer);
    }
    drop(w, transfer);
}

/* Nobody waits for it any more, or nothing is to come of it. */
static void drop(struct worker *w, struct mr__http_transfer *transfer)
{
    (void)pthread_mutex_lock(&client.mutex);
    bool waits = transfer->look_up == MR__HTTP_LOOK_UP_RUNS && !client.stop;
    client.pending -= waits ? 0 : 1;
    (void)pthread_mutex_unlock(&client.mutex);
    if (waits) {
        transfer->over = true;
        return;
    }
    out_of_queue(w, transfer);
    out_of_libcurl(w, transfer);
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    }
    *(transfer->previous == NULL ? &w->all : &transfer->previous->next) = transfer->next;
    transfer->held = false;
    w->idle_since_ms = now_ms();
    mr__http_transfer_unref(transfer);
}

/* What libcurl has done: answers, failures, and redirects, which wait for their turn again. */
static bool take_results(struct worker *w)
{
    struct mr__http_transfer *transfer;
    CURLMsg *message;
    int left;
    bool any = false;
    while ((message = curl_multi_info_read(w->multi, &left)) != NULL) {
        CURLcode result = message->data.result; /* The message goes with the handle. */
        char *user = NULL;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
        transfer = (struct mr__http_transfer *)(void *)user;
        any = true;
        mr__http_transfer_looked_up(transfer);
        if (transfer->over || !mr__http_transfer_ended(transfer, result)) {
            end(w, transfer);
        } else {
            out_of_libcurl(w, transfer);
            queue_up(w, transfer);
        }
    }
    return any;
}

static void fail_late(struct mr__http_transfer *transfer, const char *what, int64_t ms)
{
    bool seconds = ms % 1000 == 0;
    (void)mr__http_transfer_fail(transfer, MR_ETIMEDOUT, "no %s %s port %s within %lld%s", what,
                                 transfer->place.host, transfer->place.port,
                                 (long long)(seconds ? ms / 1000 : ms), seconds ? "s" : "ms");
}

/* The deadlines of those that have begun. All are looked at when the earliest one is due. */
static void sweep(struct worker *w)
{
    int64_t now = now_ms(), next_ms = -1;
    if (w->sweep_due_ms < 0 || now < w->sweep_due_ms) {
        return;
    }
    for (struct mr__http_transfer *transfer = w->all, *next; transfer != NULL; transfer = next) {
        int64_t connect_due_ms = transfer->connect_due_ms, due_ms = transfer->due_ms;
        next = transfer->next;
        if (transfer->over || due_ms == 0) {
            continue;
        }
        if (now >= due_ms) {
            fail_late(transfer, "complete answer from", transfer->request.timeout_ms);
            end(w, transfer);
        } else if (connect_due_ms != 0 && now >= connect_due_ms) {
            fail_late(transfer, "connection to", transfer->request.connect_timeout_ms);
            end(w, transfer);
        } else {
            due_ms = connect_due_ms != 0 && connect_due_ms < due_ms ? connect_due_ms : due_ms;
            next_ms = next_ms < 0 || due_ms < next_ms ? due_ms : next_ms;
        }
    }
    w->sweep_due_ms = next_ms < 0 || next_ms > now + SWEEP_MS ? next_ms : now + SWEEP_MS;
}

/* ---- the loop of the thread -------------------------------------------------------------------
 */

static int wait_ms(const struct worker *w)
{
    int64_t now = now_ms(), due_ms = w->all == NULL ? w->idle_since_ms + IDLE_MS : -1;
    if (w->timer_due_ms >= 0 && (due_ms < 0 || w->timer_due_ms < due_ms)) {
        due_ms = w->timer_due_ms;
    }
    if (w->sweep_due_ms >= 0 && (due_ms < 0 || w->sweep_due_ms < due_ms)) {
        due_ms = w->sweep_due_ms;
    }
    int64_t ms = due_ms - now;
    return due_ms < 0 ? -1 : ms < 0 ? 0 : ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)ms;
}

static void drive_timer(struct worker *w)
{
    int running;
    if (w->timer_due_ms >= 0 && now_ms() >= w->timer_due_ms) {
        w->timer_due_ms = -1;
        (void)curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
}

static void drive_sockets(struct worker *w, const struct epoll_event *events, int count)
{
    int running;
    uint64_t number;
    for (int i = 0; i < count; i++) {
        uint32_t what = events[i].events;
        int flags = (what & EPOLLIN ? CURL_CSELECT_IN : 0) |
                    (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                    (what & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
        if (events[i].data.fd == client.wake_fd) {
            (void)!read(client.wake_fd, &number, sizeof number); /* The mail says it all. */
        } else {
            (void)curl_multi_socket_action(w->multi, events[i].data.fd, flags, &running);
        }
    }
}

static void *work(void *unused)
{
    struct epoll_event events[EVENTS_MAX];
    struct worker w;
    bool can_work = worker_init(&w);
    while (take_mail(&w, can_work)) {
        while (!can_work && w.all != NULL) {
            (void)mr__http_transfer_fail(w.all, MR_ENOMEM, "libcurl cannot be started");
            end(&w, w.all);
        }
        if (!can_work) {
            continue;
        }
        bool more;
        do {
            sweep(&w);
            more = begin_some(&w);
            drive_timer(&w);
            more = take_results(&w) || more;
        } while (more);
        int count = epoll_wait(w.epoll_fd, events, EVENTS_MAX, wait_ms(&w));
        drive_sockets(&w, events, count);
    }
    worker_finish(&w);
    return NULL;
}
