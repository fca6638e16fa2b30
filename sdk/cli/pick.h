/* SPDX-License-Identifier: MIT
 *
 * Reads JSON text in place: picks members and items out as pieces of the text itself.
 *
 * Why not a tree of parsed values: numbers stay as they are written (64 bits), a piece is passed on
 * to -o json unchanged, and a document of a million tasks costs no memory. Broken text gives absent
 * pieces, never a crash. Pure; pieces are borrowed from the text.
 */
#ifndef MR__PICK_H
#define MR__PICK_H

#include "sdk/cli/text.h"

/* The text of one value; `at` is NULL where there is none. */
struct mr__pick {
    const char *at;
    size_t len;
};

struct mr__pick_each {
    const char *at, *end;
    bool object;
};

/* The value that a whole text is. */
struct mr__pick mr__pick_value(const char *json, size_t len);
struct mr__pick mr__pick_member(struct mr__pick object, const char *name);

/* Walks through a list or a map (anything else is empty). `ret_key` is a key's text without its
 * quotes and as it is escaped; NULL pieces in a list. */
void mr__pick_begin(struct mr__pick_each *each, struct mr__pick container);
bool mr__pick_next(struct mr__pick_each *each, struct mr__pick *ret_key,
                   struct mr__pick *ret_value);
size_t mr__pick_count(struct mr__pick container);

bool mr__pick_is(struct mr__pick value, const char *json); /* e.g. "true" */
bool mr__pick_present(struct mr__pick value);              /* neither absent nor null */
/* Adds a string's characters; anything else as it is written. False (nothing added) if absent. */
bool mr__pick_text(struct mr__pick value, struct mr__text *text);
/* Adds the characters of a piece of JSON string without its quotes, as a key is. */
void mr__pick_unescape(struct mr__pick raw, struct mr__text *text);
/* A string's equality with `word`, for words that JSON does not escape. */
bool mr__pick_equals(struct mr__pick value, const char *word);
int64_t mr__pick_int(struct mr__pick value, int64_t otherwise);
/* Milliseconds of Unix time of an RFC 3339 string, else 0. */
int64_t mr__pick_time(struct mr__pick value);

#endif
