/* SPDX-License-Identifier: MIT
 *
 * Text that plugins put together: growing bytes, JSON, percent encoding, UTF-8, errors; and the
 * reading of durations. It is compiled into each plugin that uses it. Pure; any thread, one at a
 * time for one text.
 *
 * A text starts as {0} and is **owned**: finish it. Once out of memory it has `failed` and takes
 * nothing more, so that a caller asks once, at the end.
 */
#ifndef MR__PLUGIN_TEXT_H
#define MR__PLUGIN_TEXT_H

#include <millrace/status.h>
#include <millrace/value.h>
#include <stdbool.h>
#include <stddef.h>

struct mr__text {
    char *bytes; /* NULL as long as nothing was added, else with a final NUL */
    size_t len, cap;
    bool failed;
};

void mr__text_finish(struct mr__text *text);
void mr__text_add(struct mr__text *text, const char *bytes, size_t len);
void mr__text_puts(struct mr__text *text, const char *s);

/* `value` as JSON. The host bounds the depth of what it hands us. */
void mr__text_json(struct mr__text *text, const mr_value *value);

/* `len` bytes of UTF-8 as a JSON string. */
void mr__text_json_string(struct mr__text *text, const char *bytes, size_t len);

/* `value` as it stands inside other text: text as it is, null as nothing, anything else as JSON. */
void mr__text_plain(struct mr__text *text, const mr_value *value);

/* Each byte but letters, digits and -._~ as %XX. */
void mr__text_percent(struct mr__text *text, const char *bytes, size_t len);

/* The bytes as UTF-8: those that are none, and NUL, become U+FFFD. */
void mr__text_utf8(struct mr__text *text, const char *bytes, size_t len);

/* How many bytes at `at` are one character of UTF-8 but NUL; 0: none. `left` is at least 1. */
size_t mr__text_character(const unsigned char *at, size_t left);

/* One number and one unit: "300ms", "10s", "5m", "2h", "1d"; at most 100 years. False: it is none.
 */
bool mr__text_duration(const char *text, int64_t *ret_ms);

/* Fills `reterr`, which may be NULL, as printf does, and returns `status`. */
__attribute__((format(printf, 3, 4))) mr_status mr__text_error(mr_error *reterr, mr_status status,
                                                               const char *fmt, ...);

#endif
