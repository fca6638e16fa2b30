/* SPDX-License-Identifier: MIT
 *
 * The matcher of Lua's patterns. A match is a walk through text and pattern at once, which calls
 * itself for each choice; what it costs is counted step by step. The same patterns match, in the
 * same way and with the same complaints, as in Lua 5.4 (tests/unit/test_lua_patterns.c compares).
 */
#include "lua/pattern.h"

#include <ctype.h>
#include <stdio.h>

#define STEPS_AT_ONCE 256u

static const char *match(struct pattern_match *m, const char *s, const char *p);

static const char *fail(struct pattern_match *m, const char *message)
{
    if (m->error[0] == '\0') {
        (void)snprintf(m->error, sizeof m->error, "%s", message);
    }
    return NULL;
}

static bool is_given_up(const struct pattern_match *m)
{
    return m->spent || m->error[0] != '\0';
}

static bool step(struct pattern_match *m)
{
    if (++m->steps >= STEPS_AT_ONCE) {
        m->spent = m->spent || !m->more(m->user, m->steps);
        m->steps = 0;
    }
    return !is_given_up(m);
}

/* The pattern's character at `p`; NUL behind its end. */
static char peek(const struct pattern_match *m, const char *p)
{
    return p < m->pattern_end ? *p : '\0';
}

/* ---- one character --------------------------------------------------------------------------- */

/* Where the single-character class that begins at `p` ends; NULL: it does not. */
static const char *class_end(struct pattern_match *m, const char *p)
{
    char c = *p++;
    if (c == '%') {
        return p == m->pattern_end ? fail(m, "malformed pattern (ends with '%')") : p + 1;
    }
    if (c != '[') {
        return p;
    }
    if (peek(m, p) == '^') {
        p++;
    }
    do { /* a ']' that stands first is one of the set */
        if (p == m->pattern_end) {
            return fail(m, "malformed pattern (missing ']')");
        }
        c = *p++;
        if (c == '%') {
            if (p == m->pattern_end) {
                return fail(m, "malformed pattern (missing ']')");
            }
            p++;
        }
    } while (p == m->pattern_end || *p != ']');
    return p + 1;
}

static bool in_class(unsigned char c, unsigned char name)
{
    bool in;
    switch (tolower(name)) {
    case 'a': in = isalpha(c) != 0; break;
    case 'c': in = iscntrl(c) != 0; break;
    case 'd': in = isdigit(c) != 0; break;
    case 'g': in = isgraph(c) != 0; break;
    case 'l': in = islower(c) != 0; break;
    case 'p': in = ispunct(c) != 0; break;
    case 's': in = isspace(c) != 0; break;
    case 'u': in = isupper(c) != 0; break;
    case 'w': in = isalnum(c) != 0; break;
    case 'x': in = isxdigit(c) != 0; break;
    case 'z': in = c == '\0'; break; /* deprecated, and there */
    default: return name == c;
    }
    return isupper(name) ? !in : in;
}

/* `p` at the '[', `closing` at its ']'. */
static bool in_set(struct pattern_match *m, unsigned char c, const char *p, const char *closing)
{
    bool found = true;
    if (p[1] == '^') {
        found = false;
        p++;
    }
    while (++p < closing) {
        (void)step(m);
        if (*p == '%') {
            p++;
            if (in_class(c, (unsigned char)*p)) {
                return found;
            }
        } else if (p[1] == '-' && p + 2 < closing) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2]) {
                return found;
            }
            p += 2;
        } else if ((unsigned char)*p == c) {
            return found;
        }
    }
    return !found;
}

/* Whether the character at `s` is one that the class [p, end) takes. */
static bool is_single(struct pattern_match *m, const char *s, const char *p, const char *end)
{
    if (s >= m->text_end) {
        return false;
    }
    switch (*p) {
    case '.': return true;
    case '%': return in_class((unsigned char)*s, (unsigned char)p[1]);
    case '[': return in_set(m, (unsigned char)*s, p, end - 1);
    default: return *p == *s;
    }
}

