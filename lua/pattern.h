/* SPDX-License-Identifier: MIT
 *
 * Lua 5.4's patterns, with a count of the steps that a match takes: Lua's own matcher may take
 * exponentially many where no hook sees them. Pure; any thread; nothing is allocated.
 */
#ifndef MR__LUA_PATTERN_H
#define MR__LUA_PATTERN_H

#include "core/base/base.h"

#define PATTERN_CAPTURES_MAX 32
enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };

struct pattern_match {
    const char *text, *text_end;
    const char *pattern, *pattern_end; /* without an anchor */
    /* False: the steps are spent, the match is given up. Called every few hundred steps. */
    bool (*more)(void *user, unsigned steps);
    void *user;

    unsigned steps; /* since the last call of `more` */
    unsigned depth;
    bool spent;
    char error[64]; /* "": none. What is wrong with the pattern */
    int captures;
    struct {
        const char *at;
        ptrdiff_t len; /* or CAPTURE_OPEN, CAPTURE_POSITION */
    } capture[PATTERN_CAPTURES_MAX];
};

/* Matches at `at` and nowhere else: the end of the match, or NULL; then `spent` and `error` say
 * whether that is an answer. */
const char *pattern_match_at(struct pattern_match *m, const char *at);
/* Finds the first match at or after `from`; anchored: at `from` alone. */
const char *pattern_find(struct pattern_match *m, const char *from, bool anchored,
                         const char **ret_begin);
/* Whether the pattern has no special characters, so that it can be looked for as it is. */
bool pattern_is_plain(const char *pattern, size_t len);
/* The first place of `needle`, or NULL. */
const char *pattern_find_plain(const char *text, size_t len, const char *needle, size_t needle_len);

#endif
