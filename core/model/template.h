/* SPDX-License-Identifier: MIT
 *
 * Finding the templates in a text: {{...}}, of which `}}` inside Lua strings or braces is not the
 * end. parse_template.c finds with it what render.c replaces with it.
 */
#ifndef MR__TEMPLATE_H
#define MR__TEMPLATE_H

#include "core/base/base.h"

struct mr__template {
    const char *begin, *end; /* the whole of it, braces too */
    const char *body;        /* what is in it, without the blanks around */
    size_t body_len;
};

enum mr__template_found { MR__TEMPLATE_NONE = 0, MR__TEMPLATE_FOUND, MR__TEMPLATE_OPEN };

/* The first template at or after `at`. OPEN: `ret_template->begin` has no end. */
enum mr__template_found mr__template_next(const char *at, const char *end,
                                          struct mr__template *ret_template);

/* True if the body is one Lua string in quotes without escapes, such as '{{': its text. */
bool mr__template_literal(const struct mr__template *t, const char **ret_text, size_t *ret_len);

/* True if a {{...}} in the text of a `run:`, which is the shell's, names something of the run:
 * vars, .vars, share, .shareData, tasks, run, or the fan-out's item, which is called `item` (or
 * NULL). Variables are the caller's to compare. */
bool mr__template_names_run(const struct mr__template *t, const char *item);

/* The first {{...}} of a shell text, in which }} always ends it. */
bool mr__template_next_in_shell(const char *at, const char *end, struct mr__template *ret_template);

#endif