/* ---- repetition ------------------------------------------------------------------------------ */

static const char *expand_most(struct pattern_match *m, const char *s, const char *p,
                               const char *end)
{
    ptrdiff_t count = 0;
    while (step(m) && is_single(m, s + count, p, end)) {
        count++;
    }
    for (; count >= 0 && !is_given_up(m); count--) {
        const char *found = match(m, s + count, end + 1);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static const char *expand_least(struct pattern_match *m, const char *s, const char *p,
                                const char *end)
{
    while (step(m)) {
        const char *found = match(m, s, end + 1);
        if (found != NULL || is_given_up(m)) {
            return found;
        }
        if (!is_single(m, s, p, end)) {
            return NULL;
        }
        s++;
    }
    return NULL;
}

/* ---- captures -------------------------------------------------------------------------------- */

static const char *open_capture(struct pattern_match *m, const char *s, const char *p,
                                ptrdiff_t kind)
{
    if (m->captures >= PATTERN_CAPTURES_MAX) {
        return fail(m, "too many captures");
    }
    m->capture[m->captures].at = s;
    m->capture[m->captures].len = kind;
    m->captures++;
    const char *found = match(m, s, p);
    if (found == NULL) {
        m->captures--;
    }
    return found;
}

static const char *close_capture(struct pattern_match *m, const char *s, const char *p)
{
    int i = m->captures - 1;
    while (i >= 0 && m->capture[i].len != CAPTURE_OPEN) {
        i--;
    }
    if (i < 0) {
        return fail(m, "invalid pattern capture");
    }
    m->capture[i].len = s - m->capture[i].at;
    const char *found = match(m, s, p);
    if (found == NULL) {
        m->capture[i].len = CAPTURE_OPEN;
    }
    return found;
}

/* %1 to %9: what was captured before, once more. */
static const char *match_again(struct pattern_match *m, const char *s, char digit)
{
    int i = digit - '1';
    if (i < 0 || i >= m->captures || m->capture[i].len == CAPTURE_OPEN) {
        char message[sizeof m->error];
        (void)snprintf(message, sizeof message, "invalid capture index %%%d", i + 1);
        return fail(m, message);
    }
    /* A position has no length that any text reaches. */
    size_t len = (size_t)m->capture[i].len;
    if ((size_t)(m->text_end - s) < len) {
        return NULL;
    }
    m->steps += (unsigned)(len / 64);
    return memcmp(m->capture[i].at, s, len) == 0 ? s + len : NULL;
}

/* ---- %b and %f ------------------------------------------------------------------------------- */

static const char *match_balance(struct pattern_match *m, const char *s, const char *p)
{
    if (p + 1 >= m->pattern_end) {
        return fail(m, "malformed pattern (missing arguments to '%b')");
    }
    if (s >= m->text_end || *s != p[0]) {
        return NULL;
    }
    int open = 1;
    while (++s < m->text_end && step(m)) {
        if (*s == p[1]) {
            if (--open == 0) {
                return s + 1;
            }
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

/* The set at `p` begins to hold at `s`. `*ret_p` gets what follows it. */
static bool match_frontier(struct pattern_match *m, const char *s, const char *p,
                           const char **ret_p)
{
    if (peek(m, p) != '[') {
        (void)fail(m, "missing '[' after '%f' in pattern");
        return false;
    }
    const char *end = class_end(m, p);
    if (end == NULL) {
        return false;
    }
    unsigned char before = s == m->text ? '\0' : (unsigned char)s[-1];
    unsigned char here = s == m->text_end ? '\0' : (unsigned char)*s;
    *ret_p = end;
    return !in_set(m, before, p, end - 1) && in_set(m, here, p, end - 1);
}

/* ---- the walk -------------------------------------------------------------------------------- */

/* Goes on behind the class [*p, end) and its repetition. True: at the new `*s` and `*p`; false:
 * `*ret_found` is the answer. */
static bool walk_class(struct pattern_match *m, const char **s, const char **p,
                       const char **ret_found)
{
    *ret_found = NULL;
    const char *end = class_end(m, *p);
    if (end == NULL) {
        return false;
    }
    switch (peek(m, end)) {
    case '?':
        if (is_single(m, *s, *p, end)) {
            *ret_found = match(m, *s + 1, end + 1);
            if (*ret_found != NULL || is_given_up(m)) {
                return false;
            }
        }
        *p = end + 1;
        return true;
    case '+':
        *ret_found = is_single(m, *s, *p, end) ? expand_most(m, *s + 1, *p, end) : NULL;
        return false;
    case '*': *ret_found = expand_most(m, *s, *p, end); return false;
    case '-': *ret_found = expand_least(m, *s, *p, end); return false;
    default:
        if (!is_single(m, *s, *p, end)) {
            return false;
        }
        (*s)++;
        *p = end;
        return true;
    }
}

/* As walk_class, for what begins with a %: %b, %f, %1, or a class. */
static bool walk_percent(struct pattern_match *m, const char **s, const char **p,
                         const char **ret_found)
{
    char c = peek(m, *p + 1);
    *ret_found = NULL;
    if (c == 'b') {
        *s = match_balance(m, *s, *p + 2);
        *p += 4;
        return *s != NULL;
    }
    if (c == 'f') {
        return match_frontier(m, *s, *p + 2, p);
    }
    if (c >= '0' && c <= '9') {
        *s = match_again(m, *s, c);
        *p += 2;
        return *s != NULL;
    }
    return walk_class(m, s, p, ret_found);
}

static const char *walk(struct pattern_match *m, const char *s, const char *p)
{
    const char *found = NULL;
    bool on = true;
    while (on) {
        if (!step(m)) {
            return NULL;
        }
        if (p == m->pattern_end) {
            return s;
        }
        switch (*p) {
        case '(':
            return peek(m, p + 1) == ')' ? open_capture(m, s, p + 2, CAPTURE_POSITION)
                                         : open_capture(m, s, p + 1, CAPTURE_OPEN);
        case ')': return close_capture(m, s, p + 1);
        case '%': on = walk_percent(m, &s, &p, &found); break;
        case '$':
            if (p + 1 == m->pattern_end) {
                return s == m->text_end ? s : NULL;
            }
            on = walk_class(m, &s, &p, &found);
            break;
        default: on = walk_class(m, &s, &p, &found); break;
        }
    }
    return found;
}

static const char *match(struct pattern_match *m, const char *s, const char *p)
{
    if (m->depth == MR__LUA_MATCH_DEPTH_MAX) {
        return fail(m, "pattern too complex");
    }
    m->depth++;
    const char *found = walk(m, s, p);
    m->depth--;
    return is_given_up(m) ? NULL : found;
}

const char *pattern_match_at(struct pattern_match *m, const char *at)
{
    m->captures = 0;
    m->depth = 0;
    return match(m, at, m->pattern);
}

const char *pattern_find(struct pattern_match *m, const char *from, bool anchored,
                         const char **ret_begin)
{
    for (;; from++) {
        const char *end = pattern_match_at(m, from);
        if (end != NULL) {
            *ret_begin = from;
            return end;
        }
        if (anchored || from >= m->text_end || is_given_up(m)) {
            return NULL;
        }
    }
}

bool pattern_is_plain(const char *pattern, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] != '\0' && strchr("^$*+?.([%-", pattern[i]) != NULL) {
            return false;
        }
    }
    return true;
}

const char *pattern_find_plain(const char *text, size_t len, const char *needle, size_t needle_len)
{
    return needle_len == 0 ? text : memmem(text, len, needle, needle_len);
}
