/* SPDX-License-Identifier: MIT
 *
 * A file's text before libyaml sees it: is it text at all, and two repairs of what libyaml cannot
 * read (a byte order mark, JSON's surrogate pairs) that leave every place where it was.
 */
#ifndef MR__YAML_TEXT_H
#define MR__YAML_TEXT_H

#include "core/model/problems.h"

struct mr__yaml_shift { /* behind this place libyaml's columns are two less than the file's */
    uint32_t line, column;
};

struct mr__yaml_text {
    const char *text; /* what to parse: the caller's, or `copy` */
    size_t len;
    char *copy;
    struct mr__yaml_shift *shifts; /* in the order of the text, in libyaml's columns */
    size_t shift_count;
};

/* MR_OK: **owned**: mr__yaml_text_finish. MR_EDEFINITION: a problem was added. MR_ENOMEM. */
mr_status mr__yaml_text_init(struct mr__yaml_text *source, const char *text, size_t len,
                             struct mr__problems *problems);
void mr__yaml_text_finish(struct mr__yaml_text *source);

/* The file's column for libyaml's, both from 0. */
uint32_t mr__yaml_text_column(const struct mr__yaml_text *source, uint32_t line, uint32_t column);

#endif
