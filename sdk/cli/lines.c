/* SPDX-License-Identifier: MIT
 *
 * Makes whole lines of what tasks write.
 */
#include "sdk/cli/lines.h"

#include <stdlib.h>
#include <string.h>

#define PART_BYTES_MAX 65536 /* a longer line is given out in pieces */

static struct mr__lines_part *find_part(struct mr__lines *lines, const struct mr__text *key,
                                        bool make);
static void drop_part(struct mr__lines *lines, struct mr__lines_part *part);

void mr__lines_finish(struct mr__lines *lines)
{
    while (lines->count > 0) {
        drop_part(lines, &lines->parts[lines->count - 1]);
    }
    free(lines->parts);
    lines->parts = NULL;
    lines->cap = 0;
}

static void give(struct mr__lines *lines, const char *task, const char *text, size_t len)
{
    lines->line(lines->user, task, text, len > 0 && text[len - 1] == '\r' ? len - 1 : len);
}

void mr__lines_take(struct mr__lines *lines, struct mr__pick log)
{
    struct mr__text key = {0};
    struct mr__text text = {0};
    struct mr__pick stream = mr__pick_member(log, "stream");
    struct mr__pick of = mr__pick_member(log, "task");
    bool whole = mr__pick_equals(stream, "trace"); /* one message each */
    if (mr__pick_is(of, "null")) {
        mr__text_puts(&key, "(hook)"); /* a run's hooks belong to no task */
    } else {
        (void)mr__pick_text(of, &key); /* absent: lines of nobody */
    }
    mr__text_add(&key, "", 1);
    (void)mr__pick_text(stream, &key);                        /* likewise */
    (void)mr__pick_text(mr__pick_member(log, "text"), &text); /* absent: nothing to show */
    const char *task = mr__text_str(&key);
    const char *at = mr__text_str(&text);
    const char *end = at + text.len;
    while (at < end && !key.failed) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct mr__lines_part *part = find_part(lines, &key, newline == NULL && !whole);
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        if (part != NULL) {
            mr__text_add(&part->text, at, len);
            if (newline != NULL || whole || part->text.len > PART_BYTES_MAX) {
                give(lines, task, mr__text_str(&part->text), part->text.len);
                drop_part(lines, part);
            }
        } else {
            give(lines, task, at, len);
        }
        at += len + 1;
    }
    mr__text_finish(&key);
    mr__text_finish(&text);
}

void mr__lines_flush(struct mr__lines *lines, const char *task)
{
    for (size_t i = lines->count; i-- > 0;) {
        struct mr__lines_part *part = &lines->parts[i];
        if (task == NULL || strcmp(part->key.at, task) == 0) {
            give(lines, part->key.at, mr__text_str(&part->text), part->text.len);
            drop_part(lines, part);
        }
    }
}

/* Only unfinished lines have a part, so there are few. NULL also if there is no memory for one. */
static struct mr__lines_part *find_part(struct mr__lines *lines, const struct mr__text *key,
                                        bool make)
{
    for (size_t i = 0; i < lines->count; i++) {
        struct mr__lines_part *part = &lines->parts[i];
        if (part->key.len == key->len && memcmp(part->key.at, key->at, key->len) == 0) {
            return part;
        }
    }
    if (!make) {
        return NULL;
    }
    if (lines->count == lines->cap) {
        size_t cap = lines->cap == 0 ? 8 : lines->cap * 2;
        struct mr__lines_part *parts = realloc(lines->parts, cap * sizeof *parts);
        if (parts == NULL) {
            return NULL;
        }
        lines->parts = parts;
        lines->cap = cap;
    }
    struct mr__lines_part *part = &lines->parts[lines->count];
    memset(part, 0, sizeof *part);
    mr__text_add(&part->key, key->at, key->len);
    if (part->key.failed) {
        return NULL;
    }
    lines->count++;
    return part;
}

static void drop_part(struct mr__lines *lines, struct mr__lines_part *part)
{
    mr__text_finish(&part->key);
    mr__text_finish(&part->text);
    *part = lines->parts[--lines->count];
}
