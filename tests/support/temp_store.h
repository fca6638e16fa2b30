/* SPDX-License-Identifier: MIT
 *
 * A fresh folder for one test, and its end. Header only.
 */
#ifndef MR__TEMP_STORE_H
#define MR__TEMP_STORE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static inline void temp_store_make(char path[64])
{
    (void)snprintf(path, 64, "/tmp/millrace-test-XXXXXX");
    if (mkdtemp(path) == NULL) {
        perror("mkdtemp");
        exit(1);
    }
}

static inline int temp_store_remove_one(const char *path, const struct stat *st, int type,
                                        struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void temp_store_remove(const char *path)
{
    (void)nftw(path, temp_store_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline long temp_store_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

#endif
