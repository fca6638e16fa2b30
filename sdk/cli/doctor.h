/* SPDX-License-Identifier: MIT
 *
 * What the files of `doctor` share: the list of what was found.
 */
#ifndef MR__DOCTOR_H
#define MR__DOCTOR_H

#include "sdk/cli/session.h"

enum mr__health { MR__HEALTH_OK, MR__HEALTH_WARN, MR__HEALTH_BAD };

struct mr__doctor {
    struct mr__cli *cli;
    struct mr__text store; /* the path that is meant */
    struct mr__text place; /* what is there of it */
    bool exists;           /* `place` is the store itself */
    struct mr__text out;   /* lines, or JSON objects with ',' between */
    bool bad, doubtful;
};

/* Adds one finding. `name` is a word; `advice` says what to do unless it is MR__HEALTH_OK. */
__attribute__((format(printf, 5, 6))) void mr__doctor_add(struct mr__doctor *d,
                                                          enum mr__health health, const char *name,
                                                          const char *advice, const char *fmt, ...);

/* Where the store is, or would be: file system, room, how long a write takes to be safe. */
void mr__doctor_disk(struct mr__doctor *d);
/* Limits, shell, time zones, clock. */
void mr__doctor_machine(struct mr__doctor *d);

#endif
