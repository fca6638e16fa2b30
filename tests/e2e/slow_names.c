/* SPDX-License-Identifier: MIT
 *
 * A name server that takes its time, for test_http.py: a getaddrinfo to be preloaded. A name that
 * ends in ".slow" is 127.0.0.1 after SLOW_NAMES_MS milliseconds, one in ".metadata" is
 * 169.254.169.254, one in ".both" is that and then 127.0.0.1; all others are the C library's. How
 * many were looked up at once, at most, stands in the file SLOW_NAMES_FILE.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int now, most;

static void count(int change)
{
    (void)pthread_mutex_lock(&mutex);
    now += change;
    if (now > most) {
        FILE *file = fopen(getenv("SLOW_NAMES_FILE"), "we");
        most = now;
        if (file != NULL) {
            (void)fprintf(file, "%d\n", most);
            (void)fclose(file);
        }
    }
    (void)pthread_mutex_unlock(&mutex);
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_info)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const char *dot = node == NULL ? NULL : strrchr(node, '.');
    (void)pthread_mutex_lock(&mutex);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    }
    (void)pthread_mutex_unlock(&mutex);
    if (dot != NULL && (strcmp(dot, ".metadata") == 0 || strcmp(dot, ".both") == 0)) {
        int result = real("169.254.169.254", service, hints, ret_info);
        /* The C library frees each of a list by itself, whoever put them together. */
        return result != 0 || strcmp(dot, ".metadata") == 0
                   ? result
                   : real("127.0.0.1", service, hints, &(*ret_info)->ai_next);
    }
    if (dot == NULL || strcmp(dot, ".slow") != 0) {
        return real(node, service, hints, ret_info);
    }
    count(1);
    (void)usleep((useconds_t)atoi(getenv("SLOW_NAMES_MS")) * 1000);
    count(-1);
    return real("127.0.0.1", service, hints, ret_info);
}
