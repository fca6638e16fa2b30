/* SPDX-License-Identifier: MIT
 *
 * stderr: talk and progress. The tree is drawn in place: the cursor goes up over the rows of the
 * last drawing, which are wiped; no alternate screen, and nothing that must be undone if the
 * process dies.
 */
#include "sdk/cli/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FRAME_MS   100  /* between two drawings at least */
#define IDLE_MS    1000 /* while only the run's own time is to be seen */
#define ROWS_MAX   200
#define SYNC_BEGIN "\033[?2026h" /* a terminal that knows it shows the whole drawing at once */
#define SYNC_END   "\033[?2026l"

static void add_wipe(struct mr__screen *screen, struct mr__text *text);
static void write_all(const char *bytes, size_t len);
static void draw(struct mr__screen *screen, int64_t unix_ms, bool last);

mr_status mr__screen_open(struct mr__screen *screen, const struct mr__options *options, bool color,
                          bool utf8)
{
    const char *term = getenv("TERM");
    bool terminal = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    memset(screen, 0, sizeof *screen);
    if (pthread_mutex_init(&screen->mutex, NULL) != 0) {
        return MR_ENOMEM;
    }
    screen->is_open = true;
    screen->quiet = options->quiet;
    screen->color = color;
    screen->utf8 = utf8;
    screen->mode = options->progress;
    if (screen->mode == MR__PROGRESS_AUTO || (screen->mode == MR__PROGRESS_TREE && !terminal)) {
        screen->mode = terminal ? MR__PROGRESS_TREE : MR__PROGRESS_PLAIN;
    }
    if (options->quiet) {
        screen->mode = MR__PROGRESS_NONE;
    }
    return MR_OK;
}

void mr__screen_close(struct mr__screen *screen)
{
    if (!screen->is_open) {
        return;
    }
    mr__screen_clear(screen);
    mr__text_finish(&screen->frame_text);
    free(screen->row_width);
    (void)pthread_mutex_destroy(&screen->mutex); /* nobody else is left */
    memset(screen, 0, sizeof *screen);
}

void mr__screen_size(int fd, uint32_t *ret_columns, uint32_t *ret_rows)
{
    struct winsize size;
    *ret_columns = 80;
    *ret_rows = 24;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        *ret_columns = size.ws_col;
        *ret_rows = size.ws_row;
    }
}

/* Nothing is to be done when stderr is gone. */
static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

void mr__screen_write(struct mr__screen *screen, const char *text, size_t len)
{
    struct mr__text out = {0};
    (void)pthread_mutex_lock(&screen->mutex); /* an error here would be a bug of ours */
    add_wipe(screen, &out);
    mr__text_add(&out, text, len);
    write_all(mr__text_str(&out), out.len);
    (void)pthread_mutex_unlock(&screen->mutex); /* likewise */
    mr__text_finish(&out);
}

/* Under the mutex: adds what takes the tree away. The terminal may have become narrower since it
 * was drawn, which folded its rows. */
static void add_wipe(struct mr__screen *screen, struct mr__text *text)
{
    uint32_t columns;
    uint32_t rows;
    size_t up = 0;
    if (screen->drawn_rows == 0) {
        return;
    }
    mr__screen_size(STDERR_FILENO, &columns, &rows);
    for (size_t i = 0; i < screen->drawn_rows; i++) {
        up += screen->row_width[i] > columns ? (screen->row_width[i] + columns - 1) / columns : 1;
    }
    mr__text_printf(text, "\r\033[%zuA\033[J", up < rows ? up : rows);
    screen->drawn_rows = 0;
}

void mr__screen_clear(struct mr__screen *screen)
{
    mr__screen_write(screen, "", 0);
    screen->dirty = true;
}

/* ---- the tree ------------------------------------------------------------------------------ */

void mr__screen_show(struct mr__screen *screen, const struct mr__progress *progress,
                     const char *foot)
{
    screen->progress = progress;
    screen->foot = foot;
    screen->dirty = true;
    screen->drawn_at_ms = 0;
}

void mr__screen_touch(struct mr__screen *screen)
{
    screen->dirty = true;
}

int64_t mr__screen_due(const struct mr__screen *screen, int64_t now_ms)
{
    if (screen->mode != MR__PROGRESS_TREE || screen->progress == NULL) {
        return -1;
    }
    bool soon = screen->dirty || mr__progress_moves(screen->progress);
    int64_t due_ms = screen->drawn_at_ms + (soon ? FRAME_MS : IDLE_MS) - now_ms;
    return due_ms < 0 ? 0 : due_ms;
}

void mr__screen_draw(struct mr__screen *screen, int64_t now_ms, int64_t unix_ms)
{
    if (mr__screen_due(screen, now_ms) == 0) {
        draw(screen, unix_ms, false);
        screen->drawn_at_ms = now_ms;
        screen->dirty = false;
    }
}

void mr__screen_leave(struct mr__screen *screen, int64_t unix_ms)
{
    if (screen->mode == MR__PROGRESS_TREE && screen->progress != NULL) {
        draw(screen, unix_ms, true);
        screen->drawn_rows = 0;
    }
    screen->progress = NULL;
}

/* Notes how wide each row is, colours not counted. */
static size_t measure_rows(struct mr__screen *screen, const struct mr__text *text)
{
    size_t rows = 0;
    const char *at = mr__text_str(text);
    const char *end = at + text->len;
    while (at < end && rows < screen->row_cap) {
        size_t width = 0;
        while (at < end && *at != '\n') {
            size_t step = 1;
            if (*at == '\033') {
                const char *stop = memchr(at, 'm', (size_t)(end - at));
                step = stop != NULL ? (size_t)(stop - at) + 1 : 1;
            } else {
                width += mr__text_char_width(mr__text_decode(at, (size_t)(end - at), &step));
            }
            at += step;
        }
        at += at < end ? 1 : 0;
        screen->row_width[rows++] = (uint32_t)width;
    }
    return rows;
}

static void draw(struct mr__screen *screen, int64_t unix_ms, bool last)
{
    struct mr__view view = {.now_ms = unix_ms,
                            .frame = screen->frame++,
                            .utf8 = screen->utf8,
                            .color = screen->color,
                            .last = last,
                            .foot = screen->foot};
    struct mr__text out = {0};
    mr__screen_size(STDERR_FILENO, &view.columns, &view.rows);
    view.rows = view.rows > 4 ? view.rows - 2 : 2;
    view.rows = view.rows > ROWS_MAX ? ROWS_MAX : view.rows;
    mr__text_clear(&screen->frame_text);
    mr__progress_tree(screen->progress, &view, &screen->frame_text);
    if (screen->row_cap == 0) {
        screen->row_width = calloc(ROWS_MAX, sizeof *screen->row_width);
        screen->row_cap = screen->row_width != NULL ? ROWS_MAX : 0;
    }
    if (screen->row_cap == 0 || screen->frame_text.failed) {
        return;
    }
    (void)pthread_mutex_lock(&screen->mutex); /* an error here would be a bug of ours */
    mr__text_puts(&out, SYNC_BEGIN);
    add_wipe(screen, &out);
    mr__text_add(&out, screen->frame_text.at, screen->frame_text.len);
    mr__text_puts(&out, SYNC_END);
    if (!out.failed) {
        write_all(mr__text_str(&out), out.len);
        screen->drawn_rows = measure_rows(screen, &screen->frame_text);
    }
    (void)pthread_mutex_unlock(&screen->mutex); /* likewise */
    mr__text_finish(&out);
}
