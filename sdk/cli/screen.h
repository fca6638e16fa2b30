/* SPDX-License-Identifier: MIT
 *
 * stderr: talk, and the progress of a run as a tree that is drawn in place or as lines.
 *
 * Talk may come from any thread (the engine's log, the signal thread); the tree and its model
 * belong to the main thread. A mutex keeps their bytes apart. Nothing here writes to stdout.
 */
#ifndef MR__SCREEN_H
#define MR__SCREEN_H

#include <pthread.h>

#include "sdk/cli/options.h"
#include "sdk/cli/progress.h"

struct mr__screen {
    enum mr__progress_mode mode; /* never auto once it is open */
    bool quiet, color, utf8;
    bool is_open;
    /* the main thread's */
    const struct mr__progress *progress;
    const char *foot;
    bool dirty;
    uint32_t frame;
    int64_t drawn_at_ms; /* monotonic */
    struct mr__text frame_text;
    /* under the mutex */
    pthread_mutex_t mutex;
    size_t drawn_rows;   /* of the tree that stands above the cursor; 0: none */
    uint32_t *row_width; /* of each of them */
    size_t row_cap;
};

mr_status mr__screen_open(struct mr__screen *screen, const struct mr__options *options, bool color,
                          bool utf8);
void mr__screen_close(struct mr__screen *screen);

/* Any thread: writes whole lines, above the tree if there is one. */
void mr__screen_write(struct mr__screen *screen, const char *text, size_t len);

/* From here on `progress` is shown as a tree, if that is the mode. `foot`: static. */
void mr__screen_show(struct mr__screen *screen, const struct mr__progress *progress,
                     const char *foot);
/* The model changed. */
void mr__screen_touch(struct mr__screen *screen);
/* Draws if it is time to. */
void mr__screen_draw(struct mr__screen *screen, int64_t now_ms, int64_t unix_ms);
/* How long mr__screen_draw need not be called; -1: for ever. */
int64_t mr__screen_due(const struct mr__screen *screen, int64_t now_ms);
/* Draws the tree as it stands for the last time and leaves it to the scrollback. */
void mr__screen_leave(struct mr__screen *screen, int64_t unix_ms);
/* Takes the tree away so that something else can be written; the next drawing begins anew. */
void mr__screen_clear(struct mr__screen *screen);

/* Size of the terminal, or 80 x 24. */
void mr__screen_size(int fd, uint32_t *ret_columns, uint32_t *ret_rows);

#endif
