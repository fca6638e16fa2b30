/* SPDX-License-Identifier: MIT
 *
 * What the parser cannot know of a schedule: whether its time zone exists on this machine. Any
 * thread; it waits for the disk.
 */
#ifndef MR__SCHEDULE_CHECK_H
#define MR__SCHEDULE_CHECK_H

#include "core/model/dag.h"

/* Adds E353 where there is no such zone. */
void mr__schedule_check(const struct mr__dag *dag, struct mr__problems *problems);

#endif
