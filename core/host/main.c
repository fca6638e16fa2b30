/* SPDX-License-Identifier: MIT
 *
 * millrace-host: the program in which a plugin's actions run apart from the engine. It is started
 * by the engine alone, with a socket as its descriptor 3.
 *
 * It reads HELLO, takes on its limits, loads the plugin, and then runs one phase of an attempt
 * after the other, until the socket ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/exec/plugin_load.h"
#include "core/host/host.h"

/* TERM ends what the plugin waits in; the engine says the rest. PIPE shows as EPIPE, as under
 * millrace itself. What the plugin starts has neither. */
static void on_signal(int number)
{
    (void)number;
}

static void set_limit(int what, int64_t value)
{
    struct rlimit limit;
    if (value > 0 && getrlimit(what, &limit) == 0) {
        rlim_t wanted = (rlim_t)value;
        limit.rlim_cur = limit.rlim_max =
            limit.rlim_max == RLIM_INFINITY ? wanted : MR__MIN(wanted, limit.rlim_max);
        (void)setrlimit(what, &limit);
    }
}

/* HELLO: the limits first, then what they are for. */
static void load(struct mr__channel *channel, struct mr__host_plugin *plugin)
{
    struct mr__letter_in *letter = mr__channel_next(channel);
    const struct mr__wire *hello = &letter->message;
    if (hello->kind != MR__WIRE_HELLO) {
        mr__channel_die();
    }
    if (hello->number[0] != MR__WIRE_VERSION) {
        (void)mr__error_set(&plugin->error, MR_EABI,
                            "millrace-host is of another version than the engine");
    } else if (hello->text[0].data != NULL) {
        set_limit(RLIMIT_AS, hello->number[1]);
        set_limit(RLIMIT_NOFILE, hello->number[2]);
        (void)mr__plugin_load_object(hello->text[0].data, &plugin->table, &plugin->error);
    }
    plugin->lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (plugin->lowest >= 0) {
        (void)close(plugin->lowest);
    }
    mr__free(letter);
}

int main(void)
{
    struct sigaction nothing = {.sa_handler = on_signal};
    struct mr__channel channel;
    struct mr__host_plugin plugin = {.table = NULL};
    struct mr__host_task *task = NULL;
    struct stat st;
    if (fstat(MR__WIRE_DESCRIPTOR, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        (void)fputs("millrace-host is started by millrace: it is nothing to run by hand\n", stderr);
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* What is printed before a crash is not lost. */
    (void)sigaction(SIGTERM, &nothing, NULL);
    (void)sigaction(SIGPIPE, &nothing, NULL);
    if (mr__channel_init(&channel, MR__WIRE_DESCRIPTOR) != MR_OK) {
        (void)fprintf(stderr, "millrace-host cannot begin: %s\n", strerror(errno));
        return 1;
    }
    load(&channel, &plugin);
    for (;;) {
        struct mr__letter_in *letter = mr__channel_next(&channel);
        if (letter->message.kind == MR__WIRE_START) {
            mr__host_phase(&channel, &plugin, &letter->message, &task);
        } /* A lock that came too late is nobody's any more. */
        mr__free(letter);
    }
}
