/* SPDX-License-Identifier: MIT
 *
 * What an attempt takes in the executor alone, from start() to ended(): of an action that does
 * nothing, on the loop and on a worker, in the engine and in a host process. Without a journal, so
 * that nothing but the call is seen; tests/bench/isolation.py measures whole runs.
 *
 * usage: MILLRACE_TEST_BUILD=BUILD bench_isolated [ATTEMPTS]
 */
#include <time.h>

#include "exec_fixture.h"

#define ATTEMPTS 20000

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct fixture *f, const char *what, const struct mr__action *action,
                    uint32_t *task, double *times, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        double begin = now_us();
        fixture_start(f, action, ++*task, NULL);
        while (f->end_count < *task) {
            (void)uv_run(&f->loop, UV_RUN_ONCE);
        }
        times[i] = now_us() - begin;
    }
    qsort(times, count, sizeof *times, by_time);
    (void)printf("%-16s median %6.1f us, 90 of 100 below %6.1f us\n", what, times[count / 2],
                 times[(size_t)count * 9 / 10]);
}

int main(int argc, char **argv)
{
    const char *build = getenv("MILLRACE_TEST_BUILD");
    long wanted = argc > 1 ? strtol(argv[1], NULL, 10) : ATTEMPTS;
    uint32_t count = wanted > 0 && wanted <= 1000000 ? (uint32_t)wanted : ATTEMPTS, task = 0;
    char text[1024];
    mr_error error;
    double *times = calloc(count, sizeof *times);
    struct fixture *f = fixture_make(4);
    build = build == NULL ? "build" : build;
    (void)snprintf(text, sizeof text, "%s/core/host/millrace-host", build);
    (void)setenv("MILLRACE_HOST", text, 0);
    (void)snprintf(text, sizeof text, "%s/tests/e2e/native:%s/plugins/noop", build, build);
    if (times == NULL || mr__registry_create(text, NULL, NULL, &f->registry, &error) != MR_OK) {
        return 1;
    }
    fixture_close(f, 0);
    fixture_open(f, 4);
    const struct mr__action *loop = fixture_action(f, "noop"), *worker = fixture_action(f, "idle");
    measure(f, "loop", loop, &task, times, count);
    measure(f, "loop, isolated", loop->apart, &task, times, count);
    measure(f, "worker", worker, &task, times, count);
    measure(f, "worker, isolated", worker->apart, &task, times, count);
    fixture_destroy(f);
    free(times);
    return 0;
}
