/* SPDX-License-Identifier: MIT
 *
 * Text that grows, and what a terminal and a shell need to know about text: display width,
 * characters that are safe to show, quoting, durations and times.
 *
 * Any thread; a text belongs to one thread at a time. Out of memory sets `failed` and keeps what
 * stands, so that a writer checks once, at its end.
 */
#ifndef MR__TEXT_H
#define MR__TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr__text {
    char *at; /* NUL-terminated, or NULL while nothing was added */
    size_t len, cap;
    bool failed;
};

void mr__text_finish(struct mr__text *text);
void mr__text_clear(struct mr__text *text);
/* Never NULL. Borrowed until the text changes. */
const char *mr__text_str(const struct mr__text *text);

void mr__text_add(struct mr__text *text, const char *bytes, size_t len);
void mr__text_puts(struct mr__text *text, const char *string);
__attribute__((format(printf, 2, 3))) void mr__text_printf(struct mr__text *text, const char *fmt,
                                                           ...);
void mr__text_fill(struct mr__text *text, char c, size_t count);

/* Adds a JSON string with its quotes. The bytes should be UTF-8; others are passed on as they are.
 */
void mr__text_json(struct mr__text *text, const char *bytes, size_t len);
/* Adds a word as a POSIX shell must read it: in quotes if it needs them. */
void mr__text_shell(struct mr__text *text, const char *word);
/* Adds what a terminal may show of the bytes on one line: control characters and broken UTF-8
 * become
 * '?', a tab or newline a blank, and past `width_max` columns it is cut and `cut` (one column)
 * added. Returns the columns added. */
size_t mr__text_clean(struct mr__text *text, const char *bytes, size_t len, size_t width_max,
                      const char *cut);

/* Decodes one character of at most `left` (> 0) bytes. Broken UTF-8 gives UINT32_MAX and one byte.
 */
uint32_t mr__text_decode(const char *at, size_t left, size_t *ret_len);
bool mr__text_is_utf8(const char *bytes, size_t len);
/* Columns on a terminal of one character, and of a text; needs a UTF-8 locale for LC_CTYPE. */
size_t mr__text_char_width(uint32_t c);
size_t mr__text_width(const char *bytes, size_t len);

/* Adds "12ms", "1.3s", "51s", "2m 05s", "1h 12m" or "3d 04h". */
void mr__text_duration(struct mr__text *text, int64_t ms);
/* Reads "300ms", "10s", "5m", "2h", "1d" or several of them together ("1h30m"). */
bool mr__text_read_duration(const char *string, int64_t *ret_ms);
/* Reads RFC 3339 as milliseconds of Unix time; false for anything else. */
bool mr__text_read_time(const char *bytes, size_t len, int64_t *ret_ms);

/* How many single changes (insert, delete, replace, swap neighbours) make `a` into `b`; more than
 * `limit` gives limit + 1. */
unsigned mr__text_distance(const char *a, const char *b, unsigned limit);

#endif
